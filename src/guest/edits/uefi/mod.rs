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
            Ok(copied) => {
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

/// Copies what is missing on one EFI system partition. All of it, or nothing.
fn on(bench: &Bench<'_>, volume: &Volume) -> std::result::Result<Vec<(String, String)>, Failure> {
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
        Ok(copied)
    })
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
