use super::*;

#[test]
fn names_of_variables() {
    for name in ["A", "_X", "APP_PORT2", "CTX_PATH", "LDAP", "ENABLE", "PS", "PS10"] {
        assert_eq!(check_variable(name, b"x\n'").unwrap(), None, "{name}");
    }
    for name in ["a", "App"] {
        assert_eq!(check_variable(name, b"").unwrap().unwrap().code, "context-var-case");
    }
    for name in ["", "1A", "A-B", "A B", "A=", "é", "enable", "run_exec", "stage", "run_timeout"] {
        assert_eq!(check_variable(name, b"").unwrap_err().code(), "context-variable", "{name}");
    }
    for name in [
        "PATH",
        "IFS",
        "ENV",
        "BASH_ENV",
        "HOME",
        "PWD",
        "UID",
        "PS4",
        "LD_PRELOAD",
        "_",
        "MOUNT_DIR",
    ] {
        assert_eq!(check_variable(name, b"").unwrap_err().kind(), Kind::Usage, "{name}");
    }
    assert!(check_variable("A", b"a\0b").is_err());
}

/// The patterns of the shell function that keeps defaults of reserved names from arriving.
fn reserved_by_the_program() -> Vec<&'static str> {
    let values = include_str!("values.sh");
    let (_, function) = values.split_once("\nreserved_name() {\n  case $1 in\n").unwrap();
    let (cases, _) = function.split_once("\n  *) return 1 ;;\n").unwrap();
    let lists = cases.lines().map(|line| line.trim().strip_suffix(") ;;").unwrap());
    lists.flat_map(|list| list.split('|')).map(str::trim).collect()
}

/// Else a default would be in the image, and silently never arrive.
#[test]
fn what_the_program_reserves_is_refused() {
    let patterns = reserved_by_the_program();
    for known in ["PATH", "PS[0-9]", "BASH*", "NODE_OPTIONS"] {
        assert!(patterns.contains(&known), "{known}");
    }
    for pattern in patterns {
        let names = match pattern.split_once(['*', '[']) {
            None => vec![pattern.to_owned()],
            Some((beginning, "")) => ["", "X", "_X1"].map(|end| format!("{beginning}{end}")).into(),
            Some((beginning, "0-9]")) => (0..=9).map(|end| format!("{beginning}{end}")).collect(),
            Some(_) => panic!("a new form of pattern: {pattern}"),
        };
        for name in names {
            assert_eq!(
                check_variable(&name, b"").unwrap_err().code(),
                "context-variable",
                "{name}"
            );
        }
    }
}

#[test]
fn names_of_scripts() {
    let taken = ["one".to_owned()];
    for (stem, name) in
        [("my app.v2", "my-app-v2"), ("A_b-1", "A_b-1"), ("é../x", "x"), ("-a-", "a")]
    {
        assert_eq!(check_script_name(stem, &taken).unwrap(), name);
    }
    for stem in ["", "..", "é", "password", "GrowRoot", "quattor", "One", "-"] {
        let error = check_script_name(stem, &taken).unwrap_err();
        assert_eq!((error.kind(), error.code()), (Kind::Usage, "context-script"), "{stem}");
    }
    assert!(check_script_name(&"x".repeat(5000), &[]).unwrap().len() < 255 - 12);
}

/// No path twice, and every program has its first line.
#[test]
fn the_bundle_is_whole() {
    let files = [BUNDLE, RANDOM_PASSWORD, GROW_ROOT].concat();
    let paths: std::collections::BTreeSet<_> = files.iter().map(|file| file.path).collect();
    assert_eq!(paths.len(), files.len());
    for file in files {
        assert!(file.content.ends_with('\n'), "{}", file.path);
        let is_program = file.mode == 0o755;
        assert_eq!(is_program, file.content.starts_with("#!/bin/sh\n"), "{}", file.path);
        assert_eq!(is_program, !file.configuration);
    }
}
