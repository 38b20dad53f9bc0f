//! What a sync does when something fails: before the plan is complete nothing changes, after that every withdrawal is tried.
//!
//! Each case looks at the request log, not only at the exit code.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[allow(dead_code, unreachable_pub, missing_docs, reason = "shared: each test uses its part")]
mod common;

use common::{BUCKET, against, document, documents, double, finish, heartbeats, key, line, sync, synced, writes};
use iam_ssh_doubles::{Double, Fault, Match};

/// What is written before the first document: the lease, the memory, and the lease once more.
const BEFORE_DOCUMENTS: usize = 3;

fn status(code: u16, name: &str) -> Fault {
    Fault::Status(code, name.to_owned())
}

/// Six users with two keys each in two groups, pages of three; two things to write and two to delete. One key is withdrawn.
fn account() -> Double {
    let double = double();
    double.page_cap(3).list_cap(3);
    for number in 0..6 {
        let user = format!("u{number}");
        double.add_key(&user, &format!("APKA{number}A"), &key(number), "Active");
        double.add_key(&user, &format!("APKA{number}B"), &key(100 + number), "Active");
        double.add_member(&format!("g{}", number % 2), &user);
    }
    double.add_key("u5", "APKA5C", "", "Inactive").add_key("u5", "APKA5D", "", "Inactive");
    synced(&double);
    double.put_object(BUCKET, "users/gone/authorized_keys", "x").put_object(BUCKET, "groups/gone/authorized_keys", "x");
    double.set_key_status("u0", "APKA0A", "Inactive").clear_requests();
    double
}

#[test]
fn any_failing_read_changes_nothing() {
    let double = account();
    // Bodies that nobody remembers.
    double.add_key("u4", "APKA4C", &key(204), "Active").add_key("u4", "APKA4D", &key(304), "Active");
    let before = double.objects(BUCKET);
    let faults = [
        status(500, "ServiceFailure"),
        status(403, "AccessDenied"),
        status(404, "NoSuchBucket"),
        status(200, "Nonsense"),
        Fault::Throttle,
        Fault::CloseConnection,
    ];
    let calls = [
        ("GetAccountAuthorizationDetails", Match::action("GetAccountAuthorizationDetails")),
        ("GetAccountAuthorizationDetails", Match::action("GetAccountAuthorizationDetails").skip(1)),
        ("GetAccountAuthorizationDetails", Match::action("GetAccountAuthorizationDetails").skip(2)),
        ("ListSSHPublicKeys for user `u3`", Match::action("ListSSHPublicKeys").on("u3")),
        ("ListSSHPublicKeys for user `u5`", Match::action("ListSSHPublicKeys").on("u5").skip(1)),
        ("GetSSHPublicKey for user `u4`", Match::action("GetSSHPublicKey").on("u4").skip(1)),
        ("ListObjectsV2 for s3://keys/users/", Match::action("ListObjectsV2").on("users/")),
        ("ListObjectsV2 for s3://keys/users/", Match::action("ListObjectsV2").on("users/").skip(2)),
        ("ListObjectsV2 for s3://keys/groups/", Match::action("ListObjectsV2").on("groups/")),
        ("GetObject for s3://keys/users/u0/", Match::action("GetObject").on("users/u0/authorized_keys")),
        ("GetObject for s3://keys/iam-ssh/state.json", Match::action("GetObject").on("iam-ssh/state.json")),
        ("GetObject for s3://keys/iam-ssh/lease.json", Match::action("GetObject").on("iam-ssh/lease.json")),
    ];
    for (name, which) in calls {
        for fault in &faults {
            // Whatever an object holds is a legal answer to GetObject.
            if name.starts_with("GetObject") && *fault == status(200, "Nonsense") {
                continue;
            }
            // One document that S3 refuses keeps nothing back.
            if name.contains("/users/u0/") && *fault == status(403, "AccessDenied") {
                continue;
            }
            // What one failed run has learnt the next does not ask for.
            for (key, body) in &before {
                double.put_object(BUCKET, key, body.clone());
            }
            double.clear_faults().clear_requests().fault(which.clone(), fault.clone());
            let ran = sync(&double);
            assert_eq!(ran.code, 1, "{name} {fault:?}: {ran:?}");
            let told = ["error: nothing was changed: ", "error: no document was changed: "];
            assert!(told.iter().any(|told| ran.err.starts_with(told)), "{name} {fault:?}: {ran:?}");
            assert!(ran.err.contains(&format!(":{name}")), "{name} {fault:?}: {}", ran.err);
            assert_eq!(writes(&double), [""; 0], "{name} {fault:?}");
            assert_eq!(heartbeats(&double), 0, "{name} {fault:?}");
        }
    }
    assert!(documents(&double).iter().all(|(key, body)| before.get(key) == Some(body)));
    assert_eq!(documents(&double).len(), before.keys().filter(|key| !key.starts_with("iam-ssh/")).count());
    double.clear_faults();
    assert_eq!(synced(&double).summary(), "3 put, 2 deleted, 5 kept");
}

