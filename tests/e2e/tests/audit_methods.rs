//! The record of connections, by how their client authenticated: what is named is what was proven, and whose it is; who is refused
//! leaves no record.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use iam_ssh_e2e::audit::Connection;
use iam_ssh_e2e::scene::{armed, asking_always, configuration, publish};
use iam_ssh_e2e::{BUCKET, Key, KeyKind, Login, Machine, Suite, World, eventually};

const OWNER: &str = "john@example.org";
const PRINCIPAL: &str = "users/john@example.org";
const DOCUMENT: &str = "users/john@example.org/authorized_keys";
const USERS: &str = r#"principals = ["users/john@example.org"]"#;
const BOTH: &str = "[login.both]\nprincipals = [\"users/john@example.org\"]\n";
const PASSWORD: &str = "not a secret";
/// Before what the distribution says. `ChallengeResponse…` is the older name, which all versions know.
const FIRST: &str = "/etc/ssh/sshd_config.d/01-test.conf";
const SSHD: &str = "ChallengeResponseAuthentication yes\nPasswordAuthentication yes\nTrustedUserCAKeys /etc/ssh/ca.pub\n\
    Match User both\nAuthenticationMethods publickey,password\n";

struct Scene {
    world: World,
    machine: Machine,
    john: Key,
    authority: Key,
}

impl Scene {
    fn new(suite: Suite) -> Self {
        let world = World::new();
        let john = world.key(OWNER, KeyKind::Ed25519);
        publish(&world, OWNER, &john);
        let machine = armed(&world, suite, &world.double().url(), &format!("{USERS}\n{BOTH}"));
        machine.add_user("both");
        machine.add_user("alice");
        machine.run_with("chpasswd", format!("ec2-user:{PASSWORD}\nboth:{PASSWORD}\n").as_bytes()).expect_ok();
        let authority = world.key("authority", KeyKind::Rsa2048);
        machine.write("/etc/ssh/ca.pub", format!("{}\n", authority.line()), 0o644);
        machine.write(FIRST, SSHD, 0o600);
        machine.reload_sshd();
        Self { world, machine, john, authority }
    }

    fn by_password(&self, login: Login, method: &str) -> Login {
        login.password(method, PASSWORD, self.world.scratch())
    }

    /// Logs in, with nothing but what was asked for on standard output and error.
    #[track_caller]
    fn logs_in(&self, what: &str, login: &Login) -> Connection {
        self.machine.connection_of(what, || {
            let session = login.run("echo in");
            assert_eq!((session.expect_ok(), session.stderr.as_str()), ("in\n", ""), "{what}");
        })
    }

    fn refuses(&self, what: &str, login: &Login) {
        self.machine.records_nothing(what, || {
            let session = login.run("true");
            assert!(!session.ok() && session.stderr.contains("Permission denied ("), "{what}: {session}");
        });
    }
}

fn is_nobody_s(what: &str, connection: &Connection, method: &str, key: &str) {
    let fields = [("owner", "unknown"), ("principal", "none"), ("method", method), ("key", key)];
    connection.expect(what, &fields);
}

fn methods(suite: Suite) {
    let scene = Scene::new(suite);
    let machine = &scene.machine;
    let ec2_user = || machine.login("ec2-user");
    for (asked, method) in [("password", "password"), ("keyboard-interactive", "keyboard-interactive/pam")] {
        let connection = scene.logs_in(asked, &scene.by_password(ec2_user(), asked));
        is_nobody_s(asked, &connection, method, "none");
        assert_eq!(connection.get("type"), "none");
    }
    let both = scene.by_password(machine.login("both").key(&scene.john), "publickey,password");
    let connection = scene.logs_in("both", &both);
    let john = scene.john.fingerprint();
    let method = "publickey,password";
    connection.expect(method, &[("owner", OWNER), ("principal", PRINCIPAL), ("method", method), ("key", &john)]);

    // The wrong password and the wrong key, each alone and with what is right beside it.
    let wrong = machine.login("both").key(&scene.john).password(method, "wrong", scene.world.scratch());
    scene.refuses("the key and a wrong password", &wrong);
    let stranger = scene.world.key("stranger", KeyKind::Ed25519);
    scene.refuses("a stranger", &ec2_user().key(&stranger));
    scene.refuses("who is no user", &machine.login("nobody-at-all").key(&scene.john));

    let many: Vec<Key> = (0..4).map(|n| scene.world.key(&format!("other-{n}"), KeyKind::Ed25519)).collect();
    let offered = many.iter().fold(ec2_user(), Login::key).key(&scene.john);
    let connection = scene.logs_in("the last of several keys", &offered);
    connection.expect("the last", &[("owner", OWNER), ("principal", PRINCIPAL), ("key", &john)]);

    let connection = scene.logs_in("IPv6", &ec2_user().key(&scene.john).at("::1"));
    connection.expect("IPv6", &[("owner", OWNER), ("from", "::1")]);

    for (kind, name) in [(KeyKind::Rsa2048, "ssh-rsa"), (KeyKind::Ecdsa256, "ecdsa-sha2-nistp256")] {
        let local = scene.world.key(&format!("local-{name}"), kind);
        machine.authorize("alice", local.line());
        let connection = scene.logs_in("a key of the machine's own", &machine.login("alice").key(&local));
        is_nobody_s(name, &connection, "publickey", &local.fingerprint());
        assert_eq!(connection.get("type"), name);
    }
    // One of ours in a local file: no principal let it in.
    machine.authorize("alice", scene.john.line());
    let connection = scene.logs_in("ours, in a file", &machine.login("alice").key(&scene.john));
    connection.expect("ours, in a file", &[("owner", OWNER), ("principal", "none"), ("key", &john)]);
}

