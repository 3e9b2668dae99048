//! Stripes: chunks dealt out to several ranges in turn, as LVM2 and dm-stripe do it.

use std::sync::Arc;

use crate::error::{Error, Kind, Result};
use crate::guest::block::Block;

/// `chunk` bytes from the first range, `chunk` from the second, …, then the next of the first.
pub(super) struct Striped {
    /// Ranges, and where the stripe begins in each.
    stripes: Vec<(Arc<dyn Block>, u64)>,
    /// Bytes.
    chunk: u64,
    /// Bytes of all stripes together.
    size: u64,
}

impl Striped {
    /// `len` bytes of each stripe, in chunks of `chunk` bytes.
    ///
    /// # Errors
    /// `Damaged`, if a stripe does not lie inside its range, or is not made of whole chunks: the
    /// kernel's dm-stripe refuses such a table, too.
    pub(super) fn new(stripes: Vec<(Arc<dyn Block>, u64)>, chunk: u64, len: u64) -> Result<Self> {
        let fits = |(on, start): &(Arc<dyn Block>, u64)| {
            start.checked_add(len).is_some_and(|end| end <= on.size())
        };
        let size = len.checked_mul(stripes.len() as u64);
        match size {
            Some(size) if chunk > 0 && len.is_multiple_of(chunk) && stripes.iter().all(fits) => {
                Ok(Striped { stripes, chunk, size })
            }
            _ => {
                let message = format!("{} stripes of {len} bytes in {chunk}", stripes.len());
                Err(Error::new(Kind::Damaged, "volume-stripes", message))
            }
        }
    }

    fn check(&self, offset: u64, len: u64) -> Result<()> {
        if offset.checked_add(len).is_some_and(|end| end <= self.size) {
            return Ok(());
        }
        let message = format!("{len} bytes at {offset} of a volume of {}", self.size);
        Err(Error::new(Kind::Damaged, "guest-beyond-volume", message))
    }

    /// Calls `each` with the parts of `len` bytes from `offset` that lie in one chunk: range, its
    /// offset, and which part of the call it is.
    fn parts(
        &self,
        offset: u64,
        len: usize,
        mut each: impl FnMut(&dyn Block, u64, usize, usize) -> Result<()>,
    ) -> Result<()> {
        self.check(offset, len as u64)?;
        let ways = self.stripes.len() as u64;
        let mut done = 0;
        while done < len {
            let at = offset + done as u64;
            let (number, inside) = (at / self.chunk, at % self.chunk);
            let way = usize::try_from(number % ways).unwrap_or(0);
            let left = usize::try_from(self.chunk - inside).unwrap_or(usize::MAX);
            let end = done + left.min(len - done);
            if let Some((on, start)) = self.stripes.get(way) {
                each(on.as_ref(), start + number / ways * self.chunk + inside, done, end)?;
            }
            done = end;
        }
        Ok(())
    }

    /// How many of the first `offset` bytes lie in stripe number `way`.
    fn share(&self, offset: u64, way: u64) -> u64 {
        let row = self.chunk * self.stripes.len() as u64;
        let rest = (offset % row).saturating_sub(way * self.chunk);
        offset / row * self.chunk + rest.min(self.chunk)
    }

    /// One call for each stripe, however long the range: what lies in one stripe is contiguous
    /// there.
    fn shares(
        &self,
        offset: u64,
        len: u64,
        mut each: impl FnMut(&dyn Block, u64, u64) -> Result<()>,
    ) -> Result<()> {
        self.check(offset, len)?;
        for (way, (on, start)) in (0..).zip(&self.stripes) {
            let (from, to) = (self.share(offset, way), self.share(offset + len, way));
            if to > from {
                each(on.as_ref(), start + from, to - from)?;
            }
        }
        Ok(())
    }
}

impl Block for Striped {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        self.parts(offset, buf.len(), |on, at, from, to| on.read_at(&mut buf[from..to], at))
    }

    fn write_at(&self, data: &[u8], offset: u64) -> Result<()> {
        self.parts(offset, data.len(), |on, at, from, to| on.write_at(&data[from..to], at))
    }

    fn zero(&self, offset: u64, len: u64) -> Result<()> {
        self.shares(offset, len, |on, at, len| on.zero(at, len))
    }

    fn stored(&self, offset: u64, len: u64) -> Result<u64> {
        let mut stored = 0;
        self.shares(offset, len, |on, at, len| {
            stored += on.stored(at, len)?;
            Ok(())
        })?;
        Ok(stored)
    }
}
