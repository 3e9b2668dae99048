//! File systems with bytes changed at random: never a hang, never a panic of the program, never a
//! source that was written to, and never an image that is worse than what went in.
//!
//! 500 of them; 5,000 with `STRATUS_FULL=1`. `STRATUS_SEED` repeats a run.

mod common;
#[path = "common/work.rs"]
mod work;

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use common::ext::{SUPERBLOCK, seal};
use common::guest::{Memory, root};
use common::{folder_in_memory, judge};
use stratus::disk::Disk;
use stratus::guest::prepare::{Wanted, prepare};
use work::{Dice, full, say};

const FSTAB: &str = "/dev/sda / ext4 defaults 0 1\n";

/// Small file systems of different kinds, and where their metadata lies: byte ranges.
struct Base {
    name: &'static str,
    bytes: Vec<u8>,
    places: Vec<(usize, usize)>,
}

fn bases() -> Vec<Base> {
    let folder = folder_in_memory();
    let kinds = [
        ("ext4", "-t ext4 -b 1024 -N 256"),
        ("ext4 without sums", "-t ext4 -b 1024 -N 256 -O ^metadata_csum"),
        ("ext4 of 2 KiB", "-t ext4 -b 2048 -N 256 -O ^metadata_csum"),
        ("ext3", "-t ext3 -b 1024 -N 256"),
        ("ext2", "-t ext2 -b 1024 -N 256"),
        ("inline", "-t ext4 -b 1024 -N 256 -O inline_data,^metadata_csum"),
    ];
    let mut bases: Vec<Base> = kinds
        .map(|(name, arguments)| {
            let bytes = root(folder.path(), arguments, FSTAB, 8);
            Base { name, places: metadata(folder.path(), &bytes), bytes }
        })
        .into();
    for name in ["ext4-1k", "ext3"] {
        let file = common::testdata("guests").join(format!("{name}.img.gz"));
        let bytes = common::gunzip(&fs::read(file).unwrap());
        let places = metadata(folder.path(), &bytes);
        bases.push(Base { name: "unreplayed", places, bytes });
    }
    bases
}

/// Superblock, descriptors, bitmaps, used inodes, blocks of directories and of the journal: by what
/// they look like, with the numbers that dumpe2fs gives.
fn metadata(folder: &Path, bytes: &[u8]) -> Vec<(usize, usize)> {
    let image = folder.join("base.img");
    fs::write(&image, bytes).unwrap();
    let text = common::ext::dumpe2fs(&image, None);
    let value = |name: &str| -> usize {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap();
        line.split(':').nth(1).unwrap().trim().parse().unwrap()
    };
    let (block, inode) = (value("Block size"), value("Inode size"));
    let mut places = vec![(SUPERBLOCK, 1024), (SUPERBLOCK, 512)];
    let first = if block == 1024 { 2048 } else { block };
    places.push((first, 512));
    for line in text.lines() {
        for word in ["Block bitmap at ", "Inode bitmap at ", "Inode table at "] {
            if let Some(at) = line.find(word) {
                let rest = &line[at + word.len()..];
                let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
                let len = if word.contains("table") { 220 * inode } else { 64 };
                places.push((digits.parse::<usize>().unwrap() * block, len));
            }
        }
    }
    // Directories begin with an entry for themselves; the journal with its magic number.
    for (number, data) in bytes.chunks(block).enumerate() {
        let directory = data[4..8] == [12, 0, 1, 2] && data[8] == b'.';
        if directory || data.starts_with(&[0xc0, 0x3b, 0x39, 0x98]) {
            places.push((number * block, 256));
        }
    }
    places.retain(|(at, len)| at + len <= bytes.len());
    assert!(places.len() > 8, "{places:?}");
    places
}

fn mutated(base: &Base, dice: &mut Dice) -> Vec<u8> {
    let mut bytes = base.bytes.clone();
    let most = [3, 20, 200][dice.below(3) as usize];
    for _ in 0..1 + dice.below(most) {
        let (at, len) = base.places[dice.below(base.places.len() as u64) as usize];
        let at = at + dice.below(len as u64) as usize;
        match dice.below(4) {
            0 => bytes[at] = dice.below(256) as u8,
            1 => bytes[at] ^= 1 << dice.below(8),
            2 => bytes[at] = [0, 0xff, 1, 0x80][dice.below(4) as usize],
            _ => bytes[at] = bytes[at].wrapping_add(1),
        }
    }
    // With a wrong sum in it nothing else would ever be looked at.
    if dice.below(4) > 0 {
        bytes[SUPERBLOCK + 0x38..SUPERBLOCK + 0x3a].copy_from_slice(&[0x53, 0xef]);
        seal(&mut bytes);
    }
    bytes
}

