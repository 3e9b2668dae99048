//! Partitions, logical volumes and what is in them, against the tools that everybody uses.

mod common;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use common::lvm::{self, Layout, Memory, linear, striped, volume_group};
use common::{folder_in_memory, judge, noise};
use proptest::prelude::*;
use stratus::guest::block::Block;
use stratus::guest::volumes::{Found, Holds, Volume, find};

const MIB: usize = 1 << 20;
const SECTOR: usize = 512;

fn found(bytes: Vec<u8>) -> Found {
    find(&Memory::disk(bytes)).unwrap()
}

fn found_in(image: &Path) -> Found {
    found(fs::read(image).unwrap())
}

#[track_caller]
fn names(found: &Found) -> Vec<&str> {
    found.volumes.iter().map(|volume| volume.name.as_str()).collect()
}

fn codes(found: &Found) -> Vec<&str> {
    found.warnings.iter().map(|warning| warning.code.as_str()).collect()
}

#[track_caller]
fn volume<'a>(found: &'a Found, name: &str) -> &'a Volume {
    let volume = found.volumes.iter().find(|volume| volume.name == name);
    volume.unwrap_or_else(|| panic!("no {name} in {:?}, {:?}", names(found), found.warnings))
}

fn bytes(volume: &Volume) -> Vec<u8> {
    let mut bytes = vec![0; volume.block.size() as usize];
    volume.block.read_at(&mut bytes, 0).unwrap();
    bytes
}

/// Runs a tool that must succeed; returns what it prints.
#[track_caller]
fn said(command: &mut Command) -> String {
    let output = command.env("LC_ALL", "C.UTF-8").output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[track_caller]
fn fed(command: &mut Command, input: &str) {
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap();
    // Not every program asks.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {error}\n{input}");
}

fn empty_image(folder: &Path, size: usize) -> std::path::PathBuf {
    let image = folder.join("disk.img");
    let _ = fs::remove_file(&image);
    fs::File::create(&image).unwrap().set_len(size as u64).unwrap();
    image
}

/// Compares the partitions with those that sfdisk prints.
#[track_caller]
fn agrees_with_sfdisk(image: &Path) -> Found {
    let found = found_in(image);
    let table = said(judge("sfdisk", "fdisk").arg("--json").arg(image));
    let table: serde_json::Value = serde_json::from_str(&table).unwrap();
    let table = &table["partitiontable"];
    let gpt = table["label"] == "gpt";
    let sector = table["sectorsize"].as_u64().unwrap_or(512);
    let extended = ["5", "f", "85"];
    let partitions = table["partitions"].as_array().cloned().unwrap_or_default();
    let expected: Vec<_> = partitions
        .iter()
        .filter(|part| gpt || !extended.contains(&part["type"].as_str().unwrap()))
        .map(|part| {
            let number = part["node"].as_str().unwrap().rsplit("img").next().unwrap();
            let (start, size) = (part["start"].as_u64().unwrap(), part["size"].as_u64().unwrap());
            let lower = |value: &serde_json::Value| value.as_str().map(str::to_lowercase);
            let uuid = match gpt {
                true => lower(&part["uuid"]),
                false => {
                    let id = table["id"].as_str().unwrap().trim_start_matches("0x");
                    let number: u32 = number.parse().unwrap();
                    (id != "00000000").then(|| format!("{id}-{number:02x}"))
                }
            };
            let label = part["name"].as_str().filter(|name| !name.is_empty()).map(str::to_owned);
            let esp = ["ef", "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"];
            let esp = esp.contains(&part["type"].as_str().unwrap());
            (format!("sda{number}"), start * sector, size * sector, uuid, label, esp)
        })
        .collect();
    let disk: Arc<dyn Block> = Memory::disk(fs::read(image).unwrap());
    let ours: Vec<_> = find(&disk)
        .unwrap()
        .volumes
        .into_iter()
        .map(|v| {
            // Where it begins is found by writing into it.
            v.block.write_at(b"this is a mark!!", 0).unwrap();
            let mut all = vec![0; disk.size() as usize];
            disk.read_at(&mut all, 0).unwrap();
            let at = all.chunks(512).position(|s| s.starts_with(b"this is a mark!!")).unwrap();
            v.block.zero(0, 16).unwrap();
            assert!(v.devices.contains(&format!("/dev/{}", v.name)), "{:?}", v.devices);
            assert_eq!(v.refused, None);
            (v.name, at as u64 * 512, v.block.size(), v.part_uuid, v.part_label, v.esp)
        })
        .collect();
    assert_eq!(ours, expected);
    found
}

/// A table of the PC with primary partitions in some slots, and logical ones.
fn mbr_script() -> impl Strategy<Value = String> {
    let slots = proptest::sample::subsequence(vec![1, 2, 3, 4], 1..=4);
    let sizes = proptest::collection::vec((1_usize..3000, 0_usize..3), 1..9);
    (slots, any::<bool>(), sizes, any::<u32>()).prop_map(|(slots, logical, sizes, id)| {
        let kinds = ["83", "ef", "8e"];
        let extended = ["5", "f", "85"];
        let mut script = format!("label: dos\nlabel-id: {id:#x}\nunit: sectors\n");
        let mut at = 2048;
        let (last, primary) = slots.split_last().unwrap();
        for (slot, (size, kind)) in primary.iter().zip(&sizes) {
            script += &format!("{slot} : start={at}, size={size}, type={}\n", kinds[*kind]);
            at += size + 64;
        }
        if !logical {
            return script + &format!("{last} : start={at}, size=100, type=83\n");
        }
        let len: usize = sizes.iter().map(|(size, _)| size + 64).sum();
        let kind = extended[sizes[0].1];
        script += &format!("{last} : start={at}, size={len}, type={kind}\n");
        for (number, (size, kind)) in (5..).zip(&sizes) {
            at += 64;
            script += &format!("{number} : start={at}, size={size}, type={}\n", kinds[*kind]);
            at += size;
        }
        script
    })
}

fn gpt_script() -> impl Strategy<Value = String> {
    let numbers = proptest::sample::subsequence((1..=128).collect::<Vec<u32>>(), 1..8);
    let parts =
        proptest::collection::vec((1_usize..3000, any::<bool>(), "[ a-zA-Zä€😀0-9]{0,17}"), 8);
    (numbers, parts, any::<[u8; 16]>()).prop_map(|(numbers, parts, uuid)| {
        let mut script = "label: gpt\nunit: sectors\n".to_owned();
        let mut at = 2048;
        for (number, (size, esp, name)) in numbers.iter().zip(parts) {
            let kind = if esp { "U" } else { "L" };
            let mut uuid = uuid;
            uuid[15] = *number as u8;
            let hex: String = uuid.iter().map(|byte| format!("{byte:02x}")).collect();
            let uuid = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-");
            let name = name.trim();
            let line =
                format!("start={at}, size={size}, type={kind}, uuid={uuid}, name=\"{name}\"");
            script += &format!("{number} : {line}\n");
            at += size;
        }
        script
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(24) })]

    #[test]
    fn tables_are_read_as_sfdisk_reads_them(script in prop_oneof![mbr_script(), gpt_script()]) {
        let folder = folder_in_memory();
        let image = empty_image(folder.path(), 16 * MIB);
        fed(judge("sfdisk", "fdisk").args(["--no-reread", "--no-tell-kernel"]).arg(&image), &script);
        let found = agrees_with_sfdisk(&image);
        prop_assert!(found.warnings.is_empty(), "{:?}", found.warnings);
    }
}

