//! The manifest before it is signed, and its rehearsal.

use super::names::Names;
use super::{Publication, Reach, Signer};
use crate::control::Control;
use crate::digest::sha256;
use crate::error::{Error, Kind, Result};
use crate::metadata::{Manifest, date, signature, validate};
use crate::pipeline::record::Record;
use crate::publish::locations;

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
    /// an earlier run signed this very manifest.
    ///
    /// # Errors
    /// What would be wrong after the upload.
    pub fn rehearse(
        &self,
        publication: &Publication,
        known: Option<&str>,
        control: &Control,
    ) -> Result<()> {
        let Publication { signer: Some(signer), said, now, reach, .. } = publication else {
            return Ok(());
        };
        let mut manifest = self.manifest.clone();
        said.date(&mut manifest, *now)?;
        manifest.remarks().into_iter().for_each(|remark| control.warn(remark));
        let (_, email) = sign_and_validate(&manifest, signer, *now)?;
        let Some(registry) = publication.registry else { return Ok(()) };
        if let Reach::Of(marketplace) = reach {
            let warnings = locations::check(&self.location, Some(marketplace))?;
            warnings.into_iter().for_each(|warning| control.warn(warning.message));
        }
        let newest = registry.newest(&manifest.identifier()?, &email, control)?;
        // The form of dates is fixed: their order is that of the texts.
        match newest.filter(|newest| known != Some(&newest.created)) {
            Some(newest) if newest.created >= date::text(*now) => {
                let message = format!(
                    "{} has an entry of {} already, and this machine's clock says {}: a new one \
                     would be taken for older",
                    registry.identity(),
                    newest.created,
                    date::text(*now)
                );
                Err(Error::new(Kind::Refused, "clock-behind", message)
                    .remedy("set the clock of this machine, or wait until it has passed that time"))
            }
            _ => Ok(()),
        }
    }

    /// SHA-256 over all that shapes the signed manifest, but for the time.
    pub fn content(&self, signer: &Signer, valid_days: Option<u64>) -> Result<String> {
        let Signer { endorser, email, profile } = signer;
        let days = valid_days.unwrap_or(super::VALID_DAYS);
        let text = format!(
            "{}\n{profile} {days} {email:?} {}",
            self.manifest.to_xml()?,
            sha256(endorser.certificate().der())
        );
        Ok(sha256(text.as_bytes()))
    }
}

/// Signs `manifest` as of `at`, seconds since 1970, and lets the validator look at the result.
/// Returns the document and the endorser's e-mail address.
///
/// # Errors
/// Those of signing; `Refused` with every finding of the validator.
pub fn sign_and_validate(
    manifest: &Manifest,
    signer: &Signer,
    at: u64,
) -> Result<(String, String)> {
    let document = super::sign(&manifest.to_xml()?, signer, at)?;
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
    Ok((document, verified.email))
}
