//! The guest at work: its root, its mounts, its edits.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::{Wanted, is_refusal};
use crate::disk::Warning;
use crate::disk::overlay::Overlay;
use crate::error::{Error, Kind, Result};
use crate::guest::block::Block;
use crate::guest::edits::{self, Bench, Change, Edit};
use crate::guest::ext::{self, Ext};
use crate::guest::facts::Facts;
use crate::guest::inspect::{self, Candidate, Mounts};
use crate::guest::mounted::MountedTree;
use crate::guest::verdict::{self, Finding};
use crate::guest::volumes::{Holds, Volume};

/// An ext file system, before and after.
pub struct Served {
    /// Its bytes as they were before the first edit.
    pub before: Arc<dyn Block>,
    /// Why it cannot be edited.
    pub trouble: Option<Error>,
}

/// `sda1 (ext4)`.
pub fn described(volume: &Volume) -> String {
    match volume.filesystem.as_str() {
        "" => volume.name.clone(),
        filesystem => format!("{} ({filesystem})", volume.name),
    }
}

/// Places whose files edits may have to change. A guest with a file system there that cannot be
/// edited is not prepared: it would keep what has to go.
const NEEDED: [&str; 8] = ["/", "/etc", "/usr", "/var", "/boot", "/home", "/root", "/tmp"];

fn is_needed(at: &str) -> bool {
    let below = |top: &&str| at.strip_prefix(*top).is_some_and(|rest| rest.starts_with('/'));
    NEEDED.contains(&at) || NEEDED[1..].iter().any(below)
}

fn unsupported(place: &str, volume: &Volume) -> Error {
    let why = volume.refused.as_deref().unwrap_or("only ext2, ext3 and ext4 can be edited");
    let message = format!("{place}: {why}");
    Error::new(Kind::Unsupported, "guest-fs-unsupported", message).remedy(
        "prepare this guest by hand, and convert it as it is with --no-context (or --context try)",
    )
}

/// The edits that take out what belongs to the old machine's people.
const SECRET: [&str; 3] = ["secrets", "ssh-hostkeys", "sysprep-light"];

/// The guest at work.
pub struct Guest<'a> {
    /// What is to be done.
    pub wanted: &'a Wanted,
    /// The disk's volumes.
    pub volumes: Vec<Volume>,
    /// The ext file systems among them, by index.
    pub served: BTreeMap<usize, Served>,
    /// What the user should know.
    pub warnings: Vec<Warning>,
}

/// The guest after the edits of its files.
pub struct Done {
    /// What it is.
    pub facts: Facts,
    /// What was changed.
    pub changes: Vec<Change>,
    /// Where its file systems are.
    mounts: Mounts,
}

