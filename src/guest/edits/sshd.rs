//! `sshd-keys-only`: whoever comes to the SSH server is offered public keys and nothing else.
//!
//! OpenSSH takes the first value of a keyword that it reads; a `Match` block that fits overrides it;
//! and what is appended to a file belongs to its last `Match` block. So the values go to the very
//! top of the main file, and what says otherwise is commented out wherever it stands, in the main
//! file and in all that it includes. Measured with `sshd -T`: see `tests/sshd.rs`.

mod command_line;
mod config;
mod glob;
mod rules;
mod syntax;

use std::path::{Path, PathBuf};

use self::config::{BEGIN, Config, END, File, Line};
use super::text::OUT;
use super::{Bench, Edit, dropbear};
use crate::error::Result;
use crate::guest::cloud;
use crate::guest::facts::SshServer;
use crate::guest::tree::Attributes;

/// The edit.
pub const EDIT: Edit = Edit {
    name: "sshd-keys-only",
    default: true,
    reason: "the SSH server accepts public keys only, for everyone: passwords get guessed",
    run,
};

/// The main file of a server that its administrator configured, and the vendor's, which counts
/// where the first is missing (SUSE).
const MAIN: &str = "/etc/ssh/sshd_config";
const VENDOR: &str = "/usr/etc/ssh/sshd_config";
/// What the vendor's file includes first is the administrator's.
const DROP_IN: &str = "/etc/ssh/sshd_config.d/00-stratus.conf";

/// Where the server is.
pub(super) const SERVERS: [&str; 5] =
    ["/usr/sbin/sshd", "/usr/bin/sshd", "/sbin/sshd", "/usr/local/sbin/sshd", "/usr/lib/ssh/sshd"];

fn run(bench: &mut Bench<'_>) -> Result<()> {
    if installed(bench)? {
        if bench.exists(MAIN)? {
            keys_only(bench, Path::new(MAIN))?;
        } else if bench.exists(VENDOR)? {
            keys_only(bench, Path::new(VENDOR))?;
        }
        command_line::tell(bench)?;
        cloud_init(bench)?;
    }
    dropbear::no_passwords(bench)
}

/// Whether OpenSSH is there.
pub(super) fn installed(bench: &Bench<'_>) -> Result<bool> {
    let mut found = bench.facts.ssh == Some(SshServer::Openssh);
    for server in SERVERS {
        found = found || bench.exists(server)?;
    }
    Ok(found)
}

/// The values of `HostKey` in all files of the configuration.
pub(super) fn host_keys(bench: &Bench<'_>) -> Result<Vec<String>> {
    let main = if bench.exists(MAIN)? { MAIN } else { VENDOR };
    let config = Config::read(bench.tree, Path::new(main))?;
    let lines = config.files.into_iter().flat_map(|file| file.lines);
    let said = lines.filter_map(|line| line.said).filter(|said| said.keyword == "hostkey");
    Ok(said.filter_map(|said| said.arguments.into_iter().next()).collect())
}

fn keys_only(bench: &mut Bench<'_>, main: &Path) -> Result<()> {
    let config = Config::read(bench.tree, main)?;
    let top = top_of(bench, &config, main)?;
    let block = block(&config);
    tell_of_root(bench, &config);
    let mut at_top = false;
    for file in &config.files {
        let edited = edit(bench, file);
        let here = file.path == top;
        at_top |= here;
        let (begin, mut done) = match here {
            true => (block.as_str(), vec!["puts keys only at the top".to_owned()]),
            false => ("", Vec::new()),
        };
        if edited.out.is_empty() && file.block.as_deref().unwrap_or_default() == begin {
            continue;
        }
        if !edited.out.is_empty() {
            done.push(format!("comments out {}", edited.summary()));
        }
        let text = format!("{begin}{}", edited.text);
        bench.put(&file.path, &text, Attributes::root(0o600), done.join("; "))?;
    }
    if !at_top {
        bench.put(&top, &block, Attributes::root(0o600), "keys only")?;
    }
    Ok(())
}

