//! Keys from users' tags: published with all that their tags ask for or not at all, and withdrawn when their time is up.
//!
//! The lines are written out here by hand, as sshd must read them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[allow(dead_code, unreachable_pub, missing_docs, reason = "shared: each test uses its part")]
mod common;

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use common::{BUCKET, ED25519, RSA, Ran, against, document, double, finish, key, line, synced};
use iam_ssh_doubles::{Double, Match, Service};

/// A key that lives in a security key.
const SK: &str = "sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29t\
                  AAAAIJF3EePtd3K93qOwgP81+TFFFNIHPEL6Y9s3b7VeRfmlAAAABHNzaDo=";
const ECDSA: &str = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBF0tilJR8rYI6jcTBqg514faKGRS\
                     MRxsws/3Fxn2lfEKDCVKsBhYS+IlkgeIJuC/SfxA/pXFolqaE+FFIFQi6XE=";

fn run(double: &Double, variables: &[(&str, &str)]) -> Ran {
    let mut command = against(&double.url());
    command.env("KEY_SOURCES", "tags").envs(variables.iter().copied());
    finish(command)
}

/// A run with these settings that must succeed, and what it warned of.
fn told(double: &Double, variables: &[(&str, &str)]) -> String {
    let ran = run(double, variables);
    assert_eq!(ran.code, 0, "{ran:?}");
    ran.err
}

#[test]
fn a_keys_tags_end_up_in_its_line() {
    let double = double();
    double.add_member("staff", "ann").add_key("ann", "APKA1", RSA, "Active");
    double.tag_user("ann", "iam-ssh/key/a-plain", &format!("{ECDSA} ann's laptop")).tag_user("ann", "Team", "web");
    double.tag_user("ann", "IAM-SSH/Key/Stick", SK).tag_user("ann", "iam-ssh/expires/stick", "2099-01-31");
    double.tag_user("ann", "iam-ssh/from/STICK", "10.0.0.0/8 2001:db8::/32");
    double.tag_user("ann", "iam-ssh/options/stick", "restrict verify-required");
    let stick = format!(
        "restrict,verify-required,from=\"10.0.0.0/8,2001:db8::/32\",expiry-time=\"20990131000000Z\",{}",
        line("ann", SK)
    );
    assert_eq!(told(&double, &[]), "");
    assert_eq!(document(&double, "users/ann").unwrap(), line("ann", ECDSA) + &stick);
    assert_eq!(document(&double, "groups/staff").unwrap(), line("ann", ECDSA) + &stick);
    assert_eq!(double.count(&Match::service(Service::Iam)), 1, "IAM's own keys are not asked for");
    // Both sources; then tags under another prefix; then IAM alone, as without the setting.
    assert_eq!(told(&double, &[("KEY_SOURCES", "iam; tags")]), "");
    assert_eq!(document(&double, "users/ann").unwrap(), line("ann", RSA) + &line("ann", ECDSA) + &stick);
    double.tag_user("ann", "company:ssh/key/x", ED25519);
    assert_eq!(told(&double, &[("TAG_PREFIX", "company:ssh")]), "");
    assert_eq!(document(&double, "users/ann").unwrap(), line("ann", ED25519));
    synced(&double);
    assert_eq!(document(&double, "users/ann").unwrap(), line("ann", RSA));
}

#[test]
fn key_options_and_tags_bind_together() {
    let double = double();
    double.tag_user("ann", "iam-ssh/key/x", ED25519).tag_user("ann", "iam-ssh/from/x", "10.1.0.0/16");
    double.tag_user("ann", "iam-ssh/options/x", "no-pty");
    let every = ("KEY_OPTIONS", "restrict,pty,port-forwarding,from=\"10.0.0.0/8\"");
    assert_eq!(told(&double, &[every]), "");
    let expected = format!("restrict,port-forwarding,from=\"10.1.0.0/16\",no-pty,{}", line("ann", ED25519));
    assert_eq!(document(&double, "users/ann").unwrap(), expected);
    double.tag_user("ann", "iam-ssh/from/x", "192.0.2.0/24");
    assert!(told(&double, &[every]).contains("does not lie within"));
    assert_eq!(document(&double, "users/ann").unwrap(), "");
}

#[test]
fn what_cannot_be_understood_costs_the_key_alone() {
    for (tag, value, why) in [
        ("iam-ssh/expires/bad", "tomorrow", "expires is `tomorrow`"),
        ("iam-ssh/expires/bad", "2099-02-30", "expires is `2099-02-30`"),
        ("iam-ssh/expires/bad", "", "expires is ``"),
        ("iam-ssh/from/bad", "10.0.0.0/33", "from is `10.0.0.0/33`"),
        ("iam-ssh/from/bad", "", "from is ``"),
        ("iam-ssh/from/bad", "10.1.2.3/8", "from is `10.1.2.3/8`"),
        ("iam-ssh/options/bad", "restrict pty", "option `pty` cannot be chosen in a tag"),
        ("iam-ssh/options/bad", "command=\"x\"", "cannot be chosen in a tag"),
        ("iam-ssh/note/bad", "mine", "tag `iam-ssh/note/bad` is none that is known"),
        ("iam-ssh/key/bad", RSA, "ssh-rsa keys are not read from tags"),
        ("iam-ssh/key/bad", "garbage", ""),
        ("iam-ssh/key/bad", "", ""),
    ] {
        let double = double();
        double.tag_user("ann", "iam-ssh/key/good", &key(1)).tag_user("ann", "iam-ssh/options/good", "restrict");
        double.tag_user("ann", "iam-ssh/key/bad", &key(2)).tag_user("ann", tag, value).add_member("staff", "ann");
        let told = told(&double, &[]);
        assert!(
            told.starts_with("warning: key in tag `bad` of user `ann` is not published: "),
            "{tag}={value}: {told}"
        );
        assert!(told.contains(why) && told.lines().count() == 1, "{tag}={value}: {told}");
        let good = format!("restrict,{}", line("ann", &key(1)));
        assert_eq!(document(&double, "users/ann").unwrap(), good, "{tag}={value}");
        assert_eq!(document(&double, "groups/staff").unwrap(), good, "{tag}={value}");
    }
}

