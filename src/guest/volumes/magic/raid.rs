//! Members of a RAID.

use super::{Identity, Probe};
use crate::error::Result;
use crate::guest::volumes::Holds;
use crate::guest::volumes::bytes::{Bytes, uuid};

/// `MD_SB_MAGIC` of the kernel's `include/uapi/linux/raid/md_p.h`.
const MD: u32 = 0xa92b_4efc;

/// Linux software RAID. The superblock of version 1.1 is at the start, of 1.2 at 4 KiB, of 1.0 at
/// the last multiple of 4 KiB that is at least 8 KiB before the end, of 0.90 in the last whole 64
/// KiB but one: `md_p.h` and mdadm's `md(4)`.
pub(super) fn md(probe: &Probe) -> Result<Option<Identity>> {
    let size = probe.on.size();
    let end = size.checked_sub(8 << 10).map(|at| at & !0xfff);
    for at in [Some(0), Some(4096), end].into_iter().flatten() {
        let superblock = probe.read(at, 256)?;
        // It says itself where it is, so a copy, or that of a partition at the end, does not count.
        let here = superblock.u64(144).checked_mul(512) == Some(at);
        if superblock.u32(0) == MD && superblock.u32(4) == 1 && here {
            let names = (superblock.uuid(16), superblock.text(32, 32));
            return Ok(Some(member(names.0, names.1)));
        }
    }
    let Some(at) = (size & !0xffff).checked_sub(64 << 10) else { return Ok(None) };
    let superblock = probe.read(at, 4096)?;
    Ok(old(&superblock).map(|uuid| member(uuid, None)))
}

fn member(uuid: Option<String>, label: Option<String>) -> Identity {
    Identity::new(Holds::Raid, "linux_raid_member").with(uuid, label)
}

/// The UUID in a superblock of version 0.90, which is written in the byte order of its machine. Its
/// four words are apart, and printed as numbers.
fn old(superblock: &Bytes) -> Option<Option<String>> {
    let words = [20, 52, 56, 60];
    let words = if superblock.u32(0) == MD && superblock.u32(4) == 0 {
        words.map(|at| superblock.u32(at))
    } else if superblock.u32_be(0) == MD && superblock.u32_be(4) == 0 {
        words.map(|at| superblock.u32_be(at))
    } else {
        return None;
    };
    let mut bytes = [0; 16];
    for (place, word) in bytes.chunks_exact_mut(4).zip(words) {
        place.copy_from_slice(&word.to_be_bytes());
    }
    Some(uuid(bytes))
}

/// RAID of a PC's firmware: Intel's metadata lie in the last sector but one, DDF's anchor (SNIA DDF
/// 2.0, 4.2.1) in the last.
pub(super) fn bios(probe: &Probe) -> Result<Option<Identity>> {
    let Some(at) = probe.on.size().checked_sub(1024) else { return Ok(None) };
    let end = probe.read(at, 1024)?;
    let name = if end.has(0, b"Intel Raid ISM Cfg Sig. ") {
        "isw_raid_member"
    } else if end.has(512, &[0xde, 0x11, 0xde, 0x11]) || end.has(512, &[0x11, 0xde, 0x11, 0xde]) {
        "ddf_raid_member"
    } else {
        return Ok(None);
    };
    Ok(Some(Identity::new(Holds::Raid, name)))
}
