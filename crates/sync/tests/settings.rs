//! What the administrator sets: bad settings end with code 2 and a clear word, before anything is asked of AWS.
//!
//! Every message must name the setting by the name under which it was set.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[allow(dead_code, unreachable_pub, missing_docs, reason = "shared: each test uses its part")]
mod common;

use common::{BUCKET, RSA, Ran, against, bare, document, double, finish};
use iam_ssh_doubles::Double;

/// The settings about the limit, the accounts and what is seen from outside, each with values that cannot be.
const SINCE: [(&str, &[&str]); 19] = [
    (
        "SCOPE",
        &[
            "admins",
            "group:",
            "group:a b",
            "path:dev",
            "path:/dev",
            "tag:",
            "tag:=x",
            ";",
            "group:ok;user:x",
            "Group:x",
        ],
    ),
    ("EXCLUDE", &["deny", "none;deny-all", "group:", "tag:", "policy:", "policy:a b", "DENY-ALL", "deny-all;x"]),
    ("KEY_SOURCES", &["ssm", "iam,tags", "IAM", ";", "iam;x"]),
    ("TAG_PREFIX", &["aws:x", "a b", "/a", "a/", "a//b", "é"]),
    ("MAX_SHRINK_USERS", &["101", "-1", "20%", "x", "0.5"]),
    ("MAX_SHRINK_KEYS", &["101", "-1", "20%", "x"]),
    ("MAX_SHRINK_GROUP", &["101", "-1", "50%", "x"]),
    ("SHRINK_FLOOR", &["-1", "100001", "four"]),
    ("CONFIRM", &["yes", "0123456789abcde", "0123456789abcdef0", "0123456789ABCDEF", "0123456789abcdeg"]),
    ("IAM_MAX_RATE", &["0", "-1", "fast", "NaN", "inf", "1000001"]),
    ("TIME_BUDGET", &["-1", "86401", "5m", "1.5"]),
    ("LEASE_SECONDS", &["0", "901", "-1", "x"]),
    ("LEASE_WAIT", &["-1", "3601", "x"]),
    (
        "ACCOUNTS",
        &[
            "12345",
            "arn:aws:iam::123456789012:user/x",
            "arn:aws:iam::12345678901:role/x",
            "arn:aws:sts::123456789012:assumed-role/x/y",
            "123456789012;arn:aws:iam::123456789012:role/x",
            "123456789012;210987654321",
            "company",
        ],
    ),
    ("ACCOUNTS_IN_FLIGHT", &["0", "101", "x"]),
    ("ROLE_EXTERNAL_ID", &[]),
    ("LOG_FORMAT", &["xml", "JSON", "text,json"]),
    ("METRICS", &["on", "EMF", "statsd"]),
    ("METRICS_NAMESPACE", &["AWS/x", ":x", "a b", "é"]),
];

/// One run with these environment variables.
fn with(double: &Double, variables: &[(&str, &str)]) -> Ran {
    let mut command = against(&double.url());
    command.envs(variables.iter().copied());
    finish(command)
}

