//! A metadata area: a header, and a ring of texts of which one counts
//! (`struct mda_header`, `struct raw_locn` in LVM2 `lib/format_text/layout.h`).

use super::{crc, damaged};
use crate::error::Result;
use crate::guest::block::Block;
use crate::guest::volumes::bytes::Bytes;

/// `MDA_HEADER_SIZE`: the ring begins behind it.
const HEADER: u64 = 512;
const HEADER_LEN: usize = 512;
/// `FMTT_MAGIC`.
const MAGIC: &[u8] = b" LVM2 x[5A%r0N*>";
/// `RAW_LOCN_IGNORED`: the area is kept, but not written.
const IGNORED: u32 = 1;
/// Longest text that is read, in bytes. LVM2 makes areas of 1 MiB, and a text takes at most half.
pub(super) const MAX_TEXT: u64 = 8 << 20;

/// Where the text is: the first of the header's places is the one that counts, for the ring keeps
/// texts of the past and, during a change, one of the future.
struct Place {
    offset: u64,
    len: u64,
    crc: u32,
}

/// The metadata text in the area at `start`, `len` bytes long; none if the area has none. Takes its
/// length from `budget`.
///
/// # Errors
/// `Damaged`, if the area contradicts itself, and if the budget is used up.
pub(super) fn read(
    on: &dyn Block,
    start: u64,
    len: u64,
    budget: &mut u64,
) -> Result<Option<Vec<u8>>> {
    if start.checked_add(len).is_none_or(|end| end > on.size()) || len <= HEADER {
        return Err(damaged("a metadata area lies outside of it"));
    }
    let header = Bytes::read(on, start, HEADER_LEN)?;
    if !header.has(4, MAGIC) || crc(header.part(4, HEADER_LEN)) != header.u32(0) {
        return Err(damaged("the header of a metadata area is wrong"));
    }
    if header.u32(20) != 1 || header.u64(24) != start || header.u64(32) != len {
        return Err(damaged("a metadata area is not where it should be"));
    }
    let place = Place { offset: header.u64(40), len: header.u64(48), crc: header.u32(56) };
    if place.offset == 0 || place.len == 0 || header.u32(60) & IGNORED != 0 {
        return Ok(None);
    }
    *budget = match budget.checked_sub(place.len) {
        Some(left) if place.len <= MAX_TEXT => left,
        _ => return Err(damaged("there is more metadata than any group has")),
    };
    let text = ring(on, start, len, &place)?;
    if crc(&text) != place.crc {
        return Err(damaged("the checksum of its metadata is wrong"));
    }
    Ok(Some(text))
}

/// Reads out of the ring: what reaches beyond the end of the area goes on behind its header.
fn ring(on: &dyn Block, start: u64, len: u64, place: &Place) -> Result<Vec<u8>> {
    if !(HEADER..len).contains(&place.offset) || place.len > len - HEADER {
        return Err(damaged("its metadata lie outside of their area"));
    }
    let first = place.len.min(len - place.offset);
    let size = |len: u64| usize::try_from(len).unwrap_or(0);
    let mut text = vec![0; size(place.len)];
    let (before, behind) = text.split_at_mut(size(first));
    on.read_at(before, start + place.offset)?;
    if !behind.is_empty() {
        on.read_at(behind, start + HEADER)?;
    }
    Ok(text)
}
