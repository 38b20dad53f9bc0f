//! `iam-ssh log` and `iam-ssh who` on a machine with the real journald and rsyslog: every session once, with the right owner, and nothing
//! that a user of the machine sends to the log.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use iam_ssh_e2e::scene::{configuration, publish};
use iam_ssh_e2e::{BootedMachine, Debian, Key, KeyKind, Suite, World, eventually};

const JOHN: &str = "john@example.org";
const LOGIN: &str = r#"principals = ["users/john@example.org"]"#;

/// What anybody with a shell can send, as anything: they say that the boss logged in.
const FORGER: &str = r#"
record="session opened owner=boss login=root key=SHA256:x from=6.6.6.6 port=1 type=ssh-ed25519 principal=users/boss method=publickey sshd=$$ id=x-1 at=1795000000000"
fingerprint=SHA256:NVgC3Dn0WpsMhHhNVgC3Dn0WpsMhHhNVgC3Dn0WpsM1
logger -p authpriv.notice -t iam-ssh "$record mac=none"
logger -p authpriv.notice -t iam-ssh "$record mac=00112233445566778899aabbccddeeff"
logger -p authpriv.notice -t iam-ssh "session opened owner=$(printf '\033[2J')boss"
logger -p authpriv.info -t sshd "Accepted publickey for root from 6.6.6.6 port 1 ssh2: ED25519 $fingerprint"
logger -p authpriv.info -t sshd-session "Accepted password for root from 6.6.6.6 port 1 ssh2"
printf 'MESSAGE=%s\nSYSLOG_IDENTIFIER=iam-ssh\n_UID=0\n_TRANSPORT=journal\nPRIORITY=5\n' "$record mac=none" | logger --journald
export record
perl -MSocket -e 'socket(S, PF_UNIX, SOCK_DGRAM, 0); connect(S, sockaddr_un("/run/systemd/journal/socket")) or die;
    send(S, "MESSAGE=harmless\nMESSAGE=$ENV{record} mac=none\nSYSLOG_IDENTIFIER=other\nSYSLOG_IDENTIFIER=iam-ssh\n_UID=0\n", 0) or die'
"#;
const FORGERIES: usize = 7;

struct Scene {
    world: World,
    machine: BootedMachine,
    john: Key,
}

impl Scene {
    fn new(suite: Suite) -> Self {
        let world = World::new();
        world.imds();
        let john = world.key(JOHN, KeyKind::Ed25519);
        publish(&world, JOHN, &john);
        let machine = BootedMachine::boot(&world, suite);
        machine.install().expect_ok();
        machine.configure(&configuration(&world.double().url(), LOGIN));
        machine.wait_for_sshd();
        Self { world, machine, john }
    }

    fn ssh(&self, remote: &str) {
        let _ = self.machine.login("ec2-user").key(&self.john).run(remote).expect_ok();
    }
}

/// What the command prints, when the journal has everything; all of it is printable.
fn said(machine: &Debian, command: &str) -> (String, String) {
    let told = machine.run(&format!("journalctl --sync; {command}"));
    assert!(told.ok(), "{told}");
    assert!(told.said().bytes().all(|byte| byte == b'\n' || (0x20..=0x7e).contains(&byte)), "{:?}", told.said());
    (told.stdout, told.stderr)
}

/// The lines of a table without its header, each as words.
fn rows(machine: &Debian, command: &str) -> Vec<Vec<String>> {
    let table = said(machine, command).0;
    table.lines().skip(1).map(|line| line.split_whitespace().map(str::to_owned).collect()).collect()
}

/// Waits until the log of this machine has so many sessions in this state.
fn wait_for_state(machine: &Debian, state: &str, count: usize) {
    eventually(&format!("{count} sessions that are {state}"), || {
        let log = said(machine, "iam-ssh log --json").0;
        (log.matches(&format!("\"state\":\"{state}\"")).count() == count).then_some(())
    });
}

/// Those who are not root, on a machine with so many sessions, one of them open.
struct Readers<'a> {
    machine: &'a Debian,
    sessions: usize,
}

