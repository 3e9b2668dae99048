//! One open folder below a root, and everything that is done in it. Folders are opened step by
//! step from the root, relative to the folder above and without following a symlink, so no name
//! leads out of the root, also while somebody else moves things about.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RenameFlags, Stat};
use rustix::io::Errno;

use crate::error::{Error, Kind, Result};

/// New files and folders: what the user's umask leaves of these.
const FILE_MODE: Mode = Mode::from_raw_mode(0o666);
const FOLDER_MODE: Mode = Mode::from_raw_mode(0o777);

/// An open folder.
#[derive(Debug)]
pub struct Folder {
    fd: File,
    /// For messages.
    path: PathBuf,
}

impl Folder {
    /// The root: its path is the user's own, so symlinks in it are followed. None if it is not
    /// there.
    pub fn root(path: &Path) -> Result<Option<Self>> {
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
        match rustix::fs::open(path, flags, Mode::empty()) {
            Ok(fd) => Ok(Some(Folder { fd: fd.into(), path: path.to_owned() })),
            Err(Errno::NOENT) => Ok(None),
            Err(e) => Err(failed("cannot open the folder", path, e.into())),
        }
    }

    /// The root, made if needed, with the folders above it.
    pub fn make_root(path: &Path) -> Result<Self> {
        if let Some(root) = Folder::root(path)? {
            return Ok(root);
        }
        let missing: Vec<&Path> = path.ancestors().take_while(|above| !above.exists()).collect();
        fs::create_dir_all(path).map_err(|e| failed("cannot make the folder", path, e))?;
        // The name of each new folder is in the one above it.
        for above in missing.iter().filter_map(|new| new.parent()) {
            let synced = File::open(above).and_then(|folder| folder.sync_all());
            synced.map_err(|e| failed("cannot sync the folder", above, e))?;
        }
        Folder::root(path)?
            .ok_or_else(|| failed("cannot open the folder", path, io::ErrorKind::NotFound.into()))
    }

    /// The folder `name` in this one; none if it is not there.
    pub fn enter(&self, name: &str) -> Result<Option<Self>> {
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match rustix::fs::openat(&self.fd, name, flags, Mode::empty()) {
            Ok(fd) => Ok(Some(Folder { fd: fd.into(), path: self.path.join(name) })),
            Err(Errno::NOENT) => Ok(None),
            Err(Errno::LOOP | Errno::NOTDIR) => Err(Error::new(
                Kind::CannotCreate,
                "directory-in-the-way",
                "this is in the way: a file or a symlink where a folder should be",
            )
            .at(&self.path.join(name))
            .remedy(
                "remove it, or store elsewhere: symlinks below the directory are not followed",
            )),
            Err(e) => Err(self.failed("cannot open the folder", name, e)),
        }
    }

    /// The folder `name` in this one, made if needed.
    pub fn make(&self, name: &str) -> Result<Self> {
        if let Some(folder) = self.enter(name)? {
            return Ok(folder);
        }
        match rustix::fs::mkdirat(&self.fd, name, FOLDER_MODE) {
            Ok(()) => self.sync()?,
            // Another run was faster.
            Err(Errno::EXIST) => {}
            Err(e) => return Err(self.failed("cannot make the folder", name, e)),
        }
        self.enter(name)?.ok_or_else(|| self.failed("cannot open the folder", name, Errno::NOENT))
    }

