//! Others who had sshd's AuthorizedKeysCommand before us: our keys log in, theirs still do, and once we are gone nothing shows that we were
//! there.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::time::Duration;

use iam_ssh_e2e::lifecycle::Files;
use iam_ssh_e2e::neighbours::{
    ADMINISTRATORS, EIC_AMAZON_LINUX, EIC_RHEL_8, EIC_RHEL_9, EIC_UBUNTU, GAMES, Neighbour, SSSD, USERDB, asked,
    bear_with_failed_logins, served,
};
use iam_ssh_e2e::scene::{configuration, publish};
use iam_ssh_e2e::{BootedMachine, Debian, Key, KeyKind, Machine, Suite, World, eventually};

const USERS: &str = r#"principals = ["users/john@example.org"]"#;
/// The login user who is ours, two who are not.
const LOGINS: [&str; 3] = ["ec2-user", "alice", "gamer"];

/// Who may log in, and by whom: the rest of a test.
struct Keys {
    john: Key,
    theirs: Key,
    nobodys: Key,
}

/// Everything that says how sshd is configured and started.
fn files(debian: &Debian) -> Files {
    Files::read(debian, "/etc/ssh /etc/systemd /lib/systemd/system/").without(|path| path.contains("iam-ssh-refresh"))
}

fn prepare(world: &World, debian: &Debian, neighbour: &Neighbour) -> Keys {
    world.imds();
    let [john, theirs, nobodys] =
        ["john@example.org", "theirs", "nobodys"].map(|name| world.key(name, KeyKind::Ed25519));
    publish(world, "john@example.org", &john);
    for user in &LOGINS[1..] {
        debian.add_user(user);
    }
    bear_with_failed_logins(debian);
    neighbour.moves_in(debian, &theirs);
    Keys { john, theirs, nobodys }
}

/// `sshd_reads` makes sshd read its configuration again, where the package does not do so by itself.
fn lives_with(world: &World, debian: &Debian, keys: &Keys, sshd_reads: &dyn Fn()) {
    let Keys { john, theirs, nobodys } = keys;
    let before = (files(debian), served(debian, &LOGINS, theirs), served(debian, &LOGINS, nobodys));
    assert!(before.1.values().any(|(logs_in, _)| *logs_in), "their key logs in: {:?}", before.1);
    assert!(!before.2.values().any(|(logs_in, _)| *logs_in), "{:?}", before.2);

    let told = debian.install();
    told.expect_ok();
    debian.configure(&configuration(&world.double().url(), USERS));
    sshd_reads();
    let session = debian.login("ec2-user").key(john).run("echo $SSH_KEY_OWNER");
    assert_eq!(session.expect_ok(), "john@example.org\n", "{told}");
    assert_eq!(asked(debian), [""; 0], "nobody else is asked for a key of ours");
    assert_eq!(served(debian, &LOGINS, theirs), before.1, "as user, with arguments and environment as before");
    assert_eq!(served(debian, &LOGINS, nobodys), before.2);
    let requests = world.requests();
    assert!(!served(debian, &LOGINS[1..], john).values().any(|(logs_in, _)| *logs_in));
    assert_eq!(world.requests(), requests, "AWS is not asked for login users who are not ours");

    debian.remove().expect_ok();
    assert_eq!(files(debian).since(&before.0), [""; 0]);
    sshd_reads();
    assert_eq!(served(debian, &LOGINS, theirs), before.1);
    assert!(debian.login("ec2-user").key(john).run("true").refused());
}

fn lives_without_systemd_with(neighbour: &Neighbour, suite: Suite) {
    let world = World::new();
    let machine = Machine::boot(&world, suite);
    let keys = prepare(&world, &machine, neighbour);
    machine.start_sshd();
    lives_with(&world, &machine, &keys, &|| machine.reload_sshd());
}

#[test]
fn instance_connect_on_amazon_linux() {
    lives_without_systemd_with(&EIC_AMAZON_LINUX, Suite::Bullseye);
}

#[test]
fn instance_connect_on_rhel_9() {
    lives_without_systemd_with(&EIC_RHEL_9, Suite::Bookworm);
}

#[test]
fn sssd() {
    lives_without_systemd_with(&SSSD, Suite::Bookworm);
}

#[test]
fn systemd_userdb() {
    lives_without_systemd_with(&USERDB, Suite::Forky);
}

#[test]
fn a_command_of_the_administrators_own() {
    lives_without_systemd_with(&ADMINISTRATORS, Suite::Trixie);
}

#[test]
fn a_command_for_one_login_user() {
    lives_without_systemd_with(&GAMES, Suite::Bookworm);
}

