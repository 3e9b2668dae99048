//! Several digests of one byte stream, computed together and resumable at any byte.
//!
//! A disk image is identified by more than one digest: SHA-1 and SHA-256 of the raw bytes, MD5 and
//! SHA-256 of the stored file. [`DigestSet`] feeds them all from one pass, its [`State`] goes into
//! a journal as plain text, and a run of zeros costs no memory traffic.
//!
//! # Why not one hasher after the other
//!
//! MD5, SHA-1 and SHA-256 are bound by the *latency* of a chain: each round waits for the one
//! before. Giving each algorithm one 64-byte block in turn lets the processor overlap the chains.
//! Core time for 1 GiB (AMD EPYC with SHA instructions, 512 MiB in memory, median of five):
//!
//! | set | 64 KiB each in turn | one block each in turn |
//! |---|---|---|
//! | SHA-1, SHA-256 | 1.16 s | 0.77 s |
//! | MD5, SHA-256 | 2.29 s | 1.91 s |
//! | MD5, SHA-1 | 2.63 s | 1.71 s |
//! | MD5, SHA-1, SHA-256 | 2.87 s | 2.32 s |
//!
//! Two cases gain nothing and get whole runs instead: an algorithm alone (SHA-256: 0.60 s in runs,
//! 0.69 s in single blocks) and SHA-512, whose AVX2 code already fills the processor (with SHA-256:
//! 2.42 s in runs, 2.47 s in single blocks). Code written for one pair gains nothing for SHA-1
//! with SHA-256 and 2 % for MD5 with SHA-256, so there is only the loop over any set.
//!
//! The block functions are those of the `sha1`, `sha2` and `md-5` crates, which choose the
//! processor's SHA instructions on every call (one load and one branch).

mod algorithm;
mod chain;
mod crc;
mod input;
mod state;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::{fmt, panic, thread};

pub use self::algorithm::{Algorithm, UnknownAlgorithm};
pub use self::crc::{crc32_combine, crc32_zeros};
pub use self::state::State;
pub(crate) use self::state::hex;

use self::chain::Chain;
use self::input::Input;

/// The finished digests, lower-case hex by algorithm.
pub type Digests = BTreeMap<Algorithm, String>;

/// Bytes in a block of MD5, SHA-1 and SHA-256, and half a block of SHA-512.
const BLOCK: usize = 64;

/// Bytes in a block of SHA-512, the longest of all.
const LONGEST_BLOCK: usize = 128;

/// Bytes from which [`DigestSet::update_split`] uses threads: 0.5 ms of SHA-1, against less
/// than 0.1 ms measured to start and join a thread.
const SPLIT_FROM: u64 = 1 << 20;

/// Hashes one byte stream with several algorithms at once.
///
/// The stream is cut into strides of 64 bytes, or 128 when SHA-512 is in the set; an unfinished
/// stride waits in the set. How the stream is divided over calls never changes the digests. An
/// empty set counts bytes and hashes nothing.
///
/// FIPS 180-4 defines SHA-1 and SHA-256 for less than 2^61 bytes; a stream must stay below that.
#[derive(Clone)]
pub struct DigestSet {
    /// Bytes taken so far.
    len: u64,
    /// The first `len % stride` bytes are the unfinished stride; the rest is stale.
    pending: [u8; LONGEST_BLOCK],
    /// One per algorithm, in their order, all at `len - len % stride`.
    chains: Vec<Chain>,
}

/// SHA-256 of a few bytes, in hexadecimal.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest;
    hex(&sha2::Sha256::digest(bytes))
}

impl DigestSet {
    /// A set at the start of a stream. The order and repetition of `algorithms` do not matter.
    #[must_use]
    pub fn new(algorithms: &[Algorithm]) -> Self {
        let mut algorithms = algorithms.to_vec();
        algorithms.sort_unstable();
        algorithms.dedup();
        Self {
            len: 0,
            pending: [0; LONGEST_BLOCK],
            chains: algorithms.into_iter().map(Chain::new).collect(),
        }
    }

    /// The algorithms of this set, sorted, each once.
    #[must_use]
    pub fn algorithms(&self) -> Vec<Algorithm> {
        self.chains.iter().map(Chain::algorithm).collect()
    }

    /// How many bytes were taken so far.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether no byte was taken yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Takes the next bytes of the stream, any number of them, on the calling thread.
    pub fn update(&mut self, bytes: &[u8]) {
        self.feed(Input::Bytes(bytes), advance);
    }

    /// Takes `len` zero bytes, without reading them from anywhere: a 4 KiB block of zeros that
    /// stays in the first-level cache is hashed again and again. The time is that of hashing, see
    /// the module.
    pub fn update_zeros(&mut self, len: u64) {
        self.feed(Input::Zeros(len), advance);
    }

