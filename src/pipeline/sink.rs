//! The ordered writer's two forms: a gzip member, and a sparse raw file.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use super::SEGMENT;
use super::gzip::{self, Effort, Packer};
use super::journal::Checkpoint;
use super::place::failed;
use super::pool::Buffer;
use crate::digest::{Algorithm, DigestSet, Digests, State, crc32_combine, crc32_zeros};
use crate::error::{Error, Kind, Result};

/// Granularity of holes: the block of nearly every file system.
const HOLE: usize = 4096;

/// A segment that a worker is done with.
pub enum Packed {
    /// All zeros.
    Zero,
    /// The gzip piece, and the CRC-32 of the raw bytes.
    Piece(Vec<u8>, u32),
    /// The raw bytes and their CRC-32.
    Plain(Arc<Buffer>, u32),
    /// Written to its place already, with the CRC-32 of the raw bytes.
    Placed(u32),
    /// Not done: the run was asked to stop.
    Dropped,
}

/// A raw image file that any thread writes to, each segment at its own place. What is zero is
/// never written: it stays a hole.
#[derive(Debug)]
pub struct SparseFile {
    file: File,
    path: PathBuf,
}

impl SparseFile {
    /// Writes `bytes` at `offset`.
    pub fn write_at(&self, bytes: &[u8], offset: u64) -> Result<()> {
        let mut start = 0;
        while let Some(rest) = bytes.get(start..).filter(|rest| !rest.is_empty()) {
            let zero = run(rest, true);
            let data = run(&rest[zero..], false);
            if data > 0 {
                self.file
                    .write_all_at(&rest[zero..zero + data], offset + (start + zero) as u64)
                    .map_err(|e| write_error(&self.path, e))?;
            }
            start += zero + data;
        }
        Ok(())
    }
}

/// Where the output's bytes go.
pub enum Out {
    /// A `.part` file.
    File(File, PathBuf),
    /// Standard output.
    Stream(Box<dyn Write + Send>),
}

impl Out {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        match self {
            Out::File(file, path) => file.write_all(bytes).map_err(|e| write_error(path, e)),
            Out::Stream(stream) => stream.write_all(bytes).map_err(stream_error),
        }
    }
}

fn write_error(path: &std::path::Path, cause: io::Error) -> Error {
    failed("output-write", "cannot write the output", path, cause)
}

fn stream_error(cause: io::Error) -> Error {
    let kind = match cause.kind() {
        io::ErrorKind::BrokenPipe => Kind::BrokenPipe,
        _ => Kind::Io,
    };
    Error::io("output-write", "cannot write the output", "standard output".as_ref(), cause)
        .with_kind(kind)
}

/// Writes the output in order. Nothing is written twice.
pub struct Sink {
    out: Out,
    form: Form,
    /// Raw bytes so far.
    pub raw_offset: u64,
    /// Bytes of the output so far; for a sparse file its length with the holes.
    pub file_offset: u64,
    /// CRC-32 of the raw bytes so far.
    pub crc: u32,
}

enum Form {
    Gzip { digests: DigestSet, packer: Box<Packer>, zero_segment: Vec<u8> },
    Raw,
}

/// The digests that every compressed file gets: OpenNebula checks MD5, people SHA-256.
pub const FILE_DIGESTS: [Algorithm; 2] = [Algorithm::Md5, Algorithm::Sha256];

impl Sink {
    /// A gzip member that begins here.
    pub fn gzip(out: Out, effort: Effort) -> Result<Self> {
        let mut sink = Sink::gzip_at(out, effort, DigestSet::new(&FILE_DIGESTS))?;
        sink.emit(&gzip::HEADER)?;
        Ok(sink)
    }

    fn gzip_at(out: Out, effort: Effort, digests: DigestSet) -> Result<Self> {
        let mut packer = Box::new(Packer::new(effort)?);
        let zero_segment = packer.pack(0, &vec![0; SEGMENT]).to_vec();
        let form = Form::Gzip { digests, packer, zero_segment };
        Ok(Sink { out, form, raw_offset: 0, file_offset: 0, crc: 0 })
    }

    /// A raw image of `size` bytes that begins here. A file gets its full length at once: workers
    /// write ahead of the last checkpoint, so nothing may set a length later.
    pub fn raw(out: Out, size: u64) -> Result<Self> {
        if let Out::File(file, path) = &out {
            file.set_len(size).map_err(|e| write_error(path, e))?;
        }
        Ok(Sink { out, form: Form::Raw, raw_offset: 0, file_offset: 0, crc: 0 })
    }

    /// Goes on where an earlier run stopped, on a disk of `size` bytes; `out` stands at the end of
    /// what that run wrote. None if the checkpoint's digests cannot be.
    pub fn resume(out: Out, effort: Effort, size: u64, at: &Checkpoint) -> Result<Option<Self>> {
        let sink = match &at.file {
            Some(state) => match DigestSet::resume(state) {
                Some(digests) => Sink::gzip_at(out, effort, digests)?,
                None => return Ok(None),
            },
            None => Sink::raw(out, size)?,
        };
        let (raw_offset, file_offset) = (at.raw_offset, at.file_offset);
        Ok(Some(Sink { raw_offset, file_offset, crc: at.crc, ..sink }))
    }

