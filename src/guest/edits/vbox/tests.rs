use super::*;
use crate::guest::edits::boot_trial::{Outcome, content, dump, facts, run as trial};
use crate::guest::facts::Init;
use crate::guest::memory::{Entry, MemoryTree};

fn edited(tree: &mut MemoryTree) -> Outcome {
    trial(&EDIT, tree, &facts(Init::Systemd), &[])
}

fn is_masked(tree: &MemoryTree, path: &str) -> bool {
    tree.0.get(Path::new(path)) == Some(&Entry::Link("/dev/null".into()))
}

#[test]
fn a_guest_without_additions_stays() {
    let mut tree = MemoryTree::of(&[
        ("/etc/modules", "loop\n# vboxguest\nvboxguestx\n"),
        ("/etc/fstab", "x /y ext4 defaults 0 1\n# s /s vboxsf defaults\n"),
        ("/etc/X11/xorg.conf", "# Driver \"vboxvideo\"\nDriver \"vesa\"\n"),
        ("/etc/xdg/autostart/other.desktop", "[Desktop Entry]\nExec=x\n"),
        ("/lib/systemd/system/ssh.service", ""),
        ("/etc/rc3.d/S01ssh", ""),
    ]);
    assert_eq!(edited(&mut tree).paths().len(), 0);
}

#[test]
fn units_are_masked() {
    let mut tree = MemoryTree::of(&[
        ("/usr/lib/systemd/system/vboxadd.service", "x"),
        ("/etc/systemd/system/vboxadd-service.service", "x"),
        ("/etc/init.d/vboxadd-x11", "x"),
    ]);
    tree.link("/lib", "usr/lib");
    let wants = "/etc/systemd/system/multi-user.target.wants/vboxadd.service";
    tree.link(wants, "/lib/systemd/system/vboxadd.service");
    edited(&mut tree);
    for name in ["vboxadd", "vboxadd-service", "vboxadd-x11"] {
        assert!(is_masked(&tree, &format!("/etc/systemd/system/{name}.service")), "{name}");
    }
    let kept = "/etc/systemd/system/vboxadd-service.service.stratus-orig";
    assert_eq!(tree.text(kept).unwrap(), "x");
    // systemd itself says that it is masked.
    let folder = tempfile::tempdir().unwrap();
    dump(&tree, folder.path());
    for (path, entry) in &tree.0 {
        if let Entry::Link(target) = entry {
            let place = folder.path().join(path.strip_prefix("/").unwrap());
            std::os::unix::fs::symlink(target, place).unwrap();
        }
    }
    let root = format!("--root={}", folder.path().display());
    let said = crate::guest::edits::boot_trial::judge(
        "systemd",
        "systemctl",
        &[&root, "is-enabled", "vboxadd.service", "vboxadd-service.service"],
    );
    assert_eq!(String::from_utf8_lossy(&said.stdout), "masked\nmasked\n");
}

#[test]
fn scripts_and_jobs_are_not_started() {
    let mut tree = MemoryTree::of(&[
        ("/etc/init.d/vboxadd", "x"),
        ("/etc/init/vboxadd.conf", "start on x\n"),
        ("/etc/init/virtualbox-guest-utils.conf", ""),
        ("/etc/init/virtualbox-guest-utils.override", "manual\n"),
    ]);
    tree.link("/etc/rc.d/rc3.d/S30vboxadd", "../init.d/vboxadd");
    tree.link("/etc/rc.d/rc3.d/K70vboxadd", "../init.d/vboxadd");
    tree.link("/etc/rc.d/rc3.d/S30vboxaddon", "../init.d/other");
    tree.link("/etc/rc3.d", "rc.d/rc3.d");
    tree.link("/etc/runlevels/default/virtualbox-guest-additions", "/etc/init.d/x");
    let outcome = edited(&mut tree);
    assert_eq!(
        outcome.paths(),
        [
            "/etc/init/vboxadd.override",
            "/etc/rc.d/rc3.d/S30vboxadd",
            "/etc/runlevels/default/virtualbox-guest-additions"
        ]
    );
    assert_eq!(tree.text("/etc/init/vboxadd.override").unwrap(), "manual\n");
    assert!(!tree.0.contains_key(Path::new("/etc/systemd")));
}

