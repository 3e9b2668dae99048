//! Damaged, forged and misleading inputs: each is refused by name, quickly, in little memory, and
//! leaves nothing behind.

mod common;

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use common::vdi::{Block, Vdi, Version, uuid};
use common::{PROGRAM, exits, folder, folder_in_memory, names, noise, run, stderr};
use serde_json::Value;
use stratus::disk::{Disk, OpenOptions, open};
use stratus::error::Error;
use stratus::pipeline::{Compression, Control, Job, convert};

/// The block size of most images here: the smallest that is legal.
const B: u32 = 128 << 10;
const B64: u64 = B as u64;

// ---------------------------------------------------------------------------------------------
// The kit
// ---------------------------------------------------------------------------------------------

/// One way to go wrong, and what the program has to say about it.
struct Case {
    name: &'static str,
    /// Puts the files into the folder.
    make: Box<dyn Fn(&Path)>,
    args: Vec<&'static str>,
    exit: i64,
    code: &'static str,
    /// The file that the error names; empty if it names none.
    file: &'static str,
    offset: Option<u64>,
    /// Parts of the message: what was found, what is allowed.
    says: Vec<&'static str>,
}

fn case(name: &'static str, make: impl Fn(&Path) + 'static) -> Case {
    Case {
        name,
        make: Box::new(make),
        args: vec!["disk.vdi"],
        exit: 65,
        code: "",
        file: "disk.vdi",
        offset: None,
        says: Vec::new(),
    }
}

impl Case {
    fn refused(mut self, code: &'static str, says: &[&'static str]) -> Self {
        self.code = code;
        self.says = says.to_vec();
        self
    }
    fn at(mut self, offset: u64) -> Self {
        self.offset = Some(offset);
        self
    }
    fn exit(mut self, code: i64) -> Self {
        self.exit = code;
        self
    }
    fn input(mut self, args: &[&'static str]) -> Self {
        self.args = args.to_vec();
        self.file = args[args.len() - 1];
        self
    }
    fn in_file(mut self, file: &'static str) -> Self {
        self.file = file;
        self
    }
}

/// A sound image with all there is: data, zero, free, data out of order, a partial last block.
fn sound() -> Vdi {
    let mut vdi = Vdi::new(4 * B64 + 1536, B)
        .with(0, Block::Data(noise(1, B as usize)))
        .with(1, Block::Zero)
        .with(3, Block::Data(noise(3, B as usize)))
        .with(4, Block::Data(noise(4, 1536)));
    vdi.order = vec![2, 0, 1];
    vdi
}

fn sound_v0() -> Vdi {
    Vdi { version: Version::V0, ..sound() }
}

/// Where entry `n` of the map of [`sound`] is.
const fn entry(n: u64) -> u64 {
    0x200 + 4 * n
}

fn write(folder: &Path, name: &str, bytes: &[u8]) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

fn patched(vdi: &Vdi, patches: &[(u64, &[u8])]) -> Vec<u8> {
    let mut bytes = vdi.bytes();
    for (at, patch) in patches {
        bytes[*at as usize..*at as usize + patch.len()].copy_from_slice(patch);
    }
    bytes
}

/// The sound image with one word changed.
fn word(name: &'static str, at: u64, value: u32) -> Case {
    let make =
        move |f: &Path| write(f, "disk.vdi", &patched(&sound(), &[(at, &value.to_le_bytes())]));
    case(name, make).at(at)
}

/// The sound 0.2 image with one word changed.
fn word_v0(name: &'static str, at: u64, value: u32) -> Case {
    let make =
        move |f: &Path| write(f, "disk.vdi", &patched(&sound_v0(), &[(at, &value.to_le_bytes())]));
    case(name, make).at(at)
}

/// The sound image with other bytes changed.
fn bytes(name: &'static str, at: u64, value: &'static [u8]) -> Case {
    case(name, move |f: &Path| write(f, "disk.vdi", &patched(&sound(), &[(at, value)]))).at(at)
}

/// An image of one's own.
fn image(name: &'static str, make: impl Fn() -> Vdi + 'static) -> Case {
    case(name, move |f: &Path| write(f, "disk.vdi", &make().bytes()))
}

/// The sound image, cut to `len` bytes.
fn cut(name: &'static str, len: usize) -> Case {
    case(name, move |f: &Path| write(f, "disk.vdi", &sound().bytes()[..len]))
}

/// A file that begins with something else.
fn foreign(name: &'static str, at: usize, magic: &'static [u8]) -> Case {
    let make = move |f: &Path| {
        let mut bytes = vec![0; 4096];
        bytes[at..at + magic.len()].copy_from_slice(magic);
        write(f, "disk.vdi", &bytes);
    };
    case(name, make).refused("format-unsupported", &["which this version does not read"])
}

fn base() -> Vdi {
    sound()
}

fn child(parent: &Vdi, number: u8) -> Vdi {
    Vdi::new(parent.size, B)
        .over(parent, number)
        .with(0, Block::Data(noise(u64::from(number), B as usize)))
}

/// Sets the length of a file without writing to it.
fn sparse(path: &Path, len: u64) {
    File::options().write(true).open(path).unwrap().set_len(len).unwrap();
}

