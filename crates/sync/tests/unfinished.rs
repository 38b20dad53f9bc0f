//! What a run leaves half done (a reading, a plan, its own memory) is gone on with by the next, and never brings back what was
//! withdrawn meanwhile.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[allow(dead_code, unreachable_pub, missing_docs, reason = "shared: each test uses its part")]
mod common;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use common::cloudtrail::{again, batch, event, schedule};
use common::judge::{heartbeat, in_sync, repaired, run, run_with, status};
use common::runtime::{Function, Runtime};
use common::{BUCKET, against, document, documents, double, finish, key, writes};
use iam_ssh_doubles::{Double, Fault, Match};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

const STATE: &str = "iam-ssh/state.json";

fn name(user: usize) -> String {
    format!("u{user:02}")
}

fn id(user: usize) -> String {
    format!("APKA{user:02}")
}

/// So many users with a key each, the first of them in group `ops`; nothing is published yet.
fn account(users: usize, members: usize) -> Double {
    let double = double();
    double.iam(|iam| {
        for user in 0..users {
            iam.add_key(&name(user), &id(user), &key(user), "Active");
        }
        (0..members).for_each(|user| _ = iam.add_member("ops", &name(user)));
    });
    double
}

fn published(users: usize, members: usize) -> Double {
    let double = account(users, members);
    repaired(&double, "the first run");
    double
}

fn function(double: &Double) -> (Runtime, Function) {
    let runtime = Runtime::start();
    let function = Function::start(Path::new(env!("CARGO_BIN_EXE_iam-ssh-sync")), &against(&double.url()), &runtime);
    (runtime, function)
}

/// Somebody's key was withdrawn, or came.
fn about(user: usize) -> Value {
    event("UpdateSSHPublicKey", &json!({ "userName": name(user), "sSHPublicKeyId": id(user), "status": "Inactive" }))
}

/// How many documents publish this user's key.
fn publishing(double: &Double, user: usize) -> usize {
    let body = key(user);
    documents(double).values().filter(|text| String::from_utf8_lossy(text).contains(&body)).count()
}

/// A key is withdrawn, and this request of the run about it fails. `true` if there was such a request.
fn withdrawn_key_stays_away(which: &Match, when: &str) -> bool {
    let double = published(6, 3);
    let (runtime, _function) = function(&double);
    double
        .set_key_status("u01", "APKA01", "Inactive")
        .clear_requests()
        .fault(which.clone().times(1), status(403, "AccessDenied"));
    let answer = runtime.invoke(&batch(&[("m1", 1, &about(1))])).response();
    let has_failed = answer != again(&[]);
    double.clear_faults();
    let left = publishing(&double, 1);
    assert!(has_failed || left == 0, "{when}");
    // Another member of the same group: the group's document is written, and with it nothing that was withdrawn.
    double.add_key("u02", "APKANEW", &key(50), "Active");
    assert_eq!(runtime.invoke(&batch(&[("m2", 1, &about(2))])).response(), again(&[]), "{when}");
    let still = publishing(&double, 1);
    assert!(still <= left, "{when}: {left} documents published it, now {still} do: {:?}", writes(&double));
    assert_eq!((publishing(&double, 2), publishing(&double, 50)), (2, 2), "{when}");
    // The message comes again where the run failed; a full run would do.
    if has_failed {
        assert_eq!(answer, again(&["m1"]), "{when}");
        runtime.invoke(&batch(&[("m1", 2, &about(1))])).response();
        in_sync(&double, when);
    }
    repaired(&double, when);
    assert_eq!(publishing(&double, 1), 0, "{when}");
    has_failed
}

#[test]
fn whatever_write_of_an_event_run_fails_what_was_withdrawn_never_comes_back() {
    let state = Match::action("PutObject").on(STATE);
    let fails = |index: usize| withdrawn_key_stays_away(&state.clone().skip(index), &format!("memory, {index}"));
    let writes = (0..).take_while(|index| fails(*index)).count();
    assert!(writes > 0, "the memory is written");
    for path in ["users/u01/authorized_keys", "groups/ops/authorized_keys"] {
        assert!(withdrawn_key_stays_away(&Match::action("PutObject").on(path), path));
    }
}

#[test]
fn what_an_event_run_could_not_write_the_next_event_writes() {
    let double = published(6, 3);
    let (runtime, _function) = function(&double);
    double.set_key_status("u01", "APKA01", "Inactive");
    double.fault(Match::action("PutObject").on("groups/ops/authorized_keys"), status(403, "AccessDenied"));
    assert_eq!(runtime.invoke(&batch(&[("m1", 1, &about(1))])).response(), again(&["m1"]));
    assert_eq!(publishing(&double, 1), 1, "the group's document could not be written");
    double.clear_faults();
    // Somebody who is in no group.
    double.set_key_status("u05", "APKA05", "Inactive");
    assert_eq!(runtime.invoke(&batch(&[("m2", 1, &about(5))])).response(), again(&[]));
    in_sync(&double, "also what was left of the other");
}

