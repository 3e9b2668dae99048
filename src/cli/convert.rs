//! `stratus-convert`: parse, settle, run, exit code.

use std::ffi::OsString;
use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::Arc;

use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches};

use super::args::{Args, Color, color_of_parser, wants_json, wants_stdout};
use super::bar::Progress;
use super::config::Site;
use super::settings::{Manner, Mode, Settings, settle};
use super::talk::Talk;
use super::{guest, report, signals};
use crate::control::Event;
use crate::error::{Error, Kind, Result};
use crate::guest::prepare::{Context, Wanted};
use crate::pipeline::{self, Control, Job, Outcome};

/// The program.
pub fn main() -> ExitCode {
    signals::end_at_a_panic();
    let typed: Vec<OsString> = std::env::args_os().collect();
    let parsed = Args::command().color(color_of_parser(&typed)).try_get_matches_from(&typed);
    let args = match parsed.and_then(|matches| Args::from_arg_matches(&matches)) {
        Ok(args) => args,
        Err(error) => return not_parsed(&error, &typed),
    };
    let (site, site_error) = match Site::read() {
        Ok(site) => (site, None),
        Err(error) => (Site::default(), Some(error)),
    };
    let talk = Talk::new(Manner::of(&args, &site));
    let result = match site_error {
        Some(error) => Err(error),
        None => settle(&args, &site).and_then(|settings| run(&settings, talk)),
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
fn not_parsed(error: &clap::Error, typed: &[OsString]) -> ExitCode {
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
        let message = text.trim_start_matches("error: ").lines().next().unwrap_or_default();
        let usage = Error::new(Kind::Usage, "usage", message).remedy("see stratus-convert --help");
        Talk::new(manner).error(&usage);
    } else {
        let _ = error.print();
    }
    ExitCode::from(if wanted { 0 } else { Kind::Usage.exit_code() })
}

/// Runs every job. One job's error is the program's; of several, the others go on.
fn run(settings: &Settings, talk: Talk) -> Result<u8> {
    if settings.to_stdout && settings.mode == Mode::Convert && std::io::stdout().is_terminal() {
        return Err(Error::new(
            Kind::Usage,
            "stdout-terminal",
            "an image does not go to a terminal",
        )
        .remedy("redirect standard output, or name a file with -o"));
    }
    if settings.mode == Mode::ListEdits {
        let (text, value) = guest::list();
        talk.result_json(&value)?;
        return talk.result(&text).map(|()| 0);
    }
    let progress = Arc::new(Progress::new(settings.progress, talk));
    let control = Control { progress: Box::new(progress.clone()), ..Control::default() };
    signals::watch(&control.stop)?;
    if settings.to_stdout {
        signals::end_even_if_stuck(&control.stop, talk);
    }
    let mut failed = None;
    for job in &settings.jobs {
        progress.about(&job.input.display().to_string());
        let Err(error) = one(settings, job, &control, talk) else { continue };
        if settings.jobs.len() == 1 || matches!(error.kind(), Kind::Interrupted(_)) {
            return Err(error);
        }
        talk.error(&error);
        failed = Some(Kind::SomeFailed);
    }
    Ok(failed.map_or(0, Kind::exit_code))
}

fn one(settings: &Settings, job: &Job, control: &Control, talk: Talk) -> Result<()> {
    match settings.mode {
        Mode::Verify => verify(job, control, talk),
        Mode::Check => check(job, control, talk),
        Mode::DryRun => dry_run(settings, job, control, talk),
        Mode::Convert | Mode::ListEdits => convert(settings, job, control, talk),
    }
}

fn convert(settings: &Settings, job: &Job, control: &Control, talk: Talk) -> Result<()> {
    talk.detail(&format!(
        "{} -> {}: {} threads, {} level {}, a checkpoint every {} bytes",
        job.input.display(),
        job.output.display(),
        job.threads,
        pipeline::gzip::ENGINE,
        job.effort,
        job.checkpoint
    ));
    let Outcome { record, status } = match settings.to_stdout {
        true => pipeline::stream(job, control, Box::new(std::io::stdout()))?,
        false => pipeline::convert(job, control)?,
    };
    for layer in &record.source.layers {
        talk.detail(&format!(
            "read {} ({})",
            layer.path,
            layer.uuid.as_deref().unwrap_or("no UUID")
        ));
    }
    talk.result_json(&record)?;
    talk.result(&report::converted(job, &record, status))?;
    pipeline::damage_error(&job.input, &record.damage).map_or(Ok(()), Err)
}

fn verify(job: &Job, control: &Control, talk: Talk) -> Result<()> {
    let record = pipeline::verify::verify(&job.input, control)?;
    if record.file.compression == "none"
        && record.raw.digests.is_empty()
        && record.file.digests.is_empty()
    {
        let warning = "its record has no checksums: nothing but its size could be compared";
        control.progress.event(&Event::Warn(format!("{}: {warning}", job.input.display())));
    }
    talk.result_json(&record)?;
    talk.result(&report::verified(job))
}

/// What is found is told even if the run would end in an error.
fn check(job: &Job, control: &Control, talk: Talk) -> Result<()> {
    let (opened, refusal) = match pipeline::open(job, control) {
        Ok(opened) => (opened, None),
        Err(error) if error.code().starts_with("guest-") => {
            let alone = Wanted { context: Context::Off, ..job.guest.clone() };
            let job = Job { guest: alone, ..job.clone() };
            (pipeline::open(&job, control)?, Some(error))
        }
        Err(error) => return Err(error),
    };
    let (text, value) = report::checked(job, &opened, opened.disk.usage()?, refusal.as_ref());
    talk.result_json(&value)?;
    talk.result(&text)?;
    let damage = pipeline::damage_error(&job.input, &opened.disk.damage());
    damage.or(refusal).map_or(Ok(()), Err)
}

fn dry_run(settings: &Settings, job: &Job, control: &Control, talk: Talk) -> Result<()> {
    let opened = pipeline::open(job, control)?;
    let disk = &opened.disk;
    let look =
        if settings.to_stdout { None } else { Some(pipeline::preview(job, &opened, control)?) };
    let need = pipeline::space::need(job, disk, 0)?;
    let place = look.as_ref().map(|look| (&look.place, &look.plan, look.room));
    let (text, value) = report::planned(job, &opened, disk.usage()?, place, need)?;
    if let Some(look) = &look {
        look.plan.notes.iter().for_each(|note| talk.note(note));
    }
    talk.result_json(&value)?;
    talk.result(&text)?;
    let shortage = look.and_then(|look| look.shortage);
    shortage.or(pipeline::damage_error(&job.input, &disk.damage())).map_or(Ok(()), Err)
}
