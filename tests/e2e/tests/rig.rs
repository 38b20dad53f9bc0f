//! The rig itself: what every other test relies on, tested without the package.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use iam_ssh_e2e::{BootedMachine, KeyKind, Machine, Suite, World};

fn logs_in(suite: Suite) {
    let world = World::new();
    let machine = Machine::boot(&world, suite);
    let (mine, other) = (world.key("mine", KeyKind::Ed25519), world.key("other", KeyKind::Ed25519));
    machine.authorize("ec2-user", mine.line());
    machine.start_sshd();

    let connection = machine.login("ec2-user").key(&mine).run("echo $SSH_CONNECTION");
    assert!(connection.expect_ok().ends_with(" 127.0.0.1 22\n"), "{connection}");
    assert!(machine.login("ec2-user").key(&other).run("true").refused());
    let accepted = machine.expect_log("Accepted publickey for ec2-user from 127.0.0.1");
    assert_eq!((accepted.priority, accepted.sender), (38, 0), "{accepted:?}");

    machine.reload_sshd();
    machine.login("ec2-user").key(&mine).run("true").expect_ok();
}

#[test]
fn a_local_key_logs_in_on_bookworm() {
    logs_in(Suite::Bookworm);
}

#[test]
fn a_local_key_logs_in_on_trixie() {
    logs_in(Suite::Trixie);
}

fn boots(suite: Suite) {
    let world = World::new();
    let machine = BootedMachine::boot(&world, suite);
    let key = world.key("mine", KeyKind::Ed25519);
    machine.authorize("ec2-user", key.line());
    machine.login("ec2-user").key(&key).run("true").expect_ok();
    assert!(machine.journal().contains("Accepted publickey for ec2-user"));
    assert_eq!(machine.sh("systemctl is-active ssh"), "active\n");
}

#[test]
fn bookworm_boots_with_systemd() {
    boots(Suite::Bookworm);
}

#[test]
fn trixie_boots_with_systemd() {
    boots(Suite::Trixie);
}

#[test]
fn moto_answers_an_administrator() {
    let world = World::new();
    world.iam().create_group("Administrators");
    world.iam().create_user("john@example.org", &["Administrators"]);
    let id = world.iam().upload_key("john@example.org", world.key("john", KeyKind::Ed25519).line());
    world.iam().deactivate_key("john@example.org", &id);
    world.s3().put("a/b", "text");
    assert_eq!((world.s3().get("a/b").as_deref(), world.s3().get("c")), (Some("text"), None));
    assert_eq!(world.s3().keys(), ["a/b"]);
    world.ssm().put("/IAM/role/principals", "users/john@example.org");
}
