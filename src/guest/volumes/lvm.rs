//! LVM2: from physical volumes to logical ones.
//!
//! ```text
//! label.rs   in one of the first four sectors: who this physical volume is, where its areas are
//! area.rs    a metadata area: the text that counts, out of a ring, with its checksums
//! text.rs    the text: sections, numbers, strings
//! group.rs   what it says: physical and logical volumes, segments
//! this file  each logical volume as one range of bytes
//! ```

mod area;
mod group;
pub(super) mod label;
pub mod text;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::striped::Striped;
use super::{Found, Holds, MAX_VOLUMES, Volume, magic};
use crate::disk::{SECTOR, Warning};
use crate::error::{Error, Kind, Result};
use crate::guest::block::{Block, Pieces};
use group::{Group, Logical, Segment};

/// Metadata of all groups of a disk together, in bytes.
const MAX_METADATA: u64 = 32 << 20;

fn damaged(message: impl Into<String>) -> Error {
    Error::new(Kind::Damaged, "lvm-damaged", message)
}

/// LVM2's CRC-32: the usual polynomial, `INITIAL_CRC`, nothing at the end
/// (`lib/misc/crc.c`). [`crc32fast`] inverts before and after.
fn crc(bytes: &[u8]) -> u32 {
    const INITIAL: u32 = 0xf597_a6cf;
    let mut hasher = crc32fast::Hasher::new_with_initial(!INITIAL);
    hasher.update(bytes);
    !hasher.finalize()
}

/// Physical volumes of the disk by UUID; none for a UUID that is there twice.
type Disks = BTreeMap<String, Option<Arc<dyn Block>>>;

/// Adds the logical volumes of all physical ones that were found.
///
/// # Errors
/// Only those of reading: damage becomes a warning.
pub(super) fn add(found: &mut Found) -> Result<()> {
    let mut disks = Disks::new();
    let mut groups: BTreeMap<String, Group> = BTreeMap::new();
    let (mut texts, mut budget) = (BTreeSet::new(), MAX_METADATA);
    for volume in found.volumes.iter_mut().filter(|v| v.holds == Holds::Lvm && v.refused.is_none())
    {
        let warnings = &mut found.warnings;
        let Some(label) = unless_damaged(label::read(volume.block.as_ref()), volume, warnings)?
        else {
            volume.refused = Some("it is a damaged physical volume".to_owned());
            continue;
        };
        let known = disks.insert(label.id.clone(), Some(volume.block.clone())).is_some();
        if known {
            disks.insert(label.id, None);
        }
        for (start, len) in label.areas {
            let text = area::read(volume.block.as_ref(), start, len, &mut budget);
            let Some(Some(text)) = unless_damaged(text, volume, warnings)? else { continue };
            // Each area of each physical volume has the same text.
            if !texts.insert(text.clone()) {
                continue;
            }
            let Some(group) = unless_damaged(Group::read(&text), volume, warnings)? else {
                continue;
            };
            let newer = groups.get(&group.id).is_none_or(|known| known.seqno < group.seqno);
            if newer {
                groups.insert(group.id.clone(), group);
            }
        }
    }
    let mut by_name: BTreeMap<String, Vec<Group>> = BTreeMap::new();
    for group in groups.into_values() {
        by_name.entry(group.name.clone()).or_default().push(group);
    }
    for (name, groups) in by_name {
        match groups.as_slice() {
            [group] => volumes_of(group, &disks, found)?,
            _ => {
                let message = format!("there are {} volume groups named {name}", groups.len());
                found.warnings.push(Warning::new("lvm-name-twice", message));
            }
        }
    }
    Ok(())
}

/// The result; if it is damage of `volume`, none and a warning.
fn unless_damaged<T>(
    result: Result<T>,
    volume: &Volume,
    warnings: &mut Vec<Warning>,
) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == Kind::Damaged => {
            let message = format!("physical volume {}: {}", volume.name, error.message());
            warnings.push(Warning::new("lvm-damaged", message));
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn volumes_of(group: &Group, disks: &Disks, found: &mut Found) -> Result<()> {
    for logical in &group.logical {
        if found.volumes.len() >= MAX_VOLUMES {
            let message = format!("volumes after number {MAX_VOLUMES} are left out");
            found.warnings.push(Warning::new("too-many-volumes", message));
            return Ok(());
        }
        found.volumes.push(volume(group, logical, disks)?);
    }
    Ok(())
}

fn volume(group: &Group, logical: &Logical, disks: &Disks) -> Result<Volume> {
    let mapped = logical.layout.as_ref().map_err(Clone::clone);
    let mapped = mapped.and_then(|segments| map(group, segments, disks));
    let (block, refused) = match mapped {
        Ok(block) => (block, None),
        Err(why) => (Pieces::default(), Some(why)),
    };
    let block: Arc<dyn Block> = Arc::new(block);
    let identity = magic::identify(block.as_ref())?;
    let (vg, lv) = (&group.name, &logical.name);
    // The device mapper has one name space, so dashes of the names are doubled.
    let mapper = format!("/dev/mapper/{}-{}", vg.replace('-', "--"), lv.replace('-', "--"));
    let refused = refused.or_else(|| identity.refusal().map(str::to_owned));
    Ok(Volume {
        name: format!("{vg}/{lv}"),
        devices: vec![format!("/dev/{vg}/{lv}"), mapper],
        refused,
        ..super::volume(identity, block)
    })
}

/// Puts a logical volume together, or says why not.
fn map(group: &Group, segments: &[Segment], disks: &Disks) -> Result<Pieces, String> {
    let mut pieces = Pieces::default();
    for segment in segments {
        let place = |(name, extent): &(String, u64)| place(group, disks, name, *extent);
        let stripes = segment.stripes.iter().map(place).collect::<Result<Vec<_>, _>>()?;
        let bytes = |sectors: u64| sectors.checked_mul(SECTOR);
        let each = segment.each().checked_mul(group.extent).and_then(bytes);
        let chunk = bytes(segment.chunk);
        let (Some(each), Some(chunk)) = (each, chunk) else {
            return Err("a segment is damaged".to_owned());
        };
        let pushed = match stripes.as_slice() {
            [(on, start)] => pieces.push(on, *start, each),
            _ => Striped::new(stripes, chunk, each).and_then(|striped| {
                let striped: Arc<dyn Block> = Arc::new(striped);
                pieces.push(&striped, 0, striped.size())
            }),
        };
        pushed.map_err(|error| format!("a segment is damaged: {}", error.message()))?;
    }
    Ok(pieces)
}

/// An extent of a physical volume: which range, and where in it.
fn place(
    group: &Group,
    disks: &Disks,
    name: &str,
    extent: u64,
) -> Result<(Arc<dyn Block>, u64), String> {
    let Some(physical) = group.physical.get(name) else {
        return Err(format!("the group has no physical volume {name}"));
    };
    if physical.missing {
        return Err(format!("physical volume {name} was missing when the group changed"));
    }
    let on = match disks.get(&physical.id) {
        Some(Some(on)) => on.clone(),
        Some(None) => return Err(format!("physical volume {name} is on this disk twice")),
        None => return Err(format!("physical volume {name} is not on this disk")),
    };
    let sectors = extent.checked_mul(group.extent).and_then(|at| at.checked_add(physical.start));
    match sectors.and_then(|sectors| sectors.checked_mul(SECTOR)) {
        Some(start) => Ok((on, start)),
        None => Err("a segment is damaged".to_owned()),
    }
}
