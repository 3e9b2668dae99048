//! Joins DEFLATE streams that were compressed apart into one stream.
//!
//! A compressor that only knows whole streams sets BFINAL in the last block (RFC 1951 section
//! 3.2.3), and a reader stops there. Here that bit is cleared and an empty stored block put behind,
//! as `pigz` does: a stored block ends on a byte, so the next segment can follow. Blocks have no
//! length field and start at any bit, hence the last header is found only by moving over the
//! symbols of all blocks before it. That costs about a sixth of the compression itself, since no
//! symbol is looked at: tables only tell how far to move.

mod codes;

use codes::{Code, DISTANCE, DISTANCES, END_OF_BLOCK, HALF, INDEX, LITERALS, MOVE, STOP};

/// The bytes that end a chain of pieces: a final block with the fixed code and nothing in it.
pub const END: [u8; 2] = [0x03, 0x00];

/// Zeros behind the stream while it is read, so that eight bytes can be loaded anywhere in it:
/// eight that a position at the end needs, eight for the bytes loaded ahead.
const PADDING: usize = 16;

/// Order in which a header lists the lengths of the code of code lengths (RFC 1951 section 3.2.7).
const LENGTH_ORDER: [usize; 19] =
    [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/// Reusable tables of the scanner; one per worker thread.
pub struct Joiner {
    table: [u16; 2 * HALF],
    literals: Code,
    distances: Code,
}

impl Default for Joiner {
    fn default() -> Self {
        Self::new()
    }
}

impl Joiner {
    /// Makes tables for any number of streams, one after the other.
    #[must_use]
    pub const fn new() -> Self {
        Self { table: [STOP; 2 * HALF], literals: Code::new(), distances: Code::new() }
    }

    /// Turns `stream`, one complete raw DEFLATE stream, into a piece that another one can follow.
    ///
    /// Returns false and leaves `stream` as it was if it is not understood; [`stored`] then makes a
    /// piece of the data itself. This is no check of the stream: the symbols of the last block are
    /// not read, so damage there goes unseen.
    #[must_use]
    pub fn open_end(&mut self, stream: &mut Vec<u8>) -> bool {
        let length = stream.len();
        stream.resize(length + PADDING, 0);
        let found = self.last_block(stream, length);
        stream.truncate(length);
        let Some((header, end)) = found else {
            return false;
        };
        if let Some(byte) = stream.get_mut(header / 8) {
            *byte &= !(1 << (header % 8));
        }
        // An empty stored block: BFINAL, BTYPE and the rest of the byte are zeros, LEN, NLEN.
        stream.resize((end + 3).div_ceil(8), 0);
        stream.extend_from_slice(&[0x00, 0x00, 0xff, 0xff]);
        true
    }

    /// Bit positions of the last block's header and of the end of the block.
    ///
    /// `data` is the stream of `length` bytes and its padding.
    fn last_block(&mut self, data: &[u8], length: usize) -> Option<(usize, usize)> {
        let mut at = 0;
        // Each turn moves by three bits or more, and `peek` fails behind the padding.
        loop {
            let header = at;
            let bits = peek(data, header)?;
            let last = bits & 1 != 0;
            at = match bits >> 1 & 3 {
                0 => stored_end(data, header + 3)?,
                1 => {
                    self.fixed()?;
                    self.block_end(data, header + 3, last)?
                }
                2 => {
                    let symbols = self.dynamic(data, header + 3)?;
                    self.block_end(data, symbols, last)?
                }
                _ => return None,
            };
            if last {
                // The stream ends in this byte, and zeros fill the byte.
                let ends = at.div_ceil(8) == length && peek(data, at)? == 0;
                return ends.then_some((header, at));
            }
        }
    }

    /// Takes the fixed codes (RFC 1951 section 3.2.6).
    fn fixed(&mut self) -> Option<()> {
        let mut lengths = [8; 288];
        lengths[144..256].fill(9);
        lengths[256..280].fill(7);
        self.literals.set(&lengths)?;
        self.distances.set(&[5; 32])
    }

    /// Reads the codes of a block that has its own (RFC 1951 section 3.2.7); returns where its
    /// symbols begin.
    fn dynamic(&mut self, data: &[u8], mut at: usize) -> Option<usize> {
        let bits = peek(data, at)?;
        let literals = 257 + (bits & 31) as usize;
        let distances = 1 + (bits >> 5 & 31) as usize;
        // More than there are symbols: zlib's inflate refuses it.
        if literals > 286 || distances > 30 {
            return None;
        }
        at += 14;
        let mut own = [0; 19];
        for &symbol in LENGTH_ORDER.iter().take(4 + (bits >> 10 & 15) as usize) {
            own[symbol] = (peek(data, at)? & 7) as u8;
            at += 3;
        }
        self.literals.set(&own)?;
        let table = codes::fill_lengths(&self.literals);

        let mut lengths = [0; 286 + 30];
        let lengths = lengths.get_mut(..literals + distances)?;
        let mut place = 0;
        while place < lengths.len() {
            let bits = peek(data, at)?;
            let entry = table[(bits & 127) as usize];
            if entry & STOP != 0 {
                return None;
            }
            let used = usize::from(entry & MOVE);
            let bits = (bits >> used & 127) as usize;
            let previous = lengths.get(place.wrapping_sub(1)).copied();
            let (length, run, extra) = match codes::length_symbol(entry) {
                16 => (previous?, 3 + (bits & 3), 2),
                17 => (0, 3 + (bits & 7), 3),
                18 => (0, 11 + (bits & 127), 7),
                length => (length, 1, 0),
            };
            lengths.get_mut(place..place + run)?.fill(length);
            place += run;
            at += used + extra;
        }
        let (literals, distances) = lengths.split_at(literals);
        self.literals.set(literals)?;
        self.distances.set(distances)?;
        Some(at)
    }

    /// The end of the block whose symbols begin at `symbols`.
    fn block_end(&mut self, data: &[u8], symbols: usize, last: bool) -> Option<usize> {
        if last && let Some(end) = self.known_end(data, symbols) {
            return Some(end);
        }
        codes::fill_block(&mut self.table, &self.literals, &self.distances);
        self.skip_symbols(data, symbols)
    }

    /// The end of the last block, without a look at its symbols: the last bit that is set belongs
    /// to the end-of-block code, and the zeros that end this code follow.
    ///
    /// None if the code is all zeros, which cannot be told from padding. The fixed code's is.
    fn known_end(&self, data: &[u8], symbols: usize) -> Option<usize> {
        let (code, length) = self.literals.code_of(END_OF_BLOCK)?;
        if code == 0 {
            return None;
        }
        let byte = data.iter().rposition(|&byte| byte != 0)?;
        let set = 8 * byte + data.get(byte)?.checked_ilog2()? as usize;
        let end = set + 1 + code.trailing_zeros() as usize;
        let start = end.checked_sub(length as usize)?;
        // Codes are packed from their highest bit on (RFC 1951 section 3.1.1).
        let there = peek(data, start)?.reverse_bits() >> (64 - length);
        (start >= symbols && there == code).then_some(end)
    }

    /// Moves over the symbols from bit `start` on with the tables as they are.
    fn skip_symbols(&self, data: &[u8], start: usize) -> Option<usize> {
        let table = &self.table;
        // The bits from here on, and in the low six bits of `left` how many of them count. What is
        // above these six is rubbish that subtraction leaves; it never comes down.
        let mut bits = load(data, start / 8)? >> (start % 8);
        let mut left = 56 - u32::try_from(start % 8).ok()?;
        let mut next = start / 8 + 7;
        let mut half = 0_u16;
        loop {
            let mut entry = 0;
            // An entry with STOP moves by nothing and keeps the half, so the next look-up meets it
            // again and one test serves four.
            for _ in 0..2 {
                bits |= load(data, next)?.wrapping_shl(left);
                next += (!left as usize & 63) / 8;
                left |= 56;
                // 56 bits are there, and two entries take 40 at most: 16 for a literal with a
                // length behind it, 24 for a distance.
                for _ in 0..2 {
                    entry = table[(bits & INDEX) as usize | usize::from(half)];
                    bits = bits.wrapping_shr(u32::from(entry));
                    left = left.wrapping_sub(u32::from(entry));
                    half = entry & DISTANCE;
                }
            }
            if entry & STOP != 0 {
                let (code, entries) = match half {
                    0 => (&self.literals, &LITERALS[..]),
                    _ => (&self.distances, &DISTANCES[..]),
                };
                // 28 bits at most, and 32 are there: one entry at most has moved since the load.
                let (symbol, length) = code.decode(bits)?;
                if symbol == END_OF_BLOCK {
                    return Some(8 * next - (left & 63) as usize + length as usize);
                }
                let entry = entries.get(usize::from(symbol)).filter(|&entry| entry & STOP == 0)?;
                let length = length + u32::from(entry & MOVE);
                bits = bits.wrapping_shr(length);
                left = left.wrapping_sub(length);
                half = entry & DISTANCE;
            }
        }
    }
}

/// Appends `raw` to `out` as stored blocks that another block can follow (RFC 1951 section 3.2.4).
///
/// `out` must end on a byte, as it does after a piece.
pub fn stored(raw: &[u8], out: &mut Vec<u8>) {
    for block in raw.chunks(usize::from(u16::MAX)) {
        // The chunks are no longer than this.
        let length = u16::try_from(block.len()).unwrap_or(u16::MAX);
        out.push(0);
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(&(!length).to_le_bytes());
        out.extend_from_slice(block);
    }
}

/// The end of a stored block whose three header bits end at bit `at`.
fn stored_end(data: &[u8], at: usize) -> Option<usize> {
    let at = at.next_multiple_of(8);
    let bits = peek(data, at)?;
    let length = bits & 0xffff;
    (length ^ 0xffff == bits >> 16 & 0xffff).then_some(at + 32 + 8 * length as usize)
}

/// The eight bytes from `byte` on.
#[inline(always)]
fn load(data: &[u8], byte: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*data.get(byte..)?.first_chunk()?))
}

