//! A document that S3 refuses to give is left alone, and keeps nothing else back: above all no withdrawal.
//!
//! Whoever archives an object or disables a KMS key makes it so for good; the run goes on failing until somebody sees to it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[allow(dead_code, unreachable_pub, missing_docs, reason = "shared: each test uses its part")]
mod common;

use std::path::Path;

use common::cloudtrail::{again, batch, event};
use common::judge::{heartbeat, repaired, run, run_with, status};
use common::runtime::{Function, Runtime};
use common::{BUCKET, Ran, against, document, documents, double, finish, key, line, writes};
use iam_ssh_doubles::{Double, Fault, Match};
use serde_json::json;

const OLD: &str = "users/old/authorized_keys";

fn name(user: usize) -> String {
    format!("u{user:02}")
}

fn id(user: usize) -> String {
    format!("APKA{user:02}")
}

fn own(user: usize) -> String {
    format!("users/{}/authorized_keys", name(user))
}

/// So many users with a key each, the first six in a group; published, and then there is the document of somebody who is gone.
fn published(users: usize) -> Double {
    let double = double();
    double.iam(|iam| {
        (0..users).for_each(|user| _ = iam.add_key(&name(user), &id(user), &key(user), "Active"));
        (0..6).for_each(|user| _ = iam.add_member("g", &name(user)));
    });
    repaired(&double, "the first run");
    double.put_object(BUCKET, OLD, line("old", &key(99))).clear_requests();
    double
}

/// Nobody can read this one from now on.
fn refuse(double: &Double, path: &str, fault: Fault) {
    double.fault(Match::action("GetObject").on(path), fault);
}

fn archived() -> Fault {
    status(403, "InvalidObjectState")
}

/// The documents that publish this user's key.
fn publishing(double: &Double, user: usize) -> Vec<String> {
    let holds = |text: &Vec<u8>| String::from_utf8_lossy(text).contains(&key(user));
    documents(double).into_iter().filter(|(_, text)| holds(text)).map(|(path, _)| path).collect()
}

/// The run left so many documents alone, said which and why, and was no success.
fn left_alone(ran: &Ran, count: usize, path: &str, code: &str) {
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(
        ran.err.contains(&format!("; {count} could not be read, may hold anything, and were left alone")),
        "{ran:?}"
    );
    let told = |line: &str| line.contains(&format!("s3:GetObject for s3://{BUCKET}/{path} failed: {code}"));
    assert!(ran.err.lines().any(told), "{ran:?}");
}

#[test]
fn one_document_that_is_refused_keeps_nothing_else_back() {
    for (code, refusal) in [(400, "KMS.DisabledException"), (403, "InvalidObjectState"), (403, "AccessDenied")] {
        let double = published(8);
        refuse(&double, OLD, status(code, refusal));
        let (old, beat) = (document(&double, "users/old"), heartbeat(&double));
        double.set_key_status("u01", "APKA01", "Inactive").add_key("new", "APKANEW", &key(50), "Active");
        let ran = run(&double);
        left_alone(&ran, 1, OLD, refusal);
        assert!(ran.err.contains("3 of 3 changed documents were written"), "{ran:?}");
        assert_eq!((publishing(&double, 1), publishing(&double, 50).len()), (vec![], 1), "{refusal}");
        let written = writes(&double);
        assert_eq!((document(&double, "users/old"), heartbeat(&double)), (old, beat), "{refusal}");
        left_alone(&run(&double), 1, OLD, refusal);
        assert_eq!(writes(&double), written, "{refusal}: there is nothing else to do");
        repaired(&double, refusal);
        assert_eq!(document(&double, "users/old"), None);
    }
}

#[test]
fn groups_lose_what_a_users_own_document_may_still_say() {
    let double = published(8);
    double.remove_object(BUCKET, OLD).set_key_status("u01", "APKA01", "Inactive");
    refuse(&double, &own(1), archived());
    left_alone(&run(&double), 1, &own(1), "InvalidObjectState");
    assert_eq!(publishing(&double, 1), [own(1)]);
    assert_eq!(writes(&double), ["PutObject groups/g/authorized_keys"]);
    repaired(&double, "it can be read again");
}

