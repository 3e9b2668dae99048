//! Disks to be interrupted on, and the judgement of what comes out in the end.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant, SystemTime};

use sha2::{Digest, Sha256};

use crate::common::vdi::{Block, Vdi};
use crate::common::{self, TempDir, exits, judge, names, noise, stderr, stratus};

/// No single run may take longer: a run that hangs is a failure, too.
const PATIENCE: Duration = Duration::from_secs(300);

/// Whether the long forms are wanted.
pub fn full() -> bool {
    std::env::var_os("STRATUS_FULL").is_some_and(|value| value == "1")
}

/// Tells the person who runs the tests, also when the test passes.
pub fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

static QUIET: RwLock<()> = RwLock::new(());

/// What loads the machine holds this, so that [`alone`] can wait for it.
pub fn busy() -> RwLockReadGuard<'static, ()> {
    QUIET.read().unwrap_or_else(PoisonError::into_inner)
}

/// What measures time holds this.
pub fn alone() -> RwLockWriteGuard<'static, ()> {
    QUIET.write().unwrap_or_else(PoisonError::into_inner)
}

/// Random numbers that can be had again: the seed is printed, and taken from `STRATUS_SEED`.
pub struct Dice(u64);

impl Dice {
    pub fn new(what: &str) -> Self {
        let given = std::env::var("STRATUS_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = given.unwrap_or_else(|| {
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
            u64::from(now.subsec_nanos()) ^ now.as_secs() << 20
        });
        say(&format!("{what}: STRATUS_SEED={seed}"));
        Dice(seed)
    }

    /// Those of one seed.
    pub fn of(seed: u64) -> Self {
        Dice(seed)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let bytes = noise(self.0, 8);
        u64::from_le_bytes(bytes.try_into().unwrap()) % bound.max(1)
    }

    /// A part of `whole`.
    pub fn part_of(&mut self, whole: Duration) -> Duration {
        whole.mul_f64(self.below(1_000_000) as f64 / 1e6)
    }
}

/// Bytes that compress to a third or so.
pub fn text(seed: u64, len: usize) -> Vec<u8> {
    let words = noise(seed, 4096);
    let choices = noise(!seed, len / 3);
    let mut text = Vec::with_capacity(len + 8);
    for choice in choices {
        let word = &words[usize::from(choice) * 8..][..8];
        text.extend(word.iter().take(3 + usize::from(choice % 6)).map(|b| b'a' + b % 26));
        text.push(b' ');
        if text.len() >= len {
            break;
        }
    }
    text.resize(len, b'.');
    text
}

const MIB: usize = 1 << 20;

/// A disk of `blocks` MiB: free, zero, text, noise, and blocks with zero runs inside.
pub fn model(blocks: usize) -> Vdi {
    let mut vdi = Vdi::new((blocks * MIB) as u64, MIB as u32);
    for number in 0..blocks {
        let seed = number as u64;
        vdi.blocks[number] = match number % 8 {
            0 | 3 | 7 => Block::Data(text(seed % 64, MIB)),
            1 => Block::Free,
            2 => Block::Data(noise(seed, MIB)),
            4 => Block::Zero,
            5 => {
                Block::Data([noise(seed, 300_000), vec![0; 500_000], text(seed, 100_000)].concat())
            }
            _ => Block::Data(text(seed, MIB)),
        };
    }
    vdi
}

/// Where disks are kept from one test run to the next.
fn shelf() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
}

/// Writes a file that may be there already; never half of it under its name.
pub fn shelved(name: &str, write: impl FnOnce(&Path)) -> PathBuf {
    let path = shelf().join(name);
    if !path.exists() {
        let unfinished = shelf().join(format!("{name}.{}", std::process::id()));
        write(&unfinished);
        fs::rename(&unfinished, &path).unwrap();
    }
    path
}

/// A disk of 12 MiB. Shared: not to be changed, not even linked to.
pub fn small() -> &'static Path {
    static SMALL: OnceLock<PathBuf> = OnceLock::new();
    SMALL.get_or_init(|| shelved("small-1.vdi", |path| fs::write(path, model(12).bytes()).unwrap()))
}

