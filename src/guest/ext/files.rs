//! Files of an ext file system, by inode.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use fs_ext4::inode::Inode;

use super::check::Expected;
use super::names::names_in;
use super::{Ext, check, damaged, device, scrub};
use crate::error::{Error, Kind, Result};
use crate::guest::filesystem::{FileSystem, Place};
use crate::guest::tree::{Attributes, Node, NodeKind};

/// Inode of the root directory (`EXT4_ROOT_INO`).
const ROOT: u32 = 2;
/// `INCOMPAT_EA_INODE`: large attributes may have inodes of their own.
const EA_INODE: u32 = 0x400;
/// Folders in each other; the stack of the thread that edits holds as many.
const MAX_DEPTH: usize = 1000;

/// `i_flags` that forbid a change, with their names.
const FLAGS_REFUSED: &[(u32, &str)] = &[
    (0x10, "marked immutable"),
    (0x20, "marked append-only"),
    (0x800, "encrypted"),
    (0x10_0000, "protected by fs-verity"),
    (0x4000_0000, "in a directory with case folding"),
];

/// What an inode is.
pub(super) fn kind(inode: &Inode) -> NodeKind {
    // The format bits of `i_mode`.
    match inode.mode & 0xf000 {
        0x8000 => NodeKind::File,
        0x4000 => NodeKind::Dir,
        0xa000 => NodeKind::Link,
        _ => NodeKind::Other,
    }
}

impl Ext {
    /// The writer's answer, its errors in our words.
    pub(super) fn map<T>(&self, result: fs_ext4::Result<T>) -> Result<T> {
        result.map_err(|error| self.device.error(error))
    }

    pub(super) fn inode(&self, ino: u32) -> Result<Inode> {
        self.map(self.fs.stat_ino(ino))
    }

    fn check_changeable(&self, ino: u32, path: &Path) -> Result<Inode> {
        let inode = self.inode(ino)?;
        let why = FLAGS_REFUSED.iter().find(|(bit, _)| inode.flags & bit != 0);
        match why {
            Some((_, why)) => Err(Error::new(
                Kind::Refused,
                "guest-file-protected",
                format!("{} in the guest is {why}", path.display()),
            )
            .remedy(
                "clear the mark inside the guest (chattr), or leave the edit out with --skip-edit",
            )),
            None => self.check_attributes(ino, path).map(|()| inode),
        }
    }

    /// The same of the directory that a name is in.
    fn check_folder(&self, place: Place<'_>) -> Result<()> {
        let path = place.path.parent().unwrap_or(place.path);
        self.check_changeable(place.dir, path).map(drop)
    }

    /// Attributes in inodes of their own are not freed by the writer.
    fn check_attributes(&self, ino: u32, path: &Path) -> Result<()> {
        if self.fs.sb.feature_incompat & EA_INODE == 0 {
            return Ok(());
        }
        let (inode, raw) = self.map(self.fs.read_inode_verified(ino))?;
        let (sb, device) = (&self.fs.sb, self.fs.dev.as_ref());
        let all = fs_ext4::xattr::read_all(device, &inode, &raw, sb.inode_size, sb.block_size());
        match self.map(all)?.iter().any(|attribute| attribute.value_inum != 0) {
            true => Err(Error::new(
                Kind::Unsupported,
                "guest-fs-unsupported",
                format!("{} in the guest has attributes in inodes of their own", path.display()),
            )
            .remedy("remove them inside the guest, or leave the edit out with --skip-edit")),
            false => Ok(()),
        }
    }

