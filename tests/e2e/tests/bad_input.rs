//! What is wrong in a configuration or a document: said clearly, skipped, and the good rest works.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use iam_ssh_e2e::scene::{armed_by_double, asking_always, configuration, publish, published};
use iam_ssh_e2e::{BUCKET, Key, KeyKind, Machine, World};

const TWO: &str = r#"principals = ["groups/Strange", "users/john@example.org"]"#;
const DOCUMENT: &str = "groups/Strange/authorized_keys";

fn scene(world: &World) -> (Machine, Key) {
    let john = world.key("john@example.org", KeyKind::Ed25519);
    publish(world, "john@example.org", &john);
    let machine = armed_by_double(world, TWO);
    machine.configure(&asking_always(&configuration(&world.double().url(), TWO)));
    (machine, john)
}

/// A document that is not as it should be costs no other document anything. Returns what was logged about it.
#[track_caller]
fn the_rest_still_works(machine: &Machine, world: &World, john: &Key, body: impl Into<Vec<u8>>) -> String {
    world.double().put_object(BUCKET, DOCUMENT, body);
    let from = machine.logs().len();
    let session = machine.login("ec2-user").key(john).run("echo $SSH_KEY_OWNER");
    assert_eq!(session.expect_ok(), "john@example.org\n", "{}", machine.log_text());
    let line = machine.wait_log_from(from, |line| line.tag == "iam-ssh" && line.message.contains("groups/Strange"));
    line.unwrap_or_else(|| panic!("nothing was logged about groups/Strange:\n{}", machine.log_text())).message
}

#[test]
fn a_bad_configuration_is_told_with_its_place_and_lets_nobody_in() {
    let world = World::new();
    let (machine, john) = scene(&world);
    let local = world.key("local", KeyKind::Ed25519);
    machine.authorize("ec2-user", local.line());
    let good = configuration(&world.double().url(), TWO);
    for (bad, place, what) in [
        ("bukket = \"x\"\n", "config.toml:1:1", "bukket"),
        ("\n  deadline = 3\n", "config.toml:2:3", "deadline"),
        ("bucket = 7\n", "config.toml:1:10", "string"),
        ("bucket = \"\"\n", "config.toml:1:10", "bucket"),
        ("[lookup]\nnetwork = \"yes\"\n", "config.toml:2:11", "boolean"),
        ("[login.ec2-user]\nprincipals = [\"user/Admin\"]\n", "config.toml:2:15", "users/Admin"),
        ("[login.ec2-user]\nprincipals = [\"users/../../etc\"]\n", "config.toml:2:15", "principals"),
        ("[login.ec2-user]\nprincipals = [\"users/a/b\"]\n", "config.toml:2:15", "principals"),
        ("[login.\"../root\"]\nprincipals = []\n", "config.toml:1:8", "login"),
        ("bucket = \"a\0b\"\n", "config.toml:1", ""),
        ("bucket = \n", "config.toml:1", ""),
    ] {
        machine.configure(bad);
        let from = machine.logs().len();
        let answer = machine.lookup(&["ec2-user", john.kind(), john.base64()]);
        assert_eq!((answer.status.code(), answer.stdout.as_str()), (Some(1), ""), "{bad:?}: {answer}");
        let told = machine.wait_log_from(from, |line| line.message.contains(&format!("/etc/iam-ssh/{place}")));
        let line = told.unwrap_or_else(|| panic!("{bad:?} is not told at {place}: {answer}"));
        assert!(line.message.contains(what), "{bad:?} should be told with {what:?}: {line:?}");
        assert_eq!((line.tag.as_str(), line.priority & 7), ("iam-ssh", 3), "{line:?}");
        assert!(answer.stderr.contains(&line.message), "a person sees the same: {answer}");
    }
    assert!(machine.login("ec2-user").key(&john).run("true").refused());
    machine.login("ec2-user").key(&local).run("true").expect_ok();
    assert_eq!(world.requests(), 0, "nobody is asked on the word of a bad configuration");
    machine.configure(&good);
    machine.login("ec2-user").key(&john).run("true").expect_ok();
}

#[test]
fn a_configuration_that_others_can_write_is_not_trusted() {
    let world = World::new();
    let (machine, john) = scene(&world);
    for (change, back) in [
        ("chmod 666 /etc/iam-ssh/config.toml", "chmod 644 /etc/iam-ssh/config.toml"),
        ("chown ec2-user /etc/iam-ssh/config.toml", "chown root /etc/iam-ssh/config.toml"),
        ("chmod 777 /etc/iam-ssh", "chmod 755 /etc/iam-ssh"),
    ] {
        machine.run(change).expect_ok();
        let answer = machine.lookup(&["ec2-user", john.kind(), john.base64()]);
        assert_eq!((answer.status.code(), answer.stdout.as_str()), (Some(1), ""), "{change}: {answer}");
        assert!(answer.stderr.contains("/etc/iam-ssh") && answer.stderr.contains("not trusted"), "{change}: {answer}");
        machine.run(back).expect_ok();
    }
    machine.login("ec2-user").key(&john).run("true").expect_ok();
}

#[test]
fn a_bad_entry_among_the_principals_costs_only_itself() {
    let world = World::new();
    let (machine, john) = scene(&world);
    let login = r#"principals_file = "/etc/iam-ssh/principals""#;
    machine.configure(&configuration(&world.double().url(), login));
    machine.write("/etc/iam-ssh/principals", "user/Admin\nusers/../../x\nusers/a/b\nusers/john@example.org\n", 0o644);
    machine.login("ec2-user").key(&john).run("true").expect_ok();
    let line = machine.expect_log("users/Admin");
    assert!(line.message.contains("/etc/iam-ssh/principals"), "{line:?}");
    assert_eq!(world.double().requests().iter().filter(|request| request.resource.contains("..")).count(), 0);
}

