//! A first run that does not fit into its time: cut into slices it publishes once, at its end, and asks nothing twice
//! but what was on its way.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[allow(dead_code, unreachable_pub, missing_docs, reason = "shared: each test uses its part")]
mod common;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use common::cloudtrail::schedule;
use common::runtime::{Function, Runtime};
use common::{against, documents, double, finish, heartbeats, writes};
use iam_ssh_doubles::{Double, Match, Service};

const USERS: usize = 300;
/// Those without which nothing is known: the account in one page, each user's list, and two bodies.
const NEEDED: usize = 1 + 3 * USERS;
/// More slices than a run needs on the slowest machine.
const MOST: usize = 40;
/// How many calls may be on their way when the time is up, or a kill comes.
const ON_THEIR_WAY: usize = 16;

/// An account that takes about six seconds to read for the first time.
fn account() -> Double {
    let double = double();
    double.populate(USERS, 2, 20, 2).throttle(150.0, 15.0);
    double
}

fn slice(double: &Double) -> Command {
    let mut command = against(&double.url());
    command.env("TIME_BUDGET", "3").env("AWS_MAX_ATTEMPTS", "3").env("LEASE_SECONDS", "2");
    command
}

/// How many calls IAM answered.
fn answered(double: &Double) -> usize {
    let requests = double.requests();
    requests.iter().filter(|request| request.service == Service::Iam && !request.throttled).count()
}

/// Runs slices until one is complete; gives how many that took. All before it must have published nothing.
fn to_the_end(double: &Double) -> usize {
    for number in 1..=MOST {
        let ran = finish(slice(double));
        if ran.code == 0 {
            assert_eq!(ran.summary(), "320 put, 0 deleted, 0 kept", "{}", ran.err);
            return number;
        }
        assert_eq!(ran.code, 1, "{}", ran.err);
        assert!(ran.err.contains("nothing was changed yet: the time was up"), "{}", ran.err);
        assert!(documents(double).is_empty(), "nothing is published from an incomplete picture");
        assert_eq!(heartbeats(double), 0);
    }
    panic!("not complete after {MOST} slices");
}

/// After all slices the bucket says what one whole run would have said, and a run later has nothing to do.
fn assert_complete(double: &Double) {
    assert_eq!((writes(double).len(), heartbeats(double)), (USERS + 20, 1), "each document was written once");
    let whole = common::double();
    whole.populate(USERS, 2, 20, 2);
    assert_eq!(finish(against(&whole.url())).code, 0);
    assert_eq!(documents(double), documents(&whole));
    double.unthrottle().clear_requests();
    assert_eq!(finish(against(&double.url())).summary(), "0 put, 0 deleted, 320 kept");
    assert_eq!(answered(double), 1 + USERS);
}

#[test]
fn slices_publish_once_and_ask_nothing_twice() {
    let double = account();
    let slices = to_the_end(&double);
    assert!(slices > 1, "the account is too small for this test");
    let most = NEEDED + slices * (1 + ON_THEIR_WAY);
    assert!(answered(&double) <= most, "{} calls in {slices} slices", answered(&double));
    assert_complete(&double);
}

#[test]
fn a_killed_slice_loses_only_what_it_learnt_itself() {
    let double = account();
    assert_eq!(finish(slice(&double)).code, 1);
    let learnt = answered(&double);
    let mut child = slice(&double).spawn().unwrap();
    let pid = child.id().to_string();
    double.on_call(Match::service(Service::Iam), 60, move |_| {
        Command::new("kill").args(["-KILL", &pid]).status().unwrap();
    });
    assert!(!child.wait().unwrap().success());
    assert!(documents(&double).is_empty());
    let lost = answered(&double) - learnt;
    assert!((60..=60 + ON_THEIR_WAY).contains(&lost), "killed in the middle: {lost}");
    let slices = 1 + to_the_end(&double);
    let most = NEEDED + lost + slices * (1 + ON_THEIR_WAY);
    assert!(answered(&double) <= most, "{} calls in {slices} slices", answered(&double));
    assert_complete(&double);
}

#[test]
fn in_lambda_an_incomplete_run_is_no_failed_invocation() {
    let double = account();
    let runtime = Runtime::start();
    let _function = Function::start(Path::new(env!("CARGO_BIN_EXE_iam-ssh-sync")), &slice(&double), &runtime);
    for number in 1..=MOST {
        let told = runtime.invoke_within(&schedule(), Duration::from_secs(3)).response();
        if told["incomplete"] == false {
            assert!(number > 1, "the account is too small for this test");
            assert_eq!(told["runs"][0]["put"], 320, "{told}");
            return assert_complete(&double);
        }
        assert_eq!(told["runs"][0]["incomplete"], true, "{told}");
        assert!(documents(&double).is_empty());
    }
    panic!("not complete after {MOST} invocations");
}
