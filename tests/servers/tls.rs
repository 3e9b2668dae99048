//! Certificates for one test, made by OpenSSL.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::which;

/// Files in one folder: `ca.pem`, and for each name `NAME.pem` and `NAME.key`.
pub fn certificates(folder: &Path) {
    let ca = ["req", "-x509", "-nodes", "-days", "30", "-subj", "/CN=test-ca"];
    openssl(folder, &[&ca[..], &KEY, &["-keyout", "ca.key", "-out", "ca.pem"]].concat());
    issue(folder, "server", "localhost", "DNS:localhost,IP:127.0.0.1", "30");
    issue(folder, "client", "testuser", "DNS:testuser", "30");
}

const KEY: [&str; 4] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"];

/// One more certificate of `ca.pem`.
pub fn issue(folder: &Path, name: &str, common: &str, names: &str, days: &str) {
    let file = |end: &str| format!("{name}.{end}");
    let (key, request, certificate) = (file("key"), file("csr"), file("pem"));
    let subject = format!("/CN={common}");
    let ask = ["req", "-nodes", "-subj", &subject, "-keyout", &key, "-out", &request];
    openssl(folder, &[&ask[..], &KEY].concat());
    std::fs::write(folder.join(file("ext")), format!("subjectAltName={names}\n")).unwrap();
    let (ext, sign) = (file("ext"), ["x509", "-req", "-CA", "ca.pem", "-CAkey", "ca.key"]);
    let more = ["-CAcreateserial", "-days", days, "-extfile", &ext];
    openssl(folder, &[&sign[..], &more, &["-in", &request, "-out", &certificate]].concat());
}

/// Certificate and key in one file.
pub fn joined(folder: &Path, name: &str) -> PathBuf {
    let read = |end| std::fs::read_to_string(folder.join(format!("{name}.{end}"))).unwrap();
    let path = folder.join(format!("{name}-both.pem"));
    std::fs::write(&path, read("pem") + &read("key")).unwrap();
    path
}

fn openssl(folder: &Path, arguments: &[&str]) {
    let mut command = Command::new(which("openssl", "openssl"));
    let output = command.current_dir(folder).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
