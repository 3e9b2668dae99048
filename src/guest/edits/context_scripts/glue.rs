//! What makes a guest run the context scripts.

use std::path::{Path, PathBuf};

use super::bundle::Recorded;
use super::{busybox, openrc, rc_local, systemd, sysv, upstart};
use crate::error::Result;
use crate::guest::edits::Bench;
use crate::guest::facts::Init;
use crate::guest::inspect;
use crate::guest::text;
use crate::guest::tree::{Attributes, MAX_TEXT, NodeKind, Tree};

/// The service before the network.
pub(super) const EARLY: &str = "stratuslab-one-context-early";
/// The service with the network.
pub(super) const LATE: &str = "stratuslab-one-context";

/// What is to be in a guest that runs the context scripts.
#[derive(Debug, Default)]
pub(super) struct Glue {
    /// Files that are ours: path, content, permissions.
    pub files: Vec<(String, String, u16)>,
    /// Links: path and target.
    pub links: Vec<(PathBuf, String)>,
    /// Files of the guest that get lines: path, all of the new text, and whether it has to be
    /// executable.
    pub changed: Vec<(PathBuf, String, bool)>,
    /// Files that the init system makes anew from the others.
    pub caches: &'static [&'static str],
    /// Whether the guest waits for the first stage before it starts its SSH server.
    pub before_ssh: bool,
}

/// The way of this guest; `None` if none is known.
pub(super) fn choose(tree: &dyn Tree, init: Init) -> Result<Option<Glue>> {
    let way = match init {
        Init::Systemd => Some(systemd::glue()),
        Init::Upstart => upstart::glue(tree)?,
        Init::Openrc => openrc::glue(tree)?,
        Init::Sysv => match busybox::folder(tree)? {
            Some(glue) => Some(glue),
            None => sysv::glue(tree)?,
        },
        Init::Busybox => busybox::glue(tree)?,
        Init::Runit => sysv::by_runit(tree)?,
        Init::Unknown => None,
    };
    match way {
        Some(glue) => Ok(Some(glue)),
        None => rc_local::glue(tree),
    }
}

impl Glue {
    /// A file that is ours.
    pub(super) fn file(&mut self, path: impl Into<String>, content: impl Into<String>, mode: u16) {
        self.files.push((path.into(), content.into(), mode));
    }

    /// Whether all of it is there. Files may be of another version.
    pub(super) fn is_done(&self, tree: &dyn Tree) -> Result<bool> {
        for (path, _, mode) in &self.files {
            let path = Path::new(path);
            let is_file = tree.node(path)?.is_some_and(|node| node.kind == NodeKind::File);
            if !is_file || *mode == 0o755 && !is_executable(tree, path)? {
                return Ok(false);
            }
        }
        for (path, target) in &self.links {
            if tree.read_link(path)?.is_none_or(|now| now != Path::new(target)) {
                return Ok(false);
            }
        }
        for (path, content, executable) in &self.changed {
            let now = tree.read(path, MAX_TEXT)?;
            let is_so = now.is_some_and(|now| now == text::encode(content));
            if !is_so || *executable && !is_executable(tree, path)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Puts it into the guest.
    pub(super) fn apply(&self, bench: &mut Bench<'_>, recorded: &mut Recorded) -> Result<()> {
        let before = bench.changes.len();
        for (path, content, mode) in &self.files {
            recorded.put(bench, path, content, *mode)?;
        }
        for (path, target) in &self.links {
            bench.link(path, target, "enables the context scripts")?;
        }
        for (path, content, executable) in &self.changed {
            let mode = if *executable { 0o755 } else { 0o644 };
            let action = "runs the context scripts";
            bench.put(path, content, Attributes::root(mode), action)?;
            if *executable && !is_executable(bench.tree, path)? {
                bench.tree.set_mode(path, mode)?;
                bench.record(path, "made executable");
            }
        }
        if bench.changes.len() > before {
            for cache in self.caches {
                bench.remove(cache, "removed: made anew at the next start")?;
            }
        }
        Ok(())
    }
}

/// Whether everybody may execute what `path` leads to.
pub(super) fn is_executable(tree: &dyn Tree, path: &Path) -> Result<bool> {
    let Some(real) = tree.resolve(path)? else { return Ok(false) };
    Ok(tree.node(&real)?.is_some_and(|node| node.mode & 0o111 == 0o111))
}

/// Whether `path` leads to a folder.
pub(super) fn is_folder(tree: &dyn Tree, path: &str) -> Result<bool> {
    inspect::is(tree, path, NodeKind::Dir)
}
