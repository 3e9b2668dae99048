//! Running one edit on a tree in memory.

use super::{Bench, Change, Edit, EditOptions};
use crate::disk::Warning;
use crate::error::Result;
use crate::guest::facts::{Facts, Init, SshServer};
use crate::guest::memory::MemoryTree;

/// Facts of a systemd guest with OpenSSH.
pub(super) fn facts() -> Facts {
    Facts {
        init: Init::Systemd,
        ssh: Some(SshServer::Openssh),
        disks_bus: "virtio".into(),
        ..Facts::default()
    }
}

/// What an edit did.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) changes: Vec<Change>,
    pub(crate) warnings: Vec<Warning>,
}

impl Outcome {
    pub(crate) fn paths(&self) -> Vec<&str> {
        self.changes.iter().map(|change| change.path.as_str()).collect()
    }

    pub(crate) fn codes(&self) -> Vec<&str> {
        self.warnings.iter().map(|warning| warning.code.as_str()).collect()
    }
}

/// Runs it once.
pub(super) fn once(
    edit: &Edit,
    tree: &mut MemoryTree,
    facts: &Facts,
    options: &EditOptions,
) -> Result<Outcome> {
    let mut bench = Bench {
        tree,
        facts,
        volumes: &[],
        options,
        name: edit.name,
        changes: Vec::new(),
        warnings: Vec::new(),
    };
    (edit.run)(&mut bench)?;
    Ok(Outcome { changes: bench.changes, warnings: bench.warnings })
}

/// Runs it twice: the second time nothing is left to do.
pub(super) fn run(
    edit: &Edit,
    tree: &mut MemoryTree,
    facts: &Facts,
    options: &EditOptions,
) -> Outcome {
    let first = once(edit, tree, facts, options).unwrap();
    let after = tree.clone();
    let again = once(edit, tree, facts, options).unwrap();
    assert_eq!(again.changes, [], "the second run changed something");
    assert_eq!(*tree, after);
    first
}

/// [`run`] with [`facts`] and without options.
pub(super) fn plain(edit: &Edit, tree: &mut MemoryTree) -> Outcome {
    run(edit, tree, &facts(), &EditOptions::default())
}
