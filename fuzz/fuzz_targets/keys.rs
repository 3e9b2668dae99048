//! Any bytes as a certificate, a PEM file or a PKCS#12 file: what is read can be shown, and signs.
//! `testdata/keys` is where it begins.

#![no_main]

use libfuzzer_sys::fuzz_target;
use stratus::metadata::keys::Endorser;
use stratus::metadata::signature::{Options, Profile, sign};

/// The password of most files in `testdata/keys`.
const PASSWORD: Option<&str> = Some("secret");

fuzz_target!(|input: &[u8]| {
    let read = match input.first() {
        Some(b'-') => Endorser::from_pem(input, input, PASSWORD),
        _ => Endorser::from_p12(input, PASSWORD, None),
    };
    let Ok(endorser) = read else { return };
    let names = [endorser.subject(), endorser.issuer(), endorser.email().unwrap_or_default()];
    assert!(names.iter().all(|name| name.len() <= input.len() * 8));
    let created = "2026-11-23T14:00:00Z".to_owned();
    let email = Some("jane@example.org".to_owned());
    let options = Options { profile: Profile::Modern, sha256_digest: true, created, email };
    // It may refuse what it is to sign; it may not panic.
    let _ = sign("<x/>", &endorser, &options);
});
