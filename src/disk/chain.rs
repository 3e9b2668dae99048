//! A leaf over its parents, as one disk.

use super::{Content, Disk, Extent};
use crate::error::{Error, Kind, Result};

/// How far one question to a chain looks. A layer answers by walking its map; with a long answer
/// from the leaf and short ones from below, the same entries would be walked again and again.
const LOOK_AHEAD: u64 = 64 << 20;

/// Layers composed leaf first: what a layer does not have is asked of the next one, and what
/// lies beyond a layer's end is zero, even if a layer below it is larger. The size is the leaf's,
/// or more if padded.
pub struct Chain {
    layers: Vec<Box<dyn Disk>>,
    size: u64,
}

impl Chain {
    /// A disk of `size` bytes made of `layers`, leaf first.
    pub fn new(layers: Vec<Box<dyn Disk>>, size: u64) -> Self {
        Chain { layers, size }
    }

    /// Makes the disk `size` bytes long; what is added reads as zeros.
    pub fn grow(&mut self, size: u64) {
        self.size = self.size.max(size);
    }

    /// What is at `offset`, and the layer that has it, if it has to be read.
    fn find(&self, offset: u64, max: u64) -> Result<(Extent, Option<&dyn Disk>)> {
        let mut len = max.min(self.size.saturating_sub(offset));
        if self.layers.len() > 1 {
            len = len.min(LOOK_AHEAD);
        }
        if len == 0 {
            return Err(Error::new(
                Kind::Internal,
                "read-beyond-end",
                "read beyond the disk's end",
            )
            .offset(offset));
        }
        for layer in &self.layers {
            let Some(inside) = layer.size().checked_sub(offset).filter(|left| *left > 0) else {
                break;
            };
            let extent = layer.extent_at(offset, len.min(inside))?;
            len = extent.len;
            match extent.content {
                Content::Absent => {}
                Content::Zero => return Ok((extent, None)),
                Content::Data => return Ok((extent, Some(layer.as_ref()))),
            }
        }
        Ok((Extent { len, content: Content::Zero }, None))
    }
}

/// The parts of `len` bytes from `offset` that show through all of the layers `above`: none of
/// them has them, and none of them ends before.
pub fn visible(above: &[Box<dyn Disk>], offset: u64, len: u64) -> Result<Vec<(u64, u64)>> {
    let mut parts: Vec<(u64, u64)> = Vec::new();
    let smallest = above.iter().map(|layer| layer.size()).min().unwrap_or(u64::MAX);
    let end = offset.saturating_add(len).min(smallest);
    let mut at = offset;
    while at < end {
        let mut len = end - at;
        let mut hidden = false;
        for layer in above {
            let extent = layer.extent_at(at, len)?;
            len = extent.len;
            hidden = extent.content != Content::Absent;
            if hidden {
                break;
            }
        }
        if !hidden {
            match parts.last_mut() {
                Some((start, known)) if *start + *known == at => *known += len,
                _ => parts.push((at, len)),
            }
        }
        at += len;
    }
    Ok(parts)
}

impl Disk for Chain {
    fn size(&self) -> u64 {
        self.size
    }

    fn extent_at(&self, offset: u64, max: u64) -> Result<Extent> {
        self.find(offset, max).map(|(extent, _)| extent)
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        let (mut buf, mut offset) = (buf, offset);
        while !buf.is_empty() {
            let (extent, layer) = self.find(offset, buf.len() as u64)?;
            let len = usize::try_from(extent.len).unwrap_or(usize::MAX).min(buf.len());
            let (part, rest) = buf.split_at_mut(len);
            match layer {
                Some(layer) => layer.read_at(part, offset)?,
                None => part.fill(0),
            }
            offset += part.len() as u64;
            buf = rest;
        }
        Ok(())
    }
}