#[test]
fn bad_settings_are_refused_with_the_name_of_the_setting() {
    let double = double();
    for (name, value, told) in [
        ("S3_BUCKET", "", "S3_BUCKET (--s3-bucket) is missing or empty"),
        ("S3_BUCKET", "s3://company-iam", "`s3://company-iam`: write the bucket's name alone"),
        ("S3_BUCKET", "company-iam/users", "write the bucket's name alone"),
        ("S3_BUCKET", "a\nb", "`a\\x0ab`"),
        ("S3_PREFIX", "team", "S3_PREFIX (--s3-prefix) is `team`: it must be empty or end with a slash"),
        ("S3_PREFIX", "/team/", "S3_PREFIX"),
        ("S3_PREFIX", "a/../", "S3_PREFIX"),
        ("S3_PREFIX", "a b/", "S3_PREFIX"),
        ("S3_BUCKET_OWNER", "company", "S3_BUCKET_OWNER (--s3-bucket-owner) is `company`: write the 12 digits"),
        ("S3_BUCKET_OWNER", "1234567890123", "12 digits"),
        ("KEY_OPTIONS", "command=\"/bin/sh\"", "KEY_OPTIONS (--key-options): option `command` is not allowed"),
        ("KEY_OPTIONS", "from=10.0.0.0/8", "KEY_OPTIONS"),
        ("KEY_OPTIONS", "environment=\"LD_PRELOAD=x\"", "KEY_OPTIONS"),
        ("AWS_REGION", "", "no usable AWS region: set AWS_REGION"),
        ("AWS_REGION", "eu/central", "no usable AWS region"),
        ("AWS_CA_BUNDLE", "/nonexistent.pem", "AWS_CA_BUNDLE `/nonexistent.pem`: No such file"),
        ("AWS_CA_BUNDLE", "/etc/hostname", "AWS_CA_BUNDLE `/etc/hostname`: there is no usable certificate in it"),
    ] {
        let ran = with(&double, &[(name, value)]);
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{name}={value}: {ran:?}");
        assert!(ran.err.starts_with("error: bad settings: ") && ran.err.contains(told), "{name}={value}: {}", ran.err);
        assert_eq!(ran.err.lines().count(), 1, "{name}={value}: {}", ran.err);
    }
    for (name, values) in SINCE {
        let flag = name.to_ascii_lowercase().replace('_', "-");
        for value in values {
            // The prefix matters only where it is used.
            let ran = with(&double, &[("KEY_SOURCES", "tags"), (name, value)]);
            assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{name}={value}: {ran:?}");
            let told = format!("error: bad settings: {name} (--{flag}): ");
            assert!(ran.err.starts_with(&told) && ran.err.lines().count() == 1, "{name}={value}: {}", ran.err);
            // And the same as a flag.
            let mut command = against(&double.url());
            command
                .env("KEY_SOURCES", if name == "KEY_SOURCES" { "" } else { "tags" })
                .arg(format!("--{flag}={value}"));
            let as_flag = finish(command);
            assert_eq!((as_flag.code, as_flag.err), (2, ran.err), "--{flag}={value}");
        }
    }
    let mut unknown = against(&double.url());
    unknown.arg("--s3-buckt=x");
    let ran = finish(unknown);
    assert!(ran.code == 2 && ran.err.contains("--s3-buckt"), "{ran:?}");
    let ran = finish(bare());
    assert!(ran.code == 2 && ran.err.contains("S3_BUCKET (--s3-bucket) is missing"), "{ran:?}");
    assert!(double.requests().is_empty(), "nothing was asked of AWS");
}

#[test]
fn the_longest_options_make_lines_that_instances_read_and_longer_ones_are_refused() {
    const MOST: usize = 8192;
    let options = |len: usize| {
        let others = ",permitopen=\"db:5432\"".repeat((len - 100) / 21);
        format!("permitopen=\"{}:1\"{others}", "a".repeat(len - others.len() - 15))
    };
    let double = double();
    double.opaque_etags(BUCKET).add_key("ann", "APKA1", RSA, "Active");
    let most = options(MOST);
    assert_eq!(most.len(), MOST);
    for summary in ["1 put, 0 deleted, 0 kept", "0 put, 0 deleted, 1 kept"] {
        let ran = with(&double, &[("KEY_OPTIONS", &most)]);
        assert_eq!((ran.code, ran.summary()), (0, summary), "{ran:?}");
    }
    let text = document(&double, "users/ann").unwrap();
    assert!(text.starts_with(&most) && iam_ssh_core::document::parse(text.as_bytes()).lines.len() == 1, "{text}");
    double.clear_requests();
    let ran = with(&double, &[("KEY_OPTIONS", &options(MOST + 1))]);
    let told = "error: bad settings: KEY_OPTIONS (--key-options): it has 8193 bytes, and may have 8192";
    assert!(ran.code == 2 && ran.err.starts_with(told), "{ran:?}");
    assert!(double.requests().is_empty(), "nothing was asked of AWS");
}

