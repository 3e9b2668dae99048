//! The one pass: every byte is read once, hashed while it goes by, compressed, written in order.
//!
//! ```text
//!            ┌─ jobs ────► workers: read, look for zeros, compress ─┐
//! scout ─────┤                     │ raw bytes                      │ pieces
//! walks the  ├─ tickets ─► digester: raw digests, in order          │
//! extents    └─ tickets ─► writer: appends, in order ◄──────────────┘
//!                              │ at marks
//!                              └────────► committer: sync, then journal
//! ```
//!
//! A ticket stands for what comes next; the digester and the writer take them in order and wait
//! for what a ticket promises. A mark asks the digester for its state at that place, so that the
//! writer's checkpoint fits. Empty runs pass as tickets only: nothing is read or compressed.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::SEGMENT;
use super::commit::{Committer, Message};
use super::gzip::Packer;
use super::journal::{Checkpoint, Journal};
use super::pool::{Buffer, Pool};
use super::progress::Event;
use super::segments::{Run, Segments};
use super::sink::{Packed, Sink, SparseFile, is_zero};
use super::{Compression, Control};
use crate::digest::{Algorithm, DigestSet, Digests, State};
use crate::disk::{Disk, OpenDisk};
use crate::error::{Error, Kind, Result};

/// A checkpoint is due after this long, even if little was done.
const CHECKPOINT_TIME: Duration = Duration::from_secs(30);

/// What to export, and how.
pub struct Export<'a> {
    /// The disk.
    pub disk: &'a OpenDisk,
    /// How segments are packed.
    pub compression: Compression,
    /// Effort.
    pub level: u8,
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
    Mark(Receiver<State>),
    Failed(Error),
}

/// What the digester finds next.
enum DigestTicket {
    Zeros(u64),
    Segment(Receiver<Arc<Buffer>>),
    Mark(SyncSender<State>),
}

/// A segment to read and pack.
struct Job {
    offset: u64,
    len: usize,
    buffer: Buffer,
    raw: SyncSender<Arc<Buffer>>,
    packed: SyncSender<Result<Packed>>,
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
        // Enough for every worker to have one in hand and one ahead, and for the digester and
        // the writer to lag a little; each costs up to 2 MiB.
        let window = 2 * self.threads + 12;
        let sparse = sink.sparse_file()?;
        let pool = Pool::new(window);
        let busy = AtomicUsize::new(0);
        let (jobs, job_queue) = channel();
        let job_queue = Mutex::new(job_queue);
        let (to_writer, write_tickets) = sync_channel(window);
        let (to_digester, digest_tickets) = sync_channel(window);
        thread::scope(|scope| {
            for _ in 0..self.threads {
                scope.spawn(|| self.work(&job_queue, &busy, sparse.as_ref()));
            }
            let digester = scope.spawn(|| digest(digests, digest_tickets, &busy));
            let (commits, committing) = match committer {
                Some(committer) => {
                    let (commits, queue) = sync_channel(1);
                    (Some(commits), Some(scope.spawn(move || committer.run(queue))))
                }
                None => (None, None),
            };
            let scout = Scout { export: self, pool, jobs, to_digester, to_writer };
            let start = sink.raw_offset;
            let marks = commits.is_some();
            scope.spawn(move || scout.walk(start, marks));
            let written = self.write(sink, write_tickets, commits);
            // A failed sync shows here as a queue that nobody reads: its own error comes first.
            let journal = committing.map(|committing| join(committing)?).transpose()?;
            let sink = written?;
            let digests = join(digester)?;
            let complete = sink.raw_offset == self.disk.size();
            Ok(Exported { sink, raw: complete.then(|| digests.finish()), journal })
        })
    }

    /// A worker: takes segments as long as there are any.
    fn work(&self, queue: &Mutex<Receiver<Job>>, busy: &AtomicUsize, sparse: Option<&SparseFile>) {
        let mut packer = match self.compression {
            Compression::Gz => Packer::new(self.level).ok(),
            Compression::None => None,
        };
        loop {
            let next = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let Ok(job) = next else { return };
            busy.fetch_add(1, Ordering::Relaxed);
            let Job { offset, len, buffer, raw, packed: done } = job;
            let raw = self.read(offset, len, buffer, &raw);
            let packed = raw.and_then(|raw| pack(raw, offset, packer.as_mut(), sparse));
            busy.fetch_sub(1, Ordering::Relaxed);
            // Nobody waits for it any more if the run has failed elsewhere.
            let _ = done.send(packed);
        }
    }

    /// Reads one segment and hands it to the digester.
    fn read(
        &self,
        offset: u64,
        len: usize,
        mut buffer: Buffer,
        digester: &SyncSender<Arc<Buffer>>,
    ) -> Result<Arc<Buffer>> {
        self.disk.read_at(buffer.sized(len), offset)?;
        let raw = Arc::new(buffer);
        let _ = digester.send(raw.clone());
        Ok(raw)
    }

    /// The writer: takes tickets in order until there are no more.
    fn write(
        &self,
        mut sink: Sink,
        tickets: Receiver<WriteTicket>,
        commits: Option<SyncSender<Message>>,
    ) -> Result<Sink> {
        let (mut data, mut empty) = (0, 0);
        let mut unsynced = Unsynced { since: sink.file_offset, commits };
        for ticket in tickets {
            match ticket {
                WriteTicket::Zeros(len) => {
                    sink.zeros(len)?;
                    empty += len;
                }
                WriteTicket::Segment(packed, len) => {
                    let packed = packed.recv().map_err(|_| lost("a segment"))??;
                    sink.segment(&packed, len)?;
                    data += len;
                    unsynced.flush_if_much(&sink)?;
                }
                WriteTicket::Mark(state) => {
                    let raw = state.recv().map_err(|_| lost("a digest"))?;
                    let checkpoint = self.checkpoint(&sink, raw);
                    unsynced.send(Message::Commit(Box::new(checkpoint)), &sink)?;
                }
                WriteTicket::Failed(error) => return Err(error),
            }
            let written = sink.file_offset;
            self.control.progress.event(&Event::Advance { data, empty, written });
        }
        Ok(sink)
    }

    fn checkpoint(&self, sink: &Sink, raw: State) -> Checkpoint {
        let file = sink.file_state();
        let so_far = file.as_ref().and_then(DigestSet::resume).map(DigestSet::finish);
        Checkpoint {
            raw_offset: sink.raw_offset,
            file_offset: sink.file_offset,
            crc: sink.crc,
            raw,
            file_sha256: so_far.and_then(|mut digests| digests.remove(&Algorithm::Sha256)),
            file,
            damage: self.disk.damage(),
        }
    }
}