    /// The path as the writer wants it.
    pub(super) fn text<'p>(&self, path: &'p Path) -> Result<&'p str> {
        path.to_str().ok_or_else(|| {
            Error::new(Kind::Unsupported, "guest-name", format!("{} is not UTF-8", path.display()))
        })
    }

    /// Names and inodes in a directory, as they stand there.
    pub(super) fn entries(&self, dir: u32) -> Result<Vec<(Vec<u8>, u32)>> {
        names_in(&self.fs, dir, |answer| answer.map_err(|error| self.device.error(error)))
    }

    fn fill(&mut self, path: &Path, ino: u32, content: &[u8]) -> Result<()> {
        let text = self.text(path)?;
        match self.fs.apply_replace_file_content(text, content) {
            // It wants one run of free blocks; piece by piece there may still be room.
            Err(error) if device::is_full(&error) && self.inode(ino)?.has_extents() => {
                self.map(self.fs.apply_truncate_ino(ino, 0))?;
                self.map(self.fs.apply_pwrite_ino(ino, 0, content)).map(drop)
            }
            result => self.map(result).map(drop),
        }
    }

    fn expect(&mut self, path: &Path, expected: Expected) {
        self.expected.insert(path.to_owned(), expected);
    }

    fn expect_file(&mut self, path: &Path, ino: u32, content: &[u8]) -> Result<()> {
        let Inode { mode, uid, gid, .. } = self.inode(ino)?;
        self.expect(
            path,
            Expected::File { content: content.to_vec(), mode: mode & 0o7777, uid, gid },
        );
        Ok(())
    }

    /// Goes through the directory from its beginning, as the writer does to find each name: so it
    /// passes what is empty already.
    fn clear_below(
        &mut self,
        dir: u32,
        path: &Path,
        keep: &[Vec<u8>],
        depth: usize,
    ) -> Result<usize> {
        if depth > MAX_DEPTH {
            return Err(damaged("more than a thousand folders in each other"));
        }
        let entries = self.entries(dir)?;
        let mut removed = 0;
        for (name, ino) in entries.into_iter().filter(|(name, _)| !keep.contains(name)) {
            let inside = path.join(std::ffi::OsStr::from_bytes(&name));
            self.check_changeable(dir, path)?;
            let inode = self.check_changeable(ino, &inside)?;
            self.clock.about(&inside);
            if kind(&inode) == NodeKind::Dir {
                removed += self.clear_below(ino, &inside, &[], depth + 1)?;
                self.map(self.fs.apply_rmdir_at(dir, &name))?;
                self.thinned.remove(&ino);
            } else {
                self.map(self.fs.apply_unlink_at(dir, &name))?;
            }
            removed += 1;
        }
        if removed > 0 {
            self.thinned.insert(dir);
            let stays = |known: &Path| match known.strip_prefix(path).map(|rest| rest.iter().next())
            {
                Ok(Some(name)) => keep.iter().any(|kept| kept == name.as_bytes()),
                _ => true,
            };
            self.expected.retain(|known, _| stays(known));
            let left = self.entries(dir)?.into_iter().map(|(name, _)| name).collect();
            self.expect(path, Expected::Left(left));
        }
        Ok(removed)
    }

    /// A name that the directory does not have.
    fn unused_name(&self, dir: u32) -> Result<String> {
        for number in 0..1000 {
            let name = format!(".stratus-{number}");
            if self.lookup(dir, name.as_bytes())?.is_none() {
                return Ok(name);
            }
        }
        Err(damaged("a directory has a thousand names of ours"))
    }

    /// Gives the name a file of its own, with everything that belongs to the old one.
    fn break_link(&mut self, place: Place<'_>, old: u32, content: &[u8]) -> Result<u32> {
        let Inode { mode, uid, gid, .. } = self.inode(old)?;
        let name = self.unused_name(place.dir)?;
        let name = name.as_bytes();
        let path = place.path.with_file_name(std::ffi::OsStr::from_bytes(name));
        let new = self.map(self.fs.apply_create_at(place.dir, name, mode & 0o7777))?;
        self.map(self.fs.apply_chown_ino(new, uid, gid))?;
        let (inode, raw) = self.map(self.fs.read_inode_verified(old))?;
        let attributes = self.map(fs_ext4::xattr::read_all_resolved(&self.fs, &inode, &raw))?;
        // `system.data` is the content of a small file, not an attribute.
        for attribute in attributes.iter().filter(|attribute| attribute.name != "system.data") {
            let path = self.text(&path)?;
            self.map(self.fs.apply_setxattr(path, &attribute.name, &attribute.value))?;
        }
        self.fill(&path, new, content)?;
        self.map(self.fs.apply_rename_at(place.dir, name, place.dir, place.name, true))?;
        Ok(new)
    }
}

impl FileSystem for Ext {
    fn root(&self) -> u32 {
        ROOT
    }

    fn lookup(&self, dir: u32, name: &[u8]) -> Result<Option<u32>> {
        match self.fs.lookup_at(dir, name) {
            Err(
                fs_ext4::Error::NotFound
                | fs_ext4::Error::NotADirectory
                | fs_ext4::Error::NameTooLong,
            ) => Ok(None),
            result => self.map(result).map(Some),
        }
    }

    fn node(&self, ino: u32) -> Result<Node> {
        let inode = self.inode(ino)?;
        Ok(Node {
            kind: kind(&inode),
            mode: inode.mode & 0o7777,
            uid: inode.uid,
            gid: inode.gid,
            size: inode.size,
            links: u32::from(inode.links_count),
        })
    }

    fn read(&self, ino: u32, len: usize) -> Result<Vec<u8>> {
        let size = self.inode(ino)?.size;
        let mut buf = vec![0; usize::try_from(size).map_or(len, |size| size.min(len))];
        let mut done = 0;
        while done < buf.len() {
            match self.map(self.fs.read_ino(ino, done as u64, &mut buf[done..]))? {
                0 => break,
                n => done += n,
            }
        }
        buf.truncate(done);
        Ok(buf)
    }

    fn read_link(&self, ino: u32) -> Result<Vec<u8>> {
        self.map(self.fs.read_link_ino(ino))
    }

