//! What every guest gets; how it is made to run it is in the files for the init systems.

mod given;
mod glue;
mod small;
mod systemd;
mod sysv;
mod upgrade;

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use super::super::boot_trial::content;
use super::super::trial::{self, Outcome};
use super::super::{EditOptions, growroot, root_password};
use super::*;
use crate::guest::context::PROGRAM;
use crate::guest::memory::{Entry, MemoryTree};
use crate::guest::tree::Attributes;

/// Runs the edit, twice, on a guest with this init system.
fn run(tree: &mut MemoryTree, init: Init) -> Outcome {
    with_options(tree, init, &EditOptions::default())
}

fn with_options(tree: &mut MemoryTree, init: Init, options: &EditOptions) -> Outcome {
    let facts = crate::guest::facts::Facts { init, ..trial::facts() };
    let outcome = trial::run(&EDIT, tree, &facts, options);
    assert!(is_enabled(tree, init).unwrap(), "it is not enabled");
    outcome
}

/// Writes the tree below a folder, links and permissions, too, for a judge to look at. Absolute
/// links stay below it.
fn dump(tree: &MemoryTree, folder: &Path) {
    for (path, entry) in &tree.0 {
        let place = folder.join(path.strip_prefix("/").unwrap());
        match entry {
            Entry::Dir(_) => std::fs::create_dir_all(&place).unwrap(),
            Entry::File(bytes, attributes) => {
                std::fs::write(&place, bytes).unwrap();
                let mode = std::fs::Permissions::from_mode(attributes.mode.into());
                std::fs::set_permissions(&place, mode).unwrap();
            }
            Entry::Link(target) => {
                let inside = target.strip_prefix("/").map(|target| folder.join(target));
                symlink(inside.as_deref().unwrap_or(target), &place).unwrap();
            }
            Entry::Device => {}
        }
    }
}

fn mode(tree: &MemoryTree, path: &str) -> Option<u16> {
    tree.node(Path::new(path)).unwrap().map(|node| node.mode)
}

fn target(tree: &MemoryTree, path: &str) -> Option<String> {
    Some(tree.read_link(Path::new(path)).unwrap()?.display().to_string())
}

#[test]
fn the_bundle_is_there() {
    let mut tree = MemoryTree::default();
    let outcome = run(&mut tree, Init::Systemd);
    assert_eq!(tree.text(PROGRAM_PATH).unwrap(), PROGRAM);
    assert_eq!(mode(&tree, PROGRAM_PATH), Some(0o755));
    for name in ["apache", "bio", "pdisk"] {
        let program = format!("/usr/bin/stratuslab-{name}-context");
        let context = format!("/etc/stratuslab/conf.d/50-{name}.context");
        assert_eq!((mode(&tree, &program), mode(&tree, &context)), (Some(0o755), Some(0o644)));
    }
    assert_eq!(mode(&tree, "/etc/stratuslab/stratuslab-one-context.cfg"), Some(0o644));
    let mount = tree.node(Path::new(MOUNT_POINT)).unwrap().unwrap();
    assert_eq!((mount.kind, mount.mode), (NodeKind::Dir, 0o755));
    assert!(outcome.paths().contains(&MOUNT_POINT));
    assert!(outcome.warnings.is_empty());
}

/// `sha256sum -c` agrees with the list, which is sorted.
#[test]
fn the_list_is_true() {
    let mut tree = MemoryTree::default();
    tree.file("/usr/bin/growpart", "", 0o755);
    tree.file("/usr/sbin/resize2fs", "", 0o755);
    run(&mut tree, Init::Systemd);
    trial::plain(&root_password::EDIT, &mut tree);
    trial::plain(&growroot::EDIT, &mut tree);
    let folder = tempfile::tempdir().unwrap();
    dump(&tree, folder.path());
    let list = tree.text(DIGESTS).unwrap();
    let mut paths: Vec<_> = list.lines().map(|line| line.split_once("  ").unwrap().1).collect();
    assert_eq!(paths.len(), 14, "{list}");
    assert!(paths.is_sorted());
    let inside = list.replace("  /", &format!("  {}/", folder.path().display()));
    let file = folder.path().join("list");
    std::fs::write(&file, inside).unwrap();
    let said = content("coreutils", "sha256sum", &["--strict", "-c", file.to_str().unwrap()]);
    assert_eq!(said.lines().filter(|line| line.ends_with(": OK")).count(), paths.len());
    paths.dedup();
    assert_eq!(paths.len(), 14);
}

