//! Many connections, in a row and at once: each is recorded once when it is opened and once when it is closed, as its owner's, and
//! nothing is left behind.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};

use iam_ssh_e2e::audit::Connection;
use iam_ssh_e2e::scene::{armed, publish};
use iam_ssh_e2e::{Key, KeyKind, Machine, Suite, World};

const NAMES: [&str; 4] = ["anna@example.org", "bob@example.org", "carl@example.org", "dora@example.org"];
const IN_A_ROW: usize = 500;
const AT_ONCE: usize = 50;
/// All at once are let in, and none of them is a nuisance.
const SSHD: &str = "MaxStartups 100\n";

/// Each of them is recorded, by another owner each time.
fn recorded(machine: &Machine, keys: &[Key], all: &[Connection], count: usize) {
    assert_eq!(all.len(), count);
    let ids: BTreeSet<&str> = all.iter().map(|one| one.get("id")).collect();
    assert_eq!(ids.len(), count, "no two have one id");
    let owners: BTreeMap<String, &str> = keys.iter().map(Key::fingerprint).zip(NAMES).collect();
    let mut each = BTreeMap::<&str, usize>::new();
    for connection in all {
        assert_eq!(owners.get(connection.get("key")), Some(&connection.get("owner")), "{connection:#?}");
        assert_eq!(connection.get("principal"), format!("users/{}", connection.get("owner")), "{connection:#?}");
        *each.entry(connection.get("owner")).or_default() += 1;
    }
    assert!(each.len() == NAMES.len() && each.values().all(|n| n.abs_diff(count / NAMES.len()) <= 1), "{each:?}");
    assert_eq!(machine.sh("ls /run/iam-ssh/sessions"), "");
    assert_eq!(machine.run("pgrep -a 'session-audit|authorized-keys|fetch|sleep 1' ; pgrep -u ec2-user -a").stdout, "");
}

fn many(suite: Suite) {
    let world = World::new();
    let keys = NAMES.map(|name| {
        let key = world.key(name, KeyKind::Ed25519);
        publish(&world, name, &key);
        key
    });
    let principals: Vec<String> = NAMES.iter().map(|name| format!("users/{name}")).collect();
    let machine = armed(&world, suite, &world.double().url(), &format!("principals = {principals:?}"));
    machine.write("/etc/ssh/sshd_config.d/01-test.conf", SSHD, 0o600);
    machine.reload_sshd();
    let login = |number: usize| machine.login("ec2-user").key(&keys[number % keys.len()]);

    let row = machine.connections("in a row", || {
        for number in 0..IN_A_ROW {
            assert!(login(number).run("true").ok());
        }
    });
    recorded(&machine, &keys, &row, IN_A_ROW);
    let at_once = machine.connections("at once", || {
        std::thread::scope(|threads| {
            for number in 0..AT_ONCE {
                let login = login(number);
                // All of them are open at the same time, for a while.
                threads.spawn(move || {
                    let session =
                        login.run("echo >>/tmp/open; until [ $(wc -l </tmp/open) -ge 50 ]; do sleep 0.05; done");
                    assert!(session.ok(), "{session}");
                });
            }
        });
    });
    recorded(&machine, &keys, &at_once, AT_ONCE);
}

#[test]
fn five_hundred_in_a_row_and_fifty_at_once() {
    many(Suite::Forky);
}
