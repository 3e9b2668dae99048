//! The simple types that a manifest's values have, by the original's schemas.

/// White space of XML 1.0.
const WHITE: [char; 4] = [' ', '\t', '\r', '\n'];

/// The value of an `xs:nonNegativeInteger`: white space around it, a sign and zeros in front of it
/// are allowed. `None` for anything else, also for what is beyond 64 bits.
pub(super) fn integer(text: &str) -> Option<u64> {
    let digits = digits(text)?;
    if digits.is_empty() { Some(0) } else { digits.parse().ok() }
}

/// Whether it is an `xs:nonNegativeInteger`, of any size.
pub(super) fn is_integer(text: &str) -> bool {
    digits(text).is_some()
}

/// The digits without leading zeros of a whole number that is not below zero; none for zero.
fn digits(text: &str) -> Option<&str> {
    let text = text.trim_matches(WHITE);
    let (minus, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let sound = !unsigned.is_empty() && unsigned.bytes().all(|byte| byte.is_ascii_digit());
    let digits = unsigned.trim_start_matches('0');
    (sound && (!minus || digits.is_empty())).then_some(digits)
}

/// Whether it has hexadecimal digits and nothing else.
pub(super) fn is_hex(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Whether it is an e-mail address as endorsers have it: `[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+`
/// (`slreq.xsd`).
pub fn is_email(text: &str) -> bool {
    let plain = |part: &str, more: &str| {
        !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c))
    };
    text.split_once('@').is_some_and(|(user, host)| plain(user, "._%+-") && plain(host, ".-"))
}

/// Whether it is a language tag of RFC 3066, or empty: the value of `xml:lang`.
pub(super) fn is_language(text: &str) -> bool {
    let fits = |(at, part): (usize, &str)| {
        let sound = |b: u8| b.is_ascii_alphabetic() || (at > 0 && b.is_ascii_digit());
        (1..=8).contains(&part.len()) && part.bytes().all(sound)
    };
    let text = text.trim_matches(WHITE);
    text.is_empty() || text.split('-').enumerate().all(fits)
}

/// Whether it is an absolute URI (RFC 3986) that every reader takes as it is: a scheme, something
/// behind it, only characters that need no escape, and a port only if it is a number.
pub fn is_absolute_uri(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=%".contains(&b);
    let sound = text.bytes().all(plain) && is_uri(text);
    sound
        && Uri::of(text).is_some_and(|uri| {
            let host = uri.authority.rsplit_once('@').map_or(uri.authority, |(_, host)| host);
            let port = match host.rsplit_once(']') {
                Some((_, "")) => None,
                Some((_, port)) => Some(port.strip_prefix(':').unwrap_or("")),
                None => host.split_once(':').map(|(_, port)| port),
            };
            uri.scheme.is_some()
                && !uri.rest.contains(['[', ']'])
                && uri.authority.matches('@').count() <= 1
                && port
                    .is_none_or(|port| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()))
        })
}

/// Whether it is an `xs:anyURI`, which is nearly everything: what the Java platform takes, which
/// first escapes what URIs cannot have. libxml2 draws the line elsewhere.
pub(super) fn is_uri(text: &str) -> bool {
    let text = text.trim_matches(WHITE);
    let escaped = |(at, _): (usize, &str)| {
        let two = text.as_bytes().get(at + 1..at + 3);
        two.is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit))
    };
    let bracketed = |authority: &str| {
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        let address = host.strip_prefix('[').and_then(|rest| rest.split_once(']'));
        match address {
            Some((address, _)) => address.parse::<std::net::Ipv6Addr>().is_ok(),
            None => !host.contains(['[', ']']),
        }
    };
    text.match_indices('%').all(escaped)
        && text.matches('#').count() <= 1
        && Uri::of(text)
            .is_some_and(|uri| !uri.path.contains(['[', ']']) && bracketed(uri.authority))
}

/// The parts of a URI reference.
struct Uri<'a> {
    scheme: Option<&'a str>,
    authority: &'a str,
    path: &'a str,
    /// Query and fragment.
    rest: &'a str,
}

