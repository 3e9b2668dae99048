//! The GUID partition table: UEFI specification 2.10, section 5.3.

use super::bytes::{Bytes, uuid};
use super::table::{Partition, Table};
use crate::disk::Warning;
use crate::error::Result;
use crate::guest::block::Block;

/// Of the header, at its start.
pub(super) const SIGNATURE: &[u8] = b"EFI PART";
/// Smallest header; its size is in the header itself and at most a sector.
const HEADER_LEN: usize = 92;
/// Smallest entry, and the largest that is believed; larger ones are 128 × 2ⁿ.
const ENTRY_LENS: std::ops::RangeInclusive<usize> = 128..=4096;
/// Bytes of the array of entries. It has 16 KiB everywhere.
const MAX_ARRAY: usize = 1 << 20;
/// Partitions that are looked at. Linux takes 255.
const MAX_PARTITIONS: usize = 255;
/// Sizes of a sector: what VirtualBox has, and disks that were copied from one with 4 KiB.
const SECTORS: [u64; 2] = [512, 4096];
/// C12A7328-F81F-11D2-BA4B-00A0C93EC93B, an EFI system partition, in the textual form of `guid`.
const ESP: &str = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b";

/// The table of this disk, by either of its headers.
pub(super) fn table(disk: &dyn Block) -> Result<Option<Table>> {
    for sector in SECTORS {
        let last = (disk.size() / sector).saturating_sub(1);
        if let Some(table) = at(disk, sector, 1)? {
            return Ok(Some(table));
        }
        if let Some(mut table) = at(disk, sector, last)? {
            let message = "the first header of the GPT is damaged; its backup is used";
            table.warnings.push(Warning::new("gpt-first-header-damaged", message));
            return Ok(Some(table));
        }
    }
    Ok(None)
}

/// The table whose header is in sector `number`, if both checksums hold.
fn at(disk: &dyn Block, sector: u64, number: u64) -> Result<Option<Table>> {
    let header = Bytes::read(disk, number * sector, usize::try_from(sector).unwrap_or(0))?;
    let Some((start, count, entry_len)) = array_of(&header, number) else { return Ok(None) };
    let Some(start) = start.checked_mul(sector) else { return Ok(None) };
    let array = Bytes::read(disk, start, count * entry_len)?;
    if array.all().len() != count * entry_len || crc32fast::hash(array.all()) != header.u32(88) {
        return Ok(None);
    }
    let mut table = Table { sure: true, ..Table::default() };
    for (number, entry) in (1..).zip(array.all().chunks_exact(entry_len)) {
        let entry = Bytes::of(entry);
        // The type of an unused entry is all zeros.
        let Some(kind) = guid(&entry, 0) else { continue };
        if table.partitions.len() == MAX_PARTITIONS {
            let message = format!("the GPT has more than {MAX_PARTITIONS} partitions");
            table.warnings.push(Warning::new("too-many-partitions", message));
            break;
        }
        match partition(&entry, number, sector, &kind) {
            Some(partition) => table.partitions.push(partition),
            None => {
                let message = format!("partition {number} ends before it begins");
                table.warnings.push(Warning::new("partition-damaged", message));
            }
        }
    }
    Ok(Some(table))
}

/// First sector, number and length of the entries, by a header that is sound.
fn array_of(header: &Bytes, number: u64) -> Option<(u64, usize, usize)> {
    let len = usize::try_from(header.u32(12)).ok()?;
    if !header.has(0, SIGNATURE) || !(HEADER_LEN..=header.all().len()).contains(&len) {
        return None;
    }
    let mut bytes = header.part(0, len).to_vec();
    bytes.get_mut(16..20)?.fill(0);
    let sound = crc32fast::hash(&bytes) == header.u32(16) && header.u64(24) == number;
    let count = usize::try_from(header.u32(80)).ok()?;
    let entry_len = usize::try_from(header.u32(84)).ok()?;
    let bounded = ENTRY_LENS.contains(&entry_len)
        && entry_len % 128 == 0
        && count.checked_mul(entry_len).is_some_and(|len| len <= MAX_ARRAY);
    (sound && bounded).then_some((header.u64(72), count, entry_len))
}

fn partition(entry: &Bytes, number: u32, sector: u64, kind: &str) -> Option<Partition> {
    let (first, last) = (entry.u64(32), entry.u64(40));
    let sectors = last.checked_sub(first)?.checked_add(1)?;
    Some(Partition {
        number,
        start: first.checked_mul(sector)?,
        len: sectors.checked_mul(sector)?,
        uuid: guid(entry, 16),
        label: entry.utf16(56, 36),
        esp: kind == ESP,
        refused: None,
    })
}

/// A GUID as text: its first three fields are little-endian. None for all zeros.
fn guid(bytes: &Bytes, at: usize) -> Option<String> {
    let mut guid: [u8; 16] = bytes.array(at);
    guid[..4].reverse();
    guid[4..6].reverse();
    guid[6..8].reverse();
    uuid(guid)
}
