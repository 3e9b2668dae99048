//! FAT, exFAT, NTFS and BitLocker.

use super::{Identity, Probe};
use crate::error::Result;
use crate::guest::volumes::Holds;
use crate::guest::volumes::bytes::{Bytes, text};

/// BitLocker, and BitLocker To Go, whose boot sector looks like FAT: the GUID is that of its
/// metadata (libbde, "Volume header").
pub(super) fn bitlocker(probe: &Probe) -> Result<Option<Identity>> {
    const TO_GO: &[u8] = b"\x3b\xd6\x67\x49\x29\x2e\xd8\x4a\x83\x99\xf6\xa3\x39\xe3\xd0\x01";
    let head = &probe.head;
    let is = head.has(3, b"-FVE-FS-") || (head.has(3, b"MSWIN4.1") && head.has(0x1a8, TO_GO));
    Ok(is.then(|| Identity::other("BitLocker")))
}

/// A serial number as Windows prints it: XXXX-XXXX.
fn serial(number: u32) -> Option<String> {
    (number != 0).then(|| format!("{:04X}-{:04X}", number >> 16, number & 0xffff))
}

/// Size of an entry of a directory in FAT and exFAT, and how much of the root directory is looked
/// at for the label, which is among its first entries.
const ENTRY: usize = 32;
const MAX_ROOT: u64 = 64 << 10;

/// exFAT file system specification, 3.1 (boot sector) and 7.3 (volume label).
pub(super) fn exfat(probe: &Probe) -> Result<Option<Identity>> {
    let head = &probe.head;
    let (sector, per_cluster) = (u32::from(head.u8(108)), u32::from(head.u8(109)));
    if !head.has(3, b"EXFAT   ") || !(9..=12).contains(&sector) || sector + per_cluster > 25 {
        return Ok(None);
    }
    let cluster = 1 << (sector + per_cluster);
    let heap = u64::from(head.u32(88)) << sector;
    let root = u64::from(head.u32(96)).saturating_sub(2) * cluster + heap;
    let root = probe.read(root, usize::try_from(cluster.min(MAX_ROOT)).unwrap_or(0))?;
    let label = entries(&root).find(|entry| entry.u8(0) == 0x83);
    let label = label.and_then(|entry| entry.utf16(2, usize::from(entry.u8(1)).min(11)));
    Ok(Some(Identity::other("exfat").with(serial(head.u32(100)), label)))
}

fn entries(directory: &Bytes) -> impl Iterator<Item = Bytes> {
    // An entry that begins with 0 ends the directory.
    let entries = directory.all().chunks_exact(ENTRY).map(Bytes::of);
    entries.take_while(|entry| entry.u8(0) != 0)
}

/// NTFS: the boot sector, and the name in `$Volume`, the fourth record of the master file table
/// (linux-ntfs documentation; `fs/ntfs3/ntfs.h`).
pub(super) fn ntfs(probe: &Probe) -> Result<Option<Identity>> {
    let head = &probe.head;
    let sector = u64::from(head.u16(11));
    if !head.has(3, b"NTFS    ") || !sector.is_power_of_two() || !(256..=4096).contains(&sector) {
        return Ok(None);
    }
    // Above 128 the field is the negated exponent of a power of two.
    let per_cluster = match head.u8(13) {
        count @ 0..=128 => u64::from(count),
        exponent => 1 << (256 - u32::from(exponent)).min(31),
    };
    let cluster = sector * per_cluster;
    let record = match i8::from_le_bytes([head.u8(64)]) {
        count @ 0.. => u64::from(count.unsigned_abs()) * cluster,
        exponent => 1 << exponent.unsigned_abs().min(31),
    };
    let table = head.u64(48).checked_mul(cluster);
    let volume = table.and_then(|at| at.checked_add(3 * record.min(4096)));
    let label = match volume {
        Some(at) if (256..=4096).contains(&record) => {
            volume_name(&probe.read(at, usize::try_from(record).unwrap_or(0))?)
        }
        _ => None,
    };
    let serial = head.u64(72);
    let uuid = (serial != 0).then(|| format!("{serial:016X}"));
    Ok(Some(Identity::new(Holds::Ntfs, "ntfs").with(uuid, label)))
}

/// The attribute 0x60, `$VOLUME_NAME`, of a record. It is always resident: its value is in it.
fn volume_name(record: &Bytes) -> Option<String> {
    if !record.has(0, b"FILE") {
        return None;
    }
    let mut at = usize::from(record.u16(20));
    while let Ok(len @ 16..) = usize::try_from(record.u32(at + 4)) {
        if record.u32(at) == 0x60 {
            let bytes = usize::try_from(record.u32(at + 16)).ok()?;
            return record.utf16(at + usize::from(record.u16(at + 20)), bytes.min(256) / 2);
        }
        at = at.checked_add(len).filter(|at| *at < record.all().len())?;
    }
    None
}

