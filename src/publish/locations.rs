//! Which locations a marketplace may be told. An entry is signed and public, and clouds elsewhere
//! fetch the image from its location: one that only this machine can reach, or that has a password
//! in it, must never be there.

use std::net::{Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

use super::http::shown;
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

/// Checks a location before it is signed.
///
/// `marketplace` is the one that will be told, if it is one with a URL.
///
/// # Errors
/// `Refused` for a location that nobody else can use, or that tells a secret.
pub fn check(location: &str, marketplace: Option<&Url>) -> Result<Vec<Warning>> {
    let refuse = |what: &str| {
        // What is after a question mark may be a secret, too.
        let url = Url::parse(location).map_or_else(|_| "given".to_owned(), |url| shown(&url));
        Error::new(Kind::Refused, "location-refused", format!("the location {url:.200}: {what}"))
            .remedy("give the URL that clouds can fetch the image from with --location")
    };
    // pdisk:HOST:PORT:UUID is what pdisk calls its disks.
    if location.starts_with("pdisk:") {
        return Ok(Vec::new());
    }
    let Ok(url) = Url::parse(location) else {
        return Err(refuse("this is not a complete URL"));
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refuse("a user or password is public there"));
    }
    if matches!(url.scheme(), "file" | "data" | "javascript") {
        return Err(refuse("nobody else can read it"));
    }
    let mut warnings = Vec::new();
    let mut warn = |code, message: &str| {
        warnings.push(Warning {
            code,
            message: format!("the location {:.200}: {message}", shown(&url)),
        });
    };
    if !matches!(url.scheme(), "http" | "https") {
        warn("location-scheme", "StratusLab clouds fetch images by http and https only");
    }
    match url.host().map(|host| reach(&host)) {
        None => return Err(refuse("there is no host in it")),
        Some(Reach::Public) => {}
        Some(Reach::Host) if marketplace.is_some_and(is_loopback) => {}
        Some(Reach::Site) if marketplace.is_some_and(is_loopback) => {}
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
    // pdisk unpacks what ends with .gz, and looks at the whole URL for that.
    if url.query().is_some() || url.fragment().is_some() {
        warn("location-query", "StratusLab's storage does not unpack a URL that goes on after .gz");
    } else if !url.path().ends_with(".gz") {
        warn("location-not-gz", "StratusLab's storage unpacks only what ends with .gz");
    }
    Ok(warnings)
}

fn reach<S: AsRef<str>>(host: &Host<S>) -> Reach {
    match host {
        // The parser has read 127.1, 0x7f000001 and 2130706433 as addresses by now.
        Host::Ipv4(address) => reach_v4(*address),
        Host::Ipv6(address) => reach_v6(*address),
        Host::Domain(name) => reach_name(name.as_ref()),
    }
}

/// Special names: RFC 6761 (`localhost`), RFC 6762 (`local`), and `internal`, which ICANN has set
/// apart for private use.
fn reach_name(name: &str) -> Reach {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    // Schemes other than http and https do not have their addresses read by the parser.
    if let Ok(address) = name.parse() {
        return reach_v4(address);
    }
    match name.rsplit('.').next() {
        Some("localhost" | "localdomain") => Reach::Host,
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
    match address.segments() {
        // NAT64 (RFC 6052) and 6to4 (RFC 3056) carry an IPv4 address.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => {
            reach_v4(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)))
        }
        [0xfe80..=0xfebf, ..] | [0xff00..=0xffff, ..] => Reach::Nowhere,
        [0xfc00..=0xfdff, ..] => Reach::Site,
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
            "pdisk:host:8445:7f2ad3a4-0000-0000-0000-000000000000",
        ] {
            assert!(codes(location, PUBLIC).is_empty(), "{location}");
        }
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
        ] {
            let location = format!("http://{host}:81/x.img.gz");
            for marketplace in [None, Some(Url::parse(PUBLIC).unwrap())] {
                let error = check(&location, marketplace.as_ref()).unwrap_err();
                assert_eq!(error.kind(), Kind::Refused, "{location}");
            }
            assert!(codes(&location, LOCAL).is_empty(), "{location}");
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
        ] {
            let error = check(location, Some(&Url::parse(PUBLIC).unwrap())).unwrap_err();
            assert_eq!(error.kind(), Kind::Refused, "{location}");
            assert!(error.advice().unwrap().contains("--location"));
        }
    }

    #[test]
    fn no_password_is_repeated() {
        for location in ["https://jane:sesame@h.org/x.gz", "http://:sesame@h.org/x.gz?a"] {
            let error = check(location, Some(&Url::parse(LOCAL).unwrap())).unwrap_err();
            assert_eq!(error.kind(), Kind::Refused);
            assert!(!format!("{error:?}").contains("sesame"), "{error:?}");
        }
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
            ("http://h.org/x.gz?v=1", "location-query"),
            ("http://h.org/x.gz#v", "location-query"),
            ("http://h.org/x.img", "location-not-gz"),
            ("ftp://h.org/x.img.gz", "location-scheme"),
            ("s3://bucket.h.org/x.img.gz", "location-scheme"),
        ] {
            assert_eq!(codes(location, PUBLIC), [code], "{location}");
        }
        assert!(codes("http://10.1.2.3/x.gz", "http://localhost/").is_empty());
        assert!(!is_loopback(&Url::parse("http://128.0.0.1/").unwrap()));
    }
}
