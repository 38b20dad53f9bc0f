//! `iam-ssh refresh`, by hand and by its timer: the cache is filled ahead of logins, which then need no network.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::time::Duration;

use iam_ssh_doubles::{Fault, Match, Service};
use iam_ssh_e2e::scene::{armed_by_double, configuration, publish};
use iam_ssh_e2e::{BUCKET, BootedMachine, CACHE, Key, KeyKind, Machine, Suite, World, wait_for};

const JOHN: &str = "john@example.org";
const LOGIN: &str = r#"principals = ["users/john@example.org"]"#;

/// The configuration of a machine whose logins open no connection.
fn offline(world: &World) -> String {
    format!("{}\n[lookup]\nnetwork = false\n", configuration(&world.double().url(), LOGIN))
}

fn john(world: &World) -> Key {
    let key = world.key(JOHN, KeyKind::Ed25519);
    publish(world, JOHN, &key);
    key
}

fn withdraw(world: &World) {
    world.double().put_object(BUCKET, "users/john@example.org/authorized_keys", "");
}

fn armed_offline(world: &World) -> (Machine, Key) {
    let key = john(world);
    let machine = armed_by_double(world, LOGIN);
    machine.configure(&offline(world));
    (machine, key)
}

#[test]
fn what_refresh_brings_is_all_that_a_login_without_network_knows() {
    let world = World::new();
    let (machine, john) = armed_offline(&world);
    assert!(machine.login("ec2-user").key(&john).run("true").refused(), "nothing is cached yet");
    assert_eq!(world.requests(), 0);
    let said = machine.run("iam-ssh refresh");
    assert_eq!(said.expect_ok(), "iam-ssh: refreshed: 1 documents and lists were answered, 0 failed\n");
    assert_eq!(machine.sh(&format!("find {CACHE} ! -user iam-ssh")), "", "also where root ran it");
    machine.login("ec2-user").key(&john).run("true").expect_ok();
    machine.expect_log("source=cache");

    withdraw(&world);
    machine.login("ec2-user").key(&john).run("true").expect_ok();
    machine.run("iam-ssh refresh").expect_ok();
    assert!(machine.login("ec2-user").key(&john).run("true").refused());
}

#[test]
fn a_refresh_asks_anew_and_mends_what_is_damaged() {
    let world = World::new();
    let (machine, john) = armed_offline(&world);
    machine.run("iam-ssh refresh").expect_ok();
    let asked = |service| world.imds().count(&Match::service(service)) + world.double().count(&Match::service(service));
    let (s3, imds) = (asked(Service::S3), asked(Service::Imds));
    machine.run("iam-ssh refresh").expect_ok();
    assert_eq!((asked(Service::S3) - s3, asked(Service::Imds) - imds), (1, 4), "token, role, credentials and region");
    assert!(world.double().requests().last().unwrap().conditional);
    machine
        .run(&format!("for f in {CACHE}/document-*; do printf x | dd of=$f bs=1 seek=180 conv=notrunc; done"))
        .expect_ok();
    assert!(machine.login("ec2-user").key(&john).run("true").refused(), "a damaged copy is not believed");
    machine.run("iam-ssh refresh").expect_ok();
    machine.login("ec2-user").key(&john).run("true").expect_ok();
}

#[test]
fn a_refresh_that_fails_says_so_and_leaves_what_is_there() {
    let world = World::new();
    let (machine, john) = armed_offline(&world);
    machine.run("iam-ssh refresh").expect_ok();
    world.double().fault(Match::any(), Fault::Throttle);
    let failed = machine.run("iam-ssh refresh");
    assert_eq!(failed.status.code(), Some(1), "{failed}");
    assert!(failed.stderr.contains("users/john@example.org: ") && failed.stderr.contains("SlowDown"), "{failed}");
    machine.login("ec2-user").key(&john).run("true").expect_ok();
    world.double().clear_faults();
    machine.configure("");
    let nothing = machine.run("iam-ssh refresh");
    assert!(nothing.expect_ok().contains("nothing to refresh"), "{nothing}");
}

#[test]
fn nobody_else_refreshes() {
    let world = World::new();
    let (machine, _john) = armed_offline(&world);
    let refused = machine.run("setpriv --reuid ec2-user --regid ec2-user --clear-groups iam-ssh refresh");
    assert_eq!(refused.status.code(), Some(1), "{refused}");
    assert!(refused.stderr.contains("there is no cache to refresh"), "{refused}");
    assert_eq!(world.requests(), 0);
}

fn is_kept_fresh_by_its_timer(suite: Suite) {
    let world = World::new();
    let john = john(&world);
    world.imds();
    let machine = BootedMachine::boot(&world, suite);
    machine.install().expect_ok();
    machine.configure(&offline(&world));
    assert_eq!(machine.run("systemctl is-enabled iam-ssh-refresh.timer").stdout, "disabled\n");
    assert!(machine.login("ec2-user").key(&john).run("true").refused());
    assert_eq!(world.requests(), 0, "off until it is enabled");

    machine.run("systemctl enable --now iam-ssh-refresh.timer").expect_ok();
    let logs_in = || machine.login("ec2-user").key(&john).run("true").ok().then_some(());
    wait_for(Duration::from_secs(30), logs_in).unwrap_or_else(|| panic!("{}", machine.journal()));
    withdraw(&world);
    let refused = || machine.login("ec2-user").key(&john).run("true").refused().then_some(());
    wait_for(Duration::from_secs(60), refused).unwrap_or_else(|| panic!("{}", machine.journal()));
    assert_eq!(machine.sh("systemctl show -p Result --value iam-ssh-refresh.service"), "success\n");
    // That all is well is not worth lines.
    assert_eq!(
        machine.journal().lines().filter(|line| line.contains("Refresh the SSH keys")).count(),
        1,
        "the timer's"
    );

    machine.purge().expect_ok();
    let left = "find /etc/systemd /var/lib/systemd /var/cache -name '*iam-ssh*'; systemctl list-units --all --plain --no-legend 'iam-ssh*'";
    assert_eq!(machine.sh(left), "");
}

#[test]
fn the_timer_keeps_the_cache_fresh_on_bookworm() {
    is_kept_fresh_by_its_timer(Suite::Bookworm);
}

#[test]
fn the_timer_keeps_the_cache_fresh_on_trixie() {
    is_kept_fresh_by_its_timer(Suite::Trixie);
}
