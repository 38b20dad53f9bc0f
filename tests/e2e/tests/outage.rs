//! An outage as people live through it: logins go on, nobody waits twice, it ends by itself; and a lookup that is cut short, by a reader
//! who is gone or a signal, leaves everything in order.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::time::{Duration, Instant};

use iam_ssh_doubles::{Fault, Match, Service};
use iam_ssh_e2e::trial::{ANNA, BOB, BOTH, Trial, WARNING};
use iam_ssh_e2e::{AS_LOOKUP, CACHE, DEADLINE, Key, State, World, eventually};

const LOOKUP: &str = "/usr/libexec/iam-ssh/authorized-keys";

fn s3() -> Match {
    Match::service(Service::S3)
}

fn question(key: &Key) -> String {
    format!("{LOOKUP} ec2-user {}", key.bare())
}

#[test]
fn an_outage_is_invisible() {
    let world = World::new();
    let trial = Trial::new(&world);
    // Both are asked for once, as in any day's work.
    trial.gets_in("before", &trial.anna, ANNA);
    trial.gets_in("before", &trial.bob, BOB);
    trial.double().fault(s3(), Fault::Throttle);
    let from = trial.machine.logs().len();
    for _ in 0..3 {
        trial.gets_in("during the outage", &trial.anna, ANNA);
        trial.gets_in("during the outage", &trial.bob, BOB);
        trial.is_refused("during the outage", &trial.stranger);
    }
    trial.says("during the outage", from, WARNING, &["SlowDown"]);
    let lines = trial.machine.logs();
    let offered: Vec<_> = lines.iter().skip(from).filter(|line| line.message.starts_with("offered ")).collect();
    assert!(offered.len() >= 6 && offered.iter().all(|line| line.message.contains(" source=stale ")), "{offered:?}");
}

/// sshd asks once for every key of every client; only the first of them waits for what hangs.
#[test]
fn a_failure_is_remembered_for_a_few_seconds() {
    let world = World::new();
    let trial = Trial::new(&world);
    let deadline = Duration::from_secs(3);
    trial.configure_with("", &format!("deadline = \"{}s\"\nfresh_for = \"0s\"", deadline.as_secs()), BOTH);
    trial.fill();
    trial.double().fault(s3(), Fault::Hang);
    let mut failed = Instant::now();
    for (name, is_found) in [("without a cache", false), ("with a cache", true)] {
        if is_found {
            trial.machine.restore_cache();
        } else {
            trial.machine.empty_cache();
        }
        failed = Instant::now();
        let answer = trial.lookup(&trial.anna);
        assert_eq!(answer.expect_ok().contains(trial.anna.base64()), is_found, "{name}: {answer}");
        assert!(answer.took >= deadline / 2, "{name}: it did not wait: {answer}");
        trial.machine.settle();
        trial.double().clear_requests();
        for key in [&trial.bob, &trial.stranger, &trial.anna] {
            let answer = trial.lookup(key);
            assert!(answer.took < deadline / 2, "{name}: it waited again: {answer}");
        }
        assert_eq!(trial.double().requests().len(), 0, "{name}");
    }
    // It ends by itself.
    trial.double().clear_faults();
    eventually("somebody to ask again", || {
        trial.lookup(&trial.anna).expect_ok();
        (!trial.double().requests().is_empty()).then_some(())
    });
    // Behind this it waited for nearly the deadline; then it failed, which is remembered for 5 s.
    let after = failed.elapsed();
    assert!((Duration::from_secs(6)..Duration::from_secs(12)).contains(&after), "asked again after {after:?}");
    let from = trial.machine.logs().len();
    trial.gets_in("afterwards", &trial.bob, BOB);
    trial.machine.wait_log_from(from, |line| line.message.contains(" source=s3 ")).expect("an answer of S3");
}

#[test]
fn a_full_log_and_a_hanging_s3_together() {
    let world = World::new();
    let trial = Trial::new(&world);
    trial.fill();
    trial.s3.set(State::Mute);
    let _full = trial.machine.clog_the_log();
    trial.finds("a full log", &trial.anna, true);
    trial.machine.empty_cache();
    trial.finds("a full log, without a cache", &trial.anna, false);
    trial.machine.restore_cache();
    let answer = trial.lookup(&trial.stranger);
    answer.expect_in_time(DEADLINE);
    assert_eq!(answer.expect_ok(), "");
    trial.machine.remove_the_log();
    trial.machine.restore_cache();
    trial.finds("no log at all", &trial.anna, true);
}

