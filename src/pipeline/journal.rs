//! The journal of unfinished work: JSON lines, appended and synced, each with a checksum.
//!
//! Rule of writing: what a line says about the image is on the disk before the line is.

use std::io::{self, BufRead, BufReader};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::lines::{self, Lines};
use super::place::{self, Place};
use crate::digest;
use crate::disk::Damage;
use crate::error::{Error, Kind, Result};

/// Version of the journal's form.
const FORMAT: u32 = 1;

/// What begins a journal: which work this is. Two runs do the same work if these are equal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Work {
    /// Version of the journal's form.
    pub format: u32,
    /// Everything that shapes the bytes, in words.
    pub options: Vec<String>,
    /// The state of each source file.
    pub source: Vec<String>,
}

impl Work {
    /// Work with these options on these source files.
    pub fn new(options: Vec<String>, source: Vec<String>) -> Self {
        Work { format: FORMAT, options, source }
    }

    /// What is different, in words for a person; none if nothing is.
    pub fn difference(&self, other: &Work) -> Option<&'static str> {
        match () {
            () if self.format != other.format => Some("it was written by another version"),
            () if self.source != other.source => Some("the source has changed since"),
            () if self.options != other.options => Some("the options are not the same"),
            () => None,
        }
    }
}

/// A place at which work can go on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Bytes of the raw image done.
    pub raw_offset: u64,
    /// Bytes of the output file that hold them.
    pub file_offset: u64,
    /// CRC-32 of those raw bytes.
    pub crc: u32,
    /// The digests of those raw bytes, in the middle of their work.
    pub raw: digest::State,
    /// The digests of those file bytes; null where the file is the raw image.
    pub file: Option<digest::State>,
    /// SHA-256 of those file bytes, to see whether they are still the same.
    pub file_sha256: Option<String>,
    /// Damage that was found while reading them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub damage: Vec<Damage>,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Line {
    /// A run began from nothing.
    Run(Work),
    /// A later run continued at a checkpoint.
    Resume {
        /// Where.
        raw_offset: u64,
    },
    /// So far all is well.
    Checkpoint(Box<Checkpoint>),
    /// The image is complete and synced; what is left is to name it and to write its record.
    Finished {
        /// The text of the record.
        record: String,
    },
}

/// An open journal.
#[derive(Debug)]
pub struct Journal(Lines);

impl Journal {
    /// Begins a new journal with its first line, synced together with its name.
    pub fn create(place: &Place, work: &Work) -> Result<Self> {
        let mut journal = Journal(Lines::create(&place.journal())?);
        journal.append(&Line::Run(work.clone()))?;
        crate::files::sync_folder(&place.state)?;
        place.sync_folder()?;
        Ok(journal)
    }

    /// Opens the journal of an earlier run to go on behind its last good line.
    pub fn reopen(place: &Place, good_len: u64) -> Result<Self> {
        Lines::reopen(&place.journal(), good_len).map(Journal)
    }

    /// Appends a line and syncs it.
    pub fn append(&mut self, line: &Line) -> Result<()> {
        self.0.append(line)
    }
}

/// What a journal holds.
#[derive(Debug, Default)]
pub struct History {
    /// What work it is about, if its beginning is whole.
    pub work: Option<Work>,
    /// The last checkpoint.
    pub checkpoint: Option<Checkpoint>,
    /// The record's text, if the image was finished.
    pub finished: Option<String>,
    /// Bytes of good lines.
    pub good_len: u64,
    /// Whether a line that is not the last one is bad: not what a crash leaves behind.
    pub damaged: bool,
}

/// Reads the journal at `path`; none if there is no such file.
///
/// # Errors
/// `Io` if it cannot be read. A bad content is no error: see [`History::damaged`].
pub fn read(path: &Path) -> Result<Option<History>> {
    let failed = |e| {
        Error::io("journal-read", "cannot read the journal", path, e)
            .with_kind(Kind::Io)
            .remedy("check the storage; --restart throws the unfinished work away")
    };
    let file = match place::open_regular(path) {
        Ok(file) => file,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(failed(e)),
    };
    History::read(BufReader::new(file)).map(Some).map_err(failed)
}

impl History {
    /// Takes the good lines at the beginning of `journal`, holding one at a time.
    pub fn read(journal: impl BufRead) -> io::Result<Self> {
        let mut history = History::default();
        let good = lines::read(journal, |line| history.take(line))?;
        Ok(History { good_len: good.len, damaged: good.damaged, ..history })
    }

    /// Whether `line` makes sense here.
    fn take(&mut self, line: Line) -> bool {
        match line {
            Line::Run(work) if self.work.is_none() => self.work = Some(work),
            Line::Resume { .. } if self.work.is_some() => {}
            Line::Checkpoint(at) if self.work.is_some() => self.checkpoint = Some(*at),
            Line::Finished { record } if self.work.is_some() => self.finished = Some(record),
            _ => return false,
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::lines::encode;
    use super::*;

    fn read(journal: &[u8]) -> History {
        History::read(journal).unwrap()
    }

    fn journal() -> Vec<u8> {
        let work = Work::new(vec!["level 4".into()], vec!["dev 1 ino 2".into()]);
        let state = digest::DigestSet::new(&digest::Algorithm::ALL).state();
        let checkpoint = |n: u64| {
            Line::Checkpoint(Box::new(Checkpoint {
                raw_offset: n << 20,
                file_offset: n * 1000,
                crc: 7,
                raw: state.clone(),
                file: None,
                file_sha256: None,
                damage: Vec::new(),
            }))
        };
        let lines = [Line::Run(work), checkpoint(1), Line::Resume { raw_offset: 1 }, checkpoint(2)];
        lines.iter().flat_map(|line| encode(line).unwrap().into_bytes()).collect()
    }

    #[test]
    fn a_torn_end_is_dropped_and_the_rest_holds() {
        let whole = journal();
        let ends: Vec<_> =
            whole.iter().enumerate().filter(|(_, b)| **b == b'\n').map(|(i, _)| i + 1).collect();
        for cut in 0..=whole.len() {
            let history = read(&whole[..cut]);
            let lines = ends.iter().filter(|end| **end <= cut).count();
            assert!(!history.damaged, "cut at {cut}");
            assert_eq!(history.work.is_some(), lines >= 1, "cut at {cut}");
            let expected = match lines {
                0 | 1 => None,
                2 | 3 => Some(1 << 20),
                _ => Some(2 << 20),
            };
            assert_eq!(history.checkpoint.map(|c| c.raw_offset), expected, "cut at {cut}");
            assert_eq!(history.good_len as usize, if lines == 0 { 0 } else { ends[lines - 1] });
        }
    }

    #[test]
    fn a_changed_byte_anywhere_is_seen() {
        let whole = journal();
        let last_line = whole[..whole.len() - 1].iter().rposition(|b| *b == b'\n').unwrap() + 1;
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x10;
            let history = read(&bytes);
            assert!((history.good_len as usize) < whole.len(), "byte {at}");
            if at < last_line - 1 {
                assert!(history.damaged || history.checkpoint.is_none(), "byte {at}");
            }
        }
    }

    #[test]
    fn any_bytes_are_read_without_panic() {
        for text in
            ["", "\n", "{}", "{}\n", ",\"crc\":\"\"}\n", "{\"kind\":\"run\",\"crc\":\"0\"}\n"]
        {
            assert!(read(text.as_bytes()).work.is_none());
        }
    }
}
