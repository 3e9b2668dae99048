//! A tree in memory, for the tests of edits and inspection.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

use super::tree::{Attributes, MAX_LINKS, Node, NodeKind, Tree};
use crate::error::{Error, Kind, Result};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    File(Vec<u8>, Attributes),
    Dir(Attributes),
    Link(PathBuf),
    Device,
}

/// Canonical path → what is there. The root is not in the map.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct MemoryTree(pub(crate) BTreeMap<PathBuf, Entry>);

impl MemoryTree {
    /// Files of root, 0644, with their folders.
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        let mut tree = MemoryTree::default();
        files.iter().for_each(|(path, text)| tree.file(path, text, 0o644));
        tree
    }

    pub(crate) fn file(&mut self, path: &str, text: &str, mode: u16) {
        self.folders(path);
        self.0.insert(path.into(), Entry::File(text.into(), Attributes::root(mode)));
    }

    pub(crate) fn dir(&mut self, path: &str) {
        self.folders(path);
        self.0.insert(path.into(), Entry::Dir(Attributes::root(0o755)));
    }

    pub(crate) fn link(&mut self, path: &str, target: &str) {
        self.folders(path);
        self.0.insert(path.into(), Entry::Link(target.into()));
    }

    pub(crate) fn device(&mut self, path: &str) {
        self.folders(path);
        self.0.insert(path.into(), Entry::Device);
    }

    /// The text of a file, as a test wants to compare it.
    pub(crate) fn text(&self, path: &str) -> Option<String> {
        self.read(Path::new(path), u64::MAX)
            .unwrap()
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    fn folders(&mut self, path: &str) {
        for folder in Path::new(path).ancestors().skip(1).filter(|f| *f != Path::new("/")) {
            self.0.entry(folder.into()).or_insert(Entry::Dir(Attributes::root(0o755)));
        }
    }

    /// The canonical path; the last component may be missing if `missing`.
    fn walk(&self, path: &Path, follow_last: bool, links: &mut usize) -> Option<PathBuf> {
        let mut at = PathBuf::from("/");
        let parts: Vec<_> = path.components().collect();
        for (i, part) in parts.iter().enumerate() {
            match part {
                Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
                Component::ParentDir => drop(at.pop()),
                Component::Normal(name) => {
                    let next = at.join(name);
                    let last = i + 1 == parts.len();
                    if !last && !matches!(self.0.get(&next)?, Entry::Dir(_) | Entry::Link(_)) {
                        return None;
                    }
                    match self.0.get(&next) {
                        Some(Entry::Link(target)) if follow_last || !last => {
                            *links += 1;
                            if *links > MAX_LINKS {
                                return None;
                            }
                            at = self.walk(&at.join(target), true, links)?;
                        }
                        _ => at = next,
                    }
                }
            }
        }
        Some(at)
    }

    fn at(&self, path: &Path, follow: bool) -> Option<(PathBuf, &Entry)> {
        let path = self.walk(path, follow, &mut 0)?;
        let entry = self.0.get(&path)?;
        Some((path, entry))
    }

    fn place(&self, path: &Path) -> Result<PathBuf> {
        let parent = self.walk(path.parent().unwrap(), true, &mut 0);
        let parent =
            parent.filter(|p| p == Path::new("/") || matches!(self.0.get(p), Some(Entry::Dir(_))));
        Ok(parent.ok_or_else(|| refused(path))?.join(path.file_name().unwrap()))
    }
}

fn refused(path: &Path) -> Error {
    Error::new(Kind::Refused, "guest-path", path.display().to_string())
}

impl Tree for MemoryTree {
    fn resolve(&self, path: &Path) -> Result<Option<PathBuf>> {
        let found = self.walk(path, true, &mut 0);
        Ok(found.filter(|p| p == Path::new("/") || self.0.contains_key(p)))
    }

    fn node(&self, path: &Path) -> Result<Option<Node>> {
        let node = |kind, a: Attributes, size| Node {
            kind,
            mode: a.mode,
            uid: a.uid,
            gid: a.gid,
            size,
            links: 1,
        };
        if self.walk(path, false, &mut 0).is_some_and(|p| p == Path::new("/")) {
            return Ok(Some(node(NodeKind::Dir, Attributes::root(0o755), 0)));
        }
        Ok(self.at(path, false).map(|(_, entry)| match entry {
            Entry::File(bytes, a) => node(NodeKind::File, *a, bytes.len() as u64),
            Entry::Dir(a) => node(NodeKind::Dir, *a, 0),
            Entry::Link(target) => {
                node(NodeKind::Link, Attributes::root(0o777), target.as_os_str().len() as u64)
            }
            Entry::Device => node(NodeKind::Other, Attributes::root(0o600), 0),
        }))
    }

