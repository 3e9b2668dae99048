//! On which bus will the guest find its disk?

use crate::guest::facts::Kernel;

/// The disk drivers that matter, and the option of a kernel's configuration that builds each.
pub(super) const DRIVERS: [(&str, &str); 14] = [
    ("virtio_blk", "CONFIG_VIRTIO_BLK"),
    ("virtio_pci", "CONFIG_VIRTIO_PCI"),
    ("virtio_scsi", "CONFIG_SCSI_VIRTIO"),
    ("ahci", "CONFIG_SATA_AHCI"),
    ("ata_piix", "CONFIG_ATA_PIIX"),
    ("ata_generic", "CONFIG_ATA_GENERIC"),
    ("piix", "CONFIG_BLK_DEV_PIIX"),
    ("ide_generic", "CONFIG_IDE_GENERIC"),
    ("sym53c8xx", "CONFIG_SCSI_SYM53C8XX_2"),
    ("mptsas", "CONFIG_FUSION_SAS"),
    ("mptspi", "CONFIG_FUSION_SPI"),
    ("megaraid_sas", "CONFIG_MEGARAID_SAS"),
    ("nvme", "CONFIG_BLK_DEV_NVME"),
    ("BusLogic", "CONFIG_SCSI_BUSLOGIC"),
];

/// Ways to reach a disk, best first: the bus, and drivers that are all needed for it.
///
/// The controllers of QEMU's `lsi53c895a`, `mptsas1068` and `megasas` come last: a cloud that is
/// asked for "scsi" may as well offer another, while SATA and IDE have one form everywhere.
/// `mptspi` is the very last, since only VMware and VirtualBox have its controller.
const WAYS: [(&str, &[&str]); 11] = [
    ("virtio", &["virtio_blk", "virtio_pci"]),
    ("scsi", &["virtio_scsi", "virtio_pci"]),
    ("sata", &["ahci"]),
    ("ide", &["ata_piix"]),
    ("ide", &["piix"]),
    ("ide", &["ata_generic"]),
    ("ide", &["ide_generic"]),
    ("scsi", &["sym53c8xx"]),
    ("scsi", &["mptsas"]),
    ("scsi", &["megaraid_sas"]),
    ("scsi", &["mptspi"]),
];

/// The bus that the cloud has to put the disk on, for the guest's newest kernel, which is the one
/// that starts unless somebody chooses another: `virtio`, `scsi`, `sata` or `ide`.
///
/// The first of these that applies:
/// 1. The best bus whose drivers are there before the root file system is.
/// 2. Drivers are known, and none is of a known bus: `ide`, which a BIOS and the oldest kernels
///    can do.
/// 3. Nothing is known, or there is no kernel to ask: `virtio`, unproved (`drivers-unknown` of
///    [`crate::guest::inspect::warnings`]).
pub fn disks_bus(kernel: Option<&Kernel>) -> &'static str {
    let Some(kernel) = kernel else { return "virtio" };
    match proved_bus(kernel) {
        Some(bus) => bus,
        None if kernel.drivers_known => "ide",
        None => "virtio",
    }
}

/// The best bus that this kernel has all drivers for; `None` if it has none, as far as is known.
pub fn proved_bus(kernel: &Kernel) -> Option<&'static str> {
    let there = |driver: &&str| kernel.drivers.iter().any(|name| name == driver);
    let way = WAYS.iter().find(|(_, drivers)| drivers.iter().all(there));
    way.map(|(bus, _)| *bus)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule() {
        let table: [(&[&str], bool, &str); 16] = [
            (&["virtio_blk", "virtio_pci", "ahci", "ata_piix", "mptspi"], true, "virtio"),
            (&["virtio_blk", "virtio_pci"], false, "virtio"),
            (&["virtio_blk", "virtio_scsi", "virtio_pci"], true, "virtio"),
            // Without the PCI part virtio's disks are not found.
            (&["virtio_blk", "ata_piix"], true, "ide"),
            (&["virtio_scsi", "ahci"], true, "sata"),
            (&["virtio_scsi", "virtio_pci", "ahci"], true, "scsi"),
            (&["virtio_pci", "ahci", "ata_piix"], true, "sata"),
            // The initramfs of an installation in VirtualBox.
            (&["ahci", "ata_piix", "mptspi"], true, "sata"),
            (&["ata_generic"], true, "ide"),
            (&["piix"], true, "ide"),
            (&["ide_generic", "sym53c8xx"], true, "ide"),
            (&["sym53c8xx"], true, "scsi"),
            (&["mptspi"], true, "scsi"),
            (&[], true, "ide"),
            (&["nvme"], true, "ide"),
            (&[], false, "virtio"),
        ];
        for (drivers, drivers_known, bus) in table {
            let kernel = Kernel {
                version: "6.1".to_owned(),
                initramfs: None,
                drivers: drivers.iter().map(|name| (*name).to_owned()).collect(),
                drivers_known,
            };
            assert_eq!(disks_bus(Some(&kernel)), bus, "{drivers:?} {drivers_known}");
        }
        assert_eq!(disks_bus(None), "virtio");
    }

    #[test]
    fn every_way_uses_known_drivers() {
        for driver in WAYS.iter().flat_map(|(_, drivers)| *drivers) {
            assert!(DRIVERS.iter().any(|(name, _)| name == driver), "{driver}");
        }
    }
}
