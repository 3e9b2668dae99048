//! The bytes of an object, brought into the unfinished file and proved there.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use rustix::fs::Advice;
use serde_json::json;

use super::folder::failed;
use crate::control::{Control, Event};
use crate::digest::{Algorithm, DigestSet};
use crate::error::{Error, Kind, Result};
use crate::publish::{Content, Object, Session, Verify};

/// Read and written at once: a stop is noticed after so much.
const BLOCK: usize = 256 << 10;
/// Synced and told to the session after so much: what a power cut may cost.
const CHECKPOINT: u64 = 256 << 20;
/// What [`Verify::Tail`] compares.
pub const TAIL: u64 = 1 << 20;

const STOPPED: &str = "stopped while storing; what is there already is kept";

/// Where the bytes come from.
pub enum Source<'a> {
    File(File, &'a Path),
    Bytes(&'a [u8]),
}

impl<'a> Source<'a> {
    /// # Errors
    /// `Mismatch` if it has not as many bytes as the object should have.
    pub fn open(object: &Object<'a>) -> Result<Self> {
        let (source, bytes) = match object.content {
            Content::Bytes(bytes) => (Source::Bytes(bytes), bytes.len() as u64),
            Content::File(path) => {
                let cannot = |e| Error::io("object-read", "cannot read", path, e);
                let file = crate::files::open_regular(path).map_err(cannot)?;
                let bytes = file.metadata().map_err(cannot)?.len();
                (Source::File(file, path), bytes)
            }
        };
        if bytes != object.bytes {
            let message = format!("it has {bytes} bytes, and should have {}", object.bytes);
            return Err(source.mismatch(message));
        }
        Ok(source)
    }

    /// The file, if it is one.
    pub fn file(&self) -> Option<&File> {
        match self {
            Source::File(file, _) => Some(file),
            Source::Bytes(_) => None,
        }
    }

    /// Reads a file that is the stored object itself, and says how it was proved.
    ///
    /// # Errors
    /// `Mismatch` if it is not the object.
    pub fn prove(&self, object: &Object, control: &Control) -> Result<&'static str> {
        let Source::File(file, path) = self else { return Err(self.other_digest()) };
        file.sync_all().map_err(|e| failed("cannot sync", path, e))?;
        if digest_of(file, path, object.bytes, control)? == object.sha256 {
            return Ok("read back");
        }
        Err(self.other_digest())
    }

    fn read(&self, buffer: &mut [u8], at: u64) -> Result<()> {
        match self {
            Source::File(file, path) => file.read_exact_at(buffer, at).map_err(|e| {
                if e.kind() == io::ErrorKind::UnexpectedEof {
                    return self.mismatch("it became shorter while it was stored".to_owned());
                }
                Error::io("object-read", "cannot read", path, e).with_kind(Kind::Io)
            }),
            Source::Bytes(bytes) => {
                let from = usize::try_from(at).ok().and_then(|at| bytes.get(at..));
                let piece = from.and_then(|rest| rest.get(..buffer.len()));
                let Some(piece) = piece else {
                    return Err(self.mismatch("it is shorter than promised".to_owned()));
                };
                buffer.copy_from_slice(piece);
                Ok(())
            }
        }
    }

    fn other_digest(&self) -> Error {
        self.mismatch("its SHA-256 is not the one it should have".to_owned())
    }

    fn mismatch(&self, message: String) -> Error {
        let error = Error::new(Kind::Mismatch, "object-changed", message)
            .remedy("verify the image with stratus-convert --verify, or convert it again");
        match self {
            Source::File(_, path) => error.at(path),
            Source::Bytes(_) => error.within("what should be stored"),
        }
    }
}

/// Makes `part` the object's bytes, from what it has already of them on.
///
/// # Errors
/// `Mismatch` if the source is not what the object says, `Interrupted`, or failed reading or
/// writing. What was written stays, synced if the session was told so.
pub fn copy(
    object: &Object,
    source: &Source,
    part: (&File, &Path),
    session: &mut dyn Session,
    control: &Control,
) -> Result<()> {
    let (file, path) = part;
    let writing = |e| failed("cannot write", path, e);
    let mut digest = DigestSet::new(&[Algorithm::Sha256]);
    let from = agreeing(object, source, part, &mut digest, control)?;
    file.set_len(from).map_err(writing)?;

    let data = object.bytes - from;
    control.progress.event(&Event::Begin { stage: "upload", data, empty: 0, from });
    let mut at = from;
    let mut kept = from;
    let mut buffer = vec![0; BLOCK];
    while at < object.bytes {
        let stopped = control.go_on(STOPPED);
        if stopped.is_err() || at - kept >= CHECKPOINT {
            file.set_len(at).and_then(|()| file.sync_data()).map_err(writing)?;
            session.keep(json!({ "offset": at }))?;
            kept = at;
        }
        stopped?;
        let block = piece(&mut buffer, object.bytes - at);
        source.read(block, at)?;
        digest.update(block);
        // Holes stay holes: an image without compression has many.
        if block.iter().any(|byte| *byte != 0) {
            file.write_all_at(block, at).map_err(writing)?;
        }
        at += block.len() as u64;
        control.progress.event(&Event::Advance { data: at - from, empty: 0, written: at });
    }
    file.set_len(object.bytes).and_then(|()| file.sync_all()).map_err(writing)?;
    control.progress.event(&Event::End);

    if sha256(digest) != object.sha256 {
        return Err(source.other_digest());
    }
    session.keep(json!({ "offset": at }))
}

