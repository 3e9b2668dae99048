//! A file system as a clean unmount leaves it.

use std::sync::Arc;

use fs_ext4::Filesystem;

use super::device::{Clock, Device};
use super::superblock::{self, Superblock};
use super::view::View;
use super::{bitmaps, damaged};
use crate::error::{Error, Kind, Result};
use crate::guest::block::Block;

/// Brings a file system into the state that a clean unmount leaves: replays the journal, deals with
/// files that were deleted while open, corrects the counts, and compares the bitmaps with them. A
/// file system that was unmounted cleanly is not changed.
///
/// # Errors
/// What is in the way of editing, by name.
pub fn recover(block: &Arc<dyn Block>) -> Result<()> {
    let sb = Superblock::read(block.as_ref())?;
    sb.check_editable()?;
    let device = Arc::new(Device::new(block.clone()));
    let clock = Arc::new(Clock::new(i64::from(sb.written()), sb.uuid()));
    let failed = |error| device.error(error);
    // The journal is looked at before it is replayed: its replay is a write, too.
    check_journal(&sb, block)?;
    let fs = Filesystem::mount_with_runtime(device.clone(), clock).map_err(failed)?;
    if sb.needs_recovery() {
        let blocks = fs.groups.iter().map(|group| u64::from(group.free_blocks_count)).sum();
        let inodes = fs.groups.iter().map(|group| u64::from(group.free_inodes_count)).sum::<u64>();
        fs.finish().map_err(failed)?;
        let inodes =
            u32::try_from(inodes).map_err(|_| damaged("its groups' counts make no sense"))?;
        superblock::set_free_counts(block.as_ref(), blocks, inodes)?;
    } else {
        fs.finish().map_err(failed)?;
    }
    Superblock::read(block.as_ref())?.check_state()?;
    bitmaps::check(&View::of(block)?)
}

/// Refuses journals whose replay would lose something, or that say that there was an error.
fn check_journal(sb: &Superblock, block: &Arc<dyn Block>) -> Result<()> {
    /// `s_feature_incompat` of the journal's superblock: fast commits, which a replay by the plain
    /// rules leaves out.
    const FAST_COMMIT: u32 = 0x20;
    if !sb.has_journal() {
        return Ok(());
    }
    let refused = |code, message| {
        Error::new(Kind::Refused, code, message).remedy(
            "start the machine once and shut it down cleanly, then convert again; or convert the \
             disk as it is with --no-context",
        )
    };
    let device = Arc::new(Device::read_only(block.clone()));
    let clock = Arc::new(Clock::new(0, sb.uuid()));
    let error = |e| device.error(e);
    let fs = Filesystem::mount_with_runtime(device.clone(), clock);
    let journal = match fs {
        Ok(fs) => {
            if !journal_is_sealed(&fs).map_err(error)? {
                return Err(damaged("the superblock of its journal has a wrong checksum"));
            }
            fs_ext4::jbd2::read_superblock(&fs).map_err(error)?
        }
        // The mount replays into memory, and all that it has no words for is a feature of the
        // journal: those of the file system are known to be served.
        Err(fs_ext4::Error::Unsupported(_)) => {
            let message = "its journal cannot be replayed: it has fast commits (fast_commit), or \
                           something newer";
            return Err(refused("guest-fs-unsupported", message).with_kind(Kind::Unsupported));
        }
        Err(e) => return Err(error(e)),
    };
    let Some(journal) = journal else { return Ok(()) };
    if journal.errno != 0 {
        return Err(refused("guest-fs-errors", "its journal records an error"));
    }
    if journal.feature_incompat & FAST_COMMIT != 0 {
        let message = "its journal has fast commits (fast_commit)";
        return Err(refused("guest-fs-unsupported", message).with_kind(Kind::Unsupported));
    }
    Ok(())
}

/// Whether the journal's superblock has the checksum that belongs to it, or none: of 1,024 bytes, the
/// features are at 0x28 (`JBD2_FEATURE_INCOMPAT_CSUM_V2`, `_V3`), the sum at 0xfc, taken with zeros
/// in that place (<https://docs.kernel.org/filesystems/ext4/journal.html>). The writer ignores it,
/// and would take a damaged journal for an empty one.
fn journal_is_sealed(fs: &Filesystem) -> fs_ext4::Result<bool> {
    const SUMS: u8 = 0x8 | 0x10;
    let (inode, _) = fs.read_inode_verified(fs.sb.journal_inode)?;
    let Some(at) = fs.map_inode_logical(&inode, 0)? else { return Ok(true) };
    let mut raw = fs.read_block(at)?;
    let Some(raw) = raw.get_mut(..1024).filter(|raw| raw[0x2b] & SUMS != 0) else {
        return Ok(true);
    };
    let stored = u32::from_be_bytes([raw[0xfc], raw[0xfd], raw[0xfe], raw[0xff]]);
    raw[0xfc..0x100].fill(0);
    Ok(fs_ext4::checksum::linux_crc32c(!0, raw) == stored)
}
