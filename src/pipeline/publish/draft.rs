//! The manifest before it is signed, and its rehearsal.

use std::time::{Duration, Instant};

use super::dry::UNKNOWN_IDENTIFIER;
use super::local::{self, MAX_MANIFEST};
use super::memory::Memory;
use super::names::{Names, manifest_beside};
use super::{Publication, Reach, Said, Signer};
use crate::control::Control;
use crate::digest::sha256;
use crate::error::{Error, Kind, Result};
use crate::metadata::signature::{self, Verified};
use crate::metadata::{Manifest, date, validate};
use crate::pipeline::place::Place;
use crate::pipeline::record::Record;
use crate::publish::locations;
pub use crate::publish::locations::without_secret;
use crate::publish::registry::{Endorsed, Entry, MOST_LOOKED_AT, Newest, Registry};
use crate::publish::whose::Whose;

/// Seconds that a signature waits to be later than the newest entry: dates have no fractions, and
/// two entries of one second would be one.
const PATIENCE: u64 = 5;

/// The time, as soon as it is later than `newest`, which is at most [`PATIENCE`] seconds away.
///
/// # Errors
/// `Interrupted`; those of the clock.
pub fn later_than(
    newest: Option<u64>,
    clock: fn() -> Result<u64>,
    control: &Control,
) -> Result<u64> {
    let began = Instant::now();
    loop {
        let now = clock()?;
        let waited = began.elapsed().as_secs() > PATIENCE;
        if waited || newest.is_none_or(|newest| newest < now) {
            return Ok(now);
        }
        control.go_on("stopped before signing")?;
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// What is going to be said, and where things go.
pub struct Draft {
    /// Without dates and endorsement.
    pub manifest: Manifest,
    /// What things are called in the repository.
    pub names: Names,
    /// Where others find the image.
    pub location: String,
    /// SHA-256 over all that shapes the signed manifest but the time; empty if nobody signs.
    pub content: String,
}

impl Draft {
    /// The draft for the image at `place` with this record; `sha1` is the raw image's.
    ///
    /// # Errors
    /// Those of asking the repository for its scheme of names, and of what is said.
    pub fn new(
        publication: &Publication,
        place: &Place,
        record: &Record,
        sha1: &str,
        control: &Control,
    ) -> Result<Self> {
        let Publication { said, target, naming, .. } = publication;
        let mut manifest = said.manifest(record, sha1)?;
        let names = Names::new(*target, *naming, &manifest, &place.name(), control)?;
        let stored_at = target.location(&names.image);
        let location = publication.location.clone().unwrap_or(stored_at);
        without_secret(&location)?;
        manifest.locations = vec![location.clone()];
        if let Some(file) = &mut manifest.file {
            file.name = names.file().to_owned();
        }
        let content = match publication.signer {
            Some(signer) => content(&manifest, signer, said.valid_days)?,
            None => String::new(),
        };
        Ok(Draft { manifest, names, location, content })
    }

    /// The manifest, dated `at` and signed then, in seconds since 1970.
    ///
    /// # Errors
    /// Those of dating, and of [`sign_and_validate`].
    pub fn sign(&self, said: &Said, signer: &Signer, at: u64) -> Result<Dated> {
        let mut manifest = self.manifest.clone();
        said.date(&mut manifest, at)?;
        let (document, verified) = sign_and_validate(&manifest.to_xml()?, signer, at)?;
        Ok(Dated { manifest, document, verified })
    }

    /// Signs and validates for trial, and looks at whatever could be in the way of the manifest: here,
    /// beside the image, and in the registry. What earlier runs have written may be replaced.
    /// Returns when the registry's newest other entry of the image was signed.
    ///
    /// # Errors
    /// What would be wrong after the upload.
    pub fn rehearse(
        &self,
        publication: &Publication,
        place: &Place,
        memory: &Memory,
        control: &Control,
    ) -> Result<Option<u64>> {
        self.checksum(publication, control)?;
        let Some(signer) = publication.signer else {
            return self.orphan(publication, control).map(|()| None);
        };
        let now = (publication.clock)()?;
        let Dated { manifest, verified, .. } = self.sign(&publication.said, signer, now)?;
        manifest.remarks().into_iter().for_each(|remark| control.warn(remark));
        tell(&verified, control);
        let identifier = manifest.identifier()?;
        let of = (identifier != UNKNOWN_IDENTIFIER).then_some((&*identifier, &*verified.email));
        local::check(&manifest_beside(&place.image), of, publication.force, memory)?;
        self.beside(publication, of, memory, control)?;
        let Some(registry) = publication.registry else { return Ok(None) };
        if let Reach::Of(marketplace) = &publication.reach {
            let warnings = locations::check(&self.location, Some(marketplace))?;
            warnings.into_iter().for_each(|warning| control.warn(warning.message));
        }
        self.newest(publication, (registry, signer), memory, control)
    }

    /// When the registry's newest entry of the image was signed, if it is not the one that an earlier
    /// run made of this very manifest.
    ///
    /// # Errors
    /// `Refused` if the image was taken back, or the clock is behind; those of asking.
    pub fn newest(
        &self,
        publication: &Publication,
        (registry, signer): (&dyn Registry, &Signer),
        memory: &Memory,
        control: &Control,
    ) -> Result<Option<u64>> {
        let (identifier, email) = (self.manifest.identifier()?, signer.email()?);
        let entries = registry.entries(&identifier, &email, control)?;
        let known = memory.signed(&self.content).filter(|signed| signed.valid != signed.created);
        let known = known.map(|signed| signed.created);
        if entries.first().is_none_or(|newest| known.as_ref() == Some(&newest.created)) {
            return Ok(None);
        }
        let now = (publication.clock)()?;
        let endorser = Endorsed { email: &email, certificate: signer.endorser.certificate() };
        let ask = |newest: &Newest| -> Result<(Entry, Whose)> {
            let entry = Entry::new(&identifier, &email, &newest.created)?;
            let whose = Whose::ask(registry, &entry, &endorser, now, control)?;
            Ok((entry, whose))
        };
        follow(registry, &entries, ask, publication.reinstate, now, control)
    }

    /// What has the checksum's name has to be one, of whatever had the image's name before.
    fn checksum(&self, publication: &Publication, control: &Control) -> Result<()> {
        let name = &self.names.checksum;
        if publication.force {
            return Ok(());
        }
        let there = publication.target.fetch(name, MAX_MANIFEST, control)?;
        let Some(bytes) = there else { return Ok(()) };
        let text = String::from_utf8(bytes).unwrap_or_default();
        let line = text.strip_suffix('\n').and_then(|line| line.split_once("  "));
        let fits = |(digits, file): (&str, &str)| {
            let hexadecimal = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
            digits.len() == 64 && hexadecimal && file == self.names.file()
        };
        if line.is_some_and(fits) {
            return Ok(());
        }
        let place = publication.target.location(name);
        let message = format!("{place} is there, and is no checksum of this image");
        Err(Error::new(Kind::CannotCreate, "object-other", message)
            .remedy("use another version or name, or --force to replace it"))
    }

    /// A manifest of something else, in the place where this one goes.
    fn beside(
        &self,
        publication: &Publication,
        of: Option<(&str, &str)>,
        memory: &Memory,
        control: &Control,
    ) -> Result<()> {
        let (Some((identifier, email)), false) = (of, publication.force) else { return Ok(()) };
        let name = &self.names.manifest;
        match publication.target.fetch(name, MAX_MANIFEST, control)? {
            Some(bytes) if !(local::is_of(&bytes, identifier, email) || memory.wrote(&bytes)) => {
                let message = format!(
                    "{} is there, and is not a manifest of this image by this endorser",
                    publication.target.location(name)
                );
                Err(Error::new(Kind::CannotCreate, "object-other", message)
                    .remedy("use another version or name, or --force to replace it"))
            }
            _ => Ok(()),
        }
    }

    /// Without a signer nobody says what the image is. What says it of another image would lie.
    fn orphan(&self, publication: &Publication, control: &Control) -> Result<()> {
        let name = &self.names.manifest;
        let there = publication.target.fetch(name, MAX_MANIFEST, control)?;
        let Some(other) = there.and_then(|bytes| Manifest::from_xml(&bytes).ok()) else {
            return Ok(());
        };
        if other.identifier().ok() != self.manifest.identifier().ok() {
            control.warn(format!(
                "{} is the manifest of another image: publish with a key to replace it",
                publication.target.location(name)
            ));
        }
        Ok(())
    }
}

/// A manifest with its dates, and what it became.
pub struct Dated {
    /// With dates, without endorsement.
    pub manifest: Manifest,
    /// The signed document.
    pub document: String,
    /// What verifying it told.
    pub verified: Verified,
}

fn content(manifest: &Manifest, signer: &Signer, valid_days: Option<u64>) -> Result<String> {
    let Signer { endorser, email, profile, sha256_digest } = signer;
    let days = valid_days.unwrap_or(super::VALID_DAYS);
    let text = format!(
        "{}\n{profile} {sha256_digest} {days} {email:?} {}",
        manifest.to_xml()?,
        sha256(endorser.certificate().der())
    );
    Ok(sha256(text.as_bytes()))
}

/// Whether the image may be offered behind these entries, and be found then; when the newest of them
/// was made. `ask` finds out whose one is.
fn follow(
    registry: &dyn Registry,
    entries: &[Newest],
    ask: impl Fn(&Newest) -> Result<(Entry, Whose)>,
    reinstate: bool,
    now: u64,
    control: &Control,
) -> Result<Option<u64>> {
    let Some((newest, older)) = entries.split_first() else { return Ok(None) };
    let (newest, whose) = ask(newest)?;
    if !reinstate {
        whose.must_offer(registry, &newest, control)?;
        // What others have signed hides nothing of one's own.
        let hidden = matches!(whose, Whose::Others { .. });
        for older in older.iter().take(MOST_LOOKED_AT).filter(|_| hidden) {
            if let (entry, whose @ Whose::Own(_)) = ask(older)? {
                whose.must_offer(registry, &entry, control)?;
                break;
            }
        }
    }
    can_be_followed(&newest, &whose, registry, now).map(Some)
}

/// When the newest entry was made, if an entry of `now`, or of a few seconds later, is not taken for
/// older.
///
/// # Errors
/// `Refused`.
pub fn can_be_followed(
    entry: &Entry,
    whose: &Whose,
    registry: &dyn Registry,
    now: u64,
) -> Result<u64> {
    let newest = date::epoch(entry.created())?;
    if newest <= now.saturating_add(PATIENCE) {
        return Ok(newest);
    }
    Err(whose.clock_is_behind(registry, entry, now))
}

/// Tells what is not good about the endorser: an expired certificate, say. SHA-1 is not told here: whoever
/// chose the profile has chosen it, and the report names it.
pub fn tell(verified: &Verified, control: &Control) {
    let known = ["signature-sha1", "digest-sha1"];
    let told = verified.warnings.iter().filter(|warning| !known.contains(&warning.code));
    told.for_each(|warning| control.warn(format!("the endorser: {}", warning.message)));
}

/// Signs a manifest as of `at`, seconds since 1970, and lets the validator look at the result.
/// Returns the document, and what verifying it told.
///
/// # Errors
/// Those of signing; `Refused` with every finding of the validator.
pub fn sign_and_validate(unsigned: &str, signer: &Signer, at: u64) -> Result<(String, Verified)> {
    let document = super::sign(unsigned, signer, at)?;
    let verified = signature::verify(document.as_bytes(), at)?;
    let report = validate::validate(document.as_bytes(), at);
    if !report.valid() {
        let failed = report.stages.iter().filter(|stage| !stage.verdict.passed());
        let findings: Vec<String> =
            failed.flat_map(|stage| stage.verdict.findings()).cloned().collect();
        let message = format!("the manifest would not be valid: {}", findings.join("; "));
        return Err(Error::new(Kind::Refused, "manifest-invalid", message)
            .remedy("correct what is said of the image: see stratus-publish --help"));
    }
    Ok((document, verified))
}
