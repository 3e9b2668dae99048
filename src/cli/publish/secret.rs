//! Passwords: from a file, a command, a variable, or the terminal. Never from the command line, and
//! never into words that anybody prints.

use std::fs::File;
use std::io::{IsTerminal, Read};
use std::path::Path;
use std::process::{Command, Stdio};

use super::args::Password;
use crate::cli::config::Site;
use crate::error::{Error, Kind, Result};

/// No password is longer.
const MAX: u64 = 4096;

/// The password of the endorser's key, if one is given anywhere but at the terminal. In this order:
/// the options, `STRATUS_PASSWORD`, the settings of the site, `STRATUSLAB_P12_PASSWORD`.
///
/// # Errors
/// `Missing`, `Permission`, `Config`: what was named does not give one.
pub(super) fn given(options: &Password, site: &Site) -> Result<Option<String>> {
    if let Some(path) = &options.password_file {
        return file(path).map(Some);
    }
    if let Some(command) = &options.password_command {
        return run(&command.to_string_lossy()).map(Some);
    }
    if let Some(password) = variable("STRATUS_PASSWORD")? {
        return Ok(Some(password));
    }
    if let Some(path) = site.get::<String>("password_file")? {
        return file(Path::new(&path)).map(Some);
    }
    if let Some(command) = site.get::<String>("password_command")? {
        return run(&command).map(Some);
    }
    variable("STRATUSLAB_P12_PASSWORD")
}

/// A variable's value. An empty one is a password, too.
///
/// # Errors
/// `Config` if it is not UTF-8.
pub(super) fn variable(name: &str) -> Result<Option<String>> {
    let Some(value) = std::env::var_os(name) else { return Ok(None) };
    value.into_string().map(Some).map_err(|_| {
        Error::new(Kind::Config, "password", format!("the variable {name} is not UTF-8"))
    })
}

/// Asks at the terminal, if there is one.
///
/// # Errors
/// `Io`; `Interrupted` is the terminal's.
pub(super) fn asked(what: &str) -> Result<Option<String>> {
    if !std::io::stdin().is_terminal() {
        return Ok(None);
    }
    let cannot = |e: std::io::Error| match e.kind() {
        std::io::ErrorKind::Interrupted => Error::new(
            Kind::Interrupted(2),
            "interrupted",
            "stopped at the question for a password",
        ),
        _ => {
            Error::new(Kind::Io, "password", "cannot read a password from the terminal").because(e)
        }
    };
    rpassword::prompt_password(format!("{what}: ")).map(Some).map_err(cannot)
}

fn file(path: &Path) -> Result<String> {
    let cannot = |e| Error::io("password-file", "cannot read the password file", path, e);
    let file = File::open(path).map_err(cannot)?;
    first_line(file).map_err(cannot)
}

fn run(command: &str) -> Result<String> {
    let failed = |why: String| {
        Error::new(Kind::Config, "password-command", format!("the password command {why}"))
            .remedy("run it by hand: it has to print the password and to exit with 0")
    };
    let mut child = Command::new("sh")
        .args(["-c", command])
        .stdin(Stdio::inherit())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|e| failed("cannot be started".to_owned()).because(e))?;
    let line = child.stdout.take().map(first_line).transpose();
    let status = child.wait().map_err(|e| failed("cannot be waited for".to_owned()).because(e))?;
    if !status.success() {
        return Err(failed(format!("failed: {status}")));
    }
    let line = line.map_err(|e| failed("prints what is no password".to_owned()).because(e))?;
    Ok(line.unwrap_or_default())
}

/// The first line, without its end. What follows is read, too, so that a command can finish.
fn first_line(mut from: impl Read) -> std::io::Result<String> {
    let mut text = String::new();
    from.by_ref().take(MAX).read_to_string(&mut text)?;
    std::io::copy(&mut from, &mut std::io::sink())?;
    let line = text.split('\n').next().unwrap_or_default();
    Ok(line.strip_suffix('\r').unwrap_or(line).to_owned())
}
