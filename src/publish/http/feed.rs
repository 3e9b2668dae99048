//! The body of a request on its way: in pieces, measured, and no faster than it may.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::message::Body;
use crate::error::{Error, Kind, Result};

/// What is read at once. Small, so that also a slow line shows that something moves.
const PIECE: usize = 64 << 10;
/// Less than this in [`Transport::idle`](super::Transport::idle) is a stall.
const LEAST: u64 = 1 << 10;
/// A server may copy what it has received before it answers, from its disk for uploads to another
/// one (nginx does): so many bytes a second are waited for.
const COPIES: u64 = 10 << 20;

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What moved in one attempt, and since when nothing did.
#[derive(Debug)]
pub(super) struct Meter(Mutex<Moved>);

#[derive(Debug)]
struct Moved {
    sent: u64,
    /// Bytes since `mark`.
    few: u64,
    mark: Instant,
    patience: Duration,
    failure: Option<Error>,
}

impl Meter {
    pub(super) fn new(patience: Duration) -> Self {
        let mark = Instant::now();
        Meter(Mutex::new(Moved { sent: 0, few: 0, mark, patience, failure: None }))
    }

    /// Bytes of the request's body so far.
    pub(super) fn sent(&self) -> u64 {
        locked(&self.0).sent
    }

    /// Bytes came in.
    pub(super) fn received(&self, bytes: u64) {
        locked(&self.0).moved(bytes);
    }

    /// What we did ourselves in the meantime is not the server's fault.
    pub(super) fn forgive(&self, time: Duration) {
        locked(&self.0).mark += time;
    }

    /// Whether too little moved for too long.
    pub(super) fn is_stalled(&self) -> bool {
        let moved = locked(&self.0);
        moved.mark.elapsed() >= moved.patience
    }

    /// Why the body could not be read, if that was the reason.
    pub(super) fn failure(&self) -> Option<Error> {
        locked(&self.0).failure.take()
    }
}

impl Moved {
    fn moved(&mut self, bytes: u64) {
        self.few += bytes;
        if self.few >= LEAST {
            (self.few, self.mark) = (0, Instant::now());
        }
    }
}

/// Lets so many bytes a second through, and a quarter of a second's worth at once.
#[derive(Debug)]
pub(super) struct Bucket {
    rate: f64,
    tokens: f64,
    filled: Instant,
}

impl Bucket {
    pub(super) fn new(rate: u64) -> Self {
        Bucket { rate: rate.max(1) as f64, tokens: 0.0, filled: Instant::now() }
    }

    /// How many of `wanted` bytes may go now; or how long to wait for the first.
    fn take(&mut self, wanted: usize) -> Result<usize, Duration> {
        let most = (self.rate / 4.0).max(1.0);
        let now = Instant::now();
        let new = now.duration_since(self.filled).as_secs_f64() * self.rate;
        self.tokens = (self.tokens + new).min(most);
        self.filled = now;
        // Worth a piece: not a system call for every byte.
        let worth = (wanted as f64).min(most);
        if self.tokens < worth {
            return Err(Duration::from_secs_f64((worth - self.tokens) / self.rate));
        }
        self.tokens -= worth;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "1..=wanted")]
        Ok(worth as usize)
    }
}

/// Where the bytes come from.
enum Source {
    Bytes(Vec<u8>),
    File(File, u64),
}

/// The body as the HTTP library asks for it.
pub(super) struct Feed {
    source: Source,
    /// Bytes given so far, and in all.
    given: u64,
    bytes: u64,
    meter: Arc<Meter>,
    bucket: Option<Arc<Mutex<Bucket>>>,
    sleep: Option<Pin<Box<tokio::time::Sleep>>>,
}

