use super::*;
use crate::guest::edits::context_scripts::depend::{Place, with_target};

const EARLY: &str = "stratuslab-one-context-early";
const LATE: &str = "stratuslab-one-context";

fn names(tree: &MemoryTree, folder: &str) -> Vec<String> {
    let names = tree.list(Path::new(folder)).unwrap().into_iter();
    names.map(|name| name.into_string().unwrap()).filter(|name| name.contains("stratus")).collect()
}

fn red_hat() -> MemoryTree {
    let mut tree = MemoryTree::of(&[("/etc/inittab", "id:3:initdefault:\n")]);
    tree.file("/etc/rc.d/init.d/network", "", 0o755);
    tree.file("/etc/rc.d/init.d/functions", "", 0o755);
    tree.link("/etc/init.d", "rc.d/init.d");
    for level in 0..=6 {
        tree.link(&format!("/etc/rc{level}.d"), &format!("rc.d/rc{level}.d"));
        tree.link(&format!("/etc/rc.d/rc{level}.d/S10network"), "../init.d/network");
    }
    tree
}

#[test]
fn red_hat_gets_links_around_the_network() {
    let mut tree = red_hat();
    run(&mut tree, Init::Sysv);
    for level in ["2", "3", "4", "5"] {
        let folder = format!("/etc/rc.d/rc{level}.d");
        assert_eq!(names(&tree, &folder), [format!("S09{EARLY}"), format!("S56{LATE}")]);
        let link = format!("{folder}/S09{EARLY}");
        assert_eq!(target(&tree, &link).unwrap(), format!("../init.d/{EARLY}"));
        assert!(tree.text(&link).unwrap().starts_with("#!/bin/sh\n# chkconfig: 2345 09 91\n"));
    }
    for level in ["0", "1", "6"] {
        let expected = [format!("K10{LATE}"), format!("K91{EARLY}")];
        assert_eq!(names(&tree, &format!("/etc/rc.d/rc{level}.d")), expected);
    }
    assert!(make_host_keys(&tree, Init::Sysv).unwrap());
}

/// Its scripts run after the SSH server.
#[test]
fn slackware_has_such_folders_and_another_order() {
    let mut tree = red_hat();
    tree.remove(Path::new("/etc/rc.d/init.d/functions")).unwrap();
    tree.file("/etc/rc.d/rc.local", "#!/bin/sh\n", 0o755);
    run(&mut tree, Init::Sysv);
    assert!(tree.text("/etc/rc.d/rc.local").unwrap().contains(PROGRAM_PATH));
    assert!(!make_host_keys(&tree, Init::Sysv).unwrap());
}

/// chkconfig may have given other numbers since.
#[test]
fn a_link_of_another_number_is_enough() {
    let mut tree = red_hat();
    tree.link(&format!("/etc/rc.d/rc3.d/S12{EARLY}"), &format!("../init.d/{EARLY}"));
    run(&mut tree, Init::Sysv);
    assert_eq!(names(&tree, "/etc/rc.d/rc3.d"), [format!("S12{EARLY}"), format!("S56{LATE}")]);
}

/// A script of Debian's with what insserv reads.
fn script(name: &str, level: &str, start: &str) -> String {
    format!(
        "#!/bin/sh\n### BEGIN INIT INFO\n# Provides:          {}\n# Required-Start:    {start}\n\
         # Required-Stop:\n# Default-Start:     {level}\n# Default-Stop:\n\
         # Short-Description: {name}\n### END INIT INFO\necho {name} >>LOG\n",
        name.trim_end_matches(".sh"),
    )
}

const SCRIPTS: &[(&str, &str, &str)] = &[
    ("udev", "S", ""),
    ("checkroot.sh", "S", "udev"),
    ("mountall.sh", "S", "checkroot"),
    ("mountall-bootclean.sh", "S", "mountall"),
    ("urandom", "S", "$local_fs"),
    ("networking", "S", "$local_fs urandom"),
    ("mountnfs.sh", "S", "$local_fs $network"),
    ("ssh", "2 3 4 5", "$remote_fs"),
    ("rc.local", "2 3 4 5", "$all"),
];

