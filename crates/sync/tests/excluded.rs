//! Who counts as deactivated although the keys are Active: by AWS's own practice, or by what EXCLUDE says.
//!
//! Such users must lose their lines everywhere, the report must say why, and whoever is reactivated must get them back.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[allow(dead_code, unreachable_pub, missing_docs, reason = "shared: each test uses its part")]
mod common;

use common::{BUCKET, Ran, against, document, double, finish, key, line};
use iam_ssh_doubles::{Double, Match};

const DENY_ALL: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}"#;
/// Denies everything, but only without a second factor: common, and no deactivation.
const DENY_WITHOUT_MFA: &str = r#"{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"*","Resource":"*",
    "Condition":{"BoolIfExists":{"aws:MultiFactorAuthPresent":"false"}}}}"#;
const ALLOW: &str = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}"#;
const OFF: &str = "arn:aws:iam::123456789012:policy/off";
const MFA: &str = "arn:aws:iam::123456789012:policy/mfa";
const ALL: &str = "arn:aws:iam::123456789012:policy/all";
const QUARANTINE: &str = "arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV3";

/// What is done to `ann`, and what undoes it.
type Deed = fn(&Double);

fn run(double: &Double, exclude: &str) -> Ran {
    let mut command = against(&double.url());
    command.env("EXCLUDE", exclude);
    finish(command)
}

/// Ann and Bob, with a key each, in one group.
fn account() -> Double {
    let double = double();
    for (number, user) in ["ann", "bob"].into_iter().enumerate() {
        double.add_key(user, &format!("APKA{number}"), &key(number), "Active").add_member("staff", user);
    }
    double
        .add_group("leavers")
        .put_policy("off", DENY_ALL)
        .put_policy("mfa", DENY_WITHOUT_MFA)
        .put_policy("all", ALLOW);
    double
}

fn is_withdrawn(double: &Double) -> bool {
    let (ann, staff) = (document(double, "users/ann").unwrap(), document(double, "groups/staff").unwrap());
    let (anns, bobs) = (line("ann", &key(0)), line("bob", &key(1)));
    assert_eq!(document(double, "users/bob").unwrap(), bobs);
    if ann.is_empty() {
        assert_eq!(staff, bobs);
    } else {
        assert_eq!((ann, staff), (anns.clone(), anns + &bobs));
        return false;
    }
    true
}

/// Ann must be withdrawn by the deed, for this reason, and come back when it is undone.
fn excludes(exclude: &str, name: &str, deed: Deed, undo: Deed, why: &str) {
    let double = account();
    assert_eq!((run(&double, exclude).code, is_withdrawn(&double)), (0, false), "{name}");
    deed(&double);
    double.clear_requests();
    let ran = run(&double, exclude);
    assert_eq!(ran.code, 0, "{name}: {ran:?}");
    assert!(is_withdrawn(&double), "{name}: {ran:?}");
    assert_eq!(ran.err, format!("note: user `ann` counts as deactivated: {why}\n"), "{name}");
    assert_eq!(
        double.count(&Match::action("ListSSHPublicKeys").on("ann")),
        0,
        "{name}: nothing is asked about her keys"
    );
    let heartbeat: serde_json::Value =
        serde_json::from_slice(&double.object(BUCKET, "iam-ssh/heartbeat.json").unwrap()).unwrap();
    assert_eq!((&heartbeat["excluded"], &heartbeat["keys"]), (&1.into(), &1.into()), "{name}");
    undo(&double);
    let ran = run(&double, exclude);
    assert_eq!((ran.code, ran.err.as_str(), is_withdrawn(&double)), (0, "", false), "{name}: {ran:?}");
}

/// Each way to be deactivated: the setting, what is done, what undoes it, and the reason that is told.
type Case = (&'static str, Deed, Deed, &'static str);

fn all(cases: &[Case]) {
    for (number, (exclude, deed, undo, why)) in cases.iter().enumerate() {
        excludes(exclude, &format!("case {number}"), *deed, *undo, why);
    }
}

