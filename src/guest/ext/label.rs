//! Owner and SELinux label of what is new.

use std::collections::BTreeMap;

use super::Ext;
use super::files::kind;
use crate::error::Result;
use crate::guest::filesystem::Place;
use crate::guest::tree::{Attributes, NodeKind};

/// Siblings that are asked for their SELinux label.
const ASKED_SIBLINGS: usize = 64;
/// The attribute that has it.
const LABEL: &str = "security.selinux";

impl Ext {
    fn label(&self, ino: u32) -> Result<Option<Vec<u8>>> {
        let (inode, raw) = self.map(self.fs.read_inode_verified(ino))?;
        self.map(fs_ext4::xattr::get_resolved(&self.fs, &inode, &raw, LABEL))
    }

    /// The SELinux label for something new in `dir`: the one that most of its neighbours of the same
    /// kind have, else the directory's own. Nobody can relabel here, and an enforcing guest would not
    /// run what has none.
    fn label_for(&self, dir: u32, wanted: NodeKind, new: u32) -> Result<Option<Vec<u8>>> {
        let Some(own) = self.label(dir)? else { return Ok(None) };
        let mut counts: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
        for (_, ino) in self.entries(dir)?.into_iter().take(ASKED_SIBLINGS) {
            if ino != new
                && kind(&self.inode(ino)?) == wanted
                && let Some(label) = self.label(ino)?
            {
                *counts.entry(label).or_default() += 1;
            }
        }
        let most = counts.values().copied().max().unwrap_or(0);
        let mut usual = counts.into_iter().filter(|(_, count)| *count == most);
        match (usual.next(), usual.next()) {
            (Some((label, _)), None) => Ok(Some(label)),
            _ => Ok(Some(own)),
        }
    }

    /// Owner and label of what was just made.
    pub(super) fn dress(&mut self, place: Place<'_>, ino: u32, new: Attributes) -> Result<()> {
        if (new.uid, new.gid) != (0, 0) {
            self.map(self.fs.apply_chown_ino(ino, new.uid, new.gid))?;
        }
        let kind = kind(&self.inode(ino)?);
        if let Some(label) = self.label_for(place.dir, kind, ino)? {
            let path = self.text(place.path)?;
            self.map(self.fs.apply_setxattr(path, LABEL, &label))?;
        }
        Ok(())
    }
}
