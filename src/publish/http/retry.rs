//! What is tried again, and when: full jitter over a doubling bound, or what the server asks for.
//!
//! With full jitter many clients that failed at once do not come back at once.

use std::time::{Duration, Instant};

use super::message::{Reply, Request};
use super::transport::{Retries, Transport};
use crate::control::Control;
use crate::error::{Error, Kind, Result};

/// No wait is longer, whatever a server asks for.
pub(super) const LONGEST: Duration = Duration::from_secs(60);
/// How soon a wait sees that it shall end.
const TICK: Duration = Duration::from_millis(100);

/// Whether a status may be another one soon: RFC 9110 (408, 500, 502, 503, 504), RFC 8470 (425),
/// RFC 6585 (429).
pub(super) fn temporary_status(status: u16) -> bool {
    matches!(status, 408 | 425 | 429 | 500 | 502 | 503 | 504)
}

/// Whether an error of one attempt may be gone at the next one.
pub fn temporary(error: &Error) -> bool {
    error.kind() == Kind::Unavailable && error.code() != "http-tls"
}

/// What went wrong for now, and what the server wants us to wait.
#[derive(Debug)]
pub struct Setback {
    /// What went wrong.
    pub error: Error,
    asked: Option<Duration>,
}

impl Setback {
    /// None for a success.
    ///
    /// # Errors
    /// What would be the same another time.
    pub fn of(outcome: Result<Reply>, request: &Request) -> Result<Option<Self>> {
        let setback = match outcome {
            Ok(reply) if reply.is_success() => return Ok(None),
            Ok(reply) => Setback { error: reply.failure(request), asked: asked(&reply) },
            Err(error) => Setback { error, asked: None },
        };
        if temporary(&setback.error) { Ok(Some(setback)) } else { Err(setback.error) }
    }
}

/// Counts attempts and waits between them.
#[derive(Clone, Debug)]
pub struct Backoff {
    retries: Retries,
    done: u32,
    bound: Duration,
    first: Duration,
}

impl Backoff {
    /// For one piece of work.
    pub fn new(transport: &Transport) -> Self {
        let first = transport.backoff;
        Backoff { retries: transport.retries, done: 0, bound: first, first }
    }

    /// There was progress: all attempts are left again.
    pub fn reset(&mut self) {
        (self.done, self.bound) = (0, self.first);
    }

    /// Waits as after any failure, and as long as the server wants.
    ///
    /// # Errors
    /// `Interrupted`.
    pub fn after(&mut self, setback: &Setback, control: &Control) -> Result<bool> {
        self.again(&setback.error.to_string(), setback.asked, control)
    }

    /// Waits and says so, if there is an attempt left. `why` is what went wrong, and `asked` what
    /// the server wants us to wait.
    ///
    /// # Errors
    /// `Interrupted`.
    pub fn again(&mut self, why: &str, asked: Option<Duration>, control: &Control) -> Result<bool> {
        let times = match self.retries {
            Retries::Times(times) if self.done >= times => return Ok(false),
            Retries::Times(times) => format!(" of {times}"),
            Retries::Infinite => String::new(),
        };
        self.done = self.done.saturating_add(1);
        let wait = asked.unwrap_or_else(|| self.bound.mul_f64(fastrand::f64())).min(LONGEST);
        self.bound = (self.bound * 2).min(LONGEST);
        let seconds = wait.as_secs_f64();
        control.note(format!("{why}; trying again in {seconds:.1} s ({}{times})", self.done));
        pause(wait, control)?;
        Ok(true)
    }
}

/// Waits, but not when somebody asks to stop.
fn pause(wait: Duration, control: &Control) -> Result<()> {
    let begin = Instant::now();
    loop {
        control.go_on("stopped while waiting for the server")?;
        let left = wait.saturating_sub(begin.elapsed());
        if left.is_zero() {
            return Ok(());
        }
        std::thread::sleep(left.min(TICK));
    }
}

