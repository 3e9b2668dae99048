//! What the user of the program wants in the guest: defaults of variables, and actions.

use std::path::Path;

use super::bundle::place;
use crate::error::Result;
use crate::guest::context::{assignment, check_script_name, check_variable, is_variable};
use crate::guest::edits::Bench;
use crate::guest::text::{self, append};

/// The last of all names, so that it goes before every other default.
const DEFAULTS: &str = "/etc/stratuslab/conf.d/zz-defaults.context";
const HEAD: &str = "# Defaults of this image. What the cloud gives goes before them.\n";

/// Writes what was given.
///
/// # Errors
/// Those of names and values that the context cannot have, and of writing.
pub(super) fn write(bench: &mut Bench<'_>) -> Result<()> {
    let options = bench.options;
    let actions = options.context_scripts.iter().flat_map(|script| &script.variables);
    for (name, value) in options.context_vars.iter().chain(actions) {
        let warning = check_variable(name, value)?;
        bench.warnings.extend(warning.filter(|warning| !bench.warnings.contains(warning)));
    }
    if !options.context_vars.is_empty() {
        let old = bench.text(DEFAULTS)?.unwrap_or_else(|| HEAD.to_owned());
        let new = merged(&old, &options.context_vars);
        place(bench, DEFAULTS, &new, 0o644, ["defaults of the context"; 2])?;
    }
    let mut names = Vec::new();
    for script in &options.context_scripts {
        let name = check_script_name(&script.name, &names)?;
        names.push(name.clone());
        let path = format!("/usr/lib/stratuslab/actions/{name}");
        place(
            bench,
            &path,
            &text::decode(&script.content),
            0o755,
            ["an action of the context"; 2],
        )?;
        let mut context = format!("# An action of this image.\nenable=yes\nrun_exec={path}\n");
        for (name, value) in &script.variables {
            context.push_str(&assignment(name, value));
        }
        let file = Path::new("/etc/stratuslab/conf.d").join(format!("60-{name}.context"));
        place(bench, file, &context, 0o644, ["an action of the context"; 2])?;
    }
    Ok(())
}

/// `old` with these variables: what sets one of them is replaced, all else stays.
fn merged(old: &str, variables: &[(String, Vec<u8>)]) -> String {
    let is_new = |name: &str| variables.iter().any(|(new, _)| new == name);
    let mut text: String =
        pieces(old).filter(|(name, _)| !name.is_some_and(is_new)).map(|(_, piece)| piece).collect();
    for (at, (name, value)) in variables.iter().enumerate() {
        // Of the same name the last one counts.
        if !variables[at + 1..].iter().any(|(later, _)| later == name) {
            append(&mut text, &assignment(name, value));
        }
    }
    text
}

/// A file of assignments in pieces: each assignment with all of its lines, and every other line.
fn pieces(text: &str) -> impl Iterator<Item = (Option<&str>, &str)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let line = rest.find('\n').map_or(rest.len(), |end| end + 1);
        let name = rest[..line].split_once('=').map(|(name, _)| name);
        let name = name.filter(|name| is_variable(name));
        let len = if name.is_some() { assignment_len(rest) } else { line };
        let (piece, after) = rest.split_at(len);
        rest = after;
        Some((name, piece))
    })
}

/// Bytes of the assignment at the beginning of a text: to the first end of a line that is not
/// between quotes.
fn assignment_len(text: &str) -> usize {
    let (mut quote, mut escaped, mut blank, mut comment) = (None, false, false, false);
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (_, '\n') if comment => return at + 1,
            _ if comment => {}
            _ if escaped => escaped = false,
            (None | Some('"'), '\\') => escaped = true,
            (None, '\n') => return at + 1,
            (None, '#') if blank => comment = true,
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            _ => {}
        }
        blank = matches!(c, ' ' | '\t' | ';');
    }
    text.len()
}

#[cfg(test)]
mod tests;
