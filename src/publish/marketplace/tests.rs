//! Addresses; everything else is asked of a server in `tests/marketplace.rs`.

use super::endpoint;
use crate::error::Kind;

#[test]
fn an_address_is_a_url_or_a_host() {
    for (text, url) in [
        ("https://m.example.org", "https://m.example.org/"),
        ("m.example.org", "https://m.example.org/"),
        ("m.example.org:8443", "https://m.example.org:8443/"),
        (" m.example.org/mp ", "https://m.example.org/mp/"),
        ("http://m.example.org:8080//mp///v1//", "http://m.example.org:8080/mp/v1/"),
        ("HTTP://M.Example.org/%2e%2e/a", "http://m.example.org/a/"),
        ("[::1]:8080", "https://[::1]:8080/"),
    ] {
        assert_eq!(endpoint(text).unwrap().as_str(), url, "{text}");
    }
}

#[test]
fn other_addresses_are_refused_without_their_password() {
    for text in [
        "",
        "https://",
        "ftp://m.example.org",
        "file:///tmp",
        "https://jane:sesame@m.example.org",
        "jane@m.example.org",
        "https://m.example.org/?sesame",
        "https://m.example.org/#x",
        "a b",
        "https://m:99999/",
        "https://:sesame@/",
    ] {
        let error = endpoint(text).unwrap_err();
        assert_eq!(error.kind(), Kind::Usage, "{text}");
        assert!(!format!("{error:?}").contains("sesame"), "{error:?}");
    }
}
