//! Which format a file has, by its content, never by its name.

use std::fmt;
use std::str::FromStr;

use super::source::SourceFile;
use crate::error::{Error, Kind, Result};

/// A format that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// VirtualBox Disk Image.
    Vdi,
    /// The bytes of the disk, with nothing around them.
    Raw,
}

impl Format {
    /// All of them, for help texts.
    pub const ALL: [Format; 2] = [Format::Vdi, Format::Raw];

    /// The name on the command line and in the record.
    pub fn name(self) -> &'static str {
        match self {
            Format::Vdi => "vdi",
            Format::Raw => "raw",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Format {
    type Err = String;
    fn from_str(name: &str) -> Result<Self, String> {
        let known = Format::ALL.into_iter().find(|f| f.name() == name);
        known.ok_or_else(|| format!("'{name}' is not a format that this version reads: vdi, raw"))
    }
}

/// `VDI_IMAGE_SIGNATURE`, at byte 0x40 (VirtualBox `VDICore.h`).
pub(super) const VDI_SIGNATURE: u32 = 0xbeda_107f;

/// Signatures of what this version does not read: offset, bytes, name.
const FOREIGN: &[(usize, &[u8], &str)] = &[
    (0, b"KDMV", "a VMDK disk"),
    (0, b"COWD", "a VMDK disk (COWD)"),
    (0, &0xcafe_babe_u64.to_le_bytes(), "a VMDK disk (seSparse)"),
    (0, b"# Disk DescriptorFile", "a VMDK descriptor"),
    (0, b"conectix", "a VHD disk"),
    (0, b"vhdxfile", "a VHDX disk"),
    (0, b"QFI\xfb", "a QCOW disk"),
    (0, b"QED\0", "a QED disk"),
    (0, b"WithoutFreeSpace", "a Parallels disk"),
    (0, b"WithouFreSpacExt", "a Parallels disk"),
    (257, b"ustar", "a tar archive (perhaps an OVA)"),
    (0, &[0x1f, 0x8b], "gzip-compressed"),
    (0, &[0xfd, b'7', b'z', b'X', b'Z', 0], "xz-compressed"),
    (0, &[0x28, 0xb5, 0x2f, 0xfd], "zstd-compressed"),
    (0, b"PK\x03\x04", "a zip archive"),
    (0, b"<?xml", "an XML file (perhaps a .vbox or .ovf)"),
];

/// What a bare disk begins with: offset, bytes.
const DISK_BEGINNINGS: &[(usize, &[u8])] = &[
    (510, &[0x55, 0xaa]),   // MBR, and the protective MBR of GPT
    (0x438, &[0x53, 0xef]), // ext2/3/4 superblock
    (0, b"XFSB"),           // XFS
    (512, b"LABELONE"),     // LVM2 physical volume
    (0, b"LUKS\xba\xbe"),   // LUKS
];

/// Finds the format of `file`.
///
/// A file without any known signature is `raw` only if it begins as a disk does. Guessing further
/// would turn a VDI with a damaged signature into an image of its own container.
///
/// # Errors
/// `Unsupported`, naming what it looks like.
pub fn detect(file: &SourceFile) -> Result<Format> {
    let head = file.head();
    let has = |offset: usize, magic: &[u8]| {
        head.get(offset..).is_some_and(|tail| tail.starts_with(magic))
    };
    if has(0x40, &VDI_SIGNATURE.to_le_bytes()) {
        return Ok(Format::Vdi);
    }
    if has(0, b"<<<") {
        return Err(Error::new(
            Kind::Damaged,
            "vdi-signature",
            format!("begins like a VDI, but its signature is not {VDI_SIGNATURE:#010x}"),
        )
        .at(file.path())
        .offset(0x40)
        .remedy("restore the file from a backup"));
    }
    let foreign = FOREIGN.iter().find(|(offset, magic, _)| has(*offset, magic)).map(|f| f.2);
    if let Some(what) = foreign.or(footer(file)?) {
        return Err(Error::new(
            Kind::Unsupported,
            "format-unsupported",
            format!("this is {what}, which this version does not read"),
        )
        .at(file.path())
        .remedy("convert it to VDI with VirtualBox (VBoxManage clonemedium … --format VDI)"));
    }
    if begins_like_a_disk(head) {
        return Ok(Format::Raw);
    }
    Err(Error::new(Kind::Unsupported, "format-unknown", "this is no disk image that is known")
        .at(file.path())
        .remedy("if it is the plain bytes of a disk, say --input-format raw"))
}

/// Whether `head`, the first bytes of a guest's disk, looks like the beginning of one.
pub fn begins_like_a_disk(head: &[u8]) -> bool {
    DISK_BEGINNINGS
        .iter()
        .any(|(offset, magic)| head.get(*offset..).is_some_and(|tail| tail.starts_with(magic)))
}

/// Formats that are known by their last sector.
fn footer(file: &SourceFile) -> Result<Option<&'static str>> {
    let Some(offset) = file.len().checked_sub(512) else { return Ok(None) };
    let mut sector = [0; 512];
    file.read_exact_at(&mut sector, offset)?;
    Ok(match () {
        () if sector.starts_with(b"conectix") => Some("a fixed VHD disk"),
        () if sector.starts_with(b"koly") => Some("an Apple disk image"),
        () => None,
    })
}
