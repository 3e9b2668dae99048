//! Distinguished names as one string, in the form that is written into an endorsement.
//!
//! The reference writes `X500Principal.getName()` of Java: RFC 2253 with the freedoms of that
//! implementation. A verifier compares these strings, so they have to be the same to the byte.
//! There is one more surprise in it: the octets of every type of string are taken as UTF-8, also
//! those of a BMPString.

use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::{Encode, Tag, Tagged};
use x509_cert::name::Name;

/// The types that have a keyword (RFC 2253, section 2.3). All others are written as numbers.
const KEYWORDS: [(&str, &str); 9] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.6", "C"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.9", "STREET"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("0.9.2342.19200300.100.1.1", "UID"),
];

/// The name, most specific part first: `CN=Jane Tester,O=Example,C=EU`.
pub fn text(name: &Name) -> String {
    let mut parts: Vec<String> =
        name.iter_rdn().map(|part| part.iter().map(pair).collect::<Vec<_>>().join("+")).collect();
    parts.reverse();
    parts.join(",")
}

fn pair(pair: &AttributeTypeAndValue) -> String {
    match keyword(&pair.oid) {
        Some(keyword) if is_string(pair.value.tag()) => {
            format!("{keyword}={}", escaped(&decoded(pair.value.value())))
        }
        keyword => {
            let der = pair.value.to_der().unwrap_or_default();
            let hex: String = der.iter().map(|byte| format!("{byte:02x}")).collect();
            let number = pair.oid.to_string();
            format!("{}=#{hex}", keyword.unwrap_or(&number))
        }
    }
}

fn keyword(oid: &ObjectIdentifier) -> Option<&'static str> {
    let number = oid.to_string();
    KEYWORDS.iter().find(|(known, _)| *known == number).map(|(_, keyword)| *keyword)
}

fn is_string(tag: Tag) -> bool {
    matches!(
        tag,
        Tag::Utf8String
            | Tag::PrintableString
            | Tag::TeletexString
            | Tag::Ia5String
            | Tag::GeneralString
            | Tag::BmpString
    )
}

/// UTF-8; what is none becomes U+FFFD. For a surrogate in three bytes Java writes one of them, where
/// Rust's library writes three.
fn decoded(octets: &[u8]) -> String {
    let mut octets = octets.to_vec();
    for at in 2..octets.len() {
        if matches!(octets[at - 2..=at], [0xed, 0xa0..=0xbf, 0x80..=0xbf]) {
            octets[at - 2..=at].copy_from_slice("\u{fffd}".as_bytes());
        }
    }
    String::from_utf8_lossy(&octets).into_owned()
}

fn escaped(text: &str) -> String {
    let padding = |c: char| c == ' ' || c == '\r';
    let begin = text.len() - text.trim_start_matches(padding).len();
    let end = text.trim_end_matches(padding).len();
    let mut out = String::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        let at_edge = at < begin || at >= end;
        match c {
            '\0' => out.push_str("\\00"),
            ',' | '=' | '+' | '<' | '>' | '#' | ';' | '"' | '\\' => out.extend(['\\', c]),
            c if at_edge && padding(c) => out.extend(['\\', c]),
            c => out.push(c),
        }
    }
    out
}
