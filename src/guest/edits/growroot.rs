//! `growroot`: the root file system grows to the size of the disk that a cloud gives. The guest does
//! it with its own programs, when it starts.

use super::context_scripts::bundle::Recorded;
use super::{Bench, Edit, context_scripts};
use crate::error::Result;
use crate::guest::context::GROW_ROOT;

/// The edit.
pub const EDIT: Edit = Edit {
    name: "growroot",
    default: false,
    reason: "grows the root file system to the disk that the cloud gives, by the context scripts",
    run,
};

const FOLDERS: [&str; 6] =
    ["/usr/sbin", "/usr/bin", "/sbin", "/bin", "/usr/local/sbin", "/usr/local/bin"];
/// What can make a partition larger.
const PARTITION: [&str; 3] = ["growpart", "sfdisk", "parted"];

fn run(bench: &mut Bench<'_>) -> Result<()> {
    let missing = if !context_scripts::is_enabled(bench.tree, bench.facts.init)? {
        Some("the edit context-scripts")
    } else if !has(bench, &PARTITION)? {
        Some("growpart, sfdisk or parted in the guest")
    } else if !has(bench, &["resize2fs", "xfs_growfs", "btrfs"])? {
        Some("resize2fs, xfs_growfs or btrfs in the guest")
    } else {
        None
    };
    if let Some(missing) = missing {
        let message = format!("the root file system will not grow: that needs {missing}");
        bench.warn("growroot-impossible", message);
        return Ok(());
    }
    let mut recorded = Recorded::read(bench.tree)?;
    for file in GROW_ROOT {
        recorded.install(bench, file)?;
    }
    recorded.write(bench)
}

fn has(bench: &Bench<'_>, programs: &[&str]) -> Result<bool> {
    for folder in FOLDERS {
        for program in programs {
            if bench.exists(format!("{folder}/{program}"))? {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::super::trial::plain;
    use super::*;
    use crate::guest::memory::MemoryTree;

    #[test]
    fn it_needs_programs() {
        let steps = ["", "/usr/sbin/sfdisk", "/sbin/resize2fs"];
        let mut tree = MemoryTree::default();
        plain(&context_scripts::EDIT, &mut tree);
        for (at, step) in steps.iter().enumerate() {
            if !step.is_empty() {
                tree.file(step, "", 0o755);
            }
            let outcome = plain(&EDIT, &mut tree);
            let done = at + 1 == steps.len();
            assert_eq!(outcome.codes().is_empty(), done, "{step}");
            assert_eq!(outcome.changes.len(), if done { 2 } else { 0 }, "{step}");
        }
        assert!(tree.text(GROW_ROOT[0].path).is_some());
        assert_eq!(plain(&context_scripts::EDIT, &mut tree).paths(), [""; 0]);
    }
}
