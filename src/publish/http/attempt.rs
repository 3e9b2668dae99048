//! One request on the wire. A tenth of a second at most passes between two looks at the user's wish
//! to stop, at the progress, and at a server that stalls.

use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use reqwest::header::{CONTENT_LENGTH, HeaderName, HeaderValue};

use super::feed::{Bucket, Feed, Meter};
use super::message::{Headers, Request};
use super::transport::Transport;
use super::trouble;
use crate::control::Control;
use crate::error::{Error, Kind, Result};

const TICK: Duration = Duration::from_millis(100);

/// Bytes a second that are expected of a reply that is kept in memory.
const SLOW: u64 = 64 << 10;

/// Takes the pieces of a reply.
pub(super) type Sink<'a> = &'a mut dyn FnMut(&[u8]) -> Result<()>;

/// What one attempt needs.
pub(super) struct Attempt<'a> {
    pub(super) http: &'a reqwest::Client,
    pub(super) transport: &'a Transport,
    pub(super) bucket: Option<&'a Arc<Mutex<Bucket>>>,
    pub(super) request: &'a Request<'a>,
    pub(super) control: &'a Control,
}

/// What came back, as it came.
pub(super) struct Raw {
    pub(super) status: u16,
    pub(super) headers: Headers,
    pub(super) body: Vec<u8>,
}

/// The wanted part of a body that is passing by.
struct Window {
    /// Bytes to be passed over, still.
    before: u64,
    /// Bytes to be taken, still.
    wanted: u64,
}

impl Window {
    fn cut<'a>(&mut self, piece: &'a [u8]) -> &'a [u8] {
        let len = piece.len() as u64;
        let skip = self.before.min(len);
        self.before -= skip;
        let take = self.wanted.min(len - skip);
        self.wanted -= take;
        // Both are at most the length of the piece, which is a usize.
        let at = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
        piece.get(at(skip)..at(skip + take)).unwrap_or_default()
    }
}

