//! What is there already, and what is left to do. Looks only; changes nothing.

use std::fs::{self, File};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use super::journal::{self, Checkpoint, History, Work};
use super::place::{self, Place};
use super::record::Record;
use super::{Compression, Control, Job, fingerprint, verify};
use crate::disk::{Disk, OpenDisk};
use crate::error::{Error, Kind, Result};

/// Where to begin.
#[derive(Debug)]
pub enum Start {
    /// From nothing.
    Fresh,
    /// At a checkpoint of an earlier run.
    Continue(Unfinished),
    /// The part is complete; it needs its name and its record.
    Complete(Record),
    /// The image has its name; it needs its record.
    Named(Record),
    /// Image and record are there.
    Done(Record),
}

/// Work to go on with.
#[derive(Debug)]
pub struct Unfinished {
    /// Where.
    pub checkpoint: Checkpoint,
    /// The part, whose beginning is what the checkpoint says.
    pub part: File,
    /// Bytes of the journal that are good.
    pub good_len: u64,
}

/// A start, and what to tell about it.
#[derive(Debug)]
pub struct Plan {
    /// Where to begin.
    pub start: Start,
    /// Sentences for the user.
    pub notes: Vec<String>,
}

/// Looks at the output's place.
///
/// # Errors
/// `CannotCreate` if something is in the way that is not ours, `Mismatch` if an image of this
/// very work is not what its record says.
pub fn look(
    job: &Job,
    disk: &OpenDisk,
    place: &Place,
    work: &Work,
    control: &Control,
) -> Result<Plan> {
    let mut notes = Vec::new();
    refuse_strange_output(place, disk)?;
    let history = earlier_work(job, place, work, &mut notes)?;
    if let Some(start) = completed(place, history.as_ref(), control)? {
        if matches!(start, Start::Complete(_)) {
            refuse_foreign_output(job, place, work, control)?;
        }
        return Ok(Plan { start, notes });
    }
    if let Some(record) = refuse_foreign_output(job, place, work, control)? {
        return Ok(Plan { start: Start::Done(record), notes });
    }
    let unfinished = match history {
        Some(history) => continuable(history, disk, place, control, &mut notes)?,
        None => None,
    };
    Ok(Plan { start: unfinished.map_or(Start::Fresh, Start::Continue), notes })
}

/// Not even `--force` replaces what is no regular file, or the source itself.
fn refuse_strange_output(place: &Place, disk: &OpenDisk) -> Result<()> {
    for path in [&place.image, &place.part, &place.record, &place.record_part] {
        let Ok(meta) = fs::symlink_metadata(path) else { continue };
        let cannot = |code, what: &str| {
            Error::new(Kind::CannotCreate, code, what)
                .at(path)
                .remedy("choose another output with -o")
        };
        if disk.is_source(meta.dev(), meta.ino()) {
            return Err(cannot("output-is-source", "this is a file of the source itself"));
        }
        let kind = meta.file_type();
        if kind.is_dir() || kind.is_fifo() || kind.is_socket() {
            return Err(cannot("output-kind", "a folder, FIFO or socket is in the way"));
        }
        if kind.is_char_device() || kind.is_block_device() {
            return Err(cannot("output-kind", "a device is in the way"));
        }
    }
    Ok(())
}

/// The journal of an earlier run, if it is about this very work.
fn earlier_work(
    job: &Job,
    place: &Place,
    work: &Work,
    notes: &mut Vec<String>,
) -> Result<Option<History>> {
    if job.restart {
        return Ok(None);
    }
    let Some(history) = journal::read(&place.journal())? else {
        for path in [&place.part, &place.record_part] {
            if place::exists(path)? {
                return Err(Error::new(
                    Kind::CannotCreate,
                    "part-foreign",
                    "this unfinished file is in the way, and there is no journal that explains it",
                )
                .at(path)
                .remedy("move it away, or throw it away with --restart"));
            }
        }
        return Ok(None);
    };
    let reason = match &history.work {
        _ if history.damaged => Some("its journal is damaged"),
        None => Some("its journal has no beginning"),
        Some(earlier) => earlier.difference(work),
    };
    let Some(reason) = reason else { return Ok(Some(history)) };
    notes.push(format!("there is unfinished work, but {reason}: starting over"));
    Ok(None)
}

