//! Init systems and services, one guest for each row.

use super::*;
use crate::guest::inspect::init::init;
use crate::guest::inspect::services::{cloud_init, network_pins, one_context, selinux, ssh};

/// Files and their content; `->` in front of a link's target.
type Files<'a> = &'a [(&'a str, &'a str)];

fn guest(files: Files) -> MemoryTree {
    let mut tree = MemoryTree::default();
    for (path, content) in files {
        match content.strip_prefix("->") {
            Some(target) => tree.link(path, target),
            None => tree.file(path, content, 0o755),
        }
    }
    tree
}

#[test]
fn the_target_of_init_decides() {
    let upstart = "\u{7f}ELF....upstart....";
    let table: [(&str, Files, Init); 14] = [
        (
            "systemd",
            &[("/sbin/init", "->/lib/systemd/systemd"), ("/lib/systemd/systemd", "")],
            Init::Systemd,
        ),
        (
            "both are installed",
            &[("/sbin/init", "elf"), ("/lib/systemd/systemd", ""), ("/etc/inittab", "")],
            Init::Sysv,
        ),
        (
            "usr is merged",
            &[
                ("/sbin", "->usr/sbin"),
                ("/usr/sbin/init", "->../lib/systemd/systemd"),
                ("/usr/lib/systemd/systemd", ""),
            ],
            Init::Systemd,
        ),
        ("no init, systemd", &[("/usr/lib/systemd/systemd", "")], Init::Systemd),
        ("RHEL 5", &[("/sbin/init", "elf"), ("/etc/rc.d/rc.sysinit", "")], Init::Sysv),
        (
            "RHEL 6",
            &[("/sbin/init", upstart), ("/etc/init/rc.conf", ""), ("/etc/rc.d/rc.sysinit", "")],
            Init::Sysv,
        ),
        ("Ubuntu 14.04", &[("/sbin/init", upstart), ("/etc/init/rc.conf", "")], Init::Upstart),
        ("upstart by name", &[("/sbin/init", "->upstart"), ("/sbin/upstart", "")], Init::Upstart),
        (
            "Alpine",
            &[
                ("/sbin/init", "->/bin/busybox"),
                ("/bin/busybox", ""),
                ("/sbin/openrc", ""),
                ("/etc/runlevels/default/sshd", ""),
            ],
            Init::Openrc,
        ),
        (
            "Debian with OpenRC",
            &[
                ("/sbin/init", "elf"),
                ("/sbin/openrc-run", ""),
                ("/etc/runlevels/boot/x", ""),
                ("/etc/inittab", ""),
            ],
            Init::Openrc,
        ),
        (
            "ttylinux",
            &[
                ("/sbin/init", "->../bin/busybox"),
                ("/bin/busybox", ""),
                ("/etc/inittab", "::sysinit:/etc/rc.d/rc.sysinit"),
            ],
            Init::Busybox,
        ),
        ("Void", &[("/sbin/init", "->runit-init"), ("/sbin/runit-init", "")], Init::Runit),
        ("something else", &[("/sbin/init", "elf")], Init::Unknown),
        ("a loop", &[("/sbin/init", "->init")], Init::Unknown),
    ];
    for (name, files, expected) in table {
        assert_eq!(init(&guest(files), None).unwrap(), expected, "{name}");
    }
}

#[test]
fn the_command_line_goes_before_it() {
    let tree = guest(&[("/sbin/init", "elf"), ("/etc/inittab", ""), ("/lib/systemd/systemd", "")]);
    assert_eq!(init(&tree, Some("/lib/systemd/systemd")).unwrap(), Init::Systemd);
    assert_eq!(init(&tree, Some("/not/there")).unwrap(), Init::Sysv);
    assert_eq!(init(&tree, Some("relative")).unwrap(), Init::Sysv);
}

#[test]
fn ssh_servers() {
    assert_eq!(ssh(&guest(&[])).unwrap(), None);
    assert_eq!(ssh(&guest(&[("/usr/sbin/dropbear", "")])).unwrap(), Some(SshServer::Dropbear));
    let both = guest(&[("/usr/sbin/dropbear", ""), ("/usr/lib/ssh/sshd", "")]);
    assert_eq!(ssh(&both).unwrap(), Some(SshServer::Openssh));
    assert_eq!(ssh(&guest(&[("/usr/sbin/sshd", "->gone")])).unwrap(), None);
}

