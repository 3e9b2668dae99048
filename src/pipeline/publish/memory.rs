//! What earlier runs did for an image: `published`, in the state folder beside it.
//!
//! Each line says that something is true of the outside: this upload is so far, that object was
//! proved at its place, this manifest is registered. A stage is looked up by all that shapes it, so a
//! changed option finds nothing and does again what it affects, and no more.

use std::io::{BufReader, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::digest::sha256;
use crate::error::{Error, Result};
use crate::pipeline::lines::{self, Lines};
use crate::pipeline::place::{self, Place};
use crate::pipeline::record::Record;
use crate::publish::registry::Registered;
use crate::publish::{Session, Stored, Verify};

/// Version of the form of these lines.
const FORMAT: u32 = 1;

/// An object at a target: what a session and a proof are about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// [`crate::publish::Target::identity`].
    pub target: String,
    /// Its name there.
    pub object: String,
    /// Its SHA-256.
    pub sha256: String,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum Line {
    /// The first line.
    Begin { format: u32 },
    /// The image with this state was read and is what its record says.
    Checked { state: String, sha1: String },
    /// An upload is so far.
    Session { key: Key, value: Value },
    /// An object was proved at its place, by reading so much of it back.
    Stored { key: Key, verify: String, proof: String },
    /// A manifest with this content was signed as of `created`.
    Signed { content: String, created: String, valid: String },
    /// A registry has the document with this SHA-256, or waits for a confirmation of it.
    Registered { registry: String, document: String, url: Option<String>, pending: Option<String> },
}

/// What is remembered.
#[derive(Debug)]
pub struct Memory {
    /// Open for more; none for a dry run.
    lines: Option<Lines>,
    known: Vec<Line>,
    owner: String,
}

impl Memory {
    /// Opens what is remembered of the image at `place`, whose lock is held. A file that cannot be
    /// understood is put away with a note: what it said can be found out again.
    ///
    /// # Errors
    /// `Io`, `CannotCreate`.
    pub fn open(place: &Place, restart: bool, note: impl Fn(&str)) -> Result<Self> {
        let path = place.state.join("published");
        let known = if restart { None } else { read(&path)? };
        if let Some((known, good)) = known {
            if !good.damaged && known.first() == Some(&Line::Begin { format: FORMAT }) {
                let lines = Some(Lines::reopen(&path, good.len)?);
                return Ok(Memory { lines, known, owner: owner(&place.image) });
            }
            note(
                "what is remembered of earlier publishing is damaged: everything is looked at anew",
            );
        }
        let (lines, owner) = (Some(Lines::create(&path)?), owner(&place.image));
        let mut memory = Memory { lines, known: Vec::new(), owner };
        memory.add(Line::Begin { format: FORMAT })?;
        crate::files::sync_folder(&place.state)?;
        place.sync_folder()?;
        Ok(memory)
    }

    /// What is remembered, for a run that changes nothing.
    ///
    /// # Errors
    /// `Io`.
    pub fn look(place: &Place, restart: bool) -> Result<Self> {
        let known = if restart { None } else { read(&place.state.join("published"))? };
        let good = known.filter(|(known, good)| {
            !good.damaged && known.first() == Some(&Line::Begin { format: FORMAT })
        });
        let known = good.map(|(known, _)| known).unwrap_or_default();
        Ok(Memory { lines: None, known, owner: owner(&place.image) })
    }

    fn add(&mut self, line: Line) -> Result<()> {
        let Some(lines) = &mut self.lines else { return Ok(()) };
        lines.append(&line)?;
        // Of a session only the last word counts.
        if let Line::Session { key, .. } = &line {
            self.known.retain(|known| !matches!(known, Line::Session { key: k, .. } if k == key));
        }
        self.known.push(line);
        Ok(())
    }

    fn last<T>(&self, pick: impl Fn(&Line) -> Option<T>) -> Option<T> {
        self.known.iter().rev().find_map(pick)
    }

    /// The SHA-1 of the raw image, if the image in this state was checked.
    pub fn checked(&self, state: &str) -> Option<String> {
        self.last(|line| match line {
            Line::Checked { state: s, sha1 } if s == state => Some(sha1.clone()),
            _ => None,
        })
    }

    /// Remembers a check.
    pub fn set_checked(&mut self, state: String, sha1: String) -> Result<()> {
        if self.checked(&state).as_ref() == Some(&sha1) {
            return Ok(());
        }
        self.add(Line::Checked { state, sha1 })
    }

    /// The session of an upload.
    pub fn session(&mut self, key: Key) -> impl Session + '_ {
        Remembered { memory: self, key }
    }

    /// Whether `key` was the last that we stored under its name, and was proved by reading back as
    /// much as `verify` asks for.
    pub fn stored(&self, key: &Key, verify: Verify) -> bool {
        let last = self.last(|line| match line {
            Line::Stored { key: k, verify, .. }
                if k.target == key.target && k.object == key.object =>
            {
                Some((k.sha256.clone(), verify.parse().unwrap_or(Verify::None)))
            }
            _ => None,
        });
        last.is_some_and(|(sha256, proved)| sha256 == key.sha256 && proved >= verify)
    }

    /// Remembers an object that was proved at its place.
    pub fn set_stored(&mut self, key: Key, verify: Verify, stored: &Stored) -> Result<()> {
        let (verify, proof) = (verify.to_string(), stored.proof.clone());
        self.add(Line::Stored { key, verify, proof })
    }

    /// Whether an earlier run has stored just these bytes somewhere, so that they are its own.
    pub fn wrote(&self, bytes: &[u8]) -> bool {
        let digest = sha256(bytes);
        self.known
            .iter()
            .any(|line| matches!(line, Line::Stored { key, .. } if key.sha256 == digest))
    }

    /// The SHA-256 of what was last stored under the name of `key`, if that is another.
    pub fn replaces(&self, key: &Key) -> bool {
        let same = |k: &Key| k.target == key.target && k.object == key.object;
        let last = self.last(|line| match line {
            Line::Stored { key: k, .. } if same(k) => Some(k.sha256.clone()),
            _ => None,
        });
        last.is_some_and(|sha256| sha256 != key.sha256)
    }

    /// The URL of the last entry that a registry got, if it is none of the image `identifier`.
    pub fn other_entry(&self, registry: &str, identifier: &str) -> Option<String> {
        self.last(|line| match line {
            Line::Registered { registry: r, url: Some(url), .. } if r == registry => {
                Some(url.clone())
            }
            _ => None,
        })
        .filter(|url| !url.contains(identifier))
    }

    /// The last signature of the manifest with this content.
    pub fn signed(&self, content: &str) -> Option<Signed> {
        self.last(|line| match line {
            Line::Signed { content: c, created, valid } if c == content => {
                Some(Signed { created: created.clone(), valid: valid.clone() })
            }
            _ => None,
        })
    }

    /// Remembers a signature.
    pub fn set_signed(&mut self, content: &str, created: &str, valid: &str) -> Result<()> {
        let [content, created, valid] = [content, created, valid].map(str::to_owned);
        self.add(Line::Signed { content, created, valid })
    }

    /// What a registry answered to the document with this SHA-256: its URL, or what it waits for.
    pub fn registered(&self, registry: &str, document: &str) -> Option<Answer> {
        self.last(|line| match line {
            Line::Registered { registry: r, document: d, url, pending }
                if r == registry && d == document =>
            {
                Some(Answer { url: url.clone(), pending: pending.clone() })
            }
            _ => None,
        })
    }

    /// Remembers a registry's answer.
    pub fn set_registered(&mut self, registry: &str, document: &str, answer: Answer) -> Result<()> {
        let Answer { url, pending } = answer;
        let (registry, document) = (registry.to_owned(), document.to_owned());
        self.add(Line::Registered { registry, document, url, pending })
    }
}

