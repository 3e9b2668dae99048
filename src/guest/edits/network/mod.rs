//! `network-dhcp`: the first network card gets its address by DHCP.
//!
//! A guest from VirtualBox often has a fixed address of a network that is not there any more, or
//! names its card by the slot VirtualBox had it in, `enp0s3`. Each family of configuration has a
//! file here. Where a family can speak of any Ethernet card, it does then; where it needs a name,
//! the name is `eth0`, and the kernel is told to keep to such names. What a file said before stays
//! in it, behind `#stratus: `.

mod ifcfg;
mod ifupdown;
mod manager;
mod netplan;
mod networkd;
mod other;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::{Bench, Edit, cmdline};
use crate::error::Result;
use crate::guest::tree::Tree;

/// The edit.
pub const EDIT: Edit = Edit {
    name: "network-dhcp",
    default: true,
    reason: "DHCP instead of a fixed address, a MAC address or VirtualBox's name of the card",
    run,
};

/// What was found in the guest's configuration.
#[derive(Default)]
struct Findings {
    /// Names that cards do not have any more, and that a file spoke of.
    gone: BTreeSet<String>,
    /// Whether a file speaks of eth0 now that spoke of a card by its slot.
    renamed: bool,
}

fn run(bench: &mut Bench<'_>) -> Result<()> {
    let mut findings = Findings::default();
    ifupdown::dhcp(bench, &mut findings)?;
    ifcfg::dhcp(bench, &mut findings)?;
    netplan::dhcp(bench, &mut findings)?;
    networkd::dhcp(bench, &mut findings)?;
    manager::dhcp(bench, &mut findings)?;
    other::tell(bench)?;
    if findings.renamed || (names_eth(bench)? && slots_give_names(bench)?) {
        kernel_names(bench)?;
    }
    firewalls(bench, &findings.gone)
}

/// Folders with the files of the network's configuration, and how the names of those begin.
const FOLDERS: [(&str, &str); 8] = [
    ("/etc/network/interfaces.d", ""),
    ("/etc/sysconfig/network-scripts", "ifcfg-"),
    ("/etc/sysconfig/network", "ifcfg-"),
    ("/etc/NetworkManager/system-connections", ""),
    ("/etc/netplan", ""),
    ("/etc/systemd/network", ""),
    ("/etc/wicked/ifconfig", ""),
    ("/etc/netctl", ""),
];
/// Such files elsewhere.
const FILES: [&str; 4] =
    ["/etc/network/interfaces", "/etc/conf.d/net", "/etc/dhcpcd.conf", "/etc/rc.d/rc.inet1.conf"];

/// The files of the network's configuration, of every family, that may be there.
///
/// # Errors
/// Those of the guest's file system.
pub fn files(tree: &dyn Tree) -> Result<Vec<PathBuf>> {
    let mut paths: Vec<PathBuf> = FILES.iter().map(PathBuf::from).collect();
    for (folder, start) in FOLDERS {
        let names = tree.list(Path::new(folder))?.into_iter().take(MAX_FILES);
        let names = names.filter(|name| name.to_string_lossy().starts_with(start));
        paths.extend(
            names.filter(|name| name != "ifcfg-lo").map(|name| Path::new(folder).join(name)),
        );
    }
    Ok(paths)
}

/// Whether a file with this text holds on the old machine only: by a card's name that says where it
/// is plugged in, a MAC address, or a fixed address.
pub fn is_tied(path: &Path, text: &str) -> bool {
    let ends = |end: &str| path.extension().is_some_and(|found| found == end);
    if path.starts_with("/etc/network") {
        ifupdown::is_tied(text)
    } else if path.starts_with("/etc/sysconfig") {
        ifcfg::is_tied(path, text)
    } else if path.starts_with("/etc/netplan") {
        ends("yaml") && netplan::is_tied(text)
    } else if path.starts_with("/etc/NetworkManager") {
        manager::is_tied(text)
    } else if path.starts_with("/etc/systemd/network") && ends("network") {
        networkd::is_tied(text)
    } else {
        other::is_tied(text)
    }
}

