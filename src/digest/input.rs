//! What is hashed: bytes in memory, or a number of zeros that are nowhere.

use super::BLOCK;

/// Blocks per turn over bytes: 64 KiB, so that SHA-512, which follows the others turn by turn,
/// finds them in the cache.
const TURN: usize = 1024;

/// Blocks per turn over zeros: 4 KiB, an even number, small enough to stay in any first-level
/// cache.
static ZEROS: [[u8; BLOCK]; 64] = [[0; BLOCK]; 64];

/// A stretch of the stream.
#[derive(Clone, Copy)]
pub(super) enum Input<'a> {
    Bytes(&'a [u8]),
    Zeros(u64),
}

impl<'a> Input<'a> {
    pub(super) const fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Zeros(len) => *len,
        }
    }

    /// Removes the first `len` bytes, or all if there are fewer, and returns them.
    pub(super) fn take(&mut self, len: u64) -> Input<'a> {
        match self {
            Self::Bytes(bytes) => {
                let at = usize::try_from(len).map_or(bytes.len(), |len| len.min(bytes.len()));
                let (head, rest) = bytes.split_at(at);
                *bytes = rest;
                Input::Bytes(head)
            }
            Self::Zeros(left) => {
                let head = len.min(*left);
                *left -= head;
                Input::Zeros(head)
            }
        }
    }

    /// Copies all of it to the start of `buffer`, which must be large enough; returns the length.
    pub(super) fn copy_to(self, buffer: &mut [u8]) -> usize {
        match self {
            Self::Bytes(bytes) => {
                buffer[..bytes.len()].copy_from_slice(bytes);
                bytes.len()
            }
            Self::Zeros(len) => {
                let len = usize::try_from(len).unwrap_or(usize::MAX);
                buffer[..len].fill(0);
                len
            }
        }
    }

    /// Calls `work` with all of it, some whole blocks at a time. An even number of blocks in all is
    /// an even number at each call.
    pub(super) fn for_each_turn(self, work: impl FnMut(&[[u8; BLOCK]])) {
        match self {
            Self::Bytes(bytes) => {
                let (blocks, rest) = bytes.as_chunks();
                debug_assert!(rest.is_empty(), "not a number of whole blocks");
                blocks.chunks(TURN).for_each(work);
            }
            Self::Zeros(len) => zero_turns(len / BLOCK as u64).for_each(work),
        }
    }
}

/// `blocks` blocks of zeros in slices of one small buffer.
fn zero_turns(blocks: u64) -> impl Iterator<Item = &'static [[u8; BLOCK]]> {
    let full = blocks / ZEROS.len() as u64;
    let last = usize::try_from(blocks % ZEROS.len() as u64).unwrap_or(0);
    let full = (0..full).map(|_| &ZEROS[..]);
    full.chain((last > 0).then_some(&ZEROS[..last]))
}
