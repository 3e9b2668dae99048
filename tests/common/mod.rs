//! What all tests use: the program, a folder of one's own, judges, and VDIs made to measure.
#![allow(dead_code, reason = "each test program uses a part of it")]

pub mod ext;
pub mod guest;
pub mod lvm;
pub mod vdi;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use stratus::guest::prepare::Context;
use stratus::pipeline::Job;
pub use tempfile::TempDir;

/// The program under test.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_stratus-convert");

/// The program that publishes.
pub const PUBLISH: &str = env!("CARGO_BIN_EXE_stratus-publish");

/// A file of `testdata/`.
pub fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(name)
}

/// A folder that goes away with the test.
pub fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// The same, in memory where the system has such a place: for tests that convert hundreds of times
/// and would otherwise wait for the disk to sync.
pub fn folder_in_memory() -> TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| folder())
}

/// The program in `folder`, without settings from outside.
pub fn stratus(folder: &Path) -> Command {
    let mut command = Command::new(PROGRAM);
    command.current_dir(folder).env_clear().env("PATH", std::env::var_os("PATH").unwrap());
    command.env("HOME", folder).env("XDG_CONFIG_HOME", folder.join("no-config"));
    command
}

/// Runs the program in `folder` with `args` and `--no-context`.
pub fn run<S: AsRef<OsStr>>(folder: &Path, args: impl IntoIterator<Item = S>) -> Output {
    stratus(folder).arg("--no-context").args(args).output().unwrap()
}

/// A job that leaves the guest alone.
pub fn job(input: impl Into<PathBuf>, output: impl Into<PathBuf>) -> Job {
    let mut job = Job::new(input, output);
    job.guest.context = Context::Off;
    job
}

/// Asserts an exit code, showing what was said if it is another.
#[track_caller]
pub fn exits(output: &Output, code: i32) {
    assert_eq!(
        output.status.code(),
        Some(code),
        "stdout: {}\nstderr: {}",
        String::from_utf8_lossy(&output.stdout),
        stderr(output)
    );
}

/// What was said on standard error.
pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A program that judges us. A judge that is not there is an error that says how to get it.
#[track_caller]
pub fn judge(program: &str, package: &str) -> Command {
    let found = std::env::split_paths(&std::env::var_os("PATH").unwrap())
        .any(|folder| folder.join(program).is_file());
    assert!(found, "the judge {program} is missing: apt-get install {package} (or tests/run)");
    Command::new(program)
}

/// The names in a folder, sorted.
pub fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<_> =
        entries.map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Inflates a gzip file of one member with flate2, asserting that nothing follows it.
pub fn gunzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut decoder = flate2::bufread::GzDecoder::new(bytes);
    std::io::Read::read_to_end(&mut decoder, &mut out).unwrap();
    assert!(decoder.into_inner().is_empty(), "bytes after the end of the gzip member");
    out
}

/// Deterministic bytes that neither compress well nor repeat at any block size (splitmix64).
pub fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bytes.extend((z ^ (z >> 31)).to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}