/// Ten megabytes is much, but less than the largest group that IAM allows: it is read, and costs the others nothing.
#[test]
fn an_object_of_ten_megabytes_is_read() {
    let world = World::new();
    let (machine, john) = scene(&world);
    let (filler, last) = (world.key("filler", KeyKind::Rsa4096), world.key("last", KeyKind::Ed25519));
    let line = published("filler@example.org", &filler);
    let document = format!("{}{}", line.repeat(10 * 1024 * 1024 / line.len()), published("last@example.org", &last));
    world.double().put_object(BUCKET, DOCUMENT, document);
    for (key, owner) in [(&john, "john@example.org\n"), (&last, "last@example.org\n")] {
        let session = machine.login("ec2-user").key(key).run("echo $SSH_KEY_OWNER");
        assert_eq!(session.expect_ok(), owner, "{}", machine.log_text());
    }
}

#[test]
fn an_object_larger_than_any_document_is_not_read() {
    let world = World::new();
    let (machine, john) = scene(&world);
    let said = the_rest_still_works(&machine, &world, &john, vec![b'#'; 33 * 1024 * 1024]);
    assert!(said.contains("larger than 33554432 bytes"), "{said}");
}

#[test]
fn an_object_full_of_garbage() {
    let world = World::new();
    let (machine, john) = scene(&world);
    let garbage: Vec<u8> = (0..60_000_u32).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    the_rest_still_works(&machine, &world, &john, garbage);
    let said = the_rest_still_works(&machine, &world, &john, "<html><body>It works!</body></html>\n".repeat(100));
    assert!(said.contains("skipped") && said.len() <= 960, "{said}");
    assert!(machine.logs().iter().all(|line| line.raw.len() <= 1024), "{}", machine.log_text());
}

/// Lines that must not be answered, each beside a good one of the same document.
#[test]
fn lines_that_are_not_allowed() {
    let world = World::new();
    let (machine, john) = scene(&world);
    let (good, bad) = (world.key("good", KeyKind::Ed25519), world.key("bad", KeyKind::Ed25519));
    let key = bad.bare();
    let owner = "environment=\"SSH_KEY_OWNER=good@example.org\"";
    for line in [
        format!("command=\"/bin/sh\" {owner} {key} good@example.org"),
        format!("{owner},command=\"id\" {key} good@example.org"),
        format!("cert-authority {owner} {key} good@example.org"),
        format!("environment=\"LD_PRELOAD=/tmp/x.so\" {key} good@example.org"),
        format!("principals=\"root\",{owner} {key} good@example.org"),
        format!("{owner} ssh-rsa {} good@example.org", bad.base64()),
        format!("{owner} {key}\0 good@example.org"),
        format!("\0\0\0{owner} {key} good@example.org"),
        format!("{owner} ssh-ed25519 AAAA good@example.org"),
        format!("environment=\"SSH_KEY_OWNER=../root\" {key} ../root"),
        format!("environment=\"SSH_KEY_OWNER=a/b\" {key} a/b"),
        format!("environment=\"SSH_KEY_OWNER=good@example.org {key} good@example.org"),
    ] {
        let document = format!("{line}\n{}", published("good@example.org", &good));
        let said = the_rest_still_works(&machine, &world, &john, document);
        assert!(said.contains("skipped 1 of 2 lines: line 1: "), "{line:?}: {said}");
        let printed = machine.lookup(&["ec2-user"]);
        assert!(!printed.expect_ok().contains(bad.base64()), "{line:?}: {printed}");
        assert!(printed.stdout.contains(good.base64()), "{line:?}: {printed}");
        assert!(!printed.stdout.contains('\0') && !printed.stdout.contains("command"), "{line:?}: {printed}");
        assert_eq!(machine.lookup(&["ec2-user", bad.kind(), bad.base64()]).stdout, "", "{line:?}");
    }
    machine.login("ec2-user").key(&good).run("true").expect_ok();
}

#[test]
fn strange_login_names_are_nobody() {
    let world = World::new();
    let (machine, john) = scene(&world);
    for name in ["../ec2-user", "ec2-user/", "", ".", "..", "ec2-user\n", "EC2-USER", "-h", "ec2-user,root"] {
        let answer = machine.lookup(&[name, john.kind(), john.base64()]);
        assert_eq!((answer.status.code(), answer.stdout.as_str()), (Some(0), ""), "{name:?}: {answer}");
    }
    for key in [["ssh-ed25519", "AAAA"], ["", ""], ["ssh-dss", "AAAAB3NzaC1kc3M="], ["../x", "%k"]] {
        let answer = machine.lookup(&["ec2-user", key[0], key[1]]);
        assert_eq!((answer.status.code(), answer.stdout.as_str()), (Some(0), ""), "{key:?}: {answer}");
    }
    assert_eq!(world.requests(), 0, "nothing of this needs to be asked");
}

#[test]
fn the_sync_refuses_an_empty_bucket_name() {
    let world = World::new();
    for (name, what) in [("", "empty"), ("s3://company-iam", "name alone"), ("company-iam/keys", "name alone")] {
        let refused = world.sync_at(&world.double().url(), &["--s3-bucket", name]);
        assert_eq!((refused.status.code(), refused.stdout.as_str()), (Some(2), ""), "{refused}");
        assert!(refused.stderr.contains("S3_BUCKET") && refused.stderr.contains(what), "{refused}");
    }
    assert_eq!(world.double().requests().len(), 0);
}
