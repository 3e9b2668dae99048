//! netplan (`/etc/netplan/*.yaml`): Ubuntu since 17.10.
//!
//! Its files are read line by line, and only to find out whether they name a card, a MAC address or
//! a fixed address. One that does is commented out as a whole, and a file of our own takes its
//! place: netplan merges all files, so what is left of the old one would come back.

use super::{Findings, complex, is_predictable, mark};
use crate::error::Result;
use crate::guest::edits::Bench;
use crate::guest::tree::Attributes;

const OURS: &str = "/etc/netplan/99-stratus.yaml";

/// Keys under which more than a card is configured (netplan(5), "Device configuration IDs").
const DESIGNS: &[&str] =
    &["bridges", "bonds", "vlans", "wifis", "modems", "tunnels", "vrfs", "dummy-devices"];

pub(super) fn dhcp(bench: &mut Bench<'_>, findings: &mut Findings) -> Result<()> {
    let mut old = Vec::new();
    for path in super::some(bench, "/etc/netplan")? {
        if path.extension().is_none_or(|end| end != "yaml") {
            continue;
        }
        let Some(text) = super::small_text(bench, &path)? else { continue };
        if is_tied(&text) {
            old.push((path, text));
        }
    }
    for (path, text) in &old {
        if let Some(design) = lines(text).filter_map(key).find(|key| DESIGNS.contains(key)) {
            complex(bench, path, design);
            return Ok(());
        }
    }
    if old.is_empty() {
        return Ok(());
    }
    let mut renderer = None;
    for (path, text) in old {
        let cards = lines(&text).filter_map(key).filter(|key| is_predictable(key));
        findings.gone.extend(cards.map(str::to_owned));
        let manager = lines(&text).any(|line| line.contains("NetworkManager"));
        renderer = renderer.or(manager.then_some("  renderer: NetworkManager\n"));
        let new: String = text.split_inclusive('\n').map(mark).collect();
        bench.put(&path, &new, Attributes::root(0o600), format!("commented out for {OURS}"))?;
    }
    let ours = format!(
        "# DHCP on each Ethernet card, whatever its name is.\n\
         network:\n  version: 2\n{}  ethernets:\n    stratus:\n      match:\n        \
         name: \"e*\"\n      dhcp4: true\n",
        renderer.unwrap_or_default()
    );
    // netplan warns of files that others may read.
    bench.put(OURS, &ours, Attributes::root(0o600), "DHCP on each Ethernet card")
}

pub(super) fn is_tied(text: &str) -> bool {
    lines(text).any(is_finding)
}

/// Lines that say something, without white space around and without the dash of a list.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    let code = text.lines().map(|line| line.split(" #").next().unwrap_or(line).trim_ascii());
    let code = code.map(|line| line.strip_prefix("- ").unwrap_or(line).trim_ascii());
    code.filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// The key that a line begins with, without quotes.
fn key(line: &str) -> Option<&str> {
    Some(line.split_once(':')?.0.trim_ascii().trim_matches(['"', '\'']))
}

/// Whether a line names a card by its slot, a MAC address, or an address of the card's own.
fn is_finding(line: &str) -> bool {
    let Some(key) = key(line).filter(|key| !key.contains(['.', '/'])) else {
        return is_address(line);
    };
    match key {
        "macaddress" => true,
        // Where a route leads to, and the source of a rule, are written the same way.
        "to" | "from" | "via" => false,
        _ => {
            let value = line.split_once(':').map_or("", |(_, value)| value);
            is_predictable(key)
                || is_predictable(value.trim_ascii().trim_matches(['"', '\'']))
                || value.split([',', '[', ']', '{', '}']).any(is_address)
        }
    }
}

/// `192.168.1.5/24`.
fn is_address(text: &str) -> bool {
    let text = text.trim_ascii().trim_end_matches(':').trim_matches(['"', '\'']);
    let Some((address, len)) = text.split_once('/') else { return false };
    address.parse::<std::net::Ipv4Addr>().is_ok() && len.parse::<u8>().is_ok_and(|len| len <= 32)
}