fn starts_sshd_its_way(machine: &BootedMachine, unit: &str) {
    machine.run(&format!("systemctl daemon-reload && systemctl restart {unit}")).expect_ok();
    machine.wait_for_sshd();
    let arguments = machine.sh(&format!("tr '\\0' ' ' </proc/$(systemctl show -p MainPID --value {unit})/cmdline"));
    assert!(arguments.contains("eic_run_authorized_keys"), "{arguments}");
}

#[test]
fn instance_connect_on_ubuntu() {
    let world = World::new();
    let machine = BootedMachine::boot(&world, Suite::Trixie);
    let keys = prepare(&world, &machine, &EIC_UBUNTU);
    starts_sshd_its_way(&machine, "ssh.service");
    lives_with(&world, &machine, &keys, &|| machine.wait_for_sshd());
}

/// Red Hat's unit: another name, and a reload that tests nothing before it.
const SSHD_SERVICE: &str = "[Unit]\nDescription=OpenSSH server daemon\n[Service]\nType=notify\nEnvironmentFile=-/etc/default/ssh\n\
    ExecStart=/usr/sbin/sshd -D $OPTIONS\nExecReload=/bin/kill -HUP $MAINPID\nKillMode=process\nRestart=on-failure\n\
    RuntimeDirectory=sshd\n[Install]\nWantedBy=multi-user.target\n";

#[test]
fn instance_connect_on_rhel_8() {
    let world = World::new();
    let machine = BootedMachine::boot(&world, Suite::Bookworm);
    let theirs = "systemctl disable --now ssh.service ssh.socket; rm -f /lib/systemd/system/ssh.* /etc/systemd/system/sshd.service";
    let _ = machine.run(theirs);
    machine.write("/lib/systemd/system/sshd.service", SSHD_SERVICE, 0o644);
    let keys = prepare(&world, &machine, &EIC_RHEL_8);
    starts_sshd_its_way(&machine, "sshd.service");
    lives_with(&world, &machine, &keys, &|| machine.wait_for_sshd());
}

/// A machine with a neighbour and the package, sshd running.
fn with_neighbour(world: &World, neighbour: &Neighbour) -> (Machine, Keys) {
    let machine = Machine::boot(world, Suite::Bookworm);
    let keys = prepare(world, &machine, neighbour);
    machine.install().expect_ok();
    machine.configure(&configuration(&world.double().url(), USERS));
    machine.start_sshd();
    (machine, keys)
}

/// What sshd runs for `ec2-user` and this key, as the user that it runs it as.
fn as_sshd_calls(debian: &Debian, key: &Key) -> String {
    let settings = debian.sh("sshd -T -C user=ec2-user,host=client,addr=127.0.0.1");
    let value = |keyword: &str| settings.lines().find_map(|line| line.strip_prefix(keyword)).unwrap().trim().to_owned();
    let (command, user) = (value("authorizedkeyscommand "), value("authorizedkeyscommanduser "));
    let command = command.replace("%u", "ec2-user").replace("%t", key.kind()).replace("%k", key.base64());
    format!("cd / && exec setpriv --reuid {user} --regid {user} --init-groups env -i PATH=/usr/bin:/bin {command}")
}

/// Whatever the other command does costs its own keys at most, and for a bounded time.
#[test]
fn a_neighbour_that_misbehaves() {
    let world = World::new();
    let neighbour = &ADMINISTRATORS;
    let (machine, Keys { john, theirs, nobodys }) = with_neighbour(&world, neighbour);
    let login = |key: &Key| machine.login("ec2-user").key(key).run("true");
    let works = || {
        neighbour.behaves(&machine, "");
        login(&theirs).expect_ok();
        login(&john).expect_ok();
    };
    works();

    // It hangs, and so does a child of its own that holds its output.
    neighbour.behaves(&machine, "sleep 987 & sleep 988");
    let asked = machine.run(&as_sshd_calls(&machine, &theirs));
    assert!(asked.took > Duration::from_secs(4) && asked.took < Duration::from_secs(7), "5 s are its time: {asked}");
    assert_eq!(asked.stdout, "");
    let started = "pgrep -f 'sleep 98[78]|company-key[s]'";
    eventually("the end of what it started", || machine.run(started).stdout.is_empty().then_some(()));
    login(&john).expect_ok();
    works();

    // sshd does not believe a command that fails, whatever it printed.
    neighbour.behaves(&machine, "cat /etc/theirs/keys; exit 1");
    assert!(login(&theirs).refused());
    neighbour.behaves(&machine, "cat /etc/theirs/keys; kill -SEGV $$");
    assert!(login(&theirs).refused());
    works();

    // More than a pipe holds, in one line and in many.
    neighbour.behaves(&machine, "head -c 1000000 /dev/zero | tr '\\0' '#'; echo");
    login(&theirs).expect_ok();
    neighbour.behaves(&machine, &format!("yes '{}' | head -n 10000", nobodys.line()));
    login(&theirs).expect_ok();
    works();

    neighbour.lets_in(&machine, &[&nobodys, &theirs]);
    login(&nobodys).expect_ok();
    login(&theirs).expect_ok();
    neighbour.lets_in(&machine, &[&theirs]);
    assert!(login(&nobodys).refused());

    machine.run(&format!("rm {}", neighbour.program)).expect_ok();
    let refused = login(&theirs);
    assert!(refused.refused() && refused.took < Duration::from_secs(3), "{refused}");
    login(&john).expect_ok();
    neighbour.brings_its_program(&machine, &theirs);
    works();
}

