//! The superblock of ext2/3/4: the checks before anything is trusted, and the fields we set.
//!
//! Offsets and flags are those of `struct ext4_super_block`,
//! <https://docs.kernel.org/filesystems/ext4/super.html>.

use std::sync::Arc;

use fs_ext4::checksum::linux_crc32c;

use crate::error::{Error, Kind, Result};
use crate::guest::block::Block;

/// Where the first superblock is, and its length.
pub const OFFSET: u64 = 1024;
const LEN: usize = 1024;
const MAGIC: u16 = 0xef53;

/// `s_state`: cleanly unmounted, errors found.
const VALID_FS: u16 = 1;
const ERROR_FS: u16 = 2;

/// Feature flags that matter here.
const COMPAT_HAS_JOURNAL: u32 = 0x4;
const COMPAT_SPARSE_SUPER2: u32 = 0x200;
const INCOMPAT_RECOVER: u32 = 0x4;
const INCOMPAT_EXTENTS: u32 = 0x40;
const INCOMPAT_64BIT: u32 = 0x80;
const RO_SPARSE_SUPER: u32 = 0x1;
const RO_METADATA_CSUM: u32 = 0x400;
const RO_ORPHAN_PRESENT: u32 = 0x10000;

/// Features whose structures the writer does not keep, by bit: `s_feature_incompat`.
const INCOMPAT_REFUSED: &[(u32, &str)] = &[
    (0x1, "compression"),
    (0x8, "a journal device"),
    (0x100, "multi-mount protection (mmp)"),
    (0x1000, "dirdata"),
    (0x10000, "encryption (encrypt)"),
    (0x20000, "case folding (casefold)"),
];
/// `s_feature_incompat` bits that are known and served.
const INCOMPAT_SERVED: u32 =
    0x2 | 0x4 | 0x10 | 0x40 | 0x80 | 0x200 | 0x400 | 0x2000 | 0x4000 | 0x8000;

/// The same of `s_feature_ro_compat`.
const RO_REFUSED: &[(u32, &str)] = &[
    (0x80, "snapshots"),
    (0x100, "quotas (quota)"),
    (0x200, "clusters (bigalloc)"),
    (0x800, "replicas"),
    (0x1000, "the read-only mark"),
    (0x2000, "project quotas (project)"),
    (0x4000, "shared blocks"),
    (0x8000, "verity"),
];
const RO_SERVED: u32 = RO_ORPHAN_PRESENT | 0x1 | 0x2 | 0x4 | 0x8 | 0x10 | 0x20 | 0x40 | 0x400;

/// A superblock whose geometry makes sense.
#[derive(Clone)]
pub struct Superblock {
    raw: [u8; LEN],
    device: u64,
}

impl Superblock {
    /// Reads and checks it.
    ///
    /// # Errors
    /// `Damaged`, naming the field, if it does not describe a file system of this size.
    pub fn read(block: &dyn Block) -> Result<Self> {
        let mut raw = [0; LEN];
        if block.size() < OFFSET + LEN as u64 {
            return Err(nonsense("its size", block.size()));
        }
        block.read_at(&mut raw, OFFSET)?;
        let sb = Superblock { raw, device: block.size() };
        sb.check()?;
        Ok(sb)
    }

    fn u16(&self, at: usize) -> u16 {
        u16::from_le_bytes([self.raw[at], self.raw[at + 1]])
    }

    fn u32(&self, at: usize) -> u32 {
        u32::from(self.u16(at)) | u32::from(self.u16(at + 2)) << 16
    }

