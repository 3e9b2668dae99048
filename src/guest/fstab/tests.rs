use proptest::prelude::*;

use super::*;
use crate::guest::inspect::tests::judge;

const FSTAB: &str = "# <file system> <mount point>\n\
    UUID=0a1b-2c3d  /\text4 errors=remount-ro 0 1\n\
    \n  # tabs\n\
    LABEL=my\\040data\t/mnt/my\\040data\text3\tdefaults,noauto\n\
    /dev/sda5 none swap sw 0 0\r\n\
    broken\n\
    tmpfs /tmp tmpfs\n\
    host:/home /home nfs rw 0 0 trailing words";

#[test]
fn entries_are_read() {
    let table = Table::parse(FSTAB);
    let entries: Vec<Entry> = table.entries().collect();
    let short: Vec<_> = entries
        .iter()
        .map(|e| (e.line, e.spec.as_str(), e.at.as_str(), e.kind.as_str(), e.options.as_str()))
        .collect();
    assert_eq!(
        short,
        [
            (1, "UUID=0a1b-2c3d", "/", "ext4", "errors=remount-ro"),
            (4, "LABEL=my data", "/mnt/my data", "ext3", "defaults,noauto"),
            (5, "/dev/sda5", "none", "swap", "sw"),
            (7, "tmpfs", "/tmp", "tmpfs", "defaults"),
            (8, "host:/home", "/home", "nfs", "rw"),
        ]
    );
    assert!(entries[0].has_option("errors") && entries[1].has_option("noauto"));
    assert!(!entries[0].has_option("remount-ro") && entries[2].is_swap());
    assert_eq!(table.text(), FSTAB);
}

#[test]
fn one_field_changes_and_no_other_byte() {
    let mut table = Table::parse(FSTAB);
    assert!(table.set_spec(5, "UUID=new"));
    assert!(table.set_options(4, "ro,x=a b"));
    assert!(table.add_option(7, "nofail"));
    assert!(table.add_option(8, "nofail"));
    let expected = FSTAB
        .replace("/dev/sda5 none", "UUID=new none")
        .replace("defaults,noauto", "ro,x=a\\040b")
        .replace("tmpfs /tmp tmpfs", "tmpfs /tmp tmpfs nofail")
        .replace("nfs rw 0", "nfs rw,nofail 0");
    assert_eq!(table.text(), expected);
    // Done is done.
    assert!(!table.set_spec(5, "UUID=new") && !table.set_options(4, "ro,x=a b"));
    assert!(!table.add_option(7, "nofail") && !table.add_option(8, "nofail"));
    // No entry, no change.
    assert!(!table.set_spec(0, "x") && !table.set_spec(99, "x") && !table.set_spec(1, ""));
    assert!(!table.set(7, 5, "1") && !table.add_option(6, "nofail"));
    assert_eq!(table.text(), expected);
}

#[test]
fn crypttab_is_read_and_changed() {
    let text = "# name\ncrypt /dev/sda3 none luks,discard\nalone\n";
    let mut table = Table::parse(text);
    let crypts: Vec<Crypt> = table.crypts().collect();
    let (name, spec) = ("crypt".to_owned(), "/dev/sda3".to_owned());
    assert_eq!(crypts, [Crypt { line: 1, name, spec, key: "none".into() }]);
    assert!(table.set(1, field::CRYPT_SPEC, "UUID=1"));
    assert_eq!(table.text(), text.replace("/dev/sda3", "UUID=1"));
}

/// util-linux reads the same out of the same file, also out of what was changed.
#[test]
fn findmnt_agrees() {
    let mut table = Table::parse(FSTAB);
    assert!(table.set_spec(1, "LABEL=a b\\c"));
    assert!(table.set_options(8, "rw,user=#1"));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fstab");
    // findmnt refuses a whole file for one broken line; we do not.
    let text = table.text().replace("broken\n", "").replace("\r\n", "\n");
    std::fs::write(&path, &text).unwrap();
    let tab = path.to_str().unwrap();
    let args = ["--fstab", "--tab-file", tab, "-J", "--output", "SOURCE,TARGET,FSTYPE,OPTIONS"];
    let json = judge("findmnt", "util-linux", &args, b"");
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    let mut theirs = Vec::new();
    let mut left = vec![&json["filesystems"]];
    while let Some(list) = left.pop() {
        for one in list.as_array().into_iter().flatten() {
            let text = |key: &str| one[key].as_str().unwrap_or("defaults").to_owned();
            theirs.push((text("source"), text("target"), text("fstype"), text("options")));
            left.push(&one["children"]);
        }
    }
    let table = Table::parse(&text);
    let mut ours: Vec<_> = table.entries().map(|e| (e.spec, e.at, e.kind, e.options)).collect();
    // It writes `noauto` for `defaults,noauto`, and so on: the sets are compared, less `defaults`.
    let plain = |options: &mut String| {
        let mut list: Vec<_> = options.split(',').filter(|o| *o != "defaults").collect();
        list.sort_unstable();
        *options = list.join(",");
    };
    ours.iter_mut().chain(&mut theirs).for_each(|entry| plain(&mut entry.3));
    ours.sort();
    theirs.sort();
    assert_eq!(ours, theirs);
}

proptest! {
    /// No byte is lost, and a value that was set is the value that is read.
    #[test]
    fn any_text_survives(text in "[ \t\r\n#\\\\a0-9=é]{0,60}", value in "[ \t\n#\\\\a0é]{1,8}") {
        let mut table = Table::parse(&text);
        prop_assert_eq!(table.text(), text.clone());
        let Some(entry) = table.entries().last() else { return Ok(()) };
        let before: Vec<Entry> = table.entries().collect();
        let changed = table.set_spec(entry.line, &value);
        prop_assert_eq!(changed, entry.spec != value);
        let again = Table::parse(&table.text());
        prop_assert_eq!(&again, &table);
        let after: Vec<Entry> = again.entries().collect();
        prop_assert_eq!(after.len(), before.len());
        prop_assert_eq!(&after.last().unwrap().spec, &value);
        prop_assert_eq!(&after[..after.len() - 1], &before[..before.len() - 1]);
    }
}
