//! How many requests logins cause, counted by our own double of S3 and of the metadata service.

use std::time::Duration;

use iam_ssh_e2e::doubles::Request;
use iam_ssh_e2e::measure::Bar;
use iam_ssh_e2e::{Key, KeyKind, Login, Machine, World, wait_for};

use crate::documents::DOCUMENTED;
use crate::inside::{Cache, Inside, Words};
use crate::{configure_double, figure};

/// Lookups at once.
const AT_ONCE: usize = 200;

/// The requests that something caused.
struct Asked {
    s3: Vec<Request>,
    imds: usize,
}

impl Asked {
    fn by(world: &World, action: impl FnOnce()) -> Self {
        world.double().clear_requests();
        world.imds().clear_requests();
        action();
        Self { s3: world.double().requests(), imds: world.imds().requests().len() }
    }

    fn all(&self) -> f64 {
        count(self.s3.len() + self.imds)
    }

    fn s3_per_principal(&self) -> f64 {
        count(self.s3.len()) / count(DOCUMENTED.len())
    }
}

/// Prints all of it. The region is configured, and there are two principals; the offered key is in the second one's document.
pub(crate) fn report(world: &World, machine: &Machine, inside: &Inside, key: &Key, lookup: &Words) {
    let requests = |name: &str, value: f64, bar: Bar| figure(&format!("requests-{name}"), value, "requests", bar);
    let login = |login: &Login| login.run("true").expect_ok().to_owned();
    let one_key = machine.client("ec2-user").key(key);
    let empty = || inside.empty_the_cache();

    configure_double(world, machine, DOCUMENTED, "24h");
    empty();
    let first = Asked::by(world, || drop(login(&one_key)));
    requests("first-login-imds", count(first.imds), Bar::AtMost(3.0));
    requests("first-login-s3-per-principal", first.s3_per_principal(), Bar::AtMost(1.0));
    let second = Asked::by(world, || drop(login(&one_key)));
    requests("second-login", second.all(), Bar::AtMost(0.0));

    let six_keys = (1..6)
        .map(|number| world.key(&format!("unknown-{number}"), KeyKind::Ed25519))
        .fold(machine.client("ec2-user"), |login, unknown| login.key(&unknown))
        .key(key);
    empty();
    let six = Asked::by(world, || drop(login(&six_keys)));
    requests("six-keys", six.all(), Bar::AtMost(first.all()));

    empty();
    let one_lookup = Asked::by(world, || drop(inside.run(Cache::Keep, 1, std::slice::from_ref(lookup))));
    empty();
    let mut answered = 0;
    let herd = Asked::by(world, || answered = inside.at_once(AT_ONCE, lookup));
    requests("200-logins-at-once", herd.all(), Bar::AtMost(one_lookup.all()));
    figure("answered-200-logins-at-once", count(answered), "logins", Bar::AtLeast(count(AT_ONCE)));

    configure_double(world, machine, DOCUMENTED, "1s");
    empty();
    login(&one_key);
    let later = wait_for(Duration::from_secs(10), || {
        let asked = Asked::by(world, || drop(login(&one_key)));
        (!asked.s3.is_empty()).then_some(asked)
    })
    .expect("a login that asks again");
    let unconditional = later.s3.iter().filter(|request| !request.conditional).count();
    requests("after-fresh-for-imds", count(later.imds), Bar::AtMost(0.0));
    requests("after-fresh-for-s3-per-principal", later.s3_per_principal(), Bar::AtMost(1.0));
    requests("after-fresh-for-s3-unconditional", count(unconditional), Bar::AtMost(0.0));
}

fn count(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap())
}
