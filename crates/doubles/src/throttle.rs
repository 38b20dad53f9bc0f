//! Token buckets: how many IAM calls an account answers, as AWS throttles them.
//!
//! Each account has its own bucket; a refused call takes no token. AWS publishes neither rates nor sizes, so a test chooses both.

use std::collections::BTreeMap;
use std::time::Instant;

/// The rate in force, and what is left of each account's bucket.
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    limit: Option<Limit>,
    buckets: BTreeMap<String, Bucket>,
}

#[derive(Clone, Copy, Debug)]
struct Limit {
    rate: f64,
    burst: f64,
}

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    filled: Instant,
}

impl Throttle {
    /// So many calls a second from now on, after `burst` at once; every bucket is full.
    pub(crate) fn set(&mut self, limit: Option<(f64, f64)>) {
        self.limit = limit.map(|(rate, burst)| Limit { rate: rate.max(0.0), burst: burst.max(0.0) });
        self.buckets.clear();
    }

    /// Whether this account may make one more call now, which is then counted.
    pub(crate) fn admits(&mut self, account: &str, now: Instant) -> bool {
        let Some(Limit { rate, burst }) = self.limit else { return true };
        let full = Bucket { tokens: burst, filled: now };
        let bucket = self.buckets.entry(account.to_owned()).or_insert(full);
        let since = now.saturating_duration_since(bucket.filled).as_secs_f64();
        bucket.tokens = since.mul_add(rate, bucket.tokens).min(burst);
        bucket.filled = now;
        let admitted = bucket.tokens >= 1.0;
        if admitted {
            bucket.tokens -= 1.0;
        }
        admitted
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_bucket_empties_and_fills_at_its_rate_and_never_beyond_its_size() {
        let (mut throttle, start) = (Throttle::default(), Instant::now());
        assert!(throttle.admits("1", start), "no limit");
        throttle.set(Some((20.0, 5.0)));
        let mut admitted = |account: &str, millis| {
            (0..100).filter(|_| throttle.admits(account, start + Duration::from_millis(millis))).count()
        };
        assert_eq!((admitted("1", 0), admitted("1", 40), admitted("1", 110)), (5, 0, 2));
        assert_eq!(admitted("1", 60_000), 5);
        assert_eq!(admitted("2", 60_000), 5, "each account has its own");
    }
}
