use super::*;
use crate::guest::edits::boot_trial::{Outcome, facts, run as trial};
use crate::guest::facts::Init;
use crate::guest::memory::{Entry, MemoryTree};

const RULE: &str = "# PCI device\nSUBSYSTEM==\"net\", ACTION==\"add\", \
    ATTR{address}==\"08:00:27:12:34:56\", KERNEL==\"eth*\", NAME=\"eth0\"\n";

fn edited(tree: &mut MemoryTree) -> Outcome {
    trial(&EDIT, tree, &facts(Init::Sysv), &[])
}

fn target(tree: &MemoryTree, path: &str) -> Option<String> {
    match tree.0.get(Path::new(path)) {
        Some(Entry::Link(target)) => Some(target.display().to_string()),
        _ => None,
    }
}

#[test]
fn nothing_to_forget() {
    let mut tree = MemoryTree::of(&[("/etc/udev/rules.d/70-snap.rules", "x")]);
    assert_eq!(edited(&mut tree).paths().len(), 0);
}

#[test]
fn rules_without_a_generator_go() {
    let net = "/etc/udev/rules.d/70-persistent-net.rules";
    let cd = "/etc/udev/rules.d/70-persistent-cd.rules";
    let mut tree = MemoryTree::of(&[(net, RULE), (cd, "x"), ("/etc/udev/rules.d/99-x.rules", "y")]);
    let outcome = edited(&mut tree);
    assert_eq!((outcome.paths(), outcome.codes().len()), (vec![net, cd], 0));
    assert_eq!(tree.0.keys().filter(|path| path.to_string_lossy().ends_with(".rules")).count(), 1);
}

#[test]
fn a_generator_is_masked() {
    let net = "/etc/udev/rules.d/70-persistent-net.rules";
    let generator = "75-persistent-net-generator.rules";
    let mut tree = MemoryTree::of(&[(net, RULE)]);
    tree.file(&format!("/usr/lib/udev/rules.d/{generator}"), "x", 0o644);
    tree.link("/lib", "usr/lib");
    edited(&mut tree);
    assert_eq!(target(&tree, net).unwrap(), "/dev/null");
    assert_eq!(target(&tree, &format!("/etc/udev/rules.d/{generator}")).unwrap(), "/dev/null");
    assert_eq!(tree.text(&format!("/lib/udev/rules.d/{generator}")).unwrap(), "x");
}

/// Debian 5 has it in /etc itself.
#[test]
fn a_generator_in_etc_is_kept_aside() {
    let place = "/etc/udev/rules.d/z45_persistent-net-generator.rules";
    let mut tree = MemoryTree::of(&[(place, "x")]);
    edited(&mut tree);
    assert_eq!(target(&tree, place).unwrap(), "/dev/null");
    assert_eq!(tree.text(&format!("{place}.stratus-orig")).unwrap(), "x");
}

#[test]
fn names_given_by_hand_are_told() {
    let net = "/etc/udev/rules.d/70-persistent-net.rules";
    let text = format!("{RULE}KERNEL==\"eth*\", NAME=\"lan0\"\n# NAME=\"x\"\n");
    let outcome = edited(&mut MemoryTree::of(&[(net, &text)]));
    assert_eq!(outcome.codes(), ["udev-net-name"]);
    assert!(outcome.warnings[0].message.contains("names lan0 are"));
}
