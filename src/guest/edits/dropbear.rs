//! Dropbear takes its settings from its command line only, so an option has to reach every place
//! that starts it: init scripts, units, `inittab`, and the files of variables that those read.

use std::path::{Path, PathBuf};

use super::{Bench, shell_variable};
use crate::error::Result;
use crate::guest::facts::SshServer;
use crate::guest::tree::{Attributes, MAX_TEXT};

/// Where the server is.
pub(super) const SERVERS: [&str; 5] = [
    "/usr/sbin/dropbear",
    "/sbin/dropbear",
    "/usr/bin/dropbear",
    "/usr/local/sbin/dropbear",
    "/usr/bin/dropbearmulti",
];

/// Where Debian's Dropbear in the initramfs has its keys, now and before.
pub(super) const IN_INITRAMFS: [&str; 2] = ["/etc/dropbear/initramfs", "/etc/dropbear-initramfs"];

/// The variables in which init scripts and units take options: Debian, Alpine, buildroot, Fedora,
/// ttylinux.
const VARIABLES: [&str; 5] =
    ["DROPBEAR_EXTRA_ARGS", "DROPBEAR_OPTS", "DROPBEAR_ARGS", "OPTIONS", "SSHD_OPTIONS"];

/// The files that those read them from.
const SETTINGS: [&str; 5] = [
    "/etc/default/dropbear",
    "/etc/conf.d/dropbear",
    "/etc/sysconfig/dropbear",
    "/etc/sysconfig/sshd",
    "/etc/sysconfig/ssh",
];

/// Options that take a value (svr-runopts.c).
const WITH_VALUE: &str = "bcdrpPlWKITGAD";

/// Files and folders of what starts services.
const STARTERS: [&str; 4] = ["/etc/inittab", "/etc/rc.local", "/etc/rc.d/rc.local", "/etc/rc"];
const STARTER_FOLDERS: [&str; 3] = ["/etc/init.d", "/etc/rc.d", "/etc/rc.d/init.d"];
const UNIT_FOLDERS: [&str; 3] =
    ["/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"];

/// Whether Dropbear is there.
pub(super) fn installed(bench: &Bench<'_>) -> Result<bool> {
    let mut found = bench.facts.ssh == Some(SshServer::Dropbear);
    for server in SERVERS {
        found = found || bench.exists(server)?;
    }
    Ok(found)
}

/// Whether it makes missing host keys by itself with `-R`; without that option, before 2013.60, it
/// would not start with it. Its own help text tells.
pub(super) fn knows_r(bench: &Bench<'_>) -> Result<bool> {
    let help = b"Create hostkeys as required";
    for server in SERVERS {
        let program = bench.tree.read(Path::new(server), MAX_TEXT)?.unwrap_or_default();
        if program.windows(help.len()).any(|window| window == help) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Part of `sshd-keys-only`: no password logins (`-s`).
pub(super) fn no_passwords(bench: &mut Bench<'_>) -> Result<()> {
    if !installed(bench)? {
        return Ok(());
    }
    let starts = give(bench, 's', "Dropbear takes keys only: -s")?;
    // Beside OpenSSH, a Dropbear that nothing starts is one for the initramfs, or for nothing.
    let is_server = bench.facts.ssh == Some(SshServer::Dropbear);
    if starts == Starts::Unclear || (starts == Starts::None && is_server) {
        bench.warn(
            "dropbear-passwords",
            "how Dropbear is started cannot be told: it may go on taking passwords",
        );
    }
    Ok(())
}

/// What is known of how Dropbear is started.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Starts {
    /// Nothing starts it.
    None,
    /// Every start passes the flag.
    Given,
    /// There is a start that cannot be told to.
    Unclear,
}

/// Makes every start of Dropbear pass `flag`, a letter.
pub(super) fn give(bench: &mut Bench<'_>, flag: char, action: &str) -> Result<Starts> {
    let (mut all, mut any) = (true, false);
    for path in starters(bench)? {
        let Some(text) = bench.text(&path)? else { continue };
        match starter(&path, &text, flag) {
            Start::None => {}
            Start::Has => any = true,
            Start::Unknown => all = false,
            Start::Text(text) => {
                any = true;
                bench.put(&path, &text, Attributes::root(0o644), action)?;
            }
            Start::Setting(file, variable) => {
                any = true;
                let now = bench.text(&file)?.unwrap_or_default();
                let has = |value: &str| has_flag(value, flag);
                let word = format!("-{flag}");
                match shell_variable::with_flag(&now, variable, &word, has) {
                    Some(text) => bench.put(&file, &text, Attributes::root(0o644), action)?,
                    None => all = false,
                }
            }
        }
    }
    Ok(match (all, any) {
        (false, _) => Starts::Unclear,
        (true, true) => Starts::Given,
        (true, false) => Starts::None,
    })
}

/// The files that may start Dropbear, each by its real path.
pub(super) fn starters(bench: &Bench<'_>) -> Result<Vec<PathBuf>> {
    let mut paths: Vec<PathBuf> = STARTERS.iter().map(PathBuf::from).collect();
    for folder in STARTER_FOLDERS {
        paths.extend(bench.list(folder)?);
    }
    for folder in UNIT_FOLDERS {
        let units = bench.list(folder)?.into_iter().filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with("dropbear") && name.ends_with(".service")
        });
        paths.extend(units);
    }
    let mut real = Vec::new();
    for path in paths {
        real.extend(bench.tree.resolve(&path)?);
    }
    real.sort();
    real.dedup();
    Ok(real)
}

