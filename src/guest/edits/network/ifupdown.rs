//! `/etc/network/interfaces` (interfaces(5)): Debian, Alpine and all with busybox.

use std::path::{Path, PathBuf};

use super::{Findings, complex, is_card, is_predictable, mark};
use crate::error::Result;
use crate::guest::edits::Bench;
use crate::guest::tree::Attributes;

const MAIN: &str = "/etc/network/interfaces";

/// Words that begin a stanza; other lines belong to the one before.
fn begins(word: &str) -> bool {
    word.starts_with("allow-")
        || matches!(
            word,
            "iface"
                | "auto"
                | "mapping"
                | "source"
                | "source-directory"
                | "rename"
                | "no-auto-down"
                | "no-scripts"
                | "template"
        )
}

/// One configuration of a card: `iface NAME FAMILY METHOD` and its options.
#[derive(Clone, Debug)]
struct Iface {
    name: String,
    is_static: bool,
    has_mac: bool,
}

impl Iface {
    /// The card's name without the number of an alias, `eth0:1`.
    fn card(&self) -> &str {
        card(&self.name)
    }
    fn must_change(&self) -> bool {
        self.is_static || self.has_mac || is_predictable(self.card())
    }
}

fn card(name: &str) -> &str {
    name.split(':').next().unwrap_or(name)
}

/// Lines as the parser sees them: one that ends in a backslash goes on in the next. A comment does
/// not.
fn logical_lines(text: &str) -> Vec<&str> {
    let (mut lines, mut start, mut end) = (Vec::new(), 0, 0);
    for line in text.split_inclusive('\n') {
        end += line.len();
        let comment = start + line.len() == end && line.trim_ascii_start().starts_with('#');
        if comment || !line.trim_end_matches(['\n', '\r']).ends_with('\\') {
            lines.push(&text[start..end]);
            start = end;
        }
    }
    if start < end {
        lines.push(&text[start..end]);
    }
    lines
}

/// The words of a logical line; none for a comment.
fn words(line: &str) -> Vec<&str> {
    let words: Vec<&str> = line.split_ascii_whitespace().filter(|word| *word != "\\").collect();
    if words.first().is_some_and(|word| word.starts_with('#')) { Vec::new() } else { words }
}

fn ifaces(text: &str) -> Vec<Iface> {
    let mut found: Vec<Iface> = Vec::new();
    let mut inside = false;
    for line in logical_lines(text) {
        match words(line).as_slice() {
            ["iface", name, rest @ ..] => {
                inside = true;
                let is_static = rest.get(1) == Some(&"static");
                found.push(Iface { name: (*name).to_owned(), is_static, has_mac: false });
            }
            [word, ..] if begins(word) => inside = false,
            [word, ..] if inside => {
                if let Some(iface) = found.last_mut() {
                    iface.has_mac |= *word == "hwaddress";
                }
            }
            _ => {}
        }
    }
    found
}

/// The option that makes more than a card of an interface, if there is one.
fn design(text: &str) -> Option<&str> {
    logical_lines(text).into_iter().find_map(|line| {
        let word = *words(line).first()?;
        let starts = ["bridge", "bond", "vlan", "team", "slaves"];
        starts.iter().any(|start| word.starts_with(start)).then_some(word)
    })
}

pub(super) fn is_tied(text: &str) -> bool {
    ifaces(text).iter().any(|iface| is_card(iface.card()) && iface.must_change())
}

pub(super) fn dhcp(bench: &mut Bench<'_>, findings: &mut Findings) -> Result<()> {
    let Some(main) = super::small_text(bench, Path::new(MAIN))? else { return Ok(()) };
    let mut paths = vec![PathBuf::from(MAIN)];
    let sources = main.lines().any(|line| line.trim_ascii_start().starts_with("source"));
    if sources {
        paths.extend(super::some(bench, "/etc/network/interfaces.d")?);
    }
    let mut files = Vec::new();
    for path in paths {
        if let Some(text) = super::small_text(bench, &path)? {
            files.push((path, text));
        }
    }
    let all: Vec<Iface> = files.iter().flat_map(|(_, text)| ifaces(text)).collect();
    let cards: Vec<&Iface> = all.iter().filter(|iface| is_card(iface.card())).collect();
    // Who has eth1 only had another card before: a rule of udev gave this one the next number.
    let lost = !cards.iter().any(|iface| iface.card() == "eth0");
    let must_change = |iface: &Iface| lost || iface.must_change();
    if !cards.iter().any(|iface| must_change(iface)) {
        return Ok(());
    }
    for (path, text) in &files {
        if let Some(word) = design(text) {
            complex(bench, path, word);
            return Ok(());
        }
    }
    let chosen = cards.iter().find(|iface| iface.card() == "eth0").or(cards.first());
    let Some(chosen) = chosen.map(|iface| iface.card().to_owned()) else { return Ok(()) };
    findings.renamed |= is_predictable(&chosen);
    let gone = cards.iter().map(|iface| iface.card()).filter(|name| lost || is_predictable(name));
    findings.gone.extend(gone.map(str::to_owned));
    let mut change = Change {
        out: cards
            .iter()
            .filter(|i| must_change(i) && i.card() != chosen)
            .map(|i| i.card().to_owned())
            .collect(),
        chosen,
        given: false,
    };
    let new: Vec<String> = files.iter().map(|(_, text)| change.file(text)).collect();
    let started = new.iter().any(|text| starts_eth0(text));
    for (i, ((path, _), mut new)) in files.into_iter().zip(new).enumerate() {
        if i == 0 && !started {
            let end = if new.is_empty() || new.ends_with('\n') { "" } else { "\n" };
            new.push_str(&format!("{end}auto eth0\n"));
        }
        write(bench, &path, &new)?;
    }
    Ok(())
}

