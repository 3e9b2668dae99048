//! A certificate, as far as an endorsement needs it: names, e-mail address, dates and key.
//!
//! Nothing here says that a certificate is to be trusted. It says who the holder of a key claims
//! to be; whom to believe is the reader's decision.

use std::time::Duration;

use rsa::traits::PublicKeyParts;
use rsa::{Pkcs1v15Sign, PublicKey};
use sha1::{Digest, Sha1};
use sha2::{Sha256, Sha384, Sha512};
use x509_cert::der::referenced::OwnedToRef;
use x509_cert::der::{Any, Decode, Encode};
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{KeyUsage, SubjectAltName};
use x509_cert::spki::{ObjectIdentifier, SubjectPublicKeyInfoRef};

use super::names;
use crate::error::{Error, Kind, Result};

/// The largest certificate that is looked at, in bytes.
pub const LARGEST: usize = 64 * 1024;
/// The smallest and the largest RSA key that is used, in bits. Below 1024 a key can be broken by
/// anybody; above 8192 it only costs time.
pub const KEY_BITS: std::ops::RangeInclusive<usize> = 1024..=8192;
/// Keys below this size are used with a warning (NIST SP 800-57 part 1, table 2).
pub const SOUND_KEY_BITS: usize = 2048;

/// rsaEncryption (RFC 8017, appendix C).
pub(super) const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

/// What an endorsement needs to know of an X.509 certificate (RFC 5280).
#[derive(Clone, PartialEq, Eq)]
pub struct Certificate {
    der: Vec<u8>,
    subject: String,
    issuer: String,
    email: Option<String>,
    begins: u64,
    expires: u64,
    may_sign: bool,
    key: PublicKey,
}

impl Certificate {
    /// Reads a certificate in DER.
    ///
    /// One that its holder has issued has to be signed with its own key: otherwise anybody could
    /// change its dates. Signatures of others are not looked at, nor those with MD5.
    ///
    /// # Errors
    /// `Damaged` (`certificate-damaged`); `Mismatch` (`certificate-signature`); `Unsupported` for
    /// another key than RSA (`certificate-key`); `Refused` for an RSA key outside of [`KEY_BITS`]
    /// (`certificate-key-size`).
    pub fn from_der(der: &[u8]) -> Result<Certificate> {
        let damaged = |what: String| {
            Error::new(Kind::Damaged, "certificate-damaged", format!("the certificate: {what}"))
        };
        if der.len() > LARGEST {
            return Err(damaged(format!("{} bytes, at most {LARGEST}", der.len())));
        }
        let read = x509_cert::Certificate::from_der(der).map_err(|e| damaged(e.to_string()))?;
        let content = read.tbs_certificate();
        if read.signature_algorithm() != content.signature() {
            return Err(damaged("it names two algorithms for one signature".into()));
        }
        let names = content
            .get_extension::<SubjectAltName>()
            .map_err(|e| damaged(format!("subjectAltName: {e}")))?;
        let usage = content
            .get_extension::<KeyUsage>()
            .map_err(|e| damaged(format!("keyUsage: {e}")))?
            .map(|(_, usage)| usage);
        let email = names.and_then(|(_, names)| {
            // The reference takes the first one.
            names.0.iter().find_map(|name| match name {
                GeneralName::Rfc822Name(email) => Some(email.as_str().to_owned()),
                _ => None,
            })
        });
        let seconds = |since: Duration| since.as_secs();
        let key = public_key(content.subject_public_key_info().owned_to_ref())?;
        if content.subject() == content.issuer() && signed_with(&key, der, &read) == Some(false) {
            let message = "the certificate was changed: its holder's signature on it is wrong";
            return Err(Error::new(Kind::Mismatch, "certificate-signature", message));
        }
        Ok(Certificate {
            der: der.to_vec(),
            subject: names::text(content.subject()),
            issuer: names::text(content.issuer()),
            email,
            begins: seconds(content.validity().not_before.to_unix_duration()),
            expires: seconds(content.validity().not_after.to_unix_duration()),
            may_sign: usage.is_none_or(|u| u.digital_signature() || u.non_repudiation()),
            key,
        })
    }

