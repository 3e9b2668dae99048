//! `udev-net`: no network card or CD drive of the old machine by name.
//!
//! udev used to write the MAC address of each card into a rule; the card of another machine then
//! is eth1, and eth0 is configured but never there.

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use super::{Bench, Edit};
use crate::error::Result;
use crate::guest::tree::NodeKind;

/// The edit.
pub const EDIT: Edit = Edit {
    name: "udev-net",
    default: true,
    reason: "forgets the MAC addresses and CD drives that udev remembered by name",
    run,
};

const RULES: &str = "/etc/udev/rules.d";
/// Names of the rules that udev writes, by age: Debian 4, SUSE 10, and those since 2007.
const WRITTEN: &[&str] = &[
    "z25_persistent-net.rules",
    "z25_persistent-cd.rules",
    "30-net_persistent_names.rules",
    "70-persistent-net.rules",
    "70-persistent-cd.rules",
];
/// Where the rules that write them are.
const GENERATORS: &[&str] = &["/lib/udev/rules.d", "/usr/lib/udev/rules.d", RULES];
const GENERATOR_NAMES: &[&str] = &[
    "75-persistent-net-generator.rules",
    "z45_persistent-net-generator.rules",
    "31-net_create_names.rules",
];

fn run(bench: &mut Bench<'_>) -> Result<()> {
    names_are_lost(bench)?;
    for name in WRITTEN {
        let path = Path::new(RULES).join(name);
        if bench.node(&path)?.is_some_and(|node| node.kind == NodeKind::File) {
            bench.remove(&path, "remembered devices removed")?;
        }
    }
    for name in GENERATOR_NAMES {
        for folder in GENERATORS {
            mask(bench, &Path::new(folder).join(name))?;
        }
    }
    Ok(())
}

/// Puts a link to /dev/null over a rule that remembers cards. In /etc it goes before that of the
/// same name in /lib (udev(7)); one that stands in /etc itself is kept under another name.
fn mask(bench: &mut Bench<'_>, generator: &Path) -> Result<()> {
    if bench.node(generator)?.is_none_or(|node| node.kind != NodeKind::File) {
        return Ok(());
    }
    let Some(name) = generator.file_name() else { return Ok(()) };
    let place = Path::new(RULES).join(name);
    if bench.node(&place)?.is_some_and(|node| node.kind == NodeKind::File) {
        let mut kept = place.clone().into_os_string();
        kept.push(".stratus-orig");
        let kept = PathBuf::from(kept);
        if bench.node(&kept)?.is_some() {
            return Ok(());
        }
        bench.rename(&place, &kept, "set aside as .stratus-orig")?;
    }
    bench.link(&place, "/dev/null", "network cards are not remembered any more")?;
    if name == "75-persistent-net-generator.rules" {
        let rules = Path::new(RULES).join("70-persistent-net.rules");
        bench.link(&rules, "/dev/null", "network cards are not remembered any more")?;
    }
    Ok(())
}

/// Someone may have given a card a name by hand, and used it elsewhere.
fn names_are_lost(bench: &mut Bench<'_>) -> Result<()> {
    let path = Path::new(RULES).join("70-persistent-net.rules");
    let Some(text) = bench.text(&path)? else { return Ok(()) };
    let rules = text.lines().filter(|line| !line.trim_ascii_start().starts_with('#'));
    let named = rules.filter_map(|line| line.split("NAME=\"").nth(1)?.split('"').next());
    let usual = |name: &&str| {
        let digits = name.strip_prefix("eth").or(name.strip_prefix("wlan"));
        !digits.is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_digit()))
    };
    let odd: Vec<String> = named.filter(usual).take(8).map(str::to_owned).collect();
    if !odd.is_empty() {
        let message = format!("{}: the names {} are gone", path.display(), odd.join(", "));
        bench.warn("udev-net-name", message);
    }
    Ok(())
}
