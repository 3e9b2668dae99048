//! What was installed, and with which content: `bundle.sha256` in the guest.
//!
//! A configuration file whose digest is still the recorded one was never changed by anybody, so a
//! newer one may take its place; all others are the user's. What an older version installed and this
//! one does not have goes the same way.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Component, Path};

use sha2::{Digest, Sha256};

use super::glue::Glue;
use crate::digest::hex;
use crate::error::Result;
use crate::guest::context::{BUNDLE, DIGESTS, File, GROW_ROOT, RANDOM_PASSWORD};
use crate::guest::edits::{Bench, not_a_file};
use crate::guest::text;
use crate::guest::tree::{Attributes, MAX_TEXT, NodeKind, Tree};

/// Bytes of the list; a longer one is not ours.
const MAX_LIST: u64 = 64 << 10;

/// Path → digest in hexadecimal.
pub(in crate::guest::edits) struct Recorded(BTreeMap<String, String>);

pub(super) fn digest(content: &[u8]) -> String {
    hex(&Sha256::digest(content))
}

impl Recorded {
    /// The list in the guest. Lines that this program would not have written are none of it.
    pub(in crate::guest::edits) fn read(tree: &dyn Tree) -> Result<Self> {
        let bytes = tree.read(Path::new(DIGESTS), MAX_LIST)?.unwrap_or_default();
        let list = text::decode(&bytes);
        let entry = |line: &str| {
            let (digest, path) = line.split_once("  ")?;
            let is_digest = digest.len() == 64 && digest.bytes().all(|b| b.is_ascii_hexdigit());
            (is_digest && is_ours(path)).then(|| (path.to_owned(), digest.to_owned()))
        };
        Ok(Recorded(list.lines().filter_map(entry).collect()))
    }

    /// Writes the list.
    pub(in crate::guest::edits) fn write(&self, bench: &mut Bench<'_>) -> Result<()> {
        let mut list = String::new();
        for (path, digest) in &self.0 {
            let _ = writeln!(list, "{digest}  {path}");
        }
        place(bench, DIGESTS, &list, 0o644, ["what was installed"; 2])
    }

    /// Installs a file of the bundle.
    pub(in crate::guest::edits) fn install(
        &mut self,
        bench: &mut Bench<'_>,
        file: &File,
    ) -> Result<()> {
        if file.configuration && !self.is_unchanged(bench.tree, file.path)? {
            let now = bench.tree.read(Path::new(file.path), MAX_TEXT)?;
            if now.is_none_or(|now| now != file.content.as_bytes()) {
                return Ok(());
            }
        }
        self.put(bench, file.path, &text::decode(file.content.as_bytes()), file.mode)
    }

    /// Installs a file that is ours, and records it.
    pub(super) fn put(
        &mut self,
        bench: &mut Bench<'_>,
        path: &str,
        content: &str,
        mode: u16,
    ) -> Result<()> {
        place(bench, path, content, mode, ["installed", "upgraded"])?;
        self.0.insert(path.to_owned(), digest(&text::encode(content)));
        Ok(())
    }

    /// Whether a file is missing, or as it was installed.
    fn is_unchanged(&self, tree: &dyn Tree, path: &str) -> Result<bool> {
        if tree.resolve(Path::new(path))?.is_none() {
            return Ok(true);
        }
        let now = tree.read(Path::new(path), MAX_TEXT)?.map(|bytes| digest(&bytes));
        Ok(now.is_some() && now.as_ref() == self.0.get(path))
    }

    /// Removes what an older version installed, unless it was changed since.
    pub(super) fn prune(&mut self, bench: &mut Bench<'_>, glue: &Glue) -> Result<()> {
        let known = [BUNDLE, RANDOM_PASSWORD, GROW_ROOT].concat();
        let is_part = |path: &str| {
            known.iter().any(|file| file.path == path)
                || glue.files.iter().any(|(file, ..)| file == path)
        };
        let old: Vec<_> = self.0.keys().filter(|path| !is_part(path)).cloned().collect();
        for path in old {
            let is_file = bench.node(&path)?.is_some_and(|node| node.kind == NodeKind::File);
            if is_file && self.is_unchanged(bench.tree, &path)? {
                bench.remove(&path, "removed: of an older version")?;
            }
            self.0.remove(&path);
        }
        Ok(())
    }
}

/// Whether such a path can be one that was installed: the list is only a file of the guest.
fn is_ours(path: &str) -> bool {
    let plain = Path::new(path).components().skip(1).all(|c| matches!(c, Component::Normal(_)));
    plain && path.starts_with('/') && path.contains("stratus")
}

/// Makes `path` itself, not what a link there leads to, a file of root with this content. A mask
/// (a link to `/dev/null`) and a file that is not executable would not run. The words say what was
/// done to a new file, and to one that was there.
pub(super) fn place(
    bench: &mut Bench<'_>,
    path: impl AsRef<Path>,
    content: &str,
    mode: u16,
    [new, replaced]: [&str; 2],
) -> Result<()> {
    let path = path.as_ref();
    let action = match bench.node(path)? {
        None => new,
        Some(node) if node.kind == NodeKind::File => {
            if (node.mode, node.uid, node.links) != (mode, 0, 1) {
                bench.tree.remove(path)?;
            }
            replaced
        }
        Some(node) if node.kind == NodeKind::Link => {
            bench.tree.remove(path)?;
            replaced
        }
        Some(_) => return Err(not_a_file(path)),
    };
    bench.put(path, content, Attributes::root(mode), action)
}
