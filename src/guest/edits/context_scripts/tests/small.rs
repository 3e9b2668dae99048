use super::*;

#[test]
fn openrc_has_two_services() {
    for (shebang, network, runlevel) in [
        ("/sbin/openrc-run", "/etc/runlevels/boot/networking", "boot"),
        ("/usr/sbin/openrc-run", "/etc/runlevels/sysinit/networking", "sysinit"),
        ("/sbin/runscript", "/etc/runlevels/default/net.eth0", "boot"),
    ] {
        let mut tree =
            MemoryTree::of(&[("/etc/init.d/networking", ""), ("/lib/rc/cache/deptree", "x")]);
        tree.file(shebang, "", 0o755);
        tree.link(network, "/etc/init.d/networking");
        run(&mut tree, Init::Openrc);
        for (name, runlevel) in
            [("stratuslab-one-context-early", runlevel), ("stratuslab-one-context", "default")]
        {
            let script = format!("/etc/init.d/{name}");
            let text = tree.text(&script).unwrap();
            assert!(text.starts_with(&format!("#!{shebang}\n")), "{text}");
            assert!(!text.contains("need "), "{text}");
            assert_eq!(mode(&tree, &script), Some(0o755));
            assert_eq!(target(&tree, &format!("/etc/runlevels/{runlevel}/{name}")), Some(script));
        }
        assert!(tree.text("/lib/rc/cache/deptree").is_none());
        // The guest makes it again; it is right then.
        tree.file("/lib/rc/cache/deptree", "x", 0o644);
        assert_eq!(run(&mut tree, Init::Openrc).paths(), [""; 0]);
    }
}

#[test]
fn a_service_that_the_user_moved_stays_there() {
    let mut tree = MemoryTree::of(&[("/sbin/openrc-run", ""), ("/etc/init.d/x", "")]);
    let early = "/etc/init.d/stratuslab-one-context-early";
    tree.file(early, "old", 0o755);
    tree.link("/etc/runlevels/sysinit/stratuslab-one-context-early", early);
    run(&mut tree, Init::Openrc);
    assert!(target(&tree, "/etc/runlevels/boot/stratuslab-one-context-early").is_none());
}

#[test]
fn upstart_has_jobs() {
    for (files, event) in [
        (&[("/etc/init/networking.conf", ""), ("/etc/init/rc.conf", "")][..], "networking"),
        (&[("/etc/init/rc.conf", "")][..], "rc-sysinit"),
    ] {
        let mut tree = MemoryTree::of(files);
        run(&mut tree, Init::Upstart);
        let early = tree.text("/etc/init/stratuslab-one-context-early.conf").unwrap();
        assert!(early.contains(&format!("\nstart on starting {event}\ntask\n")), "{early}");
        assert!(early.contains("\nnormal exit 0 1\n"));
        assert!(tree.text("/etc/init/stratuslab-one-context-wait.conf").is_some());
        let late = tree.text("/etc/init/stratuslab-one-context.conf").unwrap();
        assert!(late.contains("\nstart on runlevel [2345]\n"));
        assert!(make_host_keys(&tree, Init::Upstart).unwrap());
    }
}

#[test]
fn busybox_gets_lines_behind_its_mounts() {
    for (table, expected) in [
        (
            "::sysinit:/bin/mount -t proc proc /proc\n#::sysinit:x\ntty1::respawn:/sbin/getty\n",
            "::sysinit:/bin/mount -t proc proc /proc\n# stratuslab-one-context: the cloud's \
             parameters\n::sysinit:/usr/bin/stratuslab-one-context early\n\
             ::once:/usr/bin/stratuslab-one-context late\n#::sysinit:x\n\
             tty1::respawn:/sbin/getty\n",
        ),
        (
            "null::sysinit:/etc/rcS",
            "null::sysinit:/etc/rcS\n# stratuslab-one-context: the cloud's parameters\n\
             ::sysinit:/usr/bin/stratuslab-one-context early\n\
             ::once:/usr/bin/stratuslab-one-context late\n",
        ),
    ] {
        let mut tree = MemoryTree::of(&[("/etc/inittab", table)]);
        run(&mut tree, Init::Busybox);
        assert_eq!(tree.text("/etc/inittab").unwrap(), expected);
        // The SSH server may have been started by a sysinit before.
        assert!(!make_host_keys(&tree, Init::Busybox).unwrap());
    }
}