#[test]
fn tables_of_other_programs() {
    let folder = folder_in_memory();
    let image = empty_image(folder.path(), 16 * MIB);
    let mut parted = judge("parted", "parted");
    said(
        parted.arg("-s").arg(&image).args(["mklabel", "msdos", "mkpart", "primary", "1MiB"]).args(
            ["4MiB", "mkpart", "extended", "4MiB", "12MiB", "mkpart", "logical", "5MiB", "7MiB"],
        ),
    );
    said(
        judge("parted", "parted").arg("-s").arg(&image).args(["mkpart", "logical", "8MiB", "9MiB"]),
    );
    assert_eq!(names(&agrees_with_sfdisk(&image)), ["sda1", "sda5", "sda6"]);

    let image = empty_image(folder.path(), 16 * MIB);
    let mut sgdisk = judge("sgdisk", "gdisk");
    sgdisk.args(["-n3:2048:+1M", "-c3:root", "-n1:0:+2M", "-t1:ef00", "-n128:0:+1M"]);
    said(sgdisk.args(["-h", "3"]).arg(&image));
    // A hybrid table: the GPT counts.
    assert_eq!(names(&agrees_with_sfdisk(&image)), ["sda1", "sda3", "sda128"]);
}

/// A GPT by sgdisk, with three partitions.
fn gpt() -> Vec<u8> {
    let folder = folder_in_memory();
    let image = empty_image(folder.path(), 4 * MIB);
    let mut sgdisk = judge("sgdisk", "gdisk");
    said(sgdisk.args(["-a1", "-n1:64:+64K", "-n2:0:+64K", "-n3:0:+1M"]).arg(&image));
    fs::read(image).unwrap()
}

#[test]
fn the_backup_of_a_gpt() {
    let sound = gpt();
    let three = ["sda1", "sda2", "sda3"];
    assert_eq!(names(&found(sound.clone())), three);
    let end = sound.len();
    for (what, at) in [("header", 512 + 24), ("entries", 1024 + 40)] {
        let mut first = sound.clone();
        first[at] ^= 1;
        let backup = found(first.clone());
        assert_eq!(
            (names(&backup).as_slice(), codes(&backup)),
            (&three[..], vec!["gpt-first-header-damaged"]),
            "{what}"
        );
        // sgdisk sees the same damage.
        let mut both = first;
        both[end - 512 + 24] ^= 1;
        let none = found(both);
        assert_eq!((names(&none), codes(&none)), (vec!["disk"], vec!["partition-table-damaged"]));
        assert!(none.volumes[0].refused.is_some());
    }
    // Without the protective MBR nobody takes it for a GPT.
    let mut bare = sound.clone();
    bare[..512].fill(0);
    assert_eq!(codes(&found(bare)), ["partition-table-damaged"]);
    // A disk that has grown: the first header is enough.
    let mut grown = sound;
    grown.resize(end + MIB, 0);
    assert_eq!(names(&found(grown)), three);
}

#[test]
fn a_gpt_of_large_sectors() {
    let folder = folder_in_memory();
    let image = empty_image(folder.path(), 16 * MIB);
    fed(judge("fdisk", "fdisk").args(["-b", "4096"]).arg(&image), "g\nn\n2\n512\n1023\nw\n");
    let found = found_in(&image);
    assert_eq!(names(&found), ["sda2"]);
    assert_eq!(found.volumes[0].block.size(), 2 << 20);
}

/// Writes an entry of a table of the PC into a sector.
fn entry(sector: &mut [u8], slot: usize, kind: u8, start: u32, len: u32) {
    let at = 0x1be + slot * 16;
    sector[at + 4] = kind;
    sector[at + 8..at + 12].copy_from_slice(&start.to_le_bytes());
    sector[at + 12..at + 16].copy_from_slice(&len.to_le_bytes());
    sector[510..512].copy_from_slice(&[0x55, 0xaa]);
}

#[test]
fn partitions_that_lie() {
    let mut disk = vec![0; MIB];
    entry(&mut disk, 0, 0x83, 100, 200);
    entry(&mut disk, 1, 0x83, 250, 100);
    entry(&mut disk, 2, 0x83, 1000, 5000);
    entry(&mut disk, 3, 0x83, 400, 10);
    let liars = found(disk.clone());
    assert_eq!(names(&liars), ["sda1", "sda2", "sda3", "sda4"]);
    assert_eq!(codes(&liars), ["partition-beyond-end", "partitions-overlap"]);
    let refused =
        |found: &Found| found.volumes.iter().map(|v| v.refused.is_some()).collect::<Vec<_>>();
    assert_eq!(refused(&liars), [true, true, true, false]);
    assert_eq!(volume(&liars, "sda3").block.size(), (2048 - 1000) * 512);
    // No disk ID: no PARTUUID, as blkid has it.
    assert_eq!(liars.volumes[0].part_uuid, None);
    entry(&mut disk, 3, 0x83, 5000, 10);
    assert_eq!(names(&found(disk)), ["sda1", "sda2", "sda3"]);
}

