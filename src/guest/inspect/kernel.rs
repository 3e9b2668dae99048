//! The guest's kernels, and what disk drivers each has before the root file system is there.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::bus::DRIVERS;
use super::{any, exists, file, initramfs, is, lines, names, version};
use crate::error::Result;
use crate::guest::facts::Kernel;
use crate::guest::tree::{NodeKind, Tree};

/// Kernels that are looked into, the newest ones. Each costs unpacking an initramfs.
const MAX_KERNELS: usize = 8;
/// Names in one folder that are looked at.
const MAX_NAMES: usize = 4096;
/// Bytes of an initramfs as it lies there. Larger ones are not read.
const MAX_IMAGE: u64 = 256 << 20;
/// Bytes that all of a guest's initramfs may unpack to. One has to fit into the guest's memory; the
/// largest of the distributions, with all firmware, have some 400 MiB.
const MAX_UNPACKED: u64 = 2 << 30;
/// Names of kernels in /boot begin so.
const IMAGES: [&str; 6] = ["vmlinuz", "vmlinux", "kernel", "bzImage", "Image", "linux"];

/// The kernels, newest first. A kernel is an image in `/boot`; modules without one are left over
/// from a kernel that was removed. Only if there is no image at all (`/boot` is not at hand) the
/// modules stand for their kernels.
pub(super) fn kernels(tree: &dyn Tree) -> Result<Vec<Kernel>> {
    let modules = if exists(tree, "/lib/modules")? { "/lib/modules" } else { "/usr/lib/modules" };
    let installed = installed(tree, modules)?;
    let mut found = images(tree, &installed)?;
    if found.is_empty() {
        found = installed.into_iter().map(|version| (version.clone(), version)).collect();
    }
    let mut found: Vec<_> = found.into_iter().collect();
    found.sort_by(|(a, _), (b, _)| version::compare(b, a));
    found.truncate(MAX_KERNELS);
    let mut budget = MAX_UNPACKED;
    let look =
        |(version, suffix): &(String, String)| kernel(tree, modules, version, suffix, &mut budget);
    found.iter().map(look).collect()
}

/// Versions whose modules are there.
fn installed(tree: &dyn Tree, modules: &str) -> Result<BTreeSet<String>> {
    let mut versions = BTreeSet::new();
    for name in names(tree, modules, MAX_NAMES)?.into_iter().filter(|name| is_name(name)) {
        let folder = format!("{modules}/{name}");
        let parts =
            ["modules.dep", "modules.builtin", "kernel"].map(|part| format!("{folder}/{part}"));
        if any(tree, &parts.each_ref().map(String::as_str))? {
            versions.insert(name);
        }
    }
    Ok(versions)
}

/// Version of each image in `/boot`, and the end of its name, which its initramfs shares.
fn images(tree: &dyn Tree, installed: &BTreeSet<String>) -> Result<BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    for name in names(tree, "/boot", MAX_NAMES)? {
        let Some(suffix) = image_suffix(&name) else { continue };
        let path = format!("/boot/{name}");
        if !is(tree, &path, NodeKind::File)? {
            continue;
        }
        let version = match installed.get(suffix) {
            Some(version) => Some(version.clone()),
            None => match header_version(tree, &path)? {
                Some(version) => Some(version),
                None if suffix.starts_with(|c: char| c.is_ascii_digit()) => Some(suffix.to_owned()),
                // `vmlinuz` or `vmlinuz-lts`, and only one that it can be.
                None => installed.first().filter(|_| installed.len() == 1).cloned(),
            },
        };
        if let Some(version) = version {
            // A name with the version goes before `vmlinuz`, which may be a link to the same image.
            if version == suffix || !found.contains_key(&version) {
                found.insert(version, suffix.to_owned());
            }
        }
    }
    Ok(found)
}

/// What stands behind `vmlinuz-`; empty for `vmlinuz`. `None` for what is no kernel to start:
/// signatures, the kernel before the last one, the rescue copy.
fn image_suffix(name: &str) -> Option<&str> {
    let rest = IMAGES.iter().find_map(|image| name.strip_prefix(image))?;
    let suffix = if rest.is_empty() { rest } else { rest.strip_prefix('-')? };
    let other = [".old", ".bak", ".sig", ".signed", ".hmac", ".sha512hmac"];
    let usable = !other.iter().any(|end| suffix.ends_with(end)) && !suffix.contains("rescue");
    (usable && (suffix.is_empty() || is_name(suffix))).then_some(suffix)
}

/// Whether a version can be a part of a path and be printed.
fn is_name(version: &str) -> bool {
    let letters = |c: char| c.is_ascii_alphanumeric() || "._+~-".contains(c);
    !version.starts_with('.') && version.len() <= 128 && version.chars().all(letters)
}

/// The version that an x86 image says of itself (Linux, Documentation/arch/x86/boot.rst: `header`
/// at 0x202, `kernel_version` at 0x20e, counted from 0x200).
fn header_version(tree: &dyn Tree, path: &str) -> Result<Option<String>> {
    let head = tree.read_head(Path::new(path), 0x200 + 0xffff + 256)?.unwrap_or_default();
    let version = || {
        let pointer: [u8; 2] = head.get(0x20e..0x210)?.try_into().ok()?;
        let at = usize::from(u16::from_le_bytes(pointer));
        let text = head.get(0x200 + at..)?.get(..128)?;
        let version = text.split(|byte| matches!(byte, 0 | b' ')).next()?;
        str::from_utf8(version).ok().filter(|version| !version.is_empty() && is_name(version))
    };
    let signed = head.get(0x202..0x206) == Some(b"HdrS");
    Ok(version().filter(|_| signed).map(str::to_owned))
}

