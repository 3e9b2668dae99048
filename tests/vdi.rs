//! The VDI reader against the model: images with random maps, sizes, headers and parents.

mod common;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use common::vdi::{Block, Vdi, Version, uuid};
use common::{exits, folder, folder_in_memory, gunzip, noise, run};
use proptest::collection::vec;
use proptest::prelude::*;
use sha1::{Digest, Sha1};
use stratus::disk::{self, Content, Disk, OpenDisk, OpenOptions};
use stratus::pipeline::{Compression, Control, Job, convert};

/// Sizes of a block and how often they are tried. Every legal size is read by the same code; the
/// large ones only cost time.
fn block_size() -> impl Strategy<Value = u32> {
    prop_oneof![
        4 => Just(128 << 10),
        3 => Just(256 << 10),
        3 => Just(512 << 10),
        4 => Just(1 << 20),
        2 => Just(2 << 20),
        2 => Just(4 << 20),
        1 => Just(8 << 20),
        1 => Just(16 << 20),
    ]
}

/// One layer as a recipe: what is drawn at random, without the bytes.
#[derive(Clone, Debug)]
struct Recipe {
    version: Version,
    image_type: u32,
    block_size: u32,
    block_extra: u32,
    /// Disk size in 512ths of the raw budget, before the tail.
    share: u16,
    /// Bytes beyond whole sectors (rounded down) and sectors beyond whole blocks.
    odd_bytes: u16,
    odd_sectors: u16,
    /// One letter a block: free, zero or data, with a seed.
    letters: Vec<(u8, u64)>,
    spare: u32,
    spare_data: bool,
    align: u32,
    map_gap: u32,
    shuffle: u64,
    /// Unused places between the stored blocks.
    gaps: bool,
    /// How much of the last block beyond the disk's end is missing in the file.
    cut: bool,
}

/// No disk is larger, so that a case takes milliseconds.
const BUDGET: u64 = 6 << 20;

fn recipe() -> impl Strategy<Value = Recipe> {
    let header = (
        prop_oneof![Just(Version::V0), Just(Version::V1), Just(Version::V1Plus)],
        prop_oneof![4 => Just(1u32), 1 => Just(2), 1 => Just(3)],
        block_size(),
        prop_oneof![3 => Just(0u32), 1 => Just(1), 1 => Just(512), 1 => Just(4096)],
    );
    let size = (1..=512u16, prop_oneof![2 => Just(0u16), 1 => 1..512u16], 0..2048u16);
    let map = (
        vec((0..4u8, any::<u64>()), 48),
        prop_oneof![2 => Just(0u32), 1 => 1..9u32],
        any::<bool>(),
        prop_oneof![Just(512u32), Just(1), Just(4096), Just(1 << 20)],
        prop_oneof![2 => Just(0u32), 1 => 1..5000u32],
    );
    (header, size, map, any::<u64>(), any::<bool>(), any::<bool>()).prop_map(
        |(header, size, map, shuffle, gaps, cut)| Recipe {
            version: header.0,
            image_type: header.1,
            block_size: header.2,
            block_extra: header.3,
            share: size.0,
            odd_bytes: size.1,
            odd_sectors: size.2,
            letters: map.0,
            spare: map.1,
            spare_data: map.2,
            align: map.3,
            map_gap: map.4,
            shuffle,
            gaps,
            cut,
        },
    )
}

/// Bytes of a block that differ at every sector but cost little to compress.
fn content(seed: u64, len: usize) -> Vec<u8> {
    let piece = noise(seed, 4096 - 8);
    let mut bytes = Vec::with_capacity(len + 4096);
    for number in 0u64.. {
        if bytes.len() >= len {
            break;
        }
        bytes.extend((seed ^ number).to_le_bytes());
        bytes.extend(&piece);
    }
    bytes.truncate(len);
    bytes
}

impl Recipe {
    fn size(&self) -> u64 {
        let block = u64::from(self.block_size);
        let whole = BUDGET * u64::from(self.share) / 512 / block * block;
        whole + 512 * (1 + u64::from(self.odd_sectors)) + u64::from(self.odd_bytes)
    }