    fn read(&self, path: &Path, limit: u64) -> Result<Option<Vec<u8>>> {
        Ok(match self.at(path, true) {
            Some((_, Entry::File(bytes, _))) if bytes.len() as u64 <= limit => Some(bytes.clone()),
            _ => None,
        })
    }

    fn read_head(&self, path: &Path, len: usize) -> Result<Option<Vec<u8>>> {
        let all = self.read(path, u64::MAX)?;
        Ok(all.map(|bytes| bytes[..len.min(bytes.len())].to_vec()))
    }

    fn read_link(&self, path: &Path) -> Result<Option<PathBuf>> {
        Ok(match self.at(path, false) {
            Some((_, Entry::Link(target))) => Some(target.clone()),
            _ => None,
        })
    }

    fn list(&self, path: &Path) -> Result<Vec<OsString>> {
        let Some(folder) = self.resolve(path)? else { return Ok(Vec::new()) };
        let inside = self.0.keys().filter(|p| p.parent() == Some(&folder));
        Ok(inside.filter_map(|p| p.file_name().map(Into::into)).collect())
    }

    fn write(&mut self, path: &Path, content: &[u8], new: Attributes) -> Result<()> {
        let place = match self.at(path, true) {
            Some((place, Entry::File(_, old))) => {
                let old = *old;
                self.0.insert(place, Entry::File(content.into(), old));
                return Ok(());
            }
            Some(_) => return Err(refused(path)),
            None if self.at(path, false).is_some() => return Err(refused(path)),
            None => self.place(path)?,
        };
        self.0.insert(place, Entry::File(content.into(), new));
        Ok(())
    }

    fn remove(&mut self, path: &Path) -> Result<()> {
        let (place, entry) = self.at(path, false).ok_or_else(|| refused(path))?;
        if matches!(entry, Entry::Dir(_)) && !self.list(&place)?.is_empty() {
            return Err(refused(path));
        }
        self.0.remove(&place);
        Ok(())
    }

    fn clear(&mut self, path: &Path, keep: &[OsString]) -> Result<usize> {
        let Some(dir) = self.resolve(path)? else { return Ok(0) };
        let before = self.0.len();
        self.0.retain(|known, _| match known.strip_prefix(&dir) {
            Ok(rest) => rest.iter().next().is_none_or(|name| keep.iter().any(|k| k == name)),
            Err(_) => true,
        });
        Ok(before - self.0.len())
    }

    fn make_dir(&mut self, path: &Path, new: Attributes) -> Result<()> {
        let place = self.place(path)?;
        self.0.entry(place).or_insert(Entry::Dir(new));
        Ok(())
    }

    fn make_link(&mut self, path: &Path, target: &Path) -> Result<()> {
        let place = self.place(path)?;
        match self.0.insert(place, Entry::Link(target.into())) {
            None => Ok(()),
            Some(_) => Err(refused(path)),
        }
    }

    fn rename(&mut self, from: &Path, to: &Path) -> Result<()> {
        let (from, to) = (self.place(from)?, self.place(to)?);
        if self.0.contains_key(&to) || from.parent() != to.parent() {
            return Err(refused(&to));
        }
        let moved: Vec<_> = self.0.keys().filter(|p| p.starts_with(&from)).cloned().collect();
        if moved.is_empty() {
            return Err(refused(&from));
        }
        for old in moved {
            let entry = self.0.remove(&old).unwrap();
            let inside = old.strip_prefix(&from).unwrap();
            let new = if inside.as_os_str().is_empty() { to.clone() } else { to.join(inside) };
            self.0.insert(new, entry);
        }
        Ok(())
    }

    fn set_mode(&mut self, path: &Path, mode: u16) -> Result<()> {
        let (place, _) = self.at(path, true).ok_or_else(|| refused(path))?;
        match self.0.get_mut(&place) {
            Some(Entry::File(_, a) | Entry::Dir(a)) => a.mode = mode,
            _ => return Err(refused(path)),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_stay_inside() {
        let mut tree = MemoryTree::of(&[("/usr/lib/a", "x")]);
        tree.link("/lib", "usr/lib");
        tree.link("/out", "/../../usr");
        tree.link("/loop", "/loop");
        assert_eq!(tree.text("/lib/a").unwrap(), "x");
        assert_eq!(tree.text("/out/lib/a").unwrap(), "x");
        assert_eq!(tree.resolve(Path::new("/loop")).unwrap(), None);
        assert!(tree.write(Path::new("/loop"), b"", Attributes::root(0)).is_err());
        tree.write(Path::new("/lib/b"), b"y", Attributes::root(0o600)).unwrap();
        assert_eq!(tree.text("/usr/lib/b").unwrap(), "y");
    }
}
