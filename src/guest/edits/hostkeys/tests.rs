use std::process::Command;

use super::super::trial::{self, Outcome};
use super::*;
use crate::guest::facts::SshServer;
use crate::guest::memory::{Entry, MemoryTree};
use crate::guest::tree::Tree;

const DEBIAN_SCRIPT: &str = "#! /bin/sh\nset -e\nif test -f /etc/default/ssh; then\n    \
    . /etc/default/ssh\nfi\n";

fn guest(files: &[(&str, &str)]) -> MemoryTree {
    let mut tree = MemoryTree::of(files);
    for path in ["/usr/sbin/sshd", "/usr/bin/ssh-keygen"] {
        tree.file(path, "", 0o755);
    }
    for name in ["ssh_host_rsa_key", "ssh_host_rsa_key.pub", "ssh_host_key"] {
        tree.file(&format!("/etc/ssh/{name}"), "x", 0o600);
    }
    tree.file("/etc/ssh/sshd_config", "", 0o644);
    tree
}

fn run(tree: &mut MemoryTree, init: Init) -> Outcome {
    let mut facts = trial::facts();
    facts.init = init;
    trial::run(&EDIT, tree, &facts, &Default::default())
}

fn keys(tree: &MemoryTree) -> usize {
    let names = tree.list(Path::new("/etc/ssh")).unwrap();
    names.iter().filter(|name| name.to_string_lossy().starts_with("ssh_host_")).count()
}

#[test]
fn a_guest_that_makes_keys_needs_nothing_else() {
    for (path, text, init) in [
        (
            "/usr/lib/systemd/system/sshd-keygen@.service",
            "[Service]\nExecStart=/usr/libexec/openssh/sshd-keygen %i\n",
            Init::Systemd,
        ),
        (
            "/usr/lib/systemd/system/sshd.service",
            "[Service]\nExecStartPre=/usr/sbin/sshd-gen-keys-start\n",
            Init::Systemd,
        ),
        ("/etc/init.d/sshd", "ssh-keygen -A\n", Init::Openrc),
        ("/etc/sv/sshd/run", "ssh-keygen -A >/dev/null\n", Init::Runit),
    ] {
        let mut tree = guest(&[(path, text)]);
        let outcome = run(&mut tree, init);
        assert_eq!((outcome.paths().len(), keys(&tree)), (3, 0), "{path}");
    }
}

/// One that is masked, and one that runs only where there is no machine id at all.
#[test]
fn units_that_will_not_run_make_no_keys() {
    let name = "sshd-keygen.service";
    let first_boot = "[Unit]\nConditionFirstBoot=yes\n[Service]\nExecStart=ssh-keygen -A\n";
    let mut tree = guest(&[(&format!("/usr/lib/systemd/system/{name}"), first_boot)]);
    assert_eq!(run(&mut tree, Init::Systemd).paths().len(), 5);

    let always = first_boot.replace("ConditionFirstBoot=yes", "");
    let mut tree = guest(&[(&format!("/usr/lib/systemd/system/{name}"), &always)]);
    tree.device("/dev/null");
    tree.link(&format!("/etc/systemd/system/{name}"), "/dev/null");
    assert_eq!(run(&mut tree, Init::Systemd).paths().len(), 5);
}

#[test]
fn keys_at_places_of_their_own_are_told() {
    let mut tree = guest(&[("/srv/key", "x")]);
    tree.file("/etc/ssh/sshd_config", "HostKey /srv/key\nHostKey /srv/none\n", 0o644);
    assert_eq!(run(&mut tree, Init::Systemd).codes(), ["ssh-hostkeys-kept"]);
}

#[test]
fn systemd_gets_a_unit() {
    let mut tree = guest(&[
        ("/lib/systemd/system/ssh.service", "[Service]\nExecStart=/usr/sbin/sshd -D\n"),
        (
            "/lib/systemd/system/ssh@.service",
            "# sshd-keygen\n[Service]\nExecStart=/usr/sbin/sshd -i\n",
        ),
    ]);
    tree.link("/etc/systemd/system/sshd.service", "/lib/systemd/system/ssh.service");
    let outcome = run(&mut tree, Init::Systemd);
    assert_eq!(keys(&tree), 0);
    let unit = "/etc/systemd/system/stratus-ssh-hostkeys.service";
    let wants = |name| format!("/etc/systemd/system/{name}.wants/stratus-ssh-hostkeys.service");
    assert_eq!(outcome.paths()[..3], [unit, &wants("multi-user.target"), &wants("ssh.service")]);
    let link = tree.read_link(Path::new(&wants("ssh.service"))).unwrap().unwrap();
    assert_eq!(link, Path::new(unit));
}

