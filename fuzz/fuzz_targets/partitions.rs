//! Any bytes as a disk: the search for volumes may find nothing, but not panic, run away or hand
//! out bytes that are not there.
//!
//! The first byte chooses a sound disk that the rest is a patch on: place, length, bytes. If it
//! chooses none, the rest is the disk.

#![no_main]

#[path = "../../tests/common/lvm.rs"]
#[allow(dead_code, reason = "the tests use all of it")]
mod model;

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use model::{Layout, Memory, assert_bounded, linear, on_one_disk, volume_group};
use stratus::guest::volumes::find;

const SECTOR: usize = 512;
/// As many volumes a disk may have.
const MOST: usize = 512;

static BASES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let layout = Layout { extent: 4096, chunk: 4096, area: 12 << 10, ..Layout::default() };
    let group = volume_group("vg", &[linear("a", 5), linear("b", 4)], &layout);
    vec![logical(), gpt(), group.disks[0].clone(), on_one_disk(&[(0x83, &filesystems())]).0]
});

fn entry(disk: &mut [u8], sector: usize, slot: usize, kind: u8, start: u32, len: u32) {
    let at = sector * SECTOR + 0x1be + slot * 16;
    disk[at + 4] = kind;
    disk[at + 8..at + 12].copy_from_slice(&start.to_le_bytes());
    disk[at + 12..at + 16].copy_from_slice(&len.to_le_bytes());
    let end = sector * SECTOR + 510;
    disk[end..end + 2].copy_from_slice(&[0x55, 0xaa]);
}

/// A chain of two logical partitions.
fn logical() -> Vec<u8> {
    let mut disk = vec![0; 64 << 10];
    entry(&mut disk, 0, 0, 0x83, 1, 5);
    entry(&mut disk, 0, 1, 0x05, 10, 100);
    entry(&mut disk, 10, 0, 0x83, 1, 5);
    entry(&mut disk, 10, 1, 0x05, 20, 5);
    entry(&mut disk, 30, 0, 0x83, 1, 5);
    disk
}

/// A GPT with two partitions, and no backup.
fn gpt() -> Vec<u8> {
    let mut disk = vec![0; 64 << 10];
    entry(&mut disk, 0, 0, 0xee, 1, 127);
    for (number, first) in [(0, 40_u64), (1, 60)] {
        let at = 1024 + number * 128;
        disk[at..at + 32].fill(number as u8 + 1);
        disk[at + 32..at + 40].copy_from_slice(&first.to_le_bytes());
        disk[at + 40..at + 48].copy_from_slice(&(first + 9).to_le_bytes());
    }
    let array = crc32fast::hash(&disk[1024..1024 + 128 * 4]);
    let header = &mut disk[512..1024];
    header[..8].copy_from_slice(b"EFI PART");
    for (at, value) in [(8, 0x10000), (12, 92), (24, 1), (72, 2), (80, 4), (84, 128), (88, array)] {
        header[at..at + 4].copy_from_slice(&value.to_le_bytes());
    }
    let sum = crc32fast::hash(&header[..92]);
    header[16..20].copy_from_slice(&sum.to_le_bytes());
    disk
}

/// The magic numbers of those file systems that more is read of, all at once: patches decide which
/// one is seen.
fn filesystems() -> Vec<u8> {
    let mut disk = vec![0; 80 << 10];
    let fields: [(usize, &[u8]); 8] = [
        (0, b"\xeb\x3c\x90NTFS    \0\x02\x08"),
        (14, b"\x01\0\x02\0\x02\0\0\xf8\x10"),
        (32, b"\0\0\x02\0"),
        (64, b"\xf6"),
        (88, b"\x10\0\0\0\x10\0\0\0\x02\0\0\0\0\0\0\0\0\0\0\0\x09\x03"),
        (510, b"\x55\xaa"),
        (1024 + 0x38, b"\x53\xef"),
        (65600, b"_BHRfS_M"),
    ];
    fields.iter().for_each(|(at, bytes)| disk[*at..at + bytes.len()].copy_from_slice(bytes));
    disk
}

fn disk(input: &[u8]) -> Option<Vec<u8>> {
    let (base, mut patches) = input.split_first()?;
    let Some(mut disk) = BASES.get(usize::from(*base)).cloned() else {
        return Some(patches.to_vec());
    };
    while let [a, b, c, len, rest @ ..] = patches {
        let at = usize::from(*a) | usize::from(*b) << 8 | usize::from(*c & 0x1f) << 16;
        let bytes = &rest[..rest.len().min(usize::from(len % 16) + 1)];
        for (to, from) in disk.iter_mut().skip(at).zip(bytes) {
            *to = *from;
        }
        patches = &rest[bytes.len()..];
    }
    Some(disk)
}

fuzz_target!(|input: &[u8]| {
    let Some(disk) = disk(input) else { return };
    let found = find(&Memory::disk(disk)).expect("reading memory does not fail");
    assert!((1..=MOST).contains(&found.volumes.len()) || !found.warnings.is_empty());
    for volume in found.volumes {
        assert_bounded(volume.block.as_ref());
        assert!(!volume.name.chars().any(|c| c.is_control() || c.is_whitespace()));
    }
});
