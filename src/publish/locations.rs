//! Which locations a marketplace may be told. An entry is signed and public, and clouds elsewhere
//! fetch the image from its location: one that only this machine can reach, or that has a password
//! in it, must never be there.

use std::net::{Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

use crate::error::{Error, Kind, Result};
use crate::metadata::signature::Warning;

/// How far an address can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    /// From anywhere, as far as the address tells.
    Public,
    /// Within a site.
    Site,
    /// From this host only.
    Host,
    /// From nowhere, or from one cable only.
    Nowhere,
}

/// Whether a URL leads to this host: a marketplace there may be told locations that do so, too.
pub fn is_loopback(url: &Url) -> bool {
    url.host().is_some_and(|host| reach(&host) == Reach::Host)
}

/// A user or password in a location would be signed and shown to everybody.
///
/// # Errors
/// `Refused`, without the location.
pub fn without_secret(location: &str) -> Result<()> {
    let hidden = match Url::parse(location) {
        Ok(url) if url.has_host() => !url.username().is_empty() || url.password().is_some(),
        _ => names_a_user(location),
    };
    if !hidden {
        return Ok(());
    }
    let message = "there is a user or a password in the location, which everybody would see";
    Err(Error::new(Kind::Refused, "location-refused", message).remedy(REMEDY))
}

/// Whether there is an `@` before the first part of the path, behind all that may be a scheme:
/// `pdisk:https://jane:sesame@host/x` is no URL with a host, and is read as one by others.
fn names_a_user(location: &str) -> bool {
    // Readers of URLs pass over line ends and tabs.
    let text: String = location.chars().filter(|c| !c.is_whitespace() && !c.is_control()).collect();
    let mut rest = text.as_str();
    while let Some((scheme, more)) = rest.split_once(':') {
        let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
        if !scheme.chars().all(known) {
            break;
        }
        rest = more;
    }
    let rest = rest.trim_start_matches(['/', '\\']);
    rest.split(['/', '\\', '?', '#']).next().is_some_and(|host| host.contains('@'))
}

/// The URL with the host that a location leads to, if it is written in a form that everybody reads
/// alike: `SCHEME://HOST/…`, or what pdisk calls its disks, `pdisk:HOST:PORT:UUID` and
/// `pdisk:https://HOST:PORT/PATH/UUID`.
fn address(location: &str) -> std::result::Result<Url, &'static str> {
    let scheme = |text: &str| text.split(':').next().unwrap_or_default().to_ascii_lowercase();
    let disk = location.get(6..).filter(|_| scheme(location) == "pdisk");
    let written = match disk {
        Some(disk) if !matches!(&*scheme(disk), "http" | "https") => {
            // An address of version 6 has colons in it.
            let end = disk.find(']').map_or_else(|| disk.find([':', '/']), |at| Some(at + 1));
            format!("http://{}/", &disk[..end.unwrap_or(disk.len())])
        }
        disk => disk.unwrap_or(location).to_owned(),
    };
    let url = Url::parse(&written).map_err(|_| "this is not a complete URL")?;
    if !url.has_host() {
        return Err("there is no host in it");
    }
    // Browsers read http:host and http:///host as http://host, others do not.
    let host = written.split_once(':').and_then(|(_, rest)| rest.strip_prefix("//"));
    if host.is_none_or(|host| host.starts_with(['/', '\\'])) {
        return Err("it is not written as http://HOST/…");
    }
    Ok(url)
}

/// Checks a location before it is signed.
///
/// `marketplace` is the one that will be told, if it is one with a URL.
///
/// # Errors
/// `Refused` for a location that nobody else can use, or that tells a secret.
pub fn check(location: &str, marketplace: Option<&Url>) -> Result<Vec<Warning>> {
    without_secret(location)?;
    // What is after a question mark may be a secret, too.
    let name = location.split(['?', '#']).next().unwrap_or_default();
    let refuse = |what: &str| {
        let message = format!("the location {name:.200}: {what}");
        Error::new(Kind::Refused, "location-refused", message).remedy(REMEDY)
    };
    let url = address(location).map_err(refuse)?;
    if matches!(url.scheme(), "file" | "data" | "javascript") {
        return Err(refuse("nobody else can read it"));
    }
    let mut warnings = Vec::new();
    let mut warn = |code, what: &str| {
        warnings.push(Warning { code, message: format!("the location {name:.200}: {what}") });
    };
    if !matches!(url.scheme(), "http" | "https") {
        warn("location-scheme", "StratusLab clouds fetch images by http and https only");
    }
    match url.host().map(|host| reach(&host)) {
        None => return Err(refuse("there is no host in it")),
        Some(Reach::Public) => {}
        Some(Reach::Host | Reach::Site) if marketplace.is_some_and(is_loopback) => {}
        Some(Reach::Host) => {
            return Err(refuse("only this machine itself can reach it"));
        }
        Some(Reach::Nowhere) => {
            return Err(refuse("other machines cannot reach it"));
        }
        Some(Reach::Site) => {
            warn("location-private", "its address is known within your own network only");
        }
    }
    Ok(warnings)
}

