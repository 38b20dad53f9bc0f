//! While much is held back: whom IAM itself shuts out goes all the same, nothing else does before the plan is confirmed, and a
//! confirmation is not lost.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[allow(dead_code, unreachable_pub, missing_docs, reason = "shared: each test uses its part")]
mod common;

use std::path::Path;
use std::process::Command;

use common::cloudtrail::{again, batch, event};
use common::judge::{each, run_with};
use common::runtime::{Function, Runtime};
use common::{Ran, against, document, documents, double, finish, key, line};
use iam_ssh_doubles::{Double, Match, Service};
use serde_json::json;

const DENY_ALL: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}"#;
const SOURCES: (&str, &str) = ("KEY_SOURCES", "iam;tags");

/// Settings by which 15 of 20 users do not count any more, by mistake.
const MISTAKES: [(&str, &str); 3] =
    [("SCOPE", "tag:in"), ("EXCLUDE", "tag:off"), ("EXCLUDE", "tag:off;deny-all;quarantine")];

fn name(number: usize) -> String {
    format!("u{number:02}")
}

/// 20 users with a key in IAM and one in a tag each, all in one group; published.
fn published() -> Double {
    let double = double();
    double.iam(|iam| {
        for number in 0..20 {
            let name = name(number);
            iam.add_key(&name, &format!("APKA{number:02}"), &key(number), "Active").add_member("g", &name);
            iam.tag_user(&name, "iam-ssh/key/x", &key(100 + number));
            iam.tag_user(&name, if number < 15 { "off" } else { "in" }, "1");
        }
        iam.add_member("out", &name(3));
    });
    let ran = run_with(&double, &[SOURCES]);
    assert_eq!(ran.code, 0, "{ran:?}");
    double
}

fn lines(number: usize) -> [String; 2] {
    [line(&name(number), &key(number)), line(&name(number), &key(100 + number))]
}

/// What is published of somebody, alone and in the group.
fn published_of(double: &Double, number: usize) -> (String, String) {
    let own = document(double, &format!("users/{}", name(number))).unwrap_or_default();
    let group = document(double, "groups/g").unwrap();
    let of_theirs = group.lines().filter(|line| line.ends_with(&format!(" {}", name(number))));
    (own, of_theirs.map(|line| format!("{line}\n")).collect())
}

fn plan(ran: &Ran) -> String {
    assert_eq!(ran.code, 3, "{ran:?}");
    ran.err.split_once("--confirm ").unwrap().1.chars().take(16).collect()
}

/// An IAM event about `u03` or the group `out`.
fn told(double: &Double, mistake: (&str, &str), name: &str) {
    let mut settings = against(&double.url());
    settings.envs([SOURCES, mistake]);
    let runtime = Runtime::start();
    let _function = Function::start(Path::new(env!("CARGO_BIN_EXE_iam-ssh-sync")), &settings, &runtime);
    let event = event(name, &json!({ "userName": "u03", "groupName": "out" }));
    assert_eq!(runtime.invoke(&batch(&[("m1", 2, &event)])).response(), again(&[]));
}

