//! Events about whom IAM says too little, or not yet, or something else than a moment ago: nobody is let in or out on the strength
//! of one doubtful answer, and the message comes again.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[allow(dead_code, unreachable_pub, missing_docs, reason = "shared: each test uses its part")]
mod common;

use std::path::Path;

use common::cloudtrail::{again, batch, event, schedule};
use common::judge::in_sync;
use common::runtime::{Function, Runtime};
use common::{against, document, documents, double, key, line};
use iam_ssh_doubles::{Double, Fault, Match};
use serde_json::{Value, json};

const DENY_ALL: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}"#;

/// The function at work, with these settings.
fn function(double: &Double, settings: &[(&str, &str)]) -> (Runtime, Function) {
    let runtime = Runtime::start();
    let mut command = against(&double.url());
    command.envs(settings.iter().copied());
    let function = Function::start(Path::new(env!("CARGO_BIN_EXE_iam-ssh-sync")), &command, &runtime);
    (runtime, function)
}

/// Ann, Bob and Cid with a key each in group `ops`; all is published.
fn published() -> (Double, Runtime, Function) {
    let double = double();
    for (number, user) in ["ann", "bob", "cid"].into_iter().enumerate() {
        double.add_key(user, &format!("APKA{number}"), &key(number), "Active").add_member("ops", user);
    }
    let (runtime, function) = function(&double, &[]);
    runtime.invoke(&schedule()).response();
    in_sync(&double, "the first run");
    (double, runtime, function)
}

/// What is answered to this event, delivered for the first time.
fn told(runtime: &Runtime, name: &str, user: &str) -> Value {
    delivered(runtime, 1, name, user)
}

fn delivered(runtime: &Runtime, receives: u32, name: &str, user: &str) -> Value {
    let parameters = json!({ "userName": user, "groupName": "ssh", "policyName": "stop", "tags": [] });
    runtime.invoke(&batch(&[("m1", receives, &event(name, &parameters))])).response()
}

fn gone() -> Fault {
    Fault::Status(404, "NoSuchEntity".to_owned())
}

#[test]
fn whoever_was_never_seen_is_let_in_only_after_a_look_at_the_inline_policies() {
    let double = double();
    double.add_group("ssh").add_member("ssh", "ann").add_key("ann", "APKA0", &key(0), "Active");
    for (number, user) in [(1, "out"), (2, "new")] {
        double.add_key(user, &format!("APKA{number}"), &key(number), "Active");
    }
    double.put_user_policy("out", "stop", DENY_ALL);
    let (runtime, _function) = function(&double, &[("SCOPE", "group:ssh")]);
    runtime.invoke(&schedule()).response();
    assert_eq!(documents(&double).len(), 2, "only Ann and her group");
    for user in ["out", "new"] {
        double.add_member("ssh", user);
        assert_eq!(told(&runtime, "AddUserToGroup", user), again(&[]), "{user}");
    }
    let (ann, new) = (line("ann", &key(0)), line("new", &key(2)));
    assert_eq!(document(&double, "users/out").unwrap_or_default(), "");
    assert_eq!(document(&double, "users/new"), Some(new.clone()));
    assert_eq!(document(&double, "groups/ssh"), Some(ann + &new), "and nobody else");
}

#[test]
fn one_answer_that_knows_nobody_is_not_the_end_of_a_user() {
    let (double, runtime, _function) = published();
    let before = documents(&double);
    double.fault(Match::action("GetUser").times(1), gone());
    assert_eq!(told(&runtime, "TagUser", "ann"), again(&["m1"]));
    assert_eq!(documents(&double), before);
    assert_eq!(delivered(&runtime, 2, "TagUser", "ann"), again(&[]));
    assert_eq!(documents(&double), before);
}

#[test]
fn whoever_is_said_to_be_deleted_and_is_is_withdrawn_at_once() {
    let (double, runtime, _function) = published();
    double.remove_user("ann");
    assert_eq!(told(&runtime, "DeleteUser", "ann"), again(&[]));
    in_sync(&double, "deleted");
    assert_eq!(document(&double, "users/ann"), None);
    // It is said, but it is not so.
    assert_eq!(told(&runtime, "DeleteUser", "bob"), again(&["m1"]));
    in_sync(&double, "not deleted");
}

