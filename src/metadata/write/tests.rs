use proptest::prelude::*;

use super::*;

const SHA1: &str = "c319bbd5afc0a22ba3eaed0507c39383ec28eeff";

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

/// Every field filled.
fn full() -> Manifest {
    Manifest {
        bytes: 2_147_483_648,
        checksums: [(Algorithm::Sha1, SHA1.into()), (Algorithm::Md5, "0".repeat(32))].into(),
        endorsement: Some(Endorsement {
            created: "2026-11-23T14:00:00Z".into(),
            email: "jane@example.org".into(),
            subject: "CN=Jane \\\"Q\\\" <T>".into(),
            issuer: "CN=A & B".into(),
        }),
        type_: "base".into(),
        kind: some("machine"),
        created: some("2026-11-23T13:00:00Z"),
        valid: some("2027-05-20T13:00:00Z"),
        creator: some("Jané"),
        publisher: some("StratusLab"),
        title: some("A <b> & \"c\" ]]> 'd'"),
        description: some(" two\nlines,\ta tab\r\nand a return \u{1f600}\u{85}\u{2028} "),
        alternative: some("tag"),
        format: some("raw"),
        compression: some("gz"),
        os: some("debian"),
        os_version: some("12"),
        os_arch: some("x86_64"),
        version: some("1.0"),
        serial_number: some("7"),
        deprecated: some("too old"),
        locations: vec!["https://h/a.gz".into(), "pdisk:h:8445:u".into()],
        hypervisors: vec!["kvm".into(), "xen".into()],
        disks_bus: vec!["virtio".into()],
        inbound_ports: vec![22, 65535],
        outbound_ports: vec![0],
        icmp: vec![8, 255],
        replaces: some("A"),
        is_replaced_by: some("B"),
        is_version_of: some("C"),
        file: Some(FileFacts {
            name: "a b.img.gz".into(),
            bytes: 77,
            md5: Some("1".repeat(32)),
            sha256: Some("f".repeat(64)),
        }),
        edits: vec![EditFact { name: "x".into(), path: "/a&b".into(), action: "".into() }],
    }
}

fn read(text: &str) -> Manifest {
    Manifest::from_xml(text.as_bytes()).unwrap_or_else(|e| panic!("{e}\n{text}"))
}

#[test]
fn every_field_comes_back() {
    let text = full().to_xml().unwrap();
    assert_eq!(read(&text), full(), "{text}");
    assert_eq!(text, full().to_xml().unwrap());
}

/// The whole text: a change of form is a change of what gets signed.
#[test]
fn the_form_is_fixed() {
    let least = Manifest {
        bytes: 5,
        checksums: [(Algorithm::Sha1, SHA1.into())].into(),
        type_: "base".into(),
        ..Manifest::default()
    };
    let expected = r##"<?xml version="1.0" encoding="UTF-8" standalone="no"?>
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"
    xmlns:dcterms="http://purl.org/dc/terms/"
    xmlns:slterms="http://mp.stratuslab.eu/slterms#"
    xmlns:slreq="http://mp.stratuslab.eu/slreq#"
    xml:base="http://mp.stratuslab.eu/">

  <rdf:Description rdf:about="#MMZu9WvwKIro-rtBQfDk4PsKO7_">

    <dcterms:identifier>MMZu9WvwKIro-rtBQfDk4PsKO7_</dcterms:identifier>
    <slreq:bytes>5</slreq:bytes>
    <slreq:checksum rdf:parseType="Resource">
      <slreq:algorithm>SHA-1</slreq:algorithm>
      <slreq:value>c319bbd5afc0a22ba3eaed0507c39383ec28eeff</slreq:value>
    </slreq:checksum>
    <slreq:endorsement rdf:parseType="Resource"/>

    <dcterms:type>base</dcterms:type>
    <slterms:os></slterms:os>
    <slterms:os-version></slterms:os-version>
    <slterms:os-arch></slterms:os-arch>
    <slterms:version></slterms:version>
    <dcterms:compression></dcterms:compression>
    <dcterms:created></dcterms:created>
    <dcterms:valid></dcterms:valid>
    <dcterms:description></dcterms:description>

  </rdf:Description>

</rdf:RDF>
"##;
    assert_eq!(least.to_xml().unwrap(), expected);
    assert_eq!(read(expected), least);
}

#[test]
fn http_comes_first_and_checksums_have_their_order() {
    let mut manifest = full();
    manifest.locations =
        ["pdisk:a:1:b", "HTTPS://h/1.gz", "ftp://h/x", "http://h/2.gz"].map(str::to_owned).to_vec();
    manifest.disks_bus = vec!["sata".into()];
    for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
        manifest.checksums.insert(algorithm, "a".repeat(checksum_name(algorithm).1));
    }
    let text = manifest.to_xml().unwrap();
    let back = read(&text);
    assert_eq!(back.locations, ["HTTPS://h/1.gz", "http://h/2.gz", "pdisk:a:1:b", "ftp://h/x"]);
    assert_eq!(back.disks_bus, ["scsi"]);
    let places =
        ["MD5", "SHA-1", "SHA-256", "SHA-512"].map(|name| text.find(&format!(">{name}<")).unwrap());
    assert!(places.is_sorted(), "{text}");
}

