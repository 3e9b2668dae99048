//! What runs in it that a cloud cares for?

use super::os::shell_value;
use super::{any, boot, exists, file, lines, names, small_file};
use crate::error::Result;
use crate::guest::edits::network;
use crate::guest::facts::{Init, SshServer};
use crate::guest::tree::Tree;

/// Folders of units, the most special first (systemd.unit(5)).
const UNITS: [&str; 3] = ["/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"];

/// Files of one folder that are looked at.
const MAX_FILES: usize = 2000;

/// Which SSH server is installed; OpenSSH before dropbear.
pub(super) fn ssh(tree: &dyn Tree) -> Result<Option<SshServer>> {
    const FOLDERS: [&str; 7] = [
        "/usr/sbin",
        "/sbin",
        "/usr/bin",
        "/bin",
        "/usr/local/sbin",
        "/usr/lib/ssh",
        "/usr/local/bin",
    ];
    for (name, server) in [("sshd", SshServer::Openssh), ("dropbear", SshServer::Dropbear)] {
        for folder in FOLDERS {
            if exists(tree, format!("{folder}/{name}"))? {
                return Ok(Some(server));
            }
        }
    }
    Ok(None)
}

/// What makes new host keys at boot: a unit (RHEL 7 and later, Fedora, Arch, SUSE), or the init
/// script (RHEL 6, Alpine, Gentoo).
pub(super) fn hostkey_regenerator(tree: &dyn Tree, init: Init) -> Result<Option<String>> {
    let mut paths = Vec::new();
    if init == Init::Systemd {
        for folder in UNITS {
            let units = names(tree, folder, MAX_FILES)?;
            let of_ssh = |name: &&String| name.starts_with("ssh") && name.ends_with(".service");
            paths.extend(units.iter().filter(of_ssh).map(|name| format!("{folder}/{name}")));
        }
    } else {
        let scripts = ["/etc/init.d/sshd", "/etc/rc.d/init.d/sshd", "/etc/init.d/ssh"];
        paths.extend(scripts.map(str::to_owned));
        paths.extend(["/etc/rc.d/rc.sshd", "/etc/init/ssh.conf"].map(str::to_owned));
    }
    for path in paths {
        let text = small_file(tree, &path)?.unwrap_or_default();
        let makes = |line: &str| {
            ["ssh-keygen", "sshd-keygen", "sshd-gen-keys-start"].iter().any(|tool| {
                // A unit that only waits for the keys names their target: `After=sshd-keygen.target`.
                line.contains(tool) && !line.contains(".target") && !line.contains(".service")
            })
        };
        if lines(&text).any(makes) {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

/// Whether cloud-init is there and will run. `line` is the kernel's command line.
pub(super) fn cloud_init(tree: &dyn Tree, line: &str) -> Result<bool> {
    let installed = any(tree, &["/usr/bin/cloud-init", "/etc/cloud/cloud.cfg"])?;
    let disabled = exists(tree, "/etc/cloud/cloud-init.disabled")?
        || boot::option(line, "cloud-init") == Some("disabled");
    Ok(installed
        && !disabled
        && !masked(tree, "cloud-init.target")?
        && !masked(tree, "cloud-init.service")?)
}

/// Whether a unit is a link to `/dev/null`.
fn masked(tree: &dyn Tree, unit: &str) -> Result<bool> {
    let target = tree.read_link(format!("/etc/systemd/system/{unit}").as_ref())?;
    Ok(target.is_some_and(|target| target == std::path::Path::new("/dev/null")))
}

/// Whether OpenNebula's contextualization is there.
pub(super) fn one_context(tree: &dyn Tree) -> Result<bool> {
    any(tree, &["/etc/one-context.d", "/usr/sbin/one-contextd", "/usr/bin/one-contextd"])
}

/// The mode of SELinux in which it starts. The kernel's command line goes before the file.
pub(super) fn selinux(tree: &dyn Tree, line: &str) -> Result<Option<String>> {
    let Some(config) = file(tree, "/etc/selinux/config")? else { return Ok(None) };
    let mode = match (boot::option(line, "selinux"), boot::option(line, "enforcing")) {
        (Some("0"), _) => Some("disabled".to_owned()),
        (_, Some("0")) => Some("permissive".to_owned()),
        _ => shell_value(&config, "SELINUX").map(|mode| mode.to_ascii_lowercase()),
    };
    Ok(mode.filter(|mode| matches!(mode.as_str(), "enforcing" | "permissive" | "disabled")))
}

/// Files of the network's configuration that hold only on the machine that the guest comes from: by
/// a hardware address, a name such as VirtualBox's slots give (`enp0s3`), or a fixed address.
pub(super) fn network_pins(tree: &dyn Tree) -> Result<Vec<String>> {
    let mut paths = network::files(tree)?;
    paths.push("/etc/udev/rules.d/70-persistent-net.rules".into());
    let mut pins = Vec::new();
    for path in paths {
        let text = small_file(tree, &path)?.unwrap_or_default();
        if network::is_tied(&path, &text) {
            pins.push(path.display().to_string());
        }
    }
    Ok(pins)
}