#[test]
fn chains_that_lie() {
    let base = || {
        let mut disk = vec![0; 4 * MIB];
        entry(&mut disk, 1, 0x0f, 100, 6000);
        entry(&mut disk[100 * SECTOR..], 0, 0x83, 10, 20);
        disk
    };
    // A link to itself, and to one before.
    for link in [0_u32, 200] {
        let mut disk = base();
        entry(&mut disk[100 * SECTOR..], 1, 0x05, 200, 100);
        entry(&mut disk[300 * SECTOR..], 0, 0x83, 10, 20);
        entry(&mut disk[300 * SECTOR..], 1, 0x05, link, 100);
        let found = found(disk);
        assert_eq!(
            (names(&found), codes(&found)),
            (vec!["sda5", "sda6"], vec!["partition-chain-loop"])
        );
    }
    // Into nothing, and beyond the end.
    for link in [500, u32::MAX] {
        let mut disk = base();
        entry(&mut disk[100 * SECTOR..], 1, 0x85, link, 100);
        let found = found(disk);
        assert_eq!((names(&found), codes(&found)), (vec!["sda5"], vec!["partition-chain-broken"]));
    }
    // Longer than any disk has.
    let mut disk = base();
    for i in 0..3000 {
        let at = (100 + i as usize) * SECTOR;
        entry(&mut disk[at..], 0, 0x83, 4000, 1);
        entry(&mut disk[at..], 1, 0x05, i + 1, 1);
    }
    let long = found(disk);
    assert!(long.volumes.len() <= 256, "{}", long.volumes.len());
    assert!(codes(&long).contains(&"too-many-partitions"));
}

/// What blkid says of a part of a file.
fn blkid(image: &Path, offset: usize, size: usize, tag: &str) -> Option<String> {
    let mut blkid = judge("blkid", "util-linux");
    blkid.args(["-p", "-O", &offset.to_string(), "-S", &size.to_string()]);
    let output = blkid.args(["-o", "value", "-s", tag]).arg(image).output().unwrap();
    // 2 is "nothing found".
    assert!(matches!(output.status.code(), Some(0 | 2)), "{blkid:?}: {output:?}");
    let text = String::from_utf8(output.stdout).unwrap().trim_end_matches('\n').to_owned();
    (!text.is_empty()).then_some(text)
}

#[track_caller]
fn agrees_with_blkid(volume: &Volume, image: &Path, offset: usize) {
    let size = volume.block.size() as usize;
    let [kind, uuid, label] = ["TYPE", "UUID", "LABEL"].map(|tag| blkid(image, offset, size, tag));
    let ours = (&volume.filesystem, &volume.uuid, &volume.label);
    assert_eq!(ours, (&kind.unwrap_or_default(), &uuid, &label), "{}", volume.name);
}

/// Programs that make file systems: package, command, size in MiB, what it holds.
const MAKERS: &[(&str, &str, usize, Holds)] = &[
    ("e2fsprogs", "mkfs.ext2 -q -F -L two", 8, Holds::Ext),
    ("e2fsprogs", "mkfs.ext3 -q -F -L three", 8, Holds::Ext),
    ("e2fsprogs", "mkfs.ext4 -q -F -L sixteen-letters-", 8, Holds::Ext),
    ("e2fsprogs", "mkfs.ext4 -q -F -O ^has_journal", 8, Holds::Ext),
    ("e2fsprogs", "mkfs.ext4 -q -F -b 4096 -U 00112233-4455-6677-8899-aabbccddeeff", 8, Holds::Ext),
    ("e2fsprogs", "mkfs.ext2 -q -F -O extents", 8, Holds::Ext),
    ("e2fsprogs", "mkfs.ext4 -q -F -O journal_dev", 8, Holds::Other("jbd")),
    ("xfsprogs", "mkfs.xfs -q -L xlabel", 320, Holds::Xfs),
    ("btrfs-progs", "mkfs.btrfs -q -L butter", 120, Holds::Btrfs),
    ("dosfstools", "mkfs.fat -F 12 -n TWELVE", 4, Holds::Fat),
    ("dosfstools", "mkfs.fat -F 16 -n SIX_TEEN -i 0badcafe", 32, Holds::Fat),
    ("dosfstools", "mkfs.fat -F 32 -n THIRTYTWO", 64, Holds::Fat),
    ("dosfstools", "mkfs.fat -F 32 --mbr=yes", 64, Holds::Fat),
    ("dosfstools", "mkfs.fat -F 32 -S 4096", 300, Holds::Fat),
    ("exfatprogs", "mkfs.exfat -L ex-label", 16, Holds::Other("exfat")),
    ("ntfs-3g", "mkntfs -q -F -f -L windows", 16, Holds::Ntfs),
    ("ntfs-3g", "mkntfs -q -F -f -s 4096 -c 65536", 32, Holds::Ntfs),
    ("util-linux", "mkswap -q -L swp", 4, Holds::Swap),
    ("util-linux", "mkswap -q -p 65536", 4, Holds::Swap),
    ("f2fs-tools", "mkfs.f2fs -q", 64, Holds::Other("f2fs")),
    ("jfsutils", "mkfs.jfs -q -L jay", 32, Holds::Other("jfs")),
    ("reiserfsprogs", "mkreiserfs -q -f -l rei", 64, Holds::Other("reiserfs")),
    ("nilfs-tools", "mkfs.nilfs2 -q -L nil", 256, Holds::Other("nilfs2")),
    ("cryptsetup-bin", "cryptsetup -q luksFormat --type luks1", 16, Holds::Luks),
    ("cryptsetup-bin", "cryptsetup -q luksFormat --type luks2 --label lucky", 32, Holds::Luks),
];

