//! The signature that binds an entry to its endorser: XML Signature
//! (<https://www.w3.org/TR/xmldsig-core/>), one fixed form of it.
//!
//! ```text
//! structure   what a signature may look like: one Reference, the whole document, one certificate
//! algorithms  which algorithms may be named
//! endorsement the block that says who signed and when
//! sign        endorsement filled, Signature appended, result verified
//! verify      the same in reverse; hands out the bytes that were digested
//! ```
//!
//! XML Signature in full lets a signer choose what is signed, by which key and after which
//! transformation, and lets a forger choose too. Here everything that is not needed is refused, and
//! what is reported is read from the digested bytes, never from the document they came from.

mod algorithms;
mod endorsement;
mod sign;
mod structure;
mod verify;

use std::fmt;
use std::str::FromStr;

use super::certificate::Certificate;
use crate::error::{Error, Kind};

pub use sign::sign;
pub use verify::verify;

/// Which algorithms a signature is made with. No single choice suits every verifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// What StratusLab's programs write and read: RSA with SHA-1. They know no other.
    Stratuslab,
    /// RSA with SHA-256, which StratusLab's programs do not verify.
    Modern,
}

impl Profile {
    /// The name on a command line.
    pub const fn name(self) -> &'static str {
        match self {
            Profile::Stratuslab => "stratuslab",
            Profile::Modern => "modern",
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Profile {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        let known = [Profile::Stratuslab, Profile::Modern];
        known.into_iter().find(|profile| profile.name() == name).ok_or_else(|| {
            let message = format!("unknown signature profile {name:?}: it is stratuslab or modern");
            Error::new(Kind::Usage, "signature-profile", message)
                .remedy("use stratuslab (RSA with SHA-1) or modern (RSA with SHA-256)")
        })
    }
}

/// How to sign.
#[derive(Clone, Debug)]
pub struct Options {
    /// The algorithms.
    pub profile: Profile,
    /// With [`Profile::Stratuslab`]: digest the document with SHA-256, which StratusLab's programs
    /// take although the signature itself stays RSA with SHA-1.
    pub sha256_digest: bool,
    /// When: `2026-11-23T14:00:00Z`.
    pub created: String,
    /// Who, if the certificate has no e-mail address. The one of the certificate wins.
    pub email: Option<String>,
}

/// What a verified document says, and of whom.
#[derive(Clone, Debug)]
pub struct Verified {
    /// What was digested: the canonical document without its signature. Whatever is said about the
    /// image has to be read from here.
    pub octets: Vec<u8>,
    /// `rsa-sha1`, `rsa-sha256` or `rsa-sha512`.
    pub signature_method: &'static str,
    /// `sha1`, `sha256` or `sha512`.
    pub digest_method: &'static str,
    /// The endorser's name, of the certificate and of the endorsement.
    pub subject: String,
    /// Who vouches for that name, of the certificate and of the endorsement.
    pub issuer: String,
    /// The endorser's e-mail address, as the endorsement says it. If the certificate has none its
    /// form is not checked here.
    pub email: String,
    /// When the endorsement was made, as it says. Its form is not checked here.
    pub created: String,
    /// The certificate whose key verified.
    pub certificate: Certificate,
    /// What a reader should know before it trusts.
    pub warnings: Vec<Warning>,
}

/// Something that is legal and not good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// A stable name, such as `certificate-expired`.
    pub code: &'static str,
    /// A sentence for a person.
    pub message: String,
}

impl Warning {
    pub(in crate::metadata) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Warning { code, message: message.into() }
    }
}

#[cfg(test)]
mod tests;
