//! What is in a directory.

use fs_ext4::Filesystem;
use fs_ext4::dir::DirBlockIter;

use crate::error::Result;

/// `INCOMPAT_FILETYPE`: directory entries have a type.
const FILETYPE: u32 = 0x2;
/// Names in one directory; no directory that edits look into has as many.
const MAX_NAMES: usize = 1_000_000;

/// Names and inodes in the directory `dir`, as they stand there, without `.` and `..`; nothing in
/// what is no directory. The writer's own listing knows no directories without extents.
pub fn names_in(
    fs: &Filesystem,
    dir: u32,
    ask: impl Fn(fs_ext4::Result<()>) -> Result<()>,
) -> Result<Vec<(Vec<u8>, u32)>> {
    let mut found = Vec::new();
    ask(collect_names(fs, dir, &mut found))?;
    found.retain(|(name, _)| name != b"." && name != b"..");
    Ok(found)
}

fn collect_names(
    fs: &Filesystem,
    dir: u32,
    found: &mut Vec<(Vec<u8>, u32)>,
) -> fs_ext4::Result<()> {
    let inode = fs.stat_ino(dir)?;
    if !inode.is_dir() {
        return Ok(());
    }
    if inode.has_inline_data() {
        found.extend(fs.read_dir_ino(dir)?.into_iter().map(|entry| (entry.name, entry.inode)));
        return Ok(());
    }
    let blocks = inode.size.div_ceil(u64::from(fs.sb.block_size()));
    let typed = fs.sb.feature_incompat & FILETYPE != 0;
    for logical in 0..blocks {
        let Some(block) = fs.map_inode_logical(&inode, logical)? else { continue };
        for entry in DirBlockIter::new(&fs.read_block(block)?, typed) {
            let entry = entry?;
            found.push((entry.name, entry.inode));
        }
        if found.len() > MAX_NAMES {
            return Err(fs_ext4::Error::CorruptDirEntry("more than a million names"));
        }
    }
    Ok(())
}