    /// [`update`](Self::update) with one thread per algorithm, joined before it returns.
    ///
    /// The digests are the same. With idle cores a long call takes the time of the slowest
    /// algorithm, but all together more core time than alternation: for 1 GiB of SHA-1 and SHA-256,
    /// 0.60 s on two idle cores for 1.16 s of core time, and 1.18 s when only one core is free,
    /// where [`update`](Self::update) takes 0.77 s. Calls below 1 MiB stay on the calling thread.
    pub fn update_split(&mut self, bytes: &[u8]) {
        self.feed(Input::Bytes(bytes), advance_split);
    }

    /// [`update_zeros`](Self::update_zeros) with one thread per algorithm, as
    /// [`update_split`](Self::update_split).
    pub fn update_zeros_split(&mut self, len: u64) {
        self.feed(Input::Zeros(len), advance_split);
    }

    /// All that is needed to go on from here in another process, also within a block.
    #[must_use]
    pub fn state(&self) -> State {
        State::new(self.len, self.unfinished(), &self.chains)
    }

    /// A set that goes on where `state` was taken, or `None` if no set can have had that state:
    /// algorithms repeated or out of order, a part of the wrong length, text that is not
    /// lower-case hex, 2^61 bytes or more, or changed words before the first whole block.
    ///
    /// A wrong word after that cannot be seen here: keep a checksum over a stored state.
    #[must_use]
    pub fn resume(state: &State) -> Option<Self> {
        let chains = state.chains()?;
        let mut pending = [0; LONGEST_BLOCK];
        let unfinished = state.pending(stride(&chains))?;
        pending[..unfinished.len()].copy_from_slice(&unfinished);
        Some(Self { len: state.len(), pending, chains })
    }

    /// Ends the stream and gives the digests.
    #[must_use]
    pub fn finish(self) -> Digests {
        let tail = self.unfinished();
        let finished = |chain: &Chain| (chain.algorithm(), chain.finish(tail, self.len));
        self.chains.iter().map(finished).collect()
    }

    fn unfinished(&self) -> &[u8] {
        &self.pending[..remainder(self.len, stride(&self.chains))]
    }

    /// Completes the pending stride, passes the other whole strides to `engine` and keeps the rest.
    fn feed(&mut self, mut input: Input, engine: fn(&mut [Chain], Input)) {
        let stride = stride(&self.chains);
        let start = remainder(self.len, stride);
        self.len += input.len();
        if start > 0 {
            let head = input.take((stride - start) as u64);
            let end = start + head.copy_to(&mut self.pending[start..]);
            if end < stride {
                return;
            }
            advance(&mut self.chains, Input::Bytes(&self.pending[..stride]));
        }
        let rest = remainder(input.len(), stride);
        engine(&mut self.chains, input.take(input.len() - rest as u64));
        input.copy_to(&mut self.pending);
    }
}

impl fmt::Debug for DigestSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.state().fmt(f)
    }
}

/// The length in bytes that every chain can advance by: the longest block among them.
fn stride(chains: &[Chain]) -> usize {
    let blocks = chains.iter().map(|chain| chain.algorithm().block_len());
    blocks.max().unwrap_or(BLOCK)
}

/// `len` modulo `stride`.
#[allow(clippy::cast_possible_truncation)] // below `stride`, which is a `usize`
fn remainder(len: u64, stride: usize) -> usize {
    (len % stride as u64) as usize
}

/// Moves all chains over whole strides on the calling thread.
fn advance(chains: &mut [Chain], input: Input) {
    let long = chains.partition_point(|chain| chain.algorithm().block_len() == BLOCK);
    let (alternating, running) = chains.split_at_mut(long);
    input.for_each_turn(|blocks| {
        if let [alone] = alternating {
            alone.compress(blocks);
        } else {
            for block in blocks.chunks(1) {
                for chain in &mut *alternating {
                    chain.compress(block);
                }
            }
        }
        for chain in &mut *running {
            chain.compress(blocks);
        }
    });
}

/// Moves all chains over whole strides, each on its own thread, the last on the calling one.
///
/// A chain is a small value, so a thread works on a copy; where the system refuses a thread (a
/// process limit, as on shared machines) the calling thread does that chain too.
fn advance_split(chains: &mut [Chain], input: Input) {
    let Some((last, others)) = chains.split_last_mut() else {
        return;
    };
    if others.is_empty() || input.len() < SPLIT_FROM {
        return advance(chains, input);
    }
    thread::scope(|scope| {
        let start = |mut chain: Chain| {
            let work = move || {
                advance(std::slice::from_mut(&mut chain), input);
                chain
            };
            thread::Builder::new()
                .name(format!("digest-{}", chain.algorithm()))
                .spawn_scoped(scope, work)
        };
        let threads: Vec<_> = others.iter().copied().map(start).collect();
        advance(std::slice::from_mut(last), input);
        for (chain, thread) in others.iter_mut().zip(threads) {
            match thread.map(thread::ScopedJoinHandle::join) {
                Ok(Ok(advanced)) => *chain = advanced,
                Ok(Err(panicked)) => panic::resume_unwind(panicked),
                Err(_refused) => advance(std::slice::from_mut(chain), input),
            }
        }
    });
}
