use super::*;
use crate::guest::edits::boot_trial::{Outcome, facts, run as trial};
use crate::guest::edits::cmdline::samples;
use crate::guest::facts::Facts;
use crate::guest::memory::{Entry, MemoryTree};

fn edited(init: Init, tree: &mut MemoryTree) -> Outcome {
    trial(&EDIT, tree, &facts(init), &[])
}

#[test]
fn debian_with_grub() {
    let files =
        [("/boot/grub/grub.cfg", samples::GRUB_CFG), ("/etc/default/grub", samples::DEFAULT_GRUB)];
    let mut tree = MemoryTree::of(&files);
    let outcome = edited(Init::Systemd, &mut tree);
    assert_eq!(outcome.paths(), ["/boot/grub/grub.cfg", "/etc/default/grub"]);
    samples::check_grub(&tree);
    let new = tree.text("/boot/grub/grub.cfg").unwrap();
    let both = "console=tty0 console=ttyS0,115200";
    let expected = samples::GRUB_CFG
        .replace("resume=/dev/sda5\n", &format!("resume=/dev/sda5 {both}\n"))
        .replace("$vt_handoff\n", &format!("$vt_handoff {both}\n"));
    assert_eq!(new, expected);
    assert_eq!(samples::shell_value(&tree, "GRUB_CMDLINE_LINUX"), both);
    assert_eq!(samples::shell_value(&tree, "GRUB_CMDLINE_LINUX_DEFAULT"), "quiet");
}

#[test]
fn what_has_a_serial_console_keeps_its_own() {
    let files = [
        ("/boot/grub/grub.cfg", "linux /v console=ttyS0,9600 console=tty0\n"),
        (
            "/etc/default/grub",
            "GRUB_CMDLINE_LINUX_DEFAULT=\"console=ttyS0\"\nGRUB_CMDLINE_LINUX=\"\"\n",
        ),
        ("/etc/inittab", "T0:23:respawn:/sbin/getty -L ttyS0 9600 vt100\n"),
        ("/etc/securetty", "tty1\nttyS0\n"),
        ("/sbin/getty", ""),
    ];
    let outcome = edited(Init::Sysv, &mut MemoryTree::of(&files));
    assert_eq!((outcome.paths().len(), outcome.codes().len()), (0, 0));

    let mut tree = MemoryTree::of(&[("/boot/grub/menu.lst", "kernel /v console=tty0 ro")]);
    edited(Init::Sysv, &mut tree);
    let new = tree.text("/boot/grub/menu.lst").unwrap();
    assert_eq!(new, "kernel /v console=tty0 ro console=ttyS0,115200");
}

/// A grub.d file that takes the former value in needs nothing; a missing variable is added.
#[test]
fn default_grub_without_the_variable() {
    let files = [
        ("/etc/default/grub", "GRUB_TIMEOUT=1"),
        ("/etc/default/grub.d/a.cfg", "GRUB_CMDLINE_LINUX=\"$GRUB_CMDLINE_LINUX x\"\n"),
        ("/etc/default/grub.d/b.cfg", "GRUB_CMDLINE_LINUX=x\n"),
    ];
    let mut tree = MemoryTree::of(&files);
    let outcome = edited(Init::Systemd, &mut tree);
    assert_eq!(outcome.paths(), ["/etc/default/grub", "/etc/default/grub.d/b.cfg"]);
    let value = samples::shell_value(&tree, "GRUB_CMDLINE_LINUX");
    assert_eq!(value, "console=tty0 console=ttyS0,115200");
    let new = tree.text("/etc/default/grub.d/b.cfg").unwrap();
    assert_eq!(new, "GRUB_CMDLINE_LINUX=\"x console=tty0 console=ttyS0,115200\"\n");
}

#[test]
fn inittab_of_sysv() {
    let old = "id:2:initdefault:\nsi::sysinit:/etc/init.d/rcS\n1:2345:respawn:/sbin/getty 38400 tty1\n\
        #T0:23:respawn:/sbin/getty -L ttyS0 9600 vt100\nS0:2:wait:/bin/true\n";
    let mut tree = MemoryTree::of(&[("/etc/inittab", old), ("/sbin/getty", "")]);
    edited(Init::Sysv, &mut tree);
    let new = tree.text("/etc/inittab").unwrap();
    assert_eq!(new, format!("{old}s0:2345:respawn:/sbin/getty -L ttyS0 115200 vt100\n"));

    let mut tree = MemoryTree::of(&[("/etc/inittab", "x"), ("/sbin/agetty", "")]);
    edited(Init::Sysv, &mut tree);
    let new = tree.text("/etc/inittab").unwrap();
    assert_eq!(new, "x\nS0:2345:respawn:/sbin/agetty -L ttyS0 115200 vt100\n");

    let outcome = edited(Init::Sysv, &mut MemoryTree::of(&[("/etc/inittab", "x")]));
    assert_eq!((outcome.paths().len(), outcome.codes()), (0, vec!["no-getty"]));
}

