//! Files of JSON lines, appended and synced, each with a checksum: the form of every journal.
//!
//! A line is one object whose last member is `"crc"`, the CRC-32 of all that stands before it.
//! A line that a crash tore has no valid checksum and is dropped. The checksum matters for more
//! than torn lines: a digest accepts any words as its state.

use std::fs::File;
use std::io::{self, BufRead, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::place;
use crate::error::Result;

/// No line is longer: the longest tell of a hundred thousand damaged ranges.
const MAX_LINE: u64 = 64 << 20;

/// A file of lines, open for appending.
#[derive(Debug)]
pub struct Lines {
    file: File,
    path: PathBuf,
}

impl Lines {
    /// A new and empty file at `path`; the caller syncs its folder.
    pub fn create(path: &Path) -> Result<Self> {
        place::remove_if_there(path)?;
        let file = place::create_new(path).map_err(|e| place::cannot_create(path, e))?;
        Ok(Lines { file, path: path.to_owned() })
    }

    /// Opens the file of an earlier run to go on behind its last good line.
    pub fn reopen(path: &Path, good_len: u64) -> Result<Self> {
        let failed = |e| place::failed("journal-open", "cannot open the journal", path, e);
        let mut file = place::open_existing(path).map_err(failed)?;
        file.set_len(good_len).and_then(|()| file.seek(SeekFrom::End(0))).map_err(failed)?;
        Ok(Lines { file, path: path.to_owned() })
    }

    /// Appends a line and syncs it.
    pub fn append(&mut self, line: &impl Serialize) -> Result<()> {
        let failed = |e| place::failed("journal-write", "cannot write the journal", &self.path, e);
        let text = encode(line).map_err(|e| failed(e.into()))?;
        let written = self.file.write_all(text.as_bytes()).and_then(|()| self.file.sync_data());
        written.map_err(failed)
    }
}

/// How far the lines of a file are good.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Good {
    /// Bytes of good lines.
    pub len: u64,
    /// Whether a line that is not the last one is bad: not what a crash leaves behind.
    pub damaged: bool,
}

/// Hands the good lines at the beginning of `lines` to `take`, one at a time; `take` says whether
/// the line makes sense there.
pub fn read<T: DeserializeOwned>(
    mut lines: impl BufRead,
    mut take: impl FnMut(T) -> bool,
) -> io::Result<Good> {
    let mut good = Good::default();
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        let len = lines.by_ref().take(MAX_LINE).read_until(b'\n', &mut bytes)?;
        if len == 0 {
            return Ok(good);
        }
        let line = bytes.strip_suffix(b"\n").and_then(decode);
        let whole = line.is_some();
        if !line.is_some_and(&mut take) {
            good.damaged = whole || !lines.fill_buf()?.is_empty();
            return Ok(good);
        }
        good.len += len as u64;
    }
}

/// A line with its checksum.
pub fn encode(line: &impl Serialize) -> serde_json::Result<String> {
    let mut text = serde_json::to_string(line)?;
    text.pop();
    let crc = crc32fast::hash(text.as_bytes());
    Ok(format!("{text},\"crc\":\"{crc:08x}\"}}\n"))
}

fn decode<T: DeserializeOwned>(line: &[u8]) -> Option<T> {
    let text = std::str::from_utf8(line).ok()?;
    let (body, crc) = text.rsplit_once(",\"crc\":\"")?;
    let crc = u32::from_str_radix(crc.strip_suffix("\"}")?, 16).ok()?;
    if crc != crc32fast::hash(body.as_bytes()) {
        return None;
    }
    serde_json::from_str(&format!("{body}}}")).ok()
}
