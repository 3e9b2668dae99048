//! Takes a VirtualBox disk to a cloud: converts it in one pass, prepares the guest in it, and publishes
//! the image with signed metadata.
//!
//! The journey of the data, and the folders it passes:
//!
//! ```text
//! source layers ──► Disk ──► Overlay ──► segments ──► image file ──► stored object ──► entry
//! disk::vdi, …      disk      guest       pipeline      pipeline       publish           publish
//! (read only)       chain     edits       read, hash,   + record       proved            metadata
//!                   resolved              compress                                       signed
//! ```
//!
//! # Examples
//!
//! What is in a disk?
//!
//! ```
//! # fn main() -> stratus::error::Result<()> {
//! use stratus::disk::Disk;
//! let disk = stratus::disk::open("testdata/mydisk.vdi".as_ref(), &Default::default())?;
//! assert_eq!(disk.format.name(), "vdi");
//! assert_eq!(disk.size() % 512, 0);
//! # Ok(()) }
//! ```
//!
//! Read the first sector of the guest's disk:
//!
//! ```
//! # fn main() -> stratus::error::Result<()> {
//! use stratus::disk::Disk;
//! let disk = stratus::disk::open("testdata/mydisk.vdi".as_ref(), &Default::default())?;
//! let mut sector = [0; 512];
//! disk.read_at(&mut sector, 0)?;
//! assert_eq!(sector[510..], [0x55, 0xaa]);
//! # Ok(()) }
//! ```
//!
//! Which guest is in it, and what has to be changed for a cloud? Nothing is written.
//!
//! ```
//! # fn main() -> stratus::error::Result<()> {
//! use stratus::guest::prepare::{Wanted, prepare};
//! let disk = stratus::disk::open("testdata/mydisk.vdi".as_ref(), &Default::default())?;
//! let (_edited, report) = prepare(&disk.bytes(), &Wanted::default(), || None)?;
//! assert_eq!(report.facts.unwrap().os.as_deref(), Some("debian"));
//! assert!(report.changes.iter().any(|change| change.path == "/etc/shadow"));
//! # Ok(()) }
//! ```
//!
//! Convert it:
//!
//! ```
//! # fn main() -> stratus::error::Result<()> {
//! use stratus::pipeline::{Control, Job, convert};
//! let folder = std::env::temp_dir().join(format!("stratus-doc-{}", std::process::id()));
//! std::fs::create_dir_all(&folder).unwrap();
//! let job = Job::new("testdata/mydisk.vdi", folder.join("mydisk.img.gz"));
//! let outcome = convert(&job, &Control::default())?;
//! println!("{} bytes, sha1 {}", outcome.record.raw.bytes, outcome.record.raw.digests["sha1"]);
//! # std::fs::remove_dir_all(&folder).unwrap();
//! # Ok(()) }
//! ```
//!
//! Publish it into a folder, without metadata:
//!
//! ```
//! # fn main() -> stratus::error::Result<()> {
//! use stratus::pipeline::publish::{Publication, publish};
//! use stratus::pipeline::{Control, Job, convert};
//! use stratus::publish::directory::Directory;
//! # let folder = std::env::temp_dir().join(format!("stratus-doc-publish-{}", std::process::id()));
//! # std::fs::create_dir_all(&folder).unwrap();
//! let image = folder.join("mydisk.img.gz");
//! convert(&Job::new("testdata/mydisk.vdi", &image), &Control::default())?;
//! let repository = Directory::new(&folder.join("repository"))?;
//! let publication = Publication::new(image, &repository);
//! let published = publish(&publication, &Control::default())?;
//! assert!(published.image.url.ends_with("/repository/mydisk.img.gz"));
//! # std::fs::remove_dir_all(&folder).unwrap();
//! # Ok(()) }
//! ```

// Tests may stop at the first surprise; the library must not.
#![cfg_attr(
    not(test),
    warn(
        // No input may reach a panic.
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        // A number out of a file must not lose bits on the way.
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        // Nothing below `cli` prints, and `cli` prints through handles whose errors it sees:
        // `println!` panics when the other end of the pipe is gone.
        clippy::print_stdout,
        clippy::print_stderr,
    )
)]

pub mod control;
pub mod digest;
pub mod disk;
pub mod error;
pub mod files;
pub mod guest;
pub mod metadata;
pub mod pipeline;
pub mod publish;

#[cfg(feature = "cli")]
pub mod cli;
