//! OpenRC: two services. They `need` nothing: Debian's OpenRC has no service `localmount`, and
//! refuses to start what needs it.

use std::path::Path;

use super::glue::{EARLY, Glue, LATE, is_folder};
use crate::error::Result;
use crate::guest::inspect::exists;
use crate::guest::tree::Tree;

/// The program that runs a service. It was called runscript until OpenRC 0.13 (Gentoo).
const RUN: [&str; 4] =
    ["/sbin/openrc-run", "/usr/sbin/openrc-run", "/sbin/runscript", "/usr/sbin/runscript"];

/// Where OpenRC keeps the dependencies that it worked out, if not below `/run`.
const CACHES: &[&str] = &[
    "/lib/rc/cache/deptree",
    "/lib/rc/cache/depconfig",
    "/usr/lib/rc/cache/deptree",
    "/usr/lib/rc/cache/depconfig",
    "/usr/libexec/rc/cache/deptree",
    "/usr/libexec/rc/cache/depconfig",
];

const RUNLEVELS: [&str; 3] = ["sysinit", "boot", "default"];

/// What OpenRC needs; `None` if there is no program that would run a service.
pub(super) fn glue(tree: &dyn Tree) -> Result<Option<Glue>> {
    let mut run = None;
    for path in RUN {
        if run.is_none() && exists(tree, path)? {
            run = Some(path);
        }
    }
    let (Some(run), true) = (run, is_folder(tree, "/etc/init.d")?) else { return Ok(None) };
    let mut glue = Glue { before_ssh: true, caches: CACHES, ..Glue::default() };
    let services = [
        (EARLY, include_str!("../../context/glue/early.openrc"), early_runlevel(tree)?),
        (LATE, include_str!("../../context/glue/late.openrc"), "default"),
    ];
    for (name, content, runlevel) in services {
        let script = format!("/etc/init.d/{name}");
        glue.file(&script, content.replace("@RUN@", run), 0o755);
        let mut added = false;
        for runlevel in RUNLEVELS {
            added |= exists(tree, format!("/etc/runlevels/{runlevel}/{name}"))?;
        }
        if !added {
            glue.links.push((format!("/etc/runlevels/{runlevel}/{name}").into(), script));
        }
    }
    Ok(Some(glue))
}

/// A runlevel orders only what is in it: the early service goes where the network is. Debian has it
/// in `sysinit`, with all that is in `/etc/rcS.d`.
fn early_runlevel(tree: &dyn Tree) -> Result<&'static str> {
    for name in tree.list(Path::new("/etc/runlevels/sysinit"))? {
        let name = name.to_string_lossy();
        if matches!(&*name, "networking" | "network") || name.starts_with("net.") {
            return Ok("sysinit");
        }
    }
    Ok("boot")
}