#[test]
fn without_a_known_init_system_nothing_is_done() {
    for init in [Init::Unknown, Init::Runit, Init::Sysv, Init::Busybox, Init::Openrc, Init::Upstart]
    {
        let mut tree = MemoryTree::of(&[("/etc/passwd", "")]);
        let before = tree.clone();
        let facts = crate::guest::facts::Facts { init, ..trial::facts() };
        let error = trial::once(&EDIT, &mut tree, &facts, &Default::default()).unwrap_err();
        assert_eq!((error.kind(), error.code()), (Kind::Unsupported, "guest-init-unknown"));
        assert!(error.advice().unwrap().contains("--skip-edit context-scripts,root-password"));
        assert_eq!(tree, before);
        assert!(!is_enabled(&tree, init).unwrap());
    }
}

/// A program that could be replaced by anyone, one without its execute bit, one that is a link.
#[test]
fn what_is_in_the_way_is_replaced() {
    let foreign = Attributes { mode: 0o755, uid: 1000, gid: 0 };
    let entries = [
        Entry::File(PROGRAM.into(), Attributes::root(0o644)),
        Entry::File(PROGRAM.into(), foreign),
        Entry::Link("/usr/bin/other".into()),
        Entry::Link("/nowhere".into()),
    ];
    for entry in entries {
        let mut tree = MemoryTree::of(&[("/usr/bin/other", "kept")]);
        tree.0.insert(PROGRAM_PATH.into(), entry.clone());
        let outcome = run(&mut tree, Init::Systemd);
        let node = tree.node(Path::new(PROGRAM_PATH)).unwrap().unwrap();
        assert_eq!((node.kind, node.mode, node.uid), (NodeKind::File, 0o755, 0), "{entry:?}");
        assert_eq!(tree.text("/usr/bin/other").unwrap(), "kept");
        let change = outcome.changes.iter().find(|change| change.path == PROGRAM_PATH).unwrap();
        assert_eq!(change.action, "upgraded");
    }
}

#[test]
fn a_folder_in_the_way_is_an_error() {
    let mut tree = MemoryTree::default();
    tree.dir(PROGRAM_PATH);
    let done = trial::once(&EDIT, &mut tree, &trial::facts(), &Default::default());
    assert_eq!(done.unwrap_err().code(), "guest-not-a-file");
    let mut tree = MemoryTree::of(&[(MOUNT_POINT, "a file")]);
    let done = trial::once(&EDIT, &mut tree, &trial::facts(), &Default::default());
    assert_eq!(done.unwrap_err().code(), "guest-not-a-file");
}

#[test]
fn the_mount_point_may_be_somewhere_else() {
    let mut tree = MemoryTree::default();
    tree.link("/mnt", "var/mnt");
    tree.dir("/var/mnt");
    run(&mut tree, Init::Systemd);
    assert!(mode(&tree, "/var/mnt/stratuslab").is_some());
    let mut tree = MemoryTree::default();
    tree.link(MOUNT_POINT, "/nowhere");
    run(&mut tree, Init::Systemd);
    assert_eq!(mode(&tree, MOUNT_POINT), Some(0o755));
}

#[test]
fn quattor_is_told() {
    for (text, told) in [("enable=yes\nrun_exec=x\n", true), ("enable=no\n#enable=yes\n", false)] {
        let mut tree = MemoryTree::of(&[("/etc/stratuslab/conf.d/99-quattor.context", text)]);
        let outcome = run(&mut tree, Init::Systemd);
        assert_eq!(outcome.codes().contains(&"context-quattor"), told);
        assert_eq!(tree.text("/etc/stratuslab/conf.d/99-quattor.context").unwrap(), text);
    }
}
