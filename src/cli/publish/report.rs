//! What is said at the end.

use std::fmt::Write;
use std::path::Path;

use serde_json::{Value, json};

use super::items::Item;
use crate::cli::size::human;
use crate::cli::talk::printable;
use crate::pipeline::Status;
use crate::pipeline::publish::{Announced, Published, Steps};

fn shown(path: &Path) -> String {
    printable(&path.display().to_string())
}

/// What was published, for a person.
pub(super) fn text(item: &Item, status: Option<Status>, published: &Published) -> String {
    let Published { record, image: stored, location, manifest } = published;
    let mut text = shown(item.image());
    text += match status {
        Some(Status::Converted) => " (converted)\n",
        Some(Status::Continued(_)) => " (continued)\n",
        Some(Status::AlreadyDone) | None => "\n",
    };
    let _ = writeln!(text, "  raw         {} bytes  {}", record.raw.bytes, human(record.raw.bytes));
    for (name, hex) in &record.raw.digests {
        let _ = writeln!(text, "    {name:<9} {hex}");
    }
    let _ =
        writeln!(text, "  file        {} bytes  {}", record.file.bytes, human(record.file.bytes));
    for (name, hex) in &record.file.digests {
        let _ = writeln!(text, "    {name:<9} {hex}");
    }
    let _ = writeln!(text, "  stored      {}", printable(&stored.url));
    let there = if stored.already { "was there already, " } else { "" };
    let _ = writeln!(text, "              {there}{}", printable(&stored.proof));
    if *location != stored.url {
        let _ = writeln!(text, "  location    {}", printable(location));
    }
    if let Some(manifest) = manifest {
        text += &announced(manifest);
    }
    text
}

fn announced(manifest: &Announced) -> String {
    let mut text = String::new();
    let Announced { path, identifier, email, created, valid, algorithms, stored, entry } = manifest;
    let _ = writeln!(text, "  manifest    {}", shown(path));
    let _ = writeln!(text, "              {}", printable(&stored.url));
    let _ = writeln!(text, "  identifier  {identifier}");
    let _ = writeln!(text, "  endorser    {}, {created}, valid until {valid}", printable(email));
    let who = match algorithms.starts_with("rsa-sha1") {
        true => "legacy: what StratusLab's programs verify",
        false => "today's verifiers, not StratusLab's programs",
    };
    let _ = writeln!(text, "  signature   {algorithms} ({who})");
    if let Some((answer, already)) = entry {
        let how = if *already { "was registered already, looked at again" } else { "registered" };
        match (&answer.url, &answer.pending) {
            (Some(url), _) => {
                let _ = writeln!(text, "  entry       {}\n              {how}", printable(url));
            }
            (None, pending) => {
                let why = pending.as_deref().unwrap_or_default();
                let _ = writeln!(
                    text,
                    "  entry       not yet: {}\n              follow the link in the mail to {}, then run the same command again;\n              --restart has another mail sent",
                    printable(why),
                    printable(email)
                );
            }
        }
    }
    text
}

/// What was published, for a program.
pub(super) fn json(item: &Item, published: &Published) -> Value {
    let Published { record, image: stored, location, manifest } = published;
    json!({
        "schema": 1,
        "published": {
            "input": item.input.to_string_lossy(),
            "image": item.image().to_string_lossy(),
            "raw": record.raw,
            "file": record.file,
            "url": stored.url,
            "location": location,
            "already": stored.already,
            "proof": stored.proof,
            "manifest": manifest.as_ref().map(|manifest| json!({
                "path": manifest.path.to_string_lossy(),
                "url": manifest.stored.url,
                "identifier": manifest.identifier,
                "endorser": manifest.email,
                "created": manifest.created,
                "valid": manifest.valid,
                "algorithms": manifest.algorithms,
            })),
            "entry": manifest.as_ref().and_then(|m| m.entry.as_ref()).map(|(answer, already)| json!({
                "url": answer.url,
                "pending": answer.pending,
                "already": already,
            })),
        }
    })
}

/// What would be done, for a person.
pub(super) fn steps(item: &Item, steps: &Steps) -> String {
    let mut text = match item.job {
        Some(_) => format!("{} -> {}\n", shown(&item.input), shown(item.image())),
        None => format!("{}\n", shown(item.image())),
    };
    for line in &steps.lines {
        let _ = writeln!(text, "  {}", printable(line));
    }
    text
}

/// What would be done, for a program.
pub(super) fn steps_json(item: &Item, steps: &Steps) -> Value {
    json!({
        "schema": 1,
        "plan": {
            "input": item.input.to_string_lossy(),
            "image": item.image().to_string_lossy(),
            "steps": steps.lines,
        }
    })
}
