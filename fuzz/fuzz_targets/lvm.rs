//! Any bytes as the metadata text of LVM2: by the parser, and with checksums that hold, by the
//! whole search.
//!
//! The first byte says whether the rest is the text, or patches on a sound one.

#![no_main]

#[path = "../../tests/common/lvm.rs"]
#[allow(dead_code, reason = "the tests use all of it")]
mod model;

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use model::{
    Layout, Memory, VolumeGroup, assert_bounded, linear, striped, volume_group, write_physical,
};
use stratus::guest::volumes::find;
use stratus::guest::volumes::lvm::text;

static LAYOUT: LazyLock<Layout> =
    LazyLock::new(|| Layout { extent: 4096, chunk: 4096, area: 12 << 10, ..Layout::default() });

static GROUP: LazyLock<VolumeGroup> =
    LazyLock::new(|| volume_group("vg", &[linear("a", 5), striped("b", 4, 1)], &LAYOUT));

/// Patches are a place, how much of the old text goes, and what comes in its stead.
fn text_of(input: &[u8]) -> Option<Vec<u8>> {
    let (how, mut rest) = input.split_first()?;
    if how % 2 == 0 {
        return Some(rest.to_vec());
    }
    let mut text = GROUP.text.clone().into_bytes();
    while let [a, b, gone, len, tail @ ..] = rest {
        let at = (usize::from(*a) | usize::from(*b) << 8) % (text.len() + 1);
        let end = (at + usize::from(gone % 16)).min(text.len());
        let bytes = &tail[..tail.len().min(usize::from(len % 16))];
        text.splice(at..end, bytes.iter().copied());
        rest = &tail[bytes.len()..];
    }
    Some(text)
}

fuzz_target!(|input: &[u8]| {
    let Some(text) = text_of(input) else { return };
    let _ = text::parse(&text);
    if text.len() > 10_000 {
        return;
    }
    let mut disk = GROUP.disks[0].clone();
    // Of the physical volume that the sound text speaks of.
    let id = String::from_utf8(disk[544..576].to_vec()).expect("letters");
    write_physical(&mut disk, &id, &text, &LAYOUT);
    let found = find(&Memory::disk(disk)).expect("reading memory does not fail");
    for volume in found.volumes {
        assert_bounded(volume.block.as_ref());
        let plain = |c: char| c.is_ascii_alphanumeric() || "+_.-/".contains(c);
        assert!(volume.name.chars().all(plain), "{}", volume.name);
    }
});
