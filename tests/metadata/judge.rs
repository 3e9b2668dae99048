//! The original's verdicts.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::{fmt, fs};

/// The stages that are compared.
pub const STAGES: [&str; 3] = ["schema", "constraints", "rdf"];

/// What the original says of one document: for each stage nothing, or a message.
pub struct Verdict(BTreeMap<String, Option<String>>);

impl Verdict {
    pub fn ok(&self, stage: &str) -> bool {
        self.0.get(stage).unwrap_or_else(|| panic!("no verdict of {stage}: {self:?}")).is_none()
    }
}

impl fmt::Debug for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.0.iter().filter(|(_, said)| said.is_some())).finish()
    }
}

/// All documents, in one run of the judges.
pub fn judge(documents: &[String]) -> Vec<Verdict> {
    let folder = tempfile::tempdir().unwrap();
    let names: Vec<String> = (0..documents.len()).map(|number| format!("{number}.xml")).collect();
    for (name, document) in names.iter().zip(documents) {
        fs::write(folder.path().join(name), document).unwrap();
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/judges/stratuslab.sh");
    let output =
        Command::new(script).arg("check").args(&names).current_dir(folder.path()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(matches!(output.status.code(), Some(0 | 1)), "{said}");
    let mut verdicts: Vec<Verdict> = documents.iter().map(|_| Verdict(BTreeMap::new())).collect();
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let fields: Vec<&str> = line.splitn(4, '\t').collect();
        let [name, stage, verdict, message] = fields[..] else { panic!("{line}") };
        let number = names.iter().position(|known| known == name).unwrap();
        let said = (verdict != "ok").then(|| message.to_owned());
        verdicts[number].0.insert(stage.to_owned(), said);
    }
    verdicts
}
