//! IAM is eventually consistent: reads show what was, and for a while now the old and now the new.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[allow(dead_code, unreachable_pub, missing_docs, reason = "shared: each test uses its part")]
mod common;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use common::{details, iam, tags};
use iam_ssh_doubles::{Double, Match};

const HOUR: Duration = Duration::from_secs(3600);

fn users(double: &Double) -> Vec<String> {
    tags(&details(double, ""), "UserName")
}

#[test]
fn a_change_is_seen_when_its_lag_is_over_or_on_demand() {
    let double = Double::start("127.0.0.1:0").unwrap();
    double.add_member("g", "ann").add_key("ann", "APKA1", "x", "Active").lag(HOUR);
    double.set_key_status("ann", "APKA1", "Inactive").add_user("bob").remove_member("g", "ann");
    let keys = || tags(&iam(&double, "Action=ListSSHPublicKeys&UserName=ann").body, "Status");
    assert_eq!((users(&double), keys()), (vec!["ann".to_owned()], vec!["Active".to_owned()]));
    assert_eq!(tags(&iam(&double, "Action=GetGroup&GroupName=g").body, "UserName"), ["ann"]);
    assert_eq!(iam(&double, "Action=GetUser&UserName=bob").status, 404);
    assert_eq!(double.iam(|directory| directory.users()), ["ann", "bob"], "whoever changes it knows");
    double.settle();
    assert_eq!((users(&double), keys()), (vec!["ann".to_owned(), "bob".to_owned()], vec!["Inactive".to_owned()]));
    let lag = Duration::from_millis(100);
    let begun = Instant::now();
    double.lag(lag).remove_user("bob");
    while users(&double).len() == 2 {
        assert!(begun.elapsed() < Duration::from_secs(30), "it is never seen");
    }
    assert!(begun.elapsed() >= lag);
    double.lag(HOUR).add_user("zoe").lag(Duration::ZERO);
    assert_eq!(users(&double), ["ann", "zoe"], "without a lag everything is seen at once");
}

#[test]
fn old_and_new_alternate_at_random_and_the_same_in_every_run() {
    let reads = |seed| {
        let double = Double::start("127.0.0.1:0").unwrap();
        double.add_user("a").lag(HOUR).flapping(Some(seed)).add_user("b").add_user("c");
        (0..40).map(|_| users(&double).len()).collect::<Vec<usize>>()
    };
    let first = reads(7);
    assert_eq!(first, reads(7));
    assert_ne!(first, reads(8));
    assert_eq!(first.iter().copied().collect::<BTreeSet<usize>>(), BTreeSet::from([1, 2, 3]));
    assert!(first.windows(2).any(|pair| pair[0] > pair[1]), "back to the old one: {first:?}");
}

#[test]
fn a_hook_changes_the_account_right_before_an_answer() {
    let double = Double::start("127.0.0.1:0").unwrap();
    double.add_key("ann", "APKA1", "x", "Active").add_user("bob").put_object("b", "k", "old");
    double.on_call(Match::action("ListSSHPublicKeys").on("ann"), 2, |change| {
        change.iam().remove_user("ann");
        assert_eq!(change.object("b", "k").unwrap(), b"old");
        change.put_object("b", "k", "new").remove_object("b", "none").account("222222222222").add_user("far");
    });
    let keys = |user: &str| iam(&double, &format!("Action=ListSSHPublicKeys&UserName={user}")).status;
    assert_eq!((keys("ann"), keys("bob"), users(&double).len()), (200, 200, 2));
    assert_eq!((keys("ann"), users(&double).len()), (404, 1), "listed, then gone");
    assert_eq!(double.object("b", "k").unwrap(), b"new");
    assert_eq!(double.with_account("222222222222", |directory| directory.users()), ["far"]);
}

#[test]
fn a_hook_waits_for_a_request_that_is_answered() {
    let double = Double::start("127.0.0.1:0").unwrap();
    double.fault(Match::any().times(1), iam_ssh_doubles::Fault::Throttle);
    double.on_call(Match::action("ListUsers"), 1, |change| {
        change.iam().add_user("ann");
    });
    assert_eq!(iam(&double, "Action=ListUsers").status, 400);
    assert!(double.user_id("ann").is_none());
    assert_eq!(tags(&iam(&double, "Action=ListUsers").body, "UserName"), ["ann"]);
}
