//! The policies that are deployed, with moto as the one who enforces them: the real programs work under their roles' credentials, and
//! a list of other calls is refused.
//!
//! moto looks at resources in S3 only, and at no condition (tests/policies.rs does): where a statement names users or a parameter, it is
//! given `*` instead.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;

use iam_ssh_e2e::policy::Policy;
use iam_ssh_e2e::scene::{Person, armed};
use iam_ssh_e2e::{BUCKET, KeyKind, Outcome, Suite, World, command, run};
use serde_json::{Value, json};

/// The AWS CLI, as an administrator of moto or with a role's credentials.
struct Cli<'a> {
    world: &'a World,
    credentials: Vec<(&'static str, String)>,
}

impl<'a> Cli<'a> {
    fn admin(world: &'a World) -> Self {
        let keys = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"];
        Self { world, credentials: keys.map(|name| (name, "admin".to_owned())).into() }
    }

    fn equip(&self, command: &mut Command) {
        command
            .env("AWS_ENDPOINT_URL", self.world.moto().url())
            .env("AWS_DEFAULT_REGION", "us-east-1")
            .env("HOME", "/nonexistent");
        command.envs(self.credentials.iter().map(|(name, value)| (name, value)));
    }

    fn call(&self, arguments: &[&str]) -> Outcome {
        let mut aws = command(self.world.aws_cli());
        self.equip(aws.args(arguments).args(["--output", "json"]));
        run(&mut aws, b"")
    }

    fn refused(&self, arguments: &[&str]) {
        let outcome = self.call(arguments);
        assert!(!outcome.ok() && outcome.stderr.contains("AccessDenied"), "{outcome}");
    }

    /// A role with this policy, and its credentials.
    fn role(&self, name: &str, policy: &Value) -> Self {
        let trust = json!({ "Version": "2012-10-17", "Statement": [
            { "Effect": "Allow", "Principal": { "AWS": "*" }, "Action": "sts:AssumeRole" }
        ]});
        let (trust, policy) = (trust.to_string(), policy.to_string());
        self.call(&["iam", "create-role", "--role-name", name, "--assume-role-policy-document", &trust]).expect_ok();
        let put = ["iam", "put-role-policy", "--role-name", name, "--policy-name", "p", "--policy-document", &policy];
        self.call(&put).expect_ok();
        let arn = format!("arn:aws:iam::123456789012:role/{name}");
        let assumed = self.call(&["sts", "assume-role", "--role-arn", &arn, "--role-session-name", "test"]);
        let assumed: Value = serde_json::from_str(assumed.expect_ok()).unwrap();
        let one = |name| assumed["Credentials"][name].as_str().unwrap().to_owned();
        let credentials = vec![
            ("AWS_ACCESS_KEY_ID", one("AccessKeyId")),
            ("AWS_SECRET_ACCESS_KEY", one("SecretAccessKey")),
            ("AWS_SESSION_TOKEN", one("SessionToken")),
        ];
        Self { world: self.world, credentials }
    }
}

