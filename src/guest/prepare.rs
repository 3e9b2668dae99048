//! The straight line: find the volumes, find the guest, edit it, read it back.
//!
//! ```text
//! disk ─► overlay: journals replayed ─► overlay: edits ─► Edited
//!              volumes, recover            tree, bench       read-only again
//! ```
//!
//! Two overlays, because what an edit frees shows by comparing before and after.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::block::Block;
use super::edits::{self, Bench, Change, EditOptions};
use super::ext::{self, Ext};
use super::facts::Facts;
use super::inspect::{self, Candidate, Mounts};
use super::mounted::MountedTree;
use super::verdict::{self, Finding};
use super::volumes::{self, Holds, Volume};
use crate::digest::hex;
use crate::disk::overlay::{Budget, Edited, Limits, Overlay};
use crate::disk::{Disk, Warning};
use crate::error::{Error, Kind, Result};

/// What happens to a guest that cannot be prepared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Context {
    /// It is an error.
    #[default]
    Require,
    /// It is left alone, with a warning.
    Try,
    /// Every guest is left alone.
    Off,
}

/// What is to be done with a guest.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Whether it has to be possible.
    pub context: Context,
    /// The edits by name.
    pub edits: Vec<&'static str>,
    /// The volume with the root file system, if the user said it.
    pub root_volume: Option<String>,
    /// What shapes the edits.
    pub options: EditOptions,
    /// The time that edits carry, in seconds since 1970; else that of the file system's last write.
    pub now: Option<i64>,
    /// How much it may cost.
    pub limits: Limits,
    /// Look at what comes out, too: how it would fare, and what emptying its free space would save.
    pub examine: bool,
}

impl Default for Wanted {
    fn default() -> Self {
        Wanted {
            context: Context::default(),
            edits: edits::chosen(&[], &[]),
            root_volume: None,
            options: EditOptions::default(),
            now: None,
            limits: Limits::default(),
            examine: false,
        }
    }
}

/// What was found and done.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// What the guest is; none if it was left alone.
    pub facts: Option<Facts>,
    /// What was changed.
    pub changes: Vec<Change>,
    /// What the user should know.
    pub warnings: Vec<Warning>,
    /// What identifies the changes: equal for equal bytes.
    pub digest: String,
    /// Bytes that are stored and that no file uses, if it was to be examined.
    pub free: Option<u64>,
    /// What the prepared guest will do in a cloud, if it was to be examined.
    pub outlook: Vec<Finding>,
}

impl Report {
    /// One line that is the same if, and only if, image and record would say the same of the guest.
    ///
    /// # Errors
    /// `Internal`.
    pub fn fingerprint(&self) -> Result<String> {
        let Report { facts, changes, warnings, digest, free: _, outlook: _ } = self;
        serde_json::to_vec(&(facts, changes, warnings, digest))
            .map(|text| hex(&Sha256::digest(text)))
            .map_err(|e| {
                Error::new(Kind::Internal, "guest-report", "cannot encode").because(e.into())
            })
    }
}

/// Prepares the guest in `disk`. Returns the disk with the changes on it, if there are any.
///
/// The work is done on a thread of its own, which is left behind if it hangs: `stopped` and the time
/// limit end the wait for it.
///
/// # Errors
/// Why the guest cannot be prepared, unless [`Context::Try`] or [`Context::Off`] says that this is
/// fine. The disk is never changed.
pub fn prepare(
    disk: &Arc<dyn Disk>,
    wanted: &Wanted,
    stopped: impl Fn() -> Option<i32>,
) -> Result<(Option<Edited>, Report)> {
    if wanted.context == Context::Off {
        return Ok((None, Report::default()));
    }
    match watched(disk, wanted, stopped) {
        Err(error) if wanted.context == Context::Try && is_refusal(&error) => {
            let message = format!("the guest was not prepared for the cloud: {error}");
            let warnings = vec![Warning::new("guest-unprepared", message)];
            Ok((None, Report { warnings, ..Report::default() }))
        }
        result => result,
    }
}