/// systemd itself finds nothing wrong with the unit.
#[test]
fn systemd_understands_the_unit() {
    let mut tree = guest(&[]);
    run(&mut tree, Init::Systemd);
    let folder = tempfile::tempdir().unwrap();
    let unit = folder.path().join(UNIT);
    let text = tree.text("/etc/systemd/system/stratus-ssh-hostkeys.service").unwrap();
    std::fs::write(&unit, text).unwrap();
    let done = Command::new("systemd-analyze").arg("verify").arg("--man=no").arg(&unit).output();
    let done = done.expect("the judge systemd-analyze is missing: apt-get install systemd");
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success() && !said.contains(UNIT), "{said}");
}

#[test]
fn debian_with_sysv_or_openrc_gets_lines_in_its_defaults() {
    for init in [Init::Sysv, Init::Openrc] {
        let files = [("/etc/init.d/ssh", DEBIAN_SCRIPT), ("/etc/default/ssh", "SSHD_OPTS=")];
        let mut tree = guest(&files);
        run(&mut tree, init);
        assert_eq!(keys(&tree), 0);
        let text = tree.text("/etc/default/ssh").unwrap();
        assert!(text.starts_with("SSHD_OPTS=\n# stratus"), "{text}");
    }
}

#[test]
fn upstart_gets_a_job() {
    let mut tree = guest(&[("/etc/init/ssh.conf", "exec /usr/sbin/sshd -D\n")]);
    run(&mut tree, Init::Upstart);
    assert_eq!(keys(&tree), 0);
    assert!(tree.text(JOB).unwrap().contains("\nstart on starting ssh\ntask\nscript\n"));
}

/// The lines work under `set -e` in dash, make a key once, and shellcheck has nothing to say.
#[test]
fn the_shell_lines_make_keys() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().display().to_string();
    let keygen = folder.path().join("ssh-keygen");
    std::fs::write(&keygen, "#!/bin/sh\necho \"$*\" >>\"$0.log\"\n[ \"$1\" != -A ]\n").unwrap();
    let mode = <std::fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o755);
    std::fs::set_permissions(&keygen, mode).unwrap();
    let lines = shell(&keygen.display().to_string(), "").replace("/etc/ssh/", &format!("{place}/"));
    let script = folder.path().join("script");
    std::fs::write(&script, format!("#!/bin/sh\nset -e\n{lines}echo on\n")).unwrap();
    let check = Command::new("shellcheck").arg(&script).output();
    let check = check.expect("the judge shellcheck is missing: apt-get install shellcheck");
    assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stdout));
    let dash = || {
        let done = Command::new("dash").arg(&script).output();
        let done = done.expect("the judge dash is missing: apt-get install dash");
        assert_eq!(String::from_utf8_lossy(&done.stdout), "on\n");
        std::fs::read_to_string(folder.path().join("ssh-keygen.log")).unwrap()
    };
    let expected = format!("-A\n-q -t rsa -N  -f {place}/ssh_host_rsa_key\n");
    assert_eq!(dash(), expected);
    std::fs::write(folder.path().join("ssh_host_x_key"), "").unwrap();
    assert_eq!(dash(), expected);
}

#[test]
fn keys_that_would_not_come_back_are_kept() {
    for (files, init) in [
        (&[][..], Init::Busybox),
        (&[("/etc/init.d/ssh", "# . /etc/default/ssh\n")][..], Init::Sysv),
        (&[][..], Init::Upstart),
    ] {
        let mut tree = guest(files);
        let outcome = run(&mut tree, init);
        assert_eq!((keys(&tree), outcome.codes()), (3, vec!["ssh-hostkeys-kept"]));
    }
    let mut tree = guest(&[]);
    tree.remove(Path::new("/usr/bin/ssh-keygen")).unwrap();
    assert_eq!(run(&mut tree, Init::Systemd).codes(), ["ssh-hostkeys-kept"]);
}

#[test]
fn without_a_server_they_are_only_removed() {
    let mut tree = guest(&[("/etc/dropbear/dropbear_rsa_host_key", "x")]);
    tree.remove(Path::new("/usr/sbin/sshd")).unwrap();
    let mut facts = trial::facts();
    facts.ssh = None;
    let outcome = trial::run(&EDIT, &mut tree, &facts, &Default::default());
    assert_eq!((outcome.paths().len(), keys(&tree)), (4, 0));
}

