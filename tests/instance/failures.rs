//! The failure table of the CONTRACT, seen from a login: each failure costs its own principal, and no time beyond the
//! deadline.

use crate::scene::{Answer, BUCKET, JOHN, MARY, ask, aws, config, line, lines, log, printed};
use iam_ssh_doubles::{Double, Fault, Match, Service};
use std::time::{Duration, Instant};

/// John in a user's document, Mary in a group's.
fn two() -> (Double, iam_ssh::config::Config) {
    let double = aws();
    double.put_object(BUCKET, "users/john/authorized_keys", line("john", JOHN));
    double.put_object(BUCKET, "groups/b/authorized_keys", line("mary", MARY));
    let config = config(&double, "[lookup]\ndeadline = \"1s\"", "principals = [\"users/john\", \"groups/b\"]");
    (double, config)
}

/// Makes John's document fail; Mary's must be answered all the same. Gives the answer for both.
fn john_fails(fault: Fault) -> Answer {
    let (double, config) = two();
    double.fault(Match::action("GetObject").on("users/john/authorized_keys"), fault);
    let started = Instant::now();
    let answer = ask(&config, None);
    assert!(started.elapsed() < Duration::from_millis(2500), "{:?}", started.elapsed());
    assert_eq!(lines(&answer), [printed("mary", MARY)], "{:?}", log(&answer));
    answer
}

#[test]
fn a_missing_object_grants_nothing() {
    let answer = john_fails(Fault::Status(404, "NoSuchKey".into()));
    assert!(log(&answer)[0].starts_with("Warning: users/john: s3://company-iam/users/john/authorized_keys: NoSuchKey"));
}

#[test]
fn a_denial_is_an_answer_and_an_error() {
    let answer = john_fails(Fault::Status(403, "AccessDenied".into()));
    assert!(log(&answer)[0].starts_with("Error: users/john: "), "{:?}", log(&answer));
    assert!(log(&answer)[0].contains("s3:ListBucket"), "says what to do: {:?}", log(&answer));
}

#[test]
fn what_says_nothing_about_rights_is_transient() {
    for code in ["ExpiredToken", "RequestTimeTooSkewed", "InvalidAccessKeyId", "SignatureDoesNotMatch", "NoSuchBucket"]
    {
        let answer = john_fails(Fault::Status(403, code.into()));
        assert!(log(&answer)[0].starts_with("Warning: users/john: "), "{code}: {:?}", log(&answer));
    }
    for fault in [Fault::Throttle, Fault::Status(500, "InternalError".into()), Fault::CloseConnection] {
        let answer = john_fails(fault.clone());
        assert!(log(&answer)[0].starts_with("Warning: users/john: "), "{fault:?}: {:?}", log(&answer));
    }
}

#[test]
fn a_hanging_object_costs_the_deadline_and_no_more() {
    let answer = john_fails(Fault::Hang);
    assert!(log(&answer).join("\n").contains("users/john"), "{:?}", log(&answer));
    let answer = john_fails(Fault::SlowBody { bytes_per_sec: 5 });
    assert!(log(&answer).join("\n").contains("no answer within 1000 ms for users/john"), "{:?}", log(&answer));
}

#[test]
fn one_passing_failure_is_tried_again() {
    let (double, config) = two();
    double.fault(Match::action("GetObject").times(1), Fault::Throttle);
    assert_eq!(lines(&ask(&config, None)).len(), 2);
}

#[test]
fn no_metadata_service_no_answer_and_no_time() {
    for fault in [Fault::Hang, Fault::CloseConnection, Fault::Status(403, "Forbidden".into())] {
        let (double, config) = two();
        double.fault(Match::service(Service::Imds), fault.clone());
        let started = Instant::now();
        let answer = ask(&config, Some(JOHN));
        assert!(started.elapsed() < Duration::from_millis(2500), "{fault:?}");
        assert!(lines(&answer).is_empty());
        assert!(!answer.events.is_empty(), "{fault:?}");
        assert_eq!(double.count(&Match::service(Service::S3)), 0, "no request without credentials");
    }
}

#[test]
fn an_instance_without_a_role_says_what_to_do() {
    let (double, config) = two();
    double.set_role(None);
    let answer = ask(&config, Some(JOHN));
    assert!(log(&answer)[0].contains("attach an instance profile"), "{:?}", log(&answer));
}

#[test]
fn a_failing_source_of_principals_leaves_the_others() {
    let (double, mut config) = two();
    let login = config.logins.get_mut("ec2-user").unwrap();
    login.parameter = Some("/IAM/{role}/principals".to_owned());
    login.tag = Some("absent".to_owned());
    login.file = Some("/nonexistent/principals".into());
    let answer = ask(&config, None);
    assert_eq!(lines(&answer).len(), 2);
    let said = log(&answer).join("\n");
    for part in [
        "Error: principals_file /nonexistent/principals: there is no such file",
        "principals_parameter /IAM/web/principals: ParameterNotFound",
        "principals_tag absent: the instance has no such tag",
    ] {
        assert!(said.contains(part), "{part} in {said}");
    }
    double.deny_parameter("/IAM/web/principals");
    assert!(
        log(&ask(&config, None)).join("\n").contains("Error: principals_parameter /IAM/web/principals: AccessDenied")
    );
}

#[test]
fn an_untrusted_certificate_gives_no_answer() {
    let (_double, mut config) = two();
    // The double speaks plain HTTP: a TLS handshake with it cannot succeed.
    let endpoint = config.endpoint.as_mut().unwrap();
    endpoint.url = endpoint.url.replace("http://", "https://");
    let answer = ask(&config, Some(JOHN));
    assert!(lines(&answer).is_empty() && !answer.events.is_empty());
}

#[test]
fn an_unusable_ca_bundle_says_so_and_does_no_harm() {
    let (_double, mut config) = two();
    config.ca_bundle = Some("/etc/passwd".into());
    let answer = ask(&config, Some(JOHN));
    assert!(log(&answer)[0].contains("ca_bundle /etc/passwd: no usable certificate"), "{:?}", log(&answer));
}