/// Turns raw bytes into what the writer appends, or writes them to their place.
fn pack(
    raw: Arc<Buffer>,
    offset: u64,
    packer: Option<&mut Packer>,
    sparse: Option<&SparseFile>,
) -> Result<Packed> {
    if is_zero(&raw) {
        return Ok(Packed::Zero);
    }
    let crc = crc32fast::hash(&raw);
    Ok(match (packer, sparse) {
        (Some(packer), _) => {
            let mut piece = Vec::new();
            packer.pack(&raw, &mut piece);
            piece.shrink_to_fit();
            Packed::Piece(piece, crc)
        }
        (None, Some(file)) => {
            file.write_at(&raw, offset)?;
            Packed::Placed(crc)
        }
        (None, None) => Packed::Plain(raw, crc),
    })
}

/// Keeps what is written but not yet on the disk small, so that a checkpoint at a stop, and the
/// sync at the end, find little to do.
struct Unsynced {
    since: u64,
    commits: Option<SyncSender<Message>>,
}

impl Unsynced {
    const MUCH: u64 = 64 << 20;

    fn flush_if_much(&mut self, sink: &Sink) -> Result<()> {
        if sink.file_offset - self.since < Unsynced::MUCH {
            return Ok(());
        }
        self.send(Message::Flush, sink)
    }

    fn send(&mut self, message: Message, sink: &Sink) -> Result<()> {
        self.since = sink.file_offset;
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
    jobs: Sender<Job>,
    to_digester: SyncSender<DigestTicket>,
    to_writer: SyncSender<WriteTicket>,
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
                self.mark()?;
                (marked, marked_at) = (offset, Instant::now());
            }
            let run = match run {
                Ok(run) => run,
                Err(error) => return self.to_writer(WriteTicket::Failed(error)),
            };
            match run {
                Run::Empty(len) => {
                    self.to_digester(DigestTicket::Zeros(len))?;
                    self.to_writer(WriteTicket::Zeros(len))?;
                }
                Run::Data(len) => self.segment(offset, len)?,
            }
            offset += run.len();
        }
        if marks && offset < self.export.disk.size() && offset > marked {
            self.mark()?;
        }
        Ok(())
    }

    fn segment(&self, offset: u64, len: u64) -> Result<(), Unheard> {
        let (raw, raw_later) = sync_channel(1);
        let (packed, packed_later) = sync_channel(1);
        let buffer = self.pool.take();
        let len_here = usize::try_from(len).unwrap_or(SEGMENT);
        self.to_digester(DigestTicket::Segment(raw_later))?;
        self.to_writer(WriteTicket::Segment(packed_later, len))?;
        let job = Job { offset, len: len_here, buffer, raw, packed };
        self.jobs.send(job).map_err(|_| Unheard)
    }

    fn mark(&self) -> Result<(), Unheard> {
        let (state, state_later) = sync_channel(1);
        self.to_digester(DigestTicket::Mark(state))?;
        self.to_writer(WriteTicket::Mark(state_later))
    }

    fn to_digester(&self, ticket: DigestTicket) -> Result<(), Unheard> {
        self.to_digester.send(ticket).map_err(|_| Unheard)
    }

    fn to_writer(&self, ticket: WriteTicket) -> Result<(), Unheard> {
        self.to_writer.send(ticket).map_err(|_| Unheard)
    }
}

/// The digester: all raw bytes, in order. When no worker has anything to do there are cores to
/// spare, and each digest gets a thread of its own: a third more work in three quarters of the
/// time.
fn digest(
    mut digests: DigestSet,
    tickets: Receiver<DigestTicket>,
    busy: &AtomicUsize,
) -> DigestSet {
    for ticket in tickets {
        let starving = busy.load(Ordering::Relaxed) == 0;
        match ticket {
            DigestTicket::Zeros(len) if starving => digests.update_zeros_split(len),
            DigestTicket::Zeros(len) => digests.update_zeros(len),
            DigestTicket::Segment(raw) => match raw.recv() {
                Ok(raw) if starving => digests.update_split(&raw),
                Ok(raw) => digests.update(&raw),
                // The segment could not be read; the writer gets the reason.
                Err(_) => break,
            },
            DigestTicket::Mark(state) => {
                let _ = state.send(digests.state());
            }
        }
    }
    digests
}

fn join<T>(handle: thread::ScopedJoinHandle<'_, T>) -> Result<T> {
    handle.join().map_err(|_| lost("a thread"))
}

fn lost(what: &str) -> Error {
    Error::new(Kind::Internal, "thread-lost", format!("{what} got lost inside the program"))
        .remedy("run the same command again; if it happens again, report it")
}