/// Programs whose file systems are only recognised.
const OTHERS: &[(&str, &str, usize, &str)] = &[
    ("squashfs-tools", "mksquashfs FOLDER IMAGE -noappend -quiet", 1, "squashfs"),
    ("genisoimage", "genisoimage -quiet -o IMAGE FOLDER", 1, "iso9660"),
    ("udftools", "mkudffs -b 2048", 8, "udf"),
    ("makefs", "makefs -s 2m -t ffs -o version=1 IMAGE FOLDER", 1, "ufs"),
    ("makefs", "makefs -s 2m -t ffs -o version=2 IMAGE FOLDER", 1, "ufs"),
    ("makefs", "makefs -s 2m -B big -t ffs -o version=2 IMAGE FOLDER", 1, "ufs"),
    ("ocfs2-tools", "mkfs.ocfs2 -q -M local -J size=4M", 64, "ocfs2"),
    ("gfs2-utils", "mkfs.gfs2 -q -O -p lock_nolock -J 8", 64, "gfs2"),
];

/// Makes a file system by one of [`MAKERS`].
fn make(image: &Path, package: &str, command: &str) {
    let mut words = command.split(' ');
    let program = words.next().unwrap();
    let mut made = judge(program, package);
    let sub = folder_in_memory();
    fs::write(sub.path().join("file"), noise(3, 300_000)).unwrap();
    made.args(words.map(|word| match word {
        "IMAGE" => image,
        "FOLDER" => sub.path(),
        word => Path::new(word),
    }));
    if command.contains("IMAGE") {
        return fed(&mut made, "");
    }
    if program == "cryptsetup" {
        made.args(["--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000"]);
        made.arg(image).arg("-");
        return fed(&mut made, "secret");
    }
    fed(made.arg(image), "y\n");
}

#[test]
fn file_systems_are_named_as_blkid_names_them() {
    for (package, command, size, holds) in MAKERS {
        let folder = folder_in_memory();
        let image = empty_image(folder.path(), size * MIB);
        make(&image, package, command);
        let found = found_in(&image);
        assert_eq!(names(&found), ["disk"], "{command}");
        let disk = &found.volumes[0];
        assert_eq!(disk.holds, *holds, "{command}: {}", disk.filesystem);
        assert!(disk.devices.contains(&"/dev/sda".to_owned()), "{:?}", disk.devices);
        assert_eq!(disk.refused.is_some(), *holds == Holds::Luks, "{command}");
        agrees_with_blkid(disk, &image, 0);

        // The same as a partition.
        let content = fs::read(&image).unwrap();
        let (bytes, starts) = lvm::on_one_disk(&[(0x83, &content)]);
        fs::write(&image, &bytes).unwrap();
        let found = self::found(bytes);
        assert_eq!(names(&found), ["sda1"], "{command}");
        agrees_with_blkid(&found.volumes[0], &image, starts[0]);
        assert_eq!(found.volumes[0].part_uuid.as_deref(), Some("1234abcd-01"));
    }
}

#[test]
fn other_file_systems_are_recognised() {
    for (package, command, size, name) in OTHERS {
        let folder = folder_in_memory();
        let image = empty_image(folder.path(), size * MIB);
        make(&image, package, command);
        let found = found_in(&image);
        let disk = volume(&found, "disk");
        assert_eq!(
            (disk.filesystem.as_str(), disk.holds),
            (*name, Holds::Other(name)),
            "{command}"
        );
        let size = fs::metadata(&image).unwrap().len() as usize;
        assert_eq!(blkid(&image, 0, size, "TYPE").as_deref(), Some(*name), "{command}");
    }
}

/// What has no program here to make it, by its superblock alone; blkid judges these, too.
#[test]
fn superblocks_by_hand() {
    let size = 4 * MIB;
    let put = |disk: &mut Vec<u8>, at: usize, bytes: &[u8]| {
        disk[at..at + bytes.len()].copy_from_slice(bytes);
    };
    let md = |at: usize| {
        let mut superblock = vec![0; 512];
        superblock[..4].copy_from_slice(&0xa92b_4efc_u32.to_le_bytes());
        superblock[4] = 1;
        superblock[16..32].copy_from_slice(&noise(1, 16));
        superblock[32..38].copy_from_slice(b"host:0");
        superblock[144..152].copy_from_slice(&(at as u64 / 512).to_le_bytes());
        // Its checksum is the sum of its words, twice added to itself.
        let words = superblock[..256].chunks(4).map(|w| u32::from_le_bytes(w.try_into().unwrap()));
        let sum: u64 = words.map(u64::from).sum();
        let sum = (sum as u32).wrapping_add((sum >> 32) as u32);
        superblock[216..220].copy_from_slice(&sum.to_le_bytes());
        (at, superblock)
    };
    let old = || {
        let mut superblock = vec![0; 4096];
        superblock[..4].copy_from_slice(&0xa92b_4efc_u32.to_le_bytes());
        superblock[8] = 90;
        superblock[20..24].copy_from_slice(&noise(2, 4));
        superblock[52..64].copy_from_slice(&noise(3, 12));
        (size - (64 << 10), superblock)
    };
    let old_swap = (4086, b"SWAP-SPACE".to_vec());
    let suspended = (4086, b"S1SUSPEND\0".to_vec());
    let simple = |at, magic: &[u8], name| ((at, magic.to_vec()), name, Holds::Other(name));
    let raid = "linux_raid_member";
    for ((at, superblock), name, holds) in [
        (md(0), raid, Holds::Raid),
        (md(4096), raid, Holds::Raid),
        (md(size - 8192), raid, Holds::Raid),
        (old(), raid, Holds::Raid),
        (old_swap, "swap", Holds::Swap),
        (suspended, "swsuspend", Holds::Swap),
        simple(0, b"HM\x01\0", "LVM1_member"),
        simple(0, b"SnAp\x01\0\0\0", "DM_snapshot_cow"),
        simple(0, b"dmvdo001", "vdo"),
        simple(0, b"UBI#\x01", "ubi"),
        simple(0, b"\0\0\0ReFS\0", "ReFS"),
        simple(1024, b"\xe2\xe1\xf5\xe0", "erofs"),
        simple(65536, b"ReIsEr4", "reiser4"),
        simple(1 << 20, b"\x0d\xd0\x01\xc0", "VMFS_volume_member"),
        simple(2 << 20, b"\x5e\xf1\xab\x2f", "VMFS"),
        ((size - 1024, b"Intel Raid ISM Cfg Sig. ".to_vec()), "isw_raid_member", Holds::Raid),
        ((size - 512, b"\x11\xde\x11\xde".to_vec()), "ddf_raid_member", Holds::Raid),
    ] {
        let mut disk = vec![0; size];
        put(&mut disk, at, &superblock);
        let folder = folder_in_memory();
        let image = folder.path().join("disk.img");
        fs::write(&image, &disk).unwrap();
        let found = found(disk);
        assert_eq!(names(&found), ["disk"]);
        let volume = &found.volumes[0];
        assert_eq!((volume.filesystem.as_str(), volume.holds), (name, holds));
        assert_eq!(codes(&found).contains(&"guest-hibernated"), name == "swsuspend");
        assert_eq!(blkid(&image, 0, size, "TYPE").as_deref(), Some(name));
        if name == raid {
            agrees_with_blkid(volume, &image, 0);
            assert!(volume.uuid.is_some() && volume.refused.is_some());
        }
    }
}

