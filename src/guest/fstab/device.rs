//! Which volume does a name of a device mean?

use super::without_escapes;
use crate::guest::volumes::Volume;

/// What a name of a device leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// This volume, by its index.
    One(usize),
    /// These volumes, each as well as the others: the name decides nothing.
    Several(Vec<usize>),
    /// A device of the machine, but none of this disk.
    Missing,
    /// No disk of the machine: a pseudo or network file system, a file, a CD.
    Elsewhere,
}

/// Whether `spec` is a name of a disk that another bus does not have: `/dev/sda1`, `/dev/hdb`,
/// `/dev/disk/by-id/ata-…`.
pub fn is_of_bus(spec: &str) -> bool {
    let Some(name) = spec.strip_prefix("/dev/") else { return false };
    if let Some(link) = name.strip_prefix("disk/") {
        // LVM, RAID and LUKS make such links from UUIDs of their own.
        let lasts = |own: &str| link.strip_prefix("by-id/").is_some_and(|id| id.starts_with(own));
        return (link.starts_with("by-id/") || link.starts_with("by-path/"))
            && !["dm-", "lvm-", "md-"].iter().any(|own| lasts(own));
    }
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let lettered = |rest: &str| {
        let part = rest.trim_start_matches(|c: char| c.is_ascii_lowercase());
        (1..=3).contains(&(rest.len() - part.len())) && digits(part)
    };
    let numbered = |rest: &str| {
        rest.starts_with(|c: char| c.is_ascii_digit())
            && rest.split(['n', 'p']).all(|part| !part.is_empty() && digits(part))
    };
    let is = |bus: &[&str], form: &dyn Fn(&str) -> bool| {
        bus.iter().any(|bus| name.strip_prefix(bus).is_some_and(form))
    };
    is(&["sd", "hd", "vd", "xvd"], &lettered) || is(&["nvme", "mmcblk"], &numbered)
}

/// What `spec` means: the first field of fstab, the second of crypttab, or `root=` of a kernel.
///
/// `UUID=`, `LABEL=`, `PARTUUID=`, `PARTLABEL=`, with or without quotes; the links of
/// `/dev/disk/by-*`; `/dev/mapper/vg-lv`, `/dev/vg/lv`; and the first disk under every name that a
/// bus gives it: `/dev/sda1`, `/dev/hda1`, `/dev/vda1`, `/dev/xvda1`, `/dev/nvme0n1p1`. Hex digits
/// are compared without case, as the kernel and GRUB do; labels exactly.
pub fn find(spec: &str, volumes: &[Volume]) -> Found {
    let spec = spec.trim();
    match Name::parse(spec) {
        Some(name) => unique(volumes, |volume| name.means(volume)),
        None => Found::Elsewhere,
    }
}

/// A name of a device, taken apart.
#[derive(Debug, PartialEq, Eq)]
enum Name {
    Uuid(String),
    Label(String),
    PartUuid(String),
    PartLabel(String),
    /// Partition of the first disk.
    Partition(String),
    /// `vg/lv`.
    Logical(String),
    /// Something else below /dev.
    Device(String),
}

impl Name {
    fn parse(spec: &str) -> Option<Self> {
        if let Some(path) = spec.strip_prefix("/dev/") {
            return Name::device(path);
        }
        let (tag, value) = spec.split_once('=')?;
        // systemd and libblkid take both kinds of quotes off.
        let value = value.trim_matches(['"', '\'']).to_owned();
        Name::tag(tag, value)
    }

    fn tag(tag: &str, value: String) -> Option<Self> {
        match tag.to_ascii_uppercase().as_str() {
            "UUID" => Some(Name::Uuid(value)),
            "LABEL" => Some(Name::Label(value)),
            "PARTUUID" => Some(Name::PartUuid(value)),
            "PARTLABEL" => Some(Name::PartLabel(value)),
            _ => None,
        }
    }

