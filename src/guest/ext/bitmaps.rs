//! The bitmaps of blocks and inodes that are in use.

use fs_ext4::bgd::{BgdFlags, BlockGroupDescriptor};

use super::damaged;
use super::view::View;
use crate::error::Result;

/// Features under which a group's bitmaps may never have been written: `gdt_csum`, `metadata_csum`.
/// Without them the flags that say so mean nothing.
const RO_CSUM: u32 = 0x10 | 0x400;
const RO_METADATA_CSUM: u32 = 0x400;

/// Compares every bitmap with what its group's descriptor says of it: how many bits are clear, and
/// the checksum. Where they differ, something that is in use may be marked as free and would be
/// overwritten. (Linux marks such a group as corrupt and allocates nothing in it:
/// `ext4_mb_generate_buddy`.) The writer looks at neither.
///
/// # Errors
/// `Damaged`, if they differ; those of reading.
pub fn check(view: &View) -> Result<()> {
    let sb = &view.fs.sb;
    let may_be_unwritten = sb.feature_ro_compat & RO_CSUM != 0;
    for (number, group) in view.fs.groups.iter().enumerate() {
        let unwritten = group.flags() & (BgdFlags::BLOCK_UNINIT | BgdFlags::INODE_UNINIT);
        if !may_be_unwritten && !unwritten.is_empty() {
            return Err(damaged("a group says that its bitmaps were never written"));
        }
        if !unwritten.contains(BgdFlags::BLOCK_UNINIT) {
            let bits = view.group(number as u64).1;
            let sum = (u64::from(sb.blocks_per_group) / 8, group.block_bitmap_csum);
            agree(view, group.block_bitmap, bits, group.free_blocks_count, sum)?;
        }
        if !unwritten.contains(BgdFlags::INODE_UNINIT) {
            let bits = u64::from(sb.inodes_per_group);
            let sum = (bits / 8, group.inode_bitmap_csum);
            agree(view, group.inode_bitmap, bits, group.free_inodes_count, sum)?;
        }
    }
    Ok(())
}

/// Compares the bitmap in block `at`: its first `bits`, and the checksum of its first bytes.
fn agree(view: &View, at: u64, bits: u64, free: u32, sum: (u64, u32)) -> Result<()> {
    let bytes = view.block(at)?;
    let set: u64 = whole(&bytes, bits).iter().map(|byte| u64::from(byte.count_ones())).sum();
    let rest = (bits / 8 * 8..bits).filter(|bit| is_set(&bytes, *bit)).count() as u64;
    if bits.saturating_sub(set + rest) != u64::from(free) {
        return Err(damaged("a bitmap and the number of what is free in it do not agree"));
    }
    let sb = &view.fs.sb;
    if sb.feature_ro_compat & RO_METADATA_CSUM != 0 {
        let found = view.fs.csum.crc(whole(&bytes, sum.0 * 8));
        // Descriptors of 32 bytes have room for the low half only.
        let mask = if sb.desc_size >= 64 { u32::MAX } else { 0xffff };
        if found & mask != sum.1 & mask {
            return Err(damaged("a bitmap has a wrong checksum"));
        }
    }
    Ok(())
}

/// The bytes that `bits` fill.
fn whole(bytes: &[u8], bits: u64) -> &[u8] {
    let len = usize::try_from(bits / 8).unwrap_or(usize::MAX).min(bytes.len());
    &bytes[..len]
}

/// What is missing is in use.
fn is_set(bytes: &[u8], bit: u64) -> bool {
    let byte = usize::try_from(bit / 8).ok().and_then(|at| bytes.get(at));
    byte.is_none_or(|byte| byte & (1 << (bit % 8)) != 0)
}

/// The bitmap of a group's blocks; none if it was never written, and nothing is in use.
///
/// # Errors
/// Those of reading it.
pub fn of_blocks(view: &View, group: &BlockGroupDescriptor) -> Result<Option<Vec<u8>>> {
    match group.flags().contains(BgdFlags::BLOCK_UNINIT) {
        true => Ok(None),
        false => view.block(group.block_bitmap).map(Some),
    }
}

/// Whether the bit `at` is clear, and where, at `stop` at the latest, that changes. Without bytes
/// all bits are clear.
pub fn run(bytes: Option<&[u8]>, at: u64, stop: u64) -> (bool, u64) {
    let Some(bytes) = bytes else { return (true, stop) };
    let free = !is_set(bytes, at);
    let same = if free { 0 } else { 0xff };
    let mut until = at + 1;
    while until < stop {
        let byte = usize::try_from(until / 8).ok().and_then(|at| bytes.get(at));
        if until.is_multiple_of(8) && byte == Some(&same) {
            until += 8;
        } else if is_set(bytes, until) != free {
            until += 1;
        } else {
            break;
        }
    }
    (free, until.min(stop))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_end_where_bits_change() {
        let bytes = [0xff, 0xff, 0x0f, 0x00, 0x00, 0x80];
        assert_eq!(run(Some(&bytes), 0, 48), (false, 20));
        assert_eq!(run(Some(&bytes), 20, 48), (true, 47));
        assert_eq!(run(Some(&bytes), 47, 48), (false, 48));
        assert_eq!(run(Some(&bytes), 3, 10), (false, 10));
        assert_eq!(run(Some(&bytes), 47, 60), (false, 60));
        assert_eq!(run(None, 5, 60), (true, 60));
    }
}