impl Guest<'_> {
    /// Finds the root, looks around, and does the edits of files.
    ///
    /// # Errors
    /// Why this guest cannot be prepared.
    pub fn edit(&mut self) -> Result<Done> {
        let root = self.root()?;
        let mounts = inspect::mounts(&self.tree_of(root)?, &self.volumes, root)?;
        let (mut tree, left) = self.mount(&mounts)?;
        self.warnings.extend(left);
        let mut facts = inspect::inspect(&tree, &self.volumes, &mounts.found)?;
        self.warnings.extend(inspect::warnings(&facts, &mounts));
        let chosen = edits::OF_FILES.iter().filter(|edit| self.wanted.edits.contains(&edit.name));
        let (changes, warnings) = self.run(chosen, &mut tree, &facts)?;
        self.warnings.extend(warnings);
        inspect::look_again(&mut facts, &tree)?;
        tree.finish()?;
        Ok(Done { facts, changes, mounts })
    }

    fn run<'e>(
        &self,
        edits: impl Iterator<Item = &'e Edit>,
        tree: &mut MountedTree,
        facts: &Facts,
    ) -> Result<(Vec<Change>, Vec<Warning>)> {
        let mut bench = Bench {
            tree,
            facts,
            volumes: &self.volumes,
            options: &self.wanted.options,
            name: "",
            changes: Vec::new(),
            warnings: Vec::new(),
        };
        for edit in edits {
            bench.name = edit.name;
            (edit.run)(&mut bench).map_err(|error| match error.code() {
                // The remedy is to leave this edit out.
                "guest-file-protected" => error.within(edit.name),
                _ => error,
            })?;
        }
        Ok((bench.changes, bench.warnings))
    }

    /// How the edited guest will fare, and what it still has that should not be given away. This
    /// changes what it looks at.
    ///
    /// # Errors
    /// Those of reading it.
    pub fn outlook(&self, done: &Done) -> Result<Vec<Finding>> {
        let (mut tree, _) = self.mount(&done.mounts)?;
        let logins = edits::password::logins(&tree)?;
        let mut findings =
            verdict::findings(&done.facts, &logins, &self.wanted.edits, &self.warnings);
        let secret = |edit: &&Edit| SECRET.contains(&edit.name);
        let left_out = edits::OF_FILES.iter().filter(secret);
        let left_out = left_out.filter(|edit| !self.wanted.edits.contains(&edit.name));
        let (changes, _) = self.run(left_out, &mut tree, &done.facts)?;
        findings
            .extend(changes.iter().map(|change| verdict::left_inside(&change.path, &change.name)));
        Ok(findings)
    }

    /// The volume with the root file system.
    fn root(&self) -> Result<usize> {
        let mut candidates = Vec::new();
        for index in 0..self.volumes.len() {
            let trouble = self.served.get(&index).map(|served| served.trouble.as_ref());
            let tree = match trouble {
                Some(None) => Some(self.tree_of(index)?),
                _ => None,
            };
            let tree = tree.as_ref().map(|tree| tree as _);
            let mut candidate = Candidate::look(tree, &self.volumes, index)?;
            if let Some(Some(error)) = trouble {
                candidate.refused.get_or_insert_with(|| error.message().to_owned());
            }
            candidates.push(candidate);
        }
        let error = match inspect::choose_root(&candidates, self.wanted.root_volume.as_deref()) {
            Ok(root) => return Ok(root),
            Err(error) => error,
        };
        // One file system that cannot be edited, and nothing else: then that is the reason.
        let mut reasons = self.served.values().filter_map(|served| served.trouble.as_ref());
        match (reasons.next(), reasons.next()) {
            (Some(one), None) if error.code() == "guest-no-root" => Err(one.again()),
            _ => Err(error),
        }
    }

    /// The file system of one volume, alone.
    fn tree_of(&self, index: usize) -> Result<MountedTree> {
        let mut tree = MountedTree::default();
        tree.mount(Path::new("/"), Some(Box::new(self.open(index)?)));
        Ok(tree)
    }

    fn open(&self, index: usize) -> Result<Ext> {
        let (Some(volume), Some(served)) = (self.volumes.get(index), self.served.get(&index))
        else {
            let message = "only ext2, ext3 and ext4 can be edited";
            return Err(Error::new(Kind::Unsupported, "guest-fs-unsupported", message));
        };
        if let Some(error) = &served.trouble {
            return Err(error.again());
        }
        Ext::open(volume.block.clone(), served.before.clone(), self.wanted.now)
            .map_err(|error| error.within(&described(volume)))
    }

    /// All file systems of the guest in their places, and warnings of those that are left as they
    /// are.
    fn mount(&self, mounts: &Mounts) -> Result<(MountedTree, Vec<Warning>)> {
        let (mut tree, mut left) = (MountedTree::default(), Vec::new());
        for (at, index) in &mounts.found {
            let Some(volume) = self.volumes.get(*index) else { continue };
            let fs = match self.open(*index) {
                Ok(fs) => Some(Box::new(fs) as _),
                // The EFI system partition and the like: edits that need it know it as a volume.
                Err(_) if volume.holds == Holds::Fat => None,
                Err(error) if is_needed(at) => {
                    let place = format!("{at} is on {}", described(volume));
                    return Err(match self.served.contains_key(index) {
                        true => error,
                        false => unsupported(&place, volume),
                    });
                }
                Err(error) => {
                    let message =
                        format!("{at} on {} is left as it is: {error}", described(volume));
                    left.push(Warning::new("volume-untouched", message));
                    None
                }
            };
            tree.mount(Path::new(at), fs);
        }
        Ok((tree, left))
    }

    /// The ext file systems that can be trusted, if not edited: those with features that the writer
    /// does not keep are among them, those that are damaged or were not put away well are not, and
    /// the user is told of those that are not mounted; of the others he was.
    fn sound(&mut self, mounts: &Mounts) -> Vec<usize> {
        let mut sound = Vec::new();
        for (index, served) in &self.served {
            match &served.trouble {
                Some(error) if error.kind() != Kind::Unsupported => {
                    if mounts.found.iter().any(|(_, mounted)| mounted == index) {
                        continue;
                    }
                    let message = format!("{error}; it is left as it is");
                    self.warnings.push(Warning::new("volume-untouched", message));
                }
                _ => sound.push(*index),
            }
        }
        sound
    }

    /// The edits of whole file systems.
    ///
    /// # Errors
    /// Those of reading and writing; a file system that cannot be changed is a warning.
    pub fn edit_volumes(&mut self, overlay: &Overlay, done: &Done) -> Result<Vec<Change>> {
        let mut changes = Vec::new();
        let sound = self.sound(&done.mounts);
        for edit in edits::OF_VOLUMES.iter().filter(|edit| self.wanted.edits.contains(&edit.name)) {
            for volume in sound.iter().filter_map(|index| self.volumes.get(*index)) {
                let mark = overlay.mark();
                match (edit.run)(&volume.block) {
                    Ok(false) => {}
                    Ok(true) => changes.push(Change {
                        name: edit.name.to_owned(),
                        path: volume.name.clone(),
                        action: edit.action.to_owned(),
                    }),
                    Err(error) if is_refusal(&error) => {
                        overlay.back_to(mark);
                        let message =
                            format!("{}: not done on {}: {error}", edit.name, described(volume));
                        self.warnings.push(Warning::new("volume-untouched", message));
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(changes)
    }

    /// Bytes that are stored although no file uses them.
    ///
    /// # Errors
    /// Those of reading the bitmaps.
    pub fn stored_free(&self) -> Result<u64> {
        let mut stored = 0;
        for (index, served) in &self.served {
            if let (Some(volume), None) = (self.volumes.get(*index), &served.trouble) {
                ext::free_ranges(&volume.block, |offset, len| {
                    stored += volume.block.stored(offset, len)?;
                    Ok(())
                })?;
            }
        }
        Ok(stored)
    }
}
