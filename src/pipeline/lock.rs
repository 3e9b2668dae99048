//! One run at a time on one output.

use std::fs::{File, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;

use super::place::{Place, cannot_create, failed};
use crate::error::{Error, Kind, Result};

/// Held while a run works; the kernel gives it back when the process ends, however it ends.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock of `place`, making its state folder if needed.
    ///
    /// # Errors
    /// `Locked`, naming the run that has it.
    pub fn take(place: &Place) -> Result<Self> {
        // A run that ends removes the lock's file. If it does so between our opening and our
        // locking, we hold a lock on a file without a name: look again.
        for _ in 0..100 {
            place.make_state()?;
            let path = place.lock();
            let opened = std::fs::OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed())
                .open(&path);
            let file = match opened {
                Ok(file) => file,
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
                Err(e) => return Err(cannot_create(&path, e)),
            };
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(locked_by(file, &path)),
                Err(TryLockError::Error(e)) => {
                    return Err(failed("lock", "cannot lock", &path, e));
                }
            }
            let same = |a: &File| {
                let (here, there) = (a.metadata().ok()?, std::fs::symlink_metadata(&path).ok()?);
                Some((here.dev(), here.ino()) == (there.dev(), there.ino()))
            };
            if same(&file) == Some(true) {
                let signed = Lock::sign(file, &path);
                if signed.is_err() {
                    // On a full disk, for example. A folder with a journal stays.
                    let _ = std::fs::remove_file(&path);
                    let _ = std::fs::remove_dir(&place.state);
                }
                return signed;
            }
        }
        Err(Error::new(Kind::Locked, "locked", "other runs come and go on this output")
            .at(&place.image)
            .remedy("try again later"))
    }

    /// Whether a run works at `place`, without leaving a trace.
    pub fn look(place: &Place) -> Result<()> {
        let path = place.lock();
        let Ok(file) = super::place::open_regular(&path) else { return Ok(()) };
        match file.try_lock_shared() {
            Err(TryLockError::WouldBlock) => Err(locked_by(file, &path)),
            _ => Ok(()),
        }
    }

    /// Leaves our name for whoever comes second.
    fn sign(mut file: File, path: &Path) -> Result<Self> {
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let text = format!("process {} on {host}\n", std::process::id());
        file.set_len(0)
            .and_then(|()| file.seek(SeekFrom::Start(0)))
            .and_then(|_| file.write_all(text.as_bytes()))
            .map_err(|e| failed("lock", "cannot write the lock", path, e))?;
        Ok(Lock { _file: file })
    }
}

fn locked_by(file: File, path: &Path) -> Error {
    let mut owner = String::new();
    let _ = file.take(200).read_to_string(&mut owner);
    let owner: String = owner.chars().filter(|c| !c.is_control()).collect();
    let owner = if owner.is_empty() { "a process".to_owned() } else { owner };
    Error::new(Kind::Locked, "locked", format!("{owner} is working on this output"))
        .at(path)
        .remedy("wait until it is done, or stop it, then run again")
}
