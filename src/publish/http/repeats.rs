//! Whether a server's text repeats a secret, also in the form that pages, URLs and JSON write it in.

/// Longest reference of a character in HTML that is read: `&#x10ffff;`.
const LONGEST_REFERENCE: usize = 10;

/// Whether one of `secrets` is in the text: as it is, or escaped for HTML, percent-encoded, or both
/// in either order; also with blanks and characters in it that nobody sees.
pub(super) fn repeats(text: &str, secrets: &[String]) -> bool {
    let (unescaped, plain) = (without_references(text), decoded(text));
    let both = [decoded(&unescaped), without_references(&plain)];
    let forms = [text, &unescaped, &plain, &both[0], &both[1]];
    let forms = forms.map(|form| [form.to_owned(), alike(form), seen(form)]);
    secrets.iter().any(|secret| {
        let secret = [secret.clone(), alike(secret), seen(secret)];
        let is_in =
            |(form, secret): (&String, &String)| !secret.is_empty() && form.contains(secret);
        forms.iter().any(|form| form.iter().zip(&secret).any(is_in))
    })
}

/// What forms write in place of a space, and JSON and shells before what has a meaning there.
fn alike(text: &str) -> String {
    text.chars().filter(|c| *c != '\\').map(|c| if c == '+' { ' ' } else { c }).collect()
}

/// What a reader sees of it, without the blanks.
fn seen(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace() && !is_unseen(*c)).collect()
}

/// Characters that nobody sees: those that control, have no width, turn the direction of a text
/// around, or stand for what was no text.
pub(super) fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}' | '\u{fffd}' | '\u{e0000}'..='\u{e007f}')
}

/// Percent-encoding undone; what is not UTF-8 becomes a replacement character.
pub(super) fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let hex = bytes.get(at + 1..at + 3).filter(|_| byte == b'%');
        let value = hex.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        plain.push(value.unwrap_or(byte));
        at += if value.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&plain).into_owned()
}

/// References of characters undone: `&amp;`, `&#38;`, `&#x26;`.
fn without_references(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        plain.push_str(before);
        let end = after.bytes().take(LONGEST_REFERENCE).position(|byte| byte == b';');
        let named =
            end.and_then(|end| Some((character(after.get(..end)?)?, after.get(end + 1..)?)));
        let (c, then) = named.unwrap_or(('&', after));
        plain.push(c);
        rest = then;
    }
    plain + rest
}

fn character(reference: &str) -> Option<char> {
    let Some(number) = reference.strip_prefix('#') else {
        return match reference {
            "amp" => Some('&'),
            "lt" => Some('<'),
            "gt" => Some('>'),
            "quot" => Some('"'),
            "apos" => Some('\''),
            _ => None,
        };
    };
    let value = match number.strip_prefix(['x', 'X']) {
        Some(hex) => u32::from_str_radix(hex, 16),
        None => number.parse(),
    };
    char::from_u32(value.ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_secret_is_found_in_every_form() {
        let secret = ["p&<w\"'d \u{e9}+/=%;".to_owned()];
        for text in [
            "you said p&<w\"'d \u{e9}+/=%; and no",
            "p&amp;&lt;w&quot;&#39;d \u{e9}+/=%;",
            "p&#38;&#x3c;w&#34;&apos;d&#32;&#xE9;&#x2B;/=%;",
            "p%26%3Cw%22%27d%20%C3%A9%2B%2F%3D%25%3B",
            "/?x=p%26%3cw%22%27d+%c3%a9%2b/%3d%25%3b&y",
            "p%26amp;%26lt;w%26quot;%26#39;d \u{e9}+/=%25;",
            "p&#37;26&#37;3Cw&#37;22&#37;27d&#37;20\u{e9}&#37;2B/=&#37;25;",
            "{\"x\": \"p&<w\\\"'d \u{e9}+\\/=%;\"}",
            "p&<w\"'\0d \u{200b}\u{feff}\u{e9}+\n/\u{1}=%\u{fffd};",
            "p&<w\"'d&#1;\u{e9}+/ =%;",
        ] {
            assert!(repeats(text, &secret), "{text}");
        }
        for text in ["", "p&", "you said p&amp;<w", "&#x110000; &#; & && &amp &unknown;"] {
            assert!(!repeats(text, &secret), "{text}");
            assert!(!repeats(text, &[String::new(), "+\\x".to_owned()]), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "(&|#|x|;|amp|%|[0-9a-f]|\u{e9}|\u{1f600}){0,60}") {
            let _ = repeats(&text, &["x".to_owned()]);
        }

        /// Written by the crate `url`, which shares no code with this.
        #[test]
        fn what_others_encode_is_found(secret in "\\PC{1,20}") {
            let mut url = url::Url::parse("http://host/").unwrap();
            url.query_pairs_mut().append_pair("password", &secret);
            prop_assert!(repeats(url.as_str(), &[secret]));
        }
    }
}
