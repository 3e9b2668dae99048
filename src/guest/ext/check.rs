//! Reads back what was written, with a reader that shares no code with the writer.

mod again;

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error as StdError;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use ext4_view::{Ext4, Ext4Error, Ext4Read};

use super::superblock::OFFSET;
use super::view::View;
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
    /// A directory with these names and no others.
    Left(BTreeSet<Vec<u8>>),
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
    /// The first error of the block range: the reader's own says less.
    trouble: Arc<Mutex<Option<Error>>>,
}

impl Reader {
    fn new(block: &Arc<dyn Block>, trouble: &Arc<Mutex<Option<Error>>>) -> Result<Self> {
        let mut raw = [0; 1024];
        block.read_at(&mut raw, OFFSET)?;
        let bits = u32::from_le_bytes([raw[0x60], raw[0x61], raw[0x62], raw[0x63]]) & !MASKED;
        raw[0x60..0x64].copy_from_slice(&bits.to_le_bytes());
        let sum = fs_ext4::checksum::linux_crc32c(!0, &raw[..0x3fc]);
        raw[0x3fc..].copy_from_slice(&sum.to_le_bytes());
        Ok(Reader { block: block.clone(), superblock: raw, trouble: trouble.clone() })
    }
}

impl Ext4Read for Reader {
    fn read(&mut self, at: u64, buf: &mut [u8]) -> Result<(), Box<dyn StdError + Send + Sync>> {
        let from = at.checked_sub(OFFSET).and_then(|at| usize::try_from(at).ok());
        let end = from.and_then(|from| from.checked_add(buf.len()));
        if let (Some(from), Some(end)) = (from, end)
            && let Some(part) = self.superblock.get(from..end)
        {
            buf.copy_from_slice(part);
            return Ok(());
        }
        self.block.read_at(buf, at).map_err(|error| {
            let text = error.to_string();
            self.trouble.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
            text.into()
        })
    }
}

/// Compares every path with what is expected there.
///
/// # Errors
/// `Internal`, naming the path: the edits are then dropped, and nothing is written. Those of reading
/// the bytes.
pub fn check(block: &Arc<dyn Block>, expected: &BTreeMap<PathBuf, Expected>) -> Result<()> {
    let view = View::of(block)?;
    let features = view.fs.sb.feature_incompat;
    let trouble: Arc<Mutex<Option<Error>>> = Arc::default();
    let failed = |path: &Path, error: Ext4Error| {
        let trouble = trouble.lock().unwrap_or_else(PoisonError::into_inner).take();
        trouble.unwrap_or_else(|| wrong(path, &error.to_string()))
    };
    // Nor inodes of 128 bytes that have a checksum.
    let short = view.fs.sb.inode_size < 256 && view.fs.csum.enabled;
    let reader = match features & META_BG == 0 && features & FILETYPE != 0 && !short {
        true => {
            let fs = Ext4::load(Box::new(Reader::new(block, &trouble)?));
            Some(fs.map_err(|error| failed(Path::new("/"), error))?)
        }
        // It cannot read this one: the writer reads it again, from the bytes as they are now.
        false => None,
    };
    for (path, expected) in expected {
        let found = match &reader {
            Some(fs) if features & INLINE_DATA == 0 || !again::passes_inline(&view, path)? => {
                look(fs, path, expected).map_err(|error| failed(path, error))?
            }
            _ => again::look(&view, path, expected)?,
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
        Expected::Left(names) => found.is_dir() && names_in(fs, name)? == *names,
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

fn names_in(fs: &Ext4, dir: &[u8]) -> Result<BTreeSet<Vec<u8>>, Ext4Error> {
    let mut names = BTreeSet::new();
    for entry in fs.read_dir(dir)? {
        names.insert(entry?.file_name().as_ref().to_vec());
    }
    names.remove(b".".as_slice());
    names.remove(b"..".as_slice());
    Ok(names)
}
