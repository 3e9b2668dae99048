//! Random file systems, changed at random through the guest's tree, against a model in memory; then
//! e2fsck has to find nothing, and debugfs has to list what the model has.
//!
//! 25 of them; 200 with `STRATUS_FULL=1`. `STRATUS_SEED` repeats a run.

mod common;
#[path = "common/work.rs"]
mod work;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use common::ext::{FLAVOURS, edit, fsck, make};
use common::folder_in_memory;
use common::guest::{Entry, listing};
use stratus::error::Kind;
use stratus::guest::tree::{Attributes, Tree};
use work::{Dice, full, say};

/// What is at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Node {
    Dir(u32),
    File(Vec<u8>, u32),
    Link(Vec<u8>),
}

type Model = BTreeMap<PathBuf, Node>;

fn name(dice: &mut Dice) -> OsString {
    let len = match dice.below(12) {
        0 => 200 + dice.below(56),
        1 => 1,
        _ => 3 + dice.below(20),
    };
    let letters = b"abcdefghijklmnopqrstuvwxyz0123456789.-_ \\\"'$*";
    let mut bytes: Vec<u8> =
        (0..len).map(|_| letters[dice.below(letters.len() as u64) as usize]).collect();
    if matches!(bytes.as_slice(), b"." | b"..") {
        bytes = b"dots".to_vec();
    }
    if dice.below(15) == 0 && bytes.len() < 200 {
        bytes.extend("ä\u{4e2d}".as_bytes());
    }
    OsString::from_vec(bytes)
}

fn content(dice: &mut Dice) -> Vec<u8> {
    let len = match dice.below(10) {
        0 => 0,
        1..=4 => dice.below(200),
        5..=7 => dice.below(9000),
        8 => 1024 * (1 + dice.below(12)),
        _ => dice.below(150_000),
    };
    common::noise(dice.below(u64::MAX), len as usize)
}

fn mode(dice: &mut Dice) -> u32 {
    [0o644, 0o600, 0o755, 0o000, 0o777, 0o440][dice.below(6) as usize]
}

fn any<'m>(dice: &mut Dice, model: &'m Model, fits: impl Fn(&Node) -> bool) -> Option<&'m PathBuf> {
    let paths: Vec<_> = model.iter().filter(|(_, node)| fits(node)).map(|(path, _)| path).collect();
    (!paths.is_empty()).then(|| paths[dice.below(paths.len() as u64) as usize])
}

fn is_dir(node: &Node) -> bool {
    matches!(node, Node::Dir(_))
}

fn is_file(node: &Node) -> bool {
    matches!(node, Node::File(..))
}

/// A name that is not there yet.
fn place(dice: &mut Dice, model: &Model) -> Option<PathBuf> {
    let root = PathBuf::from("/");
    let parent = any(dice, model, is_dir).unwrap_or(&root);
    let path = parent.join(name(dice));
    (!model.contains_key(&path) && path.as_os_str().len() < 1500).then_some(path)
}

