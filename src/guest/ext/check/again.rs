//! The same by the writer itself, for what the other reader does not know: data inside inodes, and
//! descriptors spread over the groups. It reads the bytes as they are now.

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path};

use super::Expected;
use crate::error::Result;
use crate::guest::ext::names::names_in;
use crate::guest::ext::view::View;

/// The inodes that a path passes, the last one included. Where it leads nowhere the last one is 0.
fn passed(view: &View, path: &Path) -> Result<Vec<u32>> {
    let mut inodes = vec![2];
    for part in path.components() {
        let Component::Normal(name) = part else { continue };
        let dir = inodes.last().copied().unwrap_or(2);
        match view.fs.lookup_at(dir, name.as_bytes()) {
            Err(fs_ext4::Error::NotFound | fs_ext4::Error::NotADirectory) => {
                inodes.push(0);
                break;
            }
            found => inodes.push(view.ask(found)?),
        }
    }
    Ok(inodes)
}

/// Whether a path passes, or is, something whose data are inside its inode.
pub fn passes_inline(view: &View, path: &Path) -> Result<bool> {
    for ino in passed(view, path)?.into_iter().filter(|ino| *ino != 0) {
        if view.ask(view.fs.stat_ino(ino))?.has_inline_data() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether `expected` is what is there.
pub fn look(view: &View, path: &Path, expected: &Expected) -> Result<bool> {
    let ino = passed(view, path)?.last().copied().unwrap_or(0);
    if ino == 0 {
        return Ok(*expected == Expected::Nothing);
    }
    let inode = view.ask(view.fs.stat_ino(ino))?;
    Ok(match expected {
        Expected::Nothing => false,
        Expected::Something => true,
        Expected::Dir => inode.is_dir(),
        Expected::Left(names) => {
            let found = names_in(&view.fs, ino, |answer| view.ask(answer))?;
            inode.is_dir()
                && found.into_iter().map(|(name, _)| name).collect::<BTreeSet<_>>() == *names
        }
        Expected::Link(target) => {
            inode.is_symlink() && view.ask(view.fs.read_link_ino(ino))? == *target
        }
        Expected::File { content, mode, uid, gid } => {
            let mut buf = vec![0; content.len()];
            inode.is_file()
                && (inode.mode & 0o7777, inode.uid, inode.gid) == (*mode, *uid, *gid)
                && inode.size == content.len() as u64
                && (content.is_empty()
                    || view.ask(view.fs.read_ino(ino, 0, &mut buf))? == buf.len())
                && buf == *content
        }
    })
}
