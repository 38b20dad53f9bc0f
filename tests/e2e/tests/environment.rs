//! The lookup ignores its environment and the home of whoever runs it: nothing there can redirect it, hand it credentials or make
//! it talk.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::time::Duration;

use iam_ssh_doubles::{Double, Fault, Match, Service};
use iam_ssh_e2e::scene::{armed_by_double, asking_always, configuration, publish};
use iam_ssh_e2e::{KeyKind, World};

/// A lookup's, where nothing else is configured.
const DEADLINE: Duration = Duration::from_secs(2);

#[test]
fn nothing_in_the_environment_counts() {
    let world = World::new();
    let key = world.key("john@example.org", KeyKind::Ed25519);
    publish(&world, "john@example.org", &key);
    let login = r#"principals = ["users/john@example.org"]"#;
    let machine = armed_by_double(&world, login);
    machine.configure(&asking_always(&configuration(&world.double().url(), login)));
    // Whoever the environment points to would answer, and be seen.
    let elsewhere = Double::start("127.0.0.1:0").unwrap();
    let url = elsewhere.url();
    let file = format!(
        "[default]\nregion = mars-1\nendpoint_url = {url}\nec2_metadata_service_endpoint = {url}\n\
         aws_access_key_id = AKIAFORGED\naws_secret_access_key = x\n"
    );
    machine.write("/root/.aws/config", &file, 0o644);
    machine.write("/root/.aws/credentials", &file, 0o644);
    let forged = [
        "AWS_ACCESS_KEY_ID=AKIAFORGED".to_owned(),
        "AWS_SECRET_ACCESS_KEY=x".to_owned(),
        "AWS_REGION=mars-1".to_owned(),
        "AWS_PROFILE=default".to_owned(),
        "AWS_CONFIG_FILE=/root/.aws/config".to_owned(),
        "AWS_EC2_METADATA_DISABLED=true".to_owned(),
        "RUST_LOG=trace".to_owned(),
        "HOME=/root".to_owned(),
        format!("AWS_ENDPOINT_URL={url}"),
        format!("AWS_ENDPOINT_URL_S3={url}"),
        format!("AWS_EC2_METADATA_SERVICE_ENDPOINT={url}"),
        format!("http_proxy={url}"),
        format!("HTTP_PROXY={url}"),
        format!("HTTPS_PROXY={url}"),
        format!("ALL_PROXY={url}"),
    ];
    let (kind, base64) = (key.kind(), key.base64());
    let lookup = format!("/usr/libexec/iam-ssh/authorized-keys ec2-user {kind} {base64}");
    let plain = machine.run(&lookup);
    let answer = machine.run(&format!("env {} {lookup}", forged.join(" ")));
    assert_eq!(answer.expect_ok(), plain.expect_ok());
    assert!(answer.stdout.contains("SSH_KEY_OWNER=john@example.org"), "{answer}");
    assert_eq!(answer.stderr, "", "nothing to say");
    assert_eq!(elsewhere.requests().len(), 0, "asked whom the environment names");
    let asked: Vec<_> = world.double().requests().into_iter().filter(|r| r.service == Service::S3).collect();
    assert_eq!(asked.len(), 2);
    assert!(asked.iter().all(|r| !r.header("authorization").unwrap().contains("AKIAFORGED")), "{asked:?}");
}

/// Outside EC2 the metadata address often answers nothing at all; with `default-chain`, nobody waits for it.
#[test]
fn the_default_chain_waits_for_no_metadata_service() {
    let world = World::new();
    let key = world.key("john@example.org", KeyKind::Ed25519);
    publish(&world, "john@example.org", &key);
    world.imds().fault(Match::any(), Fault::Hang);
    world.double().put_parameter("/principals", "users/john@example.org");
    let machine = armed_by_double(&world, "");
    for source in [r#"principals = ["users/john@example.org"]"#, r#"principals_parameter = "/principals""#] {
        let configuration = configuration(&world.double().url(), source);
        machine
            .configure(&format!("region = \"us-east-1\"\n{configuration}\n[aws]\ncredentials = \"default-chain\"\n"));
        let lookup = format!("/usr/libexec/iam-ssh/authorized-keys ec2-user {} {}", key.kind(), key.base64());
        let answer = machine.run(&format!("env AWS_ACCESS_KEY_ID=AKIACHAIN AWS_SECRET_ACCESS_KEY=x {lookup}"));
        assert!(answer.expect_ok().contains("SSH_KEY_OWNER=john@example.org"), "{source}: {answer}");
        assert!(answer.took < DEADLINE, "{source}: {answer}");
    }
    assert_eq!(world.imds().requests().len(), 0);
}