#[test]
fn what_is_withdrawn_while_the_first_reading_is_unfinished_is_not_published_by_its_end() {
    const USERS: usize = 10;
    let double = account(USERS, 5);
    // All keys are listed and all bodies but one are read when the time is up.
    double.fault(Match::action("GetSSHPublicKey").skip(USERS - 1).times(1), Fault::Hang);
    let ran = run_with(&double, &[("TIME_BUDGET", "5")]);
    assert!(ran.code == 1 && ran.err.contains("the time was up"), "{ran:?}");
    let memory: Value = serde_json::from_slice(&double.object(BUCKET, STATE).unwrap()).unwrap();
    let known = ["pass", "bodies"].map(|part| memory[part].as_object().unwrap().len());
    assert_eq!((known, documents(&double).len()), ([USERS, USERS - 1], 0), "{memory}");
    double.clear_faults().iam(|iam| (0..8).for_each(|user| _ = iam.set_key_status(&name(user), &id(user), "Inactive")));
    let (runtime, _function) = function(&double);
    let events: Vec<Value> = (0..8).map(about).collect();
    let messages: Vec<(&str, u32, &Value)> = events.iter().map(|event| ("m1", 1, event)).collect();
    assert_eq!(runtime.invoke(&batch(&messages)).response(), again(&[]), "the full run sees to it");
    assert!(documents(&double).is_empty());
    double.clear_requests();
    runtime.invoke(&schedule()).response();
    in_sync(&double, "the reading is complete");
    assert!((0..8).all(|user| publishing(&double, user) == 0) && publishing(&double, 9) == 1);
    assert_eq!(double.count(&Match::action("ListSSHPublicKeys")), 8, "of nobody else the keys are listed again");
}

#[test]
fn a_renamed_groups_old_document_that_could_not_be_deleted_is_no_shrink_in_the_next_run() {
    let double = published(30, 3);
    double.rename_group("ops", "opera");
    let old = Match::action("DeleteObject").on("groups/ops/authorized_keys");
    double.fault(old.times(1), status(503, "SlowDown"));
    let ran = run(&double);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(document(&double, "groups/ops").is_some() && document(&double, "groups/opera").is_some());
    repaired(&double, "the next");
}

#[test]
fn a_confirmed_plan_that_fails_half_way_is_carried_out_without_being_confirmed_again() {
    let double = published(20, 8);
    double.iam(|iam| (0..6).for_each(|user| _ = iam.remove_user(&name(user))));
    let ran = run(&double);
    assert_eq!(ran.code, 3, "{ran:?}");
    let plan: String = ran.err.split_once("--confirm ").unwrap().1.chars().take(16).collect();
    // Only one of the six goes, and neither does the group's document change.
    for user in 1..6 {
        let path = format!("users/{}/authorized_keys", name(user));
        double.fault(Match::action("DeleteObject").on(&path).times(1), status(503, "SlowDown"));
    }
    double.fault(Match::action("PutObject").on("groups/ops/authorized_keys").times(1), status(503, "SlowDown"));
    let ran = run_with(&double, &[("CONFIRM", &plan)]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert_eq!((document(&double, "users/u00"), document(&double, "users/u01").is_some()), (None, true));
    repaired(&double, "the next, which nobody confirmed");
    // And that was it: the same again is another matter.
    double.iam(|iam| (6..12).for_each(|user| _ = iam.remove_user(&name(user))));
    assert_eq!(run(&double).code, 3);
}

#[test]
fn somebody_may_go_in_each_reading_of_the_account() {
    /// More than a run reads the account.
    const MOST: usize = 16;
    let double = published(80, 0);
    double.add_key("new", "APKANEW", &key(99), "Active").clear_requests();
    let goes_on = Arc::new(AtomicBool::new(true));
    for reading in 1..=MOST {
        let goes_on = Arc::clone(&goes_on);
        double.on_call(Match::action("GetAccountAuthorizationDetails"), reading, move |change| {
            if goes_on.load(Relaxed) {
                change.iam().remove_user(&name(reading));
            }
        });
    }
    let ran = run(&double);
    assert_eq!(ran.code, 0, "{ran:?}");
    let readings = double.count(&Match::action("GetAccountAuthorizationDetails"));
    assert!((4..MOST).contains(&readings), "{readings} readings");
    assert_eq!(publishing(&double, 99), 1, "what has nothing to do with it is published");
    assert!((MOST + 1..80).all(|user| publishing(&double, user) == 1));
    goes_on.store(false, Relaxed);
    repaired(&double, "nobody goes any more");
}

#[test]
fn another_runs_lease_is_not_waited_for_beyond_the_time_that_there_is() {
    let double = published(2, 0);
    let until = (OffsetDateTime::now_utc() + time::Duration::seconds(60)).format(&Rfc3339).unwrap();
    let lease = format!("{{\"holder\":\"somebody else\",\"until\":\"{until}\"}}");
    double.put_object(BUCKET, "iam-ssh/lease.json", lease.clone()).clear_requests();
    let beat = heartbeat(&double);
    let mut command = against(&double.url());
    command.env("TIME_BUDGET", "2").env("LEASE_WAIT", "20");
    let began = Instant::now();
    let ran = finish(command);
    assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
    assert!(ran.code == 1 && ran.err.contains("another run"), "{ran:?}");
    assert_eq!((heartbeat(&double), double.object(BUCKET, "iam-ssh/lease.json")), (beat, Some(lease.into_bytes())));
    assert_eq!(writes(&double), Vec::<String>::new());
}
