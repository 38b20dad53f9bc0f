//! The record in the journal of a booted machine: found by its fields, each line once, root's; and a session that floods the journal does
//! not keep its own end out of it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::collections::BTreeMap;

use iam_ssh_e2e::audit::Record;
use iam_ssh_e2e::scene::{configuration, publish};
use iam_ssh_e2e::{BootedMachine, Key, KeyKind, Suite, World, eventually};

const OWNER: &str = "john@example.org";
const PRINCIPAL: &str = "users/john@example.org";

struct Scene {
    machine: BootedMachine,
    john: Key,
}

/// One entry of the journal.
type Entry = BTreeMap<String, String>;

impl Scene {
    fn new(world: &World, suite: Suite) -> Self {
        world.imds();
        let john = world.key(OWNER, KeyKind::Ed25519);
        publish(world, OWNER, &john);
        let machine = BootedMachine::boot(world, suite);
        machine.install().expect_ok();
        machine.configure(&configuration(&world.double().url(), &format!("principals = [\"{PRINCIPAL}\"]")));
        machine.wait_for_sshd();
        Self { machine, john }
    }

    /// What journalctl finds.
    fn entries(&self, matches: &str) -> Vec<Entry> {
        let found = self.machine.sh(&format!("journalctl --sync; journalctl --no-pager --all -o json {matches}"));
        found.lines().map(entry).collect()
    }

    /// Both records of the only connection of this owner so far.
    fn both(&self, matches: &str) -> [Entry; 2] {
        eventually("the record of the end", || {
            let found = self.entries(matches);
            found.iter().any(|entry| entry["IAM_SSH_EVENT"] == "closed").then_some(())
        });
        let found = self.entries(matches);
        found.try_into().unwrap_or_else(|found| panic!("two entries: {found:#?}"))
    }
}

/// An entry's fields that are text; journalctl's JSON has no other kind of value for what is recorded, one object a line.
fn entry(json: &str) -> Entry {
    let inner = json.trim().trim_start_matches('{').trim_end_matches('}');
    let mut fields = Entry::new();
    for field in inner.split("\",\"") {
        let (name, value) =
            field.trim_matches('"').split_once("\":\"").or_else(|| field.split_once("\":")).unwrap_or((field, ""));
        fields.insert(name.trim_matches('"').trim().to_owned(), value.trim_matches('"').to_owned());
    }
    fields
}

fn found_by_its_fields(suite: Suite) {
    let world = World::new();
    let scene = Scene::new(&world, suite);
    let session = scene.machine.login("ec2-user").key(&scene.john).run("logger -t iam-ssh -p authpriv.notice \
        \"$(printf 'session opened owner=john@example.org login=root')\"; printf 'MESSAGE=session opened forged\\nIAM_SSH_OWNER=john@example.org\\n\
        IAM_SSH_EVENT=closed\\n' | logger --journald; echo $SSH_CONNECTION");
    let said: Vec<&str> = session.expect_ok().split(' ').collect();
    let both = scene.both(&format!("IAM_SSH_OWNER={OWNER} _UID=0"));
    let accepted = scene.machine.journal();
    let accepted = accepted.lines().find(|line| line.contains("Accepted publickey for ec2-user")).expect("sshd's line");
    for (found, event) in both.iter().zip(["opened", "closed"]) {
        let record = Record::parse(&found["MESSAGE"]).expect("a record");
        assert!(scene.machine.is_sealed(&record.text), "{record:?}");
        let expected = [
            ("IAM_SSH_EVENT", event),
            ("IAM_SSH_LOGIN", "ec2-user"),
            ("IAM_SSH_KEY", &scene.john.fingerprint()),
            ("IAM_SSH_KEY_TYPE", "ssh-ed25519"),
            ("IAM_SSH_ADDRESS", "127.0.0.1"),
            ("IAM_SSH_PORT", said[1]),
            ("IAM_SSH_PRINCIPAL", PRINCIPAL),
            ("IAM_SSH_METHOD", "publickey"),
            ("IAM_SSH_SSHD_PID", record.get("sshd")),
            ("IAM_SSH_ID", record.get("id")),
            ("PRIORITY", "5"),
            ("SYSLOG_FACILITY", "10"),
            ("SYSLOG_IDENTIFIER", "iam-ssh"),
            ("_UID", "0"),
            ("_TRANSPORT", "journal"),
        ];
        for (name, value) in expected {
            assert_eq!(found.get(name).map(String::as_str), Some(value), "{name}: {found:#?}");
        }
        assert!(accepted.contains(&format!("[{}]: Accepted", record.get("sshd"))), "{accepted}: {record:?}");
        assert!(accepted.contains(&format!("port {} ", said[1])), "{accepted}");
        // The kernel's number of the session is the one that everything in it has.
        assert_eq!(found.get("IAM_SSH_AUDIT_SESSION").map_or("", String::as_str), record.get("ses"));
        assert_eq!(found["MESSAGE_ID"].len(), 32);
    }
    assert!(both[1]["IAM_SSH_DURATION"].ends_with('s') && !both[0].contains_key("IAM_SSH_DURATION"));
    // Once, whatever way it was sent; and what the user sent is told apart by who sent it.
    let (opened, closed) = (scene.entries("_UID=0 IAM_SSH_EVENT=opened"), scene.entries("_UID=0 IAM_SSH_EVENT=closed"));
    assert_eq!((opened.len(), closed.len()), (1, 1));
    let all = scene.machine.journal();
    assert_eq!(all.lines().filter(|line| line.contains(&both[0]["MESSAGE"])).count(), 1, "{all}");
    assert_eq!(scene.entries("SYSLOG_IDENTIFIER=iam-ssh _UID=1000").len(), 1);
    assert_eq!(
        scene.entries(&format!("IAM_SSH_OWNER={OWNER} _UID=1000")).len(),
        1,
        "the forger's is there, under her number"
    );
}

