//! A throttled account: a run takes hardly longer than the rate allows, and hardly ever meets the throttle.
//!
//! Rates are scaled up so that seconds are enough. What is judged are ratios; a call must cost the unoptimised program much less
//! time than there is between two, or its processor would be the bottleneck. A machine that stands still for a moment loses what a
//! small bucket would have given meanwhile, so these tests run alone (.config/nextest.toml) and the bounds are wide; narrow ones are
//! held to in pace.rs, where time is simulated.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[allow(dead_code, unreachable_pub, missing_docs, reason = "shared: each test uses its part")]
mod common;

use common::scale::calls;
use common::{against, documents, double, finish};
use iam_ssh_doubles::{Double, Request, Service};

/// A dry run over so many users with a key each; gives the requests to IAM.
fn read(double: &Double, users: usize) -> Vec<Request> {
    double.populate(users, 1, 10, 2);
    let mut command = against(&double.url());
    command.env("AWS_MAX_ATTEMPTS", "3").arg("--dry-run");
    let ran = finish(command);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.summary().ends_with(&format!(" {} put, 0 deleted, 0 kept", users + 10)), "{}", ran.summary());
    let asked: Vec<Request> = double.requests().into_iter().filter(|request| request.service == Service::Iam).collect();
    assert_eq!(
        asked.iter().filter(|request| !request.throttled).count(),
        (users + 10).div_ceil(1000) + 2 * users,
        "each call once"
    );
    asked
}

/// From which call on time is measured: until then the rate is being found out, which takes a second. That is little for a real run, but
/// a twentieth of this one.
const BEGIN: usize = 200;

/// What a run took against what the rate allows, and how much of it was throttled, once the rate was found out.
fn assert_paced(rate: f64, burst: f64, users: usize) {
    let double = double();
    double.throttle(rate, burst);
    let asked = read(&double, users);
    let measured = &asked[BEGIN..];
    let granted = measured.iter().filter(|request| !request.throttled).count();
    let wall = measured[measured.len() - 1].at - measured[0].at;
    let ratio = wall.as_secs_f64() * rate / granted as f64;
    let late = &asked[500..];
    let throttled = late.iter().filter(|request| request.throttled).count();
    let share = throttled as f64 / late.len() as f64;
    assert!(ratio <= 1.3, "{ratio}, with {} throttled in all", double.throttled());
    assert!(share <= 0.05, "{throttled} of {}", late.len());
}

#[test]
fn at_50_calls_a_second_a_run_takes_what_the_rate_allows_and_hardly_meets_the_throttle() {
    assert_paced(50.0, 50.0, 500);
}

#[test]
fn at_100_calls_a_second_in_a_small_bucket_too() {
    assert_paced(100.0, 10.0, 700);
}

#[test]
fn at_200_calls_a_second_too() {
    assert_paced(200.0, 200.0, 1000);
}

#[test]
fn whoever_throttles_everything_is_left_in_peace_and_nothing_is_published() {
    let double = double();
    double.populate(50, 1, 5, 1);
    assert_eq!(finish(against(&double.url())).code, 0);
    let before = documents(&double);
    double.add_key("user00001", "APKZ", common::ED25519, "Active").throttle(0.0, 3.0).clear_requests();
    // One attempt for each call, so that the end comes soon.
    let ran = finish(against(&double.url()));
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("Throttling"), "{}", ran.err);
    assert_eq!(documents(&double), before);
    // Those that were on their way.
    assert!(calls(&double) <= 3 + 16, "{} calls", calls(&double));
    double.unthrottle();
    assert_eq!(finish(against(&double.url())).summary(), "2 put, 0 deleted, 53 kept");
}
