//! The disk of a job, with the edits of its guest on it.

use super::{Control, Job, tell_surroundings};
use crate::control::Event;
use crate::disk::{self, OpenDisk};
use crate::error::Result;
use crate::guest::prepare::{Report, prepare};

/// An opened disk that reads as the prepared guest's, and what is to be said of the guest.
pub struct Opened {
    /// The disk.
    pub disk: OpenDisk,
    /// The guest, and what was changed in it.
    pub guest: Report,
}

impl Opened {
    /// Tells what the user should know before the long work begins.
    pub fn tell_warnings(&self, control: &Control) {
        let warnings = self.disk.warnings.iter().chain(&self.guest.warnings);
        warnings.for_each(|warning| control.progress.event(&Event::Warn(warning.message.clone())));
    }
}

/// Opens the disk of `job` and prepares its guest.
///
/// # Errors
/// Those of opening, and those of [`prepare`].
pub fn open(job: &Job, control: &Control) -> Result<Opened> {
    let mut disk = disk::open(&job.input, &job.open)?;
    tell_surroundings(&disk, control);
    let (edited, guest) =
        prepare(&disk.bytes(), &job.guest, || control.stopped()).map_err(|e| match e.path() {
            None => e.at(&job.input),
            Some(_) => e,
        })?;
    if let Some(edited) = edited {
        disk.put_on(edited);
    }
    Ok(Opened { disk, guest })
}
