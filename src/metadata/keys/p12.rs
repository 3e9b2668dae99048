//! PKCS#12 (RFC 7292), the file that browsers, Java and `stratus-generate-p12` hand out.

use p12_keystore::error::Error as Fault;
use p12_keystore::{
    Certificate as P12Certificate, EncryptionAlgorithm, KeyStore, KeyStoreEntry, MacAlgorithm,
    Pkcs12Archive, PrivateKey as P12Key, PrivateKeyBag, PrivateKeyChain,
};
use pkcs8::EncodePrivateKey;
use pkcs8::der::{Any, Decode};

use super::{Endorser, ITERATIONS, bounded, damaged, password_error, pkcs8_key};
use crate::error::{Error, Kind, Result};
use crate::metadata::certificate::Certificate;
use crate::metadata::signature::Warning;

/// Turns a file that is not read here into one that is. OpenSSL asks for the passwords.
const CONVERT: &str = "convert it: openssl pkcs12 -legacy -in OLD.p12 -nodes -out KEY.pem, then \
                       openssl pkcs12 -export -in KEY.pem -out NEW.p12, and remove KEY.pem";

pub fn read(bytes: &[u8], password: Option<&str>, alias: Option<&str>) -> Result<Endorser> {
    bounded(bytes)?;
    if bytes.trim_ascii_start().starts_with(b"-----BEGIN ") {
        let message = "this is a file in PEM, not a PKCS#12 file";
        return Err(damaged("p12-damaged", message).remedy(
            "name it with --key, and the certificate with --cert if it is in another file",
        ));
    }
    let archive = Pkcs12Archive::from_pkcs12(bytes, readable(password.unwrap_or_default())?)
        .map_err(|fault| understood(&fault, bytes, password))?;
    let key = chosen(&archive.keys, alias)?;
    // Certificates of authorities that have other keys than RSA are passed over. The one that
    // belongs to the key is found by its public key: the number that should link the two in the
    // file may be missing, or wrong.
    let certificates = archive.certs.iter().map(|bag| Certificate::from_der(bag.cert.as_der()));
    let key = pkcs8_key(key.key.as_der())?;
    let mut endorser = Endorser::join(key, certificates.filter_map(Result::ok).collect())?;
    if !has_mac(bytes) {
        let message = "the PKCS#12 file has no MAC: nobody would see if somebody had changed it";
        endorser.warnings.push(Warning::new("p12-no-mac", message));
    }
    Ok(endorser)
}

pub fn write(endorser: &Endorser, password: &str) -> Result<Vec<u8>> {
    let failed = |e: String| Error::new(Kind::Internal, "p12-write", format!("PKCS#12: {e}"));
    let key = endorser.key.to_pkcs8_der().map_err(|e| failed(e.to_string()))?;
    let key = P12Key::from_der(key.as_bytes()).map_err(|e| failed(e.to_string()))?;
    let certificate =
        P12Certificate::from_der(endorser.certificate.der()).map_err(|e| failed(e.to_string()))?;
    let mut store = KeyStore::new();
    let chain = PrivateKeyChain::new("endorser", key, [certificate]);
    store.add_entry("endorser", KeyStoreEntry::PrivateKeyChain(chain));
    store
        .writer(writable(password)?)
        .encryption_algorithm(EncryptionAlgorithm::PbeWithHmacSha256AndAes256)
        .encryption_iterations(ITERATIONS)
        .mac_algorithm(MacAlgorithm::HmacSha256)
        .mac_iterations(ITERATIONS)
        .write()
        .map_err(|e| failed(e.to_string()))
}

/// A password that the format can express: its MAC is keyed with UTF-16 (RFC 7292, appendix B.1),
/// and the reader knows no surrogates in it.
fn readable(password: &str) -> Result<&str> {
    if password.chars().all(|c| u32::from(c) <= 0xffff) {
        return Ok(password);
    }
    Err(characters("the password has a character beyond U+FFFF, which is not read in PKCS#12"))
}

