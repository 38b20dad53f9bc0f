//! The record of connections: one line when it is opened and one when it is closed, as sshd says, whatever it is opened for, and
//! nothing of that is seen in it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;

use iam_ssh_e2e::audit::HOOK;
use iam_ssh_e2e::scene::{armed, publish};
use iam_ssh_e2e::{Key, KeyKind, Login, Machine, Outcome, Suite, World, eventually, run};

const OWNER: &str = "john@example.org";
const PRINCIPAL: &str = "users/john@example.org";
/// Everybody is opened by John's key.
const LOGINS: [&str; 5] = ["ec2-user", "root", "closed", "forced", "internal"];
const SSHD: &str = "Match User forced\nForceCommand echo forced\nMatch User internal\nForceCommand internal-sftp\n";

struct Scene {
    world: World,
    machine: Machine,
    john: Key,
    /// John's key, which the machine itself knows with a command.
    file: PathBuf,
}

impl Scene {
    fn new(suite: Suite) -> Self {
        let world = World::new();
        let john = world.key(OWNER, KeyKind::Ed25519);
        publish(&world, OWNER, &john);
        let table = |login: &str| format!("[login.{login}]\nprincipals = [\"{PRINCIPAL}\"]\n");
        let others: String = LOGINS[1..].iter().map(|login| table(login)).collect();
        let machine = armed(&world, suite, &world.double().url(), &format!("principals = [\"{PRINCIPAL}\"]\n{others}"));
        for login in &LOGINS[2..] {
            machine.add_user(login);
        }
        machine.run("usermod -s /usr/sbin/nologin closed; touch ~ec2-user/.hushlogin").expect_ok();
        // Another user, whose own file has the key with a command.
        machine.add_user("commanded");
        machine.authorize("commanded", &format!("command=\"echo commanded\" {}", john.line()));
        machine.write("/etc/ssh/sshd_config.d/90-test.conf", SSHD, 0o600);
        machine.reload_sshd();
        let file = world.scratch().join("payload");
        std::fs::write(&file, "payload").unwrap();
        Self { world, machine, john, file }
    }

    fn login(&self, user: &str) -> Login {
        self.machine.login(user).key(&self.john)
    }

    fn ec2_user(&self) -> Login {
        self.login("ec2-user")
    }

    fn file(&self) -> &str {
        self.file.to_str().unwrap()
    }

    /// Keeps a connection without a session open, forwards through it, and ends it.
    fn forwards(&self, flags: &[&str], reach: impl Fn() -> TcpStream) -> String {
        let client = self.ec2_user().start(&[&["-N", "-o", "ExitOnForwardFailure=yes"], flags].concat(), "");
        greeted(reach());
        client.said()
    }
}

/// Reads sshd's greeting, through whatever leads to it.
fn greeted(mut stream: TcpStream) {
    let mut banner = [0; 8];
    stream.read_exact(&mut banner).unwrap();
    assert_eq!(&banner, b"SSH-2.0-");
}

fn connect(port: u16) -> TcpStream {
    eventually("a forwarded port", || TcpStream::connect(("127.0.0.1", port)).ok())
}

/// sshd's port by way of SOCKS 5 (RFC 1928).
fn by_socks(port: u16) -> TcpStream {
    let mut stream = connect(port);
    stream.write_all(&[5, 1, 0]).unwrap();
    stream.read_exact(&mut [0; 2]).unwrap();
    stream.write_all(&[5, 1, 0, 1, 127, 0, 0, 1, 0, 22]).unwrap();
    stream.read_exact(&mut [0; 10]).unwrap();
    stream
}

fn said(outcome: &Outcome) -> String {
    assert!(outcome.ok(), "{outcome}");
    outcome.said()
}

/// Three sessions over one connection.
fn multiplexed(scene: &Scene) -> String {
    let socket = format!("ControlPath={}", scene.world.scratch().join("control").display());
    let mut master = scene.ec2_user().option(&socket).start(&["-M", "-N"], "");
    let slave = scene.machine.login("ec2-user").option(&socket).option("ControlMaster=no");
    // Without a key of its own.
    eventually("the master", || slave.run_with(&["-O", "check"], "", b"").ok().then_some(()));
    let said: String = (0..3).map(|number| said(&slave.run(&format!("echo {number}")))).collect();
    assert!(slave.run_with(&["-O", "exit"], "", b"").ok());
    eventually("the master's end", || master.ended().then_some(()));
    said
}

fn with_agent(scene: &Scene) -> String {
    let socket = scene.world.scratch().join("agent").to_str().unwrap().to_owned();
    let script = format!("rm -f {socket}; exec ssh-agent -D -a {socket} >/dev/null");
    let mut agent = iam_ssh_e2e::command("/bin/sh").args(["-c", &script]).spawn().unwrap();
    let key = scene.john.private().to_str().unwrap().to_owned();
    let mut add = iam_ssh_e2e::command("ssh-add");
    add.args(["-q", &key]).env("SSH_AUTH_SOCK", &socket);
    eventually("the agent", || run(&mut add, b"").ok().then_some(()));
    let login = scene.ec2_user().instead(&format!("IdentityAgent={socket}")).option("ForwardAgent=yes");
    let session = login.run("ssh-add -l");
    agent.kill().unwrap();
    agent.wait().unwrap();
    assert!(session.stdout.contains(&scene.john.fingerprint()), "{session}");
    session.said()
}

