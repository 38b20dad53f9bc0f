//! How fast one account's IAM may be asked: IAM throttles, says nowhere how much it grants, and grants it to everybody
//! in the account.
//!
//! It finds the rate out: fast at first, until IAM throttles for the first time; then from a little below what was
//! really answered slowly upwards, until IAM throttles again. It must never send bursts, never let a caller wait for
//! ever, and never slow down twice for one and the same shortage: answers to calls that were sent before the last
//! slowing down say nothing new.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

// Simulated against token buckets of 5 to 400 calls a second (tests/pace.rs): 0.25 % throttled, at most 1.06 times the
// best wall time.

/// Calls a second at the beginning.
const START: f64 = 10.0;
/// Fewest calls a second: even where IAM throttles everything, somebody asks whether that is over.
const FLOOR: f64 = 0.5;
/// Most calls a second that can be asked for.
const CEILING: f64 = 1_000_000.0;
/// How much one answer quickens before the first throttle, and where the rate fell far: 10 to 400 calls a second take
/// one second.
const SEARCH: f64 = 1.1;
/// How much one answer quickens while the rate is below what was granted before.
const RECOVER: f64 = 1.0025;
/// How much one answer quickens afterwards: about one throttle in 400 calls is the price of noticing that there is
/// more.
const PROBE: f64 = 1.000_25;
/// Which share of what was answered is asked for after a throttle.
const RETREAT: f64 = 0.95;
/// Which share of the rate is asked for after a throttle, where too little is known about what IAM grants.
const BLIND: f64 = 0.7;
/// Which share of the rate is left at least after one throttle: the next can take more.
const LEAST: f64 = 0.5;
/// From how many answers on it is known what IAM grants, and that a storm is over.
const ENOUGH: u32 = 20;
/// How much quicker asking may have become while what is granted is measured; beyond that a new measurement begins.
const STEADY: f64 = 1.25;
/// How much lateness is caught up: that of timers, which on a busy machine come late.
const LATENESS: Duration = Duration::from_millis(20);
/// A pause in asking that is no part of what IAM granted.
const PAUSE: Duration = Duration::from_secs(1);
/// The longest that [`backoff`] waits.
const LONGEST: Duration = Duration::from_secs(20);

/// The pace of one account's calls. Shared by all tasks that ask it.
#[derive(Debug)]
pub struct Pacer(Mutex<State>);

/// That a call may be sent, and when it was said so.
#[derive(Debug, Clone, Copy)]
pub struct Turn(Instant);

/// What was asked until now.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Totals {
    /// How many calls were let go.
    pub calls: u64,
    /// How many of them IAM answered with a throttle.
    pub throttled: u64,
    /// Calls a second that are let go now.
    pub rate: f64,
}

#[derive(Debug)]
struct State {
    totals: Totals,
    max_rate: f64,
    /// The number of the next caller who takes one.
    next: u64,
    /// The number whose turn is at `due`; of the later ones each comes 1/rate behind the one before.
    head: u64,
    due: Instant,
    /// Whether IAM has not throttled yet.
    searching: bool,
    /// What IAM granted when that was known last: calls a second.
    granted: f64,
    /// The last slowing down.
    slowed: Instant,
    /// How many calls were answered since then.
    calm: u32,
    /// How many calls were answered since `since`, when the last of them was sent, and how fast asking was in the
    /// beginning.
    answered: u32,
    since: Instant,
    last: Instant,
    rate: f64,
}

impl Pacer {
    /// For at most `max_rate` calls a second; less than 0.5, or what is no number, counts as 0.5.
    #[must_use]
    pub fn new(max_rate: f64) -> Self {
        let max_rate = if max_rate.is_nan() { FLOOR } else { max_rate.clamp(FLOOR, CEILING) };
        let (rate, now) = (START.min(max_rate), Instant::now());
        Self(Mutex::new(State {
            totals: Totals { calls: 0, throttled: 0, rate },
            max_rate,
            next: 0,
            head: 0,
            due: now,
            searching: true,
            granted: 0.0,
            slowed: now,
            calm: 0,
            answered: 0,
            since: now,
            last: now,
            rate,
        }))
    }

