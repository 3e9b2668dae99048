//! An image's identifier: its SHA-1 in 27 characters.
//!
//! The 160 bits are one number, most significant first, in digits of base 64; the first digit has
//! only four bits, so it is one of `A` to `P`. This is not Base64 of the bytes, which would leave
//! the spare bits at the other end.

use crate::error::{Error, Kind, Result};

/// Characters of an identifier: 160 bits, six each.
pub const LEN: usize = 27;
/// Hexadecimal digits of a SHA-1.
const HEX: usize = 40;
/// The digits, by value.
const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// The identifier of the image whose SHA-1 is `hex`: 40 hexadecimal digits of either case.
///
/// # Errors
/// `Damaged` (`identifier-sha1`) for anything else.
pub fn from_sha1(hex: &str) -> Result<String> {
    let wrong = || {
        let message = format!("{hex:?} is not a SHA-1 of {HEX} hexadecimal digits");
        Error::new(Kind::Damaged, "identifier-sha1", message)
    };
    if hex.len() != HEX {
        return Err(wrong());
    }
    // Three hexadecimal digits are two of ours. 40 of them are one for the first, and 13 times 3.
    let (first, rest) = hex.split_at_checked(1).ok_or_else(wrong)?;
    let mut identifier = String::with_capacity(LEN);
    identifier.push(digit(number(first).ok_or_else(wrong)?));
    for three in rest.as_bytes().chunks(3) {
        let three = std::str::from_utf8(three).ok().and_then(number).ok_or_else(wrong)?;
        identifier.extend([digit(three >> 6), digit(three)]);
    }
    Ok(identifier)
}

/// The SHA-1 that an identifier stands for: 40 lower-case hexadecimal digits.
///
/// # Errors
/// `Damaged` (`identifier`) if it is none.
pub fn to_sha1(identifier: &str) -> Result<String> {
    let wrong = || {
        let message = format!("{identifier:?} is not the identifier of an image");
        Error::new(Kind::Damaged, "identifier", message)
            .remedy("an identifier has 27 characters of A-Z, a-z, 0-9, - and _, the first of A-P")
    };
    if identifier.len() != LEN {
        return Err(wrong());
    }
    let value = |byte: u8| DIGITS.iter().position(|digit| *digit == byte).ok_or_else(wrong);
    let bytes = identifier.as_bytes();
    let first = value(bytes[0])?;
    if first >= 16 {
        return Err(wrong());
    }
    let mut hex = format!("{first:x}");
    for pair in bytes[1..].chunks(2) {
        hex += &format!("{:03x}", value(pair[0])? << 6 | value(pair[1])?);
    }
    Ok(hex)
}

/// The value of hexadecimal digits, and of nothing else: `from_str_radix` takes a sign, too.
fn number(hex: &str) -> Option<usize> {
    let digits = hex.bytes().all(|byte| byte.is_ascii_hexdigit());
    usize::from_str_radix(hex, 16).ok().filter(|_| digits)
}

/// The digit of the lowest six bits.
fn digit(value: usize) -> char {
    char::from(DIGITS[value & 63])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// From the original's published entries; the last three follow from the definition.
    const KNOWN: [(&str, &str); 7] = [
        ("c319bbd5afc0a22ba3eaed0507c39383ec28eeff", "MMZu9WvwKIro-rtBQfDk4PsKO7_"),
        ("1104f3e30c030f8b93f220b04131032dddf51f21", "BEE8-MMAw-Lk_IgsEExAy3d9R8h"),
        ("27b7b906c06b124c6d305a09758ed8564f4454d3", "Ce3uQbAaxJMbTBaCXWO2FZPRFTT"),
        ("5e3db90187d6ec13e261bd2ea8f6a589d6900a5d", "F49uQGH1uwT4mG9Lqj2pYnWkApd"),
        ("0000000000000000000000000000000000000000", "AAAAAAAAAAAAAAAAAAAAAAAAAAA"),
        ("ffffffffffffffffffffffffffffffffffffffff", "P__________________________"),
        ("da39a3ee5e6b4b0d3255bfef95601890afd80709", "No5o-5ea0sNMlW_75VgGJCv2AcJ"),
    ];

    #[test]
    fn known_identifiers() {
        for (sha1, identifier) in KNOWN {
            assert_eq!(from_sha1(sha1).unwrap(), identifier);
            assert_eq!(from_sha1(&sha1.to_uppercase()).unwrap(), identifier);
            assert_eq!(to_sha1(identifier).unwrap(), sha1);
        }
    }

    #[test]
    fn what_is_no_sha1_is_refused() {
        let forty = "c319bbd5afc0a22ba3eaed0507c39383ec28eeff";
        for odd in ["", &forty[1..], &format!("0{forty}"), &forty.replace('c', "g")] {
            assert_eq!(from_sha1(odd).unwrap_err().code(), "identifier-sha1", "{odd}");
        }
        // Forty bytes each: a sign, a space, characters of two bytes.
        for odd in [format!("+{}", &forty[1..]), format!("{} ", &forty[1..]), "ä".repeat(20)] {
            assert_eq!(from_sha1(&odd).unwrap_err().code(), "identifier-sha1", "{odd}");
        }
    }

    #[test]
    fn what_is_no_identifier_is_refused() {
        let sound = KNOWN[0].1;
        for odd in ["", &sound[1..], &format!("A{sound}"), &format!("{}=", &sound[1..])] {
            assert_eq!(to_sha1(odd).unwrap_err().code(), "identifier", "{odd}");
        }
        // 161 bits.
        assert!(to_sha1(&format!("Q{}", "A".repeat(26))).is_err());
        assert!(to_sha1(&format!("{}\u{e4}", &sound[2..])).is_err());
    }

    proptest! {
        #[test]
        fn there_and_back(hex in "[0-9a-f]{40}") {
            prop_assert_eq!(to_sha1(&from_sha1(&hex).unwrap()).unwrap(), hex);
        }
    }
}
