//! Where the package must not be noticed: unconfigured, for users who are not ours, and while AWS is away.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::collections::BTreeMap;
use std::time::Duration;

use iam_ssh_e2e::doubles::{Fault, Match, Service};
use iam_ssh_e2e::scene::{armed_by_double, publish};
use iam_ssh_e2e::{KeyKind, Machine, Suite, World};

const USERS: &str = r#"principals = ["users/john@example.org"]"#;

/// What sshd says that it would do for a user.
fn effective(machine: &Machine, user: &str) -> BTreeMap<String, String> {
    let said = machine.sh(&format!("sshd -T -C user={user},host=client,addr=127.0.0.1"));
    let mut settings = BTreeMap::<String, String>::new();
    for line in said.lines() {
        let (keyword, value) = line.split_once(' ').unwrap_or((line, ""));
        settings.entry(keyword.to_lowercase()).or_default().push_str(&format!("{value}\n"));
    }
    settings
}

/// Only what the CONTRACT names differs; everything else is as sshd had it.
fn changes_only_what_it_says(suite: Suite) {
    let world = World::new();
    world.imds();
    let machine = Machine::boot(&world, suite);
    let local = world.key("local", KeyKind::Ed25519);
    machine.authorize("ec2-user", local.line());
    let before = effective(&machine, "ec2-user");
    machine.install().expect_ok();
    let after = effective(&machine, "ec2-user");

    let changed: Vec<&str> = before
        .keys()
        .chain(after.keys())
        .filter(|key| before.get(*key) != after.get(*key))
        .map(String::as_str)
        .collect();
    let named =
        ["authorizedkeyscommand", "authorizedkeyscommanduser", "loglevel", "exposeauthinfo", "permituserenvironment"];
    assert!(changed.iter().all(|keyword| named.contains(keyword)), "{changed:?}");
    assert_eq!(after["authorizedkeyscommand"].trim(), "/usr/libexec/iam-ssh/authorized-keys %u %t %k");
    assert_eq!(after["authorizedkeyscommanduser"].trim(), "iam-ssh");
    assert_eq!(after["loglevel"].trim(), "VERBOSE");
    assert_eq!(after["permituserenvironment"].trim(), "SSH_KEY_OWNER");

    // Without configuration: local keys log in, others do not, and nobody is asked.
    machine.start_sshd();
    let session = machine.login("ec2-user").key(&local).run("echo in");
    assert_eq!((session.expect_ok(), session.stderr.as_str()), ("in\n", ""));
    let stranger = world.key("stranger", KeyKind::Ed25519);
    assert!(machine.login("ec2-user").key(&stranger).run("true").refused());
    assert_eq!(world.requests(), 0);
    says_nothing(&machine);
}

/// The lookup has nothing to say. Who logs in is recorded, whoever it is.
#[track_caller]
fn says_nothing(machine: &Machine) {
    let mut ours = machine.logs().into_iter().filter(|line| line.tag == "iam-ssh");
    assert!(ours.all(|line| line.message.starts_with("session ")), "{}", machine.log_text());
}

#[test]
fn installing_changes_only_what_it_says_on_bookworm() {
    changes_only_what_it_says(Suite::Bookworm);
}

#[test]
fn installing_changes_only_what_it_says_on_trixie() {
    changes_only_what_it_says(Suite::Trixie);
}

#[test]
fn a_login_user_who_is_not_configured_is_left_alone() {
    let world = World::new();
    let john = world.key("john@example.org", KeyKind::Ed25519);
    publish(&world, "john@example.org", &john);
    let machine = armed_by_double(&world, USERS);
    machine.add_user("alice");
    let alice = world.key("alice", KeyKind::Ed25519);
    machine.authorize("alice", alice.line());

    machine.login("alice").key(&alice).run("true").expect_ok();
    assert!(machine.login("alice").key(&john).run("true").refused());
    assert_eq!(machine.lookup(&["alice"]).said(), "");
    assert_eq!(machine.lookup(&["alice", john.kind(), john.base64()]).said(), "");
    assert_eq!(world.requests(), 0, "nobody was asked for a user who is not ours");
    says_nothing(&machine);
    // The same key, for the user who is configured.
    machine.login("ec2-user").key(&john).run("true").expect_ok();
    assert!(world.requests() > 0);
}