#[test]
fn where_all_is_refused_or_it_is_not_about_the_object_nothing_changes() {
    let double = published(8);
    double.set_key_status("u01", "APKA01", "Inactive").add_key("new", "APKANEW", &key(50), "Active");
    let (before, all) = (documents(&double), [OLD.to_owned(), own(1), "groups/g/authorized_keys".to_owned()]);
    all.iter().for_each(|path| refuse(&double, path, status(403, "AccessDenied")));
    let unchanged = |when: &str| {
        let ran = run(&double);
        assert!(ran.code == 1 && ran.err.starts_with("error: nothing was changed: s3:GetObject"), "{when}: {ran:?}");
        assert_eq!((documents(&double), writes(&double)), (before.clone(), vec![]), "{when}");
    };
    unchanged("all of them");
    for fault in [
        status(500, "InternalError"),
        status(400, "ExpiredToken"),
        status(403, "SignatureDoesNotMatch"),
        status(400, "RequestTimeout"),
        status(404, "NoSuchBucket"),
        Fault::Throttle,
        Fault::CloseConnection,
        Fault::Truncate,
    ] {
        double.clear_faults();
        refuse(&double, OLD, fault.clone());
        unchanged(&format!("{fault:?}"));
    }
    repaired(&double, "no fault");
}

#[test]
fn a_dry_run_tells_of_it_and_is_not_complete() {
    let double = published(8);
    refuse(&double, OLD, archived());
    double.set_key_status("u01", "APKA01", "Inactive");
    let mut command = against(&double.url());
    command.arg("--dry-run");
    let ran = finish(command);
    assert_eq!((ran.code, ran.summary()), (1, "dry run, nothing was changed: 2 put, 0 deleted, 7 kept"), "{ran:?}");
    let told = format!("a document cannot be read, and would be left alone: s3:GetObject for s3://{BUCKET}/{OLD}");
    assert!(ran.err.contains(&told), "{ran:?}");
}

#[test]
fn an_event_about_it_comes_again_and_one_about_others_does_not() {
    let double = published(8);
    double.remove_object(BUCKET, OLD);
    let runtime = Runtime::start();
    let program = Path::new(env!("CARGO_BIN_EXE_iam-ssh-sync"));
    let function = Function::start(program, &against(&double.url()), &runtime);
    let told = |user: usize| {
        let event = event("UpdateSSHPublicKey", &json!({ "userName": name(user) }));
        runtime.invoke(&batch(&[("m1", 1, &event)])).response()
    };
    double.set_key_status("u01", "APKA01", "Inactive");
    refuse(&double, "groups/g/authorized_keys", archived());
    assert_eq!(told(1), again(&["m1"]));
    assert_eq!(publishing(&double, 1), ["groups/g/authorized_keys"], "the own document can be read");
    double.set_key_status("u07", "APKA07", "Inactive");
    assert_eq!((told(7), publishing(&double, 7)), (again(&[]), vec![]), "who is in no group");
    double.clear_faults().set_key_status("u06", "APKA06", "Inactive");
    assert_eq!((told(6), publishing(&double, 1)), (again(&[]), vec![]), "what was left is remembered");
    repaired(&double, "all of it");
    let (_, log) = function.log();
    assert!(log.contains("a document is still not to be read, and left alone"), "{log}");
}

/// The plan that a run names, whatever else it says.
fn plan(ran: &Ran) -> String {
    ran.err.split_once("--confirm ").unwrap_or_else(|| panic!("{ran:?}")).1.chars().take(16).collect()
}

#[test]
fn what_is_held_back_stays_so_while_it_cannot_be_read() {
    let double = published(20);
    double.remove_object(BUCKET, OLD).iam(|iam| (0..6).for_each(|user| _ = iam.remove_user(&name(user))));
    let ran = run(&double);
    assert_eq!(ran.code, 3, "{ran:?}");
    let (whole, before) = (plan(&ran), documents(&double));
    // What is left of the plan would look ordinary, and so would the rest once it can be read again.
    (0..4).for_each(|user| refuse(&double, &own(user), archived()));
    let ran = run(&double);
    left_alone(&ran, 4, &own(0), "InvalidObjectState");
    assert_ne!(plan(&ran), whole, "a plan takes only what is known");
    assert_eq!(documents(&double), before);
    double.clear_faults();
    let ran = run(&double);
    assert_eq!((ran.code, plan(&ran)), (3, whole.clone()), "{ran:?}");
    assert_eq!(documents(&double), before);
    // A part of it is confirmed while the rest cannot be read.
    refuse(&double, &own(0), archived());
    let part = plan(&run(&double));
    left_alone(&run_with(&double, &[("CONFIRM", &part)]), 1, &own(0), "InvalidObjectState");
    assert_eq!((1..6).map(|user| publishing(&double, user).len()).sum::<usize>(), 0);
    assert_eq!(document(&double, "users/u00"), Some(line("u00", &key(0))));
    repaired(&double, "the rest is ordinary");
}

