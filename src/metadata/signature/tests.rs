use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;
use crate::metadata::keys::Endorser;

const NOW: u64 = 1_893_499_200;
const CREATED: &str = "2030-01-01T12:00:00Z";

fn endorser(name: &str) -> Endorser {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("testdata/keys/{name}.pem"));
    let file = fs::read(path).unwrap();
    Endorser::from_pem(&file, &file, None).unwrap()
}

fn options(profile: Profile) -> Options {
    Options { profile, sha256_digest: false, created: CREATED.into(), email: None }
}

const HEAD: &str = r##"<?xml version="1.0" encoding="UTF-8" standalone="no"?>
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"
    xmlns:dcterms="http://purl.org/dc/terms/" xmlns:slterms="http://mp.stratuslab.eu/slterms#"
    xmlns:slreq="http://mp.stratuslab.eu/slreq#" xml:base="http://mp.stratuslab.eu/">
  <rdf:Description rdf:about="#MMZu9WvwKIro-rtBQfDk4PsKO7_">
    <dcterms:identifier>MMZu9WvwKIro-rtBQfDk4PsKO7_</dcterms:identifier>
    <slreq:bytes>1024</slreq:bytes>
    <slreq:checksum rdf:parseType="Resource">
      <slreq:algorithm>SHA-1</slreq:algorithm>
      <slreq:value>c319bbd5afc0a22ba3eaed0507c39383ec28eeff</slreq:value>
    </slreq:checksum>
"##;
const EMPTY: &str = "<slreq:endorsement rdf:parseType=\"Resource\"/>";
const TAIL: &str = "
    <dcterms:type>base</dcterms:type>
    <dcterms:created>2020-01-01T00:00:00Z</dcterms:created>
    <dcterms:title>Grün &amp; \t 😀 <![CDATA[<x>]]><!-- seen by nobody --></dcterms:title>
  </rdf:Description>
</rdf:RDF>
";

fn unsigned() -> String {
    format!("{HEAD}    {EMPTY}{TAIL}")
}

fn signed(profile: Profile) -> String {
    sign(&unsigned(), &endorser("jane"), &options(profile)).unwrap()
}

fn code(document: &str) -> &'static str {
    match verify(document.as_bytes(), NOW) {
        Ok(_) => "ok",
        Err(e) => e.code(),
    }
}

#[test]
fn what_is_signed_is_verified() {
    let profiles =
        [(Profile::Stratuslab, "rsa-sha1", "sha1"), (Profile::Modern, "rsa-sha256", "sha256")];
    for (profile, signature_method, digest_method) in profiles {
        let verified = verify(signed(profile).as_bytes(), NOW).unwrap();
        assert_eq!(verified.signature_method, signature_method);
        assert_eq!(verified.digest_method, digest_method);
        assert_eq!(verified.subject, "CN=Jane Tester,O=Example,C=EU");
        assert_eq!(verified.issuer, verified.subject);
        assert_eq!(verified.email, "jane.tester@example.org");
        assert_eq!(verified.created, CREATED);
        assert_eq!(verified.certificate, *endorser("jane").certificate());
        let octets = String::from_utf8(verified.octets).unwrap();
        assert!(octets.starts_with("<rdf:RDF xmlns:dcterms=") && octets.ends_with("</rdf:RDF>"));
        assert!(octets.contains("<dcterms:title>Grün &amp; \t 😀 &lt;x&gt;</dcterms:title>"));
        assert!(!octets.contains("Signature") && !octets.contains("<!--"));
        let codes: Vec<_> = verified.warnings.iter().map(|w| w.code).collect();
        let sha1: &[&str] =
            if profile == Profile::Modern { &[] } else { &["signature-sha1", "digest-sha1"] };
        assert_eq!(codes, sha1);
    }
    let options = Options { sha256_digest: true, ..options(Profile::Stratuslab) };
    let text = sign(&unsigned(), &endorser("jane"), &options).unwrap();
    let verified = verify(text.as_bytes(), NOW).unwrap();
    assert_eq!((verified.signature_method, verified.digest_method), ("rsa-sha1", "sha256"));
}

