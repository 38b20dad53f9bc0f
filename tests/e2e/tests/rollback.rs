//! What can go wrong while sshd is wired, and afterwards it listens and logs in as before. Nothing of it fails the installation.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use iam_ssh_e2e::lifecycle::{Files, Session, ssh_files, sshd_settings};
use iam_ssh_e2e::neighbours::{ADMINISTRATORS, EIC_RHEL_9};
use iam_ssh_e2e::scene::{configuration, publish};
use iam_ssh_e2e::{BootedMachine, DROP_IN, Debian, Key, KeyKind, Machine, SSHD_CONFIG, Suite, World};

const USERS: &str = r#"principals = ["users/john@example.org"]"#;
const INSTALLED: &str = "dpkg-query -W -f '${db:Status-Status}' iam-ssh";
const SSHD_PID: &str = "systemctl show -p MainPID --value ssh";

/// Makes a key log in by its user's own authorized_keys.
fn local_key(world: &World, debian: &Debian) -> Key {
    let local = world.key("local", KeyKind::Ed25519);
    debian.authorize("ec2-user", local.line());
    local
}

#[track_caller]
fn logs_in(debian: &Debian, key: &Key) {
    debian.login("ec2-user").key(key).run("true").expect_ok();
}

/// The package is installed, says each of these, and has changed nothing below /etc/ssh.
#[track_caller]
fn installs_without_wiring(debian: &Debian, before: &Files, says: &[&str]) {
    let told = debian.install();
    assert_eq!(debian.sh(INSTALLED), "installed");
    assert!(says.iter().all(|text| told.expect_ok().contains(text)), "{says:?}: {told}");
    assert!(told.stdout.contains("sshd does not use it"), "{told}");
    assert_eq!(ssh_files(debian).since(before), [""; 0], "{told}");
}

/// Once what was in the way is gone, it can be wired, and removed without a trace.
#[track_caller]
fn wires_once_mended(debian: &Debian, untouched: &Files) {
    debian.run("iam-ssh wire").expect_ok();
    assert!(debian.read(DROP_IN).is_some());
    debian.purge().expect_ok();
    assert_eq!(ssh_files(debian).since(untouched), [""; 0]);
}

#[test]
fn a_configuration_that_sshd_would_not_take() {
    let world = World::new();
    let machine = BootedMachine::boot(&world, Suite::Bookworm);
    let local = local_key(&world, &machine);
    let (untouched, config) = (ssh_files(&machine), machine.read(SSHD_CONFIG).unwrap());
    // sshd runs with what it read before.
    machine.write(SSHD_CONFIG, format!("{config}\nNoSuchKeyword yes\n"), 0o644);
    let (before, pid) = (ssh_files(&machine), machine.sh(SSHD_PID));
    installs_without_wiring(&machine, &before, &["NoSuchKeyword"]);
    logs_in(&machine, &local);
    // A second try, and an upgrade, find the same.
    assert_eq!(machine.run("iam-ssh wire").status.code(), Some(1));
    let told = machine.run("dpkg -i /root/iam-ssh.deb 2>&1");
    assert!(told.expect_ok().contains("NoSuchKeyword"), "{told}");
    assert_eq!(ssh_files(&machine).since(&before), [""; 0]);
    machine.remove().expect_ok();
    assert_eq!(ssh_files(&machine).since(&before), [""; 0]);
    logs_in(&machine, &local);
    assert_eq!(machine.sh(SSHD_PID), pid);

    machine.write(SSHD_CONFIG, config, 0o644);
    machine.install().expect_ok();
    machine.wait_for_sshd();
    wires_once_mended(&machine, &untouched);
}

/// A machine whose /etc/ssh is made unusable by `prepare`, with sshd running.
fn with_bad_folder(prepare: &str, mend: &str, says: &[&str]) {
    let world = World::new();
    let machine = Machine::boot(&world, Suite::Bookworm);
    let local = local_key(&world, &machine);
    machine.start_sshd();
    let untouched = ssh_files(&machine);
    machine.run(prepare).expect_ok();
    let before = ssh_files(&machine);
    installs_without_wiring(&machine, &before, says);
    machine.run("sshd -t").expect_ok();
    machine.reload_sshd();
    logs_in(&machine, &local);
    machine.run(mend).expect_ok();
    wires_once_mended(&machine, &untouched);
    machine.reload_sshd();
    logs_in(&machine, &local);
}

