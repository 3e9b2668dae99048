//! Manifests before the original's own validator, its schemas in xmllint, and whatever a random
//! change makes of them.

#[path = "metadata/judge.rs"]
mod judge;
#[path = "metadata/mutants.rs"]
mod mutants;

use std::collections::BTreeMap;

use judge::{STAGES, judge};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use stratus::digest::Algorithm;
use stratus::metadata::validate::{Report, validate};
use stratus::metadata::{EditFact, Endorsement, FileFacts, Manifest};

/// 2026-11-23T14:00:00Z.
const NOW: u64 = 1_795_442_400;

/// Every element filled, in a form in which [`FLAWS`] finds its places.
fn full() -> Manifest {
    let some = |text: &str| Some(text.to_owned());
    let several = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    let sums = [(Algorithm::Md5, 32), (Algorithm::Sha1, 40), (Algorithm::Sha256, 64)];
    Manifest {
        bytes: 1024,
        checksums: sums.map(|(algorithm, digits)| (algorithm, "1f".repeat(digits / 2))).into(),
        endorsement: Some(Endorsement {
            created: "2026-11-23T12:00:00Z".into(),
            email: "jane@example.org".into(),
            subject: "CN=Jane".into(),
            issuer: "CN=CA".into(),
        }),
        type_: "base".into(),
        kind: some("machine"),
        created: some("2026-11-23T11:00:00Z"),
        valid: some("2027-05-20T11:00:00Z"),
        creator: some("Jane"),
        publisher: some("Nobody"),
        title: some("Title"),
        description: some("Words"),
        alternative: some("tag"),
        format: some("raw"),
        compression: some("gz"),
        os: some("debian"),
        os_version: some("12"),
        os_arch: some("x86_64"),
        version: some("1.0"),
        serial_number: some("7"),
        deprecated: some("old"),
        locations: several(&["http://h/x.img.gz"]),
        hypervisors: several(&["kvm"]),
        disks_bus: several(&["virtio"]),
        inbound_ports: vec![22],
        outbound_ports: vec![80],
        icmp: vec![8],
        replaces: some("B"),
        is_replaced_by: some("C"),
        is_version_of: some("D"),
        file: Some(FileFacts {
            name: "x.img.gz".into(),
            bytes: 99,
            md5: Some("2".repeat(32)),
            sha256: Some("3".repeat(64)),
        }),
        edits: vec![EditFact { name: "n".into(), path: "/p".into(), action: "a".into() }],
    }
}

const ID: &str = "B8fHx8fHx8fHx8fHx8fHx8fHx8f";

