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
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::{Bench, Edit, cmdline};
use crate::error::Result;

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
    /// Names that cards have in VirtualBox only, and that a file spoke of.
    gone: BTreeSet<String>,
    /// Whether a file speaks of eth0 now that did not.
    renamed: bool,
}

fn run(bench: &mut Bench<'_>) -> Result<()> {
    let mut findings = Findings::default();
    ifupdown::dhcp(bench, &mut findings)?;
    ifcfg::dhcp(bench, &mut findings)?;
    netplan::dhcp(bench, &mut findings)?;
    networkd::dhcp(bench, &mut findings)?;
    manager::dhcp(bench, &mut findings)?;
    if findings.renamed {
        kernel_names(bench)?;
    }
    firewalls(bench, &findings.gone)
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

/// Makes the kernel's names, eth0 and so on, those of the cards.
fn kernel_names(bench: &mut Bench<'_>) -> Result<()> {
    let own = cmdline::add(bench, "net.ifnames=0 biosdevname=0 added", |words| {
        let wanted = ["net.ifnames=0", "biosdevname=0"].into_iter();
        wanted.filter(|word| !cmdline::has_word(words, word)).collect()
    })?;
    if own {
        return Ok(());
    }
    // Without a boot loader of its own the guest can only tell udev: a link of systemd's name over
    // its rule (systemd.link(5)), or over the rule that udev had before that.
    for (rule, place) in [
        ("systemd/network/99-default.link", "/etc/systemd/network/99-default.link"),
        ("udev/rules.d/80-net-name-slot.rules", "/etc/udev/rules.d/80-net-name-slot.rules"),
        ("udev/rules.d/80-net-setup-link.rules", "/etc/udev/rules.d/80-net-setup-link.rules"),
    ] {
        let usr = bench.exists(format!("/usr/lib/{rule}"))?;
        if usr || bench.exists(format!("/lib/{rule}"))? {
            bench.link(place, "/dev/null", "network cards keep the kernel's names")?;
        }
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
