//! Every entry of a block map against the file: what VirtualBox finds only when it reads, or not
//! at all (it accepts two entries on one block), and qemu-img turns into zeros.

use sha2::{Digest, Sha256};

use super::flaw;
use super::header::{BLOCK_ZERO, Header};
use super::map::BlockMap;
use crate::digest::hex;
use crate::disk::source::SourceFile;
use crate::disk::{Damage, DamageList, Warning};
use crate::error::Result;

/// File blocks that one pass over the map looks at for double use: two bitmaps of 16 MiB. Block
/// numbers have 32 bits, so a forged map costs at most 32 passes, a real one costs one.
const WINDOW: u64 = 1 << 27;

/// Checks the map and returns the SHA-256 of its bytes.
///
/// # Errors
/// `Damaged`: a block beyond the end of the file, or two entries on one block. With `salvage`
/// these are listed there instead.
pub(super) fn check_map(
    file: &SourceFile,
    header: &Header,
    map: &BlockMap,
    salvage: Option<&DamageList>,
    warnings: &mut Vec<Warning>,
) -> Result<String> {
    let check = Check { file, header, map, salvage };
    let mut digest = Sha256::new();
    let mut allocated = 0u32;
    let mut highest = 0;
    // Double use is looked for in the same pass: the zeros of a sparse file are a map in which
    // all entries name block 0, and a map of 16 GiB must not be read to its end to see that.
    let mut used = Used::from(0);
    map.scan(|first, entries| {
        digest.update(entries.iter().flat_map(|entry| entry.to_le_bytes()).collect::<Vec<_>>());
        for (block, entry) in stored(first, entries) {
            allocated += 1;
            highest = highest.max(entry);
            check.inside_file(block, entry)?;
            check.used_once(&mut used, block, entry)?;
        }
        Ok(())
    })?;
    check.report_shared(&used)?;
    for window in 1..=u64::from(highest) / WINDOW {
        let mut used = Used::from(window * WINDOW);
        map.scan(|first, entries| {
            stored(first, entries).try_for_each(|(b, e)| check.used_once(&mut used, b, e))
        })?;
        check.report_shared(&used)?;
    }
    if allocated != header.blocks_allocated {
        let message = format!(
            "{}: the header counts {} allocated blocks, the map has {allocated}",
            file.path().display(),
            header.blocks_allocated
        );
        warnings.push(Warning::new("vdi-allocated-count", message));
    }
    Ok(hex(&digest.finalize()))
}

/// The blocks that have a place in the file, and which.
fn stored(first: u32, entries: &[u32]) -> impl Iterator<Item = (u32, u32)> {
    (first..).zip(entries.iter().copied()).filter(|(_, entry)| *entry < BLOCK_ZERO)
}

/// Which file blocks of one window are named by the map, and which more than once.
struct Used {
    start: u64,
    once: Vec<u64>,
    twice: Vec<u64>,
}

impl Used {
    fn from(start: u64) -> Self {
        Used { start, once: Vec::new(), twice: Vec::new() }
    }

    /// The word and bit of a file block, if it is in the window.
    fn place(&self, entry: u32) -> Option<(usize, u64)> {
        let at = u64::from(entry).checked_sub(self.start).filter(|at| *at < WINDOW)?;
        Some((usize::try_from(at / 64).ok()?, 1 << (at % 64)))
    }

    /// Notes a use and says whether it is not the first.
    fn note(&mut self, entry: u32) -> bool {
        let Some((word, bit)) = self.place(entry) else { return false };
        let again = set(&mut self.once, word, bit);
        if again {
            set(&mut self.twice, word, bit);
        }
        again
    }

    fn is_shared(&self, entry: u32) -> bool {
        let found = self.place(entry).and_then(|(word, bit)| Some(self.twice.get(word)? & bit));
        found.is_some_and(|bit| bit != 0)
    }
}

/// Sets a bit and says whether it was set before.
fn set(bitmap: &mut Vec<u64>, word: usize, bit: u64) -> bool {
    if bitmap.len() <= word {
        bitmap.resize(word + 1, 0);
    }
    let Some(word) = bitmap.get_mut(word) else { return false };
    let before = *word & bit != 0;
    *word |= bit;
    before
}

struct Check<'a> {
    file: &'a SourceFile,
    header: &'a Header,
    map: &'a BlockMap,
    salvage: Option<&'a DamageList>,
}

impl Check<'_> {
    /// All bytes of `block` that the guest can see have to be in the file. Of a partial last
    /// block only the part inside the disk counts, as in VirtualBox and QEMU.
    fn inside_file(&self, block: u32, entry: u32) -> Result<()> {
        let used = self.header.bytes_used(block);
        if used == 0 {
            return Ok(());
        }
        let end = self.header.data_address(entry).and_then(|start| start.checked_add(used));
        if end.is_some_and(|end| end <= self.file.len()) {
            return Ok(());
        }
        if self.salvage.is_some() {
            // The part that is still in the file is read; only the missing tail is lost.
            let start = self.header.data_address(entry).unwrap_or(u64::MAX);
            let there = self.file.len().saturating_sub(start).min(used) / 512 * 512;
            return self.list(block, there, used - there, "beyond the end of the file");
        }
        let found = end.map_or_else(|| "beyond 2^64".to_owned(), |end| end.to_string());
        Err(flaw(
            self.file,
            "vdi-block-beyond-end",
            self.map.entry_offset(block),
            &format!("the end of block {block} (stored as {entry})"),
            found,
            format!("at most {}, the file's length", self.file.len()),
        ))
    }

    /// No two entries may name one block: VirtualBox gives every block its own, so at least one
    /// of the two shows the guest somebody else's bytes.
    fn used_once(&self, used: &mut Used, block: u32, entry: u32) -> Result<()> {
        // With salvage both are listed, which takes another pass.
        if !used.note(entry) || self.salvage.is_some() {
            return Ok(());
        }
        Err(flaw(
            self.file,
            "vdi-block-used-twice",
            self.map.entry_offset(block),
            &format!("the place of block {block}"),
            format!("{entry}, which block {} has, too", self.owner(entry)?),
            "a place of its own",
        ))
    }

    /// The first block that is stored at `entry`.
    fn owner(&self, entry: u32) -> Result<u32> {
        let mut block = 0;
        while block < self.header.blocks {
            let entries = self.map.entries_from(block)?;
            for (number, found) in (block..).zip(entries.iter()) {
                if *found == entry {
                    return Ok(number);
                }
            }
            block = block.saturating_add(u32::try_from(entries.len().max(1)).unwrap_or(u32::MAX));
        }
        Ok(block)
    }

    /// Lists every block that shares its place with another.
    fn report_shared(&self, used: &Used) -> Result<()> {
        if used.twice.is_empty() {
            return Ok(());
        }
        self.map.scan(|first, entries| {
            stored(first, entries).filter(|(_, entry)| used.is_shared(*entry)).try_for_each(
                |(block, _)| {
                    let len = self.header.bytes_used(block);
                    self.list(block, 0, len, "two blocks share one place")
                },
            )
        })
    }

    /// Lists `len` bytes from `skip` into `block` as damaged.
    fn list(&self, block: u32, skip: u64, len: u64, why: &str) -> Result<()> {
        let Some(list) = self.salvage.filter(|_| len > 0) else { return Ok(()) };
        let offset = u64::from(block) * self.header.block_size + skip;
        let reason = format!("{}: {why}", self.file.path().display());
        list.add(Damage { offset, len, reason })
    }
}
