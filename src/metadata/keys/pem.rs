//! Keys and certificates in PEM (RFC 7468), as OpenSSL writes them: several in one file, with text
//! between them.

use base64ct::{Base64, Encoding};
use pkcs8::der::Decode;
use pkcs8::pkcs5::pbes2::{Kdf, Parameters};
use pkcs8::{EncodePrivateKey, EncryptedPrivateKeyInfoRef, PrivateKeyInfoRef};
use rsa::PrivateKey;
use rsa::pkcs1::DecodeRsaPrivateKey;

use super::{
    Endorser, ITERATIONS, bounded, damaged, no_password, other_key, password_error, pkcs8_key,
};
use crate::error::{Error, Kind, Result};
use crate::metadata::certificate::Certificate;

/// The most iterations of PBKDF2, and the most memory of scrypt in bytes, that a file may ask for.
const MOST_ITERATIONS: u32 = 10_000_000;
const MOST_MEMORY: u64 = 1 << 30;

/// Makes a key that is read here from one that is not. OpenSSL asks for the passwords.
const CONVERT: &str = "convert it: openssl pkcs8 -topk8 -in OLD.pem -out NEW.pem";

pub fn read(key: &[u8], certificate: &[u8], password: Option<&str>) -> Result<Endorser> {
    // The outermost sequence of DER.
    if key.first() == Some(&0x30) {
        let message = "this is a binary file, not a key in PEM";
        return Err(damaged("key-missing", message).remedy(
            "name a PKCS#12 file with --p12-cert; convert a key in DER: openssl pkcs8 -topk8 \
             -inform DER -in OLD.der -out NEW.pem",
        ));
    }
    let keys: Vec<Block> =
        blocks(key)?.into_iter().filter(|block| block.label.ends_with("PRIVATE KEY")).collect();
    let [key] = &keys[..] else {
        let message = format!("the PEM file of the key has {} private keys, not one", keys.len());
        return Err(damaged("key-missing", message)
            .remedy("give a file with one block -----BEGIN PRIVATE KEY-----"));
    };
    let key = key.private_key(password)?;
    let certificates = blocks(certificate)?
        .iter()
        .filter(|block| block.label == "CERTIFICATE")
        .map(Block::certificate)
        .collect::<Result<Vec<_>>>()?;
    Endorser::join(key, certificates)
}

pub fn write(endorser: &Endorser, password: Option<&str>) -> Result<String> {
    let failed = |e: &dyn std::fmt::Display| {
        Error::new(Kind::Internal, "pem-write", format!("the key cannot be written: {e}"))
    };
    let key = endorser.key.to_pkcs8_der().map_err(|e| failed(&e))?;
    let key = match password {
        None => block("PRIVATE KEY", key.as_bytes()),
        Some(password) => {
            let (mut salt, mut iv) = ([0; 16], [0; 16]);
            getrandom::fill(&mut salt).map_err(|e| failed(&e))?;
            getrandom::fill(&mut iv).map_err(|e| failed(&e))?;
            let way = Parameters::generate_pbkdf2_sha256_aes256cbc(ITERATIONS, &salt, iv);
            let way = way.map_err(|e| failed(&e))?;
            let key = PrivateKeyInfoRef::from_der(key.as_bytes()).map_err(|e| failed(&e))?;
            let key = key.encrypt_with_params(way, password).map_err(|e| failed(&e))?;
            block("ENCRYPTED PRIVATE KEY", key.as_bytes())
        }
    };
    Ok(key + &block("CERTIFICATE", endorser.certificate.der()))
}

fn block(label: &str, der: &[u8]) -> String {
    let mut out = format!("-----BEGIN {label}-----\n");
    let text = Base64::encode_string(der);
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, more) = rest.split_at(rest.len().min(64));
        out.push_str(line);
        out.push('\n');
        rest = more;
    }
    out + &format!("-----END {label}-----\n")
}

/// One `-----BEGIN …-----`.
struct Block {
    label: String,
    /// What stands between the lines, without white space.
    text: String,
}