/// A Debian guest whose order insserv has worked out.
fn debian(folder: &Path) -> MemoryTree {
    let mut tree = MemoryTree::default();
    for (name, level, start) in SCRIPTS {
        tree.file(&format!("/etc/init.d/{name}"), &script(name, level, start), 0o755);
    }
    let conf = "$local_fs +mountall +mountall-bootclean\n$network +networking\n\
                $remote_fs $local_fs +mountnfs\n<interactive> udev\n";
    tree.file("/etc/insserv.conf", conf, 0o644);
    dump(&tree, folder);
    let order = SCRIPTS.iter().map(|(name, ..)| *name).collect::<Vec<_>>();
    insserv(folder, &order);
    load(folder)
}

fn insserv(root: &Path, scripts: &[&str]) {
    let place = |path: &str| root.join(path).display().to_string();
    let (scripts_in, conf) = (place("etc/init.d"), place("etc/insserv.conf"));
    let none = place("none");
    let options = ["-p", &scripts_in, "-i", &scripts_in, "-c", &conf, "-o", &none];
    content("insserv", "/sbin/insserv", &[&options[..], scripts].concat());
}

/// The files and links of a folder as a tree.
fn load(root: &Path) -> MemoryTree {
    let (mut tree, mut open) = (MemoryTree::default(), vec![root.to_owned()]);
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = format!("/{}", path.strip_prefix(root).unwrap().display());
            if let Ok(target) = std::fs::read_link(&path) {
                tree.link(&name, target.to_str().unwrap());
            } else if path.is_dir() {
                tree.dir(&name);
                open.push(path);
            } else {
                let mode = path.metadata().unwrap().permissions().mode();
                let text = std::fs::read_to_string(&path).unwrap();
                tree.file(&name, &text, (mode & 0o777) as u16);
            }
        }
    }
    tree
}

/// What startpar, which Debian's rc runs, starts in this tree, in its order.
fn started(tree: &MemoryTree) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    dump(tree, root);
    let log = root.join("log");
    for script in tree.list(Path::new("/etc/init.d")).unwrap() {
        let path = root.join("etc/init.d").join(script);
        let text = std::fs::read_to_string(&path).unwrap();
        let log = log.display().to_string();
        let text = text.replace("LOG", &log);
        let text = text.replace(&format!("\t{PROGRAM_PATH} "), &format!("\techo >>{log} context-"));
        std::fs::write(&path, text).unwrap();
    }
    // It knows no other /etc than this machine's: there it sees the tree's.
    let line = "mount --bind \"$1/etc\" /etc && startpar -p 1 -M boot -P N -R S && \
                startpar -p 1 -M start -P N -R 2";
    let inside = ["-r", "-m", "sh", "-c", line, "sh", root.to_str().unwrap()];
    content("startpar (and util-linux)", "unshare", &inside);
    let log = std::fs::read_to_string(&log).unwrap_or_default();
    log.lines().map(|line| line.replace("context- ", "context-")).collect()
}

fn assert_order(order: &[String]) {
    let at = |name: &str| {
        let place = order.iter().position(|other| other == name);
        place.unwrap_or_else(|| panic!("{name} is not in {order:?}"))
    };
    let early = at("context-early");
    assert!(at("mountall-bootclean.sh") < early && at("urandom") < early, "{order:?}");
    assert!(early < at("networking") && at("networking") < at("context-late"), "{order:?}");
    assert_eq!(order.len(), SCRIPTS.len() + 2, "{order:?}");
}

/// A link alone starts nothing there; and when a package makes insserv work out the order again,
/// it is the same.
#[test]
fn debian_starts_them_in_order_also_after_insserv() {
    let folder = tempfile::tempdir().unwrap();
    let mut tree = debian(folder.path());
    assert_eq!(started(&tree).len(), SCRIPTS.len());
    let before = tree.clone();
    run(&mut tree, Init::Sysv);
    assert_order(&started(&tree));
    // With the links, but with the order of before.
    let mut linked = tree.clone();
    for name in [".depend.boot", ".depend.start"] {
        let path = format!("/etc/init.d/{name}");
        linked.file(&path, &before.text(&path).unwrap(), 0o644);
    }
    assert_eq!(started(&linked).len(), SCRIPTS.len());
    assert!(!is_enabled(&linked, Init::Sysv).unwrap());

    let again = tempfile::tempdir().unwrap();
    dump(&tree, again.path());
    insserv(again.path(), &["ssh"]);
    let mut sorted = load(again.path());
    assert_order(&started(&sorted));
    assert_eq!(run(&mut sorted, Init::Sysv).paths(), [""; 0]);
}