#[test]
fn dropbear_makes_its_keys_if_it_is_told() {
    let key = "/etc/dropbear/dropbear_ed25519_host_key";
    let knows = "..-R\t\tCreate hostkeys as required..";
    for (program, script, after) in [
        (knows, "/usr/sbin/dropbear -R -p 22\n", Some("/usr/sbin/dropbear -R -p 22\n")),
        (knows, "/usr/sbin/dropbear -p 22\n", Some("/usr/sbin/dropbear -R -p 22\n")),
        ("old", "dropbearkey -t rsa -f x\ndropbear\n", Some("dropbearkey -t rsa -f x\ndropbear\n")),
        ("old", "/usr/sbin/dropbear -p 22\n", None),
        (knows, "echo\n", None),
    ] {
        let mut tree = MemoryTree::of(&[("/usr/sbin/dropbear", program), (key, "x")]);
        tree.file("/etc/init.d/S50dropbear", script, 0o755);
        let mut facts = trial::facts();
        (facts.ssh, facts.init) = (Some(SshServer::Dropbear), Init::Busybox);
        let outcome = trial::run(&EDIT, &mut tree, &facts, &Default::default());
        let now = tree.text("/etc/init.d/S50dropbear").unwrap();
        match after {
            Some(after) => assert_eq!((now.as_str(), tree.text(key)), (after, None)),
            None => {
                assert_eq!((now.as_str(), outcome.codes()), (script, vec!["ssh-hostkeys-kept"]))
            }
        }
    }
}

#[test]
fn keys_for_the_initramfs_go_and_are_told() {
    for folder in ["/etc/dropbear/initramfs", "/etc/dropbear-initramfs"] {
        let key = format!("{folder}/dropbear_rsa_host_key");
        let mut tree = MemoryTree::of(&[(&key, "x"), ("/usr/sbin/dropbear", "")]);
        tree.file("/usr/share/initramfs-tools/hooks/dropbear", "", 0o755);
        let outcome = trial::plain(&EDIT, &mut tree);
        assert_eq!((tree.text(&key), outcome.codes()), (None, vec!["initramfs-keys"]));
    }
}

/// With the context scripts nothing else is needed, and what was added without them goes.
#[test]
fn the_context_scripts_make_the_keys() {
    let debian = [("/etc/init.d/ssh", DEBIAN_SCRIPT), ("/etc/default/ssh", "SSHD_OPTS=\n")];
    for (files, init, former) in [
        (&[][..], Init::Systemd, "/etc/systemd/system/stratus-ssh-hostkeys.service"),
        (&[("/etc/init/ssh.conf", "")], Init::Upstart, JOB),
        (&debian, Init::Sysv, "/etc/default/ssh"),
        (&debian[..1], Init::Sysv, "/etc/default/ssh"),
    ] {
        let mut tree = guest(files);
        tree.dir("/etc/rcS.d");
        let mut expected = tree.clone();
        run(&mut tree, init);
        assert!(tree.text(former).unwrap().contains(MARK));
        let facts = crate::guest::facts::Facts { init, ..trial::facts() };
        let scripts = context_scripts::EDIT;
        for tree in [&mut tree, &mut expected] {
            trial::run(&scripts, tree, &facts, &Default::default());
            run(tree, init);
            assert_eq!(keys(tree), 0);
        }
        let is_dir = |entry: &Entry| matches!(entry, Entry::Dir(_));
        tree.0.retain(|_, entry| !is_dir(entry));
        expected.0.retain(|_, entry| !is_dir(entry));
        assert!(tree == expected, "{former}");
    }
}

/// Too late for the server: there they are made by none.
#[test]
fn context_scripts_that_run_late_make_no_keys() {
    let mut tree = guest(&[("/etc/rc.local", "#!/bin/sh\n")]);
    let facts = crate::guest::facts::Facts { init: Init::Runit, ..trial::facts() };
    trial::run(&context_scripts::EDIT, &mut tree, &facts, &Default::default());
    assert_eq!(run(&mut tree, Init::Runit).codes(), ["ssh-hostkeys-kept"]);
}

#[test]
fn the_context_scripts_make_keys_for_an_old_dropbear() {
    let key = "/etc/dropbear/dropbear_rsa_host_key";
    for (tool, kept) in [("/usr/bin/dropbearkey", false), ("/usr/bin/other", true)] {
        let mut tree = MemoryTree::of(&[("/usr/sbin/dropbear", "old"), (key, "x"), (tool, "")]);
        let mut facts = trial::facts();
        facts.ssh = Some(SshServer::Dropbear);
        trial::run(&context_scripts::EDIT, &mut tree, &facts, &Default::default());
        trial::run(&EDIT, &mut tree, &facts, &Default::default());
        assert_eq!(tree.text(key).is_some(), kept, "{tool}");
    }
}
