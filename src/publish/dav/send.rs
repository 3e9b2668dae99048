//! The bytes on their way: in pieces that are appended, or as a whole.

use super::requests::{There, size};
use super::stage::Stage;
use super::upload::{Mode, Upload, is_of};
use super::{DavTarget, proof, requests};
use crate::control::Control;
use crate::error::{Error, Kind, Result};
use crate::publish::Session;
use crate::publish::http::{Backoff, Body, Reply, Request, Setback, shown};

/// A server that takes not even so much at once has no room for images.
const LEAST_PIECE: u64 = 1 << 20;

impl DavTarget {
    /// Brings the bytes to the unfinished name. Whether an earlier run has sent some of them.
    pub(super) fn send(&self, upload: &Upload, session: &mut dyn Session) -> Result<bool> {
        let mode = upload.mode();
        let from = match is_of(session, upload.object, mode) {
            true if mode != Mode::Direct => self.begun(upload, mode)?,
            _ => None,
        };
        if let Some(at) = from.filter(|_| mode == Mode::Append) {
            let name = upload.object.name;
            upload.control.note(format!("continuing the upload of {name} at byte {at}"));
        }
        match mode {
            Mode::Append => self.append(upload, from, session)?,
            Mode::Whole | Mode::Direct => self.whole(upload, from, session)?,
        }
        Ok(from.is_some())
    }

    /// How much of it an earlier run has brought there. The size alone is not believed: the end of
    /// it has to be the same as here.
    fn begun(&self, upload: &Upload, mode: Mode) -> Result<Option<u64>> {
        let all = upload.object.bytes;
        let there = size(&self.client, &upload.part, upload.control)?;
        let Some(there) = there.filter(|there| *there > 0 && *there <= all) else {
            return Ok(None);
        };
        if mode == Mode::Whole && there < all {
            return Ok(None);
        }
        let same = proof::is_same_before(&self.client, upload, &upload.part, there)?;
        Ok(same.then_some(there))
    }

    /// In pieces. The server's size after each of them is where the next one begins: never behind
    /// it, which would leave a hole, and never before it by more than was cut.
    fn append(&self, upload: &Upload, from: Option<u64>, session: &mut dyn Session) -> Result<()> {
        let Upload { object, part, control, .. } = upload;
        let mut at = match from {
            Some(at) => at,
            None => self.begin_empty(upload)?,
        };
        session.keep(upload.session(at))?;
        let stage = Stage::begin(control, "upload", at, object.bytes);
        let mut backoff = Backoff::new(self.client.transport());
        let mut piece = self.piece;
        while at < object.bytes {
            let end = at.saturating_add(piece).min(object.bytes);
            let setback = match self.append_piece(upload, at, end, &stage) {
                Err(error) if error.code() == "http-413" && piece > LEAST_PIECE => {
                    piece = (piece / 2).max(LEAST_PIECE);
                    if size(&self.client, part, control)? != Some(at) {
                        at = self.begin_empty(upload)?;
                    }
                    continue;
                }
                setback => setback?,
            };
            let there = size(&self.client, part, control)?;
            match (there, setback) {
                (Some(there), None) if there == end => {
                    backoff.reset();
                    at = end;
                }
                (Some(there), Some(setback)) if (at..=end).contains(&there) => {
                    if there - at >= proof::PROGRESS {
                        backoff.reset();
                    }
                    at = there;
                    if at < end && !backoff.after(&setback, control)? {
                        return Err(setback.error);
                    }
                }
                // Apache removes what a request has made that was cut.
                (None, Some(setback)) => {
                    if !backoff.after(&setback, control)? {
                        return Err(setback.error);
                    }
                    at = self.begin_empty(upload)?;
                }
                (there, _) => return Err(wrong_size(upload, there, at, end)),
            }
            session.keep(upload.session(at))?;
            stage.reached(at);
            control.go_on("stopped while uploading")?;
        }
        stage.end();
        Ok(())
    }

