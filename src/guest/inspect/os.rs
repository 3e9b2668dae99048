//! Which distribution? os-release(5), or what came before it.

use super::{file, lines, names};
use crate::error::Result;
use crate::guest::text;
use crate::guest::tree::Tree;

/// What a distribution says of itself.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Release {
    pub id: Option<String>,
    pub version: Option<String>,
    pub name: Option<String>,
    pub like: Vec<String>,
}

/// Reads the first of the files that says what the guest is.
pub(super) fn release(tree: &dyn Tree) -> Result<Release> {
    for path in ["/etc/os-release", "/usr/lib/os-release"] {
        if let Some(text) = file(tree, path)? {
            let release = os_release(&text);
            if release.id.is_some() || release.name.is_some() {
                return Ok(release);
            }
        }
    }
    // Before lsb-release, which is an optional package there and often says less.
    for (name, id, others) in SENTENCES {
        let text = file(tree, format!("/etc/{name}"))?.unwrap_or_default();
        if let Some(release) = sentence(&text, id, others) {
            return Ok(release);
        }
    }
    if let Some(text) = file(tree, "/etc/lsb-release")? {
        let release = lsb_release(&text);
        if release.id.is_some() {
            return Ok(release);
        }
    }
    for (name, id, title) in NUMBERS {
        if let Some(text) = file(tree, format!("/etc/{name}"))? {
            return Ok(number(&text, id, title));
        }
    }
    other(tree)
}

/// Files that say it in a sentence, `CentOS release 6.10 (Final)`: the name, the `ID` that this
/// distribution got later, and other distributions that use the same file, by how they begin.
/// The more special files first: CentOS has `redhat-release`, too.
const SENTENCES: [(&str, &str, Others); 7] = [
    ("oracle-release", "ol", &[]),
    ("centos-release", "centos", &[]),
    ("fedora-release", "fedora", &[]),
    ("redhat-release", "rhel", FAMILY),
    (
        "SuSE-release",
        "sles",
        &[("openSUSE", "opensuse"), ("SUSE Linux Enterprise Desktop", "sled")],
    ),
    ("slackware-version", "slackware", &[]),
    ("gentoo-release", "gentoo", &[]),
];

/// How a sentence begins, and the `ID` that this means.
type Others = &'static [(&'static str, &'static str)];

/// Who writes `redhat-release`.
const FAMILY: Others = &[
    ("CentOS", "centos"),
    ("Scientific", "scientific"),
    ("Fedora", "fedora"),
    ("Oracle", "ol"),
    ("AlmaLinux", "almalinux"),
    ("Rocky", "rocky"),
];

/// Files that hold a version and nothing else.
const NUMBERS: [(&str, &str, &str); 3] = [
    ("alpine-release", "alpine", "Alpine Linux"),
    ("debian_version", "debian", "Debian GNU/Linux"),
    ("ttylinux-release", "ttylinux", "ttylinux"),
];

fn os_release(text: &str) -> Release {
    let value = |key: &str| shell_value(text, key);
    Release {
        id: value("ID"),
        version: value("VERSION_ID"),
        name: value("PRETTY_NAME").or_else(|| value("NAME")),
        like: value("ID_LIKE")
            .map(|like| like.split_whitespace().take(16).map(str::to_owned).collect())
            .unwrap_or_default(),
    }
}

fn lsb_release(text: &str) -> Release {
    Release {
        id: shell_value(text, "DISTRIB_ID").map(|id| id.to_ascii_lowercase()),
        version: shell_value(text, "DISTRIB_RELEASE"),
        name: shell_value(text, "DISTRIB_DESCRIPTION"),
        like: Vec::new(),
    }
}

fn sentence(text: &str, id: &str, others: Others) -> Option<Release> {
    let line = readable(lines(text).next()?);
    let id = others.iter().find(|(begin, _)| line.starts_with(begin)).map_or(id, |(_, id)| id);
    let numeric = |word: &&str| word.starts_with(|c: char| c.is_ascii_digit());
    let version = line.split_whitespace().find(numeric).map(str::to_owned);
    let rpm = !matches!(id, "slackware" | "gentoo" | "fedora") && !is_suse(id);
    let like =
        if rpm && id != "rhel" { vec!["rhel".to_owned(), "fedora".to_owned()] } else { Vec::new() };
    Some(Release { id: Some(id.to_owned()), version, name: Some(line), like })
}

fn is_suse(id: &str) -> bool {
    matches!(id, "sles" | "sled" | "opensuse")
}

fn number(text: &str, id: &str, title: &str) -> Release {
    let version = lines(text).next().map(readable);
    let name = version.as_ref().map_or(title.to_owned(), |version| format!("{title} {version}"));
    Release { id: Some(id.to_owned()), version, name: Some(name), like: Vec::new() }
}

/// What has neither: ttylinux says its name in its banner, others in any `*-release`.
fn other(tree: &dyn Tree) -> Result<Release> {
    if let Some(issue) = file(tree, "/etc/issue")? {
        let line = lines(&issue).find(|line| line.to_ascii_lowercase().contains("ttylinux"));
        if let Some(release) = line.and_then(|line| sentence(line, "ttylinux", &[])) {
            return Ok(Release { like: Vec::new(), ..release });
        }
    }
    let found = names(tree, "/etc", 10_000)?;
    for name in found.iter().filter(|name| name.ends_with("-release")) {
        let Some(text) = file(tree, format!("/etc/{name}"))? else { continue };
        let id = name.trim_end_matches("-release").to_ascii_lowercase();
        if let Some(release) = sentence(&text, &id, &[]) {
            return Ok(Release { like: Vec::new(), ..release });
        }
    }
    Ok(Release::default())
}

/// The value that a shell would give `key` after reading `text`: the last assignment wins
/// (os-release(5): values in single or double quotes, `\` before `"`, `$`, `` ` `` and `\`).
pub(super) fn shell_value(text: &str, key: &str) -> Option<String> {
    let assigned = |line| str::strip_prefix(line, key)?.strip_prefix('=').map(str::to_owned);
    let value = lines(text).filter_map(assigned).last()?;
    Some(readable(&unquote(&value))).filter(|value| !value.is_empty())
}

fn unquote(value: &str) -> String {
    let mut plain = String::new();
    let mut quote = None;
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'') => quote = Some(c),
            // The word has ended.
            (None, ' ' | '\t' | ';') => break,
            (Some('"'), '\\') => match chars.next() {
                Some(c @ ('"' | '\\' | '$' | '`')) => plain.push(c),
                Some(c) => plain.extend(['\\', c]),
                None => plain.push('\\'),
            },
            (None, '\\') => plain.extend(chars.next()),
            (_, c) => plain.push(c),
        }
    }
    plain
}

/// At most 200 characters, decoded from UTF-8 if that is what they are, without control characters:
/// these words are printed on a terminal.
fn readable(value: &str) -> String {
    let bytes = text::encode(value);
    let plain = String::from_utf8(bytes).unwrap_or_else(|_| value.to_owned());
    plain.chars().filter(|c| !c.is_control()).take(200).collect::<String>().trim().to_owned()
}
