use super::*;
use crate::guest::facts::{Kernel, SshServer};

fn kernel(drivers: &[&str], drivers_known: bool) -> Kernel {
    let drivers = drivers.iter().map(|name| (*name).to_owned()).collect();
    Kernel { version: "6.1".to_owned(), initramfs: None, drivers, drivers_known }
}

fn good() -> Facts {
    Facts {
        os_arch: Some("x86_64".to_owned()),
        init: Init::Systemd,
        ssh: Some(SshServer::Openssh),
        bootloader: Some("grub2".to_owned()),
        firmware: Some("bios".to_owned()),
        kernels: vec![kernel(&["virtio_blk", "virtio_pci"], true)],
        disks_bus: "virtio".to_owned(),
        cloud_init: true,
        ..Facts::default()
    }
}

fn codes(facts: &Facts, severity: Severity) -> Vec<&'static str> {
    let findings = findings(facts, &[], &[]).into_iter();
    findings.filter(|finding| finding.severity == severity).map(|finding| finding.code).collect()
}

#[test]
fn a_guest_for_the_cloud() {
    let all = findings(&good(), &[], &[]);
    assert_eq!(worst(&all), Severity::Ok, "{all:?}");
    assert_eq!(all.len(), 7);
    assert_eq!(worst(&[]), Severity::Ok);
}

/// What a change of the facts makes of them.
#[test]
fn each_flaw_is_found() {
    let text = |text: &str| Some(text.to_owned());
    let devices = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let table: [(Facts, Severity, &str); 16] = [
        (Facts { kernels: vec![], ..good() }, Severity::Warn, "kernel-missing"),
        (
            Facts { kernels: vec![kernel(&[], true)], disks_bus: "ide".to_owned(), ..good() },
            Severity::Bad,
            "bus-no-driver",
        ),
        (
            Facts { kernels: vec![kernel(&["nvme"], true)], disks_bus: "ide".to_owned(), ..good() },
            Severity::Bad,
            "bus-no-driver",
        ),
        (Facts { kernels: vec![kernel(&[], false)], ..good() }, Severity::Warn, "drivers-unknown"),
        (
            Facts { kernels: vec![kernel(&["nvme"], false)], ..good() },
            Severity::Warn,
            "drivers-unknown",
        ),
        (
            Facts {
                kernels: vec![kernel(&["ahci"], true)],
                disks_bus: "sata".to_owned(),
                ..good()
            },
            Severity::Warn,
            "bus-not-virtio",
        ),
        (
            Facts {
                kernels: vec![kernel(&["ata_piix"], true)],
                disks_bus: "ide".to_owned(),
                ..good()
            },
            Severity::Warn,
            "bus-not-virtio",
        ),
        (Facts { bus_devices: devices(&["/dev/sda1"]), ..good() }, Severity::Bad, "devices-lost"),
        (
            Facts { bus_devices: devices(&["/dev/sda1"]), disks_bus: "sata".to_owned(), ..good() },
            Severity::Warn,
            "devices-by-bus",
        ),
        (
            Facts { bus_devices: devices(&["/dev/hda1"]), disks_bus: "sata".to_owned(), ..good() },
            Severity::Bad,
            "devices-lost",
        ),
        (Facts { bootloader: None, ..good() }, Severity::Warn, "loader-missing"),
        (Facts { bootloader: text("lilo"), ..good() }, Severity::Warn, "loader-lilo"),
        (Facts { firmware: text("uefi"), ..good() }, Severity::Warn, "firmware-uefi"),
        (Facts { network_pins: devices(&["/etc/x"]), ..good() }, Severity::Warn, "network-pinned"),
        (Facts { ssh: None, ..good() }, Severity::Bad, "login-no-ssh"),
        (Facts { cloud_init: false, ..good() }, Severity::Bad, "login-none"),
    ];
    for (facts, severity, code) in table {
        assert!(
            codes(&facts, severity).contains(&code),
            "{code}: {:?}",
            findings(&facts, &[], &[])
        );
    }
    let others = [
        ("init-unknown", Facts { init: Init::Unknown, ..good() }),
        ("arch-unknown", Facts { os_arch: None, ..good() }),
        ("arch-other", Facts { os_arch: text("s390x"), ..good() }),
    ];
    for (code, facts) in others {
        assert_eq!(codes(&facts, Severity::Warn), [code]);
    }
}

/// The bus of the verdict is that of the rule.
#[test]
fn no_bus_is_proved_by_a_strange_driver() {
    for drivers in [&["nvme"][..], &["virtio_blk"], &["BusLogic"]] {
        let kernel = kernel(drivers, true);
        let bus = crate::guest::inspect::disks_bus(Some(&kernel)).to_owned();
        let facts = Facts { kernels: vec![kernel], disks_bus: bus, ..good() };
        assert_eq!(codes(&facts, Severity::Bad), ["bus-no-driver"], "{drivers:?}");
    }
}

#[test]
fn logins_are_told() {
    let facts = Facts { cloud_init: false, ..good() };
    let login = |by| Login { account: "eve".to_owned(), uid: 1000, by };
    let cases = [
        (By::Keys(1), Severity::Ok, "login-by-key"),
        (By::Password, Severity::Warn, "login-by-password"),
        (By::Nothing, Severity::Bad, "login-open"),
    ];
    for (by, severity, code) in cases {
        let findings = findings(&facts, &[login(by)], &[]);
        let found = findings.iter().find(|finding| finding.code == code);
        assert!(found.is_some_and(|f| f.severity == severity && f.text.contains("eve")), "{code}");
    }
}

#[test]
fn keys_of_the_image_and_of_the_cloud_are_both_told() {
    let login = Login { account: "eve".to_owned(), uid: 1000, by: By::Keys(1) };
    let all = findings(&good(), &[login], &[]);
    let found = all.iter().find(|finding| finding.code == "login-by-key").unwrap();
    assert!(found.text.contains("eve") && found.text.contains("cloud-init"), "{}", found.text);
}

#[test]
fn what_limits_logins_is_no_good_news() {
    for code in ["sshd-users-limited", "sshd-keys-elsewhere"] {
        let all = findings(&good(), &[], &[Warning::new(code, "")]);
        assert_eq!(worst(&all), Severity::Warn);
        assert!(all.iter().any(|finding| finding.code == "login-limited"), "{all:?}");
    }
}
