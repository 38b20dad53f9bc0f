//! What goes through a login: file transfers unharmed by our sshrc, the greeting where it belongs, X11's cookie.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::path::PathBuf;

use iam_ssh_e2e::scene::{armed_by_double, publish};
use iam_ssh_e2e::{Key, KeyKind, Login, Machine, World};

const OWNER: &str = "john@example.org";

fn scene(world: &World) -> (Machine, Key) {
    let key = world.key(OWNER, KeyKind::Ed25519);
    publish(world, OWNER, &key);
    (armed_by_double(world, r#"principals = ["users/john@example.org"]"#), key)
}

/// Bytes that no text mode or stray line leaves unharmed.
fn payload(world: &World) -> (PathBuf, Vec<u8>) {
    let bytes: Vec<u8> = (0..300_000_u32).map(|n| u8::try_from(n * 7919 % 251).unwrap()).collect();
    let file = world.scratch().join("payload");
    std::fs::write(&file, &bytes).unwrap();
    (file, bytes)
}

/// There and back, and nothing said on the way.
fn there_and_back(world: &World, machine: &Machine, copy: impl Fn(&str, &str) -> iam_ssh_e2e::Outcome) {
    let (file, bytes) = payload(world);
    let back = world.scratch().join("back");
    for (from, to) in [(file.to_str().unwrap(), "remote:there"), ("remote:there", back.to_str().unwrap())] {
        let copied = copy(from, to);
        copied.expect_ok();
        assert_eq!(copied.said(), "", "{copied}");
    }
    assert!(std::fs::read(machine.path("/home/ec2-user/there")).unwrap() == bytes, "what arrived is not what was sent");
    assert!(std::fs::read(back).unwrap() == bytes, "what came back is not what was sent");
    machine.expect_log(&format!("Public key owner is {OWNER} for connection 127.0.0.1 port "));
}

#[test]
fn scp_by_sftp() {
    let world = World::new();
    let (machine, key) = scene(&world);
    let login = machine.login("ec2-user").key(&key);
    there_and_back(&world, &machine, |from, to| login.scp(&["-q", from, to]));
}

#[test]
fn scp_by_its_old_protocol() {
    let world = World::new();
    let (machine, key) = scene(&world);
    let login = machine.login("ec2-user").key(&key);
    there_and_back(&world, &machine, |from, to| login.scp(&["-q", "-O", from, to]));
}

#[test]
fn rsync() {
    let world = World::new();
    let (machine, key) = scene(&world);
    let login = machine.login("ec2-user").key(&key);
    there_and_back(&world, &machine, |from, to| login.rsync(&[from, to]));
}

#[test]
fn sftp() {
    let world = World::new();
    let (machine, key) = scene(&world);
    let (file, bytes) = payload(&world);
    let back = world.scratch().join("back");
    let batch = format!("put {} there\nget there {}\n", file.display(), back.display());
    let session = machine.login("ec2-user").key(&key).sftp(&batch);
    session.expect_ok();
    assert_eq!(session.stderr, "", "{session}");
    assert!(std::fs::read(back).unwrap() == bytes, "what came back is not what was sent");
}

#[test]
fn only_a_terminal_is_greeted() {
    let world = World::new();
    let (machine, key) = scene(&world);
    let login = machine.login("ec2-user").key(&key);
    let command = login.run("echo this alone");
    assert_eq!((command.expect_ok(), command.stderr.as_str()), ("this alone\n", ""));
    let shell = login.run_with(&["-tt"], "", b"exit\n");
    assert!(shell.expect_ok().contains("Publickey of john@example.org"), "{shell}");
    // Who logs in with a key of the machine's own is nobody that we know, and is not bothered.
    let local = world.key("local", KeyKind::Ed25519);
    machine.authorize("ec2-user", local.line());
    let shell = machine.login("ec2-user").key(&local).run_with(&["-tt"], "", b"exit\n");
    assert!(!shell.expect_ok().contains("Publickey of"), "{shell}");
    machine.expect_log("Public key owner is unknown for connection 127.0.0.1 port ");
}

fn with_x11(login: Login) -> Login {
    login.option("ForwardX11=yes").option("ForwardX11Trusted=yes").env("DISPLAY", "127.0.0.1:99")
}

#[test]
fn x11_gets_its_cookie() {
    let world = World::new();
    let (machine, key) = scene(&world);
    let session = with_x11(machine.login("ec2-user").key(&key)).run("echo $DISPLAY; xauth -q list");
    let said = session.expect_ok();
    let (display, cookies) = said.split_once('\n').unwrap();
    let number = display.strip_prefix("localhost:").and_then(|rest| rest.strip_suffix(".0")).expect(display);
    let fits = |line: &str| line.contains(&format!("/unix:{number}  MIT-MAGIC-COOKIE-1  ")) && line.len() > 32;
    assert!(cookies.lines().any(fits), "{session}\n{}", machine.log_text());
    // A second session replaces the entry and leaves no other.
    let again = with_x11(machine.login("ec2-user").key(&key)).run("xauth -q list | wc -l");
    assert_eq!(again.expect_ok(), "1\n");
}
