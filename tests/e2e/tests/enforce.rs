//! `iam-ssh refresh --enforce`: connections whose key or principal was revoked are ended, and nobody else is cut off.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use iam_ssh_doubles::{Fault, Match};
use iam_ssh_e2e::lifecycle::Session;
use iam_ssh_e2e::scene::{armed, configuration, publish, published};
use iam_ssh_e2e::{BUCKET, Key, KeyKind, Machine, Suite, World, eventually};

const JOHN: &str = "john@example.org";
const ANNA: &str = "anna@example.org";
const JANE: &str = "jane@example.org";
const LOGIN: &str = r#"principals = ["groups/Operators", "users/jane@example.org"]"#;

/// John and Anna through their group, Jane through her own document, and somebody whose key stands in a local file.
struct People {
    john: Key,
    anna: Key,
    jane: Key,
    local: Key,
}

fn arrive(world: &World) -> (Machine, People) {
    arrive_at(world, Suite::Bookworm)
}

fn arrive_at(world: &World, suite: Suite) -> (Machine, People) {
    let people = People {
        john: world.key(JOHN, KeyKind::Ed25519),
        anna: world.key(ANNA, KeyKind::Ed25519),
        jane: world.key(JANE, KeyKind::Ed25519),
        local: world.key("local", KeyKind::Ed25519),
    };
    operators(world, &(published(JOHN, &people.john) + &published(ANNA, &people.anna)));
    publish(world, JANE, &people.jane);
    let machine = armed(world, suite, &world.double().url(), LOGIN);
    machine.authorize("ec2-user", &people.local.bare());
    (machine, people)
}

fn operators(world: &World, document: &str) {
    world.double().put_object(BUCKET, "groups/Operators/authorized_keys", document);
}

fn open(machine: &Machine, key: &Key) -> Session {
    Session::open(&machine.login("ec2-user").key(key))
}

fn enforce(machine: &Machine) -> String {
    machine.run("iam-ssh refresh --enforce").expect_ok().to_owned()
}

/// That it says why, exits with 1, and everybody's connection goes on.
#[track_caller]
fn expect_nobody_cut_off(machine: &Machine, sessions: &mut [Session], why: &str) {
    let before = machine.logs().len();
    let failed = machine.run("iam-ssh refresh --enforce");
    assert_eq!(failed.status.code(), Some(1), "{failed}");
    assert!(failed.stderr.contains("no connection was ended") && failed.stderr.contains(why), "{failed}");
    machine.wait_log_from(before, |line| line.message.contains("no connection was ended")).expect("it is logged");
    sessions.iter_mut().for_each(Session::expect_open);
}

#[test]
fn whose_key_is_revoked_is_cut_off_and_nobody_else_on_bullseye() {
    whose_key_is_revoked_is_cut_off_and_nobody_else(Suite::Bullseye);
}

#[test]
fn whose_key_is_revoked_is_cut_off_and_nobody_else_on_forky() {
    whose_key_is_revoked_is_cut_off_and_nobody_else(Suite::Forky);
}

fn whose_key_is_revoked_is_cut_off_and_nobody_else(suite: Suite) {
    let world = World::new();
    let (machine, people) = arrive_at(&world, suite);
    let before = open(&machine, &people.anna);
    let john = open(&machine, &people.john);
    // One of the same group before him and one after him.
    let mut sessions =
        [before, open(&machine, &people.anna), open(&machine, &people.jane), open(&machine, &people.local)];
    assert!(enforce(&machine).ends_with("connections by keys of iam-ssh: 4; revoked and ended: 0\n"));
    sessions.iter_mut().for_each(Session::expect_open);

    operators(&world, &published(ANNA, &people.anna));
    assert!(enforce(&machine).ends_with("connections by keys of iam-ssh: 4; revoked and ended: 1\n"));
    sessions.iter_mut().for_each(Session::expect_open);
    let revoked = machine.expect_log("session revoked owner=john@example.org");
    assert_eq!((revoked.sender, revoked.tag.as_str()), (0, "iam-ssh"), "{}", revoked.raw);
    assert!(
        revoked.message.contains("principal=groups/Operators") && revoked.message.contains(" mac="),
        "{}",
        revoked.raw
    );
    let closed = machine.expect_log("session closed owner=john@example.org");
    assert!(!closed.message.contains("duration=unknown"), "{}", closed.raw);
    assert!(machine.login("ec2-user").key(&people.john).run("true").refused());
    drop(john);
}