    fn check(&self) -> Result<()> {
        let per_group = |at| u64::from(self.u32(at));
        let most = 8 * self.block_size();
        let inode_size = self.inode_size();
        let rules = [
            ("s_magic", u64::from(self.u16(0x38)), self.u16(0x38) == MAGIC),
            ("s_log_block_size", u64::from(self.u32(0x18)), self.u32(0x18) <= 6),
            (
                "s_first_data_block",
                u64::from(self.u32(0x14)),
                self.u32(0x14) == u32::from(self.block_size() == 1024 && !self.is_bigalloc()),
            ),
            (
                "s_blocks_per_group",
                per_group(0x20),
                (256..=most).contains(&per_group(0x20)) || self.is_bigalloc(),
            ),
            ("s_inodes_per_group", per_group(0x28), (1..=most).contains(&per_group(0x28))),
            (
                "s_inode_size",
                inode_size,
                inode_size.is_power_of_two() && (128..=self.block_size()).contains(&inode_size),
            ),
            ("s_desc_size", self.desc_size(), [32, 64].contains(&self.desc_size())),
            ("s_blocks_count", self.blocks(), self.fits()),
            (
                "s_inodes_count",
                u64::from(self.u32(0)),
                self.groups().checked_mul(per_group(0x28)) == Some(u64::from(self.u32(0))),
            ),
            // The first of the files that were deleted while open: it is freed, so it must be a file.
            (
                "s_last_orphan",
                u64::from(self.u32(0xe8)),
                self.u32(0xe8) == 0 || (self.first_inode()..=self.u32(0)).contains(&self.u32(0xe8)),
            ),
        ];
        match rules.iter().find(|(_, _, good)| !good) {
            Some((field, value, _)) => Err(nonsense(field, *value)),
            None => self.check_checksum(),
        }
    }

    fn check_checksum(&self) -> Result<()> {
        let stored = self.u32(0x3fc);
        match self.has_checksum() && stored != linux_crc32c(!0, &self.raw[..0x3fc]) {
            true => Err(nonsense("s_checksum", u64::from(stored))),
            false => Ok(()),
        }
    }

    fn fits(&self) -> bool {
        let bytes = self.blocks().checked_mul(self.block_size());
        self.blocks() > u64::from(self.u32(0x14)) && bytes.is_some_and(|bytes| bytes <= self.device)
    }

    fn is_bigalloc(&self) -> bool {
        self.u32(0x64) & 0x200 != 0
    }

    fn has_checksum(&self) -> bool {
        self.u32(0x64) & RO_METADATA_CSUM != 0
    }

    /// Bytes of a block.
    pub fn block_size(&self) -> u64 {
        1024 << self.u32(0x18).min(6)
    }

    /// Blocks of the file system.
    pub fn blocks(&self) -> u64 {
        let high = if self.u32(0x60) & INCOMPAT_64BIT != 0 { self.u32(0x150) } else { 0 };
        u64::from(self.u32(0x4)) | u64::from(high) << 32
    }

    /// Blocks of a group.
    pub fn blocks_per_group(&self) -> u64 {
        u64::from(self.u32(0x20)).max(1)
    }

    /// The first block that belongs to a group.
    pub fn first_block(&self) -> u64 {
        u64::from(self.u32(0x14))
    }

    /// Block groups.
    pub fn groups(&self) -> u64 {
        self.blocks().saturating_sub(self.first_block()).div_ceil(self.blocks_per_group())
    }

    fn inode_size(&self) -> u64 {
        if self.u32(0x4c) == 0 { 128 } else { u64::from(self.u16(0x58)) }
    }

    /// `s_first_ino`: those before it are not of files.
    fn first_inode(&self) -> u32 {
        if self.u32(0x4c) == 0 { 11 } else { self.u32(0x54) }
    }

    fn desc_size(&self) -> u64 {
        if self.u32(0x60) & INCOMPAT_64BIT != 0 { u64::from(self.u16(0xfe)) } else { 32 }
    }

    /// UUID of the file system.
    pub fn uuid(&self) -> [u8; 16] {
        let mut uuid = [0; 16];
        uuid.copy_from_slice(&self.raw[0x68..0x78]);
        uuid
    }

    /// `s_wtime`: when it was written last, seconds since 1970.
    pub fn written(&self) -> u32 {
        self.u32(0x30)
    }