#[test]
fn a_boot_sector_is_no_table() {
    let folder = folder_in_memory();
    let image = empty_image(folder.path(), 8 * MIB);
    make(&image, "e2fsprogs", "mkfs.ext4 -q -F");
    let mut disk = fs::read(&image).unwrap();
    // Code right up to the end of the sector.
    disk[..510].copy_from_slice(&noise(7, 510));
    disk[510..512].copy_from_slice(&[0x55, 0xaa]);
    assert_eq!(names(&found(disk.clone())), ["disk"]);
    // An empty table in front of a file system.
    disk[..510].fill(0);
    assert_eq!(names(&found(disk.clone())), ["disk"]);
    // A table and what is left of a file system: the table counts, as for Linux.
    entry(&mut disk, 0, 0x83, 2048, 2048);
    assert_eq!(names(&found(disk)), ["sda1"]);
}

fn mixed() -> Vec<lvm::Logical> {
    vec![linear("root", 20), linear("swap_1", 4), linear("var-log", 11)]
}

#[test]
fn logical_volumes_byte_by_byte() {
    let small = Layout { extent: 64 << 10, chunk: 16 << 10, ..Layout::default() };
    let two = vec![linear("a", 9), striped("b", 12, 2), striped("c", 9, 3)];
    for (volumes, layout) in [
        (mixed(), Layout::default()),
        (mixed(), Layout { piece: 1, label: 0, wrap: true, ..small.clone() }),
        (mixed(), Layout { piece: 50, label: 3, ..small.clone() }),
        (two.clone(), Layout { physical: 3, piece: 2, ..small.clone() }),
        (two, Layout { physical: 4, piece: 3, wrap: true, area: 60 << 10, ..small }),
    ] {
        let mut group = volume_group("vg-0.x", &volumes, &layout);
        for (seed, volume) in (1..).zip(&volumes) {
            let content = noise(seed, group.size(&volume.name));
            group.fill(&volume.name, &content);
        }
        let (disk, starts) = group.on_one_disk();
        let disk = Memory::disk(disk);
        let found = find(&disk).unwrap();
        assert_eq!(codes(&found), Vec::<&str>::new(), "{:?}", found.warnings);
        for wanted in &volumes {
            let name = &wanted.name;
            let volume = volume(&found, &format!("vg-0.x/{name}"));
            assert_eq!(volume.refused, None);
            assert!(bytes(volume) == group.contents(name), "{name}");
            let mapper = format!("/dev/mapper/vg--0.x-{}", name.replace('-', "--"));
            assert_eq!(volume.devices, [format!("/dev/vg-0.x/{name}"), mapper]);
            // Writes land in the same places, and nowhere else.
            let mut content = group.contents(name);
            let (at, len) = (content.len() / 3 - 77, content.len() / 2);
            volume.block.write_at(&noise(99, len), at as u64).unwrap();
            content[at..at + len].copy_from_slice(&noise(99, len));
            volume.block.zero(5, 100_000).unwrap();
            content[5..100_005].fill(0);
            group.fill(name, &content);
            assert!(volume.block.read_at(&mut [0], content.len() as u64).is_err());
            assert!(volume.block.zero(1, content.len() as u64).is_err());
        }
        for (number, start) in starts.iter().enumerate() {
            let mut now = vec![0; group.disks[number].len()];
            disk.read_at(&mut now, *start as u64).unwrap();
            assert!(now == group.disks[number], "physical volume {number} differs");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(48) })]

    /// Reading, writing and zeroing any range of stripes is what it is on plain bytes.
    #[test]
    fn stripes_are_a_disk(
        stripes in 1_usize..5,
        chunk in 0_usize..4,
        piece in 1_u64..4,
        acts in proptest::collection::vec((0_u8..3, 0.0..1.0, 0.0..1.0), 1..20),
    ) {
        let layout = Layout {
            extent: 32 << 10, chunk: 4096 << chunk, physical: 4, area: 28 << 10, piece,
            ..Layout::default()
        };
        let wanted = [striped("s", 4 * stripes as u64, stripes), linear("between", 7)];
        let mut group = volume_group("vg", &wanted, &layout);
        let mut model = noise(5, group.size("s"));
        group.fill("s", &model);
        let found = found(group.on_one_disk().0);
        let block = &volume(&found, "vg/s").block;
        for (act, from, len) in acts {
            let from = (from * model.len() as f64) as usize;
            let len = (len * (model.len() - from) as f64) as usize;
            match act {
                0 => {
                    let mut buf = vec![0; len];
                    block.read_at(&mut buf, from as u64).unwrap();
                    prop_assert!(buf == model[from..from + len]);
                }
                1 => {
                    block.write_at(&noise(len as u64, len), from as u64).unwrap();
                    model[from..from + len].copy_from_slice(&noise(len as u64, len));
                }
                _ => {
                    block.zero(from as u64, len as u64).unwrap();
                    model[from..from + len].fill(0);
                }
            }
        }
        prop_assert!(bytes(volume(&found, "vg/s")) == model);
    }
}

