//! Whole ssh logins: with a key that iam-ssh has cached, with one in a plain file on the same machine, and with such a file on a
//! machine without the package.

use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use iam_ssh_e2e::measure::Bar;
use iam_ssh_e2e::{Key, Login, Machine, Suite, World, eventually};

use crate::documents::ONE;
use crate::{configure_double, figure, ms, times};

/// Pairs of logins: with a cached key and with a file.
const PAIRS: usize = 120;
/// After so many pairs comes one login on the machine without the package.
const WITHOUT: usize = 6;
/// The local user with a file.
const LOCAL: &str = "local-user";
const PORT: u16 = 2222;

/// Logs in with each kind in turn and prints the medians.
pub(crate) fn report(world: &World, machine: &Machine, key: &Key) {
    let plain = Machine::boot(world, Suite::Bookworm);
    for machine in [machine, &plain] {
        machine.add_user(LOCAL);
        machine.authorize(LOCAL, key.line());
    }
    configure_double(world, machine, ONE, "24h");
    // The machines share one network.
    plain.run(&format!("/usr/sbin/sshd -p {PORT}")).expect_ok();
    eventually("the plain machine's sshd", || TcpStream::connect(("127.0.0.1", PORT)).ok());

    let kinds: [Login; 3] = [
        machine.client("ec2-user").key(key),
        machine.client(LOCAL).key(key),
        plain.client(LOCAL).key(key).option(&format!("Port={PORT}")),
    ];
    // Fills the cache and makes the hosts known.
    for kind in &kinds {
        kind.run("true").expect_ok();
    }
    let mut took: [Vec<Duration>; 3] = Default::default();
    let asked = world.requests();
    for pair in 0..PAIRS {
        let pair_of_kinds = if pair % 2 == 0 { [0, 1] } else { [1, 0] };
        let third = (pair % WITHOUT == 0).then_some(2);
        for kind in pair_of_kinds.into_iter().chain(third) {
            took[kind].push(timed(&mut kinds[kind].command("true")));
        }
    }
    assert_eq!(world.requests(), asked, "the cache answers these logins");
    // Of each pair for itself: both of a pair run under the same conditions, and those change by more than what is measured.
    let ratio = median(took[0].iter().zip(&took[1]).map(|(cached, file)| times(*cached, *file)).collect());
    let [cached, file, without] = took.map(|all| median(all.into_iter().map(ms).collect()));
    figure("login-cached-wall", cached, "ms", Bar::None);
    figure("login-file-wall", file, "ms", Bar::None);
    figure("login-without-package-wall", without, "ms", Bar::None);
    figure("login-cached-vs-file-wall", ratio, "times", Bar::AtMost(1.05));
    figure("login-cached-vs-without-package-wall", cached / without, "times", Bar::None);
}

pub(crate) fn timed(command: &mut Command) -> Duration {
    let start = Instant::now();
    let status = command.stdin(Stdio::null()).status().expect("ssh");
    let took = start.elapsed();
    assert!(status.success(), "{command:?}: {status}");
    took
}

pub(crate) fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}