/// Whether an error says something about the guest, not about reading the disk.
fn is_refusal(error: &Error) -> bool {
    matches!(error.kind(), Kind::Damaged | Kind::Unsupported | Kind::Refused)
}

/// Name of the thread. A panic in it is an error of the guest's file systems, not of the program.
pub const THREAD: &str = "guest";

fn watched(
    disk: &Arc<dyn Disk>,
    wanted: &Wanted,
    stopped: impl Fn() -> Option<i32>,
) -> Result<(Option<Edited>, Report)> {
    const STACK: usize = 16 << 20;
    let budget = Budget::new(wanted.limits);
    let (sender, receiver) = channel();
    let work = {
        let (disk, wanted, budget) = (disk.clone(), wanted.clone(), budget.clone());
        move || drop(sender.send(work(disk, &wanted, &budget)))
    };
    std::thread::Builder::new()
        .name(THREAD.to_owned())
        .stack_size(STACK)
        .spawn(work)
        .map_err(|e| Error::new(Kind::Io, "no-thread", "the system gives no thread").because(e))?;
    loop {
        match receiver.recv_timeout(Duration::from_millis(100)) {
            Ok(result) => return result,
            Err(RecvTimeoutError::Disconnected) => return Err(panicked()),
            Err(RecvTimeoutError::Timeout) => budget.check()?,
        }
        if let Some(signal) = stopped() {
            let message = format!("stopped by signal {signal} while looking into the guest");
            return Err(Error::new(Kind::Interrupted(signal), "interrupted", message));
        }
    }
}

fn panicked() -> Error {
    Error::new(
        Kind::Damaged,
        "guest-fs-damaged",
        "a file system in the guest is damaged in a way that the code which reads it did not expect",
    )
    .remedy("run e2fsck in the machine, then convert again; or convert it with --no-context")
}

/// An ext file system, before and after.
struct Served {
    /// Its bytes as they were before the first edit.
    before: Arc<dyn Block>,
    /// Why it cannot be edited.
    trouble: Option<Error>,
}

fn work(
    disk: Arc<dyn Disk>,
    wanted: &Wanted,
    budget: &Arc<Budget>,
) -> Result<(Option<Edited>, Report)> {
    let recovered = recover(disk, budget)?;
    let mut troubles = recovered.troubles;
    let below: Arc<dyn Disk> = Arc::new(recovered.disk);
    let overlay = Arc::new(Overlay::new(below.clone(), budget.clone()));
    let block: Arc<dyn Block> = overlay.clone();
    let before: Arc<dyn Block> = Arc::new(Overlay::new(below, budget.clone()));
    let found = volumes::find(&block)?;
    let volumes = found.volumes;
    let mut served: BTreeMap<usize, Served> = BTreeMap::new();
    for (index, old) in volumes::find(&before)?.volumes.into_iter().enumerate() {
        if old.holds == Holds::Ext && old.refused.is_none() {
            let trouble = troubles.remove(&index);
            served.insert(index, Served { before: old.block, trouble });
        }
    }
    drop(before);
    let outlook = Vec::new();
    let mut guest = Guest { wanted, volumes, served, warnings: found.warnings, outlook };
    let (facts, changes) = guest.edit()?;
    let mut report = Report { facts: Some(facts), changes, ..Report::default() };
    if wanted.examine {
        report.free = Some(guest.stored_free()?);
    }
    guest.edit_volumes(&mut report)?;
    (report.warnings, report.outlook) = (guest.warnings, guest.outlook);
    drop((guest.volumes, guest.served, block));
    let overlay = Arc::into_inner(overlay).ok_or_else(|| {
        Error::new(Kind::Internal, "guest-overlay", "something still holds the overlay")
    })?;
    let edited = overlay.freeze()?;
    report.digest = edited.digest();
    Ok((Some(edited), report))
}

/// The disk with its file systems as a clean unmount leaves them.
struct Recovered {
    disk: Edited,
    /// Why a volume, by index, cannot be edited.
    troubles: BTreeMap<usize, Error>,
}