fn with_x11(scene: &Scene) -> String {
    let login = scene.ec2_user().option("ForwardX11=yes").option("ForwardX11Trusted=yes");
    let session = login.env("DISPLAY", "127.0.0.1:99").run("echo $DISPLAY; xauth -q list | wc -l");
    assert!(session.stdout.starts_with("localhost:"), "{session}");
    session.said()
}

/// How a connection is opened: as whom, and what its client says.
type Way = (&'static str, &'static str, fn(&Scene) -> String);

const WAYS: [Way; 23] = [
    ("a shell on a terminal", "ec2-user", |scene| {
        let shell = scene.ec2_user().run_with(&["-tt"], "", b"exit\n");
        assert!(shell.expect_ok().contains("Publickey of john@example.org"), "{shell}");
        // What is typed and the prompt appear in any order.
        format!("{}{}", shell.stdout.lines().count(), shell.stderr)
    }),
    ("a shell without a terminal", "ec2-user", |s| said(&s.ec2_user().run_with(&["-T"], "", b"echo a shell; exit\n"))),
    ("a command", "ec2-user", |s| said(&s.ec2_user().run("echo command; echo error >&2"))),
    ("a command on a terminal", "ec2-user", |s| said(&s.ec2_user().run_with(&["-tt"], "echo command", b""))),
    ("a command that fails", "ec2-user", |s| s.ec2_user().run("exit 7").status.to_string()),
    ("scp", "ec2-user", |s| said(&s.ec2_user().scp(&["-q", s.file(), "remote:there"]))),
    ("scp's old protocol", "ec2-user", |s| said(&s.ec2_user().scp(&["-q", "-O", s.file(), "remote:there"]))),
    ("rsync", "ec2-user", |s| said(&s.ec2_user().rsync(&[s.file(), "remote:there"]))),
    ("sftp", "ec2-user", |s| said(&s.ec2_user().sftp("pwd\n"))),
    ("sshd's own sftp", "internal", |s| said(&s.login("internal").sftp("pwd\n"))),
    ("no session", "ec2-user", |s| {
        let before = s.machine.logs().len();
        let client = s.ec2_user().start(&["-N"], "");
        s.machine.wait_log_from(before, |line| line.message.starts_with("User child is on pid")).expect("a connection");
        client.said()
    }),
    ("-L", "ec2-user", |s| s.forwards(&["-L", "9001:127.0.0.1:22"], || connect(9001))),
    ("-R", "ec2-user", |s| s.forwards(&["-R", "9002:127.0.0.1:22"], || connect(9002))),
    ("-D", "ec2-user", |s| s.forwards(&["-D", "9003"], || by_socks(9003))),
    ("-W", "ec2-user", |s| {
        let through = s.ec2_user().run_with(&["-W", "127.0.0.1:22"], "", b"");
        assert!(through.stdout.starts_with("SSH-2.0-"), "{through}");
        through.said()
    }),
    ("ForceCommand", "forced", |s| said(&s.login("forced").run("echo not this"))),
    ("a key's own command", "commanded", |s| said(&s.login("commanded").run("echo not this"))),
    ("several sessions", "ec2-user", multiplexed),
    ("a forwarded agent", "ec2-user", with_agent),
    ("X11", "ec2-user", with_x11),
    ("root", "root", |s| said(&s.login("root").run("id -u"))),
    ("a user without a shell", "closed", |s| {
        let session = s.login("closed").run("true");
        assert!(!session.ok(), "{session}");
        session.said()
    }),
    ("a client that is killed", "ec2-user", |s| {
        let client = s.ec2_user().start(&[], "echo begun; exec sleep 1000");
        eventually("the session", || client.said().contains("begun").then_some(()));
        client.said()
    }),
];

fn every_way(suite: Suite) {
    let scene = Scene::new(suite);
    let machine = &scene.machine;
    // The same without us: what is said then.
    machine.run(&format!("mv {HOOK} {HOOK}.away")).expect_ok();
    let without: Vec<String> = WAYS.iter().map(|(_, _, open)| open(&scene)).collect();
    machine.run(&format!("mv {HOOK}.away {HOOK}")).expect_ok();
    let fingerprint = scene.john.fingerprint();
    for ((name, login, open), without) in WAYS.iter().zip(without) {
        let mut said = String::new();
        let connection = machine.connection_of(name, || said = open(&scene));
        assert_eq!(said, without, "{name}: nothing is said that was not said before");
        let principal = if *login == "commanded" { "none" } else { PRINCIPAL };
        connection.expect(
            name,
            &[
                ("owner", OWNER),
                ("login", login),
                ("from", "127.0.0.1"),
                ("key", &fingerprint),
                ("type", "ssh-ed25519"),
                ("principal", principal),
                ("method", "publickey"),
                ("certificate", ""),
            ],
        );
        for record in [&connection.opened, &connection.closed] {
            assert!(machine.is_sealed(&record.text), "{name}: {record:?}");
            assert!(!machine.is_sealed(&record.text.replace(OWNER, "boss")), "{name}: {record:?}");
        }
    }
    assert_eq!(machine.sh("ls /run/iam-ssh/sessions; ls ~/core* 2>/dev/null || true"), "");
    assert_eq!(machine.run("pgrep -a session-audit").stdout, "");
}

#[test]
fn every_way_to_connect_on_bullseye() {
    every_way(Suite::Bullseye);
}

#[test]
fn every_way_to_connect_on_forky() {
    every_way(Suite::Forky);
}
