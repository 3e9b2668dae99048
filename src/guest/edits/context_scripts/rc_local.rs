//! The last resort: the script of the administrator's own, which runs at the end of a start. Both
//! stages are then late: the SSH server is there already.

use std::path::Path;

use super::glue::{Glue, is_folder};
use crate::error::Result;
use crate::guest::context::PROGRAM_PATH;
use crate::guest::edits::Bench;
use crate::guest::inspect::file;
use crate::guest::text::{OUT, append};
use crate::guest::tree::{Attributes, Tree};

/// Where it is: Debian and Slackware, Red Hat, SUSE.
pub(super) const SCRIPTS: [&str; 4] =
    ["/etc/rc.local", "/etc/rc.d/rc.local", "/etc/init.d/after.local", "/etc/init.d/boot.local"];
const FOLDER: &str = "/etc/local.d";

const BEGIN: &str = "# stratuslab-one-context: begin";
const END: &str = "# stratuslab-one-context: end";

/// What such a guest needs; `None` if it has no such script.
pub(super) fn glue(tree: &dyn Tree) -> Result<Option<Glue>> {
    for path in SCRIPTS {
        if let Some(text) = file(tree, path)? {
            let changed = vec![(path.into(), with_lines(&without_lines(&text)), true)];
            return Ok(Some(Glue { changed, ..Glue::default() }));
        }
    }
    if !is_folder(tree, FOLDER)? {
        return Ok(None);
    }
    let mut glue = Glue::default();
    let script = format!("#!/bin/sh\n{PROGRAM_PATH} || :\n");
    glue.file(format!("{FOLDER}/stratuslab-one-context.start"), script, 0o755);
    Ok(Some(glue))
}

/// Takes out what runs the contextualizer from every such script: lines of old images, and ours.
pub(super) fn clean(bench: &mut Bench<'_>, keep: &Glue) -> Result<()> {
    for path in SCRIPTS {
        // Debian's is often a link to Red Hat's, or the other way round.
        let same = |other: &Path| -> Result<bool> {
            Ok(bench.tree.resolve(Path::new(path))? == bench.tree.resolve(other)?)
        };
        let mut kept = false;
        for (other, ..) in &keep.changed {
            kept |= same(other)?;
        }
        let Some(text) = bench.text(path)? else { continue };
        let new = without_others(&if kept { text.clone() } else { without_lines(&text) });
        let action = "taken out: another way runs the context scripts";
        bench.put(path, &new, Attributes::root(0o755), action)?;
    }
    Ok(())
}

/// Without our lines. A beginning without an end of its own is no block.
fn without_lines(text: &str) -> String {
    let (mut out, mut block) = (String::with_capacity(text.len()), None);
    for line in text.split_inclusive('\n') {
        match line.trim_end() {
            BEGIN => block = Some(out.len()),
            END => {
                if let Some(begin) = block.take() {
                    out.truncate(begin);
                    continue;
                }
            }
            _ => {}
        }
        out.push_str(line);
    }
    out
}

/// With the lines of other installations as comments.
fn without_others(text: &str) -> String {
    let (mut out, mut inside) = (String::with_capacity(text.len()), false);
    for line in text.split_inclusive('\n') {
        inside |= line.trim_end() == BEGIN;
        let code = line.trim_start();
        if !inside && !code.starts_with('#') && runs_it(code) {
            out.push_str(OUT);
        }
        inside &= line.trim_end() != END;
        out.push_str(line);
    }
    out
}

/// Whether a line is no more than a call of the contextualizer.
fn runs_it(code: &str) -> bool {
    let mut words = code.split([' ', '\t', ';', '&', '|', '\n', '\r']).filter(|w| !w.is_empty());
    let first = words.find(|word| !matches!(*word, "sh" | "/bin/sh" | "exec" | "." | "nohup"));
    first.is_some_and(|word| word.trim_matches(['"', '\'']) == PROGRAM_PATH)
}

/// With our lines in front of the first `exit` that is not inside of something, or at the end.
fn with_lines(text: &str) -> String {
    let ours = format!("{BEGIN}\n{PROGRAM_PATH} || :\n{END}\n");
    let mut at = text.len();
    let (mut depth, mut offset) = (0_usize, 0);
    for line in text.split_inclusive('\n') {
        if depth == 0 && first_word(line) == "exit" {
            at = offset;
            break;
        }
        depth = deeper(depth, line);
        offset += line.len();
    }
    let (before, after) = text.split_at(at);
    let mut new = before.to_owned();
    if new.is_empty() {
        new.push_str("#!/bin/sh\n");
    }
    append(&mut new, &ours);
    new + after
}

fn first_word(line: &str) -> &str {
    line.trim_start().split([' ', '\t', ';', '\n', '\r']).next().unwrap_or_default()
}

/// How many compound commands and functions are open after a line: by the words where a shell
/// expects a command.
fn deeper(mut depth: usize, line: &str) -> usize {
    let mut command = true;
    for word in line.replace(';', " ; ").split_whitespace() {
        if word.starts_with('#') {
            break;
        }
        match word {
            "if" | "case" | "for" | "while" | "until" | "{" | "(" if command => depth += 1,
            "fi" | "esac" | "done" | "}" | ")" if command => depth = depth.saturating_sub(1),
            // `name() {`
            "{" => depth += 1,
            _ => {}
        }
        let opens = ["then", "else", "elif", "do", ";", "&&", "||", "|", "{", "(", ";;", "!"];
        command = opens.contains(&word);
        // The word of a `for` or a `case` is no command; what follows is, behind `do` and `;;`.
    }
    depth
}
