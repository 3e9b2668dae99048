//! The shape of the program: who may use whom, who may print, how long a file may get.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Each part, and the parts it may use. A part that is not here does not exist; some are only
/// planned.
const MAY_USE: &[(&str, &[&str])] = &[
    ("error", &[]),
    ("control", &["error"]),
    ("digest", &["error"]),
    ("files", &["error"]),
    ("disk", &["digest", "error"]),
    ("guest", &["disk", "digest", "error"]),
    ("machine", &["disk", "digest", "error"]),
    ("metadata", &["files", "digest", "error"]),
    ("publish", &["metadata", "control", "files", "digest", "error"]),
    ("market", &["metadata", "publish", "control", "files", "digest", "error"]),
    (
        "pipeline",
        &["publish", "metadata", "guest", "machine", "disk", "control", "files", "digest", "error"],
    ),
    (
        "cli",
        &[
            "pipeline", "market", "publish", "metadata", "guest", "machine", "disk", "control",
            "files", "digest", "error",
        ],
    ),
    ("bin", &["cli"]),
];

/// Longer than this is a file that nobody reads to its end.
const MOST_LINES: usize = 400;

/// Files that may be longer, and why.
const LONGER: &[(&str, usize, &str)] = &[
    ("disk/vdi/header.rs", 520, "one table of the format's fields and one check for each"),
    ("pipeline/mod.rs", 420, "the straight line of the program"),
    ("pipeline/gzip/joint.rs", 500, "a scanner whose tables and loop belong together; tests below"),
    ("pipeline/verify.rs", 450, "all that reads an image again, in one place"),
    ("pipeline/export.rs", 450, "the threads of the one pass, seen together"),
    ("pipeline/journal.rs", 420, "the form of the journal; half of it are tests"),
];

