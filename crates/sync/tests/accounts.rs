//! Several accounts below prefixes of their own: one that fails or is refused leaves its prefix as it was and the others alone.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[allow(dead_code, unreachable_pub, missing_docs, reason = "shared: each test uses its part")]
mod common;

use common::judge::{Documents, of, run_with};
use common::{BUCKET, Ran, documents, double, key};
use iam_ssh_doubles::{Directory, Double, Fault, Match, Service};

const NUMBERS: [&str; 3] = ["111111111111", "222222222222", "333333333333"];

fn role(number: &str) -> String {
    format!("arn:aws:iam::{number}:role/iam-ssh")
}

/// Eight users with a key each in one group, other keys in every account.
fn people(iam: &mut Directory, account: usize) {
    for user in 0..8 {
        let name = format!("u{user}");
        iam.add_member("g", &name).add_key(&name, &format!("APKA{user}"), &key(account * 100 + user), "Active");
    }
}

fn run(double: &Double) -> Ran {
    let roles = NUMBERS.map(role).join(";");
    run_with(double, &[("ACCOUNTS", &roles), ("S3_PREFIX", "all/")])
}

/// Three accounts, published; then something changes in each.
fn published() -> Double {
    let double = double();
    for (account, number) in NUMBERS.into_iter().enumerate() {
        double.with_account(number, |iam| people(iam, account));
    }
    let ran = run(&double);
    assert_eq!(ran.code, 0, "{ran:?}");
    for number in NUMBERS {
        assert_eq!(below(&double, number), desired(&double, number), "{number}");
        for own in ["heartbeat.json", "state.json"] {
            assert!(double.object(BUCKET, &format!("all/{number}/iam-ssh/{own}")).is_some(), "{number} {own}");
        }
        assert!(double.count(&Match::action("PutObject").on(&format!("all/{number}/iam-ssh/lease.json"))) >= 2);
        assert_eq!(double.object(BUCKET, &format!("all/{number}/iam-ssh/lease.json")), None);
        double.with_account(number, |iam| {
            iam.remove_user("u0").add_key("u9", "APKA9", &key(number.len()), "Active");
        });
    }
    double.clear_requests();
    double
}

/// Documents below an account's prefix.
fn below(double: &Double, number: &str) -> Documents {
    let mut found = documents(double);
    found.retain(|path, _| path.starts_with(&format!("all/{number}/")));
    found
}

fn desired(double: &Double, number: &str) -> Documents {
    double.with_account(number, |iam| of(iam, &format!("all/{number}/")))
}

fn heartbeats(double: &Double, number: &str) -> usize {
    double.count(&Match::action("PutObject").on(&format!("all/{number}/iam-ssh/heartbeat.json")))
}

/// After a run in which only the account in the middle did not succeed.
fn only_the_second_is_as_it_was(double: &Double, before: &Documents, ran: &Ran) {
    assert_eq!(below(double, NUMBERS[1]), *before, "{ran:?}");
    assert_eq!(heartbeats(double, NUMBERS[1]), 0, "{ran:?}");
    for number in [NUMBERS[0], NUMBERS[2]] {
        assert_eq!(below(double, number), desired(double, number), "{ran:?}");
        assert_eq!(heartbeats(double, number), 1, "{ran:?}");
    }
}

#[test]
fn one_that_fails_leaves_its_prefix_as_it_was_and_the_others_alone() {
    let denied = || Fault::Status(403, "AccessDenied".to_owned());
    let assume = || Match::action("AssumeRole").on(&role(NUMBERS[1]));
    // IAM's calls are told apart by the key that AssumeRole gave out for the account.
    for (which, fault) in [(assume(), denied()), (assume(), Fault::Throttle), (assume(), Fault::CloseConnection)] {
        let double = published();
        let before = below(&double, NUMBERS[1]);
        double.fault(which, fault.clone());
        let ran = run(&double);
        assert_eq!(ran.code, 1, "{fault:?}: {ran:?}");
        assert!(ran.err.contains(NUMBERS[1]) && !ran.err.contains(NUMBERS[0]), "{ran:?}");
        only_the_second_is_as_it_was(&double, &before, &ran);
        double.clear_faults();
        assert_eq!(run(&double).code, 0);
        assert_eq!(below(&double, NUMBERS[1]), desired(&double, NUMBERS[1]));
    }
}

