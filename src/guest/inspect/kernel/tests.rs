use super::*;
use crate::guest::memory::{Entry, MemoryTree};
use crate::guest::tree::Attributes;

/// A plain archive with empty files of these names.
fn archive(names: &[&str]) -> Vec<u8> {
    let mut archive = Vec::new();
    for name in names.iter().chain(&["TRAILER!!!"]) {
        let mode = if *name == "TRAILER!!!" { 0 } else { 0o100_644 };
        archive.extend(b"070701");
        let len = name.len() as u32 + 1;
        for number in [1, mode, 0, 0, 1, 0, 0, 0, 0, 0, 0, len, 0] {
            archive.extend(format!("{number:08x}").bytes());
        }
        archive.extend(name.bytes());
        archive.push(0);
        archive.resize(archive.len().next_multiple_of(4), 0);
    }
    archive
}

fn put(tree: &mut MemoryTree, path: &str, bytes: Vec<u8>) {
    tree.file(path, "", 0o644);
    tree.0.insert(path.into(), Entry::File(bytes, Attributes::root(0o644)));
}

fn image(version: &str) -> Vec<u8> {
    let mut image = vec![0; 0x1000];
    image[0x202..0x206].copy_from_slice(b"HdrS");
    image[0x20e..0x210].copy_from_slice(&0x300_u16.to_le_bytes());
    image[0x500..0x500 + version.len()].copy_from_slice(version.as_bytes());
    image
}

#[test]
fn debian_and_a_removed_kernel() {
    let mut tree = MemoryTree::of(&[
        ("/boot/vmlinuz-6.1.0-9-amd64", "x"),
        ("/boot/vmlinuz-6.1.0-10-amd64", "x"),
        ("/boot/vmlinuz-6.1.0-10-amd64.old", "x"),
        ("/boot/System.map-6.1.0-10-amd64", "x"),
        ("/usr/lib/modules/6.1.0-9-amd64/modules.builtin", "kernel/drivers/ata/ata_piix.ko\n"),
        ("/usr/lib/modules/6.1.0-10-amd64/modules.builtin", "kernel/fs/ext4/ext4.ko\n"),
        // Its kernel is gone.
        ("/usr/lib/modules/6.5.0/modules.dep", ""),
    ]);
    tree.link("/lib", "usr/lib");
    put(
        &mut tree,
        "/boot/initrd.img-6.1.0-10-amd64",
        archive(&[
            "usr/lib/modules/6.1.0-10-amd64/kernel/drivers/block/virtio_blk.ko.xz",
            "./lib/modules/6.1.0-10-amd64/kernel/drivers/virtio/virtio-pci.ko",
            // Of another kernel: not loaded by this one.
            "lib/modules/6.1.0-9-amd64/kernel/drivers/ata/ahci.ko",
        ]),
    );
    let kernels = kernels(&tree).unwrap();
    let strings = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    assert_eq!(
        kernels,
        [
            Kernel {
                version: "6.1.0-10-amd64".to_owned(),
                initramfs: Some("/boot/initrd.img-6.1.0-10-amd64".to_owned()),
                drivers: strings(&["virtio_blk", "virtio_pci"]),
                drivers_known: true,
            },
            Kernel {
                version: "6.1.0-9-amd64".to_owned(),
                initramfs: None,
                drivers: strings(&["ata_piix"]),
                drivers_known: true,
            },
        ]
    );
}

#[test]
fn names_of_images_and_their_initramfs() {
    let v = "6.6.1-0-lts";
    let table = [
        ("vmlinuz-6.6.1-0-lts", "initramfs-6.6.1-0-lts.img"),
        ("vmlinuz-6.6.1-0-lts", "initrd-6.6.1-0-lts"),
        ("vmlinuz-6.6.1-0-lts", "initrd-6.6.1-0-lts.img"),
        ("vmlinuz-6.6.1-0-lts", "initrd.img-6.6.1-0-lts"),
        ("vmlinuz-lts", "initramfs-lts"),
        ("vmlinuz-linux", "initramfs-linux.img"),
        ("kernel-6.6.1-0-lts", "initramfs-genkernel-x86_64-6.6.1-0-lts"),
        ("vmlinuz", "initrd.img"),
        ("bzImage", "initrd.gz"),
    ];
    for (kernel, initramfs) in table {
        let mut tree = MemoryTree::default();
        // The image says its version, as x86 images do; then the modules alone tell it.
        for content in [image("6.6.1-0-lts (build@host) #1"), b"no header".to_vec()] {
            put(&mut tree, &format!("/boot/{kernel}"), content);
            tree.file(&format!("/lib/modules/{v}/modules.builtin"), "", 0o644);
            let module = format!("lib/modules/{v}/kernel/drivers/ata/ahci.ko.zst");
            put(&mut tree, &format!("/boot/{initramfs}"), archive(&[&module]));
            let found = kernels(&tree).unwrap();
            assert_eq!(found.len(), 1, "{kernel}");
            assert_eq!(found[0].version, v);
            assert_eq!(found[0].initramfs, Some(format!("/boot/{initramfs}")));
            assert_eq!(found[0].drivers, ["ahci"], "{kernel}");
        }
    }
}

