//! `ifcfg-eth0` of RHEL and its relatives, of SUSE, and of ttylinux: shell assignments, one file
//! for each card.

use std::path::{Path, PathBuf};

use super::{Findings, MARK, complex, is_card, is_predictable};
use crate::error::Result;
use crate::guest::edits::Bench;
use crate::guest::tree::Attributes;

/// What a distribution's files look like.
struct Dialect {
    folder: &'static str,
    /// Whether a file with these texts is one.
    is: fn(&str) -> bool,
    /// What eth0 is to have.
    wanted: &'static [(&'static str, &'static str)],
    /// What another card is to have, so that nothing waits for it.
    off: (&'static str, &'static str),
    /// Files with what belongs to the fixed address, and how such a line begins.
    others: &'static [(&'static str, &'static [&'static str])],
}

const DIALECTS: &[Dialect] = &[
    Dialect {
        folder: "/etc/sysconfig/network-scripts",
        is: |text| value(text, "DHCP").is_none(),
        wanted: &[("DEVICE", "eth0"), ("BOOTPROTO", "dhcp"), ("ONBOOT", "yes")],
        off: ("ONBOOT", "no"),
        others: &[("/etc/sysconfig/network", &["GATEWAY=", "GATEWAYDEV="])],
    },
    Dialect {
        folder: "/etc/sysconfig/network-scripts",
        is: |text| value(text, "DHCP").is_some(),
        wanted: &[("ENABLE", "yes"), ("DHCP", "yes")],
        off: ("ENABLE", "no"),
        others: &[],
    },
    Dialect {
        folder: "/etc/sysconfig/network",
        is: |_| true,
        wanted: &[("BOOTPROTO", "dhcp"), ("STARTMODE", "auto")],
        off: ("STARTMODE", "off"),
        others: &[
            ("/etc/sysconfig/network/routes", &["default "]),
            ("/etc/sysconfig/network/config", &["NETCONFIG_DNS_STATIC_SERVERS="]),
        ],
    },
];

/// Beginnings of the keys that hold an address, then those that hold a card's MAC address.
const ADDRESS: &[&str] =
    &["IPADDR", "NETMASK", "PREFIX", "GATEWAY", "NETWORK", "BROADCAST", "CIDRLEN"];
const MAC: &[&str] = &["HWADDR", "MACADDR", "LLADDR"];

/// How a name of SUSE's files by a MAC address begins.
const BY_MAC: &str = "eth-id-";

/// Keys, or values of TYPE, by which a card is part of something larger.
const DESIGNS: &[&str] =
    &["BRIDGE", "MASTER", "SLAVE", "TEAM_MASTER", "VLAN", "BONDING_MASTER", "ETHERDEVICE"];

struct File {
    path: PathBuf,
    text: String,
    /// The card's name, by DEVICE or else the file's name.
    card: String,
}

impl File {
    /// `None` for what is no card's: a bridge, an alias such as `eth0:1`, a copy.
    fn new(path: &Path, text: String) -> Option<Self> {
        // The names that the scripts skip, too.
        let kept = ["~", ".bak", ".orig", ".rpmnew", ".rpmsave", ".rpmorig", "-orig"];
        let name = path.file_name()?.to_string_lossy().into_owned();
        let name = name.strip_prefix("ifcfg-").filter(|name| *name != "lo")?;
        let alias = name.contains(':') && !name.starts_with(BY_MAC);
        if alias || kept.iter().any(|end| name.ends_with(end)) {
            return None;
        }
        let card = value(&text, "DEVICE").unwrap_or(name).to_owned();
        let ethernet = value(&text, "TYPE") == Some("Ethernet") || value(&text, "HWADDR").is_some();
        let is = is_card(&card) || (ethernet && value(&text, "DEVICE").is_none());
        is.then(|| File { path: path.to_owned(), text, card })
    }
    fn is_static(&self) -> bool {
        keys(&self.text).any(|(key, value)| key.starts_with("IPADDR") && !value.is_empty())
    }
    fn must_change(&self) -> bool {
        let has_mac = keys(&self.text).any(|(key, _)| MAC.contains(&key));
        is_predictable(&self.card) || has_mac || self.is_static()
    }
    fn design(&self) -> Option<&str> {
        keys(&self.text).map(|(key, _)| key).find(|key| DESIGNS.contains(key))
    }
}

pub(super) fn is_tied(path: &Path, text: &str) -> bool {
    File::new(path, text.to_owned()).is_some_and(|file| file.must_change())
}

/// The assignments that are no comments; values without quotes.
fn keys(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines().filter_map(assignment)
}

fn assignment(line: &str) -> Option<(&str, &str)> {
    let (key, value) = line.trim_ascii().split_once('=')?;
    let plain = key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    plain.then(|| (key, value.trim_matches(['"', '\''])))
}