/// What e2fsck says of a file system: its exit code, the lines that tell of destruction, and whether
/// something uses blocks that are marked free. Whoever writes takes such blocks: only a check of the
/// whole file system would find them.
fn judged(folder: &Path, name: &str, bytes: &[u8]) -> (i32, Vec<String>, bool) {
    let image = folder.join(name);
    fs::write(&image, bytes).unwrap();
    // What is only in the journal belongs to it: -n alone does not look there.
    let mut replay = judge("timeout", "coreutils");
    replay.args(["60", "e2fsck", "-p", "-E", "journal_only"]).arg(&image).output().unwrap();
    let mut e2fsck = judge("timeout", "coreutils");
    let output = e2fsck.args(["60", "e2fsck", "-fn"]).arg(&image).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    // Signs that something was written over an inode table. Links that were wrong before may show as
    // others when a file goes: no writer can know.
    let signs = ["garbage", "casefold", "imagic", "dtime", "illegal block", "compress"];
    let problems = text.lines().filter(|line| signs.iter().any(|sign| line.contains(sign)));
    let problems = problems.map(str::to_owned).collect();
    let differs = |line: &str| line.starts_with("Block bitmap differences:") && line.contains('+');
    (output.status.code().unwrap_or(-1), problems, text.lines().any(differs))
}

#[derive(Default)]
struct Tally {
    prepared: AtomicUsize,
    unchanged: AtomicUsize,
    panics: AtomicUsize,
    slowest: AtomicUsize,
}

/// One of them. Returns what is wrong.
fn one(folder: &Path, base: &Base, bytes: Vec<u8>, tally: &Tally) -> Result<(), String> {
    let source = Arc::new(bytes);
    let before = source.as_ref().clone();
    let disk: Arc<dyn Disk> = Arc::new(Memory(source.clone()));
    let began = Instant::now();
    let result = prepare(&disk, &Wanted::default(), || None);
    let took = began.elapsed();
    tally.slowest.fetch_max(took.as_millis() as usize, Ordering::Relaxed);
    if took > Duration::from_secs(10) {
        return Err(format!("it took {took:?}"));
    }
    if *source != before {
        return Err("the source was changed".to_owned());
    }
    let (edited, report) = match result {
        Ok((Some(edited), report)) => (edited, report),
        Ok((None, _)) => return Ok(()),
        Err(error) if error.message().contains("did not expect") => {
            tally.panics.fetch_add(1, Ordering::Relaxed);
            return Err("a panic".to_owned());
        }
        Err(error) if error.kind().exit_code() == 65 => return Ok(()),
        // What was written is read back by other code, which is stricter: then nothing is written.
        Err(error) if error.code() == "guest-verify" => return Ok(()),
        Err(error) => return Err(format!("{}: {error}", error.code())),
    };
    tally.prepared.fetch_add(1, Ordering::Relaxed);
    let mut out = vec![0; before.len()];
    edited.read_at(&mut out, 0).unwrap();
    if out == before {
        tally.unchanged.fetch_add(1, Ordering::Relaxed);
        return Ok(());
    }
    let (was, problems, shared) = judged(folder, "before.img", &before);
    let (is, left, _) = judged(folder, "after.img", &out);
    // 4: problems; above that it could not go on, and said nothing of what comes later.
    if is > was.max(if was == 0 { 0 } else { 4 })
        || (was <= 4 && !shared && left.len() > problems.len())
    {
        let new: Vec<_> = left.iter().filter(|line| !problems.contains(line)).take(6).collect();
        return Err(format!(
            "{}: worse: {was} → {is}, {} → {} problems: {new:#?} in {:?}",
            base.name,
            problems.len(),
            left.len(),
            report.changes.len()
        ));
    }
    Ok(())
}

#[test]
fn mutated_file_systems() {
    let bases = bases();
    let count = if full() { 5000 } else { 500 };
    let mut dice = Dice::new("mutations");
    let tally = Tally::default();
    let began = Instant::now();
    let inputs: Vec<(usize, u64)> =
        (0..count).map(|i| (i % bases.len(), dice.below(u64::MAX))).collect();
    let next = AtomicUsize::new(0);
    let worker = || {
        let folder = folder_in_memory();
        let mut wrong = Vec::new();
        while let Some((base, seed)) = inputs.get(next.fetch_add(1, Ordering::Relaxed)) {
            let bytes = mutated(&bases[*base], &mut Dice::of(*seed));
            if let Err(what) = one(folder.path(), &bases[*base], bytes.clone(), &tally) {
                let kept =
                    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("mutated-{seed}.gz"));
                let file = fs::File::create(&kept).unwrap();
                let mut gzip = flate2::write::GzEncoder::new(file, flate2::Compression::default());
                gzip.write_all(&bytes).unwrap();
                gzip.finish().unwrap();
                wrong.push(format!("{}: {what}\n  kept as {}", bases[*base].name, kept.display()));
            }
        }
        wrong
    };
    let wrong: Vec<String> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..2).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    let of = |count: &AtomicUsize| count.load(Ordering::Relaxed);
    say(&format!(
        "{count} mutated file systems in {:?}: {} prepared ({} unchanged), {} panics in the crates, \
         slowest {} ms",
        began.elapsed(),
        of(&tally.prepared),
        of(&tally.unchanged),
        of(&tally.panics),
        of(&tally.slowest)
    ));
    assert!(of(&tally.prepared) > count / 20, "mutations that leave nothing to edit show nothing");
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong.join("\n"));
}
