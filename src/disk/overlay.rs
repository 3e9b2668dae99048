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

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use super::{Content, Disk, Extent};
use crate::digest::hex;
use crate::error::{Error, Kind, Result};

/// Bytes of a chunk: what a write costs at least.
pub const CHUNK: u64 = 4096;
const CHUNK_LEN: usize = 4096;

/// How much an overlay may cost. A hostile file system is to end in an error, not in a hang or a
/// full memory; a typical guest needs 1 % of each.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Chunks that are held.
    pub chunks: usize,
    /// Zeroed ranges that are held.
    pub ranges: usize,
    /// Bytes read from the disk below.
    pub read: u64,
    /// Time spent, without that of the reads: a slow disk is not hostile.
    pub time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { chunks: 65_536, ranges: 2_000_000, read: 2 << 30, time: Duration::from_secs(8) }
    }
}

type Chunk = Box<[u8; CHUNK_LEN]>;

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

    fn read(&self, below: &dyn Disk, buf: &mut [u8], offset: u64) -> Result<()> {
        let end = offset + buf.len() as u64;
        let mut at = offset;
        while at < end {
            let (owner, until) = self.owner(at, end);
            let part = &mut buf[index(at - offset)..index(until - offset)];
            match (owner, self.chunks.get(&(at / CHUNK))) {
                (Owner::Chunk, Some(chunk)) => {
                    let from = index(at % CHUNK);
                    part.copy_from_slice(&chunk[from..from + part.len()]);
                }
                (Owner::Zeroed, _) => part.fill(0),
                _ => below.read_at(part, at)?,
            }
            at = until;
        }
        Ok(())
    }
}

