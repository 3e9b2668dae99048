//! Names of certificates, judged by Java: an endorsement has them as Java writes them.

use std::fs;

use stratus::metadata::certificate::Certificate;
use x509_cert::der::{Any, Decode, Encode, Tag};

use crate::tools::{run, testdata, text};

/// Numbers of types: those with a keyword, and others (emailAddress, title, SN, GN, serialNumber).
const TYPES: [&str; 14] = [
    "2.5.4.3",
    "2.5.4.6",
    "2.5.4.7",
    "2.5.4.8",
    "2.5.4.9",
    "2.5.4.10",
    "2.5.4.11",
    "0.9.2342.19200300.100.1.25",
    "0.9.2342.19200300.100.1.1",
    "1.2.840.113549.1.9.1",
    "2.5.4.12",
    "2.5.4.4",
    "2.5.4.42",
    "2.5.4.5",
];
/// UTF8String, NumericString, PrintableString, TeletexString, IA5String, VisibleString,
/// GeneralString, BMPString; and OCTET STRING.
const TAGS: [u8; 9] = [12, 18, 19, 20, 22, 26, 27, 30, 4];

const VALUES: [&[u8]; 26] = [
    b"Jane Tester",
    b"",
    b" ",
    b"  ",
    b" spaced ",
    b"\r\r",
    b"\ra\r",
    b"a\nb\t",
    b"#lead",
    b"in#side",
    b"a=b",
    b"a,b;c+d<e>f\"g\\h",
    b"EU",
    b"\0",
    b"a\0b",
    "Jané \"Q\"; x".as_bytes(),
    "Grün 😀 \u{10ffff}".as_bytes(),
    b"Gr\xfcn",
    b"\0G\0r\0\xfc\0n",
    b"\xed\xa0\x80",
    b"\xf8\x88\x80\x80\x80",
    b"\xe2\x82",
    b"\xf0\x90\x80x",
    b"\xc0\x80",
    b"\x01\x7f",
    b"\xa0nbsp\xc2\xa0",
];

fn sequence(tag: u8, parts: &[Vec<u8>]) -> Vec<u8> {
    let tag = if tag == 0x31 { Tag::Set } else { Tag::Sequence };
    Any::new(tag, parts.concat()).unwrap().to_der().unwrap()
}

fn pair(oid: &str, tag: u8, value: &[u8]) -> Vec<u8> {
    let oid = x509_cert::spki::ObjectIdentifier::new(oid).unwrap().to_der().unwrap();
    let mut coded = vec![tag, u8::try_from(value.len()).unwrap()];
    coded.extend_from_slice(value);
    sequence(0x30, &[oid, coded])
}

/// A name of some parts, each of some pairs, which DER sorts.
fn random(numbers: &mut fastrand::Rng) -> Vec<u8> {
    let parts: Vec<Vec<u8>> = (0..numbers.usize(1..4))
        .map(|_| {
            let several = if numbers.u8(..4) == 0 { 3 } else { 1 };
            let mut pairs: Vec<Vec<u8>> = (0..several)
                .map(|_| {
                    let tag = if numbers.bool() { 12 } else { TAGS[numbers.usize(..TAGS.len())] };
                    let oid = TYPES[numbers.usize(..TYPES.len())];
                    pair(oid, tag, VALUES[numbers.usize(..VALUES.len())])
                })
                .collect();
            pairs.sort();
            pairs.dedup();
            sequence(0x31, &pairs)
        })
        .collect();
    sequence(0x30, &parts)
}

/// Jane's certificate with another subject. Nobody here looks at the signature of an issuer.
fn certificate(subject: &[u8]) -> Vec<u8> {
    let pem = fs::read(testdata("jane.pem")).unwrap();
    let pem = String::from_utf8(pem).unwrap();
    let jane = &pem[pem.find("-----BEGIN CERTIFICATE").unwrap()..];
    let whole =
        x509_cert::Certificate::load_pem_chain(jane.as_bytes()).unwrap()[0].to_der().unwrap();
    let outer: Vec<Any> = Vec::from_der(&whole).unwrap();
    let content: Vec<Any> = Vec::from_der(&outer[0].to_der().unwrap()).unwrap();
    let mut parts: Vec<Vec<u8>> = content.iter().map(|part| part.to_der().unwrap()).collect();
    // Version, serial number, algorithm, issuer, validity, subject (RFC 5280, section 4.1).
    parts[5] = subject.to_vec();
    let rest = outer[1..].iter().map(|part| part.to_der().unwrap());
    let all: Vec<Vec<u8>> = std::iter::once(sequence(0x30, &parts)).chain(rest).collect();
    sequence(0x30, &all)
}