#[test]
fn a_key_that_becomes_bad_or_expires_is_withdrawn_and_expiry_is_never_suspicious() {
    let double = double();
    let users: Vec<String> = (0..10).map(|number| format!("u{number}")).collect();
    for (number, user) in users.iter().enumerate() {
        double.tag_user(user, "iam-ssh/key/x", &key(number)).add_member("staff", user);
    }
    assert_eq!(told(&double, &[]), "");
    assert_eq!(document(&double, "groups/staff").unwrap().lines().count(), 10);
    double.tag_user("u0", "iam-ssh/options/x", "none");
    assert_eq!(told(&double, &[]).lines().count(), 1);
    assert_eq!(document(&double, "users/u0").unwrap(), "");
    for user in &users[1..] {
        double.tag_user(user, "iam-ssh/expires/x", "2026-01-01T00:00:00Z");
    }
    assert_eq!(told(&double, &[]).lines().count(), 1, "all at once, and nothing is held back");
    for user in &users {
        assert_eq!(document(&double, &format!("users/{user}")).unwrap(), "", "{user}");
    }
    assert_eq!(document(&double, "groups/staff").unwrap(), "");
}

#[test]
fn a_key_in_two_users_tags_stays_with_whom_it_was_seen_first() {
    let double = double();
    double.tag_user("bob", "iam-ssh/key/x", ED25519);
    assert_eq!(told(&double, &[]), "");
    // A key in a tag has no date but that of the first run that saw it, in whole seconds: until the next one.
    let (seen, begun) = (SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs(), Instant::now());
    while SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() <= seen {
        assert!(begun.elapsed() < Duration::from_secs(5), "the clock stands still");
        std::thread::sleep(Duration::from_millis(20));
    }
    double.tag_user("ann", "iam-ssh/key/x", ED25519);
    assert!(told(&double, &[]).contains("key `tag x` of user `ann` is not published: user `bob` holds the same"));
    assert_eq!(document(&double, "users/bob").unwrap(), line("bob", ED25519));
    assert_eq!(document(&double, "users/ann").unwrap(), "");
}

#[test]
fn keys_from_tags_alone_need_a_handful_of_calls() {
    let double = double();
    double.page_cap(50).iam(|iam| {
        for number in 0..300 {
            let user = format!("u{number:03}");
            iam.tag_user(&user, "iam-ssh/key/x", &key(number)).add_member(&format!("g{}", number % 30), &user);
            iam.add_key(&user, &format!("APKA{number}"), &key(1000 + number), "Active");
        }
    });
    assert_eq!(told(&double, &[]), "");
    assert_eq!(document(&double, "groups/g7").unwrap().lines().count(), 10);
    let calls = double.requests().iter().filter(|request| request.service == Service::Iam).count();
    assert_eq!((calls, double.objects(BUCKET).len()), (7, 332), "330 entries, 50 a page; and nothing else is asked");
}

#[test]
fn what_one_tag_of_a_key_asks_for_counts_wherever_the_key_stands() {
    let double = double();
    double.add_key("ann", "APKA1", RSA, "Active").add_key("ann", "APKA2", &key(2), "Active");
    let second = key(2);
    let both = [("KEY_SOURCES", "iam;tags")];
    double.tag_user("ann", "iam-ssh/key/x", &second).tag_user("ann", "iam-ssh/options/x", "restrict");
    double.tag_user("ann", "iam-ssh/key/y", &second).tag_user("ann", "iam-ssh/from/y", "10.0.0.0/8");
    assert_eq!(told(&double, &both), "");
    let line_of = |options: &str| line("ann", RSA) + options + &line("ann", &second);
    assert_eq!(document(&double, "users/ann").unwrap(), line_of("restrict,from=\"10.0.0.0/8\","));
    double.tag_user("ann", "iam-ssh/expires/y", "2020-01-01");
    assert_eq!(told(&double, &both), "");
    assert_eq!(
        document(&double, "users/ann").unwrap(),
        line("ann", RSA),
        "its time is up, in IAM and in the other tag, too"
    );
}

#[test]
fn a_key_that_one_of_its_tags_refuses_is_refused_wherever_it_stands() {
    let inside = [("KEY_SOURCES", "iam;tags"), ("KEY_OPTIONS", "from=\"10.0.0.0/8\"")];
    for (tag, value) in [("from", "192.0.2.0/24"), ("expires", "tomorrow"), ("options", "pty"), ("note", "mine")] {
        for (with, without) in [("a", "b"), ("b", "a")] {
            let double = double();
            let second = key(2);
            double.add_key("ann", "APKA1", RSA, "Active").add_key("ann", "APKA2", &second, "Active");
            double.tag_user("ann", &format!("iam-ssh/key/{with}"), &second);
            double.tag_user("ann", &format!("iam-ssh/{tag}/{with}"), value);
            double.tag_user("ann", &format!("iam-ssh/key/{without}"), &second);
            assert!(told(&double, &inside).contains("is not published"), "{tag}={value}");
            let good = format!("from=\"10.0.0.0/8\",{}", line("ann", RSA));
            assert_eq!(document(&double, "users/ann").unwrap(), good, "{tag}={value} at {with}");
        }
    }
}
