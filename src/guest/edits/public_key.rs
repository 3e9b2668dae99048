//! A line of `authorized_keys` (sshd(8), "AUTHORIZED_KEYS FILE FORMAT").

use crate::error::{Error, Kind, Result};

/// Bytes of a line at most. The longest key that OpenSSH makes, RSA of 16384 bits, takes 2.8 KiB.
const MAX_LINE: usize = 16 << 10;

/// The types of keys that a server of today accepts. `ssh-dss` is not among them: OpenSSH has it off
/// since 7.0.
const TYPES: [&str; 7] = [
    "ssh-ed25519",
    "ssh-rsa",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
];

/// What may stand in front of a type; the server passes over a key with any other word there.
const OPTIONS: [&str; 22] = [
    "agent-forwarding",
    "cert-authority",
    "command",
    "environment",
    "expiry-time",
    "from",
    "no-agent-forwarding",
    "no-port-forwarding",
    "no-pty",
    "no-touch-required",
    "no-user-rc",
    "no-x11-forwarding",
    "permitlisten",
    "permitopen",
    "port-forwarding",
    "principals",
    "pty",
    "restrict",
    "tunnel",
    "user-rc",
    "verify-required",
    "x11-forwarding",
];

/// Bytes of the modulus of an RSA key at least: 1024 bits (`RequiredRSASize`, sshd_config(5)).
const RSA_BYTES: usize = 128;

/// A key as it stands in a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct KeyLine<'a> {
    /// What is said in front of the type, such as `command="…"`; empty as a rule.
    pub(super) options: &'a str,
    /// The key itself, base64.
    pub(super) blob: &'a str,
}

/// Checks that `line` is one public key as OpenSSH writes it, options in front allowed, and returns
/// it without blanks around it.
///
/// # Errors
/// `Usage`: code `key-private` for a private key, which must not be given away; else `key-invalid`.
pub fn check_key_line(line: &str) -> Result<String> {
    let line = line.trim();
    if line.contains("PRIVATE KEY") || line.starts_with("PuTTY-User-Key-File") {
        return Err(Error::new(
            Kind::Usage,
            "key-private",
            "this is a private key, which must stay with its owner",
        )
        .remedy("give the public key: the file with the same name and .pub at its end"));
    }
    if line.len() > MAX_LINE {
        return Err(invalid(&format!("it has more than {MAX_LINE} bytes")));
    }
    if line.chars().any(|c| c.is_control() && c != '\t') {
        return Err(invalid("there are control characters or several lines in it"));
    }
    if line.starts_with('#') {
        return Err(invalid("it is a comment"));
    }
    let (options, kind, blob) = parts(line).ok_or_else(|| {
        invalid(
            "it does not say, in this order: perhaps options, a type such as ssh-ed25519, a key",
        )
    })?;
    if let Some(name) = option_names(options).find(|name| !is_option(name)) {
        let name: String = name.chars().take(32).collect();
        return Err(invalid(&format!("the server knows no option {name}")));
    }
    let bytes = base64(blob).ok_or_else(|| invalid("the key is not base64"))?;
    check_blob(kind, &bytes).map_err(|why| invalid(&format!("as {kind}: {why}")))?;
    Ok(line.to_owned())
}

fn invalid(why: &str) -> Error {
    Error::new(Kind::Usage, "key-invalid", format!("this is no public key for SSH: {why}"))
        .remedy("a public key is one line of a .pub file: ssh-ed25519 AAAA… name")
}

/// The parts of a line that looks like a key.
pub(super) fn key_line(line: &str) -> Option<KeyLine<'_>> {
    parts(line.trim()).map(|(options, _, blob)| KeyLine { options, blob })
}

/// Options, type and base64. Options are one word, in which blanks may be quoted.
fn parts(line: &str) -> Option<(&str, &str, &str)> {
    let (first, rest) = line.split_at(end_of_word(line)?);
    let (options, kind, rest) = match TYPES.contains(&first) {
        true => ("", first, rest),
        false => {
            let (kind, rest) = word(rest)?;
            (first, kind, rest)
        }
    };
    let (blob, _comment) = word(rest)?;
    TYPES.contains(&kind).then_some((options, kind, blob))
}

fn word(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_start_matches([' ', '\t']);
    let end = text.find([' ', '\t']).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

/// Where the first word ends; `None` if a quote in it never does. `\"` is no end of a quote.
fn end_of_word(text: &str) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    for (at, c) in text.char_indices() {
        match c {
            ' ' | '\t' if !quoted => return Some(at),
            '"' if !escaped => quoted = !quoted,
            _ => {}
        }
        escaped = c == '\\' && !escaped;
    }
    (!quoted).then_some(text.len())
}

/// The names of options: what is between commas that are not quoted, up to a `=`.
fn option_names(options: &str) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    let commas = move |c: char| {
        quoted ^= c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        c == ',' && !quoted
    };
    let name = |option| str::split(option, '=').next().unwrap_or_default();
    options.split(commas).map(name).filter(|_| !options.is_empty())
}

fn is_option(name: &str) -> bool {
    OPTIONS.contains(&name.to_ascii_lowercase().as_str())
}

/// Bytes of base64 with its padding (RFC 4648, section 4).
fn base64(text: &str) -> Option<Vec<u8>> {
    let data = text.trim_end_matches('=');
    if !text.len().is_multiple_of(4) || text.len() - data.len() > 2 {
        return None;
    }
    let (mut bytes, mut bits, mut count) = (Vec::with_capacity(text.len()), 0_u32, 0);
    for c in data.bytes() {
        let six = match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(six);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count).ok()?);
            bits &= (1 << count) - 1;
        }
    }
    (bits == 0).then_some(bytes)
}

