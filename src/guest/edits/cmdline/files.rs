//! Which files hold kernel command lines, and how each of them is written.

use std::path::{Path, PathBuf};

use crate::error::Result;
use crate::guest::edits::Bench;
use crate::guest::tree::NodeKind;

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// GRUB 2's script: `linux /vmlinuz root=…`.
    Grub2,
    /// GRUB Legacy's menu: `kernel /vmlinuz root=…`, and Debian's `# kopt=root=…`.
    Grub1,
    /// An entry of the Boot Loader Specification: `options root=…`.
    Bls,
    /// GRUB's environment block: `kernelopts=root=…`.
    Grubenv,
    /// SYSLINUX and its relatives: `APPEND root=…`.
    Syslinux,
    /// Shell assignments: `GRUB_CMDLINE_LINUX="…"`, `RESUME=…`.
    Shell,
    /// Nothing but the command line: `/etc/kernel/cmdline`.
    Plain,
}

const FILES: &[(&str, Style)] = &[
    ("/boot/grub/grub.cfg", Style::Grub2),
    ("/boot/grub2/grub.cfg", Style::Grub2),
    ("/boot/grub/custom.cfg", Style::Grub2),
    ("/boot/grub2/custom.cfg", Style::Grub2),
    ("/etc/grub.d/40_custom", Style::Grub2),
    ("/etc/grub.d/41_custom", Style::Grub2),
    ("/boot/grub2/grubenv", Style::Grubenv),
    ("/boot/grub/grubenv", Style::Grubenv),
    ("/boot/grub/menu.lst", Style::Grub1),
    ("/boot/grub/grub.conf", Style::Grub1),
    ("/boot/extlinux/extlinux.conf", Style::Syslinux),
    ("/boot/extlinux/linux.cfg", Style::Syslinux),
    ("/boot/extlinux.conf", Style::Syslinux),
    ("/boot/syslinux/syslinux.cfg", Style::Syslinux),
    ("/boot/syslinux.cfg", Style::Syslinux),
    ("/extlinux.conf", Style::Syslinux),
    ("/syslinux.cfg", Style::Syslinux),
    ("/etc/default/grub", Style::Shell),
    ("/etc/default/extlinux", Style::Shell),
    ("/etc/update-extlinux.conf", Style::Shell),
    ("/etc/initramfs-tools/conf.d/resume", Style::Shell),
    ("/etc/kernel/cmdline", Style::Plain),
];

/// Folders, the end of the names in them, and the style.
const FOLDERS: &[(&str, &str, Style)] =
    &[("/boot/loader/entries", ".conf", Style::Bls), ("/etc/default/grub.d", ".cfg", Style::Shell)];

/// The files that are there. One that several names lead to is there once, by the first of them.
pub(super) fn all(bench: &Bench<'_>) -> Result<Vec<(PathBuf, Style)>> {
    let mut found = Vec::new();
    let mut real = std::collections::BTreeSet::new();
    let mut add = |path: &Path, style| -> Result<()> {
        let Some(place) = bench.tree.resolve(path)? else { return Ok(()) };
        let is_file = bench.node(&place)?.is_some_and(|node| node.kind == NodeKind::File);
        if is_file && real.insert(place) {
            found.push((path.to_owned(), style));
        }
        Ok(())
    };
    for (path, style) in FILES {
        add(Path::new(path), *style)?;
    }
    for (folder, end, style) in FOLDERS {
        for path in bench.list(folder)? {
            if path.to_string_lossy().ends_with(end) {
                add(&path, *style)?;
            }
        }
    }
    Ok(found)
}