#[test]
fn what_the_form_cannot_carry_is_refused_by_its_element() {
    type Change = fn(&mut Manifest);
    let changes: [(Change, &str, &str); 17] = [
        (|m| m.title = some("a\u{7}b"), "manifest-character", "dcterms:title"),
        (|m| m.description = some("\u{0}"), "manifest-character", "dcterms:description"),
        (|m| m.os = some("\u{ffff}"), "manifest-character", "slterms:os"),
        (|m| m.type_ = "\u{1b}[1m".into(), "manifest-character", "dcterms:type"),
        (|m| m.edits[0].path = "\u{1}".into(), "manifest-character", "stratus:path"),
        (|m| m.creator = Some("x".repeat(LONGEST_VALUE + 1)), "manifest-size", "dcterms:creator"),
        (|m| m.icmp = vec![1; MOST_VALUES + 1], "manifest-size", "slterms:icmp"),
        (|m| m.edits = vec![m.edits[0].clone(); MOST_EDITS + 1], "manifest-size", "stratus:edit"),
        (|m| m.valid = some("tomorrow"), "manifest-value", "dcterms:valid"),
        (|m| m.serial_number = some("1a"), "manifest-value", "slterms:serial-number"),
        (|m| m.locations = vec!["/srv/x".into()], "manifest-value", "slterms:location"),
        (|m| m.locations.push("http://h/a b".into()), "manifest-value", "slterms:location"),
        (|m| drop(m.checksums.insert(Algorithm::Md5, "A".repeat(32))), "manifest-value", "MD5"),
        (|m| m.endorsement.as_mut().unwrap().email = "jané@h".into(), "manifest-value", "email"),
        (|m| m.endorsement.as_mut().unwrap().created = "x".into(), "manifest-value", "created"),
        (|m| m.file.as_mut().unwrap().sha256 = some("12"), "manifest-value", "sha256"),
        (|m| drop(m.checksums.remove(&Algorithm::Sha1)), "manifest-sha1", "SHA-1"),
    ];
    for (change, code, element) in changes {
        let mut manifest = full();
        change(&mut manifest);
        let error = manifest.to_xml().unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert!(error.message().contains(element), "{error}");
        assert!(error.advice().is_some() || code != "manifest-value", "{error}");
    }
}

/// The largest manifest that the limits allow is read again, with room for a signature.
#[test]
fn the_largest_manifest_is_within_the_limits_of_readers() {
    let mut manifest = full();
    let edit = EditFact { name: "n".into(), path: "/p".into(), action: "a".into() };
    manifest.edits = vec![edit; MOST_EDITS];
    manifest.hypervisors = vec!["kvm".into(); MOST_VALUES];
    manifest.disks_bus = vec!["ide".into(); MOST_VALUES];
    manifest.locations = vec!["http://h/x".into(); MOST_VALUES];
    manifest.inbound_ports = vec![1; MOST_VALUES];
    manifest.outbound_ports = vec![1; MOST_VALUES];
    manifest.icmp = vec![1; MOST_VALUES];
    let text = manifest.to_xml().unwrap();
    assert_eq!(read(&text), manifest);
    let nodes = xml::parse(text.as_bytes()).unwrap().descendants().count();
    assert!(nodes + 100 < xml::MOST_NODES as usize, "{nodes}");
    // Few and long: the size of the document counts, too.
    manifest.edits[0].path = "p".repeat(LONGEST_VALUE);
    manifest.edits = vec![manifest.edits[0].clone(); 200];
    assert_eq!(manifest.to_xml().unwrap_err().code(), "manifest-size");
}

proptest! {
    /// Whatever strings there are: they come back, or their element is named.
    #[test]
    fn any_strings_come_back(strings in prop::collection::vec("(?s).{0,20}|[ -~\\t\\r\\n]{0,20}", 12)) {
        let mut manifest = full();
        let text = |at: usize| Some(strings[at].clone()).filter(|text| !text.is_empty());
        manifest.type_ = strings[0].clone();
        manifest.title = text(1);
        manifest.description = text(2);
        manifest.creator = text(3);
        manifest.version = text(4);
        manifest.hypervisors = text(5).into_iter().collect();
        manifest.deprecated = text(6);
        manifest.edits[0].path = strings[7].clone();
        manifest.file.as_mut().unwrap().name = strings[8].clone();
        manifest.alternative = text(9);
        manifest.os = text(10);
        manifest.kind = text(11);
        let carried = |c: char| {
            matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
        };
        match manifest.to_xml() {
            Ok(text) => prop_assert_eq!(read(&text), manifest),
            Err(error) => {
                prop_assert_eq!(error.code(), "manifest-character");
                prop_assert!(!strings.iter().all(|text| text.chars().all(carried)), "{}", error);
            }
        }
    }
}
