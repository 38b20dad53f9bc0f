//! The pace against a throttle like IAM's, a token bucket whose rate nobody tells: fast, fair, and hardly ever refused.
//! Time stands still unless somebody waits.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::cell::RefCell;
use std::future::Future;
use std::time::Duration;

use futures_util::future::{join, join_all};
use iam_ssh_sync::pace::{Pacer, backoff};
use tokio::time::{Instant, sleep, timeout};

const TASKS: usize = 8;

/// A token bucket that holds `burst` seconds' worth.
struct Bucket {
    rate: f64,
    burst: f64,
    tokens: f64,
    at: Instant,
}

impl Bucket {
    fn new(rate: f64, burst: f64) -> Self {
        Self { rate, burst, tokens: rate * burst, at: Instant::now() }
    }

    fn take(&mut self) -> bool {
        let now = Instant::now();
        self.tokens = (self.tokens + self.rate * (now - self.at).as_secs_f64()).min(self.rate * self.burst);
        self.at = now;
        let granted = self.tokens >= 1.0;
        self.tokens -= if granted { 1.0 } else { 0.0 };
        granted
    }
}

/// What came of it.
struct Outcome {
    /// Seconds.
    wall: f64,
    /// When each call was answered, in seconds, and whether by a throttle.
    answers: Vec<(f64, bool)>,
    /// Calls that each task brought home.
    done: Vec<usize>,
    /// The longest that a caller waited for a turn, in seconds.
    waited: f64,
}

impl Outcome {
    fn throttled(&self) -> usize {
        throttled(&self.answers)
    }

    /// The share of throttles among the answers from this one on.
    fn share(&self, from: usize) -> f64 {
        throttled(&self.answers[from..]) as f64 / (self.answers.len() - from) as f64
    }
}

fn throttled(answers: &[(f64, bool)]) -> usize {
    answers.iter().filter(|(_, throttled)| *throttled).count()
}

fn paused<T>(run: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(run)
}

/// Brings `calls` calls home by several tasks, each `latency` there and back. `grant` answers, given the number of the
/// call.
async fn work(pacer: &Pacer, calls: usize, latency: Duration, mut grant: impl FnMut(usize) -> bool) -> Outcome {
    let begun = Instant::now();
    let (left, answers, waited) = (RefCell::new(calls), RefCell::new(Vec::new()), RefCell::new(0.0_f64));
    let grant = RefCell::new(&mut grant);
    let call = async |attempt| {
        let asked = Instant::now();
        let turn = pacer.turn().await;
        waited.replace_with(|longest| longest.max(asked.elapsed().as_secs_f64()));
        sleep(latency / 2).await;
        let number = answers.borrow().len();
        let granted = (grant.borrow_mut())(number);
        answers.borrow_mut().push((begun.elapsed().as_secs_f64(), !granted));
        sleep(latency / 2).await;
        if granted {
            pacer.succeeded(turn);
        } else {
            pacer.throttled(turn);
            sleep(backoff(attempt)).await;
        }
        granted
    };
    let task = async || {
        let mut done = 0;
        while left.replace_with(|left| left.saturating_sub(1)) > 0 {
            let mut attempt = 0;
            while !call(attempt).await {
                attempt += 1;
            }
            done += 1;
        }
        done
    };
    let done = join_all((0..TASKS).map(|_| task())).await;
    let outcome = Outcome { wall: begun.elapsed().as_secs_f64(), answers: answers.take(), done, waited: waited.take() };
    let totals = pacer.totals();
    assert_eq!(totals.calls, outcome.answers.len() as u64);
    assert_eq!(totals.throttled, outcome.throttled() as u64);
    outcome
}

#[test]
fn it_finds_every_rate_and_hardly_ever_meets_it() {
    let calls = 5_000;
    for (rate, latency) in [(5.0, 40), (20.0, 40), (20.0, 200), (400.0, 10)] {
        for burst in [0.5, 5.0] {
            let out = paused(async {
                let mut bucket = Bucket::new(rate, burst);
                work(&Pacer::new(1_000.0), calls, Duration::from_millis(latency), |_| bucket.take()).await
            });
            let (wall, share) = (out.wall * rate / calls as f64, out.share(500));
            let what = format!("{rate}/s, burst of {burst} s, {latency} ms: wall {wall:.3}, throttled {share:.4}");
            assert!(wall <= 1.1, "{what}");
            assert!(share <= 0.02, "{what}");
            assert!(out.waited <= 2.0 * TASKS as f64 / rate.min(10.0), "{what}: {}", out.waited);
            let fair = calls / TASKS;
            assert!(
                out.done.iter().all(|done| (fair * 9 / 10..=fair * 11 / 10).contains(done)),
                "{what}: {:?}",
                out.done
            );
        }
    }
}

#[test]
fn half_as_much_is_noticed_at_once() {
    for (rate, latency) in [(20.0, 40), (400.0, 10)] {
        let half = 3_000;
        let pacer = paused(async {
            let pacer = Pacer::new(1_000.0);
            let mut bucket = Bucket::new(rate, 1.0);
            let grant = |number| {
                bucket.rate = if number < half { rate } else { rate / 2.0 };
                bucket.take()
            };
            let out = work(&pacer, 6_000, Duration::from_millis(latency), grant).await;
            let after = throttled(&out.answers[half..half + 500]);
            assert!(after <= 3 * TASKS, "{rate}/s: {after}");
            assert!(out.share(half + 500) <= 0.02, "{rate}/s: {}", out.share(half + 500));
            pacer
        });
        let now = pacer.totals().rate / rate;
        assert!((0.4..0.6).contains(&now), "{rate}/s: {now}");
    }
}

