//! The record of connections where something is in its way: ends that sshd does not see, folders and logs that are not there. Nobody is
//! locked out by that, unless the administrator wants every connection recorded.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::time::Duration;

use iam_ssh_doubles::{Fault, Match};
use iam_ssh_e2e::audit::{HOOK, Record, records};
use iam_ssh_e2e::scene::{armed, configuration, publish};
use iam_ssh_e2e::{Key, KeyKind, Login, Machine, Suite, World, eventually};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const OWNER: &str = "john@example.org";
const PRINCIPAL: &str = "users/john@example.org";
const USERS: &str = r#"principals = ["users/john@example.org"]"#;
const REQUIRED: &str = "[sshd]\naudit = \"required\"\n";
/// A login, what the hook may wait for at most (2 s), and a busy machine.
const BOUND: Duration = Duration::from_millis(4000);

struct Scene {
    world: World,
    machine: Machine,
    john: Key,
}

impl Scene {
    fn new(suite: Suite) -> Self {
        let world = World::new();
        let john = world.key(OWNER, KeyKind::Ed25519);
        publish(&world, OWNER, &john);
        let machine = armed(&world, suite, &world.double().url(), USERS);
        Self { world, machine, john }
    }

    fn login(&self) -> Login {
        self.machine.login("ec2-user").key(&self.john)
    }

    /// Whatever goes wrong, nobody notices.
    #[track_caller]
    fn logs_in(&self, what: &str) {
        let session = self.login().run("echo in");
        assert_eq!((session.expect_ok(), session.stderr.as_str()), ("in\n", ""), "{what}: {session}");
        assert!(session.took < BOUND, "{what}: {session}");
    }

    fn records(&self) -> Vec<Record> {
        records(&self.machine.logs())
    }

    fn record(&self, event: &str, number: usize) -> Record {
        eventually(&format!("{event}, number {number}"), || {
            self.records().into_iter().filter(|record| record.event == event).nth(number)
        })
    }

    /// As `iam-ssh wire` makes it.
    fn require(&self) {
        self.machine.configure(&format!("{}{REQUIRED}", configuration(&self.world.double().url(), USERS)));
        self.machine.run("iam-ssh wire").expect_ok();
        self.machine.wait_for_sshd();
    }
}

/// sshd's process is killed: nobody is left to say that the connection ended, until the next one begins.
fn killed(suite: Suite) {
    let scene = Scene::new(suite);
    let _client = scene.login().start(&[], "sleep 1000");
    let opened = scene.record("opened", 0);
    let pid = opened.get("sshd");
    scene.machine.run(&format!("kill -KILL {pid}")).expect_ok();
    eventually("its end", || (!scene.machine.runs(pid.parse().unwrap())).then_some(()));
    assert_eq!(scene.records().len(), 1, "{:?}", scene.records());
    scene.logs_in("the next");
    let closed = scene.record("closed", 1);
    assert_eq!(closed.get("sshd"), scene.record("opened", 1).get("sshd"), "{closed:?}");
    let lost = scene.record("closed", 0);
    assert_eq!((lost.get("id"), lost.get("duration")), (opened.get("id"), "unknown"), "{lost:?}");
    assert_eq!((lost.get("owner"), lost.get("port")), (OWNER, opened.get("port")), "{lost:?}");
    scene.logs_in("and the next");
    scene.record("closed", 2);
    assert_eq!(scene.records().len(), 6, "each once: {:?}", scene.records());
    assert_eq!(scene.machine.sh("ls /run/iam-ssh/sessions"), "");
}

/// The client says nothing any more: sshd gives it up.
fn silent(suite: Suite) {
    let scene = Scene::new(suite);
    let alive = "ClientAliveInterval 1\nClientAliveCountMax 1\n";
    scene.machine.write("/etc/ssh/sshd_config.d/01-test.conf", alive, 0o600);
    scene.machine.reload_sshd();
    let client = scene.login().start(&[], "echo begun; sleep 1000");
    eventually("the session", || client.said().contains("begun").then_some(()));
    kill(Pid::from_raw(client.id().try_into().unwrap()), Signal::SIGSTOP).unwrap();
    let (opened, closed) = (scene.record("opened", 0), scene.record("closed", 0));
    assert_eq!(opened.get("id"), closed.get("id"));
    let duration: f64 = closed.get("duration").trim_end_matches('s').parse().unwrap();
    assert!((1.0..8.0).contains(&duration), "{closed:?}");
    assert_eq!(scene.records().len(), 2);
}

