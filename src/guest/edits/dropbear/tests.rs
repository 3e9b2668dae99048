use super::super::sshd::EDIT;
use super::super::trial;
use super::*;
use crate::guest::memory::MemoryTree;

const MYDISK: &str = "#!/bin/sh\n\
    # SSH server; settings in /etc/default/dropbear.\n\
    DROPBEAR_PORT=22\n\
    DROPBEAR_EXTRA_ARGS=\n\
    [ -r /etc/default/dropbear ] && . /etc/default/dropbear\n\
    case \"$1\" in\n\
    start) /usr/sbin/dropbear -R -p \"$DROPBEAR_PORT\" $DROPBEAR_EXTRA_ARGS ;;\n\
    stop) killall dropbear ;;\n\
    esac\n";

fn edited(path: &str, text: &str) -> (MemoryTree, Vec<String>) {
    let mut tree = MemoryTree::of(&[("/usr/sbin/dropbear", ""), (path, text)]);
    let mut facts = trial::facts();
    facts.ssh = Some(SshServer::Dropbear);
    let outcome = trial::run(&EDIT, &mut tree, &facts, &Default::default());
    (tree, outcome.codes().into_iter().map(str::to_owned).collect())
}

#[test]
fn flags_are_found_among_others() {
    for options in ["-s", "-msg", "-R -p 22 -s", "-p22 -ms", "\"-s\"", "-W 65536 -gs"] {
        assert!(has_flag(options, 's'), "{options}");
    }
    for options in ["", "-p -s", "-ps", "s", "-R -b /x/-s", "-r -s -R"] {
        assert!(!has_flag(options, 's'), "{options}");
    }
}

#[test]
fn debians_variable_is_set() {
    let (tree, codes) = edited("/etc/init.d/S50dropbear", MYDISK);
    assert_eq!(tree.text("/etc/default/dropbear").unwrap(), "DROPBEAR_EXTRA_ARGS=\"-s\"\n");
    assert_eq!(tree.text("/etc/init.d/S50dropbear").unwrap(), MYDISK);
    assert_eq!(codes, [""; 0]);
}

#[test]
fn alpine_and_ttylinux_have_theirs() {
    let alpine = "#!/sbin/openrc-run\ncommand=\"/usr/sbin/dropbear\"\n\
        command_args=\"${DROPBEAR_OPTS}\"\n";
    let (tree, codes) = edited("/etc/init.d/dropbear", alpine);
    assert_eq!(tree.text("/etc/conf.d/dropbear").unwrap(), "DROPBEAR_OPTS=\"-s\"\n");
    assert_eq!(codes, [""; 0]);

    let ttylinux = "#!/bin/sh\n. /etc/sysconfig/ssh\ndropbear ${SSHD_OPTIONS}\n";
    let (tree, codes) = edited("/etc/rc.d/init.d/ssh", ttylinux);
    assert_eq!(tree.text("/etc/sysconfig/ssh").unwrap(), "SSHD_OPTIONS=\"-s\"\n");
    assert_eq!(codes, [""; 0]);
}

#[test]
fn a_direct_start_gets_the_flag_itself() {
    for (path, before, after) in [
        ("/etc/inittab", "::respawn:/usr/sbin/dropbear -F -R\n", "/usr/sbin/dropbear -s -F -R\n"),
        ("/etc/rc.local", "[ -x /usr/sbin/dropbear ] && dropbear -R\n", "&& dropbear -s -R\n"),
        ("/etc/init.d/rcS", "/usr/sbin/dropbear", "/usr/sbin/dropbear -s"),
        ("/etc/init.d/rcS", "dropbear;\n", "dropbear -s;\n"),
        (
            "/etc/init.d/S50dropbear",
            "start-stop-daemon -S -q -x /usr/sbin/dropbear -- -R\n\
             start-stop-daemon -K -q -x /usr/sbin/dropbear\n",
            "-- -s -R\nstart-stop-daemon -K -q -x /usr/sbin/dropbear\n",
        ),
        ("/etc/init.d/d", "DAEMON=/usr/sbin/dropbear\n$DAEMON -p 22\n", "\n$DAEMON -s -p 22\n"),
        (
            "/usr/lib/systemd/system/dropbear.service",
            "[Service]\nExecStart=/usr/sbin/dropbear -F\n",
            "ExecStart=/usr/sbin/dropbear -s -F\n",
        ),
    ] {
        let (tree, codes) = edited(path, before);
        let now = tree.text(path).unwrap();
        assert!(now.ends_with(after), "{before:?} became {now:?}");
        assert_eq!(codes, [""; 0], "{before}");
    }
}

#[test]
fn a_start_that_is_not_understood_is_told() {
    for (path, text) in [
        ("/etc/init.d/x", "killall dropbear\n"),
        ("/etc/init.d/x", "start-stop-daemon -S -x /usr/sbin/dropbear\n"),
        ("/etc/hostname", "x\n"),
    ] {
        let (tree, codes) = edited(path, text);
        assert_eq!(codes, ["dropbear-passwords"], "{text}");
        assert_eq!(tree.text(path).unwrap(), text);
    }
}

/// Only for the initramfs, beside OpenSSH.
#[test]
fn a_dropbear_that_nothing_starts_needs_no_warning() {
    let mut tree = MemoryTree::of(&[("/usr/sbin/dropbear", ""), ("/usr/sbin/sshd", "")]);
    assert_eq!(trial::plain(&EDIT, &mut tree).codes(), [""; 0]);
    tree.file("/etc/init.d/x", "start-stop-daemon -S -x /usr/sbin/dropbear\n", 0o755);
    assert_eq!(trial::plain(&EDIT, &mut tree).codes(), ["dropbear-passwords"]);
}