/// A group of one physical volume whose text is changed.
#[track_caller]
fn changed(from: &str, to: &str) -> Found {
    let mut group = volume_group("vg", &mixed(), &Layout { extent: 64 << 10, ..Layout::default() });
    assert!(group.text.contains(from), "{from}");
    let text = group.text.replacen(from, to, 1);
    group.write_metadata(&text);
    found(group.disks.swap_remove(0))
}

#[test]
fn what_is_not_served_is_refused_by_name() {
    for kind in [
        "thin",
        "thin-pool",
        "snapshot",
        "cache",
        "cache-pool",
        "raid1",
        "raid5_ls",
        "mirror",
        "vdo",
        "vdo-pool",
        "writecache",
        "integrity",
        "error",
        "zero",
    ] {
        let found = changed("type = \"striped\"", &format!("type = \"{kind}+X\""));
        let root = volume(&found, "vg/root");
        assert_eq!(root.refused, Some(format!("it is of type {kind}")));
        assert_eq!(volume(&found, "vg/swap_1").refused, None);
    }
    let status = "status = [\"READ\", \"WRITE\", \"VISIBLE\"]";
    for (from, to, why) in [
        (status, "status = [\"READ\", \"VISIBLE\", \"LOCKED\"]", "PVMOVE"),
        (status, "status = [\"READ\", \"VISIBLE\"]", "read-only"),
        ("segment_count = 7", "segment_count = 8", "missing"),
        ("start_extent = 3", "start_extent = 4", "do not join"),
        ("\"pv0\", 0", "\"pv0\", 4000", "beyond its physical"),
        ("\"pv0\", 0", "\"pv0\", -1", "damaged"),
        ("\"pv0\", 0", "\"pvmove0\", 0", "other logical"),
        ("stripe_count = 1", "stripe_count = 2\nstripe_size = 8", "damaged"),
        ("stripe_count = 1", "stripe_count = 0", "damaged"),
    ] {
        let found = changed(from, to);
        let root = volume(&found, "vg/root");
        let refused = root.refused.as_deref().unwrap_or("nothing");
        assert!(refused.contains(why), "{to}: {refused}");
    }
    let missing = changed("flags = []\ndev_size", "flags = [\"MISSING\"]\ndev_size");
    assert!(missing.volumes[1..].iter().all(|v| v.refused.as_ref().unwrap().contains("missing")));
    // Not visible: not listed.
    let hidden = changed(status, "status = [\"READ\", \"WRITE\"]");
    assert_eq!(names(&hidden), ["disk", "vg/swap_1", "vg/var-log"]);
    // The old kind of snapshot hinders both sides.
    let cow = "\nsnapshot0 {\nid = \"\"\nstatus = [\"READ\", \"WRITE\"]\nsegment_count = 1\nsegment1 {\ntype = \"snapshot\"\norigin = \"root\"\ncow_store = \"swap_1\"\n}\n}\nroot {";
    let snapshot = changed("\nroot {", cow);
    assert!(volume(&snapshot, "vg/root").refused.as_ref().unwrap().contains("snapshot of it"));
    assert_eq!(volume(&snapshot, "vg/swap_1").refused.as_deref(), Some("it is a snapshot"));
    assert_eq!(volume(&snapshot, "vg/var-log").refused, None);
}

#[test]
fn damaged_metadata_are_a_warning() {
    let id = lvm::dashed(&lvm::id("vg pv0"));
    for (from, to) in [
        ("vg {", "../vg {"),
        ("vg {", "a/b {"),
        ("root {", "-root {"),
        ("root {", ".. {"),
        ("root {", "ro@ot {"),
        ("extent_size = 128", "extent_size = 0"),
        ("pe_count", "pe_cnt"),
        ("seqno = 2", "seqno = 2 seqno = 3"),
        ("seqno = 2", "seqno = [[]]"),
        // Two names for one physical volume.
        (
            "}\n}\n\nlogical",
            &format!("}}\npvx {{\nid = \"{id}\"\npe_start = 9\npe_count = 9\n}}\n}}\n\nlogical"),
        ),
        // Two segments on one extent.
        ("\"pv0\", 3", "\"pv0\", 0"),
    ] {
        let found = changed(from, to);
        assert_eq!((names(&found), codes(&found)), (vec!["disk"], vec!["lvm-damaged"]), "{to}");
    }
    // Extents so large that bytes overflow.
    let large = changed("extent_size = 128", "extent_size = 9223372036854775807");
    assert!(large.volumes[1..].iter().all(|volume| volume.refused.is_some()));
}

#[test]
fn physical_volumes_that_are_missing_or_there_twice() {
    let layout = Layout { extent: 64 << 10, physical: 2, piece: 2, ..Layout::default() };
    let group = volume_group("vg", &[linear("a", 3), linear("b", 2)], &layout);
    let alone = found(group.disks[0].clone());
    let refused = |found: &Found, name: &str| volume(found, name).refused.clone().unwrap();
    assert_eq!(refused(&alone, "vg/b"), "physical volume pv1 is not on this disk");
    let parts: Vec<_> = [0, 1, 0].iter().map(|i| (0x8e, group.disks[*i].as_slice())).collect();
    let twice = found(lvm::on_one_disk(&parts).0);
    assert_eq!(refused(&twice, "vg/a"), "physical volume pv0 is on this disk twice");
    // The newest metadata count.
    let mut newer = group.clone();
    let text = newer.text.replace("seqno = 2", "seqno = 3").replace("\nb {", "\nbb {");
    newer.write_metadata(&text);
    let parts = [(0x8e, group.disks[0].as_slice()), (0x8e, newer.disks[1].as_slice())];
    let found = found(lvm::on_one_disk(&parts).0);
    assert_eq!(names(&found), ["sda1", "sda2", "vg/a", "vg/bb"]);
}

/// Damage anywhere in what is looked at: an answer or an error, but no panic and no hang.
fn endures(disk: &[u8], places: impl Iterator<Item = usize>) {
    for at in places {
        for change in [0x01, 0x80, 0xff] {
            let mut broken = disk.to_vec();
            broken[at] ^= change;
            look(broken);
        }
    }
}

fn look(disk: Vec<u8>) {
    for volume in found(disk).volumes {
        let mut end = [0; 1];
        let size = volume.block.size();
        if size > 0 {
            volume.block.read_at(&mut end, size - 1).unwrap();
        }
        assert!(volume.block.read_at(&mut end, size).is_err());
    }
}

