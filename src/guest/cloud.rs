//! cloud-init's own configuration, as far as it decides who may log in.
//!
//! `cloud.cfg` and then the files of `cloud.cfg.d` in the order of their names: the last that says
//! something of a key is right.

use std::path::{Path, PathBuf};

use super::text;
use super::tree::{MAX_TEXT, Tree};
use crate::error::Result;

/// The folder of the configuration's files.
pub const FOLDER: &str = "/etc/cloud/cloud.cfg.d";
/// What is in here is taken for what a cloud gives (`NoCloud`).
const SEEDS: [&str; 2] = ["/var/lib/cloud/seed/nocloud", "/var/lib/cloud/seed/nocloud-net"];
/// Files that are looked at.
const MAX_FILES: usize = 1000;

/// The files of the configuration, in their order.
///
/// # Errors
/// Those of reading the guest.
pub fn files(tree: &dyn Tree) -> Result<Vec<PathBuf>> {
    let names = tree.list(Path::new(FOLDER))?.into_iter();
    let inside = names.map(|name| Path::new(FOLDER).join(name));
    let inside = inside.filter(|path| path.extension().is_some_and(|end| end == "cfg"));
    Ok(std::iter::once("/etc/cloud/cloud.cfg".into()).chain(inside.take(MAX_FILES)).collect())
}

/// Whether cloud-init would ask a cloud for keys: not, if it has to do without, or finds what it
/// needs in the guest.
///
/// # Errors
/// Those of reading the guest.
pub fn asks_a_cloud(tree: &dyn Tree) -> Result<bool> {
    let sources = lists(tree)?.pop().map(|(_, names)| names);
    let mut seeded = false;
    for seed in SEEDS {
        seeded |= !tree.list(Path::new(seed))?.is_empty();
    }
    let asks = |name: &String| name != "None" && !(seeded && name == "NoCloud");
    Ok(sources.is_none_or(|names| names.iter().any(asks)))
}

/// The files that have a list of data sources, in their order, with the names in it. The last one
/// counts.
///
/// # Errors
/// Those of reading the guest.
pub fn lists(tree: &dyn Tree) -> Result<Vec<(PathBuf, Vec<String>)>> {
    let mut lists = Vec::new();
    for path in files(tree)? {
        let bytes = tree.read(&path, MAX_TEXT)?.unwrap_or_default();
        if let Some(names) = datasource_list(&text::decode(&bytes)) {
            lists.push((path, names));
        }
    }
    Ok(lists)
}

/// The names of `datasource_list`, in brackets or one on a line.
fn datasource_list(text: &str) -> Option<Vec<String>> {
    let mut found: Option<Vec<String>> = None;
    let mut inside = false;
    for line in text.lines() {
        let line = without_comment(line);
        let begins = line.strip_prefix("datasource_list:");
        inside = begins.is_some()
            || inside && (line.trim().is_empty() || line.starts_with([' ', '\t', '-', ']']));
        let names = match begins {
            Some(_) => found.insert(Vec::new()),
            None if inside => found.get_or_insert_default(),
            None => continue,
        };
        let words = begins.unwrap_or(line).split([' ', '\t', ',', '[', ']', '"', '\'']);
        names.extend(words.filter(|word| !matches!(*word, "" | "-")).map(str::to_owned));
    }
    found
}

/// Whether a line of the configuration makes cloud-init switch on passwords for SSH (`is_true` of
/// its `util.py`).
pub fn lets_passwords_in(line: &str) -> bool {
    let value = without_comment(line).strip_prefix("ssh_pwauth:").unwrap_or_default();
    let value = value.trim().trim_matches(['"', '\'']).to_ascii_lowercase();
    matches!(value.as_str(), "true" | "yes" | "on" | "1")
}

fn without_comment(line: &str) -> &str {
    let comments = line.match_indices('#').map(|(at, _)| &line[..at]);
    let mut comments = comments.filter(|b| b.is_empty() || b.ends_with([' ', '\t']));
    comments.next().unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guest::memory::MemoryTree;

    #[test]
    fn sources_that_are_no_cloud() {
        for (text, asks, asks_with_seed) in [
            ("", true, true),
            ("datasource_list: [None]\n", false, false),
            ("datasource_list: [ NoCloud, None ] # all\n", true, false),
            ("datasource_list:\n# some\n- 'None'\n\n  - \"NoCloud\"\nx: [Ec2]\n", true, false),
            ("datasource_list: [None,\n  OpenStack]\n", true, true),
            ("#datasource_list: [None]\n", true, true),
            ("datasource_list: [Ec2]\nx:\n - y\ndatasource_list: [None]\n", false, false),
        ] {
            let mut tree = MemoryTree::of(&[("/etc/cloud/cloud.cfg.d/99-x.cfg", text)]);
            assert_eq!(asks_a_cloud(&tree).unwrap(), asks, "{text}");
            tree.file("/var/lib/cloud/seed/nocloud-net/user-data", "", 0o600);
            assert_eq!(asks_a_cloud(&tree).unwrap(), asks_with_seed, "{text}");
        }
    }

    #[test]
    fn the_last_file_is_right() {
        let none = "datasource_list: [None]\n";
        let mut tree = MemoryTree::of(&[("/etc/cloud/cloud.cfg", none)]);
        tree.file("/etc/cloud/cloud.cfg.d/90_dpkg.cfg", "datasource_list: [ OpenNebula ]\n", 0o644);
        tree.file("/etc/cloud/cloud.cfg.d/99.off", none, 0o644);
        assert!(asks_a_cloud(&tree).unwrap());
        tree.file("/etc/cloud/cloud.cfg.d/99-installer.cfg", none, 0o600);
        assert!(!asks_a_cloud(&tree).unwrap());
    }

    #[test]
    fn passwords_that_are_switched_on() {
        for line in ["ssh_pwauth: true\n", "ssh_pwauth:   1", "ssh_pwauth: 'Yes' # x"] {
            assert!(lets_passwords_in(line), "{line}");
        }
        for line in ["ssh_pwauth: false", "ssh_pwauth: unchanged", "#ssh_pwauth: true", " x: true"]
        {
            assert!(!lets_passwords_in(line), "{line}");
        }
    }
}
