use proptest::prelude::*;

use super::*;
use crate::guest::edits::boot_trial::{content, dump, facts, kernel, partition, run as trial};
use crate::guest::edits::cmdline::{samples, tests as lines};
use crate::guest::facts::{Facts, Init};
use crate::guest::memory::MemoryTree;

const ROOT: &str = "0bd3f5d2-7b2c-4f2e-9b0a-2d6a1e4f5c11";
const SWAP: &str = "5c0e7b8e-3f0d-4c59-8a3c-9a0c2f7d6e22";
const CRYPT: &str = "c1b5a3f7-2e4d-4b6f-8d1c-7a9e3b5d2f33";

fn volumes() -> Vec<Volume> {
    vec![
        partition(1, Holds::Ext, "ext4", ROOT),
        partition(3, Holds::Luks, "crypto_LUKS", CRYPT),
        partition(5, Holds::Swap, "swap", SWAP),
    ]
}

/// Facts of a guest whose kernel of this version has no initramfs.
fn bare(version: &str) -> Facts {
    Facts { kernels: vec![kernel(version, false)], ..facts(Init::Sysv) }
}

fn edited(path: &str, text: &str, facts: &Facts) -> (String, Vec<String>) {
    let mut tree = MemoryTree::of(&[(path, text)]);
    let outcome = trial(&EDIT, &mut tree, facts, &volumes());
    assert!(outcome.codes().iter().all(|code| *code == "boot-device-name"));
    let said = outcome.warnings.into_iter().map(|warning| warning.message).collect();
    (tree.text(path).unwrap(), said)
}

#[test]
fn fstab() {
    let text = "# /dev/sda1 was here\n/dev/sda1\t/  ext4 errors=remount-ro 0 1\r\n\
        \t/dev/hda5 none swap sw 0 0\n/dev/sdb1 /data ext4 defaults 0 2\n\
        /dev/hdc /media/cdrom0 udf,iso9660 user,noauto 0 0\n/dev/mapper/vg-lv /x ext4 defaults 0 2\n\
        /dev/sda9 /gone ext4 defaults 0 2\n/dev/disk/by-id/ata-VBOX_HARDDISK_VB1-part1 /y ext3\n\
        /dev/disk/by-id/dm-uuid-LVM-x /z ext3\nproc /proc proc defaults 0 0\n\
        none /dev/sda1 tmpfs\n/dev/sda5x /q ext2\n/dev/xvda1 /r ext4";
    let (new, said) = edited("/etc/fstab", text, &facts(Init::Systemd));
    let expected = text
        .replace("\n/dev/sda1\t", &format!("\nUUID={ROOT}\t"))
        .replace("/dev/hda5", &format!("UUID={SWAP}"))
        .replace("/dev/disk/by-id/ata-VBOX_HARDDISK_VB1-part1", &format!("UUID={ROOT}"))
        .replace("/dev/xvda1", &format!("UUID={ROOT}"));
    assert_eq!(new, expected);
    // What is mounted and not there is told by the inspection; other uses are told here.
    assert_eq!(said.len(), 0, "{said:?}");
    let text = "/dev/sdb1 / ext4\n/dev/sda9 none swap\n/dev/disk/by-id/scsi-x none swap\n";
    let (new, said) = edited("/etc/fstab", text, &facts(Init::Systemd));
    assert_eq!((new.as_str(), said.len()), (text, 3));
    assert!(said.iter().all(|said| said.contains("no such volume") && said.contains("use a UUID")));
}

#[test]
fn findmnt_reads_the_table() {
    let text = "/dev/sda1 / ext4 errors=remount-ro 0 1\n/dev/sda5\tnone\tswap\tsw\t0\t0\n\
        proc /proc proc defaults 0 0\n";
    let mut tree = MemoryTree::of(&[("/etc/fstab", text)]);
    trial(&EDIT, &mut tree, &facts(Init::Systemd), &volumes());
    let folder = tempfile::tempdir().unwrap();
    dump(&tree, folder.path());
    let table = folder.path().join("etc/fstab");
    let args = ["--tab-file", table.to_str().unwrap(), "-rn", "-o", "SOURCE,TARGET,FSTYPE,OPTIONS"];
    let said = content("util-linux", "findmnt", &args);
    let expected = format!(
        "UUID={ROOT} / ext4 errors=remount-ro\nUUID={SWAP} none swap sw\nproc /proc proc defaults\n"
    );
    assert_eq!(said, expected);
}

