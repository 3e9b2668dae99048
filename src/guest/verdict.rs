//! Will it work in the cloud? What the facts of a guest mean, in plain words.

use super::edits::password::{By, Login};
use super::facts::{Facts, Init};
use super::inspect::{MOUNT_NEEDED, proved_bus};
use crate::disk::Warning;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// As it should be.
    Ok,
    /// It may fail, or needs something from the user.
    Warn,
    /// It will fail.
    Bad,
}

/// One thing that the facts say.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    /// A stable name.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// For a person, with what to do.
    pub text: String,
}

fn ok(code: &'static str, text: impl Into<String>) -> Finding {
    Finding { code, severity: Severity::Ok, text: text.into() }
}

fn warn(code: &'static str, text: impl Into<String>) -> Finding {
    Finding { code, severity: Severity::Warn, text: text.into() }
}

fn bad(code: &'static str, text: impl Into<String>) -> Finding {
    Finding { code, severity: Severity::Bad, text: text.into() }
}

/// What the facts of a guest as it is now say about its future in a cloud on KVM: will it boot,
/// will it have a network, how would anyone log in. In this order, always the same for the same
/// facts.
///
/// `edits` are those that were done: what they left cannot be had by asking for them. `warnings` are
/// those of the inspection and of the edits.
pub fn findings(
    facts: &Facts,
    logins: &[Login],
    edits: &[&str],
    warnings: &[Warning],
) -> Vec<Finding> {
    let ran = |name: &str| edits.contains(&name);
    let mut findings = vec![processor(facts), bus(facts)];
    findings.push(devices(facts, ran("boot-uuid")));
    findings.extend(mounts(facts, warnings));
    findings.push(boot_loader(facts));
    findings.extend(firmware(facts));
    findings.push(services(facts));
    findings.push(network(facts, ran("network-dhcp")));
    findings.push(narrowed(login(facts, logins), warnings));
    findings.extend(selinux(facts));
    findings
}

/// The worst of them; `Ok` if there are none.
pub fn worst(findings: &[Finding]) -> Severity {
    findings.iter().map(|finding| finding.severity).max().unwrap_or(Severity::Ok)
}

fn processor(facts: &Facts) -> Finding {
    match facts.os_arch.as_deref() {
        Some(arch @ ("x86_64" | "i486")) => ok("arch-x86", format!("runs on {arch}")),
        Some(arch) => warn("arch-other", format!("needs a cloud with {arch} processors")),
        None => warn("arch-unknown", "no program found that tells the processor it is for"),
    }
}

fn bus(facts: &Facts) -> Finding {
    let Some(kernel) = facts.kernels.first() else {
        return warn(
            "kernel-missing",
            "no kernel found in the guest: test that it boots, or install one in it",
        );
    };
    let version = &kernel.version;
    match proved_bus(kernel) {
        Some("virtio") => ok("bus-virtio", format!("kernel {version} boots from a virtio disk")),
        Some(bus) => warn(
            "bus-not-virtio",
            format!(
                "kernel {version} is known to boot from a {bus} disk, not from virtio; \
                 for that add virtio_blk and virtio_pci to its initramfs"
            ),
        ),
        None if kernel.drivers_known => bad(
            "bus-no-driver",
            format!(
                "kernel {version} has no driver for a cloud's disk before its root is mounted; \
                 add virtio_blk and virtio_pci to its initramfs"
            ),
        ),
        None => warn(
            "drivers-unknown",
            format!(
                "cannot tell which disk drivers kernel {version} has: \
                 test that it boots from a {} disk",
                facts.disks_bus
            ),
        ),
    }
}

/// Names of devices that another bus does not have.
fn devices(facts: &Facts, edited: bool) -> Finding {
    let devices = facts.bus_devices.join(", ");
    if facts.bus_devices.is_empty() {
        return ok("devices-stable", "disks are called by names that hold on every bus");
    }
    let advice = match edited {
        true => "give it a UUID there, or nofail if it may be missing",
        false => "use the edit boot-uuid",
    };
    let same = |prefix: &str| facts.bus_devices.iter().all(|device| device.starts_with(prefix));
    let kept = match facts.disks_bus.as_str() {
        "sata" | "scsi" => same("/dev/sd"),
        // Old drivers call an IDE disk hda, libata calls it sda: it stays what it is.
        "ide" => same("/dev/sd") || same("/dev/hd"),
        _ => false,
    };
    if kept {
        let bus = &facts.disks_bus;
        return warn(
            "devices-by-bus",
            format!("fstab or boot menu name {devices}: right on a {bus} disk only; {advice}"),
        );
    }
    bad(
        "devices-lost",
        format!(
            "fstab or boot menu name {devices}, which a {} disk does not have; {advice}",
            facts.disks_bus
        ),
    )
}

