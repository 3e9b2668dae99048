//! A FAT file system on a block: reading and copying files, with nothing written until all is done.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};

use fatfs::{Date, DateTime, Dir, FileSystem, FsOptions, Time, TimeProvider};

use crate::error::Error;
use crate::guest::block::Block;

/// Why the work came to nothing. In both cases nothing was written, unless writing itself failed.
pub(super) enum Failure {
    /// The disk below.
    Disk(Error),
    /// The file system: damaged, full, or not FAT.
    Fat(String),
}

/// Bytes of a loader. GRUB with all its modules has less than 10 MiB.
const MAX_LOADER: u64 = 32 << 20;
/// Bytes that are read and written in one piece below.
const CHUNK: u64 = 4096;
/// Chunks that are kept: 64 MiB.
const MAX_CHUNKS: usize = 16 << 10;
/// Calls before a damaged file system is given up: no loop of clusters lasts longer. The largest
/// real work is a look at each entry of the table of a full partition of some GiB.
const MAX_CALLS: u64 = 8 << 20;

/// Files created get this time, the first that FAT knows: no clock goes into the image.
#[derive(Debug)]
struct NoClock;

impl TimeProvider for NoClock {
    fn get_current_date(&self) -> Date {
        Date { year: 1980, month: 1, day: 1 }
    }
    fn get_current_date_time(&self) -> DateTime {
        let time = Time { hour: 0, min: 0, sec: 0, millis: 0 };
        DateTime { date: self.get_current_date(), time }
    }
}

/// An EFI system partition at work.
pub(super) struct Esp<'f, 'b> {
    root: Dir<'f, Stream<'b>>,
    buffer: &'b RefCell<Buffer>,
}

/// Opens the file system, lets `work` work, and writes what it changed.
pub(super) fn with<R>(
    block: &dyn Block,
    work: impl FnOnce(&Esp<'_, '_>) -> io::Result<R>,
) -> Result<R, Failure> {
    let buffer = RefCell::new(Buffer::default());
    // The crate computes with the disk's numbers unchecked: on a damaged file system it may panic
    // where overflow is checked. It works on the buffer alone, which then is thrown away.
    let result = catch_unwind(AssertUnwindSafe(|| run(Stream { block, buffer: &buffer }, work)));
    let buffer = buffer.into_inner();
    if let Some(error) = buffer.error {
        return Err(Failure::Disk(error));
    }
    let result = result.map_err(|_| Failure::Fat("damaged FAT file system".to_owned()))?;
    let result = result.map_err(|error| Failure::Fat(error.to_string()))?;
    for (at, chunk) in buffer.chunks {
        if chunk.changed {
            block.write_at(&chunk.bytes, at * CHUNK).map_err(Failure::Disk)?;
        }
    }
    Ok(result)
}

fn run<R>(stream: Stream<'_>, work: impl FnOnce(&Esp<'_, '_>) -> io::Result<R>) -> io::Result<R> {
    let options = FsOptions::new().time_provider(&NoClock).update_accessed_date(false);
    let buffer = stream.buffer;
    let fs = FileSystem::new(stream, options)?;
    let result = work(&Esp { root: fs.root_dir(), buffer })?;
    fs.unmount()?;
    Ok(result)
}

