//! What happens to a list while it is being read: AWS has no snapshot over several pages.
//!
//! These effects are what a client must survive; a double that hides them proves nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[allow(dead_code, unreachable_pub, missing_docs, reason = "shared: each test uses its part")]
mod common;

use common::{details, iam, tags, user_pages};
use iam_ssh_doubles::{Double, Match};

/// Six users in pages of two.
fn six() -> Double {
    let double = Double::start("127.0.0.1:0").unwrap();
    for name in ["a", "b", "c", "d", "e", "f"] {
        double.add_user(name);
    }
    double.page_cap(2);
    double
}

/// Before the second page is answered.
fn second_page(double: &Double, hook: impl FnOnce(&mut iam_ssh_doubles::Change<'_>) + Send + 'static) -> Vec<String> {
    double.on_call(Match::action("GetAccountAuthorizationDetails"), 2, hook);
    user_pages(double, |_| ()).concat()
}

#[test]
fn a_user_renamed_between_two_pages_appears_twice_or_not_at_all() {
    let double = six();
    let id = double.user_id("a");
    let names = second_page(&double, |change| {
        change.iam().rename_user("a", "z");
    });
    assert_eq!(names, ["a", "b", "c", "d", "e", "f", "z"]);
    assert_eq!(double.user_id("z"), id, "the same person");
    let names = second_page(&six(), |change| {
        change.iam().rename_user("f", "aa");
    });
    assert_eq!(names, ["a", "b", "c", "d", "e"]);
}

#[test]
fn who_comes_or_goes_between_two_pages_moves_nobody_else() {
    let names = second_page(&six(), |change| {
        change.iam().add_user("aa").add_user("cc");
    });
    assert_eq!(names, ["a", "b", "c", "cc", "d", "e", "f"]);
    let names = second_page(&six(), |change| {
        change.iam().remove_user("b").remove_user("c");
    });
    assert_eq!(names, ["a", "b", "d", "e", "f"], "also where the last one given has gone");
}

#[test]
fn a_lost_page_looks_like_every_other_answer() {
    let double = six();
    double.lose_page(2, 1);
    assert_eq!(user_pages(&double, |_| ()), [["a", "b"], ["e", "f"]]);
    assert_eq!(user_pages(&double, |_| ()).len(), 3, "only as often as was said");
    double.lose_page(3, 2);
    assert_eq!(user_pages(&double, |_| ()), [["a", "b"], ["c", "d"]], "the last one: the list just ends");
    assert_eq!(user_pages(&double, |_| ()).len(), 2);
    double.lose_page(1, 1);
    assert_eq!(user_pages(&double, |_| ()).concat(), ["c", "d", "e", "f"]);
    double.lose_page(4, 1);
    assert_eq!(user_pages(&double, |_| ()).len(), 3, "there is no such page");
}

#[test]
fn users_groups_and_policies_are_one_sequence() {
    let double = six();
    double.add_group("g").add_group("a").put_policy("p", "{}").put_policy("q", "{}").page_cap(3);
    let (mut names, mut marker) = (Vec::new(), String::new());
    loop {
        let page = details(&double, &format!("&MaxItems=1000{marker}"));
        let found: Vec<String> =
            ["UserName", "GroupName", "PolicyName"].iter().flat_map(|kind| tags(&page, kind)).collect();
        assert!(found.len() == 3 || marker.len() > 8 && found.len() == 1, "{found:?}");
        names.extend(found);
        let Some(next) = tags(&page, "Marker").pop() else { break };
        marker = format!("&Marker={next}");
    }
    assert_eq!(names, ["a", "b", "c", "d", "e", "f", "a", "g", "p", "q"]);
    let keys = iam(&double, "Action=ListUsers&MaxItems=1").body;
    let foreign = format!("Action=GetAccountAuthorizationDetails&Marker={}", tags(&keys, "Marker")[0]);
    assert_eq!(iam(&double, &foreign).status, 400, "a marker of another list");
}

#[test]
fn a_page_has_a_hundred_entries_unless_more_are_asked_for() {
    let double = Double::start("127.0.0.1:0").unwrap();
    double.populate(1001, 0, 1, 1);
    let size = |form: &str| tags(&iam(&double, form).body, "UserName").len();
    assert_eq!(size("Action=GetAccountAuthorizationDetails"), 100);
    assert_eq!(size("Action=GetAccountAuthorizationDetails&MaxItems=1000"), 1000);
    assert_eq!(size("Action=GetGroup&GroupName=group000&MaxItems=1000"), 1000);
    assert_eq!(iam(&double, "Action=ListUsers&MaxItems=1001").status, 400);
}
