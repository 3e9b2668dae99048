use super::*;
use crate::guest::edits::boot_trial::{Outcome, content, dump, facts, kernel, run as trial};
use crate::guest::facts::{Facts, Init};
use crate::guest::memory::MemoryTree;

const MODULES: &str = "# List of modules\n#\n# raid1\nvirtio-net";

fn edited(facts: &Facts) -> (MemoryTree, Outcome) {
    let mut tree = MemoryTree::of(&[(INITRAMFS_TOOLS, MODULES), ("/usr/bin/dracut", "")]);
    let outcome = trial(&EDIT, &mut tree, facts, &[]);
    (tree, outcome)
}

#[test]
fn the_next_initramfs_has_them() {
    let (tree, outcome) = edited(&facts(Init::Systemd));
    assert_eq!(
        (outcome.paths(), outcome.codes()),
        (vec![DRACUT, INITRAMFS_TOOLS], vec!["virtio-missing"])
    );
    assert!(outcome.warnings[0].message.contains("has to be on sata. For virtio run"));
    let lines = "virtio_pci\nvirtio_blk\nvirtio_scsi\n";
    assert_eq!(tree.text(INITRAMFS_TOOLS).unwrap(), format!("{MODULES}\n{lines}"));
    // dracut's files are read by bash.
    let folder = tempfile::tempdir().unwrap();
    dump(&tree, folder.path());
    let file = folder.path().join(DRACUT.trim_start_matches('/'));
    let script = format!("add_drivers+=' xfs '; . '{}'; echo $add_drivers", file.display());
    let said = content("bash", "bash", &["-c", &script]);
    assert_eq!(said, "xfs virtio_pci virtio_blk virtio_scsi virtio_net\n");
}

#[test]
fn what_has_them_or_cannot_have_them_stays() {
    let with = |change: &dyn Fn(&mut Kernel)| {
        let mut facts = facts(Init::Systemd);
        change(&mut facts.kernels[0]);
        edited(&facts).1
    };
    let known = ["virtio-blk", "virtio_pci"];
    let outcome = with(&|kernel| kernel.drivers = known.map(str::to_owned).to_vec());
    assert_eq!((outcome.paths().len(), outcome.codes().len()), (0, 0));
    let outcome = with(&|kernel| kernel.drivers_known = false);
    assert_eq!((outcome.paths().len(), outcome.codes().len()), (0, 0));
    let outcome = with(&|kernel| kernel.initramfs = None);
    assert_eq!((outcome.paths().len(), outcome.codes().len()), (0, 1));
    let none = Facts { kernels: vec![], ..facts(Init::Systemd) };
    assert_eq!(edited(&none).1.codes().len(), 0);
}

/// Only the newest kernel counts, and only the tool that is there is told.
#[test]
fn without_a_tool_it_is_only_told() {
    let kernels = vec![kernel("6.1", true), kernel("5.10", true)];
    let facts = Facts { kernels, ..facts(Init::Systemd) };
    let outcome = trial(&EDIT, &mut MemoryTree::default(), &facts, &[]);
    assert_eq!((outcome.paths().len(), outcome.codes()), (0, vec!["virtio-missing"]));
}