#[rustfmt::skip]
fn kit() -> Vec<Case> {
    vec![
        // The pre-header.
        word("no signature", 0x40, 0)
            .refused("vdi-signature", &["signature", "0xbeda107f"]),
        word("the signature with one bit wrong", 0x40, 0xbeda_107e)
            .refused("vdi-signature", &["signature", "0xbeda107f"]),
        word("the signature in the other byte order", 0x40, 0x7f10_dabe)
            .refused("vdi-signature", &["signature", "0xbeda107f"]),
        word("no signature, but said to be VDI", 0x40, 0x1234_5678)
            .input(&["--input-format", "vdi", "disk.vdi"])
            .refused("vdi-signature", &["0x12345678", "0xbeda107f"]),
        word("version 0.0", 0x44, 0).refused("vdi-version", &["0.0", "1.x or 0.2"]),
        word("version 0.1", 0x44, 1).refused("vdi-version", &["0.1", "1.x or 0.2"]),
        word("version 0.3", 0x44, 3).refused("vdi-version", &["0.3", "1.x or 0.2"]),
        word("version 2.0", 0x44, 0x2_0000).refused("vdi-version", &["2.0", "1.x or 0.2"]),
        word("version 2.2", 0x44, 0x2_0002).refused("vdi-version", &["2.2", "1.x or 0.2"]),
        word("version all ones", 0x44, !0).refused("vdi-version", &["65535.65535"]),

        // The header.
        word("cbHeader 0", 0x48, 0).refused("vdi-header-size", &["cbHeader is 0", "at least 384"]),
        word("cbHeader one byte short", 0x48, 0x17f)
            .refused("vdi-header-size", &["cbHeader is 383", "at least 384"]),
        word("cbHeader over the map", 0x48, 0x1b9).at(0x154)
            .refused("vdi-map-overlaps-header", &["offBlocks is 512", "at least 513"]),
        word("cbHeader beyond everything", 0x48, !0).at(0x154)
            .refused("vdi-map-overlaps-header", &["offBlocks is 512", "at least 4294967367"]),
        word("type 0", 0x4c, 0).refused("vdi-type", &["type is 0", "1, 2, 3 or 4"]),
        word("type 5", 0x4c, 5).refused("vdi-type", &["type is 5", "1, 2, 3 or 4"]),
        word("type all ones", 0x4c, !0).refused("vdi-type", &["type is 4294967295"]),
        word("an unknown flag", 0x50, 2).refused("vdi-flags", &["flags is 0x2", "0 or 1"]),
        word("the last flag", 0x50, 1 << 31).refused("vdi-flags", &["0x80000000", "0 or 1"]),
        word("offBlocks 0", 0x154, 0)
            .refused("vdi-map-overlaps-header", &["offBlocks is 0", "at least 472"]),
        word("offBlocks one byte into the header", 0x154, 0x1d7)
            .refused("vdi-map-overlaps-header", &["offBlocks is 471", "at least 472"]),
        word("offBlocks beyond the end", 0x154, !0).at(0x180)
            .refused("vdi-map-beyond-end", &["4294967315", "at most 394240"]),
        word("offBlocks one byte over the data", 0x154, 0x3ed).at(0x158)
            .refused("vdi-data-overlaps-map", &["offData is 1024", "at least 1025"]),
        word("offData 0", 0x158, 0)
            .refused("vdi-data-overlaps-map", &["offData is 0", "at least 532"]),
        word("offData one byte into the map", 0x158, 531)
            .refused("vdi-data-overlaps-map", &["offData is 531", "at least 532"]),
        word("offData one byte too far", 0x158, 0x401).at(entry(0))
            .refused("vdi-block-beyond-end", &["394241", "at most 394240"]),
        word("offData beyond the end", 0x158, !0).at(entry(0))
            .refused("vdi-block-beyond-end", &["4295360511", "at most 394240"]),
        word("LCHS sectors of 0 bytes", 0x1d4, 0).refused("vdi-geometry", &["is 0", "512"]),
        word("LCHS sectors of 4096 bytes", 0x1d4, 4096).refused("vdi-geometry", &["4096", "512"]),
        bytes("cbDisk 0", 0x170, &[0; 8]).refused("vdi-size", &["cbDisk is 0", "at least 512"]),
        bytes("cbDisk less than a sector", 0x170, &[0xff, 1, 0, 0, 0, 0, 0, 0])
            .refused("vdi-size", &["cbDisk is 511", "at least 512"]),
        bytes("cbDisk one byte more than the blocks", 0x170, &[1, 0, 0x0a, 0, 0, 0, 0, 0]).at(0x180)
            .refused("vdi-too-few-blocks", &["cBlocks is 5", "at least 6 for 655361 bytes"]),
        bytes("cbDisk all ones", 0x170, &[0xff; 8]).at(0x180)
            .refused("vdi-too-few-blocks", &["cBlocks is 5", "18446744073709551615 bytes"]),
        word("cbBlock 0", 0x178, 0).refused("vdi-block-size", &["cbBlock is 0", "power of two"]),
        word("cbBlock 1", 0x178, 1).refused("vdi-block-size", &["cbBlock is 1", "power of two"]),
        word("cbBlock 64 KiB", 0x178, 64 << 10)
            .refused("vdi-block-size", &["65536", "131072 to 134217728"]),
        word("cbBlock no power of two", 0x178, 3 * (64 << 10))
            .refused("vdi-block-size", &["196608", "power of two"]),
        word("cbBlock 256 MiB", 0x178, 256 << 20)
            .refused("vdi-block-size", &["268435456", "131072 to 134217728"]),
        word("cbBlock all ones", 0x178, !0).refused("vdi-block-size", &["4294967295"]),
        word("cbBlock larger than the data", 0x178, 8 << 20).at(entry(0))
            .refused("vdi-block-beyond-end", &["block 0", "at most 394240"]),
        word("cbBlockExtra no power of two", 0x17c, 3)
            .refused("vdi-block-extra", &["cbBlockExtra is 3", "0 or a power of two"]),
        word("cbBlockExtra 1 that is not there", 0x17c, 1).at(entry(0))
            .refused("vdi-block-beyond-end", &["394243", "at most 394240"]),
        word("cbBlockExtra 2 GiB", 0x17c, 1 << 31).at(entry(0))
            .refused("vdi-block-beyond-end", &["at most 394240"]),
        word("cBlocks 0", 0x180, 0).refused("vdi-too-few-blocks", &["cBlocks is 0", "at least 5"]),
        word("cBlocks one short", 0x180, 4)
            .refused("vdi-too-few-blocks", &["cBlocks is 4", "at least 5"]),
        word("cBlocks one entry over the data", 0x180, 129).at(0x158)
            .refused("vdi-data-overlaps-map", &["offData is 1024", "at least 1028"]),
        word("cBlocks beyond the end", 0x180, 1 << 20)
            .refused("vdi-map-beyond-end", &["4194816", "at most 394240"]),
        word("cBlocks all ones", 0x180, !0)
            .refused("vdi-map-beyond-end", &["17179869692", "at most 394240"]),
        word("more blocks allocated than there are", 0x184, 6)
            .refused("vdi-too-many-allocated", &["cBlocksAllocated is 6", "at most 5"]),
        bytes("no uuidCreate", 0x188, &[0; 16])
            .refused("vdi-null-uuid", &["uuidCreate", "00000000-0000-0000-0000-000000000000"]),
        bytes("no uuidModify", 0x198, &[0; 16])
            .refused("vdi-null-uuid", &["uuidModify", "00000000-0000-0000-0000-000000000000"]),
        bytes("a dynamic image with a parent", 0x1a8, &[7; 16])
            .refused("vdi-unexpected-linkage", &["07070707-0707-0707-0707-070707070707", "null"]),
        image("a fixed image with a parent", || {
            Vdi { image_type: 2, parent: uuid(7), ..sound() }
        }).at(0x1a8).refused("vdi-unexpected-linkage", &["uuidLinkage", "null"]),
        word("a differencing image without a parent", 0x4c, 4).at(0x1a8)
            .refused("vdi-no-linkage", &["uuidLinkage", "any but null"]),

        // The old header has the same fields at other places.
        word_v0("0.2: type 0", 0x48, 0).refused("vdi-type", &["type is 0"]),
        word_v0("0.2: flags", 0x4c, 4).refused("vdi-flags", &["0x4"]),
        word_v0("0.2: cbBlock", 0x168, 5).refused("vdi-block-size", &["cbBlock is 5"]),
        word_v0("0.2: cBlocks 0", 0x16c, 0).refused("vdi-too-few-blocks", &["cBlocks is 0"]),
        word_v0("0.2: cBlocks all ones", 0x16c, !0).refused("vdi-map-beyond-end", &["at most"]),
        word_v0("0.2: more blocks allocated than there are", 0x170, 7)
            .refused("vdi-too-many-allocated", &["cBlocksAllocated is 7"]),
        word_v0("0.2: one entry too many moves the data", 0x16c, 6).at(0x1a4)
            .refused("vdi-block-beyond-end", &["at most"]),
        case("0.2: cut in the header", |f| write(f, "disk.vdi", &sound_v0().bytes()[..0x1a0]))
            .at(0x194).refused("vdi-header-truncated", &["416", "at least 420"]),

        // The map against the file.
        cut("the last block lacks one visible byte", 0x400 + 3 * B as usize - 1).at(entry(0))
            .refused("vdi-block-beyond-end", &["block 0 (stored as 2) is 394240", "at most 394239"]),
        image("the last, partial block lacks one visible byte", || {
            let mut vdi = sound();
            vdi.order = vec![0, 1, 2];
            vdi.cut_last = B - 1535;
            vdi
        }).at(entry(4)).refused("vdi-block-beyond-end", &["block 4 (stored as 2)", "264703"]),
        word("a block right behind the end", entry(3), 3)
            .refused("vdi-block-beyond-end", &["block 3 (stored as 3)", "at most 394240"]),
        word("a block far behind the end", entry(3), 0x7fff_ffff)
            .refused("vdi-block-beyond-end", &["stored as 2147483647", "at most 394240"]),
        word("the highest block number", entry(3), 0xffff_fffd)
            .refused("vdi-block-beyond-end", &["stored as 4294967293", "at most 394240"]),
        case("the highest address that can be written", |f| {
            let patches: [(u64, &[u8]); 3] =
                [(0x178, &[0, 0, 0, 8]), (0x17c, &[0, 0, 0, 0x80]), (entry(0), &[0xfd, 255, 255, 255])];
            write(f, "disk.vdi", &patched(&sound(), &patches));
        }).at(entry(0)).refused("vdi-block-beyond-end", &["4294967293", "at most 394240"]),
        word("two entries on one block", entry(3), 2)
            .refused("vdi-block-used-twice", &["block 3 is 2", "block 0", "a place of its own"]),
        word("the partial last block on another", entry(4), 0)
            .refused("vdi-block-used-twice", &["block 4 is 0", "block 3"]),
        image("a spare entry on a block of the disk", || {
            let mut vdi = sound();
            vdi.blocks.push(Block::Data(Vec::new()));
            vdi.order = vec![0, 1, 2, 1];
            vdi
        }).at(entry(5)).refused("vdi-block-used-twice", &["block 5 is 1", "block 3"]),
        case("two entries on one block, far apart", |f| {
            // 10,000 entries: more than one page of the map is in memory at a time.
            let mut vdi = Vdi::new(10_000 * B64, B).with(0, Block::Data(noise(1, 512)));
            vdi = vdi.with(9_999, Block::Data(noise(2, 512)));
            vdi.order = vec![0, 0];
            write(f, "disk.vdi", &vdi.bytes());
        }).at(0x200 + 4 * 9_999).refused("vdi-block-used-twice", &["block 9999 is 0", "block 0"]),
        case("a map of 16 GiB in a sparse file", |f| {
            // 4 billion zeros, all of which name block 0.
            let vdi = Vdi { version: Version::V0, ..Vdi::new(B64, B) };
            write(f, "disk.vdi", &patched(&vdi, &[(0x16c, &[0xff; 4])])[..0x1a4]);
            sparse(&f.join("disk.vdi"), 1 << 40);
        }).at(0x1a8).refused("vdi-block-used-twice", &["block 1 is 0", "block 0"]),
        case("a map of 4 GiB in a sparse file", |f| {
            let vdi = Vdi::new(B64, B).with(0, Block::Data(Vec::new()));
            let blocks = 0x3f00_0000u32;
            let data = 0x200 + 4 * blocks;
            let patches: [(u64, &[u8]); 2] =
                [(0x180, &blocks.to_le_bytes()), (0x158, &data.to_le_bytes())];
            write(f, "disk.vdi", &patched(&vdi, &patches)[..0x204]);
            sparse(&f.join("disk.vdi"), 1 << 40);
        }).at(entry(1)).refused("vdi-block-used-twice", &["block 1 is 0", "block 0"]),

        // Files that end early.
        cut("one byte", 1).refused("format-unknown", &["no disk image"]),
        cut("only the text", 0x20).refused("vdi-signature", &[]).at(0x40),
        cut("only the signature", 0x44).refused("vdi-header-truncated", &["68"]).at(0x44),
        cut("only the pre-header", 0x48).refused("vdi-header-truncated", &["72", "76"]).at(0x48),
        cut("no UUIDs", 0x188).refused("vdi-header-truncated", &["392"]).at(0x1d4),
        cut("no map", 0x200).refused("vdi-map-beyond-end", &["532", "at most 512"]).at(0x180),
        cut("a map that lacks one byte", 0x213)
            .refused("vdi-map-beyond-end", &["532", "at most 531"]).at(0x180),
        cut("no data", 0x214).refused("vdi-block-beyond-end", &["at most 532"]).at(entry(0)),
        case("an empty file", |f| write(f, "disk.vdi", b""))
            .refused("source-empty", &["empty"]),

        // What is no VDI, whatever its name says.
        foreign("VMDK", 0, b"KDMV"),
        foreign("VMDK, COWD", 0, b"COWD"),
        foreign("VMDK, seSparse", 0, &[0xbe, 0xba, 0xfe, 0xca, 0, 0, 0, 0]),
        foreign("a VMDK descriptor", 0, b"# Disk DescriptorFile\nversion=1\n"),
        foreign("VHD, dynamic", 0, b"conectix"),
        foreign("VHD, fixed: only the last sector tells", 4096 - 512, b"conectix"),
        foreign("VHDX", 0, b"vhdxfile"),
        foreign("QCOW2", 0, b"QFI\xfb\0\0\0\x03"),
        foreign("QED", 0, b"QED\0"),
        foreign("Parallels", 0, b"WithoutFreeSpace"),
        foreign("Parallels, extended", 0, b"WithouFreSpacExt"),
        foreign("an Apple disk image", 4096 - 512, b"koly"),
        foreign("a tar archive", 257, b"ustar\x0000"),
        foreign("gzip", 0, &[0x1f, 0x8b, 8, 0]),
        foreign("xz", 0, b"\xfd7zXZ\0"),
        foreign("zstd", 0, &[0x28, 0xb5, 0x2f, 0xfd]),
        foreign("zip", 0, b"PK\x03\x04"),
        foreign("XML", 0, b"<?xml version=\"1.0\"?>\n<VirtualBox/>"),
        foreign("QCOW2, said to be VDI", 0, b"QFI\xfb\0\0\0\x03")
            .input(&["--input-format", "vdi", "disk.vdi"]).at(0x40)
            .refused("vdi-signature", &["0x00000000", "0xbeda107f"]),
        case("text", |f| write(f, "disk.vdi", &b"It was a dark and stormy night. ".repeat(200)))
            .refused("format-unknown", &["no disk image"]),
        case("zeros", |f| write(f, "disk.vdi", &[0; 8192]))
            .refused("format-unknown", &["no disk image"]),
        case("noise", |f| write(f, "disk.vdi", &noise(9, 8192)))
            .refused("format-unknown", &["no disk image"]),
        case("a raw disk that was cut", |f| {
            let mut bytes = vec![0; 1000];
            bytes[510..512].copy_from_slice(&[0x55, 0xaa]);
            write(f, "disk.raw", &bytes);
        }).input(&["disk.raw"]).refused("raw-size", &["1000", "512"]),

        // What is no file.
        case("nothing", |_| ()).exit(66).refused("source-open", &["No such file"]),
        case("a folder", |f| fs::create_dir(f.join("disk.vdi")).unwrap())
            .refused("source-kind", &["a directory"]),
        case("a FIFO", |f| mkfifo(&f.join("disk.vdi"))).refused("source-kind", &["a FIFO"]),
        case("a symlink to a FIFO", |f| {
            mkfifo(&f.join("pipe"));
            symlink("pipe", f.join("disk.vdi")).unwrap();
        }).refused("source-kind", &["a FIFO"]),
        case("a socket", |f| {
            drop(std::os::unix::net::UnixListener::bind(f.join("disk.vdi")).unwrap());
        }).refused("source-kind", &["a socket"]),
        case("a character device", |_| ()).input(&["/dev/zero"])
            .refused("source-kind", &["a character device"]),
        case("a terminal's device", |_| ()).input(&["/dev/ptmx"])
            .refused("source-kind", &["a character device"]),
        case("a symlink to nothing", |f| symlink("gone", f.join("disk.vdi")).unwrap())
            .exit(66).refused("source-open", &["No such file"]),
        case("a symlink to itself", |f| symlink("disk.vdi", f.join("disk.vdi")).unwrap())
            .exit(74).refused("source-open", &["Too many levels"]),
        case("a path through a file", |f| write(f, "disk.vdi", &sound().bytes()))
            .input(&["disk.vdi/x"]).exit(66).refused("source-open", &["Not a directory"]),

        // The family.
        case("its own parent", |f| {
            let mut vdi = sound();
            (vdi.image_type, vdi.parent, vdi.parent_modify) = (4, vdi.create, vdi.modify);
            write(f, "disk.vdi", &vdi.bytes());
        }).refused("vdi-parent-cycle", &["cycle", "c1c1c1c1-c1c1-c1c1-c1c1-c1c1c1c1c1c1"]),
        case("a cycle of two", |f| cycle(f, 2))
            .in_file("layer-1.vdi")
            .refused("vdi-parent-cycle", &["disk.vdi (01010101-", "layer-1.vdi (02020202-"]),
        case("a cycle of three", |f| cycle(f, 3))
            .in_file("layer-2.vdi")
            .refused("vdi-parent-cycle", &["disk.vdi (01010101-", "layer-2.vdi (03030303-"]),
        case("a cycle above which the disk lies", |f| {
            cycle(f, 2);
            let first = Vdi { create: uuid(1), modify: uuid(0x81), ..sound() };
            write(f, "leaf.vdi", &child(&first, 9).bytes());
        }).input(&["leaf.vdi"]).in_file("layer-1.vdi")
            .refused("vdi-parent-cycle", &["disk.vdi (01010101-", "layer-1.vdi (02020202-"]),
        case("no parent", |f| write(f, "disk.vdi", &child(&base(), 2).bytes()))
            .exit(66).refused("vdi-parent-missing", &[
                "c1c1c1c1-c1c1-c1c1-c1c1-c1c1c1c1c1c1", "d1d1d1d1-d1d1-d1d1-d1d1-d1d1d1d1d1d1",
                "searched in", "Snapshots"]),
        case("a parent without its parent", |f| {
            let middle = child(&base(), 2);
            write(f, "middle.vdi", &middle.bytes());
            write(f, "disk.vdi", &child(&middle, 3).bytes());
        }).exit(66).in_file("middle.vdi").refused("vdi-parent-missing", &["c1c1c1c1-"]),
        case("two copies of the parent", |f| {
            write(f, "base.vdi", &base().bytes());
            write(f, "Snapshots/copy.vdi", &base().bytes());
            write(f, "disk.vdi", &child(&base(), 2).bytes());
        }).refused("vdi-parent-ambiguous", &["base.vdi", "copy.vdi", "c1c1c1c1-", "d1d1d1d1-"]),
        case("a parent that was written to", |f| {
            write(f, "base.vdi", &Vdi { modify: uuid(0xd2), ..base() }.bytes());
            write(f, "disk.vdi", &child(&base(), 2).bytes());
        }).refused("vdi-parent-changed", &[
            "base.vdi", "d2d2d2d2-d2d2-d2d2-d2d2-d2d2d2d2d2d2",
            "d1d1d1d1-d1d1-d1d1-d1d1-d1d1d1d1d1d1", "searched in"]),
        case("a named parent that was written to", |f| {
            // Found twice, by name and by search, but it is one file.
            write(f, "base.vdi", &Vdi { modify: uuid(0xd2), ..base() }.bytes());
            write(f, "disk.vdi", &child(&base(), 2).bytes());
        }).input(&["--parent", "base.vdi", "disk.vdi"])
            .refused("vdi-parent-changed", &["d2d2d2d2-", "d1d1d1d1-"]),
        case("a parent with a damaged header", |f| {
            write(f, "base.vdi", &patched(&base(), &[(0x50, &[8])]));
            write(f, "disk.vdi", &child(&base(), 2).bytes());
        }).in_file("base.vdi").at(0x50).refused("vdi-flags", &["0x8"]),
        case("a parent with a damaged map", |f| {
            write(f, "base.vdi", &patched(&base(), &[(entry(3), &[2])]));
            write(f, "disk.vdi", &child(&base(), 2).bytes());
        }).in_file("base.vdi").at(entry(3)).refused("vdi-block-used-twice", &["block 3 is 2"]),
        case("a parent that was cut", |f| {
            write(f, "base.vdi", &base().bytes()[..0x208]);
            write(f, "disk.vdi", &child(&base(), 2).bytes());
        }).in_file("base.vdi").at(0x180).refused("vdi-map-beyond-end", &["at most 520"]),
        case("a parent that lacks one byte", |f| {
            write(f, "base.vdi", &base().bytes()[..0x400 + 3 * B as usize - 1]);
            write(f, "disk.vdi", &child(&base(), 2).bytes());
        }).in_file("base.vdi").at(entry(0)).refused("vdi-block-beyond-end", &["at most 394239"]),
        case("a parent that is only a symlink", |f| {
            // Following names found in a folder would let a disk pull in files from anywhere.
            write(f, "elsewhere/deeper/base.vdi", &base().bytes());
            symlink("elsewhere/deeper/base.vdi", f.join("base.vdi")).unwrap();
            write(f, "disk.vdi", &child(&base(), 2).bytes());
        }).exit(66).refused("vdi-parent-missing", &["c1c1c1c1-"]),
        case("a parent's name on a FIFO", |f| {
            mkfifo(&f.join("base.vdi"));
            write(f, "disk.vdi", &child(&base(), 2).bytes());
        }).exit(66).refused("vdi-parent-missing", &["c1c1c1c1-"]),
        case("--parent names something else", |f| {
            write(f, "other.vdi", &Vdi { create: uuid(0x77), ..base() }.bytes());
            write(f, "disk.vdi", &child(&base(), 2).bytes());
        }).input(&["--parent", "other.vdi", "disk.vdi"]).exit(66)
            .refused("vdi-parent-missing", &["other.vdi", "c1c1c1c1-"]),
        case("--parent names a FIFO", |f| {
            mkfifo(&f.join("pipe"));
            write(f, "disk.vdi", &child(&base(), 2).bytes());
        }).input(&["--parent", "pipe", "disk.vdi"]).exit(66)
            .refused("vdi-parent-missing", &["pipe", "c1c1c1c1-"]),
        case("a base whose child lies beside it", |f| {
            write(f, "disk.vdi", &base().bytes());
            write(f, "later.vdi", &child(&base(), 2).bytes());
        }).refused("vdi-has-children", &["later.vdi", "c1c1c1c1-", "not the machine's current"]),
        case("a base whose child lies in Snapshots", |f| {
            write(f, "disk.vdi", &base().bytes());
            write(f, "Snapshots/{02}.vdi", &child(&base(), 2).bytes());
        }).refused("vdi-has-children", &["Snapshots/{02}.vdi"]),
        case("a layer in Snapshots whose child lies above", |f| {
            write(f, "Snapshots/disk.vdi", &base().bytes());
            write(f, "later.vdi", &child(&base(), 2).bytes());
        }).input(&["Snapshots/disk.vdi"]).refused("vdi-has-children", &["later.vdi"]),
        case("a layer in the middle", |f| {
            let middle = child(&base(), 2);
            write(f, "base.vdi", &base().bytes());
            write(f, "disk.vdi", &middle.bytes());
            write(f, "later.vdi", &child(&middle, 3).bytes());
        }).refused("vdi-has-children", &["later.vdi", "02020202-"]),
        case("a base named by a symlink from elsewhere", |f| {
            write(f, "machine/base.vdi", &base().bytes());
            write(f, "machine/later.vdi", &child(&base(), 2).bytes());
            symlink("machine/base.vdi", f.join("disk.vdi")).unwrap();
        }).in_file("machine/base.vdi").refused("vdi-has-children", &["later.vdi"]),
        case("a base whose child is damaged", |f| {
            // The cut child was the current state; the base is not, because of that.
            write(f, "disk.vdi", &base().bytes());
            write(f, "later.vdi", &child(&base(), 2).bytes()[..0x202]);
        }).refused("vdi-has-children", &["later.vdi"]),
        case("a base whose child cannot be salvaged away", |f| {
            write(f, "disk.vdi", &base().bytes());
            write(f, "later.vdi", &child(&base(), 2).bytes());
        }).input(&["--salvage", "disk.vdi"]).refused("vdi-has-children", &["later.vdi"]),
    ]
}