    fn build(&self) -> Vdi {
        let mut vdi = Vdi::new(self.size(), self.block_size);
        vdi.version = self.version;
        vdi.image_type = self.image_type;
        vdi.block_extra = if self.version == Version::V0 { 0 } else { self.block_extra };
        vdi.map_offset += self.map_gap;
        vdi.data_align = self.align;
        vdi.spare = self.spare;
        if self.spare_data {
            // Blocks behind the disk's end may hold data, which nobody sees.
            vdi.blocks.extend([Block::Data(content(self.shuffle, 1000)), Block::Zero]);
        }
        let mut stored = 0;
        for (block, (letter, seed)) in vdi.blocks.iter_mut().zip(self.letters.iter().cycle()) {
            *block = match letter {
                0 => Block::Free,
                1 => Block::Zero,
                2 => Block::Data(content(*seed, self.block_size as usize)),
                // Data whose beginning is all there is: the rest of the block is zeros.
                _ => Block::Data(content(*seed, 700)),
            };
            stored += u32::from(matches!(block, Block::Data(_)));
        }
        vdi.order = permutation(stored, self.shuffle, self.gaps);
        if self.cut {
            vdi.cut_last = unseen_tail(&vdi);
        }
        vdi
    }
}

/// `count` places in random order, with a free place after each if there are to be gaps.
fn permutation(count: u32, seed: u64, gaps: bool) -> Vec<u32> {
    let step = if gaps { 2 } else { 1 };
    let mut order: Vec<u32> = (0..count).map(|n| n * step).collect();
    let random = noise(seed, 8 * order.len());
    for n in (1..order.len()).rev() {
        let word = u64::from_le_bytes(random[8 * n..8 * n + 8].try_into().unwrap());
        order.swap(n, (word % (n as u64 + 1)) as usize);
    }
    order
}

/// Bytes at the end of the file that lie behind the end of the disk: a file may lack them.
fn unseen_tail(vdi: &Vdi) -> u32 {
    let last_place = vdi.map().iter().filter(|e| **e < 0xffff_fffe).max().copied();
    let at_end = vdi.map().iter().position(|e| Some(*e) == last_place);
    let Some(block) = at_end.filter(|_| last_place.is_some()) else { return 0 };
    let size = vdi.size - vdi.size % 512;
    let end = (block as u64 + 1) * u64::from(vdi.block_size);
    end.saturating_sub(size).min(u64::from(vdi.block_size)) as u32
}

/// Writes the layers, base first, and returns the leaf's path and the model's disk.
fn write_chain(folder: &Path, layers: &[Recipe]) -> (PathBuf, Vec<u8>) {
    let mut below: Option<(Vdi, Vec<u8>)> = None;
    let mut leaf = PathBuf::new();
    for (number, recipe) in layers.iter().enumerate() {
        let mut vdi = recipe.build();
        vdi.create = uuid(number as u8 + 1);
        vdi.modify = uuid(number as u8 + 101);
        let parent = below.as_ref();
        if let Some((parent, _)) = parent {
            vdi = vdi.over(parent, number as u8 + 1);
        }
        let raw = vdi.raw(parent.map(|(_, raw)| raw.as_slice()));
        leaf = folder.join(format!("layer-{number}.vdi"));
        std::fs::write(&leaf, vdi.bytes()).unwrap();
        below = Some((vdi, raw));
    }
    (leaf, below.unwrap().1)
}

/// The whole disk: extents without gaps, whose zeros are zeros, and whose data reads as the model.
fn compare_extents(disk: &OpenDisk, model: &[u8], step: u64) {
    assert_eq!(disk.size(), model.len() as u64);
    let mut offset = 0;
    let mut usage = [0, 0];
    while offset < disk.size() {
        let extent = disk.extent_at(offset, step).unwrap();
        assert!((1..=step).contains(&extent.len), "{extent:?} at {offset}");
        assert!(offset + extent.len <= disk.size(), "{extent:?} at {offset}");
        let range = offset as usize..(offset + extent.len) as usize;
        match extent.content {
            Content::Zero => assert!(model[range].iter().all(|b| *b == 0), "lies at {offset}"),
            Content::Data => {
                let mut buf = vec![0x55; range.len()];
                disk.read_at(&mut buf, offset).unwrap();
                assert!(buf == model[range], "other bytes at {offset}");
            }
            Content::Absent => panic!("a whole disk has no absent bytes"),
        }
        usage[usize::from(extent.content == Content::Zero)] += extent.len;
        offset += extent.len;
    }
    let told = disk.usage().unwrap();
    assert_eq!([told.data, told.empty], usage);
}

