//! The property that matters: whatever was in the bucket, after a sync it holds exactly what the directory says, and what is foreign.
//!
//! Where nobody would have a key any more, of two or more people or because there are no users at all, what they lose is held back until
//! that is confirmed; whatever else vanishes is ordinary here.
//!
//! The expected documents are put together here from the specification alone, not with the program's own renderer.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[allow(dead_code, unreachable_pub, missing_docs, reason = "shared: each test uses its part")]
mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::{BUCKET, Ran, against, double, finish, heartbeats, key, line, writes};
use iam_ssh_doubles::Double;
use proptest::prelude::*;

/// A user's groups and keys: the key's number, whether it is active, and the year of its upload, if IAM tells.
type User = (BTreeSet<usize>, BTreeMap<u8, (usize, bool, Option<u32>)>);

/// People, of whom one in six times nobody has a key that is active.
fn users() -> impl Strategy<Value = BTreeMap<String, User>> {
    let keys =
        prop::collection::btree_map(any::<u8>(), (0_usize..4, any::<bool>(), prop::option::of(2020_u32..2023)), 0..4);
    let user = (prop::collection::btree_set(0_usize..4, 0..3), keys);
    let users = prop::collection::btree_map("[A-Cd+=,.@_-]{1,3}", user, 0..9);
    (users, prop::bool::weighted(1.0 / 6.0)).prop_map(|(mut users, asleep): (BTreeMap<String, User>, bool)| {
        for (_, keys) in users.values_mut() {
            keys.values_mut().for_each(|(_, active, _)| *active &= !asleep);
        }
        users
    })
}

/// Objects that were there before: documents of people who may or may not exist, right or wrong, and foreign ones.
fn stored() -> impl Strategy<Value = BTreeMap<String, String>> {
    let path = prop_oneof![
        "(users|groups)/[A-Cd+=,.@_-]{1,3}/authorized_keys",
        "groups/g[0-5]/authorized_keys",
        "(users|roles)/[a /]{0,4}",
    ];
    // Real lines, too: of people who may or may not exist, with keys that may or may not be theirs.
    let text = prop_oneof![
        "[a-z]{0,3}",
        ("[A-Cd+=,.@_-]{1,3}", 0_usize..6)
            .prop_filter("no name", |(owner, _)| !matches!(owner.as_str(), "." | ".."))
            .prop_map(|(owner, number)| line(&owner, &key(number))),
    ];
    prop::collection::btree_map(path, text, 0..9)
}

/// A run for which nothing but the loss of everybody is suspicious.
fn sync(double: &Double, confirm: &str) -> Ran {
    let mut command = against(&double.url());
    for limit in ["MAX_SHRINK_USERS", "MAX_SHRINK_KEYS", "MAX_SHRINK_GROUP"] {
        command.env(limit, "100");
    }
    command.env("CONFIRM", confirm);
    finish(command)
}

