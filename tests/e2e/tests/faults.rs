//! The fault matrix: whatever S3, the metadata service or the parameter store does, nobody gets in who should not, who could log in
//! still can where the CONTRACT says so, the lookup ends in time, and the log says what happened. Real logins, the installed package.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::time::Duration;

use iam_ssh_doubles::{Fault, Match, Service};
use iam_ssh_e2e::trial::{ANNA, ANNAS, BOB, BOTH, ERROR, Trial, WARNING};
use iam_ssh_e2e::{State, World, eventually};

/// What a lookup says that was not answered in time.
const LATE: &[&str] = &["no answer", "timed out", "timeout", "deadline"];
/// Anna may log in because the parameter says so.
const BY_PARAMETER: &str = "principals = [\"groups/Operators\"]\nprincipals_parameter = \"/IAM/principals\"";
const MIB: u64 = 1024 * 1024;

fn s3() -> Match {
    Match::service(Service::S3)
}

fn status(code: u16, word: &str) -> Fault {
    Fault::Status(code, word.to_owned())
}

#[test]
fn s3_cannot_be_reached_or_never_answers() {
    let world = World::new();
    let trial = Trial::new(&world);
    trial.fill();
    for (name, state, words) in [
        ("refused", State::Refused, ["refused"].as_slice()),
        ("hangs at connect", State::Deaf, LATE),
        ("hangs in its first line", State::StalledAfter(7), LATE),
        ("breaks off in its first line", State::CutAfter(7), &["s3", "connection"]),
    ] {
        trial.s3.set(state);
        trial.goes_on(name, words);
    }
    trial.s3.set(State::Open);
    trial.double().fault(s3(), Fault::Hang);
    trial.goes_on("hangs before headers", LATE);
    trial.double().clear_faults().fault(s3(), Fault::HangBody);
    trial.publish_again(1);
    trial.goes_on("hangs in the body", LATE);
    trial.double().clear_faults().fault(s3(), Fault::SlowBody { bytes_per_sec: 100 });
    trial.goes_on("trickles", LATE);
}

#[test]
fn s3_answers_that_it_cannot() {
    let world = World::new();
    let trial = Trial::new(&world);
    trial.fill();
    for (fault, words) in [
        (status(500, "InternalError"), "InternalError"),
        (Fault::Throttle, "SlowDown"),
        (status(502, "BadGateway"), "BadGateway"),
        (Fault::Redirect("eu-central-1".to_owned()), "PermanentRedirect"),
        (status(403, "ExpiredToken"), "ExpiredToken"),
        (status(403, "RequestTimeTooSkewed"), "RequestTimeTooSkewed"),
        (status(403, "InvalidAccessKeyId"), "InvalidAccessKeyId"),
        (status(404, "NoSuchBucket"), "NoSuchBucket"),
        (Fault::CloseConnection, "users/anna@example.org"),
    ] {
        trial.double().clear_faults().fault(s3(), fault);
        trial.goes_on(words, &[words]);
    }
}

#[test]
fn s3_says_no() {
    let world = World::new();
    let trial = Trial::new(&world);
    trial.fill();
    trial.double().fault(s3().on(ANNAS), status(404, "NoSuchKey"));
    trial.loses_access("404", WARNING, &["NoSuchKey"]);
    trial.double().clear_faults().fault(s3().on(ANNAS), status(403, "AccessDenied"));
    trial.loses_access("403 AccessDenied", ERROR, &["AccessDenied"]);
}

#[test]
fn s3_sends_something_else_than_the_document() {
    let world = World::new();
    let trial = Trial::new(&world);
    trial.fill();
    for (round, (name, fault, words)) in [
        ("truncated", Fault::Truncate, ["body", "broke", "incomplete", "end of"].as_slice()),
        ("cut off, and nobody said how long it is", Fault::CutBody("# round".to_owned()), &["checksum", "body"]),
        ("wrong checksum", Fault::WrongChecksum, &["checksum"]),
        ("200 MB", Fault::HugeBody { bytes: 200 * MIB, told: true }, &["larger than"]),
        ("200 MB, untold", Fault::HugeBody { bytes: 200 * MIB, told: false }, &["larger than", "no answer"]),
    ]
    .into_iter()
    .enumerate()
    {
        trial.double().clear_faults().fault(s3(), fault);
        trial.publish_again(round);
        trial.goes_on(name, words);
    }
}

