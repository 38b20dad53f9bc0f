//! Every call of a run fails in turn, in every way: the bucket is then old or new, document by document, and the next run is clean.
//!
//! Which call it is does not matter to these tests: they count through all of them, so that one that is added later is met, too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[allow(dead_code, unreachable_pub, missing_docs, reason = "shared: each test uses its part")]
mod common;

use std::time::{Duration, Instant};

use common::judge::{Documents, all, between, each, faults, heartbeat, in_sync, repaired, run, run_with, status};
use common::story::{Published, account};
use common::{BUCKET, Ran, double, key};
use iam_ssh_doubles::{Double, Fault, Match, Service};

/// How many run at the same time: they wait for each other's leases more than they work.
const AT_ONCE: usize = 4;

/// Says what a run may leave behind, and that the next one makes it right.
fn judge(double: &Double, ran: &Ran, objects: &Documents, when: &str) {
    let (mut before, beat) = (objects.clone(), objects.get("iam-ssh/heartbeat.json"));
    before.retain(|path, _| !path.starts_with("iam-ssh/"));
    assert!(matches!(ran.code, 0 | 1), "{when}: {ran:?}");
    if ran.code == 0 {
        in_sync(double, when);
    } else {
        let told = ["error: ", "warning: nothing was changed yet"];
        assert!(told.iter().any(|told| ran.err.lines().any(|line| line.starts_with(told))), "{when}: {ran:?}");
        between(&before, double, when);
        assert_eq!(heartbeat(double).as_ref(), beat, "{when}: no heartbeat after a failure: {ran:?}");
    }
    // Where the bucket is as it was, the next run is the one that nothing disturbs.
    if ran.code == 0 || *objects != double.objects(BUCKET) {
        repaired(double, when);
    }
}

/// How many calls a run makes.
fn calls(double: &Double) -> usize {
    double.clear_requests();
    assert_eq!(run(double).code, 0);
    double.count(&all())
}

/// Lets each call fail in each way, with only one attempt.
fn every_call_fails(made: impl Fn() -> (Double, Documents) + Sync) {
    let calls = calls(&made().0);
    let cases = (0..calls).flat_map(|call| faults().map(move |fault| (call, fault)));
    each(cases, AT_ONCE, |(call, fault)| {
        let (double, _) = made();
        let before = double.objects(BUCKET);
        double.clear_requests().fault(all().skip(call).times(1), fault.clone());
        let ran = run(&double);
        let failed = double.requests().into_iter().filter(|request| all().matches(request)).nth(call);
        let failed = failed.map(|request| format!("{} {}", request.action, request.resource));
        let when = format!("call {call} of {calls}, {failed:?}, {fault:?}");
        judge(&double, &ran, &before, &when);
    });
}

/// An account that was never published.
fn new() -> (Double, Documents) {
    let double = double();
    double.add_member("ops", "ann").add_key("ann", "APKA0A", &key(0), "Active").add_key(
        "ann",
        "APKA0B",
        &key(1),
        "Inactive",
    );
    double.add_member("ops", "bob").add_key("bob", "APKA1A", &key(2), "Active").add_group("dev");
    (double, Documents::new())
}

#[test]
fn every_call_of_a_first_run_fails_in_turn() {
    every_call_fails(new);
}

#[test]
fn every_call_of_a_run_with_changes_fails_in_turn() {
    let published = Published::new();
    every_call_fails(|| published.changed());
}

#[test]
fn a_single_fault_but_a_denial_is_got_over() {
    let published = Published::new();
    let calls = calls(&published.changed().0);
    let faults = || faults().into_iter().skip(1);
    let cases = (0..calls).flat_map(|call| faults().map(move |fault| (call, fault)));
    each(cases, 8, |(call, fault)| {
        let (double, _) = published.changed();
        double.fault(all().skip(call).times(1), fault.clone());
        let ran = run_with(&double, &[("AWS_MAX_ATTEMPTS", "")]);
        let when = format!("call {call} of {calls}, {fault:?}");
        assert_eq!(ran.code, 0, "{when}: {ran:?}");
        in_sync(&double, &when);
    });
}

#[test]
fn everything_denied_from_any_call_on_is_a_failed_run_and_no_more() {
    let published = Published::new();
    let calls = calls(&published.changed().0);
    each(0..calls, 8, |call| {
        let (double, _) = published.changed();
        let before = double.objects(BUCKET);
        double.fault(all().skip(call), status(403, "AccessDenied"));
        let ran = run(&double);
        judge(&double, &ran, &before, &format!("denied from call {call} of {calls} on"));
    });
}

#[test]
fn a_storm_of_throttles_ends_the_run_in_time_and_changes_nothing() {
    let published = Published::new();
    let (double, _) = published.changed();
    double.clear_requests();
    assert_eq!(run(&double).code, 0);
    let calls = double.count(&Match::service(Service::Iam));
    each(0..calls, 8, |call| {
        let (double, _) = published.changed();
        let before = double.objects(BUCKET);
        double.fault(Match::service(Service::Iam).skip(call), Fault::Throttle);
        let began = Instant::now();
        let ran = run_with(&double, &[("AWS_MAX_ATTEMPTS", ""), ("TIME_BUDGET", "3")]);
        let when = format!("throttled from call {call} of {calls} on");
        assert!(began.elapsed() < Duration::from_secs(10), "{when}: {:?}: {ran:?}", began.elapsed());
        assert_eq!(ran.code, 1, "{when}: {ran:?}");
        assert!(common::documents(&double).iter().all(|(path, text)| before.get(path) == Some(text)), "{when}");
        judge(&double, &ran, &before, &when);
    });
}

#[test]
fn what_was_read_before_a_storm_is_not_read_again() {
    let double = double();
    double.iam(account);
    double.fault(Match::action("GetSSHPublicKey").skip(3), Fault::Throttle);
    let ran = run_with(&double, &[("AWS_MAX_ATTEMPTS", ""), ("TIME_BUDGET", "3")]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(double.object(BUCKET, "iam-ssh/state.json").is_some(), "{ran:?}");
    double.clear_requests();
    repaired(&double, "after the storm");
    let bodies = double.count(&Match::action("GetSSHPublicKey"));
    assert_eq!(bodies, 6, "three of nine were read before, one of which is not active and needed once");
}
