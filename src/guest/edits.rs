//! The edits by name, and what an edit may do.

// The context bundle.
pub mod cloud_init;
pub mod context_scripts;
pub mod growroot;
pub mod root_password;

// Access and secrets.
pub mod accounts;
pub mod authorized_key;
mod dropbear;
pub mod hostkeys;
pub mod machine_id;
pub mod password;
mod public_key;
pub mod secrets;
mod shell_variable;
pub mod sshd;
pub mod sysprep;
#[cfg(test)]
mod trial;

// Booting elsewhere.
#[cfg(test)]
mod boot_trial;
pub mod boot_uuid;
pub mod cmdline;
pub mod network;
pub mod serial_console;
pub mod udev_net;
pub mod uefi;
pub mod vbox;
pub mod virtio;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::block::Block;
use super::context::ContextScript;
use super::ext;
use super::facts::Facts;
use super::text;
use super::tree::{Attributes, MAX_TEXT, Node, NodeKind, Tree};
use super::volumes::Volume;
use crate::disk::Warning;
use crate::error::{Error, Kind, Result};

/// An edit of the guest's files.
pub struct Edit {
    /// Its name on the command line and in the record.
    pub name: &'static str,
    /// Whether it is done without being asked for.
    pub default: bool,
    /// What it does and why, one line for `--list-edits`.
    pub reason: &'static str,
    /// Does it.
    pub run: fn(&mut Bench<'_>) -> Result<()>,
}

/// An edit of the bytes of each ext file system of the disk, after all edits of files.
pub struct VolumeEdit {
    /// Its name on the command line and in the record.
    pub name: &'static str,
    /// Whether it is done without being asked for.
    pub default: bool,
    /// What it does and why, one line for `--list-edits`.
    pub reason: &'static str,
    /// What it has done, for the record.
    pub action: &'static str,
    /// Does it; returns whether it changed anything.
    pub run: fn(&Arc<dyn Block>) -> Result<bool>,
}

/// The edits of files, in the order in which they are done: keys of the user come after the old ones
/// are gone, what decides who can log in knows the context scripts, and what is reported comes last.
pub const OF_FILES: &[Edit] = &[
    context_scripts::EDIT,
    root_password::EDIT,
    growroot::EDIT,
    sshd::EDIT,
    secrets::EDIT,
    cloud_init::EDIT,
    hostkeys::EDIT,
    sysprep::EDIT,
    authorized_key::EDIT,
    machine_id::EDIT,
    udev_net::EDIT,
    network::EDIT,
    boot_uuid::EDIT,
    serial_console::EDIT,
    vbox::EDIT,
    uefi::EDIT,
    virtio::EDIT,
    password::EDIT,
];

/// The edits of whole file systems.
pub const OF_VOLUMES: &[VolumeEdit] = &[
    VolumeEdit {
        name: "fsck-interval",
        default: true,
        reason: "no check of ext file systems after so many boots or days: a start would take hours",
        action: "no check after a number of mounts or days",
        run: ext::disable_checks,
    },
    VolumeEdit {
        name: "free-space-zeroed",
        default: false,
        reason: "blocks that no file uses become empty: a smaller image, no deleted files in it",
        action: "unused blocks made empty",
        run: ext::zero_free,
    },
];

/// Name, default and reason of every edit.
pub fn all() -> impl Iterator<Item = (&'static str, bool, &'static str)> {
    let files = OF_FILES.iter().map(|edit| (edit.name, edit.default, edit.reason));
    files.chain(OF_VOLUMES.iter().map(|edit| (edit.name, edit.default, edit.reason)))
}

/// The names of the edits to do: the defaults, those of `added`, not those of `left_out`.
pub fn chosen(added: &[&str], left_out: &[&str]) -> Vec<&'static str> {
    let is_chosen =
        |name: &str, default| (default || added.contains(&name)) && !left_out.contains(&name);
    all().filter(|(name, default, _)| is_chosen(name, *default)).map(|(name, ..)| name).collect()
}

/// One thing that was changed: `edits[]` of the record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The edit's name.
    pub name: String,
    /// What was changed: a path of the guest, or a volume's name.
    pub path: String,
    /// What was done, in words.
    pub action: String,
}

/// What shapes the edits, besides their names.
#[derive(Clone, Debug, Default)]
pub struct EditOptions {
    /// Public keys for root, one line each.
    pub authorized_keys: Vec<String>,
    /// Leave the password hashes of /etc/shadow.
    pub keep_passwords: bool,
    /// Defaults of variables of the context: see [`crate::guest::context::check_variable`].
    pub context_vars: Vec<(String, Vec<u8>)>,
    /// Actions of the user's own.
    pub context_scripts: Vec<ContextScript>,
}

/// Where an edit works: the guest's files, what is known of it, and a list of what was changed.
/// Every change goes through here, so none is missing in the record, and what is already as it
/// should be is neither written nor listed.
pub struct Bench<'a> {
    /// The guest's files.
    pub tree: &'a mut dyn Tree,
    /// What is known of the guest.
    pub facts: &'a Facts,
    /// The disk's volumes.
    pub volumes: &'a [Volume],
    /// What the user wants.
    pub options: &'a EditOptions,
    /// The edit at work.
    pub name: &'static str,
    /// What was changed so far.
    pub changes: Vec<Change>,
    /// What the user should know.
    pub warnings: Vec<Warning>,
}

