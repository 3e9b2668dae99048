//! Compares an image with a manifest, wherever the image is: the size and every checksum of what it
//! unpacks to.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use flate2::bufread::MultiGzDecoder;

use crate::control::Control;
use crate::digest::{Algorithm, DigestSet};
use crate::error::{Error, Kind, Result};
use crate::metadata::Manifest;

/// Bytes unpacked at a time.
const CHUNK: usize = 1 << 20;

/// What `image` unpacks to is what `manifest` says. Packed or not is seen from its first bytes: the
/// clients of StratusLab go by the suffix, but a name proves nothing.
///
/// # Errors
/// `Mismatch` for any difference, bytes behind the end as well; `Unsupported` for what is packed
/// with bzip2; what reading ends with.
pub fn compare(image: impl Read, manifest: &Manifest, control: &Control) -> Result<()> {
    let mut image = BufReader::with_capacity(CHUNK, image);
    let magic = image.fill_buf().map_err(unreadable)?;
    match magic {
        [0x1f, 0x8b, ..] => digest(MultiGzDecoder::new(image), manifest, control),
        [b'B', b'Z', b'h', ..] if manifest.compression.as_deref() == Some("bz2") => {
            let message = "the image is packed with bzip2, which is not read here";
            Err(Error::new(Kind::Unsupported, "bzip2", message)
                .remedy("unpack it with bunzip2 and verify the raw image"))
        }
        _ => digest(image, manifest, control),
    }
}

fn digest(mut raw: impl Read, manifest: &Manifest, control: &Control) -> Result<()> {
    let algorithms: Vec<Algorithm> = manifest.checksums.keys().copied().collect();
    let mut digests = DigestSet::new(&algorithms);
    let mut buf = vec![0; CHUNK];
    loop {
        control.go_on("stopped while comparing the image")?;
        let n = raw.read(&mut buf).map_err(unreadable)?;
        if n == 0 {
            break;
        }
        digests.update(&buf[..n]);
        if digests.len() > manifest.bytes {
            return Err(different(format!(
                "the image has more than the {} bytes that the manifest says",
                manifest.bytes
            )));
        }
    }
    if digests.len() != manifest.bytes {
        return Err(different(format!(
            "the image has {} bytes, the manifest says {}",
            digests.len(),
            manifest.bytes
        )));
    }
    let found: BTreeMap<Algorithm, String> = digests.finish();
    for (algorithm, promised) in &manifest.checksums {
        let hex = found.get(algorithm).map_or("nothing", String::as_str);
        if !hex.eq_ignore_ascii_case(promised) {
            let message =
                format!("the {algorithm} of the image is {hex}, the manifest says {promised}");
            return Err(different(message));
        }
    }
    Ok(())
}

fn different(message: String) -> Error {
    Error::new(Kind::Mismatch, "image-differs", message)
        .remedy("do not use this image, or not with this manifest")
}

/// An error of ours that went through [`Read`] comes out again; damage in the packed data is a
/// difference.
fn unreadable(e: std::io::Error) -> Error {
    let data = [std::io::ErrorKind::InvalidData, std::io::ErrorKind::InvalidInput];
    if data.contains(&e.kind()) || e.kind() == std::io::ErrorKind::UnexpectedEof {
        return different("the packed image is damaged".to_owned()).because(e);
    }
    Error::new(Kind::Io, "image-read", "cannot read the image").because(e)
}

/// Two ends of a pipe: what is pushed into one is read from the other. It holds a few pieces.
#[must_use]
pub fn pipe() -> (SyncSender<Vec<u8>>, impl Read + Send) {
    let (push, pull) = sync_channel(4);
    (push, Pulled { pull, piece: Vec::new(), at: 0 })
}

struct Pulled {
    pull: Receiver<Vec<u8>>,
    piece: Vec<u8>,
    at: usize,
}

impl Read for Pulled {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        while self.at == self.piece.len() {
            let Ok(piece) = self.pull.recv() else { return Ok(0) };
            (self.piece, self.at) = (piece, 0);
        }
        let rest = self.piece.get(self.at..).unwrap_or_default();
        let n = rest.len().min(buf.len());
        buf[..n].copy_from_slice(&rest[..n]);
        self.at += n;
        Ok(n)
    }
}