#[test]
fn modules_are_not_loaded() {
    let mut tree = MemoryTree::of(&[
        ("/etc/modules", "loop\nvboxguest\n vboxsf x\n"),
        ("/etc/modules-load.d/vbox.conf", "vboxvideo\n"),
        ("/usr/lib/modules-load.d/virtualbox-guest.conf", "# c\n\nvboxguest\nvboxsf\n"),
        ("/usr/lib/modules-load.d/mixed.conf", "vboxguest\nloop\n"),
    ]);
    edited(&mut tree);
    let text = tree.text("/etc/modules").unwrap();
    assert_eq!(text, "loop\n#stratus: vboxguest\n#stratus:  vboxsf x\n");
    assert_eq!(tree.text("/etc/modules-load.d/vbox.conf").unwrap(), "#stratus: vboxvideo\n");
    assert!(is_masked(&tree, "/etc/modules-load.d/virtualbox-guest.conf"));
    assert!(!tree.0.contains_key(Path::new("/etc/modules-load.d/mixed.conf")));
}

#[test]
fn the_desktop_starts_without_them() {
    let autostart = "/etc/xdg/autostart/vboxclient.desktop";
    let mut tree = MemoryTree::of(&[
        (autostart, "# x\n[Desktop Entry]\nExec=VBoxClient\nHidden=false\n[Other]\nHidden=false"),
        ("/etc/X11/xorg.conf", "Section \"Device\"\n\tdriver\t\"vboxvideo\"\nEndSection\n"),
        ("/etc/X11/xorg.conf.d/10.conf", "Driver \"vboxmouse\""),
        ("/etc/X11/Xsession.d/98vboxadd-xclient", "x"),
    ]);
    let outcome = edited(&mut tree);
    assert_eq!(outcome.paths().len(), 4);
    let text = tree.text(autostart).unwrap();
    assert_eq!(text, "# x\n[Desktop Entry]\nHidden=true\nExec=VBoxClient\n[Other]\nHidden=false");
    for path in ["/etc/X11/xorg.conf", "/etc/X11/xorg.conf.d/10.conf"] {
        assert!(tree.text(path).is_none() && tree.text(&format!("{path}.stratus-orig")).is_some());
    }
}

#[test]
fn shared_folders_do_not_stop_the_boot() {
    let text = "share\t\t/media/sf_share\tvboxsf\tdefaults,uid=1000\t0\t0\r\n\
        s2 /s2 vboxsf\ns3 /s3 vboxsf noauto\ns4 /s4 vboxsf nofail,noauto 0 0\n/dev/sda1 / ext4 defaults 0 1";
    let mut tree = MemoryTree::of(&[("/etc/fstab", text)]);
    edited(&mut tree);
    let expected = text
        .replace("uid=1000", "uid=1000,nofail,noauto")
        .replace("s2 vboxsf", "s2 vboxsf nofail,noauto")
        .replace("vboxsf noauto", "vboxsf noauto,nofail");
    assert_eq!(tree.text("/etc/fstab").unwrap(), expected);
    let folder = tempfile::tempdir().unwrap();
    dump(&tree, folder.path());
    let table = folder.path().join("etc/fstab");
    let args =
        ["--tab-file", table.to_str().unwrap(), "-rn", "-o", "TARGET,OPTIONS", "-t", "vboxsf"];
    let said = content("util-linux", "findmnt", &args);
    let lines = "/media/sf_share defaults,uid=1000,nofail,noauto\n/s2 nofail,noauto\n\
        /s3 noauto,nofail\n/s4 nofail,noauto\n";
    // A carriage return behind the last number is none of the options.
    assert_eq!(said, lines);
}