/// What the package made is not there, or cannot be written or trusted.
fn folders(suite: Suite) {
    let scene = Scene::new(suite);
    let machine = &scene.machine;
    machine.run("rm -rf /run/iam-ssh").expect_ok();
    let connection = machine.connection_of("nothing in /run", || scene.logs_in("nothing in /run"));
    // Where the lookup's notes go is made by then: nobody noted through which principal he came.
    connection.expect("nothing in /run", &[("owner", OWNER), ("principal", "none")]);
    let modes = machine.sh("stat -c '%n %a %U' /run/iam-ssh /run/iam-ssh/*");
    assert_eq!(
        modes,
        "/run/iam-ssh 755 root\n/run/iam-ssh/granted 700 iam-ssh\n/run/iam-ssh/owners 711 root\n/run/iam-ssh/sessions 700 root\n"
    );
    let connection = machine.connection_of("made", || scene.logs_in("made"));
    connection.expect("made", &[("owner", OWNER), ("principal", PRINCIPAL)]);

    // Without a secret and a place for one, the line has no seal.
    machine.run("rm -rf /var/lib/iam-ssh; mkdir /var/lib/iam-ssh").expect_ok();
    machine
        .run("mount --bind /var/lib/iam-ssh /var/lib/iam-ssh; mount -o remount,bind,ro /var/lib/iam-ssh")
        .expect_ok();
    let connection = machine.connection_of("read-only", || scene.logs_in("read-only"));
    connection.expect("read-only", &[("owner", OWNER), ("principal", PRINCIPAL), ("mac", "none")]);
    machine.run("umount /var/lib/iam-ssh").expect_ok();
    let connection = machine.connection_of("a new secret", || scene.logs_in("a new secret"));
    assert!(machine.is_sealed(&connection.opened.text) && machine.is_sealed(&connection.closed.text));

    // Notes that others could have written count for nothing, and are said not to.
    machine.run("chown ec2-user /run/iam-ssh/sessions").expect_ok();
    let before = machine.logs().len();
    scene.logs_in("not root's");
    let warns = |line: &iam_ssh_e2e::LogLine| line.message.contains("the end of this connection will not be recorded");
    assert!(machine.wait_log_from(before, warns).is_some(), "{}", machine.log_text());
    machine.run("chown root /run/iam-ssh/sessions").expect_ok();
    machine.connection_of("root's again", || scene.logs_in("root's again"));
    // Whoever mounts the disk read-only, as forensics does.
    machine.run("rm /var/lib/iam-ssh/*; chown ec2-user /var/lib/iam-ssh").expect_ok();
    let connection = machine.connection_of("a secret that is not root's alone", || scene.logs_in("not trusted"));
    connection.expect("not trusted", &[("owner", OWNER), ("mac", "none")]);
}

/// No log takes the line, or the program is not there: whoever may log in does, but where the record is required.
fn logs(suite: Suite) {
    let scene = Scene::new(suite);
    let machine = &scene.machine;
    machine.run(&format!("mv {HOOK} {HOOK}.away")).expect_ok();
    scene.logs_in("no program");
    machine.run(&format!("mv {HOOK}.away {HOOK}")).expect_ok();
    machine.connection_of("there again", || scene.logs_in("there again"));

    scene.require();
    let connection = machine.connection_of("required", || scene.logs_in("required"));
    connection.expect("required", &[("owner", OWNER)]);
    machine.run(&format!("mv {HOOK} {HOOK}.away")).expect_ok();
    scene.is_refused("no program");
    machine.run(&format!("mv {HOOK}.away {HOOK}")).expect_ok();
    // Not one that is full and read by nobody: sshd itself waits for that, and greets no client.
    machine.remove_the_log();
    scene.is_refused("no log");

    machine.configure(&configuration(&scene.world.double().url(), USERS));
    machine.run("iam-ssh wire").expect_ok();
    machine.wait_for_sshd();
    scene.logs_in("no log, and none required");
}

impl Scene {
    /// He proves his key, and nothing is done for him: no command, nothing forwarded.
    #[track_caller]
    fn is_refused(&self, what: &str) {
        let session = self.login().run("touch ~/done; echo done");
        assert!(!session.ok() && !session.stdout.contains("done"), "{what}: {session}");
        assert_eq!(self.machine.read("/home/ec2-user/done"), None, "{what}");
        assert!(session.took < BOUND, "{what}: {session}");
        let through = self.login().run_with(&["-W", "127.0.0.1:22"], "", b"");
        assert!(!through.ok() && through.stdout.is_empty(), "{what}: {through}");
    }
}

macro_rules! on {
    ($($name:ident: $run:expr;)*) => { $(#[test] fn $name() { $run } )* };
}

on! {
    killed_on_bullseye: killed(Suite::Bullseye);
    killed_on_forky: killed(Suite::Forky);
    silent_on_bullseye: silent(Suite::Bullseye);
    silent_on_forky: silent(Suite::Forky);
    folders_on_bullseye: folders(Suite::Bullseye);
    folders_on_forky: folders(Suite::Forky);
    logs_on_bullseye: logs(Suite::Bullseye);
    logs_on_forky: logs(Suite::Forky);
}

/// A key that is nobody's is asked about, and AWS does not answer: the login does not wait for it longer than a moment.
#[test]
fn an_owner_who_cannot_be_found_in_time_is_unknown() {
    let scene = Scene::new(Suite::Bookworm);
    let local = scene.world.key("local", KeyKind::Ed25519);
    scene.machine.authorize("ec2-user", &local.bare());
    scene.world.imds().fault(Match::any(), Fault::Hang);
    scene.world.double().fault(Match::any(), Fault::Hang);
    let session = scene.machine.login("ec2-user").key(&local).run("true");
    session.expect_ok();
    assert!(session.took < BOUND, "{session}");
    let opened = scene.record("opened", 0);
    assert_eq!((opened.get("owner"), opened.get("principal")), ("unknown", "none"), "{opened:?}");
    scene.record("closed", 0);
    eventually("the lookup is ended", || scene.machine.lookups_running().is_empty().then_some(()));
}
