//! What runs in it that a cloud cares for?

use super::os::shell_value;
use super::{any, boot, exists, file, small_file};
use crate::error::Result;
use crate::guest::cloud;
use crate::guest::edits::network;
use crate::guest::facts::SshServer;
use crate::guest::tree::Tree;

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

/// Whether cloud-init is there, will run, and will ask a cloud. `line` is the kernel's command line.
///
/// # Errors
/// Those of reading the guest.
pub fn cloud_init(tree: &dyn Tree, line: &str) -> Result<bool> {
    let installed = any(tree, &["/usr/bin/cloud-init", "/etc/cloud/cloud.cfg"])?;
    let disabled = exists(tree, "/etc/cloud/cloud-init.disabled")?
        || boot::option(line, "cloud-init") == Some("disabled");
    Ok(installed
        && !disabled
        && !masked(tree, "cloud-init.target")?
        && !masked(tree, "cloud-init.service")?
        && cloud::asks_a_cloud(tree)?)
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