#[test]
fn a_failing_write_keeps_no_other_change_back() {
    let double = account();
    let last = heartbeats(&double);
    double.fault(Match::action("PutObject").on("users/u0/authorized_keys"), status(403, "AccessDenied"));
    let ran = sync(&double);
    assert_eq!((ran.code, ran.out.as_str()), (1, ""), "{ran:?}");
    let told = "error: 1 of 2 changed documents were written and 2 of 2 of vanished principals deleted; \
                1 still hold lines that should go; no heartbeat; the next run carries on: \
                s3:PutObject for s3://keys/users/u0/authorized_keys failed: AccessDenied";
    assert!(ran.err.starts_with(told), "{}", ran.err);
    assert_eq!(ran.err.lines().count(), 1, "{}", ran.err);
    assert_eq!(heartbeats(&double), last, "no heartbeat");
    assert_eq!((document(&double, "users/gone"), document(&double, "groups/gone")), (None, None));
    assert!(!document(&double, "groups/g0").unwrap().contains(&key(0)), "the withdrawal that can be written is");
    double.clear_faults();
    assert_eq!(synced(&double).summary(), "1 put, 0 deleted, 7 kept", "the next run carries on");
}

#[test]
fn what_takes_is_written_first_and_what_gives_next_and_deletions_last() {
    let double = double();
    for number in 0..40 {
        double.add_key(&format!("u{number:02}"), &format!("APKA{number}"), &key(number), "Active");
    }
    synced(&double);
    for number in 0..40 {
        let user = format!("u{number:02}");
        if number % 2 == 0 {
            double.add_key(&user, &format!("APKB{number}"), &key(100 + number), "Active");
        } else {
            double.set_key_status(&user, &format!("APKA{number}"), "Inactive");
        }
    }
    // Something that cannot be read may hold anything.
    double.put_object(BUCKET, "users/u38/authorized_keys", vec![b'x'; 33 << 20]);
    double.put_object(BUCKET, "users/gone/authorized_keys", "x").clear_requests();
    synced(&double);
    let writes = writes(&double);
    let takes = |write: &String| {
        let number: usize = write.split("users/u").nth(1).unwrap().split('/').next().unwrap().parse().unwrap();
        number % 2 == 1 || number == 38
    };
    assert_eq!(writes.len(), 41);
    assert!(writes[..21].iter().all(takes), "{writes:?}");
    assert!(!writes[21..40].iter().any(takes), "{writes:?}");
    assert_eq!(writes[40], "DeleteObject users/gone/authorized_keys");
}

#[test]
fn when_nothing_can_be_written_what_gives_is_given_up_soon() {
    let double = double();
    for number in 0..100 {
        double.add_user(&format!("u{number}"));
    }
    double.put_object(BUCKET, "groups/gone/authorized_keys", "x");
    double.fault(Match::action("PutObject").skip(BEFORE_DOCUMENTS), Fault::Throttle);
    let ran = sync(&double);
    assert!(ran.err.contains("0 of 100 changed documents were written and 1 of 1 of vanished"), "{}", ran.err);
    assert!(ran.err.contains("that only gain lines were not tried after so many failures"), "{}", ran.err);
    assert!(!ran.err.contains("still hold"), "{}", ran.err);
    let writes = writes(&double);
    assert!(writes.len() < 20, "{}", writes.len());
    assert_eq!(
        ran.err.lines().count(),
        writes.len(),
        "each failure on its line, and what came of the run: {}",
        ran.err
    );
    assert_eq!(document(&double, "groups/gone"), None);
}

#[test]
fn every_withdrawal_is_tried_however_many_fail() {
    let double = double();
    for number in 0..60 {
        double.add_key(&format!("u{number:02}"), &format!("APKA{number}"), &key(number), "Active");
    }
    synced(&double);
    for number in 0..60 {
        double.set_key_status(&format!("u{number:02}"), &format!("APKA{number}"), "Inactive");
        double.put_object(BUCKET, &format!("users/gone{number}/authorized_keys"), "x");
    }
    double.clear_requests();
    double.fault(Match::action("PutObject").skip(BEFORE_DOCUMENTS).times(50), status(403, "AccessDenied"));
    double.fault(Match::action("DeleteObject").times(50), status(403, "AccessDenied"));
    let ran = sync(&double);
    assert_eq!(ran.code, 1, "{ran:?}");
    let told = "error: 10 of 60 changed documents were written and 10 of 60 of vanished principals deleted; \
                50 still hold lines that should go; 50 should not be there any more; no heartbeat";
    assert!(ran.err.starts_with(told), "{}", ran.err);
    assert_eq!(ran.err.lines().count(), 101, "every failure is told");
    assert_eq!(writes(&double).len(), 120, "each was tried");
    double.clear_faults();
    assert_eq!(synced(&double).summary(), "50 put, 50 deleted, 10 kept");
}

