//! A suspicious shrink is refused until a person confirms exactly that; everything else goes on.
//!
//! Each test looks at the documents: what is held back stays, what gives or is ordinary is carried out, and there is no heartbeat.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[allow(dead_code, unreachable_pub, missing_docs, reason = "shared: each test uses its part")]
mod common;

use common::judge::{desired, each, heartbeat, in_sync, repaired, run, run_with};
use common::{BUCKET, Ran, against, document, documents, double, finish, key, line};
use iam_ssh_doubles::{Directory, Double};

/// So many users with so many keys each, the first of them members of a group; published.
fn published(users: usize, keys: usize, members: usize) -> Double {
    let double = double();
    double.iam(|iam| {
        for user in 0..users {
            for number in 0..keys {
                iam.add_key(&name(user), &id(user, number), &key(user * 10 + number), "Active");
            }
        }
        (0..members).for_each(|user| {
            iam.add_member("g", &name(user));
        });
    });
    repaired(&double, "the first run");
    double
}

fn name(user: usize) -> String {
    format!("u{user:02}")
}

fn id(user: usize, number: usize) -> String {
    format!("APKA{user:02}{number}")
}

/// The plan that a refusal names; the run must have been one.
fn plan(ran: &Ran) -> String {
    assert_eq!(ran.code, 3, "{ran:?}");
    let (_, rest) = ran.err.split_once("--confirm ").unwrap();
    rest.chars().take(16).collect()
}

/// A run that must refuse, leave no heartbeat, and tell a plan.
fn refused(double: &Double) -> String {
    let beat = heartbeat(double);
    let ran = run(double);
    assert_eq!(heartbeat(double), beat, "{ran:?}");
    assert!(ran.err.contains("error: refused: "), "{ran:?}");
    plan(&ran)
}

fn confirmed(double: &Double, plan: &str) -> Ran {
    run_with(double, &[("CONFIRM", plan)])
}

type Loss = fn(&mut Directory, usize);

fn users_go(iam: &mut Directory, count: usize) {
    (0..count).for_each(|user| {
        iam.remove_user(&name(user));
    });
}

fn keys_go(iam: &mut Directory, count: usize) {
    (0..count).for_each(|user| {
        iam.remove_key(&name(user), &id(user, 0));
    });
}

fn members_go(iam: &mut Directory, count: usize) {
    (0..count).for_each(|user| {
        iam.remove_member("g", &name(user));
    });
}

#[test]
fn what_is_just_ordinary_and_what_is_not_any_more() {
    let floor = |floor| vec![("SHRINK_FLOOR", floor)];
    /// Users, keys of each, members of the group, what goes, how much of it, and further settings.
    type Row = (usize, usize, usize, Loss, usize, Vec<(&'static str, &'static str)>);
    let cases: Vec<Row> = vec![
        (50, 1, 0, users_go, 10, vec![]),
        (10, 1, 0, users_go, 4, vec![]),
        (50, 1, 0, users_go, 5, vec![("MAX_SHRINK_USERS", "10"), ("MAX_SHRINK_KEYS", "100")]),
        (50, 1, 0, users_go, 15, vec![("MAX_SHRINK_USERS", "30"), ("MAX_SHRINK_KEYS", "100")]),
        (20, 2, 0, keys_go, 8, vec![]),
        (20, 2, 0, keys_go, 12, vec![("MAX_SHRINK_KEYS", "30")]),
        (20, 2, 0, keys_go, 12, floor("12")),
        (5, 2, 0, keys_go, 4, vec![]),
        (30, 1, 20, members_go, 10, vec![]),
        (30, 1, 6, members_go, 4, vec![]),
        (30, 1, 20, members_go, 12, floor("12")),
        (30, 1, 20, members_go, 18, vec![("MAX_SHRINK_GROUP", "90")]),
        (30, 1, 1, members_go, 0, vec![("MAX_SHRINK_GROUP", "0"), ("SHRINK_FLOOR", "0")]),
    ];
    each(cases, 4, |(users, keys, members, loss, most, settings)| {
        for more in [0, 1] {
            let double = published(users, keys, members);
            double.iam(|iam| loss(iam, most + more));
            let before = documents(&double);
            let ran = run_with(&double, &settings);
            let when = format!("{users} users, {keys} keys, {members} members, {most} + {more}, {settings:?}: {ran:?}");
            if more == 0 {
                assert_eq!(ran.code, 0, "{when}");
                in_sync(&double, &when);
            } else {
                assert_eq!(ran.code, 3, "{when}");
                assert_eq!(documents(&double), before, "{when}");
            }
        }
    });
}