#[test]
fn a_full_disk() {
    with_bad_folder(
        "cp -a /etc/ssh /root/ssh && mount -t tmpfs -o size=2m,mode=755 tmpfs /etc/ssh && cp -a /root/ssh/. /etc/ssh && \
         ! dd if=/dev/zero of=/etc/ssh/filler bs=4k 2>/dev/null",
        "rm /etc/ssh/filler",
        &["No space left on device"],
    );
}

/// Room for an empty file, but not for another name: the last step of writing is the one that fails.
#[test]
fn a_disk_without_room_for_another_file() {
    with_bad_folder(
        "cp -a /etc/ssh /root/ssh && mount -t tmpfs -o nr_inodes=64,mode=755 tmpfs /etc/ssh && cp -a /root/ssh/. /etc/ssh && \
         for i in $(seq 99); do touch /etc/ssh/filler$i || break; done 2>/dev/null; ! touch /etc/ssh/fillers 2>/dev/null",
        "rm /etc/ssh/filler*",
        &["No space left on device"],
    );
}

#[test]
fn a_read_only_folder() {
    with_bad_folder(
        "mount --bind /etc/ssh /etc/ssh && mount -o remount,bind,ro /etc/ssh",
        "umount /etc/ssh",
        &["Read-only file system"],
    );
}

/// A wired machine whose folder became read-only: upgrades go on, and nobody is locked out.
#[test]
fn a_folder_that_became_read_only() {
    let world = World::new();
    world.imds();
    let john = world.key("john@example.org", KeyKind::Ed25519);
    publish(&world, "john@example.org", &john);
    let machine = Machine::boot(&world, Suite::Bookworm);
    machine.install().expect_ok();
    machine.configure(&configuration(&world.double().url(), USERS));
    machine.start_sshd();
    machine.run("mount --bind /etc/ssh /etc/ssh && mount -o remount,bind,ro /etc/ssh").expect_ok();
    let told = machine.run("dpkg -i /root/iam-ssh.deb 2>&1");
    assert!(!told.expect_ok().contains("does not use it"), "{told}");
    logs_in(&machine, &john);
}

/// Before our drop-in, sshd finds another that wins over it.
#[test]
fn a_drop_in_that_sorts_before_ours() {
    let world = World::new();
    let machine = BootedMachine::boot(&world, Suite::Trixie);
    let theirs = world.key("theirs", KeyKind::Ed25519);
    let file = "/etc/ssh/sshd_config.d/01-x.conf";
    let untouched = ssh_files(&machine);
    ADMINISTRATORS.brings_its_program(&machine, &theirs);
    let (program, account) = (ADMINISTRATORS.program, ADMINISTRATORS.account);
    let block = format!("Match all\n AuthorizedKeysCommand {program} %u\n AuthorizedKeysCommandUser {account}\n");
    machine.write(file, block, 0o600);
    machine.run("systemctl reload ssh").expect_ok();
    machine.wait_for_sshd();
    logs_in(&machine, &theirs);
    let before = (ssh_files(&machine), sshd_settings(&machine));
    installs_without_wiring(&machine, &before.0, &[program]);
    assert_eq!(sshd_settings(&machine), before.1);
    machine.wait_for_sshd();
    logs_in(&machine, &theirs);
    machine.run(&format!("rm {file}")).expect_ok();
    wires_once_mended(&machine, &untouched);
}

/// A unit whose reload ends sshd for good, as Red Hat's did with a bad configuration.
const DEADLY: &str = "[Service]\nExecReload=\nExecReload=/bin/kill -KILL $MAINPID\nRestart=no\n";

#[test]
fn an_sshd_that_dies_when_it_is_reloaded() {
    let world = World::new();
    let machine = BootedMachine::boot(&world, Suite::Bookworm);
    let local = local_key(&world, &machine);
    let untouched = ssh_files(&machine);
    let mut session = Session::open(&machine.login("ec2-user").key(&local));
    machine.write("/etc/systemd/system/ssh.service.d/deadly.conf", DEADLY, 0o644);
    machine.run("systemctl daemon-reload").expect_ok();
    installs_without_wiring(&machine, &untouched, &["reloaded", "put back"]);
    assert_eq!(machine.sh("systemctl is-active ssh"), "active\n", "{}", machine.journal());
    machine.wait_for_sshd();
    logs_in(&machine, &local);
    session.expect_open();

    // Mended, and wired; then it becomes deadly again, and we go.
    machine
        .run("rm /etc/systemd/system/ssh.service.d/deadly.conf && systemctl daemon-reload && iam-ssh wire")
        .expect_ok();
    machine.wait_for_sshd();
    machine.write("/etc/systemd/system/ssh.service.d/deadly.conf", DEADLY, 0o644);
    machine.run("systemctl daemon-reload").expect_ok();
    let told = machine.remove();
    told.expect_ok();
    assert_eq!(ssh_files(&machine).since(&untouched), [""; 0], "{told}");
    assert_eq!(machine.sh("systemctl is-active ssh"), "active\n", "{told}{}", machine.journal());
    machine.wait_for_sshd();
    logs_in(&machine, &local);
    session.expect_open();
}