#[test]
fn a_failing_deletion_or_heartbeat_is_a_failed_run() {
    let double = account();
    double.fault(Match::action("DeleteObject").times(1), status(500, "InternalError"));
    let ran = sync(&double);
    let told = "error: 2 of 2 changed documents were written and 1 of 2 of vanished principals deleted; \
                1 should not be there any more; no heartbeat; the next run carries on: s3:DeleteObject";
    assert!(ran.code == 1 && ran.err.starts_with(told), "{ran:?}");
    assert_eq!(heartbeats(&double), 0);
    double.clear_faults().fault(Match::action("PutObject").on("iam-ssh/heartbeat.json"), Fault::CloseConnection);
    let ran = sync(&double);
    assert!(ran.code == 1 && ran.err.contains("in sync, but the heartbeat was not written"), "{ran:?}");
    assert_eq!(document(&double, "users/gone"), None);
}

#[test]
fn a_user_deleted_meanwhile_counts_as_gone_and_a_key_as_not_there() {
    let double = account();
    double.add_key("u3", "APKA3C", &key(203), "Active").add_key("u4", "APKA4C", &key(204), "Active");
    double.fault(Match::action("ListSSHPublicKeys").on("u2"), status(404, "NoSuchEntity"));
    double.fault(Match::action("GetSSHPublicKey").on("u3"), status(404, "NoSuchEntity"));
    let ran = synced(&double);
    assert_eq!(ran.err, "note: user `u2` vanished while IAM was read and counts as deleted\n");
    assert_eq!(document(&double, "users/u2"), None);
    assert_eq!(document(&double, "users/u3").unwrap(), line("u3", &key(3)) + &line("u3", &key(103)));
    assert!(!document(&double, "groups/g0").unwrap().contains("u2"));
    let all = [4, 104, 204].map(|number| line("u4", &key(number)));
    assert_eq!(document(&double, "users/u4").unwrap(), all.concat());
    assert!(!document(&double, "groups/g1").unwrap().contains(&key(203)));
}

#[test]
fn a_key_that_iam_cannot_write_as_a_line_keeps_nobody_elses_back() {
    let double = account();
    double.add_key("u3", "APKA3C", &key(203), "Active").add_key("u4", "APKA4C", &key(204), "Active");
    double.fault(Match::action("GetSSHPublicKey").on("u3"), status(400, "UnrecognizedPublicKeyEncoding"));
    for published in [(3, 2), (0, 0)] {
        double.clear_requests();
        let ran = synced(&double);
        assert!(ran.err.starts_with("warning: key `APKA3C` of user `u3` is not published: "), "{ran:?}");
        assert_eq!(document(&double, "users/u3").unwrap(), line("u3", &key(3)) + &line("u3", &key(103)));
        assert!(document(&double, "users/u4").unwrap().contains(&key(204)));
        let count = |what: &str| writes(&double).iter().filter(|write| write.starts_with(what)).count();
        assert_eq!((count("PutObject"), count("DeleteObject")), published);
    }
    // The same code of any other call is a failure as all others.
    double
        .clear_faults()
        .fault(Match::action("ListSSHPublicKeys").on("u3"), status(400, "UnrecognizedPublicKeyEncoding"));
    assert_eq!(sync(&double).code, 1);
}

#[test]
fn a_transient_failure_is_tried_again() {
    let double = account();
    double.fault(Match::action("ListSSHPublicKeys").times(1), Fault::Throttle);
    double.fault(Match::action("PutObject").times(1), Fault::CloseConnection);
    double.fault(Match::action("ListObjectsV2").times(1), status(503, "SlowDown"));
    let mut command = against(&double.url());
    command.env_remove("AWS_MAX_ATTEMPTS");
    let ran = finish(command);
    assert_eq!((ran.code, ran.summary()), (0, "2 put, 2 deleted, 6 kept"), "{ran:?}");
}

#[test]
fn somebody_elses_bucket_is_refused() {
    let double = account();
    double.set_bucket_owner(BUCKET, "111111111111");
    let mut command = against(&double.url());
    command.env("S3_BUCKET_OWNER", "222222222222");
    let ran = finish(command);
    assert!(ran.code == 1 && ran.err.contains("AccessDenied") && ran.err.contains("S3_BUCKET_OWNER"), "{ran:?}");
    assert_eq!(writes(&double), [""; 0]);
}
