//! A fixed number of segment buffers: the bound on what is in flight.

use std::ops::Deref;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// Buffers to borrow.
#[derive(Debug)]
pub struct Pool {
    free: Mutex<Vec<Vec<u8>>>,
    returned: Condvar,
}

impl Pool {
    /// `count` buffers. They get their memory when they are first used.
    pub fn new(count: usize) -> Arc<Self> {
        Arc::new(Pool { free: Mutex::new(vec![Vec::new(); count]), returned: Condvar::new() })
    }

    /// Waits for a buffer.
    ///
    /// Buffers must be asked for in the order of the segments: a later segment that holds the last
    /// one while an earlier one waits would never be let go.
    pub fn take(self: &Arc<Self>) -> Buffer {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(bytes) = free.pop() {
                return Buffer { bytes, pool: self.clone() };
            }
            free = self.returned.wait(free).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// A borrowed buffer; goes back when dropped.
#[derive(Debug)]
pub struct Buffer {
    bytes: Vec<u8>,
    pool: Arc<Pool>,
}

impl Buffer {
    /// The buffer with `len` bytes of unspecified content.
    pub fn sized(&mut self, len: usize) -> &mut [u8] {
        self.bytes.resize(len, 0);
        &mut self.bytes
    }
}

impl Deref for Buffer {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        self.pool.free.lock().unwrap_or_else(PoisonError::into_inner).push(bytes);
        self.pool.returned.notify_one();
    }
}
