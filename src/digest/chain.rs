//! One algorithm's running words, its compression function and its padding.

use super::state::hex;
use super::{Algorithm, BLOCK, LONGEST_BLOCK};

/// The words of one algorithm between two blocks, as plain integers in the order of its standard
/// (FIPS 180-4 `H0` to `H7`; RFC 1321 `A` to `D`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Chain {
    Md5([u32; 4]),
    Sha1([u32; 5]),
    Sha256([u32; 8]),
    Sha512([u64; 8]),
}

impl Chain {
    /// The initial words: RFC 1321 section 3.3; FIPS 180-4 sections 5.3.1, 5.3.3 and 5.3.5.
    pub(super) const fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Md5 => Self::Md5([0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476]),
            Algorithm::Sha1 => {
                Self::Sha1([0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0])
            }
            Algorithm::Sha256 => Self::Sha256([
                0x6a09_e667,
                0xbb67_ae85,
                0x3c6e_f372,
                0xa54f_f53a,
                0x510e_527f,
                0x9b05_688c,
                0x1f83_d9ab,
                0x5be0_cd19,
            ]),
            Algorithm::Sha512 => Self::Sha512([
                0x6a09_e667_f3bc_c908,
                0xbb67_ae85_84ca_a73b,
                0x3c6e_f372_fe94_f82b,
                0xa54f_f53a_5f1d_36f1,
                0x510e_527f_ade6_82d1,
                0x9b05_688c_2b3e_6c1f,
                0x1f83_d9ab_fb41_bd6b,
                0x5be0_cd19_137e_2179,
            ]),
        }
    }

    pub(super) const fn algorithm(&self) -> Algorithm {
        match self {
            Self::Md5(_) => Algorithm::Md5,
            Self::Sha1(_) => Algorithm::Sha1,
            Self::Sha256(_) => Algorithm::Sha256,
            Self::Sha512(_) => Algorithm::Sha512,
        }
    }

    /// Takes whole blocks. SHA-512 takes two of these as one, so it needs an even number.
    pub(super) fn compress(&mut self, blocks: &[[u8; BLOCK]]) {
        match self {
            Self::Md5(words) => md5::block_api::compress(words, blocks),
            Self::Sha1(words) => sha1::block_api::compress(words, blocks),
            Self::Sha256(words) => sha2::block_api::compress256(words, blocks),
            Self::Sha512(words) => {
                let (long, odd) = blocks.as_flattened().as_chunks::<LONGEST_BLOCK>();
                debug_assert!(odd.is_empty(), "half a block of SHA-512");
                sha2::block_api::compress512(words, long);
            }
        }
    }

    /// The digest in lower-case hex of a stream of `len` bytes that ends in `tail`, the bytes after
    /// those already compressed (fewer than 128).
    ///
    /// Padding is a one bit, zeros up to a whole block, and the length in bits at its end: 64 bits,
    /// low byte first, for MD5 (RFC 1321 sections 3.1 and 3.2), 64 or 128 bits, high byte first,
    /// for the others (FIPS 180-4 section 5.1). The upper half of the 128 stays zero, since a
    /// stream is below 2^61 bytes.
    pub(super) fn finish(mut self, tail: &[u8], len: u64) -> String {
        let block = self.algorithm().block_len();
        let mut padded = [0; 2 * LONGEST_BLOCK];
        padded[..tail.len()].copy_from_slice(tail);
        padded[tail.len()] = 0x80;
        let end = (tail.len() + 1 + block / 8).next_multiple_of(block);
        let bits = len << 3;
        padded[end - 8..end].copy_from_slice(&match self {
            Self::Md5(_) => bits.to_le_bytes(),
            _ => bits.to_be_bytes(),
        });
        self.compress(padded[..end].as_chunks().0);
        match self {
            Self::Md5(words) => hex(words.map(u32::to_le_bytes).as_flattened()),
            _ => hex(&self.words()),
        }
    }

    /// The words in order, each high byte first.
    pub(super) fn words(&self) -> Vec<u8> {
        match self {
            Self::Md5(words) => words.map(u32::to_be_bytes).as_flattened().to_vec(),
            Self::Sha1(words) => words.map(u32::to_be_bytes).as_flattened().to_vec(),
            Self::Sha256(words) => words.map(u32::to_be_bytes).as_flattened().to_vec(),
            Self::Sha512(words) => words.map(u64::to_be_bytes).as_flattened().to_vec(),
        }
    }

    /// The chain whose [`words`](Self::words) these are, or `None` if their number is wrong.
    pub(super) fn from_words(algorithm: Algorithm, words: &[u8]) -> Option<Self> {
        Some(match algorithm {
            Algorithm::Md5 => Self::Md5(exactly(words)?.map(u32::from_be_bytes)),
            Algorithm::Sha1 => Self::Sha1(exactly(words)?.map(u32::from_be_bytes)),
            Algorithm::Sha256 => Self::Sha256(exactly(words)?.map(u32::from_be_bytes)),
            Algorithm::Sha512 => Self::Sha512(exactly(words)?.map(u64::from_be_bytes)),
        })
    }
}

/// `bytes` as `COUNT` groups of `SIZE`, if that is what they are.
fn exactly<const SIZE: usize, const COUNT: usize>(bytes: &[u8]) -> Option<[[u8; SIZE]; COUNT]> {
    let (groups, rest) = bytes.as_chunks();
    groups.try_into().ok().filter(|_| rest.is_empty())
}
