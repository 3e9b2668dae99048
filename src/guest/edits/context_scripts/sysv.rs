//! SysV init: two scripts with links in the folders of the runlevels. Where `insserv` has worked out
//! an order, a link alone starts nothing ([`super::depend`]).

use std::path::Path;

use super::depend::{self, Place};
use super::glue::{EARLY, Glue, LATE, is_folder};
use crate::error::Result;
use crate::guest::inspect::{exists, file};
use crate::guest::tree::Tree;

const EARLY_SCRIPT: &str = include_str!("../../context/glue/early.init");
const LATE_SCRIPT: &str = include_str!("../../context/glue/late.init");

/// What the early script waits for, and what waits for it, where it is in the boot runlevel: Debian's
/// names, then SUSE's.
const EARLY_PLACE: Place = Place {
    after: &[
        "mountkernfs.sh",
        "udev",
        "mountdevsubfs.sh",
        "checkroot.sh",
        "kmod",
        "module-init-tools",
        "checkroot-bootclean.sh",
        "mountall.sh",
        "mountall-bootclean.sh",
        "mountoverflowtmp",
        "urandom",
        "hwclock.sh",
        "boot.udev",
        "boot.rootfsck",
        "boot.localfs",
        "boot.cleanup",
        "boot.localnet",
    ],
    before: &["networking", "ifupdown", "network", "ssh", "sshd", "dropbear"],
};

const LATE_PLACE: Place = Place {
    after: &[
        "networking",
        "network",
        "network-manager",
        "connman",
        "wicd",
        "syslog",
        "rsyslog",
        "sysklogd",
        "named",
        "bind9",
    ],
    before: &["rc.local"],
};

/// What SysV init needs; `None` if it has no folders of links.
pub(super) fn glue(tree: &dyn Tree) -> Result<Option<Glue>> {
    if is_folder(tree, "/etc/init.d/boot.d")? && is_folder(tree, "/etc/init.d/rc3.d")? {
        return suse(tree);
    }
    // Slackware has these folders, too, for the scripts of others: it runs them last.
    let red_hat_has =
        exists(tree, "/etc/rc.d/rc.sysinit")? || exists(tree, "/etc/rc.d/init.d/functions")?;
    if red_hat_has && is_folder(tree, "/etc/rc.d/init.d")? && is_folder(tree, "/etc/rc.d/rc3.d")? {
        return red_hat(tree).map(Some);
    }
    if is_folder(tree, "/etc/init.d")? && is_folder(tree, "/etc/rcS.d")? {
        return debian(tree).map(Some);
    }
    Ok(None)
}

/// What Debian's runit needs: its stages 1 and 2 run the scripts of `/etc/rcS.d` and `/etc/rc2.d`
/// in the order of their numbers, and only then the services that it watches (`/etc/runit/1` and
/// `2` of its package, 2.1.2-54). `None` if stage 2 has none, or the administrator wants none.
pub(super) fn by_runit(tree: &dyn Tree) -> Result<Option<Glue>> {
    let stage = file(tree, "/etc/runit/2")?.unwrap_or_default();
    let runs = |line: &str| !line.trim_start().starts_with('#') && line.contains("/etc/rc2.d");
    let other_boot =
        exists(tree, "/etc/runit/native.boot.run")? && is_folder(tree, "/etc/runit/boot-run")?;
    let off = other_boot || exists(tree, "/etc/runit/no.emulate.sysv")?;
    match stage.lines().any(runs) && !off && is_folder(tree, "/etc/init.d")? {
        true => debian(tree).map(Some),
        false => Ok(None),
    }
}

/// The scripts, in `folder`, for the runlevels that their headers name.
fn scripts(folder: &str, early: &str, late: &str) -> Glue {
    let mut glue = Glue { before_ssh: true, ..Glue::default() };
    glue.file(format!("{folder}/{EARLY}"), EARLY_SCRIPT.replace("@LEVELS@", early), 0o755);
    glue.file(format!("{folder}/{LATE}"), LATE_SCRIPT.replace("@LEVELS@", late), 0o755);
    glue
}

impl Glue {
    /// A link of a runlevel, unless the script has one there, of whatever number.
    fn rc_link(&mut self, tree: &dyn Tree, folder: &str, link: &str) -> Result<()> {
        let (kind, name) = (link.get(..1), link.get(3..));
        let there = tree.list(Path::new(folder))?.into_iter().any(|file| {
            let file = file.to_string_lossy();
            (file.get(..1), file.get(3..)) == (kind, name)
        });
        if let (false, Some(name)) = (there, name) {
            let link = Path::new(folder).join(link);
            self.links.push((link, format!("../init.d/{name}")));
        }
        Ok(())
    }
}

