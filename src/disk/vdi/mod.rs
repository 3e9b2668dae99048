//! VirtualBox disk images (VDI): one file as a [`Disk`] layer.
//!
//! ```text
//! header.rs   the header's fields and VirtualBox's checks on them
//! map.rs      the block map, by pages
//! check.rs    what no header tells: every entry of the map against the file
//! family.rs   parents and children by UUID
//! ```
//!
//! A VDI is a header, a map with one entry a block, and blocks in the order in which the guest
//! first wrote them.

mod check;
pub mod family;
pub mod header;
mod map;

use std::fmt;
use std::sync::Arc;

use super::source::SourceFile;
use super::{Content, DamageList, Disk, Extent, Warning};
use crate::error::{Error, Kind, Result};
use header::{BLOCK_FREE, BLOCK_ZERO, Header};
use map::BlockMap;
pub use map::PageCache;

/// One VDI file.
pub struct VdiLayer {
    file: Arc<SourceFile>,
    header: Header,
    map: BlockMap,
    map_digest: String,
    /// Where damage goes, if it does not end the work.
    salvage: Option<Arc<DamageList>>,
}

impl VdiLayer {
    /// Reads and checks the header and the whole map of `file`, which lies below the layers
    /// `above` (leaf first).
    ///
    /// With `salvage`, damage of the map is listed there as far as it shows through the layers
    /// above, and the bytes in question read as zeros, as far as they are not in the file; a
    /// damaged header is an error all the same.
    ///
    /// # Errors
    /// `Damaged` or `Unsupported`; see [`header::read`] and `check.rs`.
    pub fn open(
        file: Arc<SourceFile>,
        above: &[Box<dyn Disk>],
        cache: Arc<PageCache>,
        salvage: Option<Arc<DamageList>>,
        warnings: &mut Vec<Warning>,
    ) -> Result<Self> {
        let header = header::read(&file)?;
        if header.size != header.stored_size {
            let message = format!(
                "{}: the size {} is no multiple of 512; rounded down to {}, as VirtualBox does",
                file.path().display(),
                header.stored_size,
                header.size
            );
            warnings.push(Warning::new("vdi-size-rounded", message));
        }
        let map = BlockMap::new(file.clone(), &header, above.len(), cache);
        let found = salvage.as_ref().map(|_| DamageList::default());
        let map_digest = check::check_map(&file, &header, &map, found.as_ref(), warnings)?;
        if let (Some(found), Some(salvage)) = (found, &salvage) {
            found.list().iter().try_for_each(|damage| salvage.add_visible(damage, above))?;
        }
        Ok(VdiLayer { file, header, map, map_digest, salvage })
    }

    /// The checked header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// SHA-256 of the map's bytes, for the fingerprint.
    pub fn map_digest(&self) -> &str {
        &self.map_digest
    }

    /// The block that holds `offset`; all of `len` bytes from there must be inside the disk.
    fn block_of(&self, offset: u64, len: u64) -> Result<u32> {
        let inside = offset.checked_add(len).is_some_and(|end| end <= self.header.size);
        // Blocks are counted in 32 bits by the format.
        u32::try_from(offset / self.header.block_size).ok().filter(|_| inside).ok_or_else(|| {
            Error::new(Kind::Internal, "vdi-read-beyond-end", "read beyond the disk's end")
                .at(self.file.path())
                .offset(offset)
        })
    }

    /// Reads `buf` from `within` bytes into the block stored at `file_block`.
    fn read_stored(&self, buf: &mut [u8], at: u64, file_block: u32, within: u64) -> Result<()> {
        let address = self.header.data_address(file_block).and_then(|a| a.checked_add(within));
        let result = match address {
            Some(address) => self.file.read_exact_at(buf, address),
            None => Err(flaw(
                &self.file,
                "vdi-block-beyond-end",
                at,
                "a block's number",
                file_block,
                "a place inside the file",
            )),
        };
        match (&self.salvage, result) {
            (Some(list), Err(error)) => list.read_remains(&self.file, buf, at, address, &error),
            (_, result) => result,
        }
    }
}

fn content_of(entry: u32) -> Content {
    match entry {
        BLOCK_FREE => Content::Absent,
        BLOCK_ZERO => Content::Zero,
        _ => Content::Data,
    }
}

impl Disk for VdiLayer {
    fn size(&self) -> u64 {
        self.header.size
    }

    fn extent_at(&self, offset: u64, max: u64) -> Result<Extent> {
        let block = self.block_of(offset, 1)?;
        let entries = self.map.entries_from(block)?;
        let content = entries.first().copied().map_or(Content::Absent, content_of);
        let wanted = max.min(self.size() - offset);
        let within = offset % self.header.block_size;
        let blocks_wanted = (within + wanted).div_ceil(self.header.block_size);
        let limit = usize::try_from(blocks_wanted).unwrap_or(usize::MAX).min(entries.len());
        let same = entries.iter().take(limit).take_while(|e| content_of(**e) == content).count();
        let len = (same as u64 * self.header.block_size - within).min(wanted);
        Ok(Extent { len, content })
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        let (mut buf, mut offset) = (buf, offset);
        while !buf.is_empty() {
            let block = self.block_of(offset, buf.len() as u64)?;
            let within = offset % self.header.block_size;
            let room = usize::try_from(self.header.block_size - within).unwrap_or(usize::MAX);
            let (part, rest) = buf.split_at_mut(room.min(buf.len()));
            let entry = self.map.entries_from(block)?.first().copied().unwrap_or(BLOCK_FREE);
            match content_of(entry) {
                Content::Data => self.read_stored(part, offset, entry, within)?,
                Content::Zero | Content::Absent => part.fill(0),
            }
            offset += part.len() as u64;
            buf = rest;
        }
        Ok(())
    }
}

/// A damaged field: where it is, what is there, and what may be there.
fn flaw(
    file: &SourceFile,
    code: &'static str,
    offset: u64,
    what: &str,
    found: impl fmt::Display,
    allowed: impl fmt::Display,
) -> Error {
    Error::new(Kind::Damaged, code, format!("{what} is {found}; allowed: {allowed}"))
        .at(file.path())
        .offset(offset)
        .remedy("restore the file from a backup, or copy it again from where it came from")
}