fn mkfifo(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

/// `count` differencing images, each over the next, and the last over the first, `disk.vdi`.
fn cycle(folder: &Path, count: u8) {
    let layer = |n: u8| Vdi { create: uuid(n + 1), modify: uuid(n + 0x81), ..sound() };
    for n in 0..count {
        let parent = layer((n + 1) % count);
        let vdi =
            Vdi { image_type: 4, parent: parent.create, parent_modify: parent.modify, ..layer(n) };
        let name = if n == 0 { "disk.vdi".to_owned() } else { format!("layer-{n}.vdi") };
        write(folder, &name, &vdi.bytes());
    }
}

/// No more address space than this, threads' stacks included.
const MEMORY_KIB: u64 = 600 << 10;

/// Runs the program with little memory and little time.
fn run_limited(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("ulimit -v {MEMORY_KIB}; exec \"$0\" \"$@\"")).arg(PROGRAM);
    command.arg("--no-context").args(args).current_dir(folder).env_clear();
    command.env("PATH", std::env::var_os("PATH").unwrap()).env("HOME", folder);
    let mut running =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let start = Instant::now();
    while running.try_wait().unwrap().is_none() {
        if start.elapsed() > Duration::from_secs(5) {
            running.kill().unwrap();
            panic!("{args:?}: not done after 5 seconds");
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    running.wait_with_output().unwrap()
}

/// Everything in a folder and below: names, lengths, times. Two listings are equal if nothing
/// appeared, disappeared or was written to.
fn listing(folder: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let meta = fs::symlink_metadata(&path).unwrap();
            let time = meta.modified().unwrap();
            lines.push(format!("{} {} {time:?}", path.display(), meta.len()));
            if meta.is_dir() {
                folders.push(path);
            }
        }
    }
    lines.sort();
    lines
}