/// The blocks of a file; what is around them is explanatory (RFC 7468, section 2).
fn blocks(file: &[u8]) -> Result<Vec<Block>> {
    bounded(file)?;
    let text = String::from_utf8_lossy(file);
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for line in text.lines().map(str::trim) {
        let label = |word| {
            line.strip_prefix("-----")?.strip_prefix(word)?.strip_prefix(' ')?.strip_suffix("-----")
        };
        if let Some(label) = label("BEGIN") {
            open = Some(Block { label: label.to_owned(), text: String::new() });
        } else if let Some(label) = label("END") {
            match open.take() {
                Some(block) if block.label == label => blocks.push(block),
                _ => {
                    return Err(damaged(
                        "pem-damaged",
                        format!("{label:?} ends and did not begin"),
                    ));
                }
            }
        } else if let Some(block) = &mut open {
            block.text.extend(line.chars().filter(|c| !c.is_whitespace()));
        }
    }
    match open {
        None => Ok(blocks),
        Some(block) => Err(damaged("pem-damaged", format!("{:?} does not end", block.label))),
    }
}

impl Block {
    fn der(&self) -> Result<Vec<u8>> {
        Base64::decode_vec(&self.text)
            .map_err(|_| damaged("pem-damaged", format!("{:?} is not base64", self.label)))
    }

    fn certificate(&self) -> Result<Certificate> {
        Certificate::from_der(&self.der()?)
    }

    fn private_key(&self, password: Option<&str>) -> Result<PrivateKey> {
        // Headers of RFC 1421: the old encryption of OpenSSL, which has only one round of MD5.
        if self.text.starts_with("Proc-Type:") {
            return Err(unread("is encrypted in OpenSSL's old form (Proc-Type: 4,ENCRYPTED)"));
        }
        match self.label.as_str() {
            "PRIVATE KEY" => pkcs8_key(&self.der()?),
            "ENCRYPTED PRIVATE KEY" => pkcs8_key(&decrypted(&self.der()?, password)?),
            "RSA PRIVATE KEY" => PrivateKey::from_pkcs1_der(&self.der()?)
                .map_err(|e| damaged("key-damaged", format!("the private key: {e}"))),
            "OPENSSH PRIVATE KEY" => Err(unread("is a key for SSH")),
            label => Err(other_key(label.trim_end_matches(" PRIVATE KEY"))),
        }
    }
}

fn unread(what: &str) -> Error {
    let message = format!("the private key {what}, which is not read here");
    Error::new(Kind::Unsupported, "key-encryption", message).remedy(CONVERT)
}

/// The content of an `EncryptedPrivateKeyInfo` (RFC 5958, section 3).
fn decrypted(der: &[u8], password: Option<&str>) -> Result<Vec<u8>> {
    let Ok(info) = EncryptedPrivateKeyInfoRef::from_der(der) else {
        return Err(unread("is encrypted in a form other than PBES2"));
    };
    let Some(parameters) = info.encryption_algorithm.pbes2() else {
        return Err(unread("is encrypted with PBES1"));
    };
    let bearable = match &parameters.kdf {
        Kdf::Pbkdf2(kdf) => kdf.iteration_count <= MOST_ITERATIONS,
        Kdf::Scrypt(kdf) => {
            let memory = kdf.cost_parameter.checked_mul(128 * u64::from(kdf.block_size));
            memory.is_some_and(|memory| memory <= MOST_MEMORY) && kdf.parallelization <= 16
        }
        _ => false,
    };
    if !bearable {
        return Err(unread("asks for too much work before it can be decrypted"));
    }
    let Some(given) = password else { return Err(no_password()) };
    match info.decrypt(given) {
        Ok(key) => Ok(key.as_bytes().to_vec()),
        Err(pkcs8::Error::EncryptedPrivateKey(pkcs8::pkcs5::Error::UnsupportedAlgorithm {
            oid,
        })) => Err(unread(&format!("is encrypted with the algorithm {oid}"))),
        // Padding that is wrong, or nonsense in place of a key.
        Err(_) => Err(password_error(password)),
    }
}
