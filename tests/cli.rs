//! The command line, as dialogues: each file in `tests/cli/` is one. `tests/cli/README.md` says
//! what can stand in them.

mod common;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::vdi::{Block, Vdi};
use common::{PROGRAM, PUBLISH, folder, judge, names, noise, stratus, testdata};
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Dialogue {
    /// Why this must be so.
    about: String,
    #[serde(default)]
    files: BTreeMap<String, String>,
    run: Vec<Run>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Run {
    change: Vec<String>,
    args: Vec<String>,
    publish: Option<Vec<String>>,
    env: BTreeMap<String, String>,
    shell: Option<String>,
    terminal: bool,
    exit: i32,
    stdout: Option<String>,
    stderr: Option<String>,
    stdout_has: Vec<String>,
    stderr_has: Vec<String>,
    stdout_lacks: Vec<String>,
    stderr_lacks: Vec<String>,
    json: BTreeMap<String, toml::Value>,
    json_from: String,
    files: Option<Vec<String>>,
}

impl Default for Run {
    fn default() -> Self {
        Run {
            change: Vec::new(),
            args: Vec::new(),
            publish: None,
            env: BTreeMap::new(),
            shell: None,
            terminal: false,
            exit: 0,
            stdout: None,
            stderr: None,
            stdout_has: Vec::new(),
            stderr_has: Vec::new(),
            stdout_lacks: Vec::new(),
            stderr_lacks: Vec::new(),
            json: BTreeMap::new(),
            json_from: "stdout".to_owned(),
            files: None,
        }
    }
}

#[test]
fn dialogues() {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli");
    let files: Vec<_> = names(&place).into_iter().filter(|name| name.ends_with(".toml")).collect();
    assert!(files.len() >= 40, "only {} dialogues in {}", files.len(), place.display());
    let next = AtomicUsize::new(0);
    let wrong = Mutex::new(Vec::new());
    let work = || {
        while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
            let text = fs::read_to_string(place.join(file)).unwrap();
            let dialogue: Dialogue =
                toml::from_str(&text).unwrap_or_else(|e| panic!("{file}: {e}"));
            if let Err(why) = dialogue.hold() {
                wrong.lock().unwrap().push(format!("{file} ({})\n{why}", dialogue.about));
            }
        }
    };
    // They wait more than they work.
    std::thread::scope(|scope| (0..4).for_each(|_| drop(scope.spawn(work))));
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{} dialogues went wrong:\n\n{}", wrong.len(), wrong.join("\n\n"));
}

impl Dialogue {
    fn hold(&self) -> Result<(), String> {
        let folder = folder();
        for (name, what) in &self.files {
            make(&folder.path().join(raw(name)), what);
        }
        for (number, run) in self.run.iter().enumerate() {
            for change in &run.change {
                alter(folder.path(), change);
            }
            let output = run.output(folder.path());
            run.check(&output, folder.path()).map_err(|why| {
                format!(
                    "  run {}: {why}\n  exit: {:?}\n  stdout: {}\n  stderr: {}",
                    number + 1,
                    output.status.code(),
                    shown(&output.stdout),
                    shown(&output.stderr)
                )
            })?;
        }
        Ok(())
    }
}

fn shown(bytes: &[u8]) -> String {
    format!("{:?}", String::from_utf8_lossy(&bytes[..bytes.len().min(3000)]))
}

impl Run {
    fn output(&self, folder: &Path) -> Output {
        let mut command = match &self.shell {
            Some(script) => {
                let mut shell = clean(Command::new("bash"), folder);
                shell.args(["-c", script]);
                shell
            }
            None if self.terminal => {
                let words = std::iter::once(PROGRAM).chain(self.args.iter().map(String::as_str));
                let line: Vec<_> = words.map(|word| format!("'{word}'")).collect();
                let mut terminal = clean(judge("script", "bsdutils"), folder);
                terminal.args(["-qec", &line.join(" "), "/dev/null"]);
                terminal
            }
            None => {
                let (program, args) = match &self.publish {
                    Some(args) => (PUBLISH, args),
                    None => (PROGRAM, &self.args),
                };
                let mut command = clean(Command::new(program), folder);
                command.args(args.iter().map(|arg| raw(&arg.replace("{dir}", &text(folder)))));
                command
            }
        };
        command.envs(self.env.iter().map(|(k, v)| (k, v.replace("{dir}", &text(folder)))));
        command.stdin(std::process::Stdio::null()).output().unwrap()
    }

