//! A folder of this machine as a guest's tree, read only: a real distribution to look at.

use std::ffi::OsString;
use std::fs;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use crate::error::{Error, Kind, Result};
use crate::guest::tree::{Attributes, MAX_LINKS, Node, NodeKind, Tree};

pub(in crate::guest) struct HostTree(pub PathBuf);

impl HostTree {
    fn host(&self, path: &Path) -> PathBuf {
        self.0.join(path.strip_prefix("/").unwrap())
    }

    fn walk(&self, path: &Path, follow_last: bool, links: &mut usize) -> Option<PathBuf> {
        let mut at = PathBuf::from("/");
        let parts: Vec<_> = path.components().collect();
        for (i, part) in parts.iter().enumerate() {
            match part {
                Component::ParentDir => drop(at.pop()),
                Component::Normal(name) => {
                    let next = at.join(name);
                    let is_link = fs::symlink_metadata(self.host(&next)).ok()?.is_symlink();
                    if is_link && (follow_last || i + 1 < parts.len()) {
                        *links += 1;
                        let target = fs::read_link(self.host(&next)).ok()?;
                        if *links > MAX_LINKS {
                            return None;
                        }
                        at = self.walk(&at.join(target), true, links)?;
                    } else {
                        at = next;
                    }
                }
                _ => {}
            }
        }
        Some(at)
    }

    fn regular(&self, path: &Path) -> Option<fs::File> {
        let place = self.host(&self.walk(path, true, &mut 0)?);
        fs::symlink_metadata(&place).ok()?.is_file().then(|| fs::File::open(place).ok())?
    }
}

fn read_only() -> Error {
    Error::new(Kind::Refused, "read-only", "this machine's own files")
}

impl Tree for HostTree {
    fn resolve(&self, path: &Path) -> Result<Option<PathBuf>> {
        Ok(self.walk(path, true, &mut 0))
    }

    fn node(&self, path: &Path) -> Result<Option<Node>> {
        let Some(place) = self.walk(path, false, &mut 0) else { return Ok(None) };
        let meta = fs::symlink_metadata(self.host(&place)).unwrap();
        let kind = match meta.file_type() {
            t if t.is_file() => NodeKind::File,
            t if t.is_dir() => NodeKind::Dir,
            t if t.is_symlink() => NodeKind::Link,
            _ => NodeKind::Other,
        };
        let mode = (meta.mode() & 0o7777) as u16;
        let (uid, gid, size, links) = (meta.uid(), meta.gid(), meta.len(), 1);
        Ok(Some(Node { kind, mode, uid, gid, size, links }))
    }

    fn read(&self, path: &Path, limit: u64) -> Result<Option<Vec<u8>>> {
        let Some(mut file) = self.regular(path) else { return Ok(None) };
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).unwrap();
        Ok((bytes.len() as u64 <= limit).then_some(bytes))
    }

    fn read_head(&self, path: &Path, len: usize) -> Result<Option<Vec<u8>>> {
        let Some(file) = self.regular(path) else { return Ok(None) };
        let mut bytes = Vec::new();
        file.take(len as u64).read_to_end(&mut bytes).unwrap();
        Ok(Some(bytes))
    }

    fn read_link(&self, path: &Path) -> Result<Option<PathBuf>> {
        Ok(self.walk(path, false, &mut 0).and_then(|place| fs::read_link(self.host(&place)).ok()))
    }

    fn list(&self, path: &Path) -> Result<Vec<OsString>> {
        let place = self.walk(path, true, &mut 0).map(|place| self.host(&place));
        let inside = place.and_then(|place| fs::read_dir(place).ok()).into_iter().flatten();
        let mut names: Vec<_> = inside.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        Ok(names)
    }

    fn write(&mut self, _: &Path, _: &[u8], _: Attributes) -> Result<()> {
        Err(read_only())
    }

    fn remove(&mut self, _: &Path) -> Result<()> {
        Err(read_only())
    }

    fn clear(&mut self, _: &Path, _: &[OsString]) -> Result<usize> {
        Err(read_only())
    }

    fn make_dir(&mut self, _: &Path, _: Attributes) -> Result<()> {
        Err(read_only())
    }

    fn make_link(&mut self, _: &Path, _: &Path) -> Result<()> {
        Err(read_only())
    }

    fn rename(&mut self, _: &Path, _: &Path) -> Result<()> {
        Err(read_only())
    }

    fn set_mode(&mut self, _: &Path, _: u16) -> Result<()> {
        Err(read_only())
    }
}
