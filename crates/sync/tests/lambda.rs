//! The sync as a Lambda function: which invocation is a run of which kind, what is answered, and what is written to the log.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[allow(dead_code, unreachable_pub, missing_docs, reason = "shared: each test uses its part")]
mod common;

use std::path::Path;
use std::time::Duration;

use common::cloudtrail::{again, batch, event, schedule, scheduler};
use common::runtime::{Function, Runtime};
use common::{ED25519, RSA, against, document, double, heartbeats, key, line, writes};
use iam_ssh_doubles::{Double, Fault, Match, Service};
use serde_json::{Value, json};

fn function(double: &Double, runtime: &Runtime) -> Function {
    Function::start(Path::new(env!("CARGO_BIN_EXE_iam-ssh-sync")), &against(&double.url()), runtime)
}

/// Every line of a log, which must be JSON.
fn entries(log: &str) -> Vec<Value> {
    log.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

#[test]
fn each_invocation_is_a_run_and_a_failed_run_is_a_failed_invocation() {
    let double = double();
    double.add_key("ann", "APKA1", ED25519, "Active").add_key("ann", "APKA2", "bad", "Active");
    let runtime = Runtime::start();
    let function = function(&double, &runtime);
    let answer = runtime.invoke(&schedule()).response();
    assert_eq!(answer["summary"], "1 put, 0 deleted, 0 kept");
    assert_eq!(document(&double, "users/ann").unwrap(), line("ann", ED25519));

    double.fault(Match::action("ListSSHPublicKeys"), Fault::Status(403, "AccessDenied".to_owned()));
    let (kind, told) = runtime.invoke(&scheduler()).error();
    assert_eq!(kind, "SyncFailed");
    assert!(told.contains("nothing was changed: ") && told.contains("AccessDenied"), "{told}");

    double.clear_faults();
    let answer = runtime.invoke(&schedule()).response();
    assert_eq!(answer["summary"], "0 put, 0 deleted, 1 kept", "the same process goes on");
    assert_eq!(heartbeats(&double), 2);

    let (out, err) = function.log();
    let log = entries(&err);
    let says = |level: &str, text: &str| {
        log.iter().any(|entry| entry["level"] == level && entry["message"].as_str().unwrap().contains(text))
    };
    assert!(says("info", "put users/ann (+1 -0)\n1 put, 0 deleted, 0 kept"), "{err}");
    assert!(says("warn", "key `APKA2` of user `ann`") && says("error", "nothing was changed: "), "{err}");
    let metrics = entries(&out);
    assert_eq!(metrics.iter().map(|run| run["Failed"].clone()).collect::<Vec<_>>(), [0, 1, 0], "{out}");
    assert!(metrics.iter().all(|run| run["_aws"]["CloudWatchMetrics"][0]["Namespace"] == "iam-ssh"), "{out}");
    assert_eq!(
        (&metrics[0]["Changes"], &metrics[2]["Changes"], &metrics[2]["Users"]),
        (&1.into(), &0.into(), &1.into())
    );
    assert_eq!(metrics[0]["Bucket"], "keys");
    assert!(metrics.iter().all(|run| !run["Account"].as_str().unwrap().is_empty()), "{out}");
}

#[test]
fn whatever_is_no_iam_event_is_a_full_run() {
    let double = double();
    double.add_key("ann", "APKA1", ED25519, "Active");
    let runtime = Runtime::start();
    let _function = function(&double, &runtime);
    for payload in
        [schedule(), scheduler(), json!({}), json!(null), json!("garbage"), json!([[]]), json!({ "Records": [{}] })]
    {
        let before = heartbeats(&double);
        runtime.invoke(&payload).response();
        assert_eq!(heartbeats(&double), before + 1, "{payload}");
    }
}

#[test]
fn a_dry_run_changes_nothing_and_what_cannot_be_meant_is_refused() {
    let double = double();
    double.add_key("ann", "APKA1", ED25519, "Active");
    let runtime = Runtime::start();
    let _function = function(&double, &runtime);
    let answer = runtime.invoke(&json!({ "dry_run": true })).response();
    assert_eq!(answer["summary"], "dry run, nothing was changed: 1 put, 0 deleted, 0 kept");
    for bad in [json!({ "dry_run": "yes" }), json!({ "confirm": "all" }), json!({ "confirm": 1 })] {
        let (kind, told) = runtime.invoke(&bad).error();
        assert_eq!(kind, "BadEvent", "{told}");
    }
    assert_eq!((writes(&double), heartbeats(&double)), (Vec::new(), 0));
}

/// The id of the plan in a refusal: 16 hexadecimal digits somewhere in its text.
fn plan_id(text: &str) -> String {
    let words = text.split(|letter: char| !letter.is_ascii_alphanumeric());
    let mut ids =
        words.filter(|word| word.len() == 16 && word.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')));
    ids.next().expect(text).to_owned()
}

#[test]
fn a_refused_shrink_fails_until_exactly_that_plan_is_confirmed() {
    let double = double();
    for number in 0..20 {
        double.add_key(&format!("user{number}"), &format!("APKAEXAMPLEEXAMP{number:04}"), &key(number), "Active");
    }
    let runtime = Runtime::start();
    let function = function(&double, &runtime);
    runtime.invoke(&schedule()).response();
    for number in 0..10 {
        double.remove_user(&format!("user{number}"));
    }

    let (kind, told) = runtime.invoke(&schedule()).error();
    assert_eq!(kind, "ShrinkRefused", "{told}");
    assert!(document(&double, "users/user0").is_some() && heartbeats(&double) == 1);
    let (kind, told_again) = runtime.invoke(&json!({ "confirm": "0000000000000000" })).error();
    assert_eq!((kind.as_str(), plan_id(&told_again)), ("ShrinkRefused", plan_id(&told)), "{told_again}");

    runtime.invoke(&json!({ "confirm": plan_id(&told) })).response();
    assert!(document(&double, "users/user0").is_none() && document(&double, "users/user10").is_some());
    assert_eq!(heartbeats(&double), 2);
    let (out, _) = function.log();
    let refused: Vec<bool> = entries(&out).iter().map(|run| run["Refused"].as_u64().unwrap() > 0).collect();
    assert_eq!(refused, [false, true, true, false], "{out}");
}

#[test]
fn an_invocation_that_runs_out_of_time_is_gone_on_with_in_the_next() {
    let double = double();
    // 201 calls, of which the first second sees about ten.
    double.populate(100, 1, 3, 1);
    let runtime = Runtime::start();
    let function = function(&double, &runtime);
    let mut runs = 1;
    while runtime.invoke_within(&schedule(), Duration::from_secs(2)).response()["incomplete"] == true {
        assert_eq!(
            (writes(&double).iter().filter(|write| write.contains("authorized_keys")).count(), heartbeats(&double)),
            (0, 0)
        );
        runs += 1;
        assert!(runs < 30, "it does not come to an end");
    }
    assert!(runs > 1, "it was meant to be too much for one run");
    assert_eq!(heartbeats(&double), 1);
    let (out, _) = function.log();
    let metrics = entries(&out);
    assert_eq!(
        metrics.iter().filter(|run| run["Incomplete"] == 1 && run["Failed"].is_null()).count(),
        runs - 1,
        "{out}"
    );
}

#[test]
fn several_accounts_are_told_apart_and_an_event_is_about_its_own() {
    let double = double();
    double.set_account("111122223333").add_key("ann", "APKAEXAMPLEEXAMPLE01", ED25519, "Active");
    double.with_account("444455556666", |other| {
        other.add_key("ann", "APKAEXAMPLEEXAMPLE02", &key(1), "Active");
    });
    let runtime = Runtime::start();
    let mut settings = against(&double.url());
    settings.env("ACCOUNTS", "111122223333;arn:aws:iam::444455556666:role/iam-ssh-reader");
    let function = Function::start(Path::new(env!("CARGO_BIN_EXE_iam-ssh-sync")), &settings, &runtime);
    let stored = |account: &str| double.object(common::BUCKET, &format!("{account}/users/ann/authorized_keys"));
    let answer = runtime.invoke(&schedule()).response();
    assert_eq!(answer["summary"], "111122223333: 1 put, 0 deleted, 0 kept; 444455556666: 1 put, 0 deleted, 0 kept");
    assert_eq!(answer["runs"][1]["account"], "444455556666");

    // The same change in both, the event about one.
    for account in ["111122223333", "444455556666"] {
        double.with_account(account, |iam| {
            iam.add_key("ann", "APKAEXAMPLEEXAMPLE03", RSA, "Active");
        });
    }
    double.clear_requests();
    let mut uploaded = event("UploadSSHPublicKey", &json!({ "userName": "ann" }));
    uploaded["account"] = "444455556666".into();
    assert_eq!(runtime.invoke(&batch(&[("m1", 1, &uploaded)])).response(), again(&[]));
    let lines = |account: &str| stored(account).unwrap().split(|byte| *byte == b'\n').count() - 1;
    assert_eq!((lines("111122223333"), lines("444455556666")), (1, 2));
    assert_eq!(double.count(&Match::service(Service::Iam)), 5);

    drop(function);

    // The role of one cannot be assumed: the other is served, this one's documents stay, and the answer says whose failure it is.
    double.fault(Match::action("AssumeRole"), Fault::Status(403, "AccessDenied".to_owned()));
    let runtime = Runtime::start();
    let function = Function::start(Path::new(env!("CARGO_BIN_EXE_iam-ssh-sync")), &settings, &runtime);
    let (kind, told) = runtime.invoke(&schedule()).error();
    assert!(
        kind == "SyncFailed" && told.starts_with("444455556666: ") && !told.contains("111122223333"),
        "{kind} {told}"
    );
    assert_eq!((lines("111122223333"), lines("444455556666")), (2, 2));
    let (_, err) = function.log();
    let failed: Vec<Value> = entries(&err).into_iter().filter(|entry| entry["level"] == "error").collect();
    assert!(!failed.is_empty() && failed.iter().all(|entry| entry["account"] == "444455556666"), "{err}");
}
