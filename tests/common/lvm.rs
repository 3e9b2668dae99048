//! Volume groups of LVM2, made to measure: label, metadata, and extents that lie across each other.
//!
//! Written by the same documents as the reader, with a CRC of its own; lvm2's tools judge both.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex};

use stratus::error::{Error, Kind, Result};
use stratus::guest::block::Block;

const SECTOR: usize = 512;
/// Where the metadata area begins in a physical volume.
const AREA_START: usize = 4096;

/// A disk in memory.
pub struct Memory(pub Mutex<Vec<u8>>);

impl Memory {
    pub fn disk(bytes: Vec<u8>) -> Arc<dyn Block> {
        Arc::new(Memory(Mutex::new(bytes)))
    }

    fn with(&self, at: u64, len: u64, act: impl FnOnce(&mut [u8])) -> Result<()> {
        let mut bytes = self.0.lock().unwrap();
        let end = at.checked_add(len).filter(|end| *end <= bytes.len() as u64);
        let end = end.ok_or_else(|| Error::new(Kind::Internal, "beyond", format!("{at}+{len}")))?;
        act(&mut bytes[at as usize..end as usize]);
        Ok(())
    }
}

/// Asserts that a volume ends where it says: its last byte can be read, the next one cannot.
pub fn assert_bounded(block: &dyn Block) {
    let size = block.size();
    let mut byte = [0];
    assert!(block.read_at(&mut byte, size).is_err(), "a byte beyond the end");
    if size > 0 {
        block.read_at(&mut byte, size - 1).expect("the last byte");
    }
}

impl Block for Memory {
    fn size(&self) -> u64 {
        self.0.lock().unwrap().len() as u64
    }
    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        self.with(offset, buf.len() as u64, |bytes| buf.copy_from_slice(bytes))
    }
    fn write_at(&self, data: &[u8], offset: u64) -> Result<()> {
        self.with(offset, data.len() as u64, |bytes| bytes.copy_from_slice(data))
    }
    fn zero(&self, offset: u64, len: u64) -> Result<()> {
        self.with(offset, len, |bytes| bytes.fill(0))
    }
}

/// A logical volume that is wanted.
#[derive(Clone, Debug)]
pub struct Logical {
    pub name: String,
    /// A multiple of `stripes`.
    pub extents: u64,
    /// 1 is linear. At most as many as there are physical volumes.
    pub stripes: usize,
}

pub fn linear(name: &str, extents: u64) -> Logical {
    Logical { name: name.to_owned(), extents, stripes: 1 }
}

pub fn striped(name: &str, extents: u64, stripes: usize) -> Logical {
    Logical { name: name.to_owned(), extents, stripes }
}

/// How a group is laid out.
#[derive(Clone, Debug)]
pub struct Layout {
    /// Bytes of an extent: a power of 2, at least 4,096.
    pub extent: usize,
    /// Bytes of a chunk of stripes.
    pub chunk: usize,
    /// Number of physical volumes.
    pub physical: usize,
    /// Bytes of a metadata area, its header included.
    pub area: usize,
    /// The text begins so near the end of its ring that it goes on at the start.
    pub wrap: bool,
    /// Extents of a stripe that lie together: the volumes take turns, so smaller is more segments.
    pub piece: u64,
    /// The sector of the label, 0 to 3.
    pub label: usize,
}

impl Default for Layout {
    fn default() -> Self {
        Layout {
            extent: 1 << 20,
            chunk: 64 << 10,
            physical: 1,
            area: (1 << 20) - AREA_START,
            wrap: false,
            piece: 3,
            label: 1,
        }
    }
}

/// Bytes of a logical volume that lie together on a physical one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Number of the physical volume.
    pub on: usize,
    /// Where in it.
    pub at: usize,
    pub len: usize,
}

/// A group that was made.
#[derive(Clone, Debug)]
pub struct VolumeGroup {
    /// The physical volumes.
    pub disks: Vec<Vec<u8>>,
    /// Where the bytes of each logical volume are, in its order.
    pub runs: BTreeMap<String, Vec<Run>>,
    /// Its metadata.
    pub text: String,
    layout: Layout,
}

