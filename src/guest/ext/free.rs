//! Blocks that no file uses.

use std::sync::Arc;

use super::superblock::Superblock;
use super::view::View;
use super::{bitmaps, damaged, metadata};
use crate::error::Result;
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
    let sb = Superblock::read(block.as_ref())?;
    sb.check_editable()?;
    let view = View::of(block)?;
    if sb.needs_recovery() {
        return Err(damaged("its journal has not been replayed"));
    }
    bitmaps::check(&view)?;
    let size = view.block_size();
    let own = metadata::ranges(&view);
    for (number, group) in view.fs.groups.iter().enumerate() {
        let (first, blocks) = view.group(number as u64);
        let bitmap = bitmaps::of_blocks(&view, group)?;
        let mut at = first;
        while at < first + blocks {
            if let Some(until) = metadata::covered(&own, at) {
                at = until;
                continue;
            }
            let stop = metadata::next(&own, at).min(first + blocks);
            let (free, until) = bitmaps::run(bitmap.as_deref(), at - first, stop - first);
            if free {
                each(at * size, (first + until - at) * size)?;
            }
            at = first + until;
        }
    }
    Ok(())
}
