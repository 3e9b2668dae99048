//! Reads back what was written, with a reader that shares no code with the writer.

use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use ext4_view::{Ext4, Ext4Error, Ext4Read};
use fs_ext4::Filesystem;

use super::Ext;
use crate::error::{Error, Kind, Result};
use crate::guest::block::Block;

/// What has to be found at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// A file.
    File {
        /// Its bytes.
        content: Vec<u8>,
        /// Permission bits.
        mode: u16,
        /// Owner.
        uid: u32,
        /// Group.
        gid: u32,
    },
    /// A link with this target.
    Link(Vec<u8>),
    /// A directory.
    Dir,
    /// Anything: it was only renamed or its mode set.
    Something,
    /// No such name.
    Nothing,
}

/// Features that change nothing for the files that are read back here, but that the reader refuses
/// as such: large attributes in inodes of their own, deep directory trees, data inside inodes (such
/// files are looked at in another way). Bits of `s_feature_incompat`.
const MASKED: u32 = 0x400 | 0x4000 | INLINE_DATA;
const INLINE_DATA: u32 = 0x8000;
/// What the reader cannot do at all: descriptors spread over the groups.
const META_BG: u32 = 0x10;
const FILETYPE: u32 = 0x2;

/// The file system, with a superblock that has the masked bits cleared.
struct Reader {
    block: Arc<dyn Block>,
    superblock: [u8; 1024],
}

impl Reader {
    fn new(block: &Arc<dyn Block>) -> Result<Self> {
        let mut raw = [0; 1024];
        block.read_at(&mut raw, super::superblock::OFFSET)?;
        let bits = u32::from_le_bytes([raw[0x60], raw[0x61], raw[0x62], raw[0x63]]) & !MASKED;
        raw[0x60..0x64].copy_from_slice(&bits.to_le_bytes());
        let sum = fs_ext4::checksum::linux_crc32c(!0, &raw[..0x3fc]);
        raw[0x3fc..].copy_from_slice(&sum.to_le_bytes());
        Ok(Reader { block: block.clone(), superblock: raw })
    }
}

impl Ext4Read for Reader {
    fn read(&mut self, at: u64, buf: &mut [u8]) -> Result<(), Box<dyn StdError + Send + Sync>> {
        let from =
            at.checked_sub(super::superblock::OFFSET).and_then(|at| usize::try_from(at).ok());
        if let Some(part) = from.and_then(|from| self.superblock.get(from..from + buf.len())) {
            buf.copy_from_slice(part);
            return Ok(());
        }
        self.block.read_at(buf, at).map_err(|error| error.to_string().into())
    }
}

/// Compares every path with what is expected there.
///
/// # Errors
/// `Internal`, naming the path: the edits are then dropped, and nothing is written.
pub fn check(block: &Arc<dyn Block>, expected: &BTreeMap<PathBuf, Expected>) -> Result<()> {
    let view = Ext::view(block)?;
    let features = view.sb.feature_incompat;
    let reader = match features & META_BG == 0 && features & FILETYPE != 0 {
        true => Some(
            Ext4::load(Box::new(Reader::new(block)?))
                .map_err(|e| wrong(Path::new("/"), &e.to_string()))?,
        ),
        // It cannot read this one: the writer reads it again, from the bytes as they are now.
        false => None,
    };
    for (path, expected) in expected {
        let found = match &reader {
            Some(fs) if features & INLINE_DATA == 0 || !passes_inline(&view, path)? => {
                look(fs, path, expected).map_err(|error| wrong(path, &error.to_string()))?
            }
            _ => look_again(&view, path, expected).map_err(|e| wrong(path, &e.to_string()))?,
        };
        if !found {
            return Err(wrong(path, "what is read back is not what was written"));
        }
    }
    Ok(())
}

fn wrong(path: &Path, what: &str) -> Error {
    let message = format!("{} in the guest: {what}", path.display());
    Error::new(Kind::Internal, "guest-verify", message)
        .remedy("nothing was changed; report this, and convert the disk with --no-context")
}

fn look(fs: &Ext4, path: &Path, expected: &Expected) -> Result<bool, Ext4Error> {
    let name = path.as_os_str().as_bytes();
    let found = match fs.symlink_metadata(name) {
        Err(Ext4Error::NotFound | Ext4Error::NotADirectory) => None,
        result => Some(result?),
    };
    let Some(found) = found else { return Ok(*expected == Expected::Nothing) };
    Ok(match expected {
        Expected::Nothing => false,
        Expected::Something => true,
        Expected::Dir => found.is_dir(),
        Expected::Link(target) => {
            found.is_symlink() && fs.read_link(name)?.as_ref() as &[u8] == target.as_slice()
        }
        Expected::File { content, mode, uid, gid } => {
            found.file_type().is_regular_file()
                && (found.mode() & 0o7777, found.uid(), found.gid()) == (*mode, *uid, *gid)
                && found.len() == content.len() as u64
                && fs.read(name)? == *content
        }
    })
}

/// The inodes that a path passes, the last one included, as far as they are there.
fn passed(fs: &Filesystem, path: &Path) -> fs_ext4::Result<Vec<u32>> {
    let mut inodes = vec![2];
    for name in path.components().filter_map(|part| match part {
        Component::Normal(name) => Some(name.as_bytes()),
        _ => None,
    }) {
        match fs.lookup_at(inodes.last().copied().unwrap_or(2), name) {
            Ok(ino) => inodes.push(ino),
            Err(fs_ext4::Error::NotFound | fs_ext4::Error::NotADirectory) => {
                inodes.push(0);
                break;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(inodes)
}

fn passes_inline(fs: &Filesystem, path: &Path) -> Result<bool> {
    let look = || -> fs_ext4::Result<bool> {
        for ino in passed(fs, path)?.into_iter().filter(|ino| *ino != 0) {
            if fs.stat_ino(ino)?.has_inline_data() {
                return Ok(true);
            }
        }
        Ok(false)
    };
    look().map_err(|error| wrong(path, &error.to_string()))
}

fn look_again(fs: &Filesystem, path: &Path, expected: &Expected) -> fs_ext4::Result<bool> {
    let ino = passed(fs, path)?.last().copied().unwrap_or(0);
    if ino == 0 {
        return Ok(*expected == Expected::Nothing);
    }
    let inode = fs.stat_ino(ino)?;
    Ok(match expected {
        Expected::Nothing => false,
        Expected::Something => true,
        Expected::Dir => inode.is_dir(),
        Expected::Link(target) => inode.is_symlink() && fs.read_link_ino(ino)? == *target,
        Expected::File { content, mode, uid, gid } => {
            let mut buf = vec![0; content.len()];
            inode.is_file()
                && (inode.mode & 0o7777, inode.uid, inode.gid) == (*mode, *uid, *gid)
                && inode.size == content.len() as u64
                && (content.is_empty() || fs.read_ino(ino, 0, &mut buf)? == content.len())
                && buf == *content
        }
    })
}
