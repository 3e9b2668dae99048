use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use super::*;
use crate::guest::block::Block;
use crate::guest::edits::boot_trial::{
    MemoryBlock, Outcome, content, facts, once, partition, run as trial,
};
use crate::guest::facts::Init;
use crate::guest::memory::MemoryTree;

/// A partition in a file, with what mtools sees in it.
struct Disk {
    folder: tempfile::TempDir,
    volume: Volume,
    block: Arc<MemoryBlock>,
}

impl Disk {
    /// Made by mkfs.fat and mtools: kilobytes, FAT's width, files with their contents.
    fn new(kib: &str, fat: &str, files: &[(&str, &[u8])]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let image = folder.path().join("esp");
        let file = image.to_str().unwrap();
        content("dosfstools", "mkfs.fat", &["-F", fat, "-i", "12345678", "-C", file, kib]);
        let mut made = std::collections::BTreeSet::new();
        for (path, bytes) in files {
            let folders: Vec<&Path> = Path::new(path).ancestors().skip(1).collect();
            for dir in folders.into_iter().rev().filter(|dir| !dir.as_os_str().is_empty()) {
                if made.insert(dir.to_owned()) {
                    content("mtools", "mmd", &["-i", file, &format!("::/{}", dir.display())]);
                }
            }
            let source = folder.path().join("source");
            std::fs::write(&source, bytes).unwrap();
            let target = format!("::/{path}");
            content("mtools", "mcopy", &["-i", file, source.to_str().unwrap(), &target]);
        }
        let block = Arc::new(MemoryBlock(Mutex::new(std::fs::read(&image).unwrap())));
        let mut volume = partition(1, Holds::Fat, "vfat", "1234-5678");
        volume.esp = true;
        volume.block = block.clone();
        Disk { folder, volume, block }
    }

    fn bytes(&self) -> Vec<u8> {
        self.block.0.lock().unwrap().clone()
    }

    fn edit(&self) -> Outcome {
        let volumes = [self.volume.clone()];
        let outcome = trial(&EDIT, &mut MemoryTree::default(), &facts(Init::Systemd), &volumes);
        let before = self.bytes();
        once(&EDIT, &mut MemoryTree::default(), &facts(Init::Systemd), &volumes);
        assert!(before == self.bytes(), "nothing to do, and bytes differ");
        outcome
    }

    fn image(&self) -> PathBuf {
        let image = self.folder.path().join("new");
        std::fs::write(&image, self.bytes()).unwrap();
        image
    }

    /// The judges: fsck.fat must find nothing, and mtools must read the file.
    fn read(&self, path: &str) -> Vec<u8> {
        let image = self.image();
        content("dosfstools", "fsck.fat", &["-n", image.to_str().unwrap()]);
        let target = self.folder.path().join("target");
        let (image, source) = (image.to_str().unwrap(), format!("::/{path}"));
        content("mtools", "mcopy", &["-n", "-i", image, &source, target.to_str().unwrap()]);
        std::fs::read(target).unwrap()
    }
}

fn loader(name: &str, len: usize) -> Vec<u8> {
    name.bytes().cycle().take(len).collect()
}

/// The menu of CentOS 7 is out of the other edits' reach; Debian's file only points to one.
#[test]
fn a_menu_on_the_partition_is_told() {
    let menu =
        "menuentry 'CentOS' {\n\tset root='hd0,gpt2'\n\tlinuxefi /vmlinuz root=UUID=x ro\n}\n";
    let told = menu.replace("ro\n", "ro console=tty0 console=ttyS0\n");
    let lost = told.replace("UUID=x", "/dev/sda2");
    let stub = "search.fs_uuid x root hd0,gpt2\nset prefix=($root)'/boot/grub'\n";
    for (text, codes) in
        [(menu, &["esp-menu"][..]), (&lost, &["esp-menu"]), (&told, &[]), (stub, &[])]
    {
        let files = [("EFI/centos/grub.cfg", text.as_bytes()), ("EFI/BOOT/BOOTX64.EFI", b"x")];
        assert_eq!(Disk::new("2048", "12", &files).edit().codes(), codes, "{text}");
    }
}

#[test]
fn shim_comes_with_its_grub() {
    let (shim, grub, keys) =
        (loader("shim", 900_001), loader("grub", 2_500_000), loader("mm", 800));
    for (kib, fat) in [("40000", "32"), ("20000", "16"), ("8000", "12")] {
        let disk = Disk::new(
            kib,
            fat,
            &[
                ("EFI/aaa/grubx64.efi", b"other"),
                ("EFI/debian/shimx64.efi", &shim),
                ("EFI/debian/grubx64.efi", &grub),
                ("EFI/debian/mmx64.efi", &keys),
                ("EFI/debian/fbx64.efi", b"not this"),
                ("EFI/debian/grub.cfg", b"search"),
            ],
        );
        let outcome = disk.edit();
        assert_eq!((outcome.paths(), outcome.codes().len()), (vec!["sda1"; 3], 0));
        assert_eq!(
            outcome.changes[2].action,
            "EFI/debian/shimx64.efi copied to EFI/BOOT/BOOTX64.EFI"
        );
        assert!(disk.read("EFI/BOOT/BOOTX64.EFI") == shim);
        assert!(disk.read("EFI/BOOT/grubx64.efi") == grub);
        assert!(disk.read("EFI/BOOT/mmx64.efi") == keys);
        let image = disk.image();
        let list = content("mtools", "mdir", &["-b", "-i", image.to_str().unwrap(), "::/EFI/BOOT"]);
        assert_eq!(list.lines().count(), 3, "{list}");
        // The same disk gives the same bytes.
        let again = Disk::new("8000", "12", &[("EFI/debian/grubx64.efi", &grub)]);
        let twin = Disk::new("8000", "12", &[("EFI/debian/grubx64.efi", &grub)]);
        *twin.block.0.lock().unwrap() = again.bytes();
        again.edit();
        twin.edit();
        assert!(again.bytes() == twin.bytes());
    }
}

