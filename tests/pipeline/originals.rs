//! StratusLab's own programs read what the pipeline has made.

use std::path::Path;
use std::process::Command;
use std::{fs, str};

use super::places;
use super::user::{User, good};
use crate::common::testdata;
use crate::servers::market::Market;

#[test]
fn the_original_validator_takes_the_entry_of_a_prepared_guest() {
    let (place, user, market) = (places::apache("open/x"), User::new(), Market::start(&[]));
    fs::copy(testdata("mydisk.vdi"), user.path("mydisk.vdi")).unwrap();
    let (repository, marketplace) = (place.url(), market.url());
    let mut publish = user.program(["mydisk.vdi", "--repository", &repository, "--json"]);
    publish.args(["--marketplace", &marketplace, "--p12-cert", "jane.p12"]);
    publish.args(["--password-file", "password", "--signature", "stratuslab"]);
    publish.args(["--title", "Größe <1> & \"more\"", "--comment", "two\nlines", "--tag", "test"]);
    publish.args(["--inbound-port", "22", "--hypervisor", "kvm", "--hypervisor", "xen"]);
    let published = good(publish.output().unwrap());
    assert_ne!(published["published"]["entry"]["url"], serde_json::Value::Null);
    let (_, entry) = market.entries().pop_last().unwrap();
    fs::write(user.path("entry.xml"), entry).unwrap();

    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/judges/stratuslab.sh");
    let mut judge = Command::new(script);
    let output =
        judge.args(["check", "mydisk.xml", "entry.xml"]).current_dir(user.path("")).output();
    let output = output.unwrap();
    let said = str::from_utf8(&output.stdout).unwrap();
    assert!(output.status.success(), "{said} {}", String::from_utf8_lossy(&output.stderr));
    for stage in ["signature", "schema", "constraints", "rdf", "all", "xmllint"] {
        let verdict = format!("\t{stage}\tok");
        assert_eq!(said.matches(&verdict).count(), 2, "{stage}: {said}");
    }
}
