//! What both programs take: the options that shape an image, and those of talking.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{ArgAction, Args};

use super::args::{Align, Checksums, Color, Compress, Context, Level, ProgressForm, Threads};
use super::size::Size;
use crate::disk::Format;

/// The options that shape the image, and where it goes.
#[derive(Clone, Debug, Args)]
pub(super) struct Shape {
    /// The output file, or a folder; - is standard output
    ///
    /// Without it the image goes to the current folder: mydisk.vdi becomes mydisk.img.gz, and its
    /// record mydisk.img.gz.json lies beside it. With - there is no record and no resuming.
    #[arg(short, long, value_name = "PATH")]
    pub(super) output: Option<PathBuf>,

    /// gz (default), or none for a sparse raw file
    #[arg(short = 'C', long, value_name = "gz|none")]
    pub(super) compress: Option<Compress>,

    /// The gzip effort, 1 to 9
    ///
    /// Without it the file is at most 1 % larger than gzip -6 makes it.
    #[arg(long, value_name = "1..9")]
    pub(super) level: Option<Level>,

    /// Prepare the guest for the cloud: require (default), try or off
    ///
    /// With `require` a guest that cannot be prepared is an error that says why; with `try` it is
    /// converted as it is, with a warning (but for one that takes too long to look into); with `off`
    /// every guest is left alone.
    #[arg(long, value_name = "require|try|off")]
    pub(super) context: Option<Context>,

    /// Leave the guest alone (the same as --context off)
    #[arg(long, conflicts_with_all = ["context", "edit", "authorized_key", "context_var", "context_script", "keep_passwords", "root_volume"])]
    pub(super) no_context: bool,

    /// Do this edit of the guest, too (repeatable)
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(super) edit: Vec<String>,

    /// Leave this edit of the guest out (repeatable)
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(super) skip_edit: Vec<String>,

    /// A file with public keys that may log in as root (repeatable)
    #[arg(long, value_name = "FILE")]
    pub(super) authorized_key: Vec<PathBuf>,

    /// A default for the guest's context, unless the user of the cloud gives another (repeatable)
    ///
    /// It beats the defaults that come with the bundle and those of --context-script. Names are
    /// `[A-Z_][A-Z0-9_]*`; OpenNebula cannot give a value to a name in lower case.
    #[arg(long, value_name = "KEY=VALUE")]
    pub(super) context_var: Vec<OsString>,

    /// An action that the guest runs at each start, with its defaults (repeatable)
    ///
    /// In values \, is a comma and \\ a backslash. docs/contextualization.md tells how to write one.
    #[arg(long, value_name = "FILE[:KEY=VALUE,...]")]
    pub(super) context_script: Vec<OsString>,

    /// Leave the password hashes of the guest's accounts
    ///
    /// Without it the edit `secrets` locks them: whoever has the image could try passwords on them.
    #[arg(long)]
    pub(super) keep_passwords: bool,

    /// The volume with the guest's root file system, where that is ambiguous
    #[arg(long, value_name = "NAME")]
    pub(super) root_volume: Option<String>,

    /// Checksums of the raw image: md5,sha1,sha256,sha512 or none (default: sha1,sha256)
    #[arg(long, value_name = "LIST")]
    pub(super) checksum: Option<Checksums>,

    /// The input's format, vdi or raw, instead of detecting it
    #[arg(long, value_name = "FORMAT")]
    pub(super) input_format: Option<Format>,

    /// Convert the state in this file, even if later layers lie beside it
    #[arg(long)]
    pub(super) this_layer: bool,

    /// Where the parent of a differencing disk is: a file or a folder (repeatable)
    #[arg(long, value_name = "PATH")]
    pub(super) parent: Vec<PathBuf>,

    /// Pad the raw image with zeros to a multiple of SIZE
    #[arg(long, value_name = "SIZE")]
    pub(super) align: Option<Align>,

    /// Replace existing outputs; relaxes no check
    #[arg(long)]
    pub(super) force: bool,

    /// Throw the unfinished work of an earlier run away
    #[arg(long)]
    pub(super) restart: bool,

    /// How often to checkpoint, in bytes of the raw image (default: 1G or 30 s)
    #[arg(long, value_name = "SIZE")]
    pub(super) checkpoint: Option<Size>,

    /// Worker threads (default: one a processor, at most 16)
    #[arg(long, value_name = "N")]
    pub(super) threads: Option<Threads>,
}

impl Shape {
    /// An option that was typed and that only a conversion can heed.
    pub(super) fn shaping(&self) -> Option<&'static str> {
        let typed = [
            (self.output.is_some(), "--output"),
            (self.compress.is_some(), "--compress"),
            (self.level.is_some(), "--level"),
            (self.context.is_some(), "--context"),
            (self.no_context, "--no-context"),
            (!self.edit.is_empty(), "--edit"),
            (!self.skip_edit.is_empty(), "--skip-edit"),
            (!self.authorized_key.is_empty(), "--authorized-key"),
            (!self.context_var.is_empty(), "--context-var"),
            (!self.context_script.is_empty(), "--context-script"),
            (self.keep_passwords, "--keep-passwords"),
            (self.root_volume.is_some(), "--root-volume"),
            (self.checksum.is_some(), "--checksum"),
            (self.input_format.is_some(), "--input-format"),
            (self.this_layer, "--this-layer"),
            (!self.parent.is_empty(), "--parent"),
            (self.align.is_some(), "--align"),
        ];
        typed.into_iter().find(|(typed, _)| *typed).map(|(_, option)| option)
    }
}

/// How the program talks.
#[derive(Clone, Debug, Args)]
pub(super) struct Talking {
    /// Progress as auto, bar, plain, json or none
    #[arg(long, value_name = "HOW")]
    pub(super) progress: Option<ProgressForm>,

    /// Say nothing but errors
    #[arg(short, long, conflicts_with = "verbose")]
    pub(super) quiet: bool,

    /// Say more
    #[arg(short, long, action = ArgAction::Count)]
    pub(super) verbose: u8,

    /// Colour: auto, always or never (NO_COLOR is honoured)
    #[arg(long, value_name = "WHEN")]
    pub(super) color: Option<Color>,

    /// Print the result as JSON, one object a line
    #[arg(long)]
    pub(super) json: bool,
}
