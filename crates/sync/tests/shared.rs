//! One public key under several users: it stays with who uploaded it first, so that nobody takes over what somebody else's key says.
//!
//! Anybody may upload anybody's public key, so the later one must gain nothing by it and take nothing away.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[allow(dead_code, unreachable_pub, missing_docs, reason = "shared: each test uses its part")]
mod common;

use common::{ED25519, RSA, document, double, line, synced};
use iam_ssh_doubles::Double;

/// The owner under whom the key is published, and what was said.
fn owner(double: &Double, users: &[&str]) -> (String, String) {
    let ran = synced(double);
    let holders: Vec<&str> =
        users.iter().copied().filter(|user| document(double, &format!("users/{user}")).unwrap() != "").collect();
    assert_eq!(holders.len(), 1, "{holders:?}");
    assert_eq!(document(double, "groups/g").unwrap(), line(holders[0], ED25519), "the group says the same");
    (holders[0].to_owned(), ran.err)
}

/// Users with the same key in one group, each with the date of the upload.
fn uploaded(dates: &[(&str, Option<&str>)]) -> Double {
    let double = double();
    for (number, (user, date)) in dates.iter().enumerate() {
        let id = format!("APKA{number}");
        double.add_key(user, &id, &format!("{ED25519} {user}"), "Active").set_key_date(user, &id, *date);
        double.add_member("g", user);
    }
    double
}

#[test]
fn a_shared_key_stays_with_who_uploaded_it_first() {
    let double = uploaded(&[("aaa", Some("2026-02-01T00:00:01Z")), ("victim", Some("2026-02-01T00:00:00Z"))]);
    let (found, told) = owner(&double, &["aaa", "victim"]);
    assert_eq!(found, "victim");
    assert!(
        told.starts_with(
            "warning: key `APKA0` of user `aaa` is not published: user `victim` holds the same public key as key `APKA1` and \
             uploaded it first"
        ),
        "{told}"
    );
    assert_eq!(told.lines().count(), 1, "{told}");
    double.set_key_status("victim", "APKA1", "Inactive");
    assert_eq!(
        owner(&double, &["aaa", "victim"]),
        ("aaa".to_owned(), String::new()),
        "a key that is not active claims nothing"
    );
}

#[test]
fn dates_beat_no_dates_and_names_decide_the_rest() {
    let early = Some("2025-01-01T00:00:00Z");
    for (dates, first) in [
        (vec![("b", early), ("a", early), ("c", early)], "a"),
        (vec![("b", None), ("a", None)], "a"),
        (vec![("a", None), ("b", early)], "b"),
        (vec![("a", early), ("b", Some("2024-12-31T23:59:59.5Z")), ("c", None)], "b"),
    ] {
        let users: Vec<&str> = dates.iter().map(|(user, _)| *user).collect();
        let (found, told) = owner(&uploaded(&dates), &users);
        assert_eq!(found, first, "{dates:?}");
        assert_eq!(told.lines().count(), dates.len() - 1, "every later one is named: {told}");
    }
}

#[test]
fn only_the_shared_key_is_withheld_and_a_user_who_cannot_be_published_claims_nothing() {
    let double = uploaded(&[("ann", Some("2025-01-01T00:00:00Z")), ("bob", None)]);
    double.add_key("bob", "APKA8", RSA, "Active").add_key("ann", "APKA7", ED25519, "Active");
    double.add_key("..", "APKA9", RSA, "Active").set_key_date("..", "APKA9", Some("2020-01-01T00:00:00Z"));
    let ran = synced(&double);
    assert_eq!(document(&double, "users/bob").unwrap(), line("bob", RSA));
    assert_eq!(document(&double, "users/ann").unwrap(), line("ann", ED25519), "one's own key twice is one line");
    let heartbeat: serde_json::Value =
        serde_json::from_slice(&double.object(common::BUCKET, "iam-ssh/heartbeat.json").unwrap()).unwrap();
    assert_eq!((&heartbeat["keys"], &heartbeat["skipped"]), (&2.into(), &2.into()), "{}", ran.err);
}
