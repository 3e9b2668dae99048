//! `password-audit`: how somebody could log in, once all is done.

use std::collections::BTreeMap;
use std::path::Path;

use super::accounts::{Account, accounts, shown, whole_text};
use super::{Bench, Edit};
use crate::error::Result;
use crate::guest::tree::{MAX_TEXT, Tree};

/// The edit. It changes nothing.
pub const EDIT: Edit = Edit {
    name: "password-audit",
    default: true,
    reason: "tells which accounts can still be entered with a password, or become root",
    run,
};

/// Accounts of images that are given away with a known password: Vagrant, osboxes.org, Raspberry
/// Pi, teaching images, installers' defaults.
const WELL_KNOWN: [&str; 12] = [
    "vagrant", "osboxes", "ubuntu", "debian", "centos", "pi", "admin", "user", "student", "test",
    "guest", "oracle",
];

/// A password field of `/etc/shadow` or `/etc/passwd` (shadow(5), crypt(5)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Password {
    /// No password is asked for.
    Empty,
    /// A hash that a password fits.
    Hash,
    /// Nothing fits.
    Locked,
    /// Nothing fits, but the hash is still there behind a `!`.
    LockedHash,
}

/// What a password field is.
pub fn password(field: &str) -> Password {
    let behind = field.trim_start_matches('!');
    match field {
        "" => Password::Empty,
        // `*`, `x`, `*LK*`, `NP`, …: no hash is shorter than the 13 characters of DES.
        _ if behind.len() < 13 || behind.starts_with('*') => Password::Locked,
        _ if behind.len() < field.len() => Password::LockedHash,
        _ => Password::Hash,
    }
}

/// A way into the guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// The account's name.
    pub account: String,
    /// Its user id.
    pub uid: u32,
    /// What opens it.
    pub by: By,
}

/// What opens an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// Nothing is asked for.
    Nothing,
    /// A password.
    Password,
    /// Public keys, this many.
    Keys(usize),
}

/// All ways into the guest: accounts with a shell that have a password, an empty one, or public
/// keys in their home.
///
/// # Errors
/// Those of reading the guest.
pub fn logins(tree: &dyn Tree) -> Result<Vec<Login>> {
    let shadow = whole_text(tree, Path::new("/etc/shadow"))?.unwrap_or_default();
    let mut fields = BTreeMap::new();
    for (name, rest) in shadow.lines().filter_map(|line| line.split_once(':')) {
        fields.entry(name).or_insert(rest.split(':').next().unwrap_or_default());
    }
    let mut found = Vec::new();
    for who in accounts(tree)?.into_iter().filter(Account::has_shell) {
        let field = match who.password.as_str() {
            "x" => fields.get(who.name.as_str()).copied().unwrap_or("*"),
            own => own,
        };
        let by_password = match password(field) {
            Password::Empty => Some(By::Nothing),
            Password::Hash => Some(By::Password),
            Password::Locked | Password::LockedHash => None,
        };
        let keys = Some(keys(tree, &who)?).filter(|keys| *keys > 0).map(By::Keys);
        for by in by_password.into_iter().chain(keys) {
            found.push(Login { account: who.name.clone(), uid: who.uid, by });
        }
    }
    Ok(found)
}

/// Public keys in an account's home.
fn keys(tree: &dyn Tree, who: &Account) -> Result<usize> {
    let mut count = 0;
    for name in ["authorized_keys", "authorized_keys2"] {
        let path = who.home.join(".ssh").join(name);
        let Some(bytes) = tree.read(&path, MAX_TEXT)? else { continue };
        let lines = bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_start);
        count += lines.filter(|line| !line.is_empty() && !line.starts_with(b"#")).count();
    }
    Ok(count)
}

fn run(bench: &mut Bench<'_>) -> Result<()> {
    for login in logins(bench.tree)? {
        let name = shown(&login.account);
        let known = match WELL_KNOWN.contains(&login.account.as_str()) {
            true => ", an account whose password is often a published one",
            false => "",
        };
        match login.by {
            By::Nothing => bench.warn("login-empty-password", format!("{name} needs no password")),
            By::Password => bench.warn("login-password", format!("{name} has a password{known}")),
            By::Keys(_) => {}
        }
    }
    for who in accounts(bench.tree)?.iter().filter(|who| who.uid == 0 && who.name != "root") {
        bench.warn("login-uid-0", format!("{} is root by another name", shown(&who.name)));
    }
    sudo(bench)
}

