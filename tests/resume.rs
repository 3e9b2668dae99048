//! An interrupted run is continued and ends with the bytes of an unbroken one; a finished one is
//! recognised; what is not ours is left alone.
//!
//! The long forms run with `STRATUS_FULL=1`: 200 kills of each kind instead of 20, and ten kills
//! on the disk named by `STRATUS_BENCH_DISK`. `STRATUS_SEED` repeats a run's random choices.

mod common;
#[path = "common/work.rs"]
mod work;

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, Instant};

use common::vdi::Vdi;
use common::{exits, folder, gunzip, names, run, stderr, stratus};
use rustix::process::Signal;
use work::{
    Case, Dice, Expected, Snapshot, alone, busy, continued, full, large, medium, model, resumed_at,
    say, shelved, signal, small, start, started_over, wait, within,
};

const MINUTE: Duration = Duration::from_secs(60);

// Kill -9 ---------------------------------------------------------------------------------------

/// What became of the kills of one test.
#[derive(Default)]
struct Tally {
    kills: usize,
    continued: usize,
    images: usize,
}

/// Where a run is killed.
enum Moment {
    /// After this time.
    After(Duration),
    /// This long after the journal says that the image is finished, or the image is named: between
    /// the last names.
    Late(&'static str, Duration),
}

/// Kills runs of `options` on `disk` until there were `kills` of them. Every image takes one to
/// five kills before it may be finished.
fn kill_many(what: &str, disk: &Path, options: &[&str], kills: usize) {
    let _busy = busy();
    let mut dice = Dice::new(what);
    let mut tally = Tally::default();
    let expected = Case::new(disk, options).expected();
    while tally.kills < kills {
        let case = Case::new(disk, options);
        let kept_journals = common::folder();
        let mut left = 1 + dice.below(5);
        loop {
            // A second name for the journal shows what the run wrote even after it is done.
            let kept = kept_journals.path().join(left.to_string());
            let had_journal = fs::hard_link(case.journal(), &kept).is_ok();
            let before = resumed_at(&kept).len();
            let last = left == 0;
            let killed = if last {
                exits(&case.run(), 0);
                false
            } else {
                kill_once(&case, &expected, &mut dice)
            };
            tally.continued += usize::from(had_journal && resumed_at(&kept).len() > before);
            if !killed {
                break;
            }
            tally.kills += 1;
            left -= 1;
            case.assert_nothing_false(&expected);
            let allowed = [
                "out.img",
                "out.img.json",
                "out.img.part",
                "out.img.json.part",
                ".out.img.stratus",
            ];
            for name in names(&case.folder) {
                assert!(allowed.contains(&name.as_str()), "{name} is left behind");
            }
        }
        case.assert_done(&expected);
        tally.images += 1;
    }
    let Tally { kills, continued, images } = tally;
    say(&format!("{what}: {kills} kills, {images} images, {continued} runs continued above 0"));
    assert!(2 * continued >= kills, "{what}: only {continued} of {kills} continued above 0");
}

/// The raw offsets of the checkpoints in the journal.
fn checkpoints(case: &Case) -> Vec<u64> {
    let text = fs::read_to_string(case.journal()).unwrap_or_default();
    let lines = text.lines().filter(|line| line.starts_with("{\"kind\":\"checkpoint\""));
    let values = lines.filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    values.filter_map(|value| value["raw_offset"].as_u64()).collect()
}

/// Starts a run and kills it. False if it was done before.
fn kill_once(case: &Case, expected: &Expected, dice: &mut Dice) -> bool {
    let record: serde_json::Value = serde_json::from_str(&expected.record).unwrap();
    let size = record["raw"]["bytes"].as_u64().unwrap();
    let moment = match dice.below(12) {
        0 => Moment::Late("finished", dice.part_of(Duration::from_millis(4))),
        1 => Moment::Late("named", dice.part_of(Duration::from_millis(2))),
        _ => {
            let left = 1.0 - checkpoints(case).last().map_or(0.0, |at| *at as f64 / size as f64);
            // A quarter more than is left: what is there is read again before it goes on.
            Moment::After(dice.part_of(expected.took.mul_f64(left + 0.25)))
        }
    };
    let mut child = case.spawn();
    match moment {
        Moment::After(time) => std::thread::sleep(time),
        Moment::Late("finished", time) => {
            case.wait_for_lines(&mut child, "finished", 1);
            std::thread::sleep(time);
        }
        Moment::Late(_, time) => {
            while child.try_wait().unwrap().is_none() && !case.image().exists() {
                std::thread::sleep(Duration::from_micros(100));
            }
            std::thread::sleep(time);
        }
    }
    let running = child.try_wait().unwrap().is_none();
    let _ = child.kill();
    let output = child.wait_with_output().unwrap();
    if !running || output.status.code().is_some() {
        exits(&output, 0);
    }
    output.status.code().is_none()
}

#[test]
fn a_gzip_run_killed_anywhere_is_continued_to_the_same_bytes() {
    let kills = if full() { 200 } else { 20 };
    kill_many("kill gz", large(), &["-C", "gz", "--checkpoint", "4M"], kills);
}

#[test]
fn a_raw_run_killed_anywhere_is_continued_to_the_same_bytes() {
    let kills = if full() { 200 } else { 20 };
    kill_many("kill raw", large(), &["-C", "none", "--checkpoint", "4M"], kills);
}

#[test]
fn ten_kills_on_a_large_disk() {
    let Some(disk) = std::env::var_os("STRATUS_BENCH_DISK").filter(|_| full()) else {
        say("ten kills on a large disk: only with STRATUS_FULL=1 and STRATUS_BENCH_DISK");
        return;
    };
    // The default checkpoint is once a GiB or 30 s.
    kill_many("kill large", Path::new(&disk), &["--checkpoint", "64M"], 10);
}

/// System calls by which a run changes something at the output's place.
const CHANGES: [&str; 11] = [
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
];

/// Counts to try for the n-th call: all in the full form.
fn counts() -> Vec<usize> {
    if full() { (1..200).collect() } else { vec![1, 2, 3, 5, 8, 14, 24] }
}

#[test]
fn killed_at_any_system_call_it_is_continued_to_the_same_bytes() {
    let _busy = busy();
    let mut points = 0;
    for form in ["gz", "none"] {
        let options = ["-C", form, "--checkpoint", "1M"];
        let expected = Case::new(small(), &options).expected();
        for call in CHANGES {
            for count in counts() {
                let case = Case::new(small(), &options);
                let killed = case.kill_at(call, count);
                if !killed.hit {
                    // There are not so many of these calls.
                    exits(&killed.output, 0);
                    break;
                }
                case.assert_nothing_false(&expected);
                case.finish(&expected);
                points += 1;
            }
        }
    }
    say(&format!("killed at {points} system calls"));
    assert!(points >= 50, "only {points} points");
}

#[test]
fn a_continued_run_killed_at_any_system_call_is_continued_again() {
    let _busy = busy();
    let options = ["--checkpoint", "1M"];
    let expected = Case::new(small(), &options).expected();
    let interrupted = interrupted(&options);
    for call in CHANGES {
        for count in counts() {
            let case = Case::new(small(), &options);
            case.restore(&interrupted);
            let killed = case.kill_at(call, count);
            if !killed.hit {
                break;
            }
            case.assert_nothing_false(&expected);
            let finished = case.finish(&expected);
            // The checkpoints of the first run are never lost.
            let named = !stderr(&finished).contains("continuing");
            assert!(!started_over(&finished), "{call} {count}: {}", stderr(&finished));
            assert!(continued(&finished) || named);
        }
    }
}

/// Unfinished work with several checkpoints: what a run leaves that is killed at its 14th sync.
fn interrupted(options: &[&str]) -> Snapshot {
    let case = Case::new(small(), options);
    let killed = case.kill_at("fdatasync", 14);
    assert!(killed.hit && !case.image().exists());
    let snapshot = case.snapshot();
    assert!(snapshot.files.len() == 3, "part, journal and lock: {:?}", names(&case.folder));
    snapshot
}

#[test]
fn every_state_between_the_last_byte_and_the_last_name_is_completed() {
    for form in ["gz", "none"] {
        let options = ["-C", form, "--checkpoint", "1M"];
        let expected = Case::new(small(), &options).expected();
        // At a fault of the first rename the part is complete and the journal says so; at the
        // second the image has its name and no record.
        for (rename, names_there) in
            [(1, [".out.img.stratus", "out.img.part"]), (2, [".out.img.stratus", "out.img"])]
        {
            let case = Case::new(small(), &options);
            let stopped = case.inject("rename", "error=EIO", rename);
            exits(&stopped.output, 74);
            let there = names(&case.folder);
            assert!(names_there.iter().all(|name| there.iter().any(|n| n == name)), "{there:?}");
            assert!(!case.record().exists());
            let snapshot = case.snapshot();
            case.finish(&expected);

            // The same with a changed byte: it is made again, or refused, but never believed.
            let case = Case::new(small(), &options);
            let mut changed = snapshot.clone();
            let image = if rename == 1 { "out.img.part" } else { "out.img" };
            let middle = changed.file(image).len() / 2;
            changed.file(image)[middle] ^= 1;
            case.restore(&changed);
            let output = case.run();
            match rename {
                1 => {
                    exits(&output, 0);
                    case.assert_done(&expected);
                }
                _ => {
                    exits(&output, 73);
                    exits(&case.run_with(&["--force"]), 0);
                    case.assert_done(&expected);
                }
            }
        }
    }
}

#[test]
fn a_finished_raw_part_without_digests_is_checked_before_it_is_named() {
    let options = ["-C", "none", "--checksum", "none"];
    let case = Case::new(small(), &options);
    let expected = case.expected();
    exits(&case.inject("rename", "error=EIO", 1).output, 74);
    let part = OpenOptions::new().write(true).open(case.part()).unwrap();
    part.write_all_at(b"!", 100_000).unwrap();
    drop(part);
    case.finish(&expected);
}

// The order of syncs ----------------------------------------------------------------------------

/// A system call out of a trace.
struct Call {
    begin: usize,
    end: usize,
    name: String,
    /// The file that the descriptor stands for, or the first path.
    path: String,
    text: String,
    result: i64,
}

/// Reads what `strace -f -y` wrote.
fn calls(trace: &str) -> Vec<Call> {
    let mut open: HashMap<&str, (usize, String)> = HashMap::new();
    let mut calls = Vec::new();
    for (number, line) in trace.lines().enumerate() {
        let Some((pid, rest)) = line.split_once(' ') else { continue };
        let rest = rest.trim_start();
        let (begin, text) = if let Some(head) = rest.strip_suffix("<unfinished ...>") {
            open.insert(pid, (number, head.trim_end().to_owned()));
            continue;
        } else if rest.starts_with("<... ") {
            let Some((begin, head)) = open.remove(pid) else { continue };
            let tail = rest.split_once("resumed>").map_or("", |(_, tail)| tail);
            (begin, head + tail)
        } else {
            (number, rest.to_owned())
        };
        let Some((name, args)) = text.split_once('(') else { continue };
        let Some((_, result)) = text.rsplit_once(") = ").or_else(|| text.rsplit_once(")  = "))
        else {
            match text.rsplit_once('=') {
                Some(_) if name.chars().all(|c| c.is_ascii_alphanumeric()) => {}
                _ => continue,
            }
            let result = text.rsplit_once('=').map_or("", |(_, r)| r);
            calls.push(call(number, begin, name, args, &text, result));
            continue;
        };
        calls.push(call(number, begin, name, args, &text, result));
    }
    calls
}

fn call(end: usize, begin: usize, name: &str, args: &str, text: &str, result: &str) -> Call {
    let by_descriptor = args.starts_with(|c: char| c.is_ascii_digit());
    let path = if by_descriptor {
        args.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map_or("", |(p, _)| p)
    } else {
        args.split('"').nth(1).unwrap_or("")
    };
    let result = result.split_whitespace().next().and_then(|r| r.parse().ok()).unwrap_or(-1);
    Call { begin, end, name: name.to_owned(), path: path.to_owned(), text: text.to_owned(), result }
}

/// The number behind `"name":` in a traced JSON text.
fn number_in(text: &str, name: &str) -> u64 {
    let (_, rest) = text.split_once(&format!("\\\"{name}\\\":")).expect("no such number");
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap()
}

/// Traces a run of `case` and judges the order of its calls. Returns the number of checkpoints.
fn judge_order(case: &Case) -> usize {
    let log = common::folder();
    let trace = log.path().join("trace");
    let wanted = "trace=write,pwrite64,writev,fsync,fdatasync,sync_file_range,msync,rename,\
                  renameat,renameat2,link,linkat,ftruncate,lseek,unlink";
    let args = ["-f", "-y", "-s", "120", "-o", trace.to_str().unwrap(), "-e", wanted];
    exits(&within(&mut case.under("strace", "strace", args), MINUTE * 3), 0);
    let trace = fs::read_to_string(trace).unwrap();
    let calls = calls(&trace);
    let of = |path: &Path| -> Vec<&Call> {
        calls.iter().filter(|call| Path::new(&call.path) == path).collect()
    };

    // What was written to the part, and where.
    let (mut writes, mut lengths, mut syncs, mut at) = (Vec::new(), Vec::new(), Vec::new(), 0);
    for call in of(&case.part()) {
        let last_argument = || {
            let (args, _) = call.text.rsplit_once(')').unwrap();
            args.rsplit_once(", ").unwrap().1.parse::<u64>().unwrap()
        };
        match call.name.as_str() {
            "lseek" => at = call.result as u64,
            "write" => {
                writes.push((call, at, at + call.result as u64));
                at += call.result as u64;
            }
            "pwrite64" => {
                let from = last_argument();
                writes.push((call, from, from + call.result as u64));
            }
            "ftruncate" => lengths.push((call, last_argument())),
            "fsync" | "fdatasync" if call.result == 0 => syncs.push(call),
            "fsync" | "fdatasync" => panic!("a sync failed: {}", call.text),
            _ => {}
        }
    }
    assert!(!writes.is_empty(), "the trace shows no writing");
    let synced_between = |after: usize, before: usize| {
        syncs.iter().any(|sync| sync.begin > after && sync.end < before)
    };

    let journal = of(&case.journal());
    let journal_lines: Vec<_> = journal.iter().filter(|call| call.name == "write").collect();
    let mut checkpoints = 0;
    for (number, line) in journal_lines.iter().enumerate() {
        // Each line is on the disk before anything relies on it.
        let next = journal_lines.get(number + 1).map_or(usize::MAX, |next| next.begin);
        let durable = journal.iter().any(|call| {
            call.name == "fdatasync" && call.result == 0 && call.begin > line.end && call.end < next
        });
        assert!(durable, "a journal line is not synced: {}", line.text);
        if !line.text.contains("\\\"kind\\\":\\\"checkpoint\\\"") {
            continue;
        }
        checkpoints += 1;
        let promised = number_in(&line.text, "file_offset");
        let covered = writes.iter().filter(|(_, from, _)| *from < promised);
        let last_write = covered.map(|(call, ..)| call.end).max().expect("nothing was written");
        assert!(
            synced_between(last_write, line.begin),
            "the checkpoint at {promised} was noted before its bytes were synced"
        );
        // Bytes that no write reached are a hole at the end: the length must be there, too.
        let reached = writes.iter().any(|(call, _, to)| call.end < line.begin && *to >= promised);
        let lengthened = lengths
            .iter()
            .any(|(call, len)| *len >= promised && synced_between(call.end, line.begin));
        assert!(reached || lengthened, "the checkpoint at {promised} promises more than there is");
    }

    // The part is synced as a whole and called finished, then named; the name is made durable
    // before the record is named, and that before the journal goes.
    let position = |name: &str, part_of_text: &str| {
        calls
            .iter()
            .find(|call| call.name.starts_with(name) && call.text.contains(part_of_text))
            .unwrap_or_else(|| panic!("no {name} of {part_of_text}"))
    };
    let named = position("rename", "out.img.part\"");
    let last_write = writes.iter().map(|(call, ..)| call.end).max().unwrap();
    assert!(synced_between(last_write, named.begin), "named before it was synced");
    let finished = position("write", "\\\"kind\\\":\\\"finished\\\"");
    assert!(synced_between(last_write, finished.begin) && finished.end < named.begin);
    let recorded = position("rename", "out.img.json.part\"");
    let forgotten =
        calls.iter().rev().find(|c| c.name == "unlink" && c.text.contains("/journal\""));
    let forgotten = forgotten.expect("the journal is not removed");
    let folder_synced = |after: &Call, before: &Call| {
        let folder = case.folder.canonicalize().unwrap();
        of(&folder).iter().any(|c| c.name == "fsync" && c.begin > after.end && c.end < before.begin)
    };
    assert!(folder_synced(named, recorded), "the image's name is not durable before its record");
    assert!(folder_synced(recorded, forgotten), "the journal goes before the record is durable");
    let record_synced = of(&case.folder.join("out.img.json.part"));
    assert!(record_synced.iter().any(|c| c.name == "fsync" && c.end < recorded.begin));
    checkpoints
}

#[test]
fn what_the_journal_says_is_on_the_disk_before_the_line_is() {
    let _busy = busy();
    for form in ["gz", "none"] {
        let case = Case::new(large(), &["-C", form, "--checkpoint", "4M"]);
        let checkpoints = judge_order(&case);
        assert!(checkpoints >= 30, "only {checkpoints} checkpoints");
    }
}

#[test]
fn a_continued_run_syncs_in_the_same_order() {
    for form in ["gz", "none"] {
        let options = ["-C", form, "--checkpoint", "1M"];
        let case = Case::new(small(), &options);
        case.restore(&interrupted(&options));
        assert!(judge_order(&case) >= 4);
        case.assert_done(&case.expected());
    }
}

// Signals ---------------------------------------------------------------------------------------

/// Sends a signal to a run of `case` after its first checkpoint. Returns the time it took to end.
fn stop(case: &Case, number: Signal) -> (std::process::Output, Duration) {
    let mut child = case.spawn();
    case.wait_for_lines(&mut child, "checkpoint", 1);
    signal(&child, number);
    let asked = Instant::now();
    let output = wait(child, MINUTE);
    (output, asked.elapsed())
}

/// The raw offset of the last checkpoint in the journal.
fn last_checkpoint(case: &Case) -> u64 {
    *checkpoints(case).last().expect("no checkpoint")
}

#[test]
fn a_signal_stops_at_a_checkpoint_and_the_next_run_continues_there() {
    let _alone = alone();
    for (number, code) in [(Signal::TERM, 143), (Signal::INT, 130), (Signal::HUP, 129)] {
        for form in ["gz", "none"] {
            let case = Case::new(medium(), &["-C", form, "--checkpoint", "4M"]);
            let expected = case.expected();
            let (output, took) = stop(&case, number);
            exits(&output, code);
            assert!(took < Duration::from_secs(2), "it took {took:?}");
            assert!(stderr(&output).contains("run the same command again"));
            case.assert_names(&[".out.img.stratus", "out.img.part"]);
            // Not the last regular one, but one for this very place.
            let at = last_checkpoint(&case);
            assert!(stderr(&output).contains(&format!("at byte {at} of")), "{}", stderr(&output));
            let finished = case.finish(&expected);
            assert!(stderr(&finished).contains(&format!("continuing at byte {at} of")));
        }
    }
}

#[test]
fn a_signal_before_the_first_byte_leaves_nothing() {
    let case = Case::new(medium(), &[]);
    for delay in [0, 1, 2, 4, 8] {
        let child = case.spawn();
        std::thread::sleep(Duration::from_millis(delay));
        signal(&child, Signal::TERM);
        let output = wait(child, MINUTE);
        // Before the program catches signals the kernel ends it.
        assert!(output.status.code().is_none_or(|code| code == 143), "{}", stderr(&output));
    }
    case.finish(&case.expected());
}

/// A disk of so many blocks of 1 MiB that are all free.
fn empty(gib: u64) -> std::path::PathBuf {
    shelved(&format!("empty-{gib}.vdi"), |path| {
        fs::write(path, Vdi::new(gib << 30, 1 << 20).bytes()).unwrap();
    })
}

/// A disk whose blocks are all stored, as zeros that have to be read: the file is sparse.
fn stored(gib: u64) -> std::path::PathBuf {
    shelved(&format!("stored-{gib}.vdi"), |path| {
        let vdi = Vdi::new(gib << 30, 1 << 20);
        let mut bytes = vdi.bytes();
        let blocks = vdi.blocks.len() as u32;
        bytes[0x184..0x188].copy_from_slice(&blocks.to_le_bytes());
        for block in 0..blocks {
            let at = vdi.map_start() + 4 * block as usize;
            bytes[at..at + 4].copy_from_slice(&block.to_le_bytes());
        }
        fs::write(path, &bytes).unwrap();
        let file = OpenOptions::new().write(true).open(path).unwrap();
        file.set_len(vdi.data_start() as u64 + (gib << 30)).unwrap();
    })
}

/// Waits until a run has read so many bytes.
fn wait_for_reads(child: &mut std::process::Child, bytes: u64) {
    let begin = Instant::now();
    loop {
        let counts = fs::read_to_string(format!("/proc/{}/io", child.id())).unwrap();
        let read = counts.lines().find_map(|line| line.strip_prefix("rchar: ")).unwrap();
        if read.parse::<u64>().unwrap() >= bytes {
            return;
        }
        assert!(child.try_wait().unwrap().is_none(), "it ended");
        assert!(begin.elapsed() < MINUTE, "it reads nothing");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn the_answer_to_a_signal_comes_within_two_seconds_whatever_the_work_is() {
    let _alone = alone();
    let all = "md5,sha1,sha256,sha512";
    for (what, disk, options) in [
        ("empty", empty(64), vec![]),
        ("empty, four digests", empty(64), vec!["--checksum", all]),
        ("empty, raw", empty(64), vec!["-C", "none", "--checksum", all]),
        ("stored", stored(16), vec![]),
        ("stored, raw", stored(16), vec!["-C", "none", "--checksum", all]),
        ("data, level 9", large().to_owned(), vec!["--level", "9"]),
        ("data, raw", large().to_owned(), vec!["-C", "none", "--checksum", all]),
        ("data, eight threads", large().to_owned(), vec!["--threads", "8"]),
    ] {
        let case = Case::new(&disk, &options);
        let mut child = case.spawn();
        case.wait_for_lines(&mut child, "run", 1);
        // The map of 16,384 blocks is walked first; how long that takes is the build's affair.
        if what.starts_with("stored") {
            wait_for_reads(&mut child, 128 << 20);
        }
        std::thread::sleep(Duration::from_millis(600));
        signal(&child, Signal::TERM);
        let asked = Instant::now();
        let output = wait(child, MINUTE);
        let took = asked.elapsed();
        say(&format!("SIGTERM, {what}: {} ms", took.as_millis()));
        exits(&output, 143);
        assert!(took < Duration::from_secs(2), "{what}: {took:?}");
        assert!(last_checkpoint(&case) > 0);
    }
}

#[test]
fn a_signal_while_unfinished_work_is_read_again_is_answered_too() {
    let _alone = alone();
    // A raw part with 3 GiB of data takes a while to check.
    let case = Case::new(&stored(16), &["-C", "none", "--checksum", "none", "--checkpoint", "1G"]);
    let mut child = case.spawn();
    case.wait_for_lines(&mut child, "checkpoint", 1);
    signal(&child, Signal::KILL);
    wait(child, MINUTE);
    let at = last_checkpoint(&case);
    // Written zeros instead of holes have the same checksum, but have to be read.
    let part = OpenOptions::new().write(true).open(case.part()).unwrap();
    let zeros = vec![0; 1 << 20];
    for offset in (0..at.min(3 << 30)).step_by(1 << 20) {
        part.write_all_at(&zeros, offset).unwrap();
    }
    drop(part);
    let child = case.spawn();
    std::thread::sleep(Duration::from_millis(150));
    signal(&child, Signal::TERM);
    let asked = Instant::now();
    let output = wait(child, MINUTE);
    assert!(asked.elapsed() < Duration::from_secs(2));
    exits(&output, 143);
    assert!(last_checkpoint(&case) >= at, "the work of the first run is lost");
}

#[test]
fn two_signals_at_once_are_one_and_a_checkpoint_is_made() {
    let _busy = busy();
    let case = Case::new(medium(), &["--checkpoint", "1M"]);
    let mut child = case.spawn();
    case.wait_for_lines(&mut child, "checkpoint", 2);
    // As `timeout` does, which signals its child and then the group that the child is in.
    signal(&child, Signal::TERM);
    signal(&child, Signal::TERM);
    let output = wait(child, MINUTE);
    exits(&output, 143);
    assert!(stderr(&output).contains("run the same command again"), "{}", stderr(&output));
    assert!(continued(&case.finish(&case.expected())));
}

#[test]
fn a_second_signal_a_moment_later_ends_it_at_once() {
    let _busy = busy();
    let folder = folder();
    // Nobody reads the pipe, so the run is stuck in a write and cannot end by itself.
    let mut child = stratus(folder.path())
        .args(["--no-context", "-C", "none", "-o", "-"])
        .arg(medium())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(500));
    signal(&child, Signal::TERM);
    std::thread::sleep(Duration::from_millis(900));
    assert!(child.try_wait().unwrap().is_none(), "ended by the first signal already");
    signal(&child, Signal::TERM);
    let asked = Instant::now();
    let status = child.wait().unwrap();
    assert!(asked.elapsed() < Duration::from_millis(500), "{:?}", asked.elapsed());
    assert_eq!(status.code(), Some(143));
}

// Locks -----------------------------------------------------------------------------------------

#[test]
fn a_second_run_on_the_same_output_names_the_first() {
    let case = Case::new(medium(), &["--checkpoint", "1M"]);
    let expected = case.expected();
    let mut first = case.spawn();
    case.wait_for_lines(&mut first, "checkpoint", 1);
    signal(&first, Signal::STOP);
    for more in [&[][..], &["--force"], &["--restart"], &["--dry-run"]] {
        let second = case.run_with(more);
        exits(&second, 75);
        let named = stderr(&second).contains(&format!("process {} on ", first.id()));
        assert!(named, "{more:?}: {}", stderr(&second));
    }
    // Another disk, the same output.
    let other =
        within(stratus(&case.folder).args(["--no-context", "-o", "out.img"]).arg(small()), MINUTE);
    exits(&other, 75);
    signal(&first, Signal::CONT);
    exits(&wait(first, MINUTE), 0);
    case.assert_done(&expected);
}

#[test]
fn the_lock_of_a_dead_process_is_no_obstacle() {
    let options = ["--checkpoint", "1M"];
    let case = Case::new(small(), &options);
    case.restore(&interrupted(&options));
    assert!(case.state().join("lock").exists());
    assert!(continued(&case.finish(&case.expected())));
    // One without a journal neither, even if it names a living process.
    let case = Case::new(small(), &[]);
    case.restore(&Snapshot { files: Vec::new(), state: true });
    fs::write(case.state().join("lock"), "process 1 on elsewhere\n").unwrap();
    case.finish(&case.expected());
}

#[test]
fn runs_that_come_and_go_together_never_disturb_each_other() {
    let _busy = busy();
    for _ in 0..if full() { 60 } else { 8 } {
        let case = Case::new(small(), &["--checkpoint", "1M"]);
        let runs: Vec<_> = (0..5)
            .map(|number| {
                std::thread::sleep(Duration::from_millis(number * 15));
                case.spawn()
            })
            .collect();
        for run in runs {
            let output = wait(run, MINUTE);
            let code = output.status.code();
            assert!(matches!(code, Some(0 | 75)), "{code:?}: {}", stderr(&output));
        }
        case.assert_done(&case.expected());
    }
}

#[test]
fn a_state_folder_that_is_not_privately_ours_is_refused() {
    type Put = fn(&Case, &Path);
    let puts: [(&str, Put); 5] = [
        ("a symlink to a folder", |case, elsewhere| symlink(elsewhere, case.state()).unwrap()),
        ("a dangling symlink", |case, _| symlink("nowhere", case.state()).unwrap()),
        ("a file", |case, _| fs::write(case.state(), "mine").unwrap()),
        ("a folder that all may write to", |case, _| {
            fs::create_dir(case.state()).unwrap();
            fs::set_permissions(case.state(), fs::Permissions::from_mode(0o777)).unwrap();
        }),
        ("a folder that the group may write to", |case, _| {
            fs::create_dir(case.state()).unwrap();
            fs::set_permissions(case.state(), fs::Permissions::from_mode(0o775)).unwrap();
        }),
    ];
    for (what, put) in puts {
        let elsewhere = common::folder();
        let case = Case::new(small(), &[]);
        put(&case, elsewhere.path());
        for more in [&[][..], &["--force"], &["--restart"], &["--dry-run"]] {
            let output = case.run_with(more);
            exits(&output, 73);
            assert!(stderr(&output).contains("to do: "), "{what}");
        }
        case.assert_names(&[".out.img.stratus"]);
        assert_eq!(names(elsewhere.path()), [""; 0], "{what} was used");
    }
}

#[test]
fn a_lock_or_journal_that_is_no_file_is_refused_and_not_followed() {
    for name in ["lock", "journal"] {
        for kind in ["symlink", "fifo", "folder"] {
            let case = Case::new(small(), &[]);
            case.restore(&Snapshot { files: Vec::new(), state: true });
            let path = case.state().join(name);
            let target = case.folder.join("target");
            match kind {
                "symlink" => {
                    fs::write(&target, "keep").unwrap();
                    symlink(&target, &path).unwrap();
                }
                "fifo" => make_fifo(&path),
                _ => fs::create_dir(&path).unwrap(),
            }
            let output = case.run();
            let code = output.status.code();
            assert!(matches!(code, Some(73 | 74)), "{name} {kind}: {code:?} {}", stderr(&output));
            assert!(stderr(&output).contains("to do: "), "{name} {kind}: {}", stderr(&output));
            assert!(!case.image().exists());
            if kind == "symlink" {
                assert_eq!(fs::read(&target).unwrap(), b"keep");
            }
        }
    }
}

fn make_fifo(path: &Path) {
    let made = std::process::Command::new("mkfifo").arg(path).status().unwrap();
    assert!(made.success());
}

// Tampering -------------------------------------------------------------------------------------

/// Runs on tampered work: it must end with the right image, or refuse and leave the names alone.
#[track_caller]
fn judge_tampered(what: &str, options: &[&str], snapshot: &Snapshot) -> std::process::Output {
    let case = Case::new(small(), options);
    case.restore(snapshot);
    let expected = case.expected();
    let output = case.run();
    match output.status.code() {
        Some(0) => case.assert_done(&expected),
        Some(73 | 74) => assert!(!case.image().exists() && stderr(&output).contains("to do: ")),
        other => panic!("{what}: {other:?} {}", stderr(&output)),
    }
    output
}

#[test]
fn a_journal_cut_anywhere_loses_at_most_the_work_behind_the_cut() {
    let _busy = busy();
    let mut dice = Dice::new("cut journal");
    for form in ["gz", "none"] {
        let options = ["-C", form, "--checkpoint", "1M"];
        let snapshot = interrupted(&options);
        let whole = snapshot.clone().file("journal").clone();
        let ends: Vec<usize> =
            whole.iter().enumerate().filter(|(_, b)| **b == b'\n').map(|(at, _)| at + 1).collect();
        assert!(ends.len() >= 4, "{} lines", ends.len());
        let mut cuts: Vec<usize> = ends.iter().flat_map(|end| [end - 1, *end]).collect();
        cuts.extend(
            (0..if full() { 200 } else { 6 }).map(|_| dice.below(whole.len() as u64) as usize),
        );
        for cut in cuts {
            let mut cut_off = snapshot.clone();
            cut_off.file("journal").truncate(cut);
            let output = judge_tampered(&format!("cut at {cut}"), &options, &cut_off);
            exits(&output, 0);
            // The first line is the work, each other one a checkpoint.
            let lines = ends.iter().filter(|end| **end <= cut).count();
            assert_eq!(continued(&output), lines >= 2, "cut at {cut}: {}", stderr(&output));
        }
    }
}

#[test]
fn a_changed_byte_in_journal_or_part_is_never_believed() {
    let _busy = busy();
    let mut dice = Dice::new("changed byte");
    for form in ["gz", "none"] {
        let options = ["-C", form, "--checkpoint", "1M"];
        let snapshot = interrupted(&options);
        for name in ["journal", "out.img.part"] {
            for _ in 0..if full() { 200 } else { 8 } {
                let mut changed = snapshot.clone();
                let file = changed.file(name);
                let at = dice.below(file.len() as u64) as usize;
                file[at] ^= 1 << dice.below(8);
                let output = judge_tampered(&format!("{name} byte {at}"), &options, &changed);
                exits(&output, 0);
            }
        }
    }
}

#[test]
fn a_foreign_journal_is_said_and_not_used() {
    let options = ["--checkpoint", "1M"];
    let snapshot = interrupted(&options);
    let valid = snapshot.clone().file("journal").clone();
    let other_options =
        interrupted(&["--checkpoint", "1M", "--level", "9"]).file("journal").clone();
    let other_form = interrupted(&["--checkpoint", "1M", "-C", "none"]).file("journal").clone();
    let lines: Vec<&[u8]> = valid.split_inclusive(|b| *b == b'\n').collect();
    let without_first = lines[1..].concat();
    let twice = [&valid[..], &valid].concat();
    let mut old_version = valid.clone();
    let at = find(&valid, b"\"format\":1");
    old_version[at + 9] = b'7';
    let journals: [(&str, Vec<u8>); 11] = [
        ("other options", other_options),
        ("another form", other_form),
        ("empty", Vec::new()),
        ("garbage", common::noise(3, 100_000)),
        ("binary zeros", vec![0; 100_000]),
        ("text", b"{\"kind\":\"run\"}\nhello\n{}\n".to_vec()),
        ("without its first line", without_first),
        ("itself twice", twice),
        ("another version", resealed(&old_version)),
        ("deep JSON", ["[".repeat(200_000).into_bytes(), b"\n".to_vec()].concat()),
        ("300 MB of newlines", vec![b'\n'; 300_000_000]),
    ];
    for (what, journal) in journals {
        let mut foreign = snapshot.clone();
        *foreign.file("journal") = journal;
        let started = Instant::now();
        let output = judge_tampered(what, &options, &foreign);
        exits(&output, 0);
        assert!(started_over(&output), "{what}: {}", stderr(&output));
        assert!(started.elapsed() < Duration::from_secs(20), "{what}");
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> usize {
    bytes.windows(wanted.len()).position(|window| window == wanted).expect("not found")
}

/// The lines with right checksums: what a careful forger, or another version, would write.
fn resealed(journal: &[u8]) -> Vec<u8> {
    let text = String::from_utf8(journal.to_vec()).unwrap();
    let seal = |line: &str| {
        let (body, _) = line.rsplit_once(",\"crc\":\"").unwrap();
        format!("{body},\"crc\":\"{:08x}\"}}\n", crc32fast::hash(body.as_bytes()))
    };
    text.lines().map(seal).collect::<String>().into_bytes()
}

#[test]
fn a_journal_with_impossible_numbers_is_not_believed() {
    for form in ["gz", "none"] {
        let options = ["-C", form, "--checkpoint", "1M"];
        let snapshot = interrupted(&options);
        let valid = String::from_utf8(snapshot.clone().file("journal").clone()).unwrap();
        let last = valid.rfind("{\"kind\":\"checkpoint\"").unwrap();
        for field in ["raw_offset", "file_offset", "len"] {
            for value in ["0", "1", "1048577", "9223372036854775807", "18446744073709551615"] {
                let at =
                    last + valid[last..].find(&format!("\"{field}\":")).unwrap() + field.len() + 3;
                let end = at + valid[at..].find(|c: char| !c.is_ascii_digit()).unwrap();
                let forged = format!("{}{value}{}", &valid[..at], &valid[end..]);
                let mut changed = snapshot.clone();
                *changed.file("journal") = resealed(forged.as_bytes());
                let output = judge_tampered(&format!("{field} {value}"), &options, &changed);
                exits(&output, 0);
            }
        }
    }
}

#[test]
fn a_part_that_is_not_what_the_journal_says_is_started_over() {
    for form in ["gz", "none"] {
        let options = ["-C", form, "--checkpoint", "1M"];
        let snapshot = interrupted(&options);
        let len = snapshot.clone().file("out.img.part").len();
        for (what, new_len) in [("emptied", 0), ("halved", len / 2), ("one byte", 1)] {
            let mut changed = snapshot.clone();
            changed.file("out.img.part").truncate(new_len);
            let output = judge_tampered(what, &options, &changed);
            assert!(started_over(&output), "{what}: {}", stderr(&output));
        }
        // What lies behind the last checkpoint is cut off.
        let mut longer = snapshot.clone();
        longer.file("out.img.part").extend(common::noise(9, 3_000_000));
        let output = judge_tampered("extended", &options, &longer);
        assert!(continued(&output), "{}", stderr(&output));
        // Without the part the journal is of no use.
        let mut gone = snapshot.clone();
        gone.files.retain(|(name, _)| !name.ends_with("out.img.part"));
        assert!(started_over(&judge_tampered("gone", &options, &gone)));
    }
}

#[test]
fn a_part_that_is_no_file_of_ours_is_never_written_through() {
    let options = ["--checkpoint", "1M"];
    let snapshot = interrupted(&options);
    let part = snapshot.clone().file("out.img.part").clone();
    let without_part = {
        let mut copy = snapshot.clone();
        copy.files.retain(|(name, _)| !name.ends_with("out.img.part"));
        copy
    };
    // A symlink to a file with the very bytes of the part.
    let mut case = Case::new(small(), &options);
    case.others.push("target".to_owned());
    case.restore(&without_part);
    fs::write(case.folder.join("target"), &part).unwrap();
    symlink("target", case.part()).unwrap();
    let output = case.finish(&case.expected());
    assert!(started_over(&output));
    assert!(fs::read(case.folder.join("target")).unwrap() == part, "written through a symlink");
    // A FIFO and a folder do not block it.
    for kind in ["fifo", "folder"] {
        let case = Case::new(small(), &options);
        case.restore(&without_part);
        match kind {
            "fifo" => make_fifo(&case.part()),
            _ => fs::create_dir(case.part()).unwrap(),
        }
        exits(&case.run(), 73);
        exits(&case.run_with(&["--force", "--restart"]), 73);
    }
    // A hard link to the source must not be truncated.
    let case = Case::with_own_disk(small(), &options);
    let before = fs::read(&case.disk).unwrap();
    case.restore(&without_part);
    fs::hard_link(&case.disk, case.part()).unwrap();
    for more in [&[][..], &["--force"], &["--restart"]] {
        exits(&case.run_with(more), 73);
        assert!(fs::read(&case.disk).unwrap() == before, "the source was changed");
    }
}

#[test]
fn a_part_without_a_journal_is_not_ours() {
    for name in ["out.img.part", "out.img.json.part"] {
        let case = Case::new(small(), &[]);
        fs::write(case.folder.join(name), "precious").unwrap();
        for more in [&[][..], &["--force"]] {
            let output = case.run_with(more);
            exits(&output, 73);
            assert!(stderr(&output).contains("--restart"));
            case.assert_names(&[name]);
            assert_eq!(fs::read(case.folder.join(name)).unwrap(), b"precious");
        }
        exits(&case.run_with(&["--restart"]), 0);
        case.assert_done(&case.expected());
    }
}

// Changed sources and options -------------------------------------------------------------------

#[test]
fn a_source_that_changed_between_runs_is_said_and_started_over() {
    type Change = fn(&Path);
    let changes: [(&str, Change); 4] = [
        ("touched", |disk| {
            let file = OpenOptions::new().write(true).open(disk).unwrap();
            file.set_modified(std::time::SystemTime::now()).unwrap();
        }),
        ("a byte rewritten and the time set back", |disk| {
            let file = OpenOptions::new().write(true).open(disk).unwrap();
            let then = file.metadata().unwrap().modified().unwrap();
            file.write_all_at(b"!", 5_000_000).unwrap();
            file.set_modified(then).unwrap();
        }),
        ("replaced by a copy", |disk| {
            let copy = disk.with_extension("copy");
            fs::copy(disk, &copy).unwrap();
            fs::rename(&copy, disk).unwrap();
        }),
        ("replaced by another disk", |disk| {
            fs::write(disk, model(9).bytes()).unwrap();
        }),
    ];
    for (what, change) in changes {
        let case = Case::with_own_disk(small(), &["--checkpoint", "1M"]);
        assert!(case.kill_at("fdatasync", 14).hit);
        assert!(case.part().exists());
        change(&case.disk);
        let expected = case.expected();
        let output = case.finish(&expected);
        let said = stderr(&output).contains("the source has changed since");
        assert!(started_over(&output) && said, "{what}: {}", stderr(&output));
    }
}

#[test]
fn other_options_are_said_and_started_over() {
    let snapshot = interrupted(&["--checkpoint", "1M"]);
    for options in [&["--level", "9"][..], &["--checksum", "md5"], &["-C", "none"]] {
        let case = Case::new(small(), options);
        case.restore(&snapshot);
        let output = case.finish(&case.expected());
        let said = stderr(&output).contains("the options are not the same");
        assert!(started_over(&output) && said, "{options:?}: {}", stderr(&output));
    }
    // These do not shape the bytes.
    for options in [&["--threads", "1"][..], &["--checkpoint", "3M"], &["-v"]] {
        let case = Case::new(small(), options);
        case.restore(&snapshot);
        let output = case.finish(&case.expected());
        assert!(continued(&output), "{options:?}: {}", stderr(&output));
    }
    // Asked to, it throws the work away without a word.
    let case = Case::new(small(), &["--checkpoint", "1M"]);
    case.restore(&snapshot);
    let output = case.run_with(&["--restart"]);
    exits(&output, 0);
    assert!(!continued(&output));
    case.assert_done(&case.expected());
}

#[test]
fn a_source_that_changes_while_it_is_read_is_refused_and_leaves_nothing() {
    let _busy = busy();
    type Change = fn(&Path);
    let changes: [(&str, Change); 6] = [
        ("appended to", |disk| {
            OpenOptions::new().append(true).open(disk).unwrap().write_all(b"!").unwrap();
        }),
        ("touched", |disk| {
            let file = OpenOptions::new().write(true).open(disk).unwrap();
            file.set_modified(std::time::SystemTime::now()).unwrap();
        }),
        ("rewritten with the time set back", |disk| {
            let file = OpenOptions::new().write(true).open(disk).unwrap();
            let then = file.metadata().unwrap().modified().unwrap();
            file.write_all_at(b"!", 30_000_000).unwrap();
            file.set_modified(then).unwrap();
        }),
        ("shortened", |disk| {
            OpenOptions::new().write(true).open(disk).unwrap().set_len(20_000_000).unwrap();
        }),
        ("replaced", |disk| {
            let copy = disk.with_extension("copy");
            fs::copy(small(), &copy).unwrap();
            fs::rename(&copy, disk).unwrap();
        }),
        ("removed and put back", |disk| {
            let elsewhere = disk.with_extension("elsewhere");
            fs::rename(disk, &elsewhere).unwrap();
            fs::rename(&elsewhere, disk).unwrap();
        }),
    ];
    for (what, change) in changes {
        let case = Case::with_own_disk(medium(), &["--checkpoint", "1M"]);
        let mut child = case.spawn();
        case.wait_for_lines(&mut child, "checkpoint", 2);
        signal(&child, Signal::STOP);
        change(&case.disk);
        signal(&child, Signal::CONT);
        let output = wait(child, MINUTE);
        exits(&output, 65);
        assert!(stderr(&output).contains("to do: "), "{what}: {}", stderr(&output));
        case.assert_empty();
    }
}

// Finished output -------------------------------------------------------------------------------

/// Image and record of a finished run, with what shows a rewrite.
fn traces(case: &Case) -> Vec<(u64, i64, i64)> {
    let of = |path: &Path| {
        let meta = fs::symlink_metadata(path).unwrap();
        (meta.ino(), meta.mtime(), meta.mtime_nsec())
    };
    vec![of(&case.image()), of(&case.record())]
}

#[test]
fn a_finished_output_of_the_same_run_is_verified_and_not_redone() {
    for form in ["gz", "none"] {
        let case = Case::new(small(), &["-C", form]);
        let expected = case.expected();
        case.finish(&expected);
        let before = traces(&case);
        let again = case.finish(&expected);
        assert!(String::from_utf8_lossy(&again.stdout).contains("there already"));
        // Neither options that do not shape the bytes nor --restart change that.
        for more in [&["--threads", "1"][..], &["--checkpoint", "1M"], &["--restart"]] {
            exits(&case.run_with(more), 0);
        }
        assert_eq!(traces(&case), before, "{form}");
        exits(&case.run_with(&["--force"]), 0);
        case.assert_done(&expected);
        assert_ne!(traces(&case), before, "--force makes it anew");
    }
}

#[test]
fn a_finished_output_that_was_changed_is_a_mismatch() {
    for form in ["gz", "none"] {
        type Change = fn(&File, u64);
        let changes: [(&str, Change); 4] = [
            ("a byte", |file, len| file.write_all_at(b"\x55", len / 2).unwrap()),
            ("the last byte", |file, len| file.write_all_at(b"\x55", len - 1).unwrap()),
            ("shorter", |file, len| file.set_len(len - 1).unwrap()),
            ("longer", |file, len| file.set_len(len + 1).unwrap()),
        ];
        for (what, change) in changes {
            let case = Case::new(small(), &["-C", form]);
            let expected = case.expected();
            case.finish(&expected);
            let file = OpenOptions::new().write(true).open(case.image()).unwrap();
            change(&file, expected.image.len);
            drop(file);
            let tampered = fs::read(case.image()).unwrap();
            let output = case.run();
            exits(&output, 76);
            assert!(stderr(&output).contains("--force"), "{what}");
            case.assert_names(&["out.img", "out.img.json"]);
            assert!(fs::read(case.image()).unwrap() == tampered, "{what}: it was written to");
            exits(&case.run_with(&["--force"]), 0);
            case.assert_done(&expected);
        }
    }
}

#[test]
fn an_output_that_is_not_ours_is_replaced_only_with_force() {
    type Put = fn(&Case);
    let puts: [(&str, Put); 6] = [
        ("the record deleted", |case| fs::remove_file(case.record()).unwrap()),
        ("the record damaged", |case| fs::write(case.record(), "{}").unwrap()),
        ("other options", |case| exits(&case.run_with(&["--level", "9", "--force"]), 0)),
        ("a foreign image", |case| {
            fs::remove_file(case.record()).unwrap();
            fs::write(case.image(), "precious").unwrap();
        }),
        ("a foreign record only", |case| {
            fs::remove_file(case.image()).unwrap();
            fs::write(case.record(), "{\"precious\":1}").unwrap();
        }),
        ("an empty file", |case| {
            fs::remove_file(case.record()).unwrap();
            fs::write(case.image(), "").unwrap();
        }),
    ];
    for (what, put) in puts {
        let case = Case::new(small(), &[]);
        let expected = case.expected();
        case.finish(&expected);
        put(&case);
        let before = case.snapshot();
        let output = case.run();
        exits(&output, 73);
        assert!(stderr(&output).contains("--force"), "{what}: {}", stderr(&output));
        exits(&case.run_with(&["--dry-run"]), 73);
        let after = case.snapshot();
        assert!(before.files == after.files && !after.state, "{what}: something was changed");
        exits(&case.run_with(&["--force"]), 0);
        case.assert_done(&expected);
    }
}

#[test]
fn another_source_of_the_same_name_does_not_replace_an_image() {
    let case = Case::with_own_disk(small(), &[]);
    exits(&case.run(), 0);
    fs::write(&case.disk, model(9).bytes()).unwrap();
    let before = traces(&case);
    exits(&case.run(), 73);
    assert_eq!(traces(&case), before);
    exits(&case.run_with(&["--force"]), 0);
    assert_ne!(traces(&case), before);
}

#[test]
fn an_image_stays_whole_until_a_forced_run_replaces_it() {
    let _busy = busy();
    let case = Case::new(medium(), &["--checkpoint", "1M"]);
    let expected = case.expected();
    case.finish(&expected);
    let before = traces(&case);
    let mut forced = start(case.command().arg("--force"));
    case.wait_for_lines(&mut forced, "checkpoint", 2);
    signal(&forced, Signal::KILL);
    wait(forced, MINUTE);
    assert_eq!(traces(&case), before);
    case.assert_nothing_false(&expected);
    // The same forced run is continued.
    let output = case.run_with(&["--force"]);
    exits(&output, 0);
    assert!(continued(&output));
    case.assert_done(&expected);
    assert_ne!(traces(&case), before);
}

#[test]
fn a_symlink_at_the_outputs_name_is_never_followed() {
    for (what, name, target) in [
        ("to a file", "out.img", Some("target")),
        ("dangling", "out.img", None),
        ("a record to a file", "out.img.json", Some("target")),
        ("a dangling record", "out.img.json", None),
    ] {
        let mut case = Case::new(small(), &[]);
        let expected = case.expected();
        let link = case.folder.join(name);
        if let Some(target) = target {
            case.others.push(target.to_owned());
            fs::write(case.folder.join(target), "precious").unwrap();
        }
        symlink(target.unwrap_or("nowhere"), &link).unwrap();
        exits(&case.run(), 73);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink(), "{what}");
        case.assert_names(&[name]);
        exits(&case.run_with(&["--force"]), 0);
        case.assert_done(&expected);
        assert!(!fs::symlink_metadata(&link).unwrap().is_symlink(), "{what}");
        assert!(!case.folder.join("nowhere").exists(), "{what}");
        if let Some(target) = target {
            assert_eq!(fs::read(case.folder.join(target)).unwrap(), b"precious", "{what}");
        }
    }
}

#[test]
fn the_source_is_never_the_output() {
    let source = model(4).bytes();
    for kind in ["itself", "a hard link", "a symlink"] {
        let folder = common::folder();
        let disk = folder.path().join("disk.vdi");
        fs::write(&disk, &source).unwrap();
        let output = match kind {
            "itself" => disk.clone(),
            _ => folder.path().join("out"),
        };
        match kind {
            "a hard link" => fs::hard_link(&disk, &output).unwrap(),
            "a symlink" => symlink(&disk, &output).unwrap(),
            _ => {}
        }
        let before = names(folder.path());
        for more in [&[][..], &["--force"], &["--force", "--restart"]] {
            if kind == "a symlink" && !more.is_empty() {
                // With --force the link is replaced, not what it points to.
                continue;
            }
            let args = [&["disk.vdi", "-o", output.to_str().unwrap()], more].concat();
            exits(&run(folder.path(), args), 73);
            assert_eq!(names(folder.path()), before);
        }
        assert!(fs::read(&disk).unwrap() == source, "{kind}: the source was changed");
    }
    let folder = common::folder();
    let disk = folder.path().join("disk.vdi");
    fs::write(&disk, &source).unwrap();
    symlink(&disk, folder.path().join("out")).unwrap();
    exits(&run(folder.path(), ["disk.vdi", "-o", "out", "--force"]), 0);
    assert!(fs::read(&disk).unwrap() == source, "the source was changed through a symlink");
}

#[test]
fn a_folder_fifo_or_device_in_the_way_is_refused_even_with_force() {
    for name in ["out.img", "out.img.json", "out.img.part", "out.img.json.part"] {
        for kind in ["folder", "fifo", "device"] {
            let case = Case::new(small(), &[]);
            let path = case.folder.join(name);
            match kind {
                // A folder as the output means a file inside it.
                "folder" if name == "out.img" => continue,
                "folder" => fs::create_dir(&path).unwrap(),
                "fifo" => make_fifo(&path),
                _ => {
                    let mut made = std::process::Command::new("mknod");
                    let made = made.arg(&path).args(["c", "1", "3"]).output().unwrap();
                    if !made.status.success() {
                        say("devices can only be made by root: not tried");
                        continue;
                    }
                }
            }
            for more in [&[][..], &["--force"], &["--restart"]] {
                let output = case.run_with(more);
                exits(&output, 73);
                assert!(stderr(&output).contains("to do: "), "{name} {kind}");
                case.assert_names(&[name]);
            }
        }
    }
}

#[test]
fn what_takes_the_outputs_name_during_the_run_is_not_overwritten() {
    let _busy = busy();
    for name in ["out.img", "out.img.json"] {
        let case = Case::new(medium(), &["--checkpoint", "1M"]);
        let expected = case.expected();
        let mut child = case.spawn();
        case.wait_for_lines(&mut child, "checkpoint", 1);
        fs::write(case.folder.join(name), "precious").unwrap();
        let output = wait(child, MINUTE);
        exits(&output, 73);
        assert_eq!(fs::read(case.folder.join(name)).unwrap(), b"precious");
        // Nothing is lost: once the name is free, or given free, the work is completed.
        fs::remove_file(case.folder.join(name)).unwrap();
        let took = Instant::now();
        case.finish(&expected);
        assert!(took.elapsed() < expected.took, "the work was done again");
    }
}

// The same bytes --------------------------------------------------------------------------------

#[test]
fn threads_checkpoints_and_surroundings_do_not_change_a_byte() {
    let _busy = busy();
    let expected = Case::new(large(), &[]).expected();
    for options in [&["--threads", "1"][..], &["--threads", "8"], &["--checkpoint", "5M"]] {
        let case = Case::new(large(), options);
        exits(&case.run(), 0);
        case.assert_done(&expected);
    }
    for form in ["gz", "none"] {
        let with = |more: &[&'static str]| Case::new(small(), &[&["-C", form], more].concat());
        let expected = with(&[]).expected();
        for more in [
            &["--threads", "1"][..],
            &["--threads", "2"],
            &["--threads", "8"],
            &["--threads", "64"],
            &["--checkpoint", "1M"],
            &["--checkpoint", "2M"],
            &["--checkpoint", "100G"],
            &["-v"],
        ] {
            let case = with(more);
            exits(&case.run(), 0);
            case.assert_done(&expected);
        }
        for (name, value) in [
            ("LANG", "tr_TR.UTF-8"),
            ("LC_ALL", "C"),
            ("TZ", "Pacific/Kiritimati"),
            ("SOURCE_DATE_EPOCH", "1"),
            ("NO_COLOR", "1"),
            ("USER", "somebody"),
            ("TMPDIR", "/nonexistent"),
        ] {
            let case = with(&[]);
            exits(&within(case.command().env(name, value), MINUTE), 0);
            case.assert_done(&expected);
        }
        let case = with(&[]);
        let mut long_ago = case.under("faketime", "faketime", ["2001-02-03 04:05:06"]);
        exits(&within(&mut long_ago, MINUTE), 0);
        case.assert_done(&expected);
    }
}

#[test]
fn a_pipe_gets_the_bytes_of_the_file() {
    for form in ["gz", "none"] {
        let case = Case::new(small(), &["-C", form]);
        case.finish(&case.expected());
        let folder = common::folder();
        let piped = File::create(folder.path().join("piped")).unwrap();
        let disk = small().to_str().unwrap();
        let mut command = stratus(folder.path());
        command.args(["--no-context", "--progress", "none", "-C", form, "-o", "-", disk]);
        // A pipe, not the file itself: `cat` stands between.
        let mut cat = std::process::Command::new("cat");
        let mut cat = cat.stdin(std::process::Stdio::piped()).stdout(piped).spawn().unwrap();
        assert!(command.stdout(cat.stdin.take().unwrap()).status().unwrap().success());
        drop(command);
        assert!(cat.wait().unwrap().success());
        let piped = fs::read(folder.path().join("piped")).unwrap();
        assert!(piped == fs::read(case.image()).unwrap(), "{form}");
        let raw = if form == "gz" { gunzip(&piped) } else { piped };
        assert!(raw == model(12).raw(None), "{form}");
        assert_eq!(names(folder.path()), ["piped"], "a pipe leaves no record");
    }
}
