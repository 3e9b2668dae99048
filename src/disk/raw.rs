//! The plain bytes of a disk: a file or a block device.

use std::sync::Arc;

use rustix::fs::SeekFrom;
use rustix::io::Errno;

use super::source::SourceFile;
use super::{Content, DamageList, Disk, Extent, SECTOR};
use crate::error::{Error, Kind, Result};

/// A raw disk. Holes of the file are known to be zero without reading.
pub struct RawLayer {
    file: Arc<SourceFile>,
    /// Where damage goes, if it does not end the work.
    salvage: Option<Arc<DamageList>>,
}

impl RawLayer {
    /// Takes all of `file` as the disk.
    ///
    /// # Errors
    /// `Damaged`, if its length is no multiple of the sector.
    pub fn open(file: Arc<SourceFile>, salvage: Option<Arc<DamageList>>) -> Result<Self> {
        if !file.len().is_multiple_of(SECTOR) {
            return Err(Error::new(
                Kind::Damaged,
                "raw-size",
                format!("the length {} is no multiple of {SECTOR}", file.len()),
            )
            .at(file.path())
            .remedy("the image was cut; copy it again"));
        }
        Ok(RawLayer { file, salvage })
    }
}

impl Disk for RawLayer {
    fn size(&self) -> u64 {
        self.file.len()
    }

    fn extent_at(&self, offset: u64, max: u64) -> Result<Extent> {
        let left = max.min(self.size() - offset);
        // The place in the file is shared state, but nothing else here uses it: all reads are
        // positional.
        let next = |from: fn(u64) -> SeekFrom| rustix::fs::seek(self.file.file(), from(offset));
        let (content, end) = match next(SeekFrom::Data) {
            Ok(data) if data > offset => (Content::Zero, data),
            Ok(_) => (Content::Data, next(SeekFrom::Hole).unwrap_or(self.size())),
            Err(Errno::NXIO) => (Content::Zero, self.size()),
            // A block device or a file system that does not tell.
            Err(_) => (Content::Data, self.size()),
        };
        let len = end.saturating_sub(offset).clamp(1, left);
        Ok(Extent { len, content })
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        match (self.file.read_exact_at(buf, offset), &self.salvage) {
            (Err(error), Some(list)) => {
                list.read_remains(&self.file, buf, offset, Some(offset), &error)
            }
            (result, _) => result,
        }
    }
}