#[test]
fn every_byte_of_every_header_may_be_wrong() {
    let mut mbr = vec![0; 64 << 10];
    entry(&mut mbr, 1, 0x05, 10, 100);
    entry(&mut mbr, 0, 0x83, 1, 5);
    entry(&mut mbr[10 * SECTOR..], 0, 0x83, 1, 5);
    entry(&mut mbr[10 * SECTOR..], 1, 0x05, 20, 5);
    entry(&mut mbr[30 * SECTOR..], 0, 0x83, 1, 5);
    let table = 0x1b8..0x200;
    let tables = [0, 10, 30].iter().flat_map(|n| table.clone().map(move |at| n * SECTOR + at));
    endures(&mbr, tables);

    let mut gpt = vec![0; 128 << 10];
    let sound = self::gpt();
    gpt[..64 << 10].copy_from_slice(&sound[..64 << 10]);
    endures(&gpt, (0x1b8..0x200).chain(512..604).chain(1024..1160));

    let layout = Layout { extent: 4096, chunk: 4096, area: 12 << 10, ..Layout::default() };
    let group = volume_group("vg", &[linear("a", 5), linear("b", 4)], &layout);
    let disk = &group.disks[0];
    endures(disk, (512..700).chain(4096..4170).chain((5120..6600).step_by(7)));
    // The same with checksums that hold.
    let text = group.text.as_bytes();
    for at in 0..text.len() {
        for byte in [b'0', b'9', b'"', b'{', b'}', b'[', b'a', b'\n', 0] {
            let mut broken = text.to_vec();
            broken[at] = byte;
            let mut disk = disk.clone();
            lvm::write_physical(&mut disk, &"x".repeat(32), &broken, &layout);
            look(disk);
        }
    }
}

#[test]
fn every_byte_of_every_superblock_may_be_wrong() {
    for (package, command, ..) in MAKERS.iter().filter(|(.., size, _)| *size <= 16) {
        let folder = folder_in_memory();
        let image = empty_image(folder.path(), 16 * MIB);
        make(&image, package, command);
        // Only the start: the rest costs time, and being cut off is one of the cases.
        let mut disk = fs::read(&image).unwrap();
        disk.truncate(200 << 10);
        let used = disk[..2048].iter().enumerate().filter(|(_, byte)| **byte != 0);
        endures(&disk, used.map(|(at, _)| at).step_by(2));
    }
}

/// As much metadata as is read, and more volumes than are listed.
#[test]
fn a_forged_giant_is_bounded() {
    let wide = Layout { extent: 4096, area: 20 << 20, ..Layout::default() };
    let mut many: Vec<_> = (0..10_000).map(|i| linear(&format!("lv{i}"), 1)).collect();
    let group = volume_group("vg", &many, &wide);
    assert!(group.text.len() > 2 * MIB);
    let start = std::time::Instant::now();
    let found = found(group.disks[0].clone());
    assert_eq!((found.volumes.len(), codes(&found)), (512, vec!["too-many-volumes"]));
    many = (0..40_000).map(|i| linear(&format!("lv{i}"), 1)).collect();
    let group = volume_group("vg", &many, &wide);
    assert!(group.text.len() > 8 * MIB);
    let found = self::found(group.disks[0].clone());
    assert_eq!((names(&found), codes(&found)), (vec!["disk"], vec!["lvm-damaged"]));
    // It takes some tenths of a second, on machines that do nothing else.
    assert!(start.elapsed().as_secs() < 60, "{:?}", start.elapsed());
}

#[test]
fn a_disk_may_end_anywhere() {
    let layout = Layout { extent: 4096, chunk: 4096, area: 12 << 10, ..Layout::default() };
    let group = volume_group("vg", &[linear("a", 5), linear("b", 4)], &layout);
    let near = |at: usize| [at.saturating_sub(1), at, at + 1];
    for disk in [group.disks[0].clone(), group.on_one_disk().0, gpt()] {
        let places =
            [0, 512, 1024, 1536, 2048, 4096, 4608, 8192, 16384, 17408, 32768, 65536, 66048];
        let later = [80 << 10, 128 << 10, 132 << 10, 1 << 20, (1 << 20) + 5000, disk.len() - 512];
        for cut in places.iter().chain(&later).flat_map(|at| near(*at)) {
            look(disk[..cut.min(disk.len())].to_vec());
        }
    }
}

/// A loop device, which goes away with the test.
struct Loop(String);

impl Loop {
    fn on(image: &Path) -> Self {
        let mut losetup = judge("losetup", "mount");
        let output = losetup.args(["-f", "--show"]).arg(image).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "loop devices are for root alone: {error}");
        Loop(String::from_utf8(output.stdout).unwrap().trim().to_owned())
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let _ = Command::new("losetup").args(["-d", &self.0]).status();
    }
}

/// A command of lvm2 that sees only these devices, and no device mapper.
fn lvm2(command: &str, devices: &[Loop]) -> Command {
    let accept: String = devices.iter().map(|d| format!("\"a|^{}$|\",", d.0)).collect();
    let mut lvm2 = judge(command, "lvm2");
    lvm2.arg("--config").arg(format!(
        "devices {{ filter=[{accept}\"r|.*|\"] use_devicesfile=0 scan=[\"/dev\"] \
         obtain_device_list_from_udev=0 external_device_info_source=\"none\" }} \
         backup {{ backup=0 archive=0 }} activation {{ udev_sync=0 udev_rules=0 }} \
         global {{ event_activation=0 }}"
    ));
    lvm2.args(["--driverloaded", "n", "--nolocking"]);
    lvm2
}

/// A segment as lvm2 prints it: name of its volume, bytes, number of the device and first extent of
/// each stripe.
type Seen = (String, u64, Vec<(usize, u64)>);

