//! A new key, and a certificate in which its holder vouches for itself. StratusLab's markets take
//! such certificates: the e-mail address in it is what they ask for confirmation.

use std::ops::RangeInclusive;
use std::time::Duration;

use getrandom::SysRng;
use rsa::PrivateKey;
use rsa::pkcs1v15::{Signature, SigningKey};
use sha2::Sha256;
use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::builder::profile::BuilderProfile;
use x509_cert::builder::{self, Builder, CertificateBuilder};
use x509_cert::certificate::TbsCertificate;
use x509_cert::der::asn1::{Any, Ia5String, SetOfVec, Utf8StringRef};
use x509_cert::der::{self, DateTime, Decode, Encode};
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{KeyUsage, KeyUsages, SubjectAltName};
use x509_cert::ext::{Extension, ToExtension};
use x509_cert::name::{Name, RdnSequence, RelativeDistinguishedName};
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::{ObjectIdentifier, SubjectPublicKeyInfo, SubjectPublicKeyInfoRef};
use x509_cert::time::Validity;

use super::Endorser;
use crate::error::{Error, Kind, Result};
use crate::metadata::certificate::{Certificate, KEY_BITS, SOUND_KEY_BITS};
use crate::metadata::is_email;
use crate::metadata::vocabulary::quoted;

/// The size of a new key if nobody asks for another: as strong as a cipher with 128 bits (NIST SP
/// 800-57 part 1, table 2).
pub const DEFAULT_BITS: usize = 3072;

/// The sizes of new keys, in bits.
const BITS: RangeInclusive<usize> = SOUND_KEY_BITS..=*KEY_BITS.end();
/// For how many days a new certificate may be valid: at most a hundred years.
const DAYS: RangeInclusive<u32> = 1..=36_525;
/// The longest common name (X.520, ub-common-name).
const LONGEST_NAME: usize = 64;
/// The longest e-mail address (RFC 5321, section 4.5.3.1.3); registries take no longer one.
const LONGEST_EMAIL: usize = 254;
/// id-at-commonName (RFC 5280, appendix A.1).
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");

/// Makes an RSA key of `bits` and a certificate for it, self-signed, valid for `days` from `now`
/// (seconds since 1970).
///
/// The distinguished name is `CN=name` and nothing else: nobody has checked more. The e-mail address
/// is the alternative name. As in the certificates of `stratus-generate-p12` the critical keyUsage is
/// digitalSignature, nonRepudiation, keyEncipherment, dataEncipherment and keyAgreement; Netscape's
/// extension is left out.
///
/// Key and serial number are random numbers of the system.
///
/// # Errors
/// `Usage` for a name (`key-name`), an address (`key-email`), days (`key-days`) or a size
/// (`key-bits`) that will not do; `Internal` if the system has no random numbers.
pub fn generate(name: &str, email: &str, days: u32, bits: usize, now: u64) -> Result<Endorser> {
    let usage = |code, message: String| Err(Error::new(Kind::Usage, code, message));
    let length = name.chars().count();
    if !(1..=LONGEST_NAME).contains(&length)
        || name.chars().any(char::is_control)
        || name.trim() != name
    {
        return usage(
            "key-name",
            format!(
                "the name has to have 1 to {LONGEST_NAME} characters: no control characters, no \
                 white space at its ends"
            ),
        );
    }
    if !is_email(email) || email.len() > LONGEST_EMAIL {
        return usage(
            "key-email",
            format!("{} is not an e-mail address that markets take", quoted(email)),
        );
    }
    if !DAYS.contains(&days) {
        return usage("key-days", format!("a certificate is valid for {DAYS:?} days"));
    }
    if !BITS.contains(&bits) {
        return usage("key-bits", format!("the key has to have {BITS:?} bits"));
    }
    let failed = |e: String| Error::new(Kind::Internal, "key-generate", format!("no new key: {e}"));
    let key = PrivateKey::new(&mut SysRng, bits).map_err(|e| failed(e.to_string()))?;
    let mut serial = [0; 16];
    getrandom::fill(&mut serial).map_err(|e| failed(e.to_string()))?;
    let until = now.saturating_add(u64::from(days) * 24 * 60 * 60);
    let certificate =
        self_signed(&key, name, email, &serial, now..=until).map_err(|e| failed(e.to_string()))?;
    Endorser::join(key, vec![Certificate::from_der(&certificate)?])
}

/// Who is certified, and for what.
struct Holder {
    name: Name,
    email: Ia5String,
}

impl BuilderProfile for Holder {
    fn get_issuer(&self, subject: &Name) -> Name {
        subject.clone()
    }

    fn get_subject(&self) -> Name {
        self.name.clone()
    }

    fn build_extensions(
        &self,
        _: SubjectPublicKeyInfoRef<'_>,
        _: SubjectPublicKeyInfoRef<'_>,
        content: &TbsCertificate,
    ) -> builder::Result<Vec<Extension>> {
        let usage = KeyUsages::DigitalSignature
            | KeyUsages::NonRepudiation
            | KeyUsages::KeyEncipherment
            | KeyUsages::DataEncipherment
            | KeyUsages::KeyAgreement;
        let names = SubjectAltName(vec![GeneralName::Rfc822Name(self.email.clone())]);
        let subject = content.subject();
        let usage = (&KeyUsage(usage)).to_extension(subject, &[])?;
        Ok(vec![usage, (&names).to_extension(subject, &[])?])
    }
}

fn self_signed(
    key: &PrivateKey,
    name: &str,
    email: &str,
    serial: &[u8],
    valid: RangeInclusive<u64>,
) -> builder::Result<Vec<u8>> {
    let holder = Holder { name: common_name(name)?, email: Ia5String::new(email)? };
    let time = |seconds: &u64| DateTime::from_unix_duration(Duration::from_secs(*seconds));
    let valid = Validity::new(time(valid.start())?.into(), time(valid.end())?.into());
    let serial = SerialNumber::new(serial)?;
    let signer = SigningKey::<Sha256>::new(key.clone());
    let public = SubjectPublicKeyInfo::from_key(key.as_public_key())?;
    let builder = CertificateBuilder::new(holder, serial, valid, public)?;
    Ok(builder.build::<_, Signature>(&signer)?.to_der()?)
}

/// The name with one part, put together without any escaping.
fn common_name(name: &str) -> der::Result<Name> {
    let value = Any::from(Utf8StringRef::new(name)?);
    let pair = AttributeTypeAndValue { oid: COMMON_NAME, value };
    let part = RelativeDistinguishedName::from(SetOfVec::try_from(vec![pair])?);
    let mut parts = RdnSequence::default();
    parts.push(part);
    Name::from_der(&parts.to_der()?)
}
