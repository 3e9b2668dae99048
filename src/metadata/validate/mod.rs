//! What servers and the original's validator will say of a document, stage by stage.
//!
//! ```text
//! bytes ── xml ──┬── schema.rs        elements, their order and their types
//!                ├── constraints.rs   what the schema cannot say: identifier, SHA-1, dates
//!                ├── rdf.rs           statements can be made of it, without the signature
//!                └── signature        somebody vouches for it
//! ```
//!
//! The original's marketplace checks all but the schema; its validator checks all four. The first
//! three stages here come to the same verdicts, but they are stricter in a few things that no
//! builder is known to write: a document type; attributes of XML Schema instances (`xsi:type`); a
//! SHA-1 of more than 160 bits; and as RDF text beside elements, two nodes where one belongs,
//! elements without a namespace or in that of XML, an `xml:lang`, an `xml:base` or the IRI of a
//! datatype that is none, and on the root attributes that are nobody's. The signature stage is
//! stricter on purpose: the original accepts forgeries.

mod constraints;
mod rdf;
mod schema;

use serde_json::{Value, json};

use crate::error::Error;
use crate::metadata::vocabulary::plain;
use crate::metadata::{signature, xml};

/// The most findings that a stage tells.
const MOST_FINDINGS: usize = 20;

/// What came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// `schema`, `constraints`, `rdf`, `signature`, in this order.
    pub stages: Vec<Stage>,
}

/// One stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    /// Its name.
    pub name: &'static str,
    /// What it found.
    pub verdict: Verdict,
}

/// What a stage found. Sentences for a person, without control characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing.
    Ok,
    /// Nothing that makes the document invalid, but this.
    Warned(Vec<String>),
    /// This makes it invalid. The first ones, if there are many.
    Failed(Vec<String>),
    /// It is not even XML that can be read: the first stage says why.
    NotReached,
}

impl Verdict {
    fn of(failures: Vec<String>, warnings: Vec<String>) -> Self {
        if !failures.is_empty() {
            Verdict::Failed(failures)
        } else if !warnings.is_empty() {
            Verdict::Warned(warnings)
        } else {
            Verdict::Ok
        }
    }

    /// Whether the stage is passed.
    pub fn passed(&self) -> bool {
        matches!(self, Verdict::Ok | Verdict::Warned(_))
    }

    /// What was found, in words.
    pub fn findings(&self) -> &[String] {
        match self {
            Verdict::Ok | Verdict::NotReached => &[],
            Verdict::Warned(findings) | Verdict::Failed(findings) => findings,
        }
    }

    /// `ok`, `warned`, `failed` or `not reached`.
    pub fn name(&self) -> &'static str {
        match self {
            Verdict::Ok => "ok",
            Verdict::Warned(_) => "warned",
            Verdict::Failed(_) => "failed",
            Verdict::NotReached => "not reached",
        }
    }
}

impl Report {
    /// Whether every stage is passed.
    pub fn valid(&self) -> bool {
        self.stages.iter().all(|stage| stage.verdict.passed())
    }

    /// The stages with their verdicts, for programs.
    pub fn to_json(&self) -> Value {
        let stage = |stage: &Stage| {
            json!({
                "name": stage.name,
                "verdict": stage.verdict.name(),
                "findings": stage.verdict.findings(),
            })
        };
        json!({
            "valid": self.valid(),
            "stages": self.stages.iter().map(stage).collect::<Vec<_>>(),
        })
    }
}

/// Checks a document. `now`, in seconds since 1970, is for warnings: that its validity, or the
/// endorser's certificate, has ended.
pub fn validate(document: &[u8], now: u64) -> Report {
    let mut stages = Vec::new();
    let mut add = |name, verdict| stages.push(Stage { name, verdict });
    match xml::parse(document) {
        Ok(parsed) => {
            add("schema", Verdict::of(schema::check(&parsed), Vec::new()));
            let (failures, warnings) = constraints::check(&parsed, now);
            add("constraints", Verdict::of(failures, warnings));
            add("rdf", Verdict::of(rdf::check(&parsed), Vec::new()));
            add("signature", signature_of(document, now));
        }
        Err(error) => {
            add("schema", Verdict::Failed(vec![sentence(&error)]));
            for name in ["constraints", "rdf", "signature"] {
                add(name, Verdict::NotReached);
            }
        }
    }
    Report { stages }
}

/// Whether somebody vouches for it: the strict check of this program, with all its warnings.
fn signature_of(document: &[u8], now: u64) -> Verdict {
    match signature::verify(document, now) {
        Ok(verified) => {
            let warnings = verified.warnings.iter().map(|warning| plain(&warning.message));
            Verdict::of(Vec::new(), warnings.collect())
        }
        Err(error) => Verdict::Failed(vec![sentence(&error)]),
    }
}

/// An error as a finding.
fn sentence(error: &Error) -> String {
    plain(&error.to_string())
}

#[cfg(test)]
mod tests;