/// Work that was interrupted between its last byte and its last name.
fn completed(place: &Place, history: Option<&History>, control: &Control) -> Result<Option<Start>> {
    let Some(text) = history.and_then(|history| history.finished.as_ref()) else {
        return Ok(None);
    };
    let Ok(record) = serde_json::from_str::<Record>(text) else { return Ok(None) };
    let unnamed = place::exists(&place.part)?;
    let path = if unnamed { &place.part } else { &place.image };
    match verify::file_matches(path, &record, control) {
        Ok(()) if unnamed => Ok(Some(Start::Complete(record))),
        Ok(()) => Ok(Some(Start::Named(record))),
        Err(error) if matches!(error.kind(), Kind::Interrupted(_)) => Err(error),
        Err(_) => Ok(None),
    }
}

/// Whether something has the output's name: the finished image of this work is returned, anything
/// else is refused unless it may be replaced.
///
/// # Errors
/// `CannotCreate`; `Mismatch` if it is the image of this work, but damaged.
pub(super) fn refuse_foreign_output(
    job: &Job,
    place: &Place,
    work: &Work,
    control: &Control,
) -> Result<Option<Record>> {
    if job.force {
        return Ok(None);
    }
    let foreign = |path: &Path, why: &str| {
        Error::new(Kind::CannotCreate, "output-exists", why)
            .at(path)
            .remedy("replace it with --force, or choose another output with -o")
    };
    let record = Record::read(&place.record).ok();
    if !place::exists(&place.image)? {
        return match record {
            None if place::exists(&place.record)? => {
                Err(foreign(&place.record, "this is no record of ours, but has its name"))
            }
            _ => Ok(None),
        };
    }
    let is_link = fs::symlink_metadata(&place.image).is_ok_and(|m| m.file_type().is_symlink());
    match record {
        _ if is_link => Err(foreign(&place.image, "a symbolic link has the output's name")),
        None => Err(foreign(&place.image, "the output exists and is not ours: it has no record")),
        Some(record) if record.fingerprint != fingerprint(work)? => Err(foreign(
            &place.image,
            "the output exists, made from another source or with other options",
        )),
        Some(record) => {
            if !(job.remember && super::publish::was_checked(place, &record)) {
                verify::file_matches(&place.image, &record, control)?;
            }
            Ok(Some(record))
        }
    }
}

/// The last checkpoint, if the part still begins with what it says. The journal is not trusted
/// about the part: its bytes are read again.
fn continuable(
    history: History,
    disk: &OpenDisk,
    place: &Place,
    control: &Control,
    notes: &mut Vec<String>,
) -> Result<Option<Unfinished>> {
    let Some(checkpoint) = history.checkpoint else { return Ok(None) };
    let good_len = history.good_len;
    if checkpoint.raw_offset > disk.size() {
        notes.push("the journal speaks of more than the disk has: starting over".to_owned());
        return Ok(None);
    }
    let part = match place::open_existing(&place.part) {
        Ok(part) => part,
        Err(e) => {
            notes.push(format!("the unfinished file cannot be used ({e}): starting over"));
            return Ok(None);
        }
    };
    match verify::prefix_matches(&part, &place.part, &checkpoint, control) {
        Ok(()) => Ok(Some(Unfinished { checkpoint, part, good_len })),
        Err(error) if matches!(error.kind(), Kind::Interrupted(_)) => Err(error),
        Err(error) => {
            notes.push(format!("{}: starting over", error.message()));
            Ok(None)
        }
    }
}

/// The name of the image that is made of the disk `input`.
pub fn image_name(input: &Path, compression: Compression) -> std::ffi::OsString {
    const DISK_NAMES: [&str; 8] = ["vdi", "vmdk", "vhd", "vhdx", "qcow2", "img", "raw", "dd"];
    let known = input
        .extension()
        .and_then(|e| e.to_str())
        .is_some_and(|e| DISK_NAMES.contains(&e.to_ascii_lowercase().as_str()));
    let stem = if known { input.file_stem() } else { input.file_name() };
    let mut name = stem.unwrap_or("disk".as_ref()).to_owned();
    name.push(match compression {
        Compression::Gz => ".img.gz",
        Compression::None => ".img",
    });
    name
}