/// One segment while it is laid out; in extents.
struct Segment {
    start: u64,
    len: u64,
    stripes: Vec<(usize, u64)>,
}

/// Makes a volume group. Its UUIDs follow from its name.
pub fn volume_group(name: &str, volumes: &[Logical], layout: &Layout) -> VolumeGroup {
    let mut next = vec![0; layout.physical];
    let mut segments: Vec<Vec<Segment>> = volumes.iter().map(|_| Vec::new()).collect();
    let mut done = vec![0; volumes.len()];
    while (0..volumes.len()).any(|i| done[i] < volumes[i].extents) {
        for (i, volume) in volumes.iter().enumerate() {
            let stripes = volume.stripes as u64;
            let each = layout.piece.min((volume.extents - done[i]) / stripes);
            if each == 0 {
                assert_eq!(done[i], volume.extents, "extents must be a multiple of stripes");
                continue;
            }
            // Begin with the physical volume that has most room.
            let mut order: Vec<usize> = (0..layout.physical).collect();
            order.sort_by_key(|on| next[*on]);
            let places: Vec<_> =
                order[..volume.stripes].iter().map(|on| (*on, next[*on])).collect();
            places.iter().for_each(|(on, _)| next[*on] += each);
            segments[i].push(Segment { start: done[i], len: each * stripes, stripes: places });
            done[i] += each * stripes;
        }
    }
    let start = (AREA_START + layout.area).next_multiple_of(64 << 10);
    let text = text(name, volumes, &segments, layout, start, &next);
    let runs = volumes.iter().zip(&segments).map(|(volume, segments)| {
        (volume.name.clone(), segments.iter().flat_map(|s| runs(s, layout, start)).collect())
    });
    let mut group = VolumeGroup {
        disks: next.iter().map(|n| vec![0; start + *n as usize * layout.extent]).collect(),
        runs: runs.collect(),
        text: text.clone(),
        layout: layout.clone(),
    };
    group.write_metadata(&text);
    group
}

