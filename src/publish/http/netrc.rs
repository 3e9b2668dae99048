//! The file of passwords that ftp, curl and git share: `machine HOST login NAME password WORD`.

use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::credentials::{Login, Secret};
use crate::error::{Error, Kind, Result};

/// No file of passwords is longer.
const MAX_LEN: u64 = 1 << 20;

/// A file that was read. The first entry that fits a host counts, and `default` after all others.
#[derive(Clone, Debug, Default)]
pub(super) struct Netrc {
    /// The host, or none for `default`.
    entries: Vec<(Option<String>, Login)>,
}

impl Netrc {
    /// None if there is no such file. Symlinks are followed: people keep this file elsewhere.
    pub(super) fn read(path: &Path) -> Result<Option<Self>> {
        let cannot = |e| Error::io("netrc-read", "cannot read the netrc file", path, e);
        let file = match std::fs::File::open(path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            file => file.map_err(cannot)?,
        };
        let facts = file.metadata().map_err(cannot)?;
        if !facts.is_file() {
            return Err(wrong(path, "not a regular file"));
        }
        if facts.permissions().mode() & 0o077 != 0 {
            return Err(Error::new(
                Kind::Permission,
                "netrc-open-to-others",
                "others can read or change the netrc file, so it is not used",
            )
            .at(path)
            .remedy("chmod 600 it, or name another file with NETRC"));
        }
        let mut text = String::new();
        let len = file.take(MAX_LEN + 1).read_to_string(&mut text).map_err(cannot)?;
        if len as u64 > MAX_LEN {
            return Err(wrong(path, "longer than 1 MiB"));
        }
        Netrc::parse(&text).map(Some).map_err(|what| wrong(path, &what))
    }

    /// The login for a host, of one user or of anybody.
    pub(super) fn find(&self, host: &str, user: Option<&str>) -> Option<&Login> {
        let of_user =
            || self.entries.iter().filter(|(_, login)| user.is_none_or(|user| login.user == user));
        let fits = |name: &Option<String>| {
            name.as_ref().is_some_and(|name| name.eq_ignore_ascii_case(host))
        };
        let default = || of_user().find(|(name, _)| name.is_none());
        of_user().find(|(name, _)| fits(name)).or_else(default).map(|(_, login)| login)
    }

    /// The form of ftp(1). What is wrong is said without any word of the file.
    fn parse(text: &str) -> Result<Self, String> {
        let mut netrc = Netrc::default();
        let mut words = Words { rest: text, line: 1 };
        while let Some(word) = words.keyword()? {
            let host = match word.as_str() {
                "machine" => Some(words.after("machine")?),
                "default" => None,
                "macdef" => {
                    words.skip_macro();
                    continue;
                }
                _ => return Err(format!("line {}: `machine` expected", words.line)),
            };
            let login = words.login()?;
            netrc.entries.extend(login.map(|login| (host, login)));
        }
        Ok(netrc)
    }
}

fn wrong(path: &Path, what: &str) -> Error {
    Error::new(Kind::Config, "netrc-form", format!("the netrc file is wrong: {what}"))
        .at(path)
        .remedy("its form is: machine HOST login NAME password WORD")
}

/// The words of a file, one after the other.
struct Words<'a> {
    rest: &'a str,
    line: usize,
}