/// How IAM shuts somebody out: what does it, the event that tells, and which lines stay all the same.
type Way = (fn(&Double), &'static str, fn([String; 2]) -> String);

#[test]
fn whom_iam_shuts_out_goes_while_others_are_held_back() {
    let ways: [Way; 5] = [
        (
            |aws| {
                aws.set_key_status("u03", "APKA03", "Inactive");
            },
            "UpdateSSHPublicKey",
            |[_, tag]| tag,
        ),
        (
            |aws| {
                aws.tag_user("u03", "iam-ssh/expires/x", "2020-01-01");
            },
            "TagUser",
            |[iam, _]| iam,
        ),
        (
            |aws| {
                aws.put_user_policy("u03", "out", DENY_ALL);
            },
            "PutUserPolicy",
            |_| String::new(),
        ),
        (
            |aws| {
                aws.attach_user_policy("u03", "arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV3");
            },
            "AttachUserPolicy",
            |_| String::new(),
        ),
        (
            |aws| {
                aws.iam(|iam| {
                    iam.attach_group_policy("out", "arn:aws:iam::aws:policy/AWSDenyAll");
                });
            },
            "AttachGroupPolicy",
            |_| String::new(),
        ),
    ];
    let cases = ways.into_iter().flat_map(|way| MISTAKES.map(|mistake| (way, mistake)));
    each(cases, 4, |((shut_out, event, stays), mistake)| {
        for by_event in [false, true] {
            let when = format!("{event} {mistake:?} {by_event}");
            let double = published();
            plan(&run_with(&double, &[SOURCES, mistake]));
            assert_eq!(published_of(&double, 3).0, lines(3).concat(), "{when}");
            shut_out(&double);
            if by_event {
                told(&double, mistake, event);
            } else {
                plan(&run_with(&double, &[SOURCES, mistake]));
            }
            let (own, group) = published_of(&double, 3);
            assert_eq!((&own, &group), (&stays(lines(3)), &stays(lines(3))), "{when}");
            let (own, group) = published_of(&double, 4);
            assert_eq!((&own, &group), (&lines(4).concat(), &lines(4).concat()), "{when}: somebody else");
        }
    });
}

#[test]
fn whom_iam_shuts_out_goes_whatever_the_rules_of_exclusion_are() {
    for rules in ["none", "tag:away"] {
        let double = published();
        // Their keys were deleted, so there is none left that could be set Inactive.
        double.iam(|iam| {
            for number in 0..15 {
                iam.remove_key(&name(number), &format!("APKA{number:02}"));
                iam.untag_user(&name(number), "iam-ssh/key/x");
            }
        });
        let settings = [SOURCES, ("EXCLUDE", rules)];
        plan(&run_with(&double, &settings));
        double.attach_user_policy("u03", "arn:aws:iam::aws:policy/AWSDenyAll");
        plan(&run_with(&double, &settings));
        assert_eq!(published_of(&double, 3), (String::new(), String::new()), "{rules}");
        assert_eq!(published_of(&double, 4), (lines(4).concat(), lines(4).concat()), "{rules}");
    }
}

#[test]
fn events_about_whom_is_held_back_take_nothing() {
    each(MISTAKES, 2, |mistake| {
        let double = published();
        let whole = plan(&run_with(&double, &[SOURCES, mistake]));
        let before = documents(&double);
        double.tag_user("u03", "team", "web");
        for name in ["TagUser", "UpdateSSHPublicKey", "PutUserPolicy", "RemoveUserFromGroup"] {
            told(&double, mistake, name);
            assert_eq!(documents(&double), before, "{name}");
        }
        assert_eq!(plan(&run_with(&double, &[SOURCES, mistake])), whole, "the plan is the same");
        // Put right, nothing is left of it.
        let ran = run_with(&double, &[SOURCES]);
        assert_eq!((ran.code, documents(&double)), (0, before), "{ran:?}");
    });
}

#[test]
fn a_mistake_in_the_scope_hands_no_tag_key_to_somebody_else() {
    each([("SCOPE", "tag:in"), ("SCOPE", "tag:in;tag:most")], 2, |mistake| {
        let double = published();
        // Somebody who stays in scope has carried a copy of u03's key for long.
        double.tag_user("u17", "iam-ssh/key/copy", &key(103));
        (0..15).filter(|number| *number != 3).for_each(|number| {
            double.tag_user(&name(number), "most", "1");
        });
        assert_eq!(run_with(&double, &[SOURCES]).code, 0);
        assert_eq!(published_of(&double, 17).0, lines(17).concat());
        run_with(&double, &[SOURCES, mistake]);
        run_with(&double, &[SOURCES, mistake]);
        assert_eq!(run_with(&double, &[SOURCES]).code, 0);
        assert_eq!(published_of(&double, 3), (lines(3).concat(), lines(3).concat()), "{mistake:?}");
        assert_eq!(published_of(&double, 17).0, lines(17).concat(), "{mistake:?}");
    });
}

/// A run that has not the time to read all.
fn slice(double: &Double, settings: &[(&str, &str)]) -> Ran {
    let mut command: Command = against(&double.url());
    command.env("TIME_BUDGET", "3").env("AWS_MAX_ATTEMPTS", "3").env("LEASE_SECONDS", "2");
    command.envs(settings.iter().copied());
    finish(command)
}

#[test]
fn a_plan_confirmed_to_a_run_that_cannot_finish_is_carried_out_by_the_one_that_does() {
    let double = double();
    double.populate(300, 1, 3, 1);
    assert_eq!(finish(against(&double.url())).code, 0);
    double.iam(|iam| {
        for number in 0..100 {
            iam.remove_user(&format!("user{number:05}"));
        }
    });
    let plan = plan(&finish(against(&double.url())));
    double.throttle(40.0, 5.0).clear_requests();
    let first = slice(&double, &[("CONFIRM", &plan)]);
    assert!(first.code == 1 && first.err.contains("the time was up"), "{first:?}");
    assert!(document(&double, "users/user00000").is_some());
    let last = (0..20).map(|_| slice(&double, &[])).find(|ran| ran.code != 1).unwrap();
    assert_eq!(last.code, 0, "{last:?}");
    assert_eq!(document(&double, "users/user00000"), None);
}

#[test]
fn what_an_unfinished_reading_learnt_outlives_an_event() {
    let double = double();
    double.populate(300, 1, 3, 1).iam(|iam| {
        iam.tag_user("user00000", "in", "1");
    });
    let scoped = [("SCOPE", "tag:in")];
    assert_eq!(slice(&double, &scoped).code, 0);
    double.throttle(100.0, 10.0).clear_requests();
    // The scope is wider now, and what is to be read too much for one run.
    let bodies = |double: &Double| double.count(&Match::action("GetSSHPublicKey"));
    let begun = (0..20).map(|_| slice(&double, &[])).find(|ran| ran.code != 1 || bodies(&double) >= 120).unwrap();
    assert_eq!(begun.code, 1, "{begun:?}");
    let runtime = Runtime::start();
    let function = Function::start(Path::new(env!("CARGO_BIN_EXE_iam-ssh-sync")), &against(&double.url()), &runtime);
    let tagged = event("TagUser", &json!({ "userName": "user00000" }));
    assert_eq!(runtime.invoke(&batch(&[("m1", 2, &tagged)])).response(), again(&[]));
    drop(function);
    double.unthrottle();
    assert_eq!(finish(against(&double.url())).code, 0);
    let requests = double.requests();
    let answered = requests.iter().filter(|asked| asked.service == Service::Iam && asked.action == "GetSSHPublicKey");
    let answered = answered.filter(|asked| !asked.throttled).count();
    // What was on its way when the time was up is asked again.
    assert!((299..=299 + 60).contains(&answered), "{answered} bodies of 299 were asked for");
}
