//! Points in time as logs, people and tables write them. Everything is milliseconds since 1970 UTC; what is local time is asked of a
//! function that is handed in.

use time::{Date, Month, OffsetDateTime, PrimitiveDateTime, Time};

/// How far local time is ahead of UTC, in seconds, at a moment in seconds since 1970 UTC.
pub type Zone<'a> = &'a dyn Fn(i64) -> i64;

const DAY: i64 = 24 * 60 * 60;
const MONTHS: [&[u8; 3]; 12] =
    [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];

/// `2026-11-22T13:35:25Z`.
#[must_use]
pub fn utc(millis: i64) -> String {
    let Ok(at) = OffsetDateTime::from_unix_timestamp(millis.div_euclid(1000)) else { return "unknown".to_owned() };
    let (year, month, day) = at.to_calendar_date();
    let (hour, minute, second) = at.to_hms();
    format!("{year:04}-{:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z", u8::from(month))
}

/// The time stamp of a syslog line, and where the line goes on behind it: `Nov 22 13:35:25 ` in local time, in the last year in which
/// it is not later than `newest`, or `2026-11-22T13:35:25.123456+01:00 `.
#[must_use]
pub fn syslog(line: &[u8], newest: i64, zone: Zone<'_>) -> Option<i64> {
    if line.first()?.is_ascii_digit() {
        let end = memchr::memchr(b' ', line)?;
        return rfc3339(line.get(..end)?, None);
    }
    let month = line.first_chunk::<3>()?;
    let month = MONTHS.iter().position(|known| *known == month)?;
    let day = match line.get(4..6)? {
        [b' ', digit] => number(std::slice::from_ref(digit))?,
        digits => number(digits)?,
    };
    if line.get(3) != Some(&b' ') || line.get(6) != Some(&b' ') {
        return None;
    }
    let time = clock(line.get(7..15)?)?;
    let month = Month::try_from(u8::try_from(month + 1).ok()?).ok()?;
    let last = OffsetDateTime::from_unix_timestamp(newest.div_euclid(1000)).ok()?.year() + 1;
    // Leap days are four or, around 2100, eight years apart; a clock may be a little ahead of a file's date.
    let mut years = (last - 9..=last).rev().filter_map(|year| Date::from_calendar_date(year, month, day).ok());
    years.find_map(|date| {
        let at = local(PrimitiveDateTime::new(date, time), zone) * 1000;
        (at <= newest.saturating_add(DAY * 1000)).then_some(at)
    })
}

/// What a person means by a point in time: `2026-11-22`, `2026-11-22 13:00`, `2026-11-22T13:00:00Z`, `today`, `yesterday`, `2h`.
#[must_use]
pub fn since(text: &str, now: i64, zone: Zone<'_>) -> Option<i64> {
    let midnight = |days_ago: i64| {
        let seconds = now.div_euclid(1000);
        let today = OffsetDateTime::from_unix_timestamp(seconds + zone(seconds)).ok()?.date();
        let day = today.checked_sub(time::Duration::days(days_ago))?;
        Some(local(PrimitiveDateTime::new(day, Time::MIDNIGHT), zone) * 1000)
    };
    match text {
        "today" => return midnight(0),
        "yesterday" => return midnight(1),
        _ => {}
    }
    let unit = match text.as_bytes().last()? {
        b's' => 1,
        b'm' => 60,
        b'h' => 60 * 60,
        b'd' => DAY,
        _ => return rfc3339(text.as_bytes(), Some(zone)),
    };
    let count: u32 = number(text.as_bytes().split_last()?.1)?;
    now.checked_sub(i64::from(count) * unit * 1000)
}

/// A date, a date and a time, or both and a zone; where none is given, `zone` counts, if there is one.
fn rfc3339(text: &[u8], zone: Option<Zone<'_>>) -> Option<i64> {
    let (date, rest) = text.split_at_checked(10)?;
    let [y @ .., b'-', m1, m2, b'-', d1, d2] = date else { return None };
    let month = Month::try_from(number::<u8>(&[*m1, *m2])?).ok()?;
    let date = Date::from_calendar_date(number(y)?, month, number(&[*d1, *d2])?).ok()?;
    if rest.is_empty() {
        return Some(local(PrimitiveDateTime::new(date, Time::MIDNIGHT), zone?) * 1000);
    }
    let rest = rest.strip_prefix(b"T").or_else(|| rest.strip_prefix(b" ").filter(|_| zone.is_some()))?;
    let ends = rest.iter().position(|byte| matches!(byte, b'Z' | b'z' | b'+' | b'-')).unwrap_or(rest.len());
    let (time, offset) = rest.split_at_checked(ends)?;
    let (time, fraction) = match memchr::memchr(b'.', time) {
        Some(at) => (time.get(..at)?, time.get(at + 1..)?),
        None => (time, &b"0"[..]),
    };
    let time = match time.len() {
        5 if zone.is_some() => clock(&[time, b":00"].concat())?,
        _ => clock(time)?,
    };
    let at = PrimitiveDateTime::new(date, time);
    let seconds = match offset {
        [] => local(at, zone?),
        [b'Z' | b'z'] => at.assume_utc().unix_timestamp(),
        [sign, h1, h2, rest @ ..] => {
            let minutes: i64 = match rest {
                [b':', m1, m2] | [m1, m2] => number(&[*m1, *m2])?,
                _ => return None,
            };
            let ahead = number::<i64>(&[*h1, *h2])? * 3600 + minutes * 60;
            at.assume_utc().unix_timestamp() - if *sign == b'-' { -ahead } else { ahead }
        }
        _ => return None,
    };
    let mut millis = 0;
    for (place, digit) in [100, 10, 1].iter().zip(fraction) {
        millis += place * number::<i64>(std::slice::from_ref(digit))?;
    }
    Some(seconds * 1000 + millis)
}

