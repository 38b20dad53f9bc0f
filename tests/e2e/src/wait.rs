//! Waiting for a condition, with a bound. Nothing else in the rig may sleep.

use std::time::{Duration, Instant};

const PAUSE: Duration = Duration::from_millis(5);

/// Asks `probe` until it has an answer, or `None` when `bound` is over. It is asked at least once.
pub fn wait_for<T>(bound: Duration, mut probe: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + bound;
    loop {
        if let Some(found) = probe() {
            return Some(found);
        }
        if Instant::now() >= end {
            return None;
        }
        std::thread::sleep(PAUSE);
    }
}

/// The same, for what must come.
///
/// # Panics
/// When it has not come after ten seconds.
pub fn eventually<T>(what: &str, probe: impl FnMut() -> Option<T>) -> T {
    wait_for(Duration::from_secs(10), probe).unwrap_or_else(|| panic!("waited 10 s in vain for {what}"))
}
