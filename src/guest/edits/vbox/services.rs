//! The services of the Guest Additions, for each way of starting services.

use std::path::Path;

use crate::error::Result;
use crate::guest::edits::Bench;
use crate::guest::tree::{Attributes, NodeKind};

/// Services: those of VirtualBox's own installer, then those of Debian, Fedora, SUSE and Alpine.
const NAMES: &[&str] = &[
    "vboxadd",
    "vboxadd-service",
    "vboxadd-timesync",
    "vboxadd-x11",
    "vboxservice",
    "virtualbox-guest-utils",
    "virtualbox-ose-guest-utils",
    "virtualbox-guest-x11",
    "vboxclient",
    "virtualbox-guest-additions",
];

pub(super) fn disable(bench: &mut Bench<'_>) -> Result<()> {
    for name in NAMES {
        systemd(bench, name)?;
        upstart(bench, name)?;
    }
    rc_links(bench)?;
    runlevels(bench)
}

/// Masks a unit, also one that systemd would make from a script in /etc/init.d.
fn systemd(bench: &mut Bench<'_>, name: &str) -> Result<()> {
    let place = format!("/etc/systemd/system/{name}.service");
    let systemd = bench.exists("/etc/systemd/system")?;
    let units = ["/usr/lib/systemd/system", "/lib/systemd/system", "/etc/systemd/system"];
    let mut there = systemd && bench.exists(format!("/etc/init.d/{name}"))?;
    for folder in units {
        let unit = bench.node(format!("{folder}/{name}.service"))?;
        there |= unit.is_some_and(|unit| unit.kind == NodeKind::File);
    }
    if !there {
        return Ok(());
    }
    if bench.node(&place)?.is_some_and(|unit| unit.kind == NodeKind::File) {
        super::set_aside(bench, Path::new(&place), "service of VirtualBox set aside")?;
    }
    if bench.node(&place)?.is_none_or(|unit| unit.kind == NodeKind::Link) {
        bench.link(&place, "/dev/null", "service of VirtualBox masked")?;
    }
    Ok(())
}

/// A job with `manual` in its override file starts by hand only (init(5) of upstart).
fn upstart(bench: &mut Bench<'_>, name: &str) -> Result<()> {
    if !bench.exists(format!("/etc/init/{name}.conf"))? {
        return Ok(());
    }
    let path = format!("/etc/init/{name}.override");
    let text = bench.text(&path)?.unwrap_or_default();
    if text.lines().any(|line| line.trim_ascii() == "manual") {
        return Ok(());
    }
    let end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    let text = format!("{text}{end}manual\n");
    bench.put(&path, &text, Attributes::root(0o644), "job of VirtualBox starts by hand only")
}

/// Removes the links that start a script: `S30vboxadd`. Those that stop it stay.
fn rc_links(bench: &mut Bench<'_>) -> Result<()> {
    for folder in ["/etc", "/etc/rc.d", "/etc/init.d"] {
        for level in ["0", "1", "2", "3", "4", "5", "6", "S"] {
            let folder = format!("{folder}/rc{level}.d");
            // On RHEL /etc/rc3.d is a link to /etc/rc.d/rc3.d: there once is enough.
            if bench.node(&folder)?.is_none_or(|node| node.kind != NodeKind::Dir) {
                continue;
            }
            for path in bench.list(&folder)? {
                let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
                let script = name.as_deref().and_then(|name| name.strip_prefix('S')?.get(2..));
                if script.is_some_and(|script| NAMES.contains(&script)) {
                    bench.remove(&path, "service of VirtualBox is not started")?;
                }
            }
        }
    }
    Ok(())
}

/// OpenRC: the links in the runlevels.
fn runlevels(bench: &mut Bench<'_>) -> Result<()> {
    for level in bench.list("/etc/runlevels")? {
        for name in NAMES {
            bench.remove(level.join(name), "service of VirtualBox is not started")?;
        }
    }
    Ok(())
}
