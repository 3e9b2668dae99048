//! The words of a line of `sshd_config`, taken apart as the server does.
//!
//! From the server's own source: `strdelim_internal` (misc.c) for the keyword, `argv_split`
//! (misc.c) for the arguments, `load_server_config` (servconf.c) for what is a line.

const BLANK: [char; 4] = [' ', '\t', '\r', '\n'];

/// A line that says something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Directive {
    /// The keyword in lower case.
    pub(super) keyword: String,
    /// Its arguments, quotes removed. Empty if there are none or the quotes do not match.
    pub(super) arguments: Vec<String>,
}

/// The text that the server sees: it drops a NUL with the rest of that line and its end, so that
/// the next line, without the blanks in front of it, goes on in its place.
pub(super) fn as_read(text: &str) -> String {
    let (mut seen, mut goes_on) = (String::with_capacity(text.len()), false);
    for line in text.split_inclusive('\n') {
        let line = if goes_on { line.trim_start_matches([' ', '\t', '\r']) } else { line };
        let end = line.find('\0');
        goes_on = end.is_some();
        seen.push_str(&line[..end.unwrap_or(line.len())]);
    }
    seen
}

/// What a line says; `None` for an empty line or a comment.
pub(super) fn directive(line: &str) -> Option<Directive> {
    let line =
        line.trim_start_matches(BLANK).trim_end_matches(|c| BLANK.contains(&c) || c == '\x0c');
    let (mut keyword, mut rest) = word(line)?;
    if keyword.is_empty() {
        (keyword, rest) = word(rest?)?;
    }
    if keyword.is_empty() || keyword.starts_with('#') {
        return None;
    }
    let arguments = arguments(rest.unwrap_or_default()).unwrap_or_default();
    Some(Directive { keyword: keyword.to_ascii_lowercase(), arguments })
}

/// The first word, and what follows it: `strdelim`. The word ends at a blank or `=`; one `=`
/// between it and the rest is skipped; a quote anywhere in it makes it last to the next quote.
fn word(text: &str) -> Option<(String, Option<&str>)> {
    let Some(at) = text.find(|c| BLANK.contains(&c) || c == '"' || c == '=') else {
        return Some((text.to_owned(), None));
    };
    let (before, after) = (&text[..at], &text[at + 1..]);
    if text[at..].starts_with('"') {
        let (quoted, rest) = after.split_once('"')?;
        return Some((format!("{before}{quoted}"), Some(rest.trim_start_matches(BLANK))));
    }
    let rest = after.trim_start_matches(BLANK);
    let rest = match rest.strip_prefix('=') {
        Some(rest) if !text[at..].starts_with('=') => rest.trim_start_matches(BLANK),
        _ => rest,
    };
    Some((before.to_owned(), Some(rest)))
}

/// The arguments: `argv_split` with comments. `None` if a quote is not closed.
fn arguments(text: &str) -> Option<Vec<String>> {
    let mut found = Vec::new();
    let mut rest = text.chars().peekable();
    loop {
        while rest.next_if(|c| matches!(c, ' ' | '\t')).is_some() {}
        if rest.peek().is_none_or(|c| *c == '#') {
            return Some(found);
        }
        let (mut argument, mut quote) = (String::new(), None);
        while let Some(c) = rest.next_if(|c| quote.is_some() || !matches!(c, ' ' | '\t')) {
            let escapes =
                |n: &char| matches!(n, '\'' | '"' | '\\') || (quote.is_none() && *n == ' ');
            match c {
                '\\' => argument.push(rest.next_if(escapes).unwrap_or('\\')),
                '"' | '\'' if quote.is_none() => quote = Some(c),
                _ if quote == Some(c) => quote = None,
                _ => argument.push(c),
            }
        }
        if quote.is_some() {
            return None;
        }
        found.push(argument);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(line: &str) -> Option<(String, Vec<String>)> {
        directive(line).map(|d| (d.keyword, d.arguments))
    }

    #[test]
    fn lines_are_taken_apart_as_the_server_does() {
        let yes = Some(("passwordauthentication".to_owned(), vec!["yes".to_owned()]));
        for line in [
            "PasswordAuthentication yes",
            "PASSWORDauthentication\tyes\r",
            "  passwordauthentication = yes  ",
            "PasswordAuthentication=yes",
            "PasswordAuthentication =yes # why",
            "\"PasswordAuthentication\" yes",
            "Password\"Authentication\"yes",
            "=PasswordAuthentication yes",
            "PasswordAuthentication \"yes\"",
            "PasswordAuthentication 'y'es\x0c",
        ] {
            assert_eq!(said(line), yes, "{line:?}");
        }
        for line in ["", "  \t", "# PasswordAuthentication yes", "\t#x", "\"unclosed yes"] {
            assert_eq!(said(line), None, "{line:?}");
        }
    }

    #[test]
    fn arguments_may_be_many_and_quoted() {
        let found = said(r#"Include a "b c" d\ e 'f"g' \"h #i"#).unwrap().1;
        assert_eq!(found, ["a", "b c", "d e", "f\"g", "\"h"]);
        assert_eq!(said("Include \"a").unwrap().1, [""; 0]);
    }

    #[test]
    fn a_nul_joins_two_lines() {
        assert_eq!(as_read("#a\0b\nc\nd"), "#ac\nd");
        assert_eq!(as_read("a\0\n \tb\n c"), "ab\n c");
        assert_eq!(as_read("a\nb"), "a\nb");
    }
}