#[test]
fn contextualizers() {
    let cloud = |extra: &[(&str, &str)], line: &str| {
        let mut files = vec![("/etc/cloud/cloud.cfg", "")];
        files.extend(extra);
        cloud_init(&guest(&files), line).unwrap()
    };
    assert!(cloud(&[], "root=x"));
    assert!(!cloud(&[("/etc/cloud/cloud-init.disabled", "")], ""));
    assert!(!cloud(&[], "cloud-init=disabled"));
    let installer = ("/etc/cloud/cloud.cfg.d/99-installer.cfg", "datasource_list: [None]\n");
    assert!(!cloud(&[installer], ""));
    assert!(!cloud(&[("/etc/systemd/system/cloud-init.service", "->/dev/null")], ""));
    assert!(!cloud_init(&guest(&[]), "").unwrap());
    assert!(one_context(&guest(&[("/etc/one-context.d/net-15", "")])).unwrap());
    assert!(!one_context(&guest(&[])).unwrap());
}

#[test]
fn selinux_modes() {
    let mode = |config: &str, line: &str| {
        selinux(&guest(&[("/etc/selinux/config", config)]), line).unwrap()
    };
    let text = |mode: &str| Some(mode.to_owned());
    assert_eq!(
        mode("# SELINUX=disabled\nSELINUX=enforcing\nSELINUXTYPE=targeted\n", ""),
        text("enforcing")
    );
    assert_eq!(mode("SELINUX=Permissive\n", ""), text("permissive"));
    assert_eq!(mode("SELINUX=enforcing\n", "ro selinux=0"), text("disabled"));
    assert_eq!(mode("SELINUX=enforcing\n", "enforcing=0"), text("permissive"));
    assert_eq!(mode("SELINUX=strange\n", ""), None);
    assert_eq!(selinux(&guest(&[]), "").unwrap(), None);
}

#[test]
fn a_network_that_is_tied() {
    let table = [
        ("/etc/network/interfaces", "iface enp0s3 inet dhcp", true),
        ("/etc/network/interfaces", "iface eth0 inet dhcp", false),
        ("/etc/sysconfig/network-scripts/ifcfg-eth0", "HWADDR=\"08:00:27:AB:cd:ef\"", true),
        ("/etc/sysconfig/network-scripts/ifcfg-lo", "HWADDR=08:00:27:AB:cd:ef", false),
        ("/etc/sysconfig/network-scripts/ifup", "enp0s3", false),
        ("/etc/netplan/50.yaml", "    enp0s8:\n", true),
        ("/etc/netplan/50.yaml", "# enp0s8:\n  match: {name: \"e*\"}", false),
        (
            "/etc/NetworkManager/system-connections/x.nmconnection",
            "[connection]\ntype=ethernet\ninterface-name=enp0s3",
            true,
        ),
        ("/etc/systemd/network/1.link", "MACAddress=08:00:27:00:00:01", true),
        (
            "/etc/udev/rules.d/70-persistent-net.rules",
            "ATTR{address}==\"08:00:27:00:00:01\", NAME=\"eth0\"",
            true,
        ),
        ("/etc/network/interfaces", "address fe80:0:0:0:0:1", false),
    ];
    for (path, text, tied) in table {
        let pins = network_pins(&guest(&[(path, text)])).unwrap();
        assert_eq!(pins, if tied { vec![path.to_owned()] } else { vec![] }, "{path} {text}");
    }
}

#[test]
fn boot_menus() {
    let lines = |path: &str, text: &str| boot::command_lines(&guest(&[(path, text)])).unwrap();
    let table = [
        (
            "/boot/grub2/grubenv",
            "# GRUB Environment Block\nkernelopts=root=/dev/mapper/cl-root ro\n####",
            "root=/dev/mapper/cl-root ro",
        ),
        ("/boot/grub2/grub.cfg", "  set kernelopts=\"root=UUID=x ro \"\n", "root=UUID=x ro"),
        ("/boot/grub/grub.cfg", "\tlinuxefi\t/vmlinuz root=UUID=x\tquiet\n", "root=UUID=x quiet"),
        (
            "/boot/grub/menu.lst",
            "# kopt=root=/dev/sda9\n## x\nkernel --no-mem-option /boot/vmlinuz root=/dev/sda1\n",
            "root=/dev/sda1",
        ),
        (
            "/boot/extlinux/extlinux.conf",
            "LABEL l\n  APPEND root=/dev/vda1 ro\n",
            "root=/dev/vda1 ro",
        ),
        (
            "/boot/loader/entries/a-5.14.conf",
            "title a\noptions root=/dev/sda1 $tuned_params\n",
            "root=/dev/sda1 $tuned_params",
        ),
    ];
    for (path, text, line) in table {
        assert_eq!(lines(path, text), [line], "{path}");
    }
    assert!(lines("/boot/loader/entries/a.conf", "options $kernelopts\n").is_empty());
    assert!(lines("/boot/grub/grub.cfg", "linux\nlinux /vmlinuz\nset root='hd0,1'\n").is_empty());
    assert_eq!(boot::option("a=1 root=x ro root=y", "root"), Some("y"));
    assert_eq!(boot::option("xroot=1 root", "root"), None);
    let many: String = (0..5000).map(|n| format!("linux /vmlinuz root=/dev/sda{n}\n")).collect();
    assert_eq!(lines("/boot/grub/grub.cfg", &many).len(), 256);
}

