//! The manifest before it is signed, and its rehearsal.

use std::time::{Duration, Instant};

use super::names::Names;
use super::{Publication, Reach, Signer};
use crate::control::Control;
use crate::digest::sha256;
use crate::error::{Error, Kind, Result};
use crate::metadata::signature::{self, Verified};
use crate::metadata::{Manifest, date, validate};
use crate::pipeline::record::Record;
use crate::publish::locations;

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
}

impl Draft {
    /// The draft for an image with this record; `sha1` is the raw image's.
    ///
    /// # Errors
    /// Those of asking the repository for its scheme of names, and of what is said.
    pub fn new(
        publication: &Publication,
        record: &Record,
        sha1: &str,
        control: &Control,
    ) -> Result<Self> {
        let Publication { said, target, naming, .. } = publication;
        let mut manifest = said.manifest(record, sha1)?;
        let file = &record.file.path;
        let names = Names::new(*target, *naming, &manifest, file, control)?;
        let stored_at = target.location(&names.image);
        let location = publication.location.clone().unwrap_or(stored_at);
        manifest.locations = vec![location.clone()];
        Ok(Draft { manifest, names, location })
    }

    /// Signs and validates for trial, and looks whether the registry would take it. `known` is when
    /// an earlier run signed this very manifest. Returns when the registry's newest other entry of
    /// the image was signed.
    ///
    /// # Errors
    /// What would be wrong after the upload.
    pub fn rehearse(
        &self,
        publication: &Publication,
        known: Option<&str>,
        control: &Control,
    ) -> Result<Option<u64>> {
        let Publication { signer: Some(signer), said, clock, reach, .. } = publication else {
            return Ok(None);
        };
        let now = clock()?;
        let mut manifest = self.manifest.clone();
        said.date(&mut manifest, now)?;
        manifest.remarks().into_iter().for_each(|remark| control.warn(remark));
        let (_, verified) = sign_and_validate(&manifest.to_xml()?, signer, now)?;
        tell(&verified, control);
        let Some(registry) = publication.registry else { return Ok(None) };
        if let Reach::Of(marketplace) = reach {
            let warnings = locations::check(&self.location, Some(marketplace))?;
            warnings.into_iter().for_each(|warning| control.warn(warning.message));
        }
        let newest = registry.newest(&manifest.identifier()?, &verified.email, control)?;
        let Some(newest) = newest.filter(|newest| known != Some(&newest.created)) else {
            return Ok(None);
        };
        let newest_at = date::epoch(&newest.created)?;
        if newest_at > now.saturating_add(PATIENCE) {
            let message = format!(
                "{} has an entry of {} already, and this machine's clock says {}: a new one would be \
                 taken for older",
                registry.identity(),
                newest.created,
                date::text(now)
            );
            return Err(Error::new(Kind::Refused, "clock-behind", message)
                .remedy("set the clock of this machine, or wait until it has passed that time"));
        }
        Ok(Some(newest_at))
    }

    /// SHA-256 over all that shapes the signed manifest, but for the time.
    pub fn content(&self, signer: &Signer, valid_days: Option<u64>) -> Result<String> {
        let Signer { endorser, email, profile, sha256_digest } = signer;
        let days = valid_days.unwrap_or(super::VALID_DAYS);
        let text = format!(
            "{}\n{profile} {sha256_digest} {days} {email:?} {}",
            self.manifest.to_xml()?,
            sha256(endorser.certificate().der())
        );
        Ok(sha256(text.as_bytes()))
    }
}

/// What is not good about the endorser: an expired certificate, say. SHA-1 is not told here: whoever
/// chose the profile has chosen it, and the report names it.
fn tell(verified: &Verified, control: &Control) {
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
