//! The cache as requests show it: nothing is asked while an answer is fresh, one conditional request per principal afterwards, and what
//! was withdrawn or published is noticed in time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::time::{Duration, Instant};

use iam_ssh_doubles::{Match, Request, Service};
use iam_ssh_e2e::scene::published;
use iam_ssh_e2e::trial::{ANNA, ANNAS, BOB, BOTH, GROUPS, Trial, WARNING};
use iam_ssh_e2e::{BUCKET, KeyKind, Login, State, World, eventually};

/// What the doubles were asked since they were last told to forget: S3 and SSM, and the metadata service.
fn asked(trial: &Trial<'_>) -> (Vec<Request>, usize) {
    (trial.double().requests(), trial.world.imds().requests().len())
}

fn forget(trial: &Trial<'_>) {
    trial.double().clear_requests();
    trial.world.imds().clear_requests();
}

/// Asks until somebody is asked in turn, and returns those requests and how long after `since` the first of them was made.
fn asked_again(trial: &Trial<'_>, since: Instant) -> (Vec<Request>, Duration) {
    eventually("a lookup that asks", || {
        trial.lookup(&trial.anna).expect_ok();
        let requests = trial.double().requests();
        (!requests.is_empty()).then(|| (requests, since.elapsed()))
    })
}

#[test]
fn a_second_login_asks_nobody() {
    let world = World::new();
    let trial = Trial::new(&world);
    trial.configure("30s", BOTH);
    trial.gets_in("first", &trial.anna, ANNA);
    let (requests, of_imds) = asked(&trial);
    for document in [ANNAS, GROUPS] {
        let count = requests.iter().filter(|request| request.resource == document).count();
        assert_eq!(count, 1, "{document}, though sshd ran the lookup twice: {requests:?}");
    }
    assert!(of_imds <= 3, "{:?}", world.imds().requests());
    forget(&trial);
    let from = trial.machine.logs().len();
    trial.gets_in("second", &trial.anna, ANNA);
    trial.gets_in("somebody else", &trial.bob, BOB);
    trial.is_refused("a stranger", &trial.stranger);
    let offered = trial.machine.wait_log_from(from, |line| line.message.starts_with("offered owner=anna")).unwrap();
    assert!(offered.message.contains(" source=cache "), "{offered:?}");
    let (requests, of_imds) = asked(&trial);
    assert!(requests.is_empty() && of_imds == 0, "{requests:?}, {of_imds} of the metadata service");
}

#[test]
fn six_keys_cost_no_more_than_one() {
    let world = World::new();
    let trial = Trial::new(&world);
    trial.configure("30s", BOTH);
    trial.gets_in("one key", &trial.anna, ANNA);
    let (one, of_imds) = asked(&trial);
    trial.machine.empty_cache();
    forget(&trial);
    let others = ["a", "b", "c", "d", "e"].map(|name| world.key(name, KeyKind::Ed25519));
    let login = others.iter().fold(trial.client(), Login::key);
    login.key(&trial.anna).run("true").expect_ok();
    let offered = trial.machine.logs().iter().filter(|line| line.message.starts_with("Failed publickey")).count();
    assert!(offered >= 5, "the other keys were offered:\n{}", trial.machine.log_text());
    let (six, of_imds_then) = asked(&trial);
    assert!(six.len() <= one.len() && of_imds_then <= of_imds, "{six:?}");
}

#[test]
fn an_answer_that_is_no_longer_fresh_is_confirmed() {
    let world = World::new();
    let trial = Trial::new(&world);
    trial.configure("4s", BOTH);
    let filled = Instant::now();
    trial.fill();
    forget(&trial);
    let from = trial.machine.logs().len();
    let (_, after) = asked_again(&trial, filled);
    assert!(after >= Duration::from_secs(3), "it asked after {after:?}, though fresh for 4 s");
    assert!(after <= Duration::from_secs(7), "it was still believed after {after:?}, though fresh for 4 s");
    // Both documents, though Anna's alone would have been enough for the answer.
    let requests = eventually("a request for each document", || {
        let requests = trial.double().requests();
        (requests.len() >= 2).then_some(requests)
    });
    let mut documents: Vec<&str> = requests.iter().map(|request| request.resource.as_str()).collect();
    documents.sort_unstable();
    assert_eq!(documents, [GROUPS, ANNAS]);
    assert!(requests.iter().all(|request| request.conditional), "{requests:?}");
    assert_eq!(world.imds().requests().len(), 0, "the credentials still live");
    let line = trial.machine.wait_log_from(from, |line| line.message.contains(" source=s3 "));
    assert!(line.is_some(), "{}", trial.machine.log_text());
    // Confirmed is as good as fetched.
    forget(&trial);
    trial.finds("confirmed", &trial.anna, true);
    trial.finds("confirmed", &trial.bob, true);
    assert_eq!(asked(&trial).0.len(), 0);
}