fn certificates(suite: Suite) {
    let scene = Scene::new(suite);
    let Scene { world, machine, authority, .. } = &scene;
    for (number, id) in
        ["visitor", "two words owner=boss", "x\nsession opened owner=boss", "\x1b[2Jboss\\", ""].iter().enumerate()
    {
        let key = world.key(&format!("certified-{number}"), KeyKind::Ed25519);
        key.certify(authority, &["-I", id, "-n", "ec2-user"]);
        let connection = scene.logs_in(id, &machine.login("ec2-user").key(&key));
        is_nobody_s(id, &connection, "publickey", &key.fingerprint());
        connection.expect(id, &[("type", "ssh-ed25519"), ("authority", &authority.fingerprint())]);
        assert!(
            machine.is_sealed(&connection.opened.text) && machine.is_sealed(&connection.closed.text),
            "{connection:?}"
        );
        let named = connection.get("certificate");
        assert!(if number == 0 { named == "visitor" } else { named.contains('\\') }, "{id:?}: {named:?}");
    }
    // A key of John's is not John where it is not the key that was accepted, but a certificate of whoever signed it.
    let key = world.key("johns-other", KeyKind::Ed25519);
    publish(world, OWNER, &key);
    key.certify(authority, &["-I", OWNER, "-n", "ec2-user"]);
    let connection = scene.logs_in("a certificate of John's key", &machine.login("ec2-user").key(&key));
    is_nobody_s("a certificate of John's key", &connection, "publickey", &key.fingerprint());
    assert_eq!(connection.get("certificate"), OWNER);
}

/// John's key is withdrawn while he logs in: behind the lookup that let him in, in front of the hook.
fn withdrawn(suite: Suite) {
    let scene = Scene::new(suite);
    let (machine, double) = (&scene.machine, scene.world.double());
    machine.configure(&asking_always(&configuration(&double.url(), USERS)));
    let login = machine.login("ec2-user").key(&scene.john);
    // Known to the cache only, for a moment or two.
    machine.authorize("alice", scene.john.line());
    scene.logs_in("served", &login).expect("served", &[("owner", OWNER), ("principal", PRINCIPAL)]);
    machine.run("sed -i '1i session optional pam_exec.so quiet /usr/local/sbin/wait' /etc/pam.d/sshd").expect_ok();
    let wait = "#!/bin/sh\n[ $PAM_TYPE = open_session ] || exit 0\ntouch /run/waits\n\
        while [ ! -e /run/goes-on ]; do sleep 0.01; done\n";
    machine.write("/usr/local/sbin/wait", wait, 0o755);
    let connection = std::thread::scope(|threads| {
        threads.spawn(|| {
            eventually("the session", || machine.path("/run/waits").exists().then_some(()));
            double.remove_object(BUCKET, DOCUMENT);
            let asked = machine.lookup(&["ec2-user", scene.john.kind(), scene.john.base64()]);
            assert_eq!(asked.expect_ok(), "", "withdrawn");
            machine.run("touch /run/goes-on").expect_ok();
        });
        scene.logs_in("withdrawn meanwhile", &login)
    });
    let john = scene.john.fingerprint();
    connection.expect("withdrawn", &[("owner", OWNER), ("principal", PRINCIPAL), ("key", &john)]);
    scene.refuses("withdrawn before", &login);
    // Nobody knows any more whose it was.
    machine.empty_cache();
    let connection = scene.logs_in("in a file still", &machine.login("alice").key(&scene.john));
    is_nobody_s("in a file still", &connection, "publickey", &john);
}

/// A key of ours in the login user's own file, which no lookup has seen yet: the hook has it looked up.
#[test]
fn a_key_that_nobody_looked_up_has_an_owner() {
    let scene = Scene::new(Suite::Bookworm);
    scene.machine.authorize("ec2-user", scene.john.line());
    assert_eq!(scene.machine.cache_files(), Vec::<String>::new());
    let connection = scene.logs_in("in a file", &scene.machine.login("ec2-user").key(&scene.john));
    connection.expect("in a file", &[("owner", OWNER), ("principal", "none"), ("key", &scene.john.fingerprint())]);
    // Nobody answers: the login goes on all the same, and soon.
    scene.machine.empty_cache();
    scene.world.double().fault(iam_ssh_doubles::Match::any(), iam_ssh_doubles::Fault::Hang);
    let connection = scene.logs_in("nobody answers", &scene.machine.login("ec2-user").key(&scene.john));
    is_nobody_s("nobody answers", &connection, "publickey", &scene.john.fingerprint());
}

#[test]
fn every_method_on_bullseye() {
    methods(Suite::Bullseye);
}

#[test]
fn every_method_on_forky() {
    methods(Suite::Forky);
}

#[test]
fn certificates_on_bullseye() {
    certificates(Suite::Bullseye);
}

#[test]
fn certificates_on_forky() {
    certificates(Suite::Forky);
}

#[test]
fn withdrawn_between_lookup_and_session_on_bullseye() {
    withdrawn(Suite::Bullseye);
}

#[test]
fn withdrawn_between_lookup_and_session_on_forky() {
    withdrawn(Suite::Forky);
}