/// One change each, and the stages that fail then; `(rdf)` fails only with us.
const FLAWS: &[(&str, &str, &str)] = &[
    // The root.
    (" xml:base=\"http://mp.stratuslab.eu/\"", "", "schema constraints"),
    (
        "xml:base=\"http://mp.stratuslab.eu/\"",
        "xml:base=\"http://mp.stratuslab.eu\"",
        "constraints",
    ),
    ("xml:base=\"http://mp.stratuslab.eu/\"", "xml:base=\"%\"", "schema constraints (rdf)"),
    ("xml:base=", "xml:lang=\"en\" xml:base=", "schema"),
    ("</rdf:RDF>", "text</rdf:RDF>", "schema (rdf)"),
    ("</rdf:RDF>", "<!-- comment --></rdf:RDF>", ""),
    ("</rdf:RDF>", "<x:y xmlns:x=\"urn:x\"/></rdf:RDF>", "schema"),
    ("</rdf:RDF>", "<Signature xmlns=\"http://www.w3.org/2000/09/xmldsig#\"/></rdf:RDF>", ""),
    (
        "</rdf:RDF>",
        "<Signature xmlns=\"http://www.w3.org/2000/09/xmldsig#\">?<a/></Signature>\
         <Signature xmlns=\"http://www.w3.org/2000/09/xmldsig#\"/></rdf:RDF>",
        "schema",
    ),
    ("</rdf:RDF>", "<rdf:Description rdf:about=\"#x\"/></rdf:RDF>", "schema"),
    // The description.
    (" rdf:about=\"#B8fH", " rdf:about=\"B8fH", "schema constraints"),
    (" rdf:about=\"#B8fH", " about=\"#B8fH", "schema constraints"),
    (" rdf:about=\"#B8fH", " rdf:about=\"#C8fH", "constraints"),
    (" rdf:about=\"#B8fH", " rdf:about=\"#B8f", "schema constraints"),
    (" rdf:about=", " xml:lang=\"en\" rdf:about=", "schema"),
    (" rdf:about=", " slterms:os=\"x\" rdf:about=", "schema"),
    ("<dcterms:title>", "text<dcterms:title>", "schema (rdf)"),
    // The identifier.
    (
        "<dcterms:identifier>B8fHx8fHx8fHx8fHx8fHx8fHx8f</dcterms:identifier>",
        "",
        "schema constraints",
    ),
    ("identifier>B8fH", "identifier>C8fH", "constraints"),
    ("identifier>B8fH", "identifier> B8fH", "constraints"),
    ("<dcterms:identifier>", "<dcterms:identifier xml:lang=\"en\">", ""),
    ("<dcterms:identifier>", "<dcterms:identifier xml:lang=\"e n\">", "schema (rdf)"),
    ("dcterms:identifier>", "dcterms:bibliographicCitation>", "constraints"),
    // The size.
    ("<slreq:bytes>1024</slreq:bytes>", "", "schema"),
    ("<slreq:bytes>1024", "<slreq:bytes>", "schema"),
    ("<slreq:bytes>1024", "<slreq:bytes>1k", "schema"),
    ("<slreq:bytes>1024", "<slreq:bytes>-1", "schema"),
    ("<slreq:bytes>1024", "<slreq:bytes> +0 ", ""),
    ("<slreq:bytes>1024", "<slreq:bytes>1<!-- -->0", ""),
    ("<slreq:bytes>1024", "<slreq:bytes rdf:datatype=\"urn:x\">1024", "schema"),
    (
        "<slreq:bytes>1024</slreq:bytes>",
        "<slreq:bytes>1</slreq:bytes><slreq:bytes>1</slreq:bytes>",
        "schema",
    ),
    // Checksums.
    ("<slreq:checksum rdf:parseType=\"Resource\">", "<slreq:checksum>", "rdf"),
    (
        "<slreq:checksum rdf:parseType=\"Resource\">",
        "<slreq:checksum rdf:parseType=\"Literal\">",
        "schema",
    ),
    (
        "<slreq:checksum rdf:parseType=\"Resource\">",
        "<slreq:checksum parseType=\"Resource\">",
        "schema",
    ),
    ("<slreq:algorithm>MD5</slreq:algorithm>", "", "schema"),
    ("<slreq:algorithm>MD5", "<slreq:algorithm>SHA-1", "constraints"),
    ("<slreq:algorithm>MD5", "<slreq:algorithm>", ""),
    ("<slreq:algorithm>SHA-1", "<slreq:algorithm>SHA1", "constraints"),
    ("<slreq:algorithm>SHA-1", "<slreq:algorithm> SHA-1", "constraints"),
    ("<slreq:value>1f1f", "<slreq:value>1f1g", "schema"),
    ("<slreq:value>1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f<", "<slreq:value><", "schema"),
    ("<slreq:value>1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f<", "<slreq:value>1F<", ""),
    ("<slreq:value>1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f<", "<slreq:value>1f<", "constraints"),
    (
        "<slreq:value>1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f<",
        "<slreq:value>001F1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f<",
        "",
    ),
    // The endorsement.
    ("<dcterms:created>2026-11-23T12:00:00Z</dcterms:created>", "", "schema"),
    ("2026-11-23T12:00:00Z", "2026-02-29T12:00:00Z", "constraints"),
    ("2026-11-23T12:00:00Z", "2026-11-23T12:00:00.0Z", "constraints"),
    ("2026-11-23T12:00:00Z", "2026-11-23T12:00:00+00:00", "constraints"),
    ("2026-11-23T12:00:00Z", "2026-11-23T24:00:00Z", "constraints"),
    ("2026-11-23T12:00:00Z", "0000-11-23T12:00:00Z", "constraints"),
    ("2026-11-23T12:00:00Z", "", ""),
    ("<slreq:email>jane@example.org</slreq:email>", "", "schema"),
    ("jane@example.org", "jane", "schema"),
    ("jane@example.org", "jané@example.org", "schema"),
    ("jane@example.org", " jane@example.org", "schema"),
    ("<slreq:subject>CN=Jane</slreq:subject>", "", "schema"),
    ("<slreq:issuer>CN=CA</slreq:issuer>", "", "schema"),
    ("<slreq:issuer>CN=CA</slreq:issuer>", "<slreq:issuer/><slreq:issuer/>", ""),
    ("<slreq:issuer>CN=CA</slreq:issuer>", "<slreq:issuer/><dcterms:title/>", "schema"),
    ("<slreq:endorser rdf:parseType=\"Resource\">", "<slreq:endorser>", "rdf"),
    // What has to be there once.
    ("<dcterms:type>base</dcterms:type>", "", "constraints"),
    ("<dcterms:type>base", "<dcterms:type><rdf:type/>", "schema constraints"),
    ("<dcterms:type>", "<dcterms:type>1</dcterms:type><dcterms:type>", "constraints"),
    ("<dcterms:type>base", "<dcterms:type>", ""),
    ("<slterms:os>", "<slterms:os>1</slterms:os><slterms:os>", "constraints"),
    ("<slterms:os-arch>", "<slterms:os-arch>1</slterms:os-arch><slterms:os-arch>", "constraints"),
    ("<slterms:os-version>", "<slterms:os-version/><slterms:os-version>", "constraints"),
    ("<slterms:version>", "<slterms:version/><slterms:version>", "constraints"),
    ("<slterms:deprecated>", "<slterms:deprecated/><slterms:deprecated>", "constraints"),
    (
        "<slterms:serial-number>",
        "<slterms:serial-number>1</slterms:serial-number><slterms:serial-number>",
        "constraints",
    ),
    // Values.
    ("<slterms:serial-number>7", "<slterms:serial-number>seven", "schema"),
    ("<slterms:serial-number>7", "<slterms:serial-number>-0", ""),
    ("<slterms:inbound-port>22", "<slterms:inbound-port>65536", "schema"),
    ("<slterms:inbound-port>22", "<slterms:inbound-port> 065535 ", ""),
    ("<slterms:outbound-port>80", "<slterms:outbound-port>http", "schema"),
    ("<slterms:icmp>8", "<slterms:icmp>256", "schema"),
    ("<slterms:icmp>8", "<slterms:icmp>", "schema"),
    ("<slterms:location>http://h/x.img.gz", "<slterms:location>", ""),
    ("<slterms:location>http://h/x.img.gz", "<slterms:location>http://h/a b", ""),
    ("<slterms:location>http://h/x.img.gz", "<slterms:location>http://h/%", "schema"),
    ("2027-05-20T11:00:00Z", "2027-05-20", "constraints"),
    ("2027-05-20T11:00:00Z", "", ""),
    ("<dcterms:valid>", "<dcterms:valid/><dcterms:valid>x", ""),
    ("2026-11-23T11:00:00Z", "yesterday", ""),
    // Order, and what the schema does not know.
    ("<dcterms:identifier>", "<rdf:type rdf:resource=\"urn:x\"/><dcterms:identifier>", ""),
    ("<dcterms:identifier>", "<dcterms:title/><dcterms:identifier>", "schema"),
    ("<slreq:endorsement", "<dcterms:title/><slreq:endorsement", "schema"),
    ("<dcterms:title>", "<slterms:unknown>x</slterms:unknown><dcterms:title>", ""),
    ("<dcterms:title>", "<dcterms:title rdf:parseType=\"Resource\">", "schema rdf"),
    ("<dcterms:title>Title", "<dcterms:title>A<dcterms:title/>", "schema (rdf)"),
    (
        "<dcterms:title>",
        "<a:b xmlns:a=\"urn:a\" rdf:parseType=\"Resource\"><a:c>1</a:c></a:b><dcterms:title>",
        "",
    ),
    ("<dcterms:title>", "<a:b xmlns:a=\"urn:a\"><a:c>1</a:c></a:b><dcterms:title>", "rdf"),
    (
        "<dcterms:title>",
        "<a:b xmlns:a=\"urn:a\" rdf:parseType=\"Resource\"><slterms:icmp>x</slterms:icmp></a:b><dcterms:title>",
        "schema",
    ),
    ("<dcterms:title>", "<stratus:edit/><dcterms:title>", ""),
    ("<stratus:path>", "<stratus:path rdf:parseType=\"Literal\">", "schema"),
    ("<slterms:kind>", "<slterms:kind dcterms:title=\"x\">", "rdf"),
    (
        "<slterms:kind>",
        "<slterms:kind xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:type=\"x\">",
        "schema rdf",
    ),
];

