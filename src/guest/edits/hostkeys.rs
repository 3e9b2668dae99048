//! `ssh-hostkeys`: each machine gets SSH host keys of its own. Who has the image would else have the
//! private keys of every machine that starts from it.
//!
//! Keys go only where new ones come from at the next start: the guest's own units and scripts, the
//! context scripts, or, without them, on systemd, Upstart and with Debian's init script, a few lines of
//! this edit (Debian makes keys only when the package is installed).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::accounts::{path_of, shown};
use super::text::append;
use super::{Bench, Edit, context_scripts, dropbear, sshd};
use crate::error::Result;
use crate::guest::facts::Init;
use crate::guest::tree::{Attributes, NodeKind};

/// The edit.
pub const EDIT: Edit = Edit {
    name: "ssh-hostkeys",
    default: true,
    reason: "removes the SSH host keys and sees to it that each machine makes its own",
    run,
};

const KEYGEN: [&str; 4] =
    ["/usr/bin/ssh-keygen", "/bin/ssh-keygen", "/usr/local/bin/ssh-keygen", "/usr/sbin/ssh-keygen"];

pub(super) const UNITS: [&str; 3] =
    ["/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"];
const SCRIPTS: [&str; 8] = [
    "/etc/init.d/sshd",
    "/etc/init.d/ssh",
    "/etc/rc.d/sshd",
    "/etc/rc.d/rc.sshd",
    "/etc/rc.d/init.d/sshd",
    "/etc/init/ssh.conf",
    "/etc/init.d/S50sshd",
    "/etc/sv/sshd/run",
];

const UNIT: &str = "stratus-ssh-hostkeys.service";
const JOB: &str = "/etc/init/stratus-ssh-hostkeys.conf";
const DEFAULTS: &str = "/etc/default/ssh";
/// In every file of this edit, so that it knows them again.
const MARK: &str = "# stratus: SSH host keys, if there are none";

fn run(bench: &mut Bench<'_>) -> Result<()> {
    if !sshd::installed(bench)? || openssh_makes_keys(bench)? {
        remove(bench, "/etc/ssh", |name| name.starts_with("ssh_host_"))?;
    } else if has_keys(bench, "/etc/ssh", |name| name.starts_with("ssh_host_"))? {
        kept(bench, "/etc/ssh");
    }
    if !dropbear::installed(bench)? || dropbear_makes_keys(bench)? {
        remove(bench, "/etc/dropbear", of_dropbear)?;
    } else if has_keys(bench, "/etc/dropbear", of_dropbear)? {
        kept(bench, "/etc/dropbear");
    }
    in_initramfs(bench)?;
    elsewhere(bench)
}

fn of_dropbear(name: &str) -> bool {
    name.starts_with("dropbear_") && name.contains("_host_key")
}

/// Debian's Dropbear that runs before the root is mounted: its keys go, and copies of them are where
/// no edit reaches.
fn in_initramfs(bench: &mut Bench<'_>) -> Result<()> {
    for folder in dropbear::IN_INITRAMFS {
        for path in keys_in(bench, folder, of_dropbear)? {
            bench.remove(path, "removed: a host key for the initramfs")?;
        }
    }
    if bench.exists("/usr/share/initramfs-tools/hooks/dropbear")? {
        bench.warn(
            "initramfs-keys",
            "the initramfs has an SSH server with the old machine's host keys and authorized keys: \
             remove dropbear-initramfs in the guest, or make new keys there and run \
             update-initramfs -u",
        );
    }
    Ok(())
}

fn keys_in(bench: &Bench<'_>, folder: &str, is_key: impl Fn(&str) -> bool) -> Result<Vec<PathBuf>> {
    let mut keys = bench.list(folder)?;
    keys.retain(|path| path.file_name().is_some_and(|name| is_key(&name.to_string_lossy())));
    Ok(keys)
}

fn has_keys(bench: &Bench<'_>, folder: &str, is_key: impl Fn(&str) -> bool) -> Result<bool> {
    Ok(!keys_in(bench, folder, is_key)?.is_empty())
}

fn remove(bench: &mut Bench<'_>, folder: &str, is_key: impl Fn(&str) -> bool) -> Result<()> {
    for path in keys_in(bench, folder, is_key)? {
        if bench.node(&path)?.is_some_and(|node| node.kind != NodeKind::Dir) {
            bench.remove(path, "removed: made anew at the next start")?;
        }
    }
    Ok(())
}

