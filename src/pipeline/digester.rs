//! The digester: all raw bytes, in order, and its state at every place where work could stop.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use super::pool::Buffer;
use crate::digest::{DigestSet, State};

/// What comes next.
pub enum DigestTicket {
    /// So many zeros.
    Zeros(u64),
    /// A segment that a worker is going to read.
    Segment(Receiver<Arc<Buffer>>),
}

/// The states behind the last tickets, by raw offset. The writer needs the one at its own place,
/// and the digester may be ahead of it or behind.
#[derive(Debug)]
pub struct States {
    kept: Mutex<Kept>,
    more: Condvar,
    limit: usize,
}

#[derive(Debug, Default)]
struct Kept {
    states: VecDeque<(u64, State)>,
    complete: bool,
}

impl States {
    /// Keeps the last `limit` states; the first is that of `digests`, at raw offset `start`.
    pub fn new(limit: usize, start: u64, digests: &DigestSet) -> Self {
        let states = VecDeque::from([(start, digests.state())]);
        let kept = Mutex::new(Kept { states, complete: false });
        States { kept, more: Condvar::new(), limit }
    }

    fn push(&self, offset: u64, state: State) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.states.len() >= self.limit {
            kept.states.pop_front();
        }
        kept.states.push_back((offset, state));
        self.more.notify_all();
    }

    fn complete(&self) {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).complete = true;
        self.more.notify_all();
    }

    /// Waits until the digester has come to `offset`, or has ended.
    pub fn pass(&self, offset: u64) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let behind = |kept: &Kept| kept.states.back().is_some_and(|(at, _)| *at < offset);
        while behind(&kept) && !kept.complete {
            kept = self.more.wait(kept).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits for the state at `offset`; none if the digester has ended without getting there.
    pub fn at(&self, offset: u64) -> Option<State> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let found = kept.states.iter().find(|(at, _)| *at == offset);
            if let Some((_, state)) = found {
                return Some(state.clone());
            }
            if kept.complete {
                return None;
            }
            kept = self.more.wait(kept).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Hashes what `tickets` promise. When no worker is `busy` there are cores to spare, and each
/// digest gets a thread of its own: a half more work in three quarters of the time.
pub fn digest(
    mut digests: DigestSet,
    start: u64,
    tickets: Receiver<DigestTicket>,
    states: &States,
    busy: &AtomicUsize,
) -> DigestSet {
    let _complete = Complete(states);
    let mut offset = start;
    for ticket in tickets {
        match ticket {
            DigestTicket::Zeros(len) => {
                match busy.load(Ordering::Relaxed) {
                    0 => digests.update_zeros_split(len),
                    _ => digests.update_zeros(len),
                }
                offset += len;
            }
            DigestTicket::Segment(raw) => {
                // Without it the segment could not be read; the writer gets the reason.
                let Ok(raw) = raw.recv() else { break };
                match busy.load(Ordering::Relaxed) {
                    0 => digests.update_split(&raw),
                    _ => digests.update(&raw),
                }
                offset += raw.len() as u64;
            }
        }
        states.push(offset, digests.state());
    }
    digests
}

/// Tells those who wait that nothing more will come, however the digester ends.
struct Complete<'a>(&'a States);

impl Drop for Complete<'_> {
    fn drop(&mut self) {
        self.0.complete();
    }
}