    fn append_piece(
        &self,
        upload: &Upload,
        at: u64,
        end: u64,
        stage: &Stage,
    ) -> Result<Option<Setback>> {
        let told = |sent| stage.reached(at.saturating_add(sent));
        let mut request = Request::new("PUT", &upload.part)
            .header("content-range", format!("bytes {at}-{}/{}", end - 1, upload.object.bytes))
            .body(upload.local.body(at, end - at));
        request.told = Some(&told);
        Setback::of(self.put(&request, end, upload.control), &request)
    }

    /// One `PUT`, after which the object has so many bytes.
    fn put(&self, request: &Request, bytes: u64, control: &Control) -> Result<Reply> {
        let reply = self.client.once(request, control)?;
        requests::settle(&self.client, request.url, &reply, bytes, control)?;
        Ok(reply)
    }

    /// An empty object first: Apache keeps what a cut request has brought only if the object was
    /// there before. What an earlier run has left goes first: lighttpd does not make an object
    /// shorter with an empty `PUT`. Others do, and some of them refuse to remove anything.
    fn begin_empty(&self, upload: &Upload) -> Result<u64> {
        let Upload { part, control, .. } = upload;
        if requests::look(&self.client, part, control)? != There::Nothing {
            let refused = |e: &Error| matches!(e.kind(), Kind::Permission | Kind::Protocol);
            requests::remove(&self.client, part, control)
                .or_else(|error| if refused(&error) { Ok(()) } else { Err(error) })?;
        }
        let request = Request::new("PUT", part).body(Body::Empty);
        let reply = self.client.send(&request, control)?;
        if !reply.is_success() {
            return Err(reply.failure(&request));
        }
        requests::settle(&self.client, part, &reply, 0, control)?;
        match size(&self.client, &upload.part, upload.control)? {
            Some(0) => Ok(0),
            there => Err(wrong_size(upload, there, 0, 0)),
        }
    }

    /// In one request, from the beginning after every cut.
    fn whole(&self, upload: &Upload, from: Option<u64>, session: &mut dyn Session) -> Result<()> {
        let Upload { object, part, control, .. } = upload;
        let stage = Stage::begin(control, "upload", from.unwrap_or(0), object.bytes);
        if from.is_none() {
            let direct = upload.mode() == Mode::Direct;
            if direct {
                // Nothing is sent yet, but from now on a part of it may be at the final name.
                session.keep(upload.session(0))?;
            }
            self.put_whole(upload, &stage)?;
            if !direct {
                session.keep(upload.session(object.bytes))?;
            }
        }
        // What this run has not written it must not go on with either. What has its final name is
        // taken back where it is not proved.
        if upload.mode() != Mode::Direct && size(&self.client, part, control)? != Some(object.bytes)
        {
            return proof::prove_size(&self.client, upload, part);
        }
        stage.end();
        control.go_on("stopped after the upload")
    }

    fn put_whole(&self, upload: &Upload, stage: &Stage) -> Result<()> {
        let Upload { object, part, control, .. } = upload;
        let mut backoff = Backoff::new(self.client.transport());
        loop {
            let told = |sent| stage.reached(sent);
            let mut request = Request::new("PUT", part).body(upload.local.body(0, object.bytes));
            request.told = Some(&told);
            let outcome = self.put(&request, object.bytes, control);
            let Some(setback) = Setback::of(outcome, &request)? else { return Ok(()) };
            // Only the reply was lost; what is there will be proved.
            if size(&self.client, part, control)? == Some(object.bytes) {
                return Ok(());
            }
            if !backoff.after(&setback, control)? {
                return Err(setback.error);
            }
        }
    }
}

fn wrong_size(upload: &Upload, there: Option<u64>, at: u64, end: u64) -> Error {
    let there = there.map_or("nothing".to_owned(), |there| format!("{there} bytes"));
    Error::new(
        Kind::Protocol,
        "dav-size",
        format!(
            "{}: bytes {at} to {end} were sent, and the server has {there}",
            shown(&upload.part)
        ),
    )
    .remedy("let nobody else write there, and run the same command again with --restart")
}
