//! IAM and the bucket change while a run looks: pages that contradict each other, answers from the past, somebody else's writes.
//!
//! Whatever the run says, nobody who is in IAM all the time loses a line; and what is settled is published.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[allow(dead_code, unreachable_pub, missing_docs, reason = "shared: each test uses its part")]
mod common;

use std::time::Duration;

use common::judge::{Documents, between, desired, each, heartbeat, in_sync, never_lost, repaired, run, run_with};
use common::story::{Published, changes};
use common::{BUCKET, documents, double, key, line};
use iam_ssh_doubles::{Change, Directory, Double, Fault, Match};

const GAAD: &str = "GetAccountAuthorizationDetails";
/// A document that the changes rewrite, and one that they delete.
const WRITTEN: &str = "users/ann/authorized_keys";
const DELETED: &str = "users/cid/authorized_keys";

/// The run must succeed although this happens in the middle of it, and publish what IAM says then.
fn happens(published: &Published, which: &Match, nth: usize, what: fn(&mut Directory)) {
    let (double, before) = published.changed();
    double.on_call(which.clone(), nth, move |change| what(change.iam()));
    let ran = run(&double);
    let when = format!("{which:?} {nth}: {ran:?}");
    assert_eq!(ran.code, 0, "{when}");
    in_sync(&double, &when);
    assert_ne!(documents(&double), before, "{when}");
}

#[test]
fn a_page_that_is_lost_once_is_noticed() {
    let published = Published::new();
    for page in 1..=3 {
        let (double, _) = published.again();
        double.lose_page(page, 1).clear_requests();
        repaired(&double, &format!("page {page}"));
        assert_eq!(double.count(&Match::action(GAAD)), 5, "page {page}: one reading of two pages, one of three");
    }
}

/// Forty users with a key each in one group; pages of twenty.
fn large() -> Double {
    let double = double();
    double.populate(40, 1, 1, 1).page_cap(20);
    repaired(&double, "the first run");
    double
}

#[test]
fn a_page_that_stays_lost_is_a_refused_shrink_with_or_without_memory() {
    for has_memory in [true, false] {
        for page in 1..=2 {
            let double = large();
            let before = documents(&double);
            if !has_memory {
                double.remove_object(BUCKET, "iam-ssh/state.json");
            }
            double.lose_page(page, 100);
            for again in 0..2 {
                let ran = run(&double);
                assert_eq!(ran.code, 3, "{has_memory} {page} {again}: {ran:?}");
                assert_eq!(documents(&double), before, "{has_memory} {page} {again}: {ran:?}");
            }
            double.lose_page(page, 0);
            repaired(&double, "found again");
            assert_eq!(documents(&double), before);
        }
    }
}

#[test]
fn who_and_what_vanishes_while_keys_are_read_is_gone() {
    let published = Published::new();
    let list = |user: &str| Match::action("ListSSHPublicKeys").on(user);
    happens(&published, &list("eve"), 1, |iam| {
        iam.remove_user("eve");
    });
    happens(&published, &list("ann"), 1, |iam| {
        iam.remove_user("fay");
    });
    happens(&published, &list("gus"), 1, |iam| {
        iam.remove_user("gus");
    });
    happens(&published, &Match::action("GetSSHPublicKey").on("gus"), 1, |iam| {
        iam.remove_key("gus", "APKA6A");
    });
    happens(&published, &Match::action("GetSSHPublicKey").on("ann"), 1, |iam| {
        iam.set_key_status("ann", "APKA0B", "Inactive");
    });
    happens(&published, &list("bob"), 1, |iam| {
        iam.rename_user("bob", "zoe");
    });
}

#[test]
fn who_is_made_anew_under_an_old_name_while_keys_are_read_has_no_key_of_the_old_one() {
    let (double, _) = Published::new().changed();
    double.on_call(Match::action("ListSSHPublicKeys").on("bob"), 1, |change| {
        change.iam().remove_user("bob").add_member("dev", "bob").add_key("bob", "APKA9A", &key(99), "Active");
    });
    let ran = run(&double);
    assert_eq!(ran.code, 0, "{ran:?}");
    for (path, text) in documents(&double) {
        assert!(!String::from_utf8(text).unwrap().contains(&key(1)), "{path}");
    }
    // IAM tells no id with keys: what groups the new one has is known in the next run.
    repaired(&double, "the next run");
}

#[test]
fn a_rename_while_pages_are_read_loses_nobody() {
    let published = Published::new();
    let page = Match::action(GAAD);
    // From a page that was read to one that was not: there twice; and the other way round: not there at all.
    happens(&published, &page, 2, |iam| {
        iam.rename_user("ann", "zoe");
    });
    happens(&published, &page, 2, |iam| {
        iam.rename_user("fay", "aaa");
    });
    happens(&published, &page, 2, |iam| {
        iam.rename_user("ann", "zoe").rename_user("fay", "aaa");
    });
    happens(&published, &page, 2, |iam| {
        iam.rename_group("dev", "zero");
    });
    happens(&published, &page, 3, |iam| {
        iam.rename_group("dev", "zero");
    });
    happens(&published, &page, 3, |iam| {
        iam.rename_group("young", "aaa");
    });
    happens(&published, &page, 3, |iam| {
        iam.rename_group("ops", "zero").rename_user("fay", "aaa");
    });
    // A name is free again in the middle of it.
    happens(&published, &page, 2, |iam| {
        iam.rename_user("ann", "ann2").rename_user("fay", "ann");
    });
    happens(&published, &page, 2, |iam| {
        iam.remove_user("fay").add_member("ops", "fay").add_key("fay", "APKA9A", &key(99), "Active");
    });
}

