//! Removed means gone: what edits freed is zeroed, and so are its copies in the journal.

use std::collections::BTreeSet;
use std::sync::Arc;

use fs_ext4::Filesystem;
use fs_ext4::bgd::{BgdFlags, BlockGroupDescriptor};
use fs_ext4::inode::Inode;

use super::free::{covered, metadata};
use super::{Ext, damaged};
use crate::error::{Error, Result};
use crate::guest::block::Block;

/// `i_flags`: a directory with a hash tree, whose first block is the tree's root.
const INDEX: u32 = 0x1000;
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
    let (old, new) = (Ext::view(before)?, Ext::view(after)?);
    freed_blocks(&old, &new, after)?;
    for dir in thinned {
        directory(&new, after, *dir)?;
    }
    journal(&new, after)
}

fn failed(error: fs_ext4::Error) -> Error {
    damaged(&error.to_string())
}

fn freed_blocks(old: &Filesystem, new: &Filesystem, after: &Arc<dyn Block>) -> Result<()> {
    let size = u64::from(new.sb.block_size());
    let per_group = u64::from(new.sb.blocks_per_group);
    let own = metadata(new);
    for (number, (was, is)) in old.groups.iter().zip(&new.groups).enumerate() {
        inodes_agree(old, was, is)?;
        // Nothing was in use in a group without a bitmap.
        if was.flags().contains(BgdFlags::BLOCK_UNINIT) {
            continue;
        }
        let claimed = was.free_blocks_count;
        let was = old.read_block(was.block_bitmap).map_err(failed)?;
        let is = new.read_block(is.block_bitmap).map_err(failed)?;
        if was == is {
            continue;
        }
        let first = u64::from(new.sb.first_data_block) + number as u64 * per_group;
        let blocks = new.sb.blocks_count.saturating_sub(first).min(per_group);
        agrees(&was, blocks, claimed)?;
        for (i, (was, is)) in was.iter().zip(&is).enumerate() {
            let freed = was & !is;
            let taken = (0..8).filter(|bit| (was ^ is) & (1 << bit) != 0);
            if taken.map(|bit| first + i as u64 * 8 + bit).any(|b| covered(&own, b).is_some()) {
                return Err(damaged("blocks of its own tables are not marked as in use"));
            }
            for bit in (0..8).filter(|bit| freed & (1 << bit) != 0) {
                let block = first + i as u64 * 8 + bit;
                if block < new.sb.blocks_count {
                    after.zero(block * size, size)?;
                }
            }
        }
    }
    Ok(())
}

/// Compares a bitmap with what its group's descriptor says of it, before anything was changed. Where
/// the two differ, something that is in use may be marked as free, and was overwritten. (Linux marks
/// such a group as corrupt and allocates nothing in it: `ext4_mb_generate_buddy`.)
fn agrees(bitmap: &[u8], bits: u64, claimed: u32) -> Result<()> {
    let free = (0..bits)
        .filter(|bit| {
            let byte = usize::try_from(bit / 8).ok().and_then(|at| bitmap.get(at));
            byte.is_some_and(|byte| byte & (1 << (bit % 8)) == 0)
        })
        .count();
    match free as u64 == u64::from(claimed) {
        true => Ok(()),
        false => Err(damaged("a bitmap and the number of what is free in it do not agree")),
    }
}

/// The same of the inodes of a group, if any was taken or freed.
fn inodes_agree(
    old: &Filesystem,
    was: &BlockGroupDescriptor,
    is: &BlockGroupDescriptor,
) -> Result<()> {
    let same = (was.free_inodes_count, was.used_dirs_count, was.itable_unused)
        == (is.free_inodes_count, is.used_dirs_count, is.itable_unused);
    if same || was.flags().contains(BgdFlags::INODE_UNINIT) {
        return Ok(());
    }
    let bitmap = old.read_block(was.inode_bitmap).map_err(failed)?;
    agrees(&bitmap, u64::from(old.sb.inodes_per_group), was.free_inodes_count)
}

