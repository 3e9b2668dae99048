//! Reads an image again and compares it with what is known about it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::mpsc::sync_channel;

use flate2::{Decompress, FlushDecompress, Status};
use rustix::fs::SeekFrom;

use super::gzip;
use super::journal::Checkpoint;
use super::place::{self, Place};
use super::record::Record;
use super::{Control, SEGMENT};
use crate::control::Event;
use crate::digest::{Algorithm, DigestSet, crc32_combine, crc32_zeros};
use crate::error::{Error, Kind, Result};

/// Bytes read at a time.
const CHUNK: usize = 1 << 20;

fn mismatch(path: &Path, code: &'static str, message: impl Into<String>) -> Error {
    Error::new(Kind::Mismatch, code, message)
        .at(path)
        .remedy("do not use this image; copy it again, or convert the disk again with --force")
}

fn read_failed(path: &Path) -> impl Fn(std::io::Error) -> Error {
    move |e| Error::io("image-read", "cannot read the image", path, e)
}

/// The cheap check of a finished image: its size, and its SHA-256, or its CRC-32 if it is a raw
/// image without digests. A fraction of the time that making it takes.
///
/// # Errors
/// `Mismatch`, with what was found and what was promised; `Interrupted`.
pub fn file_matches(path: &Path, record: &Record, control: &Control) -> Result<()> {
    let file = place::open_regular(path).map_err(read_failed(path))?;
    check_size(path, &file, record)?;
    let Some(expected) = record.file_sha256() else {
        let crc = sparse_crc(&file, path, record.file.bytes, control)?;
        return compare_crc(path, crc, record);
    };
    let found = file_sha256(path, file, record.file.bytes, control)?;
    if found != expected {
        let message = format!("its SHA-256 is {found}, its record says {expected}");
        return Err(mismatch(path, "file-sha256", message));
    }
    Ok(())
}

/// SHA-256 of the file at `path`, for an image whose record has none.
///
/// # Errors
/// Those of reading; `Interrupted`.
pub fn file_digest(path: &Path, control: &Control) -> Result<String> {
    let file = place::open_regular(path).map_err(read_failed(path))?;
    file_sha256(path, file, u64::MAX, control)
}

fn compare_crc(path: &Path, crc: u32, record: &Record) -> Result<()> {
    let found = format!("{crc:08x}");
    if found == record.crc32 {
        return Ok(());
    }
    let message =
        format!("the CRC-32 of the raw image is {found}, its record says {}", record.crc32);
    Err(mismatch(path, "crc32", message))
}

fn stop_here(path: &Path, control: &Control) -> Result<()> {
    let Some(signal) = control.stopped() else { return Ok(()) };
    Err(Error::new(Kind::Interrupted(signal), "interrupted", "stopped while reading it again")
        .at(path)
        .remedy("run the same command again"))
}

fn check_size(path: &Path, file: &File, record: &Record) -> Result<()> {
    let len = file.metadata().map_err(read_failed(path))?.len();
    if len != record.file.bytes {
        let message = format!("it has {len} bytes, its record says {}", record.file.bytes);
        return Err(mismatch(path, "file-size", message));
    }
    Ok(())
}

fn file_sha256(path: &Path, file: File, len: u64, control: &Control) -> Result<String> {
    let mut digest = DigestSet::new(&[Algorithm::Sha256]);
    each_chunk(path, file.take(len), control, |chunk| {
        digest.update(chunk);
        Ok(())
    })?;
    Ok(digest.finish().remove(&Algorithm::Sha256).unwrap_or_default())
}

