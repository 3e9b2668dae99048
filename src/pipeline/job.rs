//! What to convert, how, and who listens.

use std::path::PathBuf;

use super::SEGMENT;
use super::gzip::{self, Effort};
use super::journal::Work;
use super::opened::Opened;
use super::sink::FILE_DIGESTS;
use crate::digest::Algorithm;
use crate::disk::{Disk, OpenOptions};
use crate::error::Result;
use crate::guest::prepare::Wanted;

/// Threads beyond this gain nothing by default: the raw digests are one chain (0.6 s per GiB),
/// and each thread needs some MiB.
pub const MAX_DEFAULT_THREADS: usize = 16;

/// Form of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// One gzip member.
    Gz,
    /// The raw image, sparse.
    None,
}

impl Compression {
    /// The name on the command line and in the record.
    pub fn name(self) -> &'static str {
        match self {
            Compression::Gz => "gz",
            Compression::None => "none",
        }
    }
}

/// One disk to convert.
#[derive(Clone, Debug)]
pub struct Job {
    /// The disk, as the user named it.
    pub input: PathBuf,
    /// How to open it.
    pub open: OpenOptions,
    /// The file to make.
    pub output: PathBuf,
    /// Its form.
    pub compression: Compression,
    /// Compression effort.
    pub effort: Effort,
    /// Digests of the raw image.
    pub checksums: Vec<Algorithm>,
    /// Raw bytes between checkpoints.
    pub checkpoint: u64,
    /// Worker threads.
    pub threads: usize,
    /// Replace an existing output.
    pub force: bool,
    /// Throw unfinished work away.
    pub restart: bool,
    /// What is to be done with the guest.
    pub guest: Wanted,
    /// Believe what publishing has remembered of a finished image, instead of reading it again.
    pub remember: bool,
}

impl Job {
    /// A job with the defaults of the command line.
    pub fn new(input: impl Into<PathBuf>, output: impl Into<PathBuf>) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Job {
            input: input.into(),
            open: OpenOptions::default(),
            output: output.into(),
            compression: Compression::Gz,
            effort: Effort::Balanced,
            checksums: vec![Algorithm::Sha1, Algorithm::Sha256],
            checkpoint: 1 << 30,
            threads: cores.min(MAX_DEFAULT_THREADS),
            force: false,
            restart: false,
            guest: Wanted::default(),
            remember: false,
        }
    }

    /// Everything that shapes the bytes of image and record.
    pub(super) fn work(&self, opened: &Opened) -> Result<Work> {
        let checksums: Vec<_> = self.checksums.iter().map(Algorithm::to_string).collect();
        let Opened { disk, guest } = opened;
        let packing = match self.compression {
            Compression::Gz => {
                format!("gz {} level {} segment {SEGMENT}", gzip::ENGINE, self.effort)
            }
            Compression::None => "none".to_owned(),
        };
        let options = vec![
            format!("format {}", disk.format),
            format!("compress {packing}"),
            format!("checksum {}", checksums.join(",")),
            format!("bytes {}", disk.size()),
            format!("salvage {}", self.open.salvage),
            format!("guest {}", guest.fingerprint()?),
        ];
        Ok(Work::new(options, disk.fingerprint()?))
    }

    /// The digests that go over the raw bytes: those asked for, and the file's own where the
    /// file is the raw image.
    pub(super) fn raw_algorithms(&self) -> Vec<Algorithm> {
        match self.compression {
            Compression::None if !self.checksums.is_empty() => {
                self.checksums.iter().copied().chain(FILE_DIGESTS).collect()
            }
            _ => self.checksums.clone(),
        }
    }
}