fn expected(users: &BTreeMap<String, User>, groups: &BTreeSet<usize>) -> BTreeMap<String, String> {
    let mut texts: BTreeMap<String, String> = BTreeMap::new();
    let mut all_groups: BTreeSet<usize> = groups.clone();
    all_groups.extend(users.values().flat_map(|(groups, _)| groups));
    for group in all_groups {
        texts.insert(format!("groups/g{group}/authorized_keys"), String::new());
    }
    // A public key belongs to who uploaded it first; who has no date comes last; then the name decides.
    let mut owners: BTreeMap<usize, (u32, &str)> = BTreeMap::new();
    for (name, (_, keys)) in published(users) {
        for (number, _, year) in keys.values().filter(|(_, active, _)| *active) {
            let claim = (year.unwrap_or(u32::MAX), name.as_str());
            owners.entry(*number).and_modify(|first| *first = claim.min(*first)).or_insert(claim);
        }
    }
    for (name, (groups, keys)) in published(users) {
        let mut lines: Vec<String> = Vec::new();
        let own = keys.values().filter(|(number, active, _)| *active && owners[number].1 == name.as_str());
        for number in own.map(|(number, _, _)| *number) {
            let line = line(name, &key(number));
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
        let text = lines.concat();
        for group in groups {
            texts.get_mut(&format!("groups/g{group}/authorized_keys")).unwrap().push_str(&text);
        }
        texts.insert(format!("users/{name}/authorized_keys"), text);
    }
    texts
}

fn published(users: &BTreeMap<String, User>) -> impl Iterator<Item = (&String, &User)> {
    users.iter().filter(|(name, _)| !matches!(name.as_str(), "." | ".."))
}

/// The documents with lines that are held back before it is confirmed that nobody has a key any more; empty where that is no question.
fn held_back(users: &BTreeMap<String, User>, stored: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    if published(users).any(|(_, (_, keys))| keys.values().any(|(_, active, _)| *active)) {
        return BTreeMap::new();
    }
    // A line's owner and key. What IAM says is not active is nothing that vanished.
    let lost = |text: &String| {
        let parts: Vec<&str> = text.split_whitespace().collect();
        let [_, _, body, owner] = parts[..] else { return None };
        let is_inactive = |(number, _, _): &(usize, bool, Option<u32>)| key(*number).contains(body);
        let is_revoked = users.get(owner).is_some_and(|(_, keys)| keys.values().any(is_inactive));
        (!is_revoked).then(|| (owner.to_owned(), body.to_owned()))
    };
    let losses: BTreeMap<&String, (String, String)> = stored
        .iter()
        .filter(|(path, _)| is_document(path))
        .filter_map(|(path, text)| Some((path, lost(text)?)))
        .collect();
    let losers = losses.keys().filter(|path| path.starts_with("users/")).count();
    if losers == 0 || (losers == 1 && published(users).next().is_some()) {
        return BTreeMap::new();
    }
    // A group's line stays with whose own document keeps the same key.
    let stays = |path: &str, (owner, body): &(String, String)| {
        let own = format!("users/{owner}/authorized_keys");
        path.starts_with("users/") || losses.get(&own).is_some_and(|(_, kept)| kept == body)
    };
    let held = losses.iter().filter(|(path, loss)| stays(path, loss));
    held.map(|(path, _)| ((*path).clone(), stored[*path].clone())).collect()
}

fn is_document(key: &str) -> bool {
    let parts: Vec<&str> = key.split('/').collect();
    matches!(parts[..], ["users" | "groups", name, "authorized_keys"]
        if !matches!(name, "" | "." | "..") && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_+=,.@-".contains(&b)))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, max_shrink_iters: 60, ..ProptestConfig::default() })]
    #[test]
    fn after_any_sync_the_bucket_says_what_the_directory_says(
        users in users(), groups in prop::collection::btree_set(0_usize..4, 0..3), stored in stored(),
        cap in 1_usize..5, opaque: bool,
    ) {
        let double = double();
        double.page_cap(cap).list_cap(cap);
        if opaque {
            double.opaque_etags(BUCKET);
        }
        for group in &groups {
            double.add_group(&format!("g{group}"));
        }
        for (owner, (name, (groups, keys))) in users.iter().enumerate() {
            double.add_user(name);
            for group in groups {
                double.add_member(&format!("g{group}"), name);
            }
            for (id, (number, active, year)) in keys {
                // No two keys in an account have the same id.
                let id = format!("APKA{id:03}{owner}");
                double.add_key(name, &id, &key(*number), if *active { "Active" } else { "Inactive" });
                let date = year.map(|year| format!("{year}-06-30T12:00:00Z"));
                double.set_key_date(name, &id, date.as_deref());
            }
        }
        for (path, text) in &stored {
            double.put_object(BUCKET, path, text.as_str());
        }
        let mut expected = expected(&users, &groups);
        expected.extend(stored.iter().filter(|(path, _)| !is_document(path)).map(|(path, text)| (path.clone(), text.clone())));
        // All that is there: but what the sync keeps for itself, which must be there, and nothing else of it.
        let found = |own: &[&str]| -> BTreeMap<String, String> {
            let mut objects = double.objects(BUCKET);
            for name in own {
                assert!(objects.remove(&format!("iam-ssh/{name}.json")).is_some(), "{name}");
            }
            objects.into_iter().map(|(path, body)| (path, String::from_utf8(body).unwrap())).collect()
        };
        let mut ran = sync(&double, "");
        let held = held_back(&users, &stored);
        if !held.is_empty() {
            prop_assert_eq!(ran.code, 3, "{:?}", ran);
            prop_assert_eq!(heartbeats(&double), 0);
            let mut kept = expected.clone();
            kept.extend(held);
            prop_assert_eq!(found(&["state"]), kept);
            let (_, plan) = ran.err.split_once("--confirm ").unwrap();
            ran = sync(&double, plan.split(' ').next().unwrap());
        }
        prop_assert_eq!(ran.code, 0, "{:?}", ran);
        prop_assert_eq!(found(&["state", "heartbeat"]), expected.clone());
        double.clear_requests();
        prop_assert_eq!(sync(&double, "").code, 0);
        prop_assert_eq!(writes(&double), Vec::<String>::new());
        prop_assert_eq!(found(&["state", "heartbeat"]), expected);
    }
}
