//! Keys from tags: what counts, what is refused with what it asked for, and when it ends.

use std::collections::BTreeMap;

use iam_ssh_core::{KeyLine, KeyOption, Name};
use proptest::prelude::*;

use super::{TagKeys, is_prefix, read};

const ED25519: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJF3EePtd3K93qOwgP81+TFFFNIHPEL6Y9s3b7VeRfml";
/// 2027-01-01T00:00:00Z
const NOW: i64 = 1_798_761_600;

fn found(tags: &[(&str, &str)]) -> TagKeys {
    let tags = tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    read(&tags, "iam-ssh", NOW)
}

fn options(keys: &[super::TagKey]) -> Vec<(&str, String)> {
    let joined = |options: &[KeyOption]| options.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    keys.iter().map(|key| (key.label.as_str(), joined(&key.options))).collect()
}

fn refused(tags: &[(&str, &str)]) -> Vec<String> {
    let found = found(tags);
    assert!(found.keys.is_empty() && found.expired.is_empty(), "{found:?}");
    found.refused.iter().map(|(label, why)| format!("{label}: {why}")).collect()
}

#[test]
fn a_key_carries_what_its_siblings_say() {
    let found = found(&[
        ("Team", "iam-ssh/key/x"),
        ("iam-ssh", ED25519),
        ("iam-ssh/enabled", "yes"),
        ("iam-ssh2/key/x", ED25519),
        ("IAM-SSH/KEY/Laptop", &format!(" {ED25519} john@laptop ")),
        ("iam-ssh/Expires/laptop", "2027-01-31"),
        ("iam-ssh/from/LAPTOP", "10.0.0.0/8  2001:db8::/32 host.example"),
        ("iam-ssh/options/laptop", "no-x11-forwarding RESTRICT verify-required"),
        ("iam-ssh/key/a/b c", ED25519),
        ("iam-ssh/options/a/b c", ""),
    ]);
    assert_eq!(found.refused, []);
    assert_eq!(found.expired, []);
    assert_eq!(
        options(&found.keys),
        [
            ("a/b c", String::new()),
            (
                "Laptop",
                "no-X11-forwarding,restrict,verify-required,from=\"10.0.0.0/8,2001:db8::/32,host.example\",\
                 expiry-time=\"20270131000000Z\""
                    .to_owned()
            )
        ]
    );
    assert!(found.keys.iter().all(|key| key.key.to_string() == ED25519), "the comment is dropped");
}

#[test]
fn types_that_iam_takes_itself_are_refused() {
    for kept in [
        ED25519,
        "sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAIJF3EePtd3K93qOwgP81+TFFFNIHP\
         EL6Y9s3b7VeRfmlAAAABHNzaDo=",
        "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBF0tilJR8rYI6jcTBqg514faKGRS\
         MRxsws/3Fxn2lfEKDCVKsBhYS+IlkgeIJuC/SfxA/pXFolqaE+FFIFQi6XE=",
    ] {
        assert_eq!(found(&[("iam-ssh/key/x", kept)]).keys.len(), 1, "{kept}");
    }
    for (bad, why) in [
        ("", "x: no public key"),
        ("ssh-ed25519", "x: no public key"),
        ("ssh-ed25519 AAAA", "x: the ssh-ed25519 key is malformed"),
        ("restrict ssh-ed25519 AAAA", "x: key type `restrict` is not accepted"),
        ("ssh-dss AAAA\u{1b}", "x: key type `ssh-dss` is not accepted"),
    ] {
        let refused = refused(&[("iam-ssh/key/x", bad)]);
        assert!(refused.len() == 1 && refused[0].starts_with(why), "{bad}: {refused:?}");
    }
}

#[test]
fn an_rsa_key_belongs_to_iam() {
    let mut blob = vec![0, 0, 0, 7];
    blob.extend(b"ssh-rsa");
    blob.extend([0, 0, 0, 3, 1, 0, 1, 0, 0, 1, 1, 0]);
    blob.extend([0xff; 256]);
    let key = format!("ssh-rsa {}", base64(&blob));
    assert!(refused(&[("iam-ssh/key/x", &key)])[0].starts_with("x: ssh-rsa keys are not read from tags"));
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let group = |three: &[u8]| {
        let bits = three.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        (0..4)
            .map(move |n| if n <= three.len() { ALPHABET[(bits >> (18 - 6 * n) & 63) as usize].into() } else { '=' })
            .collect::<String>()
    };
    bytes.chunks(3).map(group).collect()
}

