//! One gzip member made of pieces that are compressed independently (RFC 1952).
//!
//! Each segment of the raw image becomes one piece of a DEFLATE stream that ends on a byte, as
//! pigz makes them. The pieces joined, with [`joint::END`] behind the last one, are one stream:
//! threads do not change the bytes, and every joint is a place to continue after an interruption.
//! One member, because Java's `GZIPInputStream` may stop at the end of the first.

pub mod joint;

use std::fmt;

use libdeflater::{CompressionLvl, Compressor};

use super::SEGMENT;
use crate::error::{Error, Kind, Result};
use joint::Joiner;

/// Name and version of the engine. The bytes depend on it, so work begun with another one is not
/// continued. (A test compares it with `Cargo.lock`.)
pub const ENGINE: &str = "libdeflate-1.26.1";

/// The member header: deflate, no name, no time, no flags, unknown operating system. The same for
/// every run, clock and machine.
pub const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

/// How hard to compress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// Levels 4 and 5 by turns, one segment each. On a disk of text and programs level 4 makes the
    /// file 1.1 % larger than `gzip -6`, which is more than we allow, and level 5 costs a sixth more
    /// time than level 4, which is more than we need (docs/performance.md).
    Balanced,
    /// One of libdeflate's levels, 1 to 9.
    Level(u8),
}

impl fmt::Display for Effort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Effort::Balanced => f.write_str("4 and 5 by turns"),
            Effort::Level(level) => level.fmt(f),
        }
    }
}

/// Compresses segments; one per thread.
pub struct Packer {
    /// For even and odd segments.
    compressors: [Compressor; 2],
    joiner: Joiner,
    out: Vec<u8>,
}

impl Packer {
    /// A packer of that effort.
    ///
    /// # Errors
    /// `Usage` for a level that there is not.
    pub fn new(effort: Effort) -> Result<Self> {
        let levels = match effort {
            Effort::Balanced => [5, 4],
            Effort::Level(level) => [level, level],
        };
        let compressor = |level: u8| {
            CompressionLvl::new(i32::from(level)).map(Compressor::new).map_err(|_| {
                Error::new(Kind::Usage, "level", format!("no compression level {level}"))
                    .remedy("use a level from 1 to 9")
            })
        };
        let compressors = [compressor(levels[0])?, compressor(levels[1])?];
        Ok(Packer { compressors, joiner: Joiner::new(), out: Vec::new() })
    }

    /// The piece for `raw`, the segment at `offset` of the raw image, which must not be empty. It
    /// depends on these alone.
    ///
    /// What the engine or the scanner cannot do is stored: larger, but right.
    pub fn pack(&mut self, offset: u64, raw: &[u8]) -> &[u8] {
        let odd = !(offset / SEGMENT as u64).is_multiple_of(2);
        let compressor = &mut self.compressors[usize::from(odd)];
        self.out.resize(compressor.deflate_compress_bound(raw.len()), 0);
        let packed = match compressor.deflate_compress(raw, &mut self.out) {
            Ok(len) => {
                self.out.truncate(len);
                self.joiner.open_end(&mut self.out)
            }
            Err(_) => false,
        };
        if !packed {
            self.out.clear();
            joint::stored(raw, &mut self.out);
        }
        &self.out
    }
}

/// What ends the member: the end of the stream, CRC-32 and length of the raw image (modulo 2^32).
pub fn trailer(crc: u32, raw_len: u64) -> Vec<u8> {
    let [a, b, c, d, ..] = raw_len.to_le_bytes();
    [&joint::END[..], &crc.to_le_bytes(), &[a, b, c, d]].concat()
}
