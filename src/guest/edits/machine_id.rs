//! `machine-id`: each machine that starts from the image gets an identity of its own.

use std::path::Path;

use super::{Bench, Edit};
use crate::error::Result;
use crate::guest::fstab::{Entry, Table};
use crate::guest::tree::{Attributes, NodeKind};

/// The edit.
pub const EDIT: Edit = Edit {
    name: "machine-id",
    default: true,
    reason: "empties the machine id, so that no two machines share one",
    run,
};

/// systemd's, and where D-Bus without systemd has its own (machine-id(5), dbus-uuidgen(1)).
const SYSTEMD: &str = "/etc/machine-id";
const DBUS: &str = "/var/lib/dbus/machine-id";

fn run(bench: &mut Bench<'_>) -> Result<()> {
    if read_only_root(bench)? && bench.exists(SYSTEMD)? {
        bench.warn("machine-id-kept", "the guest's root is read-only: it could not get a new id");
        return Ok(());
    }
    let id = bench.text(SYSTEMD)?;
    let place = bench.tree.resolve(Path::new(SYSTEMD))?;
    let one = place.is_some() && place == bench.tree.resolve(Path::new(DBUS))?;
    // Empty, not missing: a machine with an empty one makes its id without taking this start for
    // its very first (machine-id(5), "First Boot Semantics"). `uninitialized` is no id.
    if id.as_ref().is_some_and(|id| !matches!(id.trim(), "" | "uninitialized")) {
        bench.put(SYSTEMD, "", Attributes::root(0o444), "emptied: made anew at the next start")?;
    }
    // The one may already be a link to the other, either way.
    if one || !bench.node(DBUS)?.is_some_and(|node| node.kind == NodeKind::File) {
        return Ok(());
    }
    match id {
        Some(_) => bench.link(DBUS, SYSTEMD, "a link to /etc/machine-id"),
        None => bench.remove(DBUS, "removed: made anew at the next start"),
    }
}

/// Whether fstab mounts the root read-only, for good.
fn read_only_root(bench: &Bench<'_>) -> Result<bool> {
    let text = bench.text(Path::new("/etc/fstab"))?.unwrap_or_default();
    let kept = |entry: &Entry| entry.at == "/" && entry.has_option("ro");
    Ok(Table::parse(&text).entries().any(|entry| kept(&entry)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guest::edits::trial;
    use crate::guest::memory::MemoryTree;
    use crate::guest::tree::Tree;

    const ID: &str = "0123456789abcdef0123456789abcdef\n";

    #[test]
    fn both_ids_go() {
        let mut tree = MemoryTree::of(&[(SYSTEMD, ID), (DBUS, ID)]);
        assert_eq!(trial::plain(&EDIT, &mut tree).paths(), [SYSTEMD, DBUS]);
        assert_eq!(tree.text(SYSTEMD).unwrap(), "");
        assert_eq!(tree.read_link(Path::new(DBUS)).unwrap().unwrap(), Path::new(SYSTEMD));

        let mut tree = MemoryTree::of(&[(DBUS, ID)]);
        assert_eq!(trial::plain(&EDIT, &mut tree).paths(), [DBUS]);
        assert_eq!(tree.node(Path::new(DBUS)).unwrap(), None);
    }

    #[test]
    fn links_between_the_two_stay() {
        for (link, file) in [(SYSTEMD, DBUS), (DBUS, SYSTEMD)] {
            let mut tree = MemoryTree::of(&[(file, ID), ("/var/lib/dbus/x", "")]);
            tree.link(link, file);
            assert_eq!(trial::plain(&EDIT, &mut tree).paths(), [SYSTEMD]);
            assert_eq!(tree.text(link).unwrap(), "");
        }
    }

    #[test]
    fn what_is_no_id_stays() {
        for text in ["", "uninitialized\n"] {
            let mut tree = MemoryTree::of(&[(SYSTEMD, text)]);
            assert_eq!(trial::plain(&EDIT, &mut tree).paths(), [""; 0]);
        }
        assert_eq!(trial::plain(&EDIT, &mut MemoryTree::default()).paths(), [""; 0]);
    }

    #[test]
    fn a_read_only_guest_keeps_its_id() {
        let mut tree =
            MemoryTree::of(&[(SYSTEMD, ID), ("/etc/fstab", "/dev/vda1 / ext4 ro 0 1\n")]);
        assert_eq!(trial::plain(&EDIT, &mut tree).codes(), ["machine-id-kept"]);
        assert_eq!(tree.text(SYSTEMD).unwrap(), ID);
        tree.file("/etc/fstab", "/dev/vda1 / ext4 errors=remount-ro 0 1\n", 0o644);
        assert_eq!(trial::plain(&EDIT, &mut tree).paths(), [SYSTEMD]);
    }
}
