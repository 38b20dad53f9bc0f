//! Many lookups: at once, in a row, and killed at random moments. One refresh serves all, and nothing is left behind.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use iam_ssh_doubles::{Fault, Match, Service};
use iam_ssh_e2e::trial::{ANNA, ANNAS, BOB, BOTH, GROUPS, Trial};
use iam_ssh_e2e::{AS_LOOKUP, BUCKET, CACHE, DEADLINE, Key, World, eventually};

const LOOKUP: &str = "/usr/libexec/iam-ssh/authorized-keys";
const FETCH: &str = "/usr/libexec/iam-ssh/fetch";

/// The words after the program's name that ask for this key.
fn question(key: &Key) -> String {
    format!("ec2-user {}", key.bare())
}

/// Runs so many lookups for a key at once and returns how many printed its line, and nothing but it.
fn at_once(trial: &Trial<'_>, key: &Key, count: usize) -> usize {
    let script = format!(
        "set -e; cd $(mktemp -d); for n in $(seq {count}); do {LOOKUP} {} >$n & done; wait; cat *; rm -r $PWD",
        question(key)
    );
    let answer = trial.machine.run_as_lookup(&script);
    let (with, without): (Vec<_>, Vec<_>) = answer.expect_ok().lines().partition(|line| line.contains(key.base64()));
    assert_eq!(without, Vec::<&str>::new(), "{answer}");
    with.len()
}

/// The names of the cache's files. Without the spare lock, which whoever waited too long for the first one makes once and for all.
fn names(trial: &Trial<'_>) -> Vec<String> {
    let files = trial.machine.cache_files();
    files.iter().map(|line| line.split(' ').next().unwrap().to_owned()).filter(|name| name != "spare-lock").collect()
}

fn gets(trial: &Trial<'_>, document: &str) -> usize {
    trial.double().count(&Match::action("GetObject").on(document))
}

#[test]
fn two_hundred_lookups_at_once_cause_one_refresh() {
    let world = World::new();
    let trial = Trial::new(&world);
    // Two cores need more than a second to start two hundred processes that wait for one.
    trial.configure_with("", "deadline = \"10s\"\nfresh_for = \"1h\"", BOTH);
    assert_eq!(at_once(&trial, &trial.anna, 200), 200, "{}", trial.machine.log_text());
    assert_eq!((gets(&trial, ANNAS), gets(&trial, GROUPS)), (1, 1), "one request for each principal");
    assert!(world.imds().requests().len() <= 3, "{:?}", world.imds().requests());
    assert_eq!(trial.machine.lookups_running(), Vec::<String>::new());
    assert_eq!(at_once(&trial, &trial.stranger, 50), 0);

    // The same when what is cached is too old to be fresh: it is confirmed once for all of them that began before the answer.
    trial.configure_with("", "deadline = \"10s\"\nfresh_for = \"2s\"", BOTH);
    let old = Instant::now();
    eventually("the answer to be too old", || (old.elapsed().as_secs() >= 3).then_some(()));
    trial.double().clear_requests();
    let begun = Instant::now();
    assert_eq!(at_once(&trial, &trial.anna, 200), 200, "{}", trial.machine.log_text());
    let rounds = 1 + usize::try_from(begun.elapsed().as_secs() / 2).unwrap();
    let requests = trial.double().requests();
    assert!(requests.len() <= 2 * rounds && requests.iter().all(|request| request.conditional), "{requests:?}");
}

#[test]
fn ten_thousand_lookups_in_a_row_leave_nothing() {
    let world = World::new();
    let trial = Trial::new(&world);
    trial.configure("1s", BOTH);
    trial.fill();
    let temporary = || trial.machine.sh("find / -xdev -newer /root/cache.kept -user iam-ssh ! -path '/proc/*' | sort");
    let sizes = || -> u64 {
        let files = trial.machine.cache_files();
        files.iter().map(|line| line.split(' ').nth(1).unwrap().parse::<u64>().unwrap()).sum()
    };
    let (names_before, size_before) = (names(&trial), sizes());
    let begun = Instant::now();
    let script = format!("for n in $(seq 10000); do {LOOKUP} {}; done | sort | uniq -c", question(&trial.anna));
    let answer = trial.machine.run_as_lookup(&script);
    let took = begun.elapsed();
    let lines: Vec<&str> = answer.expect_ok().lines().collect();
    let always = lines.len() == 1 && lines[0].trim().starts_with("10000 ") && lines[0].contains(trial.anna.base64());
    assert!(always && took.as_secs() < 60, "not always the same line, or not fast: {answer}");
    let rounds = usize::try_from(took.as_secs()).unwrap() + 2;
    assert!(gets(&trial, ANNAS) <= rounds + 1, "{} requests in {took:?}", gets(&trial, ANNAS));
    assert_eq!(at_once(&trial, &trial.bob, 200), 200);

    assert_eq!(names(&trial), names_before, "no file more, no file less");
    assert!(sizes() <= size_before + 256, "{} bytes were {size_before}", sizes());
    assert_eq!(trial.machine.lookups_running(), Vec::<String>::new());
    let outside: Vec<String> = temporary().lines().filter(|path| !path.starts_with(CACHE)).map(str::to_owned).collect();
    assert_eq!(outside, Vec::<String>::new(), "nothing outside its directory");
}