/// Whether `part` begins with the bytes that `checkpoint` speaks of: for a gzip file by their
/// SHA-256, for a raw file by the CRC-32 of the raw bytes, which may be terabytes of holes.
///
/// # Errors
/// `Mismatch`; `Interrupted`.
pub(super) fn prefix_matches(
    part: &File,
    path: &Path,
    checkpoint: &Checkpoint,
    control: &Control,
) -> Result<()> {
    let bad =
        |what: &str| Err(mismatch(path, "part-changed", format!("the unfinished file {what}")));
    let len = part.metadata().map_err(read_failed(path))?.len();
    if len < checkpoint.file_offset {
        return bad("is shorter than its last checkpoint says");
    }
    let stands_at = |state, offset| DigestSet::resume(state).is_some_and(|d| d.len() == offset);
    if !stands_at(&checkpoint.raw, checkpoint.raw_offset)
        || !checkpoint.file.as_ref().is_none_or(|file| stands_at(file, checkpoint.file_offset))
    {
        return bad("has a journal with digests that cannot be");
    }
    match &checkpoint.file_sha256 {
        Some(expected) => {
            let file = part.try_clone().map_err(read_failed(path))?;
            rustix::fs::seek(&file, SeekFrom::Start(0)).map_err(|e| read_failed(path)(e.into()))?;
            if file_sha256(path, file, checkpoint.file_offset, control)? != *expected {
                return bad("was changed since its last checkpoint");
            }
        }
        None if checkpoint.file_offset != checkpoint.raw_offset => {
            return bad("has a journal with offsets that cannot be");
        }
        None => {
            if sparse_crc(part, path, checkpoint.raw_offset, control)? != checkpoint.crc {
                return bad("was changed since its last checkpoint");
            }
        }
    }
    let whole = checkpoint.raw_offset.is_multiple_of(SEGMENT as u64);
    if whole { Ok(()) } else { bad("has a journal with an offset that cannot be") }
}

/// CRC-32 of the first `len` bytes of a sparse file, reading only what is not a hole.
fn sparse_crc(file: &File, path: &Path, len: u64, control: &Control) -> Result<u32> {
    use std::os::unix::fs::FileExt;
    let (mut crc, mut at) = (0, 0);
    let mut buf = vec![0; CHUNK];
    while at < len {
        // A file system that does not tell of holes answers that all is data.
        let data = match rustix::fs::seek(file, SeekFrom::Data(at)) {
            Ok(data) => data.min(len),
            Err(rustix::io::Errno::NXIO) => len,
            Err(_) => at,
        };
        crc = crc32_combine(crc, crc32_zeros(data - at), data - at);
        at = data;
        let hole = rustix::fs::seek(file, SeekFrom::Hole(at)).unwrap_or(len).min(len);
        while at < hole {
            stop_here(path, control)?;
            let n = usize::try_from(hole - at).map_or(CHUNK, |left| left.min(CHUNK));
            file.read_exact_at(&mut buf[..n], at).map_err(read_failed(path))?;
            crc = crc32_combine(crc, crc32fast::hash(&buf[..n]), n as u64);
            at += n as u64;
        }
    }
    Ok(crc)
}

/// Re-reads the image at `path` against the record beside it: the file's size and digests, the
/// gzip structure to the last byte, the raw image's size and digests.
///
/// # Errors
/// `Missing` without image or record, `Mismatch` for any difference.
pub fn verify(path: &Path, control: &Control) -> Result<Record> {
    verify_and_digest(path, &[], control).map(|(record, _)| record)
}

/// As [`verify`], and returns the raw image's digests: those of the record, and those of `also`.
///
/// # Errors
/// Those of [`verify`].
pub fn verify_and_digest(
    path: &Path,
    also: &[Algorithm],
    control: &Control,
) -> Result<(Record, BTreeMap<String, String>)> {
    // A symlink that the user names is followed to where image and record lie together.
    let target = if path.is_symlink() { path.canonicalize().ok() } else { None };
    let path = target.as_deref().unwrap_or(path);
    let place = Place::new(path).map_err(|e| e.with_kind(Kind::Missing))?;
    let file = place::open_regular(path).map_err(read_failed(path))?;
    let record = Record::read(&place.record)?;
    check_size(path, &file, &record)?;
    let empty = 0;
    let data = record.file.bytes;
    control.progress.event(&Event::Begin { stage: "verify", data, empty, from: 0 });
    let result = match record.file.compression.as_str() {
        "gz" => verify_gzip(path, file, &record, also, control),
        "none" => verify_raw(path, file, &record, also, control),
        other => Err(mismatch(path, "record-compression", format!("unknown packing '{other}'"))),
    };
    control.progress.event(&Event::End);
    result.map(|digests| (record, digests))
}

