//! What a site sets once: environment variables, then the config file.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::error::{Error, Kind, Result};

/// The options that can be set this way: those of converting, those of publishing, and what is known
/// of the embedded market.
const KEYS: [&str; 40] = [
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
    "repository",
    "marketplace",
    "verify",
    "p12_cert",
    "p12_alias",
    "key",
    "cert",
    "password_file",
    "password_command",
    "email",
    "signature",
    "author",
    "tag",
    "type",
    "kind",
    "hypervisor",
    "inbound_port",
    "valid_days",
    "retries",
    "limit_upload",
    "ca_file",
    "client_cert",
    "user",
    "disks_bus",
    "market_base_url",
    "market_data",
];

/// Those that have commas between their values, and may be lists in the file.
const LISTS: [&str; 4] = ["edit", "skip_edit", "hypervisor", "inbound_port"];

/// A table of the file, and what stands before its keys in [`KEYS`].
const TABLES: [(&str, &str); 2] = [("publish", ""), ("market", "market_")];

/// The variables of StratusLab's client, which count last.
const OLD: [(&str, &str); 4] = [
    ("repository", "STRATUSLAB_APPREPO_ENDPOINT"),
    ("user", "STRATUSLAB_APPREPO_USERNAME"),
    ("marketplace", "STRATUSLAB_MARKETPLACE_ENDPOINT"),
    ("p12_cert", "STRATUSLAB_P12_CERTIFICATE"),
];

/// Where a value was found that was typed.
const TYPED: &str = "the command line";

/// Passwords of the past, and what is asked before them.
const OLD_PASSWORDS: [(&str, &str); 2] = [
    ("STRATUS_PASSWORD", "STRATUSLAB_P12_PASSWORD"),
    ("STRATUS_USER_PASSWORD", "STRATUSLAB_APPREPO_PASSWORD"),
];

/// Settings from outside the command line.
#[derive(Clone, Debug, Default)]
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
        for (key, variable) in OLD {
            let value = std::env::var(variable).unwrap_or_default();
            if !value.is_empty() && !site.values.contains_key(key) {
                site.values.insert(key, (value, format!("the variable {variable}")));
            }
        }
        Ok(site)
    }

    fn take_file(&mut self, path: &Path) -> Result<()> {
        let text = std::fs::read_to_string(path).map_err(|e| {
            Error::new(Kind::Config, "config-file", "cannot read the config file")
                .at(path)
                .because(e)
                .remedy("make it a readable text file, or remove it")
        })?;
        let table: toml::Table = text.parse().map_err(|e| not_toml(&text, &e).at(path))?;
        for (name, value) in table {
            match (value, TABLES.iter().find(|(table, _)| *table == name)) {
                (toml::Value::Table(inner), Some((_, before))) => {
                    for (name, value) in inner {
                        self.take(&format!("{before}{name}"), value, path)?;
                    }
                }
                (value, _) => self.take(&name, value, path)?,
            }
        }
        Ok(())
    }

    fn take(&mut self, name: &str, value: toml::Value, path: &Path) -> Result<()> {
        let bad = |message: String| Error::new(Kind::Config, "config-file", message).at(path);
        let known = KEYS.into_iter().find(|key| *key == name);
        let key = known.ok_or_else(|| {
            bad(format!("the key '{name}' is not known"))
                .remedy(format!("known keys are {}", KEYS.join(", ")))
        })?;
        let value = match value {
            toml::Value::String(text) => text,
            toml::Value::Integer(number) => number.to_string(),
            toml::Value::Array(list) if LISTS.contains(&key) => {
                let word = |value: &toml::Value| match value {
                    toml::Value::String(text) => text.clone(),
                    toml::Value::Integer(number) => number.to_string(),
                    // No value of a list.
                    _ => "?".to_owned(),
                };
                list.iter().map(word).collect::<Vec<_>>().join(",")
            }
            _ => {
                return Err(bad(format!("the value of '{name}' is no text and no number"))
                    .remedy(format!("write it as {name} = \"…\"")));
            }
        };
        self.values.insert(key, (value, path.display().to_string()));
        Ok(())
    }

    /// Takes what was typed for `key`, which only others ask for.
    pub(super) fn typed(&mut self, key: &'static str, value: Option<&Path>) {
        if let Some(value) = value {
            self.values.insert(key, (value.display().to_string(), TYPED.to_owned()));
        }
    }

    /// Whether `key` was typed, or else set in the environment, or else in the file: the earlier
    /// counts more. None if it is not set.
    pub(super) fn rank(&self, key: &str) -> Option<u8> {
        let (_, place) = self.values.get(key)?;
        let old = OLD.iter().any(|(_, variable)| place.ends_with(variable));
        Some(match place.as_str() {
            TYPED => 0,
            _ if old => 3,
            place if place.starts_with("the variable ") => 1,
            _ => 2,
        })
    }

    /// The old variables that count, because nothing newer says anything.
    /// With each, what it is called today.
    pub(super) fn old_variables(&self) -> Vec<(&'static str, String)> {
        let place = |variable: &str| format!("the variable {variable}");
        let counts = |(key, variable): &(&str, &str)| {
            self.values.get(key).is_some_and(|(_, from)| *from == place(variable))
        };
        let set = |name: &str| std::env::var_os(name).is_some();
        let passwords = OLD_PASSWORDS.iter().filter(|(new, old)| set(old) && !set(new));
        let today = |key: &str| format!("STRATUS_{}", key.to_ascii_uppercase());
        let old = OLD.iter().filter(|old| counts(old)).map(|(key, old)| (*old, today(key)));
        old.chain(passwords.map(|(new, old)| (*old, (*new).to_owned()))).collect()
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

    /// The path that was typed, whatever bytes it has, else the value of `key`.
    ///
    /// # Errors
    /// None: every text is a path.
    pub(super) fn path(&self, flag: &Option<PathBuf>, key: &str) -> Result<Option<PathBuf>> {
        match flag {
            Some(path) => Ok(Some(path.clone())),
            None => self.get(key).map(|path: Option<String>| path.map(PathBuf::from)),
        }
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

/// Where and what is wrong. The line itself is not shown: there may be a password in it.
fn not_toml(text: &str, error: &toml::de::Error) -> Error {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    let why = error.message().lines().next().unwrap_or_default();
    let message = format!("line {line}, column {column}: this is not TOML: {why}");
    Error::new(Kind::Config, "config-file", message)
        .remedy("write each setting as NAME = \"text\", or NAME = number")
}

fn config_path() -> Option<PathBuf> {
    Some(xdg("XDG_CONFIG_HOME", ".config")?.join("config.toml"))
}

/// Our folder below one of the XDG base directories: by its variable, else below the home.
fn xdg(variable: &str, below_home: &str) -> Option<PathBuf> {
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
    let folder = absolute(variable).or_else(|| Some(absolute("HOME")?.join(below_home)))?;
    Some(folder.join("stratus"))
}

/// Where what belongs to the user lies: `$XDG_DATA_HOME/stratus`.
///
/// # Errors
/// `Config` if neither that nor `HOME` is set.
pub(super) fn data_folder() -> Result<PathBuf> {
    xdg("XDG_DATA_HOME", ".local/share").ok_or_else(|| {
        Error::new(Kind::Config, "no-home", "neither XDG_DATA_HOME nor HOME names a folder")
            .remedy("set one of them")
    })
}
