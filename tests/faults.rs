//! Failing system calls, full disks, limits, and the limit that we set ourselves: memory.
//!
//! The long forms run with `STRATUS_FULL=1`: every system call is made to fail at every place,
//! and the longest run goes on for two minutes instead of ten seconds.
//!
//! The judges are libfiu (`fiu-run`), `strace` and a tmpfs, which only root can mount.

mod common;
#[path = "common/work.rs"]
mod work;

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use common::vdi::Vdi;
use common::{TempDir, exits, judge, names, stderr};
use rustix::process::Signal;
use work::{
    Case, Dice, alone, busy, continued, full, large, medium, say, shelved, signal, small, wait,
    within,
};

const MINUTE: Duration = Duration::from_secs(60);

// Failing calls ---------------------------------------------------------------------------------

/// Runs a case with libfiu's points of failure enabled.
fn fiu(case: &Case, points: &[&str]) -> Output {
    let mut args = vec!["-x", "-f", ""];
    points.iter().for_each(|point| args.extend(["-c", point]));
    within(&mut case.under("fiu-run", "fiu-utils libfiu0", args), MINUTE)
}

/// An error that a person can act on: exit code 74, and a remedy.
#[track_caller]
fn assert_said(what: &str, output: &Output) {
    let text = stderr(output);
    assert_eq!(output.status.code(), Some(74), "{what}: {text}");
    assert!(text.contains("error: "), "{what}: {text}");
    assert!(text.contains("to do: "), "{what}: {text}");
}

#[test]
fn a_call_that_always_fails_is_an_error_and_the_next_run_makes_it_good() {
    let _busy = busy();
    for (point, form) in [
        ("enable name=posix/io/sync/fsync,failinfo=5", "gz"),
        ("enable name=posix/io/sync/fsync,failinfo=28", "none"),
        ("enable name=posix/io/sync/fdatasync,failinfo=5", "gz"),
        ("enable name=posix/io/sync/fdatasync,failinfo=122", "none"),
        ("enable name=posix/io/rw/pwrite,failinfo=28", "none"),
        ("enable name=posix/io/rw/pwrite,failinfo=5", "none"),
        ("enable name=posix/io/rw/pwrite,failinfo=27", "none"),
        ("enable name=posix/io/rw/ftruncate,failinfo=28", "none"),
        ("enable name=posix/io/dir/rename,failinfo=5", "gz"),
        ("enable name=posix/io/dir/rename,failinfo=13", "none"),
        ("enable name=posix/io/dir/rename,failinfo=18", "gz"),
        ("enable name=posix/io/dir/unlink,failinfo=5", "gz"),
        ("enable name=posix/io/rw/pread,failinfo=5", "gz"),
    ] {
        let case = Case::new(small(), &["-C", form, "--checkpoint", "1M"]);
        let expected = case.expected();
        for _ in 0..2 {
            assert_said(point, &fiu(&case, &[point]));
            assert!(!case.image().exists(), "{point}: an image although it failed");
        }
        case.finish(&expected);
    }
    // Not a word can be said if no write works.
    for number in [5, 28] {
        let case = Case::new(small(), &[]);
        let expected = case.expected();
        let point = format!("enable name=posix/io/rw/write,failinfo={number}");
        exits(&fiu(&case, &[&point]), 74);
        case.assert_empty();
        case.finish(&expected);
    }
}

#[test]
fn calls_that_fail_now_and_then_never_spoil_the_result() {
    let _busy = busy();
    let mut dice = Dice::new("random faults");
    let rounds = if full() { 20 } else { 3 };
    for (point, form) in [
        ("name=posix/io/rw/write,probability=0.05,failinfo=28", "gz"),
        ("name=posix/io/rw/write,probability=0.05,failinfo=5", "gz"),
        ("name=posix/io/rw/pwrite,probability=0.05,failinfo=28", "none"),
        ("name=posix/io/rw/pwrite,probability=0.05,failinfo=5", "none"),
        ("name=posix/io/rw/pread,probability=0.05,failinfo=5", "gz"),
        ("name=posix/io/sync/*,probability=0.1,failinfo=5", "gz"),
        ("name=posix/io/dir/rename,probability=0.5,failinfo=5", "gz"),
        ("name=posix/io/dir/unlink,probability=0.2,failinfo=5", "none"),
        ("name=posix/io/rw/ftruncate,probability=0.2,failinfo=5", "none"),
        ("name=posix/io/oc/open,probability=0.05,failinfo=24", "gz"),
    ] {
        for _ in 0..rounds {
            let case = Case::new(small(), &["-C", form, "--checkpoint", "1M"]);
            let expected = case.expected();
            for _ in 0..1 + dice.below(6) {
                let output = fiu(&case, &[&format!("enable_random {point}")]);
                let code = output.status.code();
                // What cannot be opened may also be an output that cannot be created.
                let codes = [Some(0), Some(74), Some(73)];
                assert!(codes.contains(&code), "{point}: {code:?} {}", stderr(&output));
                assert!(!stderr(&output).contains("panicked"), "{point}: {}", stderr(&output));
                case.assert_nothing_false(&expected);
            }
            case.finish(&expected);
        }
    }
}