/// A tree, on the host and in the model. Some folders have many names, so that they have hash trees.
fn grow(dice: &mut Dice, root: &Path) -> Model {
    let mut model = Model::new();
    let host = |path: &Path| root.join(path.strip_prefix("/").unwrap());
    let set = |path: &Path, mode: u32| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    fs::create_dir(root).unwrap();
    for _ in 0..20 + dice.below(60) {
        let Some(path) = place(dice, &model) else { continue };
        match dice.below(6) {
            0 | 1 => {
                fs::create_dir(host(&path)).unwrap();
                set(&host(&path), 0o755);
                if dice.below(8) == 0 {
                    for i in 0..dice.below(400) {
                        let inside = path.join(format!("one-of-many-{i:05}"));
                        fs::write(host(&inside), "m").unwrap();
                        set(&host(&inside), 0o644);
                        model.insert(inside, Node::File(b"m".to_vec(), 0o644));
                    }
                }
                model.insert(path, Node::Dir(0o755));
            }
            2 => {
                let target = vec![b'/'; 1 + dice.below(120) as usize];
                symlink(OsString::from_vec(target.clone()), host(&path)).unwrap();
                model.insert(path, Node::Link(target));
            }
            _ => {
                let (content, mode) = (content(dice), mode(dice));
                fs::write(host(&path), &content).unwrap();
                set(&host(&path), mode);
                if dice.below(4) == 0 {
                    let value = "v".repeat(dice.below(300) as usize);
                    // Not every file system of the host has attributes; then there are none.
                    let flags = rustix::fs::XattrFlags::empty();
                    let _ = rustix::fs::setxattr(host(&path), "user.note", value.as_bytes(), flags);
                }
                model.insert(path, Node::File(content, mode));
            }
        }
    }
    // mke2fs -d keeps hard links: two names, one content.
    for _ in 0..dice.below(4) {
        let Some(old) = any(dice, &model, is_file).cloned() else { continue };
        let Some(new) = place(dice, &model) else { continue };
        fs::hard_link(host(&old), host(&new)).unwrap();
        let node = model[&old].clone();
        model.insert(new, node);
    }
    model
}

/// One change in both. `Ok(false)` if there was nothing that it could be done to.
fn change(dice: &mut Dice, model: &mut Model, tree: &mut dyn Tree) -> Result<bool, String> {
    fn told(path: &Path) -> impl Fn(stratus::error::Error) -> String {
        let path = path.display().to_string();
        move |error| format!("{path}: {error}")
    }
    match dice.below(10) {
        0 | 1 => {
            let Some(path) = place(dice, model) else { return Ok(false) };
            let (content, mode) = (content(dice), mode(dice));
            let attributes = Attributes::root(mode as u16);
            tree.write(&path, &content, attributes).map_err(told(&path))?;
            model.insert(path, Node::File(content, mode));
        }
        2 | 3 => {
            let Some(path) = any(dice, model, is_file).cloned() else { return Ok(false) };
            let new = content(dice);
            tree.write(&path, &new, Attributes::root(0)).map_err(told(&path))?;
            let Some(Node::File(content, _)) = model.get_mut(&path) else { unreachable!() };
            *content = new;
        }
        4 | 5 => {
            let Some(path) = any(dice, model, |_| true).cloned() else { return Ok(false) };
            let inside = model.keys().any(|other| other != &path && other.starts_with(&path));
            match (tree.remove(&path), inside) {
                (Err(_), true) => {}
                (Ok(()), false) => drop(model.remove(&path)),
                (result, _) => return Err(format!("remove {}: {result:?}", path.display())),
            }
        }
        6 => {
            let Some(path) = place(dice, model) else { return Ok(false) };
            tree.make_dir(&path, Attributes::root(0o750)).map_err(told(&path))?;
            model.insert(path, Node::Dir(0o750));
        }
        7 => {
            let Some(path) = place(dice, model) else { return Ok(false) };
            let target = vec![b'x'; 1 + dice.below(150) as usize];
            let link = PathBuf::from(OsString::from_vec(target.clone()));
            tree.make_link(&path, &link).map_err(told(&path))?;
            model.insert(path, Node::Link(target));
        }
        8 => {
            let Some(from) = any(dice, model, |_| true).cloned() else { return Ok(false) };
            let to = from.with_file_name(name(dice));
            if model.contains_key(&to) {
                return Ok(false);
            }
            tree.rename(&from, &to).map_err(told(&from))?;
            let moved: Vec<_> = model.keys().filter(|p| p.starts_with(&from)).cloned().collect();
            for old in moved {
                let node = model.remove(&old).unwrap();
                let inside = old.strip_prefix(&from).unwrap();
                let whole = inside.as_os_str().is_empty();
                model.insert(if whole { to.clone() } else { to.join(inside) }, node);
            }
        }
        _ => {
            let Some(path) = any(dice, model, |n| !matches!(n, Node::Link(_))).cloned() else {
                return Ok(false);
            };
            let new = mode(dice);
            tree.set_mode(&path, new as u16).map_err(told(&path))?;
            match model.get_mut(&path) {
                Some(Node::File(_, mode) | Node::Dir(mode)) => *mode = new,
                _ => unreachable!(),
            }
        }
    }
    Ok(true)
}

