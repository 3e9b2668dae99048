//! Small systems: folders of scripts that run in the order of their names (ttylinux, Buildroot), or
//! the table of busybox's init.

use std::path::Path;

use super::glue::{Glue, is_folder, text_of};
use crate::error::Result;
use crate::guest::context::PROGRAM_PATH;
use crate::guest::text::append;
use crate::guest::tree::Tree;

const TABLE: &str = "/etc/inittab";
const MARK: &str = "# stratuslab-one-context: the cloud's parameters";

fn script(stage: &str) -> String {
    let what = match stage {
        "early" => "Takes the parameters of the cloud before the network starts.",
        _ => "Runs the scripts of the cloud's user and the actions of the image.",
    };
    let text = include_str!("../../context/glue/startup.sh");
    text.replace("@WHAT@", what).replace("@STAGE@", stage)
}

fn scripts(early: &str, late: &str) -> Glue {
    let mut glue = Glue { before_ssh: true, ..Glue::default() };
    glue.file(early, script("early"), 0o755);
    glue.file(late, script("late"), 0o755);
    glue
}

/// ttylinux: `rc.sysinit` runs all of this folder. The names are those of the StratusLab images.
pub(super) fn startup_folder(tree: &dyn Tree) -> Result<Option<Glue>> {
    const FOLDER: &str = "/etc/rc.d/rc.startup";
    Ok(is_folder(tree, FOLDER)?.then(|| {
        scripts(&format!("{FOLDER}/08.stratuslab-early"), &format!("{FOLDER}/95.context"))
    }))
}

/// What busybox's init needs; `None` if nothing tells what it runs.
pub(super) fn glue(tree: &dyn Tree) -> Result<Option<Glue>> {
    if let Some(glue) = startup_folder(tree)? {
        return Ok(Some(glue));
    }
    // Buildroot: rcS runs all scripts of this form; S40network and S50sshd are among them.
    let rcs = text_of(tree, "/etc/init.d/rcS")?.unwrap_or_default();
    if rcs.contains("/etc/init.d/S??") {
        return Ok(Some(scripts("/etc/init.d/S39stratuslab", "/etc/init.d/S95stratuslab")));
    }
    let Some(table) = text_of(tree, TABLE)? else { return Ok(None) };
    let Some(table) = with_lines(&table) else { return Ok(None) };
    let changed = vec![(Path::new(TABLE).to_owned(), table, false)];
    Ok(Some(Glue { changed, ..Glue::default() }))
}

/// The table with our lines behind its last `sysinit`, which mounts what is to be mounted: init
/// waits for each of them. `None` if there is none.
fn with_lines(table: &str) -> Option<String> {
    let mut lines: Vec<&str> = table.split_inclusive('\n').collect();
    lines.retain(|line| !is_ours(line));
    let is_sysinit = |line: &&str| {
        !line.trim_start().starts_with('#') && line.split(':').nth(2) == Some("sysinit")
    };
    let last = lines.iter().rposition(is_sysinit)?;
    let mut text = lines[..=last].concat();
    append(
        &mut text,
        &format!("{MARK}\n::sysinit:{PROGRAM_PATH} early\n::once:{PROGRAM_PATH} late\n"),
    );
    Some(text + &lines[last + 1..].concat())
}

fn is_ours(line: &str) -> bool {
    line.trim_end() == MARK || !line.starts_with('#') && line.contains(PROGRAM_PATH)
}