impl Readers<'_> {
    fn see_what_they_may_and_are_told_what_they_may_not(&self) {
        let machine = self.machine;
        let told = machine.run("runuser -u nobody -- iam-ssh log");
        assert!(told.stderr.contains("only what this user may read of the log is shown"), "{told}");
        assert!(!told.stdout.contains(JOHN) && told.stdout.starts_with("TIME "), "{told}");
        for command in ["iam-ssh who", "iam-ssh who --json", "iam-ssh log --active"] {
            let told = machine.run(&format!("runuser -u nobody -- {command}"));
            assert_eq!((told.status.code(), told.stdout.as_str()), (Some(1), ""), "{command}: {told}");
            assert!(told.stderr.contains("which sessions are open can be told by root only"), "{told}");
        }
        // Who may read the journal sees as much as root, who wrote what in it included.
        machine.run("useradd --groups systemd-journal auditor").expect_ok();
        let (log, notes) = said(machine, "runuser -u auditor -- iam-ssh log --json");
        assert_eq!(log.matches("\"verified\":true").count(), self.sessions, "{log}");
        assert!(!notes.contains("root sees all"), "{notes}");
        for command in ["iam-ssh log --active", "iam-ssh who"] {
            assert_eq!(rows(machine, &format!("runuser -u auditor -- {command}")).len(), 1, "{command}");
        }
        // An export says who wrote what, and anybody may have written that. Root finds the seals.
        let export = "journalctl -o export |";
        let (log, notes) = said(machine, &format!("{export} runuser -u auditor -- iam-ssh log --file - --json"));
        assert_eq!(log.matches("\"verified\":false").count(), self.sessions, "{log}");
        assert!(!log.contains("\"verified\":true") && notes.contains("only root can verify it"), "{log}{notes}");
        let (log, _) = said(machine, &format!("{export} iam-ssh log --file - --json"));
        assert_eq!(log.matches("\"verified\":true").count(), self.sessions, "{log}");
        let told = machine.run("journalctl -o json | iam-ssh log --file -");
        assert!(told.status.code() == Some(1) && told.stderr.contains("not recognised"), "{told}");
    }
}

fn the_log_has_every_session_once_and_nothing_forged(suite: Suite) {
    let scene = Scene::new(suite);
    let machine = &scene.machine;
    scene.ssh("true");
    scene.ssh(FORGER);
    // Both are over, so the one that is active is the next.
    wait_for_state(machine, "closed", 2);
    let open = machine.login("ec2-user").key(&scene.john).start(&[], "sleep 1000");
    wait_for_state(machine, "active", 1);

    let (log, notes) = said(machine, "iam-ssh log");
    assert_eq!(log.lines().count(), 4, "a header and three sessions: {log}");
    for line in log.lines().skip(1) {
        let words: Vec<&str> = line.split_whitespace().collect();
        assert!(words[0].ends_with('Z') && words[1..4] == [JOHN, "ec2-user", "127.0.0.1"], "{log}");
        assert_eq!(words[5..], ["publickey", "ssh-ed25519", "users/john@example.org"], "{log}");
    }
    assert!(
        notes.contains(&format!("{FORGERIES} lines claim to be iam-ssh's or sshd's record and are not")),
        "{notes}"
    );
    let (forged, _) = said(machine, "iam-ssh log --forged");
    let sender = format!("uid={} ", machine.sh("id -u ec2-user").trim());
    assert_eq!(forged.lines().filter(|line| line.contains(&sender)).count(), FORGERIES, "{forged}");
    assert!(forged.contains("\\x1b[2Jboss"), "{forged}");

    // Filters, and a reader that has read enough.
    for (filter, count) in [
        ("--owner john@example.org", 3),
        ("--owner boss", 0),
        ("--owner unknown", 0),
        ("--login root", 0),
        ("--since 1h", 3),
        ("--since 2030-01-01", 0),
        ("--active", 1),
    ] {
        assert_eq!(rows(machine, &format!("iam-ssh log {filter}")).len(), count, "{filter}");
    }
    let (first, notes) = said(
        machine,
        "for i in $(seq 30); do iam-ssh log --json 2>&1 >/dev/full | grep -v claim; iam-ssh log | head -n 1; done",
    );
    assert!(first.starts_with("TIME ") && !notes.contains("ipe"), "{first}{notes}");
    assert_eq!(machine.run("iam-ssh log --since tomorrow").status.code(), Some(2));
    assert_eq!(machine.run("iam-ssh log --file /nonexistent").status.code(), Some(1));

    // Who repeats a real record, sealed as it is, says nothing new.
    machine
        .run("journalctl -o cat -t iam-ssh | grep ' mac=[0-9a-f]' | runuser -u ec2-user -- logger -p authpriv.notice -t iam-ssh")
        .expect_ok();
    assert_eq!(rows(machine, "iam-ssh log").len(), 3);
    let who = rows(machine, "iam-ssh who");
    assert!(who.len() == 1 && who[0][..3] == [JOHN, "ec2-user", "127.0.0.1"], "{who:?}");

    // The same from rsyslog's file, packed and not: there, the seals decide. What only sshd tells of is the forger's.
    machine.run("logger -p authpriv.notice -t marker the last").expect_ok();
    eventually("rsyslog's file", || machine.read("/var/log/auth.log")?.contains("the last").then_some(()));
    machine.run("gzip -k /var/log/auth.log").expect_ok();
    for file in ["/var/log/auth.log", "/var/log/auth.log.gz", "- </var/log/auth.log.gz"] {
        let rows = rows(machine, &format!("iam-ssh log --file {file}"));
        let sure = rows.iter().filter(|row| row[1] == JOHN).count();
        let unsure = rows.iter().filter(|row| row[1] == "unknown?").count();
        assert_eq!((sure, sure + unsure), (3, rows.len()), "{file}: {rows:?}");
    }
    let readers = Readers { machine, sessions: 3 };
    readers.see_what_they_may_and_are_told_what_they_may_not();
    // What the journal forgot, the text log has; of it only what has a seal.
    eventually("a journal without the sessions", || {
        machine.run("journalctl --rotate && journalctl --vacuum-time=1s").expect_ok();
        (!machine.run("journalctl -t iam-ssh").stdout.contains("session opened")).then_some(())
    });
    let log = said(machine, "iam-ssh log --json").0;
    assert_eq!((log.lines().count(), log.matches("\"verified\":true").count()), (3, 3), "{log}");
    for command in ["iam-ssh log --active", "iam-ssh who"] {
        assert_eq!(rows(machine, command).len(), 1, "{command}");
    }

    drop(open);
    wait_for_state(machine, "closed", 3);
    assert_eq!(rows(machine, "iam-ssh who").len(), 0);
    drop(scene.world);
}

