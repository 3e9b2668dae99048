use super::super::super::boot_trial::judge;
use super::*;

const EARLY: &str = "/etc/systemd/system/stratuslab-one-context-early.service";
const LATE: &str = "/etc/systemd/system/stratuslab-one-context.service";

#[test]
fn two_units_are_enabled() {
    let mut tree = MemoryTree::default();
    run(&mut tree, Init::Systemd);
    for unit in [EARLY, LATE] {
        let name = unit.rsplit('/').next().unwrap();
        let link = format!("/etc/systemd/system/multi-user.target.wants/{name}");
        assert_eq!(target(&tree, &link).unwrap(), unit);
        let preset = tree.text("/etc/systemd/system-preset/00-stratuslab.preset").unwrap();
        assert!(preset.contains(&format!("enable {name}\n")));
        assert!(tree.text(unit).unwrap().contains("\nSuccessExitStatus=1\n"));
    }
    assert!(make_host_keys(&tree, Init::Systemd).unwrap());
}

#[test]
fn a_mask_is_replaced() {
    let mut tree = MemoryTree::default();
    tree.device("/dev/null");
    tree.link(EARLY, "/dev/null");
    tree.file(LATE, "[Service]\nExecStart=/bin/false\n", 0o644);
    run(&mut tree, Init::Systemd);
    assert!(tree.text(EARLY).unwrap().contains("ExecStart=/usr/bin/stratuslab-one-context early"));
    assert!(tree.text(LATE).unwrap().contains("ExecStart=/usr/bin/stratuslab-one-context late"));
    assert_eq!(tree.0["/dev/null".as_ref() as &Path], Entry::Device);
}

#[test]
fn what_is_not_enabled_is_seen() {
    let mut tree = MemoryTree::default();
    run(&mut tree, Init::Systemd);
    let whole = tree.clone();
    for path in [
        "/etc/systemd/system/multi-user.target.wants/stratuslab-one-context-early.service",
        LATE,
        PROGRAM_PATH,
        DIGESTS,
    ] {
        let mut tree = whole.clone();
        tree.remove(Path::new(path)).unwrap();
        assert!(!is_enabled(&tree, Init::Systemd).unwrap(), "{path}");
        run(&mut tree, Init::Systemd);
        assert!(tree == whole, "{path}");
    }
    let mut tree = whole.clone();
    tree.set_mode(Path::new(PROGRAM_PATH), 0o644).unwrap();
    assert!(!is_enabled(&tree, Init::Systemd).unwrap());
}

/// Units that order themselves as those of Debian 12 do, cloud-init's among them.
const OTHERS: &[(&str, &str)] = &[
    (
        "cloud-init-local.service",
        "DefaultDependencies=no\nWants=network-pre.target\nAfter=systemd-remount-fs.service\n\
         Before=NetworkManager.service network-pre.target shutdown.target sysinit.target\n\
         Conflicts=shutdown.target\nRequiresMountsFor=/var/lib/cloud\n",
    ),
    (
        "cloud-init.service",
        "DefaultDependencies=no\nWants=cloud-init-local.service sshd-keygen.service sshd.service\n\
         After=cloud-init-local.service systemd-networkd-wait-online.service networking.service\n\
         Before=network-online.target sshd-keygen.service sshd.service sysinit.target\n\
         Before=shutdown.target systemd-user-sessions.service\nConflicts=shutdown.target\n",
    ),
    ("cloud-config.service", "After=network-online.target\nWants=network-online.target\n"),
    ("cloud-final.service", "After=network-online.target cloud-config.service multi-user.target\n"),
    (
        "networking.service",
        "DefaultDependencies=no\nWants=network.target\nAfter=local-fs.target network-pre.target\n\
         Before=shutdown.target network.target network-online.target\n",
    ),
    (
        "NetworkManager.service",
        "Wants=network.target\nAfter=network-pre.target\nBefore=network.target\n",
    ),
    ("sshd-keygen.service", "Before=sshd.service\n"),
    ("ssh.service", "After=network.target\n"),
    ("sshd.service", "After=network.target sshd-keygen.service\n"),
];

