//! Parents and children of a VDI. A VDI names its parent by UUID, not by file name, so they are
//! found by reading the headers of the files around it.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::header::{self, Header, Identity, Uuid};
use crate::disk::Warning;
use crate::disk::source::{Named, SourceFile};
use crate::error::{Error, Kind, Result};

/// Files of one folder whose headers are read. A machine's folder has dozens.
const MAX_FILES: usize = 20_000;

/// A VDI found by search.
#[derive(Debug)]
pub struct Relative {
    /// Where it is.
    pub path: PathBuf,
    /// Who it says it is.
    pub identity: Identity,
    /// Whether its header passes all checks.
    pub sound: bool,
    /// Device and inode, to know it again under another name.
    pub id: (u64, u64),
}

/// The folders in which the relatives of the disk at `path` may be: its own, `Snapshots/` in it,
/// and the one above (for a disk that lies in `Snapshots/` itself).
pub fn places(path: &Path, warnings: &mut Vec<Warning>) -> Vec<PathBuf> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    };
    let snapshots = folder.join("Snapshots");
    let above = above(&folder);
    if snapshots.is_symlink() {
        not_looked_at(warnings, &snapshots, "it is a symbolic link; --parent can name its target");
        return vec![folder, above];
    }
    vec![folder, snapshots, above]
}

/// Something that could hide a relative.
fn not_looked_at(warnings: &mut Vec<Warning>, path: &Path, why: &str) {
    let message = format!("{}: not looked at for related disks: {why}", path.display());
    warnings.push(Warning::new("not-looked-at", message));
}

/// The folder above, under a name as short as what the user typed allows.
fn above(folder: &Path) -> PathBuf {
    let is_link = folder.is_symlink();
    match (folder.file_name(), folder.parent()) {
        (Some(_), Some(above)) if !is_link && above.as_os_str().is_empty() => PathBuf::from("."),
        (Some(_), Some(above)) if !is_link => above.to_owned(),
        _ => folder.join(".."),
    }
}

/// All VDIs in `folders` (files in the list stand for themselves) that `wanted` accepts, each
/// once, in a fixed order. What cannot be read or is no VDI is passed over: the folder may hold
/// anything. A damaged VDI is not passed over: a base is no leaf because its child was cut.
pub fn search(
    folders: &[PathBuf],
    warnings: &mut Vec<Warning>,
    wanted: impl Fn(&Identity) -> bool,
) -> Vec<Relative> {
    let mut found = Vec::new();
    let mut seen = HashSet::new();
    for folder in folders {
        for path in files_of(folder, warnings) {
            let Some(relative) = look_at(&path, warnings) else { continue };
            if wanted(&relative.identity) && seen.insert(relative.id) {
                found.push(relative);
            }
        }
    }
    found
}

fn files_of(folder: &Path, warnings: &mut Vec<Warning>) -> Vec<PathBuf> {
    if folder.is_file() {
        return vec![folder.to_owned()];
    }
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) => {
            if e.kind() != std::io::ErrorKind::NotFound {
                not_looked_at(warnings, folder, &e.to_string());
            }
            return Vec::new();
        }
    };
    let mut files = Vec::new();
    for entry in entries.flatten() {
        let (path, kind) = (entry.path(), entry.file_type());
        if kind.as_ref().is_ok_and(|kind| kind.is_file()) {
            files.push(path);
        } else if has_disk_name(&path) && kind.is_ok_and(|kind| kind.is_symlink()) {
            not_looked_at(warnings, &path, "it is a symbolic link");
        }
        if files.len() > MAX_FILES {
            break;
        }
    }
    if files.len() > MAX_FILES {
        files.pop();
        let message = format!(
            "{}: more than {MAX_FILES} files; not all were looked at for related disks",
            folder.display()
        );
        warnings.push(Warning::new("folder-too-large", message));
    }
    files.sort();
    files
}

fn has_disk_name(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("vdi"))
}

fn look_at(path: &Path, warnings: &mut Vec<Warning>) -> Option<Relative> {
    let file = match SourceFile::open(path, Named::BySearch) {
        Ok(file) => file,
        Err(error) => {
            if has_disk_name(path) && matches!(error.kind(), Kind::Permission | Kind::Io) {
                not_looked_at(warnings, path, error.message());
            }
            return None;
        }
    };
    let identity = header::identity(&file)?;
    let sound = header::read(&file).is_ok();
    Some(Relative { path: path.to_owned(), identity, sound, id: file.id() })
}

