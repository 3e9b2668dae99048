//! The label of a physical volume, and the areas where the metadata of its group lie
//! (LVM2 `lib/format_text/layout.h`, `lib/label/label.h`).

use std::fmt::Write;

use super::{crc, damaged};
use crate::disk::SECTOR;
use crate::error::Result;
use crate::guest::block::Block;
use crate::guest::volumes::bytes::Bytes;

/// `LABEL_ID`, in one of the first four sectors (`LABEL_SCAN_SECTORS`), and `LVM2_LABEL`.
const ID: &[u8] = b"LABELONE";
const KIND: &[u8] = b"LVM2 001";
const SCANNED: usize = 4;
const SECTOR_LEN: usize = 512;
/// Of the label: its own checksum covers the sector from byte 20 on.
const CHECKED_FROM: usize = 20;
/// Characters of the UUID of a physical volume, of a group, of a logical volume.
pub(super) const ID_LEN: usize = 32;

/// A physical volume's own description of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Label {
    /// Without the dashes.
    pub(super) id: String,
    /// Offset and length of each metadata area, in bytes. Not checked.
    pub(super) areas: Vec<(u64, u64)>,
}

/// Which byte the label begins at, if there is one.
pub(in crate::guest::volumes) fn place(head: &Bytes) -> Option<usize> {
    let places = (0..SCANNED).map(|number| number * SECTOR_LEN);
    places.into_iter().find(|at| head.has(*at, ID) && head.has(at + 24, KIND))
}

/// The UUID as `blkid` and `pvs` print it, in groups; none if this is no UUID.
pub(in crate::guest::volumes) fn id(label: &[u8]) -> Option<String> {
    let label = Bytes::of(label);
    let id = raw_id(&label)?;
    let mut text = String::new();
    for (i, c) in id.chars().enumerate() {
        if matches!(i, 6 | 10 | 14 | 18 | 22 | 26) {
            text.push('-');
        }
        // Writing to a string does not fail.
        let _ = write!(text, "{c}");
    }
    Some(text)
}

fn raw_id(label: &Bytes) -> Option<String> {
    let at = usize::try_from(label.u32(20)).ok()?;
    let id = label.part(at, ID_LEN);
    let sound = id.len() == ID_LEN && id.iter().all(u8::is_ascii_alphanumeric);
    sound.then(|| String::from_utf8_lossy(id).into_owned())
}

/// Reads the label.
///
/// # Errors
/// `Damaged`, if it contradicts itself.
pub(super) fn read(on: &dyn Block) -> Result<Label> {
    let head = Bytes::read(on, 0, SCANNED * SECTOR_LEN)?;
    let Some(at) = place(&head) else { return Err(damaged("there is no label")) };
    let label = Bytes::of(head.part(at, SECTOR_LEN));
    if label.u64(8).checked_mul(SECTOR) != Some(at as u64) {
        return Err(damaged("its label is in the wrong sector"));
    }
    if crc(label.part(CHECKED_FROM, SECTOR_LEN)) != label.u32(16) {
        return Err(damaged("the checksum of its label is wrong"));
    }
    let Some(id) = raw_id(&label) else { return Err(damaged("its UUID is none")) };
    // Behind UUID and size: two lists of places, each ended by zeros. First the data, then what is
    // looked for.
    let mut next = usize::try_from(label.u32(20)).unwrap_or(0) + ID_LEN + 8;
    let _data = list(&label, &mut next);
    Ok(Label { id, areas: list(&label, &mut next) })
}

fn list(label: &Bytes, next: &mut usize) -> Vec<(u64, u64)> {
    let mut places = Vec::new();
    loop {
        let place = (label.u64(*next), label.u64(*next + 8));
        *next += 16;
        if place.0 == 0 || *next > SECTOR_LEN {
            return places;
        }
        places.push(place);
    }
}
