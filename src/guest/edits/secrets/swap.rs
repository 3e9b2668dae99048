//! Swap: pages of the old machine's memory, with all that was in it.

use std::path::Path;

use super::{Bench, shown};
use crate::error::Result;
use crate::guest::block::Block;
use crate::guest::fstab::Table;
use crate::guest::tree::NodeKind;
use crate::guest::volumes::Holds;

/// Sizes of a page, and what its end says.
const PAGES: [usize; 5] = [4 << 10, 8 << 10, 16 << 10, 32 << 10, 64 << 10];
const SIGNATURE: &[u8] = b"SWAPSPACE2";
/// What is looked at of a swap file: the kernel fills it from its beginning.
const HEAD: usize = 1 << 20;

/// Empties swap volumes behind their first page, which has UUID and label, and tells of swap files.
pub(super) fn clean(bench: &mut Bench<'_>) -> Result<()> {
    for volume in bench.volumes.iter().filter(|volume| volume.holds == Holds::Swap) {
        let Some((start, len)) = space(volume.block.as_ref())? else { continue };
        if !is_empty(volume.block.as_ref(), start, len)? {
            volume.block.zero(start, len)?;
            bench.record(Path::new(&volume.name), "emptied: swap, what was in the memory");
        }
    }
    let fstab = Table::parse(&bench.text("/etc/fstab")?.unwrap_or_default());
    for entry in fstab.entries().filter(|entry| entry.is_swap() && entry.spec.starts_with('/')) {
        let Some(path) = bench.tree.resolve(Path::new(&entry.spec))? else { continue };
        if bench.node(&path)?.is_none_or(|node| node.kind != NodeKind::File) {
            continue;
        }
        let head = bench.tree.read_head(&path, HEAD)?.unwrap_or_default();
        let page = page(&head).unwrap_or_default();
        if head[page..].iter().any(|byte| *byte != 0) {
            let file = shown(&entry.spec);
            bench.warn(
                "swap-file",
                format!(
                    "{file} keeps what was in the machine's memory; empty it there: swapoff \
                     {file} && shred -n 0 -z {file} && mkswap {file}"
                ),
            );
        }
    }
    Ok(())
}

/// Whether all of it is zero; the first byte that is not ends the reading.
fn is_empty(block: &dyn Block, start: u64, len: u64) -> Result<bool> {
    let end = if block.stored(start, len)? > 0 { start + len } else { start };
    let mut buf = vec![0; HEAD];
    for at in (start..end).step_by(HEAD) {
        let step = (end - at).min(HEAD as u64);
        if block.stored(at, step)? > 0 {
            let part = buf.get_mut(..usize::try_from(step).unwrap_or(HEAD)).unwrap_or_default();
            block.read_at(part, at)?;
            if part.iter().any(|byte| *byte != 0) {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// The size of a page, by the signature at the end of the first one.
fn page(head: &[u8]) -> Option<usize> {
    let signed = |page: &usize| head.get(page - SIGNATURE.len()..*page) == Some(SIGNATURE);
    PAGES.into_iter().find(signed)
}

/// Where the pages are, behind the first (`union swap_header` of the kernel's
/// `include/linux/swap.h`: version 1, number of the last page, what is behind the label is zero).
/// None, if this is no swap, but something that was made where swap had been.
fn space(block: &dyn Block) -> Result<Option<(u64, u64)>> {
    let size = block.size();
    let mut head = vec![0; PAGES[4]];
    if size < head.len() as u64 {
        return Ok(None);
    }
    block.read_at(&mut head, 0)?;
    let Some(page) = page(&head) else { return Ok(None) };
    let number = |at: usize| head[at..].first_chunk().map_or([0; 4], |bytes: &[u8; 4]| *bytes);
    let last = match (u32::from_le_bytes(number(1024)), u32::from_be_bytes(number(1024))) {
        (1, _) => u32::from_le_bytes(number(1028)),
        (_, 1) => u32::from_be_bytes(number(1028)),
        _ => return Ok(None),
    };
    let page = page as u64;
    let end = (u64::from(last) + 1).saturating_mul(page).min(size);
    let padding = head[1068..1536].iter().all(|byte| *byte == 0);
    Ok((padding && end > page).then(|| (page, end - page)))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::super::EDIT;
    use crate::guest::edits::boot_trial::{MemoryBlock, once, partition};
    use crate::guest::edits::trial;
    use crate::guest::memory::MemoryTree;
    use crate::guest::volumes::{Holds, Volume};

    fn header(len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        bytes[1024] = 1;
        bytes[1028] = 20;
        bytes[1036..1040].copy_from_slice(b"uuid");
        bytes[4086..4096].copy_from_slice(b"SWAPSPACE2");
        bytes
    }

    fn after(bytes: &[u8]) -> (Vec<u8>, usize) {
        let block = Arc::new(MemoryBlock(Mutex::new(bytes.to_vec())));
        let swap = partition(5, Holds::Swap, "swap", "x");
        let volumes = [Volume { block: block.clone(), ..swap }];
        let outcome = once(&EDIT, &mut MemoryTree::default(), &trial::facts(), &volumes);
        let changed = outcome.paths().iter().filter(|path| **path == "sda5").count();
        let now = block.0.lock().unwrap().clone();
        (now, changed)
    }

    #[test]
    fn swap_is_emptied_behind_its_first_page() {
        let mut full = header(100 << 10);
        full[4096..].fill(7);
        let mut expected = header(100 << 10);
        // What is behind its last page is not swap.
        expected[21 * 4096..].fill(7);
        assert!(after(&full) == (expected.clone(), 1));
        assert!(after(&expected) == (expected, 0));
    }

    #[test]
    fn what_was_made_over_swap_stays() {
        // An ext superblock begins where the version is; AGI of XFS is there, too.
        for (at, byte) in [(1024, 2), (1080, 0x53)] {
            let mut other = header(100 << 10);
            other[4096..].fill(7);
            other[at] = byte;
            assert!(after(&other) == (other.clone(), 0), "{at}");
        }
        assert!(after(&[7; 4096]) == (vec![7; 4096], 0));
    }

    #[test]
    fn swap_files_are_told() {
        let mut bytes = header(8192);
        let fstab = "/swapfile none swap sw 0 0\n/dev/sda5 none swap sw 0 0\n";
        for (byte, told) in [(0, false), (7, true)] {
            bytes[8000] = byte;
            let mut tree = MemoryTree::of(&[("/etc/fstab", fstab)]);
            tree.file("/swapfile", std::str::from_utf8(&bytes).unwrap(), 0o600);
            tree.device("/dev/sda5");
            let codes = trial::plain(&EDIT, &mut tree).codes().join(" ");
            assert_eq!(codes.contains("swap-file"), told);
        }
    }
}