#[test]
fn one_whose_external_id_is_another_or_whose_bucket_part_fails_is_left_alone() {
    let double = published();
    let before = below(&double, NUMBERS[1]);
    double.with_account(NUMBERS[1], |iam| {
        iam.set_external_id(Some("secret"));
    });
    let ran = run(&double);
    assert_eq!(ran.code, 1, "{ran:?}");
    only_the_second_is_as_it_was(&double, &before, &ran);
    let roles = NUMBERS.map(role).join(";");
    let ran = run_with(&double, &[("ACCOUNTS", &roles), ("S3_PREFIX", "all/"), ("ROLE_EXTERNAL_ID", "secret")]);
    assert_eq!(ran.code, 0, "{ran:?}");
    for call in ["iam-ssh/state.json", "iam-ssh/lease.json", "users/u1/authorized_keys"] {
        let double = published();
        let before = below(&double, NUMBERS[1]);
        let call = format!("all/{}/{call}", NUMBERS[1]);
        double.with_account(NUMBERS[1], |iam| {
            iam.remove_key("u1", "APKA1");
        });
        double.fault(Match::action("GetObject").on(&call), Fault::Status(500, "InternalError".to_owned()));
        let ran = run(&double);
        assert_eq!(ran.code, 1, "{call}: {ran:?}");
        only_the_second_is_as_it_was(&double, &before, &ran);
    }
}

#[test]
fn iam_that_fails_in_one_account_alone_does_not_concern_the_others() {
    let double = published();
    let before = below(&double, NUMBERS[1]);
    // Its user has a name of its own, so that this call is no other account's.
    double.with_account(NUMBERS[1], |iam| {
        iam.add_key("only-here", "APKAX", &key(77), "Active");
    });
    for fault in [Fault::Status(500, "ServiceFailure".to_owned()), Fault::Throttle] {
        double.clear_faults().clear_requests();
        double.fault(Match::service(Service::Iam).on("only-here"), fault.clone());
        let ran = run(&double);
        assert_eq!(ran.code, 1, "{fault:?}: {ran:?}");
        only_the_second_is_as_it_was(&double, &before, &ran);
    }
}

#[test]
fn a_refused_one_gives_3_and_a_failed_one_beside_it_1() {
    let double = published();
    double.with_account(NUMBERS[1], |iam| {
        (1..7).for_each(|user| {
            iam.remove_user(&format!("u{user}"));
        });
    });
    let ran = run(&double);
    assert_eq!(ran.code, 3, "{ran:?}");
    for number in [NUMBERS[0], NUMBERS[2]] {
        assert_eq!(below(&double, number), desired(&double, number), "{ran:?}");
        assert_eq!(heartbeats(&double, number), 1, "{ran:?}");
    }
    assert_eq!(heartbeats(&double, NUMBERS[1]), 0, "{ran:?}");
    let held = below(&double, NUMBERS[1]);
    assert!(held.contains_key("all/222222222222/users/u1/authorized_keys"), "{ran:?}");
    double.fault(Match::action("AssumeRole").on(&role(NUMBERS[2])), Fault::Status(403, "AccessDenied".to_owned()));
    let ran = run(&double);
    assert_eq!(ran.code, 1, "1 beats 3: {ran:?}");
    assert_eq!(below(&double, NUMBERS[1]), held);
    // A plan is one account's: confirming it concerns no other.
    double.clear_faults();
    let (_, rest) = ran.err.split_once("--confirm ").unwrap();
    let roles = NUMBERS.map(role).join(";");
    let ran = run_with(&double, &[("ACCOUNTS", &roles), ("S3_PREFIX", "all/"), ("CONFIRM", rest.get(..16).unwrap())]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(below(&double, NUMBERS[1]), desired(&double, NUMBERS[1]));
}

#[test]
fn another_account_than_the_prefix_is_about_is_refused() {
    // The credentials' own account is another one than its number says.
    let double = double();
    double.iam(|iam| people(iam, 5));
    let ran = run_with(&double, &[("ACCOUNTS", NUMBERS[0])]);
    assert!(
        ran.code == 1 && ran.err.contains("is about account 111111111111, but IAM answers for 123456789012"),
        "{ran:?}"
    );
    assert_eq!(documents(&double), Documents::new());
    // A prefix that another account was published to.
    assert_eq!(run_with(&double, &[("S3_PREFIX", "one/")]).code, 0);
    let before = documents(&double);
    double.set_account(NUMBERS[1]);
    let ran = run_with(&double, &[("S3_PREFIX", "one/")]);
    assert!(
        ran.code == 1 && ran.err.contains("is about account 123456789012, but IAM answers for 222222222222"),
        "{ran:?}"
    );
    assert_eq!(documents(&double), before);
}
