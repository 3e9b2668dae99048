//! `boot-uuid`: disks by UUID instead of by device name.
//!
//! `/dev/sda1` is `/dev/vda1` on a virtio bus and `/dev/xvda1` under Xen; a guest that looks for
//! its root by such a name stops in the initramfs.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::cmdline::{self, Line};
use super::{Bench, Edit};
use crate::error::Result;
use crate::guest::facts::Kernel;
use crate::guest::fstab::{self, Crypt, Found, Table, field};
use crate::guest::tree::{Attributes, NodeKind};
use crate::guest::volumes::{Holds, Volume};

/// The edit.
pub const EDIT: Edit = Edit {
    name: "boot-uuid",
    default: true,
    reason: "finds root, swap and other volumes by UUID: /dev/sda has another name on another hypervisor",
    run,
};

const ACTION: &str = "device names replaced by UUIDs";

/// What was left, and why: file, device name, reason.
#[derive(Default)]
struct Left(BTreeSet<(String, String, &'static str)>);

/// More warnings of one kind help nobody.
const MAX_LEFT: usize = 64;

impl Left {
    fn add(&mut self, path: &Path, name: &str, why: &'static str) {
        if self.0.len() < MAX_LEFT {
            self.0.insert((path.display().to_string(), name.to_owned(), why));
        }
    }
}

fn run(bench: &mut Bench<'_>) -> Result<()> {
    let mut left = Left::default();
    fstab(bench, &mut left)?;
    crypttab(bench, &mut left)?;
    command_lines(bench, &mut left)?;
    generated_names(bench)?;
    lilo(bench, &mut left)?;
    for (path, name, why) in left.0 {
        let message = format!(
            "{path} names {name}: {why}; the name changes with the hypervisor: \
             use a UUID or a label there, or take it out"
        );
        bench.warn("boot-device-name", message);
    }
    Ok(())
}

/// `PARTUUID=` of an MBR disk is known to Linux since 3.10 (`block/partitions/msdos.c`).
const PARTUUID_SINCE: (u32, u32) = (3, 10);

/// What can be used instead of a device name.
#[derive(Clone, Copy)]
struct Knows {
    /// Whether `UUID=` is understood.
    uuid: bool,
    /// Whether `PARTUUID=` is understood.
    part_uuid: bool,
}

impl Knows {
    fn of(bench: &Bench<'_>) -> Self {
        let kernels = &bench.facts.kernels;
        Knows {
            uuid: kernels.is_empty() || kernels.iter().any(|kernel| kernel.initramfs.is_some()),
            part_uuid: !kernels.is_empty() && kernels.iter().all(knows_part_uuid),
        }
    }

    /// The name of `volume` that does not depend on the bus, and that no other volume has: copies of a
    /// volume have its UUID.
    fn name(self, volume: &Volume, volumes: &[Volume]) -> Option<String> {
        let alone = |of: fn(&Volume) -> &Option<String>| {
            volumes.iter().filter(|other| of(other) == of(volume)).count() == 1
        };
        let uuid = volume.uuid.as_ref().filter(|_| self.uuid && alone(|volume| &volume.uuid));
        let part = volume.part_uuid.as_ref();
        let part = part.filter(|_| self.part_uuid && alone(|volume| &volume.part_uuid));
        let uuid = uuid.map(|uuid| format!("UUID={uuid}"));
        uuid.or_else(|| part.map(|uuid| format!("PARTUUID={uuid}")))
    }

    /// What stands for `name` then. `None`, if it stays; the reason is in `left`.
    fn replacement(
        self,
        volumes: &[Volume],
        name: &str,
        path: &Path,
        left: &mut Left,
    ) -> Option<String> {
        if !fstab::is_of_bus(name) {
            return None;
        }
        let why = match volume(volumes, name) {
            Some(volume) => match self.name(volume, volumes) {
                Some(new) => return Some(new),
                None => "no UUID that is understood there and that it has alone",
            },
            None => "no such volume on this disk",
        };
        left.add(path, name, why);
        None
    }
}

/// The volume that `name` means.
fn volume<'v>(volumes: &'v [Volume], name: &str) -> Option<&'v Volume> {
    match fstab::find(name, volumes) {
        Found::One(index) => volumes.get(index),
        _ => None,
    }
}

fn knows_part_uuid(kernel: &Kernel) -> bool {
    let mut numbers = kernel.version.split(|c: char| !c.is_ascii_digit());
    let mut number = || numbers.next().and_then(|number| number.parse::<u32>().ok());
    matches!((number(), number()), (Some(major), Some(minor)) if (major, minor) >= PARTUUID_SINCE)
}

fn fstab(bench: &mut Bench<'_>, left: &mut Left) -> Result<()> {
    let path = Path::new("/etc/fstab");
    let Some(text) = bench.text(path)? else { return Ok(()) };
    let knows = Knows { uuid: mount_knows_uuid(bench)?, ..Knows::of(bench) };
    let mut table = Table::parse(&text);
    for entry in table.entries().collect::<Vec<_>>() {
        // A drive for disks that come and go.
        let medium = entry.kind.split(',').any(|kind| matches!(kind, "iso9660" | "udf"));
        // The inspection has told of what is mounted and not there.
        let told = entry.at.starts_with('/')
            && entry.at != "/"
            && volume(bench.volumes, &entry.spec).is_none();
        if !medium
            && !told
            && let Some(new) = knows.replacement(bench.volumes, &entry.spec, path, left)
        {
            table.set_spec(entry.line, &new);
        }
    }
    bench.put(path, &table.text(), Attributes::root(0o644), ACTION)
}