/// How many bytes at the beginning of the part are the source's, in whole blocks. Its length alone
/// proves nothing: after a power cut it may have zeros, and anybody may have put it there. Takes
/// these bytes into `digest`.
fn agreeing(
    object: &Object,
    source: &Source,
    (file, path): (&File, &Path),
    digest: &mut DigestSet,
    control: &Control,
) -> Result<u64> {
    let reading = |e| failed("cannot read", path, e);
    let there = file.metadata().map_err(reading)?.len().min(object.bytes);
    let (mut ours, mut theirs) = (vec![0; BLOCK], vec![0; BLOCK]);
    let mut at = 0;
    while at < there {
        control.go_on(STOPPED)?;
        let block = piece(&mut ours, there - at);
        let other = piece(&mut theirs, there - at);
        source.read(block, at)?;
        file.read_exact_at(other, at).map_err(reading)?;
        if block != other {
            break;
        }
        digest.update(block);
        at += block.len() as u64;
    }
    Ok(at)
}

/// Reads the synced part back, and says how it was proved.
///
/// # Errors
/// `Mismatch` if the storage returns other bytes than were written.
pub fn prove(
    object: &Object,
    source: &Source,
    (file, path): (&File, &Path),
    verify: Verify,
    control: &Control,
) -> Result<&'static str> {
    let reading = |e| failed("cannot read back", path, e);
    let bad = |what: &str| {
        Error::new(Kind::Mismatch, "directory-other-bytes", format!("the storage returned {what}"))
            .at(path)
            .remedy("check the storage; nothing was given the final name")
    };
    // From the storage, if the system can be told so, not from memory.
    let _ = rustix::fs::fadvise(file, 0, None, Advice::DontNeed);
    if file.metadata().map_err(reading)?.len() != object.bytes {
        return Err(bad("another size"));
    }
    match verify {
        Verify::None => Ok("its size"),
        Verify::Tail => {
            let start = object.bytes.saturating_sub(TAIL);
            let len = usize::try_from(object.bytes - start).unwrap_or(0);
            let (mut ours, mut theirs) = (vec![0; len], vec![0; len]);
            source.read(&mut ours, start)?;
            file.read_exact_at(&mut theirs, start).map_err(reading)?;
            if ours != theirs {
                return Err(bad("other bytes than were written"));
            }
            Ok("its size and last MiB")
        }
        Verify::Full => {
            if digest_of(file, path, object.bytes, control)? != object.sha256 {
                return Err(bad("other bytes than were written"));
            }
            Ok("read back")
        }
    }
}

/// The SHA-256 of the first `bytes` of a file.
pub fn digest_of(file: &File, path: &Path, bytes: u64, control: &Control) -> Result<String> {
    let mut digest = DigestSet::new(&[Algorithm::Sha256]);
    let mut buffer = vec![0; BLOCK];
    control.progress.event(&Event::Begin { stage: "read back", data: bytes, empty: 0, from: 0 });
    let mut at = 0;
    while at < bytes {
        control.go_on(STOPPED)?;
        let block = piece(&mut buffer, bytes - at);
        file.read_exact_at(block, at).map_err(|e| failed("cannot read back", path, e))?;
        digest.update(block);
        at += block.len() as u64;
        control.progress.event(&Event::Advance { data: at, empty: 0, written: 0 });
    }
    control.progress.event(&Event::End);
    Ok(sha256(digest))
}

fn sha256(digest: DigestSet) -> String {
    digest.finish().remove(&Algorithm::Sha256).unwrap_or_default()
}

/// As much of the buffer as is left to do.
fn piece(buffer: &mut [u8], left: u64) -> &mut [u8] {
    let len = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
    &mut buffer[..len]
}
