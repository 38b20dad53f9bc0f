//! A full-size account: how many calls, writes and MiB a run needs, counted by the double, and that everything published is right.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[allow(dead_code, unreachable_pub, missing_docs, reason = "shared: each test uses its part")]
mod common;

use std::path::Path;
use std::process::Command;

use common::cloudtrail::{again, batch, event, schedule};
use common::runtime::{Function, Runtime};
use common::scale::{GROUPS, USERS, assert_published, calls, full_size, measured, peak, user};
use common::{ED25519, RSA, Ran, against, document, double, finish, line, writes};
use iam_ssh_doubles::{Double, Match};
use serde_json::{Value, json};

/// The most memory that a run may need, in MiB. It is the unoptimised program that is measured here; the real one needs less.
const MEMORY: f64 = 128.0;
/// The same where everybody has as many keys and groups as IAM allows: documents of 150 MB, which are never held whole.
const MEMORY_AT_LIMITS: f64 = 192.0;
const DENY_ALL: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}"#;

/// How often the sync's own memory was written.
fn memories(double: &Double) -> usize {
    double.count(&Match::action("PutObject").on("iam-ssh/state.json"))
}

fn succeeded(ran: &Ran, summary: &str) {
    assert_eq!((ran.code, ran.summary()), (0, summary), "{}", ran.err);
}

#[test]
fn a_full_size_account_needs_few_calls_few_writes_and_little_memory() {
    let double = full_size();
    let (first, first_peak) = measured(&double, against(&double.url()));
    succeeded(&first, "5300 put, 0 deleted, 0 kept");
    assert!(calls(&double) <= 15_010, "{} calls", calls(&double));
    assert_eq!(writes(&double).len(), USERS + GROUPS, "each document once");
    assert!(first_peak <= MEMORY, "{first_peak} MiB");
    assert_published(&double);

    let runtime = Runtime::start();
    let function = Function::start(Path::new(env!("CARGO_BIN_EXE_iam-ssh-sync")), &against(&double.url()), &runtime);
    double.clear_requests();
    let told = runtime.invoke(&schedule()).response();
    assert_eq!((&told["incomplete"], &told["runs"][0]["kept"]), (&false.into(), &5300.into()), "{told}");
    assert!(calls(&double) <= 5_010, "{} calls", calls(&double));
    assert_eq!((writes(&double), memories(&double)), (vec![], 0), "a steady run writes nothing");
    // One process for all from here on: what one invocation leaves behind counts for the next.
    assert!(peak(function.id()) <= MEMORY, "{} MiB", peak(function.id()));

    one_changed_key(&double, &runtime);
    each_kind_of_event(&double, &runtime);
    let lasting = peak(function.id());
    assert!(lasting <= MEMORY, "{lasting} MiB");
}

/// Tells the function of a change, and gives how many calls it made.
fn told(double: &Double, runtime: &Runtime, name: &str, parameters: &Value) -> usize {
    double.clear_requests();
    let event = event(name, parameters);
    let answer = runtime.invoke(&batch(&[("059f36b4-87a3-44ab-83d2-661975830a7d", 1, &event)])).response();
    assert_eq!(answer, again(&[]), "{name} {parameters}");
    calls(double)
}

fn one_changed_key(double: &Double, runtime: &Runtime) {
    let before = document(double, "users/user01234").unwrap();
    double.add_key("user01234", "APKZ", ED25519, "Active");
    assert!(told(double, runtime, "UploadSSHPublicKey", &json!({ "userName": "user01234" })) <= 5);
    let mut written = writes(double);
    written.sort();
    let documents = ["groups/group068", "groups/group069", "users/user01234"];
    assert_eq!(written, documents.map(|principal| format!("PutObject {principal}/authorized_keys")));
    assert_eq!(document(double, "users/user01234").unwrap(), before + &line("user01234", ED25519));
}

