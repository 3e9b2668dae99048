//! A request, its body, and the reply.

use std::fmt;
use std::fs::File;
use std::time::Duration;

use url::Url;

use super::{retry, trouble};
use crate::error::Error;

/// The headers of a reply.
pub type Headers = reqwest::header::HeaderMap;

/// What is sent after the headers.
#[derive(Clone, Copy, Debug, Default)]
pub enum Body<'a> {
    /// Nothing.
    #[default]
    Empty,
    /// A few bytes.
    Bytes(&'a [u8]),
    /// A piece of a file, which is read while it is sent.
    File {
        /// Open for reading.
        file: &'a File,
        /// Where the piece begins.
        offset: u64,
        /// How long it is.
        bytes: u64,
    },
}

impl Body<'_> {
    /// How many bytes it has.
    pub fn len(&self) -> u64 {
        match self {
            Body::Empty => 0,
            Body::Bytes(bytes) => bytes.len() as u64,
            Body::File { bytes, .. } => *bytes,
        }
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A request. Make it with [`Request::new`] and set what is different.
#[derive(Clone)]
pub struct Request<'a> {
    /// `GET`, `PUT`, `MKCOL`, …
    pub method: &'static str,
    /// Where. With user information in it, it is refused.
    pub url: &'a Url,
    /// More headers, each of them once. `Authorization` and `Content-Length` are the client's.
    pub headers: Vec<(&'static str, String)>,
    /// What is sent.
    pub body: Body<'a>,
    /// The part of a long reply that is wanted by [`Client::read`](super::Client::read): where it
    /// begins, and how long it may be. A server that ignores ranges (RFC 9110 §14.2) costs time,
    /// nothing else: what was not asked for is passed over.
    pub range: Option<(u64, u64)>,
    /// A longer reply is an error of kind `Protocol`.
    pub max_reply: u64,
    /// How much longer than [`Transport::idle`](super::Transport::idle) the server may be silent
    /// before it answers, for what takes a server long: the move of a large file between disks.
    /// What the body's length asks for is added by the client.
    pub patience: Duration,
    /// Is told, about ten times a second, how many bytes of the body were handed to the system.
    pub told: Option<&'a dyn Fn(u64)>,
}

impl<'a> Request<'a> {
    /// The usual length of a reply that is only looked at, never kept.
    pub const SHORT: u64 = 64 << 10;

    /// Without headers, without a body, with a reply of at most [`Request::SHORT`] bytes.
    pub fn new(method: &'static str, url: &'a Url) -> Self {
        Request {
            method,
            url,
            headers: Vec::new(),
            body: Body::Empty,
            range: None,
            max_reply: Request::SHORT,
            patience: Duration::ZERO,
            told: None,
        }
    }

    /// With one more header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// With a body.
    #[must_use]
    pub fn body(mut self, body: Body<'a>) -> Self {
        self.body = body;
        self
    }

    /// Whether doing it twice is the same as doing it once (RFC 9110 §9.2.2, RFC 4918 §9).
    pub fn may_be_repeated(&self) -> bool {
        matches!(self.method, "GET" | "HEAD" | "OPTIONS" | "PUT" | "DELETE" | "MKCOL" | "PROPFIND")
    }

    /// `PUT https://host/x`, without secrets.
    pub fn words(&self) -> String {
        format!("{} {}", self.method, trouble::shown(self.url))
    }
}

impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words())
    }
}

/// What the server answered.
#[derive(Clone)]
pub struct Reply {
    /// What answered: where the redirects of a reading request led, else the request's URL.
    pub url: Url,
    /// The status code.
    pub status: u16,
    /// The headers.
    pub headers: Headers,
    /// The body. Never show it as it is: a server may repeat a password in it. Show `said`.
    pub body: Vec<u8>,
    /// One line of what the server says in words, printable, short and without our secrets; empty
    /// for a success.
    pub said: String,
    /// Whether a login was sent.
    pub login: bool,
}

impl Reply {
    /// Whether the status is one of 200 to 299, but for 207 (RFC 4918 §13): as the answer to a
    /// request that changes something it tells what was not done.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status) && self.status != 207
    }

    /// A header as text: its only value, or its first.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// `Content-Length`, which may also belong to a reply to `HEAD`.
    pub fn content_length(&self) -> Option<u64> {
        let text = self.header("content-length")?;
        text.bytes().all(|c| c.is_ascii_digit()).then(|| text.parse().ok())?
    }

    /// How long the server wants us to wait (`Retry-After`), at most a minute.
    pub fn asked(&self) -> Option<Duration> {
        retry::asked(self)
    }

    /// What this status means as the end of `request`: `Permission` for 401, 403 and 407, `Missing`
    /// for 404 and 410, `Io` for 413 and 507 (no room), `Locked` for 423, `Unavailable` for what may be better
    /// another time, else `Protocol`.
    pub fn failure(&self, request: &Request) -> Error {
        trouble::status(self, request)
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply").field("status", &self.status).field("said", &self.said).finish()
    }
}
