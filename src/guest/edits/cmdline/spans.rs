//! Where in a line of a boot loader's file the words for the kernel stand.

use std::ops::Range;

use super::files::Style;

/// What a command line is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A kernel is started with it.
    Boot,
    /// Lines that kernels are started with are generated from it.
    Template,
    /// It is a part of one: words of it may be replaced, others must not be added.
    Part,
}

/// What is known of the entry that a line belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Stanza {
    /// Whether it has an initramfs; `None` where the file cannot say.
    pub(super) initramfs: Option<bool>,
    /// Whether it starts something else than Linux.
    pub(super) foreign: bool,
}

/// Splits off the first word. Both parts are subslices of `line`, the rest with its white space.
fn first_word(line: &str) -> (&str, &str) {
    let line = line.trim_start_matches([' ', '\t']);
    line.split_at(line.find([' ', '\t', '\r', '\n']).unwrap_or(line.len()))
}

/// For each line, what is known of its entry. One pass over the lines.
pub(super) fn stanzas(style: Style, lines: &[&str]) -> Vec<Stanza> {
    let mut entries = vec![Stanza::default()];
    let mut of_line = Vec::with_capacity(lines.len());
    for line in lines {
        let (word, rest) = first_word(line);
        let word = word.to_ascii_lowercase();
        let begins = match style {
            Style::Grub2 => is_linux(&word) || word == "}",
            Style::Grub1 => matches!(word.as_str(), "kernel" | "title"),
            Style::Syslinux => word == "label",
            _ => false,
        };
        if begins {
            entries.push(Stanza::default());
        }
        let at = entries.len() - 1;
        let entry = &mut entries[at];
        match style {
            Style::Grub2 | Style::Grub1 | Style::Bls | Style::Syslinux => {
                let given = word.starts_with("initrd")
                    || (style == Style::Syslinux && word == "append" && rest.contains("initrd="));
                entry.initramfs = Some(entry.initramfs == Some(true) || given);
                if style == Style::Syslinux {
                    entry.foreign |= is_foreign(&word, rest);
                }
            }
            Style::Grubenv | Style::Shell | Style::Plain => {}
        }
        of_line.push(at);
    }
    of_line.into_iter().map(|at| entries[at]).collect()
}

fn is_linux(word: &str) -> bool {
    matches!(word, "linux" | "linux16" | "linuxefi")
}

/// SYSLINUX starts its own modules, boot sectors and disks by the same words as a kernel.
fn is_foreign(word: &str, rest: &str) -> bool {
    let file = rest.trim_ascii();
    matches!(word, "com32" | "localboot" | "boot" | "bss" | "pxe" | "config" | "fdimage")
        || (matches!(word, "kernel" | "linux")
            && ([".c32", ".bin", ".bss", ".0", ".com", ".cbt"]
                .iter()
                .any(|end| file.ends_with(end))
                || is_tool(file)))
}

/// Whether a kernel's path is that of a memory test or a hypervisor.
fn is_tool(path: &str) -> bool {
    let name = path.rsplit(['/', ')']).next().unwrap_or(path);
    ["memtest", "xen", "ipxe", "memdisk"].iter().any(|tool| name.starts_with(tool))
}

/// The span of the command line in `line`, which has no line end. `first`: none was found in the
/// file before.
pub(super) fn find(style: Style, line: &str, first: bool) -> Option<(Range<usize>, Role)> {
    let (word, rest) = first_word(line);
    match style {
        Style::Grub2 => grub2(line, word, rest),
        Style::Grub1 => grub1(line, word, rest),
        Style::Bls => (word == "options").then(|| {
            // What `$kernelopts` stands for is in GRUB's environment, and edited there.
            let role = if rest.contains("$kernelopts") || !first { Role::Part } else { Role::Boot };
            (trimmed(line, rest), role)
        }),
        Style::Grubenv => {
            let value = line.strip_prefix("kernelopts=")?;
            Some((trimmed(line, value), Role::Boot))
        }
        Style::Syslinux => {
            let given = word.eq_ignore_ascii_case("append") && rest.trim_ascii() != "-";
            given.then(|| (trimmed(line, rest), Role::Boot))
        }
        Style::Shell => shell(line),
        Style::Plain => {
            let text = line.trim_ascii();
            let role = if first { Role::Boot } else { Role::Part };
            (!text.is_empty() && !text.starts_with('#')).then(|| (trimmed(line, text), role))
        }
    }
}

/// Where `part`, a subslice of `line`, is in it, without white space at its beginning and end.
fn trimmed(line: &str, part: &str) -> Range<usize> {
    let words = part.trim_ascii();
    let start = offset(line, if words.is_empty() { part } else { words });
    start..start + words.len()
}

/// Where `part`, a subslice of `line`, begins in it.
fn offset(line: &str, part: &str) -> usize {
    (part.as_ptr() as usize).saturating_sub(line.as_ptr() as usize).min(line.len())
}

