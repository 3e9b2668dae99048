//! What is to be published: images, and disks that become images.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::args::Args;
use crate::cli::config::Site;
use crate::cli::settings::{self, Mode};
use crate::error::{Error, Kind, Result};
use crate::pipeline::Job;
use crate::pipeline::record::Record;

/// An input, and how it becomes an image.
pub(super) struct Item {
    pub(super) input: PathBuf,
    /// None: it is an image already.
    pub(super) job: Option<Job>,
    /// Why it cannot be published, if that is known already: its turn comes all the same.
    pub(super) wrong: Option<Error>,
}

impl Item {
    /// The image, which is perhaps still to be made.
    pub(super) fn image(&self) -> &Path {
        self.job.as_ref().map_or(&self.input, |job| &job.output)
    }
}

/// The items of a command.
///
/// # Errors
/// `Usage`, `Config`; `Damaged` for an image whose record is.
pub(super) fn items(args: &Args, site: &Site) -> Result<Vec<Item>> {
    if args.inputs.len() > 1 && args.place.location.is_some() {
        return Err(Error::new(Kind::Usage, "usage", "several images cannot have one --location"));
    }
    if settings::is_stdout(args.shape.output.as_deref())
        || args.inputs.iter().any(|input| input.as_os_str() == "-")
    {
        return Err(Error::new(Kind::Usage, "usage", "what is published has to be a file")
            .remedy("write it to a file first"));
    }
    if let Some(url) = args.inputs.iter().find(|input| is_url(input)) {
        let message = format!("{} is a URL, and no file", url.display());
        return Err(Error::new(Kind::Usage, "usage", message).remedy(
            "for a marketplace or repository write --marketplace=https://… or --repository URL",
        ));
    }
    let mut disks = Vec::new();
    let mut wrong = Vec::new();
    for input in &args.inputs {
        match is_image(input) {
            Ok(true) => wrong.push(None),
            Ok(false) => {
                disks.push(input.clone());
                wrong.push(None);
            }
            Err(error) if args.inputs.len() == 1 => return Err(error),
            Err(error) => wrong.push(Some(error)),
        }
    }
    let mut jobs = settings::jobs(&disks, &args.shape, false, site, Mode::Convert)?;
    settings::refuse_same_outputs(&jobs)?;
    jobs.iter_mut().for_each(|job| job.remember = true);
    if let ([input], [_]) = (args.inputs.as_slice(), disks.as_slice()) {
        // Before a key is made for it.
        std::fs::metadata(input).map_err(|e| {
            Error::io("input-open", "cannot open the input", input, e).remedy("check the name")
        })?;
    }
    let item = |(input, wrong): (&PathBuf, Option<Error>)| {
        let at = jobs.iter().position(|job| job.input == *input);
        Item { input: input.clone(), job: at.map(|at| jobs.remove(at)), wrong }
    };
    Ok(args.inputs.iter().zip(wrong).map(item).collect())
}

fn is_url(input: &Path) -> bool {
    input.to_string_lossy().contains("://") && !input.exists()
}

/// Where the record of the image `input` would be.
fn record_beside(input: &Path) -> PathBuf {
    let mut name = input.as_os_str().to_owned();
    name.push(".json");
    PathBuf::from(name)
}

/// Whether `input` is an image of ours: its record lies beside it. What begins like a record and is
/// none any more is not passed over: the image would be taken for a disk and prepared again.
fn is_image(input: &Path) -> Result<bool> {
    let name = record_beside(input);
    match Record::read(&name) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == Kind::Missing => Ok(false),
        Err(error) => {
            let mut start = [0; 256];
            let len = File::open(&name).and_then(|mut file| file.read(&mut start));
            let start = &start[..len.unwrap_or(0)];
            let ours = start.windows(8).any(|word| word == b"\"schema\"");
            if ours { Err(error) } else { Ok(false) }
        }
    }
}

/// A packed image whose record is lost would be taken for an unknown disk.
///
/// # Errors
/// `Missing`: its record.
pub(super) fn refuse_packed(input: &Path) -> Result<()> {
    let mut magic = [0; 2];
    let read = File::open(input).and_then(|mut file| file.read_exact(&mut magic));
    if read.is_ok() && magic == [0x1f, 0x8b] {
        // There is one, and it is none.
        if let Err(error) = Record::read(&record_beside(input))
            && error.kind() != Kind::Missing
        {
            return Err(error);
        }
        return Err(Error::new(
            Kind::Missing,
            "record-missing",
            "this is a packed image without a record beside it",
        )
        .at(input)
        .remedy("keep NAME.json beside the image, or publish the disk that it was made of"));
    }
    Ok(())
}
