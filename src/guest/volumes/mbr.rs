//! The partition table of the PC, and its chain of logical partitions.
//!
//! Numbers are those that Linux gives (`block/partitions/msdos.c`): a primary partition has the
//! number of its slot, 1 to 4, and logical ones count from 5 in the order of the chain, whatever
//! slots are used.

use std::collections::BTreeSet;

use super::bytes::Bytes;
use super::table::{Partition, Table};
use crate::disk::{SECTOR, Warning};
use crate::error::Result;
use crate::guest::block::Block;

/// Where the signature 55 AA stands, and the four entries.
const SIGNATURE: (usize, [u8; 2]) = (0x1fe, [0x55, 0xaa]);
const ENTRIES: usize = 0x1be;
const ENTRY: usize = 16;
/// The disk signature, as Windows calls it; half of each PARTUUID.
const DISK_ID: usize = 0x1b8;
/// Types of an extended partition: CHS, LBA, and that of Linux.
const EXTENDED: [u8; 3] = [0x05, 0x0f, 0x85];
/// Type of the entry that stands for a GPT (UEFI specification, 5.2.3).
pub(super) const PROTECTIVE: u8 = 0xee;
/// Type of an EFI system partition.
const ESP: u8 = 0xef;
/// Linux takes no more than this many partitions (`state->limit`, `DISK_MAX_PARTS`).
const MAX_NUMBER: u32 = 255;
/// Tables in a chain that have no partition, before it is taken for a loop. Linux: 100.
const MAX_EMPTY: u32 = 100;

/// One of the four entries of a table; in sectors.
#[derive(Clone, Copy)]
struct Entry {
    boot: u8,
    kind: u8,
    start: u64,
    len: u64,
}

impl Entry {
    fn is_extended(self) -> bool {
        EXTENDED.contains(&self.kind)
    }

    fn is_used(self) -> bool {
        self.len > 0
    }
}

/// A sector with 55 AA at its end: a partition table, or a boot sector of something else.
pub(super) struct Sector {
    entries: [Entry; 4],
    disk_id: u32,
}

impl Sector {
    /// Reads sector number `number`; none without the signature.
    pub(super) fn read(disk: &dyn Block, number: u64) -> Result<Option<Self>> {
        let bytes = Bytes::read(disk, number.saturating_mul(SECTOR), 512)?;
        let entry = |slot: usize| {
            let at = ENTRIES + slot * ENTRY;
            Entry {
                boot: bytes.u8(at),
                kind: bytes.u8(at + 4),
                start: bytes.u32(at + 8).into(),
                len: bytes.u32(at + 12).into(),
            }
        };
        let sector = Sector { entries: [0, 1, 2, 3].map(entry), disk_id: bytes.u32(DISK_ID) };
        Ok(bytes.has(SIGNATURE.0, &SIGNATURE.1).then_some(sector))
    }

    pub(super) fn is_protective(&self) -> bool {
        self.entries.iter().any(|entry| entry.kind == PROTECTIVE)
    }

    /// Whether this can only be a table: a boot sector with code or text in this place does not
    /// pass, nor does that of `mkfs.fat`, which has an entry for the whole disk from sector 0, nor
    /// that of a hybrid ISO image.
    fn is_surely_a_table(&self, sectors: u64) -> bool {
        let used = || self.entries.iter().filter(|entry| entry.is_used());
        self.entries.iter().all(|entry| matches!(entry.boot, 0 | 0x80))
            && used().all(|entry| (1..sectors).contains(&entry.start) && entry.kind != 0)
            && used().count() > 0
    }

    /// Whether it may be one, if nothing speaks for something else.
    fn may_be_a_table(&self, sectors: u64) -> bool {
        let fits = |e: &Entry| e.is_used() && e.kind != 0 && (1..sectors).contains(&e.start);
        self.entries.iter().any(fits)
            && self.entries.iter().all(|entry| matches!(entry.boot, 0 | 0x80))
    }
}

/// The table that begins with this first sector; none if it is none.
pub(super) fn table(disk: &dyn Block, first: &Sector) -> Result<Option<Table>> {
    let sectors = disk.size() / SECTOR;
    if !first.may_be_a_table(sectors) {
        return Ok(None);
    }
    let mut table = Table { sure: first.is_surely_a_table(sectors), ..Table::default() };
    let mut next = 5;
    for (number, entry) in (1..).zip(first.entries).filter(|(_, entry)| entry.is_used()) {
        if entry.is_extended() {
            logical(disk, first.disk_id, entry, &mut next, &mut table)?;
        } else {
            table.partitions.push(partition(first.disk_id, number, entry.start, entry));
        }
    }
    table.partitions.sort_by_key(|partition| partition.number);
    Ok(Some(table))
}

fn partition(disk_id: u32, number: u32, start: u64, entry: Entry) -> Partition {
    Partition {
        number,
        start: start.saturating_mul(SECTOR),
        len: entry.len * SECTOR,
        uuid: (disk_id != 0).then(|| format!("{disk_id:08x}-{number:02x}")),
        label: None,
        esp: entry.kind == ESP,
        refused: None,
    }
}

/// The logical partitions of one extended partition. Each table of the chain has partitions, whose
/// places count from it, and a link, whose place counts from the extended partition.
fn logical(
    disk: &dyn Block,
    disk_id: u32,
    extended: Entry,
    next: &mut u32,
    table: &mut Table,
) -> Result<()> {
    let (mut at, mut len, mut empty) = (extended.start, extended.len, 0);
    let mut seen = BTreeSet::new();
    while seen.insert(at) && empty < MAX_EMPTY {
        let Some(sector) = Sector::read(disk, at)? else {
            let message = format!("the chain of logical partitions breaks at sector {at}");
            table.warnings.push(Warning::new("partition-chain-broken", message));
            return Ok(());
        };
        empty += 1;
        for (slot, entry) in sector.entries.iter().enumerate() {
            if !entry.is_used()
                || entry.is_extended()
                || !plausible(slot, *entry, at, len, extended)
            {
                continue;
            }
            if *next > MAX_NUMBER {
                let message = format!("partitions after number {MAX_NUMBER} are left out");
                table.warnings.push(Warning::new("too-many-partitions", message));
                return Ok(());
            }
            table.partitions.push(partition(disk_id, *next, at + entry.start, *entry));
            (*next, empty) = (*next + 1, 0);
        }
        let link = sector.entries.iter().find(|entry| entry.is_used() && entry.is_extended());
        let Some(link) = link else { return Ok(()) };
        (at, len) = (extended.start + link.start, link.len);
    }
    let message = format!("the chain of logical partitions has a loop at sector {at}");
    table.warnings.push(Warning::new("partition-chain-loop", message));
    Ok(())
}

/// The third and fourth entry of a table in the chain hold rubbish on old disks: Linux takes them
/// only if they lie inside.
fn plausible(slot: usize, entry: Entry, at: u64, len: u64, extended: Entry) -> bool {
    let start = at + entry.start;
    let end = extended.start + extended.len;
    slot < 2 || (entry.start + entry.len <= len && start + entry.len <= end)
}