    /// Whether the journal has to be replayed.
    pub fn needs_recovery(&self) -> bool {
        self.u32(0x60) & INCOMPAT_RECOVER != 0
    }

    /// Whether there is a journal.
    pub fn has_journal(&self) -> bool {
        self.u32(0x5c) & COMPAT_HAS_JOURNAL != 0
    }

    /// Whether it was put away well: what has to be true even to change the superblock alone.
    ///
    /// # Errors
    /// `Refused`.
    pub fn check_state(&self) -> Result<()> {
        let state = self.u16(0x3a);
        if state & ERROR_FS != 0 {
            return Err(refused(
                "guest-fs-errors",
                "the guest's kernel found errors in it and marked it",
                REPAIR,
            ));
        }
        if state & VALID_FS == 0 {
            return Err(refused("guest-fs-unclean", "it was not unmounted cleanly", REPAIR));
        }
        Ok(())
    }

    /// Whether the files in it can be changed.
    ///
    /// # Errors
    /// `Unsupported` or `Refused`, saying what is in the way.
    pub fn check_editable(&self) -> Result<()> {
        self.check_state()?;
        let features = [
            (self.u32(0x60), INCOMPAT_REFUSED, INCOMPAT_SERVED),
            (self.u32(0x64), RO_REFUSED, RO_SERVED),
        ];
        for (bits, names, served) in features {
            let named: Vec<_> =
                names.iter().filter(|(bit, _)| bits & bit != 0).map(|(_, n)| *n).collect();
            let known = names.iter().fold(served, |all, (bit, _)| all | bit);
            if !named.is_empty() {
                return Err(unsupported(&format!("it uses {}", named.join(", "))));
            }
            if bits & !known != 0 {
                return Err(unsupported(&format!(
                    "it uses unknown features ({:#x})",
                    bits & !known
                )));
            }
        }
        if self.u32(0x64) & RO_ORPHAN_PRESENT != 0 {
            let message = "files in it were open when it was switched off (orphan_present)";
            return Err(refused("guest-fs-unclean", message, REPAIR));
        }
        // The checksum of an extent node follows its last possible entry (12 bytes each, behind a
        // header of 12). rust-fs-ext4 0.8.0 writes it into the last 4 bytes of the block, which is
        // the same place for blocks of 1, 4 and 16 KiB only.
        let tail = (self.block_size() - 12) % 12;
        if self.has_checksum() && self.u32(0x60) & INCOMPAT_EXTENTS != 0 && tail != 4 {
            let size = self.block_size();
            return Err(unsupported(&format!("it has checksums and blocks of {size} bytes")));
        }
        // Another journal than that in inode 8 is on a device that this disk does not have. Tools
        // that look for it by its UUID have opened disks of the host.
        let uuid_or_dev = self.raw[0xd0..0xe0].iter().any(|b| *b != 0) || self.u32(0xe4) != 0;
        if self.has_journal() && (self.u32(0xe0) != 8 || uuid_or_dev) {
            return Err(unsupported("its journal is on another device"));
        }
        Ok(())
    }

    /// Byte offsets of all superblocks, the first one first.
    fn copies(&self) -> Vec<u64> {
        let place = |group: u64| {
            let block = self.first_block() + group * self.blocks_per_group();
            block * self.block_size()
        };
        let groups = self.groups();
        let backups: Vec<u64> = if self.u32(0x5c) & COMPAT_SPARSE_SUPER2 != 0 {
            let named = [self.u32(0x24c), self.u32(0x250)].map(u64::from);
            named.into_iter().filter(|n| (1..groups).contains(n)).collect()
        } else if self.u32(0x64) & RO_SPARSE_SUPER != 0 {
            let powers = [3_u64, 5, 7].into_iter().flat_map(|base| {
                std::iter::successors(Some(base), move |n| n.checked_mul(base))
                    .take_while(move |n| *n < groups)
            });
            std::iter::once(1).chain(powers).filter(|n| *n < groups).collect()
        } else {
            (1..groups).collect()
        };
        std::iter::once(OFFSET).chain(backups.into_iter().map(place)).collect()
    }
}

