//! Editing ext2/3/4 in the overlay, judged by e2fsck and debugfs.

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::ext::{FLAVOURS, assert_no_checks, debugfs, edit, fsck, make, patch};
use common::judge;
use stratus::error::Result;
use stratus::guest::ext::disable_checks;
use stratus::guest::mounted::MountedTree;
use stratus::guest::tree::{Attributes, Tree};

const MARKER: &str = "MARKER-5d2f-SECRET";

/// A tree with small and large files whose every part carries a marker.
fn tree(root: &Path) {
    for folder in ["etc/ssh", "root/.ssh", "many", "cleared/kept", "deep/a/b/c"] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    let marked = |n: usize| format!("{MARKER}\n").repeat(n);
    fs::write(root.join("etc/ssh/key"), marked(1)).unwrap();
    fs::write(root.join("etc/small"), "x").unwrap();
    fs::write(root.join("etc/shadow"), format!("root:{MARKER}:1:2\n{}", marked(400))).unwrap();
    fs::write(root.join("etc/big"), marked(40_000)).unwrap();
    fs::write(root.join("etc/keep"), "keep me".repeat(1000)).unwrap();
    fs::write(root.join("root/.ssh/known"), marked(3)).unwrap();
    std::os::unix::fs::symlink(format!("/x/{MARKER}"), root.join("etc/short-link")).unwrap();
    let long = format!("/x/{MARKER}").repeat(20);
    std::os::unix::fs::symlink(long, root.join("etc/long-link")).unwrap();
    for i in 0..600 {
        fs::write(root.join(format!("many/a-rather-long-name-{i:04}")), i.to_string()).unwrap();
        fs::write(root.join(format!("cleared/{MARKER}-{i:04}")), "").unwrap();
    }
}

/// Gives large directories their hash trees, which mke2fs leaves out.
fn index(image: &Path) {
    let output = judge("e2fsck", "e2fsprogs").arg("-fyD").arg(image).output().unwrap();
    assert!(matches!(output.status.code(), Some(0 | 1)), "{output:?}");
}

fn found(bytes: &[u8], marker: &str) -> usize {
    memchr::memmem::find_iter(bytes, marker.as_bytes()).count()
}

#[test]
fn every_flavour_is_edited_and_what_is_removed_is_gone() {
    let folder = common::folder_in_memory();
    let root = folder.path().join("tree");
    tree(&root);
    for (name, arguments) in FLAVOURS {
        println!("{name}");
        let image = folder.path().join(format!("{name}.img"));
        make(&image, arguments, &root, 48);
        index(&image);
        let before = fs::read(&image).unwrap();
        assert!(found(&before, MARKER) > 0, "{name}");
        let (out, changed) = edit(&image, |tree| {
            for path in [
                "/etc/ssh/key",
                "/etc/big",
                "/root/.ssh/known",
                "/etc/short-link",
                "/etc/long-link",
            ] {
                tree.remove(Path::new(path))?;
            }
            tree.write(Path::new("/etc/shadow"), b"root:*:1:2\n", Attributes::root(0))?;
            tree.write(Path::new("/etc/small"), &b"grown ".repeat(5000), Attributes::root(0))?;
            tree.make_dir(Path::new("/etc/new"), Attributes::root(0o750))?;
            tree.write(
                Path::new("/etc/new/file"),
                b"new\n",
                Attributes { mode: 0o640, uid: 7, gid: 8 },
            )?;
            tree.make_link(Path::new("/etc/new/link"), Path::new("../keep"))?;
            for i in (0..600).step_by(3) {
                tree.remove(Path::new(&format!("/many/a-rather-long-name-{i:04}")))?;
            }
            for i in 0..300 {
                let path = format!("/many/another-{i}");
                tree.write(Path::new(&path), path.as_bytes(), Attributes::root(0o600))?;
            }
            assert_eq!(tree.clear(Path::new("/cleared"), &["kept".into()])?, 600);
            tree.rename(Path::new("/deep/a/b/c"), Path::new("/deep/a/b/renamed"))
        })
        .unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(changed);
        fsck(&out);
        let bytes = fs::read(&out).unwrap();
        assert_eq!(found(&bytes, MARKER), 0, "{name}");
        assert_eq!(found(&bytes, "a-rather-long-name-0003"), 0, "{name}");
        assert_eq!(debugfs(&out, "cat /etc/shadow"), "root:*:1:2\n", "{name}");
        assert_eq!(debugfs(&out, "cat /etc/keep"), "keep me".repeat(1000), "{name}");
        assert_eq!(debugfs(&out, "cat /etc/small"), "grown ".repeat(5000), "{name}");
        assert_eq!(debugfs(&out, "cat /many/another-299"), "/many/another-299", "{name}");
        let stat = debugfs(&out, "stat /etc/new/file");
        assert!(
            stat.contains("Mode:  0640") && stat.contains("User:     7   Group:     8"),
            "{stat}"
        );
        assert!(debugfs(&out, "stat /etc/new/link").contains("../keep"), "{name}");
        let names = debugfs(&out, "ls -p /many");
        // An unused entry at a block's beginning has no inode, but is listed.
        let count = names.lines().filter(|line| !line.is_empty() && !line.starts_with("/0/"));
        assert_eq!(count.count(), 2 + 400 + 300, "{name}");
        // The same again, and nothing to do.
        let (again, changed) = edit(&out, |tree| {
            assert_eq!(
                tree.read(Path::new("/etc/new/link"), 100_000)?.unwrap(),
                "keep me".repeat(1000).as_bytes()
            );
            Ok(())
        })
        .unwrap();
        assert!(!changed, "{name}");
        assert!(fs::read(again).unwrap() == bytes);
        let first = edit(&image, |tree| tree.remove(Path::new("/etc/big"))).unwrap();
        let first = fs::read(first.0).unwrap();
        let second = edit(&image, |tree| tree.remove(Path::new("/etc/big"))).unwrap();
        assert!(first == fs::read(second.0).unwrap(), "{name}");
    }
}