/// Where its output goes decides nothing: no crash, no signal, the cache filled all the same.
#[test]
fn nobody_reads_the_answer() {
    let world = World::new();
    let trial = Trial::new(&world);
    trial.configure("1h", BOTH);
    let ask = question(&trial.anna);
    for (name, script) in [
        ("the reader is gone", format!("set -o pipefail; {{ {ask}; echo $? >&2; }} | true")),
        ("standard output is closed", format!("{ask} >&-; echo $? >&2")),
        ("everything is closed", format!("exec 3>&2; {ask} <&- >&- 2>&-; echo $? >&3")),
        ("a full device", format!("{ask} >/dev/full; echo $? >&2")),
    ] {
        for is_cached in [false, true] {
            let answer = trial.machine.run_as_lookup(&script);
            let told = answer.stderr.lines().last().unwrap_or_default();
            assert!(["0", "1"].contains(&told), "{name}, cached: {is_cached}: {answer}\n{}", trial.machine.log_text());
            answer.expect_in_time(DEADLINE);
        }
        trial.double().clear_requests();
        trial.finds(name, &trial.anna, true);
        assert_eq!(trial.double().requests().len(), 0, "{name}: the answer was not kept");
        trial.machine.empty_cache();
    }
}

/// The lookup is told to end while it waits for S3.
#[test]
fn a_signal_ends_a_waiting_lookup_at_once() {
    let world = World::new();
    let trial = Trial::new(&world);
    trial.configure_with("", "deadline = \"20s\"\nfresh_for = \"0s\"", BOTH);
    trial.fill();
    for signal in ["TERM", "HUP"] {
        trial.machine.restore_cache();
        trial.double().clear_requests().fault(s3(), Fault::Hang);
        let start = format!("{AS_LOOKUP} {} >/run/answer 2>/dev/null & echo $!", question(&trial.anna));
        let pid: u32 = trial.machine.sh(&start).trim().parse().unwrap();
        eventually("its request", || (trial.double().count(&s3()) > 0).then_some(()));
        let sent = Instant::now();
        trial.machine.run(&format!("kill -{signal} {pid}")).expect_ok();
        eventually("its end", || trial.machine.lookups_running().is_empty().then_some(()));
        assert!(sent.elapsed() < Duration::from_secs(8), "{signal}: {:?}", sent.elapsed());
        trial.double().clear_faults();
        let said = trial.machine.read("/run/answer").unwrap();
        assert!(said.is_empty() || said.contains(trial.anna.base64()), "{signal}: {said}");
        // Not a failure of S3's: the next one asks, and the cache is one that can be used.
        trial.finds(signal, &trial.anna, true);
        trial.finds(signal, &trial.stranger, false);
        trial.s3.set(State::Refused);
        trial.gets_in(signal, &trial.anna, ANNA);
        trial.s3.set(State::Open);
    }
}

/// As during an upgrade that goes wrong.
#[test]
fn without_the_program_that_asks_the_cache_answers() {
    let world = World::new();
    let trial = Trial::new(&world);
    trial.fill();
    trial.machine.run("mv /usr/libexec/iam-ssh/fetch /root/").expect_ok();
    trial.gets_in("no fetch", &trial.anna, ANNA);
    trial.machine.expect_log("source=stale");
    trial.machine.expect_log("cannot run /usr/libexec/iam-ssh/fetch");
    trial.is_refused("no fetch", &trial.stranger);
    trial.machine.empty_cache();
    trial.is_refused("neither fetch nor a cache", &trial.anna);
    trial.gets_in("neither fetch nor a cache", &trial.local, "");
}

#[test]
fn who_finds_nothing_in_the_cache_and_may_not_ask_says_so() {
    let world = World::new();
    let trial = Trial::new(&world);
    trial.configure_with("", "network = false", BOTH);
    trial.is_refused("nothing cached", &trial.anna);
    trial.machine.expect_log("users/anna@example.org: nobody could be asked, and nothing that counts is cached");
    trial.machine.run(&format!("chown root: {CACHE}")).expect_ok();
    trial.is_refused("a cache of somebody else's", &trial.anna);
    trial.machine.expect_log("the cache is not used: /var/cache/iam-ssh: belongs to user id 0");
    assert_eq!(trial.double().requests().len(), 0);
}
