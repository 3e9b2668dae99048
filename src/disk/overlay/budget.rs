//! How much the work on a guest may cost.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::CHUNK;
use crate::error::{Error, Kind, Result};

/// How much the work on a guest may cost. A hostile file system is to end in an error, not in a
/// hang or a full memory; a typical guest needs 1 % of each.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Chunks that one overlay holds.
    pub chunks: usize,
    /// Zeroed ranges that one overlay holds.
    pub ranges: usize,
    /// Bytes read from the disk below; each read counts as one chunk at least.
    pub read: u64,
    /// Time spent, without that of the reads: a slow disk is not hostile.
    pub time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { chunks: 65_536, ranges: 2_000_000, read: 2 << 30, time: Duration::from_secs(8) }
    }
}

/// What is left of the limits: shared by the overlays of one piece of work.
#[derive(Debug)]
pub struct Budget {
    limits: Limits,
    began: Instant,
    read: AtomicU64,
    waited: AtomicU64,
}

impl Budget {
    /// Time begins now.
    pub fn new(limits: Limits) -> Arc<Self> {
        let (read, waited) = (AtomicU64::new(0), AtomicU64::new(0));
        Arc::new(Budget { limits, began: Instant::now(), read, waited })
    }

    pub(super) fn note_read(&self, bytes: usize, time: Duration) {
        self.read.fetch_add((bytes as u64).max(CHUNK), Ordering::Relaxed);
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.waited.fetch_add(nanos, Ordering::Relaxed);
    }

    /// Whether time and reads are used up.
    ///
    /// # Errors
    /// `Refused`, saying what.
    pub fn check(&self) -> Result<()> {
        let Limits { read, time, .. } = self.limits;
        let waited = Duration::from_nanos(self.waited.load(Ordering::Relaxed));
        if self.read.load(Ordering::Relaxed) > read {
            return Err(over(&format!("more than {} MiB to read", read >> 20)));
        }
        match self.began.elapsed().saturating_sub(waited) > time {
            true => Err(over(&format!("more than {} s of work", time.as_secs()))),
            false => Ok(()),
        }
    }

    /// The same, with what one overlay holds.
    pub(super) fn check_held(&self, chunks: usize, ranges: usize) -> Result<()> {
        if chunks > self.limits.chunks {
            let mib = (self.limits.chunks as u64 * CHUNK) >> 20;
            return Err(over(&format!("more than {mib} MiB of changes")));
        }
        if ranges > self.limits.ranges {
            let ranges = self.limits.ranges;
            return Err(over(&format!("more than {ranges} separate empty ranges")));
        }
        self.check()
    }
}

fn over(what: &str) -> Error {
    let message = format!(
        "looking into the guest and editing it takes {what}: its file systems are damaged or forged"
    );
    Error::new(Kind::Refused, "guest-limit", message)
        .remedy("check them inside the guest, or convert the disk as it is with --no-context")
}
