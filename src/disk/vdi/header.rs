//! The VDI header, field by field.
//!
//! Everything is little-endian; offsets are from the start of the file. Field names and checks are
//! those of VirtualBox (`VDICore.h`, `VDI.cpp`: `vdiValidateHeader`), stricter where noted.

use std::fmt;

use crate::disk::SECTOR;
use crate::disk::detect::VDI_SIGNATURE;
use crate::disk::source::SourceFile;
use crate::error::{Error, Kind, Result};

/// `VDI_IMAGE_BLOCK_FREE`: not in this image; the parent's bytes, or zeros in a base.
pub const BLOCK_FREE: u32 = 0xffff_ffff;
/// `VDI_IMAGE_BLOCK_ZERO`: zeros, whatever the parent has.
pub const BLOCK_ZERO: u32 = 0xffff_fffe;

/// Smallest and largest block VirtualBox opens.
const BLOCK_SIZES: std::ops::RangeInclusive<u32> = 128 << 10..=128 << 20;

/// Start of `cbHeader`, or of the v0 header.
const HEADER_START: u32 = 0x48;
/// `sizeof(VDIHEADER1)`.
const HEADER1_LEN: u32 = 0x180;
/// `sizeof(VDIHEADER1PLUS)`, which adds the LCHS geometry.
const HEADER1PLUS_LEN: u32 = 0x190;
/// End of the v0 header, where its map begins.
const HEADER0_END: u32 = 0x1a4;

/// A UUID as VDI stores it: the first three fields little-endian.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Uuid(pub [u8; 16]);

impl Uuid {
    /// All zeros: no UUID.
    pub fn is_null(self) -> bool {
        self.0 == [0; 16]
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const ORDER: [usize; 16] = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
        for (i, &at) in ORDER.iter().enumerate() {
            if matches!(i, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{:02x}", self.0[at])?;
        }
        Ok(())
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// `VDIIMAGETYPE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageType {
    /// Grows as blocks are written.
    Normal,
    /// All blocks allocated.
    Fixed,
    /// Of old versions; read like a normal image.
    Undo,
    /// Over a parent.
    Differencing,
}

/// A valid header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Major and minor version: (1, 1), or (0, 2) for the old one.
    pub version: (u16, u16),
    /// What kind of image.
    pub image_type: ImageType,
    /// `offBlocks`: where the block map begins.
    pub map_offset: u64,
    /// `offData`: where block 0 of the file begins.
    pub data_offset: u64,
    /// `cbDisk` as stored, in bytes.
    pub stored_size: u64,
    /// `cbDisk` rounded down to whole sectors, as VirtualBox does (QEMU rounds up).
    pub size: u64,
    /// `cbBlock` in bytes.
    pub block_size: u64,
    /// `cbBlockExtra`: bytes before each block's data that are not the guest's.
    pub block_extra: u64,
    /// `cBlocks`: entries of the map; more than the size needs is legal (spare blocks).
    pub blocks: u32,
    /// `cBlocksAllocated`.
    pub blocks_allocated: u32,
    /// `uuidCreate`: who this image is.
    pub create: Uuid,
    /// `uuidModify`: which state of it this is.
    pub modify: Uuid,
    /// `uuidLinkage`: `uuidCreate` of the parent.
    pub parent: Uuid,
    /// `uuidParentModify`: `uuidModify` of the parent; version 0.2 has none.
    pub parent_modify: Option<Uuid>,
}

/// Reads fields out of the first bytes of a file.
struct Fields<'a> {
    file: &'a SourceFile,
}