fn shown(entry: &Entry) -> Node {
    let (mode, content) = (entry.0, &entry.3);
    match mode & 0o170_000 {
        0o040_000 => Node::Dir(mode & 0o7777),
        0o120_000 => Node::Link(content.clone()),
        _ => Node::File(content.clone(), mode & 0o7777),
    }
}

/// A file with two names: a change of one gives it an inode of its own, its mode changes for both.
/// The model knows no inodes, so it asks debugfs which they were.
fn one(number: u64, dice: &mut Dice) -> Result<usize, String> {
    let folder = folder_in_memory();
    let root = folder.path().join("tree");
    let mut model = grow(dice, &root);
    let (flavour, arguments) = FLAVOURS[dice.below(FLAVOURS.len() as u64) as usize];
    let image = folder.path().join("fs.img");
    make(&image, arguments, &root, 24);
    fsck(&image);
    let what = format!("{number} on {flavour}");
    let linked = hard_links(&root);
    let mut done = 0;
    let result = edit(&image, |tree| {
        for _ in 0..60 {
            let before = model.clone();
            match change(dice, &mut model, tree) {
                Ok(true) => done += 1,
                Ok(false) => {}
                Err(why) => {
                    model = before;
                    return Err(stratus::error::Error::new(Kind::Internal, "model", why));
                }
            }
        }
        Ok(())
    });
    let (out, _) = result.map_err(|e| format!("{what}: {e}"))?;
    fsck(&out);
    let mut found: BTreeMap<_, _> = listing(&fs::read(&out).unwrap())
        .iter()
        .map(|(path, entry)| (path.clone(), shown(entry)))
        .collect();
    found.remove(Path::new("/lost+found"));
    let paths: std::collections::BTreeSet<_> = found.keys().chain(model.keys()).collect();
    for path in paths {
        let (mut is, mut should) = (found.get(path).cloned(), model.get(path).cloned());
        let inline = flavour.contains("inline");
        if let (Some(Node::File(a, m)), Some(Node::File(b, n))) = (&mut is, &mut should) {
            // debugfs hands a file inside an inode out with the rest of its place.
            if inline && a.len() > b.len() && a[b.len()..].iter().all(|byte| *byte == 0) {
                a.truncate(b.len());
            }
            // The model has a mode for each name, the file system one for both.
            if linked && m != n {
                *m = *n;
            }
        }
        if is != should {
            let short =
                |node: &Option<Node>| format!("{node:?}").chars().take(200).collect::<String>();
            let (is, should) = (short(&is), short(&should));
            return Err(format!("{what}: {}: {is}, not {should}", path.display()));
        }
    }
    Ok(done)
}

fn hard_links(root: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let meta = entry.as_ref().unwrap().metadata().unwrap();
            if meta.is_dir() {
                folders.push(entry.unwrap().path());
            } else if meta.nlink() > 1 {
                return true;
            }
        }
    }
    false
}

#[test]
fn random_trees_and_changes() {
    let count = if full() { 200 } else { 25 };
    let mut dice = Dice::new("random trees");
    let seeds: Vec<u64> = (0..count).map(|_| dice.below(u64::MAX)).collect();
    let mut done = 0;
    let mut wrong = Vec::new();
    for (number, seed) in (0..).zip(seeds) {
        match one(number, &mut Dice::of(seed)) {
            Ok(changes) => done += changes,
            Err(why) => wrong.push(why),
        }
    }
    say(&format!("{count} trees, {done} changes"));
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(done > count as usize * 30, "only {done} changes");
}
