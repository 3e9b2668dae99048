//! What the typed words mean, together with environment and config file.

use std::path::{Path, PathBuf};

use super::args::{Align, Args, Checksums, Color, Compress, Level, ProgressForm, Threads};
use super::config::Site;
use super::guest;
use super::shape::{Shape, Talking};
use super::size::Size;
use crate::disk::OpenOptions;
use crate::error::{Error, Kind, Result};
use crate::pipeline::gzip::Effort;
use crate::pipeline::{Compression, Job, plan};

/// What the command is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Convert,
    Check,
    DryRun,
    Verify,
    ListEdits,
}

/// A settled command.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) mode: Mode,
    pub(super) jobs: Vec<Job>,
    /// The image goes to standard output.
    pub(super) to_stdout: bool,
    pub(super) progress: ProgressForm,
}

/// How to talk; needed before anything can fail.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manner {
    pub(super) color: Color,
    pub(super) quiet: bool,
    pub(super) verbose: bool,
    pub(super) json: bool,
    /// Standard output carries an image: JSON goes to standard error.
    pub(super) stdout_taken: bool,
}

impl Manner {
    /// `to_stdout`: whether standard output carries an image.
    pub(super) fn of(talking: &Talking, to_stdout: bool, site: &Site) -> Self {
        let configured = site.get("color").ok().flatten();
        Manner {
            color: talking.color.or(configured).unwrap_or(Color::Auto),
            quiet: talking.quiet,
            verbose: talking.verbose > 0,
            json: talking.json,
            stdout_taken: to_stdout,
        }
    }
}

pub(super) fn is_stdout(output: Option<&Path>) -> bool {
    output.is_some_and(|path| path.as_os_str() == "-")
}

fn usage(message: impl Into<String>) -> Error {
    Error::new(Kind::Usage, "usage", message)
}

/// Settles flags, variables, file and defaults, in this order.
///
/// # Errors
/// `Usage` or `Config`.
pub(super) fn settle(args: &Args, site: &Site) -> Result<Settings> {
    let mode = match args {
        Args { list_edits: true, .. } => Mode::ListEdits,
        Args { verify: true, .. } => Mode::Verify,
        Args { check: true, .. } => Mode::Check,
        Args { dry_run: true, .. } => Mode::DryRun,
        _ => Mode::Convert,
    };
    site.or(args.talking.color, "color")?;
    let progress = site.or(args.talking.progress, "progress")?.unwrap_or(ProgressForm::Auto);
    let to_stdout = is_stdout(args.shape.output.as_deref());
    if args.inputs.iter().any(|input| input.as_os_str() == "-") {
        return Err(usage("a disk is read by position: standard input cannot be one")
            .remedy("write it to a file first"));
    }
    if to_stdout && args.inputs.len() > 1 {
        return Err(usage("only one disk can go to standard output"));
    }
    let jobs = jobs(&args.inputs, &args.shape, args.salvage, site, mode)?;
    if !matches!(mode, Mode::Verify | Mode::ListEdits) {
        refuse_same_outputs(&jobs)?;
    }
    Ok(Settings { mode, jobs, to_stdout, progress })
}

/// The jobs that convert (or, by `mode`, verify) `inputs`.
///
/// # Errors
/// `Usage` or `Config`.
pub(super) fn jobs(
    inputs: &[PathBuf],
    shape: &Shape,
    salvage: bool,
    site: &Site,
    mode: Mode,
) -> Result<Vec<Job>> {
    let compression = match site.or(shape.compress, "compress")?.unwrap_or(Compress::Gz) {
        Compress::Gz => Compression::Gz,
        Compress::None => Compression::None,
    };
    let level: Option<Level> = site.or(shape.level, "level")?;
    let threads: Option<Threads> = site.or(shape.threads, "threads")?;
    let checkpoint: Option<Size> = site.or(shape.checkpoint, "checkpoint")?;
    let align: Option<Align> = site.or(shape.align, "align")?;
    let checksum: Option<Checksums> = site.or(shape.checksum.clone(), "checksum")?;
    let open = OpenOptions {
        format: shape.input_format,
        parents: shape.parent.clone(),
        this_layer: shape.this_layer,
        salvage,
        align: align.map(|size| size.0),
    };
    let guest = guest::wanted(shape, site, mode)?;
    let job = |input: &PathBuf| {
        let output = match mode {
            Mode::Verify => input.clone(),
            _ => output_for(input, shape.output.as_deref(), inputs.len(), compression)?,
        };
        let defaults = Job::new(input, output);
        Ok(Job {
            open: open.clone(),
            compression,
            effort: level.map_or(defaults.effort, |level| Effort::Level(level.0)),
            checksums: checksum.clone().map_or(defaults.checksums, |list| list.0),
            checkpoint: checkpoint.map_or(defaults.checkpoint, |size| size.0),
            threads: threads.map_or(defaults.threads, |threads| threads.0),
            force: shape.force,
            restart: shape.restart,
            guest: guest.clone(),
            remember: false,
            input: defaults.input,
            output: defaults.output,
        })
    };
    inputs.iter().map(job).collect()
}

fn output_for(
    input: &Path,
    output: Option<&Path>,
    inputs: usize,
    compression: Compression,
) -> Result<PathBuf> {
    let name = plan::image_name(input, compression);
    let Some(output) = output else { return Ok(PathBuf::from(name)) };
    let is_folder = output.is_dir();
    let must_be_folder =
        inputs > 1 || std::os::unix::ffi::OsStrExt::as_bytes(output.as_os_str()).ends_with(b"/");
    match (is_folder, must_be_folder) {
        (true, _) => Ok(output.join(name)),
        (false, false) => Ok(output.to_owned()),
        (false, true) => {
            Err(Error::new(Kind::CannotCreate, "output-folder", "this is not an existing folder")
                .at(output)
                .remedy("create it first"))
        }
    }
}

/// # Errors
/// `Usage` if two jobs have one output.
pub(super) fn refuse_same_outputs(jobs: &[Job]) -> Result<()> {
    for (i, job) in jobs.iter().enumerate() {
        if let Some(other) = jobs[..i].iter().find(|other| other.output == job.output) {
            return Err(usage(format!(
                "{} and {} would both become {}",
                other.input.display(),
                job.input.display(),
                job.output.display()
            ))
            .remedy("convert them into different folders"));
        }
    }
    Ok(())
}
