//! Upstart: jobs, which are enabled by being there.

use super::glue::{EARLY, Glue, LATE, is_folder};
use crate::error::Result;
use crate::guest::inspect::exists;
use crate::guest::tree::Tree;

const FOLDER: &str = "/etc/init";

/// What Upstart needs; `None` if it has no folder of jobs.
pub(super) fn glue(tree: &dyn Tree) -> Result<Option<Glue>> {
    if !is_folder(tree, FOLDER)? {
        return Ok(None);
    }
    // A task holds up the job whose start it waits for (init(5), "starting"). `networking` starts
    // when the local file systems are there; without it, `rc-sysinit` comes before all services.
    let networking = exists(tree, format!("{FOLDER}/networking.conf"))?;
    let event = if networking { "starting networking" } else { "starting rc-sysinit" };
    let early = include_str!("../../context/glue/early.upstart").replace("@EVENT@", event);
    let mut glue = Glue { before_ssh: true, ..Glue::default() };
    glue.file(format!("{FOLDER}/{EARLY}.conf"), early, 0o644);
    // Only the first event that starts a job waits for it: the others need a job of their own.
    let wait = include_str!("../../context/glue/wait.upstart");
    glue.file(format!("{FOLDER}/stratuslab-one-context-wait.conf"), wait, 0o644);
    let late = include_str!("../../context/glue/late.upstart");
    glue.file(format!("{FOLDER}/{LATE}.conf"), late, 0o644);
    Ok(Some(glue))
}
