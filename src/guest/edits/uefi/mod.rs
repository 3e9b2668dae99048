//! `uefi-fallback`: a boot loader where firmware looks that was told nothing.
//!
//! Which loader to start is kept in the machine's NVRAM, which a disk does not carry along. Without
//! it firmware starts `EFI/BOOT/BOOT{arch}.EFI` (UEFI specification 2.10, section 3.5.1.1,
//! "Removable media boot behavior"). What is copied there is what `grub-install --removable` puts
//! there: shim, the GRUB that shim looks for beside itself, and the key manager. shim's `fbx64.efi`
//! is not: it would write NVRAM entries and restart. GRUB finds its `grub.cfg` by the prefix that is
//! built into it, `/EFI/debian`.

mod fat;
#[cfg(test)]
mod tests;

use std::path::Path;

use super::{Bench, Edit};
use crate::error::Result;
use crate::guest::volumes::{Holds, Volume};
use crate::guest::{fstab, text};
use fat::{Esp, Failure};

/// The edit.
pub const EDIT: Edit = Edit {
    name: "uefi-fallback",
    default: true,
    reason: "copies the boot loader to EFI/BOOT: UEFI's own list of loaders stays behind",
    run,
};

/// The architectures' names in the names of loaders (UEFI specification 2.10, table 3.2).
const ARCHES: &[&str] = &["x64", "aa64", "ia32"];

fn run(bench: &mut Bench<'_>) -> Result<()> {
    let volumes = bench.volumes;
    for volume in volumes.iter().filter(|v| v.esp && v.holds == Holds::Fat && v.refused.is_none()) {
        match on(bench, volume) {
            Ok((copied, menus)) => {
                for path in menus {
                    let message = format!(
                        "{}: {path} is a boot menu which boot-uuid, network-dhcp and \
                         serial-console do not change: do it by hand, or start by a menu in /boot",
                        volume.name
                    );
                    bench.warn("esp-menu", message);
                }
                for (from, to) in copied {
                    bench.record(Path::new(&volume.name), format!("{from} copied to {to}"));
                }
            }
            Err(Failure::Disk(error)) => return Err(error),
            Err(Failure::Fat(why)) => {
                let message = format!("{}: {why}; no loader in EFI/BOOT", volume.name);
                bench.warn("esp-unchanged", message);
            }
        }
    }
    Ok(())
}

/// What was copied, from and to; and paths of menus.
type Seen = (Vec<(String, String)>, Vec<String>);

/// Copies what is missing on one EFI system partition. All of it, or nothing.
/// Returns what was copied, and the menus there that edits would have to change.
fn on(bench: &Bench<'_>, volume: &Volume) -> std::result::Result<Seen, Failure> {
    let os = bench.facts.os.as_deref().unwrap_or_default().to_lowercase();
    fat::with(volume.block.as_ref(), |esp| {
        let mut copied = Vec::new();
        for arch in ARCHES {
            let fallback = format!("EFI/BOOT/BOOT{}.EFI", arch.to_uppercase());
            if esp.is_file(&fallback)? {
                continue;
            }
            for (from, to) in loaders(esp, &os, arch, &fallback)? {
                if !esp.is_file(&to)? {
                    esp.copy(&from, &to)?;
                    copied.push((from, to));
                }
            }
        }
        Ok((copied, menus(esp)?))
    })
}

/// Bytes of a menu that are looked at.
const MAX_MENU: u64 = 1 << 20;

/// The `grub.cfg` of CentOS 7 and older Fedoras: a menu that starts kernels, not only a pointer to
/// one in `/boot`. One that has a serial console, and no name of a disk that depends on the bus,
/// is as it should be.
fn menus(esp: &Esp<'_, '_>) -> std::io::Result<Vec<String>> {
    let mut found = Vec::new();
    for vendor in esp.folders("EFI")? {
        let path = format!("EFI/{vendor}/grub.cfg");
        if !esp.is_file(&path)? {
            continue;
        }
        let text = text::decode(&esp.head(&path, MAX_MENU)?);
        let lines = text.lines().map(str::trim_ascii).filter(|line| !line.starts_with('#'));
        let lines = lines.filter(|line| line.contains("root=") && !line.starts_with("set root="));
        let done = |line: &str| {
            let value = |word: &str| fstab::is_of_bus(word.split_once('=').map_or("", |(_, v)| v));
            line.contains("console=tty") && !line.split_ascii_whitespace().any(value)
        };
        if lines.into_iter().any(|line| !done(line)) {
            found.push(path);
        }
    }
    Ok(found)
}

/// What to copy for an architecture: from, to.
fn loaders(
    esp: &Esp<'_, '_>,
    os: &str,
    arch: &str,
    fallback: &str,
) -> std::io::Result<Vec<(String, String)>> {
    let mut vendors = esp.folders("EFI")?;
    vendors.retain(|name| !["boot", "microsoft"].contains(&name.to_lowercase().as_str()));
    // The folder of this guest's distribution first; the others by name.
    vendors.sort_by_key(|name| (name.to_lowercase() != os, name.to_lowercase()));
    let (shim, grub) = (format!("shim{arch}.efi"), format!("grub{arch}.efi"));
    let mut first: [Option<&str>; 3] = [None; 3];
    for vendor in &vendors {
        let has = |name: &str| esp.is_file(&format!("EFI/{vendor}/{name}"));
        let grub = has(&grub)?;
        let found = [grub && has(&shim)?, grub, has(&format!("systemd-boot{arch}.efi"))?];
        for (first, found) in first.iter_mut().zip(found) {
            *first = first.or(found.then_some(vendor));
        }
    }
    let same =
        |vendor: &str, name: String| (format!("EFI/{vendor}/{name}"), format!("EFI/BOOT/{name}"));
    let loader = |vendor: &str, name: &str| (format!("EFI/{vendor}/{name}"), fallback.to_owned());
    Ok(match first {
        [Some(vendor), ..] => {
            let mut all = vec![same(vendor, grub)];
            let keys = format!("mm{arch}.efi");
            if esp.is_file(&format!("EFI/{vendor}/{keys}"))? {
                all.push(same(vendor, keys));
            }
            // Last, as the first two are of no use without it, and it none without them.
            all.push(loader(vendor, &shim));
            all
        }
        [_, Some(vendor), _] => vec![loader(vendor, &grub)],
        [_, _, Some(vendor)] => vec![loader(vendor, &format!("systemd-boot{arch}.efi"))],
        [None, None, None] => Vec::new(),
    })
}
