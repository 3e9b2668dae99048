//! Names of disks and their partitions that depend on the bus.

use crate::guest::volumes::Volume;

/// What a word of a configuration file means.
pub(super) enum Found<'a> {
    /// Not a device's name, or one that is the same everywhere.
    NoDevice,
    /// This volume.
    Volume(&'a Volume),
    /// Something on a disk that is not this one.
    OtherDisk,
    /// A partition that this disk does not have.
    Nothing,
    /// A link that udev makes from the bus or from the disk's model.
    ById,
}

/// A disk and a partition of it, each by its number: disk 0 is the first; partition 0 is all of it.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Device {
    disk: u32,
    part: u32,
}

/// `/dev/sda1`, `/dev/hdb`, `/dev/vda2`, `/dev/xvda1`, `/dev/nvme0n1p2`.
fn parse(name: &str) -> Option<Device> {
    let name = name.strip_prefix("/dev/")?;
    if let Some(rest) = name.strip_prefix("nvme") {
        let (disk, rest) = rest.split_once('n')?;
        let (space, part) = rest.split_once('p').unwrap_or((rest, ""));
        return (space == "1").then_some(Device { disk: number(disk)?, part: number(part)? });
    }
    let prefixes = ["sd", "hd", "vd", "xvd"];
    let rest = prefixes.iter().find_map(|prefix| name.strip_prefix(prefix))?;
    let letters = rest.find(|c: char| !c.is_ascii_lowercase()).unwrap_or(rest.len());
    let disk = match rest.as_bytes().get(..letters)? {
        [letter] => u32::from(letter - b'a'),
        // The 27th disk is `sdaa`: certainly not the first one.
        [_, _] | [_, _, _] => u32::MAX,
        _ => return None,
    };
    Some(Device { disk, part: number(&rest[letters..])? })
}

/// No digits are 0.
fn number(digits: &str) -> Option<u32> {
    match digits {
        "" => Some(0),
        _ if digits.bytes().all(|b| b.is_ascii_digit()) => digits.parse().ok(),
        _ => None,
    }
}

/// Whether `name` is a disk or partition by a name that depends on the bus.
pub(super) fn is_device(name: &str) -> bool {
    parse(name).is_some()
}

/// What `name` means.
pub(super) fn find<'a>(volumes: &'a [Volume], name: &str) -> Found<'a> {
    if name.starts_with("/dev/disk/by-id/") || name.starts_with("/dev/disk/by-path/") {
        // LVM, RAID and LUKS make such links from their own UUIDs.
        let lasting = ["dm-", "lvm-", "md-"].iter().any(|own| {
            name.strip_prefix("/dev/disk/by-id/").is_some_and(|link| link.starts_with(own))
        });
        return if lasting { Found::NoDevice } else { Found::ById };
    }
    let Some(device) = parse(name) else { return Found::NoDevice };
    let is = |volume: &&Volume| {
        // The first disk has the same partitions by whatever bus it is named.
        let other = |known: &String| device.disk == 0 && parse(known) == Some(device);
        volume.devices.iter().any(|known| known == name || other(known))
    };
    match volumes.iter().find(is) {
        Some(volume) => Found::Volume(volume),
        None if device.disk == 0 => Found::Nothing,
        None => Found::OtherDisk,
    }
}