    fn check(&self, output: &Output, folder: &Path) -> Result<(), String> {
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.code() != Some(self.exit) {
            return Err(format!("the exit code is not {}", self.exit));
        }
        let filled = |text: &String| text.replace("{dir}", &folder.to_string_lossy());
        for (name, found, exact, has, lacks) in [
            ("stdout", &stdout, &self.stdout, &self.stdout_has, &self.stdout_lacks),
            ("stderr", &stderr, &self.stderr, &self.stderr_has, &self.stderr_lacks),
        ] {
            if let Some(exact) = exact
                && *found != filled(exact)
            {
                return Err(format!("{name} is not {:?}", filled(exact)));
            }
            if let Some(absent) = has.iter().map(filled).find(|part| !found.contains(part)) {
                return Err(format!("{name} has no {absent:?}"));
            }
            if let Some(there) = lacks.iter().map(filled).find(|part| found.contains(part)) {
                return Err(format!("{name} has {there:?}"));
            }
        }
        let json = if self.json_from == "stderr" { &stderr } else { &stdout };
        if !self.json.is_empty() {
            check_json(json, &self.json, &text(folder))?;
        }
        if let Some(files) = &self.files
            && names(folder) != *files
        {
            return Err(format!("the files are {:?}, not {files:?}", names(folder)));
        }
        Ok(())
    }
}

/// Every line is a JSON object; the last one has `expected` at these dotted paths.
fn check_json(
    text: &str,
    expected: &BTreeMap<String, toml::Value>,
    folder: &str,
) -> Result<(), String> {
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).map_err(|e| format!("no JSON ({e}): {line}")))
        .collect::<Result<_, _>>()?;
    if !text.ends_with('\n') || lines.iter().any(|line| !line.is_object()) {
        return Err("not one JSON object a line".to_owned());
    }
    for (path, expected) in expected {
        let pointer = format!("/{}", path.replace('.', "/"));
        let found = lines.last().and_then(|line| line.pointer(&pointer));
        let right = match (expected.as_str(), found) {
            (Some("<absent>"), found) => found.is_none(),
            (Some("<null>"), found) => found == Some(&Value::Null),
            (Some("<some>"), found) => found.is_some_and(|value| !value.is_null()),
            (Some(text), found) => found == Some(&Value::from(text.replace("{dir}", folder))),
            (None, found) => found == Some(&serde_json::to_value(expected).unwrap()),
        };
        if !right {
            return Err(format!("{path} is {found:?}, not {expected:?}"));
        }
    }
    Ok(())
}

/// The environment of a test: nothing but a path, a home and the program's name.
fn clean(mut command: Command, folder: &Path) -> Command {
    command.current_dir(folder).env_clear().env("PATH", std::env::var_os("PATH").unwrap());
    command.env("HOME", folder).env("XDG_CONFIG_HOME", folder.join("no-config"));
    command.env("STRATUS", PROGRAM).env("PUBLISH", PUBLISH).env("TERM", "xterm");
    command.env("EXAMPLES", concat!(env!("CARGO_MANIFEST_DIR"), "/examples"));
    command
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// `\xNN` stands for a byte, since TOML has only text.
fn raw(text: &str) -> OsString {
    let mut parts = text.split("\\x");
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        bytes.push(u8::from_str_radix(&part[..2], 16).unwrap());
        bytes.extend(&part.as_bytes()[2..]);
    }
    OsString::from_vec(bytes)
}

/// Makes a file of the kind that `what` names.
fn make(path: &Path, what: &str) {
    let (kind, rest) = what.split_once(':').unwrap_or((what, ""));
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).unwrap();
    }
    let small =
        Vdi::new(3 << 20, 1 << 20).with(1, Block::Data(noise(1, 1 << 20))).with(2, Block::Zero);
    let sectors = |count: u64| Vdi::new(count * 512, 1 << 20);
    let bytes = match kind {
        "small" => small.bytes(),
        "damaged" => {
            let bytes = small.bytes();
            bytes[..bytes.len() - 1].to_vec()
        }
        "child" => Vdi::new(3 << 20, 1 << 20).over(&small, 0xc2).bytes(),
        // A sector more than 2 MiB: no multiple of any size that people align to.
        "odd" => sectors(4097).with(0, Block::Data(noise(2, 1 << 20))).bytes(),
        "gpt" => {
            let mut table = vec![0; 1 << 20];
            table[512..520].copy_from_slice(b"EFI PART");
            sectors(4097).with(0, Block::Data(table)).bytes()
        }
        "large" => (0..24)
            .fold(Vdi::new(40 << 20, 1 << 20), |vdi, block| {
                vdi.with(block, Block::Data(noise(block as u64, 1 << 20)))
            })
            .bytes(),
        "noise" => noise(9, rest.parse().unwrap()),
        "text" => rest.as_bytes().to_vec(),
        "copy" => fs::read(testdata(rest)).unwrap(),
        "deep" => [b"[".repeat(100_000), b"]".repeat(100_000)].concat(),
        "folder" => return fs::create_dir_all(path).unwrap(),
        "link" => return std::os::unix::fs::symlink(rest, path).unwrap(),
        "fifo" => {
            let made = Command::new("mkfifo").arg(path).status().unwrap();
            return assert!(made.success());
        }
        _ => panic!("no such kind of file: {what}"),
    };
    fs::write(path, bytes).unwrap();
}