impl Feed {
    /// # Errors
    /// `Io` if the file cannot be opened a second time.
    pub(super) fn new(
        body: Body,
        meter: &Arc<Meter>,
        bucket: Option<&Arc<Mutex<Bucket>>>,
    ) -> Result<Self> {
        let source = match body {
            Body::Empty => Source::Bytes(Vec::new()),
            Body::Bytes(bytes) => Source::Bytes(bytes.to_vec()),
            Body::File { file, offset, .. } => {
                let file = file.try_clone().map_err(|e| unreadable("cannot share a file", e))?;
                Source::File(file, offset)
            }
        };
        let (bytes, meter, bucket) = (body.len(), Arc::clone(meter), bucket.map(Arc::clone));
        Ok(Feed { source, given: 0, bytes, meter, bucket, sleep: None })
    }

    fn piece(&self, len: usize) -> Result<Vec<u8>> {
        match &self.source {
            Source::Bytes(bytes) => {
                let from = usize::try_from(self.given).unwrap_or(usize::MAX);
                let rest = bytes.get(from..).unwrap_or_default();
                Ok(rest[..len.min(rest.len())].to_vec())
            }
            Source::File(file, offset) => {
                let mut piece = vec![0; len];
                file.read_exact_at(&mut piece, offset.saturating_add(self.given)).map_err(|e| {
                    if e.kind() == io::ErrorKind::UnexpectedEof {
                        let what = "the file became shorter while it was sent";
                        return Error::new(Kind::Changed, "upload-changed", what)
                            .remedy("leave the file alone, and run the same command again");
                    }
                    unreadable("cannot read what is to be sent", e)
                })?;
                Ok(piece)
            }
        }
    }
}

fn unreadable(what: &str, cause: io::Error) -> Error {
    Error::new(Kind::Io, "upload-read", what)
        .because(cause)
        .remedy("check the storage, then run the same command again")
}

impl http_body::Body for Feed {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let left = self.bytes - self.given;
        if left == 0 {
            return Poll::Ready(None);
        }
        let mut len = usize::try_from(left).unwrap_or(usize::MAX).min(PIECE);
        if let Some(bucket) = self.bucket.clone() {
            loop {
                if let Some(sleep) = &mut self.sleep {
                    if sleep.as_mut().poll(context).is_pending() {
                        return Poll::Pending;
                    }
                    self.sleep = None;
                }
                match locked(&bucket).take(len) {
                    Ok(allowed) => {
                        len = allowed;
                        break;
                    }
                    Err(wait) => {
                        self.meter.forgive(wait);
                        self.sleep = Some(Box::pin(tokio::time::sleep(wait)));
                    }
                }
            }
        }
        let piece = match self.piece(len) {
            Ok(piece) => piece,
            Err(error) => {
                locked(&self.meter.0).failure = Some(error);
                return Poll::Ready(Some(Err(io::Error::other("the body cannot be read"))));
            }
        };
        self.given += piece.len() as u64;
        {
            let mut moved = locked(&self.meter.0);
            moved.sent = self.given;
            moved.moved(piece.len() as u64);
            if self.given == self.bytes {
                moved.mark = Instant::now();
                moved.patience += Duration::from_secs(self.bytes / COPIES);
            }
        }
        Poll::Ready(Some(Ok(Frame::data(Bytes::from(piece)))))
    }

    fn is_end_stream(&self) -> bool {
        self.given == self.bytes
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes - self.given)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_lets_its_rate_through_and_no_more() {
        let mut bucket = Bucket::new(1000);
        let wait = bucket.take(PIECE).unwrap_err();
        assert!(wait > Duration::from_millis(200) && wait <= Duration::from_millis(250));
        bucket.filled -= Duration::from_secs(3600);
        assert_eq!(bucket.take(100), Ok(100));
        assert_eq!(bucket.take(PIECE).unwrap_err().as_millis() / 20, 4, "100 of 250 bytes");
        // One byte a second is slow, but it moves.
        let mut slow = Bucket::new(1);
        slow.filled -= Duration::from_secs(1);
        assert_eq!(slow.take(PIECE), Ok(1));
    }

    #[test]
    fn a_trickle_is_a_stall() {
        let meter = Meter::new(Duration::from_secs(10));
        locked(&meter.0).mark -= Duration::from_secs(11);
        meter.received(100);
        assert!(meter.is_stalled());
        meter.received(1000);
        assert!(!meter.is_stalled());
    }
}
