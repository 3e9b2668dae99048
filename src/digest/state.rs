//! The text form of a set of digests between two bytes of its stream.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::Algorithm;
use super::chain::Chain;

/// Where a [`DigestSet`](super::DigestSet) stands, for a journal.
///
/// ```json
/// {"len":66,"pending":"6363","chains":[{"algorithm":"sha1","words":"1d323d420d4dd789…"}]}
/// ```
///
/// `len` is the number of bytes taken, `pending` are the last `len % stride` of them in hex (the
/// stride is 64 bytes, 128 with SHA-512), and each chain has its words after the bytes before
/// those: in the order of the standard, 8 hex digits each (16 for SHA-512), most significant digit
/// first. That is the number a word *is*, on every machine, and also for MD5, although an MD5
/// digest prints its words' bytes in reverse. Words are text because JSON readers round numbers
/// above 2^53.
///
/// States of equal streams and algorithms are equal, text included. Nothing in a state protects it
/// from damage; a journal needs a checksum of its own.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    len: u64,
    pending: String,
    chains: Vec<ChainState>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ChainState {
    algorithm: Algorithm,
    words: String,
}

impl State {
    pub(super) fn new(len: u64, pending: &[u8], chains: &[Chain]) -> Self {
        let chain_state =
            |chain: &Chain| ChainState { algorithm: chain.algorithm(), words: hex(&chain.words()) };
        Self { len, pending: hex(pending), chains: chains.iter().map(chain_state).collect() }
    }

    /// How many bytes of the stream this state has taken.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// The chains, if their algorithms ascend and each has the right number of words: the initial
    /// ones if no block was compressed yet.
    pub(super) fn chains(&self) -> Option<Vec<Chain>> {
        let ascending = self.chains.is_sorted_by(|a, b| a.algorithm < b.algorithm);
        let chains: Option<Vec<Chain>> = self.chains.iter().map(ChainState::chain).collect();
        let chains = chains.filter(|_| ascending)?;
        let untouched = self.len < super::stride(&chains) as u64;
        let initial = |chain: &Chain| *chain == Chain::new(chain.algorithm());
        (!untouched || chains.iter().all(initial)).then_some(chains)
    }

    /// The bytes of the unfinished stride, if their number fits a length that the standards allow.
    pub(super) fn pending(&self, stride: usize) -> Option<Vec<u8>> {
        let bytes = unhex(&self.pending)?;
        let fits = bytes.len() == super::remainder(self.len, stride) && self.len < 1 << 61;
        fits.then_some(bytes)
    }
}

impl ChainState {
    fn chain(&self) -> Option<Chain> {
        Chain::from_words(self.algorithm, &unhex(&self.words)?)
    }
}

/// Lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The bytes of lower-case hex; anything else is `None`.
fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |c: u8| match c {
        b'0'..=b'9' => Some(c - b'0'),
        b'a'..=b'f' => Some(c - b'a' + 10),
        _ => None,
    };
    let (pairs, odd) = text.as_bytes().as_chunks::<2>();
    let bytes = pairs.iter().map(|&[a, b]| Some(digit(a)? << 4 | digit(b)?));
    bytes.collect::<Option<_>>().filter(|_| odd.is_empty())
}
