//! How does it boot? Boot loader, firmware, and the command lines of the boot menus.

use super::{any, exists, file, names, small_file};
use crate::error::Result;
use crate::guest::tree::Tree;
use crate::guest::volumes::{Holds, Volume};

/// Boot menus, where they are on the root and where they are on a boot volume alone.
const MENUS: [&str; 15] = [
    "/boot/grub/grub.cfg",
    "/boot/grub2/grub.cfg",
    "/boot/grub2/grubenv",
    "/boot/grub/grub.conf",
    "/boot/grub/menu.lst",
    "/boot/extlinux/extlinux.conf",
    "/boot/extlinux.conf",
    "/boot/syslinux/syslinux.cfg",
    "/grub/grub.cfg",
    "/grub2/grub.cfg",
    "/grub2/grubenv",
    "/grub/grub.conf",
    "/grub/menu.lst",
    "/extlinux/extlinux.conf",
    "/extlinux.conf",
];

/// Folders of menus with an entry in each file: the Boot Loader Specification.
const ENTRIES: [&str; 2] = ["/boot/loader/entries", "/loader/entries"];

/// No menu has more command lines; more are not looked at.
const MAX_LINES: usize = 256;

/// The kernel command lines of all boot menus, each once. What a GRUB menu lists for other systems
/// on the same machine (os-prober) is not of this guest and is left out.
pub(super) fn command_lines(tree: &dyn Tree) -> Result<Vec<String>> {
    let mut texts = Vec::new();
    for menu in MENUS {
        texts.extend(file(tree, menu)?);
    }
    for folder in ENTRIES {
        let entries = names(tree, folder, MAX_LINES)?;
        // The newest has the highest name and is the first of the menu.
        let entries = entries.iter().rev().filter(|name| name.ends_with(".conf"));
        for name in entries {
            texts.extend(small_file(tree, format!("{folder}/{name}"))?);
        }
    }
    let mut found: Vec<String> = Vec::new();
    for text in &texts {
        for line in own_lines(text).filter_map(command_line) {
            if found.len() < MAX_LINES && !found.contains(&line) {
                found.push(line);
            }
        }
    }
    Ok(found)
}

/// The lines of a menu without those that os-prober wrote.
fn own_lines(text: &str) -> impl Iterator<Item = &str> {
    const MARK: &str = "/etc/grub.d/30_os-prober ###";
    let mut foreign = false;
    text.lines().map(str::trim).filter(move |line| {
        if line.starts_with("### ") && line.ends_with(MARK) {
            foreign = line.starts_with("### BEGIN");
        }
        !foreign && !line.starts_with('#')
    })
}

/// The command line of a menu's line that has one.
///
/// GRUB 2: `linux /vmlinuz root=…`, `set kernelopts="root=…"`; grubenv: `kernelopts=root=…`; GRUB
/// legacy: `kernel /vmlinuz root=…`; syslinux: `append root=…`; BLS: `options root=…`.
fn command_line(line: &str) -> Option<String> {
    let assigned = line.strip_prefix("set ").unwrap_or(line).strip_prefix("kernelopts=");
    if let Some(options) = assigned {
        return tidy(options.trim_matches(['"', '\'']));
    }
    let (word, rest) = line.split_once([' ', '\t'])?;
    match word.to_ascii_lowercase().as_str() {
        "linux" | "linux16" | "linuxefi" | "kernel" => {
            // GRUB legacy has options of its own in front: `kernel --no-mem-option /vmlinuz …`.
            let rest = rest.trim_start().trim_start_matches("--no-mem-option").trim_start();
            tidy(rest.split_once([' ', '\t'])?.1)
        }
        "append" | "options" => tidy(rest),
        _ => None,
    }
}

/// One blank between the options. `None` for what has no option, such as `options $kernelopts`.
fn tidy(line: &str) -> Option<String> {
    let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
    let line: String = line.chars().filter(|c| !c.is_control()).collect();
    let some = line.split(' ').any(|option| !option.is_empty() && !option.starts_with('$'));
    (some && line.len() <= 4096).then_some(line)
}

/// The value of a command line's option `name=value`; the last one wins, as in the kernel.
pub(super) fn option<'l>(line: &'l str, name: &str) -> Option<&'l str> {
    let value = |option: &'l str| {
        // `"root=LABEL=a b"`: quotes around the whole option.
        option.trim_matches('"').strip_prefix(name)?.strip_prefix('=')
    };
    line.split(' ').filter_map(value).next_back()
}

/// Which boot loader has a menu in the guest. One that lies on an EFI system partition alone shows
/// only if that is mounted in `tree`.
pub(super) fn loader(tree: &dyn Tree) -> Result<Option<&'static str>> {
    const LOADERS: [(&str, &[&str]); 5] = [
        ("grub2", &["/boot/grub/grub.cfg", "/boot/grub2/grub.cfg"]),
        ("grub", &["/boot/grub/grub.conf", "/boot/grub/menu.lst"]),
        (
            "extlinux",
            &["/boot/extlinux/extlinux.conf", "/boot/extlinux.conf", "/boot/syslinux/syslinux.cfg"],
        ),
        (
            "systemd-boot",
            &[
                "/boot/loader/loader.conf",
                "/efi/loader/loader.conf",
                "/boot/efi/loader/loader.conf",
            ],
        ),
        ("lilo", &["/etc/lilo.conf"]),
    ];
    for (name, menus) in LOADERS {
        if any(tree, menus)? {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

/// From which firmware it can boot, by what its boot loader has installed and whether there is an
/// EFI system partition. What cannot be told is `None`.
pub(super) fn firmware(
    tree: &dyn Tree,
    volumes: &[Volume],
    loader: Option<&str>,
) -> Result<Option<String>> {
    let esp = volumes.iter().any(|volume| volume.esp && volume.holds == Holds::Fat);
    let modules = |target: &str| -> Result<bool> {
        Ok(exists(tree, format!("/boot/grub/{target}"))?
            || exists(tree, format!("/boot/grub2/{target}"))?)
    };
    // grub2's modules for a PC's BIOS; the others have no other form, or are for it without an ESP.
    let bios = match loader {
        Some("grub2") => modules("i386-pc")? || !esp,
        Some("grub" | "lilo") => true,
        Some("extlinux") => {
            !esp || any(tree, &["/boot/extlinux/ldlinux.sys", "/boot/ldlinux.sys"])?
        }
        _ => false,
    };
    Ok(match (bios, esp) {
        (true, true) => Some("both"),
        (true, false) => Some("bios"),
        (false, true) => Some("uefi"),
        (false, false) => None,
    }
    .map(str::to_owned))
}
