//! Any text as a repository's naming scheme, and any facts: the name stays below the repository.

#![no_main]

use libfuzzer_sys::fuzz_target;
use stratus::publish::scheme::{Facts, Scheme};

fuzz_target!(|input: (&str, [Option<&str>; 5])| {
    let (text, [os, arch, version, osversion, compression]) = input;
    let Ok(scheme) = Scheme::parse(text) else { return };
    let facts = Facts { type_: Some("base"), os, arch, version, osversion, compression };
    let Ok(name) = scheme.name(&facts) else { return };
    assert!(!name.starts_with('/') && !name.chars().any(char::is_control), "{name:?}");
    assert!(!name.split('/').any(|part| matches!(part, "" | "." | "..")), "{name:?}");
});
