//! IAM events as CloudTrail and EventBridge deliver them through SQS: each makes the documents right with few calls, none is
//! believed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[allow(dead_code, unreachable_pub, missing_docs, reason = "shared: each test uses its part")]
mod common;

use std::path::Path;
use std::time::Duration;

use common::cloudtrail::{again, batch, event, schedule};
use common::runtime::{Function, Runtime};
use common::{ED25519, RSA, against, document, key, writes};
use iam_ssh_doubles::{Double, Fault, Match, Service};
use serde_json::{Value, json};

/// The id of Eve's key.
const EVE: &str = "APKAEXAMPLEEXAMPLE04";
const DENY_ALL: &str = "arn:aws:iam::aws:policy/AWSDenyAll";
const DENY_ALL_TEXT: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}"#;

/// Ann and Bob with a key each, in group `ops`; group `dev` is empty. All is published.
fn published() -> (Double, Runtime, Function) {
    let double = common::double();
    double.add_key("ann", "APKAEXAMPLEEXAMPLE01", ED25519, "Active").add_key(
        "bob",
        "APKAEXAMPLEEXAMPLE02",
        &key(1),
        "Active",
    );
    double.add_member("ops", "ann").add_member("ops", "bob").add_group("dev");
    let runtime = Runtime::start();
    let mut settings = against(&double.url());
    settings.env("EXCLUDE", "deny-all;quarantine;tag:ssh=off");
    let function = Function::start(Path::new(env!("CARGO_BIN_EXE_iam-ssh-sync")), &settings, &runtime);
    runtime.invoke(&schedule()).response();
    assert_eq!(lines(&double, "groups/ops"), Some(2));
    double.clear_requests();
    (double, runtime, function)
}

/// How many lines a document has.
fn lines(double: &Double, principal: &str) -> Option<usize> {
    document(double, principal).map(|text| text.lines().count())
}

fn iam_calls(double: &Double) -> Vec<String> {
    let requests = double.requests();
    requests.iter().filter(|request| request.service == Service::Iam).map(|request| request.action.clone()).collect()
}

/// Everything below users/ and groups/.
fn documents(double: &Double) -> Vec<(String, Option<String>)> {
    let principals = ["users/ann", "users/bob", "users/eve", "groups/ops", "groups/dev"];
    principals.map(|principal| (principal.to_owned(), document(double, principal))).into()
}

