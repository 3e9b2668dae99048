//! Guests that cannot be prepared: refused by name, nothing left behind, and converted as they are
//! if the user wants that. And guests whose journals have to be replayed first.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use common::ext::{SUPERBLOCK, debugfs, dumpe2fs, fsck, patch};
use common::guest::{
    Entry, Part, assert_prepared, convert, differing, file_system, listing, partitioned, root, tree,
};
use common::lvm::{Layout, linear, volume_group};
use common::{exits, folder_in_memory, gunzip, judge, stderr, testdata};

const FSTAB: &str = "/dev/sda1 / ext4 defaults 0 1\n";

/// The guest in one partition.
fn disk_of(file_system: &[u8]) -> Vec<u8> {
    let folder = folder_in_memory();
    partitioned(folder.path(), "dos", &[Part::new("/", file_system)]).bytes
}

/// Asserts what a refusal is: exit code 65 and words, under `require`; the bytes as they are and a
/// warning with the same words, under `try`; the bytes as they are, under `off`.
#[track_caller]
fn refused(what: &str, disk: &[u8], words: &[&str]) {
    let said = |text: &str| {
        for word in words {
            assert!(text.contains(word), "{what}: no '{word}' in: {text}");
        }
    };
    let converted = convert(disk, &[]);
    println!("{what}: {}", stderr(&converted.output));
    exits(&converted.output, 65);
    said(&stderr(&converted.output));
    assert!(stderr(&converted.output).contains("--no-context"), "{what}: no way out is named");
    assert!(converted.raw.is_none(), "{what}");
    let tried = convert(disk, &["--context", "try"]);
    exits(&tried.output, 0);
    assert!(tried.raw.as_deref() == Some(disk), "{what}: changed under --context try");
    said(&tried.warnings());
    assert!(tried.record["guest"].is_null() && tried.edits().is_empty(), "{what}");
    let off = convert(disk, &["--context", "off"]);
    exits(&off.output, 0);
    assert!(off.raw.as_deref() == Some(disk), "{what}: changed under --context off");
    assert_eq!(off.warnings(), "", "{what}");
}

/// A guest on the file system that mke2fs makes by these arguments, changed by `change`.
#[track_caller]
fn refused_ext(what: &str, arguments: &str, change: impl FnOnce(&mut Vec<u8>), words: &[&str]) {
    let folder = folder_in_memory();
    let mut bytes = root(folder.path(), arguments, FSTAB, 16);
    change(&mut bytes);
    refused(what, &disk_of(&bytes), &[&["sda1"], words].concat());
}

fn same(_: &mut Vec<u8>) {}

fn field(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[SUPERBLOCK + at..][..4].try_into().unwrap())
}

fn add_bits(bytes: &mut [u8], at: usize, bits: u32) {
    let bits = field(bytes, at) | bits;
    patch(bytes, at, &bits.to_le_bytes());
}

/// Where the journal's superblock is.
fn journal(bytes: &[u8]) -> usize {
    let magic = [0xc0, 0x3b, 0x39, 0x98, 0, 0, 0, 4];
    bytes.chunks(1024).position(|block| block.starts_with(&magic)).unwrap() * 1024
}

#[test]
fn file_systems_that_were_not_put_away_well() {
    let state = |state: u8| move |bytes: &mut Vec<u8>| patch(bytes, 0x3a, &[state, 0]);
    refused_ext("unclean ext2", "-t ext2", state(0), &["not unmounted cleanly"]);
    refused_ext("errors", "-t ext4", state(3), &["errors"]);
    refused_ext("errors, ext3", "-t ext3", state(2), &["errors"]);
    let journal_error = |bytes: &mut Vec<u8>| {
        let at = journal(bytes) + 0x20;
        bytes[at..at + 4].copy_from_slice(&5_u32.to_be_bytes());
    };
    let sum = |bytes: &mut Vec<u8>| {
        let at = journal(bytes) + 0x2b;
        bytes[at] |= 0x10;
        bytes[at + 0x50 - 0x2b] = 4;
    };
    let plain = "-t ext4 -b 1024 -O ^metadata_csum";
    refused_ext("a journal's wrong checksum", plain, sum, &["journal", "checksum"]);
    refused_ext("an error in the journal", "-t ext3", journal_error, &["journal", "error"]);
}

