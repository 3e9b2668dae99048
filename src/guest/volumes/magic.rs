//! What a volume holds, by magic numbers.
//!
//! Offsets, fields and names are those that `blkid` of util-linux knows (`libblkid/src/superblocks`
//! has one file for each); the order is its order, too: containers before file systems, so that the
//! file system inside a RAID member is not taken for a bare one.

mod linux;
mod raid;
mod simple;
mod windows;

use super::Holds;
use super::bytes::Bytes;
use crate::error::Result;
use crate::guest::block::Block;

/// What was found in a volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) holds: Holds,
    /// As `blkid` calls it; empty if nothing was recognised.
    pub(super) filesystem: &'static str,
    pub(super) uuid: Option<String>,
    pub(super) label: Option<String>,
}

impl Identity {
    fn new(holds: Holds, filesystem: &'static str) -> Self {
        Identity { holds, filesystem, uuid: None, label: None }
    }

    fn other(filesystem: &'static str) -> Self {
        Self::new(Holds::Other(filesystem), filesystem)
    }

    fn with(mut self, uuid: Option<String>, label: Option<String>) -> Self {
        (self.uuid, self.label) = (uuid, label);
        self
    }

    /// Why nothing in it can be reached, if so.
    pub(super) fn refusal(&self) -> Option<&'static str> {
        match (self.holds, self.filesystem) {
            (Holds::Luks, _) => Some("it is encrypted with LUKS"),
            (Holds::Raid, "linux_raid_member") => Some("it is a member of a Linux software RAID"),
            (Holds::Raid, _) => Some("it is a member of a BIOS RAID"),
            (_, "BitLocker") => Some("it is encrypted with BitLocker"),
            (_, "zfs_member") => Some("it belongs to a ZFS pool"),
            (_, "bcache") => Some("it belongs to a bcache"),
            (_, "LVM1_member") => Some("it is a physical volume of LVM1"),
            _ => None,
        }
    }
}

/// Bytes of the start of a volume that most magic numbers are in; the last is that of btrfs.
const HEAD: usize = 68 << 10;

/// A volume that is being looked at.
struct Probe<'a> {
    on: &'a dyn Block,
    head: Bytes,
}

impl Probe<'_> {
    /// Bytes from anywhere, fewer at the end.
    fn read(&self, offset: u64, len: usize) -> Result<Bytes> {
        Bytes::read(self.on, offset, len)
    }
}

/// One kind of thing to look for.
type Look = fn(&Probe) -> Result<Option<Identity>>;

/// All of them. The first that answers is right.
const LOOKS: &[Look] = &[
    raid::md,
    raid::bios,
    linux::lvm,
    linux::luks,
    windows::bitlocker,
    simple::containers,
    windows::exfat,
    windows::ntfs,
    windows::fat,
    linux::swap,
    linux::xfs,
    linux::ext,
    linux::btrfs,
    simple::zfs,
    simple::filesystems,
];

/// Looks into a volume.
pub(super) fn identify(on: &dyn Block) -> Result<Identity> {
    let probe = Probe { on, head: Bytes::read(on, 0, HEAD)? };
    for look in LOOKS {
        if let Some(identity) = look(&probe)? {
            return Ok(identity);
        }
    }
    Ok(Identity::new(Holds::Unknown, ""))
}
