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
        let is_free = |block: u64| {
            let bit = block - first;
            let byte =
                bitmap.as_ref().map(|bytes| bytes.get(usize::try_from(bit / 8).ok()?).copied());
            byte.is_none_or(|byte| byte.is_some_and(|byte| byte & (1 << (bit % 8)) == 0))
        };
        let mut at = first;
        while at < end {
            if let Some(until) = covered(&metadata, at) {
                at = until;
                continue;
            }
            let stop = next_metadata(&metadata, at).min(end);
            let from = at;
            let free = is_free(from);
            while at < stop && is_free(at) == free {
                at += 1;
            }
            if free {
                each(from * size, (at - from) * size)?;
            }
        }
    }
    Ok(())
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
