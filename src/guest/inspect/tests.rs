use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;

use super::*;
use crate::error::Kind;
use crate::guest::block::Pieces;
use crate::guest::facts::{Init, SshServer};
use crate::guest::memory::MemoryTree;

mod host;

use host::HostTree;

/// What a program that we did not write prints, given `input`.
pub(in crate::guest) fn judge(tool: &str, package: &str, args: &[&str], input: &[u8]) -> Vec<u8> {
    let mut child = Command::new(tool)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{tool}: {error}: apt-get install {package}"));
    let (mut stdin, input) = (child.stdin.take().unwrap(), input.to_owned());
    let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success(), "{tool} {args:?}: {}", output.status);
    output.stdout
}

/// A volume of this name, with nothing in it.
pub(in crate::guest) fn volume(name: &str, filesystem: &str) -> Volume {
    let holds = match filesystem {
        "swap" => Holds::Swap,
        "vfat" => Holds::Fat,
        "xfs" => Holds::Xfs,
        _ => Holds::Ext,
    };
    Volume {
        name: name.to_owned(),
        devices: vec![format!("/dev/{name}")],
        holds,
        filesystem: filesystem.to_owned(),
        uuid: None,
        label: None,
        part_uuid: None,
        part_label: None,
        esp: false,
        refused: None,
        block: Arc::new(Pieces::default()),
    }
}

fn disk() -> Vec<Volume> {
    let names = [
        ("sda1", "ext4"),
        ("sda2", "ext4"),
        ("sda3", "xfs"),
        ("vg/home", "ext4"),
        ("sda5", "swap"),
    ];
    names.map(|(name, filesystem)| volume(name, filesystem)).into()
}

fn debian() -> MemoryTree {
    let mut tree = MemoryTree::of(&[
        (
            "/etc/fstab",
            "/dev/sda1 / ext4 defaults 0 1\nUUID=x none swap sw 0 0\n/dev/hdc /cd iso9660 ro\n/dev/sdb1 /usb auto noauto\n",
        ),
        (
            "/usr/lib/os-release",
            "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nVERSION_ID=\"12\"\nID=debian\n",
        ),
        ("/usr/lib/systemd/systemd", "x"),
        ("/usr/sbin/sshd", "x"),
        (
            "/boot/grub/grub.cfg",
            "set root='hd0,msdos1'\nmenuentry 'Debian' {\n\tlinux /boot/vmlinuz-6.1 root=/dev/sda1 ro  quiet\n}\n\
             ### BEGIN /etc/grub.d/30_os-prober ###\n linux /vmlinuz root=/dev/sda2\n### END /etc/grub.d/30_os-prober ###\n",
        ),
        (
            "/usr/lib/systemd/system/ssh.service",
            "[Unit]\nAfter=network.target sshd-keygen.target\n",
        ),
        ("/etc/network/interfaces", "auto enp0s3\niface enp0s3 inet dhcp\n"),
    ]);
    tree.link("/etc/os-release", "../usr/lib/os-release");
    tree.link("/sbin", "usr/sbin");
    tree.link("/lib", "usr/lib");
    tree.link("/usr/sbin/init", "/lib/systemd/systemd");
    tree.dir("/boot/grub/i386-pc");
    tree
}

#[test]
fn a_debian() {
    let mounts = [("/".to_owned(), 0)];
    let facts = inspect(&debian(), &disk(), &mounts).unwrap();
    let text = |value: &str| Some(value.to_owned());
    assert_eq!(
        facts,
        Facts {
            os: text("debian"),
            os_version: text("12"),
            os_name: text("Debian GNU/Linux 12 (bookworm)"),
            init: Init::Systemd,
            ssh: Some(SshServer::Openssh),
            bootloader: text("grub2"),
            firmware: text("bios"),
            command_lines: vec!["root=/dev/sda1 ro quiet".to_owned()],
            disks_bus: "virtio".to_owned(),
            bus_devices: vec!["/dev/sda1".to_owned()],
            network_pins: vec!["/etc/network/interfaces".to_owned()],
            swap: true,
            mounts: vec![Mount {
                at: "/".to_owned(),
                volume: "sda1".to_owned(),
                filesystem: "ext4".to_owned()
            }],
            ..Facts::default()
        }
    );
    let warnings = warnings(&facts, &super::mounts(&debian(), &disk(), 0).unwrap());
    assert_eq!(warnings.iter().map(|w| w.code.as_str()).collect::<Vec<_>>(), ["drivers-unknown"]);
    // The record is read again.
    let json = serde_json::to_string(&facts).unwrap();
    assert_eq!(serde_json::from_str::<Facts>(&json).unwrap(), facts);
}