const REPAIR: &str = "start the machine once and shut it down cleanly (or run e2fsck in it), then convert again; or \
                      convert the disk as it is with --no-context";

fn refused(code: &'static str, message: &str, remedy: &str) -> Error {
    Error::new(Kind::Refused, code, message).remedy(remedy)
}

fn unsupported(message: &str) -> Error {
    Error::new(Kind::Unsupported, "guest-fs-unsupported", message).remedy(
        "prepare this guest by hand, and convert it as it is with --no-context (or --context try)",
    )
}

fn nonsense(field: &str, value: u64) -> Error {
    Error::new(Kind::Damaged, "guest-fs-damaged", format!("its superblock is damaged: {field} is {value:#x}"))
        .offset(OFFSET)
        .remedy("run e2fsck in the machine, then convert again; or convert the disk as it is with --no-context")
}

/// Changes fields of one superblock copy and gives it its checksum. What is not a copy of this
/// file system's superblock is left alone. Returns whether anything was changed.
fn patch(
    block: &dyn Block,
    at: u64,
    of: &Superblock,
    change: impl Fn(&mut [u8; LEN]),
) -> Result<bool> {
    let mut raw = [0; LEN];
    if at.checked_add(LEN as u64).is_none_or(|end| end > block.size()) {
        return Ok(false);
    }
    block.read_at(&mut raw, at)?;
    if raw[0x38..0x3a] != MAGIC.to_le_bytes() || raw[0x68..0x78] != of.uuid() {
        return Ok(false);
    }
    let before = raw;
    change(&mut raw);
    if raw == before {
        return Ok(false);
    }
    if of.has_checksum() {
        let sum = linux_crc32c(!0, &raw[..0x3fc]);
        raw[0x3fc..].copy_from_slice(&sum.to_le_bytes());
    }
    block.write_at(&raw, at)?;
    Ok(true)
}

/// What `tune2fs -c 0 -i 0` does: no check after so many mounts or days. In the superblock and all
/// its backups `s_max_mnt_count` (0x36) becomes -1 and `s_checkinterval` (0x44) 0. `s_wtime` stays,
/// so that a second time changes nothing. Returns whether anything was changed.
///
/// # Errors
/// Those of [`Superblock::read`] and [`Superblock::check_state`]; `Refused` before the journal is
/// replayed: an older superblock in it would come back.
pub fn disable_checks(block: &Arc<dyn Block>) -> Result<bool> {
    let block = block.as_ref();
    let sb = Superblock::read(block)?;
    sb.check_state()?;
    if sb.needs_recovery() {
        return Err(refused("guest-fs-unclean", "its journal has not been replayed", REPAIR));
    }
    let mut changed = false;
    for at in sb.copies() {
        changed |= patch(block, at, &sb, |raw| {
            raw[0x36..0x38].copy_from_slice(&(-1_i16).to_le_bytes());
            raw[0x44..0x48].fill(0);
        })?;
    }
    Ok(changed)
}

/// Sets the totals of free blocks (0x0c, 0x158) and inodes (0x10). A replayed journal brings the
/// groups' counts but not these; the kernel and e2fsck add them up again, and so must we.
pub fn set_free_counts(block: &dyn Block, blocks: u64, inodes: u32) -> Result<()> {
    let sb = Superblock::read(block)?;
    let wide = sb.u32(0x60) & INCOMPAT_64BIT != 0;
    let bytes = blocks.to_le_bytes();
    patch(block, OFFSET, &sb, |raw| {
        raw[0x0c..0x10].copy_from_slice(&bytes[..4]);
        raw[0x10..0x14].copy_from_slice(&inodes.to_le_bytes());
        if wide {
            raw[0x158..0x15c].copy_from_slice(&bytes[4..]);
        }
    })?;
    Ok(())
}
