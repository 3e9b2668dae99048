//! NetworkManager's keyfiles (`/etc/NetworkManager/system-connections`, nm-settings-keyfile(5)).
//!
//! A connection without a card's name or MAC address is for any Ethernet card.

use std::collections::BTreeSet;

use super::{Findings, complex, is_predictable, mark};
use crate::error::Result;
use crate::guest::edits::Bench;
use crate::guest::tree::Attributes;

/// Lines with the section each is in; section lines themselves have none.
fn entries(text: &str) -> impl Iterator<Item = (&str, &str, &str, &str)> {
    let mut inside = "";
    text.split_inclusive('\n').map(move |line| {
        let code = line.trim_ascii();
        if let Some(name) = code.strip_prefix('[').and_then(|code| code.strip_suffix(']')) {
            inside = name;
            return (line, "", "", "");
        }
        match code.split_once('=').filter(|_| !code.starts_with('#')) {
            Some((key, value)) => (line, inside, key.trim_ascii(), value.trim_ascii()),
            None => (line, "", "", ""),
        }
    })
}

/// Sections of an Ethernet card, today's name and the older one.
const ETHERNET: [&str; 2] = ["ethernet", "802-3-ethernet"];

/// Sections with a fixed address.
fn manual(text: &str) -> BTreeSet<&str> {
    let manual = entries(text).filter(|(_, _, key, value)| (*key, *value) == ("method", "manual"));
    manual.map(|(_, section, ..)| section).collect()
}

/// Whether an entry holds on the old machine only.
fn drops(manual: &BTreeSet<&str>, section: &str, key: &str, value: &str) -> bool {
    match section {
        "connection" => key == "interface-name" && is_predictable(value),
        _ if ETHERNET.contains(&section) => key == "mac-address",
        "ipv4" | "ipv6" => {
            manual.contains(section)
                && (matches!(key, "method" | "gateway" | "dns") || key.starts_with("address"))
        }
        _ => false,
    }
}

pub(super) fn is_tied(text: &str) -> bool {
    let ethernet = entries(text).any(|(_, section, key, value)| {
        section == "connection" && key == "type" && ETHERNET.contains(&value)
    });
    let manual = manual(text);
    ethernet && entries(text).any(|(_, section, key, value)| drops(&manual, section, key, value))
}

pub(super) fn dhcp(bench: &mut Bench<'_>, findings: &mut Findings) -> Result<()> {
    for path in super::some(bench, "/etc/NetworkManager/system-connections")? {
        let Some(text) = super::small_text(bench, &path)?.filter(|text| is_tied(text)) else {
            continue;
        };
        let manual = manual(&text);
        let part = |(_, section, key, _): &(_, &str, &str, _)| {
            *section == "connection" && matches!(*key, "master" | "slave-type" | "controller")
        };
        if entries(&text).any(|entry| part(&entry)) {
            complex(bench, &path, "part of a bridge or bond");
            continue;
        }
        let mut new = String::with_capacity(text.len() + 64);
        for (line, section, key, value) in entries(&text) {
            if !drops(&manual, section, key, value) {
                new.push_str(line);
                continue;
            }
            if key == "interface-name" {
                findings.gone.insert(value.to_owned());
            }
            new.push_str(&mark(line));
            if key == "method" {
                let end = if line.ends_with('\n') { "" } else { "\n" };
                new.push_str(&format!("{end}method=auto\n"));
            }
        }
        let action = "any Ethernet card by DHCP; what was there commented out";
        bench.put(&path, &new, Attributes::root(0o600), action)?;
    }
    Ok(())
}
