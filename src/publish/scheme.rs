//! How an appliance repository wants its files named.
//!
//! A StratusLab appliance repository says so in `.stratuslab/stratuslab.repo.cfg`, an ini file that
//! the first client read before every upload:
//!
//! ```text
//! [stratuslab_repo]
//! repo_structure = #type_#/#os#-#osversion#-#arch#-#type#/#version#
//! repo_filename = #os#-#osversion#-#arch#-#type#-#version#.img.#compression#
//! ```
//!
//! `#x#` stands for a fact about the image, `#x_#` for the same with its dots made slashes. These
//! are the values that came with the repository; its template had no section header, so a file
//! without one is read, too. The file comes from a server: it decides where below the repository
//! an image lies, and nothing else.

use super::name;
use crate::error::{Error, Kind, Result};

/// The name of the configuration file below the repository.
pub const CONFIG_NAME: &str = ".stratuslab/stratuslab.repo.cfg";
/// No configuration is larger: the shipped one has 200 bytes.
pub const CONFIG_MAX: u64 = 64 << 10;

const SECTION: &str = "stratuslab_repo";
const STRUCTURE: &str = "#type_#/#os#-#osversion#-#arch#-#type#/#version#";
const FILENAME: &str = "#os#-#osversion#-#arch#-#type#-#version#.img.#compression#";
/// Longest template, and longest fact.
const LONGEST: usize = 255;

/// What is known of the image that is to be named. Empty texts count as unknown.
#[derive(Clone, Copy, Debug, Default)]
pub struct Facts<'a> {
    /// `base` or `grid`, say.
    pub type_: Option<&'a str>,
    /// The guest's operating system.
    pub os: Option<&'a str>,
    /// The guest's architecture.
    pub arch: Option<&'a str>,
    /// The version of the image.
    pub version: Option<&'a str>,
    /// The version of the operating system.
    pub osversion: Option<&'a str>,
    /// `gz`, or none.
    pub compression: Option<&'a str>,
}

/// A piece of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Fact { key: Key, dots_are_slashes: bool },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    Type,
    Os,
    Arch,
    Version,
    OsVersion,
    Compression,
}

impl Key {
    /// Names in templates, and the options that give the fact.
    const ALL: [(Key, &'static str, &'static str); 6] = [
        (Key::Type, "type", "--type"),
        (Key::Os, "os", "--os"),
        (Key::Arch, "arch", "--os-arch"),
        (Key::Version, "version", "--image-version"),
        (Key::OsVersion, "osversion", "--os-version"),
        (Key::Compression, "compression", "--compress"),
    ];

    fn option(self) -> &'static str {
        Key::ALL.iter().find(|(key, ..)| *key == self).map_or("", |(_, _, option)| option)
    }

    fn of<'a>(self, facts: &Facts<'a>) -> Option<&'a str> {
        let fact = match self {
            Key::Type => facts.type_,
            Key::Os => facts.os,
            Key::Arch => facts.arch,
            Key::Version => facts.version,
            Key::OsVersion => facts.osversion,
            Key::Compression => facts.compression,
        };
        fact.map(str::trim).filter(|fact| !fact.is_empty())
    }
}

/// A repository's rule for names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scheme {
    pieces: Vec<Piece>,
}

impl Default for Scheme {
    /// The values that came with the appliance repository.
    fn default() -> Self {
        Scheme::of(STRUCTURE, FILENAME).unwrap_or(Scheme { pieces: Vec::new() })
    }
}

