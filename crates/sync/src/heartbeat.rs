//! The heartbeat: when the last complete run ended, what it saw and what it changed. Pure.
//!
//! It must only be written at the end of a complete run: its age is what alarms watch.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::report::Report;

/// Its key below the prefix (CONTRACT, "Bucket").
pub const KEY: &str = "iam-ssh/heartbeat.json";

/// How far two clocks may be apart.
const SKEW: time::Duration = time::Duration::minutes(5);

/// How long ago the run of this heartbeat ended; `None` where it does not say so, or speaks of the future.
#[must_use]
pub fn age(heartbeat: &[u8], now: OffsetDateTime) -> Option<Duration> {
    #[derive(Deserialize)]
    struct Ended {
        ended: String,
    }
    let ended = serde_json::from_slice::<Ended>(heartbeat).ok()?.ended;
    let ended = OffsetDateTime::parse(&ended, &Rfc3339).ok()?;
    (ended <= now + SKEW).then(|| Duration::try_from(now - ended).unwrap_or_default())
}

#[derive(Serialize)]
struct Heartbeat {
    version: &'static str,
    ended: String,
    duration_ms: u64,
    users: usize,
    groups: usize,
    keys: usize,
    put: usize,
    deleted: usize,
    kept: usize,
    skipped: usize,
    excluded: usize,
    foreign: usize,
}

/// The heartbeat of a run that took `duration` and ended at `ended`, as JSON ended by a line break.
#[must_use]
pub fn render(report: &Report, ended: OffsetDateTime, duration: Duration) -> Vec<u8> {
    let whole = ended.to_offset(time::UtcOffset::UTC).replace_nanosecond(0).unwrap_or(ended);
    let heartbeat = Heartbeat {
        version: env!("CARGO_PKG_VERSION"),
        ended: whole.format(&Rfc3339).unwrap_or_default(),
        duration_ms: u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
        users: report.users,
        groups: report.groups,
        keys: report.keys,
        put: report.put.len(),
        deleted: report.deleted.len(),
        kept: report.kept,
        skipped: report.skipped.len(),
        excluded: report.excluded.len(),
        foreign: report.foreign.len(),
    };
    let mut json = serde_json::to_vec_pretty(&heartbeat).unwrap_or_default();
    json.push(b'\n');
    json
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::*;

    #[test]
    fn it_is_small_json_in_utc_and_whole_seconds() {
        let ended = OffsetDateTime::from_unix_timestamp(1_767_225_600).unwrap() + Duration::from_millis(999);
        let ended = ended.to_offset(time::UtcOffset::from_hms(5, 30, 0).unwrap());
        let report = Report { users: 2, groups: 1, keys: 3, kept: 7, ..Report::default() };
        let expected = concat!(
            "{\n  \"version\": \"",
            env!("CARGO_PKG_VERSION"),
            "\",\n  \"ended\": \"2026-01-01T00:00:00Z\",\n  \"duration_ms\": 1500,\n  \"users\": 2,\n  \"groups\": 1,\n",
            "  \"keys\": 3,\n  \"put\": 0,\n  \"deleted\": 0,\n  \"kept\": 7,\n  \"skipped\": 0,\n  \"excluded\": 0,\n  \"foreign\": 0\n}\n"
        );
        let written = render(&report, ended, Duration::from_millis(1500));
        assert_eq!(written, expected.as_bytes());
        assert_eq!(age(&written, ended + Duration::from_secs(7)), Some(Duration::from_millis(7999)));
        assert_eq!(age(b"{}", ended), None);
    }
}
