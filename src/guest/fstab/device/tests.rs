use proptest::prelude::*;

use super::*;
use crate::guest::inspect::tests::volume;

fn volumes() -> Vec<Volume> {
    let mut root = volume("sda1", "ext4");
    root.uuid = Some("0A1B2C3D-0000-4000-8000-00000000000f".to_owned());
    root.label = Some("my root".to_owned());
    root.part_uuid = Some("deadbeef-01".to_owned());
    root.part_label = Some("Linux".to_owned());
    let mut twin = volume("sda2", "ext4");
    twin.uuid = Some("twin".to_owned());
    let mut other = volume("sda3", "ext4");
    other.uuid = Some("twin".to_owned());
    other.label = Some("é".to_owned());
    vec![root, twin, other, volume("vg-a/lv-root", "ext4"), volume("vg/swap", "swap")]
}

#[test]
fn every_kind_of_name() {
    let volumes = volumes();
    let table = [
        ("UUID=0a1b2c3d-0000-4000-8000-00000000000F", Found::One(0)),
        ("UUID=\"0a1b2c3d-0000-4000-8000-00000000000f\"", Found::One(0)),
        ("uuid=0a1b2c3d-0000-4000-8000-00000000000f", Found::One(0)),
        ("LABEL=my root", Found::One(0)),
        ("LABEL='my root'", Found::One(0)),
        ("LABEL=My root", Found::Missing),
        ("LABEL=", Found::Missing),
        ("PARTUUID=DEADBEEF-01", Found::One(0)),
        ("PARTLABEL=Linux", Found::One(0)),
        ("/dev/disk/by-uuid/0a1b2c3d-0000-4000-8000-00000000000f", Found::One(0)),
        ("/dev/disk/by-label/my\\x20root", Found::One(0)),
        ("/dev/disk/by-partuuid/deadbeef-01", Found::One(0)),
        ("/dev/disk/by-partlabel/Linux", Found::One(0)),
        ("/dev/disk/by-id/ata-VBOX_HARDDISK_VB0123abcd-4567cdef-part3", Found::One(2)),
        ("/dev/disk/by-id/ata-OTHER_DISK-part3", Found::Missing),
        ("/dev/disk/by-path/pci-0000:00:0d.0-ata-1", Found::Missing),
        ("/dev/sda1", Found::One(0)),
        ("/dev/hda2", Found::One(1)),
        ("/dev/vda3", Found::One(2)),
        ("/dev/xvda1", Found::One(0)),
        ("/dev/nvme0n1p1", Found::One(0)),
        ("/dev/nvme0n11", Found::Missing),
        ("/dev/sda9", Found::Missing),
        ("/dev/sdb1", Found::Missing),
        ("/dev/sdap1", Found::Missing),
        ("/dev/mapper/vg--a-lv--root", Found::One(3)),
        ("/dev/vg-a/lv-root", Found::One(3)),
        ("/dev/mapper/vg-swap", Found::One(4)),
        ("/dev/mapper/vg--swap", Found::Missing),
        ("/dev/mapper/cryptroot", Found::Missing),
        ("/dev/md0", Found::Missing),
        ("UUID=twin", Found::Several(vec![1, 2])),
        ("UUID=none", Found::Missing),
        ("/dev/cdrom", Found::Elsewhere),
        ("/dev/sr0", Found::Elsewhere),
        ("/dev/fd0", Found::Elsewhere),
        ("tmpfs", Found::Elsewhere),
        ("proc", Found::Elsewhere),
        ("/swapfile", Found::Elsewhere),
        ("host:/home", Found::Elsewhere),
        ("//host/share", Found::Elsewhere),
        ("hd0,msdos1", Found::Elsewhere),
        ("ID=x", Found::Elsewhere),
        ("", Found::Elsewhere),
    ];
    for (spec, found) in table {
        assert_eq!(find(spec, &volumes), found, "{spec}");
    }
}

/// Names that the volume itself says it has.
#[test]
fn names_of_the_volume() {
    let mut raid = volume("sda7", "ext4");
    raid.devices = vec!["/dev/md0".to_owned(), "/dev/xyz".to_owned()];
    let volumes = [raid];
    assert_eq!(find("/dev/md0", &volumes), Found::One(0));
    assert_eq!(find("/dev/xyz", &volumes), Found::One(0));
}

/// As device-mapper makes the names: every `-` doubled, then joined by one.
fn mapped(vg: &str, lv: &str) -> String {
    format!("/dev/mapper/{}-{}", vg.replace('-', "--"), lv.replace('-', "--"))
}

proptest! {
    #[test]
    fn logical_volumes_are_found(vg in "[a-z_.][a-z-]{0,6}", lv in "[a-z_.][a-z-]{0,6}") {
        // LVM has no names that begin with `-`; a device may be a volume by coincidence.
        let volumes = [volume(&format!("{vg}/{lv}"), "ext4"), volume("other/one", "ext4")];
        prop_assume!((vg.as_str(), lv.as_str()) != ("other", "one"));
        prop_assert_eq!(find(&mapped(&vg, &lv), &volumes), Found::One(0));
    }

    #[test]
    fn any_name_is_survived(spec in "(/dev/)?(disk/by-label/|mapper/|UUID=|hda|nvme0n1)?[ -~é]{0,12}") {
        let _ = find(&spec, &volumes());
    }
}

#[test]
fn names_that_depend_on_the_bus() {
    let yes = "/dev/sda /dev/hdb12 /dev/vdc /dev/xvda1 /dev/nvme0n1p2 /dev/mmcblk0p1 /dev/sdab3 \
        /dev/disk/by-id/ata-x-part1 /dev/disk/by-path/pci-x";
    let no = "/dev/sdabcd1 /dev/sd /dev/sda1x /dev/sr0 /dev/hdparm /dev/vda/x sda1 UUID=x \
        /dev/nvme /dev/nvme-fabrics /dev/disk/by-uuid/x /dev/disk/by-id/dm-uuid-LVM-x /dev/vg/lv";
    for (names, of_bus) in [(yes, true), (no, false)] {
        for name in names.split_whitespace() {
            assert_eq!(is_of_bus(name), of_bus, "{name}");
        }
    }
    assert!(!is_of_bus(""));
}
