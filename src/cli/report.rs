//! Results as a person reads them, and as a program does.

use std::fmt::Write;
use std::path::Path;

use serde_json::{Value, json};

use super::size::human;
use super::talk::printable;
use crate::disk::{Damage, Disk, OpenDisk, Usage};
use crate::error::{Error, Result};
use crate::pipeline::place::Place;
use crate::pipeline::plan::{Plan, Start};
use crate::pipeline::record::Record;
use crate::pipeline::space::Need;
use crate::pipeline::{Job, Opened, Status};

/// A name on a line of its own.
fn shown(path: &Path) -> String {
    printable(&path.display().to_string())
}

/// What a conversion made.
pub(super) fn converted(job: &Job, record: &Record, status: Status) -> String {
    let mut text = String::new();
    let how = match status {
        Status::Converted => String::new(),
        Status::Continued(offset) => format!(" (continued at byte {offset})"),
        Status::AlreadyDone => " (there already, verified)".to_owned(),
    };
    let _ = writeln!(text, "{}{how}", shown(&job.output));
    let _ = writeln!(text, "  raw   {:>14} bytes  {}", record.raw.bytes, human(record.raw.bytes));
    for (name, hex) in &record.raw.digests {
        let _ = writeln!(text, "        {name:<6} {hex}");
    }
    let _ = writeln!(text, "  file  {:>14} bytes  {}", record.file.bytes, human(record.file.bytes));
    for (name, hex) in &record.file.digests {
        let _ = writeln!(text, "        {name:<6} {hex}");
    }
    text + &super::guest::converted(record) + &damage(&record.damage)
}

/// What `--verify` says of a good image.
pub(super) fn verified(job: &Job) -> String {
    format!("{}: verified\n", shown(&job.input))
}

/// Every damaged range.
pub(super) fn damage(ranges: &[Damage]) -> String {
    let mut text = String::new();
    for range in ranges {
        let Damage { offset, len, reason } = range;
        let reason = printable(reason);
        let _ = writeln!(text, "  damaged: {len} bytes at {offset} of the guest's disk: {reason}");
    }
    text
}

/// What `--check` found.
pub(super) fn checked(
    job: &Job,
    opened: &Opened,
    usage: Usage,
    refusal: Option<&Error>,
) -> (String, Value) {
    let Opened { disk, guest } = opened;
    let mut text = String::new();
    let sound = disk.damage().is_empty();
    let verdict = if sound { "sound" } else { "damaged" };
    let _ = writeln!(text, "{}: {verdict}", shown(&job.input));
    let _ = writeln!(text, "  format  {}", disk.format);
    let _ = writeln!(
        text,
        "  size    {} bytes ({}), {} with data, {} empty",
        disk.size(),
        human(disk.size()),
        human(usage.data),
        human(usage.empty)
    );
    for layer in &disk.layers {
        let uuid = layer.uuid.as_deref().unwrap_or("-");
        let _ = writeln!(text, "  layer   {}  {uuid}", shown(&layer.path));
    }
    for warning in &disk.warnings {
        let _ = writeln!(text, "  warning {}", printable(&warning.message));
    }
    text += &damage(&disk.damage());
    text += &super::guest::checked(guest, refusal);
    let value = json!({
        "schema": 1,
        "check": {
            "path": job.input.to_string_lossy(),
            "sound": sound,
            "format": disk.format.name(),
            "bytes": disk.size(),
            "data": usage.data,
            "empty": usage.empty,
            "layers": layers(disk),
            "warnings": disk.warnings.iter().chain(&guest.warnings).collect::<Vec<_>>(),
            "damage": disk.damage(),
            "guest": guest.facts,
            "edits": guest.changes,
            "findings": guest.outlook,
            "free_bytes_stored": guest.free,
            "refused": refusal.map(|error| json!({"code": error.code(), "message": error.message()})),
        }
    });
    (text, value)
}

fn layers(disk: &OpenDisk) -> Vec<Value> {
    let layer = |layer: &crate::disk::LayerInfo| json!({"path": layer.path.to_string_lossy(), "uuid": layer.uuid});
    disk.layers.iter().map(layer).collect()
}

/// What `--dry-run` says.
pub(super) fn planned(
    job: &Job,
    opened: &Opened,
    usage: Usage,
    place: Option<(&Place, &Plan, u64)>,
    need: Need,
) -> Result<(String, Value)> {
    let Opened { disk, guest } = opened;
    let mut text = String::new();
    let output = match place {
        Some((place, ..)) => place.image.to_string_lossy().into_owned(),
        None => "standard output".to_owned(),
    };
    let _ = writeln!(text, "{} -> {}", shown(&job.input), printable(&output));
    for layer in &disk.layers {
        let _ = writeln!(text, "  reads   {}", shown(&layer.path));
    }
    let _ = writeln!(
        text,
        "  raw     {} bytes ({}), {} with data, {} empty",
        disk.size(),
        human(disk.size()),
        human(usage.data),
        human(usage.empty)
    );
    let _ =
        writeln!(text, "  writes  about {} ({} at most)", human(need.about), human(need.at_most));
    let start = place.map(|(_, plan, _)| match &plan.start {
        Start::Fresh => "begins".to_owned(),
        Start::Continue(u) => format!("continues at byte {}", u.checkpoint.raw_offset),
        Start::Complete(_) | Start::Named(_) => "finishes a complete image".to_owned(),
        Start::Done(_) => "nothing to do: it is there already, verified".to_owned(),
    });
    if let Some((_, _, room)) = place {
        let _ = writeln!(text, "  room    {} free", human(room));
    }
    if let Some(start) = &start {
        let _ = writeln!(text, "  state   {start}");
    }
    text += &super::guest::edits(&guest.changes);
    let value = json!({
        "schema": 1,
        "plan": {
            "input": job.input.to_string_lossy(),
            "output": output,
            "layers": layers(disk),
            "raw_bytes": disk.size(),
            "data": usage.data,
            "empty": usage.empty,
            "file_bytes_about": need.about,
            "file_bytes_at_most": need.at_most,
            "free_bytes": place.map(|(_, _, room)| room),
            "state": start,
            "guest": guest.facts,
            "edits": guest.changes,
            "warnings": disk.warnings.iter().chain(&guest.warnings).collect::<Vec<_>>(),
        }
    });
    Ok((text, value))
}
