//! The names of objects: which are allowed, how one is written in a URL, and what an unfinished
//! object is called.

use std::fmt::Write;

use super::Object;
use crate::error::{Error, Kind, Result};

/// Longest name as a whole. Linux takes paths of 4096 bytes (PATH_MAX), the root among them; Apache
/// takes lines of 8190 bytes, and an encoded name has up to three times its bytes.
const LONGEST: usize = 2048;
/// Longest part between two slashes: 255 bytes on Linux (NAME_MAX).
const LONGEST_PART: usize = 255;
/// Digits of an owner.
const OWNER: usize = 8;

/// The parts of an object's name, checked.
///
/// # Errors
/// `Usage`, for a name that could lead somewhere else or that no store could hold.
pub fn parts(name: &str) -> Result<Vec<&str>> {
    let flaw = |what: &str| {
        Error::new(Kind::Usage, "object-name", format!("{name:?} is no name for an object: {what}"))
            .remedy("use parts of letters, digits, '.', '-' and '_' with single slashes between")
    };
    if name.len() > LONGEST {
        return Err(Error::new(
            Kind::Usage,
            "object-name",
            format!("an object's name of {} bytes is too long: at most {LONGEST}", name.len()),
        ));
    }
    if name.chars().any(char::is_control) {
        return Err(flaw("it has a control character"));
    }
    let parts: Vec<&str> = name.split('/').collect();
    for part in &parts {
        match *part {
            "" => return Err(flaw("a part of it is empty")),
            "." | ".." => return Err(flaw("a part of it is '.' or '..'")),
            part if part.len() > LONGEST_PART => return Err(flaw("a part of it is too long")),
            _ => {}
        }
    }
    Ok(parts)
}

/// Checks what every target relies on: the name, and the form of the digest.
///
/// # Errors
/// `Usage` for the name, `Internal` for a digest that is not 64 lower-case hexadecimal digits.
pub fn check(object: &Object) -> Result<()> {
    parts(object.name)?;
    let hex = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
    if object.sha256.len() != 64 || !object.sha256.bytes().all(hex) {
        return Err(Error::new(Kind::Internal, "object-sha256", "this is no SHA-256 of an object"));
    }
    Ok(())
}

/// The name, which [`parts`] allows, as the path of a URL: everything but the unreserved characters
/// (RFC 3986, section 2.3) and the slash is percent-encoded. `+`, too: some stores take it for a
/// space.
pub fn encoded(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                text.push(char::from(byte));
            }
            _ => _ = write!(text, "%{byte:02X}"),
        }
    }
    text
}

/// What the object's last part is called while it is not finished: `.NAME.<16 hex>.<owner>.part`,
/// with the first digits of its SHA-256, so that what an upload of other content has left is not
/// taken for this one's, and with the [owner](super::Session::owner), so that nobody writes into,
/// removes or renames what another one is about to prove.
pub fn unfinished(object: &Object, owner: &str) -> String {
    format!("{}.{}.part", unfinished_of_any(object), plain_owner(owner))
}

/// An owner as far as it may be in a name.
pub fn plain_owner(owner: &str) -> String {
    owner.chars().filter(char::is_ascii_hexdigit).take(OWNER).collect()
}

/// The name without its end, which differs by the owner: `.NAME.<16 hex>`. A long name is cut: the
/// whole has to fit into one part.
pub fn unfinished_of_any(object: &Object) -> String {
    let last = object.name.rsplit('/').next().unwrap_or_default();
    let digest: String = object.sha256.chars().take(16).collect();
    // A folder that links has one more ending: `.part.link`.
    let rest = digest.len() + OWNER + ".".len() * 3 + ".part.link".len();
    let mut end = last.len().min(LONGEST_PART - rest);
    while !last.is_char_boundary(end) {
        end -= 1;
    }
    format!(".{}.{digest}", last.get(..end).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish::Content;

    const SHA256: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn object(name: &str) -> Object<'_> {
        Object { name, content: Content::Bytes(b""), bytes: 0, sha256: SHA256 }
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        let long_part = "x".repeat(256);
        let long = "x/".repeat(1024) + "x";
        let bad = [
            "", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/../b", "a/..", "./a", "a\nb", "a\0",
            "a\u{7f}", "\u{85}", &long_part, &long,
        ];
        for name in bad {
            assert_eq!(parts(name).unwrap_err().kind(), Kind::Usage, "{name:?}");
            assert_eq!(check(&object(name)).unwrap_err().kind(), Kind::Usage, "{name:?}");
        }
        for name in ["a", "a/b", "...", "a b/%2e%2e", ".hidden", "é+/日本.gz", "a/.../b"] {
            check(&object(name)).unwrap();
        }
    }

    #[test]
    fn a_digest_has_one_form() {
        for sha256 in ["", &SHA256[1..], &SHA256.to_uppercase(), &SHA256.replace('e', "g")] {
            let object = Object { sha256, ..object("a") };
            assert_eq!(check(&object).unwrap_err().kind(), Kind::Internal);
        }
    }

    #[test]
    fn a_name_is_encoded_for_a_url() {
        assert_eq!(encoded("a b/c+d/50%/~e_f-1.img.gz"), "a%20b/c%2Bd/50%25/~e_f-1.img.gz");
        assert_eq!(encoded("é?#"), "%C3%A9%3F%23");
    }

    #[test]
    fn the_unfinished_object_has_a_name_of_its_own() {
        let name = |owner| unfinished(&object("base/x.gz"), owner);
        assert_eq!(name("0a1b2c3d"), ".x.gz.e3b0c44298fc1c14.0a1b2c3d.part");
        assert_eq!(name("../0a/1b2c3d4e5f"), ".x.gz.e3b0c44298fc1c14.0a1b2c3d.part");
        for long in ["x".repeat(255), "é".repeat(127), "日".repeat(85)] {
            let name = unfinished(&object(&long), "0a1b2c3d") + ".link";
            assert!(name.len() <= 255 && name.len() > 250, "{}", name.len());
        }
    }
}
