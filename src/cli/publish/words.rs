//! Words that options take, and the one option whose value is looked at before it is parsed.

use std::ffi::{OsStr, OsString};
use std::str::FromStr;

use crate::cli::args::words;

words! {
    /// `--kind`.
    Kind { Machine = "machine", Disk = "disk" }
}
words! {
    /// `--disks-bus`.
    Bus { Virtio = "virtio", Scsi = "scsi", Sata = "sata", Ide = "ide" }
}

/// `--valid-days`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Days(pub(super) u64);

impl FromStr for Days {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let days = text.parse().ok().filter(|days| (1..=36_500).contains(days));
        days.map(Days).ok_or_else(|| format!("'{text}' is not a number of days from 1 to 36500"))
    }
}

/// `--marketplace URL` as two words becomes one; what follows is an INPUT unless it is a URL.
pub(super) fn joined(typed: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut words: Vec<OsString> = Vec::new();
    let mut options_over = false;
    for word in typed {
        let is_url = |word: &OsStr| {
            let text = word.to_string_lossy().to_ascii_lowercase();
            text.starts_with("http://") || text.starts_with("https://")
        };
        match words.last_mut() {
            Some(last) if !options_over && *last == *"--marketplace" && is_url(&word) => {
                last.push("=");
                last.push(&word);
            }
            _ => words.push(word),
        }
        options_over |= words.last().is_some_and(|word| *word == *"--");
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::publish::args::Args;
    use clap::Parser;

    fn parsed(words: &str) -> Result<Args, clap::Error> {
        let words = words.split(' ').map(OsString::from);
        Args::try_parse_from(joined(std::iter::once("stratus-publish".into()).chain(words)))
    }

    #[test]
    fn the_word_behind_marketplace_is_a_url_only_if_it_looks_like_one() {
        let cases = [
            ("--marketplace a.vdi", Some(""), 1),
            ("--marketplace https://m a.vdi", Some("https://m"), 1),
            ("--marketplace HTTP://m a.vdi", Some("HTTP://m"), 1),
            ("--marketplace=https://m a.vdi b.vdi", Some("https://m"), 2),
            ("a.vdi --marketplace", Some(""), 1),
            ("a.vdi -- --marketplace http://m", None, 3),
            ("a.vdi", None, 1),
        ];
        for (words, url, inputs) in cases {
            let args = parsed(words).unwrap();
            assert_eq!(args.place.marketplace.as_deref(), url, "{words}");
            assert_eq!(args.inputs.len(), inputs, "{words}");
        }
    }

    #[test]
    fn subcommands_take_options_of_their_own() {
        assert!(parsed("metadata validate a.xml b.xml").unwrap().command.is_some());
        assert!(parsed("deprecate -MZu9WvwKIro-rtBQfDk4PsKO7_ --reason old").is_ok());
        assert!(parsed("keygen --name Jane --email j@example.org").is_ok());
        assert!(parsed("keygen --name Jane").is_err());
        assert!(parsed("").is_err());
    }

    #[test]
    fn the_definition_is_sound() {
        use clap::CommandFactory;
        Args::command().debug_assert();
    }
}
