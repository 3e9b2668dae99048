//! Where words go: results to standard output, talk to standard error, and with `--json` both
//! results and errors as one JSON object a line.

use std::error::Error as _;
use std::io::{self, IsTerminal, Write};

use serde_json::json;

use super::args::Color;
use super::settings::Manner;
use crate::error::{Error, Kind, Result};

/// Prints.
#[derive(Clone, Copy, Debug)]
pub(super) struct Talk {
    manner: Manner,
    colored: bool,
}

const RED: &str = "\x1b[1;31m";
const YELLOW: &str = "\x1b[1;33m";
const CYAN: &str = "\x1b[1;36m";

impl Talk {
    pub(super) fn new(manner: Manner) -> Self {
        let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let colored = match manner.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto if set("NO_COLOR") => false,
            Color::Auto => set("CLICOLOR_FORCE") || io::stderr().is_terminal(),
        };
        Talk { manner, colored }
    }

    pub(super) fn json(&self) -> bool {
        self.manner.json
    }

    pub(super) fn quiet(&self) -> bool {
        self.manner.quiet
    }

    pub(super) fn verbose(&self) -> bool {
        self.manner.verbose
    }

    pub(super) fn colored(&self) -> bool {
        self.colored
    }

    /// The result, for a person; nothing if it was asked for as JSON or standard output is taken.
    pub(super) fn result(&self, text: &str) -> Result<()> {
        if self.manner.json || self.manner.quiet || self.manner.stdout_taken {
            return Ok(());
        }
        print(&mut io::stdout().lock(), text)
    }

    /// The result, for a program.
    pub(super) fn result_json(&self, value: &impl serde::Serialize) -> Result<()> {
        if !self.manner.json {
            return Ok(());
        }
        let line = serde_json::to_string(value).map_err(|e| {
            Error::new(Kind::Internal, "json", "cannot build the result").because(e.into())
        })?;
        self.json_line(&line)
    }

    fn json_line(&self, line: &str) -> Result<()> {
        let line = format!("{line}\n");
        if self.manner.stdout_taken {
            print(&mut io::stderr().lock(), &line)
        } else {
            print(&mut io::stdout().lock(), &line)
        }
    }

    /// What only `-v` wants to know.
    pub(super) fn detail(&self, text: &str) {
        if self.manner.verbose {
            self.say(CYAN, "detail", text);
        }
    }

    pub(super) fn note(&self, text: &str) {
        if !self.manner.quiet {
            self.say(CYAN, "note", text);
        }
    }

    pub(super) fn warn(&self, text: &str) {
        if !self.manner.quiet {
            self.say(YELLOW, "warning", text);
        }
    }

    /// An error with its causes and its remedy. A reader that went away is told nothing.
    pub(super) fn error(&self, error: &Error) {
        if error.kind() == Kind::BrokenPipe {
            return;
        }
        if self.manner.json {
            let line = error_json(error).to_string();
            // There is nobody left to tell if this fails, too.
            let _ = self.json_line(&line);
            return;
        }
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(why) = cause {
            text.push_str(&format!(": {why}"));
            cause = why.source();
        }
        self.say(RED, "error", &text);
        if let Some(remedy) = error.advice() {
            self.say(CYAN, "  to do", remedy);
        }
    }

    fn say(&self, color: &str, label: &str, text: &str) {
        let line = if self.colored {
            format!("{color}{label}:\x1b[0m {}\n", printable(text))
        } else {
            format!("{label}: {}\n", printable(text))
        };
        let _ = io::stderr().lock().write_all(line.as_bytes());
    }
}

/// Names come from strangers: nothing in them may drive the terminal, or turn the order of its letters.
pub(super) fn printable(text: &str) -> String {
    let drives = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|c| if drives(c) { '\u{fffd}' } else { c }).collect()
}

fn print(out: &mut impl Write, text: &str) -> Result<()> {
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(()),
        // A reader that went away wanted no more: that is no failure of the work.
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(e) => {
            Err(Error::io("stdout", "cannot write the result", "standard output".as_ref(), e))
        }
    }
}

/// The error as a program reads it; the form is stable (README, "Exit codes").
pub(super) fn error_json(error: &Error) -> serde_json::Value {
    let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
    json!({
        "schema": 1,
        "error": {
            "code": error.code(),
            "kind": error.kind().name(),
            "message": format!("{}{cause}", error.message()),
            "path": error.path().map(|path| path.to_string_lossy()),
            "offset": error.byte_offset(),
            "remedy": error.advice(),
            "exit": error.kind().exit_code(),
        }
    })
}