/// Busybox is built with or without `UUID=` in its mount (`FEATURE_MOUNT_LABEL`); with it, the
/// prefix stands in the program as a string.
fn mount_knows_uuid(bench: &Bench<'_>) -> Result<bool> {
    let mount = bench.tree.resolve(Path::new("/bin/mount"))?;
    let Some(path) = mount.filter(|path| path.ends_with("busybox")) else { return Ok(true) };
    let program = bench.tree.read(&path, 16 << 20)?;
    Ok(program.is_some_and(|bytes| bytes.windows(6).any(|window| window == b"UUID=\0")))
}

fn crypttab(bench: &mut Bench<'_>, left: &mut Left) -> Result<()> {
    let path = Path::new("/etc/crypttab");
    let Some(text) = bench.text(path)? else { return Ok(()) };
    let mut table = Table::parse(&text);
    for Crypt { line, spec, key, .. } in table.crypts().collect::<Vec<_>>() {
        // Only LUKS has a UUID that lasts; what is under a random key has a new one at each boot.
        let volume = volume(bench.volumes, &spec);
        if volume.is_some_and(|volume| volume.holds != Holds::Luks) || key.ends_with("random") {
            left.add(path, &spec, "what has no LUKS header has no UUID that lasts");
            continue;
        }
        let knows = Knows { uuid: true, part_uuid: false };
        if let Some(new) = knows.replacement(bench.volumes, &spec, path, left) {
            table.set(line, field::CRYPT_SPEC, &new);
        }
    }
    bench.put(path, &table.text(), Attributes::root(0o600), ACTION)
}

fn command_lines(bench: &mut Bench<'_>, left: &mut Left) -> Result<()> {
    let volumes = bench.volumes;
    let general = Knows::of(bench);
    cmdline::edit(bench, ACTION, &mut |path, line: Line<'_>| {
        // `UUID=` is found by the initramfs; the kernel alone knows partitions only.
        let knows = Knows { uuid: line.initramfs.unwrap_or(general.uuid), ..general };
        cmdline::map_words(line.words, |word| {
            let (key, value) = word.split_once('=')?;
            if !matches!(key, "root" | "real_root" | "resume" | "RESUME" | "cryptdevice") {
                return None;
            }
            let quote = if value.starts_with('"') { "\"" } else { "" };
            let value = value.trim_matches('"');
            let (name, rest) = match value.split_once(':') {
                Some((name, _)) if key == "cryptdevice" => (name, &value[name.len()..]),
                _ => (value, ""),
            };
            let new = knows.replacement(volumes, name, path, left)?;
            Some(format!("{key}={quote}{new}{rest}{quote}"))
        })
    })
}

/// `GRUB_DISABLE_LINUX_UUID=true` would bring the names back with the next kernel.
fn generated_names(bench: &mut Bench<'_>) -> Result<()> {
    let mut paths = vec![PathBuf::from("/etc/default/grub")];
    paths.extend(bench.list("/etc/default/grub.d")?);
    for path in paths {
        let Some(text) = bench.text(&path)? else { continue };
        let mut new = String::with_capacity(text.len());
        for line in text.split_inclusive('\n') {
            if disables_uuids(line) {
                new.push_str("#stratus: ");
            }
            new.push_str(line);
        }
        bench.put(&path, &new, Attributes::root(0o644), "UUIDs are not disabled any more")?;
    }
    Ok(())
}

fn disables_uuids(line: &str) -> bool {
    let line = line.trim_ascii();
    let line = line.strip_prefix("export ").unwrap_or(line);
    let Some((name, value)) = line.split_once('=') else { return false };
    let value = value.split([' ', '\t', '#', ';']).next().unwrap_or_default();
    matches!(name, "GRUB_DISABLE_LINUX_UUID" | "GRUB_DISABLE_UUID")
        && value.trim_matches(['"', '\'']) == "true"
}

/// LILO keeps the places of its files in its boot sector and cannot be changed without being run.
fn lilo(bench: &Bench<'_>, left: &mut Left) -> Result<()> {
    let path = "/etc/lilo.conf";
    if bench.node(path)?.is_none_or(|node| node.kind != NodeKind::File) {
        return Ok(());
    }
    let Some(text) = bench.text(path)? else { return Ok(()) };
    let values = text.lines().filter_map(|line| line.split('#').next()?.split_once('='));
    for (key, value) in values {
        let name = value.trim_ascii().trim_matches('"');
        if matches!(key.trim_ascii(), "root" | "boot") && fstab::is_of_bus(name) {
            let why = "LILO has to be run to change it";
            left.add(Path::new(path), name, why);
        }
    }
    Ok(())
}
