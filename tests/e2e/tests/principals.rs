//! Whose keys open a login: the four sources, every name that IAM allows, every kind of key, and documents of the seed's Lambda.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use iam_ssh_e2e::scene::{Person, armed, armed_by_double, publish, published};
use iam_ssh_e2e::{BUCKET, KeyKind, Machine, Suite, World};

/// The lines that the lookup prints for everybody.
fn lines(machine: &Machine) -> Vec<String> {
    machine.lookup(&["ec2-user"]).expect_ok().lines().map(str::to_owned).collect()
}

#[test]
fn principals_come_from_all_four_sources() {
    let world = World::new();
    let names = ["inline@example.org", "file@example.org", "parameter@example.org", "tag@example.org"];
    let keys = names.map(|name| {
        let key = world.key(name, KeyKind::Ed25519);
        publish(&world, name, &key);
        key
    });
    let stranger = world.key("stranger@example.org", KeyKind::Ed25519);
    publish(&world, "stranger@example.org", &stranger);
    world.imds().set_role(Some("web-server")).set_tag("iam-ssh-principals", "users/tag@example.org, groups/Nobody");
    world.double().put_parameter("/IAM/web-server/principals", "users/parameter@example.org,groups/Nobody");
    let machine = armed_by_double(
        &world,
        r#"principals = ["users/inline@example.org"]
           principals_file = "/etc/iam-ssh/principals"
           principals_parameter = "/IAM/{role}/principals"
           principals_tag = "iam-ssh-principals""#,
    );
    machine.write("/etc/iam-ssh/principals", "# who may\n\nusers/file@example.org\n", 0o644);
    for (name, key) in names.iter().zip(&keys) {
        let session = machine.login("ec2-user").key(key).run("echo $SSH_KEY_OWNER");
        assert_eq!(session.expect_ok().trim(), *name, "{}", machine.log_text());
    }
    assert!(machine.login("ec2-user").key(&stranger).run("true").refused());
    assert_eq!(lines(&machine).len(), 4);
}

#[test]
fn each_source_works_alone() {
    let world = World::new();
    let key = world.key("john@example.org", KeyKind::Ed25519);
    publish(&world, "john@example.org", &key);
    world.imds().set_role(Some("web-server")).set_tag("who", "users/john@example.org");
    world.double().put_parameter("/IAM/web-server/principals", "users/john@example.org");
    let machine = armed_by_double(&world, "");
    machine.write("/etc/iam-ssh/principals", "users/john@example.org", 0o644);
    for source in [
        r#"principals = ["users/john@example.org"]"#,
        r#"principals_file = "/etc/iam-ssh/principals""#,
        r#"principals_parameter = "/IAM/{role}/principals""#,
        r#"principals_tag = "who""#,
    ] {
        machine.configure(&iam_ssh_e2e::scene::configuration(&world.double().url(), source));
        assert_eq!(lines(&machine).len(), 1, "{source}\n{}", machine.log_text());
    }
}

/// Against moto, from IAM to the login: an object key with these characters is easily encoded wrongly, and then not by our double alone.
#[test]
fn names_may_have_every_character_that_iam_allows() {
    let world = World::new();
    world.iam().create_group("Gr+ou=p,s.of@all_-");
    let user = Person::join(&world, "J+o=h,n.D@o_e-1", KeyKind::Ed25519, &[]);
    let member = Person::join(&world, "+=,.@_-", KeyKind::Ed25519, &["Gr+ou=p,s.of@all_-"]);
    world.sync(&[]).expect_ok();
    world.ssm().put("/IAM/default-role/principals", "users/J+o=h,n.D@o_e-1,groups/Gr+ou=p,s.of@all_-");
    let both = r#"principals_parameter = "/IAM/{role}/principals""#;
    let machine = armed(&world, Suite::Bookworm, world.moto().url(), both);
    for person in [&user, &member] {
        let session = machine.login("ec2-user").key(&person.key).run("echo $SSH_KEY_OWNER");
        assert_eq!(session.expect_ok().trim(), person.name, "{}", machine.log_text());
        machine.expect_log(&format!("Public key owner is {} for connection 127.0.0.1 port ", person.name));
    }
    let inline = r#"principals = ["users/J+o=h,n.D@o_e-1", "groups/Gr+ou=p,s.of@all_-"]"#;
    machine.configure(&iam_ssh_e2e::scene::configuration(world.moto().url(), inline));
    assert_eq!(lines(&machine).len(), 2);
}