/// An event with its parameters, what it did to the account, and how many lines documents have then.
type Step = (&'static str, Value, fn(&Double) -> &Double, &'static [(&'static str, Option<usize>)]);

/// A key of Ann's comes and goes.
fn about_keys() -> Vec<Step> {
    const ID: &str = "APKAEXAMPLEEXAMPLE03";
    const NONE: &[(&str, Option<usize>)] = &[("users/ann", Some(1)), ("groups/ops", Some(2))];
    const MORE: &[(&str, Option<usize>)] = &[("users/ann", Some(2)), ("groups/ops", Some(3))];
    let ann = |status: &str| json!({ "userName": "ann", "sSHPublicKeyId": ID, "status": status });
    vec![
        ("UploadSSHPublicKey", ann("Active"), |aws| aws.add_key("ann", ID, RSA, "Active"), MORE),
        ("UpdateSSHPublicKey", ann("Inactive"), |aws| aws.set_key_status("ann", ID, "Inactive"), NONE),
        ("UpdateSSHPublicKey", ann("Active"), |aws| aws.set_key_status("ann", ID, "Active"), MORE),
        ("DeleteSSHPublicKey", ann("Active"), |aws| aws.remove_key("ann", ID), NONE),
    ]
}

/// Eve comes, becomes a member and Eva, is shut out in every way and let in again, and goes.
fn about_a_user() -> Vec<Step> {
    const OUT: &[(&str, Option<usize>)] = &[("users/eva", Some(0)), ("groups/dev", Some(0)), ("groups/ops", Some(2))];
    const IN: &[(&str, Option<usize>)] = &[("users/eva", Some(1)), ("groups/dev", Some(1)), ("groups/ops", Some(2))];
    const RENAMED: &[(&str, Option<usize>)] = &[("users/eve", None), ("users/eva", Some(1)), ("groups/dev", Some(1))];
    let eve = || json!({ "userName": "eve", "groupName": "dev", "newUserName": null });
    let tags = json!([{ "key": "ssh", "value": "off" }]);
    let eva = || json!({ "userName": "eva", "policyArn": DENY_ALL, "policyName": "out", "tags": tags });
    vec![
        ("CreateUser", eve(), |aws| aws.add_user("eve"), &[("users/eve", Some(0))]),
        ("UploadSSHPublicKey", eve(), |aws| aws.add_key("eve", EVE, &key(2), "Active"), &[("users/eve", Some(1))]),
        ("AddUserToGroup", eve(), |aws| aws.add_member("dev", "eve"), &[("groups/dev", Some(1))]),
        (
            "RemoveUserFromGroup",
            eve(),
            |aws| aws.remove_member("dev", "eve"),
            &[("users/eve", Some(1)), ("groups/dev", Some(0))],
        ),
        ("AddUserToGroup", eve(), |aws| aws.add_member("dev", "eve"), &[("groups/dev", Some(1))]),
        (
            "UpdateUser",
            json!({ "userName": "eve", "newUserName": "eva" }),
            |aws| aws.rename_user("eve", "eva"),
            RENAMED,
        ),
        ("TagUser", eva(), |aws| aws.tag_user("eva", "ssh", "off"), OUT),
        ("UntagUser", eva(), |aws| aws.untag_user("eva", "ssh"), IN),
        ("AttachUserPolicy", eva(), |aws| aws.attach_user_policy("eva", DENY_ALL), OUT),
        ("DetachUserPolicy", eva(), |aws| aws.detach_user_policy("eva", DENY_ALL), IN),
        ("PutUserPolicy", eva(), |aws| aws.put_user_policy("eva", "out", DENY_ALL_TEXT), OUT),
        ("DeleteUserPolicy", eva(), |aws| aws.delete_user_policy("eva", "out"), IN),
        ("PutUserPermissionsBoundary", eva(), |aws| aws.set_boundary("eva", Some(DENY_ALL)), OUT),
        ("DeleteUserPermissionsBoundary", eva(), |aws| aws.set_boundary("eva", None), IN),
        (
            "DeleteUser",
            eva(),
            |aws| aws.remove_user("eva"),
            &[("users/eva", None), ("groups/dev", Some(0)), ("users/bob", Some(1))],
        ),
    ]
}

/// What happens to groups.
fn about_groups() -> Vec<Step> {
    const OUT: &[(&str, Option<usize>)] = &[("users/ann", Some(0)), ("groups/ops", Some(0)), ("users/eve", Some(1))];
    const IN: &[(&str, Option<usize>)] = &[("users/ann", Some(1)), ("groups/ops", Some(2)), ("users/eve", Some(1))];
    const RENAMED: &[(&str, Option<usize>)] =
        &[("groups/ops", None), ("groups/opera", Some(2)), ("users/ann", Some(1))];
    let ops = || json!({ "groupName": "ops", "policyArn": DENY_ALL, "policyName": "out", "newGroupName": "opera" });
    let new = || json!({ "groupName": "new", "path": "/" });
    vec![
        ("AttachGroupPolicy", ops(), |aws| aws.attach_group_policy("ops", DENY_ALL), OUT),
        ("DetachGroupPolicy", ops(), |aws| aws.detach_group_policy("ops", DENY_ALL), IN),
        ("PutGroupPolicy", ops(), |aws| aws.put_group_policy("ops", "out", DENY_ALL_TEXT), OUT),
        ("DeleteGroupPolicy", ops(), |aws| aws.delete_group_policy("ops", "out"), IN),
        ("CreateGroup", new(), |aws| aws.add_group("new"), &[("groups/new", Some(0))]),
        ("UpdateGroup", ops(), |aws| aws.rename_group("ops", "opera"), RENAMED),
        ("DeleteGroup", new(), |aws| aws.remove_group("new"), &[("groups/new", None), ("groups/opera", Some(2))]),
    ]
}

/// Lets every step happen, checks what came of it, and gives the IAM calls of each.
fn walk(double: &Double, runtime: &Runtime, steps: Vec<Step>) -> Vec<(&'static str, Vec<String>)> {
    let mut calls = Vec::new();
    for (name, parameters, change, then) in steps {
        change(double);
        double.clear_requests();
        let told = event(name, &parameters);
        let answer = runtime.invoke(&batch(&[("059f36b4-87a3-44ab-83d2-661975830a7d", 1, &told)])).response();
        assert_eq!(answer, again(&[]), "{name}");
        for (principal, wanted) in then {
            assert_eq!(
                lines(double, principal),
                *wanted,
                "{principal} after {name} {parameters}: {:?}",
                writes(double)
            );
        }
        calls.push((name, iam_calls(double)));
    }
    calls
}

#[test]
fn each_event_about_a_user_makes_the_documents_right_with_at_most_five_calls() {
    let (double, runtime, _function) = published();
    let mut steps = about_keys();
    steps.extend(about_a_user());
    for (name, calls) in walk(&double, &runtime, steps) {
        assert!((1..=5).contains(&calls.len()), "{name}: {calls:?}");
    }
}

#[test]
fn each_event_about_a_group_makes_the_documents_right_and_asks_only_for_keys_of_who_is_let_in() {
    let (double, runtime, _function) = published();
    double.add_key("eve", EVE, &key(2), "Active");
    runtime.invoke(&schedule()).response();
    for (name, calls) in walk(&double, &runtime, about_groups()) {
        // Ann and Bob were shut out before; their keys are not taken from memory.
        let lists = if ["DetachGroupPolicy", "DeleteGroupPolicy"].contains(&name) { 2 } else { 0 };
        // A group that is not there any more is looked for once more.
        let readings = if name == "DeleteGroup" { 2 } else { 1 };
        let mut wanted = vec!["GetAccountAuthorizationDetails"; readings];
        wanted.extend(vec!["ListSSHPublicKeys"; lists]);
        assert_eq!(calls, wanted, "{name}");
    }
}

#[test]
fn several_events_about_one_user_are_one_reading() {
    let (double, runtime, _function) = published();
    double.add_key("ann", "APKAEXAMPLEEXAMPLE03", RSA, "Active").add_member("dev", "ann");
    let uploaded = event("UploadSSHPublicKey", &json!({ "userName": "ann" }));
    let joined = event("AddUserToGroup", &json!({ "userName": "Ann", "groupName": "dev" }));
    let messages = [("m1", 1, &uploaded), ("m2", 1, &joined), ("m3", 1, &uploaded), ("m2", 2, &joined)];
    assert_eq!(runtime.invoke(&batch(&messages)).response(), again(&[]));
    assert_eq!((lines(&double, "users/ann"), lines(&double, "groups/dev")), (Some(2), Some(2)));
    assert!(iam_calls(&double).len() <= 5, "{:?}", iam_calls(&double));
}

#[test]
fn an_event_that_comes_before_iam_shows_the_change_is_looked_at_once_more() {
    let (double, runtime, _function) = published();
    double.lag(Duration::from_secs(3600));
    double.add_key("ann", "APKAEXAMPLEEXAMPLE03", RSA, "Active");
    let uploaded = event("UploadSSHPublicKey", &json!({ "userName": "ann" }));
    assert_eq!(runtime.invoke(&batch(&[("m1", 1, &uploaded)])).response(), again(&["m1"]));
    assert_eq!(runtime.invoke(&batch(&[("m1", 2, &uploaded)])).response(), again(&[]), "and not for ever");
    assert_eq!(lines(&double, "users/ann"), Some(1));
    double.settle();
    assert_eq!(runtime.invoke(&batch(&[("m1", 2, &uploaded)])).response(), again(&[]));
    assert_eq!(lines(&double, "users/ann"), Some(2));
}

#[test]
fn nothing_is_built_from_an_event() {
    let (double, runtime, _function) = published();
    let before = documents(&double);
    let names = ["ann", "nobody", "../../groups/ops", "ANN", "ann\nbob"];
    let lies: Vec<Value> = ["DeleteUser", "UploadSSHPublicKey", "AddUserToGroup", "UpdateUser", "DeleteGroup"]
        .into_iter()
        .flat_map(|name| {
            names.map(|user| {
                event(
                    name,
                    &json!({ "userName": user, "newUserName": "eve", "groupName": "ops", "sSHPublicKeyBody": RSA }),
                )
            })
        })
        .collect();
    for lie in lies {
        runtime.invoke(&batch(&[("m1", 2, &lie)])).response();
        runtime.invoke(&lie).response();
        assert_eq!(documents(&double), before, "{lie}");
    }
    let mut foreign = event("UploadSSHPublicKey", &json!({ "userName": "ann" }));
    foreign["account"] = "999988887777".into();
    double.clear_requests();
    runtime.invoke(&batch(&[("m1", 2, &foreign)]));
    assert_eq!(documents(&double), before);
}

#[test]
fn what_failed_is_delivered_again() {
    let (double, runtime, _function) = published();
    double.fault(Match::action("GetUser"), Fault::Status(403, "AccessDenied".to_owned()));
    let (ann, bob) = (event("TagUser", &json!({ "userName": "ann" })), event("TagUser", &json!({ "userName": "bob" })));
    let mut failed = ann.clone();
    failed["detail"]["errorCode"] = "AccessDenied".into();
    let answer = runtime.invoke(&batch(&[("m1", 2, &ann), ("m2", 2, &bob), ("m3", 1, &failed)])).response();
    assert_eq!(answer, again(&["m1", "m2"]), "and what says nothing is not");
    assert_eq!(lines(&double, "groups/ops"), Some(2));
}

#[test]
fn many_users_at_once_are_a_full_run() {
    let (double, runtime, _function) = published();
    let events: Vec<(String, Value)> = (0..26)
        .map(|number| {
            double.add_key(
                &format!("user{number}"),
                &format!("APKAEXAMPLEEXAMP{number:04}"),
                &key(100 + number),
                "Active",
            );
            (format!("m{number}"), event("CreateUser", &json!({ "userName": format!("user{number}") })))
        })
        .collect();
    let messages: Vec<(&str, u32, &Value)> = events.iter().map(|(id, event)| (id.as_str(), 1, event)).collect();
    assert_eq!(runtime.invoke(&batch(&messages)).response(), again(&[]));
    assert!((0..26).all(|number| lines(&double, &format!("users/user{number}")) == Some(1)));
    assert_eq!(double.count(&Match::action("GetAccountAuthorizationDetails")), 1);
    assert_eq!(double.count(&Match::action("GetUser")), 0);
}
