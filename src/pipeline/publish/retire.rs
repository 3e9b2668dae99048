//! Deprecation: a newer entry of the same endorser that says why the image must not be used.

use super::draft;
use super::{Answer, Signer};
use crate::control::Control;
use crate::error::{Kind, Result};
use crate::metadata::{identifier, signature};
use crate::publish::registry::{Endorsed, Entry, Registry, must_be_valid, to_deprecate};
use crate::publish::whose::Whose;

/// A signed document that takes the newest entry back that the signer made of an image, and when it
/// was signed, in seconds since 1970.
///
/// # Errors
/// `Missing` if there is none, `Usage` for what is no identifier, and those of asking and signing.
pub fn retire(
    id: &str,
    reason: &str,
    registry: &dyn Registry,
    signer: &Signer,
    clock: fn() -> Result<u64>,
    control: &Control,
) -> Result<(String, u64)> {
    identifier::to_sha1(id).map_err(|e| e.with_kind(Kind::Usage))?;
    let email = signer.email()?;
    let endorser = Endorsed { email: &email, certificate: signer.endorser.certificate() };
    let unsigned = to_deprecate(registry, id, &endorser, reason, clock()?, control)?;
    let newest = match registry.newest(id, &email, control)? {
        None => None,
        Some(newest) => {
            let (entry, now) = (Entry::new(id, &email, &newest.created)?, clock()?);
            let whose = Whose::ask(registry, &entry, &endorser, now, control)?;
            Some(draft::can_be_followed(&entry, &whose, registry, now)?)
        }
    };
    let now = draft::later_than(newest, clock, control)?;
    let document = super::sign(&unsigned, signer, now)?;
    must_be_valid(document.as_bytes(), now)?;
    draft::tell(&signature::verify(document.as_bytes(), now)?, control);
    Ok((document, now))
}

/// Registers a document.
///
/// # Errors
/// Those of the registry.
pub fn register(
    document: &str,
    registry: &dyn Registry,
    now: u64,
    control: &Control,
) -> Result<Answer> {
    registry.register(document.as_bytes(), now, control).map(Answer::of)
}
