//! How much room an output needs, before the work begins.

use std::os::unix::fs::MetadataExt;

use super::gzip::Packer;
use super::place::{Place, failed};
use super::plan::Unfinished;
use super::segments::{self, Run, Segments};
use super::sink::is_zero;
use super::{Compression, Control, Job, SEGMENT};
use crate::control::Event;
use crate::disk::{Disk, OpenDisk, Usage};
use crate::error::{Error, Kind, Result};

/// Segments that are packed to guess how well the rest will: some 0.2 s of work.
const SAMPLES: usize = 16;
/// Room for journal and record.
const SMALL_FILES: u64 = 1 << 20;

/// What is known about an output's size before it is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    /// It will certainly not be larger.
    pub at_most: u64,
    /// It will probably be about this large: a sample of the data was packed.
    pub about: u64,
}

/// Estimates the output's size from `from` on.
pub fn need(job: &Job, disk: &OpenDisk, from: u64) -> Result<Need> {
    let usage = segments::usage(disk, from)?;
    let at_most = worst(job, usage);
    Ok(Need { at_most, about: sampled(job, disk, from, usage)?.min(at_most) })
}

/// Empty gzip segments take a thousandth, empty raw segments nothing.
fn empty_size(job: &Job, empty: u64) -> u64 {
    match job.compression {
        Compression::Gz => empty / 1000 + 64,
        Compression::None => 0,
    }
}

fn worst(job: &Job, usage: Usage) -> u64 {
    // Stored blocks: five bytes for each 64 KiB.
    usage.data + usage.data / 10_000 + empty_size(job, usage.empty)
}

/// Packs some data segments, spread evenly over all of them.
fn sampled(job: &Job, disk: &OpenDisk, from: u64, usage: Usage) -> Result<u64> {
    let count = usage.data.div_ceil(SEGMENT as u64);
    let step = (count / SAMPLES as u64).max(1);
    let mut packer = Packer::new(job.effort)?;
    let mut buf = Vec::new();
    let (mut read, mut packed, mut offset, mut number) = (0, 0, from, 0);
    for run in Segments::new(disk, from) {
        let run = run?;
        if let Run::Data(len) = run {
            if number % step == 0 {
                buf.resize(usize::try_from(len).unwrap_or(SEGMENT), 0);
                disk.read_at(&mut buf, offset)?;
                read += len;
                packed += match job.compression {
                    Compression::Gz => packer.pack(offset, &buf).len() as u64,
                    Compression::None => not_zero(&buf),
                };
            }
            number += 1;
        }
        offset += run.len();
    }
    let share = |part: u64| u128::from(usage.data) * u128::from(part) / u128::from(read.max(1));
    let data = u64::try_from(share(packed)).unwrap_or(u64::MAX);
    Ok(data.saturating_add(empty_size(job, usage.empty)))
}

fn not_zero(bytes: &[u8]) -> u64 {
    bytes.chunks(4096).filter(|block| !is_zero(block)).map(|block| block.len() as u64).sum()
}

/// Bytes that an ordinary user can still write to the folder.
pub fn free(place: &Place) -> Result<u64> {
    let stat = rustix::fs::statvfs(&place.folder)
        .map_err(|e| failed("free-space", "cannot ask for free space", &place.folder, e.into()))?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Refuses work that cannot fit. Where even the worst case fits nothing is read; otherwise a
/// sample decides, and a doubtful case is tried with a warning: it can be continued.
///
/// # Errors
/// `Io`, with the need and the room.
pub fn check(
    job: &Job,
    disk: &OpenDisk,
    place: &Place,
    unfinished: Option<&Unfinished>,
    control: &Control,
) -> Result<()> {
    let from = unfinished.map_or(0, |u| u.checkpoint.raw_offset);
    // What an earlier run wrote is cut off behind its checkpoint, or thrown away.
    let there =
        std::fs::symlink_metadata(&place.part).map_or(0, |m| m.blocks().saturating_mul(512));
    let kept = unfinished.map_or(0, |u| u.checkpoint.file_offset);
    let room = free(place)?.saturating_add(there.saturating_sub(kept));
    let usage = segments::usage(disk, from)?;
    let at_most = worst(job, usage).saturating_add(SMALL_FILES);
    if room >= at_most {
        return Ok(());
    }
    let about = sampled(job, disk, from, usage)?.saturating_add(SMALL_FILES);
    if room < about - about / 10 {
        let message =
            format!("not enough room: about {about} bytes needed, {room} free (none written)");
        return Err(Error::new(Kind::Io, "no-space", message)
            .at(&place.folder)
            .remedy("make room, or choose another folder with -o"));
    }
    control.progress.event(&Event::Warn(format!(
        "room is tight: about {about} bytes needed, at most {at_most}, {room} free; if it runs \
         out, make room and run the same command again"
    )));
    Ok(())
}
