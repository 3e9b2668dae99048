//! Blocks that no file uses.

use std::sync::Arc;

use fs_ext4::Filesystem;
use fs_ext4::bgd::BgdFlags;

use super::{Ext, Superblock, damaged};
use crate::error::{Error, Result};
use crate::guest::block::Block;

/// Makes all blocks that no file uses empty. Returns whether any of them was stored.
///
/// # Errors
/// What is in the way of trusting the bitmaps, by name.
pub fn zero_free(block: &Arc<dyn Block>) -> Result<bool> {
    let mut stored = 0;
    free_ranges(block, |offset, len| {
        stored += block.stored(offset, len)?;
        block.zero(offset, len)
    })?;
    Ok(stored > 0)
}

/// Calls `each` with every run of free blocks: byte offset and length.
///
/// # Errors
/// Those of `each`, and what is in the way of trusting the bitmaps.
pub fn free_ranges(
    block: &Arc<dyn Block>,
    mut each: impl FnMut(u64, u64) -> Result<()>,
) -> Result<()> {
    Superblock::read(block.as_ref())?.check_editable()?;
    let fs = Ext::view(block)?;
    let size = u64::from(fs.sb.block_size());
    let metadata = metadata(&fs);
    for (number, group) in fs.groups.iter().enumerate() {
        let first = first_block(&fs, number as u64);
        let end = first_block(&fs, number as u64 + 1).min(fs.sb.blocks_count);
        // A group whose bitmap was never written holds metadata at most.
        let bitmap = match group.flags().contains(BgdFlags::BLOCK_UNINIT) {
            true => None,
            false => Some(fs.read_block(group.block_bitmap).map_err(failed)?),
        };
        let bits = Bits { first, bytes: bitmap.as_deref() };
        let mut at = first;
        while at < end {
            if let Some(until) = covered(&metadata, at) {
                at = until;
                continue;
            }
            let stop = next_metadata(&metadata, at).min(end);
            let (free, until) = bits.run(at, stop);
            if free {
                each(at * size, (until - at) * size)?;
            }
            at = until;
        }
    }
    Ok(())
}

/// The block bitmap of a group: a bit for each block from `first` on, set if it is in use. Without
/// bytes nothing is.
struct Bits<'a> {
    first: u64,
    bytes: Option<&'a [u8]>,
}

impl Bits<'_> {
    /// The byte with the bit of `block`, and which bit it is. What is missing is in use.
    fn byte(&self, block: u64) -> (u8, u64) {
        let bit = block - self.first;
        let byte = self.bytes.map_or(0, |bytes| {
            usize::try_from(bit / 8).ok().and_then(|at| bytes.get(at)).copied().unwrap_or(0xff)
        });
        (byte, bit % 8)
    }

    /// Whether the block `at` is free, and where, at `stop` at the latest, that changes.
    fn run(&self, at: u64, stop: u64) -> (bool, u64) {
        let is_free = |byte: u8, bit: u64| byte & (1 << bit) == 0;
        let (byte, bit) = self.byte(at);
        let free = is_free(byte, bit);
        let whole = if free { 0 } else { 0xff };
        let mut until = at + 1;
        while until < stop {
            let (byte, bit) = self.byte(until);
            if bit == 0 && byte == whole {
                until += 8;
            } else if is_free(byte, bit) == free {
                until += 1;
            } else {
                break;
            }
        }
        (free, until.min(stop))
    }
}

fn failed(error: fs_ext4::Error) -> Error {
    damaged(&error.to_string())
}

fn first_block(fs: &Filesystem, group: u64) -> u64 {
    u64::from(fs.sb.first_data_block) + group * u64::from(fs.sb.blocks_per_group)
}

/// The file system's own blocks, as ranges by their first block. They are marked in the bitmaps;
/// where there is none, or a wrong one, they are not free all the same.
pub(super) fn metadata(fs: &Filesystem) -> Vec<(u64, u64)> {
    let table = (u64::from(fs.sb.inodes_per_group) * u64::from(fs.sb.inode_size))
        .div_ceil(u64::from(fs.sb.block_size()));
    let mut ranges = vec![(0, u64::from(fs.sb.first_data_block) + 1)];
    for (number, group) in fs.groups.iter().enumerate() {
        let first = first_block(fs, number as u64);
        ranges.push((first, first + fs.sb.group_head_metadata_blocks(number as u64)));
        ranges.push((group.block_bitmap, group.block_bitmap + 1));
        ranges.push((group.inode_bitmap, group.inode_bitmap + 1));
        ranges.push((group.inode_table, group.inode_table + table));
    }
    ranges.retain(|(start, end)| start < end);
    ranges.sort_unstable();
    let mut merged: Vec<(u64, u64)> = Vec::with_capacity(ranges.len());
    for (start, end) in ranges {
        match merged.last_mut() {
            Some(last) if start <= last.1 => last.1 = last.1.max(end),
            _ => merged.push((start, end)),
        }
    }
    merged
}

/// Where the range of `ranges` ends that `block` is in.
pub(super) fn covered(ranges: &[(u64, u64)], block: u64) -> Option<u64> {
    let before = ranges.partition_point(|(start, _)| *start <= block).checked_sub(1)?;
    ranges.get(before).map(|(_, end)| *end).filter(|end| block < *end)
}

/// Where the next range begins behind `block`.
fn next_metadata(ranges: &[(u64, u64)], block: u64) -> u64 {
    let next = ranges.partition_point(|(start, _)| *start <= block);
    ranges.get(next).map_or(u64::MAX, |(start, _)| *start)
}