/// A UUID out of words.
pub fn id(words: &str) -> String {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut text = String::new();
    for i in 0..32 {
        for byte in words.bytes().chain([i]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        text.push(char::from(b'a' + ((hash >> 33) % 26) as u8));
    }
    text
}

/// The form with dashes.
pub fn dashed(id: &str) -> String {
    let parts = [(0, 6), (6, 10), (10, 14), (14, 18), (18, 22), (22, 26), (26, 32)];
    parts.map(|(from, to)| &id[from..to]).join("-")
}

fn physical_id(group: &str, number: usize) -> String {
    id(&format!("{group} pv{number}"))
}

fn text(
    name: &str,
    volumes: &[Logical],
    segments: &[Vec<Segment>],
    layout: &Layout,
    start: usize,
    counts: &[u64],
) -> String {
    let mut out = String::new();
    let w = &mut out;
    let sectors = layout.extent / SECTOR;
    writeln!(w, "{name} {{\nid = \"{}\"\nseqno = 2", dashed(&id(name))).unwrap();
    writeln!(w, "format = \"lvm2\"\nstatus = [\"RESIZEABLE\", \"READ\", \"WRITE\"]").unwrap();
    writeln!(w, "flags = []\nextent_size = {sectors}\nmax_lv = 0\nmax_pv = 0").unwrap();
    writeln!(w, "metadata_copies = 0\n\nphysical_volumes {{").unwrap();
    for (number, count) in counts.iter().enumerate() {
        let id = dashed(&physical_id(name, number));
        let size = (start + *count as usize * layout.extent) / SECTOR;
        writeln!(w, "\npv{number} {{\nid = \"{id}\"\ndevice = \"/dev/sda{number}\"\n").unwrap();
        writeln!(w, "status = [\"ALLOCATABLE\"]\nflags = []\ndev_size = {size}").unwrap();
        writeln!(w, "pe_start = {}\npe_count = {count}\n}}", start / SECTOR).unwrap();
    }
    writeln!(w, "}}\n\nlogical_volumes {{").unwrap();
    for (volume, segments) in volumes.iter().zip(segments) {
        let id = dashed(&id(&format!("{name}/{}", volume.name)));
        writeln!(w, "\n{} {{\nid = \"{id}\"", volume.name).unwrap();
        writeln!(w, "status = [\"READ\", \"WRITE\", \"VISIBLE\"]\nflags = []").unwrap();
        writeln!(w, "creation_time = 1700000000\t# a comment\ncreation_host = \"a \\\"b\\\"\"")
            .unwrap();
        writeln!(w, "segment_count = {}", segments.len()).unwrap();
        for (number, segment) in (1..).zip(segments) {
            let Segment { start, len, stripes } = segment;
            writeln!(w, "\nsegment{number} {{\nstart_extent = {start}").unwrap();
            writeln!(w, "extent_count = {len}\n\ntype = \"striped\"").unwrap();
            writeln!(w, "stripe_count = {}", stripes.len()).unwrap();
            if stripes.len() > 1 {
                writeln!(w, "stripe_size = {}", layout.chunk / SECTOR).unwrap();
            }
            let places: Vec<_> =
                stripes.iter().map(|(on, at)| format!("\"pv{on}\", {at}")).collect();
            writeln!(w, "\nstripes = [\n{}\n]\n}}", places.join(",\n")).unwrap();
        }
        writeln!(w, "}}").unwrap();
    }
    writeln!(w, "}}\n\n}}\n# Generated\n\ncontents = \"Text Format Volume Group\"").unwrap();
    writeln!(w, "version = 1\n\ndescription = \"\"\n\ncreation_host = \"host\"").unwrap();
    writeln!(w, "creation_time = 1700000000\n").unwrap();
    out
}

/// The bytes of a segment, chunk by chunk.
fn runs(segment: &Segment, layout: &Layout, start: usize) -> Vec<Run> {
    let place = |(on, extent): &(usize, u64)| (*on, start + *extent as usize * layout.extent);
    let each = segment.len as usize / segment.stripes.len() * layout.extent;
    if let [one] = segment.stripes.as_slice() {
        let (on, at) = place(one);
        return vec![Run { on, at, len: each }];
    }
    let rows = (0..each).step_by(layout.chunk);
    let row = |row: usize| {
        segment.stripes.iter().map(move |stripe| {
            let (on, at) = place(stripe);
            Run { on, at: at + row, len: layout.chunk }
        })
    };
    rows.flat_map(row).collect()
}

impl VolumeGroup {
    /// Bytes of a logical volume.
    pub fn size(&self, name: &str) -> usize {
        self.runs[name].iter().map(|run| run.len).sum()
    }

    /// Puts bytes into a logical volume, from its start.
    pub fn fill(&mut self, name: &str, mut bytes: &[u8]) {
        assert!(bytes.len() <= self.size(name), "{name} has only {} bytes", self.size(name));
        for run in &self.runs[name] {
            let (now, later) = bytes.split_at(run.len.min(bytes.len()));
            self.disks[run.on][run.at..run.at + now.len()].copy_from_slice(now);
            bytes = later;
        }
    }

    /// The bytes of a logical volume.
    pub fn contents(&self, name: &str) -> Vec<u8> {
        let runs = self.runs[name].iter();
        runs.flat_map(|run| &self.disks[run.on][run.at..run.at + run.len]).copied().collect()
    }

    /// Writes labels and areas with this metadata text.
    pub fn write_metadata(&mut self, text: &str) {
        let name = self.text.split_whitespace().next().unwrap().to_owned();
        for number in 0..self.disks.len() {
            let id = physical_id(&name, number);
            write_physical(&mut self.disks[number], &id, text.as_bytes(), &self.layout);
        }
    }

    /// All physical volumes as partitions of one disk, the first of which is sda1.
    pub fn on_one_disk(&self) -> (Vec<u8>, Vec<usize>) {
        let parts: Vec<_> = self.disks.iter().map(|disk| (0x8e, disk.as_slice())).collect();
        on_one_disk(&parts)
    }
}

/// Primary partitions of type and bytes, each from a MiB on. Returns where they begin.
pub fn on_one_disk(parts: &[(u8, &[u8])]) -> (Vec<u8>, Vec<usize>) {
    assert!(parts.len() <= 4);
    let mut disk = vec![0; 1 << 20];
    let mut starts = Vec::new();
    for (slot, (kind, bytes)) in parts.iter().enumerate() {
        starts.push(disk.len());
        let at = 0x1be + slot * 16;
        let (first, len) = (disk.len() / SECTOR, bytes.len() / SECTOR);
        disk[at + 4] = *kind;
        disk[at + 8..at + 12].copy_from_slice(&(first as u32).to_le_bytes());
        disk[at + 12..at + 16].copy_from_slice(&(len as u32).to_le_bytes());
        disk.extend_from_slice(bytes);
        disk.resize(disk.len().next_multiple_of(1 << 20), 0);
    }
    disk[0x1b8..0x1bc].copy_from_slice(&0x1234_abcd_u32.to_le_bytes());
    disk[510..512].copy_from_slice(&[0x55, 0xaa]);
    (disk, starts)
}

/// LVM2's CRC, a bit at a time.
pub fn crc(bytes: &[u8]) -> u32 {
    let mut crc = 0xf597_a6cf_u32;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
        }
    }
    crc
}

