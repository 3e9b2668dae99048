//! From what is known of an image to what is said of it.

use crate::digest::Algorithm;
use crate::error::{Error, Kind, Result};
use crate::metadata::manifest::listed;
use crate::metadata::{EditFact, FileFacts, Manifest, date};
use crate::pipeline::record::Record;

/// Days that a manifest is valid if nobody says otherwise: half a year, as the original client has
/// it (`356/2`), rounded up to what people mean by that.
pub const VALID_DAYS: u64 = 180;

/// What a user says of an image, beside what is known of it. What is not said is filled in.
#[derive(Clone, Debug, Default)]
pub struct Said {
    /// A line for lists; else the guest's full name.
    pub title: Option<String>,
    /// A longer text.
    pub comment: Option<String>,
    /// Who made the image.
    pub author: Option<String>,
    /// A short name by which the newest image of an endorser is found.
    pub tag: Option<String>,
    /// `base`, `grid`, …
    pub type_: Option<String>,
    /// `machine` or `disk`.
    pub kind: Option<String>,
    /// The distribution's short name.
    pub os: Option<String>,
    /// Its version.
    pub os_version: Option<String>,
    /// `x86_64`, …
    pub os_arch: Option<String>,
    /// The image's own version.
    pub image_version: Option<String>,
    /// `virtio`, `scsi`, `ide`.
    pub disks_bus: Option<String>,
    /// `kvm`, `xen`.
    pub hypervisors: Vec<String>,
    /// Ports that a cloud should let in.
    pub inbound_ports: Vec<u16>,
    /// Days from the signature on.
    pub valid_days: Option<u64>,
}

impl Said {
    /// The manifest of an image, complete but for its dates, its location and its endorsement.
    /// `sha1` is the raw image's: the record need not have it.
    ///
    /// # Errors
    /// `Refused` for damaged images.
    pub fn manifest(&self, record: &Record, sha1: &str) -> Result<Manifest> {
        if !record.damage.is_empty() {
            return Err(Error::new(
                Kind::Refused,
                "image-damaged",
                "the image was made of a damaged disk with --salvage: it is not published",
            ));
        }
        let guest = record.guest.as_ref();
        let of_guest = |pick: fn(&crate::guest::facts::Facts) -> Option<String>| {
            guest.and_then(pick).unwrap_or_default()
        };
        let say = |said: &Option<String>, known: String| Some(said.clone().unwrap_or(known));
        let packed = if record.file.compression == "gz" { "gz" } else { "" };
        let bus = guest.map(|facts| facts.disks_bus.clone()).filter(|bus| !bus.is_empty());
        Ok(Manifest {
            bytes: record.raw.bytes,
            checksums: checksums(record, sha1),
            type_: self.type_.clone().unwrap_or_else(|| "base".to_owned()),
            kind: say(&self.kind, kind(record).to_owned()),
            creator: say(&self.author, String::new()),
            title: say(&self.title, of_guest(|facts| facts.os_name.clone())),
            description: say(&self.comment, String::new()),
            alternative: self.tag.clone(),
            format: Some("raw".to_owned()),
            compression: Some(packed.to_owned()),
            os: say(&self.os, of_guest(|facts| facts.os.clone())),
            os_version: say(&self.os_version, of_guest(|facts| facts.os_version.clone())),
            os_arch: say(&self.os_arch, of_guest(|facts| facts.os_arch.clone())),
            version: say(&self.image_version, "1.0".to_owned()),
            hypervisors: match self.hypervisors.is_empty() {
                true => vec!["kvm".to_owned()],
                false => self.hypervisors.clone(),
            },
            disks_bus: self.disks_bus.clone().or(bus).into_iter().collect(),
            inbound_ports: self.inbound_ports.clone(),
            file: Some(FileFacts {
                name: record.file.path.clone(),
                bytes: record.file.bytes,
                md5: record.file.digests.get("md5").cloned(),
                sha256: record.file.digests.get("sha256").cloned(),
            }),
            edits: listed(record.edits.iter().map(edit).collect()),
            ..Manifest::default()
        })
    }

    /// Dates the manifest: signed at `now`, valid for as long as was said.
    ///
    /// # Errors
    /// `Usage` if that is beyond the calendar.
    pub fn date(&self, manifest: &mut Manifest, now: u64) -> Result<()> {
        let days = self.valid_days.unwrap_or(VALID_DAYS);
        let end = days.checked_mul(86_400).and_then(|seconds| now.checked_add(seconds));
        // The year has four digits.
        let end = end.filter(|end| *end < 253_402_300_800).ok_or_else(|| {
            Error::new(Kind::Usage, "valid-days", format!("{days} days are beyond the year 9999"))
        })?;
        manifest.created = Some(date::text(now));
        manifest.valid = Some(date::text(end));
        Ok(())
    }
}

/// A disk without a system on it is a data disk. A guest that was left alone on purpose is not
/// known; it is a machine unless the user says otherwise.
fn kind(record: &Record) -> &'static str {
    let data = record.warnings.iter().any(|warning| warning.code == "data-disk");
    if data { "disk" } else { "machine" }
}

fn checksums(record: &Record, sha1: &str) -> std::collections::BTreeMap<Algorithm, String> {
    let known = record.raw.digests.iter();
    let named = known.filter_map(|(name, hex)| Some((name.parse().ok()?, hex.clone())));
    named.chain([(Algorithm::Sha1, sha1.to_owned())]).collect()
}

fn edit(change: &crate::guest::edits::Change) -> EditFact {
    EditFact { name: change.name.clone(), path: change.path.clone(), action: change.action.clone() }
}