impl Fields<'_> {
    fn bytes<const N: usize>(&self, at: u32) -> Result<[u8; N]> {
        let start = at as usize;
        let field = self.file.head().get(start..start + N).and_then(|b| b.try_into().ok());
        field.ok_or_else(|| {
            self.flaw(
                "vdi-header-truncated",
                at,
                "the file ends inside the header",
                self.file.len(),
                format!("at least {}", u64::from(at) + N as u64),
            )
        })
    }

    fn u32(&self, at: u32) -> Result<u32> {
        self.bytes(at).map(u32::from_le_bytes)
    }

    fn u64(&self, at: u32) -> Result<u64> {
        self.bytes(at).map(u64::from_le_bytes)
    }

    fn uuid(&self, at: u32) -> Result<Uuid> {
        self.bytes(at).map(Uuid)
    }

    fn flaw(
        &self,
        code: &'static str,
        at: u32,
        what: &str,
        found: impl fmt::Display,
        allowed: impl fmt::Display,
    ) -> Error {
        super::flaw(self.file, code, u64::from(at), what, found, allowed)
    }
}

/// Reads and checks the header of `file`.
///
/// # Errors
/// `Unsupported` for an unknown version, else `Damaged`, with the field's offset, the value found
/// and the values allowed.
pub fn read(file: &SourceFile) -> Result<Header> {
    let fields = Fields { file };
    // Whoever names the format with --input-format has not looked at the signature.
    let signature = fields.u32(0x40)?;
    if signature != VDI_SIGNATURE {
        return Err(fields.flaw(
            "vdi-signature",
            0x40,
            "the signature",
            format!("{signature:#010x}"),
            format!("{VDI_SIGNATURE:#010x}"),
        ));
    }
    let version = fields.u32(0x44)?;
    let (header, places) = match (version >> 16, version) {
        (1, _) => read_v1(&fields, version)?,
        (_, 2) => read_v0(&fields)?,
        _ => {
            let error = fields.flaw(
                "vdi-version",
                0x44,
                "the version",
                format!("{}.{}", version >> 16, version & 0xffff),
                "1.x or 0.2",
            );
            return Err(error
                .with_kind(Kind::Unsupported)
                .remedy("convert it with the VirtualBox that made it (VBoxManage clonemedium)"));
        }
    };
    check(&fields, &header, &places)?;
    Ok(header)
}

/// Who an image says it is, and over whom it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// `uuidCreate`.
    pub create: Uuid,
    /// `uuidModify`.
    pub modify: Uuid,
    /// `uuidLinkage`.
    pub parent: Uuid,
}

/// The UUIDs of `file`, if it is a VDI at all. Nothing else is checked: a relative that is damaged
/// is a relative all the same.
pub fn identity(file: &SourceFile) -> Option<Identity> {
    let fields = Fields { file };
    if fields.u32(0x40).ok()? != VDI_SIGNATURE {
        return None;
    }
    let at = match fields.u32(0x44).ok()? {
        2 => 0x174,
        version if version >> 16 == 1 => 0x188,
        _ => return None,
    };
    Some(Identity {
        create: fields.uuid(at).ok()?,
        modify: fields.uuid(at + 0x10).ok()?,
        parent: fields.uuid(at + 0x20).ok()?,
    })
}

/// Offsets of the fields that both versions have, for the checks that both share.
struct Places {
    size: u32,
    block_size: u32,
    block_extra: u32,
    blocks: u32,
    blocks_allocated: u32,
    create: u32,
    modify: u32,
    parent: u32,
    data_offset: u32,
}