#[test]
fn settings_that_are_set_to_nothing_count_as_not_set_and_flags_win() {
    let double = double();
    double.add_user("ann").add_bucket("other");
    let old = ["S3_PREFIX", "S3_BUCKET_OWNER", "KEY_OPTIONS", "AWS_CA_BUNDLE"].map(|name| (name, ""));
    let new = SINCE.iter().map(|(name, _)| (*name, ""));
    let ran = with(&double, &old.into_iter().chain(new).collect::<Vec<_>>());
    assert_eq!((ran.code, ran.err.as_str(), ran.summary()), (0, "", "1 put, 0 deleted, 0 kept"), "{ran:?}");
    let mut command = against(&double.url());
    command.args(["--s3-bucket", "other"]);
    assert_eq!(finish(command).code, 0);
    let expected = ["iam-ssh/heartbeat.json", "iam-ssh/state.json", "users/ann/authorized_keys"];
    for bucket in [BUCKET, "other"] {
        assert_eq!(double.objects(bucket).into_keys().collect::<Vec<_>>(), expected, "{bucket}");
    }
}

#[test]
fn a_ca_bundle_is_used_besides_the_systems_roots() {
    let double = double();
    let ran = with(&double, &[("AWS_CA_BUNDLE", "/etc/ssl/certs/ca-certificates.crt")]);
    assert_eq!(ran.code, 0, "{ran:?}");
}

#[test]
fn help_says_what_can_be_set_and_what_the_exit_codes_mean() {
    let mut command = bare();
    command.arg("--help");
    let ran = finish(command);
    assert_eq!(ran.code, 0, "{ran:?}");
    let words = ["S3_BUCKET", "S3_PREFIX", "S3_BUCKET_OWNER", "KEY_OPTIONS", "--dry-run", "Exit codes", "0 in sync"];
    let codes = ["1 failed", "2 bad settings", "3 something suspiciously large would vanish"];
    for word in words.into_iter().chain(codes).chain(SINCE.iter().map(|(name, _)| *name)) {
        assert!(ran.out.contains(word), "{word}: {}", ran.out);
    }
    for (name, _) in SINCE {
        let flag = name.to_ascii_lowercase().replace('_', "-");
        assert!(ran.out.contains(&format!("--{flag} <")) && ran.out.contains(&format!("[env: {name}=")), "{name}");
    }
}

#[test]
fn an_unreachable_endpoint_missing_credentials_and_a_missing_bucket_are_failures_and_not_settings() {
    let double = double();
    for (variable, call) in [
        ("AWS_ENDPOINT_URL", "s3:GetObject for s3://keys/iam-ssh/lease.json failed"),
        ("AWS_ENDPOINT_URL_S3", "s3:GetObject for s3://keys/iam-ssh/lease.json failed"),
        ("AWS_ENDPOINT_URL_IAM", "iam:GetAccountAuthorizationDetails failed"),
    ] {
        let ran = with(&double, &[(variable, "http://127.0.0.1:1")]);
        assert_eq!((ran.code, ran.err.lines().count()), (1, 1), "{ran:?}");
        assert!(ran.err.starts_with(&format!("error: nothing was changed: {call}")), "{ran:?}");
        assert!(ran.err.contains("AWS_ENDPOINT_URL"), "{}", ran.err);
        assert!(double.objects(BUCKET).keys().all(|key| key == "iam-ssh/state.json"), "{ran:?}");
    }
    let mut command = against("http://127.0.0.1:1");
    command.env_remove("AWS_ACCESS_KEY_ID");
    let ran = finish(command);
    assert!(ran.code == 1 && ran.err.contains("nothing was changed: no AWS credentials (set AWS_PROFILE"), "{ran:?}");
    assert_eq!(ran.err.lines().count(), 1, "{}", ran.err);
    let ran = with(&double, &[("S3_BUCKET", "none")]);
    assert!(ran.code == 1 && ran.err.contains("NoSuchBucket") && ran.err.contains("S3_BUCKET"), "{ran:?}");
}
