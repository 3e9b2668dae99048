//! systemd: two units, wanted by the usual target. `/etc` is the one place for units that is the
//! same in all distributions.
//!
//! The early unit has no default dependencies, since it comes before the sockets and the services of
//! `sysinit.target`, cloud-init's among them; it waits for nothing but local file systems and udev.

use super::glue::{EARLY, Glue, LATE};

const FOLDER: &str = "/etc/systemd/system";
/// A machine without an id takes its first start for the one on which presets decide what is
/// enabled (systemd.preset(5)).
const PRESET: &str = "/etc/systemd/system-preset/00-stratuslab.preset";

/// What systemd needs.
pub(super) fn glue() -> Glue {
    let mut glue = Glue { before_ssh: true, ..Glue::default() };
    let units = [
        (EARLY, include_str!("../../context/glue/early.service")),
        (LATE, include_str!("../../context/glue/late.service")),
    ];
    for (name, content) in units {
        let path = format!("{FOLDER}/{name}.service");
        glue.file(&path, content, 0o644);
        // The target that `systemctl enable` gives.
        let link = format!("{FOLDER}/multi-user.target.wants/{name}.service");
        glue.links.push((link.into(), path));
    }
    glue.file(PRESET, include_str!("../../context/glue/systemd.preset"), 0o644);
    glue
}