/// At least 57 bits of the stream, from bit `at` on.
fn peek(data: &[u8], at: usize) -> Option<u64> {
    Some(load(data, at / 8)? >> (at % 8))
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, Decompress, FlushDecompress, Status};
    use libdeflater::{CompressionLvl, Compressor};
    use std::io::Write;

    const SIZES: [usize; 6] = [0, 1, 2, 100, 64 << 10, 1 << 20];

    /// Numbers that are the same in every run.
    struct Numbers(u64);

    impl Numbers {
        fn byte(&mut self, bound: usize) -> u8 {
            u8::try_from(self.below(bound)).unwrap()
        }

        fn below(&mut self, bound: usize) -> usize {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            (self.0 >> 11) as usize % bound
        }
    }

    fn libdeflate(raw: &[u8], level: i32) -> Vec<u8> {
        let mut engine = Compressor::new(CompressionLvl::new(level).unwrap());
        let mut stream = vec![0; engine.deflate_compress_bound(raw.len())];
        let length = engine.deflate_compress(raw, &mut stream).unwrap();
        stream.truncate(length);
        stream
    }

    fn zlib(raw: &[u8], level: u32) -> Vec<u8> {
        let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), Compression::new(level));
        encoder.write_all(raw).unwrap();
        encoder.finish().unwrap()
    }

    /// Zeros, noise, words, noise with long runs in it, and bytes of very unequal frequency, whose
    /// codes are long.
    fn inputs(size: usize) -> [Vec<u8>; 5] {
        let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
        let noise: Vec<u8> = (0..size).map(|_| numbers.byte(256)).collect();
        let words =
            ["block", "header", " ", "of the ", "stream\n", "0x", "ending", ", ", "BFINAL "];
        let mut text = Vec::new();
        while text.len() < size {
            text.extend_from_slice(words[numbers.below(words.len())].as_bytes());
            text.push(b'a' + numbers.byte(26));
        }
        text.truncate(size);
        let mut mixed = noise.clone();
        for run in mixed.chunks_mut(50_000).step_by(2) {
            run.fill(run[0]);
        }
        let unequal = (0..size)
            .map(|_| {
                // Half of all numbers have the highest bit set, a quarter the next one.
                let place = (numbers.below(1 << 16) + 1).ilog2();
                u8::try_from(place).unwrap() * (1 + numbers.byte(9))
            })
            .collect();
        [vec![0; size], noise, text, mixed, unequal]
    }

    /// The data of pieces that [`END`] ends; fails if a byte is left or missing.
    fn inflate(joined: &[u8], size: usize) -> Vec<u8> {
        let mut raw = Vec::with_capacity(size + 1);
        let mut engine = Decompress::new(false);
        let status = engine.decompress_vec(joined, &mut raw, FlushDecompress::Finish);
        assert_eq!(status.unwrap(), Status::StreamEnd);
        assert_eq!(engine.total_in(), joined.len() as u64);
        raw
    }

    /// Joins what `compress` makes of every kind of input of every size.
    fn check(compress: impl Fn(&[u8]) -> Vec<u8>) {
        let mut joiner = Joiner::new();
        let (mut raw, mut joined) = (Vec::new(), Vec::new());
        for input in SIZES.into_iter().flat_map(inputs) {
            let mut piece = compress(&input);
            assert!(joiner.open_end(&mut piece), "{} bytes", input.len());
            assert!(piece.ends_with(&[0x00, 0x00, 0xff, 0xff]));
            joined.append(&mut piece);
            raw.extend_from_slice(&input);
        }
        joined.extend_from_slice(&END);
        assert!(inflate(&joined, raw.len()) == raw);
    }

    #[test]
    fn pieces_of_libdeflate_join() {
        for level in 0..=9 {
            check(|raw| libdeflate(raw, level));
        }
    }

    #[test]
    fn pieces_of_zlib_join() {
        for level in [0, 1, 6, 9] {
            check(|raw| zlib(raw, level));
        }
    }

    #[test]
    fn the_last_block_ends_where_its_symbols_end() {
        let mut joiner = Joiner::new();
        let mut zeros_after = 0;
        for (size, level) in [(100, 6), (5_000, 1), (5_000, 9), (100_000, 4)] {
            for input in inputs(size) {
                let mut stream = libdeflate(&input, level);
                let length = stream.len();
                stream.resize(length + PADDING, 0);
                let (header, end) = joiner.last_block(&stream, length).unwrap();
                // The last one, with codes of its own.
                if peek(&stream, header).unwrap() & 7 == 5 {
                    let symbols = joiner.dynamic(&stream, header + 3).unwrap();
                    let code = joiner.literals.code_of(END_OF_BLOCK).unwrap().0;
                    zeros_after += usize::from(code != 0 && code & 1 == 0);
                    let known = joiner.known_end(&stream, symbols);
                    assert_eq!(known, (code != 0).then_some(end));
                    assert_eq!(joiner.block_end(&stream, symbols, false), Some(end));
                }
            }
        }
        assert!(zeros_after > 0);
    }

    #[test]
    fn a_cut_in_the_last_block_is_seen_nearly_always() {
        let stream = libdeflate(&inputs(20_000)[2], 6);
        let cuts = stream.len() - 300..stream.len();
        let unseen = cuts.filter(|&cut| Joiner::new().open_end(&mut stream[..cut].to_vec()));
        assert!(unseen.count() < 30);
    }

    #[test]
    fn codes_are_complete_or_of_one_bit() {
        let mut code = Code::new();
        for (lengths, fine) in [
            (&[1, 1][..], true),
            (&[2, 0, 1, 2], true),
            (&[0, 1], true),
            (&[0, 0], true),
            (&[1, 1, 1], false),
            (&[1, 2, 2, 15], false),
            (&[1, 2], false),
            (&[0, 2], false),
        ] {
            assert_eq!(code.set(lengths).is_some(), fine, "{lengths:?}");
        }
    }

    #[test]
    fn stored_blocks_join() {
        for input in SIZES.into_iter().flat_map(inputs) {
            let mut joined = Vec::new();
            stored(&input, &mut joined);
            joined.extend_from_slice(&END);
            assert!(inflate(&joined, input.len()) == input);
        }
    }

    #[test]
    fn damage_is_refused_or_unseen_but_never_a_panic() {
        let mut joiner = Joiner::new();
        let mut numbers = Numbers(1951);
        for level in [1, 4, 6] {
            for input in inputs(30_000) {
                let stream = libdeflate(&[&input[..], &inputs(3_000)[2]].concat(), level);
                for _ in 0..150 {
                    let mut damaged = stream.clone();
                    for _ in 0..numbers.below(4) {
                        // The headers at the front decide most.
                        let bound = [damaged.len(), 90.min(damaged.len())][numbers.below(2)];
                        damaged[numbers.below(bound)] ^= 1 << numbers.below(8);
                    }
                    damaged.truncate(
                        [damaged.len(), 1 + numbers.below(damaged.len())][numbers.below(2)],
                    );
                    let before = damaged.clone();
                    if !joiner.open_end(&mut damaged) {
                        assert!(damaged == before);
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_no_stream_is_refused() {
        let refused: [&[u8]; 8] = [
            b"",
            // Cut in a header, in an empty fixed block, and in LEN and NLEN.
            &[0x05],
            &[0x03],
            &[0x01, 0x00, 0x00, 0xff],
            // NLEN does not fit LEN, BTYPE is 3, bits behind the end, a byte behind the end.
            &[0x01, 0x00, 0x00, 0xff, 0xfe],
            &[0x07, 0x00],
            &[0x03, 0x04],
            &[0x03, 0x00, 0x00],
        ];
        for bytes in refused {
            let mut stream = bytes.to_vec();
            assert!(!Joiner::new().open_end(&mut stream), "{bytes:?}");
            assert_eq!(stream, bytes);
        }
        assert!(!Joiner::new().open_end(&mut vec![0; 100_000]));
        assert!(!Joiner::new().open_end(&mut vec![0xff; 100_000]));
    }
}
