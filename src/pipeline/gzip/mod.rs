//! One gzip member made of pieces that are compressed independently (RFC 1952).
//!
//! Each segment of the raw image becomes one piece of a DEFLATE stream that ends on a byte, as
//! pigz makes them. The pieces joined, with [`joint::END`] behind the last one, are one stream:
//! threads do not change the bytes, and every joint is a place to continue after an interruption.
//! One member, because Java's `GZIPInputStream` may stop at the end of the first.

pub mod joint;

use libdeflater::{CompressionLvl, Compressor};

use crate::error::{Error, Kind, Result};
use joint::Joiner;

/// Name and version of the engine. The bytes depend on it, so work begun with another one is not
/// continued. (A test compares it with `Cargo.lock`.)
pub const ENGINE: &str = "libdeflate-1.26.1";

/// The default effort: with 1 MiB segments the file is 0.8 % larger than `pigz -6` makes it, in a
/// fifth of its time (docs/performance.md).
pub const DEFAULT_LEVEL: u8 = 4;

/// The member header: deflate, no name, no time, no flags, unknown operating system. The same for
/// every run, clock and machine.
pub const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

/// Compresses segments; one per thread.
pub struct Packer {
    compressor: Compressor,
    joiner: Joiner,
}

impl Packer {
    /// `level` is 1 to 9, libdeflate's own scale.
    ///
    /// # Errors
    /// `Usage` for another level.
    pub fn new(level: u8) -> Result<Self> {
        let level = CompressionLvl::new(i32::from(level)).map_err(|_| {
            Error::new(Kind::Usage, "level", format!("no compression level {level}"))
                .remedy("use a level from 1 to 9")
        })?;
        Ok(Packer { compressor: Compressor::new(level), joiner: Joiner::new() })
    }

    /// Replaces the content of `out` by the piece for `raw`, which must not be empty.
    ///
    /// What the engine or the scanner cannot do is stored: larger, but right.
    pub fn pack(&mut self, raw: &[u8], out: &mut Vec<u8>) {
        out.resize(self.compressor.deflate_compress_bound(raw.len()), 0);
        let packed = match self.compressor.deflate_compress(raw, out) {
            Ok(len) => {
                out.truncate(len);
                self.joiner.open_end(out)
            }
            Err(_) => false,
        };
        if !packed {
            out.clear();
            joint::stored(raw, out);
        }
    }
}

/// What ends the member: the end of the stream, CRC-32 and length of the raw image (modulo 2^32).
pub fn trailer(crc: u32, raw_len: u64) -> Vec<u8> {
    let [a, b, c, d, ..] = raw_len.to_le_bytes();
    [&joint::END[..], &crc.to_le_bytes(), &[a, b, c, d]].concat()
}