/// `13:35:25`.
fn clock(text: &[u8]) -> Option<Time> {
    let [h1, h2, b':', m1, m2, b':', s1, s2] = text else { return None };
    // A leap second is the last of its minute to everybody else.
    let second = number::<u8>(&[*s1, *s2])?.min(59);
    Time::from_hms(number(&[*h1, *h2])?, number(&[*m1, *m2])?, second).ok()
}

/// A local time in seconds since 1970 UTC. The zone is asked twice, because it may have changed between the two guesses.
fn local(at: PrimitiveDateTime, zone: Zone<'_>) -> i64 {
    let as_utc = at.assume_utc().unix_timestamp();
    let guess = as_utc - zone(as_utc);
    as_utc - zone(guess)
}

/// Digits only: no sign, no space.
fn number<T: std::str::FromStr>(digits: &[u8]) -> Option<T> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Berlin, in 2026.
    fn berlin(at: i64) -> i64 {
        if (1_774_746_000..1_792_890_000).contains(&at) { 7200 } else { 3600 }
    }

    fn read(line: &str, newest: &str) -> Option<String> {
        let newest = since(newest, 0, &|_| 0).unwrap();
        syslog(line.as_bytes(), newest, &berlin).map(utc)
    }

    #[test]
    fn both_forms_of_syslog_are_read() {
        for (line, expected) in [
            ("Nov 22 13:35:25 host", Some("2026-11-22T12:35:25Z")),
            ("Aug  2 13:35:25 host", Some("2026-08-02T11:35:25Z")),
            // A file that ends in November cannot have begun in December of that year.
            ("Dec 31 23:59:60 host", Some("2025-12-31T22:59:59Z")),
            ("Feb 29 12:00:00 host", Some("2024-02-29T11:00:00Z")),
            ("2026-11-22T13:35:25.123456+01:00 host", Some("2026-11-22T12:35:25Z")),
            ("2026-11-22T13:35:25Z host", Some("2026-11-22T13:35:25Z")),
            ("2026-11-22T13:35:25-0130 host", Some("2026-11-22T15:05:25Z")),
            ("2026-11-22T13:35:25 host", None),
            ("2026-11-22 13:35:25 host", None),
            ("2026-02-30T13:35:25Z host", None),
            ("2026-11-22T13:35:25+1:00 host", None),
            ("Nox 22 13:35:25 host", None),
            ("Nov 31 13:35:25 host", None),
            ("Nov 22 24:35:25 host", None),
            ("Nov", None),
            ("", None),
        ] {
            assert_eq!(read(line, "2026-11-22T20:00:00Z").as_deref(), expected, "{line}");
        }
        // The zone of the machine may be ahead of the file's date.
        assert_eq!(read("Nov 23 00:10:00 host", "2026-11-22T23:09:00Z").as_deref(), Some("2026-11-22T23:10:00Z"));
        assert_eq!(read("Dec 31 23:00:00 host", "2027-01-03T00:00:00Z").as_deref(), Some("2026-12-31T22:00:00Z"));
    }

    #[test]
    fn people_say_when() {
        let now = since("2026-11-22T13:35:25Z", 0, &|_| 0).unwrap();
        for (text, expected) in [
            ("2026-11-20", "2026-11-19T23:00:00Z"),
            ("2026-08-20", "2026-08-19T22:00:00Z"),
            ("2026-11-20 13:00", "2026-11-20T12:00:00Z"),
            ("2026-11-20 13:00:01", "2026-11-20T12:00:01Z"),
            ("2026-11-20T13:00", "2026-11-20T12:00:00Z"),
            ("2026-11-20T13:00:00Z", "2026-11-20T13:00:00Z"),
            ("2026-11-20T13:00:00+02:00", "2026-11-20T11:00:00Z"),
            ("today", "2026-11-21T23:00:00Z"),
            ("yesterday", "2026-11-20T23:00:00Z"),
            ("30m", "2026-11-22T13:05:25Z"),
            ("2h", "2026-11-22T11:35:25Z"),
            ("7d", "2026-11-15T13:35:25Z"),
        ] {
            assert_eq!(since(text, now, &berlin).map(utc).as_deref(), Some(expected), "{text}");
        }
        for bad in
            ["", "x", "h", "-2h", "2 h", "tomorrow", "2026-11", "2026-11-20 25:00", "2026-13-01", "26-11-20", "1e3d"]
        {
            assert_eq!(since(bad, now, &berlin), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "\\PC{0,30}", line in "[A-Z0-9 :TZ+.-]{0,30}", now: i64, newest: i64) {
            let _ = since(&text, now, &|_| 0);
            let _ = since(&line, now, &|_| 0);
            let _ = syslog(line.as_bytes(), newest, &|_| 0);
            let _ = utc(now);
        }

        #[test]
        fn what_is_shown_can_be_said(seconds in 0i64..253_402_300_799) {
            prop_assert_eq!(since(&utc(seconds * 1000), 0, &|_| 0), Some(seconds * 1000));
        }
    }
}
