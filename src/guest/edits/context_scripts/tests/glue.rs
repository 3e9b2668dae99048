//! The scripts of the glue, by those who know the shell.

use super::*;

/// Everything that a shell runs.
fn scripts() -> Vec<(String, String)> {
    let mut scripts = Vec::new();
    let mut trees = Vec::new();
    let mut tree = MemoryTree::default();
    ["/etc/rcS.d", "/etc/init.d"].iter().for_each(|folder| tree.dir(folder));
    trees.push((Init::Sysv, tree));
    trees.push((Init::Upstart, MemoryTree::of(&[("/etc/init/rc.conf", "")])));
    trees.push((Init::Openrc, MemoryTree::of(&[("/sbin/openrc-run", ""), ("/etc/init.d/x", "")])));
    trees.push((Init::Busybox, MemoryTree::of(&[("/etc/init.d/rcS", "/etc/init.d/S??*")])));
    trees.push((Init::Unknown, MemoryTree::of(&[("/etc/rc.local", "#!/bin/sh\nexit 0\n")])));
    let mut tree = MemoryTree::default();
    tree.dir("/etc/local.d");
    trees.push((Init::Runit, tree));
    for (init, mut tree) in trees {
        let outcome = run(&mut tree, init);
        let mut paths = outcome.paths();
        paths.dedup();
        for path in paths.into_iter().filter(|path| target(&tree, path).is_none()) {
            let text = tree.text(path).unwrap_or_default();
            if text.starts_with("#!") && !path.starts_with("/usr/bin/") {
                scripts.push((path.to_owned(), text));
            } else if let Some((_, script)) = text.split_once("\nscript\n") {
                let (script, _) = script.split_once("end script").unwrap();
                scripts.push((path.to_owned(), format!("#!/bin/sh\nset -e\n{script}")));
            }
        }
    }
    assert_eq!(scripts.len(), 9, "{scripts:?}");
    scripts
}

#[test]
fn every_shell_reads_them() {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in scripts() {
        let file = folder.path().join(path.rsplit('/').next().unwrap());
        let name = file.to_str().unwrap();
        // OpenRC's own program runs them in a shell.
        let text = text.replace("#!/sbin/openrc-run", "#!/bin/sh");
        std::fs::write(&file, &text).unwrap();
        for (package, shell) in [("dash", "dash"), ("bash", "bash"), ("busybox", "busybox")] {
            let arguments =
                if shell == "busybox" { &["sh", "-n", name][..] } else { &["-n", name] };
            assert_eq!(content(package, shell, arguments), "", "{path}");
        }
        // OpenRC reads `description`.
        content("shellcheck", "shellcheck", &["-s", "sh", "-e", "SC2034", name]);
        assert!(text.lines().count() <= 40, "{path} is no small file");
    }
}

/// No medium is no failure; anything else is.
#[test]
fn init_scripts_pass_on_what_happened() {
    let mut tree = MemoryTree::default();
    ["/etc/rcS.d", "/etc/init.d"].iter().for_each(|folder| tree.dir(folder));
    run(&mut tree, Init::Sysv);
    for name in ["stratuslab-one-context-early", "stratuslab-one-context"] {
        let text = tree.text(&format!("/etc/init.d/{name}")).unwrap();
        for (code, passed) in [(0, true), (1, true), (2, false), (3, false), (64, false)] {
            let script =
                text.replace(&format!("\t{PROGRAM_PATH} "), &format!("\tsh -c 'exit {code}' "));
            for action in ["start", "stop"] {
                let done = std::process::Command::new("dash")
                    .args(["-c", &script, name, action])
                    .status()
                    .expect("the judge dash is missing: apt-get install dash");
                assert_eq!(done.success(), passed || action == "stop", "{name} {code} {action}");
            }
        }
    }
}