/// What systemd says of all these together.
fn verified(early: impl Fn(String) -> String) -> String {
    let mut tree = MemoryTree::default();
    run(&mut tree, Init::Systemd);
    let unit = early(tree.text(EARLY).unwrap());
    tree.file(EARLY, &unit, 0o644);
    for (name, lines) in OTHERS {
        let text = format!("[Unit]\n{lines}[Service]\nType=oneshot\nExecStart=/bin/true\n");
        tree.file(&format!("/etc/systemd/system/{name}"), &text, 0o644);
        let wants = format!("/etc/systemd/system/multi-user.target.wants/{name}");
        tree.link(&wants, &format!("../{name}"));
    }
    let socket = "[Unit]\nBefore=sockets.target\n[Socket]\nListenStream=22\nAccept=no\n";
    tree.file("/etc/systemd/system/ssh.socket", socket, 0o644);
    tree.link("/etc/systemd/system/sockets.target.wants/ssh.socket", "../ssh.socket");
    // A share at /mnt: to wait for it would be to wait for the network.
    let share = "[Unit]\nDefaultDependencies=no\nBefore=remote-fs.target\n\
                 After=network.target network-online.target remote-fs-pre.target\n\
                 [Mount]\nWhat=server:/x\nWhere=/mnt\nType=nfs\n";
    tree.file("/etc/systemd/system/mnt.mount", share, 0o644);
    tree.link("/etc/systemd/system/remote-fs.target.wants/mnt.mount", "../mnt.mount");
    tree.file(PROGRAM_PATH, "", 0o755);
    let folder = tempfile::tempdir().unwrap();
    dump(&tree, folder.path());
    let units = folder.path().join("etc/systemd/system");
    // systemd-analyze looks for the program on this machine.
    for unit in [EARLY, LATE] {
        let unit = folder.path().join(&unit[1..]);
        let text = std::fs::read_to_string(&unit).unwrap();
        std::fs::write(&unit, text.replace(PROGRAM_PATH, "/bin/true")).unwrap();
    }
    // Behind the colon: systemd's own units.
    let path = format!("SYSTEMD_UNIT_PATH={}:", units.display());
    let verify = ["verify", "--man=no", "--generators=no", "multi-user.target"];
    let arguments = [&[path.as_str(), "systemd-analyze"], &verify[..]].concat();
    let output = judge("systemd", "env", &arguments);
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// No line that it does not know, and no circle.
#[test]
fn systemd_understands_the_units_beside_cloud_init() {
    let said = verified(|unit| unit);
    assert!(!said.contains("stratuslab") && !said.contains("cycle"), "{said}");
    // It would have said so.
    let said = verified(|unit| unit + "[Unit]\nAfter=cloud-init.service\nNoSuchKey=1\n");
    assert!(said.contains("ordering cycle on") && said.contains("NoSuchKey"), "{said}");
}

/// The spelling of what has to come after the early unit.
#[test]
fn the_early_unit_comes_before_them() {
    let unit = include_str!("../../../context/glue/early.service");
    let before: Vec<&str> = unit
        .lines()
        .filter_map(|line| line.strip_prefix("Before="))
        .flat_map(str::split_whitespace)
        .collect();
    for name in [
        "network-pre.target",
        "networking.service",
        "NetworkManager.service",
        "systemd-networkd.service",
        "ssh.service",
        "sshd.service",
        "ssh.socket",
        "sshd.socket",
        "sshd-keygen.target",
        "getty-pre.target",
    ] {
        assert!(before.contains(&name), "{name}");
    }
    // A template is no unit, and systemd would not take it here.
    assert!(!before.iter().any(|name| name.contains("@.")), "{before:?}");
}