#[test]
fn whoever_seems_to_vanish_between_two_calls_is_withdrawn_by_none_of_them() {
    let (double, runtime, _function) = published();
    double.put_user_policy("ann", "more", r#"{"Version":"2012-10-17","Statement":[]}"#);
    let before = documents(&double);
    for (call, name) in [
        ("ListGroupsForUser", "TagUser"),
        ("ListAttachedUserPolicies", "AttachUserPolicy"),
        ("ListUserPolicies", "PutUserPolicy"),
    ] {
        double.clear_requests().fault(Match::action(call).times(1), gone());
        // Also when the message comes a second time: a run that failed is no answer.
        assert_eq!(delivered(&runtime, 2, name, "ann"), again(&["m1"]), "{call}");
        assert_eq!(double.count(&Match::action(call)), 1, "{call}");
        assert_eq!(documents(&double), before, "{call}");
        double.clear_faults();
    }
    // The keys' list alone: the keys stay as they were.
    double.fault(Match::action("ListSSHPublicKeys").times(1), gone());
    assert_eq!(told(&runtime, "TagUser", "ann"), again(&["m1"]));
    assert_eq!(documents(&double), before);
}

#[test]
fn an_inline_policy_that_vanishes_after_it_was_listed_counts_no_more_and_the_others_do() {
    let (double, runtime, _function) = published();
    double.put_user_policy("ann", "a", DENY_ALL).put_user_policy("ann", "b", DENY_ALL);
    let policy = Match::action("GetUserPolicy");
    double.fault(policy.clone().times(1), gone());
    assert_eq!(told(&runtime, "PutUserPolicy", "ann"), again(&[]));
    assert_eq!(document(&double, "users/ann").as_deref(), Some(""), "the other one denies everything, too");
    double.delete_user_policy("ann", "a").clear_faults().fault(policy, gone());
    assert_eq!(told(&runtime, "DeleteUserPolicy", "ann"), again(&[]));
    in_sync(&double, "none of them is left");
}

#[test]
fn only_what_is_not_to_be_seen_yet_is_delivered_again() {
    let (double, runtime, _function) = published();
    // Bob's key is withdrawn, Ann's is said to be and IAM does not show it yet.
    double.set_key_status("bob", "APKA1", "Inactive");
    let withdrawn = |user: &str| event("UpdateSSHPublicKey", &json!({ "userName": user, "status": "Inactive" }));
    let (ann, bob) = (withdrawn("ann"), withdrawn("bob"));
    assert_eq!(runtime.invoke(&batch(&[("m1", 1, &ann), ("m2", 1, &bob)])).response(), again(&["m1"]));
    in_sync(&double, "Bob's is gone");
    double.set_key_status("ann", "APKA0", "Inactive").add_key("cid", "APKA3", &key(3), "Active");
    let cid = event("UploadSSHPublicKey", &json!({ "userName": "cid" }));
    let messages = [("m3", 1, &cid), ("m2", 1, &bob), ("m1", 2, &ann)];
    assert_eq!(runtime.invoke(&batch(&messages)).response(), again(&["m2"]));
    in_sync(&double, "and Ann's");
}

#[test]
fn another_accounts_answers_change_nothing() {
    let (double, runtime, function) = published();
    let before = documents(&double);
    let memory = double.object(common::BUCKET, "iam-ssh/state.json");
    double.set_account("999988887777").set_key_status("ann", "APKA0", "Inactive").remove_member("ops", "bob");
    double.add_key("bob", "APKA9", &key(9), "Active");
    for (receives, name, user) in [
        (1, "UpdateSSHPublicKey", "ann"),
        (2, "UploadSSHPublicKey", "bob"),
        (2, "AttachUserPolicy", "cid"),
        (2, "AttachGroupPolicy", "ops"),
        (2, "DeleteUser", "cid"),
    ] {
        if name == "DeleteUser" {
            // Which that account does not have.
            double.remove_user("cid");
        }
        assert_eq!(delivered(&runtime, receives, name, user), again(&["m1"]), "{name}");
        assert_eq!(documents(&double), before, "{name}");
    }
    assert_eq!(double.object(common::BUCKET, "iam-ssh/state.json"), memory, "and nothing is learnt from them");
    let (_, err) = function.log();
    assert_eq!(err.matches("IAM answers for 999988887777").count(), 5, "{err}");
}
