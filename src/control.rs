//! How a run is stopped, and what it tells while it works. The core sends events; a bar, plain
//! lines or JSON are listeners in `cli`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::error::{Error, Kind, Result};

/// Something happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// A long stage begins.
    Begin {
        /// `convert`, `verify`, `upload` or `read back`.
        stage: &'static str,
        /// Bytes in all that have to be read.
        data: u64,
        /// Bytes in all that are known to be empty.
        empty: u64,
        /// Where it begins: the raw offset at which an earlier run is continued.
        from: u64,
    },
    /// So much is done since the stage began, not counting what an earlier run did.
    Advance {
        /// Bytes read and written.
        data: u64,
        /// Empty bytes passed over.
        empty: u64,
        /// Bytes of the output file so far.
        written: u64,
    },
    /// The stage is over.
    End,
    /// What only a user wants to know who asked for more.
    Detail(String),
    /// A sentence for the user.
    Note(String),
    /// A sentence that the user should not miss.
    Warn(String),
}

/// Receives events, from any thread.
pub trait Listener: Send + Sync {
    /// Must return quickly: the work waits.
    fn event(&self, event: &Event);
}

/// Listens to nothing.
#[derive(Debug, Default)]
pub struct Silent;

impl Listener for Silent {
    fn event(&self, _: &Event) {}
}

impl<L: Listener + ?Sized> Listener for std::sync::Arc<L> {
    fn event(&self, event: &Event) {
        (**self).event(event);
    }
}

/// What a caller gives a run: a way to stop it, and someone who listens.
pub struct Control {
    /// The number of the signal that asks to stop, or 0.
    pub stop: Arc<AtomicUsize>,
    /// Receives events.
    pub progress: Box<dyn Listener>,
}

impl Default for Control {
    fn default() -> Self {
        Control { stop: Arc::default(), progress: Box::new(Silent) }
    }
}

impl Control {
    /// The signal that asks to stop, if there was one.
    pub fn stopped(&self) -> Option<i32> {
        let signal = self.stop.load(Ordering::Relaxed);
        i32::try_from(signal).ok().filter(|signal| *signal != 0)
    }

    /// Nothing, as long as nobody asks to stop.
    ///
    /// # Errors
    /// `Interrupted`, with `message`; the same command continues the work.
    pub fn go_on(&self, message: &str) -> Result<()> {
        let Some(signal) = self.stopped() else { return Ok(()) };
        Err(Error::new(Kind::Interrupted(signal), "interrupted", message)
            .remedy("run the same command again: it continues there"))
    }

    /// Tells what only a user wants to know who asked for more.
    pub fn detail(&self, text: impl Into<String>) {
        self.progress.event(&Event::Detail(text.into()));
    }

    /// Tells a sentence.
    pub fn note(&self, text: impl Into<String>) {
        self.progress.event(&Event::Note(text.into()));
    }

    /// Tells a sentence that the user should not miss.
    pub fn warn(&self, text: impl Into<String>) {
        self.progress.event(&Event::Warn(text.into()));
    }
}