/// A disk of 64 MiB: long enough to be caught at work. Shared, as [`small`] is.
pub fn medium() -> &'static Path {
    static MEDIUM: OnceLock<PathBuf> = OnceLock::new();
    MEDIUM
        .get_or_init(|| shelved("medium-1.vdi", |path| fs::write(path, model(64).bytes()).unwrap()))
}

/// A disk of 256 MiB. Shared, as [`small`] is.
pub fn large() -> &'static Path {
    static LARGE: OnceLock<PathBuf> = OnceLock::new();
    LARGE
        .get_or_init(|| shelved("large-1.vdi", |path| fs::write(path, model(256).bytes()).unwrap()))
}

/// A file in two words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    pub len: u64,
    pub sha256: Vec<u8>,
}

impl Content {
    pub fn of(path: &Path) -> Self {
        let mut file = File::open(path).unwrap();
        let (mut digest, mut buf, mut len) = (Sha256::new(), vec![0; MIB], 0);
        loop {
            match file.read(&mut buf).unwrap() {
                0 => return Content { len, sha256: digest.finalize().to_vec() },
                n => {
                    digest.update(&buf[..n]);
                    len += n as u64;
                }
            }
        }
    }
}

/// What an unbroken run makes.
#[derive(Debug)]
pub struct Expected {
    pub image: Content,
    pub record: String,
    pub took: Duration,
}

/// One command, repeated until it is done.
pub struct Case {
    pub folder: PathBuf,
    pub disk: PathBuf,
    pub options: Vec<String>,
    /// Names that may lie in the folder besides ours.
    pub others: Vec<String>,
    _own: Option<TempDir>,
}

impl Case {
    /// Converting `disk` in a folder of its own.
    pub fn new(disk: &Path, options: &[&str]) -> Self {
        let own = common::folder();
        let case = Case::at(own.path(), disk, options);
        Case { _own: Some(own), ..case }
    }

    /// Converting `disk` in `folder`.
    pub fn at(folder: &Path, disk: &Path, options: &[&str]) -> Self {
        Case {
            folder: folder.to_owned(),
            disk: disk.to_owned(),
            options: options.iter().map(|option| (*option).to_owned()).collect(),
            others: Vec::new(),
            _own: None,
        }
    }

    /// Converting a copy of `disk` that lies in the same folder and may be changed.
    pub fn with_own_disk(disk: &Path, options: &[&str]) -> Self {
        let mut case = Case::new(disk, options);
        case.disk = case.folder.join("disk.vdi");
        fs::copy(disk, &case.disk).unwrap();
        case.others.push("disk.vdi".to_owned());
        case
    }

    pub fn image(&self) -> PathBuf {
        self.folder.join("out.img")
    }

    pub fn record(&self) -> PathBuf {
        self.folder.join("out.img.json")
    }

    pub fn part(&self) -> PathBuf {
        self.folder.join("out.img.part")
    }

    pub fn state(&self) -> PathBuf {
        self.folder.join(".out.img.stratus")
    }

    pub fn journal(&self) -> PathBuf {
        self.state().join("journal")
    }

    pub fn arguments(&self) -> Vec<String> {
        let fixed = ["--no-context", "--progress", "none", "-o", "out.img"];
        let mut all: Vec<String> = fixed.iter().map(|word| (*word).to_owned()).collect();
        all.extend(self.options.iter().cloned());
        all.push(self.disk.to_string_lossy().into_owned());
        all
    }

    /// The command.
    pub fn command(&self) -> Command {
        let mut command = stratus(&self.folder);
        command.args(self.arguments());
        command
    }

    /// The command under another program: a tracer, a fault injector, a shell.
    pub fn under<S: AsRef<OsStr>>(
        &self,
        program: &str,
        package: &str,
        args: impl IntoIterator<Item = S>,
    ) -> Command {
        let mut command = judge(program, package);
        command.current_dir(&self.folder).env("HOME", &self.folder).args(args);
        command.env_remove("RUST_BACKTRACE").env("XDG_CONFIG_HOME", self.folder.join("no-config"));
        command.arg(common::PROGRAM).args(self.arguments());
        command
    }