/// Changes a file between two runs.
fn alter(folder: &Path, change: &str) {
    let (verb, rest) = change.split_once(' ').unwrap();
    let (name, how) = rest.split_once(' ').unwrap_or((rest, ""));
    let path = folder.join(name);
    let read = || fs::read(&path).unwrap();
    match verb {
        "make" => make(&path, how),
        "remove" => fs::remove_file(&path).unwrap(),
        // A byte counted from the beginning, or from the end if negative.
        "flip" => {
            let mut bytes = read();
            let at: isize = how.parse().unwrap();
            let at = if at < 0 { bytes.len() - at.unsigned_abs() } else { at.unsigned_abs() };
            bytes[at] ^= 1;
            fs::write(&path, bytes).unwrap();
        }
        "flip-middle" => {
            let mut bytes = read();
            let at = bytes.len() / 2;
            bytes[at] ^= 1;
            fs::write(&path, bytes).unwrap();
        }
        "shorten" => {
            let bytes = read();
            fs::write(&path, &bytes[..bytes.len() - how.parse::<usize>().unwrap()]).unwrap();
        }
        "append" => {
            let mut file = fs::OpenOptions::new().append(true).open(&path).unwrap();
            file.write_all(how.as_bytes()).unwrap();
        }
        "append-member" => {
            let mut encoder = flate2::write::GzEncoder::new(read(), flate2::Compression::fast());
            encoder.write_all(b"more").unwrap();
            fs::write(&path, encoder.finish().unwrap()).unwrap();
        }
        "rename" => fs::rename(&path, folder.join(how)).unwrap(),
        "copy" => drop(fs::copy(&path, folder.join(how)).unwrap()),
        // "replace FILE OLD => NEW" in a text.
        "replace" => {
            let (old, new) = how.split_once(" => ").unwrap();
            let text = String::from_utf8(read()).unwrap();
            assert!(text.contains(old), "{name} has no {old}: {text}");
            fs::write(&path, text.replace(old, new)).unwrap();
        }
        _ => panic!("no such change: {change}"),
    }
}

/// The options that users and scripts rely on.
const OPTIONS: [&str; 27] = [
    "-o, --output",
    "-C, --compress",
    "--level",
    "--context",
    "--no-context",
    "--checksum",
    "--input-format",
    "--this-layer",
    "--parent",
    "--align",
    "--check",
    "--dry-run",
    "--verify",
    "--salvage",
    "--force",
    "--restart",
    "--checkpoint",
    "--threads",
    "--progress",
    "-q, --quiet",
    "-v, --verbose",
    "--color",
    "--json",
    "-h, --help",
    "-V, --version",
    "Usage: stratus-convert",
    "Exit codes:",
];

/// What the help of stratus-publish has besides.
const PUBLISH_OPTIONS: &[&str] = &[
    "metadata",
    "deprecate",
    "keygen",
    "--repository",
    "--marketplace[=<URL>]",
    "--location",
    "--verify",
    "--p12-cert",
    "--key",
    "--cert",
    "--password-file",
    "--password-command",
    "--email",
    "--signature",
    "--title",
    "--comment",
    "--author",
    "--tag",
    "--type",
    "--kind",
    "--os",
    "--os-version",
    "--os-arch",
    "--image-version",
    "--disks-bus",
    "--hypervisor",
    "--inbound-port",
    "--valid-days",
    "--retries",
    "--limit-upload",
    "--ca-file",
    "--client-cert",
    "--user",
    "--dry-run",
    "-o, --output",
    "-C, --compress",
    "--context",
    "--force",
    "--restart",
    "--json",
    "Usage: stratus-publish",
    "Exit codes:",
];

#[test]
fn help_names_every_option_in_80_columns() {
    help_names(PROGRAM, &OPTIONS);
    help_names(PUBLISH, PUBLISH_OPTIONS);
}

