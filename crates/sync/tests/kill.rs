//! Killed at 200 random points: the bucket serves valid keys all the while, and the next run makes it right.
//!
//! A run is killed right before one of its requests is answered (which is then carried out all the same), or some moments later. The
//! seed is told when something is wrong; `IAM_SSH_SEED` takes it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[allow(dead_code, unreachable_pub, missing_docs, reason = "shared: each test uses its part")]
mod common;

use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use common::judge::{Documents, each, repaired, run, served};
use common::story::{Published, account};
use common::{against, double};
use iam_ssh_doubles::{Double, Match};

/// Of each test.
const POINTS: usize = 50;
/// How many are killed at the same time: they mostly wait until dead runs' leases are over.
const AT_ONCE: usize = 10;

/// Random numbers from a seed (SplitMix64).
struct Random {
    seed: u64,
    state: Mutex<u64>,
}

impl Random {
    fn new() -> Self {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        let seed = std::env::var("IAM_SSH_SEED").map_or(now, |seed| seed.parse().unwrap());
        Self { seed, state: Mutex::new(seed) }
    }

    fn below(&self, end: usize) -> usize {
        let mut state = self.state.lock().unwrap();
        *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((mixed ^ (mixed >> 31)) % u64::try_from(end).unwrap()).unwrap()
    }
}

/// Starts a run and kills it before its request of this number is answered, or so long after that began. Whether it was killed.
fn killed(double: &Double, request: usize, later: Option<Duration>) -> bool {
    let mut command = against(&double.url());
    command.env("LEASE_SECONDS", "1").env("LEASE_WAIT", "10").stdout(Stdio::piped()).stderr(Stdio::null());
    let process: Arc<Mutex<Option<Child>>> = Arc::default();
    let doomed = Arc::clone(&process);
    double.on_call(Match::any(), request, move |_| {
        let kill = move || drop(doomed.lock().unwrap().as_mut().unwrap().kill());
        match later {
            None => kill(),
            Some(later) => drop(std::thread::spawn(move || {
                std::thread::sleep(later);
                kill();
            })),
        }
    });
    let mut out = {
        let mut process = process.lock().unwrap();
        process.insert(command.spawn().unwrap()).stdout.take().unwrap()
    };
    // Ends when the process does.
    out.read_to_end(&mut Vec::new()).unwrap();
    let ended = process.lock().unwrap().as_mut().unwrap().wait().unwrap();
    ended.signal().is_some()
}

/// Kills a run `kills` times in a row at each of the points, and judges what it left each time, and after a run that was let be.
fn at_random_points(made: impl Fn() -> (Double, Documents) + Sync, kills: usize, later: bool) {
    let (double, _) = made();
    double.clear_requests();
    assert_eq!(run(&double).code, 0);
    let calls = double.count(&Match::any());
    // A run that goes on behind one that was killed late has less to do.
    let last = if kills == 1 { calls } else { calls / 2 };
    let (random, hits) = (Random::new(), AtomicUsize::new(0));
    let points: Vec<Vec<(usize, Option<Duration>)>> = (0..POINTS / kills)
        .map(|_| {
            let later = || later.then(|| Duration::from_micros(u64::try_from(random.below(5000)).unwrap()));
            (0..kills).map(|_| (1 + random.below(last), later())).collect()
        })
        .collect();
    each(points, AT_ONCE, |points| {
        let (double, before) = made();
        let when = format!("IAM_SSH_SEED={}: killed at {points:?} of {calls}", random.seed);
        for (request, later) in points {
            hits.fetch_add(usize::from(killed(&double, request, later)), Ordering::Relaxed);
            served(&before, &double, &when);
        }
        repaired(&double, &when);
    });
    let hits = hits.into_inner();
    assert!(hits > POINTS * 3 / 4, "only {hits} were really killed");
}

fn new() -> (Double, Documents) {
    let double = double();
    double.iam(account);
    (double, Documents::new())
}

#[test]
fn at_50_points_of_a_first_run() {
    at_random_points(new, 1, false);
}

#[test]
fn at_50_points_of_a_run_with_changes() {
    let published = Published::new();
    at_random_points(|| published.changed(), 1, false);
}

#[test]
fn at_50_moments_of_a_run_with_changes() {
    let published = Published::new();
    at_random_points(|| published.changed(), 1, true);
}

#[test]
fn again_and_again_at_50_points() {
    let published = Published::new();
    at_random_points(|| published.changed(), 5, false);
}
