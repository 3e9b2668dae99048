//! Who gets which password. A login is bound to the scheme, host and port it was given for.

use std::fmt;
use std::path::Path;

use url::{Origin, Url};

use super::netrc::Netrc;
use super::repeats::decoded;
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
            .or_else(|| self.netrc.as_ref()?.find(url.host_str()?, None).cloned())
    }

    /// The login of this user for `url`, for whom there may be several.
    pub fn find_as(&self, url: &Url, user: &str) -> Option<Login> {
        let origin = url.origin();
        let mut given = self.given.iter().filter(|(place, _)| *place == origin);
        given
            .find(|(_, login)| login.user == user)
            .map(|(_, login)| login.clone())
            .or_else(|| self.netrc.as_ref()?.find(url.host_str()?, Some(user)).cloned())
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
    fn a_user_is_found_among_several() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("netrc");
        std::fs::write(&path, "machine host login a password 1\nmachine host login b password 2")
            .unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600))
            .unwrap();
        let mut credentials = Credentials::default();
        credentials.read_netrc(&path).unwrap();
        let here = url("https://host/");
        credentials.add(&here, Login { user: "c".into(), password: Secret::new("3") });
        for (user, password) in [("a", Some("1")), ("b", Some("2")), ("c", Some("3")), ("d", None)]
        {
            let login = credentials.find_as(&here, user);
            assert_eq!(login.as_ref().map(|login| login.password.reveal()), password, "{user}");
        }
        assert_eq!(credentials.find_as(&url("https://other/"), "a"), None);
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
