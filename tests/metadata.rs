//! Manifests before the original's own validator, its schemas in xmllint, and whatever a random
//! change makes of them.

#[path = "metadata/flaws.rs"]
mod flaws;
#[path = "metadata/judge.rs"]
mod judge;
#[path = "metadata/mutants.rs"]
mod mutants;

use std::collections::BTreeMap;

use flaws::FLAWS;
use judge::{STAGES, judge};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use stratus::digest::Algorithm;
use stratus::metadata::keys::Endorser;
use stratus::metadata::manifest::MOST_EDITS;
use stratus::metadata::signature::{Options, Profile, sign, verify};
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

/// One signature binds the facts of the file and a thousand edits, and the original's validator
/// accepts it in all its stages.
#[test]
fn a_signature_binds_what_is_ours_too() {
    let keys = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/keys/jane.pem");
    let pem = std::fs::read(keys).unwrap();
    let jane = Endorser::from_pem(&pem, &pem, None).unwrap();
    let options = |profile| Options {
        profile,
        sha256_digest: false,
        created: "2026-11-23T14:00:00Z".into(),
        email: None,
    };
    let edit =
        |number| EditFact { path: format!("/etc/{number} & more"), ..full().edits[0].clone() };
    let many = Manifest { endorsement: None, edits: (0..MOST_EDITS).map(edit).collect(), ..full() };
    let unsigned = many.to_xml().unwrap();
    let signed = sign(&unsigned, &jane, &options(Profile::Stratuslab)).unwrap();
    let modern = sign(&unsigned, &jane, &options(Profile::Modern)).unwrap();
    let verdicts = judge(&[signed.clone(), modern.clone()]);
    for stage in STAGES.into_iter().chain(["signature", "all", "xmllint"]) {
        assert!(verdicts[0].ok(stage), "{:?}", verdicts[0]);
        // The original does not know RSA with SHA-256.
        let known = !matches!(stage, "signature" | "all");
        assert_eq!(verdicts[1].ok(stage), known, "{:?}", verdicts[1]);
    }
    for text in [signed, modern] {
        assert!(validate(text.as_bytes(), NOW).valid());
        let octets = verify(text.as_bytes(), NOW).unwrap().octets;
        let read = Manifest::from_xml(&octets).unwrap();
        assert_eq!(read.endorsement.as_ref().unwrap().created, "2026-11-23T14:00:00Z");
        assert_eq!(Manifest { endorsement: None, ..read }, many);
        for (from, to) in [("<stratus:path>/etc/7 ", "<stratus:path>/etc/8 "), (">99<", ">98<")] {
            let changed = text.replacen(from, to, 1);
            assert_ne!(changed, text);
            assert!(verify(changed.as_bytes(), NOW).is_err());
        }
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