/// An event, and what it did to the account.
type Step = (&'static str, fn(&Double) -> &Double);

fn each_kind_of_event(double: &Double, runtime: &Runtime) {
    let steps: [Step; 9] = [
        ("UpdateSSHPublicKey", |aws| aws.set_key_status("user01234", "APKZ", "Inactive")),
        ("AddUserToGroup", |aws| aws.add_member("group000", "user01234")),
        ("RemoveUserFromGroup", |aws| aws.remove_member("group000", "user01234")),
        ("PutUserPolicy", |aws| aws.put_user_policy("user01234", "out", DENY_ALL)),
        ("DeleteUserPolicy", |aws| aws.delete_user_policy("user01234", "out")),
        ("AttachUserPolicy", |aws| aws.attach_user_policy("user01234", "arn:aws:iam::aws:policy/AWSDenyAll")),
        ("DetachUserPolicy", |aws| aws.detach_user_policy("user01234", "arn:aws:iam::aws:policy/AWSDenyAll")),
        ("UpdateUser", |aws| aws.rename_user("user01234", "renamed")),
        ("DeleteUser", |aws| aws.remove_user("renamed")),
    ];
    for (name, change) in steps {
        change(double);
        let (user, new) = match name {
            "UpdateUser" => ("user01234", json!("renamed")),
            "DeleteUser" => ("renamed", Value::Null),
            _ => ("user01234", Value::Null),
        };
        let made =
            told(double, runtime, name, &json!({ "userName": user, "newUserName": new, "groupName": "group000" }));
        assert!(made <= 5, "{name}: {made} calls");
        // This user's document, under two names when renamed, and those of up to three groups.
        assert!(writes(double).len() <= 4, "{name}: {:?}", writes(double));
    }
    assert_eq!((document(double, "users/user01234"), document(double, "users/renamed")), (None, None));
}

#[test]
fn an_account_at_every_limit_of_iam_needs_little_memory_whatever_changes() {
    let double = double();
    double.populate(USERS, 5, GROUPS, 10);
    let (first, first_peak) = measured(&double, against(&double.url()));
    succeeded(&first, "5300 put, 0 deleted, 0 kept");
    let text = document(&double, "users/user01234").unwrap();
    assert_eq!(text.lines().count(), 5);
    assert!(document(&double, "groups/group049").unwrap().contains(&text));

    // Everything is read and written, and both are held against each other.
    let (all, all_peak) = measured(&double, with(&double, &[("KEY_OPTIONS", "no-pty")]));
    succeeded(&all, "5300 put, 0 deleted, 0 kept");
    let changed = text.lines().map(|line| format!("no-pty,{line}\n")).collect::<String>();
    assert_eq!(document(&double, "users/user01234").unwrap(), changed);
    assert!(document(&double, "groups/group049").unwrap().contains(&changed));

    let runtime = Runtime::start();
    let settings = with(&double, &[("KEY_OPTIONS", "no-pty")]);
    let function = Function::start(Path::new(env!("CARGO_BIN_EXE_iam-ssh-sync")), &settings, &runtime);
    double.add_key("user01234", "APKZ", ED25519, "Active");
    assert!(told(&double, &runtime, "UploadSSHPublicKey", &json!({ "userName": "user01234" })) <= 5);
    let changed = changed + "no-pty," + &line("user01234", ED25519);
    assert_eq!(document(&double, "users/user01234").unwrap(), changed);
    assert!(document(&double, "groups/group049").unwrap().contains(&changed));
    for peak in [first_peak, all_peak, peak(function.id())] {
        assert!(peak <= MEMORY_AT_LIMITS, "{peak} MiB");
    }
}

#[test]
fn groups_of_everybody_and_much_that_is_held_back_need_little_memory() {
    /// As many as one user may be in.
    const OF_ALL: usize = 10;
    let double = double();
    double.populate(USERS, 5, OF_ALL, OF_ALL);
    let (first, first_peak) = measured(&double, against(&double.url()));
    succeeded(&first, "5010 put, 0 deleted, 0 kept");
    let before = document(&double, "groups/group009").unwrap();
    assert_eq!((before.lines().count(), before.len() > 10 << 20), (USERS * 5, true));

    // Two of five users are not there any more, and everything else is written anew.
    double.iam(|iam| (0..USERS).filter(|user| user % 5 < 2).for_each(|number| _ = iam.remove_user(&user(number))));
    let (refused, refused_peak) = measured(&double, with(&double, &[("KEY_OPTIONS", "no-pty")]));
    assert_eq!((refused.code, refused.summary()), (3, "3010 put, 0 deleted, 2000 kept"), "{}", refused.err);
    let held: String = before
        .lines()
        .enumerate()
        .map(|(index, line)| if index / 5 % 5 < 2 { format!("{line}\n") } else { format!("no-pty,{line}\n") })
        .collect();
    assert!(document(&double, "groups/group009").unwrap() == held);
    for peak in [first_peak, refused_peak] {
        assert!(peak <= MEMORY_AT_LIMITS, "{peak} MiB");
    }
}

/// The program with a setting.
fn with(double: &Double, settings: &[(&str, &str)]) -> Command {
    let mut command = against(&double.url());
    command.envs(settings.iter().copied());
    command
}

/// 500 of the users are tagged, share a path and are in one group; ten of them have a key in a tag.
fn marked() -> Double {
    let double = full_size();
    double.iam(|directory| {
        for number in (0..USERS).step_by(10) {
            directory.tag_user(&user(number), "team", "ops").set_user_path(&user(number), "/ops/");
            directory.add_member("operators", &user(number));
        }
        for number in (0..USERS).step_by(500) {
            directory.tag_user(&user(number), "iam-ssh/key/laptop", &common::key(number));
        }
    });
    double
}

#[test]
fn a_scope_of_500_users_costs_their_calls_alone() {
    let double = marked();
    let scope = ("SCOPE", "tag:team=ops");
    succeeded(&finish(with(&double, &[scope])), "801 put, 0 deleted, 0 kept");
    assert!(calls(&double) <= 1_510, "{} calls", calls(&double));
    for scope in ["tag:team", "path:/ops/", "group:operators"] {
        double.clear_requests();
        let (steady, peak) = measured(&double, with(&double, &[("SCOPE", scope)]));
        succeeded(&steady, "0 put, 0 deleted, 801 kept");
        assert!(calls(&double) <= 510, "{scope}: {} calls", calls(&double));
        assert_eq!((writes(&double), memories(&double)), (vec![], 0), "{scope}");
        assert!(peak <= MEMORY, "{peak} MiB");
    }

    double.add_key("user00010", "APKZ", RSA, "Active").clear_requests();
    succeeded(&finish(with(&double, &[scope])), "4 put, 0 deleted, 797 kept");
    assert!(calls(&double) <= 510, "{} calls", calls(&double));
    assert_eq!(writes(&double).len(), 1 + 3, "the user's and the groups': {:?}", writes(&double));
    assert_eq!(document(&double, "users/user00010").unwrap().lines().count(), 3);
}

#[test]
fn keys_in_tags_cost_nothing_but_the_account() {
    let double = marked();
    let tags = ("KEY_SOURCES", "tags");
    let (whole, peak) = measured(&double, with(&double, &[tags]));
    succeeded(&whole, "5301 put, 0 deleted, 0 kept");
    assert!(calls(&double) <= 10, "{} calls", calls(&double));
    assert!(peak <= MEMORY, "{peak} MiB");
    for number in 0..USERS {
        let wanted = if number % 500 == 0 { line(&user(number), &common::key(number)) } else { String::new() };
        assert_eq!(document(&double, &format!("users/{}", user(number))), Some(wanted));
    }
    let operators: String = (0..USERS).step_by(500).map(|number| line(&user(number), &common::key(number))).collect();
    assert_eq!(document(&double, "groups/operators"), Some(operators));
    double.clear_requests();
    succeeded(&finish(with(&double, &[tags])), "0 put, 0 deleted, 5301 kept");
    assert!(calls(&double) <= 10, "{} calls", calls(&double));
    assert_eq!((writes(&double), memories(&double)), (vec![], 0));
}
