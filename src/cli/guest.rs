//! What the typed words mean for the guest.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use super::args::Context as Word;
use super::config::Site;
use super::settings::Mode;
use super::shape::Shape;
use super::size::human;
use super::talk::printable;
use crate::error::{Error, Kind, Result};
use crate::guest::edits::{self, Change, EditOptions};
use crate::guest::facts::Facts;
use crate::guest::prepare::{Context, Report, Wanted};
use crate::guest::verdict::Severity;
use crate::pipeline::record::Record;

/// No list of public keys is larger.
const MAX_KEYS: u64 = 1 << 20;

/// Settles what is to be done with the guest.
///
/// # Errors
/// `Usage` or `Config`, and those of reading the files that are named.
pub(super) fn wanted(shape: &Shape, site: &Site, mode: Mode) -> Result<Wanted> {
    let context = match shape.no_context {
        true => Word::Off,
        false => site.or(shape.context, "context")?.unwrap_or(Word::Require),
    };
    let added = names(&shape.edit, site, "edit")?;
    let left_out = names(&shape.skip_edit, site, "skip_edit")?;
    if let Some(both) = shape.edit.iter().find(|name| shape.skip_edit.contains(name)) {
        let message = format!("the edit '{both}' is both asked for and left out");
        return Err(Error::new(Kind::Usage, "usage", message));
    }
    let edits = edits::chosen(&added, &left_out);
    let keys_wanted = edits.contains(&edits::authorized_key::EDIT.name);
    if !shape.authorized_key.is_empty() && !keys_wanted {
        let message = "--authorized-key gives a key that the edit 'authorized-keys', which is left \
                       out, would put into the guest";
        return Err(Error::new(Kind::Usage, "usage", message));
    }
    let keys = if keys_wanted { keys(shape, site)? } else { Vec::new() };
    let context_wanted = context != Word::Off && edits.contains(&edits::context_scripts::EDIT.name);
    let context_given = !shape.context_var.is_empty() || !shape.context_script.is_empty();
    if context_given && !context_wanted {
        let message = "--context-var and --context-script give something to the edit \
                       'context-scripts', which is left out";
        return Err(Error::new(Kind::Usage, "usage", message));
    }
    let (context_vars, context_scripts) = match context_wanted {
        true => (super::context::variables(shape, site)?, super::context::scripts(shape, site)?),
        false => Default::default(),
    };
    let defaults = Wanted::default();
    Ok(Wanted {
        context: match context {
            Word::Require => Context::Require,
            Word::Try => Context::Try,
            Word::Off => Context::Off,
        },
        edits,
        root_volume: shape.root_volume.clone(),
        options: EditOptions {
            authorized_keys: keys,
            keep_passwords: shape.keep_passwords,
            context_vars,
            context_scripts,
        },
        now: epoch()?,
        examine: mode == Mode::Check,
        ..defaults
    })
}

/// The names that were typed, else those of the environment or the config file. All have to be
/// known.
fn names(typed: &[String], site: &Site, key: &str) -> Result<Vec<&'static str>> {
    let text = if typed.is_empty() {
        site.get::<String>(key)?.unwrap_or_default()
    } else {
        typed.join(",")
    };
    let kind = if typed.is_empty() { Kind::Config } else { Kind::Usage };
    let known = |name: &str| edits::all().map(|(known, ..)| known).find(|known| *known == name);
    let words = text.split(',').map(str::trim).filter(|name| !name.is_empty());
    words
        .map(|name| {
            known(name).ok_or_else(|| {
                let all: Vec<_> = edits::all().map(|(name, ..)| name).collect();
                Error::new(kind, "edit-unknown", format!("there is no edit '{name}'"))
                    .remedy(format!("the edits are {} (see --list-edits)", all.join(", ")))
            })
        })
        .collect()
}