#[test]
fn an_order_in_another_form_is_left_to_the_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let mut tree = debian(folder.path());
    tree.file("/etc/init.d/.depend.start", "all: udev\n", 0o644);
    run(&mut tree, Init::Sysv);
    assert_eq!(tree.text("/etc/init.d/.legacy-bootordering").unwrap(), "");
    assert_eq!(tree.text("/etc/init.d/.depend.start").unwrap(), "all: udev\n");
    let early = names(&tree, "/etc/rcS.d").remove(0);
    let mut all = tree.list(Path::new("/etc/rcS.d")).unwrap();
    all.sort();
    let at = |end: &str| all.iter().position(|n| n.to_string_lossy().ends_with(end)).unwrap();
    assert!(at("mountall-bootclean.sh") < at(&early) && at(&early) < at("networking"), "{all:?}");
}

/// Before insserv: numbers that were chosen by hand.
#[test]
fn an_old_debian_has_only_numbers() {
    let mut tree = MemoryTree::of(&[("/etc/init.d/networking", "")]);
    for (number, name) in [("35", "mountall.sh"), ("36", "udev-mtab"), ("40", "networking")] {
        tree.link(&format!("/etc/rcS.d/S{number}{name}"), &format!("../init.d/{name}"));
    }
    tree.link("/etc/rc2.d/S16ssh", "../init.d/ssh");
    run(&mut tree, Init::Sysv);
    assert_eq!(names(&tree, "/etc/rcS.d"), [format!("S39{EARLY}")]);
    assert_eq!(names(&tree, "/etc/rc2.d"), [format!("S99{LATE}")]);
    assert!(tree.text("/etc/init.d/.legacy-bootordering").is_none());
}

/// runit-init of Debian runs the scripts by their numbers, unless it is told not to; runit of others
/// has none.
#[test]
fn runit_may_run_the_scripts_of_runlevels() {
    let stage = "#!/bin/sh\n\t/lib/runit/async-timeout /lib/runit/run_sysv_scripts '/etc/rc2.d'\n\
                 exec runsvdir /etc/service\n";
    let mut guest = MemoryTree::of(&[("/etc/runit/2", stage), ("/etc/init.d/networking", "")]);
    for (number, name) in [("09", "mountall.sh"), ("11", "networking")] {
        guest.link(&format!("/etc/rcS.d/S{number}{name}"), &format!("../init.d/{name}"));
    }
    guest.file("/etc/rc.local", "#!/bin/sh\n", 0o755);
    let mut tree = guest.clone();
    run(&mut tree, Init::Runit);
    assert_eq!(names(&tree, "/etc/rcS.d"), [format!("S10{EARLY}")]);
    assert_eq!(names(&tree, "/etc/rc2.d"), [format!("S99{LATE}")]);
    assert!(make_host_keys(&tree, Init::Runit).unwrap());

    let others = "#!/bin/sh\n# no /etc/rc2.d\n[ -x /etc/rc.local ] && /etc/rc.local\n";
    for files in [
        &[("/etc/runit/2", others)][..],
        &[("/etc/runit/no.emulate.sysv", "")],
        &[("/etc/runit/native.boot.run", ""), ("/etc/runit/boot-run/01.sh", "")],
    ] {
        let mut tree = guest.clone();
        files.iter().for_each(|(path, text)| tree.file(path, text, 0o644));
        run(&mut tree, Init::Runit);
        assert!(tree.text("/etc/rc.local").unwrap().contains(PROGRAM_PATH));
        assert!(!make_host_keys(&tree, Init::Runit).unwrap());
    }
}

