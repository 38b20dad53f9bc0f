//! Whose keys are published: those of whom SCOPE names, with names compared as IAM does, and nobody's for who had the name before.
//!
//! A group's document must hold only lines of those in scope, and what is out of scope must cost no call.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[allow(dead_code, unreachable_pub, missing_docs, reason = "shared: each test uses its part")]
mod common;

use common::{BUCKET, Ran, against, document, documents, double, finish, heartbeats, key, line, sync, synced, writes};
use iam_ssh_doubles::{Double, Fault, Match, Service};

/// A run with this scope.
fn scoped(double: &Double, scope: &str) -> Ran {
    let mut command = against(&double.url());
    command.env("SCOPE", scope);
    finish(command)
}

/// Who has a document, in order; and those whose lines are in the document of the group `all`, where everybody is.
fn published(double: &Double) -> (Vec<String>, Vec<String>) {
    let documents = documents(double);
    let users = documents.keys().filter_map(|key| key.strip_prefix("users/")?.strip_suffix("/authorized_keys"));
    let group = document(double, "groups/all").unwrap();
    let owner = |line: &str| line.rsplit(' ').next().unwrap().to_owned();
    (users.map(str::to_owned).collect(), group.lines().map(owner).collect())
}

/// Five users with a key each: an operator, a developer, a tagged one, one with another value, and one with nothing.
fn account() -> Double {
    let double = double();
    for (number, user) in ["ann", "bob", "cyd", "dan", "eve"].into_iter().enumerate() {
        double.add_key(user, &format!("APKA{number}"), &key(number), "Active").add_member("all", user);
    }
    double.add_member("Ops", "ann").add_member("Ops2", "eve");
    double.set_user_path("bob", "/dev/eu/").set_user_path("eve", "/Dev/eu/");
    double.tag_user("cyd", "Team", "web").tag_user("dan", "team", "Web");
    double
}

#[test]
fn only_those_in_scope_are_published_and_asked_for() {
    for (scope, expected) in [
        ("group:ops", &["ann"][..]),
        ("path:/dev/", &["bob"]),
        ("path:/dev/eu/", &["bob"]),
        ("path:/", &["ann", "bob", "cyd", "dan", "eve"]),
        ("tag:TEAM", &["cyd", "dan"]),
        ("tag:tEAM=web", &["cyd"]),
        (" group:OPS ;\npath:/dev/;tag:team=Web;", &["ann", "bob", "dan"]),
        ("group:all", &["ann", "bob", "cyd", "dan", "eve"]),
        ("", &["ann", "bob", "cyd", "dan", "eve"]),
    ] {
        let double = account();
        let ran = scoped(&double, scope);
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{scope}: {ran:?}");
        let expected: Vec<String> = expected.iter().map(|user| (*user).to_owned()).collect();
        assert_eq!(published(&double), (expected.clone(), expected.clone()), "{scope}");
        let groups = ["groups/all", "groups/Ops", "groups/Ops2"].map(|group| document(&double, group));
        assert!(groups.iter().all(Option::is_some), "{scope}: a group without anybody in scope has an empty document");
        assert_eq!(double.count(&Match::service(Service::Iam)), 1 + 2 * expected.len(), "{scope}: calls");
    }
}

#[test]
fn who_leaves_the_scope_is_withdrawn_and_who_comes_is_published() {
    let double = account();
    assert_eq!(scoped(&double, "tag:team").code, 0);
    double.untag_user("cyd", "TEAM").tag_user("eve", "team", "");
    let ran = scoped(&double, "tag:team");
    assert_eq!((ran.code, ran.summary()), (0, "3 put, 1 deleted, 2 kept"), "{ran:?}");
    assert_eq!(published(&double).0, ["dan", "eve"]);
    assert_eq!(published(&double).1, ["dan", "eve"]);
    assert_eq!(document(&double, "groups/Ops2").unwrap(), line("eve", &key(4)));
    assert_eq!(scoped(&double, "").code, 0);
    assert_eq!(published(&double).0.len(), 5);
}

#[test]
fn a_scope_that_fits_nobody_takes_nobodys_keys_away() {
    let double = account();
    synced(&double);
    let (before, beats) = (documents(&double), heartbeats(&double));
    for scope in ["group:opps", "path:/prod/", "tag:ssh"] {
        let ran = scoped(&double, scope);
        assert_eq!(ran.code, 3, "{scope}: {ran:?}");
        assert_eq!((documents(&double), heartbeats(&double)), (before.clone(), beats), "{scope}");
    }
    double.clear_requests();
    assert_eq!(synced(&double).summary(), "0 put, 0 deleted, 8 kept");
}

#[test]
fn somebody_new_with_an_old_name_gets_nothing_of_the_old_ones() {
    let double = double();
    double.add_key("ann", "APKA1", &key(1), "Active").add_member("staff", "ann").tag_user("ann", "ssh", "");
    double.add_key("bob", "APKA2", &key(2), "Active").add_member("staff", "bob");
    synced(&double);
    let recreate = || {
        double.iam(|iam| {
            iam.remove_user("ann").add_user("ann");
        });
    };
    recreate();
    synced(&double);
    assert_eq!(document(&double, "users/ann").unwrap(), "");
    assert_eq!(document(&double, "groups/staff").unwrap(), line("bob", &key(2)));
}