fn read_v1(fields: &Fields<'_>, version: u32) -> Result<(Header, Places)> {
    let header_len = fields.u32(0x48)?;
    if header_len < HEADER1_LEN {
        return Err(fields.flaw(
            "vdi-header-size",
            0x48,
            "the header's size cbHeader",
            header_len,
            format!("at least {HEADER1_LEN}"),
        ));
    }
    if header_len >= HEADER1PLUS_LEN {
        let sector = fields.u32(0x1d4)?;
        if u64::from(sector) != SECTOR {
            return Err(fields.flaw(
                "vdi-geometry",
                0x1d4,
                "the sector size of the LCHS geometry",
                sector,
                SECTOR,
            ));
        }
    }
    // VirtualBox only asks for 0x1c8; a map inside the header that the file itself declares is
    // an overlap all the same.
    let map_offset = fields.u32(0x154)?;
    let header_end = u64::from(HEADER_START) + u64::from(header_len);
    if u64::from(map_offset) < header_end {
        return Err(fields.flaw(
            "vdi-map-overlaps-header",
            0x154,
            "the block map's place offBlocks",
            map_offset,
            format!("at least {header_end}, the header's end"),
        ));
    }
    let size = fields.u64(0x170)?;
    let header = Header {
        version: version_of(version),
        image_type: image_type(fields, 0x4c)?,
        map_offset: u64::from(map_offset),
        data_offset: u64::from(fields.u32(0x158)?),
        stored_size: size,
        size: size - size % SECTOR,
        block_size: u64::from(fields.u32(0x178)?),
        block_extra: u64::from(fields.u32(0x17c)?),
        blocks: fields.u32(0x180)?,
        blocks_allocated: fields.u32(0x184)?,
        create: fields.uuid(0x188)?,
        modify: fields.uuid(0x198)?,
        parent: fields.uuid(0x1a8)?,
        parent_modify: Some(fields.uuid(0x1b8)?),
    };
    check_flags(fields, 0x50)?;
    let places = Places {
        size: 0x170,
        block_size: 0x178,
        block_extra: 0x17c,
        blocks: 0x180,
        blocks_allocated: 0x184,
        create: 0x188,
        modify: 0x198,
        parent: 0x1a8,
        data_offset: 0x158,
    };
    Ok((header, places))
}

fn read_v0(fields: &Fields<'_>) -> Result<(Header, Places)> {
    let size = fields.u64(0x160)?;
    let blocks = fields.u32(0x16c)?;
    let map_offset = u64::from(HEADER0_END);
    let header = Header {
        version: (0, 2),
        image_type: image_type(fields, 0x48)?,
        map_offset,
        // Implied: right behind the map, without any alignment.
        data_offset: map_offset + 4 * u64::from(blocks),
        stored_size: size,
        size: size - size % SECTOR,
        block_size: u64::from(fields.u32(0x168)?),
        block_extra: 0,
        blocks,
        blocks_allocated: fields.u32(0x170)?,
        create: fields.uuid(0x174)?,
        modify: fields.uuid(0x184)?,
        parent: fields.uuid(0x194)?,
        parent_modify: None,
    };
    check_flags(fields, 0x4c)?;
    let places = Places {
        size: 0x160,
        block_size: 0x168,
        block_extra: 0x168,
        blocks: 0x16c,
        blocks_allocated: 0x170,
        create: 0x174,
        modify: 0x184,
        parent: 0x194,
        data_offset: 0x16c,
    };
    Ok((header, places))
}

fn version_of(version: u32) -> (u16, u16) {
    let [a, b, c, d] = version.to_le_bytes();
    (u16::from_le_bytes([c, d]), u16::from_le_bytes([a, b]))
}

fn image_type(fields: &Fields<'_>, at: u32) -> Result<ImageType> {
    Ok(match fields.u32(at)? {
        1 => ImageType::Normal,
        2 => ImageType::Fixed,
        3 => ImageType::Undo,
        4 => ImageType::Differencing,
        other => {
            return Err(fields.flaw("vdi-type", at, "the image type", other, "1, 2, 3 or 4"));
        }
    })
}

/// Only bit 0 (`VDI_IMAGE_FLAGS_ZERO_EXPAND`) was ever given a meaning.
fn check_flags(fields: &Fields<'_>, at: u32) -> Result<()> {
    let flags = fields.u32(at)?;
    if flags & !1 != 0 {
        return Err(fields.flaw("vdi-flags", at, "the flags", format!("{flags:#x}"), "0 or 1"));
    }
    Ok(())
}

