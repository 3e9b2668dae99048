//! `serial-console`: what a cloud shows of a guest is its serial line.
//!
//! The kernel writes to each `console=`; the last one is `/dev/console`, so what the init system
//! says is seen there. systemd starts a login on it by itself (systemd-getty-generator(8)); for the
//! others one is added.

#[cfg(test)]
mod tests;

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

fn run(bench: &mut Bench<'_>) -> Result<()> {
    cmdline::add(bench, "console=ttyS0,115200 added", missing)?;
    match bench.facts.init {
        Init::Systemd | Init::Runit => {}
        Init::Upstart => upstart(bench)?,
        Init::Sysv | Init::Openrc | Init::Busybox | Init::Unknown => inittab(bench)?,
    }
    securetty(bench)
}

/// Recovery entries get it, too: in a cloud, nobody could see them otherwise.
fn missing(words: &str) -> Vec<&'static str> {
    match (cmdline::has_word(words, "console=ttyS0"), has_exactly(words, "console=tty0")) {
        (true, _) => vec![],
        (false, true) => vec!["console=ttyS0,115200"],
        (false, false) => vec!["console=tty0", "console=ttyS0,115200"],
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

fn inittab(bench: &mut Bench<'_>) -> Result<()> {
    let path = "/etc/inittab";
    let Some(text) = bench.text(path)? else { return Ok(()) };
    if live_lines(&text).any(|line| line.contains("ttyS0")) {
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
        let message = format!("{path}: no login on ttyS0, for there is neither getty nor agetty");
        bench.warn("no-getty", message);
        return Ok(());
    };
    // Busybox has the terminal in the first field and knows no runlevels (its `init/init.c`).
    let busybox = live_lines(&text).any(|line| line.starts_with("::"));
    let line = if busybox {
        format!("ttyS0::respawn:{getty} -L ttyS0 115200 vt100")
    } else {
        format!("{}:2345:respawn:{getty} -L ttyS0 115200 vt100", free_id(&text))
    };
    bench.put(path, &with_line(&text, &line), Attributes::root(0o644), "login on ttyS0 added")
}

/// An entry's name of at most four characters that no other has (inittab(5)).
fn free_id(text: &str) -> String {
    let used: std::collections::BTreeSet<&str> =
        live_lines(text).filter_map(|line| Some(line.split_once(':')?.0)).collect();
    let names = ["S0", "s0", "T0"].into_iter().map(str::to_owned);
    let mut names = names.chain((0..).map(|number: u32| format!("c{number:03}")));
    names.find(|name| !used.contains(name.as_str())).unwrap_or_default()
}

fn upstart(bench: &mut Bench<'_>) -> Result<()> {
    // RHEL 6 starts a login on each serial console that the kernel has (init/serial.conf).
    for path in bench.list("/etc/init")? {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        let name = name.unwrap_or_default();
        if !name.ends_with(".conf") {
            continue;
        }
        let text = bench.text(&path)?.unwrap_or_default();
        if name == "serial.conf" || live_lines(&text).any(|line| line.contains("ttyS0")) {
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
         exec {program} -L ttyS0 115200 vt100\n"
    );
    bench.put("/etc/init/ttyS0.conf", &job, Attributes::root(0o644), "login on ttyS0 added")
}

/// Where the file is, root may log in on its terminals only (securetty(5)).
fn securetty(bench: &mut Bench<'_>) -> Result<()> {
    let path = "/etc/securetty";
    let Some(text) = bench.text(path)? else { return Ok(()) };
    if text.lines().any(|line| line.trim_ascii() == "ttyS0") {
        return Ok(());
    }
    bench.put(path, &with_line(&text, "ttyS0"), Attributes::root(0o644), "ttyS0 added")
}
