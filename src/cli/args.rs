//! What can be typed. Values are typed here; what they mean together is decided in `settings.rs`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::str::FromStr;

use clap::Parser;

use super::shape::{Shape, Talking};
use super::size::Size;
use crate::digest::Algorithm;
use crate::disk::{MAX_ALIGN, SECTOR};

/// Turn a VirtualBox disk into a compressed, checksummed raw image
///
/// Reads each byte once, needs no root and no VirtualBox, and never writes to the source. An
/// interrupted run is continued by typing the same command again.
#[derive(Debug, Parser)]
#[command(name = "stratus-convert", version, max_term_width = 80, after_long_help = AFTER_HELP)]
pub(super) struct Args {
    /// The disks to convert (VDI, or raw)
    ///
    /// The format is detected from the content, never from the name. With --verify: the images
    /// to read again.
    #[arg(value_name = "INPUT", required_unless_present = "list_edits")]
    pub(super) inputs: Vec<PathBuf>,

    #[command(flatten)]
    pub(super) shape: Shape,

    /// List the edits with their defaults and reasons
    #[arg(long)]
    pub(super) list_edits: bool,

    /// Only say whether the source is sound and the guest ready for the cloud; write nothing
    #[arg(long)]
    pub(super) check: bool,

    /// Only say what would be done, with sizes; write nothing
    #[arg(long, conflicts_with = "check")]
    pub(super) dry_run: bool,

    /// Read images again and compare them with their records
    #[arg(long, conflicts_with_all = ["check", "dry_run", "output"])]
    pub(super) verify: bool,

    /// Go on past damage, list every damaged range, and end with exit code 65
    #[arg(long)]
    pub(super) salvage: bool,

    #[command(flatten)]
    pub(super) talking: Talking,
}

const AFTER_HELP: &str = "\
What a site wants to set once can stand in the environment or in
$XDG_CONFIG_HOME/stratus/config.toml: STRATUS_COMPRESS or compress, and
likewise level, context, edit, skip_edit, authorized_key, context_var,
context_script (these two: one a line), checksum, align, checkpoint, threads,
progress, color. A flag beats the variable, the variable beats the file.

Exit codes: 0 done, 1 other error, 2 usage, 3 some inputs failed, 65 the input
is damaged, unsupported or refused, 66 missing, 73 the output cannot be created,
74 input/output error, 75 locked by another run, 76 verification failed, 77 no
permission, 78 configuration, 130 and 143 stopped by a signal (resumable).";

/// A closed set of words: an enum that parses and prints its own names.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum $name { $($variant),+ }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(match self { $($name::$variant => $word),+ })
            }
        }

        impl FromStr for $name {
            type Err = String;
            fn from_str(word: &str) -> Result<Self, String> {
                match word {
                    $($word => Ok($name::$variant),)+
                    _ => Err(format!("'{word}' is not one of {}", [$($word),+].join(", "))),
                }
            }
        }
    };
}

pub(super) use words;

words! {
    /// `--compress`.
    Compress { Gz = "gz", None = "none" }
}
words! {
    /// `--context`.
    Context { Require = "require", Try = "try", Off = "off" }
}
words! {
    /// `--progress`.
    ProgressForm { Auto = "auto", Bar = "bar", Plain = "plain", Json = "json", None = "none" }
}
words! {
    /// `--color`.
    Color { Auto = "auto", Always = "always", Never = "never" }
}

/// `--level`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Level(pub(super) u8);

impl FromStr for Level {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let level = text.parse().ok().filter(|level| (1..=9).contains(level));
        level.map(Level).ok_or_else(|| format!("'{text}' is not a level from 1 to 9"))
    }
}

/// `--threads`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Threads(pub(super) usize);

impl FromStr for Threads {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let count = text.parse().ok().filter(|count| (1..=256).contains(count));
        count.map(Threads).ok_or_else(|| format!("'{text}' is not a number from 1 to 256"))
    }
}

/// `--align`: whole sectors, and no more than anybody aligns to. A typing error would make a disk
/// whose zeros take years to hash.
#[derive(Clone, Copy, Debug)]
pub(super) struct Align(pub(super) u64);

impl FromStr for Align {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let Size(size) = text.parse()?;
        if !size.is_multiple_of(SECTOR) {
            return Err(format!("'{text}' is no multiple of {SECTOR}"));
        }
        (size <= MAX_ALIGN)
            .then_some(Align(size))
            .ok_or_else(|| format!("'{text}' is more than 1T"))
    }
}

/// `--checksum`: a set of algorithms, perhaps empty.
#[derive(Clone, Debug)]
pub(super) struct Checksums(pub(super) Vec<Algorithm>);

impl FromStr for Checksums {
    type Err = String;
    fn from_str(list: &str) -> Result<Self, String> {
        if list == "none" {
            return Ok(Checksums(Vec::new()));
        }
        let named = list.split(',').map(|name| {
            name.trim().parse::<Algorithm>().map_err(|_| {
                format!("'{name}' is not one of md5, sha1, sha256, sha512 (or none, alone)")
            })
        });
        let mut algorithms = named.collect::<Result<Vec<_>, _>>()?;
        algorithms.sort_unstable();
        algorithms.dedup();
        Ok(Checksums(algorithms))
    }
}

/// Whether `--json` is among the words typed: an error in the others has to be told in JSON, too.
pub(super) fn wants_json(typed: &[OsString]) -> bool {
    typed.iter().take_while(|word| *word != "--").any(|word| word == "--json")
}

/// Whether the image was to go to standard output: an error in the other words must not go there.
pub(super) fn wants_stdout(typed: &[OsString]) -> bool {
    let options: Vec<_> = typed.iter().take_while(|word| *word != "--").collect();
    options.iter().any(|word| *word == "-o-" || *word == "--output=-")
        || options
            .windows(2)
            .any(|pair| (pair[0] == "-o" || pair[0] == "--output") && pair[1] == "-")
}

/// What `--color` says among the words typed: help and errors of the parser come before its value
/// is known.
pub(super) fn color_of_parser(typed: &[OsString]) -> clap::ColorChoice {
    let words: Vec<_> = typed.iter().take_while(|word| *word != "--").collect();
    let says = |how: &str| {
        words.iter().any(|word| **word == *format!("--color={how}"))
            || words.windows(2).any(|pair| pair[0] == "--color" && pair[1] == how)
    };
    match () {
        () if says("never") => clap::ColorChoice::Never,
        () if says("always") => clap::ColorChoice::Always,
        () => clap::ColorChoice::Auto,
    }
}
