//! Deprecation: a newer entry of the same endorser that says why the image must not be used.

use super::memory::Answer;
use super::{Signer, draft};
use crate::control::Control;
use crate::error::{Error, Kind, Result};
use crate::metadata::{Manifest, date, identifier};
use crate::publish::registry::{Registered, Registry};

/// A manifest that takes another one back.
pub struct Retired {
    /// Signed.
    pub document: String,
}

/// The deprecation of the newest entry that the signer made of this image.
///
/// # Errors
/// `Missing` if there is none, `Usage` for what is no identifier, and those of asking and signing.
pub fn retire(
    id: &str,
    reason: &str,
    registry: &dyn Registry,
    signer: &Signer,
    now: u64,
    control: &Control,
) -> Result<Retired> {
    identifier::to_sha1(id).map_err(|e| e.with_kind(Kind::Usage))?;
    if reason.trim().is_empty() {
        return Err(Error::new(Kind::Usage, "reason", "the reason is empty")
            .remedy("say with --reason why the image must not be used"));
    }
    let email = signer.email()?;
    let newest = registry.newest(id, &email, control)?.ok_or_else(|| {
        let message = format!("{} has no entry of {id} by {email}", registry.identity());
        Error::new(Kind::Missing, "no-entry", message)
            .remedy("check the identifier; only who endorsed an image can take it back")
    })?;
    let mut manifest = Manifest::from_xml(&newest.octets)?;
    manifest.deprecated = Some(reason.to_owned());
    manifest.endorsement = None;
    let after = date::epoch(&newest.created)?.saturating_add(1);
    let (document, _) = draft::sign_and_validate(&manifest, signer, now.max(after))?;
    Ok(Retired { document })
}

/// Registers a document.
///
/// # Errors
/// Those of the registry.
pub fn register(document: &str, registry: &dyn Registry, control: &Control) -> Result<Answer> {
    Ok(match registry.register(document.as_bytes(), control)? {
        Registered::Created { url } | Registered::Already { url } => {
            Answer { url: Some(url), pending: None }
        }
        Registered::Pending { message } => Answer { url: None, pending: Some(message) },
    })
}
