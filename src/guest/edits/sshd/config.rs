//! The server's configuration: the main file and all that it includes.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::glob;
use super::syntax::{self, Directive};
use crate::error::{Error, Kind, Result};
use crate::guest::edits::accounts::whole_text;
use crate::guest::tree::Tree;

/// Relative includes begin here (`SSHDIR`), whatever file they are in.
const FOLDER: &str = "/etc/ssh";
/// Files that include each other deeper than this end the server (servconf.c,
/// `SERVCONF_MAX_DEPTH`).
const MAX_DEPTH: usize = 16;
/// Files of one configuration.
const MAX_FILES: usize = 1024;
/// Bytes of one configuration.
const MAX_BYTES: usize = 16 << 20;

/// First and last line of the lines that this program put into a file.
pub(super) const BEGIN: &str = "# stratus: keys only, begin";
pub(super) const END: &str = "# stratus: keys only, end";
/// Lines of such a block at most.
const BLOCK_LINES: usize = 10;

/// A line of a file.
pub(super) struct Line {
    /// With its end.
    pub(super) text: String,
    pub(super) said: Option<Directive>,
    /// Whether it is read outside of all `Match` blocks, and inside one. A file that is included
    /// twice may be both.
    pub(super) outside: bool,
    pub(super) inside: bool,
}

/// A file.
pub(super) struct File {
    /// Where it is, links followed.
    pub(super) path: PathBuf,
    pub(super) lines: Vec<Line>,
    /// The lines of this program at its top, if they are there.
    pub(super) block: Option<String>,
}

/// All files in the order in which the server reads them.
#[derive(Default)]
pub(super) struct Config {
    pub(super) files: Vec<File>,
    /// The first value of `PermitRootLogin` outside of all `Match` blocks, in lower case.
    pub(super) root_login: Option<String>,
    /// The arguments of every `Include` outside of all `Match` blocks.
    pub(super) includes: Vec<String>,
    /// Files with the state that they were read in.
    seen: BTreeSet<(PathBuf, bool)>,
    bytes: usize,
    /// How many names its patterns may still look at.
    names: usize,
}

impl Config {
    /// Reads the configuration whose main file is `main`.
    ///
    /// # Errors
    /// `Refused`, if it has more files or bytes than any real one.
    pub(super) fn read(tree: &dyn Tree, main: &Path) -> Result<Self> {
        let mut config = Config { names: glob::MAX_NAMES, ..Config::default() };
        config.visit(tree, main, false, 0)?;
        Ok(config)
    }

    /// Reads `path`, which is included inside a `Match` block or not. What the file says of `Match`
    /// ends with it. Reading it again in the same state says nothing new.
    fn visit(&mut self, tree: &dyn Tree, path: &Path, in_match: bool, depth: usize) -> Result<()> {
        let Some(path) = tree.resolve(path)? else { return Ok(()) };
        if depth > MAX_DEPTH || !self.seen.insert((path.clone(), in_match)) {
            return Ok(());
        }
        let Some(file) = self.file(tree, path)? else { return Ok(()) };
        let mut in_match = in_match;
        for i in 0..self.files[file].lines.len() {
            let line = &mut self.files[file].lines[i];
            line.inside |= in_match;
            line.outside |= !in_match;
            let Some(said) = line.said.clone() else { continue };
            match said.keyword.as_str() {
                "match" => in_match = true,
                "include" => self.include(tree, said.arguments, in_match, depth)?,
                "permitrootlogin" if !in_match && self.root_login.is_none() => {
                    self.root_login =
                        said.arguments.first().map(|value| value.to_ascii_lowercase());
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn include(
        &mut self,
        tree: &dyn Tree,
        patterns: Vec<String>,
        in_match: bool,
        depth: usize,
    ) -> Result<()> {
        for pattern in patterns {
            for path in glob::expand(tree, Path::new(FOLDER), &pattern, &mut self.names)? {
                self.visit(tree, &path, in_match, depth + 1)?;
            }
            if !in_match {
                self.includes.push(pattern);
            }
        }
        Ok(())
    }

    /// The number of the file, which is read if it was not yet.
    fn file(&mut self, tree: &dyn Tree, path: PathBuf) -> Result<Option<usize>> {
        if let Some(known) = self.files.iter().position(|file| file.path == path) {
            return Ok(Some(known));
        }
        let Some(text) = whole_text(tree, &path)? else { return Ok(None) };
        self.bytes += text.len();
        if self.files.len() >= MAX_FILES || self.bytes > MAX_BYTES {
            return Err(too_much());
        }
        let text = syntax::as_read(&text);
        let (block, rest) = take_block(&text);
        if let Some(value) = block.and_then(root_login_of) {
            self.root_login.get_or_insert(value);
        }
        let lines = rest.split_inclusive('\n').map(|text| Line {
            text: text.to_owned(),
            said: syntax::directive(text),
            outside: false,
            inside: false,
        });
        self.files.push(File { path, lines: lines.collect(), block: block.map(str::to_owned) });
        Ok(Some(self.files.len() - 1))
    }
}

fn too_much() -> Error {
    let message = format!(
        "the SSH server's configuration has more than {MAX_FILES} files or {} MiB",
        MAX_BYTES >> 20
    );
    Error::new(Kind::Refused, "sshd-too-many-includes", message)
        .remedy("look at it, or leave the SSH server as it is: --skip-edit sshd-keys-only")
}

/// The block at the very top of a file, and the rest.
fn take_block(text: &str) -> (Option<&str>, &str) {
    let mut end = 0;
    for (i, line) in text.split_inclusive('\n').take(BLOCK_LINES).enumerate() {
        end += line.len();
        match line.trim_end() {
            first if i == 0 && first != BEGIN => break,
            END => return (Some(&text[..end]), &text[end..]),
            _ => {}
        }
    }
    (None, text)
}

fn root_login_of(block: &str) -> Option<String> {
    let said = block.lines().filter_map(syntax::directive);
    let mut values = said.filter(|said| said.keyword == "permitrootlogin");
    values.next()?.arguments.into_iter().next()
}