/// What nobody may lose: the lines that stand in a document before and after.
fn common_lines(before: &Documents, after: &Documents) -> Documents {
    let both = before.iter().filter_map(|(path, text)| Some((path, text, after.get(path)?)));
    both.map(|(path, text, after)| {
        let (text, after) = (String::from_utf8_lossy(text), String::from_utf8_lossy(after));
        let lines = text.lines().filter(|line| after.lines().any(|other| other == *line));
        (path.clone(), lines.map(|line| format!("{line}\n")).collect::<String>().into_bytes())
    })
    .collect()
}

#[test]
fn answers_from_the_past_lose_nobody_and_converge() {
    let published = Published::new();
    each(0..24_u64, 4, |seed| {
        let (double, before) = published.again();
        let flapping = (seed > 0).then_some(seed);
        double.iam(|iam| {
            iam.lag(Duration::from_secs(3600)).flapping(flapping);
            changes(iam);
        });
        let stay = common_lines(&before, &desired(&double));
        for again in 0..4 {
            let ran = run(&double);
            let when = format!("seed {seed}, run {again}: {ran:?}");
            assert!(matches!(ran.code, 0 | 1 | 3), "{when}");
            never_lost(&stay, &double, &when);
        }
        double.settle();
        repaired(&double, &format!("seed {seed}, settled"));
    });
}

/// A run with changes during which somebody else does something right before a document is written.
fn meanwhile(
    path: &str,
    action: &str,
    what: impl FnOnce(&mut Change<'_>) + Send + 'static,
) -> (Double, Documents, i32) {
    let (double, before) = Published::new().changed();
    double.on_call(Match::action(action).on(path), 1, what);
    let beat = heartbeat(&double);
    let ran = run(&double);
    if ran.code != 0 {
        assert_eq!(heartbeat(&double), beat, "{ran:?}");
        assert!(ran.err.contains("somebody else wrote there meanwhile"), "{ran:?}");
    }
    (double, before, ran.code)
}

#[test]
fn what_somebody_else_wrote_meanwhile_is_not_overwritten_but_by_the_next_run() {
    for (path, action) in
        [(WRITTEN, "PutObject"), ("users/gus/authorized_keys", "PutObject"), (DELETED, "DeleteObject")]
    {
        let theirs = line("them", &key(77));
        let text = theirs.clone();
        let (double, _, code) = meanwhile(path, action, move |change| {
            change.put_object(BUCKET, path, text);
        });
        assert_eq!(code, 1, "{path}");
        assert_eq!(double.object(BUCKET, path), Some(theirs.into_bytes()), "{path}");
        repaired(&double, path);
    }
}

#[test]
fn what_somebody_else_made_right_or_deleted_meanwhile() {
    let (_, after) = {
        let (double, before) = Published::new().changed();
        (before, desired(&double))
    };
    let right = after[WRITTEN].clone();
    let (double, _, code) = meanwhile(WRITTEN, "PutObject", move |change| {
        change.put_object(BUCKET, WRITTEN, right);
    });
    assert_eq!(code, 0);
    in_sync(&double, "right already");
    let (double, _, code) = meanwhile(WRITTEN, "PutObject", |change| {
        change.remove_object(BUCKET, WRITTEN);
    });
    assert_eq!(code, 1);
    repaired(&double, "deleted meanwhile");
    let (double, _, code) = meanwhile(DELETED, "DeleteObject", |change| {
        change.remove_object(BUCKET, DELETED);
    });
    assert_eq!(code, 0);
    in_sync(&double, "gone already");
}

#[test]
fn conflicts_are_tried_again_or_left_to_the_next_run() {
    let published = Published::new();
    let race = || Fault::Status(409, "ConditionalRequestConflict".to_owned());
    let failed = || Fault::Status(412, "PreconditionFailed".to_owned());
    for (which, times, fault, code) in [
        (Match::action("PutObject").on(WRITTEN), 1, race(), 0),
        (Match::action("DeleteObject").on(DELETED), 1, race(), 0),
        (Match::action("PutObject").on("iam-ssh/state.json"), 1, race(), 0),
        (Match::action("PutObject").on("iam-ssh/lease.json"), 1, race(), 0),
        (Match::action("PutObject").on(WRITTEN), 100, race(), 1),
        (Match::action("DeleteObject").on(DELETED), 100, race(), 1),
        (Match::action("PutObject").on("iam-ssh/state.json"), 100, race(), 1),
        (Match::action("PutObject").on(WRITTEN), 1, failed(), 1),
        (Match::action("DeleteObject").on(DELETED), 1, failed(), 1),
        (Match::action("PutObject").on("iam-ssh/state.json"), 1, failed(), 1),
    ] {
        let (double, before) = published.changed();
        double.fault(which.clone().times(times), fault.clone());
        let ran = run_with(&double, &[("LEASE_SECONDS", "20")]);
        let when = format!("{which:?} {times} {fault:?}: {ran:?}");
        assert_eq!(ran.code, code, "{when}");
        if code == 0 {
            in_sync(&double, &when);
        } else {
            between(&before, &double, &when);
        }
        repaired(&double, &when);
    }
}
