//! What other installations of the contextualizer left: the scripts of the StratusLab images, their
//! package, and this program where the guest had another init system.

use std::path::{Path, PathBuf};

use super::glue::{EARLY, Glue, LATE};
use super::{busybox, rc_local};
use crate::error::Result;
use crate::guest::edits::Bench;

/// Made the mount point and ran tune2fs when the package was installed: done here.
const POST_INSTALL: &str = "/usr/bin/stratuslab-one-context-postinstall";

/// Folders of init scripts, and of the links that start them.
const SCRIPTS: [&str; 2] = ["/etc/init.d", "/etc/rc.d/init.d"];
const LINKS: [&str; 3] = ["/etc", "/etc/rc.d", "/etc/init.d"];

/// Removes what would run the contextualizer in another way than `glue`.
pub(super) fn remove(bench: &mut Bench<'_>, glue: &Glue) -> Result<()> {
    bench.remove(POST_INSTALL, "removed: done already")?;
    rc_local::clean(bench, glue)?;
    busybox::clean(bench, glue)?;
    for name in [EARLY, LATE] {
        let mut ours = false;
        for (path, ..) in &glue.files {
            ours |= SCRIPTS.iter().any(|folder| *path == format!("{folder}/{name}"));
        }
        if ours {
            continue;
        }
        for link in links(bench, name)? {
            bench.remove(link, "removed: another way runs the context scripts")?;
        }
        for folder in SCRIPTS {
            let action = "removed: another way runs the context scripts";
            bench.remove(Path::new(folder).join(name), action)?;
        }
    }
    Ok(())
}

/// The links of rc folders to a script.
fn links(bench: &Bench<'_>, name: &str) -> Result<Vec<PathBuf>> {
    let mut links = Vec::new();
    for folder in LINKS {
        for level in ["rc0", "rc1", "rc2", "rc3", "rc4", "rc5", "rc6", "rcS", "boot"] {
            let folder = Path::new(folder).join(format!("{level}.d"));
            for path in bench.list(&folder)? {
                let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                let is_it = file.starts_with(['S', 'K']) && file.get(3..) == Some(name);
                if is_it && bench.tree.read_link(&path)?.is_some() {
                    links.push(path);
                }
            }
        }
    }
    Ok(links)
}