#[test]
fn what_is_not_understood_costs_the_key() {
    let key = ("iam-ssh/key/x", ED25519);
    for (tag, value, why) in [
        ("iam-ssh/expires/X", "soon", "x: expires is `soon`"),
        ("iam-ssh/expires/X", "", "x: expires is ``"),
        ("iam-ssh/expires/X", "2027-02-29", "x: expires is `2027-02-29`"),
        ("iam-ssh/expires/X", "2027-01-31T12:00:00", "x: expires is"),
        ("iam-ssh/expires/X", "2027-01-31T12:00:00+01:00", "x: expires is"),
        ("iam-ssh/expires/X", "20270131", "x: expires is"),
        ("iam-ssh/expires/X", "2027-1-31", "x: expires is"),
        ("iam-ssh/expires/X", "٢٠٢٧-٠١-٣١", "x: expires is"),
        ("iam-ssh/from/x", "", "x: from is ``"),
        ("iam-ssh/from/x", "10.0.0.1/8", "x: from is `10.0.0.1/8`"),
        ("iam-ssh/from/x", "10.0.0.0/8\",no-pty,from=\"x", "x: from is"),
        ("iam-ssh/from/x", "a\u{1b}[2J", "x: from is `a\\x1b[2J`"),
        (
            "iam-ssh/options/x",
            "no-pty pty",
            "x: option `pty` cannot be chosen in a tag: only restrict, verify-required, no-pty",
        ),
        ("iam-ssh/options/x", "command=x", "x: option `command=x` cannot be chosen"),
        ("iam-ssh/options/x", "no-user-rc", "x: option `no-user-rc` cannot be chosen"),
        ("iam-ssh/options/x", "no-pty,restrict", "x: option `no-pty,restrict` cannot be chosen"),
        ("iam-ssh/options/x", "no-pty NO-PTY", "x: option `no-pty` stands there twice"),
        ("iam-ssh/expire/x", "2027-01-31", "x: tag `iam-ssh/expire/x` is none that is known"),
        ("IAM-SSH/key/X", ED25519, "x: two of its tags differ in case only"),
    ] {
        let refused = refused(&[key, (tag, value)]);
        assert!(
            refused.len() == 1 && refused[0].starts_with(why) && refused[0].is_ascii(),
            "{tag}={value}: {refused:?}"
        );
    }
    assert_eq!(
        refused(&[("iam-ssh/from/x", "10.0.0.0/8")]),
        ["x: there are tags about this key, but no key of this label"]
    );
    for tag in ["iam-ssh/key/", "iam-ssh/expires/ "] {
        assert_eq!(refused(&[(tag, ED25519)]), [format!("{tag}: the tag ends where a label should follow")]);
    }
    let all = refused(&[("iam-ssh/key/x", "no key"), ("iam-ssh/expires/x", "soon"), ("iam-ssh/options/x", "pty")]);
    assert_eq!(all.len(), 3, "everything that is wrong is told at once: {all:?}");
}

#[test]
fn a_bad_key_costs_no_other() {
    let found = found(&[("iam-ssh/key/bad", "x"), ("iam-ssh/key/good", ED25519), ("iam-ssh/from/old", "10.0.0.0/8")]);
    assert_eq!((options(&found.keys), found.refused.len()), (vec![("good", String::new())], 2));
}

#[test]
fn a_key_ends_where_its_time_does() {
    for (value, over) in [
        ("2026-12-31", true),
        ("2027-01-01", true),
        ("2027-01-02", false),
        ("2026-12-31T23:59:59Z", true),
        ("2027-01-01T00:00Z", true),
        ("2027-01-01T00:00:01Z", false),
        (" 9999-12-31 ", false),
    ] {
        let found = found(&[("iam-ssh/key/x", ED25519), ("iam-ssh/expires/x", value)]);
        assert_eq!((found.expired.len(), found.keys.len()), (usize::from(over), usize::from(!over)), "{value}");
        assert_eq!(found.refused, [], "{value}");
    }
}

#[test]
fn prefixes_are_those_that_tags_can_have() {
    assert!(["iam-ssh", "a/b", "com.example:ssh", "AWS"].into_iter().all(is_prefix));
    for bad in ["", "/", "a/", "/a", "a//b", "aws:ssh", "AWS:x", "a b", "ä", "a\n"] {
        assert!(!is_prefix(bad), "{bad:?}");
    }
}

proptest! {
    /// Whatever stands in the tags: each label is found once as a key or as refused, no key is looser than its siblings
    /// ask, and each line is one that instances read.
    #[test]
    fn no_sibling_is_ever_lost(
        siblings in proptest::collection::vec(("(key|KEY|from|expires|options|other)", "[aAbB]", prop_oneof![
            Just(ED25519.to_owned()), Just("10.0.0.0/8".to_owned()), Just("2027-06-01".to_owned()), Just("2020-06-01".to_owned()),
            Just("restrict no-pty".to_owned()), "[ -~]{0,12}", any::<String>(),
        ]), 0..8)
    ) {
        let tags: BTreeMap<String, String> =
            siblings.iter().map(|(kind, label, value)| (format!("iam-ssh/{kind}/{label}"), value.clone())).collect();
        let found = read(&tags, "iam-ssh", NOW);
        for label in ["a", "b"] {
            let is = |other: &str| other.eq_ignore_ascii_case(label);
            let keys: Vec<_> = found.keys.iter().chain(&found.expired).filter(|key| is(&key.label)).collect();
            let refused = found.refused.iter().any(|(other, _)| is(other));
            let there = tags.keys().any(|tag| tag.to_ascii_lowercase().ends_with(&format!("/{label}")));
            prop_assert_eq!(keys.len() + usize::from(refused), usize::from(there));
            for key in keys {
                let asked = |kind: &str| tags.keys().any(|tag| tag.eq_ignore_ascii_case(&format!("iam-ssh/{kind}/{label}")));
                let has = |fits: fn(&KeyOption) -> bool| key.options.iter().any(fits);
                prop_assert!(!asked("other"));
                prop_assert_eq!(asked("from"), has(|option| matches!(option, KeyOption::Value("from", _))));
                prop_assert_eq!(asked("expires"), has(|option| matches!(option, KeyOption::ExpiryTime(_))));
                let line = KeyLine::new(key.options.clone(), Name::new("john").unwrap(), key.key.clone());
                prop_assert_eq!(KeyLine::parse(line.to_string().as_bytes()), Ok(line));
            }
        }
    }
}