#[test]
fn nothing_at_all() {
    let tree = MemoryTree::default();
    let facts = inspect(&tree, &[], &[]).unwrap();
    assert_eq!(facts, Facts { disks_bus: "virtio".to_owned(), ..Facts::default() });
    assert!(!is_root(&tree).unwrap());
}

#[test]
fn what_is_a_root() {
    let with = |path: &str| MemoryTree::of(&[("/etc/fstab", ""), (path, "")]);
    for path in [
        "/etc/os-release",
        "/usr/lib/os-release",
        "/etc/SuSE-release",
        "/etc/debian_version",
        "/sbin/init",
        "/lib/systemd/systemd",
    ] {
        assert!(is_root(&with(path)).unwrap(), "{path}");
    }
    assert!(!is_root(&with("/etc/passwd")).unwrap());
    assert!(!is_root(&MemoryTree::of(&[("/etc/os-release", "")])).unwrap());
    // /usr is another volume.
    let mut split = MemoryTree::of(&[("/etc/fstab", "")]);
    split.link("/sbin", "usr/sbin");
    assert!(!is_root(&split).unwrap());
    split.link("/etc/os-release", "../usr/lib/os-release");
    assert!(is_root(&split).unwrap());
}

fn looked(trees: &[(usize, &MemoryTree)]) -> Vec<Candidate> {
    let volumes = disk();
    let look = |index| {
        let tree = trees.iter().find(|(at, _)| *at == index).map(|(_, tree)| *tree as &dyn Tree);
        Candidate::look(tree, &volumes, index).unwrap()
    };
    (0..volumes.len()).map(look).collect()
}

#[test]
fn one_root_and_none() {
    assert_eq!(choose_root(&looked(&[(1, &debian())]), None).unwrap(), 1);
    let error = choose_root(&looked(&[]), None).unwrap_err();
    assert_eq!((error.kind(), error.code()), (Kind::Unsupported, "guest-no-root"));
    assert!(error.message().contains("sda1 (ext4), sda2 (ext4), sda3 (xfs), vg/home"), "{error}");
    assert!(choose_root(&[], None).unwrap_err().message().contains("no volumes"));
}

#[test]
fn of_several_roots_the_menu_decides() {
    let old = MemoryTree::of(&[
        ("/etc/fstab", ""),
        ("/etc/redhat-release", "CentOS release 5.11 (Final)\n"),
    ]);
    // The menu of the Debian names sda1.
    assert_eq!(choose_root(&looked(&[(0, &debian()), (1, &old)]), None).unwrap(), 0);
    assert_eq!(choose_root(&looked(&[(0, &old), (1, &debian())]), None).unwrap(), 0);
    // A boot volume alone names it, too.
    let boot = MemoryTree::of(&[(
        "/grub/menu.lst",
        "title old\n\troot (hd0,0)\n\tkernel /vmlinuz ro root=/dev/hda2\n",
    )]);
    assert_eq!(choose_root(&looked(&[(0, &old), (1, &old), (3, &boot)]), None).unwrap(), 1);
    // Two menus, two answers; or none.
    for trees in [vec![(0, &debian()), (1, &old), (3, &boot)], vec![(0, &old), (1, &old)]] {
        let error = choose_root(&looked(&trees), None).unwrap_err();
        assert_eq!((error.kind(), error.code()), (Kind::Refused, "guest-root-ambiguous"));
        assert!(error.message().contains("sda2 (ext4, CentOS release 5.11 (Final))"), "{error}");
        assert!(error.advice().unwrap().contains("--root-volume NAME"));
        assert_eq!(choose_root(&looked(&trees), Some("sda2")).unwrap(), 1);
        assert_eq!(choose_root(&looked(&trees), Some("/dev/sda1")).unwrap(), 0);
    }
    for wanted in ["sda3", "sdb1", ""] {
        let error = choose_root(&looked(&[(0, &old)]), Some(wanted)).unwrap_err();
        assert_eq!((error.kind(), error.code()), (Kind::Refused, "guest-root-unknown"));
        assert!(error.message().contains("volumes: sda1"), "{error}");
    }
}