/// The public keys of all files, one line each.
fn keys(shape: &Shape, site: &Site) -> Result<Vec<String>> {
    let files = match (shape.authorized_key.as_slice(), site.get::<PathBuf>("authorized_key")?) {
        ([], Some(file)) => vec![file],
        (files, _) => files.to_vec(),
    };
    let mut keys: Vec<String> = Vec::new();
    for file in &files {
        for key in keys_in(file)? {
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
    }
    Ok(keys)
}

fn keys_in(path: &Path) -> Result<Vec<String>> {
    let bad = |error: Error| error.with_kind(Kind::Usage).at(path);
    let failed = |e| Error::io("authorized-key", "cannot read the public key", path, e);
    let len = std::fs::metadata(path).map_err(failed)?.len();
    if len > MAX_KEYS {
        return Err(bad(Error::new(
            Kind::Usage,
            "authorized-key",
            "this is too large to be a list of public keys",
        )));
    }
    let text = std::fs::read_to_string(path).map_err(failed)?;
    let lines =
        text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let keys: Vec<String> = lines
        .map(|line| edits::authorized_key::check_key_line(line).map_err(bad))
        .collect::<Result<_>>()?;
    match keys.is_empty() {
        true => Err(bad(Error::new(Kind::Usage, "authorized-key", "there is no public key in it"))),
        false => Ok(keys),
    }
}

/// `SOURCE_DATE_EPOCH`: the time that all edits carry
/// (<https://reproducible-builds.org/specs/source-date-epoch/>).
fn epoch() -> Result<Option<i64>> {
    let Some(text) = std::env::var_os("SOURCE_DATE_EPOCH").filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    // What an inode of 128 bytes can hold.
    let seconds = text.to_str().and_then(|text| text.parse().ok());
    let seconds = seconds.filter(|seconds| (0..=i64::from(i32::MAX)).contains(seconds));
    seconds.map(Some).ok_or_else(|| {
        let message = format!("SOURCE_DATE_EPOCH is '{}'", text.to_string_lossy());
        Error::new(Kind::Config, "source-date-epoch", message)
            .remedy("set it to seconds since 1970, or unset it")
    })
}

/// What `--list-edits` prints.
pub(super) fn list() -> (String, serde_json::Value) {
    let mut text = String::new();
    for (name, default, reason) in edits::all() {
        let default = if default { "on" } else { "off" };
        let _ = writeln!(text, "{name:<18} {default:<4} {reason}");
    }
    let list: Vec<_> = edits::all()
        .map(|(name, default, reason)| {
            serde_json::json!({"name": name, "default": default, "reason": reason})
        })
        .collect();
    (text, serde_json::json!({"schema": 1, "edits": list}))
}

/// The guest on one line: what it is, and what it needs.
fn described(facts: &Facts) -> String {
    let mut words =
        vec![facts.os_name.clone().or(facts.os.clone()).unwrap_or("unknown system".to_owned())];
    words.extend(facts.os_arch.clone());
    words.push(format!("disk on {}", facts.disks_bus));
    words.join(", ")
}

/// What the report of a conversion says of the guest.
pub(super) fn converted(record: &Record) -> String {
    let Some(facts) = &record.guest else { return String::new() };
    let mut names: Vec<&str> = record.edits.iter().map(|change| change.name.as_str()).collect();
    names.dedup();
    let edits = match names.as_slice() {
        [] => "nothing to change".to_owned(),
        names => format!("{} changes: {}", record.edits.len(), names.join(" ")),
    };
    let facts = printable(&described(facts));
    format!("  guest {facts}\n        {edits}\n")
}

/// Every change, one a line.
pub(super) fn edits(changes: &[Change]) -> String {
    let mut text = String::new();
    for Change { name, path, action } in changes {
        let _ = writeln!(text, "  edit    {name:<17} {}: {}", printable(path), printable(action));
    }
    text
}

/// What `--check` says of the guest.
pub(super) fn checked(guest: &Report, refusal: Option<&Error>) -> String {
    let mut text = String::new();
    if let Some(facts) = &guest.facts {
        let _ = writeln!(text, "  guest   {}", printable(&described(facts)));
        for mount in &facts.mounts {
            let (at, volume) = (printable(&mount.at), printable(&mount.volume));
            let _ = writeln!(text, "  mount   {at} on {volume} ({})", printable(&mount.filesystem));
        }
    }
    if let Some(error) = refusal {
        let _ = writeln!(text, "  guest   cannot be prepared: {}", printable(error.message()));
    }
    for warning in &guest.warnings {
        let _ = writeln!(text, "  warning {}", printable(&warning.message));
    }
    text += &edits(&guest.changes);
    if let Some(free) = guest.free.filter(|free| *free > 0) {
        let free = human(free);
        let _ = writeln!(
            text,
            "  space   {free} are stored but unused: --edit free-space-zeroed drops them"
        );
    }
    for finding in &guest.outlook {
        let mark = match finding.severity {
            Severity::Ok => "ok  ",
            Severity::Warn => "warn",
            Severity::Bad => "BAD ",
        };
        let _ = writeln!(text, "  {mark}    {}", printable(&finding.text));
    }
    text
}
