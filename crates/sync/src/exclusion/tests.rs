//! Who is excluded, and what the report says about it.

use std::collections::BTreeMap;

use super::{Rules, Verdicts};
use crate::account::{Account, Group, Policies, User};

const DENY: &str = r#"{"Statement":{"Effect":"Deny","Action":"*","Resource":"*"}}"#;
const ALLOW: &str =
    "%7B%22Statement%22%3A%7B%22Effect%22%3A%22Allow%22%2C%22Action%22%3A%22*%22%2C%22Resource%22%3A%22*%22%7D%7D";
const OWN: &str = "arn:aws:iam::123456789012:policy/";

fn own(name: &str) -> String {
    format!("{OWN}{name}")
}

fn account() -> Account {
    let group = |name: &str, attached: &[&str], inline: &[(&str, &str)]| Group {
        name: name.to_owned(),
        policies: Policies {
            attached: attached.iter().map(|arn| (*arn).to_owned()).collect(),
            inline: inline.iter().map(|(name, document)| ((*name).to_owned(), (*document).to_owned())).collect(),
            boundary: None,
        },
    };
    let groups = [
        group("Devs", &["arn:aws:iam::aws:policy/ReadOnlyAccess"], &[("more", ALLOW)]),
        group("Gone-Inline", &[], &[("a", ALLOW), ("off", DENY)]),
        group("Gone-Own", &[&own("eu/Off")], &[]),
        group("Gone-AWS", &["arn:aws-cn:iam::aws:policy/AWSDenyAll"], &[]),
        group("Quarantine", &["arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV2"], &[]),
    ];
    Account {
        groups: groups.into_iter().enumerate().map(|(n, group)| (format!("AGPA{n}"), group)).collect(),
        policies: BTreeMap::from([(own("eu/Off"), DENY.to_owned()), (own("On"), ALLOW.to_owned())]),
        ..Account::default()
    }
}

/// A user from words: `+group`, `key=value` for a tag, `attached:<arn>`, `inline:<name>` that denies everything,
/// `boundary:<arn>`.
fn user(words: &[&str]) -> User {
    let mut user = User { name: "john".to_owned(), path: "/".to_owned(), ..User::default() };
    for word in words {
        if let Some(group) = word.strip_prefix('+') {
            user.groups.insert(group.to_owned());
        } else if let Some(arn) = word.strip_prefix("attached:") {
            user.policies.attached.insert(arn.to_owned());
        } else if let Some(name) = word.strip_prefix("inline:") {
            user.policies.inline.insert(name.to_owned(), DENY.to_owned());
        } else if let Some(arn) = word.strip_prefix("boundary:") {
            user.policies.boundary = Some(arn.to_owned());
        } else {
            let (key, value) = word.split_once('=').unwrap();
            user.tags.insert(key.to_owned(), value.to_owned());
        }
    }
    user
}

fn reason(rules: &str, words: &[&str]) -> Option<String> {
    let verdicts = Verdicts::of(&account());
    let remembered: Verdicts = serde_json::from_str(&serde_json::to_string(&verdicts).unwrap()).unwrap();
    assert_eq!(remembered, verdicts);
    Rules::parse(rules).unwrap().reason(&user(words), &remembered).map(|reason| reason.to_string())
}

