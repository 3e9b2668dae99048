//! `stratus-convert`: parse, settle, run, exit code.

use std::ffi::OsString;
use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::Arc;

use super::args::Args;
use super::bar::Progress;
use super::config::Site;
use super::settings::{Manner, Mode, Settings, is_stdout, settle};
use super::talk::Talk;
use super::{guest, program, report, signals};
use crate::control::Event;
use crate::error::{Error, Kind, Result};
use crate::guest::prepare::{Context, Wanted};
use crate::pipeline::{self, Control, Job, Outcome};

/// The program.
pub fn main() -> ExitCode {
    let typed: Vec<OsString> = std::env::args_os().collect();
    program::main::<Args>(&typed, manner, |args, site, talk| run(&settle(&args, site)?, talk))
}

fn manner(args: &Args, site: &Site) -> Manner {
    let output = args.shape.output.as_deref();
    let stdout_taken = is_stdout(output) && !args.check && !args.dry_run;
    Manner::of(&args.talking, stdout_taken, site)
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
