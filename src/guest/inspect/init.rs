//! How does it start its services?

use std::path::Path;

use super::{any, exists, is};
use crate::error::Result;
use crate::guest::facts::Init;
use crate::guest::tree::{NodeKind, Tree};

/// `/sbin/init` is not larger (systemd: 2 MiB), and neither is an upstart.
const MAX_PROGRAM: u64 = 8 << 20;

/// The init system. What `/sbin/init` leads to decides, since several can be installed; `wanted`
/// is `init=` of the kernel's command line, which goes before it.
pub(super) fn init(tree: &dyn Tree, wanted: Option<&str>) -> Result<Init> {
    let usual = ["/sbin/init", "/usr/sbin/init", "/etc/init", "/bin/init"];
    let wanted = wanted.filter(|program| program.starts_with('/'));
    for program in wanted.into_iter().chain(usual) {
        if let Some(target) = tree.resolve(Path::new(program))? {
            return by_program(tree, &target);
        }
    }
    // An initramfs of systemd starts it also where no /sbin/init leads to it.
    let systemd = any(tree, &["/usr/lib/systemd/systemd", "/lib/systemd/systemd"])?;
    Ok(if systemd { Init::Systemd } else { Init::Unknown })
}

/// By the program that the kernel starts: `target`, all links followed.
fn by_program(tree: &dyn Tree, target: &Path) -> Result<Init> {
    let name = target.file_name().map(|name| name.to_string_lossy().into_owned());
    let name = name.unwrap_or_default();
    if target.ends_with("systemd/systemd") {
        return Ok(Init::Systemd);
    }
    if name.starts_with("runit") {
        return Ok(Init::Runit);
    }
    if name.starts_with("openrc-init") {
        return Ok(Init::Openrc);
    }
    if is_upstart(tree, target)? {
        let rc_scripts = any(tree, &["/etc/rc.d/rc.sysinit"])?;
        // RHEL 6: upstart runs rc, and every service is an rc script.
        return Ok(if rc_scripts { Init::Sysv } else { Init::Upstart });
    }
    // OpenRC has no init of its own in general: SysV's or busybox's starts it.
    if is_openrc(tree)? {
        return Ok(Init::Openrc);
    }
    if name.starts_with("busybox") {
        return Ok(Init::Busybox);
    }
    let sysv = [
        "/etc/inittab",
        "/etc/rc.d/rc.sysinit",
        "/etc/rc.d/init.d/functions",
        "/etc/init.d/.depend.start",
        "/etc/insserv.conf",
        "/lib/init/rc",
        "/etc/init.d/rc",
        "/etc/init.d/boot.d",
        "/etc/rc.status",
    ];
    Ok(if any(tree, &sysv)? { Init::Sysv } else { Init::Unknown })
}

fn is_upstart(tree: &dyn Tree, target: &Path) -> Result<bool> {
    if target.ends_with("upstart") {
        return Ok(true);
    }
    // Its jobs are there; only then is the program worth a look.
    if !is(tree, "/etc/init", NodeKind::Dir)? {
        return Ok(false);
    }
    let program = tree.read(target, MAX_PROGRAM)?.unwrap_or_default();
    Ok(program.starts_with(b"\x7fELF") && program.windows(7).any(|word| word == b"upstart"))
}

fn is_openrc(tree: &dyn Tree) -> Result<bool> {
    let programs = [
        "/sbin/openrc",
        "/sbin/openrc-run",
        "/usr/sbin/openrc",
        "/usr/sbin/openrc-run",
        "/sbin/runscript",
    ];
    Ok(exists(tree, "/etc/runlevels")? && any(tree, &programs)?)
}
