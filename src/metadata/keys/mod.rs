//! The endorser: a private key and the certificate that belongs to it, from the files people have.
//!
//! ```text
//! p12       PKCS#12, what StratusLab's users have; old forms too
//! pem       key and certificate as text, together or apart
//! generate  a new key with a certificate that vouches for itself
//! ```

mod generate;
mod p12;
mod pem;

use std::fmt;

use pkcs8::der::Decode;
use pkcs8::{DecodePrivateKey, PrivateKeyInfoRef};
use rsa::PrivateKey;

use super::certificate::{self, Certificate, RSA, SOUND_KEY_BITS};
use super::signature::Warning;
use crate::error::{Error, Kind, Result};

pub use generate::{DEFAULT_BITS, generate};

/// The largest file with keys that is read, in bytes. One with a key and a long chain of
/// certificates has a tenth of that.
pub const LARGEST_FILE: usize = 256 * 1024;

/// How often the password is stirred in a new file: what OWASP's password storage cheat sheet asks
/// for PBKDF2 with HMAC-SHA-256. OpenSSL writes 2 048, Java 10 000; both read this.
const ITERATIONS: u32 = 600_000;

/// Who endorses: a private key, and the certificate that says whose it is.
pub struct Endorser {
    key: PrivateKey,
    certificate: Certificate,
    warnings: Vec<Warning>,
}

impl Endorser {
    /// Reads a PKCS#12 file.
    ///
    /// `alias` chooses among several keys; it is the friendly name in the file. No password and an
    /// empty one are the same in this format, but not in what is said if they do not fit.
    ///
    /// # Errors
    /// `Permission` for a password that is wrong (`key-password-wrong`) or not given
    /// (`key-password-missing`); `Usage` for several keys without an alias and for an unknown alias
    /// (`key-alias`); `Unsupported` for a cipher that is not read (`p12-cipher`) and for other keys
    /// than RSA (`key-type`); `Damaged` for everything else that is wrong with the file.
    pub fn from_p12(bytes: &[u8], password: Option<&str>, alias: Option<&str>) -> Result<Endorser> {
        p12::read(bytes, password, alias)
    }

    /// Reads a key and a certificate in PEM; both may be in one file, which is given twice then.
    ///
    /// Of several certificates the one that belongs to the key is taken.
    ///
    /// # Errors
    /// As for [`Endorser::from_p12`].
    pub fn from_pem(key: &[u8], certificate: &[u8], password: Option<&str>) -> Result<Endorser> {
        pem::read(key, certificate, password)
    }

    /// Puts a key and the one of these certificates together that belongs to it.
    fn join(key: PrivateKey, certificates: Vec<Certificate>) -> Result<Endorser> {
        let key = certificate::sized(key)?;
        if certificates.is_empty() {
            return Err(Error::new(Kind::Damaged, "key-no-certificate", "there is no certificate")
                .remedy("give the certificate of the key, too: endorsements show it"));
        }
        let own = |certificate: &Certificate| certificate.key() == key.as_public_key();
        let Some(certificate) = certificates.into_iter().find(own) else {
            let message = "no certificate belongs to the private key";
            return Err(Error::new(Kind::Refused, "key-mismatch", message)
                .remedy("give the certificate that was made for this key"));
        };
        let mut warnings = Vec::new();
        let bits = certificate.key_bits();
        if bits < SOUND_KEY_BITS {
            let message = format!("the key has {bits} bits; {SOUND_KEY_BITS} are the least today");
            warnings.push(Warning::new("weak-key", message));
        }
        Ok(Endorser { key, certificate, warnings })
    }

    /// Whose key it is, as Java writes it.
    pub fn subject(&self) -> &str {
        self.certificate.subject()
    }

    /// Who says so, as Java writes it.
    pub fn issuer(&self) -> &str {
        self.certificate.issuer()
    }

    /// The e-mail address in the certificate.
    pub fn email(&self) -> Option<&str> {
        self.certificate.email()
    }

