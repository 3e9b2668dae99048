//! Bytes below a guest's file system: read and written by position, through the overlay.

use std::sync::Arc;

use crate::disk::overlay::{Overlay, index};
use crate::error::{Error, Kind, Result};

/// A range of bytes that can be changed. All of a call's range must lie inside; there are no
/// short reads or writes.
pub trait Block: Send + Sync {
    /// Bytes.
    fn size(&self) -> u64;
    /// Fills `buf` from `offset`.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<()>;
    /// Puts `data` at `offset`.
    fn write_at(&self, data: &[u8], offset: u64) -> Result<()>;
    /// Makes `len` bytes from `offset` zero. Costs no memory for whole 4 KiB chunks.
    fn zero(&self, offset: u64, len: u64) -> Result<()>;
    /// How many of `len` bytes from `offset` are stored somewhere: the rest is known to be zero.
    fn stored(&self, _offset: u64, len: u64) -> Result<u64> {
        Ok(len)
    }
}

impl Block for Overlay {
    fn size(&self) -> u64 {
        Overlay::size(self)
    }
    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        Overlay::read_at(self, buf, offset)
    }
    fn write_at(&self, data: &[u8], offset: u64) -> Result<()> {
        Overlay::write_at(self, data, offset)
    }
    fn zero(&self, offset: u64, len: u64) -> Result<()> {
        Overlay::zero(self, offset, len)
    }
    fn stored(&self, offset: u64, len: u64) -> Result<u64> {
        Overlay::stored(self, offset, len)
    }
}

/// A piece of another block range and where it begins there.
#[derive(Clone)]
struct Piece {
    /// Where the piece begins in the whole.
    at: u64,
    len: u64,
    on: Arc<dyn Block>,
    start: u64,
}

/// Pieces of other ranges, one behind the other: a partition (one piece), or a logical volume.
#[derive(Clone, Default)]
pub struct Pieces {
    pieces: Vec<Piece>,
    size: u64,
}

impl Pieces {
    /// One range of `on`.
    ///
    /// # Errors
    /// `Damaged`, if it does not lie inside `on`.
    pub fn one(on: &Arc<dyn Block>, start: u64, len: u64) -> Result<Self> {
        let mut pieces = Pieces::default();
        pieces.push(on, start, len)?;
        Ok(pieces)
    }

    /// Adds `len` bytes of `on` from `start` at the end.
    ///
    /// # Errors
    /// `Damaged`, if they do not lie inside `on`.
    pub fn push(&mut self, on: &Arc<dyn Block>, start: u64, len: u64) -> Result<()> {
        let size = self.size.checked_add(len);
        let (Some(size), true) = (size, inside(start, len, on.size())) else {
            let message = format!("a volume of {len} bytes at {start} of {}", on.size());
            return Err(Error::new(Kind::Damaged, "volume-beyond-end", message).offset(start));
        };
        if len > 0 {
            self.pieces.push(Piece { at: self.size, len, on: on.clone(), start });
        }
        self.size = size;
        Ok(())
    }

    /// Calls `each` with the parts of `len` bytes from `offset`: range, its offset, and which part
    /// of the call it is.
    fn parts(
        &self,
        offset: u64,
        len: u64,
        mut each: impl FnMut(&dyn Block, u64, u64, u64) -> Result<()>,
    ) -> Result<()> {
        if !inside(offset, len, self.size) {
            let message = format!("{len} bytes at {offset} of a volume of {}", self.size);
            return Err(Error::new(Kind::Damaged, "guest-beyond-volume", message));
        }
        let mut done = 0;
        let first = self.pieces.partition_point(|piece| piece.at + piece.len <= offset);
        for piece in self.pieces.get(first..).unwrap_or_default() {
            if done == len {
                break;
            }
            let skip = offset + done - piece.at;
            let part = (piece.len - skip).min(len - done);
            each(piece.on.as_ref(), piece.start + skip, done, part)?;
            done += part;
        }
        Ok(())
    }
}

fn inside(start: u64, len: u64, size: u64) -> bool {
    start.checked_add(len).is_some_and(|end| end <= size)
}

impl Block for Pieces {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        self.parts(offset, buf.len() as u64, |on, at, from, len| {
            on.read_at(&mut buf[index(from)..index(from + len)], at)
        })
    }

    fn write_at(&self, data: &[u8], offset: u64) -> Result<()> {
        self.parts(offset, data.len() as u64, |on, at, from, len| {
            on.write_at(&data[index(from)..index(from + len)], at)
        })
    }

    fn zero(&self, offset: u64, len: u64) -> Result<()> {
        self.parts(offset, len, |on, at, _, len| on.zero(at, len))
    }

    fn stored(&self, offset: u64, len: u64) -> Result<u64> {
        let mut stored = 0;
        self.parts(offset, len, |on, at, _, len| {
            stored += on.stored(at, len)?;
            Ok(())
        })?;
        Ok(stored)
    }
}
