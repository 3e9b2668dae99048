//! `secrets`: what the builder must not give away with the image. Keys, credentials, passwords,
//! what an installer wrote down, what swap remembers, and what lies in the folders for temporary
//! files.

mod swap;
mod system;

use std::ffi::OsString;
use std::path::Path;

use super::accounts::{Home, homes, shown};
use super::password::{By, Password, logins, password};
use super::{Bench, Edit, context_scripts};
use crate::error::Result;
use crate::guest::tree::{Attributes, MAX_TEXT, NodeKind};
use crate::guest::{inspect, text};

/// The edit.
pub const EDIT: Edit = Edit {
    name: "secrets",
    default: true,
    reason: "removes the builder's keys, credentials and temporary files, and locks passwords",
    run,
};

/// Folders that are emptied.
const TEMPORARY: [&str; 2] = ["/tmp", "/var/tmp"];

/// Who may come in, and who was known, in each home.
const SSH: [&str; 4] =
    [".ssh/authorized_keys", ".ssh/authorized_keys2", ".ssh/known_hosts", ".ssh/known_hosts.old"];

/// Files in each home in which a program keeps passwords, tokens or private keys. Each has a
/// documented place and holds nothing that a service of the guest would need.
const CREDENTIALS: [&str; 25] = [
    ".aws/credentials",
    ".azure/accessTokens.json",
    ".azure/msal_token_cache.bin",
    ".azure/msal_token_cache.json",
    ".boto",
    ".cargo/credentials",
    ".cargo/credentials.toml",
    ".config/gcloud/access_tokens.db",
    ".config/gcloud/application_default_credentials.json",
    ".config/gcloud/credentials.db",
    ".config/gcloud/legacy_credentials",
    ".config/gh/hosts.yml",
    ".config/openstack/clouds.yaml",
    ".config/rclone/rclone.conf",
    ".docker/config.json",
    ".git-credentials",
    ".gnupg/private-keys-v1.d",
    ".gnupg/secring.gpg",
    ".kube/config",
    ".netrc",
    ".one/one_auth",
    ".pgpass",
    ".pypirc",
    ".s3cfg",
    ".vault-token",
];

fn run(bench: &mut Bench<'_>) -> Result<()> {
    for folder in TEMPORARY {
        empty(bench, folder)?;
    }
    for home in homes(bench.tree)? {
        for inside in SSH {
            if !(home.root && inside == ".ssh/authorized_keys" && only_given_keys(bench, &home)?) {
                remove(bench, &home, inside, "removed: the builder's")?;
            }
        }
        private_keys(bench, &home)?;
        for inside in CREDENTIALS {
            remove(bench, &home, inside, "removed: credentials")?;
        }
    }
    system::clean(bench)?;
    swap::clean(bench)?;
    if !bench.options.keep_passwords {
        lock_passwords(bench)?;
    }
    way_in(bench)
}

/// Removes all in a folder for temporary files. A link that leads anywhere else is not followed.
fn empty(bench: &mut Bench<'_>, folder: &str) -> Result<()> {
    let Some(real) = bench.tree.resolve(Path::new(folder))? else { return Ok(()) };
    if !TEMPORARY.iter().any(|known| real == Path::new(known)) {
        let real = shown(&real.to_string_lossy());
        bench.warn("secrets-tmp", format!("{folder} leads to {real}, which was not emptied"));
        return Ok(());
    }
    // A file system of its own has lost+found, and its check wants it.
    let mut keep = vec![OsString::from("lost+found")];
    for mount in &bench.facts.mounts {
        let below = Path::new(&mount.at).strip_prefix(&real).ok();
        keep.extend(below.and_then(|rest| rest.iter().next()).map(OsString::from));
    }
    let removed = bench.tree.clear(&real, &keep)?;
    if removed > 0 {
        bench.record(&real, format!("emptied: {removed} entries"));
    }
    Ok(())
}

fn remove(
    bench: &mut Bench<'_>,
    home: &Home,
    inside: impl AsRef<Path>,
    action: &str,
) -> Result<()> {
    match home.find(bench.tree, inside)? {
        Some(path) => bench.remove(path, action),
        None => Ok(()),
    }
}

/// Whether root's keys are those that the user wants there: then this edit was here before.
fn only_given_keys(bench: &Bench<'_>, home: &Home) -> Result<bool> {
    let path = home.path.join(".ssh/authorized_keys");
    if !bench.node(&path)?.is_some_and(|node| node.kind == NodeKind::File) {
        return Ok(false);
    }
    let Some(bytes) = bench.tree.read(&path, MAX_TEXT)? else { return Ok(false) };
    let given: Vec<Vec<u8>> =
        bench.options.authorized_keys.iter().map(|key| key.trim().as_bytes().to_vec()).collect();
    let mut lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    Ok(lines.all(|line| given.iter().any(|key| key == line)))
}

