//! Removed means gone: what edits freed is zeroed, and so are its copies in the journal.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::view::View;
use super::{bitmaps, damaged, directory, metadata};
use crate::error::Result;
use crate::guest::block::Block;

/// Inode of the journal (`EXT4_JOURNAL_INO`).
const JOURNAL: u32 = 8;

/// Zeroes in `after` what was in use in `before` and is not any more, the unused bytes of the
/// directories `thinned`, and all of the journal but its superblock.
///
/// Inodes that were freed are zeroed by the writer itself.
///
/// # Errors
/// Those of reading and writing.
pub fn scrub(
    before: &Arc<dyn Block>,
    after: &Arc<dyn Block>,
    thinned: &BTreeSet<u32>,
) -> Result<()> {
    let (old, new) = (View::of(before)?, View::of(after)?);
    freed_blocks(&old, &new, after)?;
    for dir in thinned {
        directory::clean(&new, after, *dir)?;
    }
    journal(&new, after)
}

fn freed_blocks(old: &View, new: &View, after: &Arc<dyn Block>) -> Result<()> {
    let size = new.block_size();
    let own = metadata::ranges(new);
    for (number, (was, is)) in old.fs.groups.iter().zip(&new.fs.groups).enumerate() {
        // Nothing was in use in a group without a bitmap.
        let Some(was) = bitmaps::of_blocks(old, was)? else { continue };
        let Some(is) = bitmaps::of_blocks(new, is)? else { continue };
        let (first, blocks) = new.group(number as u64);
        for (at, (was, is)) in (0..).step_by(8).zip(was.iter().zip(&is)) {
            let changed = (0..8).filter(|bit| (was ^ is) & (1 << bit) != 0 && at + bit < blocks);
            for bit in changed {
                let block = first + at + bit;
                if metadata::covered(&own, block).is_some() {
                    return Err(damaged("blocks of its own tables are not marked as in use"));
                }
                if was & (1 << bit) != 0 {
                    after.zero(block * size, size)?;
                }
            }
        }
    }
    Ok(())
}

/// Empties the log. The journal is clean, so nobody reads it again; it has copies of what was
/// written, by us and by the guest before.
fn journal(view: &View, block: &Arc<dyn Block>) -> Result<()> {
    let fs = &view.fs;
    let Some(journal) = view.ask(fs_ext4::jbd2::read_superblock(fs))? else { return Ok(()) };
    if !journal.is_clean() {
        return Err(damaged("its journal is not clean after the edits"));
    }
    let (inode, _) = view.ask(fs.read_inode_verified(JOURNAL))?;
    let size = view.block_size();
    let blocks = inode.size.div_ceil(size).min(u64::from(journal.max_len));
    for logical in 1..blocks {
        if let Some(at) = view.ask(fs.map_inode_logical(&inode, logical))? {
            block.zero(at * size, size)?;
        }
    }
    Ok(())
}