/// Whatever way S3 and the metadata service fail, the machine's own keys log in at once and ours are refused in time.
fn local_keys_log_in_while(broken: impl Fn(&World)) {
    let world = World::new();
    let (john, local) = (world.key("john@example.org", KeyKind::Ed25519), world.key("local", KeyKind::Ed25519));
    publish(&world, "john@example.org", &john);
    let machine = armed_by_double(&world, USERS);
    machine.authorize("ec2-user", local.line());
    broken(&world);

    let session = machine.login("ec2-user").key(&local).run("true");
    session.expect_ok();
    assert!(session.took < Duration::from_secs(3), "{session}");
    let refused = machine.login("ec2-user").key(&john).run("true");
    assert!(refused.refused(), "{refused}");
    // One lookup for the one offered key: its deadline of 2 s and sshd's own time.
    assert!(refused.took < Duration::from_secs(5), "{refused}");
    let line = machine.wait_log(|line| line.tag == "iam-ssh" && line.priority & 7 == 4);
    assert!(line.is_some(), "a warning says what failed: {}", machine.log_text());
}

#[test]
fn local_keys_log_in_while_s3_answers_with_errors() {
    local_keys_log_in_while(|world| {
        world.double().fault(Match::service(Service::S3), Fault::Status(503, "ServiceUnavailable".to_owned()));
    });
}

#[test]
fn local_keys_log_in_while_s3_never_answers() {
    local_keys_log_in_while(|world| {
        world.double().fault(Match::service(Service::S3), Fault::Hang);
    });
}

#[test]
fn local_keys_log_in_while_s3_hangs_up() {
    local_keys_log_in_while(|world| {
        world.double().fault(Match::any(), Fault::CloseConnection);
    });
}

#[test]
fn local_keys_log_in_while_the_metadata_service_never_answers() {
    local_keys_log_in_while(|world| {
        world.imds().fault(Match::any(), Fault::Hang);
    });
}

#[test]
fn local_keys_log_in_while_there_is_no_network() {
    let world = World::new();
    let local = world.key("local", KeyKind::Ed25519);
    let machine = armed_by_double(&world, USERS);
    machine.authorize("ec2-user", local.line());
    // Nothing listens on either.
    machine.configure(
        "bucket = \"company-iam\"\nregion = \"us-east-1\"\nendpoint_url = \"http://127.0.0.1:9\"\n\
         [aws]\nimds_endpoint = \"http://127.0.0.1:9\"\n[login.ec2-user]\nprincipals = [\"users/john@example.org\"]\n",
    );
    let session = machine.login("ec2-user").key(&local).run("true");
    session.expect_ok();
    assert!(session.took < Duration::from_secs(3), "{session}");
    let refused = machine.login("ec2-user").key(&world.key("other", KeyKind::Ed25519)).run("true");
    assert!(refused.refused() && refused.took < Duration::from_secs(5), "{refused}");
}

/// A log that nobody reads or that is not there costs the record, never the login.
#[test]
fn a_log_that_is_full_or_missing_delays_nothing() {
    let world = World::new();
    let john = world.key("john@example.org", KeyKind::Ed25519);
    publish(&world, "john@example.org", &john);
    let machine = armed_by_double(&world, USERS);
    // Not by sshd or runuser: those would wait for their own log lines.
    let sshrc = "exec setpriv --reuid ec2-user --clear-groups \
        env SSH_CLIENT='127.0.0.1 1 22' SSH_KEY_OWNER=john@example.org /usr/libexec/iam-ssh/sshrc";
    let works = |log: &str| {
        let answer = machine.lookup(&["ec2-user", john.kind(), john.base64()]);
        assert!(answer.expect_ok().contains(john.base64()) && answer.took < Duration::from_secs(2), "{log}: {answer}");
        let session = machine.run(sshrc);
        assert_eq!(session.expect_ok(), "", "{log}");
        assert!(session.stderr.is_empty() && session.took < Duration::from_secs(2), "{log}: {session}");
    };
    let full = machine.clog_the_log();
    works("full");
    drop(full);
    works("abandoned");
    machine.remove_the_log();
    works("missing");
}
