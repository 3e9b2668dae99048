//! Kernel command lines, wherever a boot loader or what generates its configuration keeps them.
//!
//! ```text
//! files.rs   which files a guest has, and how each is written
//! spans.rs   where in a line the words for the kernel stand
//! ```
//!
//! A file is taken apart into lines, the span of a command line in it is replaced, and every other
//! byte stays as it was.

mod files;
#[cfg(test)]
pub(crate) mod samples;
mod spans;
#[cfg(test)]
pub(crate) mod tests;

use std::ops::Range;
use std::path::Path;

pub use files::Style;
pub use spans::Role;

use super::Bench;
use crate::error::Result;
use crate::guest::tree::Attributes;

/// A command line, and what stands around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// The words for the kernel, without quotes around them.
    pub words: &'a str,
    /// What it is for.
    pub role: Role,
    /// Whether the kernel of this line starts with an initramfs, if the file says so.
    pub initramfs: Option<bool>,
}

/// Calls `change` with each command line of the guest, in a fixed order of the files; what it
/// returns takes the line's place. Each file that differs then is listed with `action`.
///
/// # Errors
/// Those of the guest's file system.
pub fn edit(
    bench: &mut Bench<'_>,
    action: &str,
    change: &mut dyn FnMut(&Path, Line<'_>) -> Option<String>,
) -> Result<()> {
    for (path, style) in files::all(bench)? {
        let Some(text) = bench.text(&path)? else { continue };
        let new = edit_text(&text, style, &mut |line| change(&path, line));
        put(bench, &path, style, &text, new, action)?;
    }
    Ok(())
}

/// Adds to each command line that a kernel is started with, or that such are generated from, the
/// words that `missing` finds missing in it. True, if there is a line that a kernel starts with:
/// the guest has a boot loader of its own.
///
/// # Errors
/// Those of the guest's file system.
pub fn add(
    bench: &mut Bench<'_>,
    action: &str,
    missing: &dyn Fn(&str) -> Vec<&'static str>,
) -> Result<bool> {
    let mut boots = false;
    for (path, style) in files::all(bench)? {
        let Some(text) = bench.text(&path)? else { continue };
        // The assignments of a shell file come together in one command line.
        let mut together = String::new();
        if style == Style::Shell {
            edit_text(&text, style, &mut |line| {
                together.push_str(line.words);
                together.push(' ');
                None
            });
        }
        let mut new = edit_text(&text, style, &mut |line| {
            boots |= line.role == Role::Boot && style != Style::Shell;
            if line.role == Role::Part || (!together.is_empty() && missing(&together).is_empty()) {
                return None;
            }
            let words = missing(line.words);
            (!words.is_empty()).then(|| add_words(line.words, &words.join(" ")))
        });
        if path.ends_with("etc/default/grub") && !spans::assigns(&new, "GRUB_CMDLINE_LINUX") {
            let words = missing(&together);
            if !words.is_empty() {
                let end = if new.is_empty() || new.ends_with('\n') { "" } else { "\n" };
                new.push_str(&format!("{end}GRUB_CMDLINE_LINUX=\"{}\"\n", words.join(" ")));
            }
        }
        put(bench, &path, style, &text, new, action)?;
    }
    Ok(boots)
}

/// Writes what became of a file, with the length that a block of GRUB's environment must keep.
fn put(
    bench: &mut Bench<'_>,
    path: &Path,
    style: Style,
    old: &str,
    mut new: String,
    action: &str,
) -> Result<()> {
    if style == Style::Grubenv && new != old {
        match refill(&new, old.chars().count()) {
            Some(full) => new = full,
            None => {
                let message = format!("{}: no room in this block: {action}", path.display());
                bench.warn("grubenv-full", message);
                return Ok(());
            }
        }
    }
    bench.put(path, &new, Attributes::root(0o644), action)
}

/// GRUB's environment is a block of a fixed length, usually 1024 bytes, filled up with `#`
/// (GRUB manual, "The GRUB environment block"; GRUB writes it in place, sector by sector).
fn refill(text: &str, len: usize) -> Option<String> {
    let content = text.trim_end_matches('#');
    let fill = len.checked_sub(content.chars().count())?;
    Some(format!("{content}{}", "#".repeat(fill)))
}

fn edit_text(
    text: &str,
    style: Style,
    change: &mut dyn FnMut(Line<'_>) -> Option<String>,
) -> String {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let stanzas = spans::stanzas(style, &lines);
    let mut first = true;
    let mut new = String::with_capacity(text.len());
    for (line, stanza) in lines.iter().zip(stanzas) {
        let span = spans::find(style, line.trim_end_matches(['\n', '\r']), first);
        // What has an open quote goes on where only the loader knows.
        let whole = |span: &Range<usize>| line[span.clone()].matches('"').count() % 2 == 0;
        let Some((span, role)) = span.filter(|(span, _)| !stanza.foreign && whole(span)) else {
            new.push_str(line);
            continue;
        };
        first = false;
        let words = &line[span.clone()];
        // What lines are generated from belongs to no entry.
        let initramfs = stanza.initramfs.filter(|_| role != Role::Template);
        match change(Line { words, role, initramfs }) {
            Some(words) => new.push_str(&replace(line, span, &words, style)),
            None => new.push_str(line),
        }
    }
    new
}

/// Puts `words` into `span` of `line`.
fn replace(line: &str, span: Range<usize>, words: &str, style: Style) -> String {
    let (before, after) = (&line[..span.start], &line[span.end..]);
    let last = before.chars().next_back();
    let bare = style == Style::Shell && last == Some('=') && words.contains([' ', '\t']);
    let glued = last.is_some_and(|c| !c.is_ascii_whitespace() && !"='\"".contains(c));
    let joint =
        if glued && !words.is_empty() && !words.starts_with([' ', '\t']) { " " } else { "" };
    let quote = if bare { "\"" } else { "" };
    format!("{before}{joint}{quote}{words}{quote}{after}")
}

/// `words` with `more` at the end, but before a `--`: what is behind that is for init.
pub fn add_words(words: &str, more: &str) -> String {
    let at = pieces(words)
        .find(|piece| &words[piece.clone()] == "--")
        .map_or(words.trim_ascii_end().len(), |piece| words[..piece.start].trim_ascii_end().len());
    let (before, after) = words.split_at(at);
    let gap = if at == 0 { "" } else { " " };
    let behind = if after.starts_with('-') { " " } else { "" };
    format!("{before}{gap}{more}{behind}{after}")
}

/// `words` with each word that `change` returns another one for replaced. `None`, if there is no
/// such word.
pub fn map_words(words: &str, mut change: impl FnMut(&str) -> Option<String>) -> Option<String> {
    let (mut new, mut end, mut changed) = (String::new(), 0, false);
    for piece in pieces(words) {
        if let Some(word) = change(&words[piece.clone()]) {
            new.push_str(&words[end..piece.start]);
            new.push_str(&word);
            end = piece.end;
            changed = true;
        }
    }
    new.push_str(&words[end..]);
    changed.then_some(new)
}

/// Whether one of the words begins with `start`.
pub fn has_word(words: &str, start: &str) -> bool {
    pieces(words).any(|piece| words[piece].starts_with(start))
}

/// Where the words are: runs without white space, which may stand between double quotes.
fn pieces(words: &str) -> impl Iterator<Item = Range<usize>> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at + words[at..].find(|c: char| !c.is_ascii_whitespace())?;
        let mut quoted = false;
        let len = words[start..].find(|c: char| {
            quoted ^= c == '"';
            c.is_ascii_whitespace() && !quoted
        });
        at = len.map_or(words.len(), |len| start + len);
        Some(start..at)
    })
}
