//! Options on the server's command line: they count before all files, and are left to the user.

use std::path::Path;

use super::{MAIN, rules};
use crate::error::Result;
use crate::guest::edits::hostkeys::{UNITS, server_units};
use crate::guest::edits::{Bench, accounts, shell_variable};

/// Files of the variables with such options, and the variables.
const SETTINGS: [&str; 5] = [
    "/etc/default/ssh",
    "/etc/default/sshd",
    "/etc/sysconfig/sshd",
    "/etc/sysconfig/ssh",
    "/etc/conf.d/sshd",
];
const VARIABLES: [&str; 4] = ["SSHD_OPTS", "SSHD_ARGS", "SSHD_OPTIONS", "OPTIONS"];

/// Tells of files that let passwords in, or have the server read another configuration.
pub(super) fn tell(bench: &mut Bench<'_>) -> Result<()> {
    for path in SETTINGS {
        let text = bench.text(path)?.unwrap_or_default();
        let value = |line| VARIABLES.iter().find_map(|name| shell_variable::value_at(line, name));
        if text.lines().any(|line| value(line).is_some_and(|at| overrides(&line[at..]))) {
            warn(bench, Path::new(path));
        }
    }
    let mut units = server_units(bench)?;
    for folder in UNITS {
        for place in bench.list(folder)? {
            let name = place.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with("ssh") && name.ends_with(".service.d") {
                units.extend(bench.list(&place)?);
            }
        }
    }
    for path in units {
        let text = bench.text(&path)?.unwrap_or_default().replace("\\\n", " ");
        if text.lines().any(|line| starts_server(line.trim()) && overrides(line)) {
            warn(bench, &path);
        }
    }
    Ok(())
}

fn warn(bench: &mut Bench<'_>, path: &Path) {
    let path = accounts::shown(&path.to_string_lossy());
    bench.warn(
        "sshd-command-line",
        format!(
            "{path} gives the SSH server options that count before its files: take out what it \
             says of passwords and of other files"
        ),
    );
}

/// Whether a line of a unit starts the server, or has variables for that.
fn starts_server(line: &str) -> bool {
    line.starts_with("Environment=")
        || line.starts_with("ExecStart=")
            && line.split_ascii_whitespace().any(|word| word.ends_with("/sshd"))
}

/// Whether options let passwords in, or name another main file.
fn overrides(options: &str) -> bool {
    let lower = options.to_ascii_lowercase().replace(['"', '\'', '='], " ");
    let words: Vec<&str> = lower.split_ascii_whitespace().collect();
    words.iter().enumerate().any(|(i, word)| {
        let next = words.get(i + 1).copied().unwrap_or_default();
        let file = if *word == "-f" { Some(next) } else { word.strip_prefix("-f") };
        let keyword = word.strip_prefix("-o").unwrap_or(word);
        file.is_some_and(|file| file != MAIN)
            || rules::PASSWORDS.contains(&keyword) && !next.starts_with("no")
    })
}

#[cfg(test)]
mod tests {
    use super::super::EDIT;
    use crate::guest::edits::trial;
    use crate::guest::memory::MemoryTree;

    #[test]
    fn options_that_count_before_the_files_are_told() {
        let unit = "/etc/systemd/system/ssh.service.d/x.conf";
        let own = "OPTIONS=-j\nls /x ||\n\tssh-keygen -q -N '' -f /etc/ssh/ssh_host_rsa_key || :\n";
        for (path, text, told) in [
            ("/etc/default/ssh", "SSHD_OPTS=\"-oPasswordAuthentication=yes\"\n", true),
            ("/etc/default/ssh", "SSHD_OPTS='-o PasswordAuthentication=no'\n", false),
            ("/etc/default/ssh", own, false),
            ("/etc/sysconfig/sshd", "export OPTIONS=\"-4 -f /etc/x\"\n", true),
            (
                "/etc/sysconfig/sshd",
                "#OPTIONS=\"-f /etc/x\"\nOPTIONS=-f/etc/ssh/sshd_config",
                false,
            ),
            (unit, "ExecStart=/usr/sbin/sshd -D \\\n -o PasswordAuthentication=yes\n", true),
            (unit, "Environment=\"SSHD_OPTS=-f /etc/x\"\n", true),
            (unit, "ExecStart=/usr/sbin/sshd -D $SSHD_OPTS\n", false),
            ("/lib/systemd/system/ssh.service", "ExecStart=-/usr/sbin/sshd -f /x\n", true),
            ("/lib/systemd/system/sshkeys.service", "ExecStart=/bin/ssh-keygen -f /x\n", false),
        ] {
            let tree = &mut MemoryTree::of(&[(path, text), ("/etc/ssh/sshd_config", "")]);
            let codes = trial::plain(&EDIT, tree).codes().join(" ");
            assert_eq!(codes, if told { "sshd-command-line" } else { "" }, "{path}: {text}");
        }
    }
}
