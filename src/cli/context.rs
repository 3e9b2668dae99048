//! `--context-var` and `--context-script`: what the image's author gives to the guest's context.

use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use super::config::Site;
use super::shape::Shape;
use crate::error::{Error, Kind, Result};
use crate::guest::context::{self, ContextScript};

/// A variable's name and its value, in bytes as they were typed.
type Variable = (String, Vec<u8>);

/// No action is larger.
const MAX_SCRIPT: u64 = 1 << 20;

fn usage(code: &'static str, message: impl Into<String>) -> Error {
    Error::new(Kind::Usage, code, message)
}

/// What was typed, else the lines of the variable or the key of the config file.
fn given(typed: &[OsString], site: &Site, key: &str) -> Result<Vec<OsString>> {
    if !typed.is_empty() {
        return Ok(typed.to_vec());
    }
    let text = site.get::<String>(key)?.unwrap_or_default();
    Ok(text.lines().filter(|line| !line.is_empty()).map(OsString::from).collect())
}

/// The defaults of `--context-var KEY=VALUE`, in their order.
///
/// # Errors
/// `Usage`, if a name is none or must not be set.
pub(super) fn variables(shape: &Shape, site: &Site) -> Result<Vec<Variable>> {
    let words = given(&shape.context_var, site, "context_var")?;
    words.iter().map(|word| variable(word.as_bytes(), "--context-var")).collect()
}

/// `KEY=VALUE`.
fn variable(word: &[u8], option: &str) -> Result<Variable> {
    let Some(equals) = word.iter().position(|byte| *byte == b'=') else {
        let word = String::from_utf8_lossy(word);
        return Err(usage("context-var", format!("{option}: '{word}' is not KEY=VALUE"))
            .remedy(r"give KEY=VALUE; a comma inside a value of --context-script is written \,"));
    };
    let name = String::from_utf8_lossy(&word[..equals]).into_owned();
    let value = word[equals + 1..].to_vec();
    context::check_variable(&name, &value)?;
    Ok((name, value))
}

/// The actions of `--context-script FILE[:KEY=VALUE,…]`, in their order.
///
/// # Errors
/// `Usage`, and those of reading the files.
pub(super) fn scripts(shape: &Shape, site: &Site) -> Result<Vec<ContextScript>> {
    let mut scripts: Vec<ContextScript> = Vec::new();
    for word in given(&shape.context_script, site, "context_script")? {
        let (path, variables) = split(&word)?;
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let taken: Vec<_> = scripts.iter().map(|script| script.name.clone()).collect();
        let name = context::check_script_name(&stem, &taken).map_err(|error| error.at(&path))?;
        scripts.push(ContextScript { name, content: content(&path)?, variables });
    }
    Ok(scripts)
}

/// The file, and the variables behind the first `:` that a variable follows.
fn split(word: &OsStr) -> Result<(PathBuf, Vec<Variable>)> {
    let bytes = word.as_bytes();
    let colons = bytes.iter().enumerate().filter(|(_, byte)| **byte == b':').map(|(at, _)| at);
    let begins_variable = |at: &usize| {
        let rest = String::from_utf8_lossy(&bytes[at + 1..]);
        rest.split_once('=').is_some_and(|(name, _)| context::is_variable(name))
    };
    let Some(colon) = colons.into_iter().find(begins_variable) else {
        return Ok((PathBuf::from(word), Vec::new()));
    };
    let path = PathBuf::from(OsString::from_vec(bytes[..colon].to_vec()));
    let words = between_commas(&bytes[colon + 1..]);
    let variables = words.iter().map(|word| variable(word, "--context-script"));
    Ok((path, variables.collect::<Result<_>>()?))
}

/// The parts between commas; `\,` is a comma and `\\` a backslash.
fn between_commas(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut parts = vec![Vec::new()];
    let mut rest = bytes.iter().copied().peekable();
    while let Some(byte) = rest.next() {
        let byte = match (byte, rest.peek()) {
            (b'\\', Some(b',' | b'\\')) => rest.next().unwrap_or(byte),
            (b',', _) => {
                parts.push(Vec::new());
                continue;
            }
            _ => byte,
        };
        if let Some(part) = parts.last_mut() {
            part.push(byte);
        }
    }
    parts
}

/// The text of an action, as the guest gets it.
fn content(path: &Path) -> Result<Vec<u8>> {
    let failed = |e| Error::io("context-script", "cannot read the action", path, e);
    let refused = |why: &str| usage("context-script", why).at(path);
    if !std::fs::metadata(path).map_err(failed)?.is_file() {
        return Err(refused("an action has to be a file"));
    }
    let mut content = Vec::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(MAX_SCRIPT + 1).read_to_end(&mut content).map_err(failed)?;
    let first = content.split(|byte| *byte == b'\n').next().unwrap_or_default();
    if content.len() as u64 > MAX_SCRIPT {
        return Err(refused("an action has at most 1 MiB")
            .remedy("put what is large into the machine, and let the action use it"));
    }
    if content.is_empty() {
        return Err(refused("this action is empty"));
    }
    if first.starts_with(b"#!") && first.ends_with(b"\r") {
        return Err(refused("its lines end as on Windows: no Linux starts it")
            .remedy("convert it with dos2unix"));
    }
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> (String, Vec<(String, String)>) {
        let (path, variables) = split(OsStr::new(text)).unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let variables = variables.into_iter().map(|(name, value)| (name, text(value)));
        (path.to_str().unwrap().to_owned(), variables.collect())
    }

    #[test]
    fn file_and_variables() {
        let none: [(&str, &str); 0] = [];
        let check = |word: &str, path: &str, expected: &[(&str, &str)]| {
            let expected: Vec<_> =
                expected.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
            assert_eq!(parts(word), (path.to_owned(), expected), "{word}");
        };
        check("a.sh", "a.sh", &none);
        check("a.sh:FOO=bar", "a.sh", &[("FOO", "bar")]);
        check("a.sh:FOO=", "a.sh", &[("FOO", "")]);
        check("c:/x.sh:A=1,B_2=x:y=z", "c:/x.sh", &[("A", "1"), ("B_2", "x:y=z")]);
        check(r"a:A=1\,2\\,B=\n", "a", &[("A", r"1,2\"), ("B", r"\n")]);
        check(r"a:A=1\\\,2", "a", &[("A", r"1\,2")]);
        check("a:1=2", "a:1=2", &none);
        check("a:b c=2", "a:b c=2", &none);
        check("a:", "a:", &none);
    }

    #[test]
    fn parts_that_are_no_variables() {
        for word in ["a:A=1,2", "a:A=1,", "a:A=1,=2", "a:A=1,B C=2", "a:enable=no"] {
            assert_eq!(split(OsStr::new(word)).unwrap_err().kind(), Kind::Usage, "{word}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_arrive() {
        let word = OsString::from_vec(b"a:A=\xff\n'".to_vec());
        assert_eq!(split(&word).unwrap().1, [("A".to_owned(), b"\xff\n'".to_vec())]);
    }
}