/// The segments of all logical volumes by lvm2.
fn segments_by_lvm2(devices: &[Loop]) -> Vec<Seen> {
    let mut lvs = lvm2("lvs", devices);
    lvs.args(["--noheadings", "--separator", ";", "--units", "b", "--nosuffix"]);
    lvs.env("LVM_SUPPRESS_FD_WARNINGS", "1");
    let lines = said(lvs.args(["-o", "lv_name,seg_size,seg_pe_ranges", "-O", "lv_name,seg_start"]));
    let of = |line: &str| {
        let fields: Vec<_> = line.trim().split(';').collect();
        let stripes = fields[2].split(' ').map(|range| {
            let (device, extents) = range.split_once(':').unwrap();
            let on = devices.iter().position(|d| d.0 == device).unwrap();
            (on, extents.split('-').next().unwrap().parse().unwrap())
        });
        (fields[0].to_owned(), fields[1].parse().unwrap(), stripes.collect())
    };
    lines.lines().map(of).collect()
}

/// Of groups that we write, lvm2 sees the same extents; and its tools find no fault with the
/// headers.
#[test]
fn lvm2_reads_our_groups() {
    // lvm2 does not look at devices below 2 MiB.
    let layout = Layout { physical: 2, piece: 2, extent: 512 << 10, ..Layout::default() };
    for layout in [Layout { wrap: true, ..layout.clone() }, layout] {
        let group = volume_group("vg", &[linear("a", 5), striped("b", 8, 2)], &layout);
        let folder = folder_in_memory();
        let images = [0, 1].map(|number| {
            let image = folder.path().join(format!("pv{number}"));
            fs::write(&image, &group.disks[number]).unwrap();
            image
        });
        let headers = said(judge("pvck", "lvm2").args(["--dump", "headers"]).arg(&images[0]));
        assert!(headers.contains("metadata text at") && !headers.contains("invalid"), "{headers}");
        let devices = images.map(|image| Loop::on(&image));
        let first = 1 << 20;
        let seen: Vec<_> = segments_by_lvm2(&devices)
            .into_iter()
            .map(|(name, len, stripes)| {
                let at = |(on, extent): (usize, u64)| (on, first + extent as usize * layout.extent);
                (name, len as usize, stripes.into_iter().map(at).collect::<Vec<_>>())
            })
            .collect();
        for (name, runs) in &group.runs {
            let segments = seen.iter().filter(|(seen, ..)| seen == name);
            let places: Vec<_> = segments.clone().flat_map(|(.., places)| places.clone()).collect();
            let len: usize = segments.map(|(_, len, _)| len).sum();
            assert_eq!(len, group.size(name));
            // Each place that lvm2 names begins one of our runs.
            assert!(places.len() >= 3, "{places:?}");
            for (on, at) in places {
                assert!(runs.iter().any(|run| (run.on, run.at) == (on, at)), "{name}: {on} {at}");
            }
        }
    }
}

/// Groups that lvm2 makes, and changes, are read with the same extents.
#[test]
fn we_read_groups_of_lvm2() {
    let folder = folder_in_memory();
    let images = [0, 1].map(|number| {
        let image = folder.path().join(format!("pv{number}"));
        fs::File::create(&image).unwrap().set_len(32 << 20).unwrap();
        image
    });
    let devices = images.clone().map(|image| Loop::on(&image));
    let paths = devices.each_ref().map(|device| device.0.clone());
    said(lvm2("pvcreate", &devices).arg("-ff").arg("-y").args(&paths));
    said(lvm2("vgcreate", &devices).args(["-s", "1m", "v-g"]).args(&paths));
    let create = |args: &[&str]| {
        said(lvm2("lvcreate", &devices).args(["-an", "-Zn", "-Wn"]).args(args).arg("v-g"));
    };
    create(&["-l", "5", "-n", "lin-1"]);
    create(&["-l", "3", "-n", "lin2"]);
    create(&["-i2", "-I64k", "-l", "8", "-n", "striped"]);
    said(lvm2("lvextend", &devices).args(["-l", "+4", "v-g/lin-1"]));
    said(lvm2("lvremove", &devices).args(["-f", "v-g/lin2"]));
    said(lvm2("lvextend", &devices).args(["-l", "+6", "v-g/lin-1"]));
    for round in 0..30 {
        // Each change writes the text behind the one before: enough long ones wrap the ring.
        let mut change = lvm2("vgchange", &devices);
        for number in 0..20 {
            change.args(["--addtag", &format!("{}-{round}-{number}", "tag".repeat(300))]);
        }
        said(change.arg("v-g"));
        if wraps(&images[0]) {
            break;
        }
    }
    assert!(wraps(&images[0]), "the ring never went round");
    let expected = segments_by_lvm2(&devices);
    drop(devices);
    // A physical volume as a whole is a partition of this disk.
    let contents = images.map(|image| noisy(fs::read(image).unwrap()));
    let parts: Vec<_> = contents.iter().map(|content| (0x8e, content.as_slice())).collect();
    let found = found(lvm::on_one_disk(&parts).0);
    assert_eq!(codes(&found), Vec::<&str>::new(), "{:?}", found.warnings);
    for name in ["lin-1", "striped"] {
        let mut wanted = Vec::new();
        for (_, len, stripes) in expected.iter().filter(|(seen, ..)| seen == name) {
            let each = *len as usize / stripes.len();
            let chunk = if stripes.len() > 1 { 64 << 10 } else { each };
            for row in (0..each).step_by(chunk) {
                for (on, extent) in stripes {
                    let at = MIB * (1 + *extent as usize) + row;
                    wanted.extend_from_slice(&contents[*on][at..at + chunk]);
                }
            }
        }
        assert!(wanted.len() >= 8 * MIB);
        assert!(bytes(volume(&found, &format!("v-g/{name}"))) == wanted, "{name}");
    }
}

/// Noise where the extents are.
fn noisy(mut disk: Vec<u8>) -> Vec<u8> {
    let seed = disk[544..552].iter().map(|byte| u64::from(*byte)).sum();
    let len = disk.len() - MIB;
    disk[MIB..].copy_from_slice(&noise(seed, len));
    disk
}

/// Whether the text of a physical volume goes round the end of its ring.
fn wraps(image: &Path) -> bool {
    let disk = fs::read(image).unwrap();
    let number = |at: usize| u64::from_le_bytes(disk[at..at + 8].try_into().unwrap());
    number(4096 + 40) + number(4096 + 48) > number(4096 + 32)
}