/// An image of 32 MiB with the tree of these tests.
fn image(folder: &Path, arguments: &str) -> PathBuf {
    let root = folder.join("tree");
    tree(&root);
    let image = folder.join("image");
    make(&image, arguments, &root, 32);
    image
}

fn remove(path: &str) -> impl FnOnce(&mut MountedTree) -> Result<()> + '_ {
    move |tree| tree.remove(Path::new(path))
}

/// Whoever believes a wrong bitmap overwrites files.
#[test]
fn a_bitmap_that_calls_used_blocks_free_is_refused() {
    for arguments in ["-t ext4", "-t ext4 -O ^metadata_csum,uninit_bg", "-t ext2"] {
        let folder = common::folder_in_memory();
        let image = image(folder.path(), arguments);
        let text = debugfs(&image, "stats");
        let at = text.split("block bitmap at ").nth(1).unwrap();
        let at: u64 = at.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap();
        let size = if text.contains("Block size:               1024") { 1024 } else { 4096 };
        let mut bytes = fs::read(&image).unwrap();
        let place = (at * size) as usize + 20;
        bytes[place..place + 8].fill(0);
        fs::write(&image, bytes).unwrap();
        let error = edit(&image, remove("/etc/big")).unwrap_err();
        assert_eq!(error.code(), "guest-fs-damaged", "{arguments}: {error}");
        assert!(error.to_string().contains("bitmap"), "{arguments}: {error}");
    }
}

#[test]
fn attributes_in_inodes_of_their_own_are_refused() {
    let folder = common::folder_in_memory();
    let image = image(folder.path(), "-t ext4 -b 4096 -O ea_inode");
    let value = folder.path().join("value");
    fs::write(&value, MARKER.repeat(1500)).unwrap();
    let command = format!("ea_set -f {} /etc/big user.large", value.display());
    let set = judge("debugfs", "e2fsprogs").args(["-w", "-R", &command]).arg(&image).output();
    assert!(set.unwrap().status.success());
    // debugfs does not count the blocks of an attribute.
    index(&image);
    let error = edit(&image, remove("/etc/big")).unwrap_err();
    assert_eq!(error.code(), "guest-fs-unsupported", "{error}");
    let (out, _) = edit(&image, remove("/etc/ssh/key")).unwrap();
    fsck(&out);
}