/// What a file has to do with starting Dropbear.
enum Start {
    /// Nothing.
    None,
    /// It passes the flag.
    Has,
    /// It does start it, but how is not understood.
    Unknown,
    /// It starts it; this is the file with the flag put in.
    Text(String),
    /// It takes options from this variable of this file.
    Setting(PathBuf, &'static str),
}

fn starter(path: &Path, text: &str, flag: char) -> Start {
    let active = |line: &&str| !line.trim_start().starts_with('#');
    if !text.lines().filter(active).any(|line| line.contains("dropbear")) {
        return Start::None;
    }
    let names = names_of_the_server(text);
    let mut calls = text.split_inclusive('\n').map(|line| call(line, &names, flag));
    if calls.clone().any(|call| matches!(call, Call::With)) && !calls.clone().any(Call::lacks) {
        return Start::Has;
    }
    let variable = VARIABLES.iter().find(|name| text.lines().filter(active).any(|l| uses(l, name)));
    if let Some(variable) = variable {
        if let Some(file) = settings_of(path, text) {
            return Start::Setting(file, variable);
        }
        if shell_variable::is_set(text, variable) {
            let word = format!("-{flag}");
            let new = shell_variable::with_flag(text, variable, &word, |v| has_flag(v, flag));
            return new.map_or(Start::Unknown, Start::Text);
        }
    }
    if calls.clone().any(|call| matches!(call, Call::Unclear)) {
        return Start::Unknown;
    }
    if !calls.any(Call::lacks) {
        return Start::None;
    }
    let mut new = String::with_capacity(text.len() + 8);
    for line in text.split_inclusive('\n') {
        match call(line, &names, flag) {
            Call::Without(at) => new.push_str(&format!("{} -{flag}{}", &line[..at], &line[at..])),
            _ => new.push_str(line),
        }
    }
    Start::Text(new)
}

/// Whether a line expands the variable.
fn uses(line: &str, variable: &str) -> bool {
    let ends = |rest: &str| !rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    line.match_indices(variable).any(|(at, _)| {
        (line[..at].ends_with('$') || line[..at].ends_with("${"))
            && ends(&line[at + variable.len()..])
    })
}

/// The file that a starter reads its variables from.
fn settings_of(path: &Path, text: &str) -> Option<PathBuf> {
    let first = text.lines().next().unwrap_or_default();
    if first.contains("openrc-run") || first.contains("runscript") {
        // openrc-run(8): conf.d/NAME is read for init.d/NAME.
        return Some(Path::new("/etc/conf.d").join(path.file_name()?));
    }
    let plain = ["$DAEMON", "${DAEMON}", "$NAME", "${NAME}"]
        .iter()
        .fold(text.to_owned(), |text, name| text.replace(name, "dropbear"));
    SETTINGS.iter().find(|file| plain.contains(*file)).map(PathBuf::from)
}

/// Variables of a script that hold the server's path: `$DAEMON`.
fn names_of_the_server(text: &str) -> Vec<String> {
    let settings = text.lines().filter_map(|line| line.trim().split_once('='));
    let server = settings.filter(|(name, value)| {
        let named = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        named && is_server(value.trim_matches(['"', '\'']))
    });
    server.take(8).flat_map(|(name, _)| [format!("${name}"), format!("${{{name}}}")]).collect()
}

fn is_server(path: &str) -> bool {
    path == "dropbear" || path.ends_with("/dropbear")
}

/// What a line does.
enum Call {
    /// It does not start Dropbear.
    None,
    /// It starts it with the flag.
    With,
    /// It starts it without; here the flag has to go.
    Without(usize),
    /// It starts it, but where its options are is not clear.
    Unclear,
}

impl Call {
    fn lacks(self) -> bool {
        matches!(self, Call::Without(_) | Call::Unclear)
    }
}

fn call(line: &str, names: &[String], flag: char) -> Call {
    if line.trim_start().starts_with('#') {
        return Call::None;
    }
    let words = words(line);
    let helper = words.iter().position(|(_, word)| word.ends_with("start-stop-daemon"));
    let helped = |i: usize| helper.is_some_and(|helper| helper < i);
    let runs = |i: &usize| {
        let (_, word) = words[*i];
        is_call_word(word, names) && (helped(*i) || is_command(words[..*i].last(), word))
    };
    let Some(i) = (0..words.len()).find(runs) else { return Call::None };
    let (start, word) = words[i];
    let at = if helped(i) {
        if words.iter().any(|(_, word)| matches!(*word, "-K" | "--stop")) {
            return Call::None;
        }
        match words[i..].iter().find(|(_, word)| *word == "--") {
            Some((at, _)) => at + 2,
            None => return Call::Unclear,
        }
    } else {
        start + word.trim_end_matches([';', '&', ')']).len()
    };
    let options = line[at..].split([';', '&', '|', ')']).next().unwrap_or_default();
    if has_flag(options, flag) { Call::With } else { Call::Without(at) }
}

/// The words of a line and where they begin.
fn words(line: &str) -> Vec<(usize, &str)> {
    let mut at = 0;
    let mut found = Vec::new();
    for word in line.split(|c: char| c.is_ascii_whitespace()) {
        if !word.is_empty() {
            found.push((at, word));
        }
        at += word.len() + 1;
    }
    found
}

fn is_call_word(word: &str, names: &[String]) -> bool {
    let word = word.trim_end_matches([';', '&', ')']).trim_matches(['"', '\'']);
    is_server(word) || names.iter().any(|name| name == word)
}

/// Whether a word is run, by what stands before it.
fn is_command(before: Option<&(usize, &str)>, word: &str) -> bool {
    let Some((_, last)) = before else {
        // A unit's ExecStart=/usr/sbin/dropbear, a line of inittab, or a plain command.
        return !word.contains('=') || word.starts_with("ExecStart=");
    };
    let opens = ["then", "do", "else", "exec", "nohup", "daemon", "if", "!", "eval", "setsid"];
    last.ends_with([';', '&', '|', '(', '{', ')']) || opens.contains(last) || last.contains('=')
}

/// Whether a list of options has the letter, alone or among others (`-msg`).
fn has_flag(options: &str, flag: char) -> bool {
    let mut value_follows = false;
    for word in options.split_ascii_whitespace().map(|word| word.trim_matches(['"', '\''])) {
        let Some(letters) = word.strip_prefix('-').filter(|_| !value_follows) else {
            value_follows = false;
            continue;
        };
        let mut letters = letters.chars();
        let found = letters.by_ref().take_while(|c| !WITH_VALUE.contains(*c)).any(|c| c == flag);
        if found {
            return true;
        }
        // An option with a value that is the last letter takes the next word.
        value_follows = word.ends_with(|c| WITH_VALUE.contains(c)) && letters.next().is_none();
    }
    false
}

#[cfg(test)]
mod tests;
