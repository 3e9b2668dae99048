//! A volume group, as its metadata describe it.

use std::collections::{BTreeMap, BTreeSet};

use super::damaged;
use super::label::ID_LEN;
use super::text::{self, Section, Value};
use crate::error::Result;

/// `NAME_LEN`: names of groups and volumes are shorter.
const NAME_LEN: usize = 128;
/// Stripes of a segment (`MAX_STRIPES` of LVM2 `lib/metadata/metadata-exported.h`).
const MAX_STRIPES: u64 = 128;

/// A volume group.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Group {
    pub(super) name: String,
    pub(super) id: String,
    /// Counts the changes: of several texts the highest one counts.
    pub(super) seqno: u64,
    /// In sectors.
    pub(super) extent: u64,
    /// By the name that the segments use, `pv0`.
    pub(super) physical: BTreeMap<String, Physical>,
    /// Visible ones, by name.
    pub(super) logical: Vec<Logical>,
}

/// A physical volume of a group.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Physical {
    /// As in its label.
    pub(super) id: String,
    /// Where extent 0 begins, in sectors.
    pub(super) start: u64,
    /// In extents.
    pub(super) extents: u64,
    /// It was away while the group changed: what is on it may be old.
    pub(super) missing: bool,
}

/// A logical volume that is there for a user.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Logical {
    pub(super) name: String,
    /// Why it cannot be used, or how it is put together.
    pub(super) layout: Result<Vec<Segment>, String>,
}

/// A piece of a logical volume; in extents unless said.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Segment {
    /// In the logical volume.
    pub(super) start: u64,
    pub(super) len: u64,
    /// Sectors of a chunk; any number if there is one stripe.
    pub(super) chunk: u64,
    /// Physical volumes, and where the stripe begins in each.
    pub(super) stripes: Vec<(String, u64)>,
}

impl Segment {
    /// Length of each stripe.
    pub(super) fn each(&self) -> u64 {
        self.len / (self.stripes.len() as u64).max(1)
    }
}

impl Group {
    /// Reads the metadata of one group.
    ///
    /// # Errors
    /// `Damaged`, if something of the group itself is missing or wrong, or if two segments share
    /// an extent.
    pub(super) fn read(metadata: &[u8]) -> Result<Self> {
        let text = text::parse(metadata)?;
        let mut sections = text.sections();
        let (Some((name, group)), None) = (sections.next(), sections.next()) else {
            return Err(damaged("its metadata are not of one group"));
        };
        let mut read = Group {
            name: checked_name(name)?.to_owned(),
            id: id(group)?,
            seqno: number(group, "seqno")?,
            extent: number(group, "extent_size")?,
            physical: BTreeMap::new(),
            logical: Vec::new(),
        };
        if read.extent == 0 {
            return Err(damaged("its extents have no size"));
        }
        for (name, physical) in group.section("physical_volumes").iter().flat_map(|s| s.sections())
        {
            let physical = Physical {
                id: id(physical)?,
                start: number(physical, "pe_start")?,
                extents: number(physical, "pe_count")?,
                missing: physical.lists("flags", "MISSING"),
            };
            read.physical.insert(name.to_owned(), physical);
        }
        let ids: BTreeSet<_> = read.physical.values().map(|physical| &physical.id).collect();
        if ids.len() < read.physical.len() {
            return Err(damaged("two of its physical volumes are the same"));
        }
        if let Some(volumes) = group.section("logical_volumes") {
            read.volumes(volumes)?;
        }
        Ok(read)
    }

    fn volumes(&mut self, volumes: &Section) -> Result<()> {
        let snapshots = in_snapshots(volumes);
        let mut used = Vec::new();
        for (name, volume) in volumes.sections() {
            let layout = layout(volume, &self.physical);
            if let Ok(segments) = &layout {
                for segment in segments {
                    let each = segment.each();
                    used.extend(segment.stripes.iter().map(|(on, at)| (on.clone(), *at, each)));
                }
            }
            if volume.lists("status", "VISIBLE") {
                let layout = match snapshots.get(name) {
                    Some(why) => Err((*why).to_owned()),
                    None => layout,
                };
                self.logical.push(Logical { name: checked_name(name)?.to_owned(), layout });
            }
        }
        used.sort();
        let shared = used.windows(2).any(|pair| match pair {
            [a, b] => a.0 == b.0 && a.1.saturating_add(a.2) > b.1,
            _ => false,
        });
        if shared {
            return Err(damaged("two of its segments share an extent"));
        }
        Ok(())
    }
}

