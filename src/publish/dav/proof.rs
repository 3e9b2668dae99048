//! What lies at the server, read back. No digest that a server tells is believed: mod_dav takes
//! wrong ones without a word.

use sha2::{Digest, Sha256};
use url::Url;

use super::requests::{self, There};
use super::stage::Stage;
use super::upload::Upload;
use crate::control::Control;
use crate::digest::hex;
use crate::error::{Error, Kind, Result};
use crate::publish::Verify;
use crate::publish::http::{Backoff, Client, Reply, Request, shown, temporary};

/// What is compared of the end.
pub(super) const TAIL: u64 = 1 << 20;

/// Less than this is no progress: a server that gives a byte for every request would never end.
pub(super) const PROGRESS: u64 = 1 << 20;

/// SHA-256 of all that lies there, or none if that is not `bytes` long. A connection that breaks is
/// gone on from where it broke.
pub(super) fn read_all(
    client: &Client,
    url: &Url,
    bytes: u64,
    control: &Control,
) -> Result<Option<String>> {
    let stage = Stage::begin(control, "read back", 0, bytes);
    let (mut hasher, mut done) = (Sha256::new(), 0);
    let most = bytes.saturating_add(1);
    let complete = read(client, url, (0, bytes, most), control, &mut |piece| {
        hasher.update(piece);
        done += piece.len() as u64;
        stage.reached(done);
    })?;
    stage.end();
    Ok((complete && done == bytes).then(|| hex(&hasher.finalize())))
}

/// Reads a range of `bytes`, and what is behind it up to `most` in all. False if nothing is there, or
/// more came. A reply that ends before the object does is gone on from, as one that breaks.
fn read(
    client: &Client,
    url: &Url,
    (from, bytes, most): (u64, u64, u64),
    control: &Control,
    take: &mut dyn FnMut(&[u8]),
) -> Result<bool> {
    let mut backoff = Backoff::new(client.transport());
    let mut done = 0;
    loop {
        let mut request = Request::new("GET", url)
            .header("accept-encoding", "identity")
            .header("cache-control", "no-cache");
        request.max_reply = u64::MAX;
        // All is asked for without a range, as others will do.
        request.range = (from + done > 0).then_some((from + done, most - done));
        let before = done;
        let outcome = client.read(&request, control, &mut |piece| {
            done += piece.len() as u64;
            if done > most {
                return Err(too_much());
            }
            take(piece);
            Ok(())
        });
        let error = match outcome {
            Ok(reply) if reply.status == 200 && tells_its_end(&reply) => return Ok(true),
            // Behind the end there is nothing: all was read before the connection broke.
            Ok(reply) if matches!(reply.status, 200 | 206 | 416) => {
                if done >= bytes || !has_more(client, url, from + done, control)? {
                    return Ok(true);
                }
                cut_short(&request, done, bytes)
            }
            Ok(reply) if matches!(reply.status, 404 | 410) => return Ok(false),
            Ok(reply) => return Err(reply.failure(&request)),
            Err(error) if error.code() == "dav-too-much" => return Ok(false),
            Err(error) if temporary(&error) && done > before => error,
            Err(error) => return Err(error),
        };
        if done - before >= PROGRESS {
            backoff.reset();
        }
        if !backoff.again(&error.to_string(), None, control)? {
            return Err(error);
        }
    }
}

/// Whether a reply cannot have been cut without anybody seeing it.
fn tells_its_end(reply: &Reply) -> bool {
    ["content-length", "transfer-encoding"].iter().any(|name| reply.header(name).is_some())
}

/// Whether the server tells that the object is longer than this.
fn has_more(client: &Client, url: &Url, end: u64, control: &Control) -> Result<bool> {
    let there = requests::look(client, url, control)?;
    Ok(matches!(there, There::Object(Some(size)) if size > end))
}

fn cut_short(request: &Request, done: u64, bytes: u64) -> Error {
    let message = format!("{}: the reply ended after {done} bytes of {bytes}", request.words());
    Error::new(Kind::Unavailable, "dav-cut-short", message)
        .remedy("run the same command again; if it happens always, look into the server's log")
}

fn too_much() -> Error {
    Error::new(Kind::Mismatch, "dav-too-much", "more came than is stored")
}

/// Proves what lies at `url`. Returns the proof in words.
///
/// # Errors
/// `Mismatch`, or `Protocol` if nothing is there.
pub(super) fn prove(
    client: &Client,
    upload: &Upload,
    url: &Url,
    verify: Verify,
) -> Result<&'static str> {
    let Upload { object, control, .. } = upload;
    prove_size(client, upload, url)?;
    match verify {
        Verify::None => Ok("its size"),
        Verify::Tail => {
            prove_tail(client, upload, url)?;
            Ok("its size and last MiB")
        }
        Verify::Full => {
            let digest = read_all(client, url, object.bytes, control)?;
            if digest.as_deref() == Some(object.sha256) {
                return Ok("read back");
            }
            Err(different(url, "other bytes come back than were sent".to_owned()))
        }
    }
}

/// Its size.
pub(super) fn prove_size(client: &Client, upload: &Upload, url: &Url) -> Result<()> {
    match requests::size(client, url, upload.control)? {
        Some(size) if size == upload.object.bytes => Ok(()),
        Some(size) => {
            let bytes = upload.object.bytes;
            Err(different(url, format!("the server has {size} bytes of {bytes} that were sent")))
        }
        None => Err(Error::new(
            Kind::Protocol,
            "dav-not-stored",
            format!("{}: the server says that it is stored, and it is not there", shown(url)),
        )
        .remedy("look into the server's log")),
    }
}

/// Its size and its last MiB.
pub(super) fn prove_tail(client: &Client, upload: &Upload, url: &Url) -> Result<()> {
    prove_size(client, upload, url)?;
    if is_same_before(client, upload, url, upload.object.bytes)? {
        return Ok(());
    }
    Err(different(url, "its end is not the one that was sent".to_owned()))
}

/// Whether the last MiB before `end` is the same there and here.
pub(super) fn is_same_before(
    client: &Client,
    upload: &Upload,
    url: &Url,
    end: u64,
) -> Result<bool> {
    let from = end.saturating_sub(TAIL);
    let mut there = Vec::new();
    if end > 0 {
        read(client, url, (from, end - from, end - from), upload.control, &mut |piece| {
            there.extend_from_slice(piece);
        })?;
    }
    let len = usize::try_from(end - from).unwrap_or(usize::MAX);
    Ok(there == upload.local.read(from, len)?)
}

fn different(url: &Url, what: String) -> Error {
    Error::new(Kind::Mismatch, "dav-different", format!("{}: {what}", shown(url)))
        .remedy("check the server's storage, or a proxy or cache before it")
}
