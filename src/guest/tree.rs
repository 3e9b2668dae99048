//! The guest's files as one tree: what edits and inspection see.
//!
//! Paths are absolute paths of the guest. Links are followed inside the guest only: an absolute
//! target begins at the guest's root, `..` above the root stays there, and a chain of more than
//! [`MAX_LINKS`] links is no path. The host's file system is never asked.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::error::Result;

/// Symbolic links that one path may pass (Linux: `MAXSYMLINKS`).
pub const MAX_LINKS: usize = 40;
/// Bytes of a path (Linux: `PATH_MAX`).
pub const MAX_PATH: usize = 4096;
/// Configuration files are not larger; one that is, is not read.
pub const MAX_TEXT: u64 = 4 << 20;

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeKind {
    /// A regular file.
    File,
    /// A directory.
    Dir,
    /// A symbolic link.
    Link,
    /// A device, FIFO or socket: never read, never written.
    Other,
}

/// What a tree knows of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Node {
    /// What it is.
    pub kind: NodeKind,
    /// Permission bits, `0o7777`.
    pub mode: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Length of a file or of a link's target, in bytes.
    pub size: u64,
    /// Names of it.
    pub links: u32,
}

/// Owner and permissions of what is created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attributes {
    /// Permission bits, `0o7777`.
    pub mode: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

impl Attributes {
    /// Of root, with these permissions.
    pub fn root(mode: u16) -> Self {
        Attributes { mode, uid: 0, gid: 0 }
    }
}

/// A guest's files. Reading a name that is not there, or whose links lead nowhere, is `None` and no
/// error; errors are damaged file systems, and changes that must not be made.
pub trait Tree {
    /// The path with all links followed, or `None` if nothing is there.
    fn resolve(&self, path: &Path) -> Result<Option<PathBuf>>;

    /// What `path` is, without following a link in its last component.
    fn node(&self, path: &Path) -> Result<Option<Node>>;

    /// The bytes of the regular file that `path` leads to. `None` for anything else, and for a
    /// file of more than `limit` bytes.
    fn read(&self, path: &Path, limit: u64) -> Result<Option<Vec<u8>>>;

    /// The first bytes of the regular file that `path` leads to, at most `len`.
    fn read_head(&self, path: &Path, len: usize) -> Result<Option<Vec<u8>>>;

    /// The target of the link `path`, as it stands there.
    fn read_link(&self, path: &Path) -> Result<Option<PathBuf>>;

    /// The names in the directory that `path` leads to, sorted, without `.` and `..`. Empty if
    /// there is none.
    fn list(&self, path: &Path) -> Result<Vec<OsString>>;

    /// Makes the file that `path` leads to hold `content`. A file that is there keeps its inode,
    /// owner, permissions and labels; a new one gets `new` and the label of its neighbours. A link
    /// is followed only to a regular file. The directory must exist.
    ///
    /// # Errors
    /// `Refused`, if `path` is or leads to anything else, or the file must not be changed;
    /// `Refused` with code `guest-full`, if the guest has no room.
    fn write(&mut self, path: &Path, content: &[u8], new: Attributes) -> Result<()>;

    /// Removes the name `path`: a file, a link (not its target) or an empty directory. What only
    /// this name led to is zeroed.
    fn remove(&mut self, path: &Path) -> Result<()>;

    /// Removes everything in the directory that `path` leads to, but the names in `keep`; links are
    /// not followed. Returns how many names were removed, below it, too.
    ///
    /// # Errors
    /// `Refused`, if another file system is mounted below it, but on a name of `keep`.
    fn clear(&mut self, path: &Path, keep: &[OsString]) -> Result<usize>;

    /// Makes the directory `path` if nothing is there. Its parent must exist.
    fn make_dir(&mut self, path: &Path, new: Attributes) -> Result<()>;

    /// Makes the link `path` with `target`. Nothing may be there.
    fn make_link(&mut self, path: &Path, target: &Path) -> Result<()>;

    /// Renames `from` to `to`, in the same directory. Nothing may be at `to`.
    fn rename(&mut self, from: &Path, to: &Path) -> Result<()>;

    /// Sets the permission bits of what `path` leads to.
    fn set_mode(&mut self, path: &Path, mode: u16) -> Result<()>;
}
