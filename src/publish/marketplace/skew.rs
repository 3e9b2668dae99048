//! Clocks that differ. A server refuses an entry that is older than the newest one, and clouds
//! refuse one from the future: both come from clocks, and neither is easily seen.

use crate::control::Control;
use crate::error::{Error, Kind, Result};
use crate::metadata::date;
use crate::publish::http::Reply;

/// Seconds that two clocks may differ without a word.
const TOLERATED: u64 = 300;

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Seconds that ours may be ahead before nothing is signed by it: an entry from the future is the
/// newest one until that time has come, and nobody could correct it before.
const AHEAD: u64 = 3600;

/// Refuses to go on with a clock that is far ahead of the server's.
///
/// # Errors
/// `Config`.
pub fn refuse_ahead(reply: &Reply, now: u64) -> Result<()> {
    let Some(theirs) = reply.header("date").and_then(seconds) else { return Ok(()) };
    if now <= theirs.saturating_add(AHEAD) {
        return Ok(());
    }
    let message = format!(
        "the marketplace's clock says {}, this machine's {}: an entry from the future would lock \
         out every later one",
        date::text(theirs),
        date::text(now)
    );
    Err(Error::new(Kind::Config, "clock-ahead", message).remedy("set the clock that is wrong"))
}

/// Warns if the server's clock is far from ours.
pub fn warn(reply: &Reply, now: u64, control: &Control) {
    let Some(theirs) = reply.header("date").and_then(seconds) else { return };
    if theirs.abs_diff(now) > TOLERATED {
        control.warn(format!(
            "the marketplace's clock says {}, ours {}: set the one that is wrong, or entries will \
             be refused as too old, or count for too long",
            date::text(theirs),
            date::text(now)
        ));
    }
}

/// The seconds since 1970 of `Sun, 06 Nov 1994 08:49:37 GMT`, the one form that servers may write
/// (RFC 9110, section 5.6.7).
fn seconds(text: &str) -> Option<u64> {
    let rest = text.split_once(", ")?.1.strip_suffix(" GMT")?;
    let mut words = rest.split(' ');
    let (day, month, year, time) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let month = MONTHS.iter().position(|name| *name == month)? + 1;
    date::epoch(&format!("{year}-{month:02}-{day}T{time}Z")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_date_of_a_server_is_read() {
        assert_eq!(seconds("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
        assert_eq!(seconds("Thu, 01 Jan 1970 00:00:00 GMT"), Some(0));
        for text in [
            "",
            "now",
            ", GMT",
            "Sun, 06 Nov 1994 08:49:37",
            "Sun, 31 Feb 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            "Sun, 6 Nov 1994 0 GMT",
        ] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }
}
