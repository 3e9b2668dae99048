//! The file of an unfinished object: nobody else's, and nobody else works on it.

use std::fs::{File, TryLockError};
use std::os::unix::fs::MetadataExt;

use super::folder::{Folder, failed};
use crate::error::{Error, Kind, Result};
use crate::publish::{Object, name};

/// The unfinished file, locked.
pub struct Part {
    pub file: File,
    pub name: String,
}

impl Part {
    /// Opens or makes it. What is not a regular file of this user with a single name is removed and
    /// made anew: writing into it could change another file, or let another user change ours.
    ///
    /// # Errors
    /// `Locked` if another run works on it.
    pub fn open(folder: &Folder, object: &Object, owner: &str) -> Result<Self> {
        let name = name::unfinished(object, owner);
        let path = folder.path(&name);
        let looking = |e| failed("cannot look at", &path, e);
        // Another run may finish, or remove, what we have just opened: then look again.
        for _ in 0..100 {
            let (file, new) = match folder.create(&name)? {
                Some(file) => (file, true),
                None => match folder.open_to_write(&name)? {
                    Some(file) => (file, false),
                    None => {
                        folder.remove(&name)?;
                        continue;
                    }
                },
            };
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    return Err(Error::new(Kind::Locked, "locked", "another run stores this")
                        .at(&path)
                        .remedy("wait for its end, then run the same command again"));
                }
                // Some network file systems have no locks.
                Err(TryLockError::Error(_)) => {}
            }
            let part = Part { file, name: name.clone() };
            if !part.has_its_name(folder)? {
                continue;
            }
            let ours = part.file.metadata().map_err(looking)?;
            // A new one is ours whatever its owner: a network file system may map users.
            let user = rustix::process::geteuid().as_raw();
            if new || (ours.is_file() && ours.nlink() == 1 && ours.uid() == user) {
                return Ok(part);
            }
            folder.remove(&name)?;
        }
        Err(Error::new(Kind::Locked, "locked", "other runs come and go on this name")
            .at(&path)
            .remedy("try again later"))
    }

    /// Removes it, and what else it may be called.
    pub fn remove(self, folder: &Folder) -> Result<()> {
        folder.remove(&linked(&self.name))?;
        folder.remove(&self.name)
    }

    /// Whether the name is still this file's. Where there are no locks, somebody may have removed
    /// it, and made another.
    pub fn has_its_name(&self, folder: &Folder) -> Result<bool> {
        let looking = |e| failed("cannot look at", &folder.path(&self.name), e);
        let ours = self.file.metadata().map_err(looking)?;
        let named = folder.found(&self.name)?;
        Ok(named.is_some_and(|named| (ours.dev(), ours.ino()) == (named.st_dev, named.st_ino)))
    }
}

impl Drop for Part {
    /// Closing the file is not enough: a process that is being started has its descriptors for a
    /// moment, and with them the lock.
    fn drop(&mut self) {
        let _ = self.file.unlock();
    }
}

/// What a part is called that is another name of its source, and so must never be written into.
pub fn linked(part: &str) -> String {
    format!("{part}.link")
}

/// Removes what is unfinished, unless a run works on it.
pub fn discard(folder: &Folder, object: &Object, owner: &str) -> Result<()> {
    let name = name::unfinished(object, owner);
    if folder.found(&name)?.is_none() {
        return folder.remove(&linked(&name));
    }
    Part::open(folder, object, owner)?.remove(folder)
}