/// Zeroes what lies between a directory's entries. A removed entry is usually only skipped by the
/// length of the one before it, with its name still there.
fn directory(fs: &Filesystem, block: &Arc<dyn Block>, dir: u32) -> Result<()> {
    let (inode, mut raw) = fs.read_inode_verified(dir).map_err(failed)?;
    let size = u64::from(fs.sb.block_size());
    if !inode.is_dir() {
        return Ok(());
    }
    if inode.has_inline_data() {
        // After the parent's number (4 bytes) the 60 bytes of `i_block` hold entries.
        let before = raw.clone();
        entries(raw.get_mut(0x28 + 4..0x28 + 60).unwrap_or_default());
        if raw != before {
            seal(fs, dir, inode.generation, &mut raw);
            let (at, offset) =
                fs_ext4::bgd::locate_inode(&fs.sb, &fs.groups, dir).map_err(failed)?;
            block.write_at(&raw, at * size + u64::from(offset))?;
        }
        return Ok(());
    }
    for logical in 0..inode.size.div_ceil(size) {
        let Some(at) = fs.map_inode_logical(&inode, logical).map_err(failed)? else { continue };
        let mut bytes = fs.read_block(at).map_err(failed)?;
        if is_index(&inode, logical, &bytes) {
            continue;
        }
        let before = bytes.clone();
        let tailed = fs_ext4::dir::has_csum_tail(&bytes);
        let end = bytes.len() - if tailed { 12 } else { 0 };
        entries(&mut bytes[..end]);
        if bytes != before {
            if tailed {
                fs.csum.patch_dir_entry_tail(dir, inode.generation, &mut bytes);
            }
            block.write_at(&bytes, at * size)?;
        }
    }
    Ok(())
}

/// Gives an inode its checksum: the low half at 0x7c, the high one at 0x82 where the inode is long
/// enough to have it (`i_extra_isize` at 0x80).
fn seal(fs: &Filesystem, ino: u32, generation: u32, raw: &mut [u8]) {
    let Some((low, high)) = fs.csum.compute_inode_checksum(ino, generation, raw) else { return };
    raw[0x7c..0x7e].copy_from_slice(&low.to_le_bytes());
    if raw.len() >= 0x84 && u16::from_le_bytes([raw[0x80], raw[0x81]]) >= 4 {
        raw[0x82..0x84].copy_from_slice(&high.to_le_bytes());
    }
}

/// Whether a block of a directory with a hash tree belongs to the tree: the root, or a node, which
/// looks like one unused entry over the whole block.
fn is_index(inode: &Inode, logical: u64, bytes: &[u8]) -> bool {
    let whole = usize::from(u16::from_le_bytes([bytes[4], bytes[5]])) == bytes.len() & 0xffff;
    let unused = bytes[..4] == [0; 4];
    inode.flags & INDEX != 0 && (logical == 0 || (whole && unused))
}

/// Zeroes the unused bytes of a run of entries: inode (4), length (2), length of the name (1),
/// type (1), name.
fn entries(bytes: &mut [u8]) {
    let mut at = 0;
    while let Some(entry) = bytes.get(at..).filter(|rest| rest.len() >= 8) {
        let used = entry[..4] != [0; 4];
        let len = usize::from(u16::from_le_bytes([entry[4], entry[5]]));
        let name = if used { usize::from(entry[6]) } else { 0 };
        let end = at + len;
        if len < 8 || end > bytes.len() || 8 + name > len {
            return;
        }
        if !used {
            bytes[at + 6..at + 8].fill(0);
        }
        bytes[at + 8 + name..end].fill(0);
        at = end;
    }
}

/// Empties the log. The journal is clean, so nobody reads it again; it has copies of what was
/// written, by us and by the guest before.
fn journal(fs: &Filesystem, block: &Arc<dyn Block>) -> Result<()> {
    let Some(journal) = fs_ext4::jbd2::read_superblock(fs).map_err(failed)? else { return Ok(()) };
    if !journal.is_clean() {
        return Err(damaged("its journal is not clean after the edits"));
    }
    let (inode, _) = fs.read_inode_verified(JOURNAL).map_err(failed)?;
    let size = u64::from(fs.sb.block_size());
    let blocks = inode.size.div_ceil(size).min(u64::from(journal.max_len));
    for logical in 1..blocks {
        if let Some(at) = fs.map_inode_logical(&inode, logical).map_err(failed)? {
            block.zero(at * size, size)?;
        }
    }
    Ok(())
}
