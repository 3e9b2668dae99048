use super::*;

const CFG: &str = "/etc/stratuslab/stratuslab-one-context.cfg";

/// The package of StratusLab 14.06, on a guest with this init system.
fn package(tree: &mut MemoryTree) {
    tree.file(PROGRAM_PATH, "#!/bin/sh\n# old\n", 0o755);
    tree.file("/usr/bin/stratuslab-one-context-postinstall", "#!/bin/sh\n", 0o755);
    tree.file("/etc/rc.d/init.d/functions", "", 0o644);
    tree.file("/etc/rc.d/init.d/stratuslab-one-context", "# chkconfig: 2345 56 10\n", 0o755);
    tree.link("/etc/init.d", "rc.d/init.d");
    for level in ["2", "3", "4", "5"] {
        let link = format!("/etc/rc.d/rc{level}.d/S56stratuslab-one-context");
        tree.link(&link, "../init.d/stratuslab-one-context");
        tree.link(&format!("/etc/rc{level}.d"), &format!("rc.d/rc{level}.d"));
    }
    tree.file(CFG, "context_device=hdd\n", 0o644);
    tree.file("/etc/stratuslab/conf.d/50-apache.context", "enable=yes\n", 0o644);
    tree.file("/etc/stratuslab/conf.d/99-quattor.context", "enable=yes\n", 0o644);
}

#[test]
fn the_old_package_is_upgraded() {
    for init in [Init::Sysv, Init::Systemd] {
        let mut tree = MemoryTree::default();
        package(&mut tree);
        assert!(!is_enabled(&tree, init).unwrap());
        let outcome = run(&mut tree, init);
        assert_eq!(tree.text(PROGRAM_PATH).unwrap(), PROGRAM);
        assert!(tree.text("/usr/bin/stratuslab-one-context-postinstall").is_none());
        assert_eq!(tree.text(CFG).unwrap(), "context_device=hdd\n");
        assert_eq!(tree.text("/etc/stratuslab/conf.d/50-apache.context").unwrap(), "enable=yes\n");
        assert!(!tree.text(DIGESTS).unwrap().contains(CFG));
        assert_eq!(outcome.codes(), ["context-quattor"]);
        let link = "/etc/rc3.d/S56stratuslab-one-context";
        match init {
            Init::Sysv => assert!(tree.text(link).unwrap().contains("stratuslab-one-context late")),
            _ => {
                assert!(target(&tree, link).is_none());
                assert!(tree.text("/etc/init.d/stratuslab-one-context").is_none());
            }
        }
    }
}

const SEED: &str = "#!/bin/sh\ntouch /var/lock/subsys/local\n/usr/bin/stratuslab-one-context\n\
                    sh /usr/bin/stratuslab-one-context >/dev/null &\n\
                    # /usr/bin/stratuslab-one-context\necho /usr/bin/stratuslab-one-context\n";

#[test]
fn a_line_of_the_first_images_is_taken_out() {
    let mut tree = MemoryTree::of(&[("/etc/rc.d/rc.local", SEED)]);
    tree.link("/etc/rc.local", "rc.d/rc.local");
    tree.file("/usr/bin/stratus-random-password", "#!/bin/sh\nold\n", 0o755);
    run(&mut tree, Init::Systemd);
    let expected = SEED
        .replace("\n/usr/bin", "\n#stratus: /usr/bin")
        .replace("\nsh /usr", "\n#stratus: sh /usr");
    assert_eq!(tree.text("/etc/rc.d/rc.local").unwrap(), expected);
    trial::plain(&root_password::EDIT, &mut tree);
    let link = target(&tree, "/usr/bin/stratus-random-password");
    assert_eq!(link.unwrap(), "stratuslab-random-password");

    // It also goes where rc.local is the way.
    let mut tree = MemoryTree::of(&[("/etc/rc.local", SEED)]);
    run(&mut tree, Init::Unknown);
    let text = tree.text("/etc/rc.local").unwrap();
    assert!(text.starts_with(&expected) && text.ends_with("# stratuslab-one-context: end\n"));
}

/// The guest was given another init system since.
#[test]
fn the_way_of_before_is_taken_out() {
    let mut tree = MemoryTree::of(&[("/etc/rc.local", "#!/bin/sh\n")]);
    run(&mut tree, Init::Unknown);
    run(&mut tree, Init::Systemd);
    assert_eq!(tree.text("/etc/rc.local").unwrap(), "#!/bin/sh\n");

    let table = "::sysinit:/bin/mount -a\n";
    let mut tree = MemoryTree::of(&[("/etc/inittab", table), ("/sbin/openrc-run", "")]);
    run(&mut tree, Init::Busybox);
    tree.dir("/etc/init.d");
    run(&mut tree, Init::Openrc);
    assert_eq!(tree.text("/etc/inittab").unwrap(), table);

    let mut tree = MemoryTree::of(&[("/etc/init.d/x", "")]);
    tree.dir("/etc/rcS.d");
    run(&mut tree, Init::Sysv);
    run(&mut tree, Init::Systemd);
    assert!(tree.text("/etc/init.d/stratuslab-one-context-early").is_none());
    assert_eq!(tree.list(Path::new("/etc/rcS.d")).unwrap(), [""; 0]);
    assert_eq!(tree.list(Path::new("/etc/rc2.d")).unwrap(), [""; 0]);

    tree.dir("/etc/rcS.d");
    run(&mut tree, Init::Sysv);
    assert!(tree.text("/etc/systemd/system-preset/00-stratuslab.preset").is_none());
}

/// As an older version of this program left it.
fn older(cfg: &str, cfg_then: &str) -> MemoryTree {
    let digest = |text: &str| bundle::digest(text.as_bytes());
    let mut tree = MemoryTree::of(&[
        (CFG, cfg),
        ("/usr/bin/stratuslab-gone", "old"),
        ("/usr/bin/stratuslab-edited", "edited"),
        ("/usr/bin/stratuslab-innocent", "x"),
    ]);
    tree.file(PROGRAM_PATH, "old program", 0o755);
    let list = format!(
        "{}  {CFG}\n{}  {PROGRAM_PATH}\n{}  /usr/bin/stratuslab-gone\n\
         {}  /usr/bin/stratuslab-edited\nnonsense\n{}  /usr/bin/../bin/stratuslab-innocent\n",
        digest(cfg_then),
        digest("old program"),
        digest("old"),
        digest("not edited"),
        digest("x"),
    );
    tree.file(DIGESTS, &list, 0o644);
    tree
}

#[test]
fn configuration_that_nobody_changed_is_upgraded() {
    let mut tree = older("a=1\n", "a=1\n");
    let outcome = run(&mut tree, Init::Systemd);
    let change = outcome.changes.iter().find(|change| change.path == CFG).unwrap();
    assert_eq!(change.action, "upgraded");
    assert_ne!(tree.text(CFG).unwrap(), "a=1\n");
    assert!(tree.text("/usr/bin/stratuslab-gone").is_none());
    assert_eq!(tree.text("/usr/bin/stratuslab-edited").unwrap(), "edited");
    assert_eq!(tree.text("/usr/bin/stratuslab-innocent").unwrap(), "x");
    let list = tree.text(DIGESTS).unwrap();
    assert!(!list.contains("gone") && !list.contains("edited") && !list.contains("nonsense"));
}

#[test]
fn configuration_that_somebody_changed_stays() {
    let mut tree = older("a=2\n", "a=1\n");
    run(&mut tree, Init::Systemd);
    assert_eq!(tree.text(CFG).unwrap(), "a=2\n");
    assert_eq!(tree.text(PROGRAM_PATH).unwrap(), PROGRAM);
}
