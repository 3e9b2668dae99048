//! Files, opened and made with care: no symlink at the last name is followed, nothing that exists is
//! overwritten by chance, and a failure says what to do.
//!
//! All changes go through the calls of the C library (not raw system calls), so that a fault
//! injector can stand in their way.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;

use crate::error::{Error, Kind, Result};

/// Creates a file that must not exist, without following a symlink at its name.
pub fn create_new(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create_new(true).mode(0o666).open(path)
}

/// Opens an existing regular file for reading. A symlink at its name is not followed and a FIFO
/// does not block.
pub fn open_regular(path: &Path) -> io::Result<File> {
    regular(OpenOptions::new().read(true), path)
}

/// Opens an existing regular file for reading and writing, as [`open_regular`] does.
pub fn open_existing(path: &Path) -> io::Result<File> {
    regular(OpenOptions::new().read(true).write(true), path)
}

fn regular(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = options.custom_flags(flags.bits().cast_signed()).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    Ok(file)
}

/// Whether anything has this name, even a dangling symlink.
pub fn exists(path: &Path) -> Result<bool> {
    match fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(cannot_create(path, e)),
    }
}

/// Removes a file; its absence is fine.
pub fn remove_if_there(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Ok(()) => Ok(()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(failed("remove", "cannot remove", path, e)),
    }
}

/// Something went wrong in the middle of the work. What was done so far is kept.
pub fn failed(code: &'static str, what: &str, path: &Path, cause: io::Error) -> Error {
    let full = matches!(
        cause.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    );
    Error::io(code, what, path, cause).with_kind(Kind::Io).remedy(if full {
        "make room, then run the same command again: it continues from its last checkpoint"
    } else {
        "check the storage, then run the same command again: it continues from its last checkpoint"
    })
}

/// The output cannot be made at `path`.
pub fn cannot_create(path: &Path, cause: io::Error) -> Error {
    let kind = match cause.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Kind::Io,
        _ => Kind::CannotCreate,
    };
    Error::io("output-create", "cannot create", path, cause)
        .with_kind(kind)
        .remedy("check the folder and its permissions, or choose another output with -o")
}

/// The folder that `path` is in: the current one if it names none.
pub fn folder_of(path: &Path) -> &Path {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}

/// Makes the entries of `folder` durable.
pub fn sync_folder(folder: &Path) -> Result<()> {
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|e| failed("folder-sync", "cannot sync the folder", folder, e))
}