/// chkconfig: `S10network` comes between the two, and `S55sshd` before the second, so that a long
/// script of the user's does not keep him out (56 is also what the StratusLab package had).
fn red_hat(tree: &dyn Tree) -> Result<Glue> {
    let mut glue = scripts("/etc/rc.d/init.d", "2 3 4 5", "2 3 4 5");
    for level in ["2", "3", "4", "5"] {
        let folder = format!("/etc/rc.d/rc{level}.d");
        glue.rc_link(tree, &folder, &format!("S09{EARLY}"))?;
        glue.rc_link(tree, &folder, &format!("S56{LATE}"))?;
    }
    for level in ["0", "1", "6"] {
        let folder = format!("/etc/rc.d/rc{level}.d");
        glue.rc_link(tree, &folder, &format!("K91{EARLY}"))?;
        glue.rc_link(tree, &folder, &format!("K10{LATE}"))?;
    }
    Ok(glue)
}

/// The runlevel `S` is done before any other, and has the network. The links' numbers count only
/// where no `.depend.*` is (rc of sysv-rc).
fn debian(tree: &dyn Tree) -> Result<Glue> {
    let mut glue = scripts("/etc/init.d", "S", "2 3 4 5");
    let numbers = numbers(tree, "/etc/rcS.d")?;
    let number = |names: &[&str]| {
        numbers.iter().filter(|(_, name)| names.contains(&name.as_str())).map(|(n, _)| *n).max()
    };
    let after = EARLY_PLACE.after.iter().filter_map(|name| number(&[name])).max();
    let before = number(&["networking", "ifupdown"]).map(|n| n.saturating_sub(1));
    let early = before.or(after).unwrap_or(39).max(after.unwrap_or(0).min(before.unwrap_or(99)));
    glue.rc_link(tree, "/etc/rcS.d", &format!("S{early:02}{EARLY}"))?;
    for level in ["2", "3", "4", "5"] {
        glue.rc_link(tree, &format!("/etc/rc{level}.d"), &format!("S99{LATE}"))?;
    }
    if !ordered(tree, &mut glue)? {
        // rc then goes by the numbers.
        glue.file("/etc/init.d/.legacy-bootordering", "", 0o644);
    }
    Ok(glue)
}

/// The runlevel `B` is done before any other, and has no network. `None` if the scripts have an
/// order that nothing can be added to.
fn suse(tree: &dyn Tree) -> Result<Option<Glue>> {
    let mut glue = scripts("/etc/init.d", "B", "3 5");
    let last = numbers(tree, "/etc/init.d/boot.d")?.iter().map(|(n, _)| *n).max().unwrap_or(20);
    let early = format!("S{:02}{EARLY}", last.saturating_add(1).min(99));
    glue.rc_link(tree, "/etc/init.d/boot.d", &early)?;
    for level in ["3", "5"] {
        let folder = format!("/etc/init.d/rc{level}.d");
        glue.rc_link(tree, &folder, &format!("S08{LATE}"))?;
    }
    // A link says ../NAME here.
    for (link, target) in &mut glue.links {
        let name = link.file_name().unwrap_or_default().to_string_lossy();
        *target = format!("../{}", name.get(3..).unwrap_or_default());
    }
    Ok(ordered(tree, &mut glue)?.then_some(glue))
}

/// Adds the scripts to the order that insserv worked out, if there is one: false if it is written in
/// a form that is not known.
fn ordered(tree: &dyn Tree, glue: &mut Glue) -> Result<bool> {
    let mut known = true;
    for (order, name, place) in
        [(".depend.boot", EARLY, EARLY_PLACE), (".depend.start", LATE, LATE_PLACE)]
    {
        let path = format!("/etc/init.d/{order}");
        match file(tree, &path)? {
            // Without it, or with an empty one, the numbers count.
            None => {}
            Some(text) if text.is_empty() => {}
            Some(text) => match depend::with_target(&text, name, &place) {
                Some(new) => glue.changed.push((path.into(), new, false)),
                None => known = false,
            },
        }
    }
    Ok(known)
}

/// The numbers and names of the links that start something.
fn numbers(tree: &dyn Tree, folder: &str) -> Result<Vec<(u8, String)>> {
    let names = tree.list(Path::new(folder))?;
    let link = |name: &str| {
        let number = name.strip_prefix('S')?.get(..2)?.parse().ok()?;
        Some((number, name.get(3..)?.to_owned()))
    };
    Ok(names.iter().filter_map(|name| link(&name.to_string_lossy())).collect())
}
