//! `authorized-keys`: the user's public keys go to root.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::accounts::root_home;
pub use super::public_key::check_key_line;
use super::public_key::key_line;
use super::{Bench, Edit};
use crate::error::{Error, Kind, Result};
use crate::guest::facts::SshServer;
use crate::guest::text;
use crate::guest::tree::{Attributes, NodeKind};

/// The edit. It has to run after `secrets`, which removes the keys of the builder.
pub const EDIT: Edit = Edit {
    name: "authorized-keys",
    default: true,
    reason: "puts the public keys that were given into root's authorized_keys",
    run,
};

fn run(bench: &mut Bench<'_>) -> Result<()> {
    let given = bench.options.authorized_keys.iter();
    let keys = given.map(|line| check_key_line(line)).collect::<Result<Vec<_>>>()?;
    if keys.is_empty() {
        return Ok(());
    }
    let home = root_home(bench.tree)?;
    own_home(bench, &home)?;
    private_folder(bench, &home.join(".ssh"))?;
    add(bench, &home.join(".ssh/authorized_keys"), &keys)?;
    // OpenWrt's Dropbear reads root's keys here.
    if bench.facts.ssh == Some(SshServer::Dropbear) && bench.exists("/etc/openwrt_release")? {
        add(bench, Path::new("/etc/dropbear/authorized_keys"), &keys)?;
    }
    Ok(())
}

/// Makes the folder one that the server trusts (`StrictModes`): of root, for root alone, and not
/// somewhere else behind a link.
fn private_folder(bench: &mut Bench<'_>, path: &Path) -> Result<()> {
    match bench.node(path)? {
        Some(node) if node.kind == NodeKind::Dir && node.uid == 0 => {
            if node.mode & 0o7777 != 0o700 {
                bench.tree.set_mode(path, 0o700)?;
                bench.record(path, "mode 0700");
            }
            return Ok(());
        }
        Some(node) if node.kind == NodeKind::Dir => return Err(not_roots(path, node.uid)),
        Some(_) => bench.remove(path, "removed: it is no folder of its own")?,
        None => {}
    }
    bench.tree.make_dir(path, Attributes::root(0o700))?;
    bench.record(path, "a folder, mode 0700");
    Ok(())
}

/// Makes root's home if it is missing; one that others may write to is none to the server.
fn own_home(bench: &mut Bench<'_>, home: &Path) -> Result<()> {
    let Some(real) = bench.tree.resolve(home)? else {
        if let Some(above) = home.parent() {
            bench.make_dirs(above)?;
        }
        bench.tree.make_dir(home, Attributes::root(0o700))?;
        bench.record(home, "a folder, mode 0700");
        return Ok(());
    };
    let mode = bench.node(&real)?.map_or(0, |node| node.mode);
    if mode & 0o022 != 0 {
        bench.tree.set_mode(&real, mode & !0o022)?;
        bench.record(&real, "not writable for others");
    }
    Ok(())
}

fn not_roots(path: &Path, uid: u32) -> Error {
    let path: PathBuf = path.into();
    let message = format!("{} in the guest belongs to user {uid}, not to root", path.display());
    Error::new(Kind::Refused, "guest-owner", message)
        .remedy("the SSH server would not trust keys there; give it to root in the guest")
}

/// Appends the keys that the file has not got yet, in their order.
fn add(bench: &mut Bench<'_>, path: &Path, keys: &[String]) -> Result<()> {
    // A file with a second name, or of somebody else, is left to them.
    let ours = |n: &crate::guest::tree::Node| n.kind == NodeKind::File && n.uid == 0 && n.links < 2;
    let node = bench.node(path)?;
    let mut now = String::new();
    match node {
        Some(node) if ours(&node) => now = bench.whole_text(path)?.unwrap_or_default(),
        Some(_) => bench.remove(path, "removed: not a file of root's alone")?,
        None => {}
    }
    let mut known: BTreeSet<(String, String)> = now.lines().filter_map(identity).collect();
    let mut added = 0;
    for key in keys {
        // The file's text has one character for each byte.
        let key = text::decode(key.as_bytes());
        if identity(&key).is_some_and(|identity| known.insert(identity)) {
            text::append(&mut now, &format!("{key}\n"));
            added += 1;
        }
    }
    if added > 0 {
        let plural = if added == 1 { "" } else { "s" };
        bench.put(path, &now, Attributes::root(0o600), format!("{added} key{plural} added"))?;
    }
    if bench.node(path)?.is_some_and(|node| node.mode & 0o7777 != 0o600) {
        bench.tree.set_mode(path, 0o600)?;
        bench.record(path, "mode 0600");
    }
    Ok(())
}

