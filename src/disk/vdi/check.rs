//! Every entry of a block map against the file: what VirtualBox finds only when it reads, or not
//! at all (it accepts two entries on one block), and qemu-img turns into zeros.

use std::collections::HashSet;

use sha2::{Digest, Sha256};

use super::flaw;
use super::header::{BLOCK_ZERO, Header};
use super::map::BlockMap;
use crate::disk::source::SourceFile;
use crate::disk::{Damage, DamageList, Warning, hex};
use crate::error::{Error, Result};

/// File blocks that one pass over the map looks at for double use: a bitmap of 16 MiB. Block
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
    let mut highest = None;
    map.scan(|first, entries| {
        digest.update(entries.iter().flat_map(|entry| entry.to_le_bytes()).collect::<Vec<_>>());
        for (block, &entry) in (first..).zip(entries) {
            if entry < BLOCK_ZERO {
                allocated += 1;
                highest = highest.max(Some(entry));
                check.inside_file(block, entry)?;
            }
        }
        Ok(())
    })?;
    if let Some(highest) = highest {
        check.used_once(highest)?;
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
        let found = end.map_or_else(|| "beyond 2^64".to_owned(), |end| end.to_string());
        let error = flaw(
            self.file,
            "vdi-block-beyond-end",
            self.map.entry_offset(block),
            &format!("the end of block {block} (stored as {entry})"),
            found,
            format!("at most {}, the file's length", self.file.len()),
        );
        // The part that is still in the file is read; only the missing tail is lost.
        let start = self.header.data_address(entry).unwrap_or(u64::MAX);
        let there = self.file.len().saturating_sub(start).min(used) / 512 * 512;
        self.damage(block, there, used - there, "beyond the end of the file", error)
    }

    /// No two entries may name one block: VirtualBox gives every block its own, so at least one
    /// of the two shows the guest somebody else's bytes.
    fn used_once(&self, highest: u32) -> Result<()> {
        let mut window_start = 0u64;
        while window_start <= u64::from(highest) {
            let len = (u64::from(highest) - window_start + 1).min(WINDOW);
            let twice = self.seen_twice(window_start, len)?;
            if !twice.is_empty() {
                self.report_shared(&twice)?;
            }
            window_start += WINDOW;
        }
        Ok(())
    }

    /// The file blocks in a window that more than one entry names; without salvage the first.
    fn seen_twice(&self, window_start: u64, len: u64) -> Result<HashSet<u32>> {
        let mut seen = vec![0u64; usize::try_from(len.div_ceil(64)).unwrap_or(usize::MAX)];
        let mut twice = HashSet::new();
        self.map.scan(|_, entries| {
            for &entry in entries.iter().filter(|entry| **entry < BLOCK_ZERO) {
                let Some(at) = u64::from(entry).checked_sub(window_start) else { continue };
                let word = usize::try_from(at / 64).ok().and_then(|word| seen.get_mut(word));
                let Some(word) = word.filter(|_| at < len) else { continue };
                let bit = 1 << (at % 64);
                if *word & bit != 0 && (self.salvage.is_some() || twice.is_empty()) {
                    twice.insert(entry);
                }
                *word |= bit;
            }
            Ok(())
        })?;
        Ok(twice)
    }

    /// Names every block that shares its place with another.
    fn report_shared(&self, twice: &HashSet<u32>) -> Result<()> {
        let mut first_owner = None;
        self.map.scan(|first, entries| {
            for (block, &entry) in (first..).zip(entries) {
                if !twice.contains(&entry) {
                    continue;
                }
                let owner = *first_owner.get_or_insert(block);
                if self.salvage.is_none() && owner == block {
                    continue;
                }
                let error = flaw(
                    self.file,
                    "vdi-block-used-twice",
                    self.map.entry_offset(block),
                    &format!("the place of block {block}"),
                    format!("{entry}, which block {owner} has, too"),
                    "a place of its own",
                );
                let used = self.header.bytes_used(block);
                self.damage(block, 0, used, "two blocks share one place", error)?;
            }
            Ok(())
        })
    }

    /// Ends the work with `error`, or lists `len` bytes from `skip` into `block`.
    fn damage(&self, block: u32, skip: u64, len: u64, why: &str, error: Error) -> Result<()> {
        let Some(list) = self.salvage else { return Err(error) };
        if len == 0 {
            return Ok(());
        }
        let offset = u64::from(block) * self.header.block_size + skip;
        let reason = format!("{}: {why}", self.file.path().display());
        list.add(Damage { offset, len, reason })
    }
}
