//! For which processor? The ELF header of the guest's shell or init.

use std::path::Path;

use crate::error::Result;
use crate::guest::tree::Tree;

/// Programs that every guest has one of.
const PROGRAMS: [&str; 7] = [
    "/bin/sh",
    "/sbin/init",
    "/bin/busybox",
    "/usr/bin/bash",
    "/usr/lib/systemd/systemd",
    "/lib/systemd/systemd",
    "/bin/ls",
];

/// The name of the guest's architecture, as `uname -m` prints it, except `i486` for every 32-bit
/// x86: the name that image manifests use.
pub(super) fn architecture(tree: &dyn Tree) -> Result<Option<String>> {
    for program in PROGRAMS {
        let head = tree.read_head(Path::new(program), 20)?.unwrap_or_default();
        if let Some(name) = machine(&head) {
            return Ok(Some(name.to_owned()));
        }
    }
    Ok(None)
}

/// `e_ident[EI_CLASS]`, `e_ident[EI_DATA]` and `e_machine` (ELF specification, chapter 4 "Object
/// Files"; the numbers are those of the gABI's registry).
pub(super) fn machine(head: &[u8]) -> Option<&'static str> {
    let magic = head.get(..4)? == b"\x7fELF";
    let (wide, little) = (*head.get(4)? == 2, *head.get(5)? == 1);
    let number: [u8; 2] = head.get(18..20)?.try_into().ok()?;
    let number = if little { u16::from_le_bytes(number) } else { u16::from_be_bytes(number) };
    let name = match (number, wide, little) {
        (3, ..) => "i486",
        (62, ..) => "x86_64",
        (40, _, true) => "armv7l",
        (40, _, false) => "armv7b",
        (183, _, true) => "aarch64",
        (183, _, false) => "aarch64_be",
        (20, ..) => "ppc",
        (21, _, true) => "ppc64le",
        (21, _, false) => "ppc64",
        (22, true, _) => "s390x",
        (22, false, _) => "s390",
        (243, true, _) => "riscv64",
        (243, false, _) => "riscv32",
        (8, true, _) => "mips64",
        (8, false, _) => "mips",
        (258, ..) => "loongarch64",
        (2 | 18, ..) => "sparc",
        (43, ..) => "sparc64",
        (50, ..) => "ia64",
        _ => return None,
    };
    magic.then_some(name)
}
