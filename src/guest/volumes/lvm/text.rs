//! The language in which LVM2 writes its metadata: sections, numbers, strings, lists.
//!
//! ```text
//! vg0 {
//!     id = "aDm…"
//!     extent_size = 8192    # 4 Megabytes
//!     status = ["RESIZEABLE", "READ", "WRITE"]
//!     …
//! ```

use std::collections::BTreeMap;

use super::damaged;
use crate::error::{Error, Result};

/// Sections in sections: a group has five levels with its caches.
const MAX_DEPTH: usize = 16;
/// Names and values of one text. A segment has about ten.
const MAX_VALUES: usize = 500_000;

/// What a name stands for.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// An integer.
    Number(i64),
    /// A string, or a word without quotes that is no integer.
    Text(String),
    /// Values between square brackets.
    List(Vec<Value>),
    /// Names and values between braces.
    Section(Section),
}

/// Names and what they stand for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Section(BTreeMap<String, Value>);

impl Section {
    /// The section of this name.
    pub fn section(&self, name: &str) -> Option<&Section> {
        match self.0.get(name) {
            Some(Value::Section(section)) => Some(section),
            _ => None,
        }
    }

    /// The number of this name, if it is not negative.
    pub fn number(&self, name: &str) -> Option<u64> {
        match self.0.get(name) {
            Some(Value::Number(number)) => u64::try_from(*number).ok(),
            _ => None,
        }
    }

    /// The string of this name.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.0.get(name) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// The list of this name; empty if there is none.
    pub fn list(&self, name: &str) -> &[Value] {
        match self.0.get(name) {
            Some(Value::List(list)) => list,
            _ => &[],
        }
    }

    /// Whether this word is in the list of this name.
    pub fn lists(&self, name: &str, word: &str) -> bool {
        self.list(name).iter().any(|value| matches!(value, Value::Text(text) if text == word))
    }

    /// All sections in it, by name.
    pub fn sections(&self) -> impl Iterator<Item = (&str, &Section)> {
        self.0.iter().filter_map(|(name, value)| match value {
            Value::Section(section) => Some((name.as_str(), section)),
            _ => None,
        })
    }
}

/// Takes a text apart. It ends at the first NUL. Bytes of strings that are not UTF-8 are replaced.
///
/// # Errors
/// `Damaged`, if it does not follow the grammar, has a name twice in a section, or is deeper or
/// longer than any real one.
pub fn parse(text: &[u8]) -> Result<Section> {
    let end = text.iter().position(|byte| *byte == 0).unwrap_or(text.len());
    let mut parser = Parser { text: &text[..end], at: 0, values: 0 };
    parser.section(0)
}

struct Parser<'a> {
    text: &'a [u8],
    at: usize,
    /// Read so far.
    values: usize,
}

