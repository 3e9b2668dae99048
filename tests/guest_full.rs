//! Guests without room: refused by that name, or prepared with what little there is.

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;

use common::ext::fsck;
use common::guest::{CONFIG, Converted, GuestDisk, Hostile, assert_prepared, keys_only, timed};
use common::{exits, folder_in_memory, judge, stderr};

const KEY: &str = "AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl";

fn free(image: &Path, what: &str) -> u64 {
    let text = common::ext::dumpe2fs(image, None);
    let line = text.lines().find(|line| line.starts_with(what)).unwrap();
    line.split_whitespace().last().unwrap().parse().unwrap()
}

/// A guest with files of one block, or of none, until there is no room for another; then every
/// second of the last `removed` goes.
fn filled(arguments: &'static str, content: usize, removed: u64) -> GuestDisk {
    let folder = folder_in_memory();
    let mut disk = Hostile { arguments, mib: 12, debugfs: Vec::new() }.disk(|root| {
        fs::create_dir(root.join("fill")).unwrap();
        fs::write(root.join(CONFIG), "# a long one\n".repeat(2000)).unwrap();
    });
    let image = folder.path().join("full.img");
    fs::write(&image, &disk.bytes).unwrap();
    let one = folder.path().join("one");
    fs::write(&one, "x".repeat(content)).unwrap();
    let what = if content > 0 { "Free blocks:" } else { "Free inodes:" };
    let count = free(&image, what);
    let mut script = String::from("cd /fill\n");
    (0..count + 9).for_each(|i| script += &format!("write {} f{i}\n", one.display()));
    (count.saturating_sub(removed + 100)..count.saturating_sub(100))
        .step_by(2)
        .for_each(|i| script += &format!("rm f{i}\n"));
    fs::write(folder.path().join("script"), script).unwrap();
    let mut debugfs: Command = judge("debugfs", "e2fsprogs");
    debugfs.args(["-w", "-f"]).arg(folder.path().join("script")).arg(&image).output().unwrap();
    fsck(&image);
    assert_eq!(free(&image, what), removed / 2, "{arguments}");
    disk.bytes = fs::read(&image).unwrap();
    disk
}

/// Edits that remove nothing, and need room.
fn growing(disk: &GuestDisk) -> Converted {
    let folder = folder_in_memory();
    let key = folder.path().join("key.pub");
    fs::write(&key, format!("ssh-ed25519 {KEY} me\n")).unwrap();
    let key = key.to_str().unwrap();
    let skip = "secrets,sysprep-light,machine-id";
    timed(disk, &["--authorized-key", key, "--skip-edit", skip])
}

const FULL: [&str; 3] = [
    "-t ext4 -b 4096 -m 0 -N 4000",
    "-t ext3 -b 4096 -m 0 -N 4000",
    "-t ext2 -b 4096 -m 0 -N 4000",
];

#[track_caller]
fn is_full(converted: &Converted) {
    println!("{}", converted.said());
    exits(&converted.output, 65);
    let said = stderr(&converted.output);
    assert!(said.contains("delete something in the guest"), "{said}");
    assert!(converted.raw.is_none());
}

#[test]
fn a_guest_without_free_blocks_is_refused() {
    FULL.iter().for_each(|arguments| is_full(&growing(&filled(arguments, 1, 0))));
}

#[test]
fn a_guest_without_free_inodes_is_refused() {
    is_full(&growing(&filled("-t ext4 -b 4096 -N 200", 0, 0)));
    is_full(&growing(&filled("-t ext2 -b 4096 -N 200", 0, 0)));
}

/// No two free blocks lie together: a file of seven blocks takes seven pieces, and the context scripts
/// take some seventy.
#[test]
fn a_guest_in_pieces_is_prepared() {
    for arguments in FULL {
        let disk = filled(arguments, 1, 200);
        let converted = growing(&disk);
        println!("{arguments}: {}", converted.said());
        // Without extents a file is written in one piece or not at all.
        if !arguments.contains("ext4") {
            is_full(&converted);
            continue;
        }
        assert_prepared(&disk, &converted);
        assert!(keys_only(&converted, "/etc/ssh/sshd_config"));
    }
}
