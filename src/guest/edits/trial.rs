//! Running one edit on a tree in memory.

use super::{Bench, Change, Edit, EditOptions};
use crate::disk::Warning;
use crate::error::Result;
use crate::guest::facts::{Facts, Init, SshServer};
use crate::guest::memory::MemoryTree;

/// Facts of a systemd guest with OpenSSH.
pub(super) fn facts() -> Facts {
    Facts {
        os: None,
        os_version: None,
        os_name: None,
        os_arch: None,
        init: Init::Systemd,
        ssh: Some(SshServer::Openssh),
        bootloader: None,
        firmware: None,
        kernels: Vec::new(),
        disks_bus: "virtio".into(),
        swap: false,
        cloud_init: false,
        one_context: false,
        selinux: None,
        mounts: Vec::new(),
        ..Facts::default()
    }
}

/// What an edit did.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) changes: Vec<Change>,
    pub(super) warnings: Vec<Warning>,
}

impl Outcome {
    pub(super) fn paths(&self) -> Vec<&str> {
        self.changes.iter().map(|change| change.path.as_str()).collect()
    }

    pub(super) fn codes(&self) -> Vec<&str> {
        self.warnings.iter().map(|warning| warning.code.as_str()).collect()
    }
}

/// Runs it once.
pub(super) fn once(
    edit: &Edit,
    tree: &mut MemoryTree,
    facts: &Facts,
    options: &EditOptions,
) -> Result<Outcome> {
    let mut bench = Bench {
        tree,
        facts,
        volumes: &[],
        options,
        name: edit.name,
        changes: Vec::new(),
        warnings: Vec::new(),
    };
    (edit.run)(&mut bench)?;
    Ok(Outcome { changes: bench.changes, warnings: bench.warnings })
}

/// Runs it twice: the second time nothing is left to do.
pub(super) fn run(
    edit: &Edit,
    tree: &mut MemoryTree,
    facts: &Facts,
    options: &EditOptions,
) -> Outcome {
    let first = once(edit, tree, facts, options).unwrap();
    let after = tree.clone();
    let again = once(edit, tree, facts, options).unwrap();
    assert_eq!(again.changes, [], "the second run changed something");
    assert_eq!(*tree, after);
    first
}

/// [`run`] with [`facts`] and without options.
pub(super) fn plain(edit: &Edit, tree: &mut MemoryTree) -> Outcome {
    run(edit, tree, &facts(), &EditOptions::default())
}

mod tests {
    use super::*;
    use crate::guest::edits::{boot_uuid, network, serial_console, udev_net, uefi, vbox, virtio};

    const EDITS: &[Edit] = &[
        boot_uuid::EDIT,
        serial_console::EDIT,
        network::EDIT,
        udev_net::EDIT,
        vbox::EDIT,
        uefi::EDIT,
        virtio::EDIT,
    ];

    /// Where the edits look for files.
    const PATHS: &[&str] = &[
        "/etc/fstab",
        "/etc/crypttab",
        "/etc/lilo.conf",
        "/etc/default/grub",
        "/boot/grub/grub.cfg",
        "/boot/grub/grubenv",
        "/boot/loader/entries/a.conf",
        "/etc/inittab",
        "/etc/securetty",
        "/etc/modules",
        "/etc/modules-load.d/vbox.conf",
        "/etc/X11/xorg.conf",
        "/etc/xdg/autostart/vbox.desktop",
        "/etc/network/interfaces",
        "/etc/netplan/a.yaml",
        "/etc/systemd/network/a.network",
        "/etc/systemd/system/vboxadd.service",
        "/etc/sysconfig/network-scripts/ifcfg-eth0",
        "/etc/NetworkManager/system-connections/a",
        "/etc/udev/rules.d/70-persistent-net.rules",
        "/etc/initramfs-tools/modules",
    ];

    /// Devices, folders and links that lead nowhere are no configuration, whatever their name is.
    #[test]
    fn what_is_no_file_is_left_alone() {
        let kinds: [fn(&mut MemoryTree, &str); 3] =
            [MemoryTree::device, MemoryTree::dir, |tree, path| {
                tree.link(path, "/../../../../etc/passwd")
            }];
        for put in kinds {
            let mut tree = MemoryTree::default();
            PATHS.iter().for_each(|path| put(&mut tree, path));
            let before = tree.clone();
            for edit in EDITS {
                let outcome = once(edit, &mut tree, &facts(Init::Sysv), &[]);
                assert_eq!(outcome.changes, [], "{}", edit.name);
            }
            assert!(tree == before);
        }
    }

    /// A large file of nothing useful takes no time.
    #[test]
    fn large_files_take_no_time() {
        let lines = [
            "/dev/sdb1 x\n",
            "linux /v root=/dev/sdb1 ro\n",
            "[ipv4]\nmethod=manual\n",
            "auto enp0s3\niface enp0s3 inet static\n",
        ];
        for line in lines {
            let text = line.repeat((1 << 20) / line.len());
            let mut tree = MemoryTree::default();
            PATHS.iter().for_each(|path| tree.file(path, &text, 0o644));
            let began = std::time::Instant::now();
            for edit in EDITS {
                assert!(edit.default && !edit.reason.is_empty());
                run(edit, &mut tree, &facts(Init::Sysv), &[]);
            }
            assert!(began.elapsed().as_secs() < 30, "{line}: {:?}", began.elapsed());
        }
    }

    /// A small guest with busybox and no kernel of its own, as in `testdata`.
    #[test]
    fn the_example_guest() {
        let mut tree = MemoryTree::of(&[
            (
                "/etc/inittab",
                "::sysinit:/etc/init.d/rcS\n#ttyS0::respawn:/sbin/getty -L ttyS0 115200 vt100\n",
            ),
            (
                "/etc/fstab",
                "/dev/sda1\t/\text4\terrors=remount-ro\t0\t1\n\
                 share\t/media/sf_share\tvboxsf\tdefaults,uid=1000\t0\t0\n",
            ),
            (
                "/etc/network/interfaces",
                "auto lo\niface lo inet loopback\n\nauto eth0\niface eth0 inet dhcp\n",
            ),
            ("/etc/udev/rules.d/70-persistent-net.rules", "NAME=\"eth0\"\n"),
            ("/bin/busybox", "UUID=\0"),
        ]);
        tree.link("/bin/mount", "/bin/busybox");
        tree.link("/sbin/getty", "/bin/busybox");
        let facts = Facts { kernels: vec![], ..facts(Init::Busybox) };
        let volumes = [partition(1, Holds::Ext, "ext4", "abcd")];
        let mut paths = Vec::new();
        for edit in EDITS {
            let outcome = run(edit, &mut tree, &facts, &volumes);
            assert_eq!(outcome.warnings, []);
            paths.extend(outcome.changes.into_iter().map(|change| change.path));
        }
        let expected = [
            "/etc/fstab",
            "/etc/inittab",
            "/etc/udev/rules.d/70-persistent-net.rules",
            "/etc/fstab",
        ];
        assert_eq!(paths, expected);
        let fstab = tree.text("/etc/fstab").unwrap();
        assert!(fstab.starts_with("UUID=abcd\t/\text4\terrors=remount-ro\t0\t1\n"), "{fstab}");
        assert!(fstab.ends_with("vboxsf\tdefaults,uid=1000,nofail,noauto\t0\t0\n"), "{fstab}");
    }
}
