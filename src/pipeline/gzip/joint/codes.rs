//! The prefix codes of DEFLATE (RFC 1951 section 3.2) as tables that say how far to move.
//!
//! An entry has sixteen bits, so that both codes of a block take 8 KiB of the first level cache:
//!
//! | bits | meaning |
//! |---|---|
//! | 0 to 5 | bits to move: the code and the extra bits behind it |
//! | 6 to 9 | length of the code alone; 15 where the table has no answer |
//! | 11 | what follows is a distance code (`DISTANCE`) |
//! | 15 | the table has no answer (`STOP`) |

/// Codes up to this length are looked up, longer ones decoded bit by bit: under 1 % of the symbols.
const INDEX_BITS: u16 = 11;
/// The bits of the stream that are the index into one half of the table of a block.
pub(super) const INDEX: u64 = (1 << INDEX_BITS) - 1;
/// Entries in one half.
pub(super) const HALF: usize = 1 << INDEX_BITS;
/// Bit 11 of an entry, and the bit of the index that selects the half with the distance codes.
pub(super) const DISTANCE: u16 = 1 << INDEX_BITS;
/// Marks entries that leave the decision to [`Code::decode`].
pub(super) const STOP: u16 = 1 << 15;
/// The bits to move.
pub(super) const MOVE: u16 = 63;
/// The length of the code.
const LENGTH: u16 = 15 << 6;
/// One bit more to move, one bit more of code.
const ONE_BIT: u16 = 1 + (1 << 6);
/// The symbol that ends a block.
pub(super) const END_OF_BLOCK: u16 = 256;

/// What a literal/length symbol adds to the entry of its code: extra bits, and what comes next
/// (section 3.2.5).
pub(super) const LITERALS: [u16; 288] = {
    let mut entries = [0; 288];
    let mut symbol = 257_u16;
    while symbol < 286 {
        let extra = match symbol {
            257..=264 | 285 => 0,
            _ => (symbol - 261) / 4,
        };
        entries[symbol as usize] = DISTANCE | extra;
        symbol += 1;
    }
    entries[END_OF_BLOCK as usize] = STOP;
    // The fixed code has these two, no data may (section 3.2.6).
    entries[286] = STOP;
    entries[287] = STOP;
    entries
};

/// The same for a distance symbol.
pub(super) const DISTANCES: [u16; 32] = {
    let mut entries = [0; 32];
    let mut symbol = 4_u16;
    while symbol < 30 {
        entries[symbol as usize] = (symbol - 2) / 2;
        symbol += 1;
    }
    entries[30] = STOP;
    entries[31] = STOP;
    entries
};

/// The same for the code of code lengths (section 3.2.7); here the symbol itself is wanted.
const CODE_LENGTHS: [u16; 19] = {
    let mut entries = [0; 19];
    let mut symbol = 0_u16;
    while symbol < 19 {
        entries[symbol as usize] = symbol << 10;
        symbol += 1;
    }
    entries
};

/// A canonical code (section 3.2.2): its symbols in the order of their codes.
pub(super) struct Code {
    counts: [u16; 16],
    symbols: [u16; 288],
}

impl Code {
    pub(super) const fn new() -> Self {
        Self { counts: [0; 16], symbols: [0; 288] }
    }

    /// Takes the lengths of the codes, one per symbol, 0 where a symbol does not occur.
    ///
    /// Refuses too many codes for their lengths, and too few, as readers do. One code of one bit,
    /// or none, is allowed: a block may have one distance or only literals (section 3.2.7, end).
    pub(super) fn set(&mut self, lengths: &[u8]) -> Option<()> {
        self.counts = [0; 16];
        for &length in lengths {
            self.counts[usize::from(length & 15)] += 1;
        }
        self.counts[0] = 0;
        let mut places = [0_u16; 16];
        let (mut place, mut room) = (0, 1_i32);
        for (slot, &count) in places.iter_mut().zip(&self.counts).skip(1) {
            *slot = place;
            place += count;
            room = 2 * room - i32::from(count);
            if room < 0 {
                return None;
            }
        }
        if room > 0 && (place > 1 || place == 1 && self.counts[1] != 1) {
            return None;
        }
        for (symbol, &length) in (0..).zip(lengths) {
            if length != 0 {
                let slot = &mut places[usize::from(length & 15)];
                *self.symbols.get_mut(usize::from(*slot))? = symbol;
                *slot += 1;
            }
        }
        Some(())
    }

