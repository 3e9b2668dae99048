//! A source file: opened read-only, checked by kind, read by position, and watched for change.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use crate::error::{Error, Kind, Result};

/// How much of the beginning is remembered to see, at the end, whether it is still the same.
const HEAD: usize = 4096;

/// Whether a symlink at the end of a path is followed: one that the user named is, one that was
/// found in a folder is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    /// By the user, on the command line.
    ByUser,
    /// By a search in a folder.
    BySearch,
}

/// What identifies a file's state without reading all of it. Equal values mean: not written to
/// in between (the change time cannot be set back by ordinary means).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Device number.
    pub dev: u64,
    /// Inode number.
    pub ino: u64,
    /// Length in bytes.
    pub len: u64,
    /// Modification time: seconds, nanoseconds.
    pub mtime: (i64, i64),
    /// Change time: seconds, nanoseconds.
    pub ctime: (i64, i64),
}

impl Stamp {
    fn of(meta: &Metadata, len: u64) -> Self {
        Stamp {
            dev: meta.dev(),
            ino: meta.ino(),
            len,
            mtime: (meta.mtime(), meta.mtime_nsec()),
            ctime: (meta.ctime(), meta.ctime_nsec()),
        }
    }
}

/// A regular file or block device, opened read-only.
#[derive(Debug)]
pub struct SourceFile {
    path: PathBuf,
    file: File,
    stamp: Stamp,
    head: Vec<u8>,
}

impl SourceFile {
    /// Opens `path`. Never blocks on a FIFO, never writes.
    ///
    /// # Errors
    /// `Missing`, `Permission`, or `Refused` for everything that is neither a regular file nor a
    /// block device, and `Damaged` for an empty one.
    pub fn open(path: &Path, named: Named) -> Result<Self> {
        // Look before opening: opening a FIFO or a tape can wait or have effects.
        let look = match named {
            Named::ByUser => std::fs::metadata(path),
            Named::BySearch => std::fs::symlink_metadata(path),
        };
        check_kind(path, &look.map_err(|e| cannot_open(path, e))?)?;
        let mut flags = OFlags::NONBLOCK | OFlags::NOCTTY;
        if named == Named::BySearch {
            flags |= OFlags::NOFOLLOW;
        }
        let mut file = OpenOptions::new()
            .read(true)
            .custom_flags(flags.bits().cast_signed())
            .open(path)
            .map_err(|e| cannot_open(path, e))?;
        // Look again at what was really opened: the name may have been given away in between.
        let meta = file.metadata().map_err(|e| cannot_open(path, e))?;
        check_kind(path, &meta)?;
        let len = length(&mut file, &meta).map_err(|e| cannot_open(path, e))?;
        if len == 0 {
            return Err(Error::new(Kind::Damaged, "source-empty", "the file is empty")
                .at(path)
                .remedy("name a disk image that has content"));
        }
        let mut head = vec![0; usize::try_from(len).map_or(HEAD, |len| len.min(HEAD))];
        file.read_exact_at(&mut head, 0).map_err(|e| read_error(path, 0, e))?;
        Ok(SourceFile { path: path.to_owned(), stamp: Stamp::of(&meta, len), file, head })
    }

    /// The path as it was given.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Length in bytes when it was opened.
    pub fn len(&self) -> u64 {
        self.stamp.len
    }

    /// Never true: empty files are refused when opened.
    pub fn is_empty(&self) -> bool {
        self.stamp.len == 0
    }

    /// The file's state when it was opened.
    pub fn stamp(&self) -> &Stamp {
        &self.stamp
    }

    /// Device and inode: the same for all names of one file.
    pub fn id(&self) -> (u64, u64) {
        (self.stamp.dev, self.stamp.ino)
    }

    /// The first bytes of the file, at most 4,096, as they were when it was opened.
    pub fn head(&self) -> &[u8] {
        &self.head
    }

    /// The open file, for calls that have no wrapper here (finding holes).
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Fills `buf` from byte `offset`. A short read is an error, never an end.
    pub fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        self.file.read_exact_at(buf, offset).map_err(|e| read_error(&self.path, offset, e))
    }

    /// Whether size, times and beginning are still those of the opening.
    ///
    /// # Errors
    /// `Changed`, naming what differs.
    pub fn check_unchanged(&self) -> Result<()> {
        let mut file = self.file.try_clone().map_err(|e| read_error(&self.path, 0, e))?;
        let meta = file.metadata().map_err(|e| read_error(&self.path, 0, e))?;
        let len = length(&mut file, &meta).map_err(|e| read_error(&self.path, 0, e))?;
        let now = Stamp::of(&meta, len);
        let mut head = vec![0; self.head.len()];
        let what = if now.len != self.stamp.len {
            format!("its size was {} and is {}", self.stamp.len, now.len)
        } else if now.mtime != self.stamp.mtime {
            "its modification time is another".to_owned()
        } else if now.ctime != self.stamp.ctime {
            "its change time is another".to_owned()
        } else {
            self.read_exact_at(&mut head, 0)?;
            if head == self.head {
                return Ok(());
            }
            "its header is another".to_owned()
        };
        Err(Error::new(
            Kind::Changed,
            "source-changed",
            format!("the source changed while it was being read: {what}"),
        )
        .at(&self.path)
        .remedy("shut the machine down, make sure that nothing writes to the disk, and run again"))
    }
}

/// A block device reports length 0 in its metadata; its end is its length.
fn length(file: &mut File, meta: &Metadata) -> io::Result<u64> {
    if meta.file_type().is_block_device() { file.seek(SeekFrom::End(0)) } else { Ok(meta.len()) }
}

fn check_kind(path: &Path, meta: &Metadata) -> Result<()> {
    let kind = meta.file_type();
    let (what, remedy) = if kind.is_file() || kind.is_block_device() {
        return Ok(());
    } else if kind.is_dir() {
        ("a directory", "name the disk files in it one by one")
    } else if kind.is_fifo() {
        ("a FIFO (named pipe)", "write its content to a file first: a disk is read by position")
    } else if kind.is_socket() {
        ("a socket", "name a disk image file")
    } else if kind.is_char_device() {
        ("a character device", "name a disk image file or a block device")
    } else if kind.is_symlink() {
        ("a symbolic link found in a folder, which is never followed", "name its target")
    } else {
        ("neither a regular file nor a block device", "name a disk image file")
    };
    Err(Error::new(Kind::Refused, "source-kind", format!("this is {what}")).at(path).remedy(remedy))
}

fn cannot_open(path: &Path, cause: io::Error) -> Error {
    let no_such = cause.kind() == io::ErrorKind::NotADirectory;
    let error = Error::io("source-open", "cannot open the input", path, cause);
    match error.kind() {
        _ if no_such => error.with_kind(Kind::Missing).remedy("check the name"),
        Kind::Missing => error.remedy("check the name"),
        Kind::Permission => error.remedy("run as a user who may read it"),
        _ => error.remedy("check the path and the storage that holds it"),
    }
}

fn read_error(path: &Path, offset: u64, cause: io::Error) -> Error {
    let kind = if cause.kind() == io::ErrorKind::UnexpectedEof { Kind::Changed } else { Kind::Io };
    Error::io("source-read", "cannot read the source", path, cause)
        .with_kind(kind)
        .offset(offset)
        .remedy("check the storage that holds it; --salvage goes on past unreadable places")
}
