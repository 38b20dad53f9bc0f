//! Points in time that can be compared although somebody sets the clock.
//!
//! The age of something that was noted since the machine booted is measured by the clock that counts since boot
//! (`CLOCK_BOOTTIME`, which runs on while the machine sleeps and which nobody can set). Across a boot only the wall
//! clock is left; there, what seems to lie in the future has no age at all.

use nix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Names this boot of this kernel (random(4)).
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// A point in time, as the machine's clocks showed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    /// Wall clock, in milliseconds since 1970 UTC.
    pub wall: i64,
    /// Where the kernel tells it: which boot, and how long since.
    pub boot: Option<SinceBoot>,
}

/// Time since a boot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SinceBoot {
    /// The boot's id.
    pub id: String,
    /// Milliseconds since then.
    pub millis: i64,
}

/// How long ago something was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Age {
    /// The time that passed.
    pub elapsed: Duration,
    /// Whether it was measured by a clock that nobody can set.
    pub certain: bool,
}

impl Moment {
    /// Now.
    #[must_use]
    pub fn now() -> Self {
        Self::read(std::fs::read_to_string(BOOT_ID).ok().map(|id| id.trim().to_owned()))
    }

    /// Now, later in the same process.
    #[must_use]
    pub fn again(&self) -> Self {
        Self::read(self.boot.as_ref().map(|boot| boot.id.clone()))
    }

    fn read(boot: Option<String>) -> Self {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis());
        let boot = boot.zip(clock_gettime(ClockId::CLOCK_BOOTTIME).ok());
        Self {
            wall: i64::try_from(wall).unwrap_or(i64::MAX),
            boot: boot.map(|(id, time)| SinceBoot {
                id,
                millis: i64::try_from(Duration::from(time).as_millis()).unwrap_or(i64::MAX),
            }),
        }
    }

    /// The wall clock in seconds since 1970 UTC.
    #[must_use]
    pub fn unix(&self) -> i64 {
        self.wall.div_euclid(1000)
    }

    /// How long before this moment `then` was; `None` where it seems to lie in the future.
    #[must_use]
    pub fn since(&self, then: &Self) -> Option<Age> {
        if let (Some(now), Some(then)) = (&self.boot, &then.boot)
            && now.id == then.id
        {
            let millis = u64::try_from(now.millis.checked_sub(then.millis)?).ok()?;
            return Some(Age { elapsed: Duration::from_millis(millis), certain: true });
        }
        let millis = u64::try_from(self.wall.checked_sub(then.wall)?).ok()?;
        // Where the kernel never tells its boots, the wall clock is all there is.
        let certain = self.boot.is_none() && then.boot.is_none();
        Some(Age { elapsed: Duration::from_millis(millis), certain })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(wall: i64, boot: Option<(&str, i64)>) -> Moment {
        Moment { wall, boot: boot.map(|(id, millis)| SinceBoot { id: id.to_owned(), millis }) }
    }

    fn seconds(age: Option<Age>) -> Option<(u64, bool)> {
        age.map(|age| (age.elapsed.as_secs(), age.certain))
    }

    #[test]
    fn a_clock_that_is_set_changes_no_age_within_a_boot() {
        let then = at(1_000_000, Some(("a", 5_000)));
        for wall in [0, 1_000_000, i64::MAX] {
            assert_eq!(seconds(at(wall, Some(("a", 15_000))).since(&then)), Some((10, true)));
        }
        assert_eq!(at(2_000_000, Some(("a", 4_000))).since(&then), None, "no boot counts backwards");
    }

    #[test]
    fn across_boots_the_wall_clock_counts_and_is_not_certain() {
        let then = at(1_000_000, Some(("a", 5_000)));
        assert_eq!(seconds(at(1_030_000, Some(("b", 1))).since(&then)), Some((30, false)));
        assert_eq!(at(999_999, Some(("b", 1))).since(&then), None, "from the future");
        assert_eq!(seconds(at(1_030_000, None).since(&then)), Some((30, false)));
        assert_eq!(seconds(at(1_030_000, None).since(&at(1_000_000, None))), Some((30, true)));
        assert_eq!(at(i64::MAX, None).since(&at(i64::MIN, None)), None);
    }

    #[test]
    fn the_kernel_tells_its_boot() {
        let (first, second) = (Moment::now(), Moment::now());
        let id = |moment: &Moment| moment.boot.as_ref().map(|boot| boot.id.clone());
        assert!(id(&first).is_some() && id(&first) == id(&second));
        assert!(second.since(&first).is_some_and(|age| age.certain));
    }
}
