//! What is only recognised, so that its name can be said.

use super::{Identity, Probe};
use crate::error::Result;

/// A magic number at a place, and what has it.
struct Magic {
    name: &'static str,
    at: u64,
    magic: &'static [u8],
    /// Where a UUID in its usual binary form is, and a label with its length.
    names: Option<(u64, u64, usize)>,
}

const fn magic(name: &'static str, at: u64, magic: &'static [u8]) -> Magic {
    Magic { name, at, magic, names: None }
}

impl Magic {
    const fn names(mut self, uuid: u64, label: u64, len: usize) -> Self {
        self.names = Some((uuid, label, len));
        self
    }
}

/// What wraps other things. bcache and the first bcachefs share a magic number.
const CONTAINERS: &[Magic] = &[
    magic("LVM1_member", 0, b"HM\x01\0"),
    magic("LVM1_member", 0, b"HM\x02\0"),
    magic("DM_snapshot_cow", 0, b"SnAp\x01\0\0\0"),
    magic("DM_verity_hash", 0, b"verity\0\0"),
    magic("DM_integrity", 0, b"integrt\0"),
    magic("vdo", 0, b"dmvdo001"),
    magic("stratis", 512, b"!Stra0tis\x86\xff\x02^\x41rh"),
    magic("stratis", 4608, b"!Stra0tis\x86\xff\x02^\x41rh"),
    magic("bcache", 4120, b"\xc6\x85\x73\xf6\x4e\x1a\x45\xca\x82\x65\xf5\x7f\x48\xba\x6d\x81"),
    magic("ubi", 0, b"UBI#"),
];

/// File systems that are not read.
const FILESYSTEMS: &[Magic] = &[
    magic("squashfs", 0, b"hsqs"),
    magic("squashfs", 0, b"sqsh"),
    magic("cramfs", 0, b"\x45\x3d\xcd\x28"),
    magic("erofs", 1024, b"\xe2\xe1\xf5\xe0"),
    magic("apfs", 32, b"NXSB"),
    magic("ReFS", 0, b"\0\0\0ReFS\0"),
    magic("bcachefs", 4120, b"\xc6\x85\x73\xf6\x66\xce\x90\xa9\xd9\x6a\x60\xcf\x80\x3d\xf7\xef"),
    // Its revision, 2.0, goes with a magic number of only two bytes.
    magic("nilfs2", 1024, b"\x02\0\0\0\0\0\x34\x34").names(1176, 1192, 80),
    // The label is UTF-16, and left out.
    magic("f2fs", 1024, b"\x10\x20\xf5\xf2").names(1132, 0, 0),
    magic("hfsplus", 1024, b"H+\0\x04"),
    magic("hfsplus", 1024, b"HX\0\x05"),
    magic("hfs", 1024, b"BD"),
    magic("ocfs2", 1024, b"OCFSV2"),
    magic("ocfs2", 2048, b"OCFSV2"),
    magic("ocfs2", 4096, b"OCFSV2"),
    magic("ocfs2", 8192, b"OCFSV2"),
    magic("jfs", 32768, b"JFS1").names(32904, 32920, 16),
    magic("reiserfs", 65588, b"ReIsErFs").names(65620, 65636, 16),
    magic("reiserfs", 65588, b"ReIsEr2Fs").names(65620, 65636, 16),
    magic("reiserfs", 65588, b"ReIsEr3Fs").names(65620, 65636, 16),
    magic("reiserfs", 8244, b"ReIsErFs"),
    magic("reiser4", 65536, b"ReIsEr4"),
    magic("gfs2", 65536, b"\x01\x16\x19\x70\0\0\0\x01"),
    magic("iso9660", 32769, b"CD001"),
    magic("udf", 32769, b"BEA01"),
    // UFS1 and UFS2, which is in two places, in both byte orders.
    magic("ufs", 9564, b"\x54\x19\x01\0"),
    magic("ufs", 9564, b"\0\x01\x19\x54"),
    magic("ufs", 9564, b"\x19\x01\x54\x19"),
    magic("ufs", 9564, b"\x19\x54\x01\x19"),
    magic("ufs", 66908, b"\x19\x01\x54\x19"),
    magic("ufs", 66908, b"\x19\x54\x01\x19"),
    magic("VMFS_volume_member", 1 << 20, b"\x0d\xd0\x01\xc0"),
    magic("VMFS", 2 << 20, b"\x5e\xf1\xab\x2f"),
];

pub(super) fn containers(probe: &Probe) -> Result<Option<Identity>> {
    first_of(CONTAINERS, probe)
}

pub(super) fn filesystems(probe: &Probe) -> Result<Option<Identity>> {
    first_of(FILESYSTEMS, probe)
}

fn first_of(list: &[Magic], probe: &Probe) -> Result<Option<Identity>> {
    for known in list {
        if probe.read(known.at, known.magic.len())?.all() != known.magic {
            continue;
        }
        let identity = Identity::other(known.name);
        return Ok(Some(match known.names {
            None => identity,
            Some((uuid, label, len)) => {
                let uuid = probe.read(uuid, 16)?.uuid(0);
                identity.with(uuid, probe.read(label, len)?.text(0, len))
            }
        }));
    }
    Ok(None)
}

/// Where the uberblocks of the first label of a ZFS pool's member are: 128 of at least 1 KiB each
/// (ZFS On-Disk Specification, 1.2.4 and 1.3). One that is valid begins with the magic number.
const UBERBLOCKS: (u64, usize, usize) = (128 << 10, 128 << 10, 1 << 10);
const UBERBLOCK: u64 = 0x00ba_b10c;
/// As many has `blkid` to see: fewer may be left over from a file system that is gone.
const ENOUGH: usize = 4;

pub(super) fn zfs(probe: &Probe) -> Result<Option<Identity>> {
    let (at, len, each) = UBERBLOCKS;
    let label = probe.read(at, len)?;
    let magic = |n: usize| label.u64(n * each);
    let is = |n: &usize| magic(*n) == UBERBLOCK || magic(*n) == UBERBLOCK.swap_bytes();
    let enough = (0..len / each).filter(is).count() >= ENOUGH;
    Ok(enough.then(|| Identity::other("zfs_member")))
}