/// Volumes that belong to a snapshot of the old kind, and why that hinders. The snapshot is a volume
/// of its own that nobody sees, with the names of the two that it joins.
fn in_snapshots(volumes: &Section) -> BTreeMap<&str, &'static str> {
    let mut found = BTreeMap::new();
    for (_, volume) in volumes.sections() {
        for (_, segment) in volume.sections().filter(|(_, s)| s.text("type") == Some("snapshot")) {
            for (key, why) in [
                ("origin", "there is a snapshot of it, which a change would reach into"),
                ("cow_store", "it is a snapshot"),
                ("merging_store", "it is a snapshot that is being merged"),
            ] {
                found.extend(segment.text(key).map(|name| (name, why)));
            }
        }
    }
    found
}

/// The segments of a volume in order, or why it is none of those that can be used.
fn layout(volume: &Section, physical: &BTreeMap<String, Physical>) -> Result<Vec<Segment>, String> {
    if volume.lists("status", "PVMOVE") || volume.lists("status", "LOCKED") {
        return Err("it is being moved (PVMOVE)".to_owned());
    }
    if !volume.lists("status", "WRITE") {
        return Err("it is read-only".to_owned());
    }
    let sections = volume.sections().filter(|(name, _)| name.starts_with("segment"));
    let mut segments = Vec::new();
    for (_, section) in sections {
        segments.push(segment(section, physical)?);
    }
    segments.sort_by_key(|segment| segment.start);
    let mut next = 0;
    for segment in &segments {
        if segment.start != next {
            return Err(format!("its segments do not join at extent {next}"));
        }
        next = next.saturating_add(segment.len);
    }
    let counted = volume.number("segment_count") == Some(segments.len() as u64);
    match counted && next > 0 {
        true => Ok(segments),
        false => Err("segments are missing".to_owned()),
    }
}

fn segment(section: &Section, physical: &BTreeMap<String, Physical>) -> Result<Segment, String> {
    // Newer versions put what an older one must understand behind a plus sign.
    let kind = section.text("type").unwrap_or("unknown").split('+').next().unwrap_or_default();
    if !matches!(kind, "striped" | "linear") {
        let kind: String = kind.chars().filter(|c| is_name(*c)).take(40).collect();
        return Err(format!("it is of type {kind}"));
    }
    let wrong = || "a segment is damaged".to_owned();
    let number = |name| section.number(name).ok_or_else(wrong);
    let count = number("stripe_count")?;
    let mut segment = Segment {
        start: number("start_extent")?,
        len: number("extent_count")?,
        chunk: if count > 1 { number("stripe_size")? } else { 1 },
        stripes: Vec::new(),
    };
    for stripe in section.list("stripes").chunks(2) {
        let [Value::Text(on), Value::Number(at)] = stripe else { return Err(wrong()) };
        let Some(place) = physical.get(on) else {
            return Err("it is made of other logical volumes".to_owned());
        };
        let at = u64::try_from(*at).map_err(|_| wrong())?;
        segment.stripes.push((on.clone(), at));
        let end = at.checked_add(segment.len / count.max(1));
        if end.is_none_or(|end| end > place.extents) {
            return Err("a segment reaches beyond its physical volume".to_owned());
        }
    }
    let sound = (1..=MAX_STRIPES).contains(&count)
        && segment.stripes.len() as u64 == count
        && segment.len > 0
        && segment.len.is_multiple_of(count)
        && segment.chunk > 0;
    if sound { Ok(segment) } else { Err(wrong()) }
}

fn number(section: &Section, name: &str) -> Result<u64> {
    section.number(name).ok_or_else(|| damaged(format!("its metadata have no {name}")))
}

/// The UUID in a section, without the dashes.
fn id(section: &Section) -> Result<String> {
    let id = section.text("id").unwrap_or_default().replace('-', "");
    let sound = id.len() == ID_LEN && id.chars().all(|c| c.is_ascii_alphanumeric());
    sound.then_some(id).ok_or_else(|| damaged("a UUID in its metadata is none"))
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || "+_.-".contains(c)
}

/// A name that LVM2 itself would give (`validate_name`): it becomes part of paths.
fn checked_name(name: &str) -> Result<&str> {
    let sound = (1..NAME_LEN).contains(&name.len())
        && name.chars().all(is_name)
        && !name.starts_with('-')
        && !matches!(name, "." | "..");
    sound.then_some(name).ok_or_else(|| damaged("a name in its metadata is none"))
}
