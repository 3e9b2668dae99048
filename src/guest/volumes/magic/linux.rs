//! What Linux makes itself: ext, XFS, btrfs, swap, LUKS, physical volumes.

use super::{Identity, Probe};
use crate::error::Result;
use crate::guest::volumes::Holds;
use crate::guest::volumes::lvm::label;

/// An LVM2 physical volume; its UUID is the one in its label.
pub(super) fn lvm(probe: &Probe) -> Result<Option<Identity>> {
    let Some(at) = label::place(&probe.head) else { return Ok(None) };
    let id = label::id(probe.head.part(at, 512));
    Ok(Some(Identity::new(Holds::Lvm, "LVM2_member").with(id, None)))
}

/// LUKS on-disk format specification 1.2.3, figure 1; LUKS2 on-disk format 1.1.0, 2.2.
pub(super) fn luks(probe: &Probe) -> Result<Option<Identity>> {
    let head = &probe.head;
    let version = head.u16_be(6);
    if !head.has(0, b"LUKS\xba\xbe") || !(1..=2).contains(&version) {
        return Ok(None);
    }
    // The second version has a label where the first has the names of its ciphers.
    let label = if version == 2 { head.text(24, 48) } else { None };
    Ok(Some(Identity::new(Holds::Luks, "crypto_LUKS").with(head.text(168, 40), label)))
}

/// Ends of a page that holds swap, and what suspend to disk puts there instead.
const SWAP: [&[u8]; 2] = [b"SWAPSPACE2", b"SWAP-SPACE"];
const SUSPENDED: [&[u8]; 5] =
    [b"S1SUSPEND", b"S2SUSPEND", b"ULSUSPEND", b"LINHIB0001", b"\xed\xc3\x02\xe9\x98\x56\xe5\x0c"];
/// Sizes of a page, the smallest first: arm64 and ppc64 have up to 64 KiB.
const PAGES: [usize; 5] = [4 << 10, 8 << 10, 16 << 10, 32 << 10, 64 << 10];

/// Swap space: `union swap_header` of the kernel's `include/linux/swap.h`. UUID and label are there
/// from version 1 on, whose signature is SWAPSPACE2.
pub(super) fn swap(probe: &Probe) -> Result<Option<Identity>> {
    let head = &probe.head;
    for page in PAGES {
        let is = |magic: &&&[u8]| head.has(page - 10, magic);
        let filesystem = if SUSPENDED.iter().any(|magic| is(&magic)) {
            "swsuspend"
        } else if SWAP.iter().any(|magic| is(&magic)) {
            "swap"
        } else {
            continue;
        };
        let identity = Identity::new(Holds::Swap, filesystem);
        // Big-endian guests write the version the other way round.
        let has_names = head.u32(1024) == 1 || head.u32_be(1024) == 1;
        return Ok(Some(match has_names {
            true => identity.with(head.uuid(1036), head.text(1052, 16)),
            false => identity,
        }));
    }
    Ok(None)
}

/// XFS: `xfs_dsb` of the kernel's `fs/xfs/libxfs/xfs_format.h`, big-endian.
pub(super) fn xfs(probe: &Probe) -> Result<Option<Identity>> {
    let head = &probe.head;
    let block = head.u32_be(4);
    if !head.has(0, b"XFSB") || !block.is_power_of_two() || !(512..=65536).contains(&block) {
        return Ok(None);
    }
    Ok(Some(Identity::new(Holds::Xfs, "xfs").with(head.uuid(32), head.text(108, 12))))
}

/// The ext superblock and the features by which its three kinds are told apart
/// (`fs/ext4/ext4.h`).
const EXT: usize = 1024;
const HAS_JOURNAL: u32 = 0x4;
const JOURNAL_DEVICE: u32 = 0x8;
const RECOVER: u32 = 0x4;
/// `filetype`, `meta_bg`: what ext2 reads of `feature_incompat`; ext3 `recover`, too.
const EXT2_INCOMPAT: u32 = 0x2 | 0x10;
/// `sparse_super`, `large_file`, `btree_dir`: what both write of `feature_ro_compat`.
const EXT2_RO_COMPAT: u32 = 0x1 | 0x2 | 0x4;

pub(super) fn ext(probe: &Probe) -> Result<Option<Identity>> {
    let head = &probe.head;
    // Two bytes are few: the block size must be one, too, of up to 64 KiB.
    if head.u16(EXT + 0x38) != 0xef53 || head.u32(EXT + 0x18) > 6 {
        return Ok(None);
    }
    let [compat, incompat, ro_compat] = [0x5c, 0x60, 0x64].map(|at| head.u32(EXT + at));
    let identity = if incompat & JOURNAL_DEVICE != 0 {
        Identity::other("jbd")
    } else if incompat & !(EXT2_INCOMPAT | RECOVER) != 0 || ro_compat & !EXT2_RO_COMPAT != 0 {
        Identity::new(Holds::Ext, "ext4")
    } else if compat & HAS_JOURNAL != 0 {
        Identity::new(Holds::Ext, "ext3")
    } else {
        Identity::new(Holds::Ext, "ext2")
    };
    Ok(Some(identity.with(head.uuid(EXT + 0x68), head.text(EXT + 0x78, 16))))
}

/// btrfs: `struct btrfs_super_block`, whose first copy is at 64 KiB.
pub(super) fn btrfs(probe: &Probe) -> Result<Option<Identity>> {
    let (head, at) = (&probe.head, 64 << 10);
    if !head.has(at + 0x40, b"_BHRfS_M") {
        return Ok(None);
    }
    let names = (head.uuid(at + 0x20), head.text(at + 0x12b, 256));
    Ok(Some(Identity::new(Holds::Btrfs, "btrfs").with(names.0, names.1)))
}
