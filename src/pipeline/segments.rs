//! The disk cut into segments of the raw image.

use super::SEGMENT;
use crate::disk::{Content, Disk, Usage};
use crate::error::Result;

/// A run of empty segments is handed on in pieces of at most this many bytes, so that a stop does
/// not have to wait for the digests of a long one.
const LONGEST_RUN: u64 = 8 << 20;

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Run {
    /// Whole segments that are known to be zero; only the disk's last may be shorter.
    Empty(u64),
    /// One segment that has to be read, whole or the disk's last.
    Data(u64),
}

impl Run {
    /// Bytes.
    pub fn len(self) -> u64 {
        match self {
            Run::Empty(len) | Run::Data(len) => len,
        }
    }
}

/// Walks a disk from a segment's beginning to the end, asking only what is where.
pub struct Segments<'a> {
    disk: &'a dyn Disk,
    /// Where the next run begins.
    pub offset: u64,
    longest_run: u64,
    /// Everything from `offset` to here is known to be zero.
    zero_until: u64,
}

impl<'a> Segments<'a> {
    /// From `offset`, a multiple of the segment size.
    pub fn new(disk: &'a dyn Disk, offset: u64) -> Self {
        Segments { disk, offset, longest_run: LONGEST_RUN, zero_until: offset }
    }

    /// Limits empty runs to `len`, at least one segment.
    #[must_use]
    pub fn with_runs_up_to(mut self, len: u64) -> Self {
        self.longest_run = self.longest_run.min(len).max(SEGMENT as u64);
        self
    }

    fn advance(&mut self) -> Result<Run> {
        let segment = SEGMENT as u64;
        let left = self.disk.size() - self.offset;
        let wanted = left.min(self.longest_run);
        self.zero_until = self.zero_until.max(self.offset);
        while self.zero_until - self.offset < wanted {
            let more = self.offset + wanted - self.zero_until;
            let extent = self.disk.extent_at(self.zero_until, more)?;
            if extent.content == Content::Data {
                break;
            }
            self.zero_until += extent.len;
        }
        let zero = (self.zero_until - self.offset).min(wanted);
        let empty = if zero == left { left } else { zero - zero % segment };
        Ok(if empty > 0 { Run::Empty(empty) } else { Run::Data(left.min(segment)) })
    }
}

impl Iterator for Segments<'_> {
    type Item = Result<Run>;

    fn next(&mut self) -> Option<Result<Run>> {
        if self.offset >= self.disk.size() {
            return None;
        }
        let run = self.advance();
        if let Ok(run) = run {
            self.offset += run.len();
        }
        Some(run)
    }
}

/// How many bytes of whole segments have to be read from `offset` on, and how many not.
pub fn usage(disk: &dyn Disk, offset: u64) -> Result<Usage> {
    let mut usage = Usage::default();
    // Nothing waits for these runs, so they may be as long as they are.
    let segments = Segments { longest_run: u64::MAX, ..Segments::new(disk, offset) };
    for run in segments {
        match run? {
            Run::Empty(len) => usage.empty += len,
            Run::Data(len) => usage.data += len,
        }
    }
    Ok(usage)
}