/// A position inside a buffer that exists.
fn index(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// A disk that can be changed without being written to.
pub struct Overlay {
    below: Arc<dyn Disk>,
    limits: Limits,
    state: Mutex<State>,
}

struct State {
    changes: Changes,
    read: u64,
    began: Instant,
    waited: Duration,
}

impl Overlay {
    /// An empty one on `below`. Its time begins now.
    pub fn new(below: Arc<dyn Disk>, limits: Limits) -> Self {
        let state = State {
            changes: Changes::default(),
            read: 0,
            began: Instant::now(),
            waited: Duration::ZERO,
        };
        Overlay { below, limits, state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Size of the disk in bytes.
    pub fn size(&self) -> u64 {
        self.below.size()
    }

    /// The disk as it is below the changes.
    pub fn below(&self) -> &Arc<dyn Disk> {
        &self.below
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
        let mut state = self.state();
        let began = Instant::now();
        state.changes.read(self.below.as_ref(), buf, offset)?;
        state.waited += began.elapsed();
        state.read = state.read.saturating_add(buf.len() as u64);
        self.within_limits(&state)
    }

    /// Puts `data` at `offset`.
    ///
    /// # Errors
    /// Those of [`Overlay::read_at`].
    pub fn write_at(&self, data: &[u8], offset: u64) -> Result<()> {
        let end = self.check(offset, data.len() as u64)?;
        let mut state = self.state();
        let mut at = offset;
        while at < end {
            let number = at / CHUNK;
            let until = ((number + 1) * CHUNK).min(end);
            if !state.changes.chunks.contains_key(&number) {
                let chunk = self.load(&state.changes, number)?;
                state.changes.chunks.insert(number, chunk);
            }
            if let Some(chunk) = state.changes.chunks.get_mut(&number) {
                let part = &data[index(at - offset)..index(until - offset)];
                let from = index(at % CHUNK);
                chunk[from..from + part.len()].copy_from_slice(part);
            }
            at = until;
        }
        self.within_limits(&state)
    }

    /// Makes `len` bytes from `offset` zero.
    ///
    /// # Errors
    /// `Refused` when a limit is reached.
    pub fn zero(&self, offset: u64, len: u64) -> Result<()> {
        let end = self.check(offset, len)?;
        let mut state = self.state();
        if len > 0 {
            state.changes.zero(offset, end);
        }
        self.within_limits(&state)
    }

    /// Whether anything was changed in `len` bytes from `offset`.
    pub fn touched(&self, offset: u64, len: u64) -> bool {
        let state = self.state();
        let end = offset.saturating_add(len);
        !matches!(state.changes.owner(offset, end), (Owner::Below, until) if until == end)
    }

    fn load(&self, changes: &Changes, number: u64) -> Result<Chunk> {
        let mut chunk = Box::new([0; CHUNK_LEN]);
        let at = number * CHUNK;
        let len = index((self.size() - at).min(CHUNK));
        changes.read(self.below.as_ref(), &mut chunk[..len], at)?;
        Ok(chunk)
    }

    fn within_limits(&self, state: &State) -> Result<()> {
        let Limits { chunks, ranges, read, time } = self.limits;
        let spent = state.began.elapsed().saturating_sub(state.waited);
        let broken = if state.changes.chunks.len() > chunks {
            format!("more than {} MiB of changes", (chunks as u64 * CHUNK) >> 20)
        } else if state.changes.zeroed.len() > ranges {
            format!("more than {ranges} separate empty ranges")
        } else if state.read > read {
            format!("more than {} MiB to read", read >> 20)
        } else if spent > time {
            format!("more than {} s of work", time.as_secs())
        } else {
            return Ok(());
        };
        Err(Error::new(
            Kind::Refused,
            "guest-limit",
            format!("looking into the guest and editing it takes {broken}: its file systems are damaged or forged"),
        )
        .remedy("check them inside the guest, or convert the disk as it is with --no-context"))
    }

    /// Ends the changing.
    ///
    /// # Errors
    /// Those of the disk below: what was written as it had been is no change and is dropped.
    pub fn freeze(self) -> Result<Edited> {
        let state = self.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut changes = state.changes;
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
        let (owner, until) = self.changes.owner(offset, end);
        let content = match owner {
            Owner::Chunk => Content::Data,
            Owner::Zeroed => Content::Zero,
            Owner::Below => return self.below.extent_at(offset, until - offset),
        };
        Ok(Extent { len: until - offset, content })
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        self.changes.read(self.below.as_ref(), buf, offset)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Bytes in memory; every other 8 KiB are a hole.
    struct Memory(Vec<u8>);

    impl Memory {
        fn new(len: usize) -> Self {
            let byte = |i: usize| if i / 8192 % 2 == 0 { (i % 251) as u8 + 1 } else { 0 };
            Memory((0..len).map(byte).collect())
        }
    }

    impl Disk for Memory {
        fn size(&self) -> u64 {
            self.0.len() as u64
        }
        fn extent_at(&self, offset: u64, max: u64) -> Result<Extent> {
            let len = (8192 - offset % 8192).min(max).min(self.size() - offset);
            let zero = offset / 8192 % 2 == 1;
            Ok(Extent { len, content: if zero { Content::Zero } else { Content::Data } })
        }
        fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
            buf.copy_from_slice(&self.0[offset as usize..][..buf.len()]);
            Ok(())
        }
    }

    const LEN: usize = 100_000;

    #[derive(Clone, Debug)]
    enum Step {
        Write(usize, usize, u8),
        Zero(usize, usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        let place = (0..LEN, 0..20_000_usize).prop_map(|(at, len)| (at, len.min(LEN - at)));
        (place, any::<u8>(), any::<bool>()).prop_map(|((at, len), byte, write)| match write {
            true => Step::Write(at, len, byte),
            false => Step::Zero(at, len),
        })
    }

    proptest! {
        #[test]
        fn an_overlay_is_the_disk_with_the_writes(steps in prop::collection::vec(step(), 0..40)) {
            let memory = Memory::new(LEN);
            let mut model = memory.0.clone();
            let overlay = Overlay::new(Arc::new(memory), Limits::default());
            for step in &steps {
                match *step {
                    Step::Write(at, len, byte) => {
                        overlay.write_at(&vec![byte; len], at as u64).unwrap();
                        model[at..at + len].fill(byte);
                    }
                    Step::Zero(at, len) => {
                        overlay.zero(at as u64, len as u64).unwrap();
                        model[at..at + len].fill(0);
                    }
                }
            }
            let mut now = vec![1; LEN];
            overlay.read_at(&mut now, 0).unwrap();
            prop_assert!(now == model);
            let edited = overlay.freeze().unwrap();
            edited.read_at(&mut now, 0).unwrap();
            prop_assert!(now == model);
            let mut at = 0;
            while at < LEN {
                let extent = edited.extent_at(at as u64, 7_000).unwrap();
                prop_assert!((1..=7_000).contains(&extent.len));
                let range = &model[at..at + extent.len as usize];
                prop_assert!(extent.content == Content::Data || range.iter().all(|b| *b == 0));
                at += extent.len as usize;
            }
            prop_assert_eq!(at, LEN);
        }
    }

    #[test]
    fn writing_what_is_there_is_no_change() {
        let overlay = Overlay::new(Arc::new(Memory::new(LEN)), Limits::default());
        let mut all = vec![0; LEN];
        overlay.read_at(&mut all, 0).unwrap();
        overlay.write_at(&all, 0).unwrap();
        assert!(overlay.freeze().unwrap().is_unchanged());
    }

    #[test]
    fn zeroing_costs_no_memory_and_is_an_empty_extent() {
        let overlay = Overlay::new(Arc::new(Memory::new(LEN)), Limits::default());
        overlay.zero(100, 50_000).unwrap();
        overlay.zero(50_100, 100).unwrap();
        let edited = overlay.freeze().unwrap();
        assert_eq!(edited.changed_bytes(), (0, 50_100));
        let extent = edited.extent_at(100, u64::MAX).unwrap();
        assert_eq!(extent, Extent { len: 50_100, content: Content::Zero });
    }

    #[test]
    fn every_limit_ends_in_an_error() {
        let limits = [
            Limits { chunks: 2, ..Limits::default() },
            Limits { ranges: 2, ..Limits::default() },
            Limits { read: 9_000, ..Limits::default() },
            Limits { time: Duration::ZERO, ..Limits::default() },
        ];
        for limits in limits {
            let overlay = Overlay::new(Arc::new(Memory::new(LEN)), limits);
            let work = || -> Result<()> {
                for i in 0..5 {
                    overlay.zero(i * 10_000, 10)?;
                    overlay.write_at(&[1], i * 10_000 + 5_000)?;
                    overlay.read_at(&mut [0; 4096], 0)?;
                }
                Ok(())
            };
            assert_eq!(work().unwrap_err().code(), "guest-limit", "{limits:?}");
        }
        let overlay = Overlay::new(Arc::new(Memory::new(LEN)), Limits::default());
        for (at, len) in [(LEN as u64, 1), (u64::MAX, 1), (1, u64::MAX)] {
            assert_eq!(overlay.zero(at, len).unwrap_err().code(), "guest-beyond-disk");
        }
    }
}