#[test]
fn a_neighbour_who_is_not_to_be_asked() {
    let world = World::new();
    let (machine, Keys { john, theirs, .. }) = with_neighbour(&world, &EIC_RHEL_9);
    let configured = machine.read("/etc/iam-ssh/config.toml").unwrap();
    machine.configure(&format!("{configured}\n[sshd]\nchain = false\n"));
    machine.run("iam-ssh wire").expect_ok();
    machine.reload_sshd();
    let _ = asked(&machine);
    assert!(machine.login("ec2-user").key(&theirs).run("true").refused());
    assert!(machine.login("alice").key(&theirs).run("true").refused());
    assert_eq!(asked(&machine), [""; 0]);
    machine.login("ec2-user").key(&john).run("true").expect_ok();
    // And again to be asked.
    machine.configure(&configured);
    machine.run("iam-ssh wire").expect_ok();
    machine.login("ec2-user").key(&theirs).run("true").expect_ok();
}

/// As the package's trigger does when another package brings or takes away its file.
#[test]
fn a_neighbour_who_comes_later_and_goes_again() {
    let world = World::new();
    let neighbour = &EIC_RHEL_9;
    let machine = Machine::boot(&world, Suite::Bookworm);
    let untouched = files(&machine);
    let Keys { john, theirs, .. } = prepare(&world, &machine, neighbour);
    machine.run(&format!("rm {}", neighbour.file().unwrap())).expect_ok();
    machine.install().expect_ok();
    machine.configure(&configuration(&world.double().url(), USERS));
    machine.start_sshd();
    let login = |key: &Key| machine.login("ec2-user").key(key).run("true");
    assert!(login(&theirs).refused());

    neighbour.is_wired(&machine);
    machine.run("iam-ssh wire").expect_ok();
    machine.reload_sshd();
    login(&theirs).expect_ok();
    login(&john).expect_ok();
    assert!(machine.login("alice").key(&theirs).run("true").ok());
    machine.run("iam-ssh wire").expect_ok();
    login(&theirs).expect_ok();

    machine.run(&format!("rm {}", neighbour.file().unwrap())).expect_ok();
    machine.run("iam-ssh wire").expect_ok();
    machine.reload_sshd();
    let _ = asked(&machine);
    assert!(login(&theirs).refused());
    assert_eq!(asked(&machine), [""; 0], "it is gone");
    login(&john).expect_ok();
    machine.purge().expect_ok();
    assert_eq!(files(&machine).since(&untouched), [""; 0]);
}

/// The package's own trigger, with a neighbour that is a package, too.
#[test]
fn a_neighbour_that_is_installed_later_is_found() {
    let world = World::new();
    let neighbour = &EIC_RHEL_9;
    let machine = Machine::boot(&world, Suite::Trixie);
    let Keys { john, theirs, .. } = prepare(&world, &machine, neighbour);
    let file = neighbour.file().unwrap();
    let package = "Package: ec2-instance-connect\nVersion: 1.1\nArchitecture: all\nMaintainer: x <x@example.org>\nDescription: x\n";
    machine.write("/root/theirs/DEBIAN/control", package, 0o644);
    machine.run(&format!("mkdir -p /root/theirs/etc/ssh/sshd_config.d && mv {file} /root/theirs{file} && dpkg-deb -Znone -b /root/theirs")).expect_ok();
    machine.install().expect_ok();
    machine.configure(&configuration(&world.double().url(), USERS));
    machine.start_sshd();
    let login = |key: &Key| machine.login("ec2-user").key(key).run("true");
    assert!(login(&theirs).refused());

    machine.run("dpkg -i /root/theirs.deb").expect_ok();
    machine.reload_sshd();
    login(&theirs).expect_ok();
    login(&john).expect_ok();
    machine.run("dpkg --purge ec2-instance-connect").expect_ok();
    machine.reload_sshd();
    let _ = asked(&machine);
    assert!(login(&theirs).refused());
    assert_eq!(asked(&machine), [""; 0], "it is gone");
    login(&john).expect_ok();
}