/// The exact form of 2011.
#[test]
fn the_layout_is_that_of_the_reference() {
    let text = signed(Profile::Stratuslab);
    let endorsement = "<slreq:endorsement rdf:parseType=\"Resource\">
      <dcterms:created>2030-01-01T12:00:00Z</dcterms:created>
      <slreq:endorser rdf:parseType=\"Resource\">
        <slreq:email>jane.tester@example.org</slreq:email>
        <slreq:subject>CN=Jane Tester,O=Example,C=EU</slreq:subject>
        <slreq:issuer>CN=Jane Tester,O=Example,C=EU</slreq:issuer>
      </slreq:endorser>
    </slreq:endorsement>";
    let before = format!("{HEAD}    {endorsement}{}", TAIL.strip_suffix("</rdf:RDF>\n").unwrap());
    let block = text.strip_prefix(&before).unwrap().strip_suffix("</rdf:RDF>\n").unwrap();
    let expected = "<Signature xmlns=\"http://www.w3.org/2000/09/xmldsig#\"><SignedInfo>\
        <CanonicalizationMethod Algorithm=\"http://www.w3.org/TR/2001/REC-xml-c14n-20010315#WithComments\"/>\
        <SignatureMethod Algorithm=\"http://www.w3.org/2000/09/xmldsig#rsa-sha1\"/><Reference URI=\"\">\
        <Transforms><Transform Algorithm=\"http://www.w3.org/2000/09/xmldsig#enveloped-signature\"/></Transforms>\
        <DigestMethod Algorithm=\"http://www.w3.org/2000/09/xmldsig#sha1\"/><DigestValue>@</DigestValue></Reference>\
        </SignedInfo><SignatureValue>@</SignatureValue>\
        <KeyInfo><X509Data><X509Certificate>@</X509Certificate></X509Data></KeyInfo></Signature>";
    let mut rest = block;
    for piece in expected.split('@') {
        let at = rest.find(piece).unwrap_or_else(|| panic!("{piece} in {rest}"));
        let base64 = &rest[..at];
        assert!(base64.lines().all(|l| l.len() <= 76), "{base64}");
        let whole = base64.lines().rev().skip(1);
        assert!(whole.clone().all(|l| l.len() == 76) && !base64.ends_with('\n'), "{base64}");
        rest = &rest[at + piece.len()..];
    }
    assert_eq!(rest, "");
}

#[test]
fn signing_again_gives_the_same_and_drops_what_was_there() {
    for profile in [Profile::Stratuslab, Profile::Modern] {
        let once = signed(profile);
        assert_eq!(once, signed(profile));
        assert_eq!(sign(&once, &endorser("jane"), &options(profile)).unwrap(), once);
        let other = sign(&once, &endorser("mallory"), &options(profile)).unwrap();
        assert!(!other.contains("jane"));
        assert_eq!(verify(other.as_bytes(), NOW).unwrap().email, "mallory@example.org");
        assert_eq!(sign(&other, &endorser("jane"), &options(profile)).unwrap(), once);
    }
}

#[test]
fn all_endorsements_but_the_last_are_dropped() {
    let old = "<slreq:endorsement rdf:parseType='Resource'><dcterms:created>x</dcterms:created></slreq:endorsement>";
    let text = format!("{HEAD}{old}\n    {old}\n    <!-- {old} -->{old}{TAIL}");
    let text = sign(&text, &endorser("jane"), &options(Profile::Modern)).unwrap();
    let begin = format!(
        "{HEAD}\n    \n    <!-- {old} --><slreq:endorsement rdf:parseType=\"Resource\"><dcterms:created>2030"
    );
    assert!(text.starts_with(&begin), "{text}");
    assert_eq!(code(&text), "ok");
}

#[test]
fn an_entry_without_place_for_an_endorsement_is_not_signed() {
    let refused =
        |text: &str| sign(text, &endorser("jane"), &options(Profile::Modern)).unwrap_err().code();
    assert_eq!(refused(&unsigned().replace(EMPTY, "")), "signature-endorsement");
    let two =
        unsigned().replace("<dcterms:title>", "<slreq:email>x@y</slreq:email><dcterms:title>");
    assert_eq!(refused(&two), "signature-endorsement");
    assert_eq!(refused("<a/>"), "signature-description");
    assert_eq!(refused(""), "xml-syntax");
    assert_eq!(refused(&unsigned().replace("rdf:RDF", "rdf:rdf")), "signature-root");
    let description = "<rdf:Description rdf:about='#x'/></rdf:RDF>";
    assert_eq!(refused(&unsigned().replace("</rdf:RDF>", description)), "signature-description");
    let foreign = "<Signature xmlns='urn:x'/></rdf:RDF>";
    assert_eq!(refused(&unsigned().replace("</rdf:RDF>", foreign)), "signature-several");
    let error = sign(
        &unsigned(),
        &endorser("jane"),
        &Options { created: "now".into(), ..options(Profile::Modern) },
    );
    assert_eq!(error.unwrap_err().code(), "date");
}