/// The algorithms that a record has digests of.
fn algorithms(path: &Path, digests: &BTreeMap<String, String>) -> Result<Vec<Algorithm>> {
    let unknown = |name: &String| {
        mismatch(
            path,
            "record-digest",
            format!("the record has a digest '{name}' that is not known"),
        )
    };
    digests.keys().map(|name| name.parse().map_err(|_| unknown(name))).collect()
}

fn compare(
    path: &Path,
    what: &str,
    found: &BTreeMap<String, String>,
    promised: &BTreeMap<String, String>,
) -> Result<()> {
    for (algorithm, expected) in promised {
        let hex = found.get(algorithm).map_or("nothing", String::as_str);
        if hex != expected {
            let message = format!("the {algorithm} of {what} is {hex}, its record says {expected}");
            return Err(mismatch(path, "digest", message));
        }
    }
    Ok(())
}

fn verify_raw(
    path: &Path,
    file: File,
    record: &Record,
    also: &[Algorithm],
    control: &Control,
) -> Result<BTreeMap<String, String>> {
    if record.raw.bytes != record.file.bytes {
        return Err(mismatch(path, "record-sizes", "the record contradicts itself about the size"));
    }
    let mut all = algorithms(path, &record.raw.digests)?;
    all.extend(algorithms(path, &record.file.digests)?);
    all.extend(also);
    let mut digests = DigestSet::new(&all);
    let mut crc = crc32fast::Hasher::new();
    read_chunks(path, file, control, |chunk| {
        digests.update_split(chunk);
        crc.update(chunk);
        Ok(())
    })?;
    compare_crc(path, crc.finalize(), record)?;
    let found = super::record::named(&digests.finish());
    compare(path, "the image", &found, &record.raw.digests)?;
    compare(path, "the image", &found, &record.file.digests)?;
    // Where both list one algorithm they must agree, or one of them is wrong.
    let contradicts = |(name, hex): (&String, &String)| {
        record.file.digests.get(name).is_some_and(|other| other != hex)
    };
    if record.raw.digests.iter().any(contradicts) {
        return Err(mismatch(path, "record-digest", "the record contradicts itself"));
    }
    Ok(found)
}

/// Reads, unpacks, and hashes the raw image on a second thread.
fn verify_gzip(
    path: &Path,
    file: File,
    record: &Record,
    also: &[Algorithm],
    control: &Control,
) -> Result<BTreeMap<String, String>> {
    let mut file_digests = DigestSet::new(&algorithms(path, &record.file.digests)?);
    let raw = [&algorithms(path, &record.raw.digests)?, also].concat();
    let mut raw_digests = DigestSet::new(&raw);
    let (chunks, to_hash) = sync_channel::<Vec<u8>>(8);
    std::thread::scope(|scope| {
        let hashing = scope.spawn(|| {
            to_hash.into_iter().for_each(|chunk| raw_digests.update(&chunk));
        });
        let mut member = Member::new(path, record.raw.bytes);
        let result = read_chunks(path, file, control, |chunk| {
            file_digests.update(chunk);
            member.take(chunk, |raw| {
                let _ = chunks.send(raw);
            })
        });
        drop(chunks);
        let _ = hashing.join();
        result.and_then(|()| member.end())
    })
    .and_then(|crc| compare_crc(path, crc, record))?;
    let (file, raw) = (file_digests.finish(), raw_digests.finish());
    compare(path, "the file", &super::record::named(&file), &record.file.digests)?;
    let raw = super::record::named(&raw);
    compare(path, "the raw image", &raw, &record.raw.digests)?;
    Ok(raw)
}

/// Hands on all of `file`, and tells how far it is.
fn read_chunks(
    path: &Path,
    file: File,
    control: &Control,
    mut each: impl FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let mut done = 0;
    each_chunk(path, file, control, |chunk| {
        each(chunk)?;
        done += chunk.len() as u64;
        control.progress.event(&Event::Advance { data: done, empty: 0, written: 0 });
        Ok(())
    })
}