#[test]
fn an_empty_account_is_never_ordinary_however_small_it_was() {
    for users in [1, 3, 30] {
        let double = published(users, 1, 1);
        double.iam(|iam| users_go(iam, users));
        double.remove_group("g");
        let before = documents(&double);
        let ran = run(&double);
        assert!(ran.err.contains("nobody would have a key any more"), "{ran:?}");
        let plan = plan(&ran);
        assert_eq!(documents(&double), before);
        assert_eq!(refused(&double), plan, "and again");
        assert_eq!(confirmed(&double, &plan).code, 0);
        in_sync(&double, "confirmed");
    }
}

#[test]
fn what_gives_and_what_iam_calls_inactive_goes_through_beside_a_refusal_and_so_do_later_revocations() {
    let double = published(20, 2, 10);
    double.iam(|iam| {
        users_go(iam, 6);
        iam.add_member("g", "new").add_key("new", "APKANEW", &key(999), "Active");
        iam.set_key_status(&name(10), &id(10, 0), "Inactive").set_key_status(&name(7), &id(7, 1), "Inactive");
    });
    let plan = refused(&double);
    let after = desired(&double);
    let group = document(&double, "groups/g").unwrap();
    for user in 0..6 {
        let lines = line(&name(user), &key(user * 10)) + &line(&name(user), &key(user * 10 + 1));
        assert_eq!(document(&double, &format!("users/{}", name(user))), Some(lines.clone()), "held back");
        assert!(group.contains(&lines), "{group}");
    }
    assert!(group.contains(&line("new", &key(999))) && !group.contains(&key(71)), "{group}");
    for path in ["users/new", "users/u10", "users/u07"] {
        assert_eq!(
            document(&double, path).map(String::into_bytes).as_ref(),
            after.get(&format!("{path}/authorized_keys"))
        );
    }
    // Ordinary revocations while the refusal stands: a key deleted, a user deleted, a member taken out.
    double.remove_key("u11", &id(11, 1)).remove_user("u12").remove_member("g", "u08");
    assert_eq!(refused(&double), plan, "what is held back is the same");
    assert_eq!(document(&double, "users/u11"), Some(line("u11", &key(110))));
    assert_eq!(document(&double, "users/u12"), None);
    assert!(!document(&double, "groups/g").unwrap().contains("u08"));
    // What is held back and then called Inactive by nobody, but confirmed: only by its own id.
    let before = documents(&double);
    let ran = confirmed(&double, "0123456789abcdef");
    assert_eq!(self::plan(&ran), plan);
    assert_eq!(documents(&double), before);
    let ran = confirmed(&double, &plan);
    assert_eq!(ran.code, 0, "{ran:?}");
    in_sync(&double, "confirmed");
    repaired(&double, "and it stays so");
}

#[test]
fn a_plan_that_changed_meanwhile_is_another_plan() {
    let double = published(20, 1, 0);
    double.iam(|iam| users_go(iam, 6));
    let old = refused(&double);
    // One of them is back after all, and more go than are ordinary.
    double.add_key("u00", "APKABACK", &key(0), "Active");
    double.iam(|iam| {
        (10..16).for_each(|user| {
            iam.remove_user(&name(user));
        });
    });
    let before = documents(&double);
    let ran = confirmed(&double, &old);
    let new = plan(&ran);
    assert_ne!(new, old);
    assert_eq!(documents(&double), before, "{ran:?}");
    assert_eq!(confirmed(&double, &old).code, 3, "still");
    assert_eq!(confirmed(&double, &new).code, 0);
    in_sync(&double, "confirmed");
}

