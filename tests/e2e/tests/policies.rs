//! The policies that are deployed: every call that sync and lookup make is allowed, nothing that they do not need is, and nobody else
//! gets at what is the sync's.
//!
//! The calls are those that the programs really made of our double; what is allowed says our own evaluator. moto, which enforces
//! policies, is asked as well: tests/enforced.rs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[allow(dead_code, unreachable_pub, missing_docs, reason = "shared with the sync's own tests")]
#[path = "../../../crates/sync/tests/common/cloudtrail.rs"]
mod cloudtrail;
#[allow(dead_code, unreachable_pub, missing_docs, reason = "shared with the sync's own tests")]
#[path = "../../../crates/sync/tests/common/runtime.rs"]
mod runtime;

use std::collections::BTreeSet;

use iam_ssh_e2e::doubles::{Double, Request};
use iam_ssh_e2e::policy::{Call, Policy, Verdict};
use iam_ssh_e2e::scene::{armed_by_double, publish};
use iam_ssh_e2e::{BUCKET, KeyKind, World, template};
use runtime::{Function, Runtime};
use serde_json::json;

const REGION: &str = "us-east-1";
const HERE: &str = "123456789012";
const THERE: &str = "111122223333";
const READER: &str = "arn:aws:iam::111122223333:role/iam-ssh-reader";
const SYNC: &str = "arn:aws:iam::123456789012:role/iam-ssh-sync";
const WEB: &str = "arn:aws:iam::123456789012:role/web-server";
const ADMIN: &str = "arn:aws:iam::123456789012:role/Admin";
/// A role of an instance in another account of the organisation.
const FAR: &str = "arn:aws:iam::999900001111:role/web-server";

/// The function, started as Lambda starts it, with the settings that the template gives it for these parameters; it calls the double.
fn function(world: &World, runtime: &Runtime, parameters: &[&str]) -> Function {
    let bucket = format!("BucketName={BUCKET}");
    let deployed = template("template.yaml", &[&[bucket.as_str()], parameters].concat());
    let mut command = world.sync_command(world.double().url().as_str());
    for (name, value) in deployed["Function"]["Properties"]["Environment"]["Variables"].as_object().unwrap() {
        command.env(name, value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned));
    }
    Function::start(&world.sync_program(), &command, runtime)
}

