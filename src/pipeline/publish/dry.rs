//! The straight line without doing anything: it asks what a run would ask, and tells what a run would
//! send.

use super::draft::Draft;
use super::memory::{Answer, Memory};
use super::stages::Run;
use super::{Publication, Signer};
use crate::control::{Control, Silent};
use crate::digest::sha256 as digest;
use crate::disk::Disk;
use crate::error::{Error, Kind, Result};
use crate::metadata::date;
use crate::pipeline::lock::Lock;
use crate::pipeline::place::Place;
use crate::pipeline::record::{ImageFile, RawImage, Record, SCHEMA, Source};
use crate::pipeline::{Job, Opened, space, verify};
use crate::publish::scheme::CONFIG_NAME;
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
pub const UNKNOWN_IDENTIFIER: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// What publishing an image would do.
///
/// # Errors
/// Those that it would end with, as far as they can be known.
pub fn steps(publication: &Publication, control: &Control) -> Result<Steps> {
    let place = Place::new(&publication.image)?;
    place.check_state()?;
    Lock::look(&place)?;
    place.check_writable()?;
    let record = Record::read(&place.record)?;
    verify::file_matches(&place.image, &record, control)?;
    let sha1 = record.raw.digests.get("sha1").map_or(UNKNOWN_SHA1, String::as_str);
    all(publication, &place, &record, sha1, control)
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
    let mut steps = all(publication, &place, &record, UNKNOWN_SHA1, control)?;
    let about =
        format!("convert {} to {}, about {} bytes", job.input.display(), place.name(), need.about);
    steps.lines.insert(0, about);
    Ok(steps)
}

/// Looks whether the image of `job` could be published, before it is made: that takes its time. Says
/// nothing; [`super::publish`] will.
///
/// # Errors
/// Those of [`steps_before`].
pub fn rehearse_before(
    publication: &Publication,
    job: &Job,
    opened: &Opened,
    control: &Control,
) -> Result<()> {
    let silent = Control { stop: control.stop.clone(), progress: Box::new(Silent) };
    let place = Place::new(&publication.image)?;
    let record = provisional(job, opened, place.name(), opened.disk.size());
    let draft = Draft::new(publication, &place, &record, UNKNOWN_SHA1, &silent)?;
    let memory = Memory::look(&place, publication.restart)?;
    draft.rehearse(publication, &place, &memory, &silent)?;
    if !publication.force && something_is_there(publication, &draft.names.image, control)? {
        control.note(format!(
            "something is at {} already: if the image will be another one, it is not stored there; \
             --force would replace it",
            publication.target.location(&draft.names.image)
        ));
    }
    Ok(())
}

/// Whether an object has a name, whatever it is. A folder that cannot be written into is an error.
fn something_is_there(publication: &Publication, name: &str, control: &Control) -> Result<bool> {
    let nothing = Object { name, content: Content::Bytes(&[]), bytes: 0, sha256: UNKNOWN_SHA256 };
    Ok(publication.target.look(&nothing, control)? != Found::Nothing)
}

