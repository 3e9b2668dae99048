//! Small systems: folders of scripts that run in the order of their names (ttylinux, Buildroot), or
//! the table of busybox's init.

use std::path::Path;

use super::glue::{Glue, is_folder};
use crate::error::Result;
use crate::guest::context::PROGRAM_PATH;
use crate::guest::edits::Bench;
use crate::guest::inspect::file;
use crate::guest::text::append;
use crate::guest::tree::{Attributes, Tree};

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

/// A folder whose scripts all run, whichever init is there: both ttylinux and Buildroot can have
/// SysV's.
pub(super) fn folder(tree: &dyn Tree) -> Result<Option<Glue>> {
    // ttylinux: `rc.sysinit` runs all of this folder. The names are those of the StratusLab images.
    const STARTUP: &str = "/etc/rc.d/rc.startup";
    if is_folder(tree, STARTUP)? {
        let early = format!("{STARTUP}/08.stratuslab-early");
        return Ok(Some(scripts(&early, &format!("{STARTUP}/95.context"))));
    }
    // Buildroot: rcS runs all scripts of this form.
    let rcs = file(tree, "/etc/init.d/rcS")?.unwrap_or_default();
    if rcs.contains("/etc/init.d/S??") {
        let early = format!("/etc/init.d/S{:02}stratuslab", early_number(tree)?);
        return Ok(Some(scripts(&early, "/etc/init.d/S95stratuslab")));
    }
    Ok(None)
}

/// What busybox's init needs; `None` if nothing tells what it runs.
pub(super) fn glue(tree: &dyn Tree) -> Result<Option<Glue>> {
    if let Some(glue) = folder(tree)? {
        return Ok(Some(glue));
    }
    let Some(table) = file(tree, TABLE)? else { return Ok(None) };
    let Some(table) = with_lines(&table) else { return Ok(None) };
    let changed = vec![(Path::new(TABLE).to_owned(), table, false)];
    Ok(Some(Glue { changed, ..Glue::default() }))
}

/// Takes our lines out of the table, if it is not the way.
pub(super) fn clean(bench: &mut Bench<'_>, keep: &Glue) -> Result<()> {
    if keep.changed.iter().any(|(path, ..)| path == Path::new(TABLE)) {
        return Ok(());
    }
    let Some(table) = bench.text(TABLE)? else { return Ok(()) };
    let rest: String = table.split_inclusive('\n').filter(|line| !is_ours(line)).collect();
    let action = "taken out: another way runs the context scripts";
    bench.put(TABLE, &rest, Attributes::root(0o644), action)
}

/// The number before the first script of the network or of an SSH server: 39, if Buildroot's own
/// `S40network` is the first.
fn early_number(tree: &dyn Tree) -> Result<u8> {
    let waits = |name: &str| {
        ["net", "ifup", "dhcp", "wpa", "ssh", "dropbear"].iter().any(|word| name.contains(word))
    };
    let number = |name: &str| -> Option<u8> {
        let script = name.strip_prefix('S')?;
        waits(script.get(2..)?).then(|| script.get(..2)?.parse().ok())?
    };
    let names = tree.list(Path::new("/etc/init.d"))?;
    let first = names.iter().filter_map(|name| number(&name.to_string_lossy())).min();
    Ok(first.unwrap_or(40).saturating_sub(1))
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
