//! systemd-networkd (`/etc/systemd/network/*.network`, systemd.network(5)).

use super::{Findings, complex, is_card, is_predictable, mark};
use crate::error::Result;
use crate::guest::edits::Bench;
use crate::guest::tree::Attributes;

/// Any Ethernet card, by both ways of naming them.
const ANY: &str = "Name=en* eth*\n";

/// Keys of `[Network]` that make the card a part of something larger.
const DESIGNS: &[&str] = &["Bridge", "Bond", "VLAN", "MACVLAN", "IPVLAN", "VRF", "Tunnel"];

#[derive(Default)]
struct About {
    names: Vec<String>,
    has_mac: bool,
    is_static: bool,
    design: Option<&'static str>,
}

impl About {
    fn slots(&self) -> impl Iterator<Item = &String> {
        self.names.iter().filter(|name| is_predictable(name))
    }
    fn is_tied(&self) -> bool {
        let ethernet = self.names.iter().all(|name| is_card(name) || is_pattern(name));
        ethernet && (self.has_mac || self.is_static || self.slots().next().is_some())
    }
}

pub(super) fn is_tied(text: &str) -> bool {
    about(text).is_tied()
}

pub(super) fn dhcp(bench: &mut Bench<'_>, findings: &mut Findings) -> Result<()> {
    for path in super::some(bench, "/etc/systemd/network")? {
        if path.extension().is_none_or(|end| end != "network") {
            continue;
        }
        let Some(text) = super::small_text(bench, &path)? else { continue };
        let about = about(&text);
        if !about.is_tied() {
            continue;
        }
        if let Some(design) = about.design {
            complex(bench, &path, design);
            continue;
        }
        findings.gone.extend(about.slots().cloned());
        let action = "any Ethernet card by DHCP; what was there commented out";
        bench.put(&path, &rewritten(&text, &about), Attributes::root(0o644), action)?;
    }
    Ok(())
}

fn is_pattern(name: &str) -> bool {
    matches!(name, "e*" | "en*" | "eth*" | "enp*" | "ens*")
}

/// `key` and `value` of an assignment that is no comment.
fn assignment(line: &str) -> Option<(&str, &str)> {
    let line = line.trim_ascii();
    let (key, value) = line.split_once('=').filter(|_| !line.starts_with(['#', ';']))?;
    Some((key.trim_ascii(), value.trim_ascii()))
}

fn section(line: &str) -> Option<&str> {
    line.trim_ascii().strip_prefix('[')?.strip_suffix(']')
}

fn about(text: &str) -> About {
    let (mut about, mut inside) = (About::default(), "");
    for line in text.lines() {
        inside = section(line).unwrap_or(inside);
        let Some((key, value)) = assignment(line) else { continue };
        match (inside, key) {
            ("Match", "Name") => {
                about.names.extend(value.split_ascii_whitespace().map(str::to_owned));
            }
            ("Match", "MACAddress" | "PermanentMACAddress") => about.has_mac = true,
            ("Network" | "Address", "Address") => about.is_static = true,
            ("Network", _) => {
                about.design = about.design.or(DESIGNS.iter().copied().find(|word| *word == key));
            }
            _ => {}
        }
    }
    about
}

fn rewritten(text: &str, about: &About) -> String {
    let renames = about.has_mac || about.slots().next().is_some();
    let mut new = String::with_capacity(text.len() + 64);
    let mut inside = "";
    let (mut matched, mut asked) = (false, false);
    for line in text.split_inclusive('\n') {
        if let Some(next) = section(line) {
            inside = next;
            let fixed = matches!(inside, "Address" | "Route") && about.is_static;
            new.push_str(&if fixed { mark(line) } else { line.to_owned() });
            let end = if line.ends_with('\n') { "" } else { "\n" };
            if inside == "Match" && renames && !matched {
                new.push_str(&format!("{end}{ANY}"));
                matched = true;
            } else if inside == "Network" && !asked {
                new.push_str(&format!("{end}DHCP=yes\n"));
                asked = true;
            }
            continue;
        }
        let drop = match (inside, assignment(line)) {
            ("Match", Some(("Name" | "MACAddress" | "PermanentMACAddress", _))) => renames,
            ("Network", Some(("Address" | "Gateway" | "DNS", _)))
            | ("Address" | "Route", Some(_)) => about.is_static,
            ("Network", Some(("DHCP", _))) => true,
            _ => false,
        };
        new.push_str(&if drop { mark(line) } else { line.to_owned() });
    }
    if !asked {
        let end = if new.ends_with('\n') { "" } else { "\n" };
        new.push_str(&format!("{end}[Network]\nDHCP=yes\n"));
    }
    new
}
