//! What the record of connections adds to a login: the same machine, key and cache, through sshd as it is wired and through another sshd
//! whose PAM service has no hook.

use std::net::TcpStream;
use std::time::Duration;

use iam_ssh_e2e::audit::records;
use iam_ssh_e2e::measure::Bar;
use iam_ssh_e2e::{Key, Login, Machine, World, eventually};

use crate::documents::ONE;
use crate::logins::{median, timed};
use crate::{configure_double, figure, ms, times};

/// Pairs of logins: recorded and not.
const PAIRS: usize = 120;
const PORT: u16 = 2223;
/// Before OpenSSH 9.8 the PAM service has the name that sshd was started by.
const PLAIN: &str = "cp /usr/sbin/sshd /usr/sbin/sshd-plain && cd /etc/pam.d &&
    sed -E '/session-audit|service = sshd/d' common-session >common-session-plain &&
    sed -E '/session-audit/d; s/^@include common-session$/&-plain/' sshd >sshd-plain &&
    ! grep -q session-audit sshd-plain common-session-plain && /usr/sbin/sshd-plain -o PidFile=/run/plain.pid";

/// Logs in each way in turn and prints the medians.
pub(crate) fn report(world: &World, machine: &Machine, key: &Key) {
    configure_double(world, machine, ONE, "24h");
    machine.run(&format!("{PLAIN} -p {PORT}")).expect_ok();
    eventually("the plain sshd", || TcpStream::connect(("127.0.0.1", PORT)).ok());
    let recorded = machine.client("ec2-user").key(key);
    let kinds = [recorded.clone(), recorded.option(&format!("Port={PORT}"))];
    // Fills the cache and makes the hosts known.
    let seen = records(&machine.logs()).len();
    for kind in &kinds {
        login(machine, kind);
    }
    eventually("one record of a beginning and one of an end", || {
        (records(&machine.logs()).len() == seen + 2).then_some(())
    });
    let mut took: [Vec<Duration>; 2] = Default::default();
    for pair in 0..PAIRS {
        for kind in if pair % 2 == 0 { [0, 1] } else { [1, 0] } {
            took[kind].push(login(machine, &kinds[kind]));
        }
    }
    let pairs = || took[0].iter().zip(&took[1]);
    // Of each pair for itself: conditions change by more than what is measured.
    let added = median(pairs().map(|(with, without)| ms(*with) - ms(*without)).collect());
    let ratio = median(pairs().map(|(with, without)| times(*with, *without)).collect());
    let [with, without] = [0, 1].map(|kind: usize| median(took[kind].iter().copied().map(ms).collect()));
    figure("login-recorded-wall", with, "ms", Bar::None);
    figure("login-unrecorded-wall", without, "ms", Bar::None);
    figure("login-record-adds-wall", added, "ms", Bar::AtMost(10.0));
    figure("login-recorded-vs-unrecorded-wall", ratio, "times", Bar::None);
}

/// The time of one login. What is recorded at its end is over when this returns, and not part of the next.
fn login(machine: &Machine, kind: &Login) -> Duration {
    let took = timed(&mut kind.command("true"));
    let sessions = machine.path("/run/iam-ssh/sessions");
    eventually("the end of the connection", || std::fs::read_dir(&sessions).ok()?.next().is_none().then_some(()));
    took
}