#[test]
fn other_prefixes_and_shapes_are_signed_as_well() {
    // As Python's ElementTree and as Java's DOM write it.
    let renamed = unsigned().replace("slreq:", "ns1:").replace("xmlns:slreq", "xmlns:ns1");
    let text = sign(&renamed, &endorser("jane"), &options(Profile::Stratuslab)).unwrap();
    assert!(
        text.contains("<slreq:endorsement xmlns:slreq=\"http://mp.stratuslab.eu/slreq#\" rdf:")
    );
    let one_line = unsigned().replace(['\n', '\t'], "");
    let crlf = unsigned().replace('\n', "\r\n");
    let cr = unsigned().replace('\n', "\r").replace("Grün ", "\r&#13;Grün&#13;\r");
    let marked = format!("\u{feff}{}", unsigned());
    let filled = unsigned().replace(EMPTY, "<slreq:endorsement><a xmlns=''/></slreq:endorsement >");
    let spaced = unsigned().replace("</rdf:RDF>", "</rdf:RDF\n>");
    for text in [one_line, crlf, cr, marked, filled, spaced] {
        let text = sign(&text, &endorser("jane"), &options(Profile::Modern)).unwrap();
        assert_eq!(code(&text), "ok", "{text}");
    }
}

#[test]
fn the_address_of_the_certificate_wins() {
    let email = |name: &str, given: Option<&str>| {
        let options = Options { email: given.map(str::to_owned), ..options(Profile::Modern) };
        match sign(&unsigned(), &endorser(name), &options) {
            Ok(text) => verify(text.as_bytes(), NOW).unwrap().email,
            Err(e) => e.code().to_owned(),
        }
    };
    assert_eq!(email("jane", Some("other@example.org")), "jane.tester@example.org");
    assert_eq!(email("two-emails", None), "first@example.org");
    assert_eq!(email("no-email", Some("other@example.org")), "other@example.org");
    assert_eq!(email("no-email", None), "signature-no-email");
    assert_eq!(email("no-email", Some("jörg@example.org")), "signature-email");
    assert_eq!(email("no-email", Some("<a@b>")), "signature-email");
}

#[test]
fn what_a_reader_should_know_is_warned_of() {
    let warnings = |name: &str, now| {
        let email = Some("jane@example.org".into());
        let options = Options { email, ..options(Profile::Modern) };
        let text = sign(&unsigned(), &endorser(name), &options).unwrap();
        let verified = verify(text.as_bytes(), now).unwrap();
        verified.warnings.iter().map(|w| w.code).collect::<Vec<_>>()
    };
    assert_eq!(warnings("jane", NOW), [""; 0]);
    assert_eq!(warnings("jane", 0), ["certificate-not-yet-valid"]);
    assert_eq!(warnings("jane", u64::MAX), ["certificate-expired"]);
    assert_eq!(warnings("expired", NOW), ["certificate-expired", "email-unproven"]);
    assert_eq!(warnings("weak", NOW), ["weak-key", "email-unproven"]);
    assert_eq!(warnings("only-encipherment", NOW), ["certificate-usage", "email-unproven"]);
}

#[test]
fn another_endorser_than_the_certificate_is_refused() {
    // The digest is made over the forged endorsement: only the comparison can find it.
    let forge = |from: &str, to: &str| {
        let forged = signed(Profile::Modern).replace(from, to);
        let end = forged.find("<Signature ").unwrap();
        let unsigned = format!("{}</rdf:RDF>\n", &forged[..end]);
        code(&sign::appended(&unsigned, &endorser("jane"), &options(Profile::Modern)).unwrap())
    };
    assert_eq!(forge("x", "x"), "ok");
    assert_eq!(forge("<slreq:email>jane", "<slreq:email>june"), "signature-endorser");
    assert_eq!(forge("<slreq:subject>CN=Jane", "<slreq:subject>CN=June"), "signature-endorser");
    assert_eq!(forge("<slreq:issuer>CN=Jane", "<slreq:issuer>CN=June"), "signature-endorser");
    assert_eq!(forge("<slreq:issuer>CN", "<slreq:issuer>\nCN"), "signature-endorser");
    for (from, to) in [
        ("<slreq:email>jane", "<slreq:email><?p?>jane"),
        ("<slreq:email>jane", "<slreq:email><b/>jane"),
        ("<slreq:email>jane.tester@example.org", "<slreq:email>"),
        ("<dcterms:type>", "<slreq:email>first@example.org</slreq:email><dcterms:type>"),
        ("<slreq:endorser ", "<slreq:endorser rdf:parseType='Resource'/><slreq:endorser "),
        ("</slreq:issuer>", "</slreq:issuer><slreq:issuer>CN=x</slreq:issuer>"),
        ("</slreq:endorser>", "</slreq:endorser><dcterms:created/>"),
        ("slreq:endorsement", "slreq:endorsment"),
    ] {
        assert_eq!(forge(from, to), "signature-endorsement", "{to}");
    }
}