impl Parser<'_> {
    fn error(&self, what: &str) -> Error {
        damaged(format!("its metadata are wrong at byte {}: {what}", self.at))
    }

    /// The next byte that is neither blank nor in a comment.
    fn peek(&mut self) -> Option<u8> {
        loop {
            match *self.text.get(self.at)? {
                b'#' => {
                    let rest = &self.text[self.at..];
                    let line = rest.iter().position(|byte| *byte == b'\n');
                    self.at += line.unwrap_or(rest.len());
                }
                byte if byte.is_ascii_whitespace() => self.at += 1,
                byte => return Some(byte),
            }
        }
    }

    fn take(&mut self, wanted: u8) -> bool {
        let there = self.peek() == Some(wanted);
        self.at += usize::from(there);
        there
    }

    /// Counts a value.
    fn count(&mut self) -> Result<()> {
        self.values += 1;
        if self.values > MAX_VALUES {
            return Err(self.error("there are too many values"));
        }
        Ok(())
    }

    /// Names and values up to the brace that closes them, or to the end on the outermost level.
    fn section(&mut self, depth: usize) -> Result<Section> {
        if depth > MAX_DEPTH {
            return Err(self.error("sections are too deep"));
        }
        let mut section = BTreeMap::new();
        loop {
            match self.peek() {
                None if depth == 0 => return Ok(Section(section)),
                None => return Err(self.error("a section does not end")),
                Some(b'}') if depth > 0 => {
                    self.at += 1;
                    return Ok(Section(section));
                }
                Some(_) => {}
            }
            let name = self.word();
            if name.is_empty() {
                return Err(self.error("there is no name"));
            }
            self.count()?;
            let value = if self.take(b'{') {
                Value::Section(self.section(depth + 1)?)
            } else if self.take(b'=') {
                self.value()?
            } else {
                return Err(self.error("there is neither a value nor a section"));
            };
            if section.insert(name, value).is_some() {
                return Err(self.error("a name is there twice"));
            }
        }
    }

    /// A value or a list of values, but no list of lists, which LVM2 does not have either.
    fn value(&mut self) -> Result<Value> {
        if !self.take(b'[') {
            return self.single();
        }
        let mut list = Vec::new();
        while !self.take(b']') {
            list.push(self.single()?);
            if !self.take(b',') && self.peek() != Some(b']') {
                return Err(self.error("a list does not end"));
            }
        }
        Ok(Value::List(list))
    }

    fn single(&mut self) -> Result<Value> {
        self.count()?;
        if self.take(b'"') {
            return self.string().map(Value::Text);
        }
        let word = self.word();
        if word.is_empty() {
            return Err(self.error("there is no value"));
        }
        Ok(word.parse().map_or(Value::Text(word), Value::Number))
    }

    /// A name, or a value without quotes.
    fn word(&mut self) -> String {
        self.peek();
        let rest = self.text.get(self.at..).unwrap_or_default();
        let is = |byte: &u8| byte.is_ascii_alphanumeric() || b"_+.-/@".contains(byte);
        let len = rest.iter().position(|byte| !is(byte)).unwrap_or(rest.len());
        self.at += len;
        String::from_utf8_lossy(&rest[..len]).into_owned()
    }

    /// The rest of a string, whose quotes and backslashes are escaped by a backslash.
    fn string(&mut self) -> Result<String> {
        let mut bytes = Vec::new();
        loop {
            let next = self.text.get(self.at).copied();
            self.at += 1;
            match next {
                Some(b'"') => return Ok(String::from_utf8_lossy(&bytes).into_owned()),
                Some(b'\\') => {
                    bytes.extend(self.text.get(self.at));
                    self.at += 1;
                }
                Some(byte) => bytes.push(byte),
                None => return Err(self.error("a string does not end")),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
        vg0 { # a comment with } and "
            id = "a\"b\\c"  seqno = 7
            empty = [] status = ["READ", "WRITE"] stripes = [
                "pv0", 12, # in a list
            ]
            inner { neg = -3 word = yes }
        }
        version=1"#;

    #[test]
    fn the_grammar() {
        let text = parse(TEXT.as_bytes()).unwrap();
        let group = text.section("vg0").unwrap();
        assert_eq!(group.text("id"), Some(r#"a"b\c"#));
        assert_eq!(group.number("seqno"), Some(7));
        assert!(group.list("empty").is_empty() && group.lists("status", "WRITE"));
        assert!(!group.lists("status", "VISIBLE"));
        assert_eq!(group.list("stripes"), [Value::Text("pv0".into()), Value::Number(12)]);
        let inner = group.section("inner").unwrap();
        assert_eq!((inner.number("neg"), inner.text("word")), (None, Some("yes")));
        assert_eq!(text.sections().map(|(name, _)| name).collect::<Vec<_>>(), ["vg0"]);
        // The text ends at a NUL.
        assert_eq!(parse(b"a=1\0{{{").unwrap().number("a"), Some(1));
    }

    #[test]
    fn what_breaks_the_rules() {
        for text in [
            "a", "a=", "a={}", "=1", "a=[1 2]", "a=[", "a=[[1]]", "a{", "a{b=1", "}", "a=\"",
            "a=\"\\", "a=1 a=2", "a{} a{}", "{}", "a=1]",
        ] {
            assert!(parse(text.as_bytes()).is_err(), "{text}");
        }
        let deep = |levels| format!("{}{}", "a{".repeat(levels), "}".repeat(levels));
        assert!(parse(deep(MAX_DEPTH).as_bytes()).is_ok());
        assert!(parse(deep(MAX_DEPTH + 1).as_bytes()).is_err());
        assert!(parse(deep(1_000_000).as_bytes()).is_err());
        let many = format!("a=[{}]", "1,".repeat(MAX_VALUES));
        assert!(parse(many.as_bytes()).is_err());
    }

    /// Cut anywhere, or with any byte replaced, a text is taken apart or refused.
    #[test]
    fn no_text_is_too_broken() {
        for cut in 0..TEXT.len() {
            let _ = parse(&TEXT.as_bytes()[..cut]);
            for byte in [0, b'"', b'{', b'}', b'[', b'\\', b'#', b'=', 0xff] {
                let mut text = TEXT.as_bytes().to_vec();
                text[cut] = byte;
                let _ = parse(&text);
            }
        }
    }
}