fn kept(bench: &mut Bench<'_>, folder: &str) {
    bench.warn(
        "ssh-hostkeys-kept",
        format!("the SSH host keys in {folder} are kept: nothing in the guest would make new ones"),
    );
}

/// Whether new keys will be made: by the guest itself, or by what is written here for it.
fn openssh_makes_keys(bench: &mut Bench<'_>) -> Result<bool> {
    let context = context_scripts::make_host_keys(bench.tree, bench.facts.init)?;
    if context {
        former(bench)?;
    }
    if guest_makes_keys(bench)? {
        return Ok(true);
    }
    let mut keygen = None;
    for path in KEYGEN {
        if keygen.is_none() && bench.exists(path)? {
            keygen = Some(path);
        }
    }
    let Some(keygen) = keygen else { return Ok(false) };
    if context {
        return Ok(true);
    }
    match bench.facts.init {
        Init::Systemd => with_systemd(bench, keygen).map(|()| true),
        Init::Upstart => with_upstart(bench, keygen),
        Init::Sysv | Init::Openrc => with_sysv(bench, keygen),
        _ => Ok(false),
    }
}

/// Whether a unit or script of the guest's SSH server makes keys. That of this edit does not count.
fn guest_makes_keys(bench: &Bench<'_>) -> Result<bool> {
    let paths = match bench.facts.init {
        Init::Systemd => server_units(bench)?,
        _ => SCRIPTS.iter().map(PathBuf::from).collect(),
    };
    for path in paths {
        let text = bench.text(&path)?.unwrap_or_default();
        let mut active = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
        let is_unit = path.extension().is_some_and(|end| end == "service");
        // Red Hat: sshd-keygen; SUSE: sshd-gen-keys-start; Arch, Alpine: ssh-keygen -A.
        let makes = |line: &str| {
            let named = line.contains("keygen") || line.contains("gen-keys");
            named && (line.starts_with("Exec") || !is_unit)
        };
        // A machine whose id is empty does not take its first start for one (machine-id(5)).
        let never =
            |line: &str| line == "ConditionFirstBoot=yes" || line == "ConditionFirstBoot=true";
        if active.clone().any(makes) && !active.any(never) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The units of the SSH server and of its keys. One in `/etc` stands for the vendor's of the same name, also if it
/// is a link to `/dev/null`.
pub(super) fn server_units(bench: &Bench<'_>) -> Result<Vec<PathBuf>> {
    let (mut seen, mut units) = (BTreeSet::new(), Vec::new());
    for folder in UNITS {
        for path in bench.list(folder)? {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let server = name.starts_with("ssh") && name.ends_with(".service");
            if server && seen.insert(name) {
                units.push(path);
            }
        }
    }
    Ok(units)
}

/// Tells of keys that the server's configuration has at places of its own.
fn elsewhere(bench: &mut Bench<'_>) -> Result<()> {
    for path in sshd::host_keys(bench)? {
        let usual = path.starts_with("/etc/ssh/ssh_host_") || !path.starts_with('/');
        if !usual && bench.exists(path_of(&path))? {
            let message =
                format!("the SSH host key {} is kept: it is not at its usual place", shown(&path));
            bench.warn("ssh-hostkeys-kept", message);
        }
    }
    Ok(())
}

/// A unit that comes before the server and before its socket, which listens early: hence no default
/// dependencies, or the two would wait for each other.
fn with_systemd(bench: &mut Bench<'_>, keygen: &str) -> Result<()> {
    let unit = format!(
        "{MARK}\n\
         [Unit]\n\
         Description=SSH host keys for this machine\n\
         DefaultDependencies=no\n\
         RequiresMountsFor=/etc/ssh\n\
         ConditionPathExistsGlob=!/etc/ssh/ssh_host_*_key\n\
         After=local-fs.target systemd-remount-fs.service\n\
         Before=ssh.service sshd.service ssh.socket sshd.socket\n\
         Conflicts=shutdown.target\n\
         Before=shutdown.target\n\
         \n\
         [Service]\n\
         Type=oneshot\n\
         ExecStart={keygen} -A\n\
         \n\
         [Install]\n\
         WantedBy=multi-user.target\n"
    );
    let path = Path::new("/etc/systemd/system").join(UNIT);
    bench.put(&path, &unit, Attributes::root(0o644), "makes SSH host keys at the first start")?;
    let target = path.to_string_lossy().into_owned();
    let mut wanting = vec!["multi-user.target"];
    for service in ["ssh.service", "sshd.service"] {
        let mut real = false;
        for folder in UNITS {
            let node = bench.node(Path::new(folder).join(service))?;
            real |= node.is_some_and(|node| node.kind == NodeKind::File);
        }
        // A server that a connection starts wants its keys, too.
        if real {
            wanting.push(service);
        }
    }
    for unit in wanting {
        let link = Path::new("/etc/systemd/system").join(format!("{unit}.wants")).join(UNIT);
        bench.link(link, &target, "enables it")?;
    }
    Ok(())
}

/// The shell lines that make keys. `-A` is there since OpenSSH 5.9; before, one key is enough.
fn shell(keygen: &str, indent: &str) -> String {
    format!(
        "{indent}ls /etc/ssh/ssh_host_*_key >/dev/null 2>&1 ||\n\
         {indent}\t{keygen} -A >/dev/null 2>&1 ||\n\
         {indent}\t{keygen} -q -t rsa -N '' -f /etc/ssh/ssh_host_rsa_key || :\n"
    )
}

/// A job that is done before `ssh` starts (upstart: `start on starting` with `task`).
fn with_upstart(bench: &mut Bench<'_>, keygen: &str) -> Result<bool> {
    if !bench.exists("/etc/init/ssh.conf")? {
        return Ok(false);
    }
    let lines = shell(keygen, "\t");
    let job = format!("{MARK}\nstart on starting ssh\ntask\nscript\n{lines}end script\n");
    bench.put(JOB, &job, Attributes::root(0o644), "makes SSH host keys at the first start")?;
    Ok(true)
}

/// Debian's script, which OpenRC runs, too, reads `/etc/default/ssh` before it starts the server.
fn with_sysv(bench: &mut Bench<'_>, keygen: &str) -> Result<bool> {
    let script = bench.text("/etc/init.d/ssh")?.unwrap_or_default();
    let reads = |line: &str| {
        let mut words = line.split([' ', '\t', ';']).map(|word| word.trim_matches(['"', '\'']));
        words.any(|word| word == ".") && line.contains(DEFAULTS)
    };
    if !script.lines().any(|line| !line.trim_start().starts_with('#') && reads(line)) {
        return Ok(false);
    }
    let mut text = bench.text(DEFAULTS)?.unwrap_or_default();
    if !text.contains(MARK) {
        append(&mut text, &format!("{MARK}\n{}", shell(keygen, "")));
        let action = "makes SSH host keys at the first start";
        bench.put(DEFAULTS, &text, Attributes::root(0o644), action)?;
    }
    Ok(true)
}

/// Takes out what this edit did for a guest that had no context scripts then.
fn former(bench: &mut Bench<'_>) -> Result<()> {
    let action = "removed: the context scripts make the keys";
    for unit in ["multi-user.target", "ssh.service", "sshd.service"] {
        let link = Path::new("/etc/systemd/system").join(format!("{unit}.wants")).join(UNIT);
        bench.remove(link, action)?;
    }
    bench.remove(Path::new("/etc/systemd/system").join(UNIT), action)?;
    bench.remove(JOB, action)?;
    let Some(text) = bench.text(DEFAULTS)? else { return Ok(()) };
    for keygen in KEYGEN {
        let lines = format!("{MARK}\n{}", shell(keygen, ""));
        match text.replacen(&lines, "", 1) {
            rest if rest.len() == text.len() => {}
            // Nothing else was in it.
            rest if rest.is_empty() => return bench.remove(DEFAULTS, action),
            rest => return bench.put(DEFAULTS, &rest, Attributes::root(0o644), action),
        }
    }
    Ok(())
}

/// Whether Dropbear makes its keys: a start script does, or it may do so itself (`-R`).
fn dropbear_makes_keys(bench: &mut Bench<'_>) -> Result<bool> {
    for path in dropbear::starters(bench)? {
        let text = bench.text(&path)?.unwrap_or_default();
        if text.lines().any(|line| {
            let line = line.trim_start();
            !line.starts_with('#') && line.contains("dropbearkey ")
        }) {
            return Ok(true);
        }
    }
    if !dropbear::knows_r(bench)? {
        let mut tool = false;
        for path in ["/usr/bin/dropbearkey", "/bin/dropbearkey", "/usr/sbin/dropbearkey"] {
            tool |= bench.exists(path)?;
        }
        return Ok(tool && context_scripts::make_host_keys(bench.tree, bench.facts.init)?);
    }
    let starts = dropbear::give(bench, 'R', "Dropbear makes its own host keys: -R")?;
    Ok(starts == dropbear::Starts::Given)
}

#[cfg(test)]
mod tests;
