//! The guest's tree over its file systems: paths are walked here, inside the guest.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

use super::filesystem::{FileSystem, Place};
use super::tree::{Attributes, MAX_LINKS, MAX_PATH, Node, NodeKind, Tree};
use crate::error::{Error, Kind, Result};

/// A file system at its place in the tree.
struct Mount {
    /// Path in the guest, without links.
    at: PathBuf,
    /// None for one that cannot be looked into: nothing is below its place.
    fs: Option<Box<dyn FileSystem>>,
}

/// The guest's files.
#[derive(Default)]
pub struct MountedTree {
    mounts: Vec<Mount>,
}

/// Where a walk arrived.
#[derive(Clone, Debug)]
struct Spot {
    mount: usize,
    ino: u32,
    /// Path in the guest, without links.
    path: PathBuf,
}

/// Limits of one walk.
struct Budget {
    links: usize,
    names: usize,
}

impl MountedTree {
    /// Adds a file system at `at`, a path without links. The root comes first.
    pub fn mount(&mut self, at: &Path, fs: Option<Box<dyn FileSystem>>) {
        self.mounts.push(Mount { at: at.to_owned(), fs });
    }

    /// Ends the editing of all file systems.
    ///
    /// # Errors
    /// Those of [`FileSystem::finish`].
    pub fn finish(self) -> Result<()> {
        self.mounts.into_iter().filter_map(|mount| mount.fs).try_for_each(FileSystem::finish)
    }

    fn fs(&self, mount: usize) -> Result<&dyn FileSystem> {
        let fs = self.mounts.get(mount).and_then(|mount| mount.fs.as_deref());
        fs.ok_or_else(|| {
            refused("guest-volume-unsupported", Path::new("/"), "cannot be looked into")
        })
    }

    fn fs_mut(&mut self, mount: usize) -> Result<&mut Box<dyn FileSystem>> {
        let fs = self.mounts.get_mut(mount).and_then(|mount| mount.fs.as_mut());
        fs.ok_or_else(|| {
            refused("guest-volume-unsupported", Path::new("/"), "cannot be looked into")
        })
    }

    /// The root of what is mounted at `path`.
    fn mounted_at(&self, path: &Path) -> Option<Result<Spot>> {
        let mount = self.mounts.iter().rposition(|mount| mount.at == path)?;
        Some(self.fs(mount).map(|fs| Spot { mount, ino: fs.root(), path: path.to_owned() }))
    }

    /// Walks `path`, from the root if it is absolute or there is no `from`. `trail` holds the
    /// directories above, so that `..` needs no entry of that name.
    fn walk(
        &self,
        from: Option<&[Spot]>,
        path: &Path,
        follow_last: bool,
        budget: &mut Budget,
    ) -> Result<Option<Spot>> {
        let Some(root) = self.mounted_at(Path::new("/")).transpose()? else {
            return Ok(None);
        };
        if path.as_os_str().len() > MAX_PATH {
            return Ok(None);
        }
        let mut trail = match from {
            Some(trail) if !path.is_absolute() => trail.to_vec(),
            _ => vec![root],
        };
        let parts: Vec<_> = path.components().collect();
        for (i, part) in parts.iter().enumerate() {
            let name = match part {
                Component::RootDir | Component::CurDir | Component::Prefix(_) => continue,
                Component::ParentDir => {
                    if trail.len() > 1 {
                        trail.pop();
                    }
                    continue;
                }
                Component::Normal(name) => *name,
            };
            let last = i + 1 == parts.len();
            let Some(here) = trail.last() else { return Ok(None) };
            if budget.names == 0 || self.kind(here)? != NodeKind::Dir {
                return Ok(None);
            }
            budget.names -= 1;
            let Some(next) = self.step(here, name)? else { return Ok(None) };
            if self.kind(&next)? == NodeKind::Link && (follow_last || !last) {
                if budget.links == 0 {
                    return Ok(None);
                }
                budget.links -= 1;
                let target =
                    PathBuf::from(OsString::from_vec(self.fs(next.mount)?.read_link(next.ino)?));
                let rest = target.join(parts[i + 1..].iter().collect::<PathBuf>());
                return match target.as_os_str().is_empty() {
                    true => Ok(None),
                    false => self.walk(Some(&trail), &rest, follow_last, budget),
                };
            }
            trail.push(next);
        }
        Ok(trail.pop())
    }