    /// Fills `table`, a power of two in size, whose index holds the next bits of the stream, the
    /// first one lowest.
    ///
    /// The table doubles with each length: the copy repeats every shorter code for both values of
    /// the bit behind it, so each code costs one write.
    fn fill(&self, table: &mut [u16], stop: u16, entries: &[u16]) {
        if let Some(first) = table.first_mut() {
            *first = stop;
        }
        let mut symbols = self.symbols.iter();
        let (mut code, mut size, mut length) = (0_u32, 1, 1_u16);
        while size < table.len() {
            table.copy_within(..size, size);
            size *= 2;
            code *= 2;
            let count = self.counts.get(usize::from(length)).copied().unwrap_or(0);
            for &symbol in symbols.by_ref().take(usize::from(count)) {
                // Codes are packed from their highest bit on (section 3.1.1).
                let index = (code.reverse_bits() >> ((32 - u32::from(length)) & 31)) as usize;
                let entry = entries.get(usize::from(symbol)).copied().unwrap_or(STOP);
                if let Some(slot) = table.get_mut(index).filter(|_| entry & STOP == 0) {
                    *slot = entry + ONE_BIT * length;
                }
                code += 1;
            }
            length += 1;
        }
    }

    /// The symbol whose code comes first in `bits`, and the length of the code.
    #[cold]
    pub(super) fn decode(&self, bits: u64) -> Option<(u16, u32)> {
        let (mut code, mut first, mut place) = (0, 0, 0);
        for (length, &count) in (0..).zip(&self.counts).skip(1) {
            let count = usize::from(count);
            code = 2 * code + (bits >> (length - 1) & 1) as usize;
            first *= 2;
            if code < first + count {
                let symbol = self.symbols.get(place + code - first)?;
                return Some((*symbol, length));
            }
            first += count;
            place += count;
        }
        None
    }

    /// The code of `symbol` with its first bit highest, and its length.
    pub(super) fn code_of(&self, symbol: u16) -> Option<(u64, u32)> {
        let mut symbols = self.symbols.iter();
        let mut code = 0;
        for (length, &count) in (0..).zip(&self.counts).skip(1) {
            code *= 2;
            for &other in symbols.by_ref().take(usize::from(count)) {
                if other == symbol {
                    return Some((code, length));
                }
                code += 1;
            }
        }
        None
    }
}

/// Fills the table of a block: lower half literals and lengths, upper half distances.
pub(super) fn fill_block(table: &mut [u16; 2 * HALF], literals: &Code, distances: &Code) {
    let (lower, upper) = table.split_at_mut(HALF);
    literals.fill(lower, STOP | LENGTH, &LITERALS);
    distances.fill(upper, STOP | LENGTH | DISTANCE, &DISTANCES);
    // A literal and the symbol behind it become one entry where the index holds both codes.
    // Downwards, because the rest of an index is a smaller index, which still has its single
    // symbol. A third symbol gained nothing when measured.
    for index in (0..HALF).rev() {
        let entry = table[index];
        let rest = table[index >> (entry & 15)];
        let fits = (entry & LENGTH) + (rest & LENGTH) <= (ONE_BIT * INDEX_BITS) & LENGTH;
        if fits && entry & DISTANCE == 0 {
            table[index] = entry + rest;
        }
    }
}

/// The table of the code of code lengths, whose codes have at most seven bits.
pub(super) fn fill_lengths(code: &Code) -> [u16; 128] {
    let mut table = [0; 128];
    code.fill(&mut table, STOP | LENGTH, &CODE_LENGTHS);
    table
}

/// The symbol in an entry of [`fill_lengths`].
pub(super) const fn length_symbol(entry: u16) -> u8 {
    (entry >> 10 & 31) as u8
}
