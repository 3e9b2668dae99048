//! Removed means gone: what the edits take out of a guest is nowhere in the image, not in free
//! blocks, not in the journal, not in a name that is only skipped.

mod common;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use common::ext::{FLAVOURS, SUPERBLOCK, debugfs, dumpe2fs, fsck};
use common::guest::{convert, file_system, tree};
use common::{exits, folder_in_memory};
use rustix::fs::{XattrFlags, setxattr};

const FSTAB: &str = "/dev/sda / ext4 defaults 0 1\n";

/// Words that only what has to go has.
const MARKERS: [&str; 9] = [
    "MARKERHASH",
    "MARKERKEY",
    "MARKERHISTORY",
    "MARKERLOG",
    "MARKERTMP",
    "MARKERLINK",
    "MARKERNAME",
    "MARKERATTRIBUTE",
    "MARKERLARGE",
];

fn count(bytes: &[u8], marker: &str) -> usize {
    memchr::memmem::find_iter(bytes, marker.as_bytes()).count()
}

/// A guest with markers in all places that a file system has for a file.
fn marked(root: &Path) {
    tree(root, FSTAB);
    let tmp = root.join("tmp");
    // Names: in a folder that stays, linear and with a hash tree, and in folders that go.
    for i in 0..400 {
        fs::write(tmp.join(format!("MARKERNAME-{i:04}-{}", "n".repeat(60))), "MARKERTMP").unwrap();
    }
    for i in 0..5 {
        fs::create_dir_all(root.join(format!("var/tmp/MARKERNAME-dir-{i}"))).unwrap();
        fs::write(root.join(format!("var/tmp/MARKERNAME-dir-{i}/MARKERNAME")), "").unwrap();
    }
    symlink("/x/MARKERLINK", tmp.join("fast")).unwrap();
    symlink("/x/MARKERLINK".repeat(20), tmp.join("slow")).unwrap();
    fs::write(root.join("root/.bash_history"), "MARKERLARGE\n".repeat(30_000)).unwrap();
    fs::write(root.join("home/bob/.psql_history"), "MARKERLARGE\n".repeat(300)).unwrap();
    let hash = "root:$6$abcdefgh$MARKERHASH:19000:0:99999:7:::\n";
    let more: String = (0..300).map(|i| format!("u{i}:$6$x$MARKERHASH{i}:1:0:9:7:::\n")).collect();
    fs::write(root.join("etc/shadow"), format!("{hash}{more}")).unwrap();
}

/// Attributes: in the inode, and too large for it.
fn attributes(root: &Path) -> bool {
    let file = root.join("tmp/scratch");
    let long = "MARKERATTRIBUTE".repeat(50);
    let own = setxattr(&file, "user.secret", b"MARKERATTRIBUTE", XattrFlags::empty()).is_ok();
    let block = setxattr(
        root.join("root/.ssh/known_hosts"),
        "user.secret",
        long.as_bytes(),
        XattrFlags::empty(),
    );
    own && block.is_ok()
}

/// Puts a marker into the last block of the journal, as `data=journal` leaves one there.
fn copy_in_journal(bytes: &mut [u8], folder: &Path) -> bool {
    let image = folder.join("journal.img");
    fs::write(&image, &*bytes).unwrap();
    if !dumpe2fs(&image, None).contains("has_journal") {
        return false;
    }
    let shift = bytes[SUPERBLOCK + 0x18];
    let size = 1024_usize << shift;
    let blocks = debugfs(&image, "blocks <8>");
    let blocks: Vec<usize> = blocks.split_whitespace().filter_map(|n| n.parse().ok()).collect();
    // Behind the places of the block map, if it has one: the last number is data in both forms.
    for block in [blocks[blocks.len() - 1], blocks[blocks.len() / 2]] {
        bytes[block * size + 100..][..15].copy_from_slice(b"MARKERKEY in it");
    }
    true
}

#[test]
fn what_is_removed_is_nowhere_in_the_image() {
    let folder = folder_in_memory();
    let files = folder.path().join("tree");
    marked(&files);
    let with_attributes = attributes(&files);
    for (name, arguments) in FLAVOURS {
        let mut bytes = file_system(folder.path(), arguments, &files, 32);
        let in_journal = copy_in_journal(&mut bytes, folder.path());
        assert_eq!(
            in_journal,
            !matches!(*name, "ext4-nojournal" | "ext2" | "ext2-old" | "ext2-rev0")
        );
        // Without features a file system has no attributes.
        let with_attributes = with_attributes && !arguments.contains("-O none");
        let markers = MARKERS.iter().filter(|m| **m != "MARKERATTRIBUTE" || with_attributes);
        for marker in markers.clone() {
            assert!(count(&bytes, marker) > 0, "{name}: no {marker} to begin with");
        }
        let converted = convert(&bytes, &[]);
        assert!(converted.output.status.success(), "{name}: {}", converted.said());
        let raw = converted.raw.unwrap();
        let image = folder.path().join("out.img");
        fs::write(&image, &raw).unwrap();
        fsck(&image);
        for marker in MARKERS {
            let left = memchr::memmem::find_iter(&raw, marker.as_bytes()).collect::<Vec<_>>();
            assert!(left.is_empty(), "{name}: {marker} is left at {left:?}");
        }
        // What stays is there.
        assert_eq!(debugfs(&image, "cat /home/bob/letter").trim_end_matches('\0'), "dear all\n");
        // And the markers are found if nobody takes them out.
        let names: Vec<&str> = stratus::guest::edits::all().map(|(name, ..)| name).collect();
        let control = convert(&bytes, &["--skip-edit", &names.join(",")]);
        exits(&control.output, 0);
        let raw = control.raw.unwrap();
        for marker in markers {
            assert!(count(&raw, marker) > 0, "{name}: {marker} went by itself");
        }
    }
    assert!(with_attributes, "the folder for temporary files has no extended attributes");
}
