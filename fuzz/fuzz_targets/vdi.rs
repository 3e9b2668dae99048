//! The VDI reader on hostile files: it may refuse, but not panic, run away or contradict itself.
//!
//! The first byte chooses a valid image out of [`bases`]; the second how to open it; the rest are
//! patches on its header and map. So the fuzzer begins behind the signature and needs no seeds.
//! If the first byte chooses no base, the rest is the file.

#![no_main]

#[path = "../../tests/common/vdi.rs"]
#[allow(dead_code, reason = "the tests use all of it")]
mod model;

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use model::{Block, Vdi, Version};
use stratus::disk::{Content, Disk, Format, OpenDisk, OpenOptions, open};
use tempfile::TempDir;

/// Extents looked at; a forged disk may have 2^32 of them.
const EXTENTS: usize = 2000;
/// Bytes read at each place.
const READ: u64 = 1000;
/// Files are made at most this much longer than their bytes, as holes.
const LONGEST_TAIL: u64 = 8 << 20;
/// The same with salvage, which lists every entry of a map that lies in such a hole.
const LONGEST_TAIL_SALVAGED: u64 = 64 << 10;

struct World {
    folder: TempDir,
    leaf: File,
    bases: Vec<Vec<u8>>,
}

/// One folder, in memory where there is such a thing, with a parent that leaves can name.
static WORLD: LazyLock<World> = LazyLock::new(|| {
    let memory = PathBuf::from("/dev/shm");
    let place = if memory.is_dir() { memory } else { std::env::temp_dir() };
    let folder = tempfile::tempdir_in(place).expect("a folder");
    std::fs::write(folder.path().join("parent.vdi"), parent().bytes()).expect("the parent");
    let leaf = File::create(folder.path().join("leaf.vdi")).expect("the leaf");
    World { folder, leaf, bases: bases() }
});

const BLOCK: u32 = 128 << 10;
/// Where the earliest map begins, that of version 0.2.
const MAP: usize = 0x1a4;

/// Data that, taken for a piece of a map, has one block and then free ones: most numbers would be
/// far beyond the file, and marking them all is slow.
fn data(byte: u8) -> Block {
    let mut bytes = vec![0xff; 600];
    bytes[..4].copy_from_slice(&[byte, 0, 0, 0]);
    Block::Data(bytes)
}

fn parent() -> Vdi {
    let mut parent = Vdi::new(6 * u64::from(BLOCK), BLOCK).with(0, data(1)).with(3, data(2));
    parent.create = model::uuid(0xa1);
    parent
}

fn bases() -> Vec<Vec<u8>> {
    let plain = Vdi::new(6 * u64::from(BLOCK) - 1536, BLOCK)
        .with(0, data(3))
        .with(1, Block::Zero)
        .with(4, data(4))
        .with(5, data(5));
    let version = |version| Vdi { version, ..plain.clone() };
    let odd = Vdi { size: plain.size - 7, ..plain.clone() };
    let extra = Vdi { block_extra: 512, spare: 3, order: vec![2, 0, 1], ..plain.clone() };
    let child = plain.clone().over(&parent(), 0xb2);
    [version(Version::V0), version(Version::V1), plain, odd, extra, child]
        .iter()
        .map(Vdi::bytes)
        .collect()
}

/// Lays the file down and says how to open it.
fn lay(world: &World, input: &[u8]) -> Option<OpenOptions> {
    let [base, how, rest @ ..] = input else { return None };
    let (mut bytes, tail) = match world.bases.get(usize::from(*base)) {
        // Salvage takes entries as they come and marks each in a bitmap: small ones cost less.
        Some(base) => (patched(base.clone(), rest, how & 0x22 == 2), 0),
        None => (rest.to_vec(), u64::from(*base) << 16),
    };
    if how & 0x80 != 0 {
        bytes.truncate(bytes.len() - bytes.len().min(usize::from(*base) + 1));
    }
    world.leaf.set_len(0).expect("room");
    let longest = if how & 2 == 0 { LONGEST_TAIL } else { LONGEST_TAIL_SALVAGED };
    let len = bytes.len() as u64 + tail.min(longest);
    world.leaf.set_len(len).expect("room");
    for (number, page) in bytes.chunks(4096).enumerate() {
        if page.iter().any(|byte| *byte != 0) {
            world.leaf.write_all_at(page, number as u64 * 4096).expect("room");
        }
    }
    Some(OpenOptions {
        format: (how & 1 != 0).then_some(Format::Vdi),
        salvage: how & 2 != 0,
        this_layer: how & 4 != 0,
        align: (how & 8 != 0).then_some(1 << 20),
        ..OpenOptions::default()
    })
}

