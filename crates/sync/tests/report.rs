//! What a run tells: the readable difference of a dry run, and the heartbeat of a complete one.
//!
//! A dry run must change nothing at all, and nobody must have to compare base64.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[allow(dead_code, unreachable_pub, missing_docs, reason = "shared: each test uses its part")]
mod common;

use common::{BUCKET, ED25519, ED25519_FINGERPRINT, RSA, RSA_FINGERPRINT, Ran, against, double, finish, line, synced};
use iam_ssh_doubles::{Double, Request};

fn dry_run(double: &Double) -> Ran {
    let mut command = against(&double.url());
    command.arg("--dry-run");
    finish(command)
}

#[test]
fn a_dry_run_shows_the_difference_and_changes_nothing() {
    let double = double();
    double
        .add_key("john", "APKA1", RSA, "Active")
        .add_key("ann", "APKA2", ED25519, "Active")
        .add_member("admins", "ann");
    let old = format!("{}restrict {}garbage\n", line("john", ED25519), line("john", RSA));
    double.put_object(BUCKET, "users/john/authorized_keys", old.as_str());
    double.put_object(BUCKET, "users/zoe/authorized_keys", line("zoe", ED25519));
    double.put_object(BUCKET, "groups/admins/authorized_keys", line("ann", ED25519));
    let before = double.objects(BUCKET);
    let ran = dry_run(&double);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{ran:?}");
    let expected = format!(
        "put users/ann (+1 -0)\n  + ann {ED25519_FINGERPRINT} ssh-ed25519\n\
         put users/john (+1 -3)\n  - john {ED25519_FINGERPRINT} ssh-ed25519\n  - 2 lines that are no key lines\n  + john {RSA_FINGERPRINT} ssh-rsa\n\
         delete users/zoe\n  - zoe {ED25519_FINGERPRINT} ssh-ed25519\n\
         dry run, nothing was changed: 2 put, 1 deleted, 1 kept\n"
    );
    assert_eq!(ran.out, expected);
    assert!(!double.requests().iter().any(Request::is_write));
    assert_eq!(double.objects(BUCKET), before);
}

#[test]
fn options_are_part_of_the_difference_and_order_alone_is_told() {
    let double = double();
    double.add_key("ann", "APKA1", ED25519, "Active").add_key("ann", "APKA2", RSA, "Active");
    double.put_object(BUCKET, "users/ann/authorized_keys", line("ann", RSA) + &line("ann", ED25519));
    let ran = dry_run(&double);
    assert!(ran.out.starts_with("put users/ann (+0 -0)\n  = the same keys, written differently\n"), "{}", ran.out);
    double.put_object(
        BUCKET,
        "users/ann/authorized_keys",
        format!("no-pty,{}{}", line("ann", ED25519), line("ann", RSA)),
    );
    let ran = dry_run(&double);
    let expected =
        format!("  - ann {ED25519_FINGERPRINT} ssh-ed25519 [no-pty]\n  + ann {ED25519_FINGERPRINT} ssh-ed25519\n");
    assert!(ran.out.contains(&expected), "{}", ran.out);
}

#[test]
fn the_heartbeat_tells_of_the_last_complete_run() {
    let double = double();
    double.add_key("ann", "APKA1", ED25519, "Active").add_key("ann", "APKA2", "bad", "Active").add_member("g", "ann");
    double.put_object(BUCKET, "users/zoe/authorized_keys", "");
    let heartbeat = || -> serde_json::Value {
        serde_json::from_slice(&double.object(BUCKET, "iam-ssh/heartbeat.json").unwrap()).unwrap()
    };
    synced(&double);
    let first = heartbeat();
    for (name, value) in
        [("users", 1), ("groups", 1), ("keys", 1), ("put", 2), ("deleted", 1), ("kept", 0), ("skipped", 1)]
    {
        assert_eq!(first[name], value, "{name}: {first}");
    }
    assert_eq!(first["version"], env!("CARGO_PKG_VERSION"));
    assert!(first["duration_ms"].as_u64().unwrap() < 60_000);
    let ended = first["ended"].as_str().unwrap();
    assert!(ended.len() == 20 && ended.ends_with('Z') && ended.as_bytes()[10] == b'T', "{ended}");
    synced(&double);
    let second = heartbeat();
    assert_eq!((&second["put"], &second["deleted"], &second["kept"]), (&0.into(), &0.into(), &2.into()));
    assert!(second["ended"].as_str().unwrap() >= ended);
}

#[test]
fn what_is_foreign_and_who_is_excluded_is_told_and_counted_every_time() {
    let double = double();
    double.add_key("ann", "APKA1", ED25519, "Active").add_key("bob", "APKA2", RSA, "Active").add_member("g", "bob");
    double.attach_user_policy("bob", "arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV2");
    double.put_object(BUCKET, "users/README", "not ours").put_object(BUCKET, "README", "outside");
    let told = "note: user `bob` counts as deactivated: AWS quarantined it (AWSCompromisedKeyQuarantineV2): its access keys leaked\n\
                warning: `users/README` is no document of ours and is left alone\n";
    let first = dry_run(&double);
    assert_eq!((first.code, first.err.as_str()), (0, told), "{first:?}");
    for summary in ["3 put, 0 deleted, 0 kept", "0 put, 0 deleted, 3 kept"] {
        let ran = synced(&double);
        assert_eq!((ran.summary(), ran.err.as_str()), (summary, told));
        let heartbeat: serde_json::Value =
            serde_json::from_slice(&double.object(BUCKET, "iam-ssh/heartbeat.json").unwrap()).unwrap();
        let counts = ["users", "keys", "excluded", "foreign", "skipped"].map(|name| heartbeat[name].as_u64().unwrap());
        assert_eq!(counts, [2, 1, 1, 1, 0], "{heartbeat}");
    }
    assert_eq!(double.object(BUCKET, "users/README").unwrap(), b"not ours");
    assert_eq!(double.object(BUCKET, "README").unwrap(), b"outside");
    assert_eq!(common::document(&double, "users/bob").unwrap(), "");
}

#[test]
fn a_large_foreign_object_in_a_documents_place_is_replaced_without_being_read_whole() {
    let double = double();
    double.add_key("ann", "APKA1", ED25519, "Active").put_object(
        BUCKET,
        "users/ann/authorized_keys",
        "x".repeat(10 << 20),
    );
    assert!(synced(&double).out.starts_with("put users/ann (+1 -1)\n"));
    double.put_object(BUCKET, "users/ann/authorized_keys", vec![0; 33 << 20]);
    assert!(synced(&double).out.starts_with("put users/ann (+1 -0)\n"));
    assert_eq!(double.object(BUCKET, "users/ann/authorized_keys").unwrap(), line("ann", ED25519).into_bytes());
}