/// Hands on all that `file` has, until a stop is asked for.
fn each_chunk(
    path: &Path,
    mut file: impl Read,
    control: &Control,
    mut each: impl FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let mut buf = vec![0; CHUNK];
    loop {
        stop_here(path, control)?;
        let n = file.read(&mut buf).map_err(read_failed(path))?;
        if n == 0 {
            return Ok(());
        }
        each(&buf[..n])?;
    }
}

/// One gzip member of ours, taken in pieces: exactly our header, one stream, a right trailer, and
/// nothing behind it.
struct Member<'a> {
    path: &'a Path,
    stage: Stage,
    inflate: Decompress,
    crc: crc32fast::Hasher,
    raw_len: u64,
    expected_len: u64,
}

enum Stage {
    /// Bytes of the header seen.
    Header(usize),
    Stream,
    /// The trailer's bytes seen.
    Trailer(Vec<u8>),
}

impl<'a> Member<'a> {
    fn new(path: &'a Path, expected_len: u64) -> Self {
        let (inflate, crc) = (Decompress::new(false), crc32fast::Hasher::new());
        Member { path, stage: Stage::Header(0), inflate, crc, raw_len: 0, expected_len }
    }

    fn bad(&self, message: impl Into<String>) -> Error {
        mismatch(self.path, "gzip", message)
    }

    fn take(&mut self, chunk: &[u8], mut raw: impl FnMut(Vec<u8>)) -> Result<()> {
        let mut rest = chunk;
        while let Some(&byte) = rest.first() {
            match &mut self.stage {
                Stage::Header(seen) => {
                    if gzip::HEADER.get(*seen) != Some(&byte) {
                        return Err(self.bad("it does not begin like a gzip file of ours"));
                    }
                    *seen += 1;
                    if *seen == gzip::HEADER.len() {
                        self.stage = Stage::Stream;
                    }
                    rest = &rest[1..];
                }
                Stage::Stream => rest = self.inflate(rest, &mut raw)?,
                Stage::Trailer(seen) if seen.len() < 8 => {
                    seen.push(byte);
                    rest = &rest[1..];
                }
                Stage::Trailer(_) => return Err(self.bad("bytes follow the end of the gzip data")),
            }
        }
        Ok(())
    }

    /// Unpacks some of `bytes` and returns what is left of them.
    fn inflate<'b>(&mut self, bytes: &'b [u8], raw: &mut impl FnMut(Vec<u8>)) -> Result<&'b [u8]> {
        let mut out = Vec::with_capacity(CHUNK);
        let before = self.inflate.total_in();
        let status = self
            .inflate
            .decompress_vec(bytes, &mut out, FlushDecompress::None)
            .map_err(|e| self.bad(format!("the compressed data is damaged: {e}")))?;
        let used = usize::try_from(self.inflate.total_in() - before).unwrap_or(bytes.len());
        if used == 0 && out.is_empty() && status != Status::StreamEnd {
            return Err(self.bad("the compressed data is damaged"));
        }
        self.crc.update(&out);
        self.raw_len += out.len() as u64;
        if self.raw_len > self.expected_len {
            return Err(self.bad(format!(
                "it unpacks to more than the {} bytes that its record says",
                self.expected_len
            )));
        }
        raw(out);
        if status == Status::StreamEnd {
            self.stage = Stage::Trailer(Vec::new());
        }
        Ok(bytes.get(used..).unwrap_or_default())
    }

    /// After the last byte: the CRC-32 of what was unpacked, if all is well.
    fn end(self) -> Result<u32> {
        let Stage::Trailer(seen) = &self.stage else {
            return Err(self.bad("it ends in the middle of the compressed data"));
        };
        if self.raw_len != self.expected_len {
            return Err(self.bad(format!(
                "it unpacks to {} bytes, its record says {}",
                self.raw_len, self.expected_len
            )));
        }
        let crc = self.crc.clone().finalize();
        let right = gzip::trailer(crc, self.raw_len);
        if right.get(gzip::joint::END.len()..) != Some(seen) {
            return Err(self.bad("the checksum at its end is wrong"));
        }
        Ok(crc)
    }
}
