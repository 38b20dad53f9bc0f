//! What the function's metrics leave out: a run that saw only a part, or nothing, must not end an alarm that another one raised.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[allow(dead_code, unreachable_pub, missing_docs, reason = "shared: each test uses its part")]
mod common;

use std::path::Path;
use std::time::Duration;

use common::cloudtrail::{again, batch, event, schedule};
use common::runtime::{Function, Runtime};
use common::{BUCKET, against, double, key};
use iam_ssh_doubles::{Double, Fault, Match};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The age of a heartbeat that there never was, in seconds.
const YEAR: u64 = 365 * 86_400;

/// So many users with a key each, and the function.
fn function(users: usize) -> (Double, Runtime, Function) {
    let double = double();
    for user in 0..users {
        double.add_key(&format!("u{user:02}"), &format!("APKA{user:02}"), &key(user), "Active");
    }
    let runtime = Runtime::start();
    let mut settings = against(&double.url());
    settings.env("LEASE_WAIT", "1");
    let function = Function::start(Path::new(env!("CARGO_BIN_EXE_iam-ssh-sync")), &settings, &runtime);
    (double, runtime, function)
}

/// Every line of metrics that the function wrote.
fn metrics(function: Function) -> Vec<Value> {
    let (out, _) = function.log();
    let lines: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    for line in &lines {
        let told = line["_aws"]["CloudWatchMetrics"][0]["Metrics"].as_array().unwrap();
        for name in ["Failed", "Refused", "HeartbeatAge"] {
            let is_told = told.iter().any(|metric| metric["Name"] == name);
            assert_eq!(is_told, !line[name].is_null(), "{name}: {line}");
        }
    }
    lines
}

/// What one line says of these.
fn says<'a>(line: &'a Value, names: &[&str]) -> Vec<&'a Value> {
    names.iter().map(|name| &line[*name]).collect()
}

/// A run that has to wait for another for longer than it may.
fn busy(double: &Double, runtime: &Runtime) {
    let until = (OffsetDateTime::now_utc() + time::Duration::seconds(60)).format(&Rfc3339).unwrap();
    let lease = format!("{{\"holder\":\"somebody else\",\"until\":\"{until}\"}}");
    double.put_object(BUCKET, "iam-ssh/lease.json", lease);
    assert_eq!(runtime.invoke(&schedule()).response()["incomplete"], true);
    double.remove_object(BUCKET, "iam-ssh/lease.json");
}

/// A run whose time is up while it reads.
fn incomplete(double: &Double, runtime: &Runtime) {
    double.fault(Match::action("ListSSHPublicKeys").times(1), Fault::Hang);
    assert_eq!(runtime.invoke_within(&schedule(), Duration::from_secs(2)).response()["incomplete"], true);
    double.clear_faults();
}

fn tagged(runtime: &Runtime) {
    let told = event("TagUser", &json!({ "userName": "u01" }));
    assert_eq!(runtime.invoke(&batch(&[("m1", 2, &told)])).response(), again(&[]));
}

#[test]
fn before_any_complete_run_the_heartbeat_is_as_old_as_can_be() {
    let (double, runtime, function) = function(2);
    tagged(&runtime);
    busy(&double, &runtime);
    incomplete(&double, &runtime);
    double.fault(Match::action("GetAccountAuthorizationDetails"), Fault::Status(403, "AccessDenied".to_owned()));
    runtime.invoke(&schedule()).error();
    double.clear_faults();
    runtime.invoke(&schedule()).response();
    let told = metrics(function);
    let seen: Vec<(Vec<&Value>, bool)> =
        told.iter().map(|line| (says(line, &["Failed", "Incomplete"]), line["HeartbeatAge"] == YEAR)).collect();
    let (none, zero, one) = (Value::Null, Value::from(0), Value::from(1));
    assert_eq!(
        seen,
        [
            (vec![&none, &zero], true),
            (vec![&none, &one], true),
            (vec![&none, &one], true),
            (vec![&one, &zero], true),
            (vec![&zero, &zero], false)
        ]
    );
    assert!(told[1..4].iter().all(|line| line["Refused"].is_null()), "{told:?}");
    assert_eq!(says(&told[4], &["HeartbeatAge", "Refused"]), [0, 0]);
}

#[test]
fn what_a_refusal_and_a_failure_raise_no_partial_run_ends() {
    let (double, runtime, function) = function(20);
    runtime.invoke(&schedule()).response();
    double.iam(|iam| (10..16).for_each(|user| _ = iam.remove_user(&format!("u{user:02}"))));
    assert_eq!(runtime.invoke(&schedule()).error().0, "ShrinkRefused");
    tagged(&runtime);
    busy(&double, &runtime);
    incomplete(&double, &runtime);
    let told = metrics(function);
    assert_eq!(told.len(), 5, "{told:?}");
    assert_eq!(says(&told[1], &["Failed", "Refused"]), [0, 6], "a refusal is no failure");
    // Who is looked at for an event takes nothing off what is held back elsewhere.
    assert_eq!(
        says(&told[2], &["Failed", "Refused", "Users", "Keys"]),
        [&Value::Null, &6.into(), &Value::Null, &Value::Null]
    );
    for line in &told[3..] {
        assert_eq!(says(line, &["Failed", "Refused", "Users", "Keys", "Incomplete"])[..4], [&Value::Null; 4], "{line}");
        assert_eq!(line["Incomplete"], 1, "{line}");
    }
    for line in &told[1..] {
        assert!((0..120).contains(&line["HeartbeatAge"].as_u64().unwrap()), "{line}");
    }
}
