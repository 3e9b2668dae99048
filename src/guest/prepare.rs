//! The straight line: find the volumes, find the guest, edit it, read it back.
//!
//! ```text
//! disk ─► overlay: journals replayed ─► overlay: edits ─► Edited
//!              volumes, recover            tree, bench       read-only again
//! ```
//!
//! Two overlays, because what an edit frees shows by comparing before and after.

mod guest;
mod work;

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::edits::{self, Change, EditOptions};
use super::facts::Facts;
use super::inspect::DATA_DISK;
use super::verdict::Finding;
use crate::digest::hex;
use crate::disk::overlay::{Budget, Edited, Limits, over_time};
use crate::disk::{Disk, Warning};
use crate::error::{Error, Kind, Result};

/// What happens to a guest that cannot be prepared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Context {
    /// It is an error.
    #[default]
    Require,
    /// It is left alone, with a warning.
    Try,
    /// Every guest is left alone.
    Off,
}

/// What is to be done with a guest.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Whether it has to be possible.
    pub context: Context,
    /// The edits by name.
    pub edits: Vec<&'static str>,
    /// The volume with the root file system, if the user said it.
    pub root_volume: Option<String>,
    /// What shapes the edits.
    pub options: EditOptions,
    /// The time that edits carry, in seconds since 1970; else that of the file system's last write.
    pub now: Option<i64>,
    /// How much it may cost.
    pub limits: Limits,
    /// Look at what comes out, too: how it would fare, and what emptying its free space would save.
    pub examine: bool,
}

impl Default for Wanted {
    fn default() -> Self {
        Wanted {
            context: Context::default(),
            edits: edits::chosen(&[], &[]),
            root_volume: None,
            options: EditOptions::default(),
            now: None,
            limits: Limits::default(),
            examine: false,
        }
    }
}

/// What was found and done.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// What the guest is; none if it was left alone.
    pub facts: Option<Facts>,
    /// What was changed.
    pub changes: Vec<Change>,
    /// What the user should know.
    pub warnings: Vec<Warning>,
    /// What identifies the changes: equal for equal bytes.
    pub digest: String,
    /// Bytes that are stored and that no file uses, if it was to be examined.
    pub free: Option<u64>,
    /// What the prepared guest will do in a cloud, if it was to be examined.
    pub outlook: Vec<Finding>,
}

impl Report {
    /// One line that is the same if, and only if, image and record would say the same of the guest.
    ///
    /// # Errors
    /// `Internal`.
    pub fn fingerprint(&self) -> Result<String> {
        let Report { facts, changes, warnings, digest, free: _, outlook: _ } = self;
        serde_json::to_vec(&(facts, changes, warnings, digest))
            .map(|text| hex(&Sha256::digest(text)))
            .map_err(|e| {
                Error::new(Kind::Internal, "guest-report", "cannot encode").because(e.into())
            })
    }
}

/// Prepares the guest in `disk`. Returns the disk with the changes on it, if there are any.
///
/// The work is done on a thread of its own, and a panic of it is an error. If it hangs, `stopped` or
/// the time limit end the wait for it; the thread, and the disk that it holds, are then left behind
/// until the process ends.
///
/// # Errors
/// Why the guest cannot be prepared, unless [`Context::Try`] or [`Context::Off`] says that this is
/// fine. The disk is never changed.
pub fn prepare(
    disk: &Arc<dyn Disk>,
    wanted: &Wanted,
    stopped: impl Fn() -> Option<i32>,
) -> Result<(Option<Edited>, Report)> {
    if wanted.context == Context::Off {
        return Ok((None, Report::default()));
    }
    match watched(disk, wanted, stopped) {
        Err(error) if wanted.context == Context::Try && is_refusal(&error) => {
            let message = format!("the guest was not prepared for the cloud: {error}");
            let mut warnings = vec![Warning::new("guest-unprepared", message)];
            if error.code() == DATA_DISK {
                warnings.push(Warning::new("data-disk", "no system is on it: it is a data disk"));
            }
            Ok((None, Report { warnings, ..Report::default() }))
        }
        result => result,
    }
}

/// Whether an error says something about the guest. A limit that was reached does not: on another
/// machine there might be an image with the edits, and the bytes are to be the same everywhere.
fn is_refusal(error: &Error) -> bool {
    let kinds = [Kind::Damaged, Kind::Unsupported, Kind::Refused];
    kinds.contains(&error.kind()) && error.code() != "guest-limit"
}

/// Name of the thread. A panic in it is an error of the guest's file systems, not of the program.
pub const THREAD: &str = "guest";

/// What the thread sends.
enum Message {
    /// Its number, to look at how long it has worked.
    Began(u32),
    Done(Box<Result<(Option<Edited>, Report)>>),
}

fn watched(
    disk: &Arc<dyn Disk>,
    wanted: &Wanted,
    stopped: impl Fn() -> Option<i32>,
) -> Result<(Option<Edited>, Report)> {
    const STACK: usize = 64 << 20;
    let (sender, receiver) = channel();
    let work = {
        let (disk, wanted) = (disk.clone(), wanted.clone());
        move || {
            let _ =
                sender.send(Message::Began(rustix::thread::gettid().as_raw_pid().unsigned_abs()));
            let done = work::work(disk, &wanted, &Budget::new(wanted.limits));
            drop(sender.send(Message::Done(Box::new(done))));
        }
    };
    std::thread::Builder::new()
        .name(THREAD.to_owned())
        .stack_size(STACK)
        .spawn(work)
        .map_err(|e| Error::new(Kind::Io, "no-thread", "the system gives no thread").because(e))?;
    let mut thread = None;
    loop {
        match receiver.recv_timeout(Duration::from_millis(100)) {
            Ok(Message::Began(number)) => thread = Some(number),
            Ok(Message::Done(result)) => return *result,
            Err(RecvTimeoutError::Disconnected) => return Err(panicked()),
            // It looks at its time itself whenever it reads; a loop that does not read is seen here.
            Err(RecvTimeoutError::Timeout) => {
                let late = wanted.limits.time + Duration::from_millis(500);
                if thread.and_then(worked).is_some_and(|time| time > late) {
                    return Err(over_time(wanted.limits.time));
                }
            }
        }
        if let Some(signal) = stopped() {
            let message = format!("stopped by signal {signal} while looking into the guest");
            return Err(Error::new(Kind::Interrupted(signal), "interrupted", message));
        }
    }
}

/// The time that a thread of this process has had of the processor: fields 14 and 15 of its `stat`
/// (proc(5)), in units of which there are 100 in a second on all that Linux runs on.
fn worked(thread: u32) -> Option<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/self/task/{thread}/stat")).ok()?;
    // The second field is the name, in parentheses, with whatever is in it.
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    Some(Duration::from_millis((ticks()? + ticks()?) * 10))
}

fn panicked() -> Error {
    Error::new(
        Kind::Damaged,
        "guest-fs-damaged",
        "a file system in the guest is damaged in a way that the code which reads it did not expect",
    )
    .remedy("run e2fsck in the machine, then convert again; or convert it with --no-context")
}