/// Where the covered octets are in the text: all of it but the XML declaration, comments, and the
/// signature.
#[test]
fn no_changed_byte_passes() {
    let text = signed(Profile::Modern);
    let begin = text.find("<rdf:RDF").unwrap();
    let block = text.find("<Signature ").unwrap();
    let end = text.len() - 1;
    let step = if std::env::var_os("STRATUS_FULL").is_some() { 1 } else { 7 };
    let comment = text.find("<!--").unwrap()..text.find("-->").unwrap() + 3;
    for at in (begin..end).step_by(step).filter(|at| !comment.contains(at)) {
        for flip in [1, 0x20] {
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= flip;
            // White space within tags is not covered.
            let blank = |b: u8| b.is_ascii_whitespace();
            if blank(bytes[at]) && blank(text.as_bytes()[at]) {
                continue;
            }
            let verified = verify(&bytes, NOW);
            assert!(
                verified.is_err(),
                "byte {at} ({}), signature from {block}: {}",
                flip,
                String::from_utf8_lossy(&bytes[at.saturating_sub(20)..(at + 20).min(end)])
            );
        }
    }
}

#[test]
fn no_part_of_a_document_passes() {
    let text = signed(Profile::Modern);
    let whole = text.trim_end().len();
    for end in 0..whole {
        assert!(verify(&text.as_bytes()[..end], NOW).is_err(), "{end}");
    }
    assert!(verify(&text.as_bytes()[..whole], NOW).is_ok());
}

#[test]
fn profiles_have_names() {
    for profile in [Profile::Stratuslab, Profile::Modern] {
        assert_eq!(profile.to_string().parse::<Profile>().unwrap(), profile);
    }
    let error = "Modern".parse::<Profile>().unwrap_err();
    assert_eq!(error.code(), "signature-profile");
    assert!(error.message().contains("stratuslab or modern"), "{error}");
    let error = verify(unsigned().as_bytes(), NOW).unwrap_err();
    assert_eq!(error.code(), "signature-missing");
    assert!(error.advice().unwrap().contains("metadata sign"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever stands in a title, it is signed, verified, and given back.
    #[test]
    fn any_text_is_signed(title in "[^\u{0}-\u{8}\u{b}\u{c}\u{e}-\u{1f}\u{fffe}\u{ffff}\r]{0,40}") {
        let escaped = title.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        let text = unsigned().replace("Grün", &escaped);
        let text = sign(&text, &endorser("jane"), &options(Profile::Modern)).unwrap();
        let octets = verify(text.as_bytes(), NOW).unwrap().octets;
        prop_assert!(String::from_utf8(octets).unwrap().contains(&escaped));
    }

    /// Whatever is done to a document, it harms nobody, and if it is accepted nothing else is read.
    #[test]
    fn a_document_that_was_tampered_with_says_nothing_else(
        at in any::<prop::sample::Index>(),
        length in 0usize..200,
        with in prop::collection::vec(any::<u8>(), 0..20),
        from in any::<prop::sample::Index>(),
        copied in 0usize..2000,
    ) {
        static SIGNED: LazyLock<String> = LazyLock::new(|| signed(Profile::Modern));
        static OCTETS: LazyLock<Vec<u8>> =
            LazyLock::new(|| verify(SIGNED.as_bytes(), NOW).unwrap().octets);
        let text: &str = &SIGNED;
        let mut bytes = text.as_bytes().to_vec();
        let at = at.index(bytes.len());
        bytes.splice(at..(at + length).min(text.len()), with);
        // A piece of the document once more, somewhere else.
        let from = from.index(text.len());
        let mut doubled = text.as_bytes().to_vec();
        doubled.splice(at..at, text.bytes().skip(from).take(copied));
        for changed in [bytes, doubled] {
            if let Ok(verified) = verify(&changed, NOW) {
                prop_assert_eq!(&verified.octets, &*OCTETS);
            }
        }
    }

    /// Certificates come from anybody, too.
    #[test]
    fn a_broken_certificate_harms_nobody(
        at in any::<prop::sample::Index>(),
        length in 0usize..20,
        with in prop::collection::vec(any::<u8>(), 0..20),
    ) {
        let mut der = endorser("jane").certificate().der().to_vec();
        let at = at.index(der.len());
        let end = (at + length).min(der.len());
        der.splice(at..end, with);
        let _ = Certificate::from_der(&der);
    }
}

/// It has no canonical form that all agree on.
#[test]
fn a_relative_name_of_a_namespace_is_refused() {
    for name in ["x", "/x", "../x", "1a:x", "?a:b"] {
        let unsigned =
            unsigned().replace("<dcterms:type>", &format!("<dcterms:type xmlns:a=\"{name}\">"));
        let error = sign(&unsigned, &endorser("jane"), &options(Profile::Modern)).unwrap_err();
        assert_eq!((error.kind(), error.code()), (Kind::Refused, "signature-namespace"), "{name}");
    }
    let none =
        unsigned().replace("<dcterms:title>", "<dcterms:title xmlns=\"\" xmlns:a=\"urn:x\">");
    sign(&none, &endorser("jane"), &options(Profile::Modern)).unwrap();
}
