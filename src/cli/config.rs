//! What a site sets once: environment variables, then the config file.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::PathBuf;
use std::str::FromStr;

use crate::error::{Error, Kind, Result};

/// The options that can be set this way.
const KEYS: [&str; 14] = [
    "compress",
    "level",
    "context",
    "edit",
    "skip_edit",
    "authorized_key",
    "context_var",
    "context_script",
    "checksum",
    "align",
    "checkpoint",
    "threads",
    "progress",
    "color",
];

/// The tables of the other programs of this package.
const OTHERS: [&str; 2] = ["market", "publish"];

/// Settings from outside the command line.
#[derive(Debug, Default)]
pub(super) struct Site {
    /// By key: the value, and where it was found.
    values: BTreeMap<&'static str, (String, String)>,
}

impl Site {
    /// Reads the environment and the config file.
    ///
    /// # Errors
    /// `Config` if the file cannot be read or has a key that is not known.
    pub(super) fn read() -> Result<Self> {
        let mut site = Site::default();
        if let Some(path) = config_path()
            && path.exists()
        {
            site.take_file(&path)?;
        }
        for key in KEYS {
            let variable = format!("STRATUS_{}", key.to_ascii_uppercase());
            if let Some(value) = std::env::var_os(&variable).filter(|value| !value.is_empty()) {
                let value = value.to_string_lossy().into_owned();
                site.values.insert(key, (value, format!("the variable {variable}")));
            }
        }
        Ok(site)
    }

    fn take_file(&mut self, path: &std::path::Path) -> Result<()> {
        let bad = |message: String| {
            Error::new(Kind::Config, "config-file", message)
                .at(path)
                .remedy(format!("known keys are {}", KEYS.join(", ")))
        };
        let text = std::fs::read_to_string(path)
            .map_err(|e| bad("cannot read the config file".to_owned()).because(e))?;
        let table: toml::Table = text.parse().map_err(|e| bad(format!("this is not TOML: {e}")))?;
        for (name, value) in table {
            // A table belongs to another program of this package.
            if value.is_table() && OTHERS.contains(&name.as_str()) {
                continue;
            }
            let key = KEYS.into_iter().find(|key| *key == name);
            let key = key.ok_or_else(|| bad(format!("the key '{name}' is not known")))?;
            let value = match value {
                toml::Value::String(text) => text,
                toml::Value::Integer(number) => number.to_string(),
                _ => return Err(bad(format!("the value of '{name}' is no text and no number"))),
            };
            self.values.insert(key, (value, path.display().to_string()));
        }
        Ok(())
    }

    /// The flag, if it was given, else the value of `key`, which then has to be a good one.
    ///
    /// # Errors
    /// `Config`, as [`Site::get`].
    pub(super) fn or<T>(&self, flag: Option<T>, key: &str) -> Result<Option<T>>
    where
        T: FromStr,
        T::Err: Display,
    {
        if flag.is_some() { Ok(flag) } else { self.get(key) }
    }

    /// The value of `key`, if it is set.
    ///
    /// # Errors
    /// `Config` if it is not what the option takes.
    pub(super) fn get<T>(&self, key: &str) -> Result<Option<T>>
    where
        T: FromStr,
        T::Err: Display,
    {
        let Some((value, place)) = self.values.get(key) else { return Ok(None) };
        value.parse().map(Some).map_err(|why| {
            Error::new(Kind::Config, "config-value", format!("{key} in {place}: {why}"))
                .remedy("correct it, or give the flag")
        })
    }
}

fn config_path() -> Option<PathBuf> {
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
    let folder = absolute("XDG_CONFIG_HOME").or_else(|| Some(absolute("HOME")?.join(".config")))?;
    Some(folder.join("stratus").join("config.toml"))
}