/// A file system that the guest waits for, and that is not there.
fn mounts(facts: &Facts, warnings: &[Warning]) -> Option<Finding> {
    let warning = warnings.iter().find(|warning| warning.code == MOUNT_NEEDED)?;
    // systemd ends in its emergency mode; the others may go on.
    let severity = if facts.init == Init::Systemd { Severity::Bad } else { Severity::Warn };
    Some(Finding { code: "mount-missing", severity, text: warning.message.clone() })
}

fn boot_loader(facts: &Facts) -> Finding {
    match facts.bootloader.as_deref() {
        Some("lilo") => warn(
            "loader-lilo",
            "LILO finds its kernel by disk addresses and bus names: test that it boots, \
             or install GRUB",
        ),
        Some(loader) => ok("loader-found", format!("starts by {loader}")),
        None => warn(
            "loader-missing",
            "no boot loader's menu found: it boots only if the loader is on a file system that \
             is not read here",
        ),
    }
}

fn firmware(facts: &Facts) -> Option<Finding> {
    (facts.firmware.as_deref() == Some("uefi")).then(|| {
        warn("firmware-uefi", "boots by UEFI only: the cloud has to start it with UEFI firmware")
    })
}

fn services(facts: &Facts) -> Finding {
    match facts.init {
        Init::Unknown => {
            warn("init-unknown", "its init system is not known: no service can be added to it")
        }
        _ => ok("init-known", "its init system is known"),
    }
}

fn network(facts: &Facts, edited: bool) -> Finding {
    if facts.network_pins.is_empty() {
        return ok("network-free", "no network configuration is tied to the old machine");
    }
    warn(
        "network-pinned",
        format!(
            "{} name an address or an interface of the old machine: it may have no network; {}",
            facts.network_pins.join(", "),
            match edited {
                true => "change it to DHCP by hand",
                false => "use the edit network-dhcp",
            }
        ),
    )
}

fn login(facts: &Facts, logins: &[Login]) -> Finding {
    let who = |wanted: fn(&By) -> bool| {
        let mut names: Vec<_> = logins
            .iter()
            .filter(|login| wanted(&login.by))
            .map(|login| login.account.as_str())
            .collect();
        names.dedup();
        (!names.is_empty()).then(|| names.join(", "))
    };
    if let Some(names) = who(|by| *by == By::Nothing) {
        return bad(
            "login-open",
            format!("{names} can log in without a password; use the edit secrets"),
        );
    }
    if facts.ssh.is_none() {
        return bad(
            "login-no-ssh",
            "no SSH server found: nobody can log in but on the console; install one",
        );
    }
    let in_image = who(|by| matches!(by, By::Keys(_)));
    let keys = in_image.map(|names| format!("as {names} with a key that is in the image"));
    let cloud = match (facts.context, facts.one_context, facts.cloud_init) {
        (true, ..) => Some("with the key that the cloud gives (context scripts)"),
        (_, true, _) => Some("with the key that OpenNebula's contextualization puts in place"),
        (.., true) => Some("with the key that cloud-init puts in place"),
        _ => None,
    };
    let ways: Vec<_> = keys.into_iter().chain(cloud.map(str::to_owned)).collect();
    if !ways.is_empty() {
        return ok("login-by-key", format!("log in by SSH {}", ways.join(", or ")));
    }
    match who(|by| *by == By::Password) {
        Some(names) => warn(
            "login-by-password",
            format!(
                "only with a password, as {names}, on the console; for SSH give a key with \
                     --authorized-key"
            ),
        ),
        None => bad(
            "login-none",
            "nobody can log in: no key, no password, and nothing that takes a key from the cloud; \
             give a key with --authorized-key",
        ),
    }
}

/// A way in that the SSH server's configuration may close again.
fn narrowed(login: Finding, warnings: &[Warning]) -> Finding {
    const LIMITS: [&str; 2] = ["sshd-users-limited", "sshd-keys-elsewhere"];
    match warnings.iter().find(|warning| LIMITS.contains(&warning.code.as_str())) {
        Some(limit) if login.severity == Severity::Ok => {
            warn("login-limited", format!("{}; but {}", login.text, limit.message))
        }
        _ => login,
    }
}

/// Something that the image would give away.
pub fn left_inside(path: &str, edit: &str) -> Finding {
    warn("left-inside", format!("{path} stays in the image; use the edit {edit}"))
}

fn selinux(facts: &Facts) -> Option<Finding> {
    (facts.selinux.as_deref() == Some("enforcing"))
        .then(|| ok("selinux-enforcing", "SELinux is enforcing: what is added gets labels"))
}

#[cfg(test)]
mod tests;
