//! What the guest mounts where, by its own fstab.

use super::{boot, file};
use crate::error::Result;
use crate::guest::fstab::{Entry, Found, Table, find, is_of_bus};
use crate::guest::tree::{MAX_PATH, Tree};
use crate::guest::volumes::Volume;

/// No fstab has more entries; what is behind them is not looked at.
const MAX_ENTRIES: usize = 1000;

/// Where the guest's file systems are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mounts {
    /// Mount point and volume (its index); the root first, parents before what is in them. No
    /// place and no volume twice.
    pub found: Vec<(String, usize)>,
    /// Entries of fstab for a disk that is not there.
    pub absent: Vec<Absent>,
}

/// An entry of fstab whose volume was not found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Absent {
    /// The device, as fstab names it.
    pub spec: String,
    /// Where it is mounted.
    pub at: String,
    /// Whether the guest waits for it when it starts: it is not `nofail`, `noauto` and the like.
    pub needed: bool,
    /// Whether the name means several volumes rather than none.
    pub ambiguous: bool,
}

/// What the guest on volume `root` mounts. `tree` is that volume's file system.
///
/// Left out is what is no volume (swap, pseudo and network file systems, CDs), what is mounted only
/// by hand, except `/boot` and what is below it, and a volume's second mount point: who writes to
/// a volume must see it once.
pub fn mounts(tree: &dyn Tree, volumes: &[Volume], root: usize) -> Result<Mounts> {
    let text = file(tree, "/etc/fstab")?.unwrap_or_default();
    let mut mounts = Mounts { found: vec![("/".to_owned(), root)], absent: Vec::new() };
    for entry in Table::parse(&text).entries().take(MAX_ENTRIES) {
        let Some(at) = place(&entry.at) else { continue };
        if at == "/" || !is_disk(&entry) || !is_mounted(&entry, &at) {
            continue;
        }
        let known = |(place, _): &(String, usize)| *place == at;
        match find(&entry.spec, volumes) {
            // The first of two lines for one place wins, as for systemd-fstab-generator.
            Found::One(volume) => {
                if !mounts.found.iter().any(|m| known(m) || m.1 == volume) {
                    mounts.found.push((at, volume));
                }
            }
            Found::Elsewhere => {}
            found => mounts.absent.push(Absent {
                needed: !["nofail", "noauto", "x-systemd.automount"]
                    .iter()
                    .any(|option| entry.has_option(option)),
                ambiguous: matches!(found, Found::Several(_)),
                spec: entry.spec,
                at,
            }),
        }
    }
    let depth = |at: &str| if at == "/" { 0 } else { at.matches('/').count() };
    mounts.found.sort_by(|(a, _), (b, _)| (depth(a), a).cmp(&(depth(b), b)));
    Ok(mounts)
}

/// Whether it is a CD: no part of the guest.
fn is_medium(entry: &Entry) -> bool {
    entry.kind.split(',').any(|kind| matches!(kind, "iso9660" | "udf"))
}

/// Whether a file system of a disk could be meant.
fn is_disk(entry: &Entry) -> bool {
    let again = entry.has_option("bind") || entry.has_option("rbind");
    !is_medium(entry)
        && !again
        && !entry.is_swap()
        && !matches!(entry.kind.as_str(), "ignore" | "none")
}

/// Whether it is mounted in the running guest. `/boot` is the guest's even where it is mounted by
/// hand, as on Gentoo.
fn is_mounted(entry: &Entry, at: &str) -> bool {
    let boot = ["/boot", "/efi"].iter().any(|top| at == *top || at.starts_with("/boot/"));
    boot || !entry.has_option("noauto") || entry.has_option("x-systemd.automount")
}

/// A mount point as an absolute path without `.`, `//` and an end in `/`; `None` for what is none.
fn place(at: &str) -> Option<String> {
    if !at.starts_with('/') || at.len() > MAX_PATH || at.contains('\0') {
        return None;
    }
    let parts: Vec<&str> = at.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    (!parts.contains(&"..")).then(|| format!("/{}", parts.join("/")))
}

/// Devices called by names that depend on the bus, in fstab, crypttab and command lines; sorted.
/// What is mounted by hand, or need not be there, does not count.
pub(super) fn bus_devices(tree: &dyn Tree, command_lines: &[String]) -> Result<Vec<String>> {
    let fstab = Table::parse(&file(tree, "/etc/fstab")?.unwrap_or_default());
    let crypttab = Table::parse(&file(tree, "/etc/crypttab")?.unwrap_or_default());
    let used = |entry: &Entry| {
        !is_medium(entry) && !entry.has_option("noauto") && !entry.has_option("nofail")
    };
    let used = fstab.entries().take(MAX_ENTRIES).filter(used);
    let mut devices: Vec<String> = used.map(|entry| entry.spec).collect();
    devices.extend(crypttab.crypts().take(MAX_ENTRIES).map(|crypt| crypt.spec));
    for line in command_lines {
        let options = ["root", "resume"].iter().filter_map(|name| boot::option(line, name));
        devices.extend(options.map(str::to_owned));
    }
    devices.retain(|device| is_of_bus(device));
    devices.sort();
    devices.dedup();
    Ok(devices)
}