/// A busybox that was built without it cannot find a UUID.
#[test]
fn busybox_must_know_uuids() {
    for (program, known) in [("x\0LABEL=\0UUID=\0y", true), ("\0UUID=\"%s\"\0", false)] {
        let mut tree = MemoryTree::of(&[("/etc/fstab", "/dev/sda1 / ext4\n")]);
        tree.file("/bin/busybox", program, 0o755);
        tree.link("/bin/mount", "busybox");
        let outcome = trial(&EDIT, &mut tree, &bare("2.6.32"), &volumes());
        let expected =
            if known { format!("UUID={ROOT} / ext4\n") } else { "/dev/sda1 / ext4\n".into() };
        assert_eq!(tree.text("/etc/fstab").unwrap(), expected);
        assert_eq!(outcome.codes().len(), usize::from(!known));
    }
}

#[test]
fn crypttab() {
    let text = "# name\ncr /dev/sda3 none luks\nswap /dev/sda5 /dev/urandom swap\nx /dev/sda3 /dev/random\n";
    let (new, said) = edited("/etc/crypttab", text, &facts(Init::Systemd));
    assert_eq!(new, text.replacen("/dev/sda3", &format!("UUID={CRYPT}"), 1));
    assert_eq!(said.len(), 2);
}

#[test]
fn grub_configuration_of_debian() {
    let text = samples::GRUB_CFG;
    let mut tree = MemoryTree::of(&[("/boot/grub/grub.cfg", text)]);
    let outcome = trial(&EDIT, &mut tree, &facts(Init::Systemd), &volumes());
    assert_eq!((outcome.paths(), outcome.codes()), (vec!["/boot/grub/grub.cfg"], vec![]));
    let new = tree.text("/boot/grub/grub.cfg").unwrap();
    let expected = text
        .replace("root=/dev/sda1", &format!("root=UUID={ROOT}"))
        .replace("resume=/dev/sda5", &format!("resume=UUID={SWAP}"));
    assert_eq!(new, expected);
    assert_ne!(new, text);
    samples::check_grub(&tree);
}

/// Only an initramfs finds a file system by its UUID.
#[test]
fn without_an_initramfs_the_kernel_needs_the_partition() {
    let cfg = "menuentry a {\n\tlinux /vmlinuz root=/dev/sda1 ro\n}\n\
        menuentry b {\n\tlinux /vmlinuz root=/dev/hda1 ro\n\tinitrd /i\n}\n";
    let with =
        |first: &str| cfg.replace("/dev/sda1", first).replace("/dev/hda1", &format!("UUID={ROOT}"));
    let path = "/boot/grub/grub.cfg";
    let (new, said) = edited(path, cfg, &bare("3.10.0-1160.el7"));
    assert_eq!((new, said.len()), (with("PARTUUID=4d594453-01"), 0));
    for old in ["3.9.11", "2.6.32-5-686", "3"] {
        let (new, said) = edited(path, cfg, &bare(old));
        assert_eq!((new, said.len()), (with("/dev/sda1"), 1), "{old}");
    }
    let (new, _) = edited("/etc/kernel/cmdline", "root=/dev/sda1", &bare("6.12"));
    assert_eq!(new, "root=PARTUUID=4d594453-01");
}

