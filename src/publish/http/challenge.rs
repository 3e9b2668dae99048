//! What a server asks for with status 401: `WWW-Authenticate` (RFC 9110 §11.6.1).

use super::message::Headers;

/// A way to log in that this client knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    /// RFC 7617.
    Basic,
    /// RFC 7616 with `qop=auth`.
    Digest {
        /// SHA-256, or else MD5.
        sha256: bool,
        realm: String,
        nonce: String,
        opaque: Option<String>,
        /// The name and password are right, only the nonce is too old.
        stale: bool,
    },
}

impl Challenge {
    /// The best one of a reply: SHA-256 before MD5 before Basic.
    pub(super) fn best(headers: &Headers) -> Option<Self> {
        let values = headers.get_all("www-authenticate").into_iter();
        let all = values.filter_map(|value| value.to_str().ok()).flat_map(schemes);
        all.filter_map(|(name, parameters)| Challenge::of(&name, &parameters)).max_by_key(|found| {
            match found {
                Challenge::Basic => 0,
                Challenge::Digest { sha256: false, .. } => 1,
                Challenge::Digest { sha256: true, .. } => 2,
            }
        })
    }

    fn of(name: &str, parameters: &[(String, String)]) -> Option<Self> {
        if name.eq_ignore_ascii_case("basic") {
            return Some(Challenge::Basic);
        }
        if !name.eq_ignore_ascii_case("digest") {
            return None;
        }
        let get = |name: &str| {
            let found = parameters.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
            found.map(|(_, value)| value.as_str())
        };
        let sha256 = match get("algorithm") {
            None => false,
            Some(name) if name.eq_ignore_ascii_case("md5") => false,
            Some(name) if name.eq_ignore_ascii_case("sha-256") => true,
            Some(_) => return None,
        };
        let auth = |word: &str| word.trim().eq_ignore_ascii_case("auth");
        if !get("qop")?.split(',').any(auth) {
            return None;
        }
        Some(Challenge::Digest {
            sha256,
            realm: get("realm")?.to_owned(),
            nonce: get("nonce")?.to_owned(),
            opaque: get("opaque").map(str::to_owned),
            stale: get("stale").is_some_and(|word| word.eq_ignore_ascii_case("true")),
        })
    }
}

/// A scheme's name, and its parameters.
type Scheme = (String, Vec<(String, String)>);

/// The schemes of one header. A word without `=` begins a scheme, also behind a comma.
fn schemes(value: &str) -> Vec<Scheme> {
    let mut found: Vec<Scheme> = Vec::new();
    let mut rest = value;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let end = rest.find([' ', '\t', ',', '=']).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        let equals = after.trim_start_matches([' ', '\t']).strip_prefix('=');
        match equals {
            Some(after) if !word.is_empty() => {
                let (text, after) = parameter(after.trim_start_matches([' ', '\t']));
                if let Some((_, parameters)) = found.last_mut() {
                    parameters.push((word.to_owned(), text));
                }
                rest = after;
            }
            // An equals sign without a name: nothing that could be understood follows.
            Some(_) => return found,
            None if word.is_empty() => return found,
            None => {
                found.push((word.to_owned(), Vec::new()));
                rest = after;
            }
        }
    }
}

/// A word, or a quoted string (RFC 9110 §5.6.4), and what follows it.
fn parameter(text: &str) -> (String, &str) {
    let Some(inside) = text.strip_prefix('"') else {
        let end = text.find([',', ' ', '\t']).unwrap_or(text.len());
        return (text[..end].to_owned(), &text[end..]);
    };
    let mut word = String::new();
    let mut chars = inside.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (word, &inside[at + 1..]),
            '\\' => word.extend(chars.next().map(|(_, c)| c)),
            c => word.push(c),
        }
    }
    (word, "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn best(values: &[&str]) -> Option<Challenge> {
        let name = reqwest::header::WWW_AUTHENTICATE;
        Challenge::best(&values.iter().map(|v| (name.clone(), v.parse().unwrap())).collect())
    }

    #[test]
    fn the_strongest_of_several_is_taken() {
        let digest = |sha256, nonce: &str, stale| {
            let (realm, nonce) = ("a \"b\", c".to_owned(), nonce.to_owned());
            Some(Challenge::Digest { sha256, realm, nonce, opaque: None, stale })
        };
        let md5 = "Digest realm=\"a \\\"b\\\", c\", nonce=n1, qop=\"auth-int, auth\", stale=TRUE";
        let sha = "Basic realm=x, digest algorithm=SHA-256 ,realm = \"a \\\"b\\\", c\",nonce=\"n2\",qop=auth";
        assert_eq!(best(&[md5]), digest(false, "n1", true));
        assert_eq!(best(&[md5, sha]), digest(true, "n2", false));
        assert_eq!(best(&["Negotiate", "Basic realm=\"x\""]), Some(Challenge::Basic));
    }

    #[test]
    fn what_is_not_known_is_nothing() {
        for value in [
            "",
            "=",
            "Bearer realm=x",
            "Digest",
            "Digest realm=a, nonce=b",
            "Digest realm=a, nonce=b, qop=auth-int",
            "Digest realm=a, nonce=b, qop=auth, algorithm=SHA-512-256",
            "Digest realm=\"a, nonce=b, qop=auth",
        ] {
            assert_eq!(best(&[value]), None, "{value}");
        }
    }

    proptest! {
        #[test]
        fn any_text_ends(text in "(Basic|Digest|realm|=|\"|\\\\|,| |x|qop=auth|nonce){0,40}") {
            let _ = schemes(&text);
        }
    }
}