fn put(bytes: &mut [u8], at: usize, data: &[u8]) {
    bytes[at..at + data.len()].copy_from_slice(data);
}

/// Writes the label and the metadata area of one physical volume.
pub fn write_physical(disk: &mut [u8], id: &str, text: &[u8], layout: &Layout) {
    let start = (AREA_START + layout.area).next_multiple_of(64 << 10);
    let mut label = [0; SECTOR];
    put(&mut label, 0, b"LABELONE");
    put(&mut label, 8, &(layout.label as u64).to_le_bytes());
    put(&mut label, 20, &32_u32.to_le_bytes());
    put(&mut label, 24, b"LVM2 001");
    put(&mut label, 32, id.as_bytes());
    put(&mut label, 64, &(disk.len() as u64).to_le_bytes());
    // One place for the data, to the end; the end of that list; one area; the end.
    put(&mut label, 72, &(start as u64).to_le_bytes());
    put(&mut label, 104, &(AREA_START as u64).to_le_bytes());
    put(&mut label, 112, &(layout.area as u64).to_le_bytes());
    // The version of an extension without anything.
    put(&mut label, 136, &2_u32.to_le_bytes());
    let sum = crc(&label[20..]);
    put(&mut label, 16, &sum.to_le_bytes());
    put(disk, layout.label * SECTOR, &label);
    // LVM2 ends the text with a NUL, which counts.
    let text = [text, &[0]].concat();
    write_area(&mut disk[AREA_START..AREA_START + layout.area], &text, layout.wrap);
}

fn write_area(area: &mut [u8], text: &[u8], wrap: bool) {
    let len = area.len();
    assert!(text.len() <= len - SECTOR, "the text does not fit");
    let offset = if wrap { len - SECTOR * (text.len() / SECTOR / 2).max(1) } else { 1024 };
    let mut header = [0; SECTOR];
    put(&mut header, 4, b" LVM2 x[5A%r0N*>");
    put(&mut header, 20, &1_u32.to_le_bytes());
    put(&mut header, 24, &(AREA_START as u64).to_le_bytes());
    put(&mut header, 32, &(len as u64).to_le_bytes());
    put(&mut header, 40, &(offset as u64).to_le_bytes());
    put(&mut header, 48, &(text.len() as u64).to_le_bytes());
    put(&mut header, 56, &crc(text).to_le_bytes());
    let sum = crc(&header[4..]);
    put(&mut header, 0, &sum.to_le_bytes());
    put(area, 0, &header);
    let first = text.len().min(len - offset);
    put(area, offset, &text[..first]);
    put(area, SECTOR, &text[first..]);
}
