//! How much the work on a guest may cost.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

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
    /// Time of the processor. A slow disk, a busy machine and a pause are not the guest's fault.
    pub time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { chunks: 65_536, ranges: 2_000_000, read: 4 << 30, time: Duration::from_secs(8) }
    }
}

/// What is left of the limits: shared by the overlays of one piece of work, which one thread does.
#[derive(Debug)]
pub struct Budget {
    limits: Limits,
    began: Duration,
    read: AtomicU64,
}

/// The time that this thread has had of the processor.
fn used() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

impl Budget {
    /// Of the thread that calls this; its time begins now.
    pub fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Budget { limits, began: used(), read: AtomicU64::new(0) })
    }

    pub(super) fn note_read(&self, bytes: u64) {
        self.read.fetch_add(bytes.max(CHUNK), Ordering::Relaxed);
    }

    /// Whether time and reads are used up.
    ///
    /// # Errors
    /// `Refused`, saying what.
    pub fn check(&self) -> Result<()> {
        let Limits { read, time, .. } = self.limits;
        if self.read.load(Ordering::Relaxed) > read {
            return Err(over(&format!("{} MiB to read", read >> 20)));
        }
        match used().saturating_sub(self.began) > time {
            true => Err(over_time(time)),
            false => Ok(()),
        }
    }

    /// The same, with what one overlay holds.
    pub(super) fn check_held(&self, chunks: usize, ranges: usize) -> Result<()> {
        if chunks > self.limits.chunks {
            let mib = (self.limits.chunks as u64 * CHUNK) >> 20;
            return Err(over(&format!("{mib} MiB of changes")));
        }
        if ranges > self.limits.ranges {
            return Err(over(&format!("{} separate empty ranges", self.limits.ranges)));
        }
        self.check()
    }
}

/// The error for work that takes longer than it may.
pub fn over_time(time: Duration) -> Error {
    over(&format!("{} s of the processor", time.as_secs()))
}

fn over(limit: &str) -> Error {
    let message = format!(
        "looking into the guest and editing it takes more than {limit}: this is a limit of the \
         program, and usually the sign of a damaged or forged file system"
    );
    Error::new(Kind::Refused, "guest-limit", message).remedy(
        "check the file systems inside the guest, and empty very large folders of temporary files; \
         or convert the disk as it is with --no-context",
    )
}