#[test]
fn firmware_and_loader() {
    let mut esp = volume("sda1", "vfat");
    esp.esp = true;
    let (with, without) = ([esp], [volume("sda1", "ext4")]);
    type Row<'a> = (Files<'a>, &'a [Volume], Option<&'a str>, Option<&'a str>);
    let table: [Row; 9] = [
        (
            &[("/boot/grub/grub.cfg", ""), ("/boot/grub/i386-pc/x", "")],
            &without,
            Some("grub2"),
            Some("bios"),
        ),
        (&[("/boot/grub/grub.cfg", "")], &without, Some("grub2"), Some("bios")),
        (
            &[("/boot/grub/grub.cfg", ""), ("/boot/grub/x86_64-efi/x", "")],
            &with,
            Some("grub2"),
            Some("uefi"),
        ),
        (
            &[("/boot/grub2/grub.cfg", ""), ("/boot/grub2/i386-pc/x", "")],
            &with,
            Some("grub2"),
            Some("both"),
        ),
        (&[("/boot/grub/menu.lst", "")], &without, Some("grub"), Some("bios")),
        (&[("/boot/extlinux/extlinux.conf", "")], &without, Some("extlinux"), Some("bios")),
        (&[("/etc/lilo.conf", "")], &without, Some("lilo"), Some("bios")),
        (&[("/boot/loader/loader.conf", "")], &with, Some("systemd-boot"), Some("uefi")),
        (&[], &without, None, None),
    ];
    for (files, volumes, loader, firmware) in table {
        let tree = guest(files);
        assert_eq!(boot::loader(&tree).unwrap(), loader);
        let found = boot::firmware(&tree, volumes, loader).unwrap();
        assert_eq!(found.as_deref(), firmware, "{files:?}");
    }
}

proptest::proptest! {
    /// No content of the files that are read stops the inspection, and the same files give the
    /// same facts.
    #[test]
    fn any_content(text in "([ -~\t\n\"'\\\\é=/#$]|root=|ID=|linux |/dev/sda1 /x ext4 |UUID=){0,40}") {
        let paths = [
            "/etc/fstab", "/etc/crypttab", "/etc/os-release", "/etc/redhat-release", "/etc/issue",
            "/boot/grub/grub.cfg", "/boot/grub2/grubenv", "/boot/loader/entries/a.conf",
            "/etc/selinux/config", "/etc/inittab", "/lib/modules/6.1/modules.builtin",
            "/boot/vmlinuz-6.1", "/boot/initrd.img-6.1", "/bin/sh", "/sbin/init",
            "/etc/network/interfaces", "/etc/init/rc.conf", "/etc/init.d/sshd",
        ];
        let tree = MemoryTree::of(&paths.map(|path| (path, text.as_str())));
        let volumes = [volume("sda1", "ext4"), volume("vg/lv", "ext4")];
        let found = mounts(&tree, &volumes, 0).unwrap();
        let facts = inspect(&tree, &volumes, &found.found).unwrap();
        assert_eq!(facts, inspect(&tree, &volumes, &found.found).unwrap());
        assert!(found.found[0].0 == "/" && found.found.len() <= volumes.len());
        let candidates = [Candidate::look(Some(&tree), &volumes, 0).unwrap()];
        assert_eq!(choose_root(&candidates, None).unwrap(), 0);
        assert!(!crate::guest::verdict::findings(&facts, &[], &[], &[]).is_empty());
    }
}