#[test]
fn what_cannot_be_read_is_unknown() {
    let mut tree = MemoryTree::of(&[
        ("/boot/vmlinuz-5.0", "x"),
        ("/boot/initrd.img-5.0", "\u{89}LZO"),
        (
            "/boot/config-5.0",
            "CONFIG_VIRTIO_BLK=y\nCONFIG_VIRTIO_PCI=m\n# CONFIG_SATA_AHCI is not set\n",
        ),
    ]);
    let found = kernels(&tree).unwrap();
    assert_eq!(found[0].drivers, ["virtio_blk"]);
    assert!(!found[0].drivers_known);
    // Without an initramfs the configuration says it all.
    tree.0.remove(Path::new("/boot/initrd.img-5.0"));
    let found = kernels(&tree).unwrap();
    assert!(found[0].drivers_known && found[0].drivers == ["virtio_blk"]);
    // Nothing says what is built in: known only if the initramfs has something.
    tree.0.remove(Path::new("/boot/config-5.0"));
    assert!(!kernels(&tree).unwrap()[0].drivers_known);
    put(&mut tree, "/boot/initrd-5.0.img", archive(&["lib/modules/5.0/ata_piix.ko"]));
    let found = kernels(&tree).unwrap();
    assert!(found[0].drivers_known && found[0].drivers == ["ata_piix"]);
    // That of RHEL 5 has no folder for the version.
    put(&mut tree, "/boot/initrd-5.0.img", archive(&["lib/ahci.ko", "lib/firmware/ata_piix.ko"]));
    let found = kernels(&tree).unwrap();
    assert!(found[0].drivers_known && found[0].drivers == ["ahci"]);
    // Without any module it hides them, whatever is built in.
    tree.file("/lib/modules/5.0/modules.builtin", "kernel/fs/ext4/ext4.ko\n", 0o644);
    for names in [&["init", "lib/libc.so.6"][..], &["lib/modules/4.0/ahci.ko"]] {
        put(&mut tree, "/boot/initrd-5.0.img", archive(names));
        assert!(!kernels(&tree).unwrap()[0].drivers_known);
    }
}

#[test]
fn only_modules_are_at_hand() {
    let mut tree = MemoryTree::of(&[
        ("/lib/modules/4.18.0-80.el8.x86_64/modules.builtin", "kernel/drivers/ata/ahci.ko\n"),
        ("/lib/modules/4.18.0-513.el8.x86_64/modules.dep", ""),
    ]);
    tree.dir("/lib/modules/empty");
    let versions: Vec<_> = kernels(&tree).unwrap().into_iter().map(|k| k.version).collect();
    assert_eq!(versions, ["4.18.0-513.el8.x86_64", "4.18.0-80.el8.x86_64"]);
    assert!(kernels(&MemoryTree::default()).unwrap().is_empty());
}

#[test]
fn hostile_names_and_headers() {
    let mut tree = MemoryTree::default();
    for n in 0..200 {
        tree.file(&format!("/boot/vmlinuz-{n}"), "", 0o644);
    }
    assert_eq!(kernels(&tree).unwrap().len(), MAX_KERNELS);
    let mut tree = MemoryTree::default();
    tree.link("/boot/vmlinuz-1.0", "vmlinuz-1.0");
    tree.dir("/boot/vmlinuz-2.0");
    tree.device("/boot/vmlinuz-3.0");
    tree.file("/boot/vmlinuz-\u{1b}[2J", "", 0o644);
    put(&mut tree, "/boot/vmlinuz", image("../../etc/\u{1b}"));
    let mut far = image("x");
    far[0x20e..0x210].copy_from_slice(&[0xff, 0xff]);
    put(&mut tree, "/boot/vmlinuz-far", far);
    assert!(kernels(&tree).unwrap().is_empty());
}