fn value<'a>(text: &'a str, wanted: &str) -> Option<&'a str> {
    keys(text).filter(|(key, _)| *key == wanted).map(|(_, value)| value).last()
}

pub(super) fn dhcp(bench: &mut Bench<'_>, findings: &mut Findings) -> Result<()> {
    DIALECTS.iter().try_for_each(|dialect| in_folder(bench, findings, dialect))
}

fn in_folder(bench: &mut Bench<'_>, findings: &mut Findings, dialect: &Dialect) -> Result<()> {
    let mut files = Vec::new();
    for path in super::some(bench, dialect.folder)? {
        let text = super::small_text(bench, &path)?.filter(|text| (dialect.is)(text));
        files.extend(text.and_then(|text| File::new(&path, text)));
    }
    // Who has eth1 only had another card before: a rule of udev gave this one the next number. A
    // file without a card's name is for any card.
    let lost = !files.iter().any(|file| file.card == "eth0" || !is_card(&file.card));
    let must_change = |file: &File| lost || file.must_change();
    if !files.iter().any(must_change) {
        return Ok(());
    }
    if let Some((path, design)) = files.iter().find_map(|file| Some((&file.path, file.design()?))) {
        complex(bench, path, design);
        return Ok(());
    }
    let chosen = files.iter().position(|file| file.card == "eth0").unwrap_or(0);
    for (i, file) in files.iter().enumerate().filter(|(_, file)| must_change(file)) {
        if is_predictable(&file.card) || lost {
            findings.gone.insert(file.card.clone());
        }
        if i == chosen {
            findings.renamed |= is_predictable(&file.card);
            eth0(bench, dialect, file)?;
        } else {
            let text = with(&file.text, &[dialect.off]);
            let action = format!("{} is not started", file.card);
            bench.put(&file.path, &text, Attributes::root(0o644), action)?;
        }
    }
    match files.iter().any(File::is_static) {
        true => others(bench, dialect),
        false => Ok(()),
    }
}

fn eth0(bench: &mut Bench<'_>, dialect: &Dialect, file: &File) -> Result<()> {
    let mut text = String::with_capacity(file.text.len() + 64);
    for line in file.text.split_inclusive('\n') {
        let key = assignment(line).map_or("", |(key, _)| key);
        let fixed = ADDRESS.iter().any(|start| key.starts_with(start));
        // Name servers of the old network, and the refusal of those that DHCP gives.
        let servers = key.strip_prefix("DNS").is_some_and(|n| n.parse::<u8>().is_ok());
        let servers = file.is_static() && (servers || key == "PEERDNS");
        if fixed || servers || MAC.contains(&key) || key == "UUID" {
            text.push_str(MARK);
        }
        text.push_str(line);
    }
    let text = with(&text, dialect.wanted);
    let action = "eth0 by DHCP; what was there commented out";
    bench.put(&file.path, &text, Attributes::root(0o644), action)?;
    let place = Path::new(dialect.folder).join("ifcfg-eth0");
    if place != file.path && bench.node(&place)?.is_none() {
        bench.rename(&file.path, &place, "renamed to ifcfg-eth0")?;
    }
    Ok(())
}

/// `text` with these assignments. One that is there with another value becomes a comment.
fn with(text: &str, wanted: &[(&str, &str)]) -> String {
    let mut new = String::with_capacity(text.len() + 64);
    for line in text.split_inclusive('\n') {
        let other = assignment(line).is_some_and(|(key, value)| {
            wanted.iter().any(|(want, to)| *want == key && *to != value)
        });
        if other {
            new.push_str(MARK);
        }
        new.push_str(line);
    }
    for (key, to) in wanted {
        if value(&new, key).is_none() {
            let end = if new.is_empty() || new.ends_with('\n') { "" } else { "\n" };
            new.push_str(&format!("{end}{key}={to}\n"));
        }
    }
    new
}

/// The way out of the old network, and its name servers, are none of the new one's.
fn others(bench: &mut Bench<'_>, dialect: &Dialect) -> Result<()> {
    for (path, starts) in dialect.others {
        let Some(text) = bench.text(path)? else { continue };
        let mut new = String::with_capacity(text.len() + 64);
        for line in text.split_inclusive('\n') {
            let empty = assignment(line).is_some_and(|(_, value)| value.is_empty());
            if !empty && starts.iter().any(|start| line.starts_with(start)) {
                new.push_str(MARK);
            }
            new.push_str(line);
        }
        bench.put(
            path,
            &new,
            Attributes::root(0o644),
            "what belongs to the old address commented out",
        )?;
    }
    Ok(())
}
