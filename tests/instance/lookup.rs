//! What the lookup answers when AWS answers.

use crate::scene::{BUCKET, JOHN, MARY, ask, aws, config, line, lines, log, printed};
use iam_ssh_doubles::{Match, Service};

#[test]
fn only_the_offered_key_is_answered() {
    let double = aws();
    double.put_object(BUCKET, "groups/Admins/authorized_keys", line("john", JOHN) + &line("mary", MARY));
    let config = config(&double, "", "principals = [\"groups/Admins\"]");
    assert_eq!(lines(&ask(&config, Some(MARY))), [printed("mary", MARY)]);
    assert_eq!(lines(&ask(&config, None)), [printed("john", JOHN), printed("mary", MARY)]);
    let answer = ask(&config, Some(MARY));
    assert_eq!(answer.found[0].principal.to_string(), "groups/Admins");
    assert!(answer.events.is_empty(), "{:?}", log(&answer));
}

#[test]
fn all_sources_together_and_one_object_each() {
    let double = aws();
    for name in ["users/a", "users/b", "groups/c", "users/d"] {
        double.put_object(BUCKET, &format!("x/{name}/authorized_keys"), "");
    }
    double.put_parameter("/IAM/web/principals", "users/b, users/a\ngroups/c");
    double.set_tag("who", "users/d,users/a");
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    std::fs::write(dir.path().join("list"), "# ours\nusers/a\nnobody\n").unwrap();
    let login = format!(
        "principals = [\"users/a\"]\nprincipals_file = \"{}/list\"\n\
         principals_parameter = \"/IAM/{{role}}/principals\"\nprincipals_tag = \"who\"",
        dir.path().display()
    );
    let config = config(&double, "prefix = \"x/\"", &login);
    let answer = ask(&config, None);
    let mut fetched: Vec<String> =
        double.requests().iter().filter(|r| r.service == Service::S3).map(|r| r.resource.clone()).collect();
    fetched.sort();
    let expected = ["groups/c", "users/a", "users/b", "users/d"].map(|p| format!("x/{p}/authorized_keys"));
    assert_eq!(fetched, expected, "{:?}", log(&answer));
    assert_eq!(log(&answer).len(), 1);
    assert!(log(&answer)[0].contains("list: `nobody` is not a principal"), "{:?}", log(&answer));
}

#[test]
fn three_metadata_requests_at_most_and_one_object_request_per_principal() {
    let double = aws();
    double.put_object(BUCKET, "users/john/authorized_keys", line("john", JOHN));
    double.put_object(BUCKET, "users/mary/authorized_keys", line("mary", MARY));
    let config = config(&double, "", "principals = [\"users/john\", \"users/mary\", \"users/john\"]");
    assert_eq!(lines(&ask(&config, None)).len(), 2);
    assert_eq!(double.count(&Match::service(Service::Imds)), 3, "token, role, credentials");
    assert_eq!(double.count(&Match::service(Service::S3)), 2);
    assert_eq!(double.requests().len(), 5);
}

/// A value that was never meant for a log does not get there because a parameter's name was misspelt.
#[test]
fn a_secret_in_a_parameter_is_not_logged() {
    let double = aws();
    double.put_parameter("/p", "hunter2\nuser/Admin");
    let config = config(&double, "", "principals_parameter = \"/p\"");
    let said = log(&ask(&config, None)).join("\n");
    assert!(!said.contains("hunter2") && said.contains("entry 1 begins with neither"), "{said}");
    assert!(said.contains("did you mean `users/Admin`?"), "{said}");
}

#[test]
fn more_principals_than_descriptors_are_all_asked() {
    let double = aws();
    let names: Vec<String> = (0..1100).map(|n| format!("users/u{n}")).collect();
    double.put_object(BUCKET, "users/u1099/authorized_keys", line("u1099", JOHN));
    let list = names.iter().map(|n| format!("\"{n}\"")).collect::<Vec<_>>().join(",");
    let config = config(&double, "[lookup]\ndeadline = \"30s\"", &format!("principals = [{list}]"));
    assert_eq!(lines(&ask(&config, Some(JOHN))), [printed("u1099", JOHN)]);
}

#[test]
fn the_region_is_the_instance_s_own_where_none_is_configured() {
    let double = aws();
    double.set_region("ap-southeast-4");
    double.put_object(BUCKET, "users/john/authorized_keys", line("john", JOHN));
    let mut config = config(&double, "", "principals = [\"users/john\"]");
    config.region = None;
    assert_eq!(lines(&ask(&config, Some(JOHN))).len(), 1);
    let get = double.requests().into_iter().find(|r| r.service == Service::S3).unwrap();
    assert!(get.header("authorization").unwrap().contains("/ap-southeast-4/s3/"), "{get:?}");
}

#[test]
fn the_owner_of_the_bucket_is_demanded() {
    let double = aws();
    double.set_bucket_owner(BUCKET, "111122223333");
    double.put_object(BUCKET, "users/john/authorized_keys", line("john", JOHN));
    let login = "principals = [\"users/john\"]";
    let right = config(&double, "bucket_owner = \"111122223333\"", login);
    assert_eq!(lines(&ask(&right, Some(JOHN))).len(), 1);
    let wrong = ask(&config(&double, "bucket_owner = \"999999999999\"", login), Some(JOHN));
    assert!(lines(&wrong).is_empty());
    assert!(log(&wrong)[0].starts_with("Error: users/john: s3://company-iam/"), "{:?}", log(&wrong));
}

#[test]
fn every_legal_character_survives_the_way_to_s3() {
    let double = aws();
    let name = "a+b=c,d.e@f_g-H";
    double.put_object(BUCKET, &format!("users/{name}/authorized_keys"), line(name, JOHN));
    let config = config(&double, "", &format!("principals = [\"users/{name}\"]"));
    assert_eq!(lines(&ask(&config, Some(JOHN))), [printed(name, JOHN)]);
}

#[test]
fn bad_lines_are_skipped_and_said_and_the_rest_counts() {
    let double = aws();
    let bad = format!("command=\"/bin/sh\",{}garbage\n\0\0\0\n{JOHN}\n", line("eve", MARY));
    let mut document = bad.into_bytes();
    document.extend_from_slice(&vec![b'x'; 10 * 1024 * 1024]);
    document.extend_from_slice(format!("\n{}", line("john", JOHN)).as_bytes());
    double.put_object(BUCKET, "groups/a/authorized_keys", document);
    double.put_object(BUCKET, "users/mary/authorized_keys", line("john", MARY) + &line("mary", MARY));
    let config = config(&double, "[lookup]\ndeadline = \"20s\"", "principals = [\"groups/a\", \"users/mary\"]");
    let answer = ask(&config, None);
    assert_eq!(lines(&answer), [printed("john", JOHN), printed("mary", MARY)]);
    let log = log(&answer).join("\n");
    assert!(log.contains("groups/a: skipped 5 of 6 lines: line 1: option `command` is not allowed; line 2: "), "{log}");
    assert!(log.contains("users/mary: skipped 1 of 2 lines: line 1: the key's owner is john"), "{log}");
}

#[test]
fn an_expired_line_does_not_count_and_one_that_lives_does() {
    let double = aws();
    let with = |expiry: &str, key: &str| format!("expiry-time=\"{expiry}\",{}", line("john", key));
    double.put_object(BUCKET, "users/john/authorized_keys", with("20260101", JOHN) + &with("20260102Z", MARY));
    let config = config(&double, "", "principals = [\"users/john\"]");
    assert_eq!(lines(&ask(&config, None)), [printed("john", MARY)]);
}
