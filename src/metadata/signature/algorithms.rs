//! The algorithms that a signature may name. The lists are closed: what is not here is refused.

use rsa::{Pkcs1v15Sign, PrivateKey, PublicKey};
use sha1::{Digest, Sha1};
use sha2::{Sha256, Sha512};

use crate::metadata::c14n::Comments;

/// A hash function, for a digest and within a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hash {
    Sha1,
    Sha256,
    Sha512,
}

impl Hash {
    const ALL: [Hash; 3] = [Hash::Sha1, Hash::Sha256, Hash::Sha512];

    /// The hash that a `DigestMethod` names.
    pub fn of_digest_method(identifier: &str) -> Option<Hash> {
        Self::ALL.into_iter().find(|hash| hash.digest_method() == identifier)
    }

    /// The hash within the RSA signature that a `SignatureMethod` names.
    pub fn of_signature_method(identifier: &str) -> Option<Hash> {
        Self::ALL.into_iter().find(|hash| hash.signature_method() == identifier)
    }

    /// `sha1`, …
    pub fn name(self) -> &'static str {
        match self {
            Hash::Sha1 => "sha1",
            Hash::Sha256 => "sha256",
            Hash::Sha512 => "sha512",
        }
    }

    /// The identifier in a `DigestMethod` (XML Signature 1.1, section 6.2).
    pub fn digest_method(self) -> &'static str {
        match self {
            Hash::Sha1 => "http://www.w3.org/2000/09/xmldsig#sha1",
            Hash::Sha256 => "http://www.w3.org/2001/04/xmlenc#sha256",
            Hash::Sha512 => "http://www.w3.org/2001/04/xmlenc#sha512",
        }
    }

    /// `rsa-sha1`, …
    pub fn signature_name(self) -> &'static str {
        match self {
            Hash::Sha1 => "rsa-sha1",
            Hash::Sha256 => "rsa-sha256",
            Hash::Sha512 => "rsa-sha512",
        }
    }

    /// The identifier in a `SignatureMethod` (XML Signature 1.1, section 6.4).
    pub fn signature_method(self) -> &'static str {
        match self {
            Hash::Sha1 => "http://www.w3.org/2000/09/xmldsig#rsa-sha1",
            Hash::Sha256 => "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
            Hash::Sha512 => "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512",
        }
    }

    pub fn digest(self, octets: &[u8]) -> Vec<u8> {
        match self {
            Hash::Sha1 => Sha1::digest(octets).to_vec(),
            Hash::Sha256 => Sha256::digest(octets).to_vec(),
            Hash::Sha512 => Sha512::digest(octets).to_vec(),
        }
    }

    /// RSASSA-PKCS1-v1_5 (RFC 8017, section 8.2).
    fn scheme(self) -> Pkcs1v15Sign {
        match self {
            Hash::Sha1 => Pkcs1v15Sign::new::<Sha1>(),
            Hash::Sha256 => Pkcs1v15Sign::new::<Sha256>(),
            Hash::Sha512 => Pkcs1v15Sign::new::<Sha512>(),
        }
    }

    /// Signs `octets`. The key is blinded with numbers of the system, against whoever measures the
    /// time; the result does not depend on them.
    pub fn sign(self, key: &PrivateKey, octets: &[u8]) -> rsa::Result<Vec<u8>> {
        key.sign(self.scheme(), &self.digest(octets))
    }

    pub fn verify(self, key: &PublicKey, octets: &[u8], signature: &[u8]) -> bool {
        key.verify(self.scheme(), &self.digest(octets), signature).is_ok()
    }
}

/// Canonical XML 1.0. Exclusive canonicalization and version 1.1 are not needed by anybody here.
pub const C14N: &str = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315";
/// The same, comments kept.
pub const C14N_WITH_COMMENTS: &str = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315#WithComments";
/// The transform that takes the signature out of the document.
pub const ENVELOPED: &str = "http://www.w3.org/2000/09/xmldsig#enveloped-signature";

/// What a canonicalization method does with comments.
pub fn comments(identifier: &str) -> Option<Comments> {
    match identifier {
        C14N => Some(Comments::Without),
        C14N_WITH_COMMENTS => Some(Comments::With),
        _ => None,
    }
}
