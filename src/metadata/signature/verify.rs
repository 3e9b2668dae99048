//! Is this entry signed, by whom, and what exactly was signed?

use super::endorsement::{self, Endorsement};
use super::{Verified, Warning, algorithms::Hash, structure};
use crate::error::{Error, Kind, Result};
use crate::metadata::certificate::{Certificate, SOUND_KEY_BITS};
use crate::metadata::vocabulary::quoted;
use crate::metadata::{c14n, xml};

/// Verifies a signed entry.
///
/// The signature is right, it covers the whole document, and the certificate in it is of the
/// endorser that the entry names. Whether that certificate is to be trusted, nobody is asked:
/// certificates of endorsers are often self-signed, or out of date long before their images are.
/// `now` is in seconds since 1970, and decides about nothing but warnings.
///
/// # Errors
/// `Refused` for a document that is not in the one form that is verified here (each rule has its
/// code, `signature-…`), `Mismatch` if digest (`signature-digest`), signature (`signature-value`) or
/// endorser (`signature-endorser`) are wrong; those of [`xml::parse`] and
/// [`Certificate::from_der`].
pub fn verify(document: &[u8], now: u64) -> Result<Verified> {
    let text = xml::line_ends(document);
    let tree = xml::parse(&text)?;
    let found = structure::read(&tree)?;
    let octets = c14n::document(&tree, Some(found.signature), c14n::Comments::Without);
    // Digest and document are public: nothing can be learned from the time this takes.
    if found.digest_hash.digest(&octets) != found.digest {
        let message = "the document was changed after it was signed (its digest is another)";
        return Err(mismatch("signature-digest", message));
    }
    let certificate = Certificate::from_der(&found.certificate)?;
    let signed_info = c14n::element(found.signed_info, found.comments);
    if !found.signature_hash.verify(certificate.key(), &signed_info, &found.value) {
        let message = "the signature was not made with the key of its certificate, or was changed";
        return Err(mismatch("signature-value", message));
    }
    let endorsement = endorsement::read(&octets)?;
    same_endorser(&endorsement, &certificate)?;
    Ok(Verified {
        signature_method: found.signature_hash.signature_name(),
        digest_method: found.digest_hash.name(),
        warnings: warnings(&found, &certificate, now),
        subject: endorsement.subject,
        issuer: endorsement.issuer,
        email: endorsement.email,
        created: endorsement.created,
        octets,
        certificate,
    })
}

fn mismatch(code: &'static str, message: impl Into<String>) -> Error {
    Error::new(Kind::Mismatch, code, message)
        .remedy("do not use it: fetch it again, or ask its endorser to sign it again")
}

/// The endorser that the entry names is the holder of the certificate.
fn same_endorser(said: &Endorsement, certificate: &Certificate) -> Result<()> {
    let pairs = [
        ("subject", &said.subject, Some(certificate.subject())),
        ("issuer", &said.issuer, Some(certificate.issuer())),
        ("email", &said.email, certificate.email()),
    ];
    for (name, said, known) in pairs {
        if known.is_some_and(|known| known != said) {
            let known = known.unwrap_or_default();
            let message = format!(
                "the {name} of the endorser is {}, of the certificate {}",
                quoted(said),
                quoted(known)
            );
            return Err(mismatch("signature-endorser", message));
        }
    }
    Ok(())
}

fn warnings(
    found: &structure::Structure<'_, '_>,
    certificate: &Certificate,
    now: u64,
) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let mut warn = |when: bool, code, message: &str| {
        if when {
            warnings.push(Warning::new(code, message));
        }
    };
    let forgeable =
        "SHA-1 is broken: who can have a prepared document signed can exchange it later";
    warn(found.signature_hash == Hash::Sha1, "signature-sha1", &format!("signature: {forgeable}"));
    warn(found.digest_hash == Hash::Sha1, "digest-sha1", &format!("digest: {forgeable}"));
    let bits = certificate.key_bits();
    let weak =
        format!("the key of the endorser has {bits} bits; {SOUND_KEY_BITS} are the least today");
    warn(bits < SOUND_KEY_BITS, "weak-key", &weak);
    warn(now > certificate.expires(), "certificate-expired", "the certificate has expired");
    let early = "the certificate is not valid yet";
    warn(now < certificate.begins(), "certificate-not-yet-valid", early);
    let usage = "the certificate is not made for signatures (keyUsage)";
    warn(!certificate.may_sign(), "certificate-usage", usage);
    let unproven =
        "the certificate has no e-mail address: the one in the endorsement is only a claim";
    warn(certificate.email().is_none(), "email-unproven", unproven);
    warnings
}