#[test]
fn other_boot_loaders() {
    let facts = facts(Init::Sysv);
    let uuid = |text: &str| text.replace("/dev/sda1", &format!("UUID={ROOT}"));
    for (path, text) in [
        (
            "/boot/grub/menu.lst",
            "# kopt=root=/dev/sda1 ro\ntitle a\nkernel /v root=/dev/sda1\ninitrd /i\n",
        ),
        ("/boot/loader/entries/a.conf", "initrd /i\noptions root=/dev/sda1 ro\n"),
        ("/boot/extlinux/extlinux.conf", "label l\nlinux /v\nappend initrd=/i root=/dev/sda1\n"),
        ("/etc/default/grub", "GRUB_CMDLINE_LINUX=\"root=/dev/sda1\"\n"),
        ("/etc/update-extlinux.conf", "root=/dev/sda1\n"),
        ("/etc/initramfs-tools/conf.d/resume", "RESUME=/dev/sda1\n"),
        ("/etc/kernel/cmdline", "quiet real_root=/dev/sda1 cryptdevice=/dev/sda1:root\n"),
    ] {
        let (new, said) = edited(path, text, &facts);
        assert_eq!((new, said.len()), (uuid(text), 0), "{path}");
    }
    let (new, _) = edited("/etc/default/grub", "GRUB_DISABLE_LINUX_UUID=\"true\"\n", &facts);
    assert_eq!(new, "#stratus: GRUB_DISABLE_LINUX_UUID=\"true\"\n");
    for line in ["GRUB_DISABLE_UUID=true\n", "GRUB_DISABLE_LINUX_UUID=\"true\" # x\n"] {
        let (new, _) = edited("/etc/default/grub.d/a.cfg", line, &facts);
        assert_eq!(new, format!("#stratus: {line}"));
    }
    let lilo = "boot=/dev/sda\n# root=/dev/sda9\nimage=/vmlinuz\n\troot=/dev/sda1\n";
    let (new, said) = edited("/etc/lilo.conf", lilo, &facts);
    assert_eq!((new.as_str(), said.len()), (lilo, 2));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn twice_is_once(picks in prop::collection::vec(0..lines::LINES.len(), 0..12), place in 0..lines::PLACES.len()) {
        let new = lines::holds(&EDIT, &picks, place);
        let old: String = picks.iter().map(|i| lines::LINES[*i]).collect();
        let (new, old): (Vec<_>, Vec<_>) = (new.split('\n').collect(), old.split('\n').collect());
        prop_assert_eq!(new.len(), old.len());
        for (new, old) in new.iter().zip(old) {
            prop_assert!(*new == old || new.contains("UUID"), "{:?} {:?}", new, old);
        }
    }

    #[test]
    fn tables_are_kept(lines in prop::collection::vec("[/a-z0-9# \t\u{a0}]{0,20}(/dev/sda1|/dev/sda5|/dev/sdb1|)[ \t]?[a-z ]{0,12}\r?", 0..8)) {
        let text = lines.join("\n");
        let bytes = crate::guest::text::encode(&text);
        let mut tree = MemoryTree::default();
        tree.file("/etc/fstab", "", 0o644);
        let path = Path::new("/etc/fstab");
        crate::guest::tree::Tree::write(&mut tree, path, &bytes, Attributes::root(0o644)).unwrap();
        trial(&EDIT, &mut tree, &facts(Init::Systemd), &volumes());
        let new = crate::guest::tree::Tree::read(&tree, path, u64::MAX).unwrap().unwrap();
        let new = crate::guest::text::decode(&new);
        let back = new.replace(&format!("UUID={ROOT}"), "/dev/sda1").replace(&format!("UUID={SWAP}"), "/dev/sda5");
        prop_assert_eq!(back, text);
    }
}

/// A copy of a volume has its UUID; the kernel would take one of the two.
#[test]
fn a_name_that_two_volumes_have_is_not_given() {
    let text = "/dev/sda1 / ext4 defaults 0 1\n";
    let mut tree = MemoryTree::of(&[("/etc/fstab", text)]);
    let volumes = [partition(1, Holds::Ext, "ext4", ROOT), partition(2, Holds::Ext, "ext4", ROOT)];
    let outcome = trial(&EDIT, &mut tree, &facts(Init::Systemd), &volumes);
    let new = tree.text("/etc/fstab").unwrap();
    let part = volumes[0].part_uuid.as_ref().unwrap();
    assert!(new == text || new.starts_with(&format!("PARTUUID={part} ")), "{new}");
    assert_eq!(outcome.codes().is_empty(), new != text);
}
