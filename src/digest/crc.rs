//! CRC-32 of parts, joined without the bytes.
//!
//! The CRC is that of gzip (RFC 1952 section 8). Each segment of an image is summed where it is
//! compressed, and the CRC of the whole follows from those of the parts and their lengths.

use crc32fast::Hasher;

/// CRC-32 of `len` zero bytes, in O(log `len`).
///
/// A CRC starts from a register of ones and is inverted at the end. Combining all ones with a
/// second part whose CRC is zero does just the middle: it moves that register over `len` zero
/// bytes.
#[must_use]
pub fn crc32_zeros(len: u64) -> u32 {
    !crc32_combine(u32::MAX, 0, len)
}

/// CRC-32 of two byte strings joined, from the CRC `a` of the first, and the CRC `b` and the length
/// in bytes `b_len` of the second, in O(log `b_len`).
#[must_use]
pub fn crc32_combine(a: u32, b: u32, b_len: u64) -> u32 {
    let mut joined = Hasher::new_with_initial(a);
    joined.combine(&Hasher::new_with_initial_len(b, b_len));
    joined.finalize()
}
