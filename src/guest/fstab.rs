//! `/etc/fstab` and `/etc/crypttab`: read by line, changed by field, every other byte kept.
//!
//! fstab(5): six fields, divided by blanks: device, place, type, options, dump, pass. A blank inside
//! a field is written `\040`, in octal as every byte can be. crypttab(5) has the same form: name,
//! device, key file, options.

mod device;

use std::ops::Range;

pub use device::{Found, find, is_of_bus};

/// One line, with its end.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    text: String,
    /// Where its fields are; none in a comment.
    fields: Vec<Range<usize>>,
}

/// A file of such lines, as text of [`crate::guest::text`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    lines: Vec<Line>,
}

/// A line of fstab that says something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Number of the line in its [`Table`], from 0.
    pub line: usize,
    /// The device or what stands for it: `UUID=…`, `/dev/sda1`, `tmpfs`, `host:/path`.
    pub spec: String,
    /// Where it is mounted; `none` or `swap` for swap space.
    pub at: String,
    /// The file system's type.
    pub kind: String,
    /// The options, as they stand there; `defaults` if there are none.
    pub options: String,
}

/// A line of crypttab that says something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crypt {
    /// Number of the line in its [`Table`], from 0.
    pub line: usize,
    /// Name below `/dev/mapper`.
    pub name: String,
    /// The device that is encrypted.
    pub spec: String,
    /// The key file, or a word such as `none`; empty if there is none.
    pub key: String,
}

/// Fields of fstab by their number.
pub mod field {
    /// The device, in fstab.
    pub const SPEC: usize = 0;
    /// The options, in fstab.
    pub const OPTIONS: usize = 3;
    /// The device, in crypttab.
    pub const CRYPT_SPEC: usize = 1;
}

impl Entry {
    /// Whether `name` is one of the options, `name` or `name=…`.
    pub fn has_option(&self, name: &str) -> bool {
        self.options.split(',').any(|option| option.split('=').next() == Some(name))
    }

    /// Whether it is swap space.
    pub fn is_swap(&self) -> bool {
        self.kind == "swap"
    }
}

impl Table {
    /// Takes a file apart. Every text is a table; what is no entry is kept as it is.
    pub fn parse(text: &str) -> Self {
        Table { lines: text.split_inclusive('\n').map(Line::parse).collect() }
    }

    /// The file, with what was changed.
    pub fn text(&self) -> String {
        self.lines.iter().map(|line| line.text.as_str()).collect()
    }

    /// The entries of fstab. A line without a type is none, as for mount(8).
    pub fn entries(&self) -> impl Iterator<Item = Entry> + '_ {
        self.lines.iter().enumerate().filter_map(|(number, line)| {
            Some(Entry {
                line: number,
                spec: line.field(0)?,
                at: line.field(1)?,
                kind: line.field(2)?,
                options: line.field(3).unwrap_or_else(|| "defaults".to_owned()),
            })
        })
    }

    /// The entries of crypttab.
    pub fn crypts(&self) -> impl Iterator<Item = Crypt> + '_ {
        self.lines.iter().enumerate().filter_map(|(number, line)| {
            Some(Crypt {
                line: number,
                name: line.field(0)?,
                spec: line.field(1)?,
                key: line.field(2).unwrap_or_default(),
            })
        })
    }

    /// Makes field `number` of line `line` be `value`, and leaves every other byte of it. The field
    /// behind the last one can be added so. Whether anything was changed: not, if the field has
    /// this value already, or there is no such line or field, or `value` is empty.
    pub fn set(&mut self, line: usize, number: usize, value: &str) -> bool {
        self.lines.get_mut(line).is_some_and(|line| line.set(number, value))
    }

    /// Makes the device of an fstab entry be `spec`. See [`Table::set`].
    pub fn set_spec(&mut self, line: usize, spec: &str) -> bool {
        self.set(line, field::SPEC, spec)
    }

    /// Makes the options of an fstab entry be `options`. See [`Table::set`].
    pub fn set_options(&mut self, line: usize, options: &str) -> bool {
        self.set(line, field::OPTIONS, options)
    }

    /// Adds `option` to the options of an fstab entry unless it is there. `defaults` alone gives
    /// way to it. See [`Table::set`].
    pub fn add_option(&mut self, line: usize, option: &str) -> bool {
        let Some(entry) = self.entries().find(|entry| entry.line == line) else { return false };
        if entry.options.split(',').any(|there| there == option) {
            return false;
        }
        let options = match entry.options.as_str() {
            "" | "defaults" => option.to_owned(),
            others => format!("{others},{option}"),
        };
        self.set_options(line, &options)
    }
}

impl Line {
    fn parse(text: &str) -> Self {
        let blank = |c: char| matches!(c, ' ' | '\t' | '\r' | '\n');
        let mut fields = Vec::new();
        let mut begin = None;
        for (at, c) in text.char_indices().chain([(text.len(), '\n')]) {
            match (begin, blank(c)) {
                (None, false) if c == '#' && fields.is_empty() => break,
                (None, false) => begin = Some(at),
                (Some(from), true) => {
                    fields.push(from..at);
                    begin = None;
                }
                _ => {}
            }
        }
        Line { text: text.to_owned(), fields }
    }

    fn field(&self, number: usize) -> Option<String> {
        Some(unescape(self.text.get(self.fields.get(number)?.clone())?))
    }

    fn set(&mut self, number: usize, value: &str) -> bool {
        if value.is_empty() || self.field(number).is_some_and(|now| now == value) {
            return false;
        }
        let mut text = self.text.clone();
        match (self.fields.get(number), self.fields.last()) {
            (Some(place), _) => text.replace_range(place.clone(), &escape(value)),
            (None, Some(last)) if number == self.fields.len() => {
                text.insert_str(last.end, &format!(" {}", escape(value)));
            }
            _ => return false,
        }
        *self = Line::parse(&text);
        true
    }
}

/// `\040` and the like become the byte that they stand for.
fn unescape(field: &str) -> String {
    without_escapes(field, "\\", 3, 8)
}

/// A text in which `mark` and `digits` digits of base `radix` stand for a byte. What is no such
/// escape stays.
fn without_escapes(text: &str, mark: &str, digits: usize, radix: u32) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(mark) {
        let (before, escape) = rest.split_at(at);
        plain.push_str(before);
        let end = mark.len() + digits;
        let number = escape.get(mark.len()..end).filter(|d| d.chars().all(|c| c.is_digit(radix)));
        match number.and_then(|number| u8::from_str_radix(number, radix).ok()) {
            Some(byte) => {
                plain.push(char::from(byte));
                rest = &escape[end..];
            }
            None => {
                plain.push_str(mark);
                rest = &escape[mark.len()..];
            }
        }
    }
    plain + rest
}

/// The other way round, for what would end the field or be read as an escape. A `#` in front would
/// make the line a comment.
fn escape(value: &str) -> String {
    let mut field = String::with_capacity(value.len());
    for c in value.chars() {
        match c {
            ' ' | '\t' | '\n' | '\r' | '\\' => field += &format!("\\{:03o}", u32::from(c)),
            '#' if field.is_empty() => field += "\\043",
            _ => field.push(c),
        }
    }
    field
}

#[cfg(test)]
mod tests;
