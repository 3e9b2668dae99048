//! The one pass: every byte is read once, hashed while it goes by, compressed, written in order.
//!
//! ```text
//!            ┌─ tasks ───► workers: read, look for zeros, compress ─┐
//! scout ─────┤                     │ raw bytes                      │ pieces
//! walks the  ├─ tickets ─► digester: raw digests, in order          │
//! extents    └─ tickets ─► writer: appends, in order ◄──────────────┘
//!                              │ at marks
//!                              └────────► committer: sync, then journal
//! ```
//!
//! A ticket stands for what comes next; the digester and the writer take them in order and wait
//! for what a ticket promises. At a mark the writer asks for the digester's state at its own place
//! and makes a checkpoint of both. Empty runs pass as tickets only: nothing is read or compressed.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use super::commit::{Committer, Message};
use super::digester::{DigestTicket, States, digest};
use super::gzip::Effort;
use super::journal::{Checkpoint, Journal};
use super::pool::Pool;
use super::segments::{Run, Segments};
use super::sink::{Packed, Sink};
use super::workers::{Read, Tasks, Workers};
use super::{Compression, Control, SEGMENT};
use crate::control::Event;
use crate::digest::{Algorithm, DigestSet, Digests};
use crate::disk::{Disk, OpenDisk};
use crate::error::{Error, Kind, Result};

/// A checkpoint is due after this long, even if little was done.
const CHECKPOINT_TIME: Duration = Duration::from_secs(30);

/// Segments in flight when the digester may run ahead of the compression. Each can be there twice,
/// raw and packed, if the output is slow and the data does not compress: 64 MiB.
const AHEAD: usize = 32;

/// Bytes of empty runs that may wait for the digester: a stop has to wait for them, too. All four
/// digests of them take half a second.
const UNDIGESTED: u64 = 64 << 20;

/// What to export, and how.
pub struct Export<'a> {
    /// The disk.
    pub disk: &'a OpenDisk,
    /// How segments are packed.
    pub compression: Compression,
    /// How hard.
    pub effort: Effort,
    /// Worker threads.
    pub threads: usize,
    /// Raw bytes between checkpoints.
    pub interval: u64,
    /// Signals and progress.
    pub control: &'a Control,
}

/// How an export ended.
pub struct Exported {
    /// The sink, with everything in it that was done.
    pub sink: Sink,
    /// The raw digests, if the end was reached.
    pub raw: Option<Digests>,
    /// The journal, if there was a committer.
    pub journal: Option<Journal>,
}

/// What the writer finds next.
enum WriteTicket {
    Zeros(u64),
    Segment(Receiver<Result<Packed>>, u64),
    Mark,
    Failed(Error),
}

