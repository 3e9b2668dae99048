//! Which volume is the guest's root?

use super::{any, boot, names, os};
use crate::error::{Error, Kind, Result};
use crate::guest::fstab::{Found, find};
use crate::guest::tree::Tree;
use crate::guest::volumes::Volume;

/// A volume, and what speaks for it as the root. There is one for every volume of the disk, also
/// for those that cannot be the root: a boot menu may lie on them, and messages list them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Candidate {
    /// Its index among the disk's volumes.
    pub volume: usize,
    /// The volume's name.
    pub name: String,
    /// Its file system, as `blkid` calls it.
    pub filesystem: String,
    /// Whether a guest's root is on it.
    pub root: bool,
    /// The guest's name, for a person.
    pub os_name: Option<String>,
    /// Why it cannot be looked into.
    pub refused: Option<String>,
    /// Volumes that boot menus on this volume name as the root, by their index.
    pub hints: Vec<usize>,
}

impl Candidate {
    /// Looks at volume `index`. `tree` is its file system alone, `None` if that is not read.
    pub fn look(tree: Option<&dyn Tree>, volumes: &[Volume], index: usize) -> Result<Self> {
        let Some(volume) = volumes.get(index) else { return Ok(Candidate::default()) };
        let mut candidate = Candidate {
            volume: index,
            name: volume.name.clone(),
            filesystem: volume.filesystem.clone(),
            refused: volume.refused.clone(),
            ..Candidate::default()
        };
        let Some(tree) = tree else { return Ok(candidate) };
        candidate.root = is_root(tree)?;
        if candidate.root {
            let release = os::release(tree)?;
            candidate.os_name = release.name.or(release.id);
        }
        for line in boot::command_lines(tree)? {
            if let Some(Found::One(root)) =
                boot::option(&line, "root").map(|spec| find(spec, volumes))
            {
                candidate.hints.push(root);
            }
        }
        candidate.hints.sort_unstable();
        candidate.hints.dedup();
        Ok(candidate)
    }

    /// `sda1 (ext4, Debian GNU/Linux 12)`.
    fn describe(&self) -> String {
        let mut words = Vec::new();
        words.extend((!self.filesystem.is_empty()).then_some(self.filesystem.as_str()));
        words.extend(self.os_name.as_deref());
        words.extend(self.refused.as_deref());
        if words.is_empty() {
            self.name.clone()
        } else {
            format!("{} ({})", self.name, words.join(", "))
        }
    }
}

/// Code of the error for a disk without a system, all of whose volumes were looked into.
pub const DATA_DISK: &str = "guest-none";

/// Whether this file system is a guest's root: it has `/etc/fstab`, and something that names a
/// distribution or starts one.
pub fn is_root(tree: &dyn Tree) -> Result<bool> {
    if !any(tree, &["/etc/fstab"])? {
        return Ok(false);
    }
    let starts = ["/etc/debian_version", "/usr/lib/systemd/systemd", "/lib/systemd/systemd"];
    if any(tree, &["/etc/os-release", "/usr/lib/os-release"])? || any(tree, &starts)? {
        return Ok(true);
    }
    // The links of /sbin/init may lead to a volume that is not mounted here: they count, too.
    for init in ["/sbin/init", "/usr/sbin/init"] {
        if tree.node(init.as_ref())?.is_some() {
            return Ok(true);
        }
    }
    Ok(names(tree, "/etc", usize::MAX)?.iter().any(|name| name.ends_with("-release")))
}

/// The volume of the guest's root: an index among the disk's volumes.
///
/// `wanted` is the volume's name as the user gave it. Without it a single guest is taken; of
/// several the one that the boot menus name, if they all name the same.
///
/// # Errors
/// `Unsupported`, `guest-no-root` or [`DATA_DISK`]: there is no guest. `Refused`, `guest-root-ambiguous`: there are
/// several. `Refused`, `guest-root-unknown`: `wanted` is not there or is no guest's root.
pub fn choose_root(candidates: &[Candidate], wanted: Option<&str>) -> Result<usize> {
    let roots: Vec<&Candidate> = candidates.iter().filter(|candidate| candidate.root).collect();
    if let Some(wanted) = wanted {
        return chosen(candidates, wanted);
    }
    match roots.as_slice() {
        [] => Err(none(candidates)),
        [one] => Ok(one.volume),
        _ => {
            let named = |root: &&&Candidate| {
                candidates.iter().any(|candidate| candidate.hints.contains(&root.volume))
            };
            let named: Vec<_> = roots.iter().filter(named).collect();
            match named.as_slice() {
                [one] => Ok(one.volume),
                _ => Err(several(&roots)),
            }
        }
    }
}

fn chosen(candidates: &[Candidate], wanted: &str) -> Result<usize> {
    let name = wanted.strip_prefix("/dev/").unwrap_or(wanted);
    let problem = match candidates.iter().find(|candidate| candidate.name == name) {
        Some(candidate) if candidate.root => return Ok(candidate.volume),
        Some(candidate) => format!("no guest's root is on {}", candidate.describe()),
        None => format!("there is no volume {wanted}"),
    };
    let message = format!("{problem}; {}", listed(candidates.iter()));
    Err(Error::new(Kind::Refused, "guest-root-unknown", message)
        .remedy("name a volume of that list with --root-volume NAME"))
}

fn none(candidates: &[Candidate]) -> Error {
    let message = format!(
        "no guest found: no readable volume (ext2, ext3, ext4) has /etc/fstab and a distribution; {}",
        listed(candidates.iter())
    );
    // Whatever is on it was looked into: nothing starts from this disk.
    let seen = |c: &Candidate| {
        c.refused.is_none() && (c.filesystem.starts_with("ext") || c.filesystem == "swap")
    };
    let all_seen = !candidates.is_empty() && candidates.iter().all(seen);
    let code = if all_seen { DATA_DISK } else { "guest-no-root" };
    Error::new(Kind::Unsupported, code, message)
        .remedy("convert the disk as it is with --no-context")
}

fn several(roots: &[&Candidate]) -> Error {
    let message = format!("several guests are on this disk; {}", listed(roots.iter().copied()));
    Error::new(Kind::Refused, "guest-root-ambiguous", message)
        .remedy("say which one is meant with --root-volume NAME")
}

fn listed<'c>(candidates: impl Iterator<Item = &'c Candidate>) -> String {
    let list: Vec<String> = candidates.map(Candidate::describe).collect();
    if list.is_empty() {
        "it has no volumes".to_owned()
    } else {
        format!("volumes: {}", list.join(", "))
    }
}