fn recover(disk: Arc<dyn Disk>, budget: &Arc<Budget>) -> Result<Recovered> {
    let overlay = Arc::new(Overlay::new(disk, budget.clone()));
    let block: Arc<dyn Block> = overlay.clone();
    let mut troubles = BTreeMap::new();
    for (index, volume) in volumes::find(&block)?.volumes.into_iter().enumerate() {
        if volume.holds == Holds::Ext && volume.refused.is_none() {
            let mark = overlay.mark();
            if let Err(error) = ext::recover(&volume.block) {
                if !is_refusal(&error) || error.code() == "guest-limit" {
                    return Err(error);
                }
                overlay.back_to(mark);
                troubles.insert(index, error.within(&described(&volume)));
            }
        }
    }
    drop(block);
    let overlay = Arc::into_inner(overlay).ok_or_else(|| {
        Error::new(Kind::Internal, "guest-overlay", "something still holds the overlay")
    })?;
    Ok(Recovered { disk: overlay.freeze()?, troubles })
}

/// `sda1 (ext4)`.
fn described(volume: &Volume) -> String {
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

/// The guest at work.
struct Guest<'a> {
    wanted: &'a Wanted,
    volumes: Vec<Volume>,
    /// The ext file systems among them, by index.
    served: BTreeMap<usize, Served>,
    warnings: Vec<Warning>,
    outlook: Vec<Finding>,
}

impl Guest<'_> {
    /// Finds the root, looks around, and does the edits of files.
    fn edit(&mut self) -> Result<(Facts, Vec<Change>)> {
        let root = self.root()?;
        let mounts = inspect::mounts(&self.tree_of(root)?, &self.volumes, root)?;
        let mut tree = self.mount(&mounts)?;
        let facts = inspect::inspect(&tree, &self.volumes, &mounts.found)?;
        self.warnings.extend(inspect::warnings(&facts, &mounts));
        let mut bench = Bench {
            tree: &mut tree,
            facts: &facts,
            volumes: &self.volumes,
            options: &self.wanted.options,
            name: "",
            changes: Vec::new(),
            warnings: Vec::new(),
        };
        for edit in edits::OF_FILES.iter().filter(|edit| self.wanted.edits.contains(&edit.name)) {
            bench.name = edit.name;
            (edit.run)(&mut bench)?;
        }
        let Bench { changes, warnings, .. } = bench;
        self.warnings.extend(warnings);
        if self.wanted.examine {
            let after = inspect::inspect(&tree, &self.volumes, &mounts.found)?;
            self.outlook = verdict::findings(&after);
        }
        tree.finish()?;
        Ok((facts, changes))
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
            let message = "a volume is not an ext file system";
            return Err(Error::new(Kind::Unsupported, "guest-fs-unsupported", message));
        };
        if let Some(error) = &served.trouble {
            return Err(error.again());
        }
        Ext::open(volume.block.clone(), served.before.clone(), self.wanted.now)
            .map_err(|error| error.within(&described(volume)))
    }

    /// All file systems of the guest in their places.
    fn mount(&mut self, mounts: &Mounts) -> Result<MountedTree> {
        let mut tree = MountedTree::default();
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
                    self.warnings.push(Warning::new("volume-untouched", message));
                    None
                }
            };
            tree.mount(Path::new(at), fs);
        }
        Ok(tree)
    }

    /// The edits of whole file systems.
    fn edit_volumes(&mut self, report: &mut Report) -> Result<()> {
        for edit in edits::OF_VOLUMES.iter().filter(|edit| self.wanted.edits.contains(&edit.name)) {
            for index in self.served.keys() {
                let Some(volume) = self.volumes.get(*index) else { continue };
                match (edit.run)(&volume.block) {
                    Ok(false) => {}
                    Ok(true) => report.changes.push(Change {
                        name: edit.name.to_owned(),
                        path: volume.name.clone(),
                        action: edit.action.to_owned(),
                    }),
                    Err(error) if is_refusal(&error) && error.code() != "guest-limit" => {
                        let message =
                            format!("{}: not done on {}: {error}", edit.name, described(volume));
                        self.warnings.push(Warning::new("volume-untouched", message));
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    /// Bytes that are stored although no file uses them.
    fn stored_free(&self) -> Result<u64> {
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
