//! The record beside an image: what it was made from, and every digest.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::digest::Algorithm;
use crate::disk::{Damage, Warning};
use crate::error::{Error, Kind, Result};
use crate::guest::edits::Change;
use crate::guest::facts::Facts;

/// Version of the record's form.
pub const SCHEMA: u32 = 1;
/// No record is larger; one that is has not been made by us.
const MAX_LEN: u64 = 64 << 20;

/// The record. Field names are stable; what is not known yet is null.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Where the bytes come from.
    pub source: Source,
    /// The machine around the disk: null until machine files are read.
    pub machine: Option<serde_json::Value>,
    /// The uncompressed disk image.
    pub raw: RawImage,
    /// The file that was written.
    pub file: ImageFile,
    /// The guest in the disk: null if it was left alone.
    pub guest: Option<Facts>,
    /// What was changed in the guest.
    pub edits: Vec<Change>,
    /// Findings that did not stop the work.
    pub warnings: Vec<Warning>,
    /// Ranges that `--salvage` went past.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub damage: Vec<Damage>,
    /// CRC-32 of the raw image, in hexadecimal: what an image without digests is known by.
    pub crc32: String,
    /// SHA-256 over the options that shape the bytes and the state of the source files: tells
    /// whether the same command would make the same image again.
    pub fingerprint: String,
}

/// `source` of the record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Source {
    /// The input as it was named.
    pub path: String,
    /// Its format.
    pub format: String,
    /// Its files, leaf first.
    pub layers: Vec<Layer>,
}

/// One file of the source.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Layer {
    /// The file.
    pub path: String,
    /// Its identifier, if its format has one.
    pub uuid: Option<String>,
}

/// `raw` of the record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RawImage {
    /// Size of the disk.
    pub bytes: u64,
    /// Digests by the names of their algorithms.
    #[serde(flatten)]
    pub digests: BTreeMap<String, String>,
}

/// `file` of the record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ImageFile {
    /// The file's name, without its folder: record and image move together.
    pub path: String,
    /// `gz` or `none`.
    pub compression: String,
    /// Its length.
    pub bytes: u64,
    /// Digests by the names of their algorithms.
    #[serde(flatten)]
    pub digests: BTreeMap<String, String>,
}

/// Digests with their algorithms' names as keys.
pub(super) fn named(digests: &BTreeMap<Algorithm, String>) -> BTreeMap<String, String> {
    digests.iter().map(|(algorithm, hex)| (algorithm.to_string(), hex.clone())).collect()
}

impl Record {
    /// The record's text: one JSON object, indented, with a newline.
    pub fn to_text(&self) -> Result<String> {
        let text = serde_json::to_string_pretty(self).map_err(|e| {
            Error::new(Kind::Internal, "record-write", "cannot build the record").because(e.into())
        })?;
        Ok(text + "\n")
    }

    /// Reads the record at `path`.
    ///
    /// # Errors
    /// `Missing` if there is none, `Damaged` if it is not a record of a known schema.
    pub fn read(path: &Path) -> Result<Self> {
        let damaged = |message: String| {
            Error::new(Kind::Damaged, "record-damaged", message)
                .at(path)
                .remedy("convert the disk again with --force, or restore the record")
        };
        let file = super::place::open_regular(path).map_err(|e| {
            Error::io("record-missing", "cannot read the record", path, e)
                .remedy("a record lies beside its image, as NAME.json")
        })?;
        let mut text = String::new();
        file.take(MAX_LEN)
            .read_to_string(&mut text)
            .map_err(|e| damaged(format!("the record cannot be read: {e}")))?;
        let record: Record = serde_json::from_str(&text)
            .map_err(|e| damaged(format!("the record is not what it should be: {e}")))?;
        if record.schema != SCHEMA {
            return Err(damaged(format!("schema {} is not known", record.schema)));
        }
        Ok(record)
    }

    /// The digest of the file that is checked first: the one that nobody can forge.
    pub fn file_sha256(&self) -> Option<&str> {
        self.file.digests.get("sha256").map(String::as_str)
    }
}