impl Words<'_> {
    /// The next word where a password may not stand: there `#` begins a comment.
    fn keyword(&mut self) -> Result<Option<String>, String> {
        self.skip_space();
        while self.rest.starts_with('#') {
            self.pass(self.rest.find('\n').unwrap_or(self.rest.len()));
            self.skip_space();
        }
        self.next()
    }

    fn skip_space(&mut self) {
        self.pass(self.rest.len() - self.rest.trim_start().len());
    }

    fn next(&mut self) -> Result<Option<String>, String> {
        self.skip_space();
        if let Some(inside) = self.rest.strip_prefix('"') {
            return self.quoted(inside).map(Some);
        }
        let end = self.rest.find(char::is_whitespace).unwrap_or(self.rest.len());
        let word = self.rest[..end].to_owned();
        self.pass(end);
        Ok((!word.is_empty()).then_some(word))
    }

    /// Up to the next quotation mark; a backslash takes the next character as it is, as in curl.
    fn quoted(&mut self, inside: &str) -> Result<String, String> {
        let mut word = String::new();
        let mut chars = inside.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.pass(1 + at + 1);
                    return Ok(word);
                }
                '\\' => word.extend(chars.next().map(|(_, c)| match c {
                    'n' => '\n',
                    'r' => '\r',
                    't' => '\t',
                    c => c,
                })),
                c => word.push(c),
            }
        }
        Err(format!("line {}: a quotation mark is not closed", self.line))
    }

    fn after(&mut self, name: &str) -> Result<String, String> {
        self.next()?.ok_or_else(|| format!("line {}: nothing follows `{name}`", self.line))
    }

    /// `login`, `password` and `account` in any order, up to the next entry.
    fn login(&mut self) -> Result<Option<Login>, String> {
        let (mut user, mut password) = (None, None);
        loop {
            let (rest, line) = (self.rest, self.line);
            match self.keyword()?.as_deref() {
                Some("login") => user = Some(self.after("login")?),
                Some("password") => password = Some(self.after("password")?),
                Some("account") => drop(self.after("account")?),
                // The next entry, or the end.
                _ => {
                    (self.rest, self.line) = (rest, line);
                    break;
                }
            }
        }
        let password = Secret::new(password.unwrap_or_default());
        Ok(user.map(|user| Login { user, password }))
    }

    /// A macro ends at an empty line.
    fn skip_macro(&mut self) {
        let end = self.rest.find("\n\n").map_or(self.rest.len(), |at| at + 2);
        self.pass(end);
    }

    fn pass(&mut self, bytes: usize) {
        let (passed, rest) = self.rest.split_at(bytes);
        self.line += passed.bytes().filter(|byte| *byte == b'\n').count();
        self.rest = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn found(text: &str, host: &str) -> Option<(String, String)> {
        let netrc = Netrc::parse(text).unwrap();
        netrc.find(host, None).map(|login| (login.user.clone(), login.password.reveal().to_owned()))
    }

    fn login(user: &str, password: &str) -> Option<(String, String)> {
        Some((user.to_owned(), password.to_owned()))
    }

    #[test]
    fn entries_macros_quotes_and_the_default() {
        let text = "# notes\nmachine a.org login u1 password #p1 # mine\n\
                    macdef init\ncd /machine\nmachine a.org\n\n\
                    machine b.org\n  password \"p \\\"2\\\\\" account x\n  login u2\n\
                    default login anonymous password me@b\nmachine c.org login u3 password p3";
        assert_eq!(found(text, "A.org"), login("u1", "#p1"));
        assert_eq!(found(text, "b.org"), login("u2", "p \"2\\"));
        assert_eq!(found(text, "c.org"), login("u3", "p3"));
        assert_eq!(found(text, "d.org"), login("anonymous", "me@b"));
        assert_eq!(found("", "a"), None);
        assert_eq!(found("machine a", "a"), None);
    }

    #[test]
    fn a_host_may_have_several_users() {
        let text = "machine h login a password 1\ndefault login b password 3\n\
                    machine h login b password 2\nmachine h login a password 4";
        let netrc = Netrc::parse(text).unwrap();
        let of = |host, user| netrc.find(host, Some(user)).map(|login| login.password.reveal());
        assert_eq!((of("h", "a"), of("H", "b"), of("h", "c")), (Some("1"), Some("2"), None));
        assert_eq!((of("x", "a"), of("x", "b")), (None, Some("3")));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line_and_without_its_words() {
        for (text, line) in [("\nmachine", 2), ("geheim", 1), ("machine a login \"geheim", 1)] {
            let what = Netrc::parse(text).unwrap_err();
            assert!(what.contains(&format!("line {line}")) && !what.contains("geheim"), "{what}");
        }
    }

    #[test]
    fn a_file_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("netrc");
        assert!(Netrc::read(&path).unwrap().is_none());
        std::fs::write(&path, "machine a login u password geheim").unwrap();
        for (mode, fine) in [(0o600, true), (0o400, true), (0o640, false), (0o604, false)] {
            std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
            let read = Netrc::read(&path);
            assert_eq!(read.is_ok(), fine, "{mode:o}");
            assert!(fine || read.unwrap_err().kind() == Kind::Permission);
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "(machine|login|password|macdef|\"|\\\\|é|#| |\n|x){0,60}") {
            let _ = Netrc::parse(&text);
        }
    }
}