#[test]
fn features_that_are_not_kept() {
    let ext4 = |more: &str| format!("-t ext4 {more}");
    refused_ext("bigalloc", &ext4("-b 1024 -O bigalloc"), same, &["bigalloc"]);
    refused_ext("casefold", &ext4("-O casefold -E encoding=utf8"), same, &["casefold"]);
    refused_ext("encrypt", &ext4("-O encrypt"), same, &["encrypt"]);
    refused_ext("mmp", &ext4("-O mmp"), same, &["mmp"]);
    refused_ext("quota", &ext4("-O quota"), same, &["quota"]);
    refused_ext("project", &ext4("-O project,quota"), same, &["project"]);
    let verity = |bytes: &mut Vec<u8>| add_bits(bytes, 0x64, 0x8000);
    refused_ext("verity", &ext4(""), verity, &["verity"]);
    let unknown = |bytes: &mut Vec<u8>| add_bits(bytes, 0x60, 0x0080_0000);
    refused_ext("unknown", &ext4(""), unknown, &["unknown", "0x800000"]);
    // A large fast-commit area is only a danger when something is in the journal.
    let fast = |bytes: &mut Vec<u8>| {
        add_bits(bytes, 0x60, 4);
        let at = journal(bytes);
        bytes[at + 0x2b] |= 0x20;
        bytes[at + 0x1c..at + 0x20].copy_from_slice(&1_u32.to_be_bytes());
    };
    let plain = "-O fast_commit,^metadata_csum -b 1024";
    refused_ext("fast_commit", &ext4(plain), fast, &["fast_commit"]);
}

#[test]
fn journals_elsewhere() {
    let other = |at: usize| move |bytes: &mut Vec<u8>| add_bits(bytes, at, 0x0102_0304);
    refused_ext("s_journal_dev", "-t ext4", other(0xe4), &["journal", "another device"]);
    refused_ext("s_journal_uuid", "-t ext4", other(0xd0), &["journal", "another device"]);
    let inode = |bytes: &mut Vec<u8>| patch(bytes, 0xe0, &11_u32.to_le_bytes());
    refused_ext("s_journal_inum", "-t ext4", inode, &["journal", "another device"]);
    // Such a one is a journal and no file system.
    let device = |bytes: &mut Vec<u8>| add_bits(bytes, 0x60, 8);
    refused_ext("a journal device", "-t ext4", device, &["no guest found", "jbd"]);
}

#[test]
fn superblocks_that_make_no_sense() {
    let set =
        |at: usize, value: u32| move |bytes: &mut Vec<u8>| patch(bytes, at, &value.to_le_bytes());
    refused_ext("blocks", "-t ext4", set(4, 1 << 30), &["s_blocks_count"]);
    refused_ext("inodes", "-t ext4", set(0, 7), &["s_inodes_count"]);
    refused_ext("first block", "-t ext4 -b 1024", set(0x14, 9), &["s_first_data_block"]);
    // What has no such magic numbers is not known to be a file system of the ext family.
    refused_ext("block size", "-t ext4", set(0x18, 30), &["no guest found"]);
    refused_ext("orphan", "-t ext4", set(0xe8, 1), &["s_last_orphan"]);
    let sum = |bytes: &mut Vec<u8>| bytes[SUPERBLOCK + 0x3fc] ^= 1;
    refused_ext("checksum", "-t ext4", sum, &["checksum"]);
}

/// A file of `testdata/guests`, inflated.
fn stored(name: &str) -> Vec<u8> {
    gunzip(&fs::read(testdata("guests").join(name)).unwrap())
}

