use std::time::{Duration, Instant};

use super::*;
use crate::digest::Algorithm;
use crate::metadata::{Endorsement, Manifest};

const NOW: u64 = 1_795_442_400;

fn good() -> String {
    let manifest = Manifest {
        bytes: 512,
        checksums: [(Algorithm::Sha1, "ab".repeat(20))].into(),
        valid: Some(crate::metadata::date::text(NOW + 1)),
        endorsement: Some(Endorsement {
            created: "2026-11-23T14:00:00Z".into(),
            email: "jane@example.org".into(),
            subject: "CN=Jane".into(),
            issuer: "CN=CA".into(),
        }),
        ..Manifest::default()
    };
    manifest.to_xml().unwrap()
}

fn verdict<'a>(report: &'a Report, name: &str) -> &'a Verdict {
    &report.stages.iter().find(|stage| stage.name == name).unwrap().verdict
}

#[test]
fn stages_have_their_order_and_names() {
    let report = validate(good().as_bytes(), NOW);
    let names: Vec<_> = report.stages.iter().map(|stage| stage.name).collect();
    assert_eq!(names, ["schema", "constraints", "rdf", "signature"]);
    assert!(!report.valid(), "it is not signed");
    let value = report.to_json();
    assert_eq!(value["valid"], false);
    assert_eq!(value["stages"][0], json!({"name": "schema", "verdict": "ok", "findings": []}));
    assert_eq!(value["stages"][3]["verdict"], "failed");
}

#[test]
fn the_end_of_validity_is_a_warning() {
    let at = |now| verdict(&validate(good().as_bytes(), now), "constraints").clone();
    assert_eq!(at(NOW), Verdict::Ok);
    let ended = at(NOW + 1);
    assert!(ended.passed() && ended.findings()[0].contains("ended on \"2026-11-23T14:00:01Z\""));
    let none = good().replace("2026-11-23T14:00:01Z", "");
    let verdict = verdict(&validate(none.as_bytes(), NOW), "constraints").clone();
    assert!(matches!(&verdict, Verdict::Warned(w) if w[0].contains("no dcterms:valid")));
}

/// A stage tells all that it finds, with its line.
#[test]
fn all_findings_are_told() {
    let bad = good()
        .replace("<slreq:bytes>512", "<slreq:bytes>many")
        .replace("jane@", "jane")
        .replace("</slreq:value>", "x\u{85}</slreq:value>")
        .replace("<dcterms:type></dcterms:type>", "<slterms:os/><slterms:os/>");
    let report = validate(bad.as_bytes(), NOW);
    let expected = [
        "line 11: slreq:bytes is \"many\", not a whole number".to_owned(),
        format!(
            "line 14: slreq:value is \"{}x\\u{{85}}\", not hexadecimal digits",
            "ab".repeat(20)
        ),
        "line 19: slreq:email is \"janeexample.org\", not an e-mail address".to_owned(),
    ];
    assert_eq!(verdict(&report, "schema"), &Verdict::Failed(expected.into()));
    let constraints = verdict(&report, "constraints");
    assert_eq!(constraints.findings().len(), 3, "{constraints:?}");
}

#[test]
fn what_is_no_xml_reaches_no_stage() {
    let doctype = format!("<!DOCTYPE a []>{}", good());
    for document in [doctype.as_bytes(), b"", b"\xff\xfe", b"<a>", b"{}"] {
        let report = validate(document, NOW);
        let names: Vec<_> = report.stages.iter().map(|stage| stage.verdict.name()).collect();
        assert_eq!(names, ["failed", "not reached", "not reached", "not reached"]);
        assert_eq!(report.stages[0].verdict.findings().len(), 1);
    }
}

/// As large as a document may be, and wrong everywhere: the time stays in proportion, and the
/// findings few.
#[test]
fn large_and_wrong_documents_are_answered_soon() {
    let many = |what: &str, count: usize| {
        good().replacen("    <dcterms:type>", &(what.repeat(count) + "    <dcterms:type>"), 1)
    };
    let documents = [
        many("<slterms:icmp>x</slterms:icmp>", 9_000),
        many("<slreq:checksum rdf:parseType='Resource'><slreq:value/></slreq:checksum>", 9_000),
        many("<a xmlns='urn:a' parseType='x' ID='i' about='y'/>", 4_000),
        many(&format!("<slterms:os>{}</slterms:os>", "xy".repeat(900)), 4_500),
        many(&("<stratus:a xmlns:stratus='urn:a'>".repeat(60) + &"</stratus:a>".repeat(60)), 300),
        many("<!-- -->", 19_000),
    ];
    let begin = Instant::now();
    for document in documents {
        let report = validate(document.as_bytes(), NOW);
        assert!(!report.valid());
        for stage in report.stages {
            assert!(stage.verdict.findings().len() <= MOST_FINDINGS);
            assert!(stage.verdict.findings().iter().all(|found| found.len() < 1000));
        }
    }
    assert!(begin.elapsed() < Duration::from_secs(60), "{:?}", begin.elapsed());
}
