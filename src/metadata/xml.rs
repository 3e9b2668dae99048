//! The one door for XML: limits are checked on the bytes, before any parser sees them.
//!
//! ```text
//! bytes ── size, UTF-8, encoding ── scan: DTD, depth, attributes, namespaces ── roxmltree
//! ```
//!
//! The parser needs time that is quadratic in the attributes and in the namespaces of one tag, and
//! whoever walks over its tree recurses as deep as it is. All three are bounded here, so nothing
//! behind this door has to.

use std::borrow::Cow;

use roxmltree::{Document, ParsingOptions};

use crate::error::{Error, Kind, Result};

/// The largest document, in bytes. The reference server takes no larger one.
pub const LARGEST: usize = 10_240_000;
/// The deepest nesting of elements. An entry has four levels.
pub const DEEPEST: usize = 64;
/// The most attributes of one tag, declarations of namespaces counted with them. An entry has at
/// most six, on its root.
pub const MOST_ATTRIBUTES: usize = 128;
/// The most declarations of namespaces that hold at one place.
pub const MOST_NAMESPACES: usize = 64;
/// The most nodes of a document, and the most attributes in all. An entry has fewer than a hundred.
pub const MOST_NODES: u32 = 20_000;

/// Parses a document whose size and shape are within the limits of this module.
///
/// A byte order mark is passed over: positions in the tree count from behind it.
///
/// # Errors
/// `Refused` for a document type declaration (`xml-doctype`) and for what is beyond a limit
/// (`xml-size`, `xml-depth`, `xml-attributes`, `xml-namespaces`, `xml-nodes`); `Unsupported` for
/// another encoding than UTF-8 (`xml-encoding`) and for another version than 1.0 (`xml-version`);
/// `Damaged` for everything that is not well-formed (`xml-syntax`).
pub fn parse(document: &[u8]) -> Result<Document<'_>> {
    if document.len() > LARGEST {
        let message = format!("the document has {} bytes, at most {LARGEST}", document.len());
        return Err(Error::new(Kind::Refused, "xml-size", message));
    }
    let text = std::str::from_utf8(document).map_err(|e| {
        Error::new(Kind::Unsupported, "xml-encoding", "the document is not UTF-8")
            .offset(e.valid_up_to() as u64)
            .remedy("convert it to UTF-8; a signature stays valid, because it is made over UTF-8")
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    declaration(text)?;
    Scan { text, ..Scan::default() }.run()?;
    let options = ParsingOptions { nodes_limit: MOST_NODES, ..ParsingOptions::default() };
    Document::parse_with_options(text, options).map_err(|e| match e {
        roxmltree::Error::NodesLimitReached => beyond("xml-nodes", "nodes", MOST_NODES as usize),
        roxmltree::Error::DtdDetected => doctype(),
        e => {
            // It may quote a name of megabytes.
            let what: String = e.to_string().chars().take(200).collect();
            Error::new(Kind::Damaged, "xml-syntax", format!("not well-formed XML: {what}"))
        }
    })
}

/// The document with every line end as one line feed (XML 1.0, section 2.11).
///
/// To be called before [`parse`] where each character counts: the parser normalizes line ends, but
/// not in comments and instructions, and not for a carriage return in front of a reference.
pub fn line_ends(document: &[u8]) -> Cow<'_, [u8]> {
    if !document.contains(&b'\r') {
        return Cow::Borrowed(document);
    }
    let mut out = Vec::with_capacity(document.len());
    for (at, &byte) in document.iter().enumerate() {
        match byte {
            b'\r' if document.get(at + 1) == Some(&b'\n') => {}
            b'\r' => out.push(b'\n'),
            byte => out.push(byte),
        }
    }
    Cow::Owned(out)
}

fn beyond(code: &'static str, what: &str, most: usize) -> Error {
    Error::new(Kind::Refused, code, format!("the document has more than {most} {what}"))
        .remedy("no manifest has as many: check that it is one")
}

fn doctype() -> Error {
    let message = "the document has a document type declaration (<!DOCTYPE …>)";
    Error::new(Kind::Refused, "xml-doctype", message)
        .remedy("take it out: entities and default attributes could change what is read")
}

fn broken(what: &str, at: usize) -> Error {
    Error::new(Kind::Damaged, "xml-syntax", format!("not well-formed XML: {what}"))
        .offset(at as u64)
}