/// A signature that an earlier run made.
pub struct Signed {
    /// When.
    pub created: String,
    /// Until when it says that it is valid.
    pub valid: String,
}

/// A registry's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Where the entry is.
    pub url: Option<String>,
    /// What it waits for, in the registry's words.
    pub pending: Option<String>,
}

impl Answer {
    /// What a registry said.
    pub fn of(registered: Registered) -> Self {
        match registered {
            Registered::Created { url } | Registered::Already { url } => {
                Answer { url: Some(url), pending: None }
            }
            Registered::Pending { message } => Answer { url: None, pending: Some(message) },
        }
    }
}

struct Remembered<'a> {
    memory: &'a mut Memory,
    key: Key,
}

impl Session for Remembered<'_> {
    fn owner(&self) -> String {
        self.memory.owner.clone()
    }

    fn last(&self) -> Option<Value> {
        self.memory.last(|line| match line {
            Line::Session { key, value } if *key == self.key => Some(value.clone()),
            _ => None,
        })
    }

    fn keep(&mut self, value: Value) -> Result<()> {
        self.memory.add(Line::Session { key: self.key.clone(), value })
    }
}

/// Who stores this image: this machine, and the image's place on it. Two of them may have the same
/// bytes, and each has a lock of its own.
fn owner(image: &Path) -> String {
    let machine = std::fs::read_to_string("/etc/machine-id").unwrap_or_default();
    let machine = match machine.trim() {
        "" => rustix::system::uname().nodename().to_string_lossy().into_owned(),
        id => id.to_owned(),
    };
    let image = std::fs::canonicalize(image).unwrap_or_else(|_| image.to_owned());
    let mut owner = sha256(format!("{machine} {}", image.display()).as_bytes());
    owner.truncate(8);
    owner
}

fn read(path: &Path) -> Result<Option<(Vec<Line>, lines::Good)>> {
    let failed = |e| {
        Error::io("journal-read", "cannot read what is remembered of earlier publishing", path, e)
            .with_kind(crate::error::Kind::Io)
            .remedy("check the storage; --restart forgets it")
    };
    let file = match place::open_regular(path) {
        Ok(file) => file,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(failed(e)),
    };
    let mut known = Vec::new();
    let good = lines::read(BufReader::new(file), |line: Line| {
        known.push(line);
        true
    });
    Ok(Some((known, good.map_err(failed)?)))
}

/// The state of an image and of what its record says, to know both again without reading the image.
/// The file's change time is left out: a link to it in a store changes that.
///
/// # Errors
/// `Io`, `Missing`.
pub fn state(image: &Path, record: &Record) -> Result<String> {
    let cannot = |e| Error::io("image-missing", "cannot read the image", image, e);
    let meta = place::open_regular(image).and_then(|file| file.metadata()).map_err(cannot)?;
    let record = sha256(record.to_text()?.as_bytes());
    Ok(format!(
        "inode {} size {} mtime {}.{:09} record {record}",
        meta.ino(),
        meta.size(),
        meta.mtime(),
        meta.mtime_nsec()
    ))
}

/// Whether an earlier run has read the image at `place` in its present state, and found in it what
/// `record` says.
pub fn was_checked(place: &Place, record: &Record) -> bool {
    let Ok(Some((known, good))) = read(&place.state.join("published")) else { return false };
    let Ok(state) = state(&place.image, record) else { return false };
    !good.damaged
        && known.iter().any(|line| matches!(line, Line::Checked { state: s, .. } if *s == state))
}