    /// Until when the certificate is valid, in seconds since 1970.
    pub fn expires(&self) -> u64 {
        self.certificate.expires()
    }

    /// The certificate.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// What is not as it should be with the key or its file.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// A PKCS#12 file of today: AES-256 with PBKDF2 and HMAC-SHA-256, as OpenSSL 3 and Java 17
    /// write it; these and later ones read it. The key is called `endorser`.
    ///
    /// # Errors
    /// `Usage` for a password that is empty or has other characters than those of ASCII
    /// (`key-password-characters`): Java could not read the file.
    pub fn to_p12(&self, password: &str) -> Result<Vec<u8>> {
        p12::write(self, password)
    }

    /// Key (PKCS#8, not encrypted) and certificate in PEM, one after the other.
    ///
    /// # Errors
    /// `Internal`: none is known.
    pub fn to_pem(&self) -> Result<String> {
        pem::write(self, None)
    }

    /// The same with the key encrypted: AES-256 with PBKDF2 and HMAC-SHA-256.
    ///
    /// # Errors
    /// `Internal` if the system has no random numbers.
    pub fn to_encrypted_pem(&self, password: &str) -> Result<String> {
        pem::write(self, Some(password))
    }

    pub(super) fn key(&self) -> &PrivateKey {
        &self.key
    }
}

impl fmt::Debug for Endorser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endorser")
            .field("certificate", &self.certificate)
            .field("warnings", &self.warnings)
            .finish_non_exhaustive()
    }
}

/// A file of a size that is read.
fn bounded(bytes: &[u8]) -> Result<()> {
    if bytes.len() <= LARGEST_FILE {
        return Ok(());
    }
    let message = format!("a file with a key of {} bytes, at most {LARGEST_FILE}", bytes.len());
    Err(Error::new(Kind::Refused, "key-size", message))
}

fn no_password() -> Error {
    let message = "the private key is protected by a password, and none was given";
    Error::new(Kind::Permission, "key-password-missing", message).remedy("give the password")
}

fn wrong_password() -> Error {
    let message = "the password of the private key is wrong";
    Error::new(Kind::Permission, "key-password-wrong", message)
        .remedy("give the password that the key was saved with")
}

/// The error for a password that does not fit.
fn password_error(password: Option<&str>) -> Error {
    if password.is_none() { no_password() } else { wrong_password() }
}

fn damaged(code: &'static str, message: impl Into<String>) -> Error {
    Error::new(Kind::Damaged, code, message)
}

/// Names of the keys that are met and not used.
const OTHERS: [(&str, &str); 5] = [
    ("1.2.840.10045.2.1", "EC"),
    ("1.2.840.10040.4.1", "DSA"),
    ("1.3.101.112", "Ed25519"),
    ("1.3.101.113", "Ed448"),
    ("1.2.840.113549.1.1.10", "RSASSA-PSS"),
];

fn other_key(name: &str) -> Error {
    let message = format!("the private key is of type {name}; endorsements are made with RSA");
    Error::new(Kind::Unsupported, "key-type", message)
        .remedy("use an RSA key: the verifiers of StratusLab know no other for entries")
}

/// A private key in PKCS#8 (RFC 5958), not encrypted.
fn pkcs8_key(der: &[u8]) -> Result<PrivateKey> {
    let broken = |what: String| damaged("key-damaged", format!("the private key: {what}"));
    let info = PrivateKeyInfoRef::from_der(der).map_err(|e| broken(e.to_string()))?;
    if info.algorithm.oid != RSA {
        let number = info.algorithm.oid.to_string();
        let known = OTHERS.iter().find(|(known, _)| *known == number);
        return Err(other_key(known.map_or(number.as_str(), |(_, name)| name)));
    }
    PrivateKey::from_pkcs8_der(der).map_err(|e| broken(e.to_string()))
}

#[cfg(test)]
mod tests;