    /// What has this name, even a dangling symlink.
    pub fn found(&self, name: &str) -> Result<Option<Stat>> {
        match rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(e) => Err(self.failed("cannot look at", name, e)),
        }
    }

    /// Opens a regular file for reading; none if nothing has this name. A symlink is not followed,
    /// a FIFO does not block.
    pub fn open(&self, name: &str) -> Result<Option<File>> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file: File = match rustix::fs::openat(&self.fd, name, flags, Mode::empty()) {
            Ok(fd) => fd.into(),
            Err(Errno::NOENT) => return Ok(None),
            Err(e) => return Err(self.failed("cannot open", name, e)),
        };
        let meta = file.metadata().map_err(|e| failed("cannot look at", &self.path, e))?;
        if meta.is_file() {
            return Ok(Some(file));
        }
        Err(Error::new(Kind::CannotCreate, "directory-in-the-way", "this is not a regular file")
            .at(&self.path.join(name))
            .remedy("remove it, or store under another name"))
    }

    /// Makes a file that must not exist; none if something has this name.
    pub fn create(&self, name: &str) -> Result<Option<File>> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        match rustix::fs::openat(&self.fd, name, flags, FILE_MODE) {
            Ok(fd) => Ok(Some(fd.into())),
            Err(Errno::EXIST) => Ok(None),
            Err(e) => Err(self.failed("cannot create", name, e)),
        }
    }

    /// Opens a file for reading and writing; none if it is not there or is a symlink or no file.
    pub fn open_to_write(&self, name: &str) -> Result<Option<File>> {
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        match rustix::fs::openat(&self.fd, name, flags, Mode::empty()) {
            Ok(fd) => Ok(Some(fd.into())),
            Err(Errno::NOENT | Errno::LOOP | Errno::ISDIR | Errno::NXIO) => Ok(None),
            Err(e) => Err(self.failed("cannot open", name, e)),
        }
    }

    /// Makes `name` another name of `file`; false if that cannot be done here. The file is named
    /// through its descriptor: the name it was opened by may be another file's by now.
    pub fn link(&self, file: &File, name: &str) -> bool {
        let this = format!("/proc/self/fd/{}", file.as_raw_fd());
        rustix::fs::linkat(rustix::fs::CWD, this, &self.fd, name, AtFlags::SYMLINK_FOLLOW).is_ok()
    }

    /// Renames within the folder, over what has that name.
    pub fn replace(&self, from: &str, to: &str) -> Result<()> {
        rustix::fs::renameat(&self.fd, from, &self.fd, to)
            .map_err(|e| self.failed("cannot give the final name", to, e))
    }

    /// Renames within the folder; false if something has that name.
    pub fn rename(&self, from: &str, to: &str) -> Result<bool> {
        let error = |e| self.failed("cannot give the final name", to, e);
        let flags = RenameFlags::NOREPLACE;
        match rustix::fs::renameat_with(&self.fd, from, &self.fd, to, flags) {
            Ok(()) => return Ok(true),
            Err(Errno::EXIST) => return Ok(false),
            // NFS, among others, has no such rename (EINVAL); it has links.
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {}
            Err(e) => return Err(error(e)),
        }
        match rustix::fs::linkat(&self.fd, from, &self.fd, to, AtFlags::empty()) {
            Ok(()) => return self.remove(from).map(|()| true),
            Err(Errno::EXIST) => return Ok(false),
            // exFAT has neither.
            Err(Errno::PERM | Errno::NOSYS | Errno::NOTSUP) => {}
            Err(e) => return Err(error(e)),
        }
        if self.found(to)?.is_some() {
            return Ok(false);
        }
        self.replace(from, to).map(|()| true)
    }

    /// Removes a file; its absence is fine.
    pub fn remove(&self, name: &str) -> Result<()> {
        match rustix::fs::unlinkat(&self.fd, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(e) => Err(self.failed("cannot remove", name, e)),
        }
    }

    /// Makes the folder's entries durable.
    pub fn sync(&self) -> Result<()> {
        self.fd.sync_all().map_err(|e| failed("cannot sync the folder", &self.path, e))
    }

    /// The path of `name`, for messages.
    pub fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    fn failed(&self, what: &str, name: &str, cause: Errno) -> Error {
        failed(what, &self.path.join(name), cause.into())
    }
}

/// Whether it is a regular file.
pub fn is_file(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
}

/// The error of a call in the store. The kind follows the reason: rights, a place where nothing can
/// be made, or storage that is full or broken.
pub fn failed(what: &str, path: &Path, cause: io::Error) -> Error {
    use io::ErrorKind as Is;
    let (kind, remedy) = match cause.kind() {
        Is::PermissionDenied => {
            (Kind::Permission, "check who may write there, or store as another user")
        }
        Is::StorageFull | Is::QuotaExceeded | Is::FileTooLarge => {
            (Kind::Io, "make room there, then run the same command again: it continues")
        }
        Is::ReadOnlyFilesystem
        | Is::NotADirectory
        | Is::IsADirectory
        | Is::AlreadyExists
        | Is::InvalidFilename
        | Is::NotFound => {
            (Kind::CannotCreate, "check the directory, or give another with --repository")
        }
        _ if cause.raw_os_error() == Some(Errno::LOOP.raw_os_error()) => {
            (Kind::CannotCreate, "a symlink is in the way: remove it, or store elsewhere")
        }
        _ => (Kind::Io, "check the storage, then run the same command again: it continues"),
    };
    Error::io("directory", what, path, cause).with_kind(kind).remedy(remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_of_an_error_follows_its_reason() {
        let kinds = [
            (Errno::ACCESS, Kind::Permission),
            (Errno::PERM, Kind::Permission),
            (Errno::ROFS, Kind::CannotCreate),
            (Errno::NOTDIR, Kind::CannotCreate),
            (Errno::LOOP, Kind::CannotCreate),
            (Errno::NAMETOOLONG, Kind::CannotCreate),
            (Errno::NOSPC, Kind::Io),
            (Errno::DQUOT, Kind::Io),
            (Errno::FBIG, Kind::Io),
            (Errno::IO, Kind::Io),
        ];
        for (errno, kind) in kinds {
            let error = failed("cannot", Path::new("/x"), errno.into());
            assert_eq!(error.kind(), kind, "{errno}");
            assert!(error.advice().is_some());
        }
    }
}