/// The XML declaration, if there is one, says nothing else than version 1.0 and UTF-8.
fn declaration(text: &str) -> Result<()> {
    let Some(inside) = text.strip_prefix("<?xml").filter(|rest| rest.starts_with(white)) else {
        return Ok(());
    };
    let end = inside.find("?>").ok_or_else(|| broken("the XML declaration does not end", 0))?;
    let inside = &inside[..end];
    if let Some(version) = pseudo_attribute(inside, "version")
        && version != "1.0"
    {
        let message = format!("XML of version {version:?}, not 1.0");
        return Err(Error::new(Kind::Unsupported, "xml-version", message));
    }
    if let Some(encoding) = pseudo_attribute(inside, "encoding")
        && !encoding.eq_ignore_ascii_case("UTF-8")
    {
        let message = format!("the document says that its encoding is {encoding:?}, not UTF-8");
        return Err(Error::new(Kind::Unsupported, "xml-encoding", message)
            .remedy("convert it to UTF-8, and say so in its first line"));
    }
    Ok(())
}

/// The value of `name="…"` in an XML declaration; its syntax is the parser's business.
fn pseudo_attribute<'a>(inside: &'a str, name: &str) -> Option<&'a str> {
    let rest = &inside[inside.find(name)? + name.len()..];
    let rest = rest.trim_start_matches(white).strip_prefix('=')?.trim_start_matches(white);
    let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    rest[1..].split(quote).next()
}

/// White space of XML 1.0 (production 3).
pub(super) fn white(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

/// One pass over the text that knows only where tags begin and end.
#[derive(Default)]
struct Scan<'a> {
    text: &'a str,
    at: usize,
    /// For each open element the declarations that hold in it.
    open: Vec<usize>,
    attributes: usize,
}

impl Scan<'_> {
    fn run(mut self) -> Result<()> {
        while let Some(found) = self.text[self.at..].find('<') {
            self.at += found;
            let rest = &self.text[self.at..];
            if rest.starts_with("<!--") {
                self.skip(4, "-->", "a comment does not end")?;
            } else if rest.starts_with("<![CDATA[") {
                self.skip(9, "]]>", "a CDATA section does not end")?;
            } else if rest.starts_with("<!") {
                return Err(doctype().offset(self.at as u64));
            } else if rest.starts_with("<?") {
                self.skip(2, "?>", "a processing instruction does not end")?;
            } else if rest.starts_with("</") {
                self.skip(2, ">", "an end tag does not end")?;
                self.open.pop();
            } else {
                self.tag()?;
            }
        }
        Ok(())
    }

    /// Goes behind the `end` that comes after `from` bytes.
    fn skip(&mut self, from: usize, end: &str, fault: &str) -> Result<()> {
        let begin = self.at + from;
        let found = self.text[begin..].find(end).ok_or_else(|| broken(fault, self.at))?;
        self.at = begin + found + end.len();
        Ok(())
    }

    /// Goes behind a start tag. Every attribute, and nothing else outside of quotes, has an `=`.
    fn tag(&mut self) -> Result<()> {
        let bytes = self.text.as_bytes();
        let mut namespaces = self.open.last().copied().unwrap_or(0);
        let (mut attributes, mut word, mut between, mut at) = (0, self.at, false, self.at);
        loop {
            at += 1;
            match bytes.get(at) {
                None => return Err(broken("a tag does not end", self.at)),
                Some(b'>') => break,
                Some(b' ' | b'\t' | b'\r' | b'\n') => between = true,
                Some(b'=') => {
                    attributes += 1;
                    namespaces += usize::from(bytes[word..at].starts_with(b"xmlns"));
                }
                Some(quote @ (b'"' | b'\'')) => {
                    let end = bytes[at + 1..].iter().position(|b| b == quote);
                    at += 1 + end.ok_or_else(|| broken("a value does not end", at))?;
                }
                Some(_) => {
                    word = if between { at } else { word };
                    between = false;
                }
            }
        }
        self.attributes += attributes;
        if attributes > MOST_ATTRIBUTES {
            let what = "attributes on one tag";
            return Err(beyond("xml-attributes", what, MOST_ATTRIBUTES).offset(self.at as u64));
        }
        if self.attributes > MOST_NODES as usize {
            return Err(beyond("xml-attributes", "attributes", MOST_NODES as usize));
        }
        if namespaces > MOST_NAMESPACES {
            let what = "declarations of namespaces at one place";
            return Err(beyond("xml-namespaces", what, MOST_NAMESPACES).offset(self.at as u64));
        }
        if self.open.len() >= DEEPEST {
            return Err(beyond("xml-depth", "levels", DEEPEST).offset(self.at as u64));
        }
        if bytes[at - 1] != b'/' {
            self.open.push(namespaces);
        }
        self.at = at + 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