#[test]
fn a_storm_is_weathered_with_few_calls_and_forgotten_within_two_minutes() {
    let (rate, latency) = (20.0, Duration::from_millis(40));
    for lucky in [0.0, 0.1] {
        let out = paused(async {
            let mut bucket = Bucket::new(rate, 1.0);
            let begun = Instant::now();
            let mut luck = fastrand::Rng::with_seed(7);
            let grant = |_| {
                let storm = (60.0..180.0).contains(&begun.elapsed().as_secs_f64());
                bucket.take() && (!storm || luck.f64() < lucky)
            };
            work(&Pacer::new(50.0), 8_000, latency, grant).await
        });
        let between = |from, to| out.answers.iter().filter(move |(at, _)| (from..to).contains(at)).count();
        assert!(between(60.0, 180.0) <= 200, "{lucky}: {}", between(60.0, 180.0));
        assert!(between(300.0, 360.0) >= 1_080, "{lucky}: {}", between(300.0, 360.0));
    }
}

#[test]
fn where_nothing_throttles_it_reaches_its_limit_and_keeps_it() {
    let out = paused(work(&Pacer::new(50.0), 2_000, Duration::from_millis(40), |_| true));
    assert!(out.wall <= 2_000.0 / 50.0 + 1.0, "{}", out.wall);
    let sent: Vec<f64> = out.answers.iter().map(|(at, _)| *at).collect();
    for (first, from) in sent.iter().enumerate() {
        let within = sent[first..].iter().take_while(|at| *at - from < 1.0).count();
        assert!(within <= 52, "{within} calls in one second");
    }
}

#[test]
fn who_is_not_ahead_does_not_wait() {
    paused(async {
        let pacer = Pacer::new(100_000.0);
        for _ in 0..200 {
            pacer.succeeded(pacer.turn().await);
        }
        assert!((pacer.totals().rate - 100_000.0).abs() < 1e-6);
        sleep(Duration::from_secs(5)).await;
        let begun = Instant::now();
        for _ in 0..1_500 {
            pacer.turn().await;
        }
        assert_eq!(begun.elapsed(), Duration::ZERO);
        for _ in 0..100_000 {
            pacer.turn().await;
        }
        let took = begun.elapsed().as_secs_f64();
        assert!((0.99..1.05).contains(&took), "{took}");
    });
}

#[test]
fn callers_come_in_their_order_and_who_gives_up_harms_nobody() {
    paused(async {
        let (pacer, order) = (Pacer::new(10.0), RefCell::new(Vec::new()));
        let caller = async |name| {
            if name % 3 == 1 {
                assert!(timeout(Duration::from_millis(1), pacer.turn()).await.is_err());
            } else {
                pacer.turn().await;
                order.borrow_mut().push(name);
            }
        };
        let begun = Instant::now();
        join_all((0..30).map(caller)).await;
        assert_eq!(order.take(), (0..30).filter(|name| name % 3 != 1).collect::<Vec<_>>());
        assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
        assert_eq!(pacer.totals().calls, 20);
    });
}

#[test]
fn one_shortage_slows_down_once() {
    paused(async {
        let pacer = Pacer::new(10.0);
        let mut turns = Vec::new();
        for _ in 0..10 {
            turns.push(pacer.turn().await);
        }
        for turn in &turns {
            pacer.throttled(*turn);
        }
        let rate = pacer.totals().rate;
        assert!((5.0..10.0).contains(&rate), "{rate}");
        let (late, ()) = join(pacer.turn(), async { pacer.throttled(turns[0]) }).await;
        assert!((pacer.totals().rate - rate).abs() < 1e-9);
        pacer.throttled(late);
        assert!(pacer.totals().rate < rate);
        for _ in 0..100 {
            pacer.throttled(pacer.turn().await);
        }
        assert!((pacer.totals().rate - 0.5).abs() < 1e-9, "somebody keeps asking");
    });
}

#[test]
fn senseless_limits_and_waiting_have_bounds() {
    paused(async {
        for (limit, rate) in [(f64::NAN, 0.5), (-1.0, 0.5), (0.0, 0.5), (3.0, 3.0), (f64::INFINITY, 10.0)] {
            assert!((Pacer::new(limit).totals().rate - rate).abs() < 1e-9, "{limit}");
        }
    });
    for (attempt, most) in [(0, 100), (3, 800), (8, 20_000), (40, 20_000), (u32::MAX, 20_000)] {
        let most = Duration::from_millis(most);
        let waits: Vec<Duration> = (0..1_000).map(|_| backoff(attempt)).collect();
        assert!(waits.iter().all(|wait| *wait <= most), "{attempt}");
        for quarter in 0..4_u32 {
            let quarter = most * quarter / 4..most * (quarter + 1) / 4;
            let within = waits.iter().filter(|wait| quarter.contains(*wait)).count();
            assert!((150..350).contains(&within), "{attempt}: {within} of 1000 in {quarter:?}");
        }
    }
}