impl Scheme {
    /// Reads a repository's configuration.
    ///
    /// # Errors
    /// `Config` if it is not one, or names facts that there are not.
    pub fn parse(text: &str) -> Result<Self> {
        if text.len() as u64 > CONFIG_MAX {
            return Err(wrong("it is too long"));
        }
        let (mut section, mut structure, mut filename) = (None, None, None);
        for line in text.trim_start_matches('\u{feff}').lines().map(str::trim) {
            if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
                section = Some(name.trim());
                continue;
            }
            if line.starts_with(['#', ';']) || section.is_some_and(|name| name != SECTION) {
                continue;
            }
            let Some((key, value)) = line.split_once(['=', ':']) else { continue };
            match key.trim().to_ascii_lowercase().as_str() {
                "repo_structure" => structure = Some(value.trim()),
                "repo_filename" => filename = Some(value.trim()),
                _ => {}
            }
        }
        match (structure, filename) {
            (Some(structure), Some(filename)) => Scheme::of(structure, filename),
            (None, _) => Err(wrong("it has no repo_structure")),
            (_, None) => Err(wrong("it has no repo_filename")),
        }
    }

    fn of(structure: &str, filename: &str) -> Result<Self> {
        if filename.is_empty() || filename.contains('/') {
            return Err(wrong("repo_filename is not the name of a file"));
        }
        let structure = structure.trim_matches('/');
        let mut pieces = Vec::new();
        if !structure.is_empty() {
            pieces = template(structure)?;
            pieces.push(Piece::Text("/".to_owned()));
        }
        pieces.extend(template(filename)?);
        Ok(Scheme { pieces })
    }

    /// The name of an image below the repository: a safe relative one.
    ///
    /// # Errors
    /// `Usage`, naming the option, if a fact is not known or cannot be part of a name; `Config` if
    /// the template itself leads to no name.
    pub fn name(&self, facts: &Facts) -> Result<String> {
        let mut name = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => name.push_str(text),
                Piece::Fact { key: Key::Compression, .. }
                    if Key::Compression.of(facts).is_none_or(|value| value == "none") =>
                {
                    // `x.img` without compression, not `x.img.`.
                    while name.ends_with('.') {
                        name.pop();
                    }
                }
                Piece::Fact { key, dots_are_slashes } => {
                    let value = safe(*key, key.of(facts))?;
                    match dots_are_slashes {
                        true => name.push_str(&value.replace('.', "/")),
                        false => name.push_str(&value),
                    }
                }
            }
        }
        name::parts(&name)
            .map_err(|e| e.within("the repository's scheme").with_kind(Kind::Config))?;
        Ok(name)
    }
}

/// Cuts a template into its pieces.
fn template(text: &str) -> Result<Vec<Piece>> {
    if text.len() > LONGEST || text.chars().any(char::is_control) {
        return Err(wrong("a template in it is too long, or has control characters"));
    }
    let mut pieces = Vec::new();
    for (number, part) in text.split('#').enumerate() {
        if number.is_multiple_of(2) {
            if !part.is_empty() {
                pieces.push(Piece::Text(part.to_owned()));
            }
            continue;
        }
        let (word, dots_are_slashes) = match part.strip_suffix('_') {
            Some(word) => (word, true),
            None => (part, false),
        };
        let known = Key::ALL.iter().find(|(_, name, _)| *name == word);
        let Some((key, ..)) = known else {
            return Err(wrong(&format!("there is no fact #{part:.40}#")));
        };
        pieces.push(Piece::Fact { key: *key, dots_are_slashes });
    }
    if !text.matches('#').count().is_multiple_of(2) {
        return Err(wrong("a # has no partner"));
    }
    Ok(pieces)
}

/// A fact as a piece of a name: spaces are hyphens; what could be read as something else is refused.
fn safe(key: Key, value: Option<&str>) -> Result<String> {
    let option = key.option();
    let Some(value) = value else {
        let message = format!("the repository names images by a fact that is not known ({option})");
        return Err(Error::new(Kind::Usage, "scheme-unknown", message)
            .remedy(format!("give it with {option}")));
    };
    let allowed = |c: char| c.is_alphanumeric() || " ._+~-".contains(c);
    let dots = value.starts_with('.') || value.ends_with('.') || value.contains("..");
    if value.len() > LONGEST || dots || !value.chars().all(allowed) {
        let start: String = value.chars().take(80).collect();
        let message = format!("{start:?} cannot be part of a file name in the repository");
        return Err(Error::new(Kind::Usage, "scheme-unsafe", message).remedy(format!(
            "give another with {option}: letters, digits, '-', '_', '+', '~' and single dots between"
        )));
    }
    Ok(value.split_whitespace().collect::<Vec<_>>().join("-"))
}

fn wrong(what: &str) -> Error {
    Error::new(Kind::Config, "scheme-config", format!("the repository's {CONFIG_NAME}: {what}"))
        .remedy("tell the repository's administrator, or give the image's full name")
}

/// The name of the manifest beside an image: `img.COMPRESSION`, or `img`, becomes `xml`. Other names
/// get `.xml` appended.
pub fn manifest_name(image: &str) -> String {
    let (folder, last) =
        image.rsplit_once('/').map_or(("", image), |(folder, last)| (folder, last));
    let stem = match last.rsplit_once('.') {
        Some((stem, "img")) => Some(stem),
        Some((before, _)) => before.strip_suffix(".img"),
        None => None,
    };
    let stem = stem.filter(|stem| !stem.is_empty()).unwrap_or(last);
    match folder {
        "" => format!("{stem}.xml"),
        folder => format!("{folder}/{stem}.xml"),
    }
}

#[cfg(test)]
mod tests;