/// Who may become root without a password. sudo passes over files with a dot in their name or a
/// `~` at its end (sudoers(5), `@includedir`).
fn sudo(bench: &mut Bench<'_>) -> Result<()> {
    let mut files = vec!["/etc/sudoers".into()];
    files.extend(bench.list("/etc/sudoers.d")?.into_iter().filter(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        !name.contains('.') && !name.ends_with('~')
    }));
    for path in files {
        let text = bench.text(&path)?.unwrap_or_default();
        let rules = text.lines().map(str::trim_start).filter(|line| !line.starts_with('#'));
        for rule in rules.filter(|line| line.contains("NOPASSWD") && !line.starts_with("Defaults"))
        {
            let who = shown(rule.split_ascii_whitespace().next().unwrap_or_default());
            let file = shown(&path.to_string_lossy());
            let message = format!("{who} becomes root without a password ({file})");
            bench.warn("sudo-nopasswd", message);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guest::edits::trial;
    use crate::guest::memory::MemoryTree;

    #[test]
    fn fields_are_told_apart() {
        for (field, is) in [
            ("", Password::Empty),
            ("*", Password::Locked),
            ("!", Password::Locked),
            ("!!", Password::Locked),
            ("!*", Password::Locked),
            ("x", Password::Locked),
            ("*LK*", Password::Locked),
            ("$6$salt$abcdefghijk", Password::Hash),
            ("$y$j9T$salt$abcdefghijk", Password::Hash),
            ("abJnggxhB/yWI", Password::Hash),
            ("_J9..CCCCXBrJUJV154M", Password::Hash),
            ("!$6$salt$abcdefghijk", Password::LockedHash),
            ("!!abJnggxhB/yWI", Password::LockedHash),
        ] {
            assert_eq!(password(field), is, "{field}");
        }
    }

    fn guest() -> MemoryTree {
        MemoryTree::of(&[
            (
                "/etc/passwd",
                "root:x:0:0::/root:/bin/sh\nvagrant:x:1:1::/home/v:/bin/sh\n\
                 toor::0:0::/:/bin/sh\nd:abJnggxhB/yWI:2:2::/d:/sbin/nologin\n\
                 old:abJnggxhB/yWI:3:3::/o:\n",
            ),
            ("/etc/shadow", "root:*:1::::::\nvagrant:$6$salt$abcdefghijk:1::::::\nd::1\n"),
            ("/root/.ssh/authorized_keys", "# mine\n\nssh-ed25519 AAAA a\nssh-rsa AAAA b\n"),
            (
                "/etc/sudoers",
                "Defaults env_reset\n#vagrant ALL=NOPASSWD: ALL\nroot ALL=(ALL) ALL\n",
            ),
            ("/etc/sudoers.d/v", "vagrant ALL=(ALL) NOPASSWD: ALL\n"),
            ("/etc/sudoers.d/v.old", "vagrant ALL=(ALL) NOPASSWD: ALL\n"),
        ])
    }

    #[test]
    fn every_way_in_is_found() {
        let found = logins(&guest()).unwrap();
        let found: Vec<_> = found.iter().map(|login| (login.account.as_str(), login.by)).collect();
        let expected = [
            ("root", By::Keys(2)),
            ("vagrant", By::Password),
            ("toor", By::Nothing),
            ("old", By::Password),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn the_audit_tells_and_changes_nothing() {
        let mut tree = guest();
        let before = tree.clone();
        let outcome = trial::plain(&EDIT, &mut tree);
        assert_eq!(tree, before);
        let expected = [
            "login-password",
            "login-empty-password",
            "login-password",
            "login-uid-0",
            "sudo-nopasswd",
        ];
        assert_eq!(outcome.codes(), expected);
        assert!(outcome.warnings[0].message.contains("published"));
    }
}
