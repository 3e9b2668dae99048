//! Editing ext2/3/4 in the overlay, judged by e2fsck and debugfs.

mod common;

use std::fs;
use std::path::Path;

use common::ext::{FLAVOURS, debugfs, edit, fsck, make};
use stratus::guest::tree::{Attributes, Tree};

const MARKER: &str = "MARKER-5d2f-SECRET";

/// A tree with small and large files whose every part carries a marker.
fn tree(root: &Path) {
    for folder in ["etc/ssh", "root/.ssh", "many", "deep/a/b/c"] {
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
    }
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
        assert_eq!(names.lines().filter(|l| !l.is_empty()).count(), 2 + 400 + 300, "{name}");
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