fn kernel(
    tree: &dyn Tree,
    modules: &str,
    version: &str,
    suffix: &str,
    budget: &mut u64,
) -> Result<Kernel> {
    let built_in = built_in(tree, modules, version)?;
    let initramfs = find_initramfs(tree, version, suffix)?;
    let loaded = match &initramfs {
        Some(path) => in_initramfs(tree, path, version, budget)?,
        None => Some(BTreeSet::new()),
    };
    // A kernel that says nothing of what is built in may have all that its initramfs lacks.
    let drivers_known = match (&built_in, &loaded) {
        (Some(_), Some(_)) => true,
        (None, Some(loaded)) => !loaded.is_empty(),
        (_, None) => false,
    };
    let there: BTreeSet<&str> =
        built_in.into_iter().flatten().chain(loaded.into_iter().flatten()).collect();
    Ok(Kernel {
        version: version.to_owned(),
        initramfs,
        drivers: there.into_iter().map(str::to_owned).collect(),
        drivers_known,
    })
}

/// The drivers in the kernel itself: by `modules.builtin` (since Linux 2.6.33), or by its
/// configuration. `None` if neither is there.
fn built_in(
    tree: &dyn Tree,
    modules: &str,
    version: &str,
) -> Result<Option<BTreeSet<&'static str>>> {
    if let Some(list) = file(tree, format!("{modules}/{version}/modules.builtin"))? {
        return Ok(Some(list.lines().filter_map(driver).collect()));
    }
    for config in [format!("/boot/config-{version}"), format!("{modules}/{version}/config")] {
        if let Some(config) = file(tree, config)? {
            let options: BTreeSet<&str> =
                lines(&config).filter_map(|line| line.strip_suffix("=y")).collect();
            let there = DRIVERS.iter().filter(|(_, option)| options.contains(option));
            return Ok(Some(there.map(|(name, _)| *name).collect()));
        }
    }
    Ok(None)
}

/// The initramfs of a kernel, by the names that distributions give it.
fn find_initramfs(tree: &dyn Tree, version: &str, suffix: &str) -> Result<Option<String>> {
    let mut names = Vec::new();
    for key in [suffix, version] {
        if key.is_empty() {
            names.extend(["initrd.img", "initramfs.img", "initrd.gz", "initrd"].map(str::to_owned));
        } else {
            names.push(format!("initrd.img-{key}"));
            names.push(format!("initramfs-{key}.img"));
            names.push(format!("initrd-{key}"));
            names.push(format!("initrd-{key}.img"));
            names.push(format!("initramfs-{key}"));
            names.extend(["x86_64", "x86"].map(|arch| format!("initramfs-genkernel-{arch}-{key}")));
        }
    }
    for name in names {
        let path = format!("/boot/{name}");
        if is(tree, &path, NodeKind::File)? {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

/// The drivers that an initramfs brings for this kernel; `None` if it cannot be read, or shows no
/// module at all: then it keeps them in a way that is not known here.
fn in_initramfs(
    tree: &dyn Tree,
    path: &str,
    version: &str,
    budget: &mut u64,
) -> Result<Option<BTreeSet<&'static str>>> {
    let Some(image) = tree.read(Path::new(path), MAX_IMAGE)? else { return Ok(None) };
    let (mut found, mut modules) = (BTreeSet::new(), false);
    let folder = format!("lib/modules/{version}/");
    let mut note = |name: &[u8]| {
        let Ok(name) = str::from_utf8(name) else { return };
        let name = name.trim_start_matches("./").trim_start_matches('/');
        let name = name.strip_prefix("usr/").unwrap_or(name);
        // The mkinitrd of RHEL 4 and 5 puts them into `lib` itself.
        let flat = || name.strip_prefix("lib/").filter(|name| !name.contains('/'));
        let path = name.strip_prefix(folder.as_str()).or_else(flat);
        modules |= path.is_some_and(|path| module(path).is_some());
        found.extend(path.and_then(driver));
    };
    let read = initramfs::read(&image, budget, &mut note);
    Ok((read.is_ok() && modules).then_some(found))
}

/// The name of the module with this path, `kernel/drivers/block/virtio_blk.ko.xz`. In it `-` and
/// `_` are the same.
fn module(path: &str) -> Option<String> {
    let name = path.trim().rsplit('/').next()?;
    let packed = [".xz", ".zst", ".gz"].iter().find_map(|end| name.strip_suffix(end));
    let name = packed.unwrap_or(name);
    Some(name.strip_suffix(".ko").or(name.strip_suffix(".o"))?.replace('-', "_"))
}

/// The driver of a module's path, if it is one that matters.
fn driver(path: &str) -> Option<&'static str> {
    let name = module(path)?;
    DRIVERS.iter().map(|(driver, _)| *driver).find(|driver| *driver == name)
}

#[cfg(test)]
mod tests;