impl Export<'_> {
    /// Exports from where `sink` and `digests` stand to the end, or until a stop is asked for.
    /// With a `committer` there are checkpoints, and one more at a stop.
    ///
    /// # Errors
    /// The first failure of any thread.
    pub fn run(
        &self,
        sink: Sink,
        digests: DigestSet,
        committer: Option<Committer>,
    ) -> Result<Exported> {
        let ahead = self.compression == Compression::Gz && !digests.algorithms().is_empty();
        // Enough for every worker to have one in hand and one ahead, and for the digester and
        // the writer to lag a little; each costs 1 to 2 MiB.
        let window = (2 * self.threads + 12).max(if ahead { AHEAD } else { 0 });
        let workers = Workers {
            disk: self.disk,
            effort: (self.compression == Compression::Gz).then_some(self.effort),
            sparse: sink.sparse_file()?,
            ahead,
            tasks: Tasks::default(),
            busy: AtomicUsize::new(0),
            control: self.control,
        };
        let start = sink.raw_offset;
        let states = States::new(4 * window, start, &digests);
        let (workers, states) = (&workers, &states);
        // All senders live in here, so that a return for want of a thread ends those that wait.
        thread::scope(move |scope| {
            let (to_writer, write_tickets) = sync_channel(window);
            let (to_digester, digest_tickets) = sync_channel(window);
            let pool = Pool::new(window);
            let tasks = &workers.tasks;
            let scout = Scout { export: self, pool, tasks, states, to_digester, to_writer };
            for number in 0..self.threads {
                let worker = named("worker").spawn_scoped(scope, || workers.work());
                // One will do.
                worker
                    .map(drop)
                    .or_else(|e| if number > 0 { Ok(()) } else { Err(no_thread(e)) })?;
            }
            let digester = named("digester")
                .spawn_scoped(scope, move || {
                    digest(digests, start, digest_tickets, states, &workers.busy)
                })
                .map_err(no_thread)?;
            let (commits, committing) = match committer {
                Some(committer) => {
                    let (commits, queue) = sync_channel(1);
                    let committing = named("committer")
                        .spawn_scoped(scope, move || committer.run(queue))
                        .map_err(no_thread)?;
                    (Some(commits), Some(committing))
                }
                None => (None, None),
            };
            let marks = commits.is_some();
            named("scout")
                .spawn_scoped(scope, move || scout.walk(start, marks))
                .map_err(no_thread)?;
            let written = self.write(sink, write_tickets, states, commits);
            // A failed sync shows here as a queue that nobody reads: its own error comes first.
            let journal = committing.map(|committing| join(committing)?).transpose()?;
            let sink = written?;
            let digests = join(digester)?;
            let complete = sink.raw_offset == self.disk.size();
            if complete && digests.len() != sink.raw_offset {
                return Err(lost("a part of the raw image on its way to its digests"));
            }
            Ok(Exported { sink, raw: complete.then(|| digests.finish()), journal })
        })
    }

    /// The writer: takes tickets in order until there are no more, or until a stop.
    fn write(
        &self,
        mut sink: Sink,
        tickets: Receiver<WriteTicket>,
        states: &States,
        commits: Option<SyncSender<Message>>,
    ) -> Result<Sink> {
        let (mut data, mut empty) = (0, 0);
        let marked = sink.raw_offset;
        let mut durable = Durable { export: self, states, commits, synced: 0, marked };
        for ticket in tickets {
            match ticket {
                WriteTicket::Zeros(len) => {
                    sink.zeros(len)?;
                    empty += len;
                }
                WriteTicket::Segment(packed, len) => {
                    let packed = packed.recv().map_err(|_| lost("a segment"))??;
                    if matches!(packed, Packed::Dropped) {
                        break;
                    }
                    sink.segment(&packed, len)?;
                    data += len;
                    durable.flush_if_much(&sink)?;
                }
                WriteTicket::Mark => durable.checkpoint(&sink)?,
                WriteTicket::Failed(error) => return Err(error),
            }
            let written = sink.file_offset;
            self.control.progress.event(&Event::Advance { data, empty, written });
        }
        if sink.raw_offset < self.disk.size() {
            durable.checkpoint(&sink)?;
        }
        Ok(sink)
    }
}

/// Brings to the disk what the writer has written.
struct Durable<'a> {
    export: &'a Export<'a>,
    states: &'a States,
    commits: Option<SyncSender<Message>>,
    /// File offset up to which a sync was asked for.
    synced: u64,
    /// Raw offset of the last checkpoint, or of the beginning.
    marked: u64,
}

impl Durable<'_> {
    /// What is written but not yet on the disk stays below a few times this, so that a checkpoint
    /// at a stop, and the sync at the end, find little to do.
    const MUCH: u64 = 64 << 20;

    fn flush_if_much(&mut self, sink: &Sink) -> Result<()> {
        if sink.file_offset.saturating_sub(self.synced) < Durable::MUCH {
            return Ok(());
        }
        self.send(Message::Flush, sink)
    }

    fn checkpoint(&mut self, sink: &Sink) -> Result<()> {
        if self.commits.is_none() || self.marked == sink.raw_offset {
            return Ok(());
        }
        self.marked = sink.raw_offset;
        let file = sink.file_state();
        let so_far = file.as_ref().and_then(DigestSet::resume).map(DigestSet::finish);
        let checkpoint = Checkpoint {
            raw_offset: sink.raw_offset,
            file_offset: sink.file_offset,
            crc: sink.crc,
            raw: self.states.at(sink.raw_offset).ok_or_else(|| lost("a digest"))?,
            file_sha256: so_far.and_then(|mut digests| digests.remove(&Algorithm::Sha256)),
            file,
            damage: self.export.disk.damage(),
        };
        self.send(Message::Commit(Box::new(checkpoint)), sink)
    }

    fn send(&mut self, message: Message, sink: &Sink) -> Result<()> {
        self.synced = sink.file_offset;
        match &self.commits {
            Some(commits) => commits.send(message).map_err(|_| lost("the journal")),
            None => Ok(()),
        }
    }
}

