//! From a disk to its volumes: partitions, logical volumes, and what is in them.

use std::sync::Arc;

use super::block::Block;

/// What a volume holds, by its magic numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// ext2, ext3 or ext4.
    Ext,
    /// XFS.
    Xfs,
    /// btrfs.
    Btrfs,
    /// NTFS.
    Ntfs,
    /// FAT12, 16 or 32.
    Fat,
    /// LUKS 1 or 2.
    Luks,
    /// Swap space.
    Swap,
    /// A member of a Linux software RAID.
    Raid,
    /// An LVM2 physical volume.
    Lvm,
    /// Something else that has a name.
    Other(&'static str),
    /// Nothing that is known.
    Unknown,
}

/// A part of the disk that can hold a file system.
#[derive(Clone)]
pub struct Volume {
    /// Name for the user: `disk` (the whole disk), `sda1` (partition 1), `vg/lv`.
    pub name: String,
    /// Names under which the guest's configuration may speak of it: `/dev/sda1`, `/dev/hda1`, …
    pub devices: Vec<String>,
    /// What is in it.
    pub holds: Holds,
    /// `ext4`, `xfs`, `swap`, …: the type as `blkid` calls it.
    pub filesystem: String,
    /// The UUID of what is in it, as `blkid` prints it.
    pub uuid: Option<String>,
    /// The label of what is in it.
    pub label: Option<String>,
    /// UUID of the partition, as `blkid` prints it.
    pub part_uuid: Option<String>,
    /// Label of the partition (GPT).
    pub part_label: Option<String>,
    /// Whether it is an EFI system partition.
    pub esp: bool,
    /// Why it cannot be used, for a volume that is there but not served (thin, RAID, …).
    pub refused: Option<String>,
    /// Its bytes.
    pub block: Arc<dyn Block>,
}
