//! From a disk to its volumes: partitions, logical volumes, and what is in them.
//!
//! ```text
//! table.rs    mbr.rs, gpt.rs        disk ──► partitions
//! magic.rs    magic/                partition ──► what it holds: ext4, swap, a physical volume, …
//! lvm.rs      lvm/, striped.rs      physical volumes ──► logical volumes
//! ```
//!
//! Nothing is read but tables, labels and superblocks: a few hundred KiB for each volume at most.

mod bytes;
mod gpt;
pub mod lvm;
mod magic;
mod mbr;
mod striped;
mod table;

use std::sync::Arc;

use super::block::{Block, Pieces};
use crate::disk::Warning;
use crate::error::Result;
use magic::Identity;
use table::{Partition, Table};

/// Volumes of a disk that are listed. A guest with more is a forgery.
const MAX_VOLUMES: usize = 512;
/// Warnings that are kept: who reads more?
const MAX_WARNINGS: usize = 100;

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
    /// Its bytes. Of a refused volume only those that the disk has of it, perhaps none.
    pub block: Arc<dyn Block>,
}

/// What [`find`] found.
#[derive(Clone)]
pub struct Found {
    /// In the order of the disk: partitions by number, or the whole disk; then logical volumes by
    /// name.
    pub volumes: Vec<Volume>,
    /// Damage and doubts.
    pub warnings: Vec<Warning>,
}

/// Finds all volumes of a disk and what they hold.
///
/// A disk without a partition table is one volume, `disk`. Physical volumes, members of a RAID and
/// the like are listed beside what is found in them. An extended partition is not listed.
///
/// # Errors
/// Only those of reading `disk`. Damage of tables and labels becomes a warning, and what cannot be
/// used because of it is refused or missing.
pub fn find(disk: &Arc<dyn Block>) -> Result<Found> {
    let mut found = Found { volumes: Vec::new(), warnings: Vec::new() };
    let whole = magic::identify(disk.as_ref())?;
    match table::read(disk.as_ref())? {
        // Nearly every boot sector ends like a partition table.
        Some(table) if table.sure || whole.holds == Holds::Unknown => {
            partitions(disk, table, whole, &mut found)?;
        }
        _ => found.volumes.push(whole_disk(disk, whole, None)),
    }
    lvm::add(&mut found)?;
    for volume in found.volumes.iter().filter(|volume| volume.filesystem == "swsuspend") {
        let message = format!("the guest is hibernated: {} holds its memory", volume.name);
        found.warnings.push(Warning::new("guest-hibernated", message));
    }
    let more = found.warnings.len().saturating_sub(MAX_WARNINGS);
    if more > 0 {
        found.warnings.truncate(MAX_WARNINGS);
        found.warnings.push(Warning::new("more-warnings", format!("and {more} more like these")));
    }
    Ok(found)
}

fn partitions(
    disk: &Arc<dyn Block>,
    table: Table,
    whole: Identity,
    found: &mut Found,
) -> Result<()> {
    found.warnings.extend(table.warnings);
    if let Some(why) = table.damaged {
        found.warnings.push(Warning::new("partition-table-damaged", why));
        found.volumes.push(whole_disk(disk, whole, Some(why)));
        return Ok(());
    }
    for partition in table.partitions {
        let block = Arc::new(Pieces::one(disk, partition.start, partition.len)?);
        let identity = magic::identify(block.as_ref())?;
        found.volumes.push(on_partition(partition, identity, block));
    }
    // The disk is a member with a table of the RAID's in it, unless it is the last partition whose
    // end is the disk's end.
    let is_member = whole.holds == Holds::Raid;
    if is_member && found.volumes.iter().all(|volume| volume.holds != Holds::Raid) {
        found.volumes = vec![whole_disk(disk, whole, None)];
    }
    Ok(())
}

fn on_partition(partition: Partition, identity: Identity, block: Arc<dyn Block>) -> Volume {
    let number = partition.number;
    Volume {
        name: format!("sda{number}"),
        devices: devices(&number.to_string()),
        part_uuid: partition.uuid,
        part_label: partition.label,
        esp: partition.esp,
        refused: partition.refused.or_else(|| identity.refusal().map(str::to_owned)),
        ..volume(identity, block)
    }
}

fn whole_disk(disk: &Arc<dyn Block>, identity: Identity, refused: Option<&str>) -> Volume {
    Volume {
        devices: devices(""),
        refused: refused.or_else(|| identity.refusal()).map(str::to_owned),
        ..volume(identity, disk.clone())
    }
}

fn volume(identity: Identity, block: Arc<dyn Block>) -> Volume {
    Volume {
        name: "disk".to_owned(),
        devices: Vec::new(),
        refused: identity.refusal().map(str::to_owned),
        holds: identity.holds,
        filesystem: identity.filesystem.to_owned(),
        uuid: identity.uuid,
        label: identity.label,
        part_uuid: None,
        part_label: None,
        esp: false,
        block,
    }
}

/// The names of the first disk, or of a partition of it, on each kind of bus: SCSI, SATA and USB;
/// IDE before `libata`; virtio; Xen; NVMe.
fn devices(number: &str) -> Vec<String> {
    let mut devices: Vec<String> =
        ["sda", "hda", "vda", "xvda"].iter().map(|disk| format!("/dev/{disk}{number}")).collect();
    let p = if number.is_empty() { "" } else { "p" };
    devices.push(format!("/dev/nvme0n1{p}{number}"));
    devices
}