#[test]
fn a_policy_that_denies_everything_deactivates_by_default() {
    all(&[
        (
            "",
            |d| _ = d.attach_user_policy("ann", OFF),
            |d| _ = d.detach_user_policy("ann", OFF),
            "policy `off` is attached, which denies everything",
        ),
        (
            "",
            |d| _ = d.attach_user_policy("ann", "arn:aws:iam::aws:policy/AWSDenyAll"),
            |d| _ = d.detach_user_policy("ann", "arn:aws:iam::aws:policy/AWSDenyAll"),
            "policy `AWSDenyAll` is attached, which denies everything",
        ),
        (
            "",
            |d| _ = d.put_user_policy("ann", "gone", DENY_ALL),
            |d| _ = d.delete_user_policy("ann", "gone"),
            "its inline policy `gone` denies everything",
        ),
        (
            "",
            |d| _ = d.set_boundary("ann", Some(OFF)),
            |d| _ = d.set_boundary("ann", None),
            "its permissions boundary `off` denies everything",
        ),
        (
            "deny-all",
            |d| _ = d.add_member("leavers", "ann").put_group_policy("leavers", "stop", DENY_ALL),
            |d| _ = d.remove_member("leavers", "ann"),
            "group `leavers`, of which it is a member, has inline policy `stop`, which denies everything",
        ),
        (
            "deny-all",
            |d| _ = d.add_member("leavers", "ann").attach_group_policy("leavers", OFF),
            |d| _ = d.detach_group_policy("leavers", OFF),
            "group `leavers`, of which it is a member, has policy `off`, which denies everything",
        ),
        (
            "",
            |d| _ = d.attach_user_policy("ann", ALL).put_policy("all", DENY_ALL),
            |d| _ = d.set_policy_version("all", "v1"),
            "policy `all` is attached, which denies everything",
        ),
    ]);
}

#[test]
fn a_quarantine_of_awss_deactivates_by_default() {
    all(&[
        (
            "",
            |d| _ = d.attach_user_policy("ann", QUARANTINE),
            |d| _ = d.detach_user_policy("ann", QUARANTINE),
            "AWS quarantined it (AWSCompromisedKeyQuarantineV3): its access keys leaked",
        ),
        (
            "quarantine",
            |d| _ = d.attach_user_policy("ann", "arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantine"),
            |d| _ = d.detach_user_policy("ann", "arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantine"),
            "AWS quarantined it (AWSCompromisedKeyQuarantine): its access keys leaked",
        ),
    ]);
}

#[test]
fn a_group_a_tag_or_a_policy_deactivates_where_it_is_set() {
    all(&[
        (
            "group:Leavers",
            |d| _ = d.add_member("leavers", "ann"),
            |d| _ = d.remove_member("leavers", "ann"),
            "it is in the deny group `leavers`",
        ),
        (
            "deny-all;tag:Disabled",
            |d| _ = d.tag_user("ann", "disabled", "2026-01-01"),
            |d| _ = d.untag_user("ann", "disabled"),
            "it carries the tag `Disabled`",
        ),
        (
            "quarantine\ntag:state=left",
            |d| _ = d.tag_user("ann", "State", "left").tag_user("bob", "state", "Left"),
            |d| _ = d.tag_user("ann", "State", "back"),
            "it carries the tag `state=left`",
        ),
        (
            "policy:ALL",
            |d| _ = d.attach_user_policy("ann", ALL),
            |d| _ = d.detach_user_policy("ann", ALL),
            "it has policy `all`",
        ),
        (
            "policy:arn:aws:iam::123456789012:policy/mfa",
            |d| _ = d.add_member("leavers", "ann").attach_group_policy("leavers", MFA),
            |d| _ = d.remove_group("leavers"),
            "group `leavers`, of which it is a member, has policy `mfa`",
        ),
    ]);
}

#[test]
fn what_denies_less_than_everything_and_what_is_not_set_deactivates_nobody() {
    let double = account();
    double.add_member("leavers", "ann").tag_user("ann", "disabled", "yes").put_user_policy(
        "ann",
        "mfa",
        DENY_WITHOUT_MFA,
    );
    double.attach_user_policy("ann", MFA).put_group_policy("leavers", "all", ALLOW);
    double.attach_user_policy("ann", "arn:aws:iam::123456789012:policy/AWSCompromisedKeyQuarantineV2");
    // A version that is not the default says nothing.
    double.put_policy("all", DENY_ALL).set_policy_version("all", "v1");
    double.attach_user_policy("ann", ALL);
    let ran = run(&double, "");
    assert_eq!((ran.code, ran.err.as_str(), is_withdrawn(&double)), (0, "", false), "{ran:?}");
    double.attach_user_policy("ann", OFF).attach_user_policy("ann", QUARANTINE);
    for (exclude, withdrawn) in [("none", false), ("group:others", false), ("quarantine", true), ("none", false)] {
        let ran = run(&double, exclude);
        assert_eq!((ran.code, is_withdrawn(&double)), (0, withdrawn), "{exclude}: {ran:?}");
    }
}
