//! The main path: from a key in IAM to a session with an owner in the log, on every Debian that the rig has.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use iam_ssh_e2e::scene::{Person, armed, armed_by_double, asking_always, configuration, publish};
use iam_ssh_e2e::{KeyKind, Machine, Suite, World};

const GROUP: &str = "principals = [\"groups/Administrators\"]";

fn company(world: &World) -> [Person; 2] {
    world.iam().create_group("Administrators");
    let administrators = ["Administrators"];
    let people = [
        Person::join(world, "john@example.org", KeyKind::Ed25519, &administrators),
        Person::join(world, "jane@example.org", KeyKind::Rsa4096, &administrators),
    ];
    world.sync(&[]).expect_ok();
    people
}

/// Logs in and finds the owner's line, with the client's real address and port.
fn logs_in_as(machine: &Machine, person: &Person) {
    let session = machine.login("ec2-user").key(&person.key).run("echo \"$SSH_CONNECTION $SSH_KEY_OWNER $(id -u)\"");
    let said: Vec<&str> = session.expect_ok().split_whitespace().collect();
    let [address, port, _, _, owner, uid] = said[..] else { panic!("{session}") };
    assert_eq!((address, owner), ("127.0.0.1", person.name));
    assert_eq!(session.stderr, "");

    let line = machine.expect_log(&format!("Public key owner is {} for connection 127.0.0.1 port {port}", person.name));
    let exact = format!("Public key owner is {} for connection {address} port {port}", person.name);
    assert_eq!((line.message.as_str(), line.tag.as_str(), line.priority), (exact.as_str(), "sshd", 85), "{line:?}");
    assert!(line.pid.is_some(), "{line:?}");
    assert_eq!(line.sender.to_string(), uid, "sshrc runs as the user who logged in");
    // sshd's own line for the same connection.
    machine.expect_log(&format!("Accepted publickey for ec2-user from 127.0.0.1 port {port}"));
}

fn whole_path(suite: Suite) {
    let world = World::new();
    let [john, jane] = company(&world);
    world.iam().create_group("Visitors");
    let mallory = Person::join(&world, "mallory@example.org", KeyKind::Ed25519, &["Visitors"]);
    world.sync(&[]).expect_ok();
    let machine = armed(&world, suite, world.moto().url(), GROUP);
    machine.configure(&asking_always(&configuration(world.moto().url(), GROUP)));

    logs_in_as(&machine, &john);
    logs_in_as(&machine, &jane);
    let refused = machine.login("ec2-user").key(&mallory.key).run("true");
    assert!(refused.refused(), "{refused}");

    world.iam().deactivate_key(john.name, &john.key_id);
    logs_in_as(&machine, &john);
    world.sync(&[]).expect_ok();
    let refused = machine.login("ec2-user").key(&john.key).run("true");
    assert!(refused.refused(), "{refused}");
    logs_in_as(&machine, &jane);
}

#[test]
fn from_iam_to_the_owner_in_the_log_on_bookworm() {
    whole_path(Suite::Bookworm);
}

#[test]
fn from_iam_to_the_owner_in_the_log_on_trixie() {
    whole_path(Suite::Trixie);
}

#[test]
fn the_lookup_says_what_was_offered_and_found() {
    let world = World::new();
    let [john, _] = company(&world);
    let machine = armed(&world, Suite::Bookworm, world.moto().url(), GROUP);
    machine.login("ec2-user").key(&john.key).run("true").expect_ok();
    let start = "offered owner=john@example.org login=ec2-user principal=groups/Administrators key=SHA256:";
    let offered = machine.expect_log(start);
    assert_eq!((offered.tag.as_str(), offered.priority), ("iam-ssh", 86), "{offered:?}");
    assert!(offered.message.contains(" source=s3 "), "{offered:?}");
    // The pid that sshd logs with for the same connection joins the two.
    let accepted = machine.expect_log("Accepted publickey for ec2-user");
    assert!(offered.message.ends_with(&format!(" sshd={}", accepted.pid.unwrap())), "{offered:?} {accepted:?}");
    let uid = machine.sh("id -u iam-ssh");
    assert_eq!(offered.sender.to_string(), uid.trim(), "the lookup runs as its own user");
}

#[test]
fn a_second_run_of_the_sync_changes_nothing() {
    let world = World::new();
    let [john, _] = company(&world);
    let document = "users/john@example.org/authorized_keys";
    let before = world.s3().get(document).unwrap();
    assert_eq!(
        before,
        format!("environment=\"SSH_KEY_OWNER=john@example.org\" {} john@example.org\n", john.key.bare())
    );
    let dry = world.sync(&["--dry-run"]);
    dry.expect_ok();
    world.iam().deactivate_key(john.name, &john.key_id);
    let dry = world.sync(&["--dry-run"]);
    assert!(
        dry.expect_ok().contains("users/john@example.org (+0 -1)") && dry.said().contains("nothing was changed"),
        "{dry}"
    );
    assert_eq!(world.s3().get(document), Some(before), "a dry run changes nothing");
}

/// sshd runs `~/.ssh/rc` in place of ours; whoever can write it could skip the log.
#[test]
fn a_users_own_rc_does_not_skip_the_log() {
    let world = World::new();
    let [john, _] = company(&world);
    let machine = armed(&world, Suite::Bookworm, world.moto().url(), GROUP);
    machine.write("/home/ec2-user/.ssh/rc", "touch ~/rc-ran\n", 0o644);
    logs_in_as(&machine, &john);
    assert_eq!(machine.read("/home/ec2-user/rc-ran"), None);
    // As the administrator wants it.
    machine.configure(&format!("{}[sshd]\nuser_rc = true\n", configuration(world.moto().url(), GROUP)));
    machine.run("chown -R ec2-user: ~ec2-user/.ssh").expect_ok();
    machine.login("ec2-user").key(&john.key).run("true").expect_ok();
    assert_eq!(machine.read("/home/ec2-user/rc-ran").as_deref(), Some(""));
}

/// `user_environment = false`, as CIS and STIG demand.
#[test]
fn where_no_variable_may_be_set_the_owner_line_goes_by_the_key() {
    let world = World::new();
    let key = world.key("john@example.org", KeyKind::Ed25519);
    publish(&world, "john@example.org", &key);
    let machine =
        armed_by_double(&world, "principals = [\"users/john@example.org\"]\n[sshd]\nuser_environment = false");
    machine.run("iam-ssh wire").expect_ok();
    let environment = machine.sh("sshd -T | grep -i permituserenvironment");
    assert_eq!(environment.trim().to_lowercase(), "permituserenvironment no");
    machine.wait_for_sshd();

    let session = machine.login("ec2-user").key(&key).run("echo \"${SSH_KEY_OWNER-unset}\"");
    assert_eq!(session.expect_ok(), "unset\n");
    machine.expect_log("Public key owner is john@example.org for connection 127.0.0.1 port ");
    let terminal = machine.login("ec2-user").key(&key).run_with(&["-tt"], "true", b"");
    assert!(terminal.expect_ok().contains("Publickey of john@example.org"), "{terminal}");
    // Only who knows the key finds its owner there.
    assert!(!machine.run("setpriv --reuid ec2-user --clear-groups ls /run/iam-ssh/owners").ok());
}
