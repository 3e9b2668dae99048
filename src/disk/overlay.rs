//! Changes that lie on a disk without being written to it.
//!
//! ```text
//! Overlay   grows: chunks that were written, ranges that were zeroed     guest edits write here
//!    │ freeze
//! Edited    the disk with the changes, read only                         the export reads here
//! ```
//!
//! A chunk that was written lies over a range that was zeroed, and both over the disk. What was
//! zeroed is a range and no bytes, so emptying a terabyte costs no memory, and the export neither
//! reads nor compresses it. Dropping an overlay undoes everything.

mod budget;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sha2::{Digest, Sha256};

use super::{Content, Disk, Extent};
use crate::digest::hex;
use crate::error::{Error, Kind, Result};
pub use budget::{Budget, Limits, over_time};

/// Bytes of a chunk: what a write costs at least.
pub const CHUNK: u64 = 4096;
const CHUNK_LEN: usize = 4096;

/// Shared with the states that were marked, so that a mark copies no bytes.
type Chunk = Arc<[u8; CHUNK_LEN]>;

/// What was changed.
#[derive(Clone, Default)]
struct Changes {
    /// By number: byte offset / [`CHUNK`].
    chunks: BTreeMap<u64, Chunk>,
    /// Zeroed ranges, start → end, neither touching nor overlapping.
    zeroed: BTreeMap<u64, u64>,
}

/// Who has a place.
#[derive(Clone, Copy)]
enum Owner {
    Chunk,
    Zeroed,
    Below,
}

impl Changes {
    /// Whose the bytes at `offset` are, and where that ends, at `end` at the latest.
    fn owner(&self, offset: u64, end: u64) -> (Owner, u64) {
        let number = offset / CHUNK;
        if self.chunks.contains_key(&number) {
            return (Owner::Chunk, ((number + 1) * CHUNK).min(end));
        }
        let next_chunk = self.chunks.range(number + 1..).next().map_or(end, |(n, _)| n * CHUNK);
        let end = end.min(next_chunk);
        if let Some((_, until)) = self.zeroed.range(..=offset).next_back()
            && *until > offset
        {
            return (Owner::Zeroed, end.min(*until));
        }
        let next = self.zeroed.range(offset..).next().map_or(end, |(start, _)| *start);
        (Owner::Below, end.min(next))
    }

    fn zero(&mut self, offset: u64, end: u64) {
        // The chunks that lie there whole go, those at the ends keep the rest of their bytes.
        let touched: Vec<u64> = self
            .chunks
            .range(offset / CHUNK..end.div_ceil(CHUNK))
            .map(|(number, _)| *number)
            .collect();
        for number in touched {
            let at = number * CHUNK;
            if offset <= at && at + CHUNK <= end {
                self.chunks.remove(&number);
            } else if let Some(chunk) = self.chunks.get_mut(&number) {
                let chunk = Arc::make_mut(chunk);
                let from = offset.saturating_sub(at);
                let to = (end - at).min(CHUNK);
                chunk[index(from)..index(to)].fill(0);
            }
        }
        self.add_range(offset, end);
    }

    fn add_range(&mut self, mut start: u64, mut end: u64) {
        while let Some((s, e)) = self.zeroed.range(..=end).next_back().map(|(s, e)| (*s, *e)) {
            if e < start {
                break;
            }
            self.zeroed.remove(&s);
            (start, end) = (start.min(s), end.max(e));
        }
        self.zeroed.insert(start, end);
    }

    fn extent_at(&self, below: &dyn Disk, offset: u64, end: u64) -> Result<Extent> {
        let (owner, until) = self.owner(offset, end);
        let content = match owner {
            Owner::Chunk => Content::Data,
            Owner::Zeroed => Content::Zero,
            Owner::Below => return below.extent_at(offset, until - offset),
        };
        Ok(Extent { len: until - offset, content })
    }

    /// Fills `buf` and returns how many bytes of it came from below.
    fn read(&self, below: &dyn Disk, buf: &mut [u8], offset: u64) -> Result<u64> {
        let end = offset + buf.len() as u64;
        let (mut at, mut read) = (offset, 0);
        while at < end {
            let (owner, until) = self.owner(at, end);
            let part = &mut buf[index(at - offset)..index(until - offset)];
            match (owner, self.chunks.get(&(at / CHUNK))) {
                (Owner::Chunk, Some(chunk)) => {
                    let from = index(at % CHUNK);
                    part.copy_from_slice(&chunk[from..from + part.len()]);
                }
                (Owner::Zeroed, _) => part.fill(0),
                _ => {
                    below.read_at(part, at)?;
                    read += until - at;
                }
            }
            at = until;
        }
        Ok(read)
    }
}

