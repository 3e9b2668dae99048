//! The straight line: open, plan, export, finish.
//!
//! ```text
//! job.rs       what to convert, and how
//! opened.rs    the disk, with the guest's edits on it
//! plan.rs      what is there already, what is to do   preview.rs: for a dry run
//! space.rs     how much room it needs
//! export.rs    the one pass            segments.rs, workers.rs, digester.rs, sink.rs, gzip/
//! commit.rs    checkpoints             journal.rs, lines.rs
//! place.rs     names and renames       lock.rs
//! record.rs    what the image is       verify.rs reads it again
//! publish/     the image goes to a store, its manifest to a marketplace
//! ```

mod commit;
mod digester;
mod export;
pub mod gzip;
mod job;
pub mod journal;
mod lines;
mod lock;
mod opened;
pub mod place;
pub mod plan;
mod pool;
mod preview;
pub mod publish;
pub mod record;
mod segments;
mod sink;
pub mod space;
pub mod verify;
mod workers;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

pub use crate::control::Control;
use crate::control::Event;
use crate::digest::{Algorithm, DigestSet, Digests};
use crate::disk::{Damage, Disk, OpenDisk};
use crate::error::{Error, Kind, Result};
use commit::Committer;
use export::{Export, Exported};
pub use job::{Compression, Job, MAX_DEFAULT_THREADS};
use journal::{Journal, Line, Work};
pub use opened::{Opened, open};
use place::Place;
use plan::{Start, Unfinished};
pub use preview::{Preview, preview};
use record::Record;
use sink::{FILE_DIGESTS, Out, Sink};

/// Bytes of a segment of the raw image: the unit of compression and of resuming. Smaller ones
/// compress worse than the 1 % that we allow, larger ones gain 0.1 % for four times the memory.
pub const SEGMENT: usize = 1 << 20;

/// What a run did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// The image was made from the beginning.
    Converted,
    /// The image was made from where an earlier run stopped, at this raw offset.
    Continued(u64),
    /// The image was there already and is what its record says.
    AlreadyDone,
}

/// The result of a conversion.
#[derive(Debug)]
pub struct Outcome {
    /// What is in the image; it lies beside the image, too, unless that went to a stream.
    pub record: Record,
    /// What was done.
    pub status: Status,
}

/// Converts one disk into one file.
///
/// # Errors
/// Nothing is left under the output's name unless it is complete. After `Interrupted` and `Io`
/// the unfinished work is kept and the same call continues it.
pub fn convert(job: &Job, control: &Control) -> Result<Outcome> {
    convert_opened(job, &open(job, control)?, control)
}

/// [`convert`] with the disk that [`open`] gave for `job`.
///
/// # Errors
/// Those of [`convert`].
pub fn convert_opened(job: &Job, opened: &Opened, control: &Control) -> Result<Outcome> {
    opened.tell_warnings(control);
    let place = Place::new(&job.output)?;
    let work = job.work(opened)?;
    let lock = lock::Lock::take(&place)?;
    let result = convert_locked(job, control, opened, &place, &work);
    if let Err(error) = &result {
        tidy_after(error, &place);
    }
    drop(lock);
    result
}

fn convert_locked(
    job: &Job,
    control: &Control,
    opened: &Opened,
    place: &Place,
    work: &Work,
) -> Result<Outcome> {
    let disk = &opened.disk;
    let plan = plan::look(job, disk, place, work, control)?;
    plan.notes.iter().for_each(|note| control.note(note));
    let (unfinished, status) = match plan.start {
        Start::Done(record) => {
            place.remove_unfinished()?;
            return Ok(Outcome { record, status: Status::AlreadyDone });
        }
        Start::Named(record) => {
            finish(place, &record, false)?;
            return Ok(Outcome { record, status: Status::AlreadyDone });
        }
        Start::Complete(record) => {
            finish(place, &record, true)?;
            return Ok(Outcome { record, status: Status::Continued(disk.size()) });
        }
        Start::Fresh => (None, Status::Converted),
        Start::Continue(unfinished) => {
            let at = unfinished.checkpoint.raw_offset;
            (Some(unfinished), Status::Continued(at))
        }
    };
    space::check(job, disk, place, unfinished.as_ref(), control)?;
    let record = export_to_place(job, control, opened, place, work, unfinished)?;
    // Somebody may have put something there while we worked.
    plan::refuse_foreign_output(job, place, work, control)?;
    finish(place, &record, true)?;
    Ok(Outcome { record, status })
}

/// Converts one disk onto a stream: no record beside it, no resuming.
///
/// # Errors
/// `BrokenPipe` if the reader goes away.
pub fn stream(job: &Job, control: &Control, out: Box<dyn Write + Send>) -> Result<Outcome> {
    let opened = open(job, control)?;
    opened.tell_warnings(control);
    let disk = &opened.disk;
    let work = job.work(&opened)?;
    let out = Out::Stream(out);
    let sink = match job.compression {
        Compression::Gz => Sink::gzip(out, job.effort)?,
        Compression::None => Sink::raw(out, disk.size())?,
    };
    let exported = export(job, control, disk, sink, DigestSet::new(&job.raw_algorithms()), None)?;
    let record = conclude(job, &opened, &work, exported, "-".to_owned())?.record;
    Ok(Outcome { record, status: Status::Converted })
}