/// Nothing would run the context scripts in it.
#[test]
fn a_guest_that_starts_in_an_unknown_way() {
    let folder = folder_in_memory();
    let files = folder.path().join("tree");
    tree(&files, FSTAB);
    for path in ["usr/sbin/init", "usr/lib/systemd/systemd"] {
        fs::remove_file(files.join(path)).unwrap();
    }
    let disk = disk_of(&file_system(folder.path(), "-t ext4", &files, 16));
    refused("init", &disk, &["starts its services"]);
    let said = stderr(&convert(&disk, &[]).output);
    assert!(said.contains("--skip-edit context-scripts,root-password"), "{said}");
    let without = convert(&disk, &["--skip-edit", "context-scripts,root-password"]);
    exits(&without.output, 0);
    fs::write(files.join("etc/rc.local"), "#!/bin/sh\nexit 0\n").unwrap();
    let disk = disk_of(&file_system(folder.path(), "-t ext4", &files, 16));
    let converted = convert(&disk, &[]);
    exits(&converted.output, 0);
    let edits = converted.edits();
    assert!(edits.iter().any(|(_, path)| path == "/etc/rc.local"), "{edits:?}");
}

#[test]
fn other_file_systems() {
    let kinds = [("xfs", "xfs"), ("btrfs", "btrfs"), ("ntfs", "ntfs"), ("luks", "LUKS")];
    for (name, word) in kinds {
        let mut bytes = stored(&format!("{name}.head.gz"));
        bytes.resize(8 << 20, 0);
        refused(name, &disk_of(&bytes), &["sda1", word]);
    }
}

/// The system is on an ext file system, but what has to be edited with it is not.
#[test]
fn a_needed_place_on_another_file_system() {
    let folder = folder_in_memory();
    let fstab = "/dev/sda1 / ext4 defaults 0 1\n/dev/sda2 /usr xfs defaults 0 2\n";
    let system = root(folder.path(), "-t ext4", fstab, 16);
    let mut usr = stored("xfs.head.gz");
    usr.resize(8 << 20, 0);
    let parts = [Part::new("/", &system), Part::new("/usr", &usr)];
    let disk = partitioned(folder.path(), "dos", &parts);
    refused("xfs below /usr", &disk.bytes, &["/usr", "sda2", "xfs"]);
    let mut dirty = root(folder.path(), "-t ext2", "", 16);
    patch(&mut dirty, 0x3a, &[0, 0]);
    let parts = [Part::new("/", &system), Part::new("/usr", &dirty)];
    let disk = partitioned(folder.path(), "dos", &parts);
    refused("unclean /usr", &disk.bytes, &["sda2", "not unmounted cleanly"]);
}

/// The same, at a place where nothing has to be edited: that file system is left alone.
#[test]
fn an_unneeded_place_on_another_file_system() {
    // At /mnt, where the context scripts want a folder.
    for place in ["/srv", "/mnt"] {
        let folder = folder_in_memory();
        let fstab = format!("/dev/sda1 / ext4 defaults 0 1\n/dev/sda2 {place} xfs defaults 0 2\n");
        let system = root(folder.path(), "-t ext4", &fstab, 16);
        let mut other = stored("xfs.head.gz");
        other.resize(8 << 20, 0);
        let parts = [Part::new("/", &system), Part::new("", &other)];
        let disk = partitioned(folder.path(), "dos", &parts);
        let converted = convert(&disk.bytes, &[]);
        assert_prepared(&disk, &converted);
        assert!(converted.warnings().contains(place), "{}", converted.warnings());
        let (start, len) = (disk.bytes.len() - (8 << 20) - (2 << 20), 8 << 20);
        let raw = converted.raw.unwrap();
        assert!(raw[start..start + len] == disk.bytes[start..start + len]);
    }
}

