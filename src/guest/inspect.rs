//! What guest is it? Everything here only reads.
//!
//! ```text
//! volume ──► Candidate ──► choose_root ──► mounts ──► inspect ──► Facts
//!            root.rs       root.rs         mounts.rs  this file, and one file for each question
//! ```

mod boot;
mod bus;
mod cpio;
mod elf;
mod init;
mod initramfs;
mod kernel;
mod mounts;
mod os;
mod root;
mod services;
mod version;

use std::path::Path;

use super::edits::context_scripts;
use super::facts::{Facts, Mount};
use super::fstab::Table;
use super::text;
use super::tree::{MAX_TEXT, NodeKind, Tree};
use super::volumes::{Holds, Volume};
use crate::disk::Warning;
use crate::error::Result;
pub use bus::{disks_bus, proved_bus};
pub use mounts::{Absent, Mounts, mounts};
pub use root::{Candidate, DATA_DISK, choose_root, is_root};
pub use services::cloud_init;

/// What the guest on these file systems is.
///
/// `tree` shows all of its file systems in their places, `mounts` says which (as [`mounts()`] found
/// them). What is not recognised stays empty; nothing is guessed.
///
/// # Errors
/// Only those of reading the file systems; strange content of a guest's file is none.
pub fn inspect(tree: &dyn Tree, volumes: &[Volume], mounts: &[(String, usize)]) -> Result<Facts> {
    let release = os::release(tree)?;
    let command_lines = boot::command_lines(tree)?;
    let first = command_lines.first().map_or("", String::as_str);
    let init = init::init(tree, boot::option(first, "init"))?;
    let kernels = kernel::kernels(tree)?;
    let bootloader = boot::loader(tree)?;
    let fstab = Table::parse(&file(tree, "/etc/fstab")?.unwrap_or_default());
    Ok(Facts {
        os_arch: elf::architecture(tree)?,
        init,
        ssh: services::ssh(tree)?,
        firmware: boot::firmware(tree, volumes, bootloader)?,
        bootloader: bootloader.map(str::to_owned),
        disks_bus: disks_bus(kernels.first()).to_owned(),
        kernels,
        bus_devices: mounts::bus_devices(tree, &command_lines)?,
        network_pins: services::network_pins(tree)?,
        swap: volumes.iter().any(|volume| volume.holds == Holds::Swap)
            || fstab.entries().any(|entry| entry.is_swap() && !entry.has_option("noauto")),
        cloud_init: services::cloud_init(tree, first)?,
        one_context: services::one_context(tree)?,
        context: context_scripts::is_enabled(tree, init)?,
        selinux: services::selinux(tree, first)?,
        mounts: named(mounts, volumes),
        command_lines,
        os: release.id,
        os_version: release.version,
        os_name: release.name,
        os_like: release.like,
    })
}

/// Looks again at what edits change: the facts are to be those of the guest in the image.
///
/// # Errors
/// Those of reading the file systems.
pub fn look_again(facts: &mut Facts, tree: &dyn Tree) -> Result<()> {
    facts.command_lines = boot::command_lines(tree)?;
    facts.bus_devices = mounts::bus_devices(tree, &facts.command_lines)?;
    facts.network_pins = services::network_pins(tree)?;
    let first = facts.command_lines.first().map_or("", String::as_str);
    facts.cloud_init = services::cloud_init(tree, first)?;
    facts.context = context_scripts::is_enabled(tree, facts.init)?;
    Ok(())
}

/// The code of a warning: the guest waits for a file system that will not be there.
pub const MOUNT_NEEDED: &str = "mount-needed";

/// What the user should know of an inspection.
pub fn warnings(facts: &Facts, mounts: &Mounts) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let newest = facts.kernels.first();
    if !newest.is_some_and(|kernel| kernel.drivers_known || proved_bus(kernel).is_some()) {
        let message = match newest {
            Some(kernel) => format!("cannot tell which disk drivers kernel {} has", kernel.version),
            None => "no kernel found in the guest".to_owned(),
        };
        let message = format!(
            "{message}; the bus {} is not proved to work: try it, and another one if it does not boot",
            facts.disks_bus
        );
        warnings.push(Warning::new("drivers-unknown", message));
    }
    for absent in &mounts.absent {
        let why = if absent.ambiguous { "means several volumes" } else { "is not on this disk" };
        let message = format!("fstab mounts {} at {}, but it {why}", absent.spec, absent.at);
        warnings.push(match absent.needed {
            true => Warning::new(
                MOUNT_NEEDED,
                format!(
                    "{message}: the guest stops there at boot; add nofail, or take out the line"
                ),
            ),
            false => Warning::new(
                "mount-not-found",
                format!("{message}: the guest starts without it; attach its disk, too"),
            ),
        });
    }
    warnings
}

fn named(mounts: &[(String, usize)], volumes: &[Volume]) -> Vec<Mount> {
    let mount = |(at, volume): &(String, usize)| {
        let volume = volumes.get(*volume)?;
        Some(Mount {
            at: at.clone(),
            volume: volume.name.clone(),
            filesystem: volume.filesystem.clone(),
        })
    };
    mounts.iter().filter_map(mount).collect()
}

/// The text of a configuration file; `None` if there is none, or one too large to be one.
pub(in crate::guest) fn file(tree: &dyn Tree, path: impl AsRef<Path>) -> Result<Option<String>> {
    Ok(tree.read(path.as_ref(), MAX_TEXT)?.map(|bytes| text::decode(&bytes)))
}

/// The same for the small files of which a folder can hold any number.
fn small_file(tree: &dyn Tree, path: impl AsRef<Path>) -> Result<Option<String>> {
    Ok(tree.read(path.as_ref(), 64 << 10)?.map(|bytes| text::decode(&bytes)))
}

/// Whether the links of `path` lead to something.
pub(in crate::guest) fn exists(tree: &dyn Tree, path: impl AsRef<Path>) -> Result<bool> {
    Ok(tree.resolve(path.as_ref())?.is_some())
}

/// Whether one of `paths` leads to something.
fn any(tree: &dyn Tree, paths: &[&str]) -> Result<bool> {
    for path in paths {
        if exists(tree, path)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether `path` leads to something of this kind.
pub(in crate::guest) fn is(
    tree: &dyn Tree,
    path: impl AsRef<Path>,
    kind: NodeKind,
) -> Result<bool> {
    let Some(place) = tree.resolve(path.as_ref())? else { return Ok(false) };
    Ok(tree.node(&place)?.is_some_and(|node| node.kind == kind))
}

/// The names in a folder that are text, sorted, at most `most`.
fn names(tree: &dyn Tree, path: impl AsRef<Path>, most: usize) -> Result<Vec<String>> {
    let names = tree.list(path.as_ref())?.into_iter();
    Ok(names.filter_map(|name| name.into_string().ok()).take(most).collect())
}

/// A file's lines without blanks around them, and without those that are empty or comments.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
}

#[cfg(test)]
pub(in crate::guest) mod tests;
