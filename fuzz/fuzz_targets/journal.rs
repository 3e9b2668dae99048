//! The journal on hostile bytes: it may call them damaged, but not panic, and what it takes for
//! good must be good by itself.
//!
//! The first byte chooses whether the rest are patches on a journal of ours, whose checksums are
//! then made right again, or the journal itself.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use stratus::digest::{Algorithm, DigestSet};
use stratus::disk::Damage;
use stratus::pipeline::journal::{Checkpoint, History, Line, Work};

/// The bodies of a journal's lines, without their checksums.
static BODIES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let mut digests = DigestSet::new(&Algorithm::ALL);
    digests.update(&[7; 1000]);
    let checkpoint = |n: u64| {
        Line::Checkpoint(Box::new(Checkpoint {
            raw_offset: n << 20,
            file_offset: n * 1000,
            crc: 7,
            raw: digests.state(),
            file: (n > 1).then(|| DigestSet::new(&[Algorithm::Md5]).state()),
            file_sha256: (n > 1).then(|| "00".repeat(32)),
            damage: vec![Damage { offset: 512, len: n, reason: "x".to_owned() }],
        }))
    };
    let lines = [
        Line::Run(Work::new(vec!["level 4".to_owned()], vec!["dev 1 ino 2".to_owned()])),
        checkpoint(1),
        Line::Resume { raw_offset: 1 << 20 },
        checkpoint(2),
        Line::Finished { record: "{}".to_owned() },
    ];
    let body = |line: &Line| {
        let mut text = serde_json::to_vec(line).expect("a line");
        text.pop();
        text
    };
    lines.iter().map(body).collect()
});

/// Each patch is a line, a place in it, an operation and a byte.
fn patched(patches: &[u8]) -> Vec<u8> {
    let mut bodies = BODIES.clone();
    for patch in patches.chunks_exact(5) {
        let [line, a, b, op, byte] = patch else { continue };
        let count = bodies.len();
        let body = &mut bodies[usize::from(*line) % count];
        let at = usize::from(u16::from_le_bytes([*a, *b])) % (body.len() + 1);
        match op % 4 {
            0 => body.insert(at, *byte),
            1 if at < body.len() => body[at] = *byte,
            2 if at < body.len() => drop(body.remove(at)),
            // A digit more makes a number that does not fit.
            3 => drop(body.splice(at..at, b"9".repeat(usize::from(*byte % 32)))),
            _ => {}
        }
    }
    let mut journal = Vec::new();
    for body in bodies {
        let crc = crc32fast::hash(&body);
        journal.extend(body);
        journal.extend(format!(",\"crc\":\"{crc:08x}\"}}\n").bytes());
    }
    journal
}

fuzz_target!(|input: &[u8]| {
    let Some((first, rest)) = input.split_first() else { return };
    let bytes = if first % 4 == 0 { rest.to_vec() } else { patched(rest) };
    let history = History::read(&bytes[..]).expect("memory is read");
    let good = usize::try_from(history.good_len).expect("a length");
    assert!(good <= bytes.len(), "more good bytes than there are");
    assert!(history.work.is_some() || (history.checkpoint.is_none() && history.finished.is_none()));
    let again = History::read(&bytes[..good]).expect("memory is read");
    assert!(!again.damaged, "the good part is damaged");
    assert_eq!(again.good_len, history.good_len);
    assert_eq!(again.work, history.work);
    assert_eq!(again.checkpoint, history.checkpoint);
    assert_eq!(again.finished, history.finished);
    if let Some(checkpoint) = history.checkpoint {
        for state in [Some(&checkpoint.raw), checkpoint.file.as_ref()].into_iter().flatten() {
            let Some(mut digests) = DigestSet::resume(state) else { continue };
            digests.update(&[1; 200]);
            digests.update_zeros(1000);
            let _ = digests.finish();
        }
    }
});
