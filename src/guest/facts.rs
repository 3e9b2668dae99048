//! What is known of a guest: `guest` of the record.

use serde::{Deserialize, Serialize};

/// How a guest starts its services.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Init {
    /// systemd.
    Systemd,
    /// SysV init; rc scripts. Also RHEL 6, whose upstart does no more than run them.
    Sysv,
    /// Upstart.
    Upstart,
    /// OpenRC.
    Openrc,
    /// busybox init.
    Busybox,
    /// runit.
    Runit,
    /// Something else, or nothing that was recognised.
    #[default]
    Unknown,
}

/// An SSH server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SshServer {
    /// OpenSSH.
    Openssh,
    /// Dropbear.
    Dropbear,
}

/// A kernel and what it starts with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kernel {
    /// Version, as in the name of its modules' folder.
    pub version: String,
    /// Path of its initramfs, if it has one.
    pub initramfs: Option<String>,
    /// Disk drivers that are there before the root file system is: in the kernel or in the
    /// initramfs. Of `virtio_blk`, `virtio_scsi`, `virtio_pci`, `ahci`, `ata_piix`, `mptspi`, …
    pub drivers: Vec<String>,
    /// Whether the drivers are known; if the initramfs cannot be read, they are not.
    pub drivers_known: bool,
}

/// A file system that the guest mounts at a place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// Where, in the guest.
    pub at: String,
    /// Name of the volume, as [`crate::guest::volumes::Volume::name`].
    pub volume: String,
    /// `ext4`, `xfs`, …
    pub filesystem: String,
}

/// What a guest is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// The distribution's short name, `debian`, `centos`, from `ID` of os-release or the like.
    pub os: Option<String>,
    /// Its version, `12`.
    pub os_version: Option<String>,
    /// Its full name, for a person.
    pub os_name: Option<String>,
    /// Distributions that it is like, nearest first: `ID_LIKE` of os-release.
    #[serde(default)]
    pub os_like: Vec<String>,
    /// `x86_64`, `i486`, `aarch64`, … by the ELF header of its shell or init.
    pub os_arch: Option<String>,
    /// How it starts its services.
    pub init: Init,
    /// Its SSH server.
    pub ssh: Option<SshServer>,
    /// `grub2`, `grub`, `extlinux`, `lilo`, `systemd-boot`.
    pub bootloader: Option<String>,
    /// `bios`, `uefi`, or `both`, by what is there to boot from.
    pub firmware: Option<String>,
    /// Its kernels, newest first.
    pub kernels: Vec<Kernel>,
    /// The kernel command lines of its boot menus, each once, in the menus' order.
    #[serde(default)]
    pub command_lines: Vec<String>,
    /// The bus that its disk has to be on: `virtio`, `scsi`, `sata` or `ide`.
    pub disks_bus: String,
    /// Devices that its configuration calls by names which another bus does not have, such as
    /// `/dev/sda1`: in fstab, crypttab and the command lines.
    #[serde(default)]
    pub bus_devices: Vec<String>,
    /// Files that tie its network to the machine it comes from: by a hardware address, or by the
    /// name that an interface of VirtualBox has.
    #[serde(default)]
    pub network_pins: Vec<String>,
    /// Whether it has swap.
    pub swap: bool,
    /// Whether cloud-init is there, neither disabled nor masked, and would ask a cloud for keys.
    pub cloud_init: bool,
    /// Whether OpenNebula's own contextualization is there.
    pub one_context: bool,
    /// Whether the context scripts of this program are there and run when it starts.
    #[serde(default)]
    pub context: bool,
    /// `enforcing`, `permissive`, `disabled`; none if there is no SELinux.
    pub selinux: Option<String>,
    /// Where its file systems are, the root first.
    pub mounts: Vec<Mount>,
}