    /// Waits until a call may be sent: callers in the order in which they came, 1/rate apart. A caller who gives up
    /// waiting leaves a gap and does no other harm.
    pub async fn turn(&self) -> Turn {
        let number = self.state().number();
        loop {
            let now = Instant::now();
            let due = self.state().go(number, now);
            match due {
                None => return Turn(now),
                Some(due) => sleep_until(due).await,
            }
        }
    }

    /// The call was answered, by whatever is no throttle.
    pub fn succeeded(&self, turn: Turn) {
        self.state().succeeded(turn.0);
    }

    /// The call was answered by a throttle. It may be sent again after [`backoff`] and another [`Pacer::turn`].
    pub fn throttled(&self, turn: Turn) {
        self.state().throttled(turn.0, Instant::now());
    }

    /// What was asked until now.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.state().totals
    }

    /// What somebody changed before he panicked is numbers, and any numbers will do.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn number(&mut self) -> u64 {
        let number = self.next;
        self.next += 1;
        number
    }

    /// Lets the caller with this number go, or says until when to wait before asking again: the rate may be another one
    /// by then.
    fn go(&mut self, number: u64, now: Instant) -> Option<Instant> {
        let due = self.due + self.spacing() * u32::try_from(number.saturating_sub(self.head)).unwrap_or(u32::MAX);
        if due > now {
            return Some(due);
        }
        self.totals.calls += 1;
        // Somebody who was overtaken is late, and his place in the row is long accounted for.
        if number >= self.head {
            let idle = now.saturating_duration_since(due);
            if idle > PAUSE {
                self.since += idle;
            }
            self.due = due + idle.saturating_sub(LATENESS) + self.spacing();
            self.head = number + 1;
        }
        None
    }

    fn spacing(&self) -> Duration {
        Duration::from_secs_f64(1.0 / self.totals.rate)
    }

    fn succeeded(&mut self, sent: Instant) {
        if sent >= self.slowed {
            self.calm = self.calm.saturating_add(1);
            self.answered = self.answered.saturating_add(1);
            self.last = self.last.max(sent);
        }
        // Below what was granted once: a storm is over, or less is granted now, and one more throttle tells how much.
        let lost = if self.calm >= ENOUGH { self.granted } else { 0.0 };
        let quicker = match self.totals.rate {
            rate if self.searching || rate < lost * LEAST => SEARCH,
            rate if rate < lost * RETREAT => RECOVER,
            _ => PROBE,
        };
        self.totals.rate = (self.totals.rate * quicker).min(self.max_rate);
        if self.totals.rate > self.rate * STEADY {
            self.measure_from(self.last);
        }
    }

    fn throttled(&mut self, sent: Instant, now: Instant) {
        self.totals.throttled += 1;
        if !self.searching && sent <= self.slowed {
            return;
        }
        let rate = self.totals.rate;
        let seconds = self.last.saturating_duration_since(self.since).as_secs_f64();
        let granted = (self.answered >= ENOUGH && seconds > 0.0).then(|| f64::from(self.answered) / seconds);
        let slower = granted.map_or(rate * BLIND, |granted| granted * RETREAT);
        self.totals.rate = slower.clamp(rate * LEAST, rate * RETREAT).max(FLOOR);
        // In a storm nothing is learnt; what was granted before it, will be again.
        let learnt = self.searching || self.calm >= ENOUGH;
        self.granted = granted.unwrap_or(if learnt { rate } else { self.granted });
        self.searching = false;
        (self.slowed, self.calm) = (now, 0);
        self.measure_from(now);
        self.due = self.due.max(now + self.spacing());
    }

    fn measure_from(&mut self, moment: Instant) {
        (self.answered, self.since, self.last, self.rate) = (0, moment, moment, self.totals.rate);
    }
}

/// How long to wait before a throttled call is sent again: anything between nothing and 100 ms × 2^`attempt`, 20 s at
/// most (full jitter), so that callers who were throttled together do not come back together.
#[must_use]
pub fn backoff(attempt: u32) -> Duration {
    let most = Duration::from_millis(100).saturating_mul(1_u32.checked_shl(attempt).unwrap_or(u32::MAX)).min(LONGEST);
    most.mul_f64(fastrand::f64())
}
