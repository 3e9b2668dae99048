//! Ctrl-C and `kill`: the first asks the run to stop at a checkpoint, the second ends it at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::flag;

use super::talk::Talk;
use crate::error::{Error, Kind, Result};
use crate::guest::prepare::THREAD;

/// From now on a signal puts its number into `stop`.
pub(super) fn watch(stop: &Arc<AtomicUsize>) -> Result<()> {
    let failed = |e| Error::new(Kind::Internal, "signals", "cannot catch signals").because(e);
    // A limit on the size of files (`ulimit -f`) is to be an error of the write, not the end.
    flag::register(SIGXFSZ, Arc::default()).map_err(failed)?;
    let second = Arc::new(AtomicBool::new(false));
    let ignored = ignored();
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        // `nohup` and shells in the background have asked for deafness: keep it.
        if ignored & (1 << (signal - 1)) != 0 {
            continue;
        }
        let number = signal.unsigned_abs() as usize;
        flag::register_conditional_shutdown(signal, 128 + signal, second.clone())
            .and_then(|_| flag::register_usize(signal, stop.clone(), number))
            .map_err(failed)?;
    }
    let stop = stop.clone();
    thread::spawn(move || {
        wait_for(&stop);
        thread::sleep(ECHO);
        second.store(true, Ordering::Relaxed);
    });
    Ok(())
}

/// A panic of any thread ends the program at once, as `kill -9` would: the work can be continued,
/// and no other thread waits for the one that is gone. (The usual hook can itself hang, when it is
/// memory that is wanting.)
pub(super) fn end_at_a_panic() {
    std::panic::set_hook(Box::new(|panic| {
        // There a panic is a damaged file system, and an error that somebody waits for.
        if std::thread::current().name() == Some(THREAD) {
            return;
        }
        let text = format!(
            "error: a fault of this program: {panic}\n  to do: run the same command again, it \
             continues; if it happens again, report it\n"
        );
        let _ = std::io::Write::write_all(&mut std::io::stderr(), text.as_bytes());
        std::process::exit(i32::from(Kind::Internal.exit_code()));
    }));
}

/// The signals that were ignored when the program began, one bit each (proc(5), `SigIgn`).
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

/// What comes this soon after the first signal is its echo: `timeout` signals the program and
/// then its whole group.
const ECHO: Duration = Duration::from_millis(500);

fn wait_for(stop: &AtomicUsize) {
    while stop.load(Ordering::Relaxed) == 0 {
        thread::sleep(Duration::from_millis(100));
    }
}

/// How long a stopped run may take to end by itself.
const PATIENCE: Duration = Duration::from_millis(1500);

/// A reader that does not read holds a run to standard output fast in a write that no signal ends.
/// There is nothing to save: after a while the program ends all the same.
pub(super) fn end_even_if_stuck(stop: &Arc<AtomicUsize>, talk: Talk) {
    let stop = stop.clone();
    thread::spawn(move || {
        wait_for(&stop);
        thread::sleep(PATIENCE);
        let signal = i32::try_from(stop.load(Ordering::Relaxed)).unwrap_or(SIGTERM);
        let kind = Kind::Interrupted(signal);
        let message = format!("stopped by signal {signal} while nobody read standard output");
        talk.error(
            &Error::new(kind, "interrupted", message)
                .remedy("what went to standard output is incomplete"),
        );
        std::process::exit(i32::from(kind.exit_code()));
    });
}
