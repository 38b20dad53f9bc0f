//! Two at once never interleave, whoever is dead is not waited for longer than its lease says, and who was overtaken writes nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[allow(dead_code, unreachable_pub, missing_docs, reason = "shared: each test uses its part")]
mod common;

use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use common::judge::{Documents, between, each, in_sync, repaired, run, run_with};
use common::story::Published;
use common::{BUCKET, Ran, against, documents, double, key, writes};
use iam_ssh_doubles::{Double, Match, Request, Service};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

const LEASE: &str = "iam-ssh/lease.json";

/// Somebody else's lease until so many seconds from now.
fn paper(seconds: i64) -> String {
    let until = (OffsetDateTime::now_utc() + time::Duration::seconds(seconds)).format(&Rfc3339).unwrap();
    format!("{{\"holder\":\"somebody else\",\"until\":\"{until}\"}}")
}

fn lease(double: &Double) -> Option<String> {
    double.object(BUCKET, LEASE).map(|body| String::from_utf8(body).unwrap())
}

/// A run of its own name, by which its requests are known, that waits for the other's lease.
fn start(double: &Double, name: &str) -> Child {
    let mut command = against(&double.url());
    command.env("AWS_ACCESS_KEY_ID", name).env("LEASE_WAIT", "30").stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// Where in the log the writes of one are that are not its lease, and where its lease was given back.
fn writes_of(log: &[Request], name: &str) -> (Vec<usize>, Option<usize>) {
    let own = |request: &&(usize, &Request)| {
        request.1.header("authorization").is_some_and(|header| header.contains(&format!("Credential={name}/")))
    };
    let log: Vec<(usize, &Request)> = log.iter().enumerate().filter(|(_, request)| request.is_write()).collect();
    let written = log.iter().filter(own).filter(|(_, request)| request.resource != LEASE).map(|(index, _)| *index);
    let back =
        log.iter().filter(own).find(|(_, request)| request.action == "DeleteObject" && request.resource == LEASE);
    (written.collect(), back.map(|(index, _)| *index))
}

#[test]
fn two_at_once_never_interleave() {
    let published = Published::new();
    each(0..10, 2, |pair| {
        let (double, _) = published.changed();
        // The account changes again while one of them reads.
        double.on_call(Match::action("ListSSHPublicKeys"), 1 + pair % 6, |change| {
            change.iam().add_key("ann", "APKA0C", &key(20), "Active");
        });
        let processes = [start(&double, "AKIAONE"), start(&double, "AKIATWO")];
        let ran = processes.map(|process| Ran::from(process.wait_with_output().unwrap()));
        assert!(ran.iter().all(|ran| ran.code == 0), "{ran:?}");
        let log = double.requests();
        let mut both = ["AKIAONE", "AKIATWO"].map(|name| writes_of(&log, name));
        both.sort();
        let [(_, back), (second, _)] = &both;
        let (back, begins) = (back.unwrap(), second.first().unwrap());
        assert!(back < *begins, "pair {pair}: given back at {back}, the other began to write at {begins}: {ran:?}");
        in_sync(&double, &format!("pair {pair}: {ran:?}"));
        assert_eq!(lease(&double), None, "{ran:?}");
    });
}

#[test]
fn a_live_lease_is_waited_for_as_long_as_is_set_and_nothing_is_asked_of_iam() {
    let (double, before) = Published::new().changed();
    let theirs = paper(60);
    double.put_object(BUCKET, LEASE, theirs.clone()).clear_requests();
    let began = Instant::now();
    let ran = run_with(&double, &[("LEASE_WAIT", "0")]);
    assert!(began.elapsed() < Duration::from_secs(10), "{ran:?}");
    assert!(ran.code == 1 && ran.err.contains("nothing was changed: another run is at work"), "{ran:?}");
    assert_eq!(double.count(&Match::service(Service::Iam)), 0);
    assert_eq!((documents(&double), lease(&double)), (before, Some(theirs)));
    double.put_object(BUCKET, LEASE, paper(2));
    repaired(&double, "waited for");
}

#[test]
fn a_dead_or_senseless_lease_is_taken_over_at_once() {
    let published = Published::new();
    for theirs in [
        paper(-1),
        paper(-100_000),
        paper(100_000),
        String::new(),
        "{".to_owned(),
        "null".to_owned(),
        "{\"holder\":1,\"until\":2}".to_owned(),
        "{\"holder\":\"somebody\",\"until\":\"tomorrow\"}".to_owned(),
    ] {
        let (double, _) = published.changed();
        double.put_object(BUCKET, LEASE, theirs.clone());
        let ran = run_with(&double, &[("LEASE_WAIT", "0")]);
        assert_eq!(ran.code, 0, "{theirs}: {ran:?}");
        in_sync(&double, &theirs);
        assert_eq!(lease(&double), None, "{theirs}");
    }
}

#[test]
fn who_was_overtaken_while_reading_writes_no_document_and_says_so() {
    let published = Published::new();
    for action in ["GetAccountAuthorizationDetails", "ListSSHPublicKeys", "GetSSHPublicKey", "ListObjectsV2"] {
        let (double, before) = published.changed();
        let theirs = paper(60);
        let paper = theirs.clone();
        double.on_call(Match::action(action), 1, move |change| {
            change.put_object(BUCKET, LEASE, paper);
        });
        let ran = run(&double);
        assert!(ran.code == 1 && ran.err.contains("another run took over"), "{action}: {ran:?}");
        assert_eq!((documents(&double), writes(&double)), (before, vec![]), "{action}: {ran:?}");
        assert_eq!(lease(&double), Some(theirs), "{action}: the other's lease is the other's");
    }
}

#[test]
fn a_long_run_keeps_its_lease() {
    let (double, _) = Published::new().changed();
    let (tell, told) = channel();
    // Six calls and more after the beginning: three seconds.
    double.on_call(Match::action("ListSSHPublicKeys"), 2, move |_| tell.send(()).unwrap());
    std::thread::scope(|scope| {
        let long = scope.spawn(|| run_with(&double, &[("IAM_MAX_RATE", "2"), ("LEASE_SECONDS", "3")]));
        told.recv_timeout(Duration::from_secs(60)).unwrap();
        let other = run_with(&double, &[("LEASE_WAIT", "0")]);
        assert!(other.code == 1 && other.err.contains("another run is at work"), "{other:?}");
        let ran = long.join().unwrap();
        assert_eq!(ran.code, 0, "{ran:?}");
    });
    let renewed = double.count(&Match::action("PutObject").on(LEASE));
    assert!(renewed > 3, "{renewed}");
    in_sync(&double, "after a long run");
}

/// Sends a signal to a process.
fn signal(pid: u32, name: &str) {
    assert!(Command::new("kill").args([name, &pid.to_string()]).status().unwrap().success());
}

/// A run that is stopped before the first such request is answered, and goes on when another one has done everything.
fn stopped(double: &Double, before: &Documents, action: &str, resource: Option<&str>) {
    let mut command = against(&double.url());
    command.env("LEASE_SECONDS", "1").stdout(Stdio::piped()).stderr(Stdio::piped());
    let (give, take) = channel();
    let (tell, told) = channel();
    let which = resource.map_or(Match::action(action), |resource| Match::action(action).on(resource));
    double.on_call(which, 1, move |_| {
        signal(take.recv().unwrap(), "-STOP");
        tell.send(()).unwrap();
    });
    let process = command.spawn().unwrap();
    give.send(process.id()).unwrap();
    told.recv_timeout(Duration::from_secs(60)).unwrap();
    between(before, double, action);
    repaired(double, action);
    signal(process.id(), "-CONT");
    let ran = Ran::from(process.wait_with_output().unwrap());
    assert!(ran.code == 1 && ran.err.contains("another run took over"), "{action}: {ran:?}");
    in_sync(double, &format!("{action}: {ran:?}"));
}

#[test]
fn who_slept_longer_than_the_lease_undoes_nothing() {
    let published = Published::new();
    for (action, resource) in [
        ("GetAccountAuthorizationDetails", None),
        ("ListSSHPublicKeys", None),
        ("ListObjectsV2", None),
        ("PutObject", Some("users/ann/authorized_keys")),
        ("DeleteObject", Some("users/cid/authorized_keys")),
    ] {
        let (double, before) = published.changed();
        stopped(&double, &before, action, resource);
    }
    // A first run: nothing was there before.
    let double = double();
    double.iam(common::story::account);
    stopped(&double, &Documents::new(), "PutObject", Some("users/ann/authorized_keys"));
}