/// Reads that begin and end anywhere.
fn compare_reads(disk: &OpenDisk, model: &[u8], seed: u64) {
    let random = noise(seed, 16 * 24);
    for pair in random.as_chunks::<16>().0 {
        let word = |at: usize| u64::from_le_bytes(pair[at..at + 8].try_into().unwrap()) as usize;
        let start = word(0) % model.len();
        let len = 1 + word(8) % (model.len() - start).min(1 << (1 + word(8) % 23));
        let mut buf = vec![0xaa; len.min(model.len() - start)];
        disk.read_at(&mut buf, start as u64).unwrap();
        assert!(buf == model[start..start + buf.len()], "{} bytes from {start}", buf.len());
    }
}

/// There are no short reads: what is not inside the disk is an error, also by one byte.
fn compare_end(disk: &OpenDisk) {
    let size = disk.size();
    let mut two = [0; 2];
    assert!(disk.read_at(&mut two, size - 1).is_err());
    assert!(disk.read_at(&mut two[..1], size).is_err());
    assert!(disk.read_at(&mut two[..1], u64::MAX).is_err());
    assert!(disk.read_at(&mut [], 0).is_ok());
    assert!(disk.extent_at(size, 1).is_err());
    assert!(disk.extent_at(u64::MAX, u64::MAX).is_err());
    disk.read_at(&mut two[..1], size - 1).unwrap();
}

fn read(path: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    File::open(path).unwrap().read_to_end(&mut bytes).unwrap();
    bytes
}

/// Converts in both forms and compares bytes and digests.
fn compare_output(folder: &Path, leaf: &Path, model: &[u8]) {
    let sha1: String = Sha1::digest(model).iter().map(|b| format!("{b:02x}")).collect();
    for compression in [Compression::Gz, Compression::None] {
        let output = folder.join("out").with_extension(compression.name());
        let job = Job { compression, threads: 2, ..common::job(leaf, &output) };
        let outcome = convert(&job, &Control::default()).unwrap();
        let bytes = match compression {
            Compression::Gz => gunzip(&read(&output)),
            Compression::None => read(&output),
        };
        assert!(bytes == model, "{compression:?}: other bytes");
        assert_eq!(outcome.record.raw.bytes, model.len() as u64);
        assert_eq!(outcome.record.raw.digests["sha1"], sha1);
    }
}

fn few() -> ProptestConfig {
    ProptestConfig { cases: 80, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(few())]

    #[test]
    fn any_single_image_becomes_what_the_model_says(
        recipe in recipe(), seed in any::<u64>(), step in 1u64..(5 << 20)
    ) {
        let folder = folder_in_memory();
        let (leaf, model) = write_chain(folder.path(), &[recipe]);
        let disk = disk::open(&leaf, &OpenOptions::default()).unwrap();
        compare_extents(&disk, &model, step.max(4096));
        compare_extents(&disk, &model, u64::MAX);
        compare_reads(&disk, &model, seed);
        compare_end(&disk);
        compare_output(folder.path(), &leaf, &model);
    }

    #[test]
    fn any_chain_becomes_what_the_model_says(
        layers in vec(recipe(), 2..=5), seed in any::<u64>(), step in 1u64..(5 << 20)
    ) {
        let folder = folder_in_memory();
        let (leaf, model) = write_chain(folder.path(), &layers);
        let disk = disk::open(&leaf, &OpenOptions::default()).unwrap();
        prop_assert_eq!(disk.layers.len(), layers.len());
        compare_extents(&disk, &model, step.max(4096));
        compare_reads(&disk, &model, seed);
        compare_end(&disk);
        compare_output(folder.path(), &leaf, &model);
    }
}