    /// The file that workers write raw segments to by themselves; none for gzip and streams, whose
    /// bytes have to come in order.
    pub fn sparse_file(&self) -> Result<Option<SparseFile>> {
        match (&self.form, &self.out) {
            (Form::Raw, Out::File(file, path)) => {
                let file = file.try_clone().map_err(|e| write_error(path, e))?;
                Ok(Some(SparseFile { file, path: path.clone() }))
            }
            _ => Ok(None),
        }
    }

    /// Writes to the output and its digests.
    fn emit(&mut self, bytes: &[u8]) -> Result<()> {
        self.out.write(bytes)?;
        if let Form::Gzip { digests, .. } = &mut self.form {
            digests.update(bytes);
        }
        self.file_offset += bytes.len() as u64;
        Ok(())
    }

    /// Takes the next segment, of `len` raw bytes.
    pub fn segment(&mut self, packed: &Packed, len: u64) -> Result<()> {
        match packed {
            Packed::Zero => return self.zeros(len),
            Packed::Piece(piece, crc) => {
                self.emit(piece)?;
                self.crc = crc32_combine(self.crc, *crc, len);
            }
            Packed::Plain(bytes, crc) => {
                self.emit(bytes)?;
                self.crc = crc32_combine(self.crc, *crc, len);
            }
            Packed::Dropped => return Ok(()),
            Packed::Placed(crc) => {
                self.file_offset += len;
                self.crc = crc32_combine(self.crc, *crc, len);
            }
        }
        self.raw_offset += len;
        Ok(())
    }

    /// Takes `len` zero bytes. Only the last run of a disk may end inside a segment.
    pub fn zeros(&mut self, len: u64) -> Result<()> {
        self.crc = crc32_combine(self.crc, crc32_zeros(len), len);
        self.raw_offset += len;
        let Form::Gzip { packer, zero_segment, .. } = &mut self.form else {
            self.file_offset += len;
            return self.plain_zeros(len);
        };
        let segment = SEGMENT as u64;
        let mut pieces = zero_segment.repeat(usize::try_from(len / segment).unwrap_or(0));
        let rest = usize::try_from(len % segment).unwrap_or(0);
        if rest > 0 {
            pieces.extend_from_slice(packer.pack(0, &vec![0; rest]));
        }
        self.emit(&pieces)
    }

    /// A file gets a hole; a stream has to see every zero.
    fn plain_zeros(&mut self, len: u64) -> Result<()> {
        if let Out::Stream(_) = self.out {
            let zeros = [0; 64 << 10];
            let mut left = len;
            while left > 0 {
                let step = usize::try_from(left).map_or(zeros.len(), |left| left.min(zeros.len()));
                self.out.write(&zeros[..step])?;
                left -= step as u64;
            }
        }
        Ok(())
    }

    /// The file's digests as they stand.
    pub fn file_state(&self) -> Option<State> {
        match &self.form {
            Form::Gzip { digests, .. } => Some(digests.state()),
            Form::Raw => None,
        }
    }

    /// Ends the output. Returns the file's digests, if they are not the raw image's, and its
    /// length.
    pub fn finish(mut self) -> Result<(Option<Digests>, u64)> {
        if let Form::Gzip { .. } = self.form {
            let trailer = gzip::trailer(self.crc, self.raw_offset);
            self.emit(&trailer)?;
        }
        if let Out::Stream(stream) = &mut self.out {
            stream.flush().map_err(stream_error)?;
        }
        let digests = match self.form {
            Form::Gzip { digests, .. } => Some(digests.finish()),
            Form::Raw => None,
        };
        Ok((digests, self.file_offset))
    }
}

/// Length of the run of blocks at the beginning of `bytes` that are all zero, or all not.
fn run(bytes: &[u8], zero: bool) -> usize {
    bytes.chunks(HOLE).take_while(|block| is_zero(block) == zero).map(<[u8]>::len).sum()
}

/// Whether all bytes are zero. Looks at 256 bytes at a time: as fast as memory, and over at once
/// on data.
pub fn is_zero(bytes: &[u8]) -> bool {
    let (blocks, rest) = bytes.as_chunks::<256>();
    blocks.iter().all(|block| block.iter().fold(0, |all, byte| all | byte) == 0)
        && rest.iter().all(|byte| *byte == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_are_recognised_at_every_length() {
        for len in [0, 1, 255, 256, 257, 4096, 5000] {
            let mut bytes = vec![0; len];
            assert!(is_zero(&bytes));
            for at in [0, len / 2, len.saturating_sub(1)] {
                if at < len {
                    bytes[at] = 1;
                    assert!(!is_zero(&bytes), "{len} {at}");
                    bytes[at] = 0;
                }
            }
        }
    }

    #[test]
    fn runs_end_at_blocks() {
        let mut bytes = vec![0; 3 * HOLE + 10];
        assert_eq!(run(&bytes, true), bytes.len());
        bytes[HOLE + 5] = 1;
        assert_eq!(run(&bytes, true), HOLE);
        assert_eq!(run(&bytes[HOLE..], false), HOLE);
        assert_eq!(run(&bytes, false), 0);
    }
}
