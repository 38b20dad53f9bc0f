//! When a key line stops counting: the `expiry-time` option, judged by us and not by sshd.
//!
//! sshd reads a time without `Z` in the instance's own time zone, and OpenSSH before 9.1 refuses a `Z`. So iam-ssh
//! reads every expiry as UTC, compares it itself, and never hands the option on. No clock is read here.

use std::fmt;

/// An expiry in UTC, as written: `YYYYMMDD`, `YYYYMMDDHHMM` or `YYYYMMDDHHMMSS`, with an optional `Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Expiry {
    /// Seconds since 1970-01-01T00:00:00Z from which the line no longer counts.
    unix: i64,
}

impl Expiry {
    /// Reads an expiry; `None` where the text is not a real point in time.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_suffix(['Z', 'z']).unwrap_or(text);
        if !digits.bytes().all(|b| b.is_ascii_digit()) || !matches!(digits.len(), 8 | 12 | 14) {
            return None;
        }
        let number = |from: usize, to: usize| digits.get(from..to).map_or(Some(0), |d| d.parse::<i64>().ok());
        let (year, month, day) = (number(0, 4)?, number(4, 6)?, number(6, 8)?);
        let (hour, minute, second) = (number(8, 10)?, number(10, 12)?, number(12, 14)?);
        let real = year >= 1970
            && (1..=12).contains(&month)
            && (1..=days_in(year, month)).contains(&day)
            && hour < 24
            && minute < 60
            && second < 60;
        real.then(|| Self { unix: days_since_epoch(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second })
    }

    /// Whether a line with this expiry no longer counts at `now` (seconds since 1970 UTC).
    #[must_use]
    pub fn has_passed(self, now: i64) -> bool {
        now >= self.unix
    }
}

fn is_leap(year: i64) -> bool {
    (year % 4 == 0 && year % 100 != 0) || year % 400 == 0
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let leap_days = |y: i64| y / 4 - y / 100 + y / 400;
    let years = (year - 1970) * 365 + leap_days(year - 1) - leap_days(1969);
    years + (1..month).map(|m| days_in(year, m)).sum::<i64>() + day - 1
}

impl fmt::Display for Expiry {
    /// `YYYYMMDDHHMMSSZ`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut days, time) = (self.unix / 86_400, self.unix % 86_400);
        let mut year = 1970;
        loop {
            let len = if is_leap(year) { 366 } else { 365 };
            if days < len {
                break;
            }
            days -= len;
            year += 1;
        }
        let mut month = 1;
        while days >= days_in(year, month) {
            days -= days_in(year, month);
            month += 1;
        }
        let (hour, minute, second) = (time / 3600, time / 60 % 60, time % 60);
        write!(f, "{year:04}{month:02}{:02}{hour:02}{minute:02}{second:02}Z", days + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_times() {
        assert_eq!(Expiry::parse("19700101"), Some(Expiry { unix: 0 }));
        assert_eq!(Expiry::parse("20260101"), Some(Expiry { unix: 1_767_225_600 }));
        assert_eq!(Expiry::parse("20240229120000Z"), Some(Expiry { unix: 1_709_208_000 }));
        let at = Expiry::parse("202601010000Z").unwrap();
        assert!(at.has_passed(1_767_225_600) && !at.has_passed(1_767_225_599));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for bad in
            ["", "never", "20260230", "20261301", "2026010", "202601012400", "2026-01-01", "+20260101", "20260101ZZ"]
        {
            assert_eq!(Expiry::parse(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn writing_and_reading_agree(unix in 0i64..200_000_000_000) {
            let at = Expiry { unix };
            prop_assert_eq!(Expiry::parse(&at.to_string()), Some(at));
        }
    }
}