#[test]
fn every_header_version_reads_the_same() {
    for version in [Version::V0, Version::V1, Version::V1Plus] {
        let mut vdi =
            Vdi::new(3 << 20, 1 << 20).with(1, Block::Data(noise(1, 1 << 20))).with(2, Block::Zero);
        vdi.version = version;
        let folder = folder();
        std::fs::write(folder.path().join("a.vdi"), vdi.bytes()).unwrap();
        exits(&run(folder.path(), ["a.vdi"]), 0);
        let image = std::fs::read(folder.path().join("a.img.gz")).unwrap();
        assert!(gunzip(&image) == vdi.raw(None), "{version:?}");
    }
}

#[test]
fn every_legal_block_size_is_read() {
    // A sparse file, so that blocks of 128 MiB cost nothing.
    for shift in 17..=27 {
        let block = 1u32 << shift;
        let vdi = Vdi::new(u64::from(block) + 1024, block);
        let folder = folder();
        let path = folder.path().join("a.vdi");
        let mut bytes = vdi.bytes();
        let map = vdi.map_start();
        // The disk's last two sectors lie in file block 0, its first block in file block 1.
        bytes[map..map + 8].copy_from_slice(&[1, 0, 0, 0, 0, 0, 0, 0]);
        bytes[0x184..0x188].copy_from_slice(&2u32.to_le_bytes());
        std::fs::write(&path, &bytes).unwrap();
        let file = File::options().write(true).open(&path).unwrap();
        let data = vdi.data_start() as u64;
        let put = |bytes: &[u8], at: u64| {
            std::os::unix::fs::FileExt::write_all_at(&file, bytes, at).unwrap();
        };
        put(b"tail", data + 1020);
        put(b"first", data + u64::from(block));
        put(b"last", data + 2 * u64::from(block) - 4);
        let disk = disk::open(&path, &OpenOptions::default()).unwrap();
        let mut word = [0; 4];
        for (at, text) in [(0, b"firs"), (u64::from(block) - 4, b"last")] {
            disk.read_at(&mut word, at).unwrap();
            assert_eq!(&word, text, "{block} at {at}");
        }
        disk.read_at(&mut word, u64::from(block) + 1020).unwrap();
        assert_eq!(&word, b"tail", "{block}");
    }
}

#[test]
fn a_size_that_is_no_multiple_of_the_sector_is_rounded_down_and_said_to_be() {
    let vdi = Vdi::new((1 << 20) + 1000, 1 << 20)
        .with(0, Block::Data(content(1, 1 << 20)))
        .with(1, Block::Data(content(2, 1000)));
    let folder = folder();
    std::fs::write(folder.path().join("a.vdi"), vdi.bytes()).unwrap();
    let disk = disk::open(&folder.path().join("a.vdi"), &OpenOptions::default()).unwrap();
    assert_eq!(disk.size(), (1 << 20) + 512);
    let warning = disk.warnings.iter().find(|w| w.code == "vdi-size-rounded").unwrap();
    assert!(warning.message.contains("1049576"), "{}", warning.message);
    assert!(warning.message.contains("1049088"), "{}", warning.message);
}

#[test]
fn a_wrong_count_of_allocated_blocks_is_a_warning() {
    // VirtualBox itself leaves such counts behind after a crash, and the map is what is read.
    let vdi = Vdi::new(4 << 20, 1 << 20).with(0, Block::Data(content(1, 1 << 20)));
    let mut bytes = vdi.bytes();
    bytes[0x184..0x188].copy_from_slice(&3u32.to_le_bytes());
    let folder = folder();
    std::fs::write(folder.path().join("a.vdi"), bytes).unwrap();
    let disk = disk::open(&folder.path().join("a.vdi"), &OpenOptions::default()).unwrap();
    assert_eq!(disk.warnings.len(), 1);
    assert_eq!(disk.warnings[0].code, "vdi-allocated-count");
    compare_extents(&disk, &vdi.raw(None), u64::MAX);
}