/// Tells what in the disk's surroundings could matter.
pub fn tell_surroundings(disk: &OpenDisk, control: &Control) {
    let warnings = disk.surroundings.iter().map(|warning| Event::Warn(warning.message.clone()));
    warnings.for_each(|warning| control.progress.event(&warning));
}

/// The pass into the part file, up to a complete and synced part that the journal calls finished.
fn export_to_place(
    job: &Job,
    control: &Control,
    opened: &Opened,
    place: &Place,
    work: &Work,
    unfinished: Option<Unfinished>,
) -> Result<Record> {
    let disk = &opened.disk;
    let (sink, digests, committer) = match unfinished {
        None => begin(job, disk, place, work)?,
        Some(unfinished) => {
            control.note(format!(
                "continuing at byte {} of {}",
                unfinished.checkpoint.raw_offset,
                disk.size()
            ));
            disk.remember_damage(&unfinished.checkpoint.damage)?;
            go_on(job, disk, place, unfinished)?
        }
    };
    let part = committer.part.try_clone().map_err(|e| commit::sync_error(&place.part, e))?;
    let exported = export(job, control, disk, sink, digests, Some(committer))?;
    let Concluded { record, journal } = conclude(job, opened, work, exported, place.name())?;
    part.sync_all().map_err(|e| commit::sync_error(&place.part, e))?;
    if let Some(mut journal) = journal {
        journal.append(&Line::Finished { record: record.to_text()? })?;
    }
    Ok(record)
}

type Begun = (Sink, DigestSet, Committer);

/// Begins from nothing. The journal comes first: a part without one is not ours.
fn begin(job: &Job, disk: &OpenDisk, place: &Place, work: &Work) -> Result<Begun> {
    place.remove_unfinished_work()?;
    let journal = Journal::create(place, work)?;
    let file = place::create_new(&place.part).map_err(|e| place::cannot_create(&place.part, e))?;
    let part = file.try_clone().map_err(|e| place::cannot_create(&place.part, e))?;
    let out = Out::File(file, place.part.clone());
    let sink = match job.compression {
        Compression::Gz => Sink::gzip(out, job.effort)?,
        Compression::None => Sink::raw(out, disk.size())?,
    };
    place.sync_folder()?;
    let committer = Committer { part, part_path: place.part.clone(), journal };
    Ok((sink, DigestSet::new(&job.raw_algorithms()), committer))
}

/// Goes on at a checkpoint that the plan has checked; what lies behind it in the part is cut off.
fn go_on(job: &Job, disk: &OpenDisk, place: &Place, unfinished: Unfinished) -> Result<Begun> {
    let Unfinished { checkpoint, part: mut file, good_len } = unfinished;
    let failed = |e| place::failed("output-write", "cannot continue the output", &place.part, e);
    let mut journal = Journal::reopen(place, good_len)?;
    file.set_len(checkpoint.file_offset).map_err(failed)?;
    std::io::Seek::seek(&mut file, std::io::SeekFrom::End(0)).map_err(failed)?;
    let part = file.try_clone().map_err(failed)?;
    let out = Out::File(file, place.part.clone());
    let resumed = (
        Sink::resume(out, job.effort, disk.size(), &checkpoint)?,
        DigestSet::resume(&checkpoint.raw),
    );
    let (Some(sink), Some(digests)) = resumed else {
        return Err(Error::new(Kind::Internal, "journal-state", "the journal cannot be used")
            .at(&place.journal())
            .remedy("run again with --restart"));
    };
    journal.append(&Line::Resume { raw_offset: checkpoint.raw_offset })?;
    Ok((sink, digests, Committer { part, part_path: place.part.clone(), journal }))
}

/// Runs the pass between its progress events, and turns a stop into an error.
fn export(
    job: &Job,
    control: &Control,
    disk: &OpenDisk,
    sink: Sink,
    digests: DigestSet,
    committer: Option<Committer>,
) -> Result<Exported> {
    let from = sink.raw_offset;
    let left = segments::usage(disk, from)?;
    let resumable = committer.is_some();
    control.progress.event(&Event::Begin {
        stage: "convert",
        data: left.data,
        empty: left.empty,
        from,
    });
    let export = Export {
        disk,
        compression: job.compression,
        effort: job.effort,
        threads: job.threads.max(1),
        interval: job.checkpoint,
        control,
    };
    let result = export.run(sink, digests, committer);
    control.progress.event(&Event::End);
    let exported = result?;
    match control.stopped().filter(|_| exported.raw.is_none()) {
        Some(signal) => Err(interrupted(signal, exported.sink.raw_offset, disk.size(), resumable)),
        None => Ok(exported),
    }
}

