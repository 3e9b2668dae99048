//! Guests whose file systems are damaged at will: they are prepared or refused, within the limits,
//! and the source stays as it was.

#![no_main]

use std::io::Read;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use stratus::disk::overlay::Limits;
use stratus::disk::{Content, Disk, Extent};
use stratus::error::Result;
use stratus::guest::prepare::{Context, THREAD, Wanted, prepare};

/// A file system each: with an unreplayed journal, with and without checksums.
static BASES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let stored: [&[u8]; 2] = [
        include_bytes!("../../testdata/guests/ext4-1k.img.gz"),
        include_bytes!("../../testdata/guests/ext3.img.gz"),
    ];
    let inflated = stored.map(|gz| {
        let mut bytes = Vec::new();
        flate2::read::GzDecoder::new(gz).read_to_end(&mut bytes).expect("a gzip file");
        bytes
    });
    inflated.into()
});

/// Panics of the crates, which the thread of the guest turns into errors. They are told, not fatal.
static PANICS: AtomicU64 = AtomicU64::new(0);

/// A panic ends the fuzzer, except on the thread of the guest, where the program expects it.
static HOOK: LazyLock<()> = LazyLock::new(|| {
    let fatal = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| match std::thread::current().name() {
        Some(THREAD) => eprintln!("{info}"),
        _ => fatal(info),
    }));
});

/// What is read from a base that other bytes lie over.
struct Patched {
    base: &'static [u8],
    /// Place, value; the last one counts.
    patches: Vec<(usize, u8)>,
}

impl Disk for Patched {
    fn size(&self) -> u64 {
        self.base.len() as u64
    }
    fn extent_at(&self, offset: u64, max: u64) -> Result<Extent> {
        Ok(Extent { len: max.min(self.size() - offset), content: Content::Data })
    }
    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        let start = usize::try_from(offset).expect("a place");
        buf.copy_from_slice(&self.base[start..start + buf.len()]);
        for (at, value) in &self.patches {
            if let Some(byte) = at.checked_sub(start).and_then(|at| buf.get_mut(at)) {
                *byte = *value;
            }
        }
        Ok(())
    }
}

const SUPERBLOCK: usize = 1024;

/// Each patch is a place of three bytes, and a value. Where a bit says so, the superblock gets the
/// checksum that belongs to it, or nothing behind it would ever be looked at.
fn disk(input: &[u8]) -> Option<Patched> {
    let [how, rest @ ..] = input else { return None };
    let base = &BASES[usize::from(how & 1)];
    // Most of an image is data: half of the inputs keep to the first 256 KiB, where the tables are.
    let reach = if how & 2 == 0 { base.len().min(256 << 10) } else { base.len() };
    let place = |patch: &[u8]| {
        let at = u32::from_le_bytes([patch[0], patch[1], patch[2], 0]) as usize % reach;
        // A quarter goes to the superblock itself.
        if patch[2] & 0xc0 == 0xc0 { SUPERBLOCK + at % 1024 } else { at }
    };
    let mut patches: Vec<(usize, u8)> =
        rest.chunks_exact(4).take(200).map(|patch| (place(patch), patch[3])).collect();
    if how & 4 == 0 {
        let mut superblock = base[SUPERBLOCK..SUPERBLOCK + 1024].to_vec();
        for (at, value) in &patches {
            if let Some(byte) = at.checked_sub(SUPERBLOCK).and_then(|at| superblock.get_mut(at)) {
                *byte = *value;
            }
        }
        let sum = crc32c(&superblock[..0x3fc]).to_le_bytes();
        patches.extend((0..).zip(sum).map(|(i, byte)| (SUPERBLOCK + 0x3fc + i, byte)));
    }
    Some(Patched { base, patches })
}

/// As ext4 uses it: begun with all ones, not inverted at the end.
fn crc32c(bytes: &[u8]) -> u32 {
    bytes.iter().fold(!0, |crc, byte| {
        let step = |crc: u32, _| if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
        (0..8).fold(crc ^ u32::from(*byte), step)
    })
}

fuzz_target!(|input: &[u8]| {
    LazyLock::force(&HOOK);
    let Some(disk) = disk(input) else { return };
    let size = disk.size();
    let disk: Arc<dyn Disk> = Arc::new(disk);
    let limits =
        Limits { chunks: 8192, ranges: 20_000, read: 256 << 20, time: Duration::from_secs(20) };
    let wanted = Wanted { limits, context: Context::Require, ..Wanted::default() };
    match prepare(&disk, &wanted, || None) {
        Ok((edited, report)) => {
            let edited = edited.expect("a guest that is required");
            assert_eq!(edited.size(), size);
            assert!(report.facts.is_some());
            let mut last = [0];
            edited.read_at(&mut last, size - 1).expect("the last byte");
        }
        Err(error) if error.message().contains("did not expect") => {
            let count = PANICS.fetch_add(1, Ordering::Relaxed) + 1;
            eprintln!("panic {count} in a crate: {} bytes of input", input.len());
        }
        Err(error) => assert!(
            error.kind().exit_code() == 65 || error.code() == "guest-verify",
            "{}: {error}",
            error.code()
        ),
    }
});
