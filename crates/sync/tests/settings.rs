//! What the administrator sets: bad settings end with code 2 and a clear word, before anything is asked of AWS.
//!
//! Every message must name the setting by the name under which it was set.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[allow(dead_code, unreachable_pub, missing_docs, reason = "shared: each test uses its part")]
mod common;

use common::{BUCKET, Ran, against, bare, double, finish};
use iam_ssh_doubles::Double;

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
    let mut unknown = against(&double.url());
    unknown.arg("--s3-buckt=x");
    let ran = finish(unknown);
    assert!(ran.code == 2 && ran.err.contains("--s3-buckt"), "{ran:?}");
    let ran = finish(bare());
    assert!(ran.code == 2 && ran.err.contains("S3_BUCKET (--s3-bucket) is missing"), "{ran:?}");
    assert!(double.requests().is_empty(), "nothing was asked of AWS");
}

#[test]
fn settings_that_are_set_to_nothing_count_as_not_set_and_flags_win() {
    let double = double();
    double.add_user("ann").add_bucket("other");
    let nothing = [("S3_PREFIX", ""), ("S3_BUCKET_OWNER", ""), ("KEY_OPTIONS", ""), ("AWS_CA_BUNDLE", "")];
    assert_eq!(with(&double, &nothing).code, 0);
    let mut command = against(&double.url());
    command.args(["--s3-bucket", "other"]);
    assert_eq!(finish(command).code, 0);
    assert_eq!((double.objects(BUCKET).len(), double.objects("other").len()), (2, 2));
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
    for word in
        ["S3_BUCKET", "S3_PREFIX", "S3_BUCKET_OWNER", "KEY_OPTIONS", "--dry-run", "Exit codes", "1 failed", "3 refused"]
    {
        assert!(ran.out.contains(word), "{word}: {}", ran.out);
    }
}

#[test]
fn an_unreachable_endpoint_missing_credentials_and_a_missing_bucket_are_failures_and_not_settings() {
    let mut command = against("http://127.0.0.1:1");
    command.env("S3_BUCKET", "b");
    let ran = finish(command);
    assert!(ran.code == 1 && ran.err.contains("nothing was changed: iam:GetAccountAuthorizationDetails"), "{ran:?}");
    assert!(ran.err.contains("AWS_ENDPOINT_URL"), "{}", ran.err);
    let mut command = against("http://127.0.0.1:1");
    command.env_remove("AWS_ACCESS_KEY_ID");
    let ran = finish(command);
    assert!(ran.code == 1 && ran.err.contains("nothing was changed: no AWS credentials (set AWS_PROFILE"), "{ran:?}");
    assert_eq!(ran.err.lines().count(), 1, "{}", ran.err);
    let ran = with(&double(), &[("S3_BUCKET", "none")]);
    assert!(ran.code == 1 && ran.err.contains("NoSuchBucket") && ran.err.contains("S3_BUCKET"), "{ran:?}");
}