#[test]
fn what_groups_say_of_owners_whose_document_cannot_be_read_is_held_back_like_that_would_be() {
    // One of them, and all of them.
    for unread in [1..2, 0..20] {
        let double = published(20);
        double.remove_object(BUCKET, OLD).iam(|iam| {
            (6..20).for_each(|user| _ = iam.add_member("h", &name(user)));
        });
        repaired(&double, "with another group");
        let before = documents(&double);
        unread.clone().for_each(|user| refuse(&double, &own(user), archived()));
        double.iam(|iam| (0..20).for_each(|user| _ = iam.remove_user(&name(user))));
        for _ in 0..2 {
            let ran = run(&double);
            left_alone(&ran, unread.len(), &own(1), "InvalidObjectState");
            assert!(ran.err.contains("warning: refused: "), "{ran:?}");
            assert_eq!(documents(&double), before, "{unread:?}");
        }
    }
}

#[test]
fn several_that_cannot_be_read_are_not_all_that_there_is() {
    let double = published(8);
    double.put_object(BUCKET, &OLD.replace("old", "older"), line("older", &key(98)));
    for path in [OLD.to_owned(), OLD.replace("old", "older")] {
        refuse(&double, &path, archived());
    }
    double.add_key("new", "APKANEW", &key(50), "Active");
    left_alone(&run(&double), 2, OLD, "InvalidObjectState");
    assert_eq!(publishing(&double, 50).len(), 1, "nothing else differs that is there already");
    // An event that changes nothing meets what is left, and is no failure for that.
    let runtime = Runtime::start();
    let program = Path::new(env!("CARGO_BIN_EXE_iam-ssh-sync"));
    let _function = Function::start(program, &against(&double.url()), &runtime);
    let event = event("PutGroupPolicy", &json!({ "groupName": "g" }));
    assert_eq!(runtime.invoke(&batch(&[("m1", 2, &event)])).response(), again(&[]));
}

#[test]
fn what_was_refused_elsewhere_ends_where_the_rest_is_ordinary() {
    let double = published(20);
    refuse(&double, OLD, archived());
    double.iam(|iam| (0..8).for_each(|user| _ = iam.remove_key(&name(user), &id(user))));
    plan(&run(&double));
    // Most of it was a mistake.
    double.iam(|iam| (0..6).for_each(|user| _ = iam.add_key(&name(user), &id(user), &key(user), "Active")));
    left_alone(&run(&double), 1, OLD, "InvalidObjectState");
    assert_eq!((publishing(&double, 6), publishing(&double, 7)), (vec![], vec![]));
    assert_eq!(publishing(&double, 5).len(), 2);
}

#[test]
fn a_confirmation_counts_once_also_while_something_cannot_be_read() {
    let double = published(20);
    refuse(&double, OLD, archived());
    let gone = |aws: &Double| aws.iam(|iam| (0..8).for_each(|user| _ = iam.remove_key(&name(user), &id(user))));
    gone(&double);
    let part = plan(&run(&double));
    left_alone(&run_with(&double, &[("CONFIRM", &part)]), 1, OLD, "InvalidObjectState");
    assert_eq!((0..8).map(|user| publishing(&double, user).len()).sum::<usize>(), 0);
    double.iam(|iam| (0..8).for_each(|user| _ = iam.add_key(&name(user), &id(user), &key(user), "Active")));
    left_alone(&run(&double), 1, OLD, "InvalidObjectState");
    let before = documents(&double);
    gone(&double);
    plan(&run(&double));
    assert_eq!(documents(&double), before, "it is asked again");
}
