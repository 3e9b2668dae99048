//! The guest's accounts and their home folders, as `/etc/passwd` has them.
//!
//! All of it is under the control of whoever made the disk: a home may be `/`, `/etc` or a link to
//! either, a name may hold anything. So homes are canonical paths, system folders are never homes,
//! and names are made printable before a person sees them.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use super::{Bench, text};
use crate::error::{Error, Kind, Result};
use crate::guest::tree::{MAX_TEXT, NodeKind, Tree};

/// Shells and programs that end at once: an account with one of them is nobody's login.
const NO_LOGIN: [&str; 7] = ["nologin", "false", "true", "sync", "shutdown", "halt", "reboot"];

/// Folders of the root that belong to the system; what is below them is no home.
const SYSTEM: [&str; 17] = [
    "bin",
    "boot",
    "dev",
    "etc",
    "lib",
    "lib32",
    "lib64",
    "libx32",
    "lost+found",
    "media",
    "proc",
    "run",
    "sbin",
    "sys",
    "tmp",
    "usr",
    "var",
];

/// Homes below a system folder all the same (image-based Fedora: `/home` and `/root` are links).
const HOMES_IN_VAR: [&str; 2] = ["/var/home", "/var/roothome"];

/// A line of `/etc/passwd` (passwd(5)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its name.
    pub name: String,
    /// The second field: `x` if the hash is in `/etc/shadow`.
    pub password: String,
    /// User id.
    pub uid: u32,
    /// Home folder, as it is written there.
    pub home: PathBuf,
    /// Shell; empty stands for `/bin/sh`.
    pub shell: String,
}

impl Account {
    /// Whether its shell is one that a person can work in.
    pub fn has_shell(&self) -> bool {
        let program = self.shell.rsplit('/').next().unwrap_or_default();
        !NO_LOGIN.contains(&program)
    }

    /// Whether it is the root account itself, not another name of user 0.
    pub fn is_root(&self) -> bool {
        self.name == "root" && self.uid == 0
    }
}

/// A home folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Home {
    /// Where it really is, no links in it.
    pub path: PathBuf,
    /// Whether it is root's.
    pub root: bool,
}

/// The accounts in the order of `/etc/passwd`; lines that the C library skips are skipped.
///
/// # Errors
/// Those of reading the guest.
pub fn accounts(tree: &dyn Tree) -> Result<Vec<Account>> {
    let text = whole_text(tree, Path::new("/etc/passwd"))?.unwrap_or_default();
    Ok(text.lines().filter_map(account).collect())
}

fn account(line: &str) -> Option<Account> {
    let fields: Vec<&str> = line.trim_end_matches('\r').split(':').collect();
    let [name, password, uid, _gid, _gecos, home, rest @ ..] = fields.as_slice() else {
        return None;
    };
    if name.is_empty() || name.starts_with(['#', '+', '-']) {
        return None;
    }
    Some(Account {
        name: (*name).to_owned(),
        password: (*password).to_owned(),
        uid: uid.parse().ok()?,
        home: path_of(home),
        shell: rest.first().copied().unwrap_or_default().to_owned(),
    })
}

/// A path out of a decoded text.
pub(super) fn path_of(text: &str) -> PathBuf {
    OsString::from_vec(text::encode(text)).into()
}

/// Root's home folder as it is written in `/etc/passwd`; `/root` if there is no such account.
///
/// # Errors
/// Those of reading the guest.
pub fn root_home(tree: &dyn Tree) -> Result<PathBuf> {
    let root = accounts(tree)?.into_iter().find(Account::is_root);
    Ok(root.map(|root| root.home).filter(|home| home.is_absolute()).unwrap_or("/root".into()))
}

/// The home folders that are there: root's, those of the accounts with a login shell, and the
/// folders in `/home`. Each once. Root's may be `/`, as on small systems; no other may, and none
/// lies in a system folder.
///
/// # Errors
/// Those of reading the guest.
pub fn homes(tree: &dyn Tree) -> Result<Vec<Home>> {
    let root = root_home(tree)?;
    let people = accounts(tree)?.into_iter().filter(|who| who.has_shell() && !who.is_root());
    let in_home = tree.list(Path::new("/home"))?.into_iter();
    let places = std::iter::once(root.clone())
        .chain(people.map(|who| who.home))
        .chain(in_home.map(|name| Path::new("/home").join(name)));
    let (mut seen, mut found) = (BTreeSet::new(), Vec::new());
    for (i, place) in places.enumerate() {
        let root = i == 0;
        let Some(path) = tree.resolve(&place)?.filter(|_| place.is_absolute()) else { continue };
        let fits = if root { may_be_roots(&path) } else { may_be_home(&path) };
        let dir = tree.node(&path)?.is_some_and(|node| node.kind == NodeKind::Dir);
        if fits && dir && seen.insert(path.clone()) {
            found.push(Home { path, root });
        }
    }
    Ok(found)
}

fn may_be_roots(path: &Path) -> bool {
    path == Path::new("/") || path == Path::new("/root") || may_be_home(path)
}