/// People with all that the sync may want to know: a person with a policy, one with two keys, one who leaves.
fn people(world: &World, double: &Double) {
    double.add_group("Administrators").put_group_policy("Administrators", "p", r#"{"Statement":[]}"#);
    for (name, id) in [("john@example.org", "APKAJOHN00000000001"), ("jane@example.org", "APKAJANE00000000001")] {
        double.add_user(name).add_member("Administrators", name);
        double.add_key(name, id, &world.key(name, KeyKind::Ed25519).bare(), "Active");
    }
    double.add_user("gone@example.org");
    double.put_user_policy("john@example.org", "inline", r#"{"Statement":[]}"#);
    double.attach_user_policy("john@example.org", "arn:aws:iam::aws:policy/ReadOnlyAccess");
}

/// What a policy does not allow of these requests, and what it allows that none of them needs.
fn judged<'a>(policy: &Policy, requests: impl Iterator<Item = &'a Request>) -> (Vec<Call>, BTreeSet<String>) {
    let calls: Vec<Call> = requests.flat_map(|request| Call::of(request, REGION)).collect();
    let granted = policy.document()["Statement"].as_array().unwrap().iter().flat_map(|statement| {
        let action = &statement["Action"];
        action.as_array().cloned().unwrap_or_else(|| vec![action.clone()])
    });
    let mut spare: BTreeSet<String> = granted.map(|action| action.as_str().unwrap().to_owned()).collect();
    let refused = calls.iter().filter(|call| policy.verdict(call) != Verdict::Allowed).cloned().collect();
    for call in &calls {
        spare.remove(&call.action);
    }
    (refused, spare)
}

fn events(double: &Double, runtime: &Runtime) {
    let john = json!({ "userName": "john@example.org" });
    for name in ["UploadSSHPublicKey", "PutUserPolicy", "AttachUserPolicy", "AddUserToGroup"] {
        runtime.invoke(&cloudtrail::event(name, &john)).response();
    }
    runtime.invoke(&cloudtrail::event("UpdateGroup", &json!({ "groupName": "Administrators" }))).response();
    double.set_key_status("john@example.org", "APKAJOHN00000000001", "Inactive");
    runtime.invoke(&cloudtrail::event("UpdateSSHPublicKey", &john)).response();
    double.remove_user("gone@example.org");
    runtime.invoke(&cloudtrail::schedule()).response();
}

#[test]
fn the_sync_may_do_what_it_does_and_no_more() {
    let world = World::new();
    let (double, runtime) = (world.double(), Runtime::start());
    people(&world, double);
    let _function = function(&world, &runtime, &[]);
    runtime.invoke(&cloudtrail::schedule()).response();
    events(double, &runtime);

    let requests = double.requests();
    let (refused, spare) = judged(&Policy::deployed("sync"), requests.iter());
    assert!(requests.len() > 20 && refused.is_empty(), "of {}: {refused:#?}", requests.len());
    assert_eq!(spare, BTreeSet::new(), "granted, and never needed");
}

#[test]
fn the_sync_of_several_accounts_may_do_what_it_does_and_no_more() {
    let world = World::new();
    let (double, runtime) = (world.double(), Runtime::start());
    people(&world, double);
    let key = world.key("far@example.org", KeyKind::Ed25519).bare();
    double.with_account(THERE, |far| {
        far.add_user("far@example.org").add_key("far@example.org", "APKAFAR000000000001", &key, "Active");
        far.put_user_policy("far@example.org", "inline", r#"{"Statement":[]}"#);
    });
    let _function = function(&world, &runtime, &[&format!("AccountRoleArns={READER}")]);
    runtime.invoke(&cloudtrail::schedule()).response();
    events(double, &runtime);
    for name in ["UploadSSHPublicKey", "PutUserPolicy"] {
        let mut event = cloudtrail::event(name, &json!({ "userName": "far@example.org" }));
        event["account"] = THERE.into();
        runtime.invoke(&event).response();
    }

    let requests = double.requests();
    let far = |request: &&Request| request.account == THERE;
    let (refused, spare) = judged(&Policy::deployed("sync-accounts"), requests.iter().filter(|request| !far(request)));
    assert_eq!((refused.len(), spare), (0, BTreeSet::new()), "{refused:#?}");
    let (refused, spare) = judged(&Policy::deployed("reader"), requests.iter().filter(far));
    assert_eq!((refused.len(), spare), (0, BTreeSet::new()), "{refused:#?}");
}

#[test]
fn an_instance_may_do_what_it_does_and_no_more() {
    let world = World::new();
    let key = world.key("john@example.org", KeyKind::Ed25519);
    publish(&world, "john@example.org", &key);
    world.imds().set_role(Some("web-server"));
    world.double().put_parameter("/IAM/web-server/principals", "users/john@example.org,groups/Nobody");
    let machine = armed_by_double(&world, r#"principals_parameter = "/IAM/{role}/principals""#);
    machine.login("ec2-user").key(&key).run("true").expect_ok();
    machine.run("iam-ssh refresh").expect_ok();

    let requests = world.double().requests();
    let (refused, spare) = judged(&Policy::deployed("instance"), requests.iter());
    assert!(!requests.is_empty() && refused.is_empty(), "{refused:#?}");
    assert_eq!(spare, BTreeSet::new(), "granted, and never needed");
}

/// A call by somebody of the organisation, over TLS.
fn by(who: &str, action: &str, resource: &str) -> Call {
    let call =
        Call::new(action, resource).with("aws:PrincipalArn", &[who]).with("aws:PrincipalOrgID", &["o-exampleorgid"]);
    call.with("aws:SecureTransport", &["true"])
}

fn object(key: &str) -> String {
    format!("arn:aws:s3:::{BUCKET}/{key}")
}

#[test]
fn roles_get_nothing_else() {
    let parameter = |account: &str, name: &str| format!("arn:aws:ssm:eu-central-1:{account}:parameter/{name}");
    let john = "arn:aws:iam::123456789012:user/john@example.org";
    let bucket = "arn:aws:s3:::company-iam";
    let (sync, instance) = (Policy::deployed("sync"), Policy::deployed("instance"));
    for (policy, name, calls) in [
        (
            &sync,
            "sync",
            vec![
                by(SYNC, "iam:ListUsers", "*"),
                by(SYNC, "iam:UploadSSHPublicKey", john),
                by(SYNC, "iam:UpdateSSHPublicKey", john),
                by(SYNC, "iam:TagUser", john),
                by(SYNC, "iam:GetUser", "arn:aws:iam::111122223333:user/john@example.org"),
                by(SYNC, "iam:GetRolePolicy", "arn:aws:iam::123456789012:role/Admin"),
                by(SYNC, "sts:AssumeRole", READER),
                by(SYNC, "s3:PutObject", &object("other/authorized_keys")),
                by(SYNC, "s3:GetObject", &object("users-of-somebody-else/x")),
                by(SYNC, "s3:GetObject", "arn:aws:s3:::other/users/john/authorized_keys"),
                by(SYNC, "s3:DeleteObjectVersion", &object("users/john/authorized_keys")),
                by(SYNC, "s3:ListBucket", bucket).with("s3:prefix", &["other/"]),
                by(SYNC, "s3:GetBucketPolicy", bucket),
                by(SYNC, "s3:PutBucketPolicy", bucket),
                by(SYNC, "ssm:GetParameter", &parameter(HERE, "IAM/web-server/principals")),
            ],
        ),
        (
            &instance,
            "instance",
            vec![
                by(WEB, "s3:GetObject", &object("iam-ssh/state.json")),
                by(WEB, "s3:GetObject", &object("iam-ssh/lease.json")),
                by(WEB, "s3:GetObject", &object("iam-ssh/heartbeat.json")),
                by(WEB, "s3:GetObject", "arn:aws:s3:::other/users/john/authorized_keys"),
                by(WEB, "s3:GetObjectVersion", &object("users/john/authorized_keys")),
                by(WEB, "s3:PutObject", &object("users/john/authorized_keys")),
                by(WEB, "s3:DeleteObject", &object("groups/x/authorized_keys")),
                by(WEB, "s3:ListBucket", bucket).with("s3:prefix", &["iam-ssh/"]),
                by(WEB, "ssm:GetParameter", &parameter(HERE, "IAM/database/principals")),
                by(WEB, "ssm:GetParameter", &parameter(HERE, "IAM/web-server/password")),
                by(WEB, "ssm:GetParameter", &parameter(THERE, "IAM/web-server/principals")),
                by(WEB, "ssm:PutParameter", &parameter(HERE, "IAM/web-server/principals")),
                by(WEB, "ssm:GetParametersByPath", &parameter(HERE, "IAM/web-server/principals")),
                by(WEB, "iam:GetSSHPublicKey", john),
                by(WEB, "ec2:CreateTags", "*"),
            ],
        ),
    ] {
        for call in calls {
            assert_eq!(policy.verdict(&call), Verdict::Unsaid, "{name}: {call:?}");
        }
    }
}

#[test]
fn the_bucket_is_read_by_the_organisation_and_written_by_the_sync() {
    let policy = Policy::deployed("bucket");
    let verdict = |call: &Call| policy.verdict(call);
    let (document, bucket) = (object("users/john@example.org/authorized_keys"), "arn:aws:s3:::company-iam");
    assert_eq!(verdict(&by(FAR, "s3:GetObject", &document)), Verdict::Allowed);
    assert_eq!(
        verdict(&by(FAR, "s3:ListBucket", bucket).with("s3:prefix", &["groups/x/authorized_keys"])),
        Verdict::Allowed
    );
    assert_eq!(verdict(&by(FAR, "s3:ListBucket", bucket).with("s3:prefix", &["iam-ssh/"])), Verdict::Unsaid);
    assert_eq!(verdict(&by(FAR, "s3:GetObject", &object("iam-ssh/heartbeat.json"))), Verdict::Unsaid);
    let stranger = by(FAR, "s3:GetObject", &document).with("aws:PrincipalOrgID", &["o-strangers"]);
    assert_eq!(verdict(&stranger), Verdict::Unsaid);
    // Whatever a role's own policy allows: nobody but the sync writes, or reads what the sync remembers; not even administrators.
    for who in [WEB, FAR, ADMIN] {
        for action in ["s3:PutObject", "s3:DeleteObject", "s3:DeleteObjectVersion", "s3:ReplicateObject"] {
            assert_eq!(verdict(&by(who, action, &document)), Verdict::Denied, "{who} {action}");
        }
        for key in ["iam-ssh/state.json", "iam-ssh/lease.json"] {
            assert_eq!(verdict(&by(who, "s3:GetObject", &object(key))), Verdict::Denied, "{who} {key}");
            assert_eq!(verdict(&by(who, "s3:GetObjectVersion", &object(key))), Verdict::Denied, "{who} {key}");
        }
    }
    for key in ["users/x/authorized_keys", "iam-ssh/state.json"] {
        for action in ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"] {
            assert_ne!(verdict(&by(SYNC, action, &object(key))), Verdict::Denied, "{action} {key}");
        }
    }
    assert_eq!(verdict(&by(SYNC, "s3:GetObject", &document).with("aws:SecureTransport", &["false"])), Verdict::Denied);
}

#[test]
fn documents_of_one_account_stay_readable_when_there_are_several() {
    let bucket = format!("BucketName={BUCKET}");
    let common = [bucket.as_str(), "ReaderOrganizationId=o-exampleorgid", "S3Prefix=ssh/"];
    let policies = |more: &[&str]| {
        let resources = template("template.yaml", &[&common, more].concat());
        let policy = |document: &serde_json::Value| Policy::parse(&document.to_string());
        [
            (FAR, policy(&resources["BucketPolicy"]["Properties"]["PolicyDocument"])),
            (WEB, policy(&resources["InstancePolicy"]["Properties"]["PolicyDocument"])),
            (SYNC, policy(&resources["SyncRole"]["Properties"]["Policies"][0]["PolicyDocument"])),
        ]
    };
    let (one, several) = (policies(&[]), policies(&[&format!("AccountRoleArns={READER}")]));
    let reads = |(who, policy): &(&str, Policy), key: &str| {
        let list = by(who, "s3:ListBucket", "arn:aws:s3:::company-iam").with("s3:prefix", &[key]);
        let calls = [by(who, "s3:GetObject", &object(key)), list];
        calls.map(|call| policy.verdict(&call)) == [Verdict::Allowed; 2]
    };
    let told = |who, key: &str| (reads(&one[who], key), reads(&several[who], key));
    for document in ["users/john@example.org/authorized_keys", "groups/x/authorized_keys"] {
        for reader in [0, 1] {
            assert_eq!(told(reader, &format!("ssh/{document}")), (true, true), "{reader} {document}");
            assert_eq!(told(reader, &format!("ssh/111122223333/{document}")), (false, true), "{reader} {document}");
            assert_eq!(told(reader, document), (false, false), "{reader} {document}");
        }
        // The sync itself works below the accounts' prefixes alone.
        assert_eq!(told(2, &format!("ssh/{document}")), (true, false), "{document}");
        assert_eq!(told(2, &format!("ssh/111122223333/{document}")), (false, true), "{document}");
    }
    assert_eq!(told(1, "ssh/111122223333/iam-ssh/state.json"), (false, false));
}

#[test]
fn a_statement_with_a_variable_that_stands_for_nothing_says_nothing() {
    let but_oneself = Policy::parse(
        r#"{ "Version": "2012-10-17", "Statement": [
            { "Effect": "Deny", "Action": "iam:TagUser", "NotResource": "arn:aws:iam::*:user/${aws:username}" }
        ]}"#,
    );
    let call = Call::new("iam:TagUser", "arn:aws:iam::123456789012:user/john");
    assert_eq!(but_oneself.verdict(&call), Verdict::Unsaid);
    assert_eq!(but_oneself.verdict(&call.clone().with("aws:username", &["jane"])), Verdict::Denied);
    assert_eq!(but_oneself.verdict(&call.with("aws:username", &["john"])), Verdict::Unsaid);
}

