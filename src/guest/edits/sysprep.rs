//! `sysprep-light`: what the life of one machine left behind and no other should start with.

use std::path::Path;

use super::accounts::homes;
use super::{Bench, Edit};
use crate::error::Result;
use crate::guest::tree::{Attributes, NodeKind};

/// The edit.
pub const EDIT: Edit = Edit {
    name: "sysprep-light",
    default: true,
    reason: "removes leases, login records, histories, random seeds and backups of accounts",
    run,
};

/// Files, and what they are.
const FILES: [(&str, &str); 22] = [
    ("/var/lib/NetworkManager/secret_key", "a machine's secret"),
    ("/var/lib/systemd/credential.secret", "a machine's secret"),
    // The same seed in two machines makes the same random numbers at their start.
    ("/var/lib/systemd/random-seed", "a random seed"),
    ("/var/lib/urandom/random-seed", "a random seed"),
    ("/var/lib/random-seed", "a random seed"),
    ("/var/lib/misc/random-seed", "a random seed"),
    ("/var/lib/seedrng/seed.credit", "a random seed"),
    ("/var/lib/seedrng/seed.no-credit", "a random seed"),
    ("/etc/passwd-", "a backup of accounts"),
    ("/etc/shadow-", "a backup of accounts"),
    ("/etc/group-", "a backup of accounts"),
    ("/etc/gshadow-", "a backup of accounts"),
    ("/etc/subuid-", "a backup of accounts"),
    ("/etc/subgid-", "a backup of accounts"),
    ("/etc/blkid.tab", "a list of disks"),
    ("/etc/blkid.tab.old", "a list of disks"),
    ("/etc/blkid/blkid.tab", "a list of disks"),
    ("/etc/blkid/blkid.tab.old", "a list of disks"),
    ("/etc/lvm/devices/system.devices", "a list of disks"),
    ("/etc/lvm/cache/.cache", "a list of disks"),
    // By it a DHCP server knows the machine again.
    ("/etc/dhcpcd.duid", "a machine's name for DHCP"),
    ("/var/run/utmp", "a login record"),
];

/// Folders with leases: which files of them, by the end of their name.
const LEASES: [(&str, &[&str]); 6] = [
    ("/var/lib/dhcp", &[""]),
    ("/var/lib/dhclient", &[""]),
    ("/var/lib/dhcp3", &[""]),
    ("/var/lib/dhcpcd", &[".lease", ".lease6", ".info", "duid", "secret"]),
    ("/var/lib/wicked", &[".xml"]),
    ("/var/lib/NetworkManager", &[".lease"]),
];

/// Login records that programs expect to be there: emptied, not removed.
const RECORDS: [&str; 3] = ["/var/log/wtmp", "/var/log/btmp", "/var/log/lastlog"];

/// Histories in each home.
const HISTORIES: [&str; 10] = [
    ".bash_history",
    ".ash_history",
    ".sh_history",
    ".zsh_history",
    ".history",
    ".mysql_history",
    ".psql_history",
    ".python_history",
    ".lesshst",
    ".viminfo",
];

fn run(bench: &mut Bench<'_>) -> Result<()> {
    for (path, what) in FILES {
        remove_file(bench, Path::new(path), what)?;
    }
    for (folder, ends) in LEASES {
        for path in bench.list(folder)? {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if ends.iter().any(|end| name.ends_with(end)) {
                remove_file(bench, &path, "a lease")?;
            }
        }
    }
    for path in RECORDS {
        let head = bench.tree.read_head(Path::new(path), 1)?;
        if head.is_some_and(|head| !head.is_empty()) {
            bench.put(path, "", Attributes::root(0o664), "emptied: login records")?;
        }
    }
    for home in homes(bench.tree)? {
        for name in HISTORIES {
            if let Some(path) = home.find(bench.tree, name)? {
                remove_file(bench, &path, "a history")?;
            }
        }
    }
    Ok(())
}

/// Removes a file or a link, never a folder.
fn remove_file(bench: &mut Bench<'_>, path: &Path, what: &str) -> Result<()> {
    match bench.node(path)?.map(|node| node.kind) {
        Some(NodeKind::File | NodeKind::Link) => bench.remove(path, format!("removed: {what}")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guest::edits::trial;
    use crate::guest::memory::MemoryTree;
    use crate::guest::tree::Tree;

    #[test]
    fn the_traces_of_a_machine_go() {
        let mut tree = MemoryTree::of(&[
            ("/etc/passwd", "root:x:0:0::/root:/bin/sh\nbob:x:1:1::/home/bob:/bin/sh\n"),
            ("/etc/passwd-", "root:x:0:0::/root:/bin/sh\n"),
            ("/var/lib/dhcp/dhclient.eth0.leases", "lease {}"),
            ("/var/lib/NetworkManager/internal-1-eth0.lease", "x"),
            ("/var/lib/NetworkManager/NetworkManager.state", "x"),
            ("/var/lib/wicked/duid.xml", "x"),
            ("/var/lib/dhcpcd/eth0.info", "x"),
            ("/var/lib/dhcpcd/duid", "x"),
            ("/etc/dhcpcd.duid", "x"),
            ("/var/lib/systemd/random-seed", "x"),
            ("/var/log/lastlog", ""),
            ("/root/.bash_history", "x"),
            ("/home/bob/.viminfo", "x"),
            ("/home/bob/.bashrc", "x"),
        ]);
        tree.file("/var/log/wtmp", "records", 0o664);
        tree.link("/home/bob/.bash_history", "/dev/null");
        tree.device("/dev/null");
        tree.dir("/var/lib/dhcp/folder");
        let outcome = trial::plain(&EDIT, &mut tree);
        let expected = [
            "/etc/dhcpcd.duid",
            "/etc/passwd-",
            "/home/bob/.bash_history",
            "/home/bob/.viminfo",
            "/root/.bash_history",
            "/var/lib/NetworkManager/internal-1-eth0.lease",
            "/var/lib/dhcp/dhclient.eth0.leases",
            "/var/lib/dhcpcd/duid",
            "/var/lib/dhcpcd/eth0.info",
            "/var/lib/systemd/random-seed",
            "/var/lib/wicked/duid.xml",
            "/var/log/wtmp",
        ];
        let mut paths = outcome.paths();
        paths.sort_unstable();
        assert_eq!(paths, expected);
        assert_eq!(tree.text("/var/log/wtmp").unwrap(), "");
        assert_eq!(tree.node(Path::new("/var/log/wtmp")).unwrap().unwrap().mode, 0o664);
    }
}