/// The record that an image would have, but for its digests.
fn provisional(job: &Job, opened: &Opened, name: String, bytes: u64) -> Record {
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

fn all(
    publication: &Publication,
    place: &Place,
    record: &Record,
    sha1: &str,
    control: &Control,
) -> Result<Steps> {
    let memory = Memory::look(place, publication.restart)?;
    let mut run = Run::new(publication, place, control, memory);
    let draft = Draft::new(publication, place, record, sha1, control)?;
    run.rehearse(&draft)?;
    let mut steps = Steps::default();
    steps.fetch(publication, CONFIG_NAME, "how images are named here, if that is said");
    steps.fetch(publication, &draft.names.checksum, "whether it is a checksum");
    steps.fetch(publication, &draft.names.manifest, "whether it is another image's");
    let sha256 = record.file_sha256().unwrap_or(UNKNOWN_SHA256);
    let image = Object {
        name: &draft.names.image,
        content: Content::File(&publication.image),
        bytes: record.file.bytes,
        sha256,
    };
    if run.is_there(&image)? {
        let proved = "its size and its last MiB: an earlier run has proved it";
        let read = publication.target.plan_fetch(image.name).replacen("GET", "HEAD, GET", 1);
        steps.lines.push(format!("{read} ({proved})"));
    } else {
        steps.store(publication, &image, publication.force, control)?;
    }
    let checksum = format!("{sha256}  {}\n", draft.names.file());
    match sha256 {
        UNKNOWN_SHA256 => {
            steps.store_unsigned(publication, &draft.names.checksum, &checksum, control)?;
        }
        _ => steps.store_text(publication, &draft.names.checksum, &checksum, control)?,
    }
    if let Some(signer) = publication.signer {
        let Trial { document, at, signed } = run.trial(&draft, signer)?;
        let name = &draft.names.manifest;
        match signed {
            true => steps.store_text(publication, name, &document, control)?,
            false => steps.store_unsigned(publication, name, &document, control)?,
        }
        if publication.force {
            let read = publication.target.plan_fetch(image.name).replacen("GET", "HEAD, GET", 1);
            steps.lines.push(format!("{read} (its size and its last MiB, before it is announced)"));
        }
        if let Some(registry) = publication.registry {
            let (identifier, email) = (draft.manifest.identifier()?, signer.email()?);
            let known = run.memory.registered(&registry.identity(), &digest(document.as_bytes()));
            let asks = registry.identity().starts_with("http");
            let read = if asks { "GET" } else { "read the entry at" };
            match known {
                Some(Answer { url: Some(url), .. }) => {
                    steps.lines.push(format!("{read} {url} (of {at}) and compare it"));
                }
                Some(Answer { url: None, .. }) => steps.lines.push(format!(
                    "GET the entry of {at}: its mail waits to be confirmed, nothing is sent again"
                )),
                None => steps.lines.extend(registry.plan(&identifier, &email)),
            }
        }
    }
    // What is not made yet has a size that was estimated.
    let about = (sha256 == UNKNOWN_SHA256).then_some(record.file.bytes);
    steps.lines = steps.lines.iter().map(|line| without_unknown(line, about)).collect();
    Ok(steps)
}

/// A document as it would be: its length is right.
struct Trial {
    document: String,
    /// Its date.
    at: String,
    /// Whether it is the one that an earlier run signed, and not one that is dated now for trial.
    signed: bool,
}

impl Run<'_> {
    fn trial(&self, draft: &Draft, signer: &Signer) -> Result<Trial> {
        let Publication { said, clock, .. } = self.publication;
        let now = clock()?;
        let known = self.known(draft, now)?;
        let at = known.unwrap_or(now);
        let document = draft.sign(said, signer, at)?.document;
        Ok(Trial { document, at: date::text(at), signed: known.is_some() })
    }
}

impl Steps {
    fn fetch(&mut self, publication: &Publication, name: &str, why: &str) {
        self.lines.push(format!("{} ({why})", publication.target.plan_fetch(name)));
    }

    fn store(
        &mut self,
        publication: &Publication,
        object: &Object,
        replace: bool,
        control: &Control,
    ) -> Result<()> {
        if object.sha256 == UNKNOWN_SHA256 {
            let mut found = Found::Nothing;
            if something_is_there(publication, object.name, control)? {
                let place = publication.target.location(object.name);
                self.lines.push(match replace {
                    true => format!("replace what is at {place}, unless it is this image"),
                    false => format!("stop at what is at {place}, unless it is this image"),
                });
                found = Found::Perhaps;
            }
            self.plan(publication, object, replace, found);
            return Ok(());
        }
        let found = publication.target.look(object, control)?;
        if found == Found::Other && !replace {
            let message =
                format!("something else is at {}", publication.target.location(object.name));
            return Err(Error::new(Kind::CannotCreate, "object-other", message)
                .remedy("use another version or name, or --force to replace it"));
        }
        self.plan(publication, object, replace, found);
        Ok(())
    }

    fn plan(&mut self, publication: &Publication, object: &Object, replace: bool, found: Found) {
        let how = How { verify: publication.verify, replace };
        self.lines.extend(publication.target.plan(object, how, found));
    }

    /// A text whose digest is not known before the image is made, or it is signed.
    fn store_unsigned(
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

    /// A checksum or a manifest: the rehearsal has found that it may be replaced.
    fn store_text(
        &mut self,
        publication: &Publication,
        name: &str,
        text: &str,
        control: &Control,
    ) -> Result<()> {
        let sha256 = digest(text.as_bytes());
        let content = Content::Bytes(text.as_bytes());
        let object = Object { name, content, bytes: text.len() as u64, sha256: &sha256 };
        self.store(publication, &object, true, control)
    }
}

fn without_unknown(line: &str, about: Option<u64>) -> String {
    let short = UNKNOWN_SHA256.get(..16).unwrap_or_default();
    let mut line = line.to_owned();
    if let Some(bytes) = about {
        line = line.replace(&format!("({bytes} bytes"), &format!("(about {bytes} bytes"));
    }
    line.replace(UNKNOWN_SHA256, "<sha256>")
        .replace(UNKNOWN_SHA1, "<sha1>")
        .replace(UNKNOWN_IDENTIFIER, "<identifier>")
        .replace(&format!(".{short}."), ".<16 digits of its sha256>.")
        .replace(&format!("-probe-{short}"), "-probe-<16 digits of its sha256>")
}