/// What changes files, by system call: at every single one, the tool is killed once, or an sshd that it asks.
const CHANGES: [&str; 8] = ["write", "fsync", "fchmod", "chmod", "fchown", "rename", "unlink", "mkdir"];

/// Wherever it is killed, sshd can be started, and doing it again makes it whole.
fn can_be_killed(verb: &str) {
    let world = World::new();
    let machine = Machine::boot(&world, Suite::Bookworm);
    machine.install().expect_ok();
    machine.run("iam-ssh unwire").expect_ok();
    // A neighbour, so that all is written that can be.
    let theirs = world.key("theirs", KeyKind::Ed25519);
    EIC_RHEL_9.moves_in(&machine, &theirs);
    // What pam-auth-update does to PAM when it is killed is tested in `pam.rs`.
    machine.write("/etc/iam-ssh/config.d/audit.toml", "[sshd]\nsession_audit = false\n", 0o644);
    let unwired = Files::read(&machine, "/etc");
    machine.run("iam-ssh wire").expect_ok();
    let wired = Files::read(&machine, "/etc");
    assert_ne!(wired.since(&unwired), [""; 0]);
    let first = if verb == "wire" { "unwire" } else { "wire" };
    let (wanted, other) = if verb == "wire" { (&wired, &unwired) } else { (&unwired, &wired) };
    let mut killed = 0;
    for call in CHANGES {
        for point in 1.. {
            machine.run(&format!("iam-ssh {first}")).expect_ok();
            let outcome = machine.run_killed_at(call, point, &format!("iam-ssh {verb}"));
            if outcome.ok() {
                break;
            }
            killed += 1;
            assert!(point < 50, "no end of it: {outcome}");
            // Done again, or taken back, in turns.
            for (then, wanted) in if killed % 2 == 0 { [(verb, wanted), (first, other)] } else { [(first, other); 2] } {
                machine.run(&format!("sshd -t && iam-ssh {then}")).expect_ok();
                let is = Files::read(&machine, "/etc");
                assert_eq!(is.since(wanted), [""; 0], "killed at {call} number {point}, then {then}");
            }
        }
    }
    machine.run("iam-ssh unwire").expect_ok();
    assert_eq!(Files::read(&machine, "/etc").since(&unwired), [""; 0]);
    assert!(killed >= 5, "{killed} points are too few");
}

#[test]
fn wiring_that_is_killed() {
    can_be_killed("wire");
}

#[test]
fn unwiring_that_is_killed() {
    can_be_killed("unwire");
}

/// The files are there, but sshd was not told: who runs it again must not be told that all is well.
#[test]
fn wiring_that_is_killed_before_sshd_reads_it() {
    let world = World::new();
    world.imds();
    let john = world.key("john@example.org", KeyKind::Ed25519);
    publish(&world, "john@example.org", &john);
    let machine = BootedMachine::boot(&world, Suite::Bookworm);
    machine.run("mv /bin/systemctl /bin/systemctl.real").expect_ok();
    machine.write(
        "/usr/bin/systemctl",
        "#!/bin/sh\ncase \"$*\" in *reload*ssh*) kill -KILL $PPID;; *) exec /bin/systemctl.real \"$@\";; esac\n",
        0o755,
    );
    let told = machine.install();
    assert!(told.expect_ok().contains("Killed"), "{told}");
    machine.run("sshd -t").expect_ok();
    machine.configure(&configuration(&world.double().url(), USERS));
    machine.wait_for_sshd();
    machine.run("mv /bin/systemctl.real /bin/systemctl && iam-ssh wire").expect_ok();
    machine.wait_for_sshd();
    logs_in(&machine, &john);
}
