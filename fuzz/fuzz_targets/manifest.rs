//! Any bytes as a manifest: reading, showing and validating may refuse them, but not panic or run
//! away; and what is read and written again reads the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use stratus::metadata::Manifest;
use stratus::metadata::validate::validate;

/// 2026-11-23T14:00:00Z.
const NOW: u64 = 1_795_442_400;

fuzz_target!(|input: &[u8]| {
    let report = validate(input, NOW);
    let findings = report.stages.iter().flat_map(|stage| stage.verdict.findings());
    assert!(findings.clone().count() <= 80);
    assert!(!findings.flat_map(|found| found.chars()).any(char::is_control));
    let Ok(read) = Manifest::from_xml(input) else { return };
    assert!(!read.lines().iter().flat_map(|line| line.chars()).any(char::is_control));
    // What others wrote may be more than we write: a location with a space, too many ports.
    let Ok(text) = read.to_xml() else { return };
    let again = Manifest::from_xml(text.as_bytes()).expect("what was written is read");
    // Locations have their order now, and buses their names.
    assert_eq!(again.to_xml().expect("what was read is written"), text);
    assert_eq!(again.to_json()["bytes"], read.to_json()["bytes"]);
    assert_eq!((again.checksums, again.title), (read.checksums, read.title));
});