#[test]
fn names_are_written_as_java_writes_them() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut numbers = fastrand::Rng::with_seed(seed);
    let mut names: Vec<Vec<u8>> = Vec::new();
    // Every value in every type of string, then whatever comes.
    for tag in TAGS {
        for value in VALUES {
            names.push(sequence(0x30, &[sequence(0x31, &[pair("2.5.4.3", tag, value)])]));
        }
    }
    for oid in TYPES {
        names.push(sequence(0x30, &[sequence(0x31, &[pair(oid, 19, b"A b")])]));
    }
    names.push(sequence(0x30, &[]));
    names.extend((0..300).map(|_| random(&mut numbers)));
    let folder = tempfile::tempdir().unwrap();
    let path = |i: usize| folder.path().join(format!("{i:04}"));
    for (i, name) in names.iter().enumerate() {
        fs::write(path(i), certificate(name)).unwrap();
    }
    let oracle = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/signature/Names.java");
    let said = run("java", &["-XX:TieredStopAtLevel=1", oracle, text(folder.path())]);
    let mut compared = 0;
    for line in said.lines() {
        let (file, hex) = line.split_once('\t').unwrap();
        let der = fs::read(folder.path().join(file)).unwrap();
        let ours = Certificate::from_der(&der).map(|c| c.subject().to_owned());
        if hex == "refused" {
            continue;
        }
        let java =
            (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap());
        let java = String::from_utf8(java.collect()).unwrap();
        match ours {
            Ok(ours) => assert_eq!(ours, java, "{file}: {der:02x?}"),
            Err(e) => panic!("{file}: {e}, Java says {java}"),
        }
        compared += 1;
    }
    assert!(compared > names.len() / 2, "Java refused most: {compared} of {}", names.len());
    println!("{compared} of {}", names.len());
}

/// The names of the examples in RFC 2253 and in endorsements of StratusLab's time.
#[test]
fn names_of_that_time() {
    let name = |pairs: &[&[Vec<u8>]]| {
        let parts: Vec<Vec<u8>> = pairs.iter().map(|part| sequence(0x31, part)).collect();
        Certificate::from_der(&certificate(&sequence(0x30, &parts))).unwrap().subject().to_owned()
    };
    let (c, o, ou, cn) = ("2.5.4.6", "2.5.4.10", "2.5.4.11", "2.5.4.3");
    let dc = "0.9.2342.19200300.100.1.25";
    assert_eq!(
        name(&[
            &[pair(c, 19, b"EU")],
            &[pair(o, 12, b"StratusLab Project")],
            &[pair(ou, 12, b"Testing Department")],
            &[pair(cn, 12, b"Jane Tester")]
        ]),
        "CN=Jane Tester,OU=Testing Department,O=StratusLab Project,C=EU"
    );
    assert_eq!(
        name(&[
            &[pair(dc, 22, b"org")],
            &[pair(dc, 22, b"example")],
            &[pair(cn, 12, b"Jane Tester")],
            &[pair("1.2.840.113549.1.9.1", 22, b"jane@example.org")]
        ]),
        "1.2.840.113549.1.9.1=#16106a616e65406578616d706c652e6f7267,CN=Jane Tester,DC=example,DC=org"
    );
    assert_eq!(
        name(&[&[pair(o, 12, b"O1"), pair(ou, 12, b"U1")], &[pair(cn, 12, b" spaced ")]]),
        "CN=\\ spaced\\ ,O=O1+OU=U1"
    );
}

/// UniversalString is the one type of string that is not read: nobody has seen one in a name.
#[test]
fn a_universal_string_is_refused() {
    let name = sequence(0x30, &[sequence(0x31, &[pair("2.5.4.3", 28, b"\0\0\0J")])]);
    let error = Certificate::from_der(&certificate(&name)).unwrap_err();
    assert_eq!(error.code(), "certificate-damaged");
}