/// Its bitmaps call used blocks free: whoever believes them destroys files.
#[test]
fn a_damaged_volume_beside_the_guest_is_left_alone() {
    for (fstab, place) in [("/dev/sda2 /srv ext4 defaults 0 2\n", "/srv"), ("", "sda2")] {
        let folder = folder_in_memory();
        let fstab = format!("/dev/sda1 / ext4 defaults 0 1\n{fstab}");
        let system = root(folder.path(), "-t ext4", &fstab, 16);
        let files = folder.path().join("files");
        fs::create_dir_all(&files).unwrap();
        fs::write(files.join("precious"), "precious".repeat(400_000)).unwrap();
        let mut data = file_system(folder.path(), "-t ext4 -b 1024", &files, 16);
        let image = folder.path().join("file-system.img");
        let text = debugfs(&image, "stats");
        let at = text.split("block bitmap at ").nth(1).unwrap();
        let at: usize = at.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap();
        data[at * 1024 + 300..at * 1024 + 340].fill(0);
        let parts = [Part::new("/", &system), Part::new("", &data)];
        let disk = partitioned(folder.path(), "dos", &parts);
        let converted = convert(&disk.bytes, &["--edit", "free-space-zeroed"]);
        exits(&converted.output, 0);
        let warnings = converted.warnings();
        assert!(warnings.contains(place) && warnings.contains("bitmap"), "{warnings}");
        assert_eq!(warnings.matches("bitmap").count(), 1, "told once: {warnings}");
        let raw = converted.raw.as_ref().unwrap();
        let start = disk.bytes.windows(data.len()).step_by(1 << 20).position(|part| part == data);
        let start = start.unwrap() << 20;
        assert!(raw[start..start + data.len()] == data[..], "{place}");
        assert!(converted.edits().iter().all(|(_, path)| path != "sda2"), "{place}");
    }
}

#[test]
fn thin_volumes() {
    let mut group = volume_group("vg0", &[linear("root", 8)], &Layout::default());
    let folder = folder_in_memory();
    group.fill("root", &root(folder.path(), "-t ext4", "/dev/vg0/root / ext4\n", 8));
    for kind in ["thin", "thin-pool", "raid1", "snapshot", "cache"] {
        let text = group.text.replace("type = \"striped\"", &format!("type = \"{kind}\""));
        let mut group = group.clone();
        group.write_metadata(&text);
        refused(kind, &group.on_one_disk().0, &["vg0/root", kind.split('1').next().unwrap()]);
    }
}

#[test]
fn no_guest_at_all() {
    let folder = folder_in_memory();
    refused("zeros", &vec![0; 4 << 20], &["no guest found"]);
    let mut noise = common::noise(7, 2 << 20);
    noise.resize(4 << 20, 0);
    refused("noise", &noise, &["no guest found"]);
    let mut table = vec![0; 4 << 20];
    table[510..512].copy_from_slice(&[0x55, 0xaa]);
    refused("no partition", &table, &["no guest found"]);
    let empty = folder.path().join("empty");
    fs::create_dir_all(empty.join("etc")).unwrap();
    fs::write(empty.join("etc/motd"), "data only").unwrap();
    let data = common::guest::file_system(folder.path(), "-t ext4", &empty, 8);
    refused("data only", &disk_of(&data), &["no guest found", "sda1", "ext4"]);
}

