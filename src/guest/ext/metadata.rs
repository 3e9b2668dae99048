//! The file system's own blocks.

use super::view::View;

/// Blocks of superblocks, descriptors, bitmaps and inode tables: first and end, sorted, none touching
/// another. The bitmaps have them as in use; where there is none, or a wrong one, they are not free
/// all the same.
pub fn ranges(view: &View) -> Vec<(u64, u64)> {
    let sb = &view.fs.sb;
    let table =
        (u64::from(sb.inodes_per_group) * u64::from(sb.inode_size)).div_ceil(view.block_size());
    let mut ranges = vec![(0, u64::from(sb.first_data_block) + 1)];
    for (number, group) in view.fs.groups.iter().enumerate() {
        let first = view.group(number as u64).0;
        ranges.push((first, first + sb.group_head_metadata_blocks(number as u64)));
        ranges.push((group.block_bitmap, group.block_bitmap + 1));
        ranges.push((group.inode_bitmap, group.inode_bitmap + 1));
        ranges.push((group.inode_table, group.inode_table + table));
    }
    ranges.retain(|(start, end)| start < end);
    ranges.sort_unstable();
    let mut merged: Vec<(u64, u64)> = Vec::with_capacity(ranges.len());
    for (start, end) in ranges {
        match merged.last_mut() {
            Some(last) if start <= last.1 => last.1 = last.1.max(end),
            _ => merged.push((start, end)),
        }
    }
    merged
}

/// Where the range ends that `block` is in.
pub fn covered(ranges: &[(u64, u64)], block: u64) -> Option<u64> {
    let before = ranges.partition_point(|(start, _)| *start <= block).checked_sub(1)?;
    ranges.get(before).map(|(_, end)| *end).filter(|end| block < *end)
}

/// Where the next range begins behind `block`.
pub fn next(ranges: &[(u64, u64)], block: u64) -> u64 {
    let next = ranges.partition_point(|(start, _)| *start <= block);
    ranges.get(next).map_or(u64::MAX, |(start, _)| *start)
}