    fn kind(&self, spot: &Spot) -> Result<NodeKind> {
        Ok(self.fs(spot.mount)?.node(spot.ino)?.kind)
    }

    /// One name further, through a mount point if there is one.
    fn step(&self, dir: &Spot, name: &OsStr) -> Result<Option<Spot>> {
        let path = dir.path.join(name);
        if let Some(mount) = self.mounts.iter().rfind(|mount| mount.at == path) {
            return match mount.fs {
                Some(_) => self.mounted_at(&path).transpose(),
                None => Ok(None),
            };
        }
        let ino = self.fs(dir.mount)?.lookup(dir.ino, name.as_bytes())?;
        Ok(ino.map(|ino| Spot { mount: dir.mount, ino, path }))
    }

    fn find(&self, path: &Path, follow: bool) -> Result<Option<Spot>> {
        let mut budget = Budget { links: MAX_LINKS, names: MAX_PATH };
        self.walk(None, path, follow, &mut budget)
    }

    /// The regular file that `path` leads to.
    fn file(&self, path: &Path) -> Result<Option<Spot>> {
        let Some(spot) = self.find(path, true)? else { return Ok(None) };
        Ok(if self.kind(&spot)? == NodeKind::File { Some(spot) } else { None })
    }

    /// The directory and the name of `path`, whose last component is not followed; and the path as
    /// its file system sees it.
    fn place(&self, path: &Path) -> Result<(Spot, OsString, PathBuf)> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(refused("guest-path", path, "is no name that can be changed"));
        };
        let dir = self.find(parent, true)?;
        let Some(dir) = dir.filter(|dir| self.kind(dir).is_ok_and(|kind| kind == NodeKind::Dir))
        else {
            return Err(refused("guest-path", path, "has no directory"));
        };
        let whole = dir.path.join(name);
        if self.mounts.iter().any(|mount| mount.at == whole) {
            return Err(refused("guest-path", path, "is a mount point"));
        }
        let inside = self.inside(dir.mount, &whole);
        Ok((dir, name.to_owned(), inside))
    }

    /// A path as the file system of `mount` sees it.
    fn inside(&self, mount: usize, path: &Path) -> PathBuf {
        let at = self.mounts.get(mount).map(|mount| mount.at.as_path());
        let rest = at.and_then(|at| path.strip_prefix(at).ok()).unwrap_or(path);
        Path::new("/").join(rest)
    }

    /// Calls `change` with the file system and the place of `path`.
    fn at<T>(
        &mut self,
        path: &Path,
        change: impl FnOnce(&mut dyn FileSystem, Place<'_>) -> Result<T>,
    ) -> Result<T> {
        let (dir, name, inside) = self.place(path)?;
        let place = Place { dir: dir.ino, name: name.as_bytes(), path: &inside };
        change(self.fs_mut(dir.mount)?.as_mut(), place)
    }
}

fn refused(code: &'static str, path: &Path, what: &str) -> Error {
    Error::new(Kind::Refused, code, format!("{} in the guest {what}", path.display()))
        .remedy("look at it inside the guest, or convert the disk as it is with --no-context")
}

impl Tree for MountedTree {
    fn resolve(&self, path: &Path) -> Result<Option<PathBuf>> {
        Ok(self.find(path, true)?.map(|spot| spot.path))
    }

    fn node(&self, path: &Path) -> Result<Option<Node>> {
        let Some(spot) = self.find(path, false)? else { return Ok(None) };
        self.fs(spot.mount)?.node(spot.ino).map(Some)
    }

    fn read(&self, path: &Path, limit: u64) -> Result<Option<Vec<u8>>> {
        let Some(spot) = self.file(path)? else { return Ok(None) };
        let fs = self.fs(spot.mount)?;
        match usize::try_from(fs.node(spot.ino)?.size) {
            Ok(size) if size as u64 <= limit => fs.read(spot.ino, size).map(Some),
            _ => Ok(None),
        }
    }