#[test]
fn other_loaders_and_architectures() {
    let disk = Disk::new(
        "8000",
        "12",
        &[
            ("EFI/systemd/systemd-bootx64.efi", b"sd"),
            ("EFI/debian/grubia32.efi", b"g32"),
            ("EFI/Microsoft/grubaa64.efi", b"no"),
        ],
    );
    assert_eq!(disk.edit().changes.len(), 2);
    assert_eq!(disk.read("EFI/BOOT/BOOTX64.EFI"), b"sd");
    assert_eq!(disk.read("EFI/BOOT/BOOTIA32.EFI"), b"g32");
}

#[test]
fn what_is_there_stays() {
    let files: [(&str, &[u8]); 3] = [
        ("efi/boot/bootx64.efi", b"mine"),
        ("efi/debian/grubx64.efi", b"g"),
        ("efi/debian/shimx64.efi", b"s"),
    ];
    for files in [&files[..], &[]] {
        let disk = Disk::new("40000", "32", files);
        let before = disk.bytes();
        let outcome = disk.edit();
        assert_eq!((outcome.changes.len(), outcome.codes().len()), (0, 0));
        assert!(disk.bytes() == before, "looking at it changes nothing");
    }
}

#[test]
fn a_full_partition_stays_as_it_is() {
    let big = loader("grub", 1_500_000);
    let disk = Disk::new("2000", "12", &[("EFI/debian/grubx64.efi", &big)]);
    let before = disk.bytes();
    let outcome = disk.edit();
    assert_eq!((outcome.changes.len(), outcome.codes()), (0, vec!["esp-unchanged"]));
    assert!(disk.bytes() == before);
}

/// A block with some bytes replaced; what is written to it is only noticed.
struct Patched {
    base: Arc<Vec<u8>>,
    patches: Vec<(usize, u8)>,
    written: AtomicBool,
}

impl Block for Patched {
    fn size(&self) -> u64 {
        self.base.len() as u64
    }
    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        let start = offset as usize;
        buf.copy_from_slice(&self.base[start..start + buf.len()]);
        for (at, byte) in &self.patches {
            if (start..start + buf.len()).contains(at) {
                buf[at - start] = *byte;
            }
        }
        Ok(())
    }
    fn write_at(&self, data: &[u8], offset: u64) -> Result<()> {
        assert!(offset as usize + data.len() <= self.base.len());
        self.written.store(true, Ordering::Relaxed);
        Ok(())
    }
    fn zero(&self, _: u64, _: u64) -> Result<()> {
        unreachable!()
    }
}

/// Damaged file systems end in a warning or in a copy, never in a panic or a loop.
#[test]
fn damaged_file_systems_are_told() {
    let shim = loader("shim", 9000);
    let (mut told, mut seed) = (0, 0x2545_f491_4f6c_dd1d_u64);
    let mut random = |below: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed % below as u64) as usize
    };
    for (kib, fat) in [("40000", "32"), ("4000", "12")] {
        let files: [(&str, &[u8]); 2] =
            [("EFI/debian/shimx64.efi", &shim), ("EFI/debian/grubx64.efi", &shim)];
        let disk = Disk::new(kib, fat, &files);
        let base = Arc::new(disk.bytes());
        // The boot sector, the tables and the folders have most of what can be wrong.
        let used = (0..base.len()).filter(|at| base[*at] != 0);
        let used: Vec<usize> = used.filter(|at| !base[*at..].starts_with(b"shim")).collect();
        for round in 0..300 {
            let mut patch = || {
                let at = if round % 2 == 0 { used[random(used.len())] } else { random(96) };
                (at, [0, 1, 2, 0x0f, 0x7f, 0xff, random(256) as u8][random(7)])
            };
            let patches = (0..=round % 4).map(|_| patch()).collect();
            let block = Patched { base: base.clone(), patches, written: AtomicBool::new(false) };
            let block = Arc::new(block);
            let mut volume = disk.volume.clone();
            volume.block = block.clone();
            let none = &mut MemoryTree::default();
            let outcome = once(&EDIT, none, &facts(Init::Systemd), &[volume]);
            told += outcome.codes().len();
            assert_eq!(block.written.load(Ordering::Relaxed), !outcome.changes.is_empty());
        }
    }
    assert!(told > 20, "{told}");
    for bytes in [vec![], vec![0; 100], vec![0xff; 5000]] {
        let disk = Disk::new("4000", "12", &[]);
        *disk.block.0.lock().unwrap() = bytes;
        assert_eq!(disk.edit().codes(), ["esp-unchanged"]);
    }
}