#[test]
fn a_journal_that_cannot_be_read_now_is_kept_for_later() {
    let case = Case::new(small(), &["--checkpoint", "1M"]);
    let expected = case.expected();
    assert!(case.kill_at("fdatasync", 14).hit);
    let before = checkpoints(&case);
    assert!(before >= 2);
    assert_said("read", &fiu(&case, &["enable name=posix/io/rw/read,failinfo=5"]));
    assert_eq!(checkpoints(&case), before);
    assert!(continued(&case.finish(&expected)));
}

#[test]
fn short_reads_and_writes_change_nothing() {
    let _busy = busy();
    for form in ["gz", "none"] {
        for point in ["write", "pwrite", "read", "pread"] {
            let case = Case::new(small(), &["-C", form, "--checkpoint", "1M"]);
            let expected = case.expected();
            let point = format!("enable_random name=posix/io/rw/{point}/reduce,probability=0.5");
            // A run, and one that only verifies.
            exits(&fiu(&case, &[&point]), 0);
            case.assert_done(&expected);
            exits(&fiu(&case, &[&point]), 0);
            case.assert_done(&expected);
        }
    }
}

#[test]
fn any_single_call_on_the_output_may_fail() {
    let _busy = busy();
    let counts: Vec<usize> = if full() { (1..200).collect() } else { vec![1, 2, 3, 5, 7, 12, 20] };
    let mut points = 0;
    for (form, error) in [("gz", "EIO"), ("none", "ENOSPC")] {
        for call in [
            "mkdir",
            "openat",
            "flock",
            "ftruncate",
            "write",
            "pwrite64",
            "fdatasync",
            "fsync",
            "rename",
            "unlink",
            "rmdir",
            "lseek",
            "statfs",
        ] {
            for &count in &counts {
                let case = Case::new(small(), &["-C", form, "--checkpoint", "1M"]);
                let expected = case.expected();
                let failed = case.inject(call, &format!("error={error}"), count);
                if !failed.hit {
                    break;
                }
                let what = format!("{form}: {call} {count} fails with {error}");
                let (code, text) = (failed.output.status.code(), stderr(&failed.output));
                match code {
                    // Cleaning up, and looking whether something is there, may fail quietly.
                    Some(0) => case.assert_nothing_false(&expected),
                    Some(73 | 74) => assert!(text.contains("to do: "), "{what}: {text}"),
                    _ => panic!("{what}: {code:?} {text}"),
                }
                case.assert_nothing_false(&expected);
                case.finish(&expected);
                points += 1;
            }
        }
    }
    say(&format!("{points} single failures"));
    assert!(points >= 50, "only {points} points");
}

#[test]
fn a_call_that_fails_in_a_continued_run_loses_no_checkpoint() {
    let _busy = busy();
    let options = ["--checkpoint", "1M"];
    for (call, error) in
        [("write", "ENOSPC"), ("fdatasync", "EIO"), ("ftruncate", "EIO"), ("fsync", "EIO")]
    {
        for count in [1, 2, 3, 5] {
            let case = Case::new(small(), &options);
            let expected = case.expected();
            assert!(case.kill_at("fdatasync", 14).hit);
            let before = checkpoints(&case);
            assert!(before >= 2);
            let failed = case.inject(call, &format!("error={error}"), count);
            if !failed.hit {
                break;
            }
            let what = format!("{call} {count}");
            assert_said(&what, &failed.output);
            // The last sync of all comes when image and record have their names already.
            let all_named = case.record().exists();
            assert!(all_named || checkpoints(&case) >= before, "{what}: checkpoints were lost");
            let output = case.finish(&expected);
            assert!(!work::started_over(&output), "{what}: {}", stderr(&output));
        }
    }
}

/// Checkpoints in the journal.
fn checkpoints(case: &Case) -> usize {
    let journal = fs::read_to_string(case.journal()).unwrap_or_default();
    journal.matches("{\"kind\":\"checkpoint\"").count()
}

