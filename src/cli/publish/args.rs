//! What can be typed after `stratus-publish`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args as Options, Parser, Subcommand};

use super::words::{Bus, Days, Kind};
use crate::cli::shape::{Shape, Talking};
use crate::cli::size::Size;

/// Bring an image to a repository, prove it there, sign its metadata, register it
///
/// INPUT is an image that stratus-convert made, or anything that stratus-convert takes, which is
/// converted first. An interrupted run is continued by typing the same command again.
#[derive(Debug, Parser)]
#[command(
    name = "stratus-publish",
    version,
    max_term_width = 80,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_long_help = AFTER_HELP
)]
pub(super) struct Args {
    #[command(subcommand)]
    pub(super) command: Option<Command>,

    /// The images, or the disks to convert and publish
    #[arg(value_name = "INPUT", required = true)]
    pub(super) inputs: Vec<PathBuf>,

    #[command(flatten)]
    pub(super) place: Place,

    #[command(flatten)]
    pub(super) signing: Signing,

    #[command(flatten)]
    pub(super) describing: Describing,

    #[command(flatten)]
    pub(super) transport: Transport,

    #[command(flatten)]
    pub(super) shape: Shape,

    /// Only say what would be done, every request; change nothing
    #[arg(long)]
    pub(super) dry_run: bool,

    #[command(flatten)]
    pub(super) talking: Talking,
}

/// What is done besides publishing.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Build, sign, validate, show and verify manifests
    Metadata {
        #[command(subcommand)]
        command: Metadata,
    },
    /// Tell a marketplace that an image must not be used any more
    Deprecate(Box<Deprecate>),
    /// Make a key and a certificate to sign with
    Keygen(Keygen),
}

/// `stratus-publish metadata`.
#[derive(Debug, Subcommand)]
pub(super) enum Metadata {
    /// Build the manifest of an image, not signed yet
    Build(Box<Build>),
    /// Sign a manifest, in place unless -o names another file
    Sign(Box<Sign>),
    /// Say of each stage (schema, constraints, rdf, signature) whether a manifest passes it
    Validate(Files),
    /// Show what a manifest says
    Show(Files),
    /// Compare an image with a manifest: the signature, the size, every checksum
    Verify(Box<Verify>),
}

/// `metadata build`.
#[derive(Debug, Options)]
pub(super) struct Build {
    /// The image, with its record beside it
    pub(super) image: PathBuf,
    /// The manifest to write; - is standard output (default: NAME.xml beside the image)
    #[arg(short, long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
    /// The public URL of the image
    #[arg(long, value_name = "URL")]
    pub(super) location: Option<String>,
    #[command(flatten)]
    pub(super) describing: Describing,
    /// Replace an existing file
    #[arg(long)]
    pub(super) force: bool,
    #[command(flatten)]
    pub(super) talking: Talking,
}

/// `metadata sign`.
#[derive(Debug, Options)]
pub(super) struct Sign {
    /// The manifest
    pub(super) file: PathBuf,
    /// The signed manifest; - is standard output (default: FILE itself)
    #[arg(short, long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
    #[command(flatten)]
    pub(super) signing: Signing,
    /// Replace an existing file
    #[arg(long)]
    pub(super) force: bool,
    #[command(flatten)]
    pub(super) talking: Talking,
}

/// `metadata validate`, `metadata show`.
#[derive(Debug, Options)]
pub(super) struct Files {
    /// The manifests
    #[arg(value_name = "FILE", required = true)]
    pub(super) files: Vec<PathBuf>,
    #[command(flatten)]
    pub(super) talking: Talking,
}

/// `metadata verify`.
#[derive(Debug, Options)]
pub(super) struct Verify {
    /// The manifest
    pub(super) file: PathBuf,
    /// The image: a file, or its URL
    #[arg(value_name = "IMAGE|URL")]
    pub(super) image: PathBuf,
    #[command(flatten)]
    pub(super) transport: Transport,
    #[command(flatten)]
    pub(super) talking: Talking,
}