#[test]
fn tags_that_grant_logins_are_guarded() {
    let (guard, service) = (Policy::deployed("tag-keys-guard"), Policy::deployed("tag-keys-self-service"));
    let user = |name: &str| format!("arn:aws:iam::123456789012:user/{name}");
    let tags = |who: &str, action: &str, whom: &str, keys: &[&str]| {
        let call = Call::new(action, &user(whom)).with("aws:PrincipalArn", &[&user(who)]).with("aws:username", &[who]);
        if keys.is_empty() { call } else { call.with("aws:TagKeys", keys) }
    };
    for action in ["iam:TagUser", "iam:UntagUser", "iam:CreateUser"] {
        // In any case, because IAM takes one case for the other: that would also take an expiry away.
        for key in ["iam-ssh/key/laptop", "IAM-SSH/key/laptop", "Iam-Ssh/Expires/laptop", "iam-ssh/options/x"] {
            assert_eq!(guard.verdict(&tags("mallory", action, "john", &[key])), Verdict::Denied, "{action} {key}");
            assert_eq!(
                guard.verdict(&tags("mallory", action, "john", &["team", key])),
                Verdict::Denied,
                "{action} {key}"
            );
        }
        assert_eq!(guard.verdict(&tags("mallory", action, "john", &["team"])), Verdict::Unsaid, "{action}");
        // A role has no user name, nor has an account's root.
        for (who, expected) in [
            ("arn:aws:iam::123456789012:role/iam-ssh-key-admin", Verdict::Unsaid),
            ("arn:aws:iam::111122223333:role/iam-ssh-key-admin", Verdict::Denied),
            ("arn:aws:iam::123456789012:root", Verdict::Denied),
            (ADMIN, Verdict::Denied),
        ] {
            let mut role = tags("-", action, "john", &["iam-ssh/key/laptop"]).with("aws:PrincipalArn", &[who]);
            role.context.remove("aws:username");
            assert_eq!(guard.verdict(&role), expected, "{action} {who}");
            role.context.remove("aws:tagkeys");
            assert_eq!(guard.verdict(&role), Verdict::Unsaid, "{action} {who}");
        }
    }
    for (whom, keys, expected) in [
        ("john", &["iam-ssh/key/laptop", "iam-ssh/expires/laptop"][..], Verdict::Allowed),
        ("people/john", &["iam-ssh/from/laptop"], Verdict::Allowed),
        ("jane", &["iam-ssh/key/laptop"], Verdict::Unsaid),
        ("john/jane", &["iam-ssh/key/laptop"], Verdict::Unsaid),
        ("john", &["iam-ssh/key/laptop", "team"], Verdict::Unsaid),
        ("john", &["team"], Verdict::Unsaid),
        ("john", &[], Verdict::Unsaid),
    ] {
        let call = tags("john", "iam:TagUser", whom, keys);
        assert_eq!(service.verdict(&call), expected, "{whom} {keys:?}");
        if expected == Verdict::Allowed {
            assert_eq!(guard.verdict(&call), Verdict::Unsaid, "the guard lets self-service through");
        }
    }
}