/// `Retry-After` (RFC 9110 §10.2.3): seconds, or a date, which is compared with the reply's own
/// `Date`, so that our clock does not matter.
pub(super) fn asked(reply: &Reply) -> Option<Duration> {
    let text = reply.header("retry-after")?.trim();
    let seconds = if !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit()) {
        text.parse().unwrap_or(u64::MAX)
    } else {
        http_date(text)?.saturating_sub(http_date(reply.header("date")?.trim())?)
    };
    Some(Duration::from_secs(seconds).min(LONGEST))
}

/// Seconds since 1970 of `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 §5.6.7; the two obsolete forms
/// are not read).
fn http_date(text: &str) -> Option<u64> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let rest = text.split_once(", ")?.1.strip_suffix(" GMT")?;
    let mut words = rest.split(' ');
    let mut next = || words.next();
    let day = number(next()?, 1, 31)?;
    let month = next()?;
    let month = MONTHS.iter().position(|name| *name == month)? as u64 + 1;
    let year = number(next()?, 1970, 9999)?;
    let mut clock = next()?.split(':');
    let mut part = |most| number(clock.next()?, 0, most);
    let (hour, minute, second) = (part(23)?, part(59)?, part(60)?);
    // Days since 1970, with years that begin in March, so that a leap day is the last of its year.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1;
    let days = days.checked_sub(719_468)?;
    Some(days * 86_400 + hour * 3600 + minute * 60 + second)
}

fn number(text: &str, least: u64, most: u64) -> Option<u64> {
    let value = text.bytes().all(|c| c.is_ascii_digit()).then(|| text.parse().ok())??;
    (least..=most).contains(&value).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::Ordering;

    fn reply(headers: &[(&'static str, &str)]) -> Reply {
        let headers = headers.iter().map(|(name, value)| {
            (reqwest::header::HeaderName::from_static(name), value.parse().unwrap())
        });
        let headers = headers.collect();
        let url = url::Url::parse("http://h/").unwrap();
        Reply { url, status: 503, headers, body: Vec::new(), said: String::new(), login: false }
    }

    #[test]
    fn dates_are_those_of_the_rfc() {
        assert_eq!(http_date("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
        assert_eq!(http_date("Thu, 01 Jan 1970 00:00:00 GMT"), Some(0));
        assert_eq!(http_date("Tue, 29 Feb 2000 12:00:00 GMT"), Some(951_825_600));
        for wrong in ["", ", ", "Sun, 06 Nov 1994 08:49 GMT", "Sun, +6 Nov 1994 08:49:37 GMT"] {
            assert_eq!(http_date(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_the_server_asks_for_is_bounded() {
        let seconds =
            |headers: &[(&'static str, &str)]| asked(&reply(headers)).map(|d| d.as_secs());
        assert_eq!(seconds(&[("retry-after", "3")]), Some(3));
        assert_eq!(seconds(&[("retry-after", "99999999999999999999")]), Some(60));
        let later = ("retry-after", "Sun, 06 Nov 1994 08:49:57 GMT");
        assert_eq!(seconds(&[later, ("date", "Sun, 06 Nov 1994 08:49:37 GMT")]), Some(20));
        assert_eq!(seconds(&[later, ("date", "Sun, 06 Nov 1995 08:49:37 GMT")]), Some(0));
        assert_eq!(seconds(&[("retry-after", "-1")]), None);
        assert_eq!(seconds(&[]), None);
    }

    #[test]
    fn attempts_are_counted_and_a_wait_is_interruptible() {
        let transport = Transport {
            retries: Retries::Times(2),
            backoff: Duration::ZERO,
            ..Transport::default()
        };
        let mut backoff = Backoff::new(&transport);
        let control = Control::default();
        let mut again = || backoff.again("x", None, &control).unwrap();
        assert_eq!([again(), again(), again()], [true, true, false]);
        control.stop.store(15, Ordering::Relaxed);
        backoff.reset();
        let begin = Instant::now();
        let error = backoff.again("x", Some(LONGEST), &control).unwrap_err();
        assert_eq!(error.kind(), Kind::Interrupted(15));
        assert!(begin.elapsed() < Duration::from_millis(200));
    }
}