/// Removes key pairs from `.ssh`: those with a usual name, and whatever begins like a private key.
fn private_keys(bench: &mut Bench<'_>, home: &Home) -> Result<()> {
    for path in bench.list(home.path.join(".ssh"))? {
        let Some(file) = path.file_name() else { continue };
        let name = file.to_string_lossy();
        let usual = name.starts_with("id_") || name == "identity" || name == "identity.pub";
        let head = bench.tree.read_head(&path, 64)?.unwrap_or_default();
        let private = text::decode(&head).lines().next().is_some_and(|line| {
            line.starts_with("-----BEGIN") && line.contains("PRIVATE KEY")
                || line.starts_with("PuTTY-User-Key-File")
        });
        if usual || private {
            remove(bench, home, Path::new(".ssh").join(file), "removed: the builder's key")?;
        }
    }
    Ok(())
}

/// What stands for a password in a file, and whether an empty field is a danger there.
struct Lock {
    path: &'static str,
    mark: &'static str,
    empty: bool,
}

/// The files with hashes in their second field. `!` in front of a hash keeps the hash readable, and
/// some servers take it for an account that may not use keys either, so a lock is `*`. An empty
/// field of a group lets no one in but its members (gshadow(5)).
const LOCKS: [Lock; 8] = [
    Lock { path: "/etc/shadow", mark: "*", empty: true },
    Lock { path: "/etc/shadow-", mark: "*", empty: true },
    Lock { path: "/etc/passwd", mark: "*", empty: true },
    Lock { path: "/etc/passwd-", mark: "*", empty: true },
    Lock { path: "/etc/gshadow", mark: "!", empty: false },
    Lock { path: "/etc/gshadow-", mark: "!", empty: false },
    Lock { path: "/etc/group", mark: "!", empty: false },
    Lock { path: "/etc/group-", mark: "!", empty: false },
];

fn lock_passwords(bench: &mut Bench<'_>) -> Result<()> {
    for lock in LOCKS {
        let Some(old) = bench.whole_text(lock.path)? else { continue };
        let (new, names) = locked(&old, &lock);
        if !names.is_empty() {
            let shown = names.iter().take(12).map(|name| shown(name)).collect::<Vec<_>>();
            let more = if names.len() > 12 { ", …" } else { "" };
            let action = format!("locked: {}{more}", shown.join(", "));
            bench.put(lock.path, &new, Attributes::root(0o600), action)?;
        }
    }
    // The hashes of former passwords (pam_pwhistory(8)).
    let former = "/etc/security/opasswd";
    if bench.tree.read_head(Path::new(former), 1)?.is_some_and(|head| !head.is_empty()) {
        bench.put(former, "", Attributes::root(0o600), "emptied: former passwords")?;
    }
    Ok(())
}

/// The text with its passwords locked, and whose they were.
fn locked<'a>(text: &'a str, lock: &Lock) -> (String, Vec<&'a str>) {
    let (mut new, mut names) = (String::with_capacity(text.len()), Vec::new());
    for line in text.split_inclusive('\n') {
        let mut fields = line.splitn(3, ':');
        let (Some(name), Some(field)) = (fields.next(), fields.next()) else {
            new.push_str(line);
            continue;
        };
        let end = &field[field.trim_end_matches(['\r', '\n']).len()..];
        let mark = match password(&field[..field.len() - end.len()]) {
            Password::Hash => lock.mark,
            Password::Empty if lock.empty && !name.starts_with(['+', '-', '#']) => lock.mark,
            // Locked it was; only the hash goes.
            Password::LockedHash => "!",
            Password::Empty | Password::Locked => {
                new.push_str(line);
                continue;
            }
        };
        names.push(name);
        new.push_str(&format!("{name}:{mark}{end}"));
        if let Some(rest) = fields.next() {
            new.push_str(&format!(":{rest}"));
        }
    }
    (new, names)
}

/// Warns if nobody will be able to log in, or not over SSH. A cloud's keys are asked for by what is
/// configured now: part of that was the installer's.
fn way_in(bench: &mut Bench<'_>) -> Result<()> {
    let line = bench.facts.command_lines.first().map_or("", String::as_str);
    let cloud = inspect::cloud_init(bench.tree, line)?
        || bench.facts.one_context
        || context_scripts::is_enabled(bench.tree, bench.facts.init)?;
    let given = !bench.options.authorized_keys.is_empty();
    let logins = logins(bench.tree)?;
    if cloud || given || logins.iter().any(|login| matches!(login.by, By::Keys(_))) {
        return Ok(());
    }
    const LEFT: &str = "no key is left, and nothing in the guest takes one from the cloud";
    match logins.first() {
        None => bench.warn(
            "no-login",
            format!(
                "{LEFT}, and no password works: nobody can log in. Give a key with \
                 --authorized-key FILE, or keep what is there with --keep-passwords (for the \
                 console only) or --skip-edit secrets"
            ),
        ),
        Some(login) => bench.warn(
            "no-ssh-login",
            format!(
                "{LEFT}: a password, as that of {}, is good on the console, and not for an SSH \
                 server that takes keys only. Give a key with --authorized-key FILE",
                shown(&login.account)
            ),
        ),
    }
    Ok(())
}

#[cfg(test)]
mod tests;