/// Crates that only the command line may use.
const ONLY_CLI: [&str; 5] = ["clap", "indicatif", "rpassword", "signal_hook", "toml"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All source files: path below `src`, and text.
fn sources() -> Vec<(String, String)> {
    let mut folders = vec![root().join("src")];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let name = path.strip_prefix(root().join("src")).unwrap().to_string_lossy();
                found.push((name.into_owned(), fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found.sort();
    assert!(found.len() > 20, "{found:?}");
    found
}

/// The part of the program that a file belongs to.
fn part(file: &str) -> &str {
    file.split(['/', '.']).next().unwrap()
}

/// The code of a text, without comments.
fn code(text: &str) -> String {
    text.lines().map(|line| line.split("//").next().unwrap()).collect::<Vec<_>>().join("\n")
}

/// The first names behind every `prefix::`, also inside braces: `crate::{a::b, c}` has a and c.
fn names_behind(code: &str, prefix: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    for (at, _) in code.match_indices(&format!("{prefix}::")) {
        if code[..at].ends_with(is_name) {
            continue;
        }
        let rest = &code[at + prefix.len() + 2..];
        let Some(inside) = rest.strip_prefix('{') else {
            names.insert(rest.chars().take_while(|c| is_name(*c)).collect());
            continue;
        };
        let (mut depth, mut name) = (0, String::new());
        for c in inside.chars() {
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => drop(names.insert(std::mem::take(&mut name))),
                _ if depth == 0 => name.push(c),
                _ => {}
            }
        }
        names.insert(name);
    }
    let first = |name: &String| name.trim().split("::").next().unwrap().trim().to_owned();
    names.iter().map(first).filter(|name| !name.is_empty()).collect()
}

#[test]
fn the_names_behind_a_prefix_are_found() {
    let code = "use crate::a::b; use crate::{c::{d, e}, f,\n g}; crate::h(); mycrate::i();";
    let expected = ["a", "c", "f", "g", "h"].map(str::to_owned).into();
    assert_eq!(names_behind(code, "crate"), expected);
}

#[test]
fn every_part_uses_only_what_is_below_it() {
    let rules: BTreeMap<_, _> = MAY_USE.iter().copied().collect();
    let mut seen = 0;
    for (file, text) in sources() {
        if file == "lib.rs" {
            continue;
        }
        let part = part(&file);
        let allowed = rules.get(part).unwrap_or_else(|| panic!("{file}: no rule for {part}"));
        let prefix = if part == "bin" { "stratus" } else { "crate" };
        for used in names_behind(&code(&text), prefix) {
            seen += 1;
            assert!(
                used == part || allowed.contains(&used.as_str()),
                "{file} uses {used}, which is not below {part}"
            );
        }
    }
    assert!(seen > 50, "only {seen} uses found");
}

/// A path that climbs by `super` out of its own part would escape the rule above.
#[test]
fn nobody_climbs_out_of_a_part() {
    for (file, text) in sources() {
        // error.rs is at depth 1, disk/mod.rs at 1, disk/vdi/mod.rs at 2, disk/vdi/map.rs at 3.
        let steps = file.split('/').count();
        let depth = if file.ends_with("/mod.rs") { steps - 1 } else { steps };
        // A module of tests inside the file is one step deeper.
        let climb = "super::".repeat(depth + usize::from(text.contains("mod tests {")));
        assert!(!code(&text).contains(&climb), "{file} climbs out of its part by {climb}");
    }
}

#[test]
fn only_the_command_line_prints_and_parses() {
    for (file, text) in sources() {
        let code = code(&text);
        for word in ["println!", "eprintln!", "print!", "eprint!"] {
            let printed = code.match_indices(word).any(|(at, _)| {
                // In tests they may.
                !code[..at].contains("#[cfg(test)]") && !file.ends_with("tests.rs")
            });
            assert!(!printed, "{file} has {word}: cli/talk.rs prints");
        }
        if matches!(part(&file), "cli" | "bin") {
            continue;
        }
        for name in ONLY_CLI {
            assert!(!code.contains(&format!("{name}::")), "{file} uses {name}");
        }
        for stream in ["stdout()", "stderr()", "process::exit", "env::args"] {
            assert!(!code.contains(stream), "{file} uses {stream}");
        }
    }
}

#[test]
fn no_file_is_longer_than_it_may_be() {
    let mut excused = BTreeSet::new();
    for (file, text) in sources() {
        let lines = text.lines().count();
        let excuse = LONGER.iter().find(|(name, ..)| *name == file);
        if lines > MOST_LINES && excuse.is_some() {
            excused.insert(file.clone());
        }
        let most = excuse.map_or(MOST_LINES, |(_, most, _)| *most);
        assert!(lines <= most, "{file} has {lines} lines, at most {most}: divide it");
    }
    assert!(LONGER.iter().all(|(_, _, why)| why.len() > 20));
}

/// Names of the crates in one table of a manifest.
fn dependencies(manifest: &Path, table: &str) -> Vec<String> {
    let text = fs::read_to_string(manifest).unwrap();
    let manifest: toml::Table = text.parse().unwrap();
    let table = manifest.get(table).and_then(|table| table.as_table());
    table.into_iter().flat_map(|table| table.keys().cloned()).collect()
}

#[test]
fn every_dependency_is_explained() {
    let text = fs::read_to_string(root().join("docs/dependencies.md")).unwrap();
    let manifest = root().join("Cargo.toml");
    let mut names = dependencies(&manifest, "dependencies");
    assert!(names.len() > 5, "{names:?}");
    names.extend(dependencies(&manifest, "dev-dependencies"));
    names.extend(dependencies(&root().join("fuzz/Cargo.toml"), "dependencies"));
    for name in names.iter().filter(|name| *name != "stratus-convert") {
        let row = |line: &str| {
            line.starts_with('|')
                && line.split('|').nth(1).is_some_and(|cell| cell.contains(&format!("`{name}`")))
        };
        assert!(text.lines().any(row), "docs/dependencies.md has no line for {name}");
    }
    // What the core alone is said to leave out is what only the command line uses.
    for name in ONLY_CLI {
        assert!(names.contains(&name.replace('_', "-")), "{name} is no dependency any more");
    }
}

/// Every fuzz target is run by the test command.
#[test]
fn every_fuzz_target_is_run() {
    let run = fs::read_to_string(root().join("tests/run")).unwrap();
    let targets: Vec<PathBuf> = fs::read_dir(root().join("fuzz/fuzz_targets"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert!(!targets.is_empty());
    for target in targets {
        let name = target.file_stem().unwrap().to_string_lossy().into_owned();
        assert!(
            run.contains(&format!("fuzz {name} 60")) || run.contains(&format!("fuzz {name} 10"))
        );
    }
}