#[test]
fn folders_of_scripts() {
    let ttylinux = ("/etc/rc.d/rc.startup/95.context", "#!/bin/sh\n/usr/bin/onecontext\n");
    let buildroot = ("/etc/init.d/rcS", "for i in /etc/init.d/S??* ;do\n");
    for (file, init, early, late) in [
        (ttylinux, Init::Sysv, "/etc/rc.d/rc.startup/08.stratuslab-early", ttylinux.0),
        (ttylinux, Init::Busybox, "/etc/rc.d/rc.startup/08.stratuslab-early", ttylinux.0),
        (buildroot, Init::Sysv, "/etc/init.d/S39stratuslab", "/etc/init.d/S95stratuslab"),
        (buildroot, Init::Busybox, "/etc/init.d/S39stratuslab", "/etc/init.d/S95stratuslab"),
    ] {
        let mut tree = MemoryTree::of(&[file, ("/etc/inittab", "::sysinit:/etc/init.d/rcS\n")]);
        run(&mut tree, init);
        for (path, stage) in [(early, "early"), (late, "late")] {
            assert!(tree.text(path).unwrap().contains(&format!("{PROGRAM_PATH} {stage} || :")));
            assert_eq!(mode(&tree, path), Some(0o755));
        }
        assert!(!tree.text("/etc/inittab").unwrap().contains("stratus"));
    }
}

#[test]
fn the_early_script_is_in_front_of_the_network() {
    for (scripts, early) in [
        (&["S10syslog", "S20network", "S50dropbear"][..], "S19stratuslab"),
        (&["S41dhcpcd", "S50sshd", "K30network"], "S40stratuslab"),
        (&["S99x", "S", "S1", "S\u{e9}net"], "S39stratuslab"),
    ] {
        let mut tree = MemoryTree::of(&[("/etc/init.d/rcS", "for i in /etc/init.d/S??*; do")]);
        scripts.iter().for_each(|name| tree.file(&format!("/etc/init.d/{name}"), "", 0o755));
        run(&mut tree, Init::Busybox);
        assert!(tree.text(&format!("/etc/init.d/{early}")).is_some(), "{early}");
    }
}

/// Before the first `exit` that ends the script, and not one that ends something inside of it.
#[test]
fn rc_local_runs_both_stages() {
    let ours = "# stratuslab-one-context: begin\n/usr/bin/stratuslab-one-context || :\n\
                # stratuslab-one-context: end\n";
    for (before, after) in [
        ("#!/bin/sh -e\n#\n# exit 0\n", ""),
        ("#!/bin/sh -e\n", "exit 0\n"),
        ("#!/bin/bash\nif [ -f /x ]; then\nexit 1\nfi\n", "exit\nmore\n"),
        ("#!/bin/sh\nf() {\nexit 2\n}\nfor i in 1 2; do\n\texit\ndone\n", "  exit 0 # end\n"),
        ("#!/bin/sh\ncase $1 in\nx) exit 0 ;;\nesac; if x; then exit; fi\necho if\n", "exit 0"),
    ] {
        for path in ["/etc/rc.local", "/etc/rc.d/rc.local"] {
            let mut tree = MemoryTree::of(&[(path, &format!("{before}{after}"))]);
            run(&mut tree, Init::Unknown);
            assert_eq!(tree.text(path).unwrap(), format!("{before}{ours}{after}"));
            assert_eq!(mode(&tree, path), Some(0o755));
        }
    }
    let mut tree = MemoryTree::of(&[("/etc/rc.local", "")]);
    run(&mut tree, Init::Runit);
    assert_eq!(tree.text("/etc/rc.local").unwrap(), format!("#!/bin/sh\n{ours}"));
    // The mode of a script that is there is kept as far as it can be run.
    let mut tree = MemoryTree::default();
    tree.file("/etc/rc.d/rc.local", "#!/bin/sh\n", 0o775);
    tree.link("/etc/rc.local", "rc.d/rc.local");
    run(&mut tree, Init::Unknown);
    assert_eq!(mode(&tree, "/etc/rc.d/rc.local"), Some(0o775));
    assert_eq!(target(&tree, "/etc/rc.local").unwrap(), "rc.d/rc.local");
}

/// What somebody cut apart takes nothing of his own along.
#[test]
fn half_a_block_in_rc_local_is_no_block() {
    let (begin, end) = ("# stratuslab-one-context: begin\n", "# stratuslab-one-context: end\n");
    let cut = format!("#!/bin/sh\n{end}mine\n{begin}also mine\n");
    let mut tree = MemoryTree::of(&[("/etc/rc.local", &cut)]);
    run(&mut tree, Init::Unknown);
    let text = tree.text("/etc/rc.local").unwrap();
    assert_eq!(text, format!("{cut}{begin}{PROGRAM_PATH} || :\n{end}"));
}

#[test]
fn a_folder_of_local_scripts() {
    let mut tree = MemoryTree::default();
    tree.dir("/etc/local.d");
    run(&mut tree, Init::Unknown);
    assert_eq!(mode(&tree, "/etc/local.d/stratuslab-one-context.start"), Some(0o755));
}