/// The error line of `--json`.
fn json_error(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().last().unwrap_or_default();
    let mut value: Value = serde_json::from_str(line).unwrap_or_default();
    value["error"].take()
}

/// What is wrong with the answer to a case; nothing, if it is right.
fn complaints(case: &Case, output: &Output) -> Vec<String> {
    let error = json_error(output);
    let message = error["message"].as_str().unwrap_or_default();
    let path = error["path"].as_str().unwrap_or_default();
    let code = output.status.code().map(i64::from);
    let mut wrong = Vec::new();
    let mut expect = |good: bool, what: String| {
        if !good {
            wrong.push(what);
        }
    };
    expect(code == Some(case.exit), format!("exit {code:?}, not {}", case.exit));
    expect(error["exit"] == case.exit, format!("exit {} in JSON", error["exit"]));
    expect(error["code"] == case.code, format!("code {}, not {}", error["code"], case.code));
    expect(path.ends_with(case.file), format!("path {path}, not {}", case.file));
    expect(error["offset"].as_u64() == case.offset, format!("offset {}", error["offset"]));
    expect(error["remedy"].is_string(), "no remedy".to_owned());
    for part in &case.says {
        expect(message.contains(part), format!("'{part}' is not in '{message}'"));
    }
    expect(!stderr(output).contains("panicked"), "panicked".to_owned());
    wrong
}