#[test]
fn the_metadata_service_fails() {
    let world = World::new();
    let trial = Trial::new(&world);
    // The cache holds credentials whose time is over, so somebody has to be asked for new ones.
    let hours = |hours: u64| Duration::from_secs(hours * 3600);
    world.imds().set_credentials_lifetime(Duration::from_secs(1));
    trial.fill();
    world.imds().set_credentials_lifetime(hours(6));
    let asked = || world.imds().count(&Match::service(Service::Imds));
    let before = asked();
    eventually("a lookup that needs new credentials", || {
        trial.machine.restore_cache();
        trial.lookup(&trial.anna).expect_ok();
        (asked() > before).then_some(())
    });
    let words = ["metadata", "credentials", "role", "no answer"].as_slice();

    for (name, state) in [("IMDS refused", State::Refused), ("IMDS hangs at connect", State::Deaf)] {
        trial.imds.set(state);
        trial.goes_on(name, words);
    }
    trial.imds.set(State::Open);
    for (name, which, fault) in [
        ("IMDS hangs", Match::action("meta-data"), Fault::Hang),
        ("IMDS hangs in the body", Match::action("meta-data"), Fault::HangBody),
        ("IMDS 401 for the token", Match::action("api"), status(401, "Unauthorized")),
        ("IMDS 401 for the role", Match::action("meta-data"), status(401, "Unauthorized")),
        ("IMDS 403: switched off", Match::any(), status(403, "Forbidden")),
        ("IMDS throttles", Match::action("meta-data"), Fault::Throttle),
        ("IMDS answers garbage", Match::action("meta-data"), Fault::Body("<html>It works!</html>".to_owned())),
    ] {
        world.imds().clear_faults().fault(which, fault);
        trial.goes_on(name, words);
    }
    world.imds().clear_faults().set_role(None);
    trial.goes_on("IMDS 404: no role", &["role"]);
    world.imds().set_role(Some("default-role")).set_credentials_lifetime(Duration::ZERO);
    trial.double().fault(s3(), status(400, "ExpiredToken"));
    trial.goes_on("IMDS serves expired credentials", &["expired"]);
    // A new life for the credentials, and all is well again.
    world.imds().set_credentials_lifetime(hours(6));
    trial.double().clear_faults();
    trial.machine.restore_cache();
    trial.finds("new credentials", &trial.bob, true);
    trial.finds("new credentials", &trial.stranger, false);
}

/// Credentials can be revoked long before their time is over. What is cached of them must not be what keeps everybody waiting.
#[test]
fn credentials_that_s3_no_longer_takes_are_replaced() {
    let world = World::new();
    let trial = Trial::new(&world);
    trial.fill();
    world.imds().set_session_token("new-session");
    let old = s3().header("x-amz-security-token", "double-session");
    trial.double().fault(old.clone(), status(400, "ExpiredToken"));
    let from = trial.machine.logs().len();
    trial.gets_in("with credentials that were revoked", &trial.anna, ANNA);
    // Whether the first lookup already asked for new ones or a later one does.
    let new = s3().header("x-amz-security-token", "new-session");
    eventually("a request with the new credentials", || {
        trial.lookup(&trial.anna).expect_ok();
        (trial.double().count(&new) > 0).then_some(())
    });
    assert!(trial.double().count(&old) > 0);
    let with_old = trial.double().count(&old);
    trial.machine.wait_log_from(from, |line| line.message.contains(" source=s3 ")).expect("an answer of S3");
    trial.gets_in("with new credentials", &trial.bob, BOB);
    assert_eq!(trial.double().count(&old), with_old, "the old ones are not used again");
}

#[test]
fn the_parameter_store_fails() {
    let world = World::new();
    let trial = Trial::new(&world);
    trial.configure("0s", BY_PARAMETER);
    trial.double().put_parameter("/IAM/principals", "users/anna@example.org");
    trial.fill();
    let ssm = || Match::service(Service::Ssm);
    for (name, fault, words) in [
        ("SSM throttled", Fault::Throttle, ["Throttling"].as_slice()),
        ("SSM 500", status(500, "InternalServerError"), &["InternalServerError"]),
        ("SSM: expired token", status(400, "ExpiredTokenException"), &["ExpiredToken"]),
        ("SSM answers garbage", Fault::Body("<html>It works!</html>".to_owned()), &["principals_parameter"]),
        ("SSM breaks off", Fault::Truncate, &["principals_parameter"]),
        ("SSM hangs", Fault::Hang, LATE),
    ] {
        trial.double().clear_faults().fault(ssm(), fault);
        trial.goes_on(name, words);
    }
    trial.double().clear_faults().deny_parameter("/IAM/principals");
    trial.loses_access("SSM AccessDenied", ERROR, &["AccessDenied"]);
}

#[test]
fn the_parameter_names_nobody_any_more() {
    let world = World::new();
    let trial = Trial::new(&world);
    trial.configure("0s", BY_PARAMETER);
    trial.double().put_parameter("/IAM/principals", "users/anna@example.org");
    trial.fill();
    trial.double().put_parameter("/IAM/principals", "\u{1}\u{fffd} not a list of principals");
    trial.loses_access("a value that is garbage", ERROR, &["principals_parameter"]);
    trial.double().remove_parameter("/IAM/principals");
    trial.loses_access("SSM missing", WARNING, &["ParameterNotFound"]);
    // The documents are still there; only the parameter decides.
    trial.configure("0s", BOTH);
    trial.finds("named again", &trial.anna, true);
}