/// What makes two lines the same key with the same rights, whatever their comments say.
fn identity(line: &str) -> Option<(String, String)> {
    if line.trim_start().starts_with('#') {
        return None;
    }
    key_line(line).map(|key| (key.options.to_owned(), key.blob.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guest::edits::{EditOptions, secrets, trial};
    use crate::guest::memory::MemoryTree;
    use crate::guest::tree::Tree;

    const A: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGVbV0kA8lnDfHONxIGGmhvN0E/uhm1UzwSVeHgTFPFi";
    const B: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHVbV0kA8lnDfHONxIGGmhvN0E/uhm1UzwSVeHgTFPFi";
    const FILE: &str = "/root/.ssh/authorized_keys";

    fn options(keys: &[&str]) -> EditOptions {
        EditOptions {
            authorized_keys: keys.iter().map(|key| (*key).to_owned()).collect(),
            ..Default::default()
        }
    }

    fn run(tree: &mut MemoryTree, keys: &[&str]) -> trial::Outcome {
        trial::run(&EDIT, tree, &trial::facts(), &options(keys))
    }

    #[test]
    fn keys_are_appended_once_and_in_order() {
        let mut tree = MemoryTree::of(&[("/etc/passwd", "root:x:0:0::/root:/bin/sh\n")]);
        let (b, a) = (format!("{B} Zoë"), format!("{A} b"));
        let outcome = run(&mut tree, &[&b, &a, A]);
        assert_eq!(tree.text(FILE).unwrap(), format!("{b}\n{a}\n"));
        let mode = |path: &str| tree.node(Path::new(path)).unwrap().unwrap().mode;
        assert_eq!((mode("/root/.ssh"), mode(FILE)), (0o700, 0o600));
        assert_eq!(outcome.paths(), ["/root", "/root/.ssh", FILE]);
    }

    #[test]
    fn what_is_there_is_kept_and_made_private() {
        let mut tree = MemoryTree::of(&[(FILE, &format!("# mine\nno-pty {A}"))]);
        tree.set_mode(Path::new("/root"), 0o775).unwrap();
        run(&mut tree, &[A]);
        assert_eq!(tree.node(Path::new("/root")).unwrap().unwrap().mode, 0o755);
        assert_eq!(tree.text(FILE).unwrap(), format!("# mine\nno-pty {A}\n{A}\n"));
        assert_eq!(tree.node(Path::new(FILE)).unwrap().unwrap().mode, 0o600);
        assert_eq!(tree.node(Path::new("/root/.ssh")).unwrap().unwrap().mode, 0o700);
        assert_eq!(run(&mut tree, &[]).paths(), [""; 0]);
    }

    #[test]
    fn nothing_is_written_through_a_link() {
        let mut tree = MemoryTree::of(&[("/etc/shadow", "root:*:\n"), ("/etc/x", "")]);
        tree.link(FILE, "/etc/shadow");
        run(&mut tree, &[A]);
        assert_eq!(tree.text("/etc/shadow").unwrap(), "root:*:\n");
        assert_eq!(tree.text(FILE).unwrap(), format!("{A}\n"));

        let mut tree = MemoryTree::of(&[("/etc/x", ""), ("/root/a", "")]);
        tree.link("/root/.ssh", "/etc");
        run(&mut tree, &[A]);
        assert_eq!(tree.text("/etc/authorized_keys"), None);
        assert_eq!(tree.text(FILE).unwrap(), format!("{A}\n"));
    }

    #[test]
    fn roots_home_may_be_elsewhere() {
        let mut tree = MemoryTree::of(&[("/etc/passwd", "root:x:0:0::/:/bin/sh\n")]);
        run(&mut tree, &[A]);
        assert_eq!(tree.text("/.ssh/authorized_keys").unwrap(), format!("{A}\n"));
    }

    #[test]
    fn after_secrets_nothing_is_left_to_do() {
        let mut tree = MemoryTree::of(&[(FILE, &format!("{B} builder\n"))]);
        let (facts, options) = (trial::facts(), options(&[A]));
        trial::run(&secrets::EDIT, &mut tree, &facts, &options);
        trial::run(&EDIT, &mut tree, &facts, &options);
        assert_eq!(tree.text(FILE).unwrap(), format!("{A}\n"));
        let again = trial::run(&secrets::EDIT, &mut tree, &facts, &options);
        assert_eq!(again.paths(), [""; 0]);
    }

    #[test]
    fn a_private_key_is_refused() {
        let options = options(&["-----BEGIN OPENSSH PRIVATE KEY-----"]);
        let mut tree = MemoryTree::default();
        let error = trial::once(&EDIT, &mut tree, &trial::facts(), &options).unwrap_err();
        assert_eq!((error.code(), tree), ("key-private", MemoryTree::default()));
    }
}
