//! Answers that break off without a word, and answers that leave things out: each ends the run before anything changes.
//!
//! The double cuts them as a broken proxy does: status 200, no length, and the connection ends.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[allow(dead_code, unreachable_pub, missing_docs, reason = "shared: each test uses its part")]
mod common;

use common::{BUCKET, documents, double, key, line, sync, synced, writes};
use iam_ssh_doubles::{Double, Fault, Match};

/// Three users with two keys each in two groups, all published; then one key is withdrawn and one is new, so that there is
/// something to do and a body to ask for.
fn account() -> Double {
    let double = double();
    for number in 0..3 {
        let user = format!("u{number}");
        double.add_key(&user, &format!("APKA{number}A"), &key(number), "Active");
        double.add_key(&user, &format!("APKA{number}B"), &key(100 + number), "Active");
        double.add_member(&format!("g{}", number % 2), &user);
    }
    synced(&double);
    double.set_key_status("u0", "APKA0A", "Inactive").add_key("u1", "APKA1C", &key(201), "Active");
    double
}

/// The run must end with 1, say this, and have written nothing.
fn refused(double: &Double, which: &Match, fault: &Fault, call: &str, told: &str) {
    let before = documents(double);
    double.clear_faults().clear_requests().fault(which.clone(), fault.clone());
    let ran = sync(double);
    assert_eq!(ran.code, 1, "{call} {fault:?}: {ran:?}");
    assert!(ran.err.starts_with("error: nothing was changed: "), "{call} {fault:?}: {}", ran.err);
    assert!(ran.err.contains(call), "{call} {fault:?}: {}", ran.err);
    let told = format!("failed: the answer is cut off: {told}");
    assert!(ran.err.contains(&told), "{call} {fault:?}: {}", ran.err);
    assert_eq!(writes(double), [""; 0], "{call} {fault:?}");
    assert_eq!(documents(double), before, "{call} {fault:?}");
    double.clear_faults();
}

#[test]
fn an_answer_that_breaks_off_changes_nothing_wherever_it_breaks() {
    let double = account();
    let calls = [
        (
            "iam:GetAccountAuthorizationDetails",
            "</GetAccountAuthorizationDetailsResponse>",
            Match::action("GetAccountAuthorizationDetails"),
            &[
                "",
                "Result>",
                "</IsTruncated>",
                "<UserDetailList>",
                "<member>",
                "</UserName>",
                "</member>",
                "<Policies/>",
            ][..],
        ),
        (
            "iam:ListSSHPublicKeys for user `u1`",
            "</ListSSHPublicKeysResponse>",
            Match::action("ListSSHPublicKeys").on("u1"),
            &[
                "",
                "Result>",
                "<SSHPublicKeys>",
                "<member>",
                "</member>",
                "</SSHPublicKeys>",
                "</ListSSHPublicKeysResult>",
            ],
        ),
        (
            "iam:GetSSHPublicKey for user `u1`",
            "</GetSSHPublicKeyResponse>",
            Match::action("GetSSHPublicKey").on("u1"),
            &[
                "",
                "<Status>",
                "<Status>Act",
                "<SSHPublicKeyBody>",
                "<SSHPublicKeyBody>ssh-ed25519 AAAA",
                "</SSHPublicKeyBody>",
            ],
        ),
        (
            "s3:ListObjectsV2 for s3://keys/users/",
            "</ListBucketResult>",
            Match::action("ListObjectsV2").on("users/"),
            &["", "</Name>", "</IsTruncated>", "</Contents>", "<Key>"],
        ),
    ];
    for (call, end, which, cuts) in calls {
        for behind in cuts {
            let told = format!("it does not end with {end}");
            refused(&double, &which, &Fault::CutBody((*behind).to_owned()), call, &told);
        }
    }
    assert_eq!(synced(&double).summary(), "4 put, 0 deleted, 1 kept");
}

#[test]
fn a_whole_answer_without_what_it_must_hold_changes_nothing() {
    let double = account();
    let empty = |call: &str| {
        Fault::Body(format!(
            "<{call}Response xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\"><{call}Result/></{call}Response>"
        ))
    };
    for (call, lacks) in [
        ("GetAccountAuthorizationDetails", "IsTruncated"),
        ("ListSSHPublicKeys", "SSHPublicKeys"),
        ("GetSSHPublicKey", "SSHPublicKeyBody"),
    ] {
        refused(&double, &Match::action(call), &empty(call), call, &format!("there is no <{lacks}> in it"));
    }
    let list = "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"></ListBucketResult>".to_owned();
    refused(
        &double,
        &Match::action("ListObjectsV2"),
        &Fault::Body(list),
        "ListObjectsV2",
        "there is no <IsTruncated> in it",
    );
}

#[test]
fn no_users_at_all_is_fine_where_there_are_no_documents_of_users() {
    let double = double();
    double.add_group("g").put_object(BUCKET, "groups/old/authorized_keys", line("u", &key(1)));
    double.put_object(BUCKET, "users/x/notes", "not a document");
    assert_eq!(synced(&double).summary(), "1 put, 1 deleted, 0 kept");
}