#[test]
fn two_guests() {
    let folder = folder_in_memory();
    let one = root(folder.path(), "-t ext4", "/dev/sda1 / ext4\n", 16);
    let two = root(folder.path(), "-t ext4", "/dev/sda2 / ext4\n", 16);
    let parts = [Part::new("/", &one), Part::new("/other", &two)];
    let disk = partitioned(folder.path(), "dos", &parts);
    let words = ["several guests", "sda1", "sda2", "--root-volume"];
    let converted = convert(&disk.bytes, &[]);
    exits(&converted.output, 65);
    words.iter().for_each(|word| assert!(stderr(&converted.output).contains(word), "{word}"));
    for (volume, at) in [("sda1", "/"), ("sda2", "/other"), ("/dev/sda2", "/other")] {
        let chosen = convert(&disk.bytes, &["--root-volume", volume]);
        exits(&chosen.output, 0);
        let raw = chosen.raw.unwrap();
        for place in ["/", "/other"] {
            let now = listing(&disk.cut(&raw, place));
            let differs = differing(&listing(&disk.cut(&disk.bytes, place)), &now);
            assert_eq!(place == at, !differs.is_empty(), "{volume}, {place}: {differs:?}");
        }
    }
    let unknown = convert(&disk.bytes, &["--root-volume", "sda7"]);
    exits(&unknown.output, 65);
    assert!(stderr(&unknown.output).contains("no volume sda7"));
}

// Journals --------------------------------------------------------------------------------------

/// What e2fsck makes of a file system: its own recovery.
fn recovered_by_e2fsck(bytes: &[u8]) -> BTreeMap<PathBuf, Entry> {
    let folder = folder_in_memory();
    let image = folder.path().join("fs.img");
    fs::write(&image, bytes).unwrap();
    let output = judge("e2fsck", "e2fsprogs").arg("-fy").arg(&image).output().unwrap();
    // 1: errors were corrected.
    assert!(matches!(output.status.code(), Some(0 | 1)), "{output:?}");
    fsck(&image);
    let mut files = listing(&fs::read(&image).unwrap());
    files.retain(|path, _| !path.starts_with("/lost+found"));
    files
}

/// These guests have no init system.
const NO_SCRIPTS: [&str; 2] = ["--skip-edit", "context-scripts,root-password"];

const DIRTY: [&str; 3] = ["ext4-1k.img.gz", "ext4-4k.img.gz", "ext3.img.gz"];

#[test]
fn journals_are_replayed_as_e2fsck_does() {
    for name in DIRTY {
        let bytes = stored(name);
        let folder = folder_in_memory();
        let disk = partitioned(folder.path(), "dos", &[Part::new("/", &bytes)]);
        let converted = convert(&disk.bytes, &NO_SCRIPTS);
        exits(&converted.output, 0);
        let cut = disk.cut(converted.raw.as_deref().unwrap(), "/");
        let image = folder.path().join("out.img");
        fs::write(&image, &cut).unwrap();
        fsck(&image);
        let edits = converted.edits();
        let mut after = listing(&cut);
        after.retain(|path, _| !path.starts_with("/lost+found"));
        let expected = recovered_by_e2fsck(&bytes);
        // The work that was only in the journal.
        let new = |path: &str| expected.contains_key(Path::new(path));
        assert!(new("/new/written-59") && new("/new/moved-1") && !new("/old/file-3"), "{name}");
        for path in differing(&expected, &after) {
            let named = edits.iter().any(|(_, edited)| {
                path.starts_with(edited)
                    || (!expected.contains_key(&path) && Path::new(edited).starts_with(&path))
            });
            assert!(named, "{name}: {} differs from e2fsck's recovery", path.display());
        }
        assert!(!dumpe2fs(&image, None).contains("needs_recovery"), "{name}");
        // Also what the journal had of the files that were changed.
        let secret = |bytes: &[u8]| memchr::memmem::find_iter(bytes, "secret-in-no-image").count();
        assert!(secret(&bytes) > 1 && secret(&cut) == 0, "{name}: {}", secret(&cut));
    }
}

/// Without any edit of files the replay is all that happens, and it happens once.
#[test]
fn a_replayed_journal_stays_replayed() {
    for name in DIRTY {
        let bytes = stored(name);
        let first = convert(&bytes, &NO_SCRIPTS);
        exits(&first.output, 0);
        let raw = first.raw.unwrap();
        let second = convert(&raw, &NO_SCRIPTS);
        exits(&second.output, 0);
        assert!(second.raw.as_ref() == Some(&raw), "{name}");
        assert_eq!(second.edits(), [], "{name}");
    }
}