fn check(fields: &Fields<'_>, h: &Header, at: &Places) -> Result<()> {
    if h.size == 0 {
        let allowed = format!("at least {SECTOR}");
        return Err(fields.flaw("vdi-size", at.size, "cbDisk", h.stored_size, allowed));
    }
    let legal_block =
        u32::try_from(h.block_size).is_ok_and(|b| BLOCK_SIZES.contains(&b) && b.is_power_of_two());
    if !legal_block {
        let allowed = "a power of two from 131072 to 134217728";
        return Err(fields.flaw(
            "vdi-block-size",
            at.block_size,
            "the block size cbBlock",
            h.block_size,
            allowed,
        ));
    }
    if h.block_extra != 0 && !h.block_extra.is_power_of_two() {
        return Err(fields.flaw(
            "vdi-block-extra",
            at.block_extra,
            "cbBlockExtra",
            h.block_extra,
            "0 or a power of two",
        ));
    }
    let covered = h.block_size * u64::from(h.blocks);
    if covered < h.stored_size {
        return Err(fields.flaw(
            "vdi-too-few-blocks",
            at.blocks,
            "the number of blocks cBlocks",
            h.blocks,
            format!(
                "at least {} for {} bytes",
                h.stored_size.div_ceil(h.block_size),
                h.stored_size
            ),
        ));
    }
    if h.blocks_allocated > h.blocks {
        return Err(fields.flaw(
            "vdi-too-many-allocated",
            at.blocks_allocated,
            "cBlocksAllocated",
            h.blocks_allocated,
            format!("at most {}, the number of blocks", h.blocks),
        ));
    }
    check_regions(fields, h, at)?;
    check_uuids(fields, h, at)
}

fn check_regions(fields: &Fields<'_>, h: &Header, at: &Places) -> Result<()> {
    let map_end = h.map_offset + 4 * u64::from(h.blocks);
    if map_end > fields.file.len() {
        return Err(fields.flaw(
            "vdi-map-beyond-end",
            at.blocks,
            "the block map's end",
            map_end,
            format!("at most {}, the file's length", fields.file.len()),
        ));
    }
    if h.data_offset < map_end {
        return Err(fields.flaw(
            "vdi-data-overlaps-map",
            at.data_offset,
            "the data's place offData",
            h.data_offset,
            format!("at least {map_end}, the block map's end"),
        ));
    }
    Ok(())
}

fn check_uuids(fields: &Fields<'_>, h: &Header, at: &Places) -> Result<()> {
    let allowed = "any but null";
    if h.create.is_null() {
        return Err(fields.flaw("vdi-null-uuid", at.create, "uuidCreate", h.create, allowed));
    }
    if h.modify.is_null() {
        return Err(fields.flaw("vdi-null-uuid", at.modify, "uuidModify", h.modify, allowed));
    }
    match (h.image_type, h.parent.is_null()) {
        (ImageType::Differencing, true) => Err(fields.flaw(
            "vdi-no-linkage",
            at.parent,
            "this is a differencing image, but its parent uuidLinkage",
            h.parent,
            allowed,
        )),
        // Reading it as a base would give the state without its parent: wrong bytes.
        (ImageType::Normal | ImageType::Fixed, false) => Err(fields.flaw(
            "vdi-unexpected-linkage",
            at.parent,
            "this is a base image, but its parent uuidLinkage",
            h.parent,
            "null",
        )),
        _ => Ok(()),
    }
}

impl Header {
    /// Whether it lies over a parent.
    pub fn has_parent(&self) -> bool {
        !self.parent.is_null()
    }

    /// Bytes of block `block` that lie inside the disk; 0 for spare blocks.
    pub fn bytes_used(&self, block: u32) -> u64 {
        let start = u64::from(block) * self.block_size;
        self.size.saturating_sub(start).min(self.block_size)
    }

    /// Where the data of file block `file_block` begins, if that can be counted at all.
    pub fn data_address(&self, file_block: u32) -> Option<u64> {
        let stride = self.block_extra.checked_add(self.block_size)?;
        u64::from(file_block)
            .checked_mul(stride)?
            .checked_add(self.data_offset)?
            .checked_add(self.block_extra)
    }
}
