//! `serial-console`: what a cloud shows of a guest is its serial line.
//!
//! The kernel writes to each `console=`; the last one is `/dev/console`, so what the init system
//! says is seen there. systemd starts a login on it by itself (systemd-getty-generator(8)); for the
//! others one is added.

#[cfg(test)]
mod tests;

use std::path::Path;

use super::cmdline;
use super::{Bench, Edit};
use crate::error::Result;
use crate::guest::facts::Init;
use crate::guest::tree::Attributes;

/// The edit.
pub const EDIT: Edit = Edit {
    name: "serial-console",
    default: true,
    reason: "kernel messages and a login on ttyS0, which is what a cloud's console shows",
    run,
};

/// A serial line, and the word that makes it a console.
#[derive(Clone, Copy)]
struct Port {
    name: &'static str,
    console: &'static str,
}

fn run(bench: &mut Bench<'_>) -> Result<()> {
    let port = match bench.facts.os_arch.as_deref() {
        None | Some("x86_64" | "i486") => Port { name: "ttyS0", console: "console=ttyS0,115200" },
        Some("aarch64" | "armv7l") => Port { name: "ttyAMA0", console: "console=ttyAMA0,115200" },
        // The firmware of the others tells the kernel.
        Some(_) => return Ok(()),
    };
    cmdline::add(bench, &format!("{} added", port.console), &|words| missing(words, port))?;
    match bench.facts.init {
        Init::Systemd => {}
        Init::Runit => runit(bench, port)?,
        Init::Upstart => upstart(bench, port)?,
        // RHEL 6 starts a login on each serial console that the kernel has, and reads of its
        // inittab the runlevel only.
        Init::Sysv if bench.exists("/etc/init/serial.conf")? => {}
        Init::Sysv | Init::Openrc | Init::Busybox | Init::Unknown => inittab(bench, port)?,
    }
    securetty(bench, port)
}

/// Recovery entries get it, too: in a cloud, nobody could see them otherwise.
fn missing(words: &str, port: Port) -> Vec<&'static str> {
    let there = cmdline::has_word(words, &format!("console={}", port.name));
    match (there, has_exactly(words, "console=tty0")) {
        (true, _) => vec![],
        (false, true) => vec![port.console],
        (false, false) => vec!["console=tty0", port.console],
    }
}

fn has_exactly(words: &str, word: &str) -> bool {
    words.split_ascii_whitespace().any(|known| known == word)
}

/// The lines of a configuration that say something.
fn live_lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.trim_ascii_start().starts_with('#'))
}

fn with_line(text: &str, line: &str) -> String {
    let end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    format!("{text}{end}{line}\n")
}

fn inittab(bench: &mut Bench<'_>, port: Port) -> Result<()> {
    let (path, tty) = ("/etc/inittab", port.name);
    let Some(text) = bench.text(path)? else { return Ok(()) };
    if live_lines(&text).any(|line| line.contains(tty)) {
        return Ok(());
    }
    let getty = ["/sbin/getty", "/sbin/agetty"];
    let mut found = None;
    for program in getty {
        if found.is_none() && bench.exists(program)? {
            found = Some(program);
        }
    }
    let Some(getty) = found else {
        let message = format!(
            "{path}: no login on {tty}, for there is neither getty nor agetty: install one"
        );
        bench.warn("no-getty", message);
        return Ok(());
    };
    // Busybox has the terminal in the first field and knows no runlevels (its `init/init.c`).
    let busybox = live_lines(&text).any(|line| line.starts_with("::"));
    let line = if busybox {
        format!("{tty}::respawn:{getty} -L {tty} 115200 vt100")
    } else {
        format!("{}:2345:respawn:{getty} -L {tty} 115200 vt100", free_id(&text))
    };
    bench.put(
        path,
        &with_line(&text, &line),
        Attributes::root(0o644),
        format!("login on {tty} added"),
    )
}

/// An entry's name of at most four characters that no other has (inittab(5)).
fn free_id(text: &str) -> String {
    let used: std::collections::BTreeSet<&str> =
        live_lines(text).filter_map(|line| Some(line.split_once(':')?.0)).collect();
    let names = ["S0", "s0", "T0"].into_iter().map(str::to_owned);
    let mut names = names.chain((0..).map(|number: u32| format!("c{number:03}")));
    names.find(|name| !used.contains(name.as_str())).unwrap_or_default()
}

fn upstart(bench: &mut Bench<'_>, port: Port) -> Result<()> {
    let tty = port.name;
    // RHEL 6 starts a login on each serial console that the kernel has (init/serial.conf).
    for path in bench.list("/etc/init")? {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        let name = name.unwrap_or_default();
        if !name.ends_with(".conf") {
            continue;
        }
        let text = bench.text(&path)?.unwrap_or_default();
        if name == "serial.conf" || live_lines(&text).any(|line| line.contains(tty)) {
            return Ok(());
        }
    }
    let program = if bench.exists("/sbin/getty")? { "/sbin/getty" } else { "/sbin/agetty" };
    if !bench.exists(program)? {
        return Ok(());
    }
    let job = format!(
        "# A login on the serial line.\n\
         start on stopped rc RUNLEVEL=[2345]\n\
         stop on runlevel [!2345]\n\
         respawn\n\
         exec {program} -L {tty} 115200 vt100\n"
    );
    bench.put(
        format!("/etc/init/{tty}.conf"),
        &job,
        Attributes::root(0o644),
        format!("login on {tty} added"),
    )
}

/// Void Linux has a service for each line, and a link for each that is to start.
fn runit(bench: &mut Bench<'_>, port: Port) -> Result<()> {
    let (name, started) =
        (format!("agetty-{}", port.name), Path::new("/etc/runit/runsvdir/default"));
    let service = format!("/etc/sv/{name}");
    if !bench.exists(&service)? || !bench.exists(started)? || bench.exists(started.join(&name))? {
        return Ok(());
    }
    bench.link(started.join(&name), &service, format!("login on {} added", port.name))
}

/// Where the file is, root may log in on its terminals only (securetty(5)).
fn securetty(bench: &mut Bench<'_>, port: Port) -> Result<()> {
    let (path, tty) = ("/etc/securetty", port.name);
    let Some(text) = bench.text(path)? else { return Ok(()) };
    if text.lines().any(|line| line.trim_ascii() == tty) {
        return Ok(());
    }
    bench.put(path, &with_line(&text, tty), Attributes::root(0o644), format!("{tty} added"))
}
