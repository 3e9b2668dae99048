//! What is said of an image: everything in the RDF document but the signature.

use std::collections::BTreeMap;

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::identifier;
use super::vocabulary::plain;
use crate::digest::{Algorithm, hex};
use crate::error::{Error, Kind, Result};

/// The most edits that a manifest lists one by one; see [`listed`].
pub const MOST_EDITS: usize = 1000;
/// The most values of an element that may be there several times: locations, ports, and so on.
pub const MOST_VALUES: usize = 256;
/// The longest value, in bytes of UTF-8.
pub const LONGEST_VALUE: usize = 64 << 10;

/// The facts of an image. What is not known is `None`, or an empty list; an empty string says no
/// more than `None`, and is read back as `None`.
///
/// Sizes and digests in here are of the **uncompressed** disk, except in [`Manifest::file`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Manifest {
    /// Size of the uncompressed disk.
    pub bytes: u64,
    /// Digests of the uncompressed disk, in lower-case hexadecimal digits. SHA-1 has to be there:
    /// the [`identifier`](Manifest::identifier) is made of it.
    pub checksums: BTreeMap<Algorithm, String>,
    /// Who vouches for it; none before it is signed.
    pub endorsement: Option<Endorsement>,
    /// The group that it belongs to: `base`, `grid`. The reference demands the element, with
    /// whatever text.
    #[serde(rename = "type")]
    pub type_: String,
    /// `machine` or `disk`.
    pub kind: Option<String>,
    /// When the image was made, as [`date`](super::date) has it.
    pub created: Option<String>,
    /// Until when it is offered. Without it the reference server keeps an entry and never lists it.
    pub valid: Option<String>,
    /// Who made the image.
    pub creator: Option<String>,
    /// Whose project it comes from.
    pub publisher: Option<String>,
    /// Its name for people.
    pub title: Option<String>,
    /// What it is, in a few sentences.
    pub description: Option<String>,
    /// The tag: `/tag/EMAIL/TAG` finds the newest entry that has it.
    pub alternative: Option<String>,
    /// `raw` or `qcow2`.
    pub format: Option<String>,
    /// `gz`, `bz2`, or nothing.
    pub compression: Option<String>,
    /// The guest's system, in lower case: `debian`.
    pub os: Option<String>,
    /// Its version: `12`.
    pub os_version: Option<String>,
    /// Its architecture: `x86_64`.
    pub os_arch: Option<String>,
    /// The version of the image.
    pub version: Option<String>,
    /// A number that counts versions.
    pub serial_number: Option<String>,
    /// Why it should no longer be used.
    pub deprecated: Option<String>,
    /// Where the image file is: absolute URIs. Those that begin with `http` are written first,
    /// because the original takes only the first.
    pub locations: Vec<String>,
    /// `kvm`, `xen`.
    pub hypervisors: Vec<String>,
    /// `ide`, `scsi`, `virtio`; see [`written_bus`].
    pub disks_bus: Vec<String>,
    /// Ports that have to be reachable; 0 is all.
    pub inbound_ports: Vec<u16>,
    /// Ports that the guest has to reach; 0 is all.
    pub outbound_ports: Vec<u16>,
    /// ICMP types that the guest has to receive.
    pub icmp: Vec<u8>,
    /// Identifier of the image that this one replaces.
    pub replaces: Option<String>,
    /// Identifier of the image that replaces this one.
    pub is_replaced_by: Option<String>,
    /// Identifier of the image that this one is a version of.
    pub is_version_of: Option<String>,
    /// The image file as it is stored: compressed.
    pub file: Option<FileFacts>,
    /// What was changed in the guest; [`listed`] keeps it within [`MOST_EDITS`].
    pub edits: Vec<EditFact>,
}

/// Who vouches for an entry, and since when. Filled in by whoever signs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Endorsement {
    /// When it was signed, as [`date`](super::date) has it.
    pub created: String,
    /// The endorser's e-mail address.
    pub email: String,
    /// The subject of the certificate, as Java prints it.
    pub subject: String,
    /// The issuer of the certificate, likewise.
    pub issuer: String,
}

/// The image file as it is stored, in our own namespace: so the signature binds the compressed
/// bytes, too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FileFacts {
    /// Its name, without folders.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// MD5 of it, in lower-case hexadecimal digits.
    pub md5: Option<String>,
    /// SHA-256 of it, in lower-case hexadecimal digits.
    pub sha256: Option<String>,
}

/// One change in the guest, in our own namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EditFact {
    /// The edit's name: `hostkeys`.
    pub name: String,
    /// What it changed: `/etc/ssh/ssh_host_rsa_key`.
    pub path: String,
    /// What it did there: `removed`.
    pub action: String,
}

impl Manifest {
    /// The identifier: 27 characters that stand for the SHA-1 of the uncompressed disk.
    ///
    /// # Errors
    /// `Damaged` if there is no SHA-1, or if it is none.
    pub fn identifier(&self) -> Result<String> {
        let sha1 = self.checksums.get(&Algorithm::Sha1).ok_or_else(|| {
            Error::new(Kind::Damaged, "manifest-sha1", "the manifest has no SHA-1 checksum")
                .remedy("convert the disk with --checksum sha1 among others: it is the identifier")
        })?;
        identifier::from_sha1(sha1)
    }