    /// Starts a run that hears signals even if the tests themselves were started deaf to them, as
    /// `nohup` and shells do.
    pub fn spawn(&self) -> Child {
        let plain = self.command();
        let mut command = judge("env", "coreutils");
        command.arg("--default-signal=INT,TERM,HUP").current_dir(&self.folder).env_clear();
        command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.arg(plain.get_program()).args(plain.get_args());
        start(&mut command)
    }

    pub fn run(&self) -> Output {
        within(&mut self.command(), PATIENCE)
    }

    pub fn run_with(&self, more: &[&str]) -> Output {
        within(self.command().args(more), PATIENCE)
    }

    /// What an unbroken run makes of this disk with these options.
    pub fn expected(&self) -> Arc<Expected> {
        static KNOWN: Mutex<Option<HashMap<String, Arc<Expected>>>> = Mutex::new(None);
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        let known = known.get_or_insert_default();
        let key = self.arguments().join(" ");
        let make = || {
            let unbroken = Case::new(&self.disk, &[]);
            let unbroken = Case { options: self.options.clone(), ..unbroken };
            let start = Instant::now();
            exits(&unbroken.run(), 0);
            let took = start.elapsed();
            let record = fs::read_to_string(unbroken.record()).unwrap();
            Arc::new(Expected { image: Content::of(&unbroken.image()), record, took })
        };
        // A disk of this case's own can change: nothing is remembered about it.
        if !self.others.is_empty() {
            return make();
        }
        known.entry(key).or_insert_with(make).clone()
    }

    /// Nothing incomplete has a final name.
    #[track_caller]
    pub fn assert_nothing_false(&self, expected: &Expected) {
        if self.image().exists() {
            assert_eq!(Content::of(&self.image()), expected.image, "an incomplete image is named");
        }
        if let Ok(record) = fs::read_to_string(self.record()) {
            assert_eq!(record, expected.record, "a wrong record is named");
        }
    }

    /// Image and record are what an unbroken run makes, and nothing else is left.
    #[track_caller]
    pub fn assert_done(&self, expected: &Expected) {
        assert_eq!(Content::of(&self.image()), expected.image);
        assert_eq!(fs::read_to_string(self.record()).unwrap(), expected.record);
        self.assert_names(&["out.img", "out.img.json"]);
    }

    /// Nothing is left at all.
    #[track_caller]
    pub fn assert_empty(&self) {
        self.assert_names(&[]);
    }

    #[track_caller]
    pub fn assert_names(&self, ours: &[&str]) {
        let mut wanted: Vec<String> = ours.iter().map(|name| (*name).to_owned()).collect();
        wanted.extend(self.others.iter().cloned());
        wanted.sort();
        assert_eq!(names(&self.folder), wanted);
    }

    /// Runs to the end without disturbance; the result must be that of an unbroken run.
    #[track_caller]
    pub fn finish(&self, expected: &Expected) -> Output {
        let output = self.run();
        exits(&output, 0);
        self.assert_done(expected);
        output
    }