fn interrupted(signal: i32, at: u64, of: u64, resumable: bool) -> Error {
    let kind = Kind::Interrupted(signal);
    let message = format!("stopped by signal {signal} at byte {at} of {of}");
    let error = Error::new(kind, "interrupted", message);
    if resumable {
        error.remedy("run the same command again: it continues there")
    } else {
        error.remedy("what went to standard output is incomplete")
    }
}

/// A pass that reached the end.
struct Concluded {
    record: Record,
    journal: Option<Journal>,
}

/// Ends the sink and builds the record, after a last look at the source.
fn conclude(
    job: &Job,
    opened: &Opened,
    work: &Work,
    exported: Exported,
    name: String,
) -> Result<Concluded> {
    let Opened { disk, guest } = opened;
    let Exported { sink, raw, journal } = exported;
    let raw = raw.ok_or_else(|| {
        Error::new(Kind::Internal, "incomplete", "the end of the disk was not reached")
    })?;
    disk.check_unchanged()?;
    let crc = sink.crc;
    let (file, bytes) = sink.finish()?;
    let (raw, file) = match file {
        Some(file) => (raw, file),
        None => divide(raw, &job.checksums),
    };
    let layers = disk.layers.iter().map(|layer| record::Layer {
        path: layer.path.to_string_lossy().into_owned(),
        uuid: layer.uuid.clone(),
    });
    let record = Record {
        schema: record::SCHEMA,
        source: record::Source {
            path: job.input.to_string_lossy().into_owned(),
            format: disk.format.to_string(),
            layers: layers.collect(),
        },
        machine: None,
        raw: record::RawImage { bytes: disk.size(), digests: record::named(&raw) },
        file: record::ImageFile {
            path: name,
            compression: job.compression.name().to_owned(),
            bytes,
            digests: record::named(&file),
        },
        guest: guest.facts.clone(),
        edits: guest.changes.clone(),
        warnings: disk.warnings.iter().chain(&guest.warnings).cloned().collect(),
        damage: disk.damage(),
        crc32: format!("{crc:08x}"),
        fingerprint: fingerprint(work)?,
    };
    Ok(Concluded { record, journal })
}

/// Of a raw file's digests: those of the raw image that were asked for, and the file's own.
fn divide(all: Digests, asked: &[Algorithm]) -> (Digests, Digests) {
    let of = |wanted: &[Algorithm]| -> BTreeMap<_, _> {
        all.iter().filter(|(a, _)| wanted.contains(a)).map(|(a, hex)| (*a, hex.clone())).collect()
    };
    (of(asked), of(&FILE_DIGESTS))
}

/// What a record keeps of the work, to know it again.
pub(crate) fn fingerprint(work: &Work) -> Result<String> {
    let text = serde_json::to_string(work).map_err(|e| {
        Error::new(Kind::Internal, "fingerprint", "cannot encode").because(e.into())
    })?;
    Ok(crate::digest::sha256(text.as_bytes()))
}

/// Gives image and record their names and removes what only unfinished work needs.
fn finish(place: &Place, record: &Record, image_is_part: bool) -> Result<()> {
    if image_is_part {
        place.publish_image()?;
    }
    place.publish_record(&record.to_text()?)?;
    // Image and record have their names, durably. What is left is tidying, and after it the lock is
    // somebody else's.
    place.remove_state()
}

/// What an error leaves behind: nothing, unless there is something to continue.
fn tidy_after(error: &Error, place: &Place) {
    let keep = match error.kind() {
        // The bytes so far are from a source that is gone.
        Kind::Changed => false,
        _ => match journal::read(&place.journal()) {
            Ok(history) => history.is_some_and(|history| {
                history.checkpoint.is_some() || history.finished.is_some() || history.damaged
            }),
            // What cannot be read now may be readable later.
            Err(_) => true,
        },
    };
    // A failure to tidy must not hide the error that led here.
    let ours = place::exists(&place.journal()).unwrap_or(false);
    let _ = match (keep, ours) {
        (true, _) => Ok(()),
        (false, true) => place.remove_unfinished(),
        (false, false) => place.remove_state(),
    };
}

/// Damage that a conversion went past, as the error that it ends with.
pub fn damage_error(input: &Path, damage: &[Damage]) -> Option<Error> {
    // By offset, so that a byte in two ranges counts once.
    let mut bytes = 0;
    let mut counted = 0;
    for range in damage {
        let end = range.offset.saturating_add(range.len);
        bytes += end.saturating_sub(counted.max(range.offset));
        counted = counted.max(end);
    }
    (!damage.is_empty()).then(|| {
        let ranges = damage.len();
        Error::new(
            Kind::Damaged,
            "salvaged",
            format!("{bytes} bytes in {ranges} ranges of the guest's disk could not be trusted"),
        )
        .at(input)
        .remedy("the image was made all the same; the ranges are in its record")
    })
}
