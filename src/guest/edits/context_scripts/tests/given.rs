use proptest::prelude::*;

use super::*;
use crate::guest::context::ContextScript;

const DEFAULTS: &str = "/etc/stratuslab/conf.d/zz-defaults.context";

fn var(name: &str, value: &[u8]) -> (String, Vec<u8>) {
    (name.to_owned(), value.to_owned())
}

fn vars(list: &[(&str, &[u8])]) -> EditOptions {
    let context_vars = list.iter().map(|(name, value)| var(name, value)).collect();
    EditOptions { context_vars, ..EditOptions::default() }
}

#[test]
fn defaults_are_merged() {
    let mut tree = MemoryTree::default();
    with_options(&mut tree, Init::Systemd, &vars(&[("A", b"1"), ("B", b"it's\n#2"), ("A", b"2")]));
    let head = "# Defaults of this image. What the cloud gives goes before them.\n";
    assert_eq!(tree.text(DEFAULTS).unwrap(), format!("{head}B='it'\\''s\n#2'\nA='2'\n"));
    let by_hand = tree.text(DEFAULTS).unwrap() + "D=x # don't\n# it's mine\nexport E=5";
    tree.file(DEFAULTS, &by_hand, 0o644);
    with_options(&mut tree, Init::Systemd, &vars(&[("B", b""), ("D", b"4")]));
    let expected = format!("{head}A='2'\n# it's mine\nexport E=5\nB=''\nD='4'\n");
    assert_eq!(tree.text(DEFAULTS).unwrap(), expected);
    // And who gives none leaves them.
    run(&mut tree, Init::Systemd);
    assert_eq!(tree.text(DEFAULTS).unwrap(), expected);
}

/// Else one would replace the other.
#[test]
fn two_actions_cannot_have_one_name() {
    let script = |name: &str| ContextScript { name: name.into(), ..ContextScript::default() };
    let context_scripts = vec![script("app"), script("App")];
    let options = EditOptions { context_scripts, ..EditOptions::default() };
    let mut tree = MemoryTree::default();
    let done = trial::once(&EDIT, &mut tree, &trial::facts(), &options);
    assert_eq!(done.unwrap_err().code(), "context-script");
}

#[test]
fn actions_are_installed() {
    let script = ContextScript {
        name: "my-app".into(),
        content: b"#!/bin/sh\necho \xff\n".to_vec(),
        variables: vec![var("APP_PORT", b"80"), var("APP_TEXT", b"\xe9'")],
    };
    let options = EditOptions { context_scripts: vec![script.clone()], ..EditOptions::default() };
    let mut tree = MemoryTree::default();
    let outcome = with_options(&mut tree, Init::Systemd, &options);
    let (action, context) =
        ("/usr/lib/stratuslab/actions/my-app", "/etc/stratuslab/conf.d/60-my-app.context");
    assert!(outcome.paths().contains(&action) && outcome.paths().contains(&context));
    assert_eq!(tree.read(Path::new(action), 100).unwrap().unwrap(), script.content);
    assert_eq!((mode(&tree, action), mode(&tree, context)), (Some(0o755), Some(0o644)));
    let text = tree.read(Path::new(context), 1000).unwrap().unwrap();
    let expected = b"# An action of this image.\nenable=yes\n\
        run_exec=/usr/lib/stratuslab/actions/my-app\nAPP_PORT='80'\nAPP_TEXT='\xe9'\\'''\n";
    assert_eq!(text, expected);
}

#[test]
fn names_are_checked_and_lower_case_is_told() {
    let mut tree = MemoryTree::default();
    let options = vars(&[("foo", b"1"), ("BAR", b"2"), ("foo", b"3")]);
    assert_eq!(with_options(&mut tree, Init::Systemd, &options).codes(), ["context-var-case"]);
    for options in [
        vars(&[("PATH", b"x")]),
        vars(&[("A\nrm -rf /\n", b"x")]),
        EditOptions {
            context_scripts: vec![ContextScript { name: "apache".into(), ..Default::default() }],
            ..EditOptions::default()
        },
    ] {
        let done = trial::once(&EDIT, &mut MemoryTree::default(), &trial::facts(), &options);
        assert_eq!(done.unwrap_err().kind(), Kind::Usage);
    }
}

/// What the shells make of a file of assignments.
fn sourced(shell: &[&str], file: &str, names: &[String]) -> Vec<u8> {
    let print: String = names.iter().map(|name| format!("printf '%s\\0' \"${name}\"; ")).collect();
    let mut command = std::process::Command::new(shell[0]);
    let script = format!(". \"$1\"; {print}");
    command.args(&shell[1..]).args(["-c", &script, "x", file]).env("LC_ALL", "C");
    let done = command.output().unwrap_or_else(|e| panic!("{e}: apt-get install {}", shell[0]));
    assert!(done.status.success() && done.stderr.is_empty(), "{done:?}");
    done.stdout
}

const SHELLS: [&[&str]; 3] = [&["dash"], &["bash", "--posix"], &["busybox", "sh"]];

fn assert_literal(values: &[Vec<u8>]) {
    let names: Vec<String> = (0..values.len()).map(|number| format!("V{number}")).collect();
    let context_vars = names.iter().cloned().zip(values.iter().cloned()).collect();
    let options = EditOptions { context_vars, ..EditOptions::default() };
    let mut tree = MemoryTree::default();
    with_options(&mut tree, Init::Systemd, &options);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("defaults");
    std::fs::write(&file, tree.read(Path::new(DEFAULTS), 1 << 20).unwrap().unwrap()).unwrap();
    let expected: Vec<u8> =
        values.iter().flat_map(|value| [value.as_slice(), b"\0"].concat()).collect();
    for shell in SHELLS {
        assert_eq!(sourced(shell, file.to_str().unwrap(), &names), expected, "{shell:?}");
    }
}

#[test]
fn values_are_literal_in_every_shell() {
    let values: [&[u8]; 12] = [
        b"",
        b"$(touch /tmp/x) `id` $HOME",
        b"'",
        b"''\\''",
        b"\"\\\\\n\nA=1\n",
        b"\r\n\t ~ * ? [a]",
        b"\\",
        b"\\'",
        b"#!x; exit 1",
        b"\xff\xfe\x80 \xc3\xa9 \xe2\x82\xac",
        b"\x01\x1b[2J\x7f",
        b"' ; exit 3 ; '",
    ];
    assert_literal(&values.map(<[u8]>::to_vec));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_value_is_literal(
        values in proptest::collection::vec(proptest::collection::vec(1_u8..=255, 0..40), 1..20)
    ) {
        assert_literal(&values);
    }
}