#[test]
fn mounts_of_an_fstab() {
    let tree = MemoryTree::of(&[(
        "/etc/fstab",
        "/dev/vg/home /home/a ext4 defaults 0 2\n\
         /dev/sda1 / ext4 defaults 0 1\n\
         /dev/sda2 //home/./ ext4 defaults 0 2\n\
         /dev/sda2 /again ext4 defaults 0 2\n\
         /dev/sda3 /home xfs defaults 0 2\n\
         /dev/sda3 /mnt xfs noauto 0 0\n\
         /dev/sda3 /../etc xfs defaults 0 0\n\
         /dev/sda3 relative xfs defaults 0 0\n\
         /dev/sda3 /boot xfs noauto 0 0\n\
         /home /srv none bind 0 0\n\
         /dev/sda5 none swap sw 0 0\n\
         /dev/sr0 /media/cdrom udf,iso9660 user,noauto 0 0\n\
         /dev/hdc /cd iso9660 ro 0 0\n\
         proc /proc proc defaults 0 0\n\
         host:/x /x nfs defaults 0 0\n\
         share /vbox vboxsf defaults 0 0\n\
         /dev/sdb1 /data ext4 defaults 0 0\n\
         UUID=gone /gone ext4 nofail 0 0\n",
    )]);
    let found = mounts(&tree, &disk(), 0).unwrap();
    let expected = [("/", 0), ("/boot", 2), ("/home", 1), ("/home/a", 3)];
    assert_eq!(found.found, expected.map(|(at, volume)| (at.to_owned(), volume)));
    let absent = |spec: &str, at: &str, needed| Absent {
        spec: spec.to_owned(),
        at: at.to_owned(),
        needed,
        ambiguous: false,
    };
    assert_eq!(
        found.absent,
        [absent("/dev/sdb1", "/data", true), absent("UUID=gone", "/gone", false)]
    );
    let warnings = warnings(&Facts::default(), &found);
    let told: Vec<_> = warnings.iter().map(|w| w.code.as_str()).skip(1).collect();
    assert_eq!(told, [MOUNT_NEEDED, "mount-not-found"]);
    assert!(warnings[1].message.contains("add nofail"), "{warnings:?}");
    // Nothing but the root.
    assert_eq!(mounts(&MemoryTree::default(), &disk(), 2).unwrap().found, [("/".to_owned(), 2)]);
}

#[test]
fn releases_before_os_release() {
    let table = [
        (
            "/etc/centos-release",
            "CentOS Linux release 7.9.2009 (Core)\n",
            "centos",
            Some("7.9.2009"),
        ),
        ("/etc/redhat-release", "CentOS release 6.10 (Final)\n", "centos", Some("6.10")),
        (
            "/etc/redhat-release",
            "Scientific Linux release 6.2 (Carbon)\n",
            "scientific",
            Some("6.2"),
        ),
        (
            "/etc/redhat-release",
            "Red Hat Enterprise Linux Server release 5.11 (Tikanga)\n",
            "rhel",
            Some("5.11"),
        ),
        ("/etc/fedora-release", "Fedora release 14 (Laughlin)\n", "fedora", Some("14")),
        ("/etc/SuSE-release", "openSUSE 12.1 (x86_64)\nVERSION = 12.1\n", "opensuse", Some("12.1")),
        (
            "/etc/SuSE-release",
            "SUSE Linux Enterprise Server 11 (x86_64)\nVERSION = 11\n",
            "sles",
            Some("11"),
        ),
        ("/etc/slackware-version", "Slackware 14.2\n", "slackware", Some("14.2")),
        ("/etc/alpine-release", "3.19.1\n", "alpine", Some("3.19.1")),
        ("/etc/debian_version", "6.0.10\n", "debian", Some("6.0.10")),
        (
            "/etc/lsb-release",
            "DISTRIB_ID=Ubuntu\nDISTRIB_RELEASE=10.04\nDISTRIB_DESCRIPTION=\"Ubuntu 10.04.4 LTS\"\n",
            "ubuntu",
            Some("10.04"),
        ),
        ("/etc/issue", "\nttylinux 14.0 [foobar]\n", "ttylinux", Some("14.0")),
        ("/etc/mandriva-release", "Mandriva Linux release 2010.1\n", "mandriva", Some("2010.1")),
    ];
    for (path, text, id, version) in table {
        let release = os::release(&MemoryTree::of(&[(path, text)])).unwrap();
        assert_eq!(
            (release.id.as_deref(), release.version.as_deref()),
            (Some(id), version),
            "{path}"
        );
        assert!(release.name.is_some_and(|name| !name.is_empty()));
    }
    let both =
        MemoryTree::of(&[("/etc/debian_version", "squeeze/sid\n"), (table[10].0, table[10].1)]);
    assert_eq!(os::release(&both).unwrap().id.as_deref(), Some("ubuntu"));
}