#[test]
fn the_log_has_every_session_once_and_nothing_forged_on_bookworm() {
    the_log_has_every_session_once_and_nothing_forged(Suite::Bookworm);
}

#[test]
fn the_log_has_every_session_once_and_nothing_forged_on_trixie() {
    the_log_has_every_session_once_and_nothing_forged(Suite::Trixie);
}

/// Where sshd does without PAM, its own lines and the lookup's tell of sessions.
#[test]
fn without_pam_the_lookup_s_lines_name_the_owner() {
    let scene = Scene::new(Suite::Bookworm);
    let machine = &scene.machine;
    let local = scene.world.key("local", KeyKind::Ed25519);
    machine.authorize("ec2-user", local.line());
    machine.write("/etc/ssh/sshd_config.d/01-test.conf", "UsePAM no\n", 0o600);
    // Without PAM, sshd takes a user without a password for locked.
    machine.run("usermod -p '*' ec2-user && systemctl reload ssh").expect_ok();
    let login = |key: &Key| machine.login("ec2-user").key(key);
    eventually("a login without PAM", || login(&scene.john).run("true").ok().then_some(()));
    let before = rows(machine, "iam-ssh log").len();
    scene.ssh(FORGER);
    login(&local).run("true").expect_ok();
    let open = login(&scene.john).start(&[], "sleep 1000");
    wait_for_state(machine, "active", 1);
    let rows = rows(machine, "iam-ssh log");
    let owners: Vec<&str> = rows.iter().skip(before).map(|row| row[1].as_str()).collect();
    assert_eq!(owners, [JOHN, "unknown", JOHN], "{rows:?}");
    let (log, _) = said(machine, "iam-ssh log --json --active");
    assert!(log.contains("\"source\":\"sshd\"") && log.contains("\"verified\":true"), "{log}");
    drop(open);
    wait_for_state(machine, "active", 0);
}

/// A process of sshd's that was killed closed nothing.
#[test]
fn a_killed_session_is_lost_and_not_active() {
    let scene = Scene::new(Suite::Bookworm);
    let machine = &scene.machine;
    let _open = machine.login("ec2-user").key(&scene.john).start(&[], "sleep 1000");
    // sshd's line comes first.
    let log = eventually("a record", || {
        Some(said(machine, "iam-ssh log --json").0).filter(|log| log.contains("\"source\":\"session-audit\""))
    });
    let (_, rest) = log.split_once("\"sshd_pid\":").unwrap();
    let pid = rest.split(',').next().unwrap();
    machine.run(&format!("kill -9 {pid}; while [ -e /proc/{pid} ]; do sleep 0.05; done")).expect_ok();
    assert_eq!(rows(machine, "iam-ssh log --active").len(), 0);
    assert_eq!(rows(machine, "iam-ssh who").len(), 0);
    let lost = rows(machine, "iam-ssh log");
    assert!(lost.len() == 1 && lost[0][4] == "lost", "{lost:?}");
}
