//! The output's place: the names that belong to one image, and how a file appears there.
//!
//! ```text
//! mydisk.img.gz              the image; only ever complete
//! mydisk.img.gz.json         its record
//! mydisk.img.gz.part         the image while it is written
//! .mydisk.img.gz.stratus/    lock and journal of unfinished work
//! ```

use std::ffi::OsString;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::error::{Error, Kind, Result};
pub use crate::files::{
    cannot_create, create_new, exists, failed, open_existing, open_regular, remove_if_there,
};

/// The names that belong to one image.
#[derive(Clone, Debug)]
pub struct Place {
    /// The folder.
    pub folder: PathBuf,
    /// The image.
    pub image: PathBuf,
    /// The unfinished image.
    pub part: PathBuf,
    /// The record.
    pub record: PathBuf,
    /// The unfinished record.
    pub record_part: PathBuf,
    /// The folder for lock and journal.
    pub state: PathBuf,
}

impl Place {
    /// The place of the image `path`.
    ///
    /// # Errors
    /// `CannotCreate` if its folder does not exist or the name is none.
    pub fn new(path: &Path) -> Result<Self> {
        let cannot =
            |message: &str| Error::new(Kind::CannotCreate, "output-name", message).at(path);
        let name = path.file_name().ok_or_else(|| cannot("this is no name for a file"))?;
        let folder = crate::files::folder_of(path).to_owned();
        match fs::metadata(&folder) {
            Ok(meta) if meta.is_dir() => {}
            Ok(_) => return Err(cannot("its parent is not a folder")),
            Err(e) => {
                return Err(cannot("its folder cannot be used")
                    .because(e)
                    .remedy("create the folder first, or choose another with -o"));
            }
        }
        let named = |before: &str, after: &str| {
            let mut full = OsString::from(before);
            full.push(name);
            full.push(after);
            folder.join(full)
        };
        Ok(Place {
            image: path.to_owned(),
            part: named("", ".part"),
            record: named("", ".json"),
            record_part: named("", ".json.part"),
            state: named(".", ".stratus"),
            folder,
        })
    }

    /// The image's name without its folder.
    pub fn name(&self) -> String {
        self.image.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// The journal of unfinished work.
    pub fn journal(&self) -> PathBuf {
        self.state.join("journal")
    }

    /// The lock of the run that works here.
    pub fn lock(&self) -> PathBuf {
        self.state.join("lock")
    }

    /// Makes the folder for lock and journal, or checks that an existing one is ours.
    pub fn make_state(&self) -> Result<()> {
        match fs::DirBuilder::new().mode(0o700).create(&self.state) {
            Ok(()) => Ok(()),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => self.check_state(),
            Err(e) => Err(cannot_create(&self.state, e)),
        }
    }

    /// Whether the folder for lock and journal, if there is one, is ours: a real folder, of this
    /// user, that nobody else may write to.
    pub fn check_state(&self) -> Result<()> {
        let meta = match fs::symlink_metadata(&self.state) {
            Ok(meta) => meta,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(cannot_create(&self.state, e)),
        };
        let ours = meta.is_dir()
            && meta.uid() == rustix::process::geteuid().as_raw()
            && meta.mode() & 0o022 == 0;
        if ours {
            return Ok(());
        }
        Err(Error::new(
            Kind::CannotCreate,
            "state-foreign",
            "this is in the way: not a private folder of this user",
        )
        .at(&self.state)
        .remedy("look at it, then remove it or choose another output with -o"))
    }

    /// Whether files can be made in the folder, as far as its permissions tell it. Changes nothing.
    pub fn check_writable(&self) -> Result<()> {
        rustix::fs::access(&self.folder, rustix::fs::Access::WRITE_OK)
            .map_err(|e| cannot_create(&self.folder, e.into()))
    }

    /// Removes unfinished work, but not the lock. The journal goes last: a part without one
    /// would look like somebody else's.
    pub fn remove_unfinished_work(&self) -> Result<()> {
        [&self.part, &self.record_part, &self.journal()]
            .into_iter()
            .try_for_each(|p| remove_if_there(p))
    }

    /// Removes all traces of unfinished work, the lock last.
    pub fn remove_unfinished(&self) -> Result<()> {
        self.remove_unfinished_work()?;
        self.remove_state()
    }

    /// Removes journal and lock and their folder.
    pub fn remove_state(&self) -> Result<()> {
        remove_if_there(&self.journal())?;
        remove_if_there(&self.lock())?;
        match fs::remove_dir(&self.state) {
            Ok(()) => Ok(()),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            // A run that came while we were leaving has made its lock there.
            Err(e) if e.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(()),
            Err(e) => Err(failed("state-remove", "cannot remove", &self.state, e)),
        }
    }

    /// Makes the folder's entries durable.
    pub fn sync_folder(&self) -> Result<()> {
        crate::files::sync_folder(&self.folder)
    }

    /// Gives the complete and synced part its final name.
    pub fn publish_image(&self) -> Result<()> {
        self.rename(&self.part, &self.image)
    }

    /// Writes the record, whole or not at all.
    pub fn publish_record(&self, text: &str) -> Result<()> {
        remove_if_there(&self.record_part)?;
        let failed = |e| failed("record-write", "cannot write the record", &self.record_part, e);
        let mut file = create_new(&self.record_part).map_err(failed)?;
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
        self.rename(&self.record_part, &self.record)
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        fs::rename(from, to).map_err(|e| {
            Error::io("rename", "cannot give the finished file its name", to, e)
                .with_kind(Kind::Io)
                .remedy("the finished work is kept; run the same command again")
        })?;
        self.sync_folder()
    }
}
