//! The straight line without doing anything: it asks what a run would ask, and tells what a run would
//! send.

use super::draft::{Draft, sign_and_validate};
use super::{Publication, Signer};
use crate::control::Control;
use crate::digest::sha256;
use crate::error::Result;
use crate::metadata::Manifest;
use crate::pipeline::lock::Lock;
use crate::pipeline::place::Place;
use crate::pipeline::record::{ImageFile, RawImage, Record, SCHEMA, Source};
use crate::pipeline::{Job, Opened, space, verify};
use crate::publish::{Content, Found, How, Object};

/// What a run would do, a line each.
#[derive(Clone, Debug, Default)]
pub struct Steps {
    /// The lines.
    pub lines: Vec<String>,
}

/// Digests that are not known before an image is made, and what is shown in their place.
const UNKNOWN_SHA1: &str = "0000000000000000000000000000000000000000";
const UNKNOWN_SHA256: &str = "0000000000000000000000000000000000000000000000000000000000000000";
/// The identifier of [`UNKNOWN_SHA1`].
const UNKNOWN_IDENTIFIER: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// What publishing an image would do.
///
/// # Errors
/// Those that it would end with, as far as they can be known.
pub fn steps(publication: &Publication, control: &Control) -> Result<Steps> {
    let place = Place::new(&publication.image)?;
    place.check_state()?;
    Lock::look(&place)?;
    let record = Record::read(&place.record)?;
    verify::file_matches(&place.image, &record, control)?;
    let sha1 = record.raw.digests.get("sha1").map_or(UNKNOWN_SHA1, String::as_str);
    all(publication, &record, sha1, control)
}

/// What converting the disk of `job` and publishing the image would do. Digests are not known yet:
/// what is named after them is shown as `<identifier>` and the like.
///
/// # Errors
/// Those that it would end with, as far as they can be known.
pub fn steps_before(
    publication: &Publication,
    job: &Job,
    opened: &Opened,
    control: &Control,
) -> Result<Steps> {
    let place = Place::new(&publication.image)?;
    let need = space::need(job, &opened.disk, 0)?;
    let record = provisional(job, opened, place.name(), need.about);
    let mut steps = all(publication, &record, UNKNOWN_SHA1, control)?;
    let about =
        format!("convert {} to {}, about {} bytes", job.input.display(), place.name(), need.about);
    steps.lines.insert(0, about);
    Ok(steps)
}

/// The record that an image would have, but for its digests.
fn provisional(job: &Job, opened: &Opened, name: String, bytes: u64) -> Record {
    use crate::disk::Disk;
    let Opened { disk, guest } = opened;
    let digest = |name: &str, hex: &str| [(name.to_owned(), hex.to_owned())].into();
    Record {
        schema: SCHEMA,
        source: Source {
            path: job.input.to_string_lossy().into_owned(),
            format: disk.format.to_string(),
            layers: Vec::new(),
        },
        machine: None,
        raw: RawImage { bytes: disk.size(), digests: digest("sha1", UNKNOWN_SHA1) },
        file: ImageFile {
            path: name,
            compression: job.compression.name().to_owned(),
            bytes,
            digests: digest("sha256", UNKNOWN_SHA256),
        },
        guest: guest.facts.clone(),
        edits: guest.changes.clone(),
        warnings: disk.warnings.iter().chain(&guest.warnings).cloned().collect(),
        damage: disk.damage(),
        crc32: String::new(),
        fingerprint: String::new(),
    }
}

fn all(publication: &Publication, record: &Record, sha1: &str, control: &Control) -> Result<Steps> {
    let draft = Draft::new(publication, record, sha1, control)?;
    draft.rehearse(publication, None, control)?;
    let mut steps = Steps::default();
    let sha256 = record.file_sha256().unwrap_or(UNKNOWN_SHA256);
    let image = Object {
        name: &draft.names.image,
        content: Content::File(&publication.image),
        bytes: record.file.bytes,
        sha256,
    };
    steps.store(publication, &image, publication.force, control)?;
    let name = draft.names.image.rsplit('/').next().unwrap_or_default();
    let checksum = format!("{sha256}  {name}\n");
    steps.store_text(publication, &draft.names.checksum, &checksum, control)?;
    if let Some(signer) = publication.signer {
        let document = trial(publication, &draft.manifest, signer)?;
        steps.store_manifest(publication, &draft.names.manifest, &document, control)?;
        if let Some(registry) = publication.registry {
            let identifier = draft.manifest.identifier()?;
            steps.lines.extend(registry.plan(&identifier, &signer.email()?));
        }
    }
    steps.lines = steps.lines.iter().map(|line| without_unknown(line)).collect();
    Ok(steps)
}

/// The document as it would be if it were signed now: its length is right, its dates are not.
fn trial(publication: &Publication, manifest: &Manifest, signer: &Signer) -> Result<String> {
    let mut manifest = manifest.clone();
    let now = (publication.clock)()?;
    publication.said.date(&mut manifest, now)?;
    Ok(sign_and_validate(&manifest.to_xml()?, signer, now)?.0)
}

impl Steps {
    fn store(
        &mut self,
        publication: &Publication,
        object: &Object,
        replace: bool,
        control: &Control,
    ) -> Result<()> {
        let found = match object.sha256 {
            // It cannot be there: it is not made yet.
            UNKNOWN_SHA256 => Found::Nothing,
            _ => publication.target.look(object, control)?,
        };
        self.plan(publication, object, replace, found);
        Ok(())
    }

    fn plan(&mut self, publication: &Publication, object: &Object, replace: bool, found: Found) {
        let how = How { verify: publication.verify, replace };
        self.lines.extend(publication.target.plan(object, how, found));
    }

    /// What it will be is not known before it is signed.
    fn store_manifest(
        &mut self,
        publication: &Publication,
        name: &str,
        trial: &str,
        control: &Control,
    ) -> Result<()> {
        let content = Content::Bytes(trial.as_bytes());
        let object = Object { name, content, bytes: trial.len() as u64, sha256: UNKNOWN_SHA256 };
        let found = publication.target.look(&object, control)?;
        self.plan(publication, &object, true, found);
        Ok(())
    }

    fn store_text(
        &mut self,
        publication: &Publication,
        name: &str,
        text: &str,
        control: &Control,
    ) -> Result<()> {
        let sha256 = sha256(text.as_bytes());
        let content = Content::Bytes(text.as_bytes());
        let object = Object { name, content, bytes: text.len() as u64, sha256: &sha256 };
        self.store(publication, &object, true, control)
    }
}

fn without_unknown(line: &str) -> String {
    let short = UNKNOWN_SHA256.get(..16).unwrap_or_default();
    line.replace(UNKNOWN_SHA256, "<sha256>")
        .replace(UNKNOWN_SHA1, "<sha1>")
        .replace(UNKNOWN_IDENTIFIER, "<identifier>")
        .replace(&format!(".{short}.part"), ".<16 digits of its sha256>.part")
        .replace(&format!("-probe-{short}"), "-probe-<16 digits of its sha256>")
}
