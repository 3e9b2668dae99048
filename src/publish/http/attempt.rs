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
        let mut response = self.watched(self.http.execute(request), &meter).await?;
        let mut raw = Raw {
            status: response.status().as_u16(),
            headers: std::mem::take(response.headers_mut()),
            body: Vec::new(),
        };
        let success = response.status().is_success();
        let mut left = match sink {
            Some(_) if !success => Request::SHORT,
            _ => self.request.max_reply,
        };
        while let Some(piece) = self.watched(response.chunk(), &meter).await? {
            meter.received(piece.len() as u64);
            left = match left.checked_sub(piece.len() as u64) {
                Some(left) => left,
                // Of an error page the beginning is enough.
                None if !success => break,
                None => return Err(self.too_long()),
            };
            match &mut sink {
                Some(sink) if success => {
                    *began = true;
                    let begin = Instant::now();
                    sink(&piece)?;
                    meter.forgive(begin.elapsed());
                }
                _ => raw.body.extend_from_slice(&piece),
            }
        }
        Ok(raw)
    }

    fn build(&self, authorization: Option<&str>, meter: &Arc<Meter>) -> Result<reqwest::Request> {
        let request = self.request;
        let method = reqwest::Method::from_bytes(request.method.as_bytes())
            .map_err(|_| Error::new(Kind::Internal, "http-method", "a method is not a word"))?;
        let mut built = reqwest::Request::new(method, request.url.clone());
        for (name, value) in &request.headers {
            built.headers_mut().insert(HeaderName::from_static(name), header(value)?);
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

    /// The outcome of `future`, unless the user or the server's silence ends it.
    async fn watched<T>(
        &self,
        future: impl Future<Output = reqwest::Result<T>>,
        meter: &Meter,
    ) -> Result<T> {
        let mut future = pin!(future);
        loop {
            let outcome = tokio::time::timeout(TICK, future.as_mut()).await;
            if let Some(told) = self.request.told {
                told(meter.sent());
            }
            match outcome {
                Ok(Ok(done)) => return Ok(done),
                Ok(Err(error)) => {
                    let own = meter.failure();
                    return Err(own.unwrap_or_else(|| trouble::wire(error, self.request)));
                }
                Err(_) => {}
            }
            self.control.go_on("stopped while a server was at work")?;
            if meter.is_stalled() {
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

fn header(value: &str) -> Result<HeaderValue> {
    HeaderValue::from_bytes(value.as_bytes()).map_err(|_| {
        Error::new(
            Kind::Usage,
            "http-header",
            "a name or password has a control character in it, which HTTP cannot carry",
        )
    })
}