// Full disks and limits -------------------------------------------------------------------------

/// A small file system that is unmounted with the test.
struct Tmpfs(TempDir);

impl Tmpfs {
    fn new(size: &str) -> Self {
        let folder = common::folder();
        let mut mount = judge("mount", "mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(folder.path());
        let output = mount.output().unwrap();
        assert!(
            output.status.success(),
            "a full disk cannot be tried without mounting a tmpfs, which needs root: {}",
            stderr(&output)
        );
        Tmpfs(folder)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Fills it up to the last byte.
    fn fill(&self) -> PathBuf {
        let path = self.path().join("filler");
        let mut filler = File::create(&path).unwrap();
        for piece in [1 << 20, 4096, 1] {
            let zeros = vec![0; piece];
            while filler.write_all(&zeros).is_ok() {}
        }
        path
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

#[test]
fn a_disk_that_is_too_small_is_refused_before_the_work() {
    let _busy = busy();
    let room = Tmpfs::new("4m");
    for form in ["gz", "none"] {
        let case = Case::at(room.path(), large(), &["-C", form]);
        let started = Instant::now();
        let output = case.run();
        assert_said(form, &output);
        let text = stderr(&output);
        assert!(text.contains("room") && text.contains("needed"), "{text}");
        assert!(started.elapsed() < Duration::from_secs(5), "it worked first");
        case.assert_empty();
        exits(&case.run_with(&["--dry-run"]), 74);
        case.assert_empty();
    }
}

#[test]
fn a_full_disk_is_refused_and_nothing_is_left_on_it() {
    let room = Tmpfs::new("4m");
    room.fill();
    for form in ["gz", "none"] {
        let mut case = Case::at(room.path(), small(), &["-C", form]);
        case.others.push("filler".to_owned());
        assert_said(form, &case.run());
        case.assert_empty();
    }
    // Not even an inode is free.
    let room = Tmpfs::new("64m,nr_inodes=2");
    fs::write(room.path().join("filler"), "").unwrap();
    let mut case = Case::at(room.path(), small(), &[]);
    case.others.push("filler".to_owned());
    assert_said("inodes", &case.run());
    case.assert_empty();
}

#[test]
fn a_disk_that_fills_up_stops_the_run_and_room_continues_it() {
    let _busy = busy();
    for form in ["gz", "none"] {
        let room = Tmpfs::new("100m");
        let case = Case::at(room.path(), medium(), &["-C", form, "--checkpoint", "1M"]);
        let expected = case.expected();
        let mut child = case.spawn();
        case.wait_for_lines(&mut child, "checkpoint", 2);
        let filler = room.fill();
        let output = wait(child, MINUTE);
        assert_said(form, &output);
        let text = stderr(&output);
        assert!(text.contains("make room"), "{text}");
        assert!(text.contains("run the same command again"), "{text}");
        assert!(case.part().exists() && !case.image().exists());
        // As long as there is no room it says so, and keeps what it has.
        let before = checkpoints(&case);
        for _ in 0..2 {
            assert_said("still full", &case.run());
            assert!(checkpoints(&case) >= before);
        }
        fs::remove_file(filler).unwrap();
        assert!(continued(&case.finish(&expected)), "{form}: the work was done again");
    }
}

#[test]
fn every_amount_of_room_ends_well() {
    let _busy = busy();
    // From too little for the first line of the journal to nearly enough for everything.
    let mut case = Case::new(small(), &["--checkpoint", "1M"]);
    let expected = case.expected();
    let needed = expected.image.len / 1024;
    let step = if full() { 64 } else { 900 };
    let rooms =
        [4, 8, 12, 16, 40].into_iter().chain((needed % step..needed + 100).step_by(step as usize));
    for kib in rooms {
        let room = Tmpfs::new("16m");
        let filler = room.fill();
        let file = OpenOptions::new().write(true).open(&filler).unwrap();
        file.set_len((16 << 20) - kib * 1024).unwrap();
        drop(file);
        case = Case::at(room.path(), small(), &["--checkpoint", "1M"]);
        let output = case.run();
        match output.status.code() {
            Some(0) => {}
            _ => assert_said(&format!("{kib} KiB"), &output),
        }
        case.assert_nothing_false(&expected);
        fs::remove_file(filler).unwrap();
        case.finish(&expected);
    }
}

#[test]
fn a_limit_on_the_size_of_files_is_an_error_like_a_full_disk() {
    let _busy = busy();
    for form in ["gz", "none"] {
        let case = Case::new(medium(), &["-C", form, "--checkpoint", "1M"]);
        let expected = case.expected();
        let limit = "ulimit -c 0; ulimit -f 10240; exec \"$0\" \"$@\"";
        let limited = within(&mut case.under("bash", "bash", ["-c", limit]), MINUTE);
        assert_said(form, &limited);
        assert!(!case.image().exists());
        // A raw image gets its length first, which fails before there is any work to keep.
        let kept = case.part().exists();
        assert!(kept || form == "none", "the work is gone");
        let finished = case.finish(&expected);
        assert_eq!(continued(&finished), kept, "{form}: {}", stderr(&finished));
    }
}

#[test]
fn few_descriptors_and_little_address_space_are_no_obstacle() {
    let case = Case::new(small(), &["--checkpoint", "1M"]);
    let expected = case.expected();
    let limit = "ulimit -n 20; ulimit -v 2000000; exec \"$0\" \"$@\"";
    exits(&within(&mut case.under("bash", "bash", ["-c", limit]), MINUTE), 0);
    case.assert_done(&expected);
}

// Memory ----------------------------------------------------------------------------------------

/// The most memory that a run may hold, in KiB.
const MOST: u64 = 128 << 10;

/// Runs `command` under `time`, which tells the peak of resident memory in KiB.
struct Measured {
    output: Output,
    peak: u64,
    took: Duration,
}

fn measure(case: &Case, before: &[&str]) -> Measured {
    let log = common::folder();
    let report = log.path().join("peak");
    let mut args = vec!["-f", "%M", "-o", report.to_str().unwrap()];
    args.extend(before);
    let started = Instant::now();
    let output = within(&mut case.under("time", "time", args), MINUTE * 10);
    let text = fs::read_to_string(report).unwrap();
    // A line of its own tells of a bad exit code first.
    let peak = text.lines().last().unwrap().parse().unwrap();
    Measured { output, peak, took: started.elapsed() }
}

#[track_caller]
fn assert_small(what: &str, measured: &Measured) {
    let Measured { peak, took, .. } = measured;
    say(&format!("{what}: peak {:.1} MiB, {:.1} s", *peak as f64 / 1024.0, took.as_secs_f64()));
    assert!(*peak <= MOST, "{what}: {peak} KiB");
}

#[test]
fn an_ordinary_run_stays_below_128_mib() {
    let _busy = busy();
    for options in [
        &[][..],
        &["-C", "none"],
        &["--threads", "2", "--level", "9", "--checksum", "md5,sha1,sha256,sha512"],
        &["--threads", "16", "--checkpoint", "1M"],
    ] {
        let case = Case::new(large(), options);
        let measured = measure(&case, &[]);
        exits(&measured.output, 0);
        assert_small(&format!("256 MiB {}", options.join(" ")), &measured);
        let again = measure(&case, &[]);
        exits(&again.output, 0);
        assert_small("the same, verified", &again);
    }
}

/// A VDI of 2 TiB without a single block.
fn two_tib() -> PathBuf {
    shelved("empty-2048.vdi", |path| {
        fs::write(path, Vdi::new(2 << 40, 1 << 20).bytes()).unwrap();
    })
}

#[test]
fn an_empty_disk_of_2_tib_takes_seconds_and_little_memory() {
    let _busy = busy();
    let case = Case::new(&two_tib(), &["-C", "none", "--checksum", "none"]);
    let measured = measure(&case, &[]);
    exits(&measured.output, 0);
    assert_small("2 TiB, empty", &measured);
    assert!(measured.took < Duration::from_secs(20), "{:?}", measured.took);
    assert_eq!(fs::metadata(case.image()).unwrap().len(), 2 << 40);
    let again = measure(&case, &[]);
    exits(&again.output, 0);
    assert_small("2 TiB, verified", &again);
}

#[test]
fn a_disk_of_2_tib_with_digests_stays_below_128_mib_and_can_be_stopped() {
    let _busy = busy();
    let seconds = if full() { "120" } else { "10" };
    for form in ["gz", "none"] {
        let case = Case::new(&two_tib(), &["-C", form]);
        let stop = ["timeout", "--preserve-status", "-s", "TERM", seconds];
        let measured = measure(&case, &stop);
        exits(&measured.output, 143);
        assert_small(&format!("2 TiB, {form}, stopped after {seconds} s"), &measured);
        assert!(checkpoints(&case) > 0);
        // It continues: stopped again, it has come further.
        let stop = ["timeout", "--preserve-status", "-s", "TERM", "3"];
        let measured = measure(&case, &stop);
        exits(&measured.output, 143);
        assert!(continued(&measured.output), "{}", stderr(&measured.output));
    }
}

/// A chain of `layers` disks of 64 GiB in blocks of 128 KiB. In each layer other blocks are zero,
/// so that no run is longer than one block and each is found at another depth; some hold data.
fn chain(folder: &Path, layers: usize) -> PathBuf {
    const BLOCK: u32 = 128 << 10;
    const DATA_EACH: u32 = 8;
    let empty = Vdi::new(64 << 30, BLOCK);
    let blocks = empty.blocks.len();
    let mut below: Option<Vdi> = None;
    let mut last = PathBuf::new();
    for layer in 0..layers {
        let number = layer as u8 + 1;
        let mut vdi = Vdi { create: [number; 16], modify: [!number; 16], ..empty.clone() };
        if let Some(below) = &below {
            vdi = vdi.over(below, number);
        }
        let mut bytes = vdi.bytes();
        let mut stored = 0;
        for block in 0..blocks {
            let at = vdi.map_start() + 4 * block;
            let entry = if block % 4999 == 100 * layer && stored < DATA_EACH {
                stored += 1;
                stored - 1
            } else if block % layers == layer {
                0xffff_fffe
            } else {
                continue;
            };
            bytes[at..at + 4].copy_from_slice(&entry.to_le_bytes());
        }
        bytes[0x184..0x188].copy_from_slice(&stored.to_le_bytes());
        last = folder.join(format!("layer-{layer:02}.vdi"));
        fs::write(&last, &bytes).unwrap();
        let file = OpenOptions::new().write(true).open(&last).unwrap();
        let data = vdi.data_start() as u64;
        file.set_len(data + u64::from(stored) * u64::from(BLOCK)).unwrap();
        for place in 0..stored {
            let content = common::noise(u64::from(place) << 8 | layer as u64, BLOCK as usize);
            file.write_all_at(&content, data + u64::from(place) * u64::from(BLOCK)).unwrap();
        }
        below = Some(vdi);
    }
    last
}

#[test]
fn a_chain_of_50_layers_of_64_gib_stays_below_128_mib() {
    let _busy = busy();
    let folder = common::folder();
    let leaf = chain(folder.path(), 50);
    let case = Case::new(&leaf, &["-C", "none", "--checksum", "none"]);
    let measured = measure(&case, &[]);
    exits(&measured.output, 0);
    assert_small("50 layers of 64 GiB", &measured);
    assert!(measured.took < MINUTE * 2, "{:?}", measured.took);
    assert_eq!(fs::metadata(case.image()).unwrap().len(), 64 << 30);
    // Some of the data, each at another depth: block 100 × layer, of 128 KiB.
    let image = File::open(case.image()).unwrap();
    for layer in [0_u64, 7, 31, 49] {
        let mut found = vec![0; 128 << 10];
        image.read_exact_at(&mut found, 100 * layer * (128 << 10)).unwrap();
        assert!(found == common::noise(layer, 128 << 10), "layer {layer}");
    }
}

#[test]
fn a_huge_journal_takes_no_memory() {
    let case = Case::new(small(), &["--checkpoint", "1M"]);
    for content in [vec![b'\n'; 300 << 20], vec![b'x'; 300 << 20]] {
        assert!(case.kill_at("fdatasync", 14).hit);
        fs::write(case.journal(), content).unwrap();
        let measured = measure(&case, &[]);
        exits(&measured.output, 0);
        assert_small("a journal of 300 MiB", &measured);
        fs::remove_file(case.image()).unwrap();
        fs::remove_file(case.record()).unwrap();
    }
}

#[test]
fn a_stopped_run_keeps_its_memory_bound_when_it_waits_for_a_slow_reader() {
    let _alone = alone();
    // Nobody reads: the pipe fills, and what is in flight stays bounded.
    let folder = common::folder();
    let mut command = common::stratus(folder.path());
    command.args(["--no-context", "--progress", "none", "-C", "none", "-o", "-"]).arg(large());
    let child = work::start(&mut command);
    std::thread::sleep(Duration::from_secs(1));
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    signal(&child, Signal::KILL);
    let _ = child.wait_with_output();
    say(&format!("a pipe that nobody reads: peak {:.1} MiB", peak as f64 / 1024.0));
    assert!(peak <= MOST, "{peak} KiB");
    assert_eq!(names(folder.path()), [""; 0]);
}