/// Walks the extents and hands out what is to do.
struct Scout<'a> {
    export: &'a Export<'a>,
    pool: Arc<Pool>,
    tasks: &'a Tasks,
    states: &'a States,
    to_digester: SyncSender<DigestTicket>,
    to_writer: SyncSender<WriteTicket>,
}

/// However it ends: no more will come.
impl Drop for Scout<'_> {
    fn drop(&mut self) {
        self.tasks.close();
    }
}

/// Nobody listens any more: somebody else has failed, or all is over.
struct Unheard;

impl Scout<'_> {
    fn walk(self, start: u64, marks: bool) {
        let _ = self.hand_out(start, marks);
    }

    fn hand_out(&self, start: u64, marks: bool) -> Result<(), Unheard> {
        let interval = self.export.interval.max(SEGMENT as u64);
        let segments = Segments::new(self.export.disk, start).with_runs_up_to(interval);
        let (mut offset, mut marked, mut marked_at) = (start, start, Instant::now());
        for run in segments {
            if self.export.control.stopped().is_some() {
                break;
            }
            let due = offset - marked >= interval || marked_at.elapsed() >= CHECKPOINT_TIME;
            if marks && due && offset > marked {
                self.to_writer(WriteTicket::Mark)?;
                (marked, marked_at) = (offset, Instant::now());
            }
            let run = match run {
                Ok(run) => run,
                Err(error) => return self.to_writer(WriteTicket::Failed(error)),
            };
            match run {
                Run::Empty(len) => {
                    self.states.pass((offset + len).saturating_sub(UNDIGESTED));
                    self.to_digester(DigestTicket::Zeros(len))?;
                    self.to_writer(WriteTicket::Zeros(len))?;
                }
                Run::Data(len) => self.segment(offset, len)?,
            }
            offset += run.len();
        }
        Ok(())
    }

    fn segment(&self, offset: u64, len: u64) -> Result<(), Unheard> {
        let (raw, raw_later) = sync_channel(1);
        let (packed, packed_later) = sync_channel(1);
        let buffer = self.pool.take();
        self.to_digester(DigestTicket::Segment(raw_later))?;
        self.to_writer(WriteTicket::Segment(packed_later, len))?;
        let len = usize::try_from(len).unwrap_or(SEGMENT);
        self.tasks.add(Read { offset, len, buffer, raw, packed });
        Ok(())
    }

    fn to_digester(&self, ticket: DigestTicket) -> Result<(), Unheard> {
        self.to_digester.send(ticket).map_err(|_| Unheard)
    }

    fn to_writer(&self, ticket: WriteTicket) -> Result<(), Unheard> {
        self.to_writer.send(ticket).map_err(|_| Unheard)
    }
}

fn join<T>(handle: thread::ScopedJoinHandle<'_, T>) -> Result<T> {
    handle.join().map_err(|_| lost("a thread"))
}

fn named(name: &str) -> thread::Builder {
    thread::Builder::new().name(name.to_owned())
}

fn no_thread(cause: std::io::Error) -> Error {
    Error::new(Kind::Io, "no-thread", "the system gives no thread")
        .because(cause)
        .remedy("raise the limit on processes or memory, or use fewer --threads")
}

/// An end that should not be.
pub(super) fn lost(what: &str) -> Error {
    Error::new(Kind::Internal, "thread-lost", format!("{what} got lost inside the program"))
        .remedy("run the same command again; if it happens again, report it")
}