/// `deprecate`.
#[derive(Debug, Options)]
pub(super) struct Deprecate {
    /// The image's identifier, 27 characters
    #[arg(value_name = "IDENTIFIER", allow_hyphen_values = true)]
    pub(super) identifier: String,
    /// Why
    #[arg(long, value_name = "TEXT")]
    pub(super) reason: String,
    /// The marketplace (default: the configured one, else the embedded one)
    #[arg(long, value_name = "URL", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    pub(super) marketplace: Option<String>,
    #[command(flatten)]
    pub(super) signing: Signing,
    #[command(flatten)]
    pub(super) transport: Transport,
    /// Only say what would be sent
    #[arg(long)]
    pub(super) dry_run: bool,
    #[command(flatten)]
    pub(super) talking: Talking,
}

/// `keygen`.
#[derive(Debug, Options)]
pub(super) struct Keygen {
    /// The name in the certificate
    #[arg(long, value_name = "NAME")]
    pub(super) name: String,
    /// The e-mail address in the certificate
    #[arg(long, value_name = "EMAIL")]
    pub(super) email: String,
    /// The file: .pem for PEM, with or without a password, else PKCS#12 with one (default: cert.p12)
    #[arg(short, long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
    /// Days that the certificate is valid
    #[arg(long, value_name = "N", default_value_t = 365)]
    pub(super) days: u32,
    #[command(flatten)]
    pub(super) password: Password,
    /// Replace an existing file
    #[arg(long)]
    pub(super) force: bool,
    #[command(flatten)]
    pub(super) talking: Talking,
}

/// Where things go.
#[derive(Clone, Debug, Options)]
pub(super) struct Place {
    /// Where the image goes: an http(s) URL (WebDAV or plain PUT), a folder or file:// URL
    ///
    /// Without it, and if none is configured: the embedded market's folder.
    #[arg(long, value_name = "URL")]
    pub(super) repository: Option<String>,

    /// Register signed metadata there
    ///
    /// The next word is the URL only if it begins with http:// or https://. Without a URL: the
    /// configured one, else the embedded market.
    #[arg(long, value_name = "URL", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    pub(super) marketplace: Option<String>,

    /// The image's public URL, where it differs from the one that it is stored at
    #[arg(long, value_name = "URL")]
    pub(super) location: Option<String>,

    /// Register a location, too, that only this machine can reach
    #[arg(long)]
    pub(super) any_location: bool,

    /// Offer an image again that was deprecated
    #[arg(long)]
    pub(super) reinstate: bool,

    /// How much of what is stored is read back: full (default), tail or none
    #[arg(long, value_name = "full|tail|none")]
    pub(super) verify: Option<crate::publish::Verify>,
}

/// Who signs.
#[derive(Clone, Debug, Options)]
pub(super) struct Signing {
    /// The endorser's key and certificate, PKCS#12
    #[arg(long, value_name = "FILE", conflicts_with_all = ["key", "cert"])]
    pub(super) p12_cert: Option<PathBuf>,

    /// Which key of a PKCS#12 file with several
    #[arg(long, value_name = "NAME")]
    pub(super) p12_alias: Option<String>,

    /// The endorser's key, PEM; the certificate may be in the same file
    #[arg(long, value_name = "FILE")]
    pub(super) key: Option<PathBuf>,

    /// The endorser's certificate, PEM
    #[arg(long, value_name = "FILE", requires = "key")]
    pub(super) cert: Option<PathBuf>,

    #[command(flatten)]
    pub(super) password: Password,

    /// The endorser's e-mail address, if the certificate has none
    #[arg(long, value_name = "EMAIL")]
    pub(super) email: Option<String>,

    /// stratuslab (rsa-sha1, what StratusLab's servers want) or modern (rsa-sha256)
    #[arg(long, value_name = "stratuslab|modern")]
    pub(super) signature: Option<crate::metadata::signature::Profile>,

    /// With the signature stratuslab: SHA-256 for the digest, which its programs take, too
    #[arg(long)]
    pub(super) sha256_digest: bool,
}

/// Where the password of the endorser's key is. Never on the command line: every user of the machine
/// can see that.
#[derive(Clone, Debug, Options)]
pub(super) struct Password {
    /// A file whose first line is the password of the endorser's key
    #[arg(long, value_name = "FILE", conflicts_with = "password_command")]
    pub(super) password_file: Option<PathBuf>,

