//! A manifest for programs and for people.

use serde_json::{Value, json};

use super::manifest::Manifest;
use super::vocabulary::plain;

impl Manifest {
    /// All facts, by stable names: those of the fields of [`Manifest`], and `identifier`. What is
    /// not known is null or empty.
    pub fn to_json(&self) -> Value {
        let mut value = serde_json::to_value(self).unwrap_or(Value::Null);
        if let Value::Object(fields) = &mut value {
            fields.insert("identifier".into(), json!(self.identifier().ok()));
        }
        value
    }

    /// What is known, a line each, for a person: `identifier: MMZu9Wvw…`. No line has a control
    /// character in it.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Lines::default();
        lines.add("identifier", self.identifier().unwrap_or_else(|_| "none".into()));
        lines.known("title", &self.title);
        lines.known("description", &self.description);
        lines.known("deprecated", &self.deprecated);
        let endorsement = self.endorsement.as_ref();
        let by = endorsement.map(|e| format!("{} ({}); not checked", e.email, e.subject));
        lines.known("endorsed by", &by);
        lines.known("endorsed at", &endorsement.map(|e| e.created.clone()));
        lines.known("valid until", &self.valid);
        lines.known("created", &self.created);
        lines.known("creator", &self.creator);
        lines.known("publisher", &self.publisher);
        lines.add("type", &self.type_);
        lines.known("kind", &self.kind);
        lines.known("tag", &self.alternative);
        let system = [&self.os, &self.os_version, &self.os_arch];
        let system: Vec<&str> = system.iter().filter_map(|part| part.as_deref()).collect();
        lines.known("system", &Some(system.join(" ")));
        lines.known("version", &self.version);
        lines.known("serial number", &self.serial_number);
        lines.add("size", format!("{} bytes", self.bytes));
        for (algorithm, hex) in &self.checksums {
            lines.add(algorithm.name(), hex);
        }
        lines.known("format", &self.format);
        lines.known("compression", &self.compression);
        lines.all("location", &self.locations);
        lines.all("hypervisor", &self.hypervisors);
        lines.all("disk bus", &self.disks_bus);
        lines.all("inbound port", &self.inbound_ports);
        lines.all("outbound port", &self.outbound_ports);
        lines.all("icmp type", &self.icmp);
        lines.known("replaces", &self.replaces);
        lines.known("replaced by", &self.is_replaced_by);
        lines.known("version of", &self.is_version_of);
        if let Some(file) = &self.file {
            lines.add("file", format!("{}, {} bytes", file.name, file.bytes));
            lines.known("file md5", &file.md5);
            lines.known("file sha256", &file.sha256);
        }
        for edit in &self.edits {
            lines.add("edit", format!("{}: {} {}", edit.name, edit.action, edit.path).trim_end());
        }
        lines.0
    }
}

#[derive(Default)]
struct Lines(Vec<String>);

impl Lines {
    fn add(&mut self, name: &str, value: impl AsRef<str>) {
        self.0.push(format!("{name}: {}", plain(value.as_ref())));
    }

    fn known(&mut self, name: &str, value: &Option<String>) {
        if let Some(value) = value.as_deref().filter(|value| !value.is_empty()) {
            self.add(name, value);
        }
    }

    fn all(&mut self, name: &str, values: &[impl ToString]) {
        for value in values {
            self.add(name, value.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Algorithm;
    use crate::metadata::{EditFact, Endorsement, FileFacts};

    fn manifest() -> Manifest {
        Manifest {
            bytes: 512,
            checksums: [(Algorithm::Sha1, "0".repeat(40))].into(),
            endorsement: Some(Endorsement {
                created: "2026-11-23T14:00:00Z".into(),
                email: "jane@example.org".into(),
                subject: "CN=Jane".into(),
                issuer: "CN=CA".into(),
            }),
            type_: "base".into(),
            title: Some("A\u{1b}[31m red\r\ntitle \u{202e}".into()),
            os: Some("debian".into()),
            os_arch: Some("x86_64".into()),
            inbound_ports: vec![22],
            file: Some(FileFacts { name: "x.gz".into(), bytes: 9, md5: None, sha256: None }),
            edits: vec![EditFact { name: "e".into(), path: "/p".into(), action: "did".into() }],
            ..Manifest::default()
        }
    }

    #[test]
    fn for_programs() {
        let value = manifest().to_json();
        assert_eq!(value["identifier"], "A".repeat(27));
        assert_eq!(value["type"], "base");
        assert_eq!(value["checksums"]["sha1"], "0".repeat(40));
        assert_eq!(value["endorsement"]["email"], "jane@example.org");
        assert_eq!(value["valid"], Value::Null);
        assert_eq!(value["inbound_ports"], json!([22]));
        assert_eq!(value["file"]["bytes"], 9);
        assert_eq!(value["edits"][0]["action"], "did");
        assert_eq!(value.as_object().unwrap().len(), 32);
        assert_eq!(Manifest::default().to_json()["identifier"], Value::Null);
    }

    #[test]
    fn for_people() {
        let expected = [
            "identifier: AAAAAAAAAAAAAAAAAAAAAAAAAAA",
            "title: A\\u{1b}[31m red\\r\\ntitle \\u{202e}",
            "endorsed by: jane@example.org (CN=Jane); not checked",
            "endorsed at: 2026-11-23T14:00:00Z",
            "type: base",
            "system: debian x86_64",
            "size: 512 bytes",
            "sha1: 0000000000000000000000000000000000000000",
            "inbound port: 22",
            "file: x.gz, 9 bytes",
            "edit: e: did /p",
        ];
        assert_eq!(manifest().lines(), expected);
        let unknown = Manifest { os: None, os_arch: None, ..manifest() };
        assert!(!unknown.lines().iter().any(|line| line.starts_with("system")));
    }
}