/// A password that everybody can read with: Java takes only ASCII for the ciphers of today.
fn writable(password: &str) -> Result<&str> {
    if !password.is_empty() && password.bytes().all(|b| (b' '..=b'~').contains(&b)) {
        return Ok(password);
    }
    Err(characters("the new password is empty or not all ASCII: Java could not read the file"))
}

fn characters(message: &str) -> Error {
    Error::new(Kind::Usage, "key-password-characters", message)
        .remedy("choose a password of letters, digits and signs of ASCII")
}

/// The key that is asked for. The reference takes the last one of several; a signature should not
/// depend on an order that nobody sees.
fn chosen<'a>(keys: &'a [PrivateKeyBag], alias: Option<&str>) -> Result<&'a PrivateKeyBag> {
    let named = |alias| keys.iter().filter(move |key| key.friendly_name.as_deref() == Some(alias));
    let found: Vec<&PrivateKeyBag> = match alias {
        Some(alias) => named(alias).collect(),
        None => keys.iter().collect(),
    };
    match (&found[..], alias) {
        ([key], _) => Ok(key),
        ([], None) => Err(damaged("key-missing", "there is no private key in the PKCS#12 file")),
        ([], Some(alias)) => Err(which(keys, format!("no key is called {alias:?}"))),
        (_, Some(alias)) => Err(which(keys, format!("several keys are called {alias:?}"))),
        (several, None) => Err(which(keys, format!("there are {} private keys", several.len()))),
    }
}

fn which(keys: &[PrivateKeyBag], what: String) -> Error {
    let names: Vec<String> = keys
        .iter()
        .map(|key| {
            key.friendly_name.as_ref().map_or("(without a name)".into(), |n| format!("{n:?}"))
        })
        .collect();
    Error::new(Kind::Usage, "key-alias", format!("{what} in the PKCS#12 file"))
        .remedy(format!("choose one of these by its alias: {}", names.join(", ")))
}

/// What a fault of the reader means for the user.
fn understood(fault: &Fault, bytes: &[u8], password: Option<&str>) -> Error {
    let unreadable = |code, what: &str| {
        Error::new(Kind::Unsupported, code, format!("the PKCS#12 file {what}")).remedy(CONVERT)
    };
    // Without a MAC a wrong password shows only by the nonsense that comes out.
    let nonsense = matches!(
        fault,
        Fault::UnpadError | Fault::Pkcs5Error(_) | Fault::InvalidPrivateKey | Fault::DerError(_)
    );
    let other_cipher =
        |e: &pkcs8::der::Error| matches!(e.kind(), pkcs8::der::ErrorKind::OidUnknown { .. });
    match fault {
        Fault::DerError(e) if other_cipher(e) => unreadable(
            "p12-cipher",
            "is protected by a cipher that is not read (Camellia, for example)",
        ),
        Fault::MacError(_) => password_error(password),
        _ if nonsense && outer(bytes).len() == 2 => password_error(password),
        Fault::UnsupportedEncryptionScheme | Fault::UnsupportedMacAlgorithm => unreadable(
            "p12-cipher",
            "is protected by a cipher that is not read (RC2-128, RC4 or two-key 3DES, for example)",
        ),
        Fault::Pkcs5Error(_) => {
            unreadable("p12-cipher", "is protected by a cipher that is not read")
        }
        Fault::InvalidParameters => {
            unreadable("p12-iterations", "stirs its password more than 1 000 000 times")
        }
        Fault::DerError(_) if bytes.get(1) == Some(&0x80) => {
            unreadable("p12-encoding", "is encoded in BER, not in DER")
        }
        fault => damaged("p12-damaged", format!("this is no sound PKCS#12 file: {fault}"))
            .remedy("check that it is a .p12 or .pfx file, and complete"),
    }
}

/// The parts of the outermost sequence: version, content, and the MAC if there is one (RFC 7292,
/// section 4).
fn outer(bytes: &[u8]) -> Vec<Any> {
    Vec::from_der(bytes).unwrap_or_default()
}

fn has_mac(bytes: &[u8]) -> bool {
    outer(bytes).len() == 3
}