impl<'b> Esp<'_, 'b> {
    /// Whether there is a file with this name, in any case.
    pub(super) fn is_file(&self, path: &str) -> io::Result<bool> {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let Some(folder) = self.folder(folder)? else { return Ok(false) };
        for entry in folder.iter() {
            let entry = entry?;
            if entry.is_file() && entry.file_name().eq_ignore_ascii_case(name) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The names of the folders in a folder.
    pub(super) fn folders(&self, path: &str) -> io::Result<Vec<String>> {
        let Some(folder) = self.folder(path)? else { return Ok(Vec::new()) };
        let mut names = Vec::new();
        for entry in folder.iter() {
            let entry = entry?;
            let name = entry.file_name();
            if entry.is_dir() && name != "." && name != ".." && names.len() < 1024 {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    /// The first bytes of a file, at most `len`.
    pub(super) fn head(&self, path: &str, len: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.root.open_file(path)?.take(len).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Copies a file to a new one; the last folder on its way is made.
    pub(super) fn copy(&self, from: &str, to: &str) -> io::Result<()> {
        let mut bytes = Vec::new();
        self.root.open_file(from)?.take(MAX_LOADER + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > MAX_LOADER {
            return Err(io::Error::other(format!("{from} is larger than a boot loader is")));
        }
        if let Some((folder, _)) = to.rsplit_once('/')
            && self.folder(folder)?.is_none()
        {
            self.root.create_dir(folder)?;
            self.buffer.borrow_mut().mend_new_folder();
        }
        let mut file = self.root.create_file(to)?;
        file.write_all(&bytes)?;
        file.flush()
    }

    fn folder(&self, path: &str) -> io::Result<Option<Dir<'_, Stream<'b>>>> {
        match self.root.open_dir(path) {
            Ok(folder) => Ok(Some(folder)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

struct Chunk {
    bytes: Vec<u8>,
    changed: bool,
}

#[derive(Default)]
struct Buffer {
    position: u64,
    chunks: BTreeMap<u64, Chunk>,
    calls: u64,
    /// What went wrong below; the stream's own error has no room for it.
    error: Option<Error>,
}

/// Bytes of an entry of a folder, and of the smallest cluster.
const ENTRY: usize = 32;
const SECTOR: usize = 512;

impl Buffer {
    /// A folder's first two entries must be `.` and `..` and have no long names (FAT specification
    /// 1.03, section 6.5). The crate writes a long name before each of them; here they go.
    fn mend_new_folder(&mut self) {
        for chunk in self.chunks.values_mut().filter(|chunk| chunk.changed) {
            for sector in chunk.bytes.chunks_exact_mut(SECTOR) {
                let is = |at: usize, begin: &[u8], attributes: u8| {
                    sector[at..].starts_with(begin) && sector[at + 11] == attributes
                };
                let new = is(0, b"A.\0\0\0", 0x0f)
                    && is(ENTRY, b".          ", 0x10)
                    && is(2 * ENTRY, b"A.\0.\0\0\0", 0x0f)
                    && is(3 * ENTRY, b"..         ", 0x10)
                    && sector[4 * ENTRY..].iter().all(|byte| *byte == 0);
                if new {
                    sector.copy_within(ENTRY..2 * ENTRY, 0);
                    sector.copy_within(3 * ENTRY..4 * ENTRY, ENTRY);
                    sector[2 * ENTRY..4 * ENTRY].fill(0);
                }
            }
        }
    }
}

/// A block as a stream whose changes stay in memory.
struct Stream<'b> {
    block: &'b dyn Block,
    buffer: &'b RefCell<Buffer>,
}

impl Stream<'_> {
    /// Lets `work` work on the rest of the chunk at the position, at most `len` bytes of it.
    fn rest(&self, len: usize, work: impl FnOnce(&mut [u8]) -> bool) -> io::Result<usize> {
        let buffer = &mut *self.buffer.borrow_mut();
        buffer.calls += 1;
        if buffer.calls > MAX_CALLS || buffer.chunks.len() > MAX_CHUNKS {
            return Err(io::Error::other("damaged FAT file system: the work has no end"));
        }
        let (at, size) = (buffer.position / CHUNK, self.block.size());
        let start = at * CHUNK;
        if buffer.position >= size {
            return Err(io::Error::other("damaged FAT file system: it ends behind its partition"));
        }
        let chunk = match buffer.chunks.entry(at) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                let mut bytes = vec![0; index(CHUNK.min(size - start))];
                if let Err(error) = self.block.read_at(&mut bytes, start) {
                    buffer.error = Some(error);
                    return Err(io::Error::other("cannot read the disk"));
                }
                entry.insert(Chunk { bytes, changed: false })
            }
        };
        let skip = index(buffer.position - start);
        let end = chunk.bytes.len().min(skip.saturating_add(len));
        chunk.changed |= work(&mut chunk.bytes[skip..end]);
        buffer.position = start + end as u64;
        Ok(end - skip)
    }
}

/// A number below [`CHUNK`].
fn index(number: u64) -> usize {
    usize::try_from(number).unwrap_or(0)
}

impl Read for Stream<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.rest(buf.len(), |part| {
            buf[..part.len()].copy_from_slice(part);
            false
        })
    }
}

impl Write for Stream<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.rest(buf.len(), |part| {
            let new = &buf[..part.len()];
            let differs = part != new;
            part.copy_from_slice(new);
            differs
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Stream<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let buffer = &mut *self.buffer.borrow_mut();
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::Current(by) => buffer.position.checked_add_signed(by),
            SeekFrom::End(by) => self.block.size().checked_add_signed(by),
        };
        buffer.position = position.ok_or_else(|| io::Error::other("damaged FAT file system"))?;
        Ok(buffer.position)
    }
}