/// Whether the configuration, as it is now, speaks of a card by the kernel's name.
fn names_eth(bench: &Bench<'_>) -> Result<bool> {
    for path in files(&*bench.tree)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let Some(text) = small_text(bench, &path)? else { continue };
        let lines = text.lines().map(str::trim_ascii).filter(|line| !line.starts_with('#'));
        // What a connection is called says nothing of its card.
        let lines = lines.filter(|line| !line.starts_with("id=") && !line.starts_with("NAME="));
        let words = |line: &str| {
            line.split(|c: char| !c.is_ascii_alphanumeric())
                .any(|word| word.starts_with("eth") && is_card(word))
        };
        if name.strip_prefix("ifcfg-").is_some_and(is_card) || lines.into_iter().any(words) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Rules by which udev gives cards names that say where they are plugged in, and where a link of
/// the same name goes before them (systemd.link(5)); the others are those before it.
const SLOT_RULES: [(&str, &str); 3] = [
    ("systemd/network/99-default.link", "/etc/systemd/network/99-default.link"),
    ("udev/rules.d/80-net-name-slot.rules", "/etc/udev/rules.d/80-net-name-slot.rules"),
    ("udev/rules.d/80-net-setup-link.rules", "/etc/udev/rules.d/80-net-setup-link.rules"),
];

/// The links to make over the rules that are there.
fn slot_rules(bench: &Bench<'_>) -> Result<Vec<&'static str>> {
    let mut found = Vec::new();
    for (rule, place) in SLOT_RULES {
        if bench.exists(format!("/usr/lib/{rule}"))? || bench.exists(format!("/lib/{rule}"))? {
            found.push(place);
        }
    }
    Ok(found)
}

/// Whether cards get such names: there is a rule, and none that somebody has put a link over.
fn slots_give_names(bench: &Bench<'_>) -> Result<bool> {
    let rules = slot_rules(bench)?;
    for place in &rules {
        let target = bench.tree.read_link(Path::new(place))?;
        if target.is_some_and(|target| target == Path::new("/dev/null")) {
            return Ok(false);
        }
    }
    Ok(!rules.is_empty())
}

/// What a line that is not wanted any more begins with.
const MARK: &str = "#stratus: ";

/// Bytes of a card's configuration, and files in a folder of such: a family is read as a whole.
const MAX_FILE: usize = 64 << 10;
const MAX_FILES: usize = 256;

fn small_text(bench: &Bench<'_>, path: &Path) -> Result<Option<String>> {
    Ok(bench.text(path)?.filter(|text| text.len() <= MAX_FILE))
}

fn some(bench: &Bench<'_>, folder: &str) -> Result<Vec<PathBuf>> {
    let mut paths = bench.list(folder)?;
    paths.truncate(MAX_FILES);
    Ok(paths)
}

/// `line` as a comment; comments and empty lines stay as they are.
fn mark(line: &str) -> String {
    let code = line.trim_ascii();
    if code.is_empty() || code.starts_with('#') { line.to_owned() } else { format!("{MARK}{line}") }
}

/// Whether a card's name says where it is plugged in, or what MAC address it has
/// (systemd.net-naming-scheme(7); `em1` and `p2p1` of biosdevname; `eth-id-…` of SUSE 9).
fn is_predictable(name: &str) -> bool {
    let digits = |rest: &str| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit());
    let slot = ["enp", "ens", "eno"].iter().any(|start| {
        name.strip_prefix(start).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    });
    let biosdevname = name.strip_prefix("em").is_some_and(digits)
        || name
            .strip_prefix('p')
            .and_then(|rest| rest.split_once('p'))
            .is_some_and(|(slot, port)| digits(slot) && digits(port));
    let mac = name.strip_prefix("enx").is_some_and(|mac| mac.len() == 12);
    (slot && name.bytes().all(|b| b.is_ascii_alphanumeric()))
        || biosdevname
        || mac
        || name.starts_with("eth-id-")
}

/// Whether a name is that of an Ethernet card, not of a bridge, a VLAN or an alias.
fn is_card(name: &str) -> bool {
    let number = name.strip_prefix("eth");
    let plain = number.is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
    plain || is_predictable(name)
}

/// Bridges, bonds and VLANs are somebody's design: nothing is guessed about them.
fn complex(bench: &mut Bench<'_>, path: &Path, what: &str) {
    let message = format!("{}: {what}: left as it is, check it by hand", path.display());
    bench.warn("network-complex", message);
}

/// Makes the kernel's names, eth0 and so on, those of the cards. A virtual machine has none that
/// biosdevname would name, so that `net.ifnames=0` alone is enough where somebody put it.
fn kernel_names(bench: &mut Bench<'_>) -> Result<()> {
    let missing = |words: &str| match cmdline::has_word(words, "net.ifnames=0") {
        true => vec![],
        false => vec!["net.ifnames=0", "biosdevname=0"],
    };
    let own = cmdline::add(bench, "net.ifnames=0 biosdevname=0 added", &missing)?;
    if own {
        return Ok(());
    }
    // Without a boot loader of its own the guest can only tell udev.
    for place in slot_rules(bench)? {
        bench.link(place, "/dev/null", "network cards keep the kernel's names")?;
    }
    Ok(())
}

/// Files that may speak of a card by its name, where a wrong name leaves a door open or shut.
const FIREWALLS: &[&str] = &[
    "/etc/iptables/rules.v4",
    "/etc/iptables/rules.v6",
    "/etc/iptables.rules",
    "/etc/nftables.conf",
    "/etc/sysconfig/iptables",
    "/etc/sysconfig/ip6tables",
    "/etc/sysconfig/nftables.conf",
    "/etc/sysconfig/SuSEfirewall2",
    "/etc/shorewall/interfaces",
    "/etc/ufw/user.rules",
    "/etc/ufw/before.rules",
    "/etc/dnsmasq.conf",
    "/etc/default/isc-dhcp-server",
];

fn firewalls(bench: &mut Bench<'_>, gone: &BTreeSet<String>) -> Result<()> {
    if gone.is_empty() {
        return Ok(());
    }
    let mut files: Vec<PathBuf> = FIREWALLS.iter().map(PathBuf::from).collect();
    files.extend(bench.list("/etc/firewalld/zones")?);
    for path in files {
        let Some(text) = bench.text(&path)? else { continue };
        let lines = text.lines().filter(|line| !line.trim_ascii_start().starts_with('#'));
        let words = lines.flat_map(|line| line.split(|c: char| !c.is_ascii_alphanumeric()));
        let names: BTreeSet<&str> = words.filter(|word| gone.contains(*word)).collect();
        if !names.is_empty() {
            let names: Vec<&str> = names.into_iter().take(8).collect();
            let message = format!(
                "{} names {}, which has another name now",
                path.display(),
                names.join(", ")
            );
            bench.warn("network-name", message);
        }
    }
    Ok(())
}