#[test]
fn whose_principal_is_revoked_is_cut_off() {
    let world = World::new();
    let (machine, people) = arrive(&world);
    let _john = open(&machine, &people.john);
    let mut jane = open(&machine, &people.jane);
    machine.configure(&configuration(&world.double().url(), r#"principals = ["users/jane@example.org"]"#));
    enforce(&machine);
    machine.expect_log("session revoked owner=john@example.org");
    jane.expect_open();
    // A user who is deleted takes their document along.
    publish(&world, JOHN, &people.john);
    machine
        .configure(&configuration(&world.double().url(), &format!(r#"principals = ["users/{JOHN}", "users/{JANE}"]"#)));
    world.double().remove_object(BUCKET, "users/jane@example.org/authorized_keys");
    enforce(&machine);
    machine.expect_log("session revoked owner=jane@example.org");
}

#[test]
fn whose_login_user_is_not_configured_any_more_is_cut_off() {
    let world = World::new();
    let (machine, people) = arrive(&world);
    let _john = open(&machine, &people.john);
    let other = configuration(&world.double().url(), LOGIN).replace("[login.ec2-user]", "[login.other]");
    machine.configure(&other);
    enforce(&machine);
    machine.expect_log("session revoked owner=john@example.org");
}

/// A session can stop the process of sshd's that runs as its user. That protects neither itself nor others.
#[test]
fn who_stops_their_own_sshd_is_cut_off_all_the_same() {
    let world = World::new();
    let (machine, people) = arrive(&world);
    let login = machine.login("ec2-user").key(&people.john);
    let _stopped = [(); 3].map(|()| login.start(&[], "kill -STOP $PPID; exec sleep 1000"));
    eventually("three stopped processes", || {
        machine.sh("ps -u ec2-user -o stat=,comm= | grep -c '^T.*sshd' || true").starts_with('3').then_some(())
    });
    let _john = open(&machine, &people.john);
    let mut jane = open(&machine, &people.jane);
    operators(&world, "");
    assert!(enforce(&machine).ends_with("connections by keys of iam-ssh: 5; revoked and ended: 4\n"));
    jane.expect_open();
    let ends = machine.logs().iter().filter(|line| line.message.starts_with("session closed owner=john")).count();
    assert_eq!(ends, 4, "{}", machine.log_text());
}

#[test]
fn what_cannot_be_judged_is_said() {
    let world = World::new();
    let (machine, people) = arrive(&world);
    let (mut john, mut anna) = (open(&machine, &people.john), open(&machine, &people.anna));
    machine.run("for note in /run/iam-ssh/sessions/*; do echo damaged >$note; break; done").expect_ok();
    let told = machine.run("iam-ssh refresh --enforce");
    assert_eq!(told.status.code(), Some(1), "{told}");
    assert!(told.stderr.contains("1 connections were left alone"), "{told}");
    john.expect_open();
    anna.expect_open();
}

#[test]
fn who_is_allowed_otherwise_stays() {
    let world = World::new();
    let (machine, people) = arrive(&world);
    let mut john = open(&machine, &people.john);
    publish(&world, JOHN, &people.john);
    machine.configure(&configuration(&world.double().url(), &format!(r#"principals = ["users/{JOHN}"]"#)));
    enforce(&machine);
    john.expect_open();
}

#[test]
fn nobody_is_cut_off_by_what_is_not_known() {
    let world = World::new();
    let (machine, people) = arrive(&world);
    let mut sessions = [open(&machine, &people.john), open(&machine, &people.jane), open(&machine, &people.local)];
    operators(&world, "");
    let denial = Fault::Status(403, "AccessDenied".to_owned());
    for (fault, why) in [(Fault::Throttle, "the refresh failed"), (denial, "access is denied")] {
        world.double().fault(Match::any().on("users/jane@example.org/authorized_keys"), fault);
        expect_nobody_cut_off(&machine, &mut sessions, why);
        world.double().clear_faults();
    }
    // The whole bucket is gone, or another one is configured.
    world.double().remove_object(BUCKET, "groups/Operators/authorized_keys");
    world.double().remove_object(BUCKET, "users/jane@example.org/authorized_keys");
    expect_nobody_cut_off(&machine, &mut sessions, "nothing at all is published");
    machine.configure("bucket = \"\nbroken");
    expect_nobody_cut_off(&machine, &mut sessions, "config.toml");
    let other = machine.run("setpriv --reuid ec2-user --clear-groups iam-ssh refresh --enforce");
    assert!(other.stderr.contains("only root") && other.status.code() == Some(1), "{other}");
}

#[test]
fn the_end_of_one_that_sshd_does_not_record_is_recorded() {
    let world = World::new();
    let (machine, people) = arrive(&world);
    // sshd has no process of root's behind a login of root's own: it goes without a word.
    let login = format!("principals = [\"users/{JANE}\"]\n[login.root]\nprincipals = [\"groups/Operators\"]");
    machine.configure(&configuration(&world.double().url(), &login));
    let _root = Session::open(&machine.login("root").key(&people.john));
    operators(&world, "");
    enforce(&machine);
    machine.expect_log("session revoked owner=john@example.org login=root");
    eventually("its note is gone", || machine.sh("ls /run/iam-ssh/sessions").is_empty().then_some(()));
    let ends = machine.logs().iter().filter(|line| line.message.starts_with("session closed owner=john")).count();
    assert_eq!(ends, 1, "{}", machine.log_text());
}