    /// Waits until the journal holds `count` lines of this kind, or the run is over.
    pub fn wait_for_lines(&self, child: &mut Child, kind: &str, count: usize) {
        let wanted = format!("{{\"kind\":\"{kind}\"");
        let end = Instant::now() + PATIENCE;
        while child.try_wait().unwrap().is_none() && Instant::now() < end {
            let journal = fs::read_to_string(self.journal()).unwrap_or_default();
            if journal.matches(&wanted).count() >= count {
                return;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Kills the run when it is about to make the `count`-th system call `call`.
    pub fn kill_at(&self, call: &str, count: usize) -> Traced {
        self.inject(call, "signal=KILL", count)
    }

    /// Runs with a disturbance at the `count`-th of the system calls `call` on the output's names.
    pub fn inject(&self, call: &str, what: &str, count: usize) -> Traced {
        let log = common::folder();
        let trace = log.path().join("trace");
        let mut args = vec!["-f".to_owned(), "-o".to_owned(), trace.display().to_string()];
        let paths = [
            self.folder.clone(),
            self.image(),
            self.part(),
            self.record(),
            self.folder.join("out.img.json.part"),
            self.state(),
            self.journal(),
            self.state().join("lock"),
        ];
        // A relative name in a call matches only if it is asked for as such.
        for path in paths {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            args.extend(["-P".to_owned(), path.display().to_string()]);
            let inside = path.strip_prefix(&self.folder).unwrap().display().to_string();
            let relative = if inside.is_empty() { ".".to_owned() } else { format!("./{inside}") };
            args.extend(["-P".to_owned(), relative, "-P".to_owned(), name]);
        }
        args.extend(["-e".to_owned(), format!("trace={call}")]);
        args.extend(["-e".to_owned(), format!("inject={call}:{what}:when={count}")]);
        let output = within(&mut self.under("strace", "strace", args), PATIENCE);
        let trace = fs::read_to_string(trace).unwrap_or_default();
        Traced { hit: trace.contains("(INJECTED)") || trace.contains("killed by"), output }
    }

    /// Everything that lies in the folder and in the state's folder.
    pub fn snapshot(&self) -> Snapshot {
        let mut files = Vec::new();
        for folder in [&self.folder, &self.state()] {
            for entry in fs::read_dir(folder).into_iter().flatten() {
                let path = entry.unwrap().path();
                if path.is_file() {
                    let inside = path.strip_prefix(&self.folder).unwrap().to_owned();
                    files.push((inside, fs::read(&path).unwrap()));
                }
            }
        }
        Snapshot { files, state: self.state().exists() }
    }

    /// Puts a snapshot into this case's empty folder.
    pub fn restore(&self, snapshot: &Snapshot) {
        if snapshot.state {
            fs::DirBuilder::new().mode(0o700).create(self.state()).unwrap();
        }
        for (name, bytes) in &snapshot.files {
            fs::write(self.folder.join(name), bytes).unwrap();
        }
    }
}

/// A run with a disturbance.
pub struct Traced {
    /// Whether the disturbance came about.
    pub hit: bool,
    pub output: Output,
}

/// Files of unfinished work.
#[derive(Clone)]
pub struct Snapshot {
    pub files: Vec<(PathBuf, Vec<u8>)>,
    pub state: bool,
}

impl Snapshot {
    pub fn file(&mut self, name: &str) -> &mut Vec<u8> {
        let found = self.files.iter_mut().find(|(path, _)| path.ends_with(name));
        &mut found.expect("no such file in the snapshot").1
    }
}

/// Starts a command whose words are kept.
pub fn start(command: &mut Command) -> Child {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// Runs a command that must end in time.
#[track_caller]
pub fn within(command: &mut Command, limit: Duration) -> Output {
    wait(start(command), limit)
}

#[track_caller]
pub fn wait(mut child: Child, limit: Duration) -> Output {
    let end = Instant::now() + limit;
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > end {
            child.kill().unwrap();
            let output = child.wait_with_output().unwrap();
            panic!("still running after {limit:?}: {}", stderr(&output));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    child.wait_with_output().unwrap()
}

/// Sends a signal.
pub fn signal(child: &Child, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(child.id().cast_signed()).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}

/// The raw offsets above 0 at which the journal's runs were continued.
pub fn resumed_at(journal: &Path) -> Vec<u64> {
    let text = fs::read_to_string(journal).unwrap_or_default();
    let values = text.lines().filter_map(|line| serde_json::from_str(line).ok());
    let at =
        |line: serde_json::Value| (line["kind"] == "resume").then(|| line["raw_offset"].as_u64());
    values.filter_map(at).flatten().filter(|offset| *offset > 0).collect()
}

/// Whether the run said that it continues.
pub fn continued(output: &Output) -> bool {
    stderr(output).contains("continuing at byte ")
}

/// Whether the run said that it throws unfinished work away.
pub fn started_over(output: &Output) -> bool {
    stderr(output).contains("starting over")
}
