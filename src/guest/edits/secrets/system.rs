//! Secrets outside of homes: what an installer wrote down, and what services were given.

use super::Bench;
use crate::error::Result;
use crate::guest::edits::{accounts, dropbear};
use crate::guest::tree::Attributes;

/// What goes, and what it is. Nothing reads the installers' files again but cloud-init, which is to
/// start anew: `99-installer.cfg` (Ubuntu Server) has the first account with its password, and tells
/// cloud-init to ask no cloud.
const GONE: [(&str, &str); 11] = [
    ("/root/anaconda-ks.cfg", "an installer's answers"),
    ("/root/original-ks.cfg", "an installer's answers"),
    ("/root/initial-setup-ks.cfg", "an installer's answers"),
    ("/root/autoinst.xml", "an installer's answers"),
    ("/var/log/installer", "an installer's answers and log"),
    ("/etc/cloud/cloud.cfg.d/99-installer.cfg", "an installer's answers"),
    ("/var/lib/cloud/instance", "what cloud-init was told"),
    ("/var/lib/cloud/instances", "what cloud-init was told"),
    ("/var/lib/cloud/data", "what cloud-init was told"),
    ("/etc/krb5.keytab", "the machine's key"),
    // Where OpenWrt's Dropbear has root's keys.
    ("/etc/dropbear/authorized_keys", "the builder's"),
];

/// Folders of networks with passwords (NetworkManager, wpa_supplicant.conf(5)), and the keys of
/// their lines.
const NETWORKS: [&str; 2] = ["/etc/NetworkManager/system-connections", "/etc/wpa_supplicant"];
const PASSWORDS: [&str; 5] =
    ["psk", "password", "leap-password", "private-key-password", "private_key_passwd"];

/// Takes them out.
pub(super) fn clean(bench: &mut Bench<'_>) -> Result<()> {
    for (path, what) in GONE {
        bench.remove(path, format!("removed: {what}"))?;
    }
    for folder in dropbear::IN_INITRAMFS {
        bench.remove(format!("{folder}/authorized_keys"), "removed: the builder's")?;
    }
    for folder in NETWORKS {
        for path in bench.list(folder)? {
            let Some(old) = bench.text(&path)? else { continue };
            let kept = old.split_inclusive('\n').filter(|line| !has_password(line));
            let new: String = kept.collect();
            if new != old {
                bench.put(&path, &new, Attributes::root(0o600), "takes out passwords")?;
                let file = accounts::shown(&path.to_string_lossy());
                let message =
                    format!("{file} has lost its passwords: give the cloud's, or remove it");
                bench.warn("network-password", message);
            }
        }
    }
    Ok(())
}

/// `psk=…`, `wep-key0=…`, also behind the `#` that some programs put in front of a readable copy.
fn has_password(line: &str) -> bool {
    let Some((key, _)) = line.trim_start_matches([' ', '\t', '#']).split_once('=') else {
        return false;
    };
    let key = key.trim_end();
    PASSWORDS.contains(&key) || key.starts_with("wep-key") || key.starts_with("wep_key")
}