    fn read_head(&self, path: &Path, len: usize) -> Result<Option<Vec<u8>>> {
        let Some(spot) = self.file(path)? else { return Ok(None) };
        self.fs(spot.mount)?.read(spot.ino, len).map(Some)
    }

    fn read_link(&self, path: &Path) -> Result<Option<PathBuf>> {
        let Some(spot) = self.find(path, false)? else { return Ok(None) };
        let fs = self.fs(spot.mount)?;
        Ok(match fs.node(spot.ino)?.kind {
            NodeKind::Link => Some(OsString::from_vec(fs.read_link(spot.ino)?).into()),
            _ => None,
        })
    }

    fn list(&self, path: &Path) -> Result<Vec<OsString>> {
        let Some(spot) = self.find(path, true)? else { return Ok(Vec::new()) };
        let fs = self.fs(spot.mount)?;
        match fs.node(spot.ino)?.kind {
            NodeKind::Dir => Ok(fs.list(spot.ino)?.into_iter().map(OsString::from_vec).collect()),
            _ => Ok(Vec::new()),
        }
    }

    fn write(&mut self, path: &Path, content: &[u8], new: Attributes) -> Result<()> {
        match self.find(path, true)? {
            Some(spot) if self.kind(&spot)? == NodeKind::File => {
                self.at(&spot.path, |fs, place| fs.replace(place, content))
            }
            Some(_) => Err(refused("guest-not-a-file", path, "is not a regular file")),
            // A link that leads nowhere: what it names must not come into being by it.
            None if self.node(path)?.is_some() => {
                Err(refused("guest-path", path, "is a link that leads nowhere"))
            }
            None => self.at(path, |fs, place| fs.create(place, content, new)),
        }
    }

    fn remove(&mut self, path: &Path) -> Result<()> {
        self.at(path, |fs, place| fs.remove(place))
    }

    fn clear(&mut self, path: &Path, keep: &[OsString]) -> Result<usize> {
        let Some(spot) = self.find(path, true)? else { return Ok(0) };
        let in_the_way = |mount: &Mount| match mount.at.strip_prefix(&spot.path) {
            Ok(rest) => rest.iter().next().is_some_and(|name| !keep.iter().any(|k| k == name)),
            Err(_) => false,
        };
        if self.mounts.iter().any(in_the_way) {
            return Err(refused("guest-path", path, "has a mount point in it"));
        }
        let inside = self.inside(spot.mount, &spot.path);
        let keep: Vec<_> = keep.iter().map(|name| name.as_bytes().to_vec()).collect();
        self.fs_mut(spot.mount)?.clear(spot.ino, &inside, &keep)
    }

    fn make_dir(&mut self, path: &Path, new: Attributes) -> Result<()> {
        if self.node(path)?.is_some() {
            return Ok(());
        }
        self.at(path, |fs, place| fs.make_dir(place, new))
    }

    fn make_link(&mut self, path: &Path, target: &Path) -> Result<()> {
        self.at(path, |fs, place| fs.make_link(place, target.as_os_str().as_bytes()))
    }

    fn rename(&mut self, from: &Path, to: &Path) -> Result<()> {
        let (dir, name, inside) = self.place(to)?;
        let target = Place { dir: dir.ino, name: name.as_bytes(), path: &inside };
        let (from_dir, ..) = self.place(from)?;
        if (from_dir.mount, from_dir.ino) != (dir.mount, dir.ino) || self.node(to)?.is_some() {
            return Err(refused("guest-path", to, "is no place to rename to"));
        }
        self.at(from, |fs, place| fs.rename(place, target))
    }

    fn set_mode(&mut self, path: &Path, mode: u16) -> Result<()> {
        let Some(spot) = self.find(path, true)? else {
            return Err(refused("guest-path", path, "is not there"));
        };
        self.at(&spot.path, |fs, place| fs.set_mode(place, mode))
    }
}
