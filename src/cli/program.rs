//! What every program does first and last: parse, read the site's settings, run, exit code.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches};

use super::args::{Color, color_of_parser, wants_json, wants_stdout};
use super::config::Site;
use super::settings::Manner;
use super::signals;
use super::talk::Talk;
use crate::error::{Error, Kind, Result};

/// Runs a program on the words `typed`. `manner` tells from what was typed how to talk, `work` does
/// it and returns the exit code.
pub(super) fn main<A: CommandFactory + FromArgMatches>(
    typed: &[OsString],
    manner: fn(&A, &Site) -> Manner,
    work: fn(A, &Site, Talk) -> Result<u8>,
) -> ExitCode {
    signals::end_at_a_panic();
    let parsed = A::command().color(color_of_parser(typed)).try_get_matches_from(typed);
    let args = match parsed.and_then(|matches| A::from_arg_matches(&matches)) {
        Ok(args) => args,
        Err(error) => return not_parsed(&error, typed, A::command().get_name()),
    };
    let (site, site_error) = match Site::read() {
        Ok(site) => (site, None),
        Err(error) => (Site::default(), Some(error)),
    };
    let talk = Talk::new(manner(&args, &site));
    let result = match site_error {
        Some(error) => Err(error),
        None => work(args, &site, talk),
    };
    match result {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            talk.error(&error);
            ExitCode::from(error.kind().exit_code())
        }
    }
}

/// Help and version are wanted; anything else is a usage error, in JSON if `--json` was typed.
fn not_parsed(error: &clap::Error, typed: &[OsString], program: &str) -> ExitCode {
    let wanted = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    if wants_json(typed) && !wanted {
        let manner = Manner {
            color: Color::Never,
            quiet: false,
            verbose: false,
            json: true,
            stdout_taken: wants_stdout(typed),
        };
        let text = error.render().to_string();
        let words = text.trim_start_matches("error: ").lines().map(str::trim);
        let words: Vec<&str> = words.take_while(|line| !line.is_empty()).collect();
        let message = words.join(" ");
        let usage =
            Error::new(Kind::Usage, "usage", message).remedy(format!("see {program} --help"));
        Talk::new(manner).error(&usage);
    } else {
        let _ = error.print();
    }
    ExitCode::from(if wanted { 0 } else { Kind::Usage.exit_code() })
}