/// os-release is a shell script: a shell says what is in it.
#[test]
fn a_shell_agrees_on_quotes() {
    let texts = [
        "ID=debian\nID=later\n",
        "ID=\"a b\"\n# ID=comment\n",
        "ID='single \\ $x \"q\"'\n",
        "ID=\"d\\\"q \\$x \\`y\\` \\\\ \\n 'z'\"\n",
        "ID=a\\ b\nVERSION_ID=\n",
        "ID=a\"b c\"'d e'f\n",
        "ID=x  \n  \n",
        "IDX=1\nXID=2\nID=é\n",
        "ID=\"\"\n",
    ];
    for text in texts {
        let script = format!("{text}\nprintf %s \"$ID\"");
        let shell = String::from_utf8(judge("sh", "dash", &["-c", &script], b"")).unwrap();
        let decoded = text::decode(text.as_bytes());
        assert_eq!(os::shell_value(&decoded, "ID").unwrap_or_default(), shell, "{text}");
    }
    // What a terminal would obey is left out.
    assert_eq!(os::shell_value("ID=\u{1b}[2Jx", "ID").as_deref(), Some("[2Jx"));
}

/// The distribution that runs the tests, by its own files and tools.
#[test]
fn this_machine() {
    let tree = HostTree("/".into());
    let facts = inspect(&tree, &[], &[]).unwrap();
    let shell = |script: &str| {
        String::from_utf8(judge("sh", "dash", &["-c", script], b"")).unwrap().trim().to_owned()
    };
    let release = |name: &str| shell(&format!(". /etc/os-release; printf %s \"${name}\""));
    assert_eq!(facts.os.unwrap_or_default(), release("ID"));
    assert_eq!(facts.os_version.unwrap_or_default(), release("VERSION_ID"));
    assert_eq!(facts.os_name.unwrap_or_default(), release("PRETTY_NAME"));
    assert_eq!(facts.os_like.join(" "), release("ID_LIKE"));
    let machine = shell("uname -m").replace("i686", "i486").replace("armv6l", "armv7l");
    assert_eq!(facts.os_arch.unwrap(), machine);
    let header = String::from_utf8(judge("readelf", "binutils", &["-h", "/bin/sh"], b"")).unwrap();
    let elf = |arch: &str| match arch {
        "x86_64" => "Advanced Micro Devices X86-64",
        "aarch64" => "AArch64",
        other => panic!("add what readelf calls {other}"),
    };
    assert!(header.contains(elf(&machine)), "{header}");
}

#[test]
fn elf_headers() {
    let header = |class: u8, data: u8, machine: u16| {
        let mut header = vec![0x7f, b'E', b'L', b'F', class, data, 1, 0];
        header.resize(18, 0);
        header.extend(if data == 1 { machine.to_le_bytes() } else { machine.to_be_bytes() });
        header
    };
    let table = [
        (1, 1, 3, "i486"),
        (2, 1, 62, "x86_64"),
        (2, 1, 183, "aarch64"),
        (1, 1, 40, "armv7l"),
        (2, 1, 21, "ppc64le"),
        (2, 2, 21, "ppc64"),
        (2, 2, 22, "s390x"),
        (2, 1, 243, "riscv64"),
        (1, 1, 243, "riscv32"),
    ];
    for (class, data, machine, name) in table {
        let header = header(class, data, machine);
        assert_eq!(elf::machine(&header), Some(name));
        assert!((0..header.len()).all(|len| elf::machine(&header[..len]).is_none()));
    }
    assert_eq!(elf::machine(&header(2, 1, 9999)), None);
    // busybox by a link, then a script that is no program.
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let mut tree = MemoryTree::of(&[("/bin/busybox", &text(header(1, 1, 3)))]);
    tree.link("/bin/sh", "busybox");
    assert_eq!(elf::architecture(&tree).unwrap().as_deref(), Some("i486"));
    tree.link("/bin/sh", "sh");
    assert_eq!(elf::architecture(&tree).unwrap().as_deref(), Some("i486"));
}

mod init_systems;
