//! Two overlays: in the first the journals are replayed, in the second is edited.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::guest::{Guest, Served, described};
use super::{Report, Wanted, is_refusal};
use crate::disk::overlay::{Budget, Edited, Overlay};
use crate::disk::{Disk, Warning};
use crate::error::{Error, Kind, Result};
use crate::guest::block::Block;
use crate::guest::ext;
use crate::guest::volumes::{self, Found, Holds, Volume};

/// Prepares the guest in `disk`.
///
/// # Errors
/// Why it cannot be prepared.
pub fn work(
    disk: Arc<dyn Disk>,
    wanted: &Wanted,
    budget: &Arc<Budget>,
) -> Result<(Option<Edited>, Report)> {
    let Recovered { disk, names: recovered, mut troubles } = recover(disk, budget)?;
    let below: Arc<dyn Disk> = Arc::new(disk);
    let overlay = Arc::new(Overlay::new(below.clone(), budget.clone()));
    let block: Arc<dyn Block> = overlay.clone();
    let before: Arc<dyn Block> = Arc::new(Overlay::new(below, budget.clone()));
    let Found { volumes, warnings } = volumes::find(&block)?;
    refuse_hibernated(&warnings)?;
    let mut served = BTreeMap::new();
    let old = volumes::find(&before)?.volumes;
    if !same(&old, &recovered) || !same(&volumes, &recovered) {
        let message = "the journal of a file system brings other volumes along";
        return Err(Error::new(Kind::Damaged, "guest-fs-damaged", message)
            .remedy("convert the disk as it is with --no-context"));
    }
    for (index, old) in old.into_iter().enumerate() {
        if is_served(&old) {
            let trouble = troubles.remove(&index);
            served.insert(index, Served { before: old.block, trouble });
        }
    }
    drop((before, block));
    let mut guest = Guest { wanted, volumes, served, warnings };
    let done = guest.edit()?;
    let (mut outlook, mut free) = (Vec::new(), None);
    if wanted.examine {
        let mark = overlay.mark();
        outlook = guest.outlook(&done)?;
        overlay.back_to(mark);
        // To know this is nice; not to know it is no error.
        free = guest.stored_free().ok();
    }
    let changes = guest.edit_volumes(&overlay, &done)?;
    let warnings = guest.warnings;
    drop((guest.volumes, guest.served));
    let edited = unshared(overlay)?.freeze()?;
    let report = Report {
        facts: Some(done.facts),
        changes: done.changes.into_iter().chain(changes).collect(),
        warnings,
        digest: edited.digest(),
        free,
        outlook,
    };
    Ok((Some(edited), report))
}

/// A guest that wakes up goes on with what it remembers of its file systems: an edit would damage
/// them.
fn refuse_hibernated(warnings: &[Warning]) -> Result<()> {
    match warnings.iter().find(|warning| warning.code == "guest-hibernated") {
        Some(warning) => Err(Error::new(Kind::Refused, "guest-hibernated", &warning.message).remedy(
            "start the machine once and shut it down, then convert again; or convert the disk as it \
             is with --no-context",
        )),
        None => Ok(()),
    }
}

/// Whether these are the volumes that were there before the journals were replayed.
fn same(volumes: &[Volume], names: &[String]) -> bool {
    volumes.iter().map(|volume| &volume.name).eq(names)
}

fn is_served(volume: &Volume) -> bool {
    volume.holds == Holds::Ext && volume.refused.is_none()
}

fn unshared(overlay: Arc<Overlay>) -> Result<Overlay> {
    Arc::into_inner(overlay).ok_or_else(|| {
        Error::new(Kind::Internal, "guest-overlay", "something still holds the overlay")
    })
}

/// The disk with its file systems as a clean unmount leaves them.
struct Recovered {
    disk: Edited,
    /// The names of its volumes, in order.
    names: Vec<String>,
    /// Why a volume, by index, cannot be edited.
    troubles: BTreeMap<usize, Error>,
}

fn recover(disk: Arc<dyn Disk>, budget: &Arc<Budget>) -> Result<Recovered> {
    let overlay = Arc::new(Overlay::new(disk, budget.clone()));
    let block: Arc<dyn Block> = overlay.clone();
    let mut troubles = BTreeMap::new();
    let mut names = Vec::new();
    for (index, volume) in volumes::find(&block)?.volumes.into_iter().enumerate() {
        names.push(volume.name.clone());
        if is_served(&volume) {
            let mark = overlay.mark();
            if let Err(error) = ext::recover(&volume.block) {
                if !is_refusal(&error) {
                    return Err(error);
                }
                overlay.back_to(mark);
                troubles.insert(index, error.within(&described(&volume)));
            }
        }
    }
    drop(block);
    Ok(Recovered { disk: unshared(overlay)?.freeze()?, names, troubles })
}