#[test]
fn by_default_it_is_who_may_do_nothing_or_is_quarantined() {
    let (off, on) = (own("eu/Off"), own("On"));
    for (words, why) in [
        (
            vec!["attached:arn:aws:iam::aws:policy/AWSDenyAll"],
            "policy `AWSDenyAll` is attached, which denies everything",
        ),
        (vec!["attached:arn:aws-us-gov:iam::aws:policy/AWSDenyAll"], "policy `AWSDenyAll` is attached"),
        (vec![&*format!("attached:{off}")], "policy `Off` is attached"),
        (vec!["inline:x"], "its inline policy `x` denies everything"),
        (vec!["inline:x\n\u{1b}y"], "its inline policy `x\\x0a\\x1by` denies everything"),
        (vec![&*format!("boundary:{off}")], "its permissions boundary `Off` denies everything"),
        (
            vec!["+gone-inLINE"],
            "group `gone-inLINE`, of which it is a member, has inline policy `off`, which denies everything",
        ),
        (vec!["+Devs", "+Gone-Own"], "group `Gone-Own`, of which it is a member, has policy `Off`"),
        (vec!["+Gone-AWS"], "group `Gone-AWS`, of which it is a member, has policy `AWSDenyAll`"),
        (
            vec!["attached:arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV3"],
            "AWS quarantined it (AWSCompromisedKeyQuarantineV3): its access keys leaked",
        ),
        (vec!["attached:arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantine"], "AWS quarantined it"),
        (
            vec!["+Quarantine"],
            "group `Quarantine`, of which it is a member, has policy `AWSCompromisedKeyQuarantineV2`",
        ),
    ] {
        for rules in ["", "deny-all;quarantine"] {
            assert!(
                reason(rules, &words).is_some_and(|found| found.starts_with(why)),
                "{words:?}: {:?}",
                reason(rules, &words)
            );
        }
        assert_eq!(reason("none", &words), None, "{words:?}");
    }
    for words in [
        vec![],
        vec!["+Devs", "+Unknown", "ssh=off"],
        vec![&*format!("attached:{on}")],
        vec![&*format!("boundary:{on}")],
        vec!["attached:arn:aws:iam::123456789012:policy/AWSDenyAll"],
        vec!["attached:arn:aws:iam::123456789012:policy/AWSCompromisedKeyQuarantineV9"],
        vec!["attached:arn:aws:iam::aws:policy/ReadOnlyAccess"],
    ] {
        assert_eq!(reason("", &words), None, "{words:?}");
    }
}

#[test]
fn other_rules_are_as_they_are_written() {
    let on = own("On");
    for (rules, words, why) in [
        ("group:Leavers", vec!["+leavers"], "it is in the deny group `leavers`"),
        ("tag:SSH", vec!["ssh=anything"], "it carries the tag `SSH`"),
        ("tag:ssh=off", vec!["ssh=off"], "it carries the tag `ssh=off`"),
        ("policy:on", vec![&*format!("attached:{on}")], "it has policy `On`"),
        (&*format!("policy:{on}"), vec![&*format!("boundary:{on}")], "it has policy `On`"),
        ("policy:Emergency", vec!["inline:emergency"], "it has policy `emergency`"),
        ("policy:more", vec!["+DEVS"], "group `DEVS`, of which it is a member, has policy `more`"),
        ("group:a", vec!["+a", "inline:x"], "it is in the deny group `a`"),
        ("tag:x;\n deny-all;", vec!["inline:x", "x=1"], "it carries the tag `x`"),
    ] {
        assert_eq!(reason(rules, &words).as_deref(), Some(why), "{rules}: {words:?}");
    }
    for (rules, words) in [
        ("group:Leavers", vec!["+Leavers2", "inline:x"]),
        ("tag:ssh=off", vec!["ssh=OFF"]),
        ("tag:ssh=", vec!["ssh=off"]),
        ("policy:arn:aws:iam::123456789012:policy/eu/On", vec![&*format!("attached:{on}")]),
        ("deny-all", vec!["+Quarantine"]),
        ("quarantine", vec!["inline:x"]),
    ] {
        assert_eq!(reason(rules, &words), None, "{rules}: {words:?}");
    }
}

#[test]
fn a_bad_rule_is_quoted_and_the_forms_are_told() {
    for bad in [
        "off",
        "Deny-All",
        "none;deny-all",
        "deny-all;none",
        "group:",
        "tag:",
        "policy:",
        "policy:a b",
        "policy:\u{1b}",
        "policy:arn:aws:iam::1:policy/",
    ] {
        let why = Rules::parse(bad).unwrap_err();
        assert!(why.contains("group:<name>") && why.is_ascii() && !why.contains('\u{1b}'), "{bad}: {why}");
    }
    assert_eq!(Rules::parse(" ;\n").unwrap(), Rules::default());
    assert_ne!(Rules::parse("none").unwrap(), Rules::default());
}