    /// `path` is what stands behind `/dev/`.
    fn device(path: &str) -> Option<Self> {
        let whole = || Some(Name::Device(format!("/dev/{path}")));
        match path.split_once('/') {
            None if is_removable(path) => None,
            None => partition(path).map_or_else(whole, |part| Some(Name::Partition(part))),
            Some(("mapper", name)) => {
                logical(name).map_or_else(whole, |name| Some(Name::Logical(name)))
            }
            Some(("disk", link)) => match link.split_once('/') {
                Some(("by-id", id)) => virtualbox_part(id).map(Name::Partition).or_else(whole),
                Some((by, name)) => by
                    .strip_prefix("by-")
                    .and_then(|tag| Name::tag(tag, udev_unescape(name)))
                    .or_else(whole),
                None => whole(),
            },
            // `/dev/vg/lv`; `/dev/fd/0`, `/dev/cdroms/…` name no volume and so mean none.
            Some((vg, lv)) if !lv.contains('/') => Some(Name::Logical(format!("{vg}/{lv}"))),
            Some(_) => whole(),
        }
    }

    fn means(&self, volume: &Volume) -> bool {
        let same = |known: &Option<String>, name: &str| known.as_deref() == Some(name);
        let alike = |known: &Option<String>, name: &str| {
            known.as_deref().is_some_and(|known| known.eq_ignore_ascii_case(name))
        };
        match self {
            Name::Uuid(uuid) => !uuid.is_empty() && alike(&volume.uuid, uuid),
            Name::Label(label) => !label.is_empty() && same(&volume.label, label),
            Name::PartUuid(uuid) => !uuid.is_empty() && alike(&volume.part_uuid, uuid),
            Name::PartLabel(label) => !label.is_empty() && same(&volume.part_label, label),
            Name::Partition(part) => {
                volume.name == *part || volume.devices.contains(&format!("/dev/{part}"))
            }
            Name::Logical(name) => {
                volume.name == *name || volume.devices.contains(&format!("/dev/{name}"))
            }
            Name::Device(path) => volume.devices.contains(path),
        }
    }
}

fn unique(volumes: &[Volume], fits: impl Fn(&Volume) -> bool) -> Found {
    let found: Vec<usize> =
        volumes.iter().enumerate().filter(|(_, v)| fits(v)).map(|(index, _)| index).collect();
    match found.as_slice() {
        [] => Found::Missing,
        [one] => Found::One(*one),
        _ => Found::Several(found),
    }
}

/// `sda1` for every name of partition 1 of the machine's first disk; `sda` for the disk.
fn partition(name: &str) -> Option<String> {
    // The first of each bus. Another letter is another disk, of which nothing is known here.
    const FIRST: [(&str, &str); 6] =
        [("sda", ""), ("hda", ""), ("vda", ""), ("xvda", ""), ("nvme0n1", "p"), ("mmcblk0", "p")];
    let rest = FIRST.iter().find_map(|(disk, divider)| {
        let rest = name.strip_prefix(disk)?;
        if rest.is_empty() { Some(rest) } else { rest.strip_prefix(divider) }
    })?;
    rest.bytes().all(|b| b.is_ascii_digit()).then(|| format!("sda{rest}"))
}

/// Drives whose medium is not the disk: floppies and CDs.
fn is_removable(name: &str) -> bool {
    let numbered = |prefix: &str| {
        name.strip_prefix(prefix).is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_digit()))
    };
    ["cdrom", "dvd", "floppy", "fd", "sr", "scd"].iter().any(|prefix| numbered(prefix))
}

/// `vg/lv` of a name below `/dev/mapper`: one `-` divides them, and one that belongs to a name is
/// doubled (lvm(8), "Device names").
fn logical(name: &str) -> Option<String> {
    let mut at = 0;
    while let Some(dash) = name.get(at..)?.find('-') {
        at += dash;
        if name.get(at + 1..)?.starts_with('-') {
            at += 2;
            continue;
        }
        let (vg, lv) = (name.get(..at)?, name.get(at + 1..)?);
        let both = !vg.is_empty() && !lv.is_empty();
        return both.then(|| format!("{}/{}", vg.replace("--", "-"), lv.replace("--", "-")));
    }
    None
}

/// `sda1` of `ata-VBOX_HARDDISK_VB0123abcd-4567cdef-part1`: udev's name for a disk of VirtualBox,
/// which SUSE writes into fstab and which no other machine has.
fn virtualbox_part(id: &str) -> Option<String> {
    let (disk, number) = id.rsplit_once("-part")?;
    let digits = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    (disk.contains("VBOX_HARDDISK") && digits).then(|| format!("sda{number}"))
}

/// `\x20` and the like in names of links, as udev writes them (`encode_devnode_name`).
fn udev_unescape(name: &str) -> String {
    without_escapes(name, "\\x", 2, 16)
}

#[cfg(test)]
mod tests;