#[test]
fn a_refusal_is_over_when_the_anomaly_is() {
    let double = published(20, 1, 20);
    double.page_cap(10).lose_page(1, 100);
    refused(&double);
    refused(&double);
    double.lose_page(1, 0);
    repaired(&double, "over");
    // What was refused once is judged anew.
    double.iam(|iam| users_go(iam, 6));
    refused(&double);
}

#[test]
fn a_group_emptied_on_purpose_is_confirmed() {
    for members in [2, 12] {
        let double = published(30, 1, members);
        double.iam(|iam| members_go(iam, members));
        let before = documents(&double);
        let plan = refused(&double);
        assert_eq!(documents(&double), before);
        assert_eq!(confirmed(&double, &plan).code, 0);
        in_sync(&double, "confirmed");
        assert_eq!(document(&double, "groups/g").as_deref(), Some(""));
    }
}

#[test]
fn without_its_memory_a_refusal_stands() {
    let double = published(20, 1, 12);
    double.iam(|iam| users_go(iam, 6));
    let plan = refused(&double);
    let before = documents(&double);
    double.remove_object(BUCKET, "iam-ssh/state.json");
    assert_eq!(refused(&double), plan, "lost");
    for garbage in ["", "{", "{\"version\":1}", "{\"version\":2,\"bodies\":{}}", "null", "[]"] {
        double.put_object(BUCKET, "iam-ssh/state.json", garbage);
        assert_eq!(refused(&double), plan, "{garbage}");
    }
    assert_eq!(documents(&double), before);
    assert_eq!(confirmed(&double, &plan).code, 0);
    in_sync(&double, "confirmed");
}

#[test]
fn other_names_and_options_take_nothing_away() {
    let double = published(20, 2, 20);
    double.iam(|iam| {
        (0..20).for_each(|user| {
            iam.rename_user(&name(user), &format!("v{user:02}"));
        });
        iam.rename_group("g", "h");
    });
    repaired(&double, "everybody has another name");
    let ran = run_with(&double, &[("KEY_OPTIONS", "restrict,pty")]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(document(&double, "groups/h").unwrap().lines().all(|line| line.starts_with("restrict,pty,")), "{ran:?}");
    repaired(&double, "and back");
}

#[test]
fn a_narrower_scope_is_a_shrink() {
    let double = published(20, 1, 5);
    let before = documents(&double);
    let ran = run_with(&double, &[("SCOPE", "group:g")]);
    let plan = plan(&ran);
    assert_eq!(documents(&double), before, "{ran:?}");
    assert_eq!(run_with(&double, &[("SCOPE", "group:g"), ("CONFIRM", &plan)]).code, 0);
    assert_eq!((document(&double, "users/u04").is_some(), document(&double, "users/u05")), (true, None));
}

#[test]
fn a_dry_run_shows_what_would_be_held_back_and_the_same_plan() {
    let double = published(20, 1, 12);
    double.iam(|iam| users_go(iam, 6));
    let objects = double.objects(BUCKET);
    let mut command = against(&double.url());
    command.arg("--dry-run");
    let dry = finish(command);
    let shown = plan(&dry);
    assert_eq!(double.objects(BUCKET), objects);
    for user in 0..6 {
        assert!(
            dry.out.contains(&format!("held back users/{} (-1)\n  - {} SHA256:", name(user), name(user))),
            "{dry:?}"
        );
    }
    assert!(dry.out.contains("held back groups/g (-6)\n"), "{dry:?}");
    assert_eq!(refused(&double), shown);
    let mut command = against(&double.url());
    command.args(["--dry-run", "--confirm", &shown]);
    let dry = finish(command);
    assert!(dry.code == 0 && dry.out.contains("delete users/u00\n"), "{dry:?}");
    let ran = confirmed(&double, &shown);
    assert_eq!(ran.code, 0, "{ran:?}");
    in_sync(&double, "confirmed");
}