impl Attempt<'_> {
    /// Sends the request. The body of a success goes to `sink`, if there is one; `began` becomes
    /// true as soon as something was given to it.
    pub(super) async fn send(
        &self,
        authorization: Option<&str>,
        mut sink: Option<Sink<'_>>,
        began: &mut bool,
    ) -> Result<Raw> {
        let meter = Arc::new(Meter::new(self.transport.idle.saturating_add(self.request.patience)));
        let request = self.build(authorization, &meter)?;
        let mut response = self.watched(self.http.execute(request), &meter, None).await?;
        let mut raw = Raw {
            status: response.status().as_u16(),
            headers: std::mem::take(response.headers_mut()),
            body: Vec::new(),
        };
        let success = response.status().is_success();
        let mut window = self.window(&raw)?;
        let mut left = match sink {
            Some(_) if !success => Request::SHORT,
            _ => self.request.max_reply,
        };
        let end = if success && sink.is_some() { None } else { self.end(left) };
        loop {
            let piece = match self.watched(response.chunk(), &meter, end).await {
                // Of an error page the beginning is enough.
                Err(error) if !success && error.code() == trouble::STALLED => break,
                piece => piece?,
            };
            let Some(piece) = piece else { break };
            meter.received(piece.len() as u64);
            let mut piece = &piece[..];
            if let Some(window) = window.as_mut().filter(|_| success) {
                piece = window.cut(piece);
            }
            left = match left.checked_sub(piece.len() as u64) {
                Some(left) => left,
                None if !success => break,
                None => return Err(self.too_long()),
            };
            match &mut sink {
                Some(sink) if success => {
                    *began |= !piece.is_empty();
                    let begin = Instant::now();
                    sink(piece)?;
                    meter.forgive(begin.elapsed());
                }
                _ => raw.body.extend_from_slice(piece),
            }
            if success && window.as_ref().is_some_and(|window| window.wanted == 0) {
                break;
            }
        }
        Ok(raw)
    }

    /// When a reply of at most so many bytes has to be over that nobody is told the progress of.
    fn end(&self, bytes: u64) -> Option<Instant> {
        let long = Duration::from_secs(bytes / SLOW);
        Instant::now().checked_add(self.transport.idle.saturating_mul(2).saturating_add(long))
    }

    /// What of the reply is wanted, if the request has a range.
    fn window(&self, raw: &Raw) -> Result<Option<Window>> {
        let Some((from, wanted)) = self.request.range else { return Ok(None) };
        if raw.status != 206 {
            return Ok(Some(Window { before: from, wanted }));
        }
        // RFC 9110 §14.4: `bytes FIRST-LAST/LENGTH`.
        let begins = raw.headers.get("content-range").and_then(|value| {
            value.to_str().ok()?.strip_prefix("bytes ")?.split_once('-')?.0.parse().ok()
        });
        if begins == Some(from) {
            return Ok(Some(Window { before: 0, wanted }));
        }
        let message = format!("{}: another range came than was asked for", self.request.words());
        Err(Error::new(Kind::Protocol, "http-range", message)
            .remedy("check what is wrong with the server, or with a cache before it"))
    }

    fn build(&self, authorization: Option<&str>, meter: &Arc<Meter>) -> Result<reqwest::Request> {
        let request = self.request;
        let method = reqwest::Method::from_bytes(request.method.as_bytes())
            .map_err(|_| Error::new(Kind::Internal, "http-method", "a method is not a word"))?;
        let mut built = reqwest::Request::new(method, request.url.clone());
        for (name, value) in &request.headers {
            built.headers_mut().insert(HeaderName::from_static(name), header(value)?);
        }
        if let Some((from, wanted)) = request.range {
            let last = from.saturating_add(wanted).saturating_sub(1);
            let value = header(&format!("bytes={from}-{last}"))?;
            built.headers_mut().insert(reqwest::header::RANGE, value);
        }
        if let Some(authorization) = authorization {
            let mut value = header(authorization)?;
            value.set_sensitive(true);
            built.headers_mut().insert(reqwest::header::AUTHORIZATION, value);
        }
        if !request.body.is_empty() {
            let feed = Feed::new(request.body, meter, self.bucket)?;
            *built.body_mut() = Some(reqwest::Body::wrap(feed));
        } else if matches!(request.method, "PUT" | "POST") {
            // RFC 9110 §8.6: a method that has a meaning for a body says that there is none.
            built.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        Ok(built)
    }

    /// The outcome of `future`, unless the user, the server's silence, or `end` comes before it.
    async fn watched<T>(
        &self,
        future: impl Future<Output = reqwest::Result<T>>,
        meter: &Meter,
        end: Option<Instant>,
    ) -> Result<T> {
        let mut future = pin!(future);
        loop {
            let outcome = tokio::time::timeout(TICK, future.as_mut()).await;
            if let Some(told) = self.request.told {
                told(meter.sent());
            }
            match outcome {
                Ok(_) if is_over(end) => return Err(trouble::stalled(self.request)),
                Ok(Ok(done)) => return Ok(done),
                Ok(Err(error)) => {
                    let own = meter.failure();
                    return Err(own.unwrap_or_else(|| trouble::wire(error, self.request)));
                }
                Err(_) => {}
            }
            self.control.go_on("stopped while a server was at work")?;
            if meter.is_stalled() || is_over(end) {
                return Err(trouble::stalled(self.request));
            }
        }
    }

    fn too_long(&self) -> Error {
        let (words, most) = (self.request.words(), self.request.max_reply);
        Error::new(
            Kind::Protocol,
            "http-reply-too-long",
            format!("{words}: the reply is longer than the {most} bytes that are expected"),
        )
        .remedy("check that the address is the right one, and what is wrong with the server")
    }
}

fn is_over(end: Option<Instant>) -> bool {
    end.is_some_and(|end| Instant::now() >= end)
}

fn header(value: &str) -> Result<HeaderValue> {
    HeaderValue::from_bytes(value.as_bytes()).map_err(|_| {
        Error::new(
            Kind::Usage,
            "http-header",
            "a name or password has a control character in it, which HTTP cannot carry",
        )
    })
}
