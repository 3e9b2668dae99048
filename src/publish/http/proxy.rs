//! The variables that name proxies. `reqwest` passes over one that it cannot read, and goes to the
//! server directly: whoever has a proxy wants that to be an error.

use std::ffi::{OsStr, OsString};

use http::Uri;
use http::uri::Authority;

use crate::error::{Error, Kind, Result};

/// Of each pair the first one that is set counts, as `reqwest` takes them.
const VARIABLES: [[&str; 2]; 3] =
    [["HTTP_PROXY", "http_proxy"], ["HTTPS_PROXY", "https_proxy"], ["ALL_PROXY", "all_proxy"]];

/// Checks all variables. `variable` gives the value of one.
///
/// # Errors
/// `Config`, with the variable's name, and without its value, which may have a password in it.
pub(super) fn check(variable: impl Fn(&str) -> Option<OsString>) -> Result<()> {
    for names in VARIABLES {
        let set = names.iter().find_map(|name| Some((name, variable(name)?)));
        let Some((name, value)) = set.filter(|(_, value)| !value.is_empty()) else { continue };
        if !is_proxy(&value) {
            let message = format!("the variable {name} is no address of an HTTP proxy");
            return Err(Error::new(Kind::Config, "http-proxy", message)
                .remedy("write it as http://HOST:PORT, with what is special percent-encoded"));
        }
    }
    Ok(())
}

/// What `reqwest` without `socks` takes, read with its own parser.
fn is_proxy(value: &OsStr) -> bool {
    let Some(uri) = value.to_str().and_then(|text| text.parse::<Uri>().ok()) else { return false };
    let Some(authority) = uri.authority() else { return false };
    // It takes what is behind the first `@` for the host.
    let place = authority.as_str().split_once('@').map_or(authority.as_str(), |(_, place)| place);
    let Ok(place) = place.parse::<Authority>() else { return false };
    let host = place.host();
    let port = place.as_str() == host || place.port_u16().is_some_and(|port| port > 0);
    let plain = !host.is_empty() && !place.as_str().contains('@');
    port && plain && matches!(uri.scheme_str(), None | Some("http" | "https"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(set: &[(&str, &str)]) -> Result<()> {
        check(|name| Some(set.iter().find(|(n, _)| *n == name)?.1.into()))
    }

    #[test]
    fn what_can_be_a_proxy_is_one() {
        for value in [
            "",
            "proxy",
            "proxy:3128",
            "http://proxy",
            "http://proxy:3128/",
            "https://u:p%40w@proxy:3128",
            "http://[::1]:3128",
            "u:p@10.0.0.1:3128",
        ] {
            checked(&[("https_proxy", value)]).unwrap();
        }
        checked(&[]).unwrap();
        // This one counts, and the other one does not.
        checked(&[("HTTP_PROXY", "proxy"), ("http_proxy", "no proxy")]).unwrap();
    }

    #[test]
    fn what_cannot_is_told_without_its_value() {
        for value in [
            "http://sesame@",
            "http://u:sesame@pro xy:3128",
            " http://sesame:1",
            "http://u:se same@proxy",
            "http://u:sesame@w@proxy",
            "http://sesame:x",
            "http://sesame:99999",
            "http://sesame:0",
            "http://sesame:",
            "http://",
            "http:sesame",
            "//sesame",
            "/sesame",
            "?sesame",
            "ftp://sesame",
            "socks5://sesame:1080",
            "http://s\u{e9}same",
        ] {
            for name in ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "ALL_PROXY"] {
                let error = checked(&[(name, value)]).unwrap_err();
                assert_eq!(error.kind(), Kind::Config, "{value}");
                assert!(error.to_string().contains(name), "{error}");
                assert!(!format!("{error:?}").contains("sesame"), "{error:?}");
            }
        }
        use std::os::unix::ffi::OsStringExt;
        check(|_| Some(OsString::from_vec(vec![0xff]))).unwrap_err();
    }
}
