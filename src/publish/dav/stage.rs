//! What is told while it works.

use std::cell::Cell;

use crate::control::{Control, Event};

/// A stage whose count only grows, also when a server lost something and it is sent again.
pub(super) struct Stage<'a> {
    control: &'a Control,
    from: u64,
    all: u64,
    told: Cell<u64>,
}

impl<'a> Stage<'a> {
    /// Begins at `from` of a work that ends at `to`.
    pub(super) fn begin(control: &'a Control, stage: &'static str, from: u64, to: u64) -> Self {
        let all = to.saturating_sub(from);
        control.progress.event(&Event::Begin { stage, data: all, empty: 0, from });
        Stage { control, from, all, told: Cell::new(0) }
    }

    /// So far all before `offset` is done.
    pub(super) fn reached(&self, offset: u64) {
        let done = offset.saturating_sub(self.from).min(self.all);
        if done > self.told.get() {
            self.told.set(done);
            self.control.progress.event(&Event::Advance { data: done, empty: 0, written: offset });
        }
    }

    /// It is over.
    pub(super) fn end(self) {
        self.reached(self.from + self.all);
        self.control.progress.event(&Event::End);
    }
}
