//! WebDAV as a store: what every target promises, asked of real servers, and what happens when
//! connections, processes and servers fail.

#[path = "dav/cut.rs"]
mod cut;
#[path = "common/cutter.rs"]
mod cutter;
#[path = "dav/killed.rs"]
mod killed;
#[path = "common/liar.rs"]
mod liar;
#[path = "dav/lies.rs"]
mod lies;
#[path = "dav/real.rs"]
mod real;
#[path = "servers/mod.rs"]
mod servers;
#[path = "common/targets.rs"]
mod targets;
#[path = "dav/trouble.rs"]
mod trouble;
#[path = "dav/way.rs"]
mod way;

use std::time::Duration;

use stratus::publish::http::{Login, Retries, Secret, Transport};
use url::Url;

/// A transport for tests: soon impatient, and quick to try again.
pub fn transport() -> Transport {
    Transport {
        retries: Retries::Times(4),
        idle: Duration::from_secs(10),
        backoff: Duration::from_millis(20),
        ..Transport::default()
    }
}

/// The same with the login of the test servers for `url`.
pub fn with_login(url: &Url) -> Transport {
    let mut transport = transport();
    let password = Secret::new(servers::PASSWORD);
    transport.credentials.add(url, Login { user: servers::USER.into(), password });
    transport
}

/// Whether the long forms are wanted.
pub fn full() -> bool {
    std::env::var_os("STRATUS_FULL").is_some_and(|value| value == "1")
}