    /// The bytes it was read from.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// Whose key it is, as Java writes it.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// Who says so, as Java writes it.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The first e-mail address among the alternative names of the subject.
    pub fn email(&self) -> Option<&str> {
        self.email.as_deref()
    }

    /// From when on it is valid, in seconds since 1970.
    pub fn begins(&self) -> u64 {
        self.begins
    }

    /// Until when it is valid, in seconds since 1970.
    pub fn expires(&self) -> u64 {
        self.expires
    }

    /// Whether the use that it states, if any, includes signatures.
    pub fn may_sign(&self) -> bool {
        self.may_sign
    }

    /// The public key.
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// The size of the key in bits.
    pub fn key_bits(&self) -> usize {
        bits(&self.key)
    }
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Certificate { subject, issuer, email, begins, expires, .. } = self;
        f.debug_struct("Certificate")
            .field("subject", subject)
            .field("issuer", issuer)
            .field("email", email)
            .field("begins", begins)
            .field("expires", expires)
            .field("key_bits", &self.key_bits())
            .finish_non_exhaustive()
    }
}

/// The size of a key in bits.
pub(super) fn bits(key: &impl PublicKeyParts) -> usize {
    key.n().bit_width_vartime() as usize
}

/// A key of a size that is used.
pub(super) fn sized<K: PublicKeyParts>(key: K) -> Result<K> {
    let bits = bits(&key);
    if KEY_BITS.contains(&bits) {
        return Ok(key);
    }
    let message = format!("an RSA key of {bits} bits; {KEY_BITS:?} are used");
    Err(Error::new(Kind::Refused, "certificate-key-size", message)
        .remedy("make a new key and certificate, of 2048 bits or more"))
}

/// Whether a certificate is signed with this key; `None` if that cannot be found out.
fn signed_with(key: &PublicKey, der: &[u8], read: &x509_cert::Certificate) -> Option<bool> {
    let parts: Vec<Any> = Vec::from_der(der).ok()?;
    let content = parts.first()?.to_der().ok()?;
    // RFC 8017, appendix C; RFC 4055, section 5.
    let (scheme, digest) = match read.signature_algorithm().oid.to_string().as_str() {
        "1.2.840.113549.1.1.5" => (Pkcs1v15Sign::new::<Sha1>(), Sha1::digest(&content).to_vec()),
        "1.2.840.113549.1.1.11" => {
            (Pkcs1v15Sign::new::<Sha256>(), Sha256::digest(&content).to_vec())
        }
        "1.2.840.113549.1.1.12" => {
            (Pkcs1v15Sign::new::<Sha384>(), Sha384::digest(&content).to_vec())
        }
        "1.2.840.113549.1.1.13" => {
            (Pkcs1v15Sign::new::<Sha512>(), Sha512::digest(&content).to_vec())
        }
        _ => return None,
    };
    Some(key.verify(scheme, &digest, read.signature().as_bytes().unwrap_or_default()).is_ok())
}

fn public_key(info: SubjectPublicKeyInfoRef<'_>) -> Result<PublicKey> {
    if info.algorithm.oid != RSA {
        let message =
            format!("the key in the certificate is of type {}, not RSA", info.algorithm.oid);
        return Err(Error::new(Kind::Unsupported, "certificate-key", message).remedy(
            "endorsements are made with RSA keys: the verifiers of StratusLab know no others",
        ));
    }
    // The library knows the same limits.
    sized(PublicKey::try_from(info).map_err(|e| {
        let message = format!("the RSA key in the certificate ({KEY_BITS:?} bits are used): {e}");
        Error::new(Kind::Refused, "certificate-key-size", message)
    })?)
}