/// Each patch is a place, an operation and a word, of which only half counts if it is to be small.
fn patched(mut bytes: Vec<u8>, patches: &[u8], small: bool) -> Vec<u8> {
    for patch in patches.chunks_exact(7) {
        let [a, b, op, word @ ..] = patch else { continue };
        let at = usize::from(u16::from_le_bytes([*a, *b])) % 0x800;
        let Ok(mut word) = <[u8; 4]>::try_from(word) else { continue };
        if small {
            word[2..].fill(0);
            if at >= MAP && at % 4 > 1 {
                continue;
            }
        }
        match op % 4 {
            0 => bytes[at] = word[0],
            1 => bytes[at] ^= word[0],
            2 => bytes[at..at + 4].copy_from_slice(&word),
            // On a field's own place, with small steps.
            _ => {
                let at = at & !3;
                let old = u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
                let new = old.wrapping_add((word[0] as i8) as u32);
                bytes[at..at + 4].copy_from_slice(&new.to_le_bytes());
            }
        }
    }
    bytes
}

/// Extents tile the disk, are never absent, and what is zero reads as zeros; reading a place twice
/// gives the same. Returns whether it came to the end without an error.
fn walk(disk: &OpenDisk) -> bool {
    let (mut first, mut again) = (vec![0xaa; READ as usize], vec![0x55; READ as usize]);
    let mut offset = 0;
    for _ in 0..EXTENTS {
        if offset == disk.size() {
            return true;
        }
        let max = if offset % 3 == 0 { u64::MAX } else { 70_000 };
        let Ok(extent) = disk.extent_at(offset, max) else { return false };
        assert!(extent.len > 0 && extent.len <= max, "an extent of {} bytes", extent.len);
        assert!(extent.len <= disk.size() - offset, "an extent beyond the end");
        assert_ne!(extent.content, Content::Absent, "a whole disk has nothing absent");
        for place in [offset, offset + extent.len - extent.len.min(READ)] {
            let len = READ.min(extent.len) as usize;
            let (first, again) = (&mut first[..len], &mut again[..len]);
            let read = disk.read_at(first, place).is_ok();
            assert_eq!(read, disk.read_at(again, place).is_ok(), "reads differ at {place}");
            if read {
                assert_eq!(first, again, "at {place}");
            }
            if extent.content == Content::Zero {
                assert!(read && first.iter().all(|byte| *byte == 0), "zeros at {place}");
            }
        }
        offset += extent.len;
    }
    true
}

fuzz_target!(|input: &[u8]| {
    let world = &*WORLD;
    let Some(options) = lay(world, input) else { return };
    let path = world.folder.path().join("leaf.vdi");
    let Ok(disk) = open(&path, &options) else { return };
    assert!(disk.size().is_multiple_of(512), "size {}", disk.size());
    let mut beyond = [0];
    assert!(disk.read_at(&mut beyond, disk.size()).is_err(), "a byte beyond the end");
    let whole = walk(&disk);
    if !options.salvage {
        // Strict opening has seen the whole map: nothing is left to stumble over later.
        assert!(whole, "an error behind a clean opening");
        assert!(disk.damage().is_empty(), "damage without --salvage");
    }
    // It hashes the file's ends, which takes as long as all else together.
    if input[1] & 0x40 != 0 {
        disk.fingerprint().expect("a fingerprint");
    }
    disk.check_unchanged().expect("nobody else writes here");
});