const REMEDY: &str = "give the URL that clouds can fetch the image from with --location, without \
                      user and password";

fn reach<S: AsRef<str>>(host: &Host<S>) -> Reach {
    match host {
        // The parser has read 127.1, 0x7f000001 and 2130706433 as addresses by now.
        Host::Ipv4(address) => reach_v4(*address),
        Host::Ipv6(address) => reach_v6(*address),
        Host::Domain(name) => reach_name(name.as_ref()),
    }
}

/// Special names: RFC 6761 (`localhost`), RFC 6762 (`local`), `internal`, which ICANN has set apart
/// for private use, and what systems have in /etc/hosts.
fn reach_name(name: &str) -> Reach {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    // Schemes other than http and https do not have their addresses read by the parser.
    if let Ok(address) = name.parse() {
        return reach_v4(address);
    }
    match name.rsplit('.').next() {
        Some("localhost" | "localdomain" | "localdomain4" | "localdomain6") => Reach::Host,
        _ if matches!(&*name, "localhost4" | "localhost6" | "ip6-localhost" | "ip6-loopback") => {
            Reach::Host
        }
        Some("local" | "internal") => Reach::Nowhere,
        _ if name.is_empty() => Reach::Nowhere,
        // One word is found by the resolver of one site.
        _ if !name.contains('.') => Reach::Site,
        _ => Reach::Public,
    }
}

/// Special addresses: RFC 6890.
fn reach_v4(address: Ipv4Addr) -> Reach {
    match address.octets() {
        [127, ..] => Reach::Host,
        [0, ..] | [224..=255, ..] | [169, 254, ..] => Reach::Nowhere,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] | [100, 64..=127, ..] => Reach::Site,
        _ => Reach::Public,
    }
}