#[test]
fn each_flaw_fails_where_the_original_says() {
    let good = full().to_xml().unwrap();
    let mut documents = vec![("nothing changed".to_owned(), good.clone(), "".to_owned())];
    assert!(good.contains(&format!("rdf:about=\"#{ID}\"")), "{good}");
    for (from, to, fails) in FLAWS {
        // A name is changed at both ends of its element.
        let times = if from.ends_with("identifier>") && !from.contains('<') { 2 } else { 1 };
        let changed = good.replacen(from, to, times);
        assert_ne!(changed, good, "{from}");
        let name = format!("{from} -> {to}");
        documents.push((name, changed, (*fails).to_owned()));
    }
    let texts: Vec<String> = documents.iter().map(|(_, text, _)| text.clone()).collect();
    let verdicts = judge(&texts);
    let mut wrong = Vec::new();
    for ((name, text, fails), theirs) in documents.iter().zip(&verdicts) {
        let expected: Vec<&str> =
            fails.split_whitespace().filter(|f| !f.starts_with('(')).collect();
        let ours = failed(text);
        let ours_expected: Vec<&str> =
            fails.split([' ', '(', ')']).filter(|f| !f.is_empty()).collect();
        let original: Vec<&str> = STAGES.into_iter().filter(|stage| !theirs.ok(stage)).collect();
        if ours != ours_expected || original != expected {
            wrong.push(format!("{name}\n  table {expected:?}, ours {ours:?}, original {theirs:?}"));
        }
        if theirs.ok("xmllint") == expected.contains(&"schema") {
            wrong.push(format!("{name}\n  xmllint differs: {theirs:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The names of our stages that fail, without the signature.
fn failed(document: &str) -> Vec<&'static str> {
    let report = validate(document.as_bytes(), NOW);
    assert_eq!(report.stages.len(), 4);
    let stages = report.stages.iter().filter(|stage| STAGES.contains(&stage.name));
    stages.filter(|stage| !stage.verdict.passed()).map(|stage| stage.name).collect()
}

/// Strings as nobody writes them, but with what XML can carry.
fn text() -> impl Strategy<Value = String> {
    let odd = "[\\t\\n\\r -~]{0,30}|[<>&'\"\\]\\[!-]{0,12}|[\\u{20}-\\u{d7ff}\\u{e000}-\\u{fffd}\\u{10000}-\\u{10ffff}]{0,12}";
    prop_oneof![4 => odd.prop_map(String::from), 1 => Just(String::new())]
}

fn known() -> impl Strategy<Value = Option<String>> {
    prop::option::of(text()).prop_map(|text| text.filter(|text| !text.is_empty()))
}

fn manifest() -> impl Strategy<Value = Manifest> {
    let texts = prop::collection::vec(known(), 15);
    let lists = prop::collection::vec(prop::collection::vec("[a-z]{1,8}", 0..3), 2);
    let edits = prop::collection::vec((text(), text(), text()), 0..4);
    let sums =
        ("[0-9a-f]{32}", "[0-9a-f]{40}", "[0-9a-f]{64}", "[0-9a-f]{128}", any::<[bool; 3]>());
    let ports = prop::collection::vec(any::<u16>(), 0..4);
    let icmp = prop::collection::vec(any::<u8>(), 0..4);
    let locations = prop::collection::vec(
        "(https?|pdisk):[a-z0-9/.:]{1,20}x|https?://[a-z]{1,9}(:[0-9]{1,4})?/[!-\"$&-;=@-Z_a-z~]{0,20}",
        0..4,
    );
    let rest = (
        any::<u64>(),
        text(),
        prop::option::of(0_u64..253_402_300_799),
        prop::option::of(any::<u32>()),
    );
    (texts, lists, edits, sums, ports, icmp, locations, rest).prop_map(
        |(texts, lists, edits, (md5, sha1, sha256, sha512, has), ports, icmp, locations, rest)| {
            let mut texts = texts.into_iter();
            let mut next = || texts.next().unwrap();
            let mut checksums = BTreeMap::from([(Algorithm::Sha1, sha1)]);
            let others = [
                (Algorithm::Md5, &md5),
                (Algorithm::Sha256, &sha256),
                (Algorithm::Sha512, &sha512),
            ];
            checksums.extend(
                others
                    .into_iter()
                    .zip(has)
                    .filter(|(_, has)| *has)
                    .map(|((a, hex), _)| (a, hex.clone())),
            );
            let (bytes, type_, valid, serial) = rest;
            let (mut first, second): (Vec<String>, Vec<String>) = locations
                .into_iter()
                .filter(|l| stratus::metadata::is_absolute_uri(l))
                .partition(|l| l.starts_with("http"));
            first.extend(second);
            Manifest {
                bytes,
                checksums,
                endorsement: Some(Endorsement {
                    created: "2026-11-23T12:00:00Z".into(),
                    email: "a@b".into(),
                    subject: next().unwrap_or("x".into()),
                    issuer: next().unwrap_or("y".into()),
                }),
                type_,
                kind: next(),
                created: next(),
                valid: valid.map(stratus::metadata::date::text),
                creator: next(),
                publisher: next(),
                title: next(),
                description: next(),
                alternative: next(),
                format: next(),
                compression: next(),
                os: next(),
                version: next(),
                deprecated: next(),
                serial_number: serial.map(|number| number.to_string()),
                locations: first,
                hypervisors: lists[0].clone(),
                disks_bus: lists[1].clone(),
                inbound_ports: ports.clone(),
                outbound_ports: ports,
                icmp,
                replaces: next(),
                file: has[0].then(|| FileFacts {
                    name: edits.first().map(|e| e.0.clone()).unwrap_or_default(),
                    bytes,
                    md5: Some(md5),
                    sha256: None,
                }),
                edits: edits
                    .into_iter()
                    .map(|(name, path, action)| EditFact { name, path, action })
                    .collect(),
                ..Manifest::default()
            }
        },
    )
}

/// How many, in the short and in the long form.
fn count(short: usize, long: usize) -> usize {
    if std::env::var_os("STRATUS_FULL").is_some() { long } else { short }
}

#[test]
fn whatever_is_written_the_original_finds_valid() {
    let mut runner = TestRunner::deterministic();
    let mut draw = || manifest().new_tree(&mut runner).unwrap().current();
    let manifests: Vec<Manifest> = (0..count(150, 3000)).map(|_| draw()).collect();
    let texts: Vec<String> = manifests.iter().map(|manifest| manifest.to_xml().unwrap()).collect();
    for ((manifest, text), verdict) in manifests.iter().zip(&texts).zip(judge(&texts)) {
        assert_eq!(&Manifest::from_xml(text.as_bytes()).unwrap(), manifest, "{text}");
        assert_eq!(failed(text), [""; 0], "{text}");
        for stage in STAGES.into_iter().chain(["xmllint"]) {
            assert!(verdict.ok(stage), "{verdict:?}\n{text}");
        }
    }
}

/// Whether it is one of the things of RDF in which we are stricter on purpose.
fn stricter(report: &Report) -> bool {
    let known = [
        "Unexpected text event",
        "language tag ''",
        "XML namespaces are required",
        "a text value is already present",
    ];
    let findings = report.stages.iter().flat_map(|stage| stage.verdict.findings());
    findings.filter(|found| known.iter().any(|known| found.contains(known))).count() > 0
}

/// What the original's programs wrote is read, and gets the original's verdicts; also on its
/// signatures.
#[test]
fn documents_of_the_original() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/manifests");
    let names = ["built.xml", "uploaded.xml", "signed.xml", "deprecated.xml"];
    let texts = names.map(|name| std::fs::read_to_string(folder.join(name)).unwrap());
    for ((name, text), theirs) in names.iter().zip(&texts).zip(judge(&texts)) {
        let report = validate(text.as_bytes(), NOW);
        for stage in &report.stages {
            assert_eq!(
                stage.verdict.passed(),
                theirs.ok(stage.name),
                "{name} {stage:?} {theirs:?}"
            );
        }
        let read = Manifest::from_xml(text.as_bytes()).unwrap();
        assert_eq!(read.identifier().unwrap(), "GTkOYYyXFkqT1ejzzgRkAMwrumP", "{name}");
        assert_eq!((read.bytes, read.os.as_deref()), (1 << 20, Some("debian")), "{name}");
        assert_eq!(read.compression.as_deref(), Some("gz"), "{name}");
        assert_eq!(read.checksums.len(), if *name == "built.xml" { 2 } else { 4 }, "{name}");
        assert_eq!(read.endorsement.is_some(), theirs.ok("signature"), "{name}");
        assert_eq!(read.deprecated.is_some(), *name == "deprecated.xml");
        // Written by us, it says the same.
        let again = read.to_xml().unwrap();
        assert_eq!(Manifest::from_xml(again.as_bytes()).unwrap(), read, "{name}");
    }
}

/// A foreign element and everything else stays when an entry is taken back.
#[test]
fn a_deprecated_entry_is_valid_but_for_its_signature() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/manifests");
    let signed = std::fs::read(folder.join("signed.xml")).unwrap();
    let text = stratus::metadata::deprecate(&signed, "Too <old> & slow.").unwrap();
    assert_eq!(failed(&text), [""; 0]);
    let verdict = &judge(&[text])[0];
    assert!(STAGES.iter().all(|stage| verdict.ok(stage)) && verdict.ok("xmllint"), "{verdict:?}");
    assert!(!verdict.ok("signature"));
}

#[test]
fn random_changes_fail_where_the_original_says() {
    let good = full().to_xml().unwrap();
    let seed = 20_261_123;
    let texts = mutants::of(&good, seed, count(400, 8000));
    let mut wrong = Vec::new();
    let mut seen = [0; 3];
    for (text, theirs) in texts.iter().zip(judge(&texts)) {
        let ours = failed(text);
        for (stage, seen) in STAGES.into_iter().zip(&mut seen) {
            *seen += usize::from(!theirs.ok(stage));
            let report = validate(text.as_bytes(), NOW);
            if theirs.ok(stage) == ours.contains(&stage)
                && !(stage == "rdf" && theirs.ok(stage) && stricter(&report))
            {
                wrong.push(format!(
                    "{stage}: ours {report:?}\n original {theirs:?}\n{}",
                    mutants::difference(&good, text)
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "seed {seed}, {} wrong:\n{}", wrong.len(), wrong.join("\n\n"));
    // The changes reach every stage, and leave enough alone.
    assert!(seen.iter().all(|seen| *seen * 20 > texts.len() && *seen < texts.len()), "{seen:?}");
}
