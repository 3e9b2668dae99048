//! Bytes off a disk, taken apart by position.

use std::fmt::Write;

use crate::error::Result;
use crate::guest::block::Block;

/// A few bytes of a disk. Whatever lies beyond their end counts as zeros: no magic number is zero,
/// so a structure that is cut off is not recognised, and nobody has to ask for the end first.
pub(super) struct Bytes(Vec<u8>);

impl Bytes {
    /// The `len` bytes from `offset`, fewer at the end of the disk.
    pub(super) fn read(on: &dyn Block, offset: u64, len: usize) -> Result<Self> {
        let there = on.size().saturating_sub(offset).min(len as u64);
        let mut bytes = vec![0; usize::try_from(there).unwrap_or(0)];
        if !bytes.is_empty() {
            on.read_at(&mut bytes, offset)?;
        }
        Ok(Bytes(bytes))
    }

    /// A part of other bytes.
    pub(super) fn of(bytes: &[u8]) -> Self {
        Bytes(bytes.to_vec())
    }

    /// All that is there.
    pub(super) fn all(&self) -> &[u8] {
        &self.0
    }

    /// `len` bytes from `at`, fewer at the end.
    pub(super) fn part(&self, at: usize, len: usize) -> &[u8] {
        let end = at.saturating_add(len).min(self.0.len());
        self.0.get(at..end).unwrap_or_default()
    }

    pub(super) fn array<const N: usize>(&self, at: usize) -> [u8; N] {
        let mut array = [0; N];
        let part = self.part(at, N);
        array[..part.len()].copy_from_slice(part);
        array
    }

    /// Whether `magic` stands at `at`.
    pub(super) fn has(&self, at: usize, magic: &[u8]) -> bool {
        self.part(at, magic.len()) == magic
    }

    pub(super) fn u8(&self, at: usize) -> u8 {
        u8::from_le_bytes(self.array(at))
    }

    pub(super) fn u16(&self, at: usize) -> u16 {
        u16::from_le_bytes(self.array(at))
    }

    pub(super) fn u32(&self, at: usize) -> u32 {
        u32::from_le_bytes(self.array(at))
    }

    pub(super) fn u64(&self, at: usize) -> u64 {
        u64::from_le_bytes(self.array(at))
    }

    pub(super) fn u16_be(&self, at: usize) -> u16 {
        u16::from_be_bytes(self.array(at))
    }

    pub(super) fn u32_be(&self, at: usize) -> u32 {
        u32::from_be_bytes(self.array(at))
    }

    /// The UUID at `at`, its bytes in the order of its digits; none if it is all zeros.
    pub(super) fn uuid(&self, at: usize) -> Option<String> {
        uuid(self.array(at))
    }

    /// Text up to the first NUL, without blanks at its end; none if nothing is left.
    pub(super) fn text(&self, at: usize, len: usize) -> Option<String> {
        text(self.part(at, len))
    }

    /// The same of `units` UTF-16 code units, little-endian.
    pub(super) fn utf16(&self, at: usize, units: usize) -> Option<String> {
        let pairs = self.part(at, units.saturating_mul(2)).chunks_exact(2);
        let units: Vec<u16> = pairs
            .map(|pair| pair.iter().rev().fold(0, |unit, byte| unit << 8 | u16::from(*byte)))
            .take_while(|unit| *unit != 0)
            .collect();
        some(String::from_utf16_lossy(&units).trim_end().to_owned())
    }
}

/// Text up to the first NUL, without blanks at its end; none if nothing is left.
pub(super) fn text(bytes: &[u8]) -> Option<String> {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    some(String::from_utf8_lossy(&bytes[..end]).trim_end().to_owned())
}

fn some(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

/// The usual form of a UUID; none for all zeros, which stand for "no UUID" everywhere.
pub(super) fn uuid(bytes: [u8; 16]) -> Option<String> {
    if bytes == [0; 16] {
        return None;
    }
    let mut text = String::with_capacity(36);
    for (i, byte) in bytes.iter().enumerate() {
        if matches!(i, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    Some(text)
}
