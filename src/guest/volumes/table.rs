//! The partition table of a disk, of either kind, and what is wrong with it.

use super::bytes::Bytes;
use super::{gpt, mbr};
use crate::disk::{SECTOR, Warning};
use crate::error::Result;
use crate::guest::block::Block;

/// One partition; in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Partition {
    /// As Linux counts.
    pub(super) number: u32,
    pub(super) start: u64,
    /// Inside the disk, never 0 once the table is [settled](Table::settle).
    pub(super) len: u64,
    /// PARTUUID.
    pub(super) uuid: Option<String>,
    /// PARTLABEL.
    pub(super) label: Option<String>,
    pub(super) esp: bool,
    pub(super) refused: Option<String>,
}

/// A partition table.
#[derive(Default)]
pub(super) struct Table {
    pub(super) partitions: Vec<Partition>,
    pub(super) warnings: Vec<Warning>,
    /// Whether it is one for sure, or a boot sector that happens to look like one.
    pub(super) sure: bool,
    /// Why there are no partitions although there should be.
    pub(super) damaged: Option<&'static str>,
}

/// The partition table of a disk, if it has one. GPT goes first where the first sector says so
/// ("protective" or "hybrid"), as in Linux: without that the GPT does not count.
pub(super) fn read(disk: &dyn Block) -> Result<Option<Table>> {
    let damaged = |why| Table { damaged: Some(why), ..Table::default() };
    let Some(first) = mbr::Sector::read(disk, 0)? else {
        let header = Bytes::read(disk, SECTOR, 8)?;
        let why = "there is a GPT, but no protective MBR in front of it";
        return Ok((header.all() == gpt::SIGNATURE).then(|| damaged(why)));
    };
    let table = if first.is_protective() {
        let why = "both headers of the GPT are damaged";
        Some(gpt::table(disk)?.unwrap_or_else(|| damaged(why)))
    } else {
        mbr::table(disk, &first)?
    };
    Ok(table.map(|mut table| {
        table.settle(disk.size());
        table
    }))
}

impl Table {
    /// Makes all partitions lie inside the disk, and refuses those that did not or that share bytes
    /// with others: a change in one would damage the other.
    fn settle(&mut self, size: u64) {
        let warnings = &mut self.warnings;
        self.partitions.retain_mut(|partition| inside(partition, size, warnings));
        let mut order: Vec<usize> = (0..self.partitions.len()).collect();
        order.sort_by_key(|i| self.partitions[*i].start);
        // The one that reaches furthest so far.
        let mut furthest: Option<usize> = None;
        for this in order {
            if let Some(before) = furthest {
                let (a, b) = (&self.partitions[before], &self.partitions[this]);
                if a.start + a.len > b.start {
                    let (a, b) = (a.number, b.number);
                    let message = format!("partitions {a} and {b} overlap");
                    for i in [before, this] {
                        self.partitions[i].refused.get_or_insert_with(|| message.clone());
                    }
                    self.warnings.push(Warning::new("partitions-overlap", message));
                }
            }
            let end = |i: usize| self.partitions[i].start + self.partitions[i].len;
            if furthest.is_none_or(|before| end(this) > end(before)) {
                furthest = Some(this);
            }
        }
    }
}

/// Cuts a partition off at the end of the disk, as Linux does. False if nothing is left of it.
fn inside(partition: &mut Partition, size: u64, warnings: &mut Vec<Warning>) -> bool {
    let left = size.saturating_sub(partition.start);
    if left < partition.len {
        let number = partition.number;
        let how = if left == 0 { "begins" } else { "reaches" };
        let message = format!("partition {number} {how} beyond the end of the disk");
        partition.refused = Some(message.clone());
        partition.len = left;
        warnings.push(Warning::new("partition-beyond-end", message));
    }
    partition.len > 0
}