impl Bench<'_> {
    /// The text of the file that `path` leads to (see [`text`]); `None` if there is no such file.
    pub fn text(&self, path: impl AsRef<Path>) -> Result<Option<String>> {
        Ok(self.tree.read(path.as_ref(), MAX_TEXT)?.map(|bytes| text::decode(&bytes)))
    }

    /// What `path` is, links not followed.
    pub fn node(&self, path: impl AsRef<Path>) -> Result<Option<Node>> {
        self.tree.node(path.as_ref())
    }

    /// Whether `path` leads to something.
    pub fn exists(&self, path: impl AsRef<Path>) -> Result<bool> {
        Ok(self.tree.resolve(path.as_ref())?.is_some())
    }

    /// The paths of what is in the directory that `path` leads to.
    pub fn list(&self, path: impl AsRef<Path>) -> Result<Vec<PathBuf>> {
        let names = self.tree.list(path.as_ref())?;
        Ok(names.into_iter().map(|name| path.as_ref().join(name)).collect())
    }

    /// Makes `path` hold `content`, unless it does. A new file gets `new`; missing folders are made.
    pub fn put(
        &mut self,
        path: impl AsRef<Path>,
        content: &str,
        new: Attributes,
        action: impl Into<String>,
    ) -> Result<()> {
        let path = path.as_ref();
        let bytes = text::encode(content);
        if self.tree.read(path, MAX_TEXT)?.is_some_and(|now| now == bytes) {
            return Ok(());
        }
        if let Some(folder) = path.parent() {
            self.make_dirs(folder)?;
        }
        if let Some(real) = self.tree.resolve(path)? {
            self.warn_of_other_names(&real)?;
        }
        self.tree.write(path, &bytes, new)?;
        self.record(path, action);
        Ok(())
    }

    /// Removes `path` if it is there: a file, a link, or a folder with all that is in it.
    pub fn remove(&mut self, path: impl AsRef<Path>, action: impl Into<String>) -> Result<()> {
        let path = path.as_ref();
        let Some(node) = self.tree.node(path)? else { return Ok(()) };
        self.warn_of_other_names(path)?;
        if node.kind == NodeKind::Dir {
            self.tree.clear(path, &[])?;
        }
        self.tree.remove(path)?;
        self.record(path, action);
        Ok(())
    }

    /// A file with several names keeps its content under the others.
    fn warn_of_other_names(&mut self, path: &Path) -> Result<()> {
        if self.node(path)?.is_some_and(|node| node.kind == NodeKind::File && node.links > 1) {
            let path = path.display();
            let message = format!(
                "{path} in the guest has another name (a hard link), which keeps the old content: \
                 find it with find -samefile, and remove it if it is a secret"
            );
            self.warn("hard-link", message);
        }
        Ok(())
    }

    /// Makes the link `path`, unless it is there with this target. Missing folders are made; what
    /// else has the name is removed first.
    pub fn link(
        &mut self,
        path: impl AsRef<Path>,
        target: &str,
        action: impl Into<String>,
    ) -> Result<()> {
        let (path, target) = (path.as_ref(), Path::new(target));
        match self.tree.node(path)? {
            Some(node) if node.kind == NodeKind::Link => {
                if self.tree.read_link(path)?.is_some_and(|now| now == target) {
                    return Ok(());
                }
                self.tree.remove(path)?;
            }
            Some(node) if node.kind == NodeKind::File => self.tree.remove(path)?,
            Some(_) => return Err(not_a_file(path)),
            None => {}
        }
        if let Some(folder) = path.parent() {
            self.make_dirs(folder)?;
        }
        self.tree.make_link(path, target)?;
        self.record(path, action);
        Ok(())
    }

    /// Renames `from` to `to` in the same folder.
    pub fn rename(&mut self, from: &Path, to: &Path, action: impl Into<String>) -> Result<()> {
        self.tree.rename(from, to)?;
        self.record(from, action);
        Ok(())
    }

    /// Makes the folder `path` and those above it that are missing, of root, 0755.
    pub fn make_dirs(&mut self, path: &Path) -> Result<()> {
        if self.exists(path)? {
            return Ok(());
        }
        if let Some(above) = path.parent() {
            self.make_dirs(above)?;
        }
        self.tree.make_dir(path, Attributes::root(0o755))
    }

    /// Notes a change.
    pub fn record(&mut self, path: &Path, action: impl Into<String>) {
        self.changes.push(Change {
            name: self.name.to_owned(),
            path: path.display().to_string(),
            action: action.into(),
        });
    }

    /// Notes something the user should know.
    pub fn warn(&mut self, code: &str, message: impl Into<String>) {
        self.warnings.push(Warning::new(code, message));
    }
}

fn not_a_file(path: &Path) -> Error {
    let message = format!("{} in the guest is not a file", path.display());
    Error::new(Kind::Refused, "guest-not-a-file", message).remedy(
        "look at it inside the guest; or leave out the edit that writes it with --skip-edit, or \
         convert the disk as it is with --no-context",
    )
}
