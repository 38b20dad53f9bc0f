//! An account as large as AWS allows: everything is there, every key is its own, and a parser takes it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[allow(dead_code, unreachable_pub, missing_docs, reason = "shared: each test uses its part")]
mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::{details, iam, tags};
use iam_ssh_core::{KeyType, PublicKey};
use iam_ssh_doubles::{Double, Match};

#[test]
fn five_thousand_users_with_their_groups_and_keys() {
    let double = Double::start("127.0.0.1:0").unwrap();
    double.populate(5000, 2, 300, 2);
    let (mut users, mut groups, mut marker) = (BTreeMap::new(), BTreeMap::new(), String::new());
    loop {
        let page = details(&double, &format!("&MaxItems=1000{marker}"));
        for (name, list) in tags(&page, "UserName").into_iter().zip(tags(&page, "GroupList")) {
            for group in tags(&list, "member") {
                *groups.entry(group).or_insert(0) += 1;
            }
            users.insert(name, tags(&list, "member").len());
        }
        let Some(next) = tags(&page, "Marker").pop() else { break };
        marker = format!("&Marker={next}");
    }
    assert_eq!((users.len(), groups.len()), (5000, 300));
    assert!(users.values().all(|groups| *groups == 2), "everybody is in two groups");
    assert!(groups.values().all(|members| [33, 34].contains(members)), "of nearly the same size");
    assert_eq!(double.count(&Match::action("GetAccountAuthorizationDetails")), 6, "5,300 entries, 1,000 a page");
    assert_eq!(tags(&iam(&double, "Action=GetGroup&GroupName=group007").body, "UserName").len(), groups["group007"]);

    let (mut ids, mut prints) = (BTreeSet::new(), BTreeSet::new());
    let sample: Vec<&String> = users.keys().step_by(101).collect();
    for user in &sample {
        let keys = iam(&double, &format!("Action=ListSSHPublicKeys&UserName={user}")).body;
        assert_eq!(tags(&keys, "Status"), ["Active", "Active"]);
        for id in tags(&keys, "SSHPublicKeyId") {
            assert!(
                id.len() == 20 && id.starts_with("APKA") && id.bytes().all(|byte| byte.is_ascii_alphanumeric()),
                "{id}"
            );
            let got =
                iam(&double, &format!("Action=GetSSHPublicKey&UserName={user}&SSHPublicKeyId={id}&Encoding=SSH")).body;
            let key = PublicKey::from_openssh(&tags(&got, "SSHPublicKeyBody")[0]).unwrap();
            assert_eq!(key.key_type(), KeyType::Rsa);
            prints.insert(key.fingerprint());
            ids.insert(id);
        }
    }
    assert_eq!((ids.len(), prints.len()), (2 * sample.len(), 2 * sample.len()));
}

#[test]
fn every_run_has_the_same_account() {
    let account = |users| {
        let double = Double::start("127.0.0.1:0").unwrap();
        double.populate(users, 1, 2, 1);
        details(&double, "") + &iam(&double, "Action=ListSSHPublicKeys&UserName=user00001").body
    };
    assert_eq!(account(3), account(3));
    let other = Double::start("127.0.0.1:0").unwrap();
    other.with_account("222222222222", |directory| {
        directory.populate(3, 1, 2, 1);
    });
    assert_ne!(other.with_account("222222222222", |directory| directory.user_id("user00001")), {
        let double = Double::start("127.0.0.1:0").unwrap();
        double.populate(3, 1, 2, 1).user_id("user00001")
    });
}