/// From now on moto looks at signatures and policies.
fn enforce(world: &World) {
    let address = world.moto().url().trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "POST /moto-api/reset-auth HTTP/1.1\r\nHost: {address}\r\nContent-Type: text/plain\r\nContent-Length: 1\r\n\
         Connection: close\r\n\r\n0"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

/// A policy for moto: what names a user or a parameter names everything.
fn for_moto(name: &str) -> Value {
    let mut document = Policy::deployed(name).document().clone();
    for statement in document["Statement"].as_array_mut().unwrap() {
        let resource = statement["Resource"].as_str().unwrap_or_default();
        if resource.contains(":iam:") || resource.contains(":ssm:") {
            statement["Resource"] = "*".into();
        }
    }
    document
}

#[test]
fn the_sync_works_under_its_role_and_nothing_else_does() {
    let world = World::new();
    world.iam().create_group("Administrators");
    let john = Person::join(&world, "john@example.org", KeyKind::Rsa4096, &["Administrators"]);
    let jane = Person::join(&world, "jane@example.org", KeyKind::Ed25519, &["Administrators"]);
    world.s3().put("other/authorized_keys", "x");
    let admin = Cli::admin(&world);
    let role = admin.role("iam-ssh-sync", &for_moto("sync"));
    let deactivate = ["iam", "update-ssh-public-key", "--user-name", john.name, "--ssh-public-key-id", &john.key_id];
    let deactivate = [&deactivate[..], &["--status", "Inactive"]].concat();
    let remover = admin.role(
        "Admin",
        &json!({ "Version": "2012-10-17", "Statement": [
            { "Effect": "Allow", "Action": ["iam:*", "s3:*"], "Resource": "*" }
        ]}),
    );
    enforce(&world);

    let sync = || {
        let mut command = world.sync_command(world.moto().url());
        role.equip(&mut command);
        run(&mut command, b"").expect_ok().to_owned()
    };
    sync();
    let document = ["s3api", "get-object", "--bucket", BUCKET, "--key"];
    let document = [&document[..], &["users/john@example.org/authorized_keys", "/dev/stdout"]].concat();
    assert!(remover.call(&document).expect_ok().contains("SSH_KEY_OWNER=john@example.org"));
    // Documents that change and go need other rights than those that come.
    remover.call(&deactivate).expect_ok();
    sync();
    assert!(!remover.call(&document).expect_ok().contains("SSH_KEY_OWNER"));
    for call in [
        &["remove-user-from-group", "--group-name", "Administrators"][..],
        &["delete-ssh-public-key", "--ssh-public-key-id", &john.key_id],
    ] {
        remover.call(&[&["iam"], call, &["--user-name", john.name]].concat()).expect_ok();
    }
    remover.call(&["iam", "delete-user", "--user-name", john.name]).expect_ok();
    sync();
    assert!(remover.call(&document).stderr.contains("NoSuchKey"));

    let (jane, key) = (jane.name, "users/jane@example.org/authorized_keys");
    for call in [
        &["iam", "list-users"][..],
        &["iam", "list-groups"],
        &["iam", "upload-ssh-public-key", "--user-name", jane, "--ssh-public-key-body", "ssh-rsa AAAA"],
        &["iam", "tag-user", "--user-name", jane, "--tags", "Key=iam-ssh/key/x,Value=y"],
        &["iam", "create-access-key", "--user-name", jane],
        &["s3api", "get-object", "--bucket", BUCKET, "--key", "other/authorized_keys", "/dev/null"],
        &["s3api", "put-object", "--bucket", BUCKET, "--key", "other/x"],
        &["s3api", "delete-object", "--bucket", BUCKET, "--key", "other/authorized_keys"],
        &["s3api", "get-bucket-policy", "--bucket", BUCKET],
        &["s3api", "delete-bucket-policy", "--bucket", BUCKET],
        &["s3api", "list-object-versions", "--bucket", BUCKET],
        &["s3api", "put-object-acl", "--bucket", BUCKET, "--key", key, "--acl", "public-read"],
        &["ssm", "get-parameter", "--name", "/IAM/web-server/principals"],
    ] {
        role.refused(call);
    }
}

#[test]
fn a_lookup_works_under_its_instances_role_and_nothing_else_does() {
    let world = World::new();
    world.iam().create_group("Administrators");
    let john = Person::join(&world, "john@example.org", KeyKind::Ed25519, &["Administrators"]);
    world.sync(&[]).expect_ok();
    world.ssm().put("/IAM/web-server/principals", "groups/Administrators,groups/Nobody");
    let role = Cli::admin(&world).role("web-server", &for_moto("instance"));
    let machine =
        armed(&world, Suite::Bookworm, world.moto().url(), "principals_parameter = \"/IAM/web-server/principals\"");
    // The credentials come from the environment: those of the metadata service's double are none of moto's.
    machine.configure(&format!(
        "region = \"us-east-1\"\n{}\n[aws]\ncredentials = \"default-chain\"\n",
        iam_ssh_e2e::scene::configuration(world.moto().url(), "principals_parameter = \"/IAM/web-server/principals\"")
    ));
    enforce(&world);

    let settings: Vec<String> = role.credentials.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let lookup = format!("/usr/libexec/iam-ssh/authorized-keys ec2-user {} {}", john.key.kind(), john.key.base64());
    let answer = machine.run(&format!("env {} {lookup}", settings.join(" ")));
    assert!(answer.expect_ok().contains("SSH_KEY_OWNER=john@example.org"), "{answer}");

    let key = "users/john@example.org/authorized_keys";
    for call in [
        &["s3api", "get-object", "--bucket", BUCKET, "--key", "iam-ssh/state.json", "/dev/null"][..],
        &["s3api", "get-object", "--bucket", BUCKET, "--key", "iam-ssh/heartbeat.json", "/dev/null"],
        &["s3api", "put-object", "--bucket", BUCKET, "--key", key],
        &["s3api", "delete-object", "--bucket", BUCKET, "--key", key],
        &["s3api", "get-bucket-policy", "--bucket", BUCKET],
        &["ssm", "put-parameter", "--name", "/IAM/web-server/principals", "--value", "x", "--overwrite"],
        &["iam", "list-ssh-public-keys", "--user-name", john.name],
    ] {
        role.refused(call);
    }
}
