//! `make bench`: what a lookup and a login cost, beside `/bin/true`, curl, the seed's command with the AWS CLI, and a plain
//! `authorized_keys` file, interleaved in one session. It judges nothing: it prints figures and their bars.
//!
//! docs/benchmarks.md says what the figures mean.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a benchmark")]
#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]

mod audit;
mod cached;
mod cold;
mod documents;
mod history;
mod inside;
mod logins;
mod memory;
mod requests;
mod sync;

use std::time::Duration;

use iam_ssh_e2e::measure::{Bar, line};
use iam_ssh_e2e::scene::configuration;
use iam_ssh_e2e::{Authority, KeyKind, Machine, Moto, Suite, World};

use crate::cached::Cached;
use crate::cold::{Rivals, SEED, Way};
use crate::documents::{DOCUMENTED, ONE, THOUSANDS, documents, publish};
use crate::inside::{Inside, is_inside, lookup_of};

/// Rounds that count; in each the seed's command runs once for each way, what takes milliseconds several times in a row.
const ROUNDS: usize = 9;
const COLD: usize = 10;
const CACHED: usize = 20;

fn main() {
    if is_inside() {
        return;
    }
    // The part that needs neither a machine nor root, for those who work on it.
    if std::env::args().nth(1).as_deref() == Some("sync") {
        return sync::report();
    }
    let world = World::new();
    world.imds();
    let authority = Authority::create(world.scratch());
    let tls = Moto::start_tls(5443, &authority.certificate, &authority.key);
    let key = world.key("Admin", KeyKind::Ed25519);
    let documents = documents(&key, &world.key("jane@example.org", KeyKind::Ed25519));
    publish(&world, &documents);
    let plain = |name, principals| Way::new(name, world.moto().url(), None, principals);
    let secure = |name, principals| Way::new(name, tls.url(), Some(&authority.root), principals);
    let mut ways =
        [plain("http-two", DOCUMENTED), secure("tls-two", DOCUMENTED), plain("http", ONE), secure("tls", ONE)];
    let large = secure("tls", THOUSANDS);
    for way in [&ways[0], &large] {
        way.publish(world.scratch(), &documents);
    }

    let machine = Machine::boot(&world, Suite::Bookworm);
    machine.install().expect_ok();
    machine.write("/etc/iam-ssh/root.pem", std::fs::read(&authority.root).unwrap(), 0o644);
    machine.start_sshd();
    let script = world.scratch().join("seed.sh");
    std::fs::write(&script, SEED).unwrap();
    let path = format!("{}:/usr/bin:/bin", world.aws_cli().parent().unwrap().display());
    let rivals = Rivals { script, path, wanted: key.base64().to_owned() };
    let (inside, lookup) = (Inside::new(&machine), lookup_of(&key));

    println!("bench: {ROUNDS} rounds, medians; docs/benchmarks.md explains the figures:");
    let mut cached = Cached::default();
    for round in 0..=ROUNDS {
        // The first round fills caches and counts for nobody.
        if round == 1 {
            cached = Cached::default();
        }
        for way in &mut ways {
            way.configure(&machine);
            way.round(&inside, &lookup, &rivals, COLD, round > 0);
        }
        cached.round(&world, &machine, &inside, &lookup, CACHED);
    }
    // Plain HTTP is the cheaper way for the seed's command.
    cached.report(ways[0].seed());
    for way in &ways {
        way.report();
    }
    logins::report(&world, &machine, &key);
    audit::report(&world, &machine, &key);
    requests::report(&world, &machine, &inside, &key, &lookup);
    memory::report(&machine, &inside, &large, &lookup);
    history::report(&machine);
    sync::report();
}

/// Makes the machine ask our own double for these principals.
fn configure_double(world: &World, machine: &Machine, principals: &[&str], fresh_for: &str) {
    let asked = configuration(&world.double().url(), &format!("principals = {principals:?}"));
    machine.configure(&format!("region = \"us-east-1\"\n{asked}\n[lookup]\nfresh_for = \"{fresh_for}\"\n"));
}

fn figure(name: &str, value: f64, unit: &str, bar: Bar) {
    println!("{}", line(name, value, unit, bar));
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn times(one: Duration, other: Duration) -> f64 {
    one.as_secs_f64() / other.as_secs_f64()
}