fn reach_v6(address: Ipv6Addr) -> Reach {
    if address.is_loopback() {
        return Reach::Host;
    }
    if address.is_unspecified() {
        return Reach::Nowhere;
    }
    // ::ffff:a.b.c.d, and the older ::a.b.c.d.
    if let Some(address) = address.to_ipv4() {
        return reach_v4(address);
    }
    let last = |high, low| reach_v4(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)));
    match address.segments() {
        // IPv4-translated addresses (RFC 2765),
        [0, 0, 0, 0, 0xffff, 0, high, low]
        // NAT64 (RFC 6052) and 6to4 (RFC 3056) carry an IPv4 address.
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..] => last(high, low),
        // NAT64 of one site (RFC 8215).
        [0x64, 0xff9b, 1, .., high, low] => match last(high, low) {
            Reach::Public => Reach::Site,
            other => other,
        },
        [0xfe80..=0xfebf, ..] | [0xff00..=0xffff, ..] => Reach::Nowhere,
        // Also the site's own ones of old times (RFC 3879).
        [0xfc00..=0xfdff | 0xfec0..=0xfeff, ..] => Reach::Site,
        _ => Reach::Public,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCAL: &str = "http://127.0.0.1:8080/";

    fn codes(location: &str, marketplace: &str) -> Vec<&'static str> {
        let marketplace = Url::parse(marketplace).unwrap();
        let warnings = check(location, Some(&marketplace)).unwrap();
        warnings.iter().map(|warning| warning.code).collect()
    }

    const PUBLIC: &str = "https://marketplace.example.org/";

    #[test]
    fn public_locations_are_fine() {
        for location in [
            "https://repo.example.org/images/x.img.gz",
            "http://192.0.2.7:8080/x.img.gz",
            "http://[2001:db8::1]/x.img.gz",
            "http://[::ffff:192.0.2.7]/x.img.gz",
            "pdisk:host.example.org:8445:7f2ad3a4-0000-0000-0000-000000000000",
            "pdisk:https://host.example.org:8445/pswd/7f2ad3a4-0000-0000-0000-000000000000",
            "pdisk:[2001:db8::1]:8445:u",
            "https://h.org/a:b@c.img.gz",
            "https://h.org/x.img",
            "https://h.org/x.gz?v=1",
        ] {
            assert!(codes(location, PUBLIC).is_empty(), "{location}");
        }
    }

    fn refused_elsewhere(location: &str) {
        for marketplace in [None, Some(Url::parse(PUBLIC).unwrap())] {
            let error = check(location, marketplace.as_ref()).unwrap_err();
            assert_eq!(error.kind(), Kind::Refused, "{location}");
        }
        assert!(!codes(location, LOCAL).contains(&"location-private"), "{location}");
    }

    #[test]
    fn what_nobody_else_can_reach_is_refused() {
        for host in [
            "127.0.0.1",
            "127.1",
            "127.0.1",
            "0x7f000001",
            "0x7f.1",
            "2130706433",
            "0177.0.0.1",
            "localhost",
            "LOCALHOST",
            "localhost.",
            "x.localhost",
            "localhost.localdomain",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "[::127.0.0.1]",
            "[::ffff:7f00:1]",
            "127.0.0.1.",
            "%31%32%37.0.0.1",
            "localhost4.localdomain4",
            "localhost6.localdomain6",
            "ip6-localhost",
            "[::ffff:0:127.0.0.1]",
            "[64:ff9b:1::7f00:1]",
        ] {
            for location in [
                format!("http://{host}:81/x.img.gz"),
                format!("pdisk:{host}:81:u"),
                format!("pdisk:https://{host}:81/x"),
            ] {
                refused_elsewhere(&location);
            }
        }
        for location in [
            "http://0.0.0.0/x.gz",
            "http://0/x.gz",
            "http://169.254.169.254/x.gz",
            "http://224.0.0.1/x.gz",
            "http://255.255.255.255/x.gz",
            "http://[::]/x.gz",
            "http://[fe80::1]/x.gz",
            "http://[ff02::1]/x.gz",
            "http://[::ffff:169.254.1.1]/x.gz",
            "http://[64:ff9b::7f00:1]/x.gz",
            "http://printer.local/x.gz",
            "http://x.internal./x.gz",
            "file:///tmp/x.img.gz",
            "file://host/x.gz",
            "/tmp/x.img.gz",
            "x.img.gz",
            "../x.gz",
            "",
            "//host/x.gz",
            "http:///",
            "https://",
            "ftp://127.0.0.1/x.gz",
            "s3://127.0.0.1/x.gz",
            "data:,x",
            "mailto:x@y",
            "http://u@h.org/x.gz",
            "http://h:99999/x.gz",
            "http:h.org/x.gz",
            "http:/h.org/x.gz",
            "http:///h.org/x.gz",
            "https:\\\\h.org/x.gz",
            "pdisk:https:h.org/x",
            "pdisk:",
            "blob:https://h.org/x",
        ] {
            let error = check(location, Some(&Url::parse(PUBLIC).unwrap())).unwrap_err();
            assert_eq!(error.kind(), Kind::Refused, "{location}");
            assert!(error.advice().unwrap().contains("--location"));
        }
    }

    #[test]
    fn no_password_is_repeated() {
        for location in [
            "https://jane:sesame@h.org/x.gz",
            "http://:sesame@h.org/x.gz?a",
            "pdisk:https://jane:sesame@h.org:8445/x",
            "pdisk:ht\ttps://jane:sesame@h.org:8445/x",
            "pdisk:jane:sesame@h.org:1:u",
            "blob:https://jane:sesame@h.org/x",
            "mailto:jane:sesame@h.org",
            "jane:sesame@h.org/x",
        ] {
            for error in [
                check(location, Some(&Url::parse(LOCAL).unwrap())).unwrap_err(),
                without_secret(location).unwrap_err(),
            ] {
                assert_eq!((error.kind(), error.code()), (Kind::Refused, "location-refused"));
                assert!(!format!("{error:?}").contains("sesame"), "{error:?}");
            }
        }
        let error = check("http://localhost/x.gz?sesame", None).unwrap_err();
        assert!(!format!("{error:?}").contains("sesame"), "{error:?}");
    }

    #[test]
    fn what_some_clouds_cannot_use_is_a_warning() {
        for (location, code) in [
            ("http://10.1.2.3/x.gz", "location-private"),
            ("http://172.31.0.1/x.gz", "location-private"),
            ("http://192.168.1.1/x.gz", "location-private"),
            ("http://100.64.0.1/x.gz", "location-private"),
            ("http://[fd00::1]/x.gz", "location-private"),
            ("http://repository/x.gz", "location-private"),
            ("pdisk:repository:8445:u", "location-private"),
            ("http://[fec0::1]/x.gz", "location-private"),
            ("http://[64:ff9b:1::c000:207]/x.gz", "location-private"),
            ("ftp://h.org/x.img.gz", "location-scheme"),
            ("s3://bucket.h.org/x.img.gz", "location-scheme"),
        ] {
            assert_eq!(codes(location, PUBLIC), [code], "{location}");
        }
        assert!(codes("http://10.1.2.3/x.gz", "http://localhost/").is_empty());
        assert!(!is_loopback(&Url::parse("http://128.0.0.1/").unwrap()));
    }
}