/// A security key's line; ssh-keygen cannot make one without the device, so this is one that was made once.
const SECURITY_KEY: &str = "sk-ssh-ed25519@openssh.com \
    AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAIId14a7Wknsk+uhzUW7dbVP1RwB9uyFdEqoPpQCsqIS/AAAABHNzaDo=";

#[test]
fn every_kind_of_key_is_answered() {
    let world = World::new();
    let (rsa, ed25519) = (world.key("rsa", KeyKind::Rsa4096), world.key("ed", KeyKind::Ed25519));
    let ecdsa = world.key("ec", KeyKind::Ecdsa256);
    let all = [rsa.bare(), ed25519.bare(), ecdsa.bare(), SECURITY_KEY.to_owned()];
    let document: String = all
        .iter()
        .map(|key| format!("environment=\"SSH_KEY_OWNER=john@example.org\" {key} john@example.org\n"))
        .collect();
    world.double().put_object(BUCKET, "users/john@example.org/authorized_keys", document);
    let machine = armed_by_double(&world, r#"principals = ["users/john@example.org"]"#);

    assert_eq!(lines(&machine).len(), all.len(), "{}", machine.log_text());
    for key in &all {
        let (kind, base64) = key.split_once(' ').unwrap();
        let answer = machine.lookup(&["ec2-user", kind, base64]);
        let printed: Vec<&str> = answer.expect_ok().lines().collect();
        assert_eq!(printed.len(), 1, "{answer}");
        assert!(printed[0].contains(key.as_str()) && printed[0].contains("SSH_KEY_OWNER=john@example.org"), "{answer}");
    }
    for key in [&rsa, &ed25519, &ecdsa] {
        machine.login("ec2-user").key(key).run("true").expect_ok();
    }
}

#[test]
fn only_the_offered_key_is_printed() {
    let world = World::new();
    let keys = ["a", "b"].map(|name| world.key(name, KeyKind::Ed25519));
    let document: String = keys.iter().map(|key| published("john@example.org", key)).collect();
    world.double().put_object(BUCKET, "users/john@example.org/authorized_keys", document);
    let machine = armed_by_double(&world, r#"principals = ["users/john@example.org"]"#);
    let stranger = world.key("stranger", KeyKind::Ed25519);
    let printed = machine.lookup(&["ec2-user", keys[1].kind(), keys[1].base64()]);
    assert!(printed.expect_ok().contains(keys[1].base64()) && !printed.stdout.contains(keys[0].base64()), "{printed}");
    assert_eq!(machine.lookup(&["ec2-user", stranger.kind(), stranger.base64()]).expect_ok(), "");
}

/// The seed's Lambda put the variable in front of the body as it was uploaded, and the user's name behind it.
#[test]
fn what_the_seeds_lambda_wrote_is_read() {
    let world = World::new();
    let (plain, commented) = (world.key("plain", KeyKind::Rsa2048), world.key("commented", KeyKind::Rsa4096));
    let variable = "environment=\"SSH_KEY_OWNER=john@example.org\"";
    let document = format!(
        "{variable} {} john@example.org\n{variable} {} john's old laptop john@example.org\n",
        plain.bare(),
        commented.bare()
    );
    world.double().put_object(BUCKET, "groups/Administrators/authorized_keys", document);
    let machine = armed_by_double(&world, r#"principals = ["groups/Administrators"]"#);
    for key in [&plain, &commented] {
        let session = machine.login("ec2-user").key(key).run("echo $SSH_KEY_OWNER");
        assert_eq!(session.expect_ok(), "john@example.org\n", "{}", machine.log_text());
    }
}
