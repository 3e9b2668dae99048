//! The committer: makes written data durable, then says so in the journal. A thread of its own,
//! so that compression goes on while the disk works.

use std::fs::File;
use std::path::PathBuf;
use std::sync::mpsc::Receiver;

use super::journal::{Checkpoint, Journal, Line};
use super::place::failed;
use crate::error::{Error, Result};

/// What the writer asks for.
pub enum Message {
    /// Bring to the disk what has been written.
    Flush,
    /// Then note this place in the journal.
    Commit(Box<Checkpoint>),
}

/// The part file and its journal.
pub struct Committer {
    /// The part, for syncing only.
    pub part: File,
    /// Its name, for errors.
    pub part_path: PathBuf,
    /// The journal.
    pub journal: Journal,
}

impl Committer {
    /// Serves until the writer is done, and gives the journal back.
    ///
    /// # Errors
    /// The first failure; nothing is noted after it. A failed sync may have lost data that a
    /// later one would not miss, so it is never tried again.
    pub fn run(mut self, messages: Receiver<Message>) -> Result<Journal> {
        for message in messages {
            self.part.sync_data().map_err(|e| sync_error(&self.part_path, e))?;
            if let Message::Commit(checkpoint) = message {
                self.journal.append(&Line::Checkpoint(checkpoint))?;
            }
        }
        Ok(self.journal)
    }
}

/// The disk did not take what was written.
pub fn sync_error(path: &std::path::Path, cause: std::io::Error) -> Error {
    failed("output-sync", "cannot bring the output to the disk", path, cause)
}