fn write(bench: &mut Bench<'_>, path: &Path, text: &str) -> Result<()> {
    let action = "eth0 by DHCP; what was there commented out";
    bench.put(path, text, Attributes::root(0o644), action)
}

fn starts_eth0(text: &str) -> bool {
    logical_lines(text).into_iter().any(|line| {
        let words = words(line);
        let starts = words.first().is_some_and(|w| *w == "auto" || w.starts_with("allow-"));
        starts && words.contains(&"eth0")
    })
}

/// A logical line as comments.
fn commented(line: &str) -> String {
    line.split_inclusive('\n').map(mark).collect()
}

/// An option with `eth0` for the name that the card had: `up ip route add … dev enp0s3`.
fn renamed(line: &str, name: &str) -> String {
    let inside = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut new = String::with_capacity(line.len());
    for word in line.split_inclusive(|c| !inside(c)) {
        let (word, end) = word.split_at(word.trim_end_matches(|c| !inside(c)).len());
        new.push_str(if word == name { "eth0" } else { word });
        new.push_str(end);
    }
    new
}

struct Change {
    /// The card that becomes eth0.
    chosen: String,
    /// Cards that are configured no more.
    out: std::collections::BTreeSet<String>,
    /// Whether eth0 has its line with `dhcp`.
    given: bool,
}

/// What is done with the lines of a stanza.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Keep,
    /// All but the MAC address.
    KeepButMac,
    Drop,
}

impl Change {
    fn file(&mut self, text: &str) -> String {
        let mut new = String::with_capacity(text.len() + 64);
        let mut fate = Fate::Keep;
        for line in logical_lines(text) {
            let words = words(line);
            let Some(word) = words.first() else {
                new.push_str(line);
                continue;
            };
            if *word == "iface" {
                let (next, head) = self.iface(line, &words);
                fate = next;
                new.push_str(&head);
            } else if *word == "auto" || word.starts_with("allow-") {
                let kept = self.start(line, &words);
                // Options do not belong here; they must not get into the stanza above, either.
                fate = if kept.is_some() { Fate::Keep } else { Fate::Drop };
                new.push_str(&kept.unwrap_or_else(|| commented(line)));
            } else if begins(word) {
                fate = Fate::Keep;
                new.push_str(line);
            } else if fate == Fate::Drop || (fate == Fate::KeepButMac && *word == "hwaddress") {
                new.push_str(&commented(line));
            } else {
                new.push_str(&renamed(line, &self.chosen));
            }
        }
        new
    }

    /// The first line of a stanza, and what becomes of the rest.
    fn iface(&mut self, line: &str, words: &[&str]) -> (Fate, String) {
        let name = words.get(1).copied().unwrap_or_default();
        if self.out.contains(card(name)) {
            return (Fate::Drop, commented(line));
        }
        if card(name) != self.chosen {
            return (Fate::Keep, line.to_owned());
        }
        let inet = words.get(2) == Some(&"inet");
        if words.get(3) != Some(&"static") && name == self.chosen {
            self.given |= inet;
            return (Fate::KeepButMac, line.replacen(name, "eth0", 1));
        }
        let mut head = commented(line);
        if !head.ends_with('\n') {
            head.push('\n');
        }
        if inet && !self.given && name == self.chosen {
            self.given = true;
            head.push_str("iface eth0 inet dhcp\n");
        }
        (Fate::Drop, head)
    }

    /// A line that names the cards to start, if one is left.
    fn start(&self, line: &str, words: &[&str]) -> Option<String> {
        let names = words.iter().skip(1);
        if !names.clone().any(|name| self.out.contains(card(name)) || card(name) == self.chosen) {
            return Some(line.to_owned());
        }
        let mut kept = vec![];
        for name in names {
            if *name == self.chosen {
                kept.push("eth0");
            } else if card(name) != self.chosen && !self.out.contains(card(name)) {
                kept.push(name);
            }
        }
        let word = words.first().filter(|_| !kept.is_empty())?;
        // Kept as it is, if it says the same already.
        let same = words.iter().skip(1).eq(kept.iter());
        Some(if same { line.to_owned() } else { format!("{word} {}\n", kept.join(" ")) })
    }
}
