//! `vbox-additions`: VirtualBox's Guest Additions rest on another hypervisor.
//!
//! They are not removed, only kept from starting: their modules find no device, their services
//! fail, their X driver leaves the screen black, and a shared folder in fstab stops the boot in
//! systemd's emergency mode.

mod desktop;
mod services;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use super::{Bench, Edit};
use crate::error::Result;
use crate::guest::fstab::Table;
use crate::guest::tree::{Attributes, NodeKind};

/// The edit.
pub const EDIT: Edit = Edit {
    name: "vbox-additions",
    default: true,
    reason: "keeps VirtualBox's services, modules, X driver and shared folders from starting",
    run,
};

fn run(bench: &mut Bench<'_>) -> Result<()> {
    services::disable(bench)?;
    modules(bench)?;
    desktop::disable(bench)?;
    shared_folders(bench)
}

/// Gives a regular file a name under which nothing looks for it. Where that name is taken, the
/// file stays.
fn set_aside(bench: &mut Bench<'_>, path: &Path, action: &str) -> Result<()> {
    if bench.node(path)?.is_none_or(|node| node.kind == NodeKind::Dir) {
        return Ok(());
    }
    let mut kept = path.to_owned().into_os_string();
    kept.push(".stratus-orig");
    let kept = PathBuf::from(kept);
    if bench.node(&kept)?.is_none() {
        bench.rename(path, &kept, format!("{action}; kept as .stratus-orig"))?;
    }
    Ok(())
}

/// The kernel modules of the additions.
const MODULES: &[&str] = &["vboxguest", "vboxsf", "vboxvideo", "vboxadd", "vboxvfs"];

fn names_module(line: &str) -> bool {
    line.split_ascii_whitespace().next().is_some_and(|word| MODULES.contains(&word))
}

/// A module that is asked for and finds no device makes systemd-modules-load.service fail.
fn modules(bench: &mut Bench<'_>) -> Result<()> {
    let mut lists = vec![PathBuf::from("/etc/modules")];
    lists.extend(bench.list("/etc/modules-load.d")?);
    for path in lists {
        let Some(text) = bench.text(&path)? else { continue };
        let new = marked(&text, names_module);
        bench.put(&path, &new, Attributes::root(0o644), "modules of VirtualBox commented out")?;
    }
    // What a package brought is masked by a link of the same name in /etc (modules-load.d(5)).
    for folder in ["/usr/lib/modules-load.d", "/lib/modules-load.d"] {
        for path in bench.list(folder)? {
            let Some(text) = bench.text(&path)? else { continue };
            let only = text.lines().filter(|line| !line.trim_ascii().is_empty());
            let mut only = only.filter(|line| !line.starts_with(['#', ';'])).peekable();
            let Some(name) = path.file_name() else { continue };
            let place = Path::new("/etc/modules-load.d").join(name);
            if only.peek().is_some() && only.all(names_module) && bench.node(&place)?.is_none() {
                bench.link(&place, "/dev/null", "modules of VirtualBox masked")?;
            }
        }
    }
    Ok(())
}

/// `text` with `#stratus: ` before each line that `is` says yes to.
fn marked(text: &str, is: impl Fn(&str) -> bool) -> String {
    let mut new = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        if is(line) {
            new.push_str("#stratus: ");
        }
        new.push_str(line);
    }
    new
}

/// `nofail,noauto` for each shared folder in fstab.
fn shared_folders(bench: &mut Bench<'_>) -> Result<()> {
    let path = "/etc/fstab";
    let Some(text) = bench.text(path)? else { return Ok(()) };
    let mut table = Table::parse(&text);
    let entries = table.entries().filter(|entry| entry.kind == "vboxsf");
    for line in entries.map(|entry| entry.line).collect::<Vec<_>>() {
        table.add_option(line, "nofail");
        table.add_option(line, "noauto");
    }
    let action = "shared folders of VirtualBox get nofail,noauto";
    bench.put(path, &table.text(), Attributes::root(0o644), action)
}