    /// What whoever publishes this should know: what is written in other words than it was given,
    /// and what servers will make of it. A sentence each.
    pub fn remarks(&self) -> Vec<String> {
        let mut remarks = Vec::new();
        for bus in &self.disks_bus {
            let written = written_bus(bus);
            if written != bus {
                remarks.push(format!(
                    "the disk bus {bus} is written as {written}, which StratusLab knows"
                ));
            }
        }
        if self.valid.as_deref().is_none_or(str::is_empty) {
            remarks.push("without an end of validity no StratusLab server lists the entry".into());
        }
        let first = self.locations.iter().min_by_key(|location| !is_http(location));
        match first {
            None => remarks.push("there is no location: nobody can fetch the image".into()),
            Some(first) if is_http(first) && self.compression.as_deref() == Some("gz") => {
                // What is after a question mark may be a secret.
                let (path, more) = first.split_at(first.find(['?', '#']).unwrap_or(first.len()));
                if !more.is_empty() || !path.ends_with(".gz") {
                    remarks.push(format!(
                        "the location {path:.200}{} does not end in .gz: StratusLab's storage would \
                         not unpack it",
                        if more.is_empty() { "" } else { "…" }
                    ));
                }
            }
            Some(_) => {}
        }
        remarks
    }
}

/// The disk bus in a word that StratusLab's client has: `sata` becomes `scsi`, whose disks have the
/// same names in a guest (`sda`); others stay as they are.
pub fn written_bus(bus: &str) -> &str {
    match bus {
        "sata" | "sas" => "scsi",
        other => other,
    }
}

/// Whether a location is fetched by HTTP.
pub(super) fn is_http(location: &str) -> bool {
    let scheme = location.split(':').next().unwrap_or("");
    ["http", "https"].iter().any(|http| scheme.eq_ignore_ascii_case(http))
}

/// The edits as a manifest lists them: one by one up to [`MOST_EDITS`]; if there are more, one for
/// each name, with an empty path, whose action has their count and the SHA-256 of their paths and
/// actions (each with a NUL behind it, in the order of `edits`). So the signature binds the full
/// list in the record, and the document stays within what readers take. A character of a path that
/// XML cannot carry is spelled out.
pub fn listed(edits: Vec<EditFact>) -> Vec<EditFact> {
    if edits.len() <= MOST_EDITS {
        let spelled = |edit: EditFact| EditFact { path: plain(&edit.path), ..edit };
        return edits.into_iter().map(spelled).collect();
    }
    let mut groups: BTreeMap<String, (usize, Sha256)> = BTreeMap::new();
    for EditFact { name, path, action } in edits {
        let (count, digest) = groups.entry(name).or_default();
        *count += 1;
        digest.update(format!("{path}\0{action}\0"));
    }
    let summary = |(name, (count, digest)): (String, (usize, Sha256))| {
        let action = format!("{count} changes, sha256 {}", hex(&digest.finalize()));
        EditFact { name, path: String::new(), action }
    };
    groups.into_iter().map(summary).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit(number: usize) -> EditFact {
        let name = if number.is_multiple_of(2) { "hostkeys" } else { "sysprep" };
        let path = format!("/etc/{number}");
        EditFact { name: name.into(), path, action: "removed".into() }
    }

    #[test]
    fn few_edits_are_listed_and_many_are_summed_up() {
        let few: Vec<_> = (0..MOST_EDITS).map(edit).collect();
        assert_eq!(listed(few.clone()), few);
        let many: Vec<_> = (0..=MOST_EDITS).map(edit).collect();
        let summed = listed(many.clone());
        let names: Vec<_> = summed.iter().map(|edit| edit.name.as_str()).collect();
        assert_eq!(names, ["hostkeys", "sysprep"]);
        assert!(summed[0].action.starts_with("501 changes, sha256 "), "{summed:?}");
        assert!(summed[1].action.starts_with("500 changes, sha256 "), "{summed:?}");
        // Another list has another sum.
        let mut other = many;
        other[7].action = "emptied".into();
        assert_eq!(listed(other.clone())[0], summed[0]);
        assert_ne!(listed(other)[1], summed[1]);
    }

    /// `printf '/a\0removed\0' | sha256sum`, 1001 times over.
    #[test]
    fn the_sum_can_be_computed_by_others() {
        let one = EditFact { name: "x".into(), path: "/a".into(), action: "removed".into() };
        let summed = listed(vec![one; 1001]);
        let text = "/a\0removed\0".repeat(1001);
        let expected = format!("1001 changes, sha256 {}", hex(&Sha256::digest(text)));
        assert_eq!(summed[0].action, expected);
    }

    #[test]
    fn odd_paths_are_spelled_out() {
        let odd =
            EditFact { name: "x".into(), path: "/a\u{1}\n\u{202e}b".into(), action: "y".into() };
        assert_eq!(listed(vec![odd])[0].path, "/a\\u{1}\\n\\u{202e}b");
    }

    #[test]
    fn remarks() {
        let text = |manifest: &Manifest| manifest.remarks().join("\n");
        let none = text(&Manifest::default());
        assert!(none.contains("validity") && none.contains("no location"), "{none}");
        let mut manifest = Manifest {
            valid: Some("2027-01-01T00:00:00Z".into()),
            compression: Some("gz".into()),
            locations: vec!["pdisk:h:1:u".into(), "https://h/x.gz".into()],
            disks_bus: vec!["virtio".into(), "ide".into()],
            ..Manifest::default()
        };
        assert_eq!(text(&manifest), "");
        manifest.disks_bus.push("sata".into());
        assert_eq!(text(&manifest), "the disk bus sata is written as scsi, which StratusLab knows");
        manifest.disks_bus.clear();
        manifest.locations[1].push_str("?token=sesame.gz");
        assert!(text(&manifest).contains("https://h/x.gz… does not end in .gz"));
        assert!(!text(&manifest).contains("sesame"));
    }
}
