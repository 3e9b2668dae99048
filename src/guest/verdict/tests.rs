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
    let findings = findings(facts, &[], &[], &[]).into_iter();
    findings.filter(|finding| finding.severity == severity).map(|finding| finding.code).collect()
}

#[test]
fn a_guest_for_the_cloud() {
    let all = findings(&good(), &[], &[], &[]);
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
            findings(&facts, &[], &[], &[])
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

#[test]
fn the_context_scripts_bring_a_key() {
    let facts = Facts { cloud_init: false, context: true, ..good() };
    let all = findings(&facts, &[], &[], &[]);
    let found = all.iter().find(|finding| finding.code == "login-by-key").unwrap();
    let expected = "log in by SSH with the key that the cloud gives (context scripts)";
    assert_eq!((found.severity, found.text.as_str()), (Severity::Ok, expected));
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
        let findings = findings(&facts, &[login(by)], &[], &[]);
        let found = findings.iter().find(|finding| finding.code == code);
        assert!(found.is_some_and(|f| f.severity == severity && f.text.contains("eve")), "{code}");
    }
}

/// The text of the finding with this code and severity.
fn text(facts: &Facts, edits: &[&str], warnings: &[&str], wanted: (Severity, &str)) -> String {
    let warnings: Vec<_> = warnings.iter().map(|code| Warning::new(code, "WHY")).collect();
    let findings = findings(facts, &[], edits, &warnings);
    let found = findings.iter().find(|f| (f.severity, f.code) == wanted);
    found.unwrap_or_else(|| panic!("{wanted:?}: {findings:?}")).text.clone()
}

/// Who has done an edit is not told to do it.
#[test]
fn advice_after_the_edits() {
    let facts = Facts {
        bus_devices: vec!["/dev/sda1".to_owned()],
        network_pins: vec!["/etc/x".to_owned()],
        ..good()
    };
    for (wanted, edit, by_hand) in [
        ((Severity::Bad, "devices-lost"), "boot-uuid", "nofail"),
        ((Severity::Warn, "network-pinned"), "network-dhcp", "by hand"),
    ] {
        let edit_told = format!("use the edit {edit}");
        assert!(text(&facts, &[], &[], wanted).ends_with(&edit_told));
        let told = text(&facts, &[edit], &[], wanted);
        assert!(told.contains(by_hand) && !told.contains(edit), "{told}");
    }
}

/// What the warnings say stands in the verdict, too.
#[test]
fn warnings_count() {
    let told = text(&good(), &[], &[MOUNT_NEEDED], (Severity::Bad, "mount-missing"));
    assert_eq!(told, "WHY");
    let sysv = Facts { init: Init::Sysv, ..good() };
    text(&sysv, &[], &[MOUNT_NEEDED], (Severity::Warn, "mount-missing"));
    for code in ["sshd-users-limited", "sshd-keys-elsewhere"] {
        assert!(
            text(&good(), &[], &[code], (Severity::Warn, "login-limited")).ends_with("but WHY")
        );
        let none = Facts { cloud_init: false, ..good() };
        text(&none, &[], &[code], (Severity::Bad, "login-none"));
    }
}

#[test]
fn keys_of_the_image_and_of_the_cloud_are_both_told() {
    let login = Login { account: "eve".to_owned(), uid: 1000, by: By::Keys(1) };
    let all = findings(&good(), &[login], &[], &[]);
    let found = all.iter().find(|finding| finding.code == "login-by-key").unwrap();
    assert!(found.text.contains("eve") && found.text.contains("cloud-init"), "{}", found.text);
}