    fn list(&self, dir: u32) -> Result<Vec<Vec<u8>>> {
        let mut names: Vec<_> = self.entries(dir)?.into_iter().map(|(name, _)| name).collect();
        names.sort();
        Ok(names)
    }

    fn create(&mut self, place: Place<'_>, content: &[u8], new: Attributes) -> Result<()> {
        self.check_folder(place)?;
        self.clock.about(place.path);
        let ino = self.map(self.fs.apply_create_at(place.dir, place.name, new.mode))?;
        self.dress(place, ino, new)?;
        if !content.is_empty() {
            self.fill(place.path, ino, content)?;
        }
        self.expect_file(place.path, ino, content)
    }

    fn replace(&mut self, place: Place<'_>, content: &[u8]) -> Result<()> {
        let Some(mut ino) = self.lookup(place.dir, place.name)? else {
            return Err(damaged("a file went away"));
        };
        let inode = self.check_changeable(ino, place.path)?;
        self.clock.about(place.path);
        if inode.links_count > 1 {
            self.check_folder(place)?;
            self.thinned.insert(place.dir);
            ino = self.break_link(place, ino, content)?;
        } else {
            self.fill(place.path, ino, content)?;
        }
        self.expect_file(place.path, ino, content)
    }

    fn make_dir(&mut self, place: Place<'_>, new: Attributes) -> Result<()> {
        self.check_folder(place)?;
        self.clock.about(place.path);
        let ino = self.map(self.fs.apply_mkdir_at(place.dir, place.name, new.mode))?;
        self.dress(place, ino, new)?;
        self.expect(place.path, Expected::Dir);
        Ok(())
    }

    fn make_link(&mut self, place: Place<'_>, target: &[u8]) -> Result<()> {
        self.check_folder(place)?;
        self.clock.about(place.path);
        let ino = self.map(self.fs.apply_symlink_at(place.dir, place.name, target))?;
        self.dress(place, ino, Attributes::root(0o777))?;
        self.expect(place.path, Expected::Link(target.to_vec()));
        Ok(())
    }

    fn remove(&mut self, place: Place<'_>) -> Result<()> {
        let Some(ino) = self.lookup(place.dir, place.name)? else { return Ok(()) };
        self.check_folder(place)?;
        let inode = self.check_changeable(ino, place.path)?;
        self.clock.about(place.path);
        self.thinned.insert(place.dir);
        let removed = match kind(&inode) {
            NodeKind::Dir => self.fs.apply_rmdir_at(place.dir, place.name),
            _ => self.fs.apply_unlink_at(place.dir, place.name),
        };
        self.map(removed)?;
        self.thinned.remove(&ino);
        self.expect(place.path, Expected::Nothing);
        Ok(())
    }

    fn clear(&mut self, dir: u32, path: &Path, keep: &[Vec<u8>]) -> Result<usize> {
        self.clear_below(dir, path, keep, 0)
    }

    fn rename(&mut self, from: Place<'_>, to: Place<'_>) -> Result<()> {
        self.check_folder(from)?;
        self.thinned.insert(from.dir);
        let renamed = self.fs.apply_rename_at(from.dir, from.name, to.dir, to.name, false);
        self.map(renamed)?;
        // What was expected below the old name is below the new one now.
        let moved: Vec<PathBuf> =
            self.expected.keys().filter(|path| path.starts_with(from.path)).cloned().collect();
        for old in moved {
            if let (Some(expected), Ok(inside)) =
                (self.expected.remove(&old), old.strip_prefix(from.path))
            {
                // Joined with nothing, a path would end in a slash, which makes it a directory's.
                let whole = inside.as_os_str().is_empty();
                let new = if whole { to.path.to_owned() } else { to.path.join(inside) };
                self.expected.insert(new, expected);
            }
        }
        self.expect(from.path, Expected::Nothing);
        self.expected.entry(to.path.to_owned()).or_insert(Expected::Something);
        Ok(())
    }

    fn set_mode(&mut self, place: Place<'_>, mode: u16) -> Result<()> {
        let Some(ino) = self.lookup(place.dir, place.name)? else {
            return Err(damaged("a file went away"));
        };
        let inode = self.check_changeable(ino, place.path)?;
        if inode.mode & 0o7777 == mode {
            return Ok(());
        }
        self.map(self.fs.apply_chmod_ino(ino, mode))?;
        if let Some(Expected::File { mode: expected, .. }) = self.expected.get_mut(place.path) {
            *expected = mode;
        } else {
            self.expected.entry(place.path.to_owned()).or_insert(Expected::Something);
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<()> {
        let Ext { fs, device, before, thinned, expected, .. } = *self;
        fs.finish().map_err(|error| device.error(error))?;
        if expected.is_empty() {
            return Ok(());
        }
        scrub::scrub(&before, device.block(), &thinned)?;
        check::check(device.block(), &expected)
    }
}
