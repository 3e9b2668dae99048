//! Points in time as manifests have them: `2026-11-23T14:00:00Z`, UTC, whole seconds, nothing else.
//!
//! The reference refuses fractions, offsets, and days that the calendar does not have. It counts
//! by the Julian calendar before October 1582; here the Gregorian one holds always.

use crate::error::{Error, Kind, Result};

const SECONDS_A_DAY: u64 = 86_400;
/// The last second of the year 9999: what has more digits cannot be written.
const LAST: u64 = 253_402_300_799;

/// The text of a time, in seconds since 1970. What is after the year 9999 is its last second.
pub fn text(epoch_seconds: u64) -> String {
    let time = epoch_seconds.min(LAST);
    let (mut days, second) = (time / SECONDS_A_DAY, time % SECONDS_A_DAY);
    let mut year = 1970;
    while days >= days_of_year(year) {
        days -= days_of_year(year);
        year += 1;
    }
    let mut month = 1;
    while days >= days_of_month(year, month) {
        days -= days_of_month(year, month);
        month += 1;
    }
    let (day, hour, minute) = (days + 1, second / 3600, second / 60 % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{:02}Z", second % 60)
}

/// The seconds since 1970 of a text.
///
/// # Errors
/// `Damaged` (`date`) for another form, for a day or a time that does not exist, and for what is
/// before 1970.
pub fn epoch(text: &str) -> Result<u64> {
    let seconds = fields(text).and_then(|[year, month, day, hour, minute, second]| {
        let years: u64 = (1970..year).map(days_of_year).sum();
        let months: u64 = (1..month).map(|month| days_of_month(year, month)).sum();
        let days = years + months + day - 1;
        (year >= 1970).then_some(days * SECONDS_A_DAY + hour * 3600 + minute * 60 + second)
    });
    seconds.ok_or_else(|| {
        Error::new(Kind::Damaged, "date", format!("{text:?} is not a point in time"))
            .remedy("write it as 2026-11-23T14:00:00Z: UTC, without fractions")
    })
}

/// Whether it is a point in time by the calendar, also before 1970.
pub(super) fn is_date(text: &str) -> bool {
    fields(text).is_some()
}

/// Year, month, day, hour, minute and second, if they exist.
fn fields(text: &str) -> Option<[u64; 6]> {
    const FORM: &[u8; 20] = b"0000-00-00T00:00:00Z";
    let bytes = text.as_bytes();
    let fits = |(byte, form): (&u8, &u8)| match form {
        b'0' => byte.is_ascii_digit(),
        _ => byte == form,
    };
    if bytes.len() != FORM.len() || !bytes.iter().zip(FORM).all(fits) {
        return None;
    }
    let number = |from: usize, len: usize| text.get(from..from + len)?.parse::<u64>().ok();
    let (year, month, day) = (number(0, 4)?, number(5, 2)?, number(8, 2)?);
    let (hour, minute, second) = (number(11, 2)?, number(14, 2)?, number(17, 2)?);
    let exists = year >= 1
        && (1..=12).contains(&month)
        && (1..=days_of_month(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    exists.then_some([year, month, day, hour, minute, second])
}

fn leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn days_of_year(year: u64) -> u64 {
    365 + u64::from(leap(year))
}

fn days_of_month(year: u64, month: u64) -> u64 {
    match month {
        2 => 28 + u64::from(leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// As `date -u -d @N +%FT%TZ` prints them.
    const KNOWN: [(u64, &str); 7] = [
        (0, "1970-01-01T00:00:00Z"),
        (951_782_399, "2000-02-28T23:59:59Z"),
        (951_782_400, "2000-02-29T00:00:00Z"),
        (1_078_012_800, "2004-02-29T00:00:00Z"),
        (1_795_442_400, "2026-11-23T14:00:00Z"),
        (4_107_542_400, "2100-03-01T00:00:00Z"),
        (LAST, "9999-12-31T23:59:59Z"),
    ];

    #[test]
    fn known_times() {
        for (seconds, known) in KNOWN {
            assert_eq!(text(seconds), known);
            assert_eq!(epoch(known).unwrap(), seconds);
        }
        assert_eq!(text(LAST + 1), text(LAST));
        assert_eq!(text(u64::MAX), text(LAST));
    }

    #[test]
    fn what_does_not_exist_is_refused() {
        let odd = [
            "",
            "2026-11-23",
            "2026-11-23T14:00:00",
            "2026-11-23T14:00:00.5Z",
            "2026-11-23T14:00:00+01:00",
            "2026-11-23t14:00:00z",
            "2026-11-23 14:00:00Z",
            " 2026-11-23T14:00:00Z",
            "+026-11-23T14:00:00Z",
            "２026-11-23T14:00Z",
            "2026-00-23T14:00:00Z",
            "2026-13-23T14:00:00Z",
            "2026-11-00T14:00:00Z",
            "2026-11-31T14:00:00Z",
            "2100-02-29T14:00:00Z",
            "2026-11-23T24:00:00Z",
            "2026-11-23T14:60:00Z",
            "2026-11-23T14:00:60Z",
            "0000-01-01T00:00:00Z",
        ];
        for odd in odd {
            assert!(!is_date(odd), "{odd}");
            assert_eq!(epoch(odd).unwrap_err().code(), "date", "{odd}");
        }
        assert!(is_date("1969-12-31T23:59:59Z") && epoch("1969-12-31T23:59:59Z").is_err());
    }

    proptest! {
        #[test]
        fn there_and_back(seconds in 0..=LAST) {
            prop_assert_eq!(epoch(&text(seconds)).unwrap(), seconds);
        }
    }
}