/// A position inside a buffer that exists.
pub(crate) fn index(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// A disk that can be changed without being written to.
pub struct Overlay {
    below: Arc<dyn Disk>,
    budget: Arc<Budget>,
    changes: Mutex<Changes>,
}

impl Overlay {
    /// An empty one on `below`.
    pub fn new(below: Arc<dyn Disk>, budget: Arc<Budget>) -> Self {
        Overlay { below, budget, changes: Mutex::default() }
    }

    fn changes(&self) -> MutexGuard<'_, Changes> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Size of the disk in bytes.
    pub fn size(&self) -> u64 {
        self.below.size()
    }

    fn check(&self, offset: u64, len: u64) -> Result<u64> {
        let end = offset.checked_add(len).filter(|end| *end <= self.size());
        end.ok_or_else(|| {
            let message = format!("{len} bytes at {offset} of a disk of {}", self.size());
            Error::new(Kind::Damaged, "guest-beyond-disk", message)
        })
    }

    /// Fills `buf` from `offset`.
    ///
    /// # Errors
    /// Those of the disk below, and `Refused` when a limit is reached.
    pub fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        self.check(offset, buf.len() as u64)?;
        let read = self.changes().read(self.below.as_ref(), buf, offset)?;
        self.note_read(read)
    }

    fn note_read(&self, bytes: u64) -> Result<()> {
        if bytes > 0 {
            self.budget.note_read(bytes);
        }
        self.budget.check()
    }

    /// Puts `data` at `offset`.
    ///
    /// # Errors
    /// Those of [`Overlay::read_at`].
    pub fn write_at(&self, data: &[u8], offset: u64) -> Result<()> {
        let end = self.check(offset, data.len() as u64)?;
        let mut changes = self.changes();
        let mut at = offset;
        while at < end {
            let number = at / CHUNK;
            let until = ((number + 1) * CHUNK).min(end);
            if !changes.chunks.contains_key(&number) {
                let chunk = self.load(&changes, number)?;
                changes.chunks.insert(number, chunk);
            }
            if let Some(chunk) = changes.chunks.get_mut(&number) {
                let chunk = Arc::make_mut(chunk);
                let part = &data[index(at - offset)..index(until - offset)];
                let from = index(at % CHUNK);
                chunk[from..from + part.len()].copy_from_slice(part);
            }
            at = until;
        }
        self.budget.check_held(changes.chunks.len(), changes.zeroed.len())
    }

    /// Makes `len` bytes from `offset` zero.
    ///
    /// # Errors
    /// `Refused` when a limit is reached.
    pub fn zero(&self, offset: u64, len: u64) -> Result<()> {
        let end = self.check(offset, len)?;
        let mut changes = self.changes();
        if len > 0 {
            changes.zero(offset, end);
        }
        self.budget.check_held(changes.chunks.len(), changes.zeroed.len())
    }

    /// The changes so far, to come back to.
    pub fn mark(&self) -> Mark {
        Mark(self.changes().clone())
    }

    /// Takes back everything since `mark`.
    pub fn back_to(&self, mark: Mark) {
        *self.changes() = mark.0;
    }

    /// How many of `len` bytes from `offset` have to be read from somewhere: the rest is known to be
    /// zero.
    ///
    /// # Errors
    /// Those of the disk below.
    pub fn stored(&self, offset: u64, len: u64) -> Result<u64> {
        let end = self.check(offset, len)?;
        let changes = self.changes();
        let (mut at, mut stored) = (offset, 0);
        while at < end {
            let extent = changes.extent_at(self.below.as_ref(), at, end)?;
            stored += if extent.content == Content::Data { extent.len } else { 0 };
            at += extent.len;
        }
        self.budget.check()?;
        Ok(stored)
    }

    fn load(&self, changes: &Changes, number: u64) -> Result<Chunk> {
        let mut chunk = [0; CHUNK_LEN];
        let at = number * CHUNK;
        let len = index((self.size() - at).min(CHUNK));
        let read = changes.read(self.below.as_ref(), &mut chunk[..len], at)?;
        self.note_read(read)?;
        Ok(Arc::new(chunk))
    }

    /// Ends the changing.
    ///
    /// # Errors
    /// Those of the disk below: what was written as it had been is no change and is dropped.
    pub fn freeze(self) -> Result<Edited> {
        let mut changes = self.changes.into_inner().unwrap_or_else(PoisonError::into_inner);
        let chunks = std::mem::take(&mut changes.chunks);
        let mut kept = BTreeMap::new();
        let mut without = [0; CHUNK_LEN];
        for (number, chunk) in chunks {
            let at = number * CHUNK;
            let len = index((self.below.size() - at).min(CHUNK));
            changes.read(self.below.as_ref(), &mut without[..len], at)?;
            if without[..len] != chunk[..len] {
                kept.insert(number, chunk);
            }
        }
        changes.chunks = kept;
        Ok(Edited { below: self.below, changes })
    }
}

/// A state of an [`Overlay`].
pub struct Mark(Changes);

/// A disk with changes on it.
pub struct Edited {
    below: Arc<dyn Disk>,
    changes: Changes,
}

impl Edited {
    /// Whether nothing was changed.
    pub fn is_unchanged(&self) -> bool {
        self.changes.chunks.is_empty() && self.changes.zeroed.is_empty()
    }

    /// Bytes that were written and bytes that were zeroed.
    pub fn changed_bytes(&self) -> (u64, u64) {
        let zeroed = self.changes.zeroed.iter().map(|(start, end)| end - start).sum();
        (self.changes.chunks.len() as u64 * CHUNK, zeroed)
    }

    /// SHA-256 over all changes and their places.
    pub fn digest(&self) -> String {
        let mut digest = Sha256::new();
        for (number, chunk) in &self.changes.chunks {
            digest.update(number.to_le_bytes());
            digest.update(&chunk[..]);
        }
        // No chunk has this number.
        digest.update(u64::MAX.to_le_bytes());
        for (start, end) in &self.changes.zeroed {
            digest.update(start.to_le_bytes());
            digest.update(end.to_le_bytes());
        }
        hex(&digest.finalize())
    }
}

impl Disk for Edited {
    fn size(&self) -> u64 {
        self.below.size()
    }

    fn extent_at(&self, offset: u64, max: u64) -> Result<Extent> {
        let end = offset.saturating_add(max).min(self.size());
        self.changes.extent_at(self.below.as_ref(), offset, end)
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        self.changes.read(self.below.as_ref(), buf, offset).map(drop)
    }
}

#[cfg(test)]
mod tests;
