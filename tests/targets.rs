//! What all targets promise, asked of those that need no server.

#[path = "common/targets.rs"]
mod targets;

use std::fs;
use std::path::Path;

use stratus::publish::directory::Directory;
use stratus::publish::{Object, Target};
use targets::Place;

/// A directory that is not there yet.
struct Folder {
    _home: tempfile::TempDir,
    root: std::path::PathBuf,
}

impl Folder {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let root = home.path().join("a b/repository");
        Folder { _home: home, root }
    }
}

/// All files below `root`.
fn names(root: &Path) -> Vec<String> {
    let mut folders = vec![root.to_owned()];
    let mut names = Vec::new();
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries {
            let path = entry.unwrap().path();
            names.push(path.strip_prefix(root).unwrap().to_string_lossy().into_owned());
            if path.is_dir() && !path.is_symlink() {
                folders.push(path);
            }
        }
    }
    names.sort();
    names
}

impl Place for Folder {
    fn target(&self) -> Box<dyn Target> {
        Box::new(Directory::new(&self.root).unwrap())
    }

    fn names(&self) -> Option<Vec<String>> {
        Some(names(&self.root))
    }

    fn leave(&self, object: &Object, bytes: &[u8]) -> bool {
        let path = self.root.join(object.name);
        let last = path.file_name().unwrap().to_str().unwrap();
        let part = path.with_file_name(format!(".{last}.{}.part", &object.sha256[..16]));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(part, bytes).unwrap();
        true
    }
}

#[test]
fn a_directory_keeps_all_promises() {
    targets::suite(&Folder::new());
}