fn grub2(line: &str, word: &str, rest: &str) -> Option<(Range<usize>, Role)> {
    if word == "set" {
        // Fedora and RHEL 8: what the entries' `$kernelopts` is, if the environment has none.
        let (name, value) = rest.trim_ascii_start().split_once('=')?;
        let value = value.strip_prefix('"')?;
        let value = &value[..value.find('"')?];
        let known = matches!(name, "kernelopts" | "default_kernelopts");
        return known.then(|| (trimmed(line, value), Role::Template));
    }
    if !is_linux(word) {
        return None;
    }
    let (kernel, words) = first_word(rest);
    if kernel.is_empty() || is_tool(kernel) {
        return None;
    }
    Some((trimmed(line, &words[..grub2_end(words)]), Role::Boot))
}

/// Where a GRUB 2 command ends: at a comment, a `;`, or the backslash that joins the next line.
fn grub2_end(words: &str) -> usize {
    let (mut quote, mut before, mut escaped) = (None, ' ', false);
    for (at, c) in words.char_indices() {
        if escaped {
            escaped = false;
        } else if c == '\\' && quote != Some('\'') {
            if at + 1 == words.len() {
                return at;
            }
            escaped = true;
        } else if quote == Some(c) {
            quote = None;
        } else if quote.is_none() {
            match c {
                '"' | '\'' => quote = Some(c),
                ';' | '}' if before.is_ascii_whitespace() || c == ';' => return at,
                '#' if before.is_ascii_whitespace() => return at,
                _ => {}
            }
        }
        before = c;
    }
    words.len()
}

fn grub1(line: &str, word: &str, rest: &str) -> Option<(Range<usize>, Role)> {
    if let Some(name) = line.strip_prefix("# ") {
        // Debian's update-grub reads its own settings from comments with one `#`.
        let (name, value) = name.split_once('=')?;
        let kopt = name.strip_prefix("kopt")?;
        let known = kopt.bytes().all(|b| b.is_ascii_digit() || b == b'_');
        return known.then(|| (trimmed(line, value), Role::Template));
    }
    let (mut path, mut words) = first_word(rest);
    while path.starts_with("--") {
        (path, words) = first_word(words);
    }
    match word {
        "kernel" if !path.is_empty() && !is_tool(path) => Some((trimmed(line, words), Role::Boot)),
        // Under Xen, Linux is a module.
        "module" if path.contains("vmlinu") => Some((trimmed(line, words), Role::Part)),
        _ => None,
    }
}

/// Names of shell variables whose value is a command line, and those that are a word of one by
/// themselves, `root=/dev/sda1`.
const VALUES: &[(&str, Role)] = &[
    ("GRUB_CMDLINE_LINUX", Role::Boot),
    ("GRUB_CMDLINE_LINUX_DEFAULT", Role::Part),
    ("GRUB_CMDLINE_LINUX_RECOVERY", Role::Part),
    ("GRUB_CMDLINE_LINUX_XEN_REPLACE", Role::Part),
    ("GRUB_CMDLINE_LINUX_XEN_REPLACE_DEFAULT", Role::Part),
    ("EXTLINUX_PARAMETERS", Role::Boot),
    ("EXTLINUX_ROOT", Role::Part),
    ("default_kernel_opts", Role::Boot),
];
const WORDS: &[&str] = &["root", "RESUME"];

fn shell(line: &str) -> Option<(Range<usize>, Role)> {
    let code = line.trim_ascii_start();
    let code = code.strip_prefix("export ").unwrap_or(code);
    let (name, value) = code.split_once('=')?;
    let (name, adds) = name.strip_suffix('+').map_or((name, false), |name| (name, true));
    if WORDS.contains(&name) && !value.contains(['"', '\'', ' ', '\t']) {
        return Some((trimmed(line, code), Role::Part));
    }
    let (_, role) = VALUES.iter().find(|(known, _)| *known == name)?;
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''));
    let (words, after) = match quote {
        Some(quote) => {
            let inside = &value[1..];
            let end = closing(inside, quote)?;
            (&inside[..end], &inside[end + 1..])
        }
        None => value.split_at(value.find([' ', '\t', ';', '#']).unwrap_or(value.len())),
    };
    // What follows at once, as in `"a"$b`, is more of the value than is understood here.
    let behind = after.trim_ascii_start();
    let ends = behind.is_empty() || (behind.starts_with('#') && behind.len() < after.len());
    // One that takes the former value in gets what was added there.
    let part = adds || words.contains(&format!("${name}")) || words.contains(&format!("${{{name}"));
    ends.then(|| (trimmed(line, words), if part { Role::Part } else { *role }))
}

fn closing(inside: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    inside.char_indices().find_map(|(at, c)| {
        let ends = c == quote && !escaped;
        escaped = c == '\\' && !escaped && quote == '"';
        ends.then_some(at)
    })
}

/// Whether a line of `text` assigns the variable `name`.
pub(super) fn assigns(text: &str, name: &str) -> bool {
    text.lines().any(|line| {
        let code = line.trim_ascii_start();
        let code = code.strip_prefix("export ").unwrap_or(code);
        code.strip_prefix(name).is_some_and(|rest| rest.starts_with('='))
    })
}