/// Checks the fields of a key: each is its length in 4 bytes and its bytes (RFC 4253, section 6.6;
/// RFC 5656, section 3.1; RFC 8709, section 4; OpenSSH's PROTOCOL.u2f).
fn check_blob(kind: &str, bytes: &[u8]) -> Result<(), &'static str> {
    let fields = fields(bytes).ok_or("its length is wrong: a part of it may be missing")?;
    let Some((name, fields)) = fields.split_first() else { return Err("it is empty") };
    if *name != kind.as_bytes() {
        return Err("inside, the key says that it is of another type");
    }
    let curve = |name: &[u8], point: &[u8], expected: &str, size: usize| {
        name == expected.as_bytes() && point.len() == 1 + 2 * size && point.first() == Some(&4)
    };
    let good = match (kind, fields) {
        ("ssh-ed25519", [key]) => key.len() == 32,
        ("ssh-rsa", [exponent, modulus]) => {
            let modulus = modulus.strip_prefix(&[0]).unwrap_or(modulus);
            !exponent.is_empty() && exponent.len() <= 8 && modulus.len() >= RSA_BYTES
        }
        ("ecdsa-sha2-nistp256", [name, point]) => curve(name, point, "nistp256", 32),
        ("ecdsa-sha2-nistp384", [name, point]) => curve(name, point, "nistp384", 48),
        ("ecdsa-sha2-nistp521", [name, point]) => curve(name, point, "nistp521", 66),
        ("sk-ssh-ed25519@openssh.com", [key, application]) => {
            key.len() == 32 && !application.is_empty()
        }
        ("sk-ecdsa-sha2-nistp256@openssh.com", [name, point, application]) => {
            curve(name, point, "nistp256", 32) && !application.is_empty()
        }
        _ => false,
    };
    if good { Ok(()) } else { Err("its numbers have the wrong size") }
}

fn fields(mut bytes: &[u8]) -> Option<Vec<&[u8]>> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let (len, rest) = bytes.split_first_chunk()?;
        let len = usize::try_from(u32::from_be_bytes(*len)).ok()?;
        let (field, rest) = rest.split_at_checked(len)?;
        found.push(field);
        bytes = rest;
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;

    const KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGVbV0kA8lnDfHONxIGGmhvN0E/uhm1UzwSVeHgTFPFi";

    fn code(line: &str) -> &'static str {
        check_key_line(line).unwrap_err().code()
    }

    #[test]
    fn keys_with_options_and_comments_are_keys() {
        for line in [
            KEY.to_owned(),
            format!("  {KEY} bob@x with words\r\n"),
            format!("no-X11-forwarding,from=\"a,b\",command=\"echo \\\"a b\\\" ssh-rsa\" {KEY}"),
            format!("cert-authority\t{KEY}"),
        ] {
            assert_eq!(check_key_line(&line).unwrap(), line.trim());
        }
    }

    #[test]
    fn what_is_no_key_is_refused() {
        assert_eq!(code("-----BEGIN OPENSSH PRIVATE KEY-----"), "key-private");
        assert_eq!(code("PuTTY-User-Key-File-3: ssh-ed25519"), "key-private");
        for line in [
            String::new(),
            format!("# {KEY}"),
            format!("{KEY}\n{KEY}"),
            KEY[..KEY.len() - 4].to_owned(),
            KEY[..KEY.len() - 1].to_owned(),
            KEY.replace("ssh-ed25519", "ssh-rsa"),
            KEY.replace("ssh-ed25519", "ssh-dss"),
            format!("command=\"x {KEY}"),
            format!("no-pty,,pty {KEY}"),
            format!("to root {KEY}"),
            format!("hello {KEY}"),
            "ssh-ed25519".into(),
            "ssh-ed25519 ====".into(),
            "a".repeat(MAX_LINE + 1),
        ] {
            assert_eq!(code(&line), "key-invalid", "{line}");
        }
    }

    /// `ssh-keygen` of the package openssh-client makes keys of all types and reads them.
    #[test]
    fn keys_of_ssh_keygen_are_accepted() {
        let folder = tempfile::tempdir().unwrap();
        for (kind, bits) in [
            ("ed25519", "256"),
            ("rsa", "2048"),
            ("ecdsa", "256"),
            ("ecdsa", "384"),
            ("ecdsa", "521"),
        ] {
            let path = folder.path().join(format!("{kind}{bits}"));
            let made = Command::new("ssh-keygen")
                .args(["-q", "-N", "", "-t", kind, "-b", bits, "-C", "a b", "-f"])
                .arg(&path)
                .status();
            assert!(made.expect("apt-get install openssh-client").success());
            let public = std::fs::read_to_string(path.with_extension("pub")).unwrap();
            assert_eq!(check_key_line(&public).unwrap(), public.trim());
            let private = std::fs::read_to_string(&path).unwrap();
            assert_eq!(code(&private), "key-private");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(line in "[ -~]{0,80}", cut in 0..KEY.len(), c in any::<char>()) {
            let _ = check_key_line(&line);
            let mut changed = KEY.to_owned();
            changed.insert(cut, c);
            let _ = check_key_line(&changed);
            prop_assert!(check_key_line(&KEY[..cut]).is_err());
        }
    }
}
