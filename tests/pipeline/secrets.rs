//! A password goes where it was given for, and nowhere else.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::user::User;
use crate::common::testdata;
use crate::liar::{Liar, Lie};
use crate::servers::market::Market;

/// A server that wants to know who is there, whatever it is asked.
fn curious() -> Liar {
    Liar::new(|ask, _| {
        let head = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"x\"\r\n\
                    Content-Length: 0\r\nConnection: close\r\n\r\n";
        let known = ask.header("authorization").is_empty();
        Some(if known { Lie::Raw(head.into()) } else { Lie::Status(403, "no".to_owned()) })
    })
}

/// What the server was told.
fn told(liar: &Liar) -> Vec<String> {
    let seen = liar.seen.lock().unwrap();
    let headers = seen.iter().map(|ask| ask.header("authorization").to_owned());
    headers.filter(|header| !header.is_empty()).collect()
}

#[test]
fn the_password_of_the_key_is_not_for_servers() {
    let (server, market, user) = (curious(), Market::start(&[]), User::new());
    user.disk("a.vdi", 1);
    fs::remove_file(user.path(".netrc")).unwrap();
    let url = server.url("/r/");
    let publish = |more: &[&str]| {
        let words = ["a.vdi", "--no-context", "--user", "jane", "--repository", url.as_str()];
        let mut command = user.program(words);
        command.args(more).env("STRATUS_PASSWORD", "secret");
        command.output().unwrap()
    };
    // The key that is used if none is named.
    fs::create_dir(user.path(".globus")).unwrap();
    fs::copy(testdata("keys/legacy.p12"), user.path(".globus/usercert.p12")).unwrap();
    let output = publish(&["--marketplace", &market.url()]);
    assert_eq!(output.status.code(), Some(77), "{output:?}");
    assert_eq!(told(&server), Vec::<String>::new());
    fs::remove_dir_all(user.path(".globus")).unwrap();
    fs::copy(testdata("keys/pbes2.pem"), user.path("locked.pem")).unwrap();
    let output = publish(&["--key", "locked.pem"]);
    assert_eq!(output.status.code(), Some(77), "{output:?}");
    assert_eq!(told(&server), Vec::<String>::new());
    // A key without a password has none to lose: jane:secret.
    fs::copy(testdata("keys/jane.pem"), user.path("open.pem")).unwrap();
    publish(&["--key", "open.pem"]);
    assert_eq!(told(&server)[0], "Basic amFuZTpzZWNyZXQ=");
}

#[test]
fn the_repositorys_password_is_not_for_others() {
    let (server, user) = (curious(), User::new());
    fs::remove_file(user.path(".netrc")).unwrap();
    fs::create_dir_all(user.path("conf/stratus")).unwrap();
    let config = "user = \"jane\"\nrepository = \"https://repository.invalid/x\"\n";
    fs::write(user.path("conf/stratus/config.toml"), config).unwrap();
    fs::copy(testdata("keys/jane.pem"), user.path("jane.pem")).unwrap();
    fs::set_permissions(user.path("jane.pem"), PermissionsExt::from_mode(0o600)).unwrap();
    fs::copy(testdata("manifests/signed.xml"), user.path("a.xml")).unwrap();
    user.disk("a.vdi", 1);
    let url = server.url("/x");
    let market = format!("--marketplace={url}");
    let identifier = "MMZu9WvwKIro-rtBQfDk4PsKO7_";
    let key = ["--key", "jane.pem"];
    let commands: [&[&str]; 3] = [
        &["metadata", "verify", "a.xml", url.as_str()],
        &["deprecate", identifier, "--reason", "x", &market],
        &["a.vdi", "--no-context", "--repository", url.as_str()],
    ];
    for words in commands {
        let mut command = user.program(words);
        command.env("XDG_CONFIG_HOME", user.path("conf"));
        command.env("STRATUS_USER_PASSWORD", "repository-word");
        if words[0] == "deprecate" {
            command.args(key);
        }
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(77), "{words:?}: {output:?}");
        assert_eq!(told(&server), Vec::<String>::new(), "{words:?}");
    }
}
