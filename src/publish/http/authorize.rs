//! The header that proves a login: Basic (RFC 7617) and Digest (RFC 7616, `qop=auth`).

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use base64ct::{Base64, Encoding};
use md5::Md5;
use sha2::{Digest as _, Sha256};
use url::{Host, Position, Url};

use super::challenge::Challenge;
use super::credentials::{Credentials, Login};
use super::message::Headers;
use crate::digest::hex;

/// A nonce that was not used for this long may be refused; Apache's live for 300 s.
const FRESH: Duration = Duration::from_secs(60);

/// What the servers asked for so far, by origin. A password goes nowhere before it was asked for.
#[derive(Debug, Default)]
pub(super) struct Authorizer {
    credentials: Credentials,
    known: Mutex<BTreeMap<String, Known>>,
}

#[derive(Debug)]
struct Known {
    challenge: Challenge,
    /// How often the nonce was used (`nc`).
    used: u32,
    since: Instant,
}

impl Authorizer {
    pub(super) fn new(credentials: Credentials) -> Self {
        Authorizer { credentials, known: Mutex::default() }
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<String, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The login for a place.
    pub(super) fn login(&self, url: &Url) -> Option<Login> {
        self.credentials.find(url)
    }

    /// Whether a long body should wait until a request without a body has asked what the server
    /// wants to know: a refused body is sent in vain.
    pub(super) fn should_ask(&self, url: &Url) -> bool {
        self.login(url).is_some()
            && match self.known().get(&place(url)) {
                None => true,
                Some(known) => known.challenge != Challenge::Basic && known.since.elapsed() > FRESH,
            }
    }

    /// The value of `Authorization`, if the server has asked for one and there is a login.
    pub(super) fn header(&self, method: &str, url: &Url) -> Option<String> {
        let login = self.login(url)?;
        let mut known = self.known();
        let known = known.get_mut(&place(url))?;
        match &known.challenge {
            Challenge::Basic => {
                let pair = format!("{}:{}", login.user, login.password.reveal());
                Some(format!("Basic {}", Base64::encode_string(pair.as_bytes())))
            }
            challenge => {
                known.used = known.used.saturating_add(1);
                let cnonce = format!("{:032x}", fastrand::u128(..));
                let uri = &url[Position::BeforePath..Position::AfterQuery];
                digest(challenge, &login, method, uri, known.used, &cnonce)
            }
        }
    }

    /// Takes in the challenge of a reply with status 401. Whether it is worth to try (again):
    /// there is a login, and it was not refused just now.
    pub(super) fn learn(&self, url: &Url, headers: &Headers, sent: bool) -> bool {
        let Some(challenge) = Challenge::best(headers) else { return false };
        let stale = matches!(challenge, Challenge::Digest { stale: true, .. });
        let mut known = self.known();
        let before = known.insert(place(url), Known { challenge, used: 0, since: Instant::now() });
        // With nothing known before, nothing was sent; with a stale nonce the password was right.
        (!sent || stale || before.is_none()) && self.credentials.find(url).is_some()
    }

    /// Whether this login goes over the network readable for all.
    pub(super) fn is_exposed(&self, url: &Url) -> bool {
        let basic = self.known().get(&place(url)).is_some_and(|k| k.challenge == Challenge::Basic);
        basic && url.scheme() == "http" && !is_loopback(url)
    }
}

/// Scheme, host and port.
fn place(url: &Url) -> String {
    url.origin().ascii_serialization()
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// RFC 7616 §3.4.
fn digest(
    challenge: &Challenge,
    login: &Login,
    method: &str,
    uri: &str,
    used: u32,
    cnonce: &str,
) -> Option<String> {
    let Challenge::Digest { sha256, realm, nonce, opaque, .. } = challenge else { return None };
    let hash = |text: String| {
        if *sha256 { hex(&Sha256::digest(text)) } else { hex(&Md5::digest(text)) }
    };
    let secret = hash(format!("{}:{realm}:{}", login.user, login.password.reveal()));
    let request = hash(format!("{method}:{uri}"));
    let response = hash(format!("{secret}:{nonce}:{used:08x}:{cnonce}:auth:{request}"));
    let algorithm = if *sha256 { "SHA-256" } else { "MD5" };
    let (user, realm, nonce) = (quoted(&login.user), quoted(realm), quoted(nonce));
    let mut header = format!(
        "Digest username={user}, realm={realm}, nonce={nonce}, uri={}, algorithm={algorithm}, \
         qop=auth, nc={used:08x}, cnonce=\"{cnonce}\", response=\"{response}\"",
        quoted(uri)
    );
    if let Some(opaque) = opaque {
        header += &format!(", opaque={}", quoted(opaque));
    }
    Some(header)
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::super::credentials::Secret;
    use super::*;

    /// The example of RFC 7616 §3.9.1.
    #[test]
    fn the_digests_are_those_of_the_rfc() {
        let login = Login { user: "Mufasa".into(), password: Secret::new("Circle of Life") };
        for (sha256, response) in [
            (true, "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
            (false, "8ca523f5e9506fed4657c9700eebdbec"),
        ] {
            let challenge = Challenge::Digest {
                sha256,
                realm: "http-auth@example.org".into(),
                nonce: "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v".into(),
                opaque: Some("FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS".into()),
                stale: false,
            };
            let cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
            let header = digest(&challenge, &login, "GET", "/dir/index.html", 1, cnonce).unwrap();
            assert!(header.contains(&format!("response=\"{response}\"")), "{header}");
            assert!(header.contains("nc=00000001") && !header.contains("Circle"), "{header}");
        }
    }

    #[test]
    fn a_password_waits_until_it_is_asked_for_and_goes_to_its_place_only() {
        let url = |text| Url::parse(text).unwrap();
        let here = url("http://example.org/a");
        let mut credentials = Credentials::default();
        credentials.add(&here, Login { user: "u".into(), password: Secret::new("p") });
        let authorizer = Authorizer::new(credentials);
        let headers = |value: &'static str| {
            [(reqwest::header::WWW_AUTHENTICATE, value.parse().unwrap())].into_iter().collect()
        };
        assert_eq!(authorizer.header("GET", &here), None);
        assert!(authorizer.should_ask(&here));
        assert!(authorizer.learn(&here, &headers("Basic realm=x"), false));
        assert_eq!(authorizer.header("GET", &here).unwrap(), "Basic dTpw");
        assert!(!authorizer.learn(&here, &headers("Basic realm=x"), true), "refused");
        assert!(authorizer.is_exposed(&here) && !authorizer.should_ask(&here));

        let there = url("http://127.0.0.1/a");
        assert!(!authorizer.learn(&there, &headers("Basic realm=x"), false), "no login");
        assert_eq!(authorizer.header("GET", &there), None);

        assert!(authorizer.learn(&here, &headers("Digest realm=r,nonce=1,qop=auth"), false));
        let stale = "Digest realm=r,nonce=2,qop=auth,stale=true";
        assert!(authorizer.learn(&here, &headers(stale), true));
        let header = authorizer.header("PUT", &here).unwrap();
        assert!(header.contains("nonce=\"2\"") && header.contains("nc=00000001"), "{header}");
        assert!(authorizer.header("PUT", &here).unwrap().contains("nc=00000002"));
    }
}