#[test]
fn who_lost_the_key_is_refused_once_fresh_for_is_over() {
    let world = World::new();
    let trial = Trial::new(&world);
    trial.configure("1s", BOTH);
    trial.gets_in("before", &trial.anna, ANNA);
    // Withdrawn first, so that the clock of the test starts before the lookup's.
    let other = world.key("other", KeyKind::Ed25519);
    trial.double().put_object(BUCKET, ANNAS, published(ANNA, &other));
    let withdrawn = Instant::now();
    eventually("Anna's old key to be refused", || trial.login(&trial.anna).refused().then_some(()));
    assert!(withdrawn.elapsed() < Duration::from_secs(4), "{:?}", withdrawn.elapsed());
    trial.gets_in("the new key", &other, ANNA);
    // What was withdrawn does not come back when S3 goes.
    trial.s3.set(State::Refused);
    for _ in 0..3 {
        trial.is_refused("withdrawn, and then S3 was gone", &trial.anna);
    }
}

#[test]
fn who_is_published_later_is_seen() {
    let world = World::new();
    let trial = Trial::new(&world);
    trial.configure("4s", BOTH);
    trial.double().remove_object(BUCKET, ANNAS);
    trial.is_refused("not published yet", &trial.anna);
    trial.says("not published yet", 0, WARNING, &["NoSuchKey"]);
    forget(&trial);
    trial.is_refused("not published yet", &trial.anna);
    assert_eq!(asked(&trial).0.len(), 0, "that there is none is remembered");
    trial.publish();
    let begun = Instant::now();
    eventually("Anna to get in", || trial.login(&trial.anna).ok().then_some(()));
    assert!(begun.elapsed() < Duration::from_secs(7), "{:?}", begun.elapsed());
}

/// However it was set, an answer never lives longer than `max_stale`.
#[test]
fn too_old_is_too_old() {
    let world = World::new();
    let trial = Trial::new(&world);
    let lookup = |max_stale: &str| format!("deadline = \"1s\"\nfresh_for = \"0s\"\nmax_stale = \"{max_stale}\"");
    trial.configure_with("", &lookup("2s"), BOTH);
    trial.fill();
    trial.s3.set(State::Refused);
    eventually("Anna's copy to be too old", || {
        trial.machine.restore_cache();
        let answer = trial.lookup(&trial.anna);
        answer.expect_ok().is_empty().then_some(())
    });
    trial.is_refused("too old", &trial.anna);
    trial.configure_with("", &lookup("0s"), BOTH);
    trial.s3.set(State::Open);
    trial.fill();
    trial.s3.set(State::Refused);
    trial.is_refused("no stale answers wanted", &trial.anna);
    trial.gets_in("no stale answers wanted", &trial.local, "");
}

/// Which address families the sockets had that a lookup opened.
fn families(calls: &[String]) -> Vec<&str> {
    let sockets = calls.iter().filter_map(|call| call.split_once("socket("));
    sockets.map(|(_, arguments)| arguments.split(',').next().unwrap()).collect()
}

#[test]
fn without_a_network_no_network_socket_is_opened() {
    let world = World::new();
    let trial = Trial::new(&world);
    let lookup = "deadline = \"1s\"\nfresh_for = \"0s\"";
    let arguments = ["ec2-user", trial.anna.kind(), trial.anna.base64()];
    let traced = |what: &str, is_found: bool| {
        let (answer, calls) = trial.machine.traced_lookup(&arguments);
        assert_eq!(answer.expect_ok().contains(trial.anna.base64()), is_found, "{what}: {answer}");
        calls
    };
    // Cold, somebody must be asked: the trace would show it.
    let calls = traced("cold", true);
    assert!(families(&calls).contains(&"AF_INET"), "{calls:?}");
    trial.fill();

    trial.configure_with("", &format!("{lookup}\nnetwork = false"), BOTH);
    forget(&trial);
    let calls = traced("no network, a filled cache", true);
    assert!(families(&calls).iter().all(|family| *family == "AF_UNIX"), "{calls:?}");
    trial.gets_in("no network, a filled cache", &trial.anna, ANNA);
    trial.is_refused("no network, a filled cache", &trial.stranger);
    trial.machine.empty_cache();
    let calls = traced("no network, an empty cache", false);
    assert!(families(&calls).iter().all(|family| *family == "AF_UNIX"), "{calls:?}");
    assert_eq!(asked(&trial).0.len() + asked(&trial).1, 0);

    trial.configure("1h", BOTH);
    trial.fill();
    forget(&trial);
    let calls = traced("fresh", true);
    assert!(families(&calls).iter().all(|family| *family == "AF_UNIX"), "{calls:?}");
    assert_eq!(world.double().count(&Match::service(Service::S3)), 0);
    assert_eq!(asked(&trial).1, 0);
}

/// Logins that read the cache alone still hold to `max_stale`.
#[test]
fn without_a_network_a_copy_still_ages() {
    let world = World::new();
    let trial = Trial::new(&world);
    trial.fill();
    trial.configure_with("", "deadline = \"1s\"\nnetwork = false\nmax_stale = \"2s\"\nfresh_for = \"0s\"", BOTH);
    eventually("Anna's copy to be too old", || trial.lookup(&trial.anna).expect_ok().is_empty().then_some(()));
    trial.configure_with("", "deadline = \"1s\"\nnetwork = false", BOTH);
    trial.machine.restore_cache();
    trial.gets_in("a day is longer", &trial.anna, ANNA);
}
