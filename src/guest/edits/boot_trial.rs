//! For the tests of edits: one edit on a tree in memory, twice, and what it said.

use std::path::Path;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

pub(crate) use super::trial::Outcome;
use super::{Bench, Edit, EditOptions};
use crate::error::Result;
use crate::guest::block::Block;
use crate::guest::facts::{Facts, Init, Kernel};
use crate::guest::memory::{Entry, MemoryTree};
use crate::guest::volumes::{Holds, Volume};

pub(crate) fn kernel(version: &str, initramfs: bool) -> Kernel {
    Kernel {
        version: version.to_owned(),
        initramfs: initramfs.then(|| format!("/boot/initrd.img-{version}")),
        drivers: vec!["ahci".to_owned()],
        drivers_known: true,
    }
}

/// A guest with one kernel of today.
pub(crate) fn facts(init: Init) -> Facts {
    Facts {
        os: Some("debian".to_owned()),
        os_arch: Some("x86_64".to_owned()),
        init,
        kernels: vec![kernel("6.1.0-18-amd64", true)],
        disks_bus: "sata".to_owned(),
        ..Facts::default()
    }
}

pub(crate) struct MemoryBlock(pub(crate) Mutex<Vec<u8>>);

impl Block for MemoryBlock {
    fn size(&self) -> u64 {
        self.0.lock().unwrap().len() as u64
    }
    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        let at = offset as usize;
        buf.copy_from_slice(&self.0.lock().unwrap()[at..at + buf.len()]);
        Ok(())
    }
    fn write_at(&self, data: &[u8], offset: u64) -> Result<()> {
        let at = offset as usize;
        self.0.lock().unwrap()[at..at + data.len()].copy_from_slice(data);
        Ok(())
    }
    fn zero(&self, offset: u64, len: u64) -> Result<()> {
        self.write_at(&vec![0; len as usize], offset)
    }
}

/// Partition `number` of the only disk.
pub(crate) fn partition(number: u32, holds: Holds, filesystem: &str, uuid: &str) -> Volume {
    Volume {
        name: format!("sda{number}"),
        devices: vec![format!("/dev/sda{number}"), format!("/dev/hda{number}")],
        holds,
        filesystem: filesystem.to_owned(),
        uuid: Some(uuid.to_owned()),
        label: None,
        part_uuid: Some(format!("4d594453-{number:02x}")),
        part_label: None,
        esp: false,
        refused: None,
        block: Arc::new(MemoryBlock(Mutex::new(Vec::new()))),
    }
}

pub(crate) fn once(
    edit: &Edit,
    tree: &mut MemoryTree,
    facts: &Facts,
    volumes: &[Volume],
) -> Outcome {
    let options = EditOptions::default();
    let (changes, warnings) = (Vec::new(), Vec::new());
    let mut bench =
        Bench { tree, facts, volumes, options: &options, name: edit.name, changes, warnings };
    (edit.run)(&mut bench).unwrap();
    let (changes, warnings) = (bench.changes, bench.warnings);
    assert!(changes.iter().all(|change| change.name == edit.name));
    Outcome { changes, warnings }
}

/// Runs the edit; a second time must change nothing.
pub(crate) fn run(
    edit: &Edit,
    tree: &mut MemoryTree,
    facts: &Facts,
    volumes: &[Volume],
) -> Outcome {
    let outcome = once(edit, tree, facts, volumes);
    let after = tree.clone();
    let again = once(edit, tree, facts, volumes);
    assert_eq!(again.changes, [], "the second time");
    assert_eq!(*tree, after);
    outcome
}

/// Writes the tree's files below a folder, for a judge to look at.
pub(crate) fn dump(tree: &MemoryTree, folder: &Path) {
    for (path, entry) in &tree.0 {
        let place = folder.join(path.strip_prefix("/").unwrap());
        std::fs::create_dir_all(place.parent().unwrap()).unwrap();
        if let Entry::File(bytes, _) = entry {
            std::fs::write(place, bytes).unwrap();
        }
    }
}

/// Runs a program that we did not write.
pub(crate) fn judge(package: &str, program: &str, args: &[&str]) -> Output {
    let result = Command::new(program).args(args).env("LC_ALL", "C").output();
    result.unwrap_or_else(|error| panic!("{program}: {error}; apt-get install {package}"))
}

/// Runs a judge that must be content, and returns what it printed.
pub(crate) fn content(package: &str, program: &str, args: &[&str]) -> String {
    let output = judge(package, program, args);
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success(), "{program} {args:?}: {said}");
    said
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