#[test]
fn inittab_of_busybox() {
    let old = "::sysinit:/etc/init.d/rcS\ntty1::respawn:/sbin/getty 38400 tty1\n\
        #ttyS0::respawn:/sbin/getty -L ttyS0 115200 vt100\n";
    let mut tree = MemoryTree::of(&[("/etc/inittab", old), ("/bin/busybox", "")]);
    tree.link("/sbin/getty", "../bin/busybox");
    edited(Init::Busybox, &mut tree);
    let new = tree.text("/etc/inittab").unwrap();
    assert_eq!(new, format!("{old}ttyS0::respawn:/sbin/getty -L ttyS0 115200 vt100\n"));
}

#[test]
fn upstart_and_securetty() {
    let mut tree = MemoryTree::of(&[("/etc/init/rc.conf", ""), ("/sbin/getty", "")]);
    tree.file("/etc/securetty", "tty1", 0o600);
    let outcome = edited(Init::Upstart, &mut tree);
    assert_eq!(outcome.paths(), ["/etc/init/ttyS0.conf", "/etc/securetty"]);
    assert!(
        tree.text("/etc/init/ttyS0.conf").unwrap().contains("exec /sbin/getty -L ttyS0 115200")
    );
    assert_eq!(tree.text("/etc/securetty").unwrap(), "tty1\nttyS0\n");

    for name in ["serial.conf", "other.conf"] {
        let path = format!("/etc/init/{name}");
        let mut tree = MemoryTree::of(&[(&path, "exec getty ttyS0\n"), ("/sbin/getty", "")]);
        assert_eq!(edited(Init::Upstart, &mut tree).paths().len(), 0);
    }
}

/// systemd starts a login on each console by itself, and reads no inittab.
#[test]
fn systemd_needs_no_login() {
    let mut tree = MemoryTree::of(&[("/etc/inittab", "x\n"), ("/sbin/getty", "")]);
    assert_eq!(edited(Init::Systemd, &mut tree).paths().len(), 0);
}

/// RHEL 6 is Upstart behind the scripts of SysV; its inittab has the runlevel only.
#[test]
fn rhel_6_starts_a_login_by_itself() {
    let mut tree = MemoryTree::of(&[
        ("/etc/inittab", "id:3:initdefault:\n"),
        ("/etc/init/serial.conf", "start on fedora.serial-console-available *\n"),
        ("/sbin/agetty", ""),
    ]);
    assert_eq!(edited(Init::Sysv, &mut tree).paths().len(), 0);
}

#[test]
fn other_processors_have_other_lines() {
    let with = |arch: &str| {
        let mut tree = MemoryTree::of(&[
            ("/boot/grub/grub.cfg", "linux /v\n"),
            ("/etc/inittab", "x\n"),
            ("/sbin/getty", ""),
        ]);
        let facts = Facts { os_arch: Some(arch.to_owned()), ..facts(Init::Openrc) };
        trial(&EDIT, &mut tree, &facts, &[]);
        (tree.text("/boot/grub/grub.cfg").unwrap(), tree.text("/etc/inittab").unwrap())
    };
    let (line, login) = with("aarch64");
    assert_eq!(line, "linux /v console=tty0 console=ttyAMA0,115200\n");
    assert!(login.ends_with("-L ttyAMA0 115200 vt100\n"), "{login}");
    assert_eq!(with("s390x"), ("linux /v\n".to_owned(), "x\n".to_owned()));
}

#[test]
fn runit_of_void() {
    let mut tree = MemoryTree::of(&[("/etc/sv/agetty-ttyS0/run", "#!/bin/sh\n")]);
    assert_eq!(edited(Init::Runit, &mut tree).paths().len(), 0);
    tree.dir("/etc/runit/runsvdir/default");
    let link = "/etc/runit/runsvdir/default/agetty-ttyS0";
    assert_eq!(edited(Init::Runit, &mut tree).paths(), [link]);
    assert_eq!(tree.0[Path::new(link)], Entry::Link("/etc/sv/agetty-ttyS0".into()));
}