#[test]
fn every_flaw_of_the_kit_is_refused_by_its_name_and_leaves_nothing_behind() {
    let kit = kit();
    assert!(kit.len() >= 60, "{} cases", kit.len());
    let mut wrong = Vec::new();
    for case in &kit {
        let folder = folder();
        (case.make)(folder.path());
        let before = listing(folder.path());
        for mode in [&[][..], &["-C", "none", "--force"], &["--check"], &["--dry-run"]] {
            let args: Vec<&str> =
                ["--json"].iter().chain(mode).chain(&case.args).copied().collect();
            let output = run_limited(folder.path(), &args);
            let found = complaints(case, &output);
            wrong.extend(found.into_iter().map(|what| format!("{} {mode:?}: {what}", case.name)));
            if listing(folder.path()) != before {
                wrong.push(format!("{} {mode:?}: leaves {:?}", case.name, names(folder.path())));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_image_that_the_kit_damages_is_sound() {
    // Else the kit would prove nothing.
    for vdi in [sound(), sound_v0()] {
        let folder = folder();
        write(folder.path(), "disk.vdi", &vdi.bytes());
        exits(&run(folder.path(), ["-C", "none", "disk.vdi"]), 0);
        assert!(fs::read(folder.path().join("disk.img")).unwrap() == vdi.raw(None));
    }
}

#[test]
fn what_may_not_be_read_is_refused_as_that() {
    let folder = folder();
    write(folder.path(), "disk.vdi", &sound().bytes());
    write(folder.path(), "stratus-convert", &fs::read(PROGRAM).unwrap());
    let program = folder.path().join("stratus-convert");
    let mode =
        |path: &Path, mode| fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    mode(folder.path(), 0o777);
    mode(&program, 0o755);
    mode(&folder.path().join("disk.vdi"), 0o000);
    let mut command = Command::new(&program);
    command.args(["--no-context", "--json", "disk.vdi"]).current_dir(folder.path()).env_clear();
    if rustix::process::geteuid().is_root() {
        // Root may read everything.
        command.uid(65534).gid(65534);
    }
    let output = command.output().unwrap();
    exits(&output, 77);
    let error = json_error(&output);
    assert_eq!(error["code"], "source-open");
    assert_eq!(error["kind"], "permission");
    assert_eq!(error["path"], "disk.vdi");
    assert_eq!(names(folder.path()), ["disk.vdi", "stratus-convert"]);
}

#[test]
fn this_layer_is_what_the_user_says_where_children_lie_beside_it() {
    let folder = folder();
    let middle = child(&base(), 2);
    write(folder.path(), "base.vdi", &base().bytes());
    write(folder.path(), "Snapshots/middle.vdi", &middle.bytes());
    write(folder.path(), "Snapshots/leaf.vdi", &child(&middle, 3).bytes());
    let below = base().raw(None);
    for (name, raw) in [("base", below.clone()), ("Snapshots/middle", middle.raw(Some(&below)))] {
        let input = format!("{name}.vdi");
        exits(&run(folder.path(), ["--check", &input]), 65);
        exits(&run(folder.path(), ["--this-layer", "-C", "none", "-o", "out.img", &input]), 0);
        assert!(fs::read(folder.path().join("out.img")).unwrap() == raw, "{name}");
        fs::remove_file(folder.path().join("out.img")).unwrap();
        fs::remove_file(folder.path().join("out.img.json")).unwrap();
    }
}

// ---------------------------------------------------------------------------------------------
// Every truncation, every word of the header
// ---------------------------------------------------------------------------------------------

/// Converts through the library: the bytes, or the refusal. A panic is neither.
fn converted(folder: &Path, input: &Path) -> Result<Vec<u8>, Error> {
    let output = folder.join("out/image");
    let _ = fs::remove_dir_all(folder.join("out"));
    fs::create_dir(folder.join("out")).unwrap();
    let job = Job {
        compression: Compression::None,
        checksums: Vec::new(),
        threads: 1,
        ..common::job(input, &output)
    };
    let result = catch_unwind(AssertUnwindSafe(|| convert(&job, &Control::default())));
    let result = result.unwrap_or_else(|_| panic!("{} panics", input.display()));
    match result {
        Ok(_) => Ok(fs::read(&output).unwrap()),
        Err(error) => {
            assert_eq!(names(&folder.join("out")), [""; 0], "left behind after {error}");
            Err(error)
        }
    }
}

/// Two data blocks, out of order, and one that is nowhere.
fn small() -> Vdi {
    let mut vdi = Vdi::new(2 * B64 + 512, B)
        .with(0, Block::Data(noise(11, B as usize)))
        .with(2, Block::Data(noise(12, B as usize)));
    vdi.order = vec![1, 0];
    vdi
}

#[test]
fn an_image_cut_anywhere_is_refused_or_still_complete() {
    let partial_last = || Vdi { order: vec![0, 1], ..small() };
    let old = || Vdi { version: Version::V0, ..partial_last() };
    for vdi in [small(), partial_last(), old()] {
        let folder = folder_in_memory();
        let path = folder.path().join("disk.vdi");
        let bytes = vdi.bytes();
        fs::write(&path, &bytes).unwrap();
        let model = vdi.raw(None);
        let mut lens: Vec<usize> = (0..bytes.len()).step_by(512).collect();
        let random = noise(vdi.order[0].into(), 8 * 1000);
        let random = random.as_chunks().0.iter().map(|word| u64::from_le_bytes(*word));
        lens.extend(random.map(|word| word as usize % bytes.len()));
        // The first byte that may be missing, and the last that may not.
        let needed = [vdi.data_start() + 2 * B as usize, vdi.data_start() + B as usize + 512];
        lens.extend(needed.iter().flat_map(|n| [n - 1, *n]).filter(|n| *n <= bytes.len()));
        lens.sort_unstable();
        let complete = if vdi.order[0] == 1 { needed[0] } else { needed[1] };
        for len in lens.into_iter().rev() {
            sparse(&path, len as u64);
            match converted(folder.path(), &path) {
                Ok(image) => {
                    assert!(image == model, "cut to {len}: other bytes");
                    assert!(len >= complete, "cut to {len}: taken for complete");
                }
                Err(error) => {
                    assert!(len < complete, "cut to {len}: {error}");
                    assert_eq!(error.kind().exit_code(), 65, "cut to {len}: {error}");
                }
            }
        }
    }
}

/// What a header says, read without the program's help.
fn independent_reading(file: &[u8], parent: Option<&[u8]>) -> Option<Vec<u8>> {
    let word =
        |at: usize| Some(u32::from_le_bytes(file.get(at..at + 4)?.try_into().ok()?) as usize);
    let old = word(0x44)? == 2;
    let at = |new, old_place| if old { old_place } else { new };
    let size = word(at(0x170, 0x160))? | word(at(0x174, 0x164))? << 32;
    let size = size / 512 * 512;
    let block = word(at(0x178, 0x168))?;
    let extra = if old { 0 } else { word(0x17c)? };
    let blocks = word(at(0x180, 0x16c))?;
    let map = if old { 0x1a4 } else { word(0x154)? };
    let data = if old { map + 4 * blocks } else { word(0x158)? };
    let mut disk = vec![0; size];
    for (number, piece) in disk.chunks_mut(block).enumerate() {
        let entry = word(map + 4 * number).filter(|_| number < blocks)?;
        match entry {
            0xffff_ffff => {
                let below = parent.and_then(|p| p.get(number * block..)).unwrap_or_default();
                let len = below.len().min(piece.len());
                piece[..len].copy_from_slice(&below[..len]);
            }
            0xffff_fffe => {}
            place => {
                let start = data + place * (extra + block) + extra;
                piece.copy_from_slice(file.get(start..start + piece.len())?);
            }
        }
    }
    Some(disk)
}

/// The words whose change may make another disk of the same file, which is then read as it says.
fn describes_the_disk(old: bool, at: usize) -> bool {
    let (new_words, old_words) = (
        [0x154, 0x158, 0x170, 0x174, 0x178, 0x17c, 0x180],
        // cbDisk, cbBlock, cBlocks.
        [0x160, 0x164, 0x168, 0x16c, 0x16c, 0x16c, 0x16c],
    );
    if old { old_words } else { new_words }.contains(&at)
}

fn peak_memory_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// In a process of its own: the peak of its memory is measured, and other tests have one, too.
#[test]
fn every_word_of_the_header_may_be_anything_without_harm() {
    const ALONE: &str = "STRATUS_TEST_ALONE";
    if std::env::var_os(ALONE).is_none() {
        let name = "every_word_of_the_header_may_be_anything_without_harm";
        let mut child = Command::new(std::env::current_exe().unwrap());
        let output = child.args(["--exact", name]).env(ALONE, "1").output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"));
        return;
    }
    let parent = Vdi::new(2 * B64 + 4096, B)
        .with(0, Block::Data(noise(21, B as usize)))
        .with(1, Block::Data(noise(22, B as usize)));
    let below = parent.raw(None);
    let version = |version| Vdi { version, ..small() };
    let images = [
        (version(Version::V1Plus), None),
        (version(Version::V1), None),
        (version(Version::V0), None),
        (Vdi { block_extra: 512, ..small() }, None),
        (small().over(&parent, 3), Some(below.as_slice())),
        (version(Version::V0).over(&parent, 3), Some(below.as_slice())),
    ];
    let (mut taken, mut refused) = (0, 0);
    for (vdi, below) in images {
        let folder = folder_in_memory();
        write(folder.path(), "base.vdi", &parent.bytes());
        let path = folder.path().join("disk.vdi");
        let original = vdi.bytes();
        let model = vdi.raw(below);
        fs::write(&path, &original).unwrap();
        assert!(converted(folder.path(), &path).unwrap() == model);
        let file = File::options().write(true).open(&path).unwrap();
        // The old header is followed by its map.
        let end = if vdi.version == Version::V0 { 0x1a4 } else { 0x1d8 };
        for at in (0x40..end).step_by(4) {
            let before = u32::from_le_bytes(original[at..at + 4].try_into().unwrap());
            let (more, less) = (before.wrapping_add(1), before.wrapping_sub(1));
            for value in [0, 1, !0, 1 << 31, more, less] {
                let mut mutated = original.clone();
                mutated[at..at + 4].copy_from_slice(&value.to_le_bytes());
                file.write_all_at(&mutated[..0x200], 0).unwrap();
                let image = converted(folder.path(), &path);
                let what = format!(
                    "{:?} type {}, {at:#x}: {before:#x} to {value:#x}",
                    vdi.version, vdi.image_type
                );
                let Ok(image) = image else {
                    let code = image.unwrap_err().kind().exit_code();
                    assert!(matches!(code, 65 | 66), "{what}: exit {code}");
                    refused += 1;
                    continue;
                };
                taken += 1;
                let read = independent_reading(&mutated, below);
                assert!(read.as_ref() == Some(&image), "{what}: not what the header says");
                let same = image == model;
                assert!(
                    same || describes_the_disk(vdi.version == Version::V0, at),
                    "{what}: another disk"
                );
            }
        }
    }
    // Comments and geometry may be anything, the rest hardly.
    assert!(taken > 1000 && refused > 400, "{taken} taken, {refused} refused");
    let peak = peak_memory_kib();
    assert!(peak < 256 << 10, "{peak} KiB at the peak");
}

#[test]
fn every_word_of_the_map_may_be_anything_without_harm() {
    let folder = folder_in_memory();
    let path = folder.path().join("disk.vdi");
    let vdi = sound();
    let original = vdi.bytes();
    for number in 0..5 {
        let values = [0u32, 1, 2, 3, 4, 0x7fff_ffff, 1 << 31, !0 - 3, !0 - 2, !0 - 1, !0];
        for value in values {
            let at = entry(number) as usize;
            let mut mutated = original.clone();
            mutated[at..at + 4].copy_from_slice(&value.to_le_bytes());
            fs::write(&path, &mutated).unwrap();
            match converted(folder.path(), &path) {
                Ok(image) => {
                    let read = independent_reading(&mutated, None);
                    assert!(read == Some(image), "entry {number} {value:#x}");
                }
                Err(error) => assert_eq!(error.kind().exit_code(), 65, "{error}"),
            }
        }
    }
}

// ---------------------------------------------------------------------------------------------
// Salvage
// ---------------------------------------------------------------------------------------------

/// Converts with `--salvage`, which ends with 65, and returns the image and the damage of its
/// record as (offset, length, reason).
fn salvaged(folder: &Path, name: &str) -> (Vec<u8>, Vec<(u64, u64, String)>) {
    let output = run(folder, ["--salvage", "--json", "-C", "none", "-o", "out.img", name]);
    exits(&output, 65);
    assert_eq!(json_error(&output)["code"], "salvaged");
    let record: Value =
        serde_json::from_slice(&fs::read(folder.join("out.img.json")).unwrap()).unwrap();
    let damage = record["damage"].as_array().unwrap().iter().map(|d| {
        let number = |key| d[key].as_u64().unwrap();
        (number("offset"), number("len"), d["reason"].as_str().unwrap().to_owned())
    });
    (fs::read(folder.join("out.img")).unwrap(), damage.collect())
}

fn ranges(damage: &[(u64, u64, String)]) -> Vec<(u64, u64)> {
    damage.iter().map(|(offset, len, _)| (*offset, *len)).collect()
}

#[test]
fn salvage_keeps_the_readable_part_of_a_block_that_the_end_of_the_file_cuts() {
    let folder = folder();
    let bytes = sound().bytes();
    // Block 0 is the last one in the file; of it 1,000 bytes are left: one whole sector.
    write(folder.path(), "disk.vdi", &bytes[..0x400 + 2 * B as usize + 1000]);
    let (image, damage) = salvaged(folder.path(), "disk.vdi");
    assert_eq!(ranges(&damage), [(512, B64 - 512)]);
    assert!(damage[0].2.contains("disk.vdi: beyond the end"), "{}", damage[0].2);
    let mut model = sound().raw(None);
    model[512..B as usize].fill(0);
    assert!(image == model);
}

#[test]
fn salvage_reads_zeros_where_an_entry_points_out_of_the_file() {
    let folder = folder();
    for far in [3u32, 1 << 31, 0xffff_fffd] {
        let patches: [(u64, &[u8]); 2] = [
            (entry(3), &far.to_le_bytes()),
            (entry(4), &far.wrapping_add(9).min(0xffff_fffc).to_le_bytes()),
        ];
        write(folder.path(), "disk.vdi", &patched(&sound(), &patches));
        let (image, damage) = salvaged(folder.path(), "disk.vdi");
        // Neighbours with the same flaw are one range; the partial last block ends with the disk.
        assert_eq!(ranges(&damage), [(3 * B64, B64 + 1536)], "{far:#x}");
        let mut model = sound().raw(None);
        model[3 * B as usize..].fill(0);
        assert!(image == model, "{far:#x}");
        for name in ["out.img", "out.img.json"] {
            fs::remove_file(folder.path().join(name)).unwrap();
        }
    }
}

#[test]
fn salvage_lists_every_block_that_shares_its_place() {
    let folder = folder();
    let count = 40usize;
    let mut vdi = Vdi::new(count as u64 * B64, B);
    for block in 0..count {
        vdi = vdi.with(block, Block::Data(noise(block as u64, 4096)));
    }
    let mut bytes = vdi.bytes();
    // Blocks 5 and 20 share place 5, blocks 6, 7 and 30 share place 6.
    for (block, place) in [(20, 5u8), (7, 6), (30, 6)] {
        bytes[entry(block) as usize] = place;
    }
    write(folder.path(), "disk.vdi", &bytes);
    let (image, damage) = salvaged(folder.path(), "disk.vdi");
    assert_eq!(ranges(&damage), [(5 * B64, 3 * B64), (20 * B64, B64), (30 * B64, B64)]);
    assert!(damage[0].2.contains("two blocks share one place"), "{}", damage[0].2);
    assert!(image == independent_reading(&bytes, None).unwrap(), "what is readable is kept");
}

#[test]
fn salvage_over_a_changed_parent_lists_what_shows_of_the_parent() {
    let folder = folder();
    let changed = Vdi { modify: uuid(0xd2), ..base() };
    // Blocks 0 and 1 are the child's own, 2 to 4 are the parent's.
    let leaf = child(&base(), 2).with(1, Block::Zero);
    write(folder.path(), "base.vdi", &changed.bytes());
    write(folder.path(), "disk.vdi", &leaf.bytes());
    let (image, damage) = salvaged(folder.path(), "disk.vdi");
    assert_eq!(ranges(&damage), [(2 * B64, 2 * B64 + 1536)]);
    for part in ["base.vdi", "d2d2d2d2-", "d1d1d1d1-"] {
        assert!(damage[0].2.contains(part), "{part}: {}", damage[0].2);
    }
    assert!(image == leaf.raw(Some(&base().raw(None))));
}

#[test]
fn salvage_does_not_list_damage_that_a_later_layer_hides() {
    let folder = folder();
    // The base has lost its blocks 0, 3 and 4; the leaf has written blocks 0 and 3 anew.
    let patches: [(u64, &[u8]); 3] = [(entry(0), &[9]), (entry(3), &[10]), (entry(4), &[11])];
    write(folder.path(), "base.vdi", &patched(&base(), &patches));
    let leaf = child(&base(), 2).with(3, Block::Data(noise(33, 700)));
    write(folder.path(), "disk.vdi", &leaf.bytes());
    let (image, damage) = salvaged(folder.path(), "disk.vdi");
    assert_eq!(ranges(&damage), [(4 * B64, 1536)]);
    assert!(damage[0].2.contains("base.vdi"), "{}", damage[0].2);
    let mut model = leaf.raw(Some(&base().raw(None)));
    model[4 * B as usize..].fill(0);
    assert!(image == model);
}

#[test]
fn salvage_keeps_every_sector_that_can_be_read_and_lists_the_others_once() {
    // A file that loses its end after it was opened behaves like one with unreadable sectors.
    let folder = folder();
    let path = folder.path().join("disk.vdi");
    write(folder.path(), "disk.vdi", &sound().bytes());
    let disk = open(&path, &OpenOptions { salvage: true, ..OpenOptions::default() }).unwrap();
    // Block 0 is the last in the file, block 4 the one before.
    sparse(&path, 0x400 + 2 * B64 + 10_000);
    let mut model = sound().raw(None);
    model[19 * 512..B as usize].fill(0);
    let mut image = vec![0x55; model.len()];
    // Several threads may ask for the same place, in any order and with any length.
    disk.read_at(&mut image[..4096], 0).unwrap();
    disk.read_at(&mut image[40_960..][..8192], 40_960).unwrap();
    disk.read_at(&mut image, 0).unwrap();
    disk.read_at(&mut image[..20_480], 0).unwrap();
    assert!(image == model);
    let damage = disk.damage();
    assert_eq!(damage.len(), 1, "{damage:?}");
    assert_eq!((damage[0].offset, damage[0].len), (19 * 512, B64 - 19 * 512));
    assert!(damage[0].reason.contains("disk.vdi"), "{damage:?}");
}

#[test]
fn a_source_that_changes_while_it_is_read_is_noticed() {
    type Change = fn(&Path);
    let changes: [(&str, Change); 4] = [
        ("its size", |path| sparse(path, 0x400 + 4 * B64)),
        ("modification time", |path| {
            File::options().write(true).open(path).unwrap().write_all_at(&[1], 0x500).unwrap();
        }),
        ("change time", |path| {
            // Whoever sets the modification time back cannot hide it.
            let file = File::options().write(true).open(path).unwrap();
            let time = file.metadata().unwrap().modified().unwrap();
            file.write_all_at(b"<<< x", 0).unwrap();
            file.set_modified(time).unwrap();
        }),
        ("change time", |path| {
            fs::set_permissions(path, PermissionsExt::from_mode(0o640)).unwrap();
        }),
    ];
    for (says, change) in changes {
        for changed in ["disk.vdi", "base.vdi"] {
            let folder = folder();
            write(folder.path(), "base.vdi", &base().bytes());
            write(folder.path(), "disk.vdi", &child(&base(), 2).bytes());
            let disk = open(&folder.path().join("disk.vdi"), &OpenOptions::default()).unwrap();
            let before = disk.fingerprint().unwrap();
            disk.check_unchanged().unwrap();
            // The kernel's clock for files ticks every few milliseconds.
            std::thread::sleep(Duration::from_millis(30));
            change(&folder.path().join(changed));
            let error = disk.check_unchanged().unwrap_err();
            assert_eq!(error.code(), "source-changed");
            assert!(error.message().contains(says), "{changed}: {}", error.message());
            assert!(error.path().unwrap().ends_with(changed));
            let again = open(&folder.path().join("disk.vdi"), &OpenOptions::default()).unwrap();
            assert_ne!(again.fingerprint().unwrap(), before, "{changed}: {says}");
        }
    }
}

#[test]
fn salvage_of_a_forged_map_stays_small() {
    // 32 million entries in pairs: a list of them would take half a gigabyte.
    let folder = folder();
    let blocks = 2u32 << 20;
    let mut vdi = Vdi::new(B64, B);
    vdi.spare = blocks - 1;
    vdi.data_align = 512;
    let mut bytes = vdi.bytes();
    for block in 0..blocks {
        let at = 0x200 + 4 * block as usize;
        bytes[at..at + 4].copy_from_slice(&(block / 2 * 3).to_le_bytes());
    }
    bytes[0x170..0x178].copy_from_slice(&(B64 * u64::from(blocks)).to_le_bytes());
    write(folder.path(), "disk.vdi", &bytes);
    sparse(&folder.path().join("disk.vdi"), 1 << 40);
    let output = run_limited(folder.path(), &["--salvage", "--check", "--json", "disk.vdi"]);
    exits(&output, 65);
    let output = run_limited(folder.path(), &["--check", "--json", "disk.vdi"]);
    exits(&output, 65);
    assert_eq!(json_error(&output)["code"], "vdi-block-used-twice");
}

#[test]
fn a_sound_image_is_not_worse_for_salvage() {
    let folder = folder();
    write(folder.path(), "base.vdi", &base().bytes());
    write(folder.path(), "disk.vdi", &child(&base(), 2).bytes());
    exits(&run(folder.path(), ["--salvage", "-C", "none", "disk.vdi"]), 0);
    let record = fs::read_to_string(folder.path().join("disk.img.json")).unwrap();
    assert!(!record.contains("damage"), "{record}");
}

#[test]
fn a_damaged_header_cannot_be_salvaged() {
    // Without it nothing says where anything is.
    let folder = folder();
    write(folder.path(), "disk.vdi", &patched(&sound(), &[(0x178, &[1])]));
    exits(&run(folder.path(), ["--salvage", "disk.vdi"]), 65);
    assert_eq!(names(folder.path()), ["disk.vdi"]);
    let options = OpenOptions { salvage: true, ..OpenOptions::default() };
    let path: PathBuf = folder.path().join("disk.vdi");
    assert_eq!(open(&path, &options).err().unwrap().code(), "vdi-block-size");
}