impl<'a> Uri<'a> {
    /// Divides it; `None` if there is no scheme before a first colon, or nothing behind a scheme
    /// or behind two slashes.
    fn of(text: &'a str) -> Option<Self> {
        let (before, rest) = text.split_at(text.find(['?', '#']).unwrap_or(text.len()));
        let (scheme, hierarchy) = match before.split_once(':') {
            Some((scheme, hierarchy)) if !scheme.contains('/') => (Some(scheme), hierarchy),
            _ => (None, before),
        };
        if let Some(scheme) = scheme {
            let plain = |b: u8| b.is_ascii_alphanumeric() || b"+-.".contains(&b);
            let nothing = hierarchy.is_empty() && (rest.is_empty() || rest.starts_with('#'));
            let begins = scheme.starts_with(|c: char| c.is_ascii_alphabetic());
            if !begins || !scheme.bytes().all(plain) || nothing {
                return None;
            }
        }
        let (authority, path) = match hierarchy.strip_prefix("//") {
            Some("") if rest.is_empty() => return None,
            Some(more) => more.split_at(more.find('/').unwrap_or(more.len())),
            None => ("", hierarchy),
        };
        Some(Uri { scheme, authority, path, rest })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_as_the_schema_has_them() {
        for (text, value) in [("0", 0), (" 12\n", 12), ("+5", 5), ("-0", 0), ("007", 7)] {
            assert_eq!(integer(text), Some(value), "{text}");
        }
        for odd in ["", " ", "-1", "1.0", "0x1", "1 2", "++1", "+-1", "\u{661}", "\u{a0}1"] {
            assert!(!is_integer(odd) && integer(odd).is_none(), "{odd}");
        }
        let beyond = "18446744073709551616";
        assert!(is_integer(beyond) && integer(beyond).is_none());
    }

    #[test]
    fn addresses() {
        for sound in ["a@b", "jane.tester+x_%-@mail.example.org", "a@-.", ".@."] {
            assert!(is_email(sound), "{sound}");
        }
        for odd in ["", "@", "a@", "@b", "a@b@c", "a b@c", "a@b_c", "ä@b", "a@b\n", "a/b@c"] {
            assert!(!is_email(odd), "{odd}");
        }
    }

    #[test]
    fn languages() {
        for sound in ["", "en", "en-GB", "x-12345678", " de "] {
            assert!(is_language(sound), "{sound}");
        }
        for odd in ["e1", "englishes", "-", "en-", "en_GB", "123456789"] {
            assert!(!is_language(odd), "{odd}");
        }
    }

    /// Measured with the schema validator of Java 17.
    #[test]
    fn uris_as_java_has_them() {
        let sound = "|http://h/x.gz|http://h|http:///x|http:/x|http:?a|a/b:c|?a:b|#a:b|#|http://h/%41\
            |http://h/?[x]|http://[::1]:80/x|http://h:abc/|http://h:/|http://u:p@h/|http://u@v@h/\
            |http://1.2.3.400/|//h/x|///|/|a\\b|a\"b<>|pdisk:HOST:8445:UUID|http://ä/|~|http://h h/\
            |http://h:80?q|http://@h/|a:b?c[]|http://a%41b/";
        for sound in sound.split('|') {
            assert!(is_uri(sound), "{sound}");
        }
        let odd = "http://|http:|http:#a|:x|1a:b|a b:c|##|a#b#c|http://h/%zz|http://h/%4|http://h/[x]\
            |http://[::g]/x|http://[]/|//|ä:x|a[b|a:#|%|x%|1:2|-a:b";
        for odd in odd.split('|') {
            assert!(!is_uri(odd) && !is_absolute_uri(odd), "{odd}");
        }
    }

    #[test]
    fn locations_are_absolute_and_need_no_escape() {
        let sound = "https://h/images/x.img.gz|http://[::1]:8080/x|pdisk:cloud.example.org:8445:0f-1a\
            |pdisk:https://h:1/p/u|file:///srv/x.gz|http://u@h:1/|urn:x:y|http://h/a%20b?q=1#f";
        for sound in sound.split('|') {
            assert!(is_absolute_uri(sound), "{sound}");
        }
        let odd = "|x.gz|/srv/x.gz|//h/x|http://h/a b|http://h/ä|http://h:abc/|http://h:/|http://u@v@h/\
            |http://h/?[x]|http://h/\"|http://[::1]x/";
        for odd in odd.split('|') {
            assert!(!is_absolute_uri(odd), "{odd}");
        }
    }
}
