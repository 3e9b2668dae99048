//! The unused bytes of directories.

use std::collections::BTreeSet;
use std::sync::Arc;

use fs_ext4::inode::Inode;

use super::damaged;
use super::view::View;
use crate::error::Result;
use crate::guest::block::Block;

/// `i_flags`: a directory with a hash tree.
const INDEX: u32 = 0x1000;

/// Zeroes what lies between the entries of directory `dir`. A removed entry is usually only skipped
/// by the length of the one before it, with its name still there.
///
/// # Errors
/// Those of reading and writing.
pub fn clean(view: &View, block: &Arc<dyn Block>, dir: u32) -> Result<()> {
    let (inode, raw) = view.ask(view.fs.read_inode_verified(dir))?;
    if !inode.is_dir() {
        return Ok(());
    }
    if inode.has_inline_data() {
        return clean_inline(view, block, dir, &inode, raw);
    }
    let size = view.block_size();
    let nodes = tree_nodes(view, &inode)?;
    for logical in 0..inode.size.div_ceil(size) {
        if nodes.contains(&logical) {
            continue;
        }
        let Some(at) = view.ask(view.fs.map_inode_logical(&inode, logical))? else { continue };
        let mut bytes = view.block(at)?;
        let before = bytes.clone();
        let tailed = fs_ext4::dir::has_csum_tail(&bytes);
        let end = bytes.len() - if tailed { 12 } else { 0 };
        clean_entries(&mut bytes[..end]);
        if bytes != before {
            if tailed {
                view.fs.csum.patch_dir_entry_tail(dir, inode.generation, &mut bytes);
            }
            block.write_at(&bytes, at * size)?;
        }
    }
    Ok(())
}

/// After the parent's number (4 bytes) the 60 bytes of `i_block` hold entries.
fn clean_inline(
    view: &View,
    block: &Arc<dyn Block>,
    dir: u32,
    inode: &Inode,
    mut raw: Vec<u8>,
) -> Result<()> {
    let before = raw.clone();
    clean_entries(raw.get_mut(0x28 + 4..0x28 + 60).unwrap_or_default());
    if raw == before {
        return Ok(());
    }
    seal(view, dir, inode.generation, &mut raw);
    let fs = &view.fs;
    let (at, offset) = view.ask(fs_ext4::bgd::locate_inode(&fs.sb, &fs.groups, dir))?;
    block.write_at(&raw, at * view.block_size() + u64::from(offset))
}

/// Gives an inode its checksum: the low half at 0x7c, the high one at 0x82 where the inode is long
/// enough to have it (`i_extra_isize` at 0x80).
fn seal(view: &View, ino: u32, generation: u32, raw: &mut [u8]) {
    let sum = view.fs.csum.compute_inode_checksum(ino, generation, raw);
    let Some((low, high)) = sum else { return };
    raw[0x7c..0x7e].copy_from_slice(&low.to_le_bytes());
    if raw.len() >= 0x84 && u16::from_le_bytes([raw[0x80], raw[0x81]]) >= 4 {
        raw[0x82..0x84].copy_from_slice(&high.to_le_bytes());
    }
}

/// Zeroes the unused bytes of a run of entries: inode (4), length (2), length of the name (1),
/// type (1), name.
fn clean_entries(bytes: &mut [u8]) {
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

/// The blocks of a directory that are nodes of its hash tree, by their number in the directory. An
/// emptied leaf looks like one, so they are found from the root down.
fn tree_nodes(view: &View, inode: &Inode) -> Result<BTreeSet<u64>> {
    let mut nodes = BTreeSet::new();
    if inode.flags & INDEX == 0 {
        return Ok(nodes);
    }
    nodes.insert(0);
    // `dx_root_info` follows the entries `.` and `..`: `indirect_levels` is its seventh byte.
    let Some(root) = bytes_of(view, inode, 0)? else { return Ok(nodes) };
    let mut level = children(&root, 32);
    for _ in 0..root[30].min(3) {
        let mut below = Vec::new();
        for node in level {
            if nodes.insert(node)
                && let Some(bytes) = bytes_of(view, inode, node)?
            {
                below.extend(children(&bytes, 8));
            }
        }
        level = below;
    }
    Ok(nodes)
}

fn bytes_of(view: &View, inode: &Inode, logical: u64) -> Result<Option<Vec<u8>>> {
    if logical >= inode.size.div_ceil(view.block_size()) {
        return Err(damaged("a directory's hash tree leads out of the directory"));
    }
    let at = view.ask(view.fs.map_inode_logical(inode, logical))?;
    at.map(|at| view.block(at)).transpose()
}

/// The blocks that a node's entries lead to. At `at` are the limit (2), the count (2) and the first
/// block (4); an entry for each of the others has a hash (4) and a block (4).
fn children(bytes: &[u8], at: usize) -> Vec<u64> {
    let Some(entries) = bytes.get(at..) else { return Vec::new() };
    let count = usize::from(u16::from_le_bytes([entries[2], entries[3]]));
    let block = |e: &[u8]| u64::from(u32::from_le_bytes([e[4], e[5], e[6], e[7]]) & 0x0fff_ffff);
    entries.chunks_exact(8).take(count).map(block).collect()
}
