//! The workers: read segments, look for zeros, compress.
//!
//! Reading goes before compressing as far as there are buffers. So the digester gets ahead of the
//! compression, and has empty space to hash while the last data is still being compressed.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use super::Control;
use super::export::lost;
use super::gzip::{Effort, Packer};
use super::pool::Buffer;
use super::sink::{Packed, SparseFile, is_zero};
use crate::disk::Disk;
use crate::error::Result;

/// A segment to read.
pub struct Read {
    /// Where it begins on the disk.
    pub offset: u64,
    /// Its bytes.
    pub len: usize,
    /// Where to put them.
    pub buffer: Buffer,
    /// Where the digester waits for them.
    pub raw: SyncSender<Arc<Buffer>>,
    /// Where the writer waits for what they become.
    pub packed: SyncSender<Result<Packed>>,
}

/// A segment to pack.
struct Pack {
    offset: u64,
    raw: Arc<Buffer>,
    packed: SyncSender<Result<Packed>>,
}

enum Task {
    Read(Read),
    Pack(Pack),
}

/// What there is to do.
#[derive(Default)]
pub struct Tasks {
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Default)]
struct Queue {
    reads: VecDeque<Read>,
    packs: VecDeque<Pack>,
    /// Reads under way, each of which becomes a pack.
    reading: usize,
    /// No more reads will come.
    closed: bool,
}

impl Tasks {
    /// Adds a segment.
    pub fn add(&self, read: Read) {
        self.change(|queue| queue.reads.push_back(read));
    }

    /// No more segments will come.
    pub fn close(&self) {
        self.change(|queue| queue.closed = true);
    }

    fn change(&self, change: impl FnOnce(&mut Queue)) {
        change(&mut self.queue.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_all();
    }

    fn next(&self) -> Option<Task> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(read) = queue.reads.pop_front() {
                queue.reading += 1;
                return Some(Task::Read(read));
            }
            if let Some(pack) = queue.packs.pop_front() {
                return Some(Task::Pack(pack));
            }
            if queue.closed && queue.reading == 0 {
                return None;
            }
            queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// A read under way; over when dropped, however it ends.
struct Reading<'a>(&'a Tasks);

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        self.0.change(|queue| queue.reading -= 1);
    }
}

/// What all workers share.
pub struct Workers<'a> {
    /// The disk.
    pub disk: &'a dyn Disk,
    /// How to compress, or none for the plain bytes.
    pub effort: Option<Effort>,
    /// Where plain bytes are written to at once.
    pub sparse: Option<SparseFile>,
    /// Whether to read ahead of compressing.
    pub ahead: bool,
    /// What there is to do.
    pub tasks: Tasks,
    /// How many workers are at something.
    pub busy: AtomicUsize,
    /// When it says stop, nothing more is packed.
    pub control: &'a Control,
}

impl Workers<'_> {
    /// One worker: serves until there is nothing more to do.
    pub fn work(&self) {
        let mut packer = self.effort.and_then(|effort| Packer::new(effort).ok());
        while let Some(task) = self.tasks.next() {
            self.busy.fetch_add(1, Ordering::Relaxed);
            match task {
                Task::Read(read) => self.read(read, packer.as_mut()),
                Task::Pack(pack) => self.pack(pack, packer.as_mut()),
            }
            self.busy.fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn read(&self, read: Read, packer: Option<&mut Packer>) {
        let _reading = Reading(&self.tasks);
        let Read { offset, len, mut buffer, raw: digester, packed } = read;
        let result = self.disk.read_at(buffer.sized(len), offset);
        let raw = Arc::new(buffer);
        if result.is_ok() {
            let _ = digester.send(raw.clone());
        }
        // Nobody waits for it any more if the run has failed elsewhere.
        let pack = match result {
            Ok(()) => Some(Pack { offset, raw, packed }),
            Err(error) => {
                let _ = packed.send(Err(error));
                None
            }
        };
        let later = match pack {
            Some(pack) if !self.ahead => {
                self.pack(pack, packer);
                None
            }
            pack => pack,
        };
        self.tasks.change(|queue| queue.packs.extend(later));
    }

    fn pack(&self, pack: Pack, packer: Option<&mut Packer>) {
        let Pack { offset, raw, packed } = pack;
        let result = match self.control.stopped() {
            Some(_) => Ok(Packed::Dropped),
            None => self.packed(offset, raw, packer),
        };
        let _ = packed.send(result);
    }

    /// Turns raw bytes into what the writer appends, or writes them to their place.
    fn packed(&self, offset: u64, raw: Arc<Buffer>, packer: Option<&mut Packer>) -> Result<Packed> {
        if is_zero(&raw) {
            return Ok(Packed::Zero);
        }
        let crc = crc32fast::hash(&raw);
        Ok(match (packer, &self.sparse) {
            (Some(packer), _) => Packed::Piece(packer.pack(offset, &raw).to_vec(), crc),
            (None, Some(file)) => {
                file.write_at(&raw, offset)?;
                Packed::Placed(crc)
            }
            (None, None) if self.effort.is_none() => Packed::Plain(raw, crc),
            (None, None) => return Err(lost("a compressor")),
        })
    }
}
