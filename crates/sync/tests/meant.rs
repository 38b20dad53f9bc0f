//! A shrink that is meant goes through although it is large, one that may be a mistake does not although it is small, and each line
//! is judged for itself.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[allow(dead_code, unreachable_pub, missing_docs, reason = "shared: each test uses its part")]
mod common;

use common::judge::{each, in_sync, repaired, run, run_with};
use common::{BUCKET, document, documents, double, key, line};
use iam_ssh_doubles::{Directory, Double};

const DENY_ALL: &str = "arn:aws:iam::aws:policy/AWSDenyAll";
/// Both sources of keys.
const SOURCES: &[(&str, &str)] = &[("KEY_SOURCES", "iam;tags")];

fn name(user: usize) -> String {
    format!("u{user:02}")
}

/// A user's only key.
fn give(iam: &mut Directory, user: usize) {
    iam.add_key(&name(user), &format!("APKA{user:02}"), &key(user), "Active");
}

/// So many users with a key each, published; and what else there is.
fn published(users: usize, more: impl FnOnce(&mut Directory)) -> Double {
    let double = double();
    double.iam(|iam| {
        (0..users).for_each(|user| give(iam, user));
        more(iam);
    });
    repaired(&double, "the first run");
    double
}

/// Lets something happen to some users in one step.
fn all(double: &Double, users: impl IntoIterator<Item = usize>, deed: impl Fn(&mut Directory, usize)) {
    double.iam(|iam| users.into_iter().for_each(|user| deed(iam, user)));
}

#[test]
fn who_leaves_a_group_on_purpose_leaves_it_beside_a_refusal() {
    let admins = [3, 4, 10];
    let double = published(20, |iam| {
        admins.iter().for_each(|user| _ = iam.add_member("admins", &name(*user)));
    });
    all(&double, 10..16, |iam, user| _ = iam.remove_user(&name(user)));
    double.remove_member("admins", "u03");
    let ran = run(&double);
    assert_eq!(ran.code, 3, "{ran:?}");
    assert_eq!(
        document(&double, "groups/admins").unwrap(),
        line("u04", &key(4)) + &line("u10", &key(10)),
        "who vanished is held back, who only left is not"
    );
    assert!((10..16).all(|user| document(&double, &format!("users/u{user}")) == Some(line(&name(user), &key(user)))));
    all(&double, 10..16, give);
    double.add_member("admins", "u10");
    let ran = run(&double);
    assert_eq!(ran.code, 0, "{ran:?}");
    in_sync(&double, "they are back, and nothing is held");
    let memory = double.object(BUCKET, "iam-ssh/state.json").unwrap();
    let memory: serde_json::Value = serde_json::from_slice(&memory).unwrap();
    assert!(memory["refused"].is_null(), "{memory}");
}

#[test]
fn one_persons_many_keys_are_one_person() {
    let double = double();
    double.iam(|iam| {
        (0..30).for_each(|user| give(iam, user));
        for user in [0, 1] {
            for number in 0..40 {
                let tag = format!("iam-ssh/key/k{number:02}");
                iam.tag_user(&name(user), &tag, &key(1000 + user * 100 + number));
            }
        }
        (0..5).for_each(|user| _ = iam.add_member("g", &name(user)));
    });
    assert_eq!(run_with(&double, SOURCES).code, 0);
    let lines = |principal: &str| document(&double, principal).unwrap().lines().count();
    assert_eq!((lines("users/u00"), lines("users/u01"), lines("groups/g")), (41, 41, 85));
    double.attach_user_policy("u00", DENY_ALL);
    let ran = run_with(&double, SOURCES);
    assert_eq!((ran.code, lines("users/u00"), lines("groups/g")), (0, 0, 44), "{ran:?}");
    double.iam(|iam| (0..40).for_each(|number| _ = iam.untag_user("u01", &format!("iam-ssh/key/k{number:02}"))));
    let ran = run_with(&double, SOURCES);
    assert_eq!((ran.code, lines("users/u01"), lines("groups/g")), (0, 1, 4), "{ran:?}");
}

#[test]
fn what_iam_itself_denies_goes_at_once_and_what_only_a_setting_makes_of_a_group_does_not() {
    let deny_group = ("EXCLUDE", "group:Leavers");
    let double = published(20, |iam| _ = iam.add_group("Leavers"));
    assert_eq!(run_with(&double, &[deny_group]).code, 0);
    let before = documents(&double);
    all(&double, 0..6, |iam, user| _ = iam.add_member("Leavers", &name(user)));
    let ran = run_with(&double, &[deny_group]);
    assert_eq!(ran.code, 3, "{ran:?}");
    assert_eq!(documents(&double), before);
    all(&double, 0..6, |iam, user| _ = iam.remove_member("Leavers", &name(user)));
    repaired(&double, "it was a mistake");
    all(&double, 0..6, |iam, user| _ = iam.attach_user_policy(&name(user), DENY_ALL));
    let ran = run(&double);
    assert_eq!(ran.code, 0, "{ran:?}");
    for user in 0..20 {
        let text = if user < 6 { String::new() } else { line(&name(user), &key(user)) };
        assert_eq!(document(&double, &format!("users/{}", name(user))), Some(text));
    }
}

#[test]
fn nobody_with_a_key_is_no_ordinary_end_unless_there_was_only_one() {
    each([(4, 3), (2, 3), (1, 0)], 3, |(users, code)| {
        let double = published(users, |iam| _ = iam.add_user("keyless"));
        let before = documents(&double);
        all(&double, 0..users, |iam, user| _ = iam.remove_key(&name(user), &format!("APKA{user:02}")));
        let ran = run(&double);
        assert_eq!(ran.code, code, "{users} users: {ran:?}");
        match code {
            0 => in_sync(&double, "the only one"),
            _ => assert_eq!(documents(&double), before, "{users} users"),
        }
    });
}

#[test]
fn what_iam_calls_inactive_goes_at_once_also_where_the_memory_is_lost() {
    let double = published(20, |iam| (0..9).for_each(|user| _ = iam.add_member("g", &name(user))));
    all(&double, 0..6, |iam, user| _ = iam.set_key_status(&name(user), &format!("APKA{user:02}"), "Inactive"));
    double.remove_object(BUCKET, "iam-ssh/state.json");
    let ran = run(&double);
    assert_eq!(ran.code, 0, "{ran:?}");
    in_sync(&double, "withdrawn");
    assert_eq!(document(&double, "groups/g").unwrap().lines().count(), 3);
}