/// Kills random ones of our processes, the lookup and what it starts, 500 times; meanwhile four loops ask for Anna and the stranger. Most
/// of them must live, or every one would be killed where it begins.
const KILLER: &str = r#"
    for loop in 1 2 3 4; do (
        while [ ! -e /run/calm ]; do as_lookup ANNA >>/run/anna.$loop; as_lookup STRANGER >>/run/stranger; done
    ) 2>/dev/null & done
    kills=0
    while [ $kills -lt 500 ]; do
        for process in /proc/[0-9]*; do
            if [ $((RANDOM % 20)) = 0 ] && { [ $process/exe -ef LOOKUP ] || [ $process/exe -ef FETCH ]; }; then
                kill -KILL ${process#/proc/} 2>/dev/null && kills=$((kills + 1))
            fi
        done
    done
    touch /run/calm; wait; cat /run/anna.* | sort -u"#;

#[test]
fn killed_at_random_moments() {
    let world = World::new();
    let trial = Trial::new(&world);
    trial.fill();
    let files = names(&trial).len();
    let as_lookup = format!("as_lookup() {{ {AS_LOOKUP} {LOOKUP} \"$@\"; }}\n");
    let script = KILLER
        .replace("ANNA", &question(&trial.anna))
        .replace("STRANGER", &question(&trial.stranger))
        .replace("LOOKUP", LOOKUP)
        .replace("FETCH", FETCH);
    let calm = AtomicBool::new(false);
    let (machine, anna, stranger) = (&trial.machine, &trial.anna, &trial.stranger);
    let client = trial.client();
    let killed = std::thread::scope(|threads| {
        let killer = threads.spawn(|| {
            let killed = machine.run(&format!("{as_lookup}{script}"));
            calm.store(true, Ordering::SeqCst);
            killed
        });
        // Whether Anna gets in is luck while lookups are killed; the stranger must never.
        let mut logins = 0;
        while logins < 20 || !calm.load(Ordering::SeqCst) {
            let session = client.clone().key(anna).run("true");
            assert!(session.ok() || session.refused(), "{session}");
            assert!(client.clone().key(stranger).run("true").refused());
            logins += 2;
        }
        killer.join().unwrap()
    });
    let printed: Vec<&str> = killed.expect_ok().lines().collect();
    assert!(printed.len() == 1 && printed[0].contains(anna.base64()), "a whole line or none: {killed}");
    assert_eq!(machine.read("/run/stranger").unwrap(), "");

    assert_eq!(machine.lookups_running(), Vec::<String>::new(), "all that was not killed has ended");
    for _ in 0..3 {
        trial.finds("afterwards", anna, true);
        trial.finds("afterwards", &trial.bob, true);
    }
    trial.gets_in("afterwards", anna, ANNA);
    trial.is_refused("afterwards", stranger);
    // What those left who were killed while they wrote goes once it is certain that nobody still writes it.
    machine.run(&format!("find {CACHE} -type f -exec touch -d '1 hour ago' {{}} +")).expect_ok();
    trial.finds("an hour later", anna, true);
    assert!(names(&trial).len() <= files, "files pile up: {:?}", machine.cache_files());
    // The cache is one that can be used.
    trial.configure("1h", BOTH);
    trial.finds("filled again", &trial.bob, true);
    trial.double().clear_requests();
    trial.gets_in("from the cache", &trial.bob, BOB);
    assert_eq!(trial.double().requests().len(), 0);
}

/// Starts a lookup whose request for documents is never answered, stops it there, and returns once it stands still.
fn stop_in_the_middle(trial: &Trial<'_>) {
    trial.double().clear_requests().fault(Match::service(Service::S3), Fault::Hang);
    let ask = question(&trial.bob);
    trial.machine.run(&format!("{AS_LOOKUP} {LOOKUP} {ask} >/dev/null 2>&1 &")).expect_ok();
    eventually("the request of the lookup that is to stand still", || {
        (trial.double().count(&Match::service(Service::S3)) > 0).then_some(())
    });
    trial.machine.run("pkill -STOP -u iam-ssh").expect_ok();
    trial.double().clear_faults();
}

#[test]
fn whoever_holds_the_lock_and_stands_still_stops_nobody() {
    let world = World::new();
    let trial = Trial::new(&world);
    trial.fill();
    let waits = |name: &str, is_found: bool| {
        let answer = trial.lookup(&trial.anna);
        assert_eq!(answer.expect_ok().contains(trial.anna.base64()), is_found, "{name}: {answer}");
        answer.expect_in_time(DEADLINE);
    };
    stop_in_the_middle(&trial);
    waits("with a cache", true);
    trial.gets_in("with a cache", &trial.anna, ANNA);
    trial.is_refused("with a cache", &trial.stranger);
    // Nor does it keep anybody in: who waited in vain asks for themselves.
    trial.double().remove_object(BUCKET, ANNAS);
    waits("withdrawn", false);
    trial.publish();
    // Killed where it stands, it holds nothing any more.
    trial.machine.run("pkill -KILL -u iam-ssh").expect_ok();
    eventually("its end", || trial.machine.lookups_running().is_empty().then_some(()));
    trial.machine.restore_cache();
    trial.finds("after its end", &trial.anna, true);

    trial.machine.empty_cache();
    stop_in_the_middle(&trial);
    let answer = trial.lookup(&trial.anna);
    answer.expect_in_time(DEADLINE).expect_ok();
    trial.gets_in("without a cache", &trial.local, "");
    // Going on after its time, it does no harm.
    trial.machine.run("pkill -CONT -u iam-ssh").expect_ok();
    eventually("its end", || trial.machine.lookups_running().is_empty().then_some(()));
    eventually("Anna to be found", || {
        trial.lookup(&trial.anna).expect_ok().contains(trial.anna.base64()).then_some(())
    });
    trial.is_refused("after all", &trial.stranger);
}
