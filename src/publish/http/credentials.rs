//! Who gets which password. A login is bound to the scheme, host and port it was given for.

use std::fmt;
use std::path::Path;

use url::{Origin, Url};

use super::netrc::Netrc;
use crate::error::Result;

/// A text that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Secret(text.into())
    }

    /// The text itself, for the wire.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

/// A user and a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// The name.
    pub user: String,
    /// The password.
    pub password: Secret,
}

/// Logins by the place they are for. The default knows none.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    given: Vec<(Origin, Login)>,
    netrc: Option<Netrc>,
}

impl Credentials {
    /// Adds a login for the scheme, host and port of `url`, and for no other.
    pub fn add(&mut self, url: &Url, login: Login) {
        self.given.push((url.origin(), login));
    }

    /// Asks `path` in the form of netrc for every host that has no login yet, at any port: the form
    /// knows no schemes and no ports. A file that is not there is fine.
    ///
    /// # Errors
    /// `Permission` if others than its owner can read it, `Config` if its form is wrong.
    pub fn read_netrc(&mut self, path: &Path) -> Result<()> {
        self.netrc = Netrc::read(path)?;
        Ok(())
    }

    /// The login for `url`.
    pub fn find(&self, url: &Url) -> Option<Login> {
        let origin = url.origin();
        let given = self.given.iter().find(|(place, _)| *place == origin);
        given
            .map(|(_, login)| login.clone())
            .or_else(|| self.netrc.as_ref()?.find(url.host_str()?).cloned())
    }
}

/// Takes user and password out of a URL.
pub fn without_user(mut url: Url) -> (Url, Option<Login>) {
    let user = decoded(url.username());
    let password = url.password().map(decoded).unwrap_or_default();
    // Both fail only for URLs that cannot have a user.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    let login = (!user.is_empty() || !password.is_empty())
        .then(|| Login { user, password: Secret::new(password) });
    (url, login)
}

/// Percent-encoding undone; what is not UTF-8 becomes a replacement character.
fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let hex = bytes.get(at + 1..at + 3).filter(|_| byte == b'%');
        let value = hex.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        plain.push(value.unwrap_or(byte));
        at += if value.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&plain).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn a_login_is_for_one_scheme_host_and_port() {
        let mut credentials = Credentials::default();
        let login = Login { user: "u".into(), password: Secret::new("geheim") };
        credentials.add(&url("https://host/a"), login.clone());
        assert_eq!(credentials.find(&url("https://host:443/b/c")), Some(login));
        for other in ["http://host/a", "https://host:8443/a", "https://host.evil/a"] {
            assert_eq!(credentials.find(&url(other)), None, "{other}");
        }
        assert!(!format!("{credentials:?}").contains("geheim"));
    }

    #[test]
    fn a_user_is_taken_out_of_a_url() {
        let (plain, login) = without_user(url("https://a%40b:p%3Aw%zz@host/x?q"));
        let login = login.unwrap();
        assert_eq!(plain.as_str(), "https://host/x?q");
        assert_eq!((login.user.as_str(), login.password.reveal()), ("a@b", "p:w%zz"));
        assert_eq!(without_user(url("http://host/")).1, None);
    }
}
