//! `virtio`: the next initramfs has the drivers of a virtio disk.
//!
//! dracut puts only the drivers of the machine it runs on into an initramfs, so that of a guest
//! from VirtualBox knows SATA or IDE alone. It is left as it is, and the disk must stay on a bus
//! that it knows; but the guest's next kernel will have both.

#[cfg(test)]
mod tests;

use super::{Bench, Edit};
use crate::error::Result;
use crate::guest::facts::Kernel;
use crate::guest::tree::Attributes;

/// The edit.
pub const EDIT: Edit = Edit {
    name: "virtio",
    default: true,
    reason: "asks for the virtio drivers in the next initramfs, if that of today lacks them",
    run,
};

/// Drivers of a virtio disk and card.
const DRIVERS: &[&str] = &["virtio_pci", "virtio_blk", "virtio_scsi", "virtio_net"];
/// Those without which a virtio disk is not found.
const NEEDED: &[&str] = &["virtio_pci", "virtio_blk"];

const DRACUT: &str = "/etc/dracut.conf.d/stratus-virtio.conf";
const INITRAMFS_TOOLS: &str = "/etc/initramfs-tools/modules";

fn run(bench: &mut Bench<'_>) -> Result<()> {
    let facts = bench.facts;
    let Some(kernel) = facts.kernels.first() else { return Ok(()) };
    if !kernel.drivers_known || NEEDED.iter().all(|driver| has(kernel, driver)) {
        return Ok(());
    }
    let message = format!(
        "Linux {} has no virtio disk driver before its root file system is there; \
         the disk has to be on {bus}. For virtio run `dracut -f` or `update-initramfs -u` in the \
         guest with these drivers, then convert again",
        kernel.version,
        bus = facts.disks_bus
    );
    bench.warn("virtio-missing", message);
    if kernel.initramfs.is_none() {
        return Ok(());
    }
    dracut(bench)?;
    initramfs_tools(bench)
}

/// Names of drivers are written with `-` or `_`.
fn has(kernel: &Kernel, driver: &str) -> bool {
    kernel.drivers.iter().any(|known| known.replace('-', "_") == driver)
}

fn dracut(bench: &mut Bench<'_>) -> Result<()> {
    let mut there = false;
    for program in ["/usr/bin/dracut", "/sbin/dracut", "/usr/sbin/dracut"] {
        there |= bench.exists(program)?;
    }
    if !there {
        return Ok(());
    }
    // The blanks at both ends are dracut.conf(5)'s way of adding to a list.
    let text = format!("add_drivers+=\" {} \"\n", DRIVERS.join(" "));
    bench.put(DRACUT, &text, Attributes::root(0o644), "virtio drivers in the next initramfs")
}

fn initramfs_tools(bench: &mut Bench<'_>) -> Result<()> {
    let Some(text) = bench.text(INITRAMFS_TOOLS)? else { return Ok(()) };
    let listed = |driver: &&&str| {
        !text.lines().any(|line| {
            let word = line.split_ascii_whitespace().next().unwrap_or_default();
            word.replace('-', "_") == **driver
        })
    };
    let missing: Vec<&str> = DRIVERS.iter().filter(listed).copied().collect();
    if missing.is_empty() {
        return Ok(());
    }
    let end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    let text = format!("{text}{end}{}\n", missing.join("\n"));
    bench.put(
        INITRAMFS_TOOLS,
        &text,
        Attributes::root(0o644),
        "virtio drivers in the next initramfs",
    )
}