#[test]
fn suse_has_its_folders_elsewhere() {
    let files = [
        (
            "/etc/init.d/.depend.boot",
            "TARGETS = boot.udev boot.localfs boot.cleanup\nboot.localfs: boot.udev\n",
        ),
        ("/etc/init.d/.depend.start", "TARGETS = network sshd\nINTERACTIVE =\nsshd: network\n"),
        ("/etc/rc.status", ""),
    ];
    let mut tree = MemoryTree::of(&files);
    tree.link("/etc/rc.d", "init.d");
    tree.link("/etc/init.d/boot.d/S07boot.localfs", "../boot.localfs");
    tree.link("/etc/init.d/rc3.d/S05network", "../network");
    tree.link("/etc/init.d/rc5.d/S05network", "../network");
    let untouched = tree.clone();
    run(&mut tree, Init::Sysv);
    let link = format!("/etc/init.d/boot.d/S08{EARLY}");
    assert_eq!(target(&tree, &link).unwrap(), format!("../{EARLY}"));
    assert!(tree.text(&link).unwrap().contains("# Default-Start:     B\n"));
    for level in ["3", "5"] {
        assert_eq!(names(&tree, &format!("/etc/init.d/rc{level}.d")), [format!("S08{LATE}")]);
    }
    let boot = tree.text("/etc/init.d/.depend.boot").unwrap();
    assert!(boot.starts_with(&format!("TARGETS = boot.udev boot.localfs boot.cleanup {EARLY}\n")));
    assert!(boot.contains(&format!("\n{EARLY}: boot.udev boot.localfs boot.cleanup\n")), "{boot}");
    let start = tree.text("/etc/init.d/.depend.start").unwrap();
    assert!(start.contains(&format!("\n{LATE}: network\n")), "{start}");

    // Nothing but the script of the administrator's own is left then.
    let mut tree = untouched;
    tree.file("/etc/init.d/.depend.start", "strange\n", 0o644);
    tree.file("/etc/init.d/boot.local", "#! /bin/sh\n", 0o744);
    run(&mut tree, Init::Sysv);
    assert!(tree.text("/etc/init.d/boot.local").unwrap().contains(PROGRAM_PATH));
    assert!(!make_host_keys(&tree, Init::Sysv).unwrap());
}

#[test]
fn the_order_has_no_circle() {
    let place = Place { after: &["a", "b", "none"], before: &["n", "m", "gone"] };
    for (text, expected) in [
        ("TARGETS = a b n m\n", Some("TARGETS = a b n m x\nx: a b\nn: x\nm: x\n")),
        // `b` waits for `n`, by way of `c`.
        (
            "TARGETS = a b n\nINTERACTIVE =\nb: c\nc: n\nn: a",
            Some("TARGETS = a b n x\nINTERACTIVE =\nb: c\nc: n\nn: a x\nx: a\n"),
        ),
        // The same, in two rules.
        ("TARGETS = a b n\nb: n\nb: a\n", Some("TARGETS = a b n x\nb: n\nb: a\nx: a\nn: x\n")),
        ("TARGETS = \nq: q\n", Some("TARGETS = x\nq: q\n")),
        ("TARGETS = x\r\n", Some("TARGETS = x\r\n")),
        ("a: b\n", None),
        ("", None),
    ] {
        assert_eq!(with_target(text, "x", &place).as_deref(), expected, "{text}");
        if let Some(new) = expected {
            assert_eq!(with_target(new, "x", &place).as_deref(), expected);
        }
    }
}

/// A chain of all scripts, each in the place of another's: no work that grows with the square.
#[test]
fn a_large_order_is_read_once() {
    let place = Place { after: &["s0", "s1", "s2"], before: &["s9999"] };
    let names: Vec<_> = (0..10_000).map(|at| format!("s{at}")).collect();
    let mut text = format!("TARGETS = {}\n", names.join(" "));
    names.windows(2).for_each(|pair| text.push_str(&format!("{}: {}\n", pair[0], pair[1])));
    let new = with_target(&text, "x", &place).unwrap();
    assert!(new.ends_with("s9998: s9999\ns9999: x\n"), "s0, s1 and s2 wait for s9999");
    assert!(with_target(&text.repeat(2), "x", &place).is_none(), "larger than any");
}
