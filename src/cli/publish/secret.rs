//! Passwords: from a file, a command, a variable, or the terminal. Never from the command line, and
//! never into words that anybody prints.

use std::fs::File;
use std::io::{ErrorKind, IsTerminal, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};

use super::args::Password;
use crate::cli::config::Site;
use crate::control::Control;
use crate::error::{Error, Kind, Result};

/// No password is longer.
const MAX: u64 = 4096;
/// More than this behind its first line is not read.
const REST: u64 = 1 << 20;

/// The password of the endorser's key, if one is given anywhere but at the terminal. In this order:
/// the options, `STRATUS_PASSWORD`, the settings of the site, `STRATUSLAB_P12_PASSWORD`.
///
/// # Errors
/// `Missing`, `Permission`, `Config`: what was named does not give one; `Interrupted`.
pub(super) fn given(options: &Password, site: &Site, control: &Control) -> Result<Option<String>> {
    if let Some(path) = &options.password_file {
        return file(path, control).map(Some);
    }
    if let Some(command) = &options.password_command {
        return run(&command.to_string_lossy(), control).map(Some);
    }
    if let Some(password) = variable("STRATUS_PASSWORD")? {
        return Ok(Some(password));
    }
    if let Some(path) = site.get::<String>("password_file")? {
        return file(Path::new(&path), control).map(Some);
    }
    if let Some(command) = site.get::<String>("password_command")? {
        return run(&command, control).map(Some);
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
/// `Io`; `Interrupted`, and the terminal shows again what is typed.
pub(super) fn asked(what: &str, control: &Control) -> Result<Option<String>> {
    if !std::io::stdin().is_terminal() {
        return Ok(None);
    }
    let cannot = |e: std::io::Error| match e.kind() {
        std::io::ErrorKind::Interrupted => Error::new(Kind::Interrupted(2), "interrupted", STOPPED),
        _ => {
            Error::new(Kind::Io, "password", "cannot read a password from the terminal").because(e)
        }
    };
    let terminal = File::options().read(true).write(true).open("/dev/tty").ok();
    let before = terminal.as_ref().and_then(|terminal| tcgetattr(terminal).ok());
    let prompt = format!("{what}: ");
    let answer = stoppable(control, move || rpassword::prompt_password(prompt));
    if let (Err(_), Some(terminal), Some(before)) = (&answer, terminal, before) {
        let _ = tcsetattr(terminal, OptionalActions::Now, &before);
    }
    answer?.map(Some).map_err(cannot)
}

const STOPPED: &str = "stopped before there was a password";

/// Does what may take for ever, unless a signal asks to stop: then it is left alone.
pub(super) fn stoppable<T: Send + 'static>(
    control: &Control,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || sender.send(work()));
    loop {
        match receiver.recv_timeout(Duration::from_millis(50)) {
            Ok(done) => return Ok(done),
            Err(RecvTimeoutError::Timeout) => control.go_on(STOPPED)?,
            Err(RecvTimeoutError::Disconnected) => {
                return Err(Error::new(Kind::Internal, "password", "nobody answers any more"));
            }
        }
    }
}

fn file(path: &Path, control: &Control) -> Result<String> {
    let cannot = |e| {
        Error::io("password-file", "cannot read the password file", path, e)
            .remedy("name a file whose first line is the password")
    };
    let owned = path.to_owned();
    stoppable(control, move || first_line(File::open(owned)?))?.map_err(cannot)
}

fn run(command: &str, control: &Control) -> Result<String> {
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
    let out = child.stdout.take();
    let line = stoppable(control, move || out.map(first_line).transpose());
    let status = match line {
        Ok(_) => ended(&mut child, control),
        Err(_) => child.kill().and_then(|()| child.wait()),
    };
    let line = line?;
    let status = status.map_err(|e| failed("cannot be waited for".to_owned()).because(e))?;
    if !status.success() {
        // Ctrl-C reaches the command, too.
        control.go_on(STOPPED)?;
        return Err(failed(format!("failed: {status}")));
    }
    let line = line.map_err(|e| failed("prints what is no password".to_owned()).because(e))?;
    Ok(line.unwrap_or_default())
}

/// Waits for a command, unless a signal asks to stop.
fn ended(child: &mut Child, control: &Control) -> std::io::Result<ExitStatus> {
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if control.stopped().is_some() {
            return child.kill().and_then(|()| child.wait());
        }
        thread::sleep(Duration::from_millis(50));
    }
}

/// The first line, without its end. A bounded rest is read, too, so that a command can finish.
fn first_line(mut from: impl Read) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    from.by_ref().take(MAX).read_to_end(&mut bytes)?;
    std::io::copy(&mut from.take(REST), &mut std::io::sink())?;
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = std::str::from_utf8(line).map_err(|_| ErrorKind::InvalidData)?;
    let line = line.strip_suffix('\r').unwrap_or(line);
    // Editors of another system begin a file so.
    Ok(line.strip_prefix('\u{feff}').unwrap_or(line).to_owned())
}