/// Far more lines than journald takes from one unit in its interval, by four processes.
const FLOOD: &str = "for n in 1 2 3 4; do yes 'flood flood flood' | head -n 30000 | logger -t flood & done; wait";
const LIMIT: &str = "[Journal]\nRateLimitBurst=1000\nRateLimitIntervalSec=120s\n";

/// Where the lines of a session count.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unit {
    /// Each session has its own.
    Session,
    /// Without pam_systemd, all are in sshd's.
    Sshd,
}

/// journald takes no more than so much of the lines of one unit: whoever fills theirs cannot keep the end of their connection out of the
/// journal, nor anybody else's beginning.
fn flooded(suite: Suite, unit: Unit) {
    let world = World::new();
    let scene = Scene::new(&world, suite);
    let machine = &scene.machine;
    machine.write("/etc/systemd/journald.conf.d/test.conf", LIMIT, 0o644);
    machine.run("systemctl restart systemd-journald").expect_ok();
    if unit == Unit::Sshd {
        machine.run("sed -i /pam_systemd/d /etc/pam.d/common-session").expect_ok();
    }
    let count = |what: &str| scene.entries(what).len();
    let floods = |number: usize| {
        machine.login("ec2-user").key(&scene.john).run(FLOOD).expect_ok();
        let opened = scene.entries("_UID=0 IAM_SSH_EVENT=opened");
        assert_eq!(opened.len(), number);
        let sshd = &opened[number - 1]["IAM_SSH_SSHD_PID"];
        eventually("the end of sshd's process", || (!machine.run(&format!("[ -e /proc/{sshd} ]")).ok()).then_some(()));
        assert!(count("SYSLOG_IDENTIFIER=flood") < 120_000, "journald did drop lines");
    };
    for number in 1..=2 {
        floods(number);
        assert_eq!(count("_UID=0 IAM_SSH_EVENT=closed"), number);
    }
    // It counts as the service manager's, and not as sshd's or the session's, whose user may also stop what is in there; of one that
    // ended already, journald knows no unit.
    for record in scene.entries("_UID=0 SYSLOG_IDENTIFIER=iam-ssh _TRANSPORT=journal") {
        let counted = record.get("_SYSTEMD_UNIT").map_or("init.scope", String::as_str);
        assert_eq!(counted, "init.scope", "{record:#?}");
    }
}

macro_rules! on {
    ($($name:ident: $run:expr;)*) => { $(#[test] fn $name() { $run } )* };
}

on! {
    found_by_its_fields_on_bookworm: found_by_its_fields(Suite::Bookworm);
    found_by_its_fields_on_forky: found_by_its_fields(Suite::Forky);
    flooded_on_bookworm: flooded(Suite::Bookworm, Unit::Session);
    flooded_on_forky: flooded(Suite::Forky, Unit::Session);
    flooded_in_sshds_own_unit_on_bookworm: flooded(Suite::Bookworm, Unit::Sshd);
    flooded_in_sshds_own_unit_on_forky: flooded(Suite::Forky, Unit::Sshd);
}