fn may_be_home(path: &Path) -> bool {
    let names: Vec<_> = path.iter().skip(1).filter_map(|name| name.to_str()).collect();
    let allowed = HOMES_IN_VAR.iter().any(|home| path.starts_with(home));
    match names.first() {
        _ if allowed => path != Path::new("/var/home"),
        Some(first) => path.iter().count() > 2 && !SYSTEM.contains(first),
        // Not UTF-8: no system folder, but not a place for homes either.
        None => false,
    }
}

impl Home {
    /// What has to be removed so that `inside`, a path below this home, is gone: the name itself,
    /// or, where a link on the way leads out of the home, that link. `None` if nothing is there.
    ///
    /// # Errors
    /// Those of reading the guest.
    pub fn find(&self, tree: &dyn Tree, inside: impl AsRef<Path>) -> Result<Option<PathBuf>> {
        let inside = inside.as_ref();
        let full = self.path.join(inside);
        let (Some(above), Some(name)) = (full.parent(), full.file_name()) else { return Ok(None) };
        let Some(real) = tree.resolve(above)? else { return Ok(None) };
        let place = real.join(name);
        if tree.node(&place)?.is_none() {
            return Ok(None);
        }
        if real == above || (self.path != Path::new("/") && real.starts_with(&self.path)) {
            return Ok(Some(place));
        }
        let mut at = self.path.clone();
        for part in inside {
            at.push(part);
            if tree.node(&at)?.is_some_and(|node| node.kind == NodeKind::Link) {
                return Ok(Some(at));
            }
        }
        Ok(None)
    }
}

/// The text of a file that must not be passed over: too large is an error, not `None`.
///
/// # Errors
/// `Refused` with code `guest-file-too-large`.
pub fn whole_text(tree: &dyn Tree, path: &Path) -> Result<Option<String>> {
    if let Some(bytes) = tree.read(path, MAX_TEXT)? {
        return Ok(Some(text::decode(&bytes)));
    }
    let Some(real) = tree.resolve(path)? else { return Ok(None) };
    match tree.node(&real)? {
        Some(node) if node.kind == NodeKind::File && node.size > MAX_TEXT => {
            let message = format!("{} in the guest has {} bytes", path.display(), node.size);
            Err(Error::new(Kind::Refused, "guest-file-too-large", message)
                .remedy("a configuration file is not larger than 4 MiB; look into it"))
        }
        _ => Ok(None),
    }
}

impl Bench<'_> {
    /// [`whole_text`] of the guest at hand.
    pub(super) fn whole_text(&self, path: impl AsRef<Path>) -> Result<Option<String>> {
        whole_text(self.tree, path.as_ref())
    }
}

/// A name out of the guest for a person to read: short, and without control characters.
pub(super) fn shown(name: &str) -> String {
    name.chars().take(64).flat_map(char::escape_default).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guest::memory::MemoryTree;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\n\
        bob:x:1000:1000::/home/bob:/bin/sh\n\
        evil:x:1001:1001::/:/bin/sh\n\
        etc:x:1002:1002::/etc:/bin/sh\n\
        up:x:1003:1003::/home/../usr/share:/bin/sh\n\
        out:x:1004:1004::/home/out:/bin/sh\n\
        svc:x:1005:1005::/srv/svc:/usr/sbin/nologin\n\
        git:x:1006:1006::/srv/git:\n\
        half:x:1007\n";

    fn paths(tree: &MemoryTree) -> Vec<String> {
        homes(tree).unwrap().iter().map(|home| home.path.display().to_string()).collect()
    }

    #[test]
    fn only_real_homes_are_homes() {
        let mut tree = MemoryTree::of(&[("/etc/passwd", PASSWD)]);
        for dir in ["/root", "/home/bob", "/home/amy", "/srv/svc", "/srv/git", "/usr/share"] {
            tree.dir(dir);
        }
        tree.link("/home/out", "/");
        tree.link("/home/twice", "bob");
        assert_eq!(paths(&tree), ["/root", "/home/bob", "/srv/git", "/home/amy"]);
    }

    #[test]
    fn homes_that_are_links_to_the_system_are_none() {
        let mut tree = MemoryTree::of(&[("/etc/passwd", "root:x:0:0::/:/bin/sh\n")]);
        tree.link("/home", "/");
        tree.dir("/dev/x");
        assert_eq!(paths(&tree), ["/"]);
        tree.file("/etc/passwd", "root:x:0:0::/etc:/bin/sh\n", 0o644);
        assert_eq!(paths(&tree), [""; 0]);
    }

    #[test]
    fn a_link_out_of_the_home_is_what_is_found() {
        let mut tree = MemoryTree::of(&[("/etc/x/key", ""), ("/home/a/dot/key", "")]);
        tree.link("/home/a/.out", "/etc/x");
        tree.link("/home/a/.in", "dot");
        let home = Home { path: "/home/a".into(), root: false };
        let find = |inside| home.find(&tree, inside).unwrap().map(|p| p.display().to_string());
        assert_eq!(find(".out/key").unwrap(), "/home/a/.out");
        assert_eq!(find(".in/key").unwrap(), "/home/a/dot/key");
        assert_eq!(find(".in/none"), None);
        assert_eq!(find(".none/key"), None);
    }

    #[test]
    fn names_are_made_printable() {
        assert_eq!(shown("a\u{1b}[2J"), "a\\u{1b}[2J");
    }
}
