//! What a run tells while it works. The core sends events; a bar, plain lines or JSON are
//! listeners in `cli`.

/// Something happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// A long stage begins.
    Begin {
        /// `convert` or `verify`.
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
