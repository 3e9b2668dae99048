//! The object on this side.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::control::Control;
use crate::digest::hex;
use crate::error::{Error, Kind, Result};
use crate::files;
use crate::publish::http::Body;
use crate::publish::{Content, Object};

const BUFFER: usize = 1 << 20;

/// The bytes, ready to be read anywhere.
pub(super) struct Local<'a> {
    bytes: Bytes<'a>,
    object: &'a Object<'a>,
}

enum Bytes<'a> {
    File(File, &'a Path),
    Memory(&'a [u8]),
}

impl<'a> Local<'a> {
    /// # Errors
    /// `Mismatch` if it has not the size that was promised; those of opening a file.
    pub(super) fn open(object: &'a Object<'a>) -> Result<Self> {
        let (bytes, len) = match object.content {
            Content::Bytes(bytes) => (Bytes::Memory(bytes), bytes.len() as u64),
            Content::File(path) => {
                let cannot =
                    |e| Error::io("upload-open", "cannot read what is to be sent", path, e);
                let file = files::open_regular(path).map_err(cannot)?;
                let len = file.metadata().map_err(cannot)?.len();
                (Bytes::File(file, path), len)
            }
        };
        let local = Local { bytes, object };
        if len != object.bytes {
            let what = format!("it has {len} bytes, and should have {}", object.bytes);
            return Err(local.changed(what));
        }
        Ok(local)
    }

    /// A part of it as the body of a request.
    pub(super) fn body(&self, offset: u64, bytes: u64) -> Body<'_> {
        match &self.bytes {
            Bytes::File(file, _) => Body::File { file, offset, bytes },
            Bytes::Memory(all) => Body::Bytes(slice(all, offset, bytes)),
        }
    }

    /// A part of it, which is no longer than fits into memory.
    pub(super) fn read(&self, offset: u64, bytes: usize) -> Result<Vec<u8>> {
        match &self.bytes {
            Bytes::Memory(all) => Ok(slice(all, offset, bytes as u64).to_vec()),
            Bytes::File(file, path) => {
                let mut part = vec![0; bytes];
                file.read_exact_at(&mut part, offset)
                    .map_err(|e| files::failed("upload-read", "cannot read", path, e))?;
                Ok(part)
            }
        }
    }

    /// SHA-256 of its first `bytes`.
    pub(super) fn sha256(&self, bytes: u64, control: &Control) -> Result<String> {
        let mut hasher = Sha256::new();
        let mut at = 0;
        while at < bytes {
            control.go_on("stopped while reading what is to be sent")?;
            let len = usize::try_from(bytes - at).unwrap_or(usize::MAX).min(BUFFER);
            hasher.update(self.read(at, len)?);
            at += len as u64;
        }
        Ok(hex(&hasher.finalize()))
    }

    /// That it is what was promised.
    ///
    /// # Errors
    /// `Mismatch`.
    pub(super) fn prove(&self, control: &Control) -> Result<()> {
        if self.sha256(self.object.bytes, control)? == self.object.sha256 {
            return Ok(());
        }
        Err(self.changed("its SHA-256 is not the one it should have".to_owned()))
    }

    fn changed(&self, what: String) -> Error {
        let error = Error::new(Kind::Mismatch, "object-changed", what)
            .remedy("verify the image with stratus-convert --verify, or convert it again");
        match &self.bytes {
            Bytes::File(_, path) => error.at(path),
            Bytes::Memory(_) => error.within(self.object.name),
        }
    }
}

fn slice(all: &[u8], offset: u64, bytes: u64) -> &[u8] {
    let at = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX).min(all.len());
    all.get(at(offset)..at(offset.saturating_add(bytes))).unwrap_or_default()
}
