//! What the user says about the way to a server.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::credentials::Credentials;

/// How often what failed for now is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retries {
    /// So many times after the first.
    Times(u32),
    /// Until it works or somebody stops it.
    Infinite,
}

impl Default for Retries {
    /// Five: with the back-off this bridges about a minute.
    fn default() -> Self {
        Retries::Times(5)
    }
}

impl FromStr for Retries {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "infinite" => Ok(Retries::Infinite),
            number => number
                .parse()
                .map(Retries::Times)
                .map_err(|_| format!("{text:?} is neither a number nor \"infinite\"")),
        }
    }
}

impl fmt::Display for Retries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Retries::Times(times) => write!(f, "{times}"),
            Retries::Infinite => f.write_str("infinite"),
        }
    }
}

/// The way to a server. Its `Debug` shows no secret.
///
/// The proxies are those of the environment: `http_proxy`, `https_proxy`, `all_proxy`, `no_proxy`.
#[derive(Clone, Debug)]
pub struct Transport {
    /// PEM certificates that are trusted besides those of the system.
    pub ca_file: Option<PathBuf>,
    /// A client certificate in PEM. Its key is in the same file, or beside it as `NAME.key`.
    pub client_cert: Option<PathBuf>,
    /// Who gets which password.
    pub credentials: Credentials,
    /// How often to try again.
    pub retries: Retries,
    /// Bytes of request bodies a second.
    pub limit: Option<u64>,
    /// An attempt ends when less than 1 KiB moved in this time.
    pub idle: Duration,
    /// The first wait before trying again is at most this long; each further one doubles it.
    pub backoff: Duration,
}

impl Default for Transport {
    fn default() -> Self {
        Transport {
            ca_file: None,
            client_cert: None,
            credentials: Credentials::default(),
            retries: Retries::default(),
            limit: None,
            idle: Duration::from_secs(60),
            backoff: Duration::from_secs(2),
        }
    }
}
