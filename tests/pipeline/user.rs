//! A user of this machine: a folder with disks, a key, and the program.

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::common::vdi::{Block, Vdi};
use crate::common::{PUBLISH, TempDir, exits, folder, judge, noise, testdata};
use crate::servers::{PASSWORD, USER};

/// Bytes of a disk's noise: about those of its image, too.
pub const NOISE: usize = 3 << 20;

pub struct User {
    folder: TempDir,
}

impl User {
    /// With Jane's key in the form of old, and the login of the test servers.
    pub fn new() -> Self {
        let user = User { folder: folder() };
        fs::copy(testdata("keys/legacy.p12"), user.path("jane.p12")).unwrap();
        fs::write(user.path("password"), "secret\n").unwrap();
        user.netrc(PASSWORD);
        user
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn netrc(&self, password: &str) {
        let path = self.path(".netrc");
        fs::write(&path, format!("machine 127.0.0.1 login {USER} password {password}\n")).unwrap();
        fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
    }

    /// A disk of 6 MiB, half of it noise: each seed is another image.
    pub fn disk(&self, name: &str, seed: u64) {
        let vdi = (0..6).step_by(2).fold(Vdi::new(6 << 20, 1 << 20), |vdi, block| {
            vdi.with(block, Block::Data(noise(seed * 100 + block as u64, NOISE / 3)))
        });
        fs::write(self.path(name), vdi.bytes()).unwrap();
    }

    /// The program in this user's folder, without settings from outside.
    pub fn program<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(PUBLISH);
        command
            .current_dir(&self.folder)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap());
        command.env("HOME", self.folder.path()).env("XDG_CONFIG_HOME", self.path("no-config"));
        command.args(args).stdin(Stdio::null());
        command
    }

    /// `stratus-publish DISK --repository … --marketplace … --p12-cert …`, without the context.
    pub fn publish(
        &self,
        disk: &str,
        repository: &str,
        marketplace: &str,
        more: &[&str],
    ) -> Command {
        let words =
            [disk, "--no-context", "--repository", repository, "--marketplace", marketplace];
        let key = ["--p12-cert", "jane.p12", "--password-file", "password", "--json", "-v"];
        let mut command = self.program(words);
        command.args(key).args(more);
        command
    }
}

/// Ends well; what it says.
#[track_caller]
pub fn good(output: Output) -> Value {
    exits(&output, 0);
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Ends with this code; what it says of the error.
#[track_caller]
pub fn bad(output: Output, code: i32) -> String {
    exits(&output, code);
    let error: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(error["error"]["exit"], code);
    assert!(error["error"]["remedy"].is_string(), "nothing to do about it: {error}");
    error["error"]["message"].as_str().unwrap().to_owned()
}

/// A document without what XML leaves free: libxml2 writes it anew.
pub fn canonical(document: &[u8]) -> String {
    let mut xmllint = judge("xmllint", "libxml2-utils");
    xmllint.args(["--nonet", "--c14n", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = xmllint.spawn().unwrap();
    child.stdin.take().unwrap().write_all(document).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// `sha256sum -c` of a checksum's file beside its image.
#[track_caller]
pub fn checks(checksum: &Path) {
    let mut sums = judge("sha256sum", "coreutils");
    sums.current_dir(checksum.parent().unwrap()).args(["-c", "--quiet", "--strict"]);
    let output = sums.arg(checksum.file_name().unwrap()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}