#[test]
fn somebody_new_gets_nothing_of_what_an_unfinished_reading_listed_of_the_old_one() {
    let double = double();
    let users: Vec<String> = (0..10).map(|number| format!("u{number}")).collect();
    for (number, user) in users.iter().enumerate() {
        double.add_key(user, &format!("APKA{number}"), &key(number), "Active").add_member("staff", user);
    }
    let mut command = against(&double.url());
    command.env("IAM_MAX_RATE", "4").env("TIME_BUDGET", "2");
    let ran = finish(command);
    assert_eq!((ran.code, documents(&double).len()), (1, 0), "{ran:?}");
    let memory: serde_json::Value =
        serde_json::from_slice(&double.object(BUCKET, "iam-ssh/state.json").unwrap()).unwrap();
    assert!(memory["pass"].as_object().is_some_and(|pass| !pass.is_empty()), "some were listed: {memory}");
    double.clear_requests().iam(|iam| {
        for user in &users {
            iam.remove_user(user).add_user(user);
        }
    });
    synced(&double);
    assert_eq!(double.count(&Match::action("ListSSHPublicKeys")), 10, "the new ones' keys are asked for");
    assert_eq!((documents(&double).len(), documents(&double).values().all(Vec::is_empty)), (11, true));
}

#[test]
fn a_renamed_user_is_published_under_the_new_name_alone_also_where_only_the_case_is_new() {
    let double = double();
    double.add_key("Ann", "APKA1", &key(1), "Active").add_member("staff", "Ann").add_user("bob");
    synced(&double);
    for (old, new) in [("Ann", "ann"), ("ann", "zoe")] {
        double.rename_user(old, new).clear_requests();
        let ran = synced(&double);
        assert_eq!(ran.summary(), "2 put, 1 deleted, 1 kept", "{ran:?}");
        assert_eq!(published_as(&double, "staff"), line(new, &key(1)));
        assert_eq!((document(&double, &format!("users/{old}")), writes(&double).len()), (None, 3));
        assert_eq!(double.count(&Match::action("GetSSHPublicKey")), 0, "the same keys");
    }
}

/// The document of a group, which must be that of its one member, too.
fn published_as(double: &Double, group: &str) -> String {
    let text = document(double, &format!("groups/{group}")).unwrap();
    let owner = text.trim_end().rsplit(' ').next().unwrap();
    assert_eq!(document(double, &format!("users/{owner}")).unwrap(), text);
    text
}

/// GetAccountAuthorizationDetails with these users, by id, name and groups, and the group `Admins`.
fn told(users: &[(&str, &str, &str)]) -> Fault {
    let entity = |kind: &str, id: &str, name: &str| {
        format!(
            "<Path>/</Path><{kind}Name>{name}</{kind}Name><{kind}Id>{id}</{kind}Id>\
             <Arn>arn:aws:iam::123456789012:{}/{name}</Arn><CreateDate>2026-01-01T00:00:00Z</CreateDate>",
            kind.to_ascii_lowercase()
        )
    };
    let user = |(id, name, group): &(&str, &str, &str)| {
        let entity = entity("User", id, name);
        format!("<member>{entity}<GroupList><member>{group}</member></GroupList><AttachedManagedPolicies/></member>")
    };
    let users: String = users.iter().map(user).collect();
    let group = entity("Group", "AGPAADMINS", "Admins");
    Fault::Body(format!(
        "<GetAccountAuthorizationDetailsResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\">\
         <GetAccountAuthorizationDetailsResult><IsTruncated>false</IsTruncated><UserDetailList>{users}</UserDetailList>\
         <GroupDetailList><member>{group}<GroupPolicyList/></member></GroupDetailList><RoleDetailList/><Policies/>\
         </GetAccountAuthorizationDetailsResult></GetAccountAuthorizationDetailsResponse>"
    ))
}

#[test]
fn names_are_compared_as_iam_does() {
    let double = double();
    double.add_key("ann", "APKA1", &key(1), "Active");
    let details = Match::action("GetAccountAuthorizationDetails");
    double.fault(details.clone(), told(&[("AIDAANN", "ann", "ADMINS")]));
    assert_eq!(scoped(&double, "group:admins").summary(), "2 put, 0 deleted, 0 kept");
    let expected = ["groups/Admins/authorized_keys", "users/ann/authorized_keys"];
    assert_eq!(documents(&double).into_keys().collect::<Vec<_>>(), expected, "one group, as IAM writes it");
    assert_eq!(published_as(&double, "Admins"), line("ann", &key(1)));
    // Two users with one name to IAM, or one user with two names, cannot be: such a reading is none.
    for users in [
        [("AIDAANN", "ann", "Admins"), ("AIDAANN2", "Ann", "Admins")],
        [("AIDAANN", "ann", "Admins"), ("AIDAANN", "bob", "Admins")],
    ] {
        let before = double.objects(BUCKET);
        double.clear_faults().clear_requests().fault(details.clone(), told(&users));
        let ran = sync(&double);
        assert!(ran.code == 1 && ran.err.starts_with("error: nothing was changed: iam:GetAccount"), "{ran:?}");
        assert!(double.count(&details) > 1, "it is read anew");
        assert_eq!(double.objects(BUCKET), before);
    }
}