    /// A command that prints the password of the endorser's key
    #[arg(long, value_name = "COMMAND")]
    pub(super) password_command: Option<OsString>,
}

/// What is said of the image. What the guest tells is filled in.
#[derive(Clone, Debug, Options)]
pub(super) struct Describing {
    /// A line for lists (default: the guest's full name)
    #[arg(long, value_name = "TEXT")]
    pub(super) title: Option<String>,

    /// A longer text
    #[arg(long, value_name = "TEXT")]
    pub(super) comment: Option<String>,

    /// Who made the image
    #[arg(long, value_name = "NAME")]
    pub(super) author: Option<String>,

    /// A name by which the endorser's newest image is found
    #[arg(long, value_name = "NAME")]
    pub(super) tag: Option<String>,

    /// base (default) or grid, as StratusLab sorts appliances
    #[arg(long = "type", value_name = "TYPE")]
    pub(super) type_: Option<String>,

    /// machine or disk (default: by what is on the disk)
    #[arg(long, value_name = "machine|disk")]
    pub(super) kind: Option<Kind>,

    /// The operating system, such as debian (default: what the guest says)
    #[arg(long, value_name = "NAME")]
    pub(super) os: Option<String>,

    /// Its version (default: what the guest says)
    #[arg(long, value_name = "VERSION")]
    pub(super) os_version: Option<String>,

    /// Its architecture (default: what the guest says)
    #[arg(long, value_name = "ARCH")]
    pub(super) os_arch: Option<String>,

    /// The image's own version (default: 1.0)
    #[arg(long, value_name = "VERSION")]
    pub(super) image_version: Option<String>,

    /// The bus of the disk: virtio, scsi, sata or ide (default: what the guest can start from)
    #[arg(long, value_name = "BUS")]
    pub(super) disks_bus: Option<Bus>,

    /// The hypervisor (default: kvm; repeatable, or with commas)
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(super) hypervisor: Vec<String>,

    /// A port that the cloud should let in; 0 is all (repeatable, or with commas)
    #[arg(long, value_name = "PORT", value_delimiter = ',')]
    pub(super) inbound_port: Vec<u16>,

    /// Days from the signature on that the metadata is valid (default: 180)
    #[arg(long, value_name = "N")]
    pub(super) valid_days: Option<Days>,
}

/// How to talk to servers.
#[derive(Clone, Debug, Options)]
pub(super) struct Transport {
    /// How often something is tried again that failed for a while: a number, or infinite
    #[arg(long, value_name = "N|infinite")]
    pub(super) retries: Option<crate::publish::http::Retries>,

    /// Bytes a second to send at most, such as 2M
    #[arg(long, value_name = "SIZE")]
    pub(super) limit_upload: Option<Size>,

    /// Certificates of authorities to trust besides the system's, PEM
    #[arg(long, value_name = "FILE")]
    pub(super) ca_file: Option<PathBuf>,

    /// The certificate to show to servers, PEM with its key
    #[arg(long, value_name = "FILE")]
    pub(super) client_cert: Option<PathBuf>,

    /// The user at the server; the password is in ~/.netrc ($NETRC) or STRATUS_USER_PASSWORD
    #[arg(long, value_name = "NAME")]
    pub(super) user: Option<String>,
}

const AFTER_HELP: &str = "\
What a site wants to set once can stand in the environment or in
$XDG_CONFIG_HOME/stratus/config.toml: STRATUS_REPOSITORY or repository, and
likewise marketplace, verify, p12_cert, p12_alias, key, cert, password_file,
password_command, email, signature, author, tag, type, kind, hypervisor,
inbound_port, disks_bus, valid_days, retries, limit_upload, ca_file, client_cert, user, and
all of stratus-convert's. The embedded market: [market] data and base_url, or
STRATUS_MARKET_DATA and STRATUS_MARKET_BASE_URL. STRATUS_PASSWORD is the
password of the endorser's key; where that has none, that of --user, too.

Exit codes: as stratus-convert has them, and 69 a server is unavailable, 76 what
is stored is not what was sent, 77 a server denies access.";
