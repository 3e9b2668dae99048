//! What a file system has to be able to do to be edited.
//!
//! The writer behind it is replaceable: nothing else knows which one it is.

use std::path::Path;

use super::tree::{Attributes, Node};
use crate::error::Result;

/// A name in a directory.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// Inode of the directory.
    pub dir: u32,
    /// The name in it.
    pub name: &'a [u8],
    /// Its path in this file system, without links.
    pub path: &'a Path,
}

/// A file system, by inode numbers. Names are bytes; none of the calls follows a link.
pub trait FileSystem {
    /// Inode of the root directory.
    fn root(&self) -> u32;

    /// The inode behind `name` in the directory `dir`.
    fn lookup(&self, dir: u32, name: &[u8]) -> Result<Option<u32>>;

    /// What an inode is.
    fn node(&self, ino: u32) -> Result<Node>;

    /// The first bytes of a regular file, at most `len`.
    fn read(&self, ino: u32, len: usize) -> Result<Vec<u8>>;

    /// The target of a link.
    fn read_link(&self, ino: u32) -> Result<Vec<u8>>;

    /// The names in a directory, sorted, without `.` and `..`.
    fn list(&self, dir: u32) -> Result<Vec<Vec<u8>>>;

    /// Makes a file that is not there.
    fn create(&mut self, place: Place<'_>, content: &[u8], new: Attributes) -> Result<()>;

    /// Replaces the content of the regular file at `place`, whose owner, permissions and labels stay.
    /// Other names of the file keep the old content.
    fn replace(&mut self, place: Place<'_>, content: &[u8]) -> Result<()>;

    /// Makes a directory that is not there.
    fn make_dir(&mut self, place: Place<'_>, new: Attributes) -> Result<()>;

    /// Makes a link that is not there.
    fn make_link(&mut self, place: Place<'_>, target: &[u8]) -> Result<()>;

    /// Removes a name: of a file, a link or an empty directory.
    fn remove(&mut self, place: Place<'_>) -> Result<()>;

    /// Removes everything in the directory `dir`, whose path is `path`, but the names in `keep`.
    /// Returns how many names were removed, below it, too.
    fn clear(&mut self, dir: u32, path: &Path, keep: &[Vec<u8>]) -> Result<usize>;

    /// Renames in the same directory; nothing is at `to`.
    fn rename(&mut self, from: Place<'_>, to: Place<'_>) -> Result<()>;

    /// Sets the permission bits, `0o7777`.
    fn set_mode(&mut self, place: Place<'_>, mode: u16) -> Result<()>;

    /// Ends the editing: what was removed or replaced is zeroed, and what was written is read back
    /// and compared. Without an edit this changes nothing.
    ///
    /// # Errors
    /// `Internal`, if what is read back is not what was written.
    fn finish(self: Box<Self>) -> Result<()>;
}