#[test]
fn what_has_another_name_is_replaced_without_its_old_tail() {
    let folder = common::folder_in_memory();
    let image = image(folder.path(), "-t ext4 -O inline_data -I 256");
    let text = folder.path().join("text");
    fs::write(&text, format!("{}{MARKER}-TAIL", "x".repeat(70))).unwrap();
    for command in [format!("write {} etc/two", text.display()), "ln etc/two etc/names".into()] {
        let mut debugfs = judge("debugfs", "e2fsprogs");
        debugfs.args(["-w", "-R", &command]).arg(&image).output().unwrap();
    }
    let links = "set_inode_field etc/two links_count 2";
    judge("debugfs", "e2fsprogs").args(["-w", "-R", links]).arg(&image).output().unwrap();
    let (out, _) =
        edit(&image, |tree| tree.write(Path::new("/etc/two"), b"short", Attributes::root(0o644)))
            .unwrap();
    fsck(&out);
    assert_eq!(debugfs(&out, "cat /etc/two"), "short");
    assert!(!debugfs(&out, "ea_list /etc/two").contains("system.data"));
    assert!(debugfs(&out, "cat /etc/names").contains("TAIL"));
}

#[test]
fn all_superblocks_are_found() {
    for arguments in [
        "-t ext4 -O sparse_super2,^resize_inode -b 1024 -g 2048",
        "-t ext2 -O none -b 1024 -g 2048",
        "-t ext4 -b 1024 -g 1024",
    ] {
        let folder = common::folder_in_memory();
        let image = image(folder.path(), arguments);
        let tune =
            judge("tune2fs", "e2fsprogs").args(["-c", "30", "-i", "6m"]).arg(&image).output();
        assert!(tune.unwrap().status.success());
        let bytes = fs::read(&image).unwrap();
        let memory = common::lvm::Memory::disk(bytes);
        assert!(disable_checks(&memory).unwrap(), "{arguments}");
        assert!(!disable_checks(&memory).unwrap(), "{arguments}: again");
        let mut bytes = fs::read(&image).unwrap();
        memory.read_at(&mut bytes, 0).unwrap();
        fs::write(&image, bytes).unwrap();
        fsck(&image);
        assert_no_checks(&image);
    }
}

/// An enforcing guest does not run what has no label, and a clock would show in the image.
#[test]
fn what_is_new_has_the_label_of_its_neighbours_and_the_file_systems_time() {
    for arguments in ["-t ext4", "-t ext4 -I 128", "-t ext3"] {
        let folder = common::folder_in_memory();
        let image = image(folder.path(), arguments);
        let script = folder.path().join("script");
        let text = "ea_set etc security.selinux system_u:object_r:etc_t:s0\n\
                    ea_set etc/keep security.selinux system_u:object_r:net_conf_t:s0\n\
                    ea_set deep security.selinux system_u:object_r:default_t:s0\n\
                    ea_set etc/big security.selinux system_u:object_r:net_conf_t:s0\n\
                    ea_set etc/small security.selinux system_u:object_r:shadow_t:s0\n";
        fs::write(&script, text).unwrap();
        let set =
            judge("debugfs", "e2fsprogs").arg("-w").arg("-f").arg(&script).arg(&image).output();
        assert!(set.unwrap().status.success());
        // s_wtime, which debugfs sets itself.
        let mut bytes = fs::read(&image).unwrap();
        patch(&mut bytes, 0x30, &1_000_000_000_u32.to_le_bytes());
        fs::write(&image, bytes).unwrap();
        let (out, _) = edit(&image, |tree| {
            tree.write(Path::new("/etc/new"), b"x", Attributes::root(0o644))?;
            tree.write(Path::new("/etc/small"), b"y", Attributes::root(0o600))?;
            tree.make_dir(Path::new("/deep/new"), Attributes::root(0o755))?;
            tree.make_link(Path::new("/many/new"), Path::new("x"))
        })
        .unwrap();
        let label = |path: &str| debugfs(&out, &format!("ea_get {path} security.selinux"));
        assert!(label("/etc/new").contains(":net_conf_t:s0"), "{arguments}: {}", label("/etc/new"));
        assert!(label("/etc/small").contains(":shadow_t:s0"), "{arguments}");
        assert!(label("/deep/new").contains(":default_t:s0"), "{arguments}");
        assert!(!label("/many/new").contains("_t:"), "{arguments}: a label out of nothing");
        for path in ["/etc/new", "/etc/small", "/deep/new", "/many/new"] {
            let stat = debugfs(&out, &format!("stat {path}"));
            let time = stat.lines().find(|line| line.contains("mtime:")).unwrap();
            assert!(time.contains("2001"), "{arguments} {path}: {time}");
        }
    }
}
