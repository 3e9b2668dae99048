//! Families that are read but not changed: Gentoo, dhcpcd, Slackware, netctl, wicked, links of
//! systemd. What ties the guest to its old machine there is told.

use std::net::Ipv4Addr;
use std::path::Path;

use super::is_predictable;
use crate::error::Result;
use crate::guest::edits::Bench;

/// More warnings help nobody.
const MAX_TOLD: usize = 8;

pub(super) fn tell(bench: &mut Bench<'_>) -> Result<()> {
    let known = ["/etc/network", "/etc/sysconfig", "/etc/netplan", "/etc/NetworkManager"];
    let mut told = 0;
    for path in super::files(&*bench.tree)? {
        let network = path.extension().is_some_and(|end| end == "network");
        if network || known.iter().any(|folder| path.starts_with(folder)) || told == MAX_TOLD {
            continue;
        }
        if super::small_text(bench, &path)?.is_some_and(|text| super::is_tied(&path, &text)) {
            told += 1;
            bench.warn("network-unknown", message(&path));
        }
    }
    Ok(())
}

fn message(path: &Path) -> String {
    format!(
        "{} names a card, a MAC address or an address of the old machine and is left as it is: \
         change it to DHCP on any card, or on eth0, by hand",
        path.display()
    )
}

/// Whether a line that is no comment has such a name or address in it.
pub(super) fn is_tied(text: &str) -> bool {
    let lines = text.lines().map(str::trim_ascii).filter(|line| !line.starts_with(['#', ';']));
    // Name servers can be anywhere.
    let mut lines = lines.filter(|line| !line.contains("dns") && !line.contains("name_servers"));
    lines.any(|line| {
        let words = line.split(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, ':' | '.'));
        let mut words = words.map(|word| word.trim_matches(':'));
        words.any(|word| is_mac(word) || is_slot(word) || is_address(word))
    })
}

/// `enp0s3`, and not a word such as `em1` that may mean something else.
fn is_slot(word: &str) -> bool {
    is_predictable(word) && word.starts_with("en")
}

/// `08:00:27:12:34:56`.
fn is_mac(word: &str) -> bool {
    let two = |part: &str| part.len() == 2 && part.bytes().all(|b| b.is_ascii_hexdigit());
    word.split(':').count() == 6 && word.split(':').all(two)
}

/// An address that a card can have; a mask is none.
fn is_address(word: &str) -> bool {
    let address = word.parse::<Ipv4Addr>();
    address.is_ok_and(|a| !a.is_loopback() && !a.is_unspecified() && a.octets()[0] < 224)
}
