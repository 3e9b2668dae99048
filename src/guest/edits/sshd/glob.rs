//! The files that an `Include` means.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::error::{Error, Kind, Result};
use crate::guest::edits::accounts::{path_of, shown};
use crate::guest::text;
use crate::guest::tree::Tree;

/// The names that all patterns of a configuration may look at; a real one takes some dozens.
pub(super) const MAX_NAMES: usize = 200_000;

/// The paths that `pattern` means, sorted: glob(3) without flags. A relative pattern begins in
/// `folder`; `~` means nothing special to the server. What it looks at is taken off `names`.
pub(super) fn expand(
    tree: &dyn Tree,
    folder: &Path,
    pattern: &str,
    names: &mut usize,
) -> Result<Vec<PathBuf>> {
    let start = if pattern.starts_with('/') { Path::new("/") } else { folder };
    let mut paths = vec![start.to_owned()];
    for part in plain_slashes(pattern).split('/').filter(|part| !part.is_empty()) {
        let mut next = Vec::new();
        for path in paths {
            if part.contains(['*', '?', '[', '\\']) {
                let part: Vec<char> = part.chars().collect();
                let mut list = tree.list(&path)?;
                if part.first() == Some(&'.') {
                    list.extend([".".into(), "..".into()]);
                }
                spend(names, list.len() + 1, pattern)?;
                next.extend(list.iter().filter(|name| fits(name, &part)).map(|n| path.join(n)));
            } else {
                next.push(path.join(path_of(part)));
            }
        }
        paths = next;
    }
    spend(names, paths.len() + 1, pattern)?;
    let mut found = Vec::new();
    for path in paths {
        if tree.resolve(&path)?.is_some() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// A `/` divides, whether it is escaped or not.
fn plain_slashes(pattern: &str) -> String {
    let (mut plain, mut escaped) = (String::with_capacity(pattern.len()), false);
    for c in pattern.chars() {
        if escaped && c == '/' {
            plain.pop();
        }
        plain.push(c);
        escaped = c == '\\' && !escaped;
    }
    plain
}

fn spend(names: &mut usize, count: usize, pattern: &str) -> Result<()> {
    let Some(left) = names.checked_sub(count) else {
        let message = format!(
            "Include {} of the SSH server's configuration means more files than a real one has",
            shown(pattern)
        );
        return Err(Error::new(Kind::Refused, "sshd-too-many-includes", message)
            .remedy("look at it, or leave the SSH server as it is: --skip-edit sshd-keys-only"));
    };
    *names = left;
    Ok(())
}

fn fits(name: &OsString, pattern: &[char]) -> bool {
    use std::os::unix::ffi::OsStrExt;
    let name: Vec<char> = text::decode(name.as_bytes()).chars().collect();
    // A wildcard is no leading dot.
    let hidden = name.first() == Some(&'.') && pattern.first() != Some(&'.');
    !hidden && matches(&name, pattern)
}

/// Whether a plain name fits a pattern without `/`.
pub(super) fn name_fits(name: &str, pattern: &str) -> bool {
    fits(&name.into(), &pattern.chars().collect::<Vec<_>>())
}

/// Walks both at once and goes back to the last `*` only: no more steps than name × pattern.
fn matches(name: &[char], pattern: &[char]) -> bool {
    let (mut n, mut p, mut star) = (0, 0, None);
    while let Some(&c) = name.get(n) {
        match pattern.get(p) {
            Some('*') => {
                star = Some((n, p));
                p += 1;
            }
            Some(_) if one(c, &pattern[p..]).is_some() => {
                p += one(c, &pattern[p..]).unwrap_or(1);
                n += 1;
            }
            _ => {
                let Some((from, at)) = star else { return false };
                star = Some((from + 1, at));
                (n, p) = (from + 1, at + 1);
            }
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

/// Whether the pattern's first element fits `c`, and if so, how long it is.
fn one(c: char, pattern: &[char]) -> Option<usize> {
    match pattern {
        ['?', ..] => Some(1),
        ['\\', escaped, ..] => (*escaped == c).then_some(2),
        ['[', rest @ ..] => match set(c, rest) {
            Some((fits, len)) => fits.then_some(len + 1),
            // Never closed: a plain bracket.
            None => (c == '[').then_some(1),
        },
        [plain, ..] => (*plain == c).then_some(1),
        [] => None,
    }
}

/// Whether `c` is in the set behind a `[`, and its length with the `]`. A class by name,
/// `[:digit:]`, fits any character: a file too many is looked at rather than one too few.
fn set(c: char, set: &[char]) -> Option<(bool, usize)> {
    let negated = matches!(set.first(), Some('!' | '^'));
    let first = usize::from(negated);
    let (mut at, mut inside) = (first, false);
    loop {
        match set.get(at..)? {
            [']', ..] if at > first => break,
            ['[', ':', rest @ ..] if rest.windows(2).any(|end| end == [':', ']']) => {
                let end = rest.windows(2).position(|end| end == [':', ']'])?;
                return Some((true, at + 4 + end + skip_to_end(&rest[end + 2..])?));
            }
            [low, '-', high, ..] if *high != ']' => {
                inside |= (*low..=*high).contains(&c);
                at += 3;
            }
            [plain, ..] => {
                inside |= *plain == c;
                at += 1;
            }
            [] => return None,
        }
    }
    Some((inside != negated, at + 1))
}

fn skip_to_end(rest: &[char]) -> Option<usize> {
    rest.iter().position(|c| *c == ']').map(|at| at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guest::memory::MemoryTree;

    #[test]
    fn patterns() {
        for (name, pattern) in [
            ("50-a.conf", "*.conf"),
            ("50-a.conf", "[0-9]?-*.c*f"),
            ("a", "[!b-z]"),
            ("a]b", "a[]]b"),
            ("a[b", "a[b"),
            ("a*", "a\\*"),
            ("7x", "[[:digit:]]x"),
            (".a", ".*"),
        ] {
            assert!(name_fits(name, pattern), "{name} {pattern}");
        }
        for (name, pattern) in
            [(".a.conf", "*.conf"), ("a.conf~", "*.conf"), ("b", "[!b]"), ("ab", "a\\*"), ("", "?")]
        {
            assert!(!name_fits(name, pattern), "{name} {pattern}");
        }
        // Without the bound on going back this takes longer than the universe.
        assert!(!name_fits(&"a".repeat(200), &"*a".repeat(100).replace("*a*a", "*a*b")));
    }

    #[test]
    fn paths_are_sorted_and_stay_inside() {
        let mut tree = MemoryTree::of(&[
            ("/etc/ssh/sshd_config.d/b.conf", ""),
            ("/etc/ssh/sshd_config.d/a.conf", ""),
            ("/etc/ssh/x", ""),
        ]);
        tree.link("/etc/ssh/gone.conf", "nowhere");
        let expand = |pattern| -> Vec<String> {
            let found = super::expand(&tree, Path::new("/etc/ssh"), pattern, &mut 100).unwrap();
            found.iter().map(|p| p.display().to_string()).collect()
        };
        let both = ["/etc/ssh/sshd_config.d/a.conf", "/etc/ssh/sshd_config.d/b.conf"];
        assert_eq!(expand("sshd_config.d/*.conf"), both);
        assert_eq!(expand("/etc/s*/sshd_config.d/?.conf"), both);
        assert_eq!(expand("../../../../etc/ssh/x"), ["/etc/ssh/../../../../etc/ssh/x"]);
        assert_eq!(expand("/etc\\/ssh/sshd_config.d\\/*"), both);
        assert_eq!(expand("*.conf"), [""; 0]);
        assert_eq!(expand("\\/etc/ssh/x"), [""; 0]);
        assert_eq!(expand("sshd_config.d/.[.]/x"), ["/etc/ssh/sshd_config.d/../x"]);
        assert_eq!(expand("~/x"), [""; 0]);
    }
}
