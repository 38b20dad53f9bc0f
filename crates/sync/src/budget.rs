//! How long a run may take: Lambda ends a function at a moment that it tells beforehand, people may set one.
//!
//! What must be done after reading (storing what was learnt, writing documents) has its share of the time, so that reading ends earlier.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

/// The most that is kept for what comes after reading: 5,300 documents at eight at a time take half of it.
const RESERVE: Duration = Duration::from_secs(60);

/// Until when to read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Budget(Option<Instant>);

impl Budget {
    /// As long as it takes.
    #[must_use]
    pub fn unlimited() -> Self {
        Self(None)
    }

    /// From now on so long: reading gets four fifths of it, or all but a minute.
    #[must_use]
    pub fn lasting(time: Duration) -> Self {
        Self(Some(Instant::now() + time.saturating_sub(RESERVE.min(time / 5))))
    }

    /// Until the process is ended.
    #[must_use]
    pub fn until(end: SystemTime) -> Self {
        Self::lasting(end.duration_since(SystemTime::now()).unwrap_or_default())
    }

    /// How long to wait for something, at most `time`.
    #[must_use]
    pub fn bound(self, time: Duration) -> Duration {
        self.0.map_or(time, |ends| time.min(ends.saturating_duration_since(Instant::now())))
    }

    /// When reading ends, if ever.
    #[must_use]
    pub fn reading_ends(self) -> Option<Instant> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_comes_after_reading_has_its_time() {
        let start = Instant::now();
        let ends = |seconds| Budget::lasting(Duration::from_secs(seconds)).reading_ends().map(|end| end - start);
        assert_eq!(ends(900), Some(Duration::from_secs(840)));
        assert_eq!(ends(10), Some(Duration::from_secs(8)));
        assert_eq!(ends(0), Some(Duration::ZERO));
        assert_eq!(Budget::until(SystemTime::UNIX_EPOCH).reading_ends(), Some(start));
        assert_eq!(Budget::unlimited().reading_ends(), None);
    }
}