fn help_names(program: &str, options: &[&str]) {
    let folder = folder();
    for columns in [None, Some("60"), Some("200")] {
        let mut command = clean(Command::new(program), folder.path());
        command.arg("--help").envs(columns.map(|columns| ("COLUMNS", columns)));
        let output = command.output().unwrap();
        common::exits(&output, 0);
        let help = String::from_utf8(output.stdout).unwrap();
        for option in options {
            let stands = |line: &str| line.trim_start().starts_with(option);
            assert!(help.lines().any(stands), "{option} is not in the help");
        }
        for line in help.lines() {
            assert!(line.chars().count() <= 80, "wider than 80: {line}");
            assert!(!line.contains('\u{1b}') && !line.contains('\t'), "{line:?}");
        }
    }
}

#[test]
fn every_exit_code_of_the_help_has_a_dialogue() {
    let output = stratus(folder().path()).arg("--help").output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    let table = help.split("Exit codes:").nth(1).unwrap();
    let is_code = |word: &&str| !word.is_empty() && word.chars().all(|c| c.is_ascii_digit());
    let codes = table.split(|c: char| !c.is_alphanumeric()).filter(is_code);
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli");
    let texts: String = names(&place)
        .iter()
        .filter(|name| name.ends_with(".toml"))
        .map(|name| fs::read_to_string(place.join(name)).unwrap())
        .collect();
    let mut seen = 0;
    for code in codes {
        seen += 1;
        // 1 is for faults of the program: there is no way to ask for one.
        let tried = code == "0" || code == "1" || texts.contains(&format!("exit = {code}\n"));
        assert!(tried, "no dialogue ends with {code}");
    }
    assert!(seen >= 14, "{table}");
}

/// Events are JSON lines whose numbers agree with each other and with the disk.
#[test]
fn json_events_tell_the_truth() {
    let folder = folder();
    make(&folder.path().join("large.vdi"), "large");
    let args = ["large.vdi", "--no-context", "--progress", "json", "--threads", "1"];
    let output = stratus(folder.path()).args(args).output().unwrap();
    common::exits(&output, 0);
    let events: Vec<Value> =
        common::stderr(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let kinds: Vec<_> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!((kinds.first(), kinds.last()), (Some(&"begin"), Some(&"end")), "{kinds:?}");
    let total = 40 << 20;
    let empty = 16 << 20;
    assert_eq!(events[0]["total"], total);
    assert_eq!(events[0]["empty"], empty);
    assert_eq!(events[0]["from"], 0);
    assert_eq!(events[0]["name"], "large.vdi");
    let mut before = 0;
    let all_progress: Vec<_> = events.iter().filter(|e| e["event"] == "progress").collect();
    for event in &all_progress {
        let bytes = event["bytes"].as_u64().unwrap();
        assert!(before <= bytes && bytes <= total, "{event}");
        assert_eq!(event["total"], total);
        before = bytes;
    }
    let last = all_progress.last().unwrap();
    assert_eq!((&last["bytes"], &last["empty"]), (&Value::from(total), &Value::from(empty)));
    let image = fs::metadata(folder.path().join("large.img.gz")).unwrap().len();
    assert!(last["written"].as_u64().unwrap() <= image);
    assert!(last["written"].as_u64().unwrap() > image - 1024, "{last} of {image}");
}

/// Two runs on one output: the second says who is working there.
#[test]
fn a_locked_output_names_the_run_that_has_it() {
    let folder = folder();
    make(&folder.path().join("small.vdi"), "small");
    let state = folder.path().join(".small.img.gz.stratus");
    fs::create_dir(&state).unwrap();
    fs::set_permissions(&state, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let lock = fs::File::create(state.join("lock")).unwrap();
    (&lock).write_all(b"process 4711 on elsewhere\n").unwrap();
    lock.lock().unwrap();
    for args in [&["small.vdi"][..], &["small.vdi", "--dry-run"], &["small.vdi", "--force"]] {
        let output = common::run(folder.path(), args);
        common::exits(&output, 75);
        assert!(common::stderr(&output).contains("process 4711 on elsewhere"), "{args:?}");
    }
    drop(lock);
    common::exits(&common::run(folder.path(), ["small.vdi"]), 0);
    assert_eq!(names(folder.path()), ["small.img.gz", "small.img.gz.json", "small.vdi"]);
}

/// A name is bytes: it comes back as it went in.
#[test]
fn a_name_that_is_no_text_is_kept() {
    let folder = folder();
    let name = raw(r"d\xff\xfe.vdi");
    make(&folder.path().join(&name), "small");
    common::exits(&common::run(folder.path(), [&name]), 0);
    let mut found: Vec<_> =
        fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    found.sort_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
    assert_eq!(found, [raw(r"d\xff\xfe.img.gz"), raw(r"d\xff\xfe.img.gz.json"), name]);
    let image: PathBuf = folder.path().join(raw(r"d\xff\xfe.img.gz"));
    common::exits(&stratus(folder.path()).arg("--verify").arg(image).output().unwrap(), 0);
}
