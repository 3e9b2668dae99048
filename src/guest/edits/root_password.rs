//! `root-password`: root gets a password that nobody knows at every start, whatever password the
//! image, or an older one, was published with.

use super::context_scripts::bundle::Recorded;
use super::{Bench, Edit, context_scripts};
use crate::error::Result;
use crate::guest::context::RANDOM_PASSWORD;

/// The edit.
pub const EDIT: Edit = Edit {
    name: "root-password",
    default: true,
    reason: "gives root a password that nobody knows, at every start, by the context scripts",
    run,
};

const CONTEXT: &str = "/etc/stratuslab/conf.d/01-password.context";

/// The name that the first images had.
const FORMER_NAME: &str = "/usr/bin/stratus-random-password";

fn run(bench: &mut Bench<'_>) -> Result<()> {
    if !context_scripts::is_enabled(bench.tree, bench.facts.init)? {
        bench.warn(
            "root-password-unused",
            "root gets no new password when the guest starts: the edit root-password needs the \
             edit context-scripts",
        );
        return Ok(());
    }
    let mut recorded = Recorded::read(bench.tree)?;
    for file in RANDOM_PASSWORD {
        recorded.install(bench, file)?;
    }
    bench.link(FORMER_NAME, "stratuslab-random-password", "its former name")?;
    recorded.write(bench)?;
    let context = bench.text(CONTEXT)?.unwrap_or_default();
    let kept = context.as_bytes() != RANDOM_PASSWORD[1].content.as_bytes();
    let says = |wanted: &str| context.lines().any(|line| line.trim() == wanted);
    if kept && says("enable=yes") && !says("stage=early") {
        bench.warn(
            "root-password-late",
            format!(
                "{CONTEXT} in the guest was kept: root gets its new password only when the guest \
                 has its network; add stage=early to it"
            ),
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::trial::plain;
    use super::*;
    use crate::guest::context::PROGRAM_PATH;
    use crate::guest::memory::MemoryTree;

    #[test]
    fn it_needs_the_context_scripts() {
        let mut tree = MemoryTree::default();
        let outcome = plain(&EDIT, &mut tree);
        assert_eq!((outcome.codes(), outcome.paths()), (vec!["root-password-unused"], vec![]));
        assert_eq!(tree, MemoryTree::default());
        // One that nothing starts changes no password either.
        let mut tree = MemoryTree::of(&[(PROGRAM_PATH, "#!/bin/sh\n")]);
        let before = tree.clone();
        assert_eq!(plain(&EDIT, &mut tree).codes(), ["root-password-unused"]);
        assert_eq!(tree, before);
    }

    /// Also a second preparation of the whole changes nothing, whichever of the two comes last.
    #[test]
    fn the_two_edits_keep_one_list() {
        let mut tree = MemoryTree::default();
        plain(&context_scripts::EDIT, &mut tree);
        let outcome = plain(&EDIT, &mut tree);
        let expected = [
            "/usr/bin/stratuslab-random-password",
            CONTEXT,
            FORMER_NAME,
            "/usr/lib/stratuslab/bundle.sha256",
        ];
        assert_eq!(outcome.paths(), expected);
        assert_eq!(plain(&context_scripts::EDIT, &mut tree).paths(), [""; 0]);
        assert_eq!(plain(&EDIT, &mut tree).paths(), [""; 0]);
        assert!(tree.text(FORMER_NAME).is_some());
    }

    /// Who wants it otherwise has said so in the file.
    #[test]
    fn what_the_user_changed_stays() {
        let mut tree = MemoryTree::default();
        plain(&context_scripts::EDIT, &mut tree);
        for (text, told) in [("enable=no\n", false), ("enable=yes\nrun_exec=/x\n", true)] {
            tree.file(CONTEXT, text, 0o644);
            let outcome = plain(&EDIT, &mut tree);
            assert!(!outcome.paths().contains(&CONTEXT));
            assert_eq!(outcome.codes().contains(&"root-password-late"), told);
            assert_eq!(tree.text(CONTEXT).unwrap(), text);
        }
    }
}