/// Refuses to take a base for the machine's current state. `file` is the disk, `path` where it
/// really is.
///
/// # Errors
/// `Refused`, naming the children.
pub fn refuse_if_parent(
    file: &SourceFile,
    path: &Path,
    header: &Header,
    warnings: &mut Vec<Warning>,
) -> Result<()> {
    let mut children =
        search(&places(path, warnings), warnings, |other| other.parent == header.create);
    children.retain(|child| child.id != file.id());
    if children.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = children.iter().map(|c| c.path.display().to_string()).collect();
    Err(Error::new(
        Kind::Refused,
        "vdi-has-children",
        format!(
            "this disk (UUID {}) is not the machine's current state: it is the state at a \
             snapshot, and {} later {} on it: {}",
            header.create,
            children.len(),
            if children.len() == 1 { "layer lies" } else { "layers lie" },
            names.join(", ")
        ),
    )
    .at(path)
    .remedy(
        "name the layer to convert instead, or say --this-layer to convert the old state \
         (choosing it as --snapshot NAME needs the machine's .vbox, which this version does not \
         read)",
    ))
}

/// Finds the parent of the image at `path`.
///
/// `named` are the places that the user gave; `around` are files whose surroundings are searched
/// after them.
///
/// # Errors
/// `Missing`, or `Refused` when several files fit or when the only one that does has changed.
/// Each names both UUIDs and the places searched.
pub fn find_parent(
    path: &Path,
    header: &Header,
    named: &[PathBuf],
    around: &[&Path],
    warnings: &mut Vec<Warning>,
) -> Result<Found> {
    let is_parent = |other: &Identity| other.create == header.parent;
    let fits = |r: &Relative| header.parent_modify.is_none_or(|m| m == r.identity.modify);
    let mut searched: Vec<_> = named.iter().map(|path| target(path)).collect();
    let mut candidates = search(&searched, warnings, is_parent);
    if !candidates.iter().any(fits) {
        for place in around.iter().flat_map(|path| places(path, warnings)).collect::<Vec<_>>() {
            if !searched.contains(&place) {
                searched.push(place);
            }
        }
        candidates = search(&searched, warnings, is_parent);
    }
    let (mut good, mut changed): (Vec<_>, Vec<_>) = candidates.into_iter().partition(fits);
    for list in [&mut good, &mut changed] {
        // The rest of a broken copy does not make the whole one ambiguous.
        if list.iter().any(|c| c.sound) {
            list.retain(|c| c.sound);
        }
    }
    let wanted = Wanted { path, header, searched: &searched };
    match (good.len(), changed.len()) {
        (1, _) => Ok(Found { relative: good.remove(0), changed: None }),
        (0, 0) => Err(wanted.missing()),
        (0, 1) => {
            let relative = changed.remove(0);
            let error = wanted.changed(&relative);
            Ok(Found { relative, changed: Some(error) })
        }
        (0, _) => Err(wanted.ambiguous(&changed)),
        _ => Err(wanted.ambiguous(&good)),
    }
}

/// What a path that the user named leads to. A symlink is followed there, but nowhere else.
fn target(path: &Path) -> PathBuf {
    match path.is_symlink() {
        true => path.canonicalize().unwrap_or_else(|_| path.to_owned()),
        false => path.to_owned(),
    }
}

/// A parent, and what is wrong with it.
#[derive(Debug)]
pub struct Found {
    /// The parent.
    pub relative: Relative,
    /// The error, unless salvaging, if its modification UUID is not the expected one.
    pub changed: Option<Error>,
}

struct Wanted<'a> {
    path: &'a Path,
    header: &'a Header,
    searched: &'a [PathBuf],
}

impl Wanted<'_> {
    fn places(&self) -> String {
        let names: Vec<_> = self.searched.iter().map(|p| p.display().to_string()).collect();
        names.join(", ")
    }

    fn modify(&self) -> String {
        self.header.parent_modify.unwrap_or(Uuid([0; 16])).to_string()
    }

    fn missing(&self) -> Error {
        let message = format!(
            "the parent of this differencing disk is missing: its UUID is {}, its modification \
             UUID {}; searched in: {}",
            self.header.parent,
            self.modify(),
            self.places()
        );
        Error::new(Kind::Missing, "vdi-parent-missing", message)
            .at(self.path)
            .remedy("put the parent beside it, or say where it is with --parent PATH")
    }

    fn changed(&self, parent: &Relative) -> Error {
        let message = format!(
            "the parent {} (UUID {}) was written to after this disk was made on it: its \
             modification UUID is {}, expected {}; searched in: {}",
            parent.path.display(),
            self.header.parent,
            parent.identity.modify,
            self.modify(),
            self.places()
        );
        Error::new(Kind::Refused, "vdi-parent-changed", message)
            .at(self.path)
            .remedy("restore the parent as it was when the snapshot was taken")
    }

    fn ambiguous(&self, candidates: &[Relative]) -> Error {
        let names: Vec<_> = candidates
            .iter()
            .map(|c| format!("{} (modification UUID {})", c.path.display(), c.identity.modify))
            .collect();
        let message = format!(
            "several files could be the parent (UUID {}, modification UUID {}): {}; searched \
             in: {}",
            self.header.parent,
            self.modify(),
            names.join(", "),
            self.places()
        );
        Error::new(Kind::Refused, "vdi-parent-ambiguous", message)
            .at(self.path)
            .remedy("say which one with --parent FILE, or move the copies away")
    }
}