/// The file that gets the block: the main file, unless it is the vendor's and includes ours.
fn top_of(bench: &Bench<'_>, config: &Config, main: &Path) -> Result<PathBuf> {
    let ours = |pattern: &String| {
        let relative = pattern.strip_prefix("/etc/ssh/").unwrap_or(pattern);
        let name = relative.strip_prefix("sshd_config.d/");
        name.is_some_and(|name| glob::name_fits("00-stratus.conf", name))
    };
    let wanted = match main == Path::new(VENDOR) && config.includes.iter().any(ours) {
        true => Path::new(DROP_IN),
        false => main,
    };
    Ok(bench.tree.resolve(wanted)?.unwrap_or(wanted.to_owned()))
}

/// The lines at the top. The old names are those that every release of OpenSSH knows; an unknown
/// keyword would keep the server from starting, so the new name is there only if the guest's own
/// files have it. Before 8.7 it was an option of its own, not another name.
fn block(config: &Config) -> String {
    let new_name = config.files.iter().any(|file| {
        let lines = file.lines.iter().map(|line| line.text.strip_prefix(OUT).unwrap_or(&line.text));
        let block = file.block.as_deref().unwrap_or_default().lines();
        let mut said = lines.chain(block).filter_map(syntax::directive);
        said.any(|said| said.keyword == "kbdinteractiveauthentication")
    });
    let kbd = if new_name { "KbdInteractiveAuthentication no\n" } else { "" };
    let root = root_login(config);
    format!(
        "{BEGIN}\nPasswordAuthentication no\nChallengeResponseAuthentication no\n{kbd}\
         PermitRootLogin {root}\n{END}\n"
    )
}

/// Root comes in with a key, or with the commands of its keys only if it was so before.
fn root_login(config: &Config) -> &'static str {
    match config.root_login.as_deref() {
        Some("forced-commands-only") => "forced-commands-only",
        _ => "without-password",
    }
}

fn tell_of_root(bench: &mut Bench<'_>, config: &Config) {
    if config.root_login.as_deref() == Some("no") {
        bench.warn(
            "sshd-root-login",
            "PermitRootLogin was no and is without-password now: a cloud gives its keys to root",
        );
    }
}

/// A file without what must not be in it, and what was taken out.
struct Edited {
    text: String,
    out: Vec<String>,
}

impl Edited {
    fn summary(&self) -> String {
        let shown = self.out.iter().take(12).cloned().collect::<Vec<_>>().join(", ");
        match self.out.len().saturating_sub(12) {
            0 => shown,
            more => format!("{shown} and {more} more"),
        }
    }
}

fn edit(bench: &mut Bench<'_>, file: &File) -> Edited {
    let mut edited = Edited { text: String::new(), out: Vec::new() };
    let mut told = Vec::new();
    for (i, line) in file.lines.iter().enumerate() {
        let verdict = judge(line);
        if let (Some((code, why)), Some(said)) = (verdict.warning, &line.said)
            && !told.contains(&(code, said.keyword.as_str()))
        {
            told.push((code, said.keyword.as_str()));
            let file = super::accounts::shown(&file.path.to_string_lossy());
            bench.warn(code, format!("{file}, line {}, {}: {why}", i + 1, said.keyword));
        }
        if let (true, Some(said)) = (verdict.out, &line.said) {
            edited.text.push_str(OUT);
            let place = if line.inside { " in a Match block" } else { "" };
            edited.out.push(format!("{} (line {}{place})", said.keyword, i + 1));
        }
        edited.text.push_str(&line.text);
    }
    edited
}

fn judge(line: &Line) -> rules::Verdict {
    let nothing = rules::Verdict { out: false, warning: None };
    let Some(said) = &line.said else { return nothing };
    let outside = if line.outside { rules::judge(said, false) } else { nothing };
    let inside = if line.inside { rules::judge(said, true) } else { nothing };
    rules::Verdict { out: outside.out || inside.out, warning: outside.warning.or(inside.warning) }
}

/// Takes out what makes cloud-init write `PasswordAuthentication yes` into the server's files at the
/// first start: over what this edit wrote.
fn cloud_init(bench: &mut Bench<'_>) -> Result<()> {
    for path in cloud::files(bench.tree)? {
        let Some(old) = bench.text(&path)? else { continue };
        let mut new = String::with_capacity(old.len() + OUT.len());
        for line in old.split_inclusive('\n') {
            if cloud::lets_passwords_in(line) {
                new.push_str(OUT);
            }
            new.push_str(line);
        }
        let action = "comments out ssh_pwauth: cloud-init would let passwords in again";
        bench.put(&path, &new, Attributes::root(0o644), action)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
