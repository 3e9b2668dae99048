//! `context-scripts`: the guest takes what the cloud's user gave it, keys, a name, addresses, scripts,
//! when it starts. What is installed is in [`crate::guest::context`]; how the guest is made to run it
//! is another matter for each init system:
//!
//! ```text
//! choose ──► Glue: files, links, lines in the guest's own files
//!   systemd.rs sysv.rs upstart.rs openrc.rs busybox.rs, or else rc_local.rs
//! ```
//!
//! Programs and glue are ours: an older version of them is replaced. Configuration is the user's
//! (`bundle.rs`).

pub(super) mod bundle;
mod busybox;
mod depend;
mod former;
mod given;
mod glue;
mod openrc;
mod rc_local;
mod systemd;
mod sysv;
mod upstart;

use std::path::Path;

use super::{Bench, Edit};
use crate::error::{Error, Kind, Result};
use crate::guest::context::{BUNDLE, DIGESTS, MOUNT_POINT, PROGRAM_PATH};
use crate::guest::facts::Init;
use crate::guest::inspect;
use crate::guest::tree::{NodeKind, Tree};
use bundle::Recorded;

/// The edit.
pub const EDIT: Edit = Edit {
    name: "context-scripts",
    default: true,
    reason: "installs the scripts that take keys, name, network and actions from the cloud",
    run,
};

fn run(bench: &mut Bench<'_>) -> Result<()> {
    let Some(first) = glue::choose(bench.tree, bench.facts.init)? else { return Err(unknown()) };
    former::remove(bench, &first)?;
    let glue = glue::choose(bench.tree, bench.facts.init)?.unwrap_or(first);
    let mut recorded = Recorded::read(bench.tree)?;
    for file in BUNDLE {
        recorded.install(bench, file)?;
    }
    glue.apply(bench, &mut recorded)?;
    recorded.prune(bench, &glue)?;
    mount_point(bench)?;
    given::write(bench)?;
    recorded.write(bench)?;
    quattor(bench)
}

fn unknown() -> Error {
    let message = "it is not known how this guest starts its services, so nothing in it would run \
                   the context scripts";
    Error::new(Kind::Unsupported, "guest-init-unknown", message).remedy(
        "make an executable /etc/rc.local in the guest, if it runs such a file; or leave the \
         scripts out with --skip-edit context-scripts,root-password, or convert the disk as it is \
         with --no-context",
    )
}

/// The folder on which the medium is mounted. The context scripts make it, too: it is missing where
/// another file system is mounted at `/mnt`.
fn mount_point(bench: &mut Bench<'_>) -> Result<()> {
    let path = Path::new(MOUNT_POINT);
    match bench.tree.resolve(path)? {
        Some(real) if bench.node(&real)?.is_some_and(|node| node.kind == NodeKind::Dir) => {
            return Ok(());
        }
        Some(_) => return Err(super::not_a_file(path)),
        // A link that leads nowhere.
        None if bench.node(path)?.is_some() => bench.tree.remove(path)?,
        None => {}
    }
    match bench.make_dirs(path) {
        Ok(()) => {
            bench.record(path, "made: where the cloud's parameters are mounted");
            Ok(())
        }
        // On a file system that nothing is written to.
        Err(error) if error.code() == "guest-path" => Ok(()),
        Err(error) => Err(error),
    }
}

/// The old images brought an action that installs packages from a repository named by the cloud.
fn quattor(bench: &mut Bench<'_>) -> Result<()> {
    const PATH: &str = "/etc/stratuslab/conf.d/99-quattor.context";
    let text = bench.text(PATH)?.unwrap_or_default();
    if text.lines().any(|line| line.trim() == "enable=yes") {
        bench.warn(
            "context-quattor",
            format!(
                "{PATH} is enabled in the guest: with the cloud's parameters for it, it installs \
                 packages whose signatures nobody checks; set enable=no in it if you do not use it"
            ),
        );
    }
    Ok(())
}

/// Whether the context scripts are in the guest and it runs them when it starts.
///
/// # Errors
/// Those of reading the guest.
pub fn is_enabled(tree: &dyn Tree, init: Init) -> Result<bool> {
    Ok(enabled(tree, init)?.is_some())
}

/// Whether they make SSH host keys before the SSH server wants them.
pub(super) fn make_host_keys(tree: &dyn Tree, init: Init) -> Result<bool> {
    Ok(enabled(tree, init)?.is_some_and(|glue| glue.before_ssh))
}

fn enabled(tree: &dyn Tree, init: Init) -> Result<Option<glue::Glue>> {
    if !inspect::exists(tree, DIGESTS)? || !glue::is_executable(tree, Path::new(PROGRAM_PATH))? {
        return Ok(None);
    }
    let Some(glue) = glue::choose(tree, init)? else { return Ok(None) };
    Ok(if glue.is_done(tree)? { Some(glue) } else { None })
}

#[cfg(test)]
mod tests;