/// Most clusters of FAT12 and FAT16 (Microsoft's FAT specification, 3.5); more is FAT32.
const FAT16_CLUSTERS: u64 = 65524;
/// Clusters of a root directory that are followed.
const MAX_CHAIN: u32 = 16;

/// The numbers of a FAT boot sector (specification, 3.1 to 3.3), in sectors unless said.
struct Fat {
    /// Bytes.
    sector: u64,
    per_cluster: u64,
    reserved: u64,
    fats: u64,
    fat_len: u64,
    root_entries: u64,
    clusters: u64,
}

impl Fat {
    /// Reads the fields and checks that they agree: there is no magic number.
    fn read(head: &Bytes) -> Option<Self> {
        let either = |small: u16, large: u32| match small {
            0 => u64::from(large),
            small => u64::from(small),
        };
        let mut fat = Fat {
            sector: head.u16(11).into(),
            per_cluster: head.u8(13).into(),
            reserved: head.u16(14).into(),
            fats: head.u8(16).into(),
            root_entries: head.u16(17).into(),
            fat_len: either(head.u16(22), head.u32(36)),
            clusters: 0,
        };
        let jumps =
            matches!(head.u8(0), 0xeb | 0xe9) || head.has(54, b"FAT") || head.has(82, b"FAT");
        let sound = jumps
            && head.has(510, &[0x55, 0xaa])
            && (512..=4096).contains(&fat.sector)
            && fat.sector.is_power_of_two()
            && fat.per_cluster.is_power_of_two()
            && fat.reserved > 0
            && (1..=4).contains(&fat.fats)
            && fat.fat_len > 0
            && matches!(head.u8(21), 0xf0 | 0xf8..);
        let sectors = either(head.u16(19), head.u32(32));
        let data = sectors.checked_sub(fat.data()).filter(|_| sound)?;
        fat.clusters = data / fat.per_cluster;
        (fat.clusters > 0 && (fat.is_32() == (fat.root_entries == 0))).then_some(fat)
    }

    fn is_32(&self) -> bool {
        self.root_entries == 0 || self.clusters > FAT16_CLUSTERS
    }

    /// Where the root directory of FAT12 and FAT16 begins.
    fn root(&self) -> u64 {
        self.reserved + self.fats * self.fat_len
    }

    /// Where the clusters begin.
    fn data(&self) -> u64 {
        let root = self.root_entries * ENTRY as u64;
        self.root() + root.div_ceil(self.sector.max(1))
    }
}

/// FAT12, FAT16 or FAT32. The label is the one in the root directory; that of the boot sector is
/// what a format program once put there.
pub(super) fn fat(probe: &Probe) -> Result<Option<Identity>> {
    let Some(fat) = Fat::read(&probe.head) else { return Ok(None) };
    let (extended, label) = if fat.is_32() {
        (64, root_32(probe, &fat)?)
    } else {
        let len = (fat.root_entries * ENTRY as u64).min(MAX_ROOT);
        let root = probe.read(fat.root() * fat.sector, usize::try_from(len).unwrap_or(0))?;
        (36, root_label(&root))
    };
    // The extended boot signature says whether there is a serial number.
    let has_serial = matches!(probe.head.u8(extended + 2), 0x28 | 0x29);
    let uuid = serial(probe.head.u32(extended + 3)).filter(|_| has_serial);
    Ok(Some(Identity::new(Holds::Fat, "vfat").with(uuid, label.flatten())))
}

/// The label in the root directory of FAT32, which is a chain of clusters.
fn root_32(probe: &Probe, fat: &Fat) -> Result<Option<Option<String>>> {
    let mut cluster = probe.head.u32(44);
    for _ in 0..MAX_CHAIN {
        let number = u64::from(cluster);
        if !(2..fat.clusters + 2).contains(&number) {
            break;
        }
        let at = (fat.data() + (number - 2) * fat.per_cluster) * fat.sector;
        let len = (fat.per_cluster * fat.sector).min(MAX_ROOT);
        let part = probe.read(at, usize::try_from(len).unwrap_or(0))?;
        if let Some(label) = root_label(&part) {
            return Ok(Some(label));
        }
        // The directory goes on only behind a cluster that is full.
        if entries(&part).count() < part.all().len() / ENTRY {
            break;
        }
        let next = probe.read(fat.reserved * fat.sector + number * 4, 4)?;
        cluster = next.u32(0) & 0x0fff_ffff;
    }
    Ok(None)
}

/// The entry whose attributes say that it is the label, and not a part of a long name (0x0f), nor
/// deleted (0xe5).
fn root_label(directory: &Bytes) -> Option<Option<String>> {
    let is = |entry: &Bytes| entry.u8(0) != 0xe5 && entry.u8(11) & 0x3f & !0x20 == 0x08;
    let entry = entries(directory).find(is)?;
    // A name that begins with 0xe5 is written with 0x05.
    let mut name: [u8; 11] = entry.array(0);
    if name[0] == 0x05 {
        name[0] = 0xe5;
    }
    Some(text(&name))
}
