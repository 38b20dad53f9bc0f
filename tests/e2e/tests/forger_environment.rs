//! Debian 11 and 12 hand a user's `~/.pam_environment` to what PAM runs when a connection ends, which is root's. A C library, also one that
//! is linked statically, reads some variables before the program's first line: they must not keep the end out of the record.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use iam_ssh_e2e::audit::{HOOK, records};
use iam_ssh_e2e::scene::{armed, publish};
use iam_ssh_e2e::{KeyKind, Login, Machine, Suite, World, eventually};

const OWNER: &str = "mallory@example.org";
/// With each of them a static program of glibc 2.36 ends before it begins.
const DEADLY: [(&str, &str); 3] = [
    ("MALLOC_TOP_PAD_", "70368744177664"),
    ("GLIBC_TUNABLES", "glibc.malloc.top_pad=70368744177664"),
    ("GLIBC_TUNABLES", "glibc.rtld.nns=16:glibc.rtld.optional_static_tls=4000000000"),
];

/// Connects, waits for the end of sshd's process, and says whether the end was recorded as one that was seen. Whatever she runs may well
/// crash.
fn is_recorded_to_its_end(machine: &Machine, login: &Login) -> bool {
    let before = records(&machine.logs()).len();
    let _ = login.run("true");
    let opened = eventually("the beginning", || {
        records(&machine.logs()).into_iter().skip(before).find(|record| record.event == "opened")
    });
    assert_eq!(opened.get("owner"), OWNER, "{opened:?}");
    let process = machine.path(&format!("/proc/{}", opened.get("sshd")));
    eventually("the end of sshd's process", || (!process.exists()).then_some(()));
    let closed = |record: &iam_ssh_e2e::audit::Record| {
        record.event == "closed" && record.get("id") == opened.get("id") && record.get("duration") != "unknown"
    };
    records(&machine.logs()).iter().any(closed)
}

fn heeds_none(suite: Suite) {
    let world = World::new();
    let key = world.key(OWNER, KeyKind::Ed25519);
    publish(&world, OWNER, &key);
    let machine = armed(&world, suite, &world.double().url(), &format!("principals = [\"users/{OWNER}\"]"));
    let login = machine.login("ec2-user").key(&key);
    assert!(is_recorded_to_its_end(&machine, &login));
    let set = |(name, value): (&str, &str)| {
        machine.write("/home/ec2-user/.pam_environment", format!("{name} DEFAULT={value}\n"), 0o644);
    };
    for variable in DEADLY {
        set(variable);
        assert!(is_recorded_to_its_end(&machine, &login), "{variable:?}: {}", machine.log_text());
    }
    // They do reach it: it is its mode that makes the C library deaf.
    assert_eq!(machine.sh(&format!("stat -c '%a %U:%G' {HOOK}")), "2750 root:iam-ssh\n");
    machine.run(&format!("chmod 0755 {HOOK}")).expect_ok();
    set(DEADLY[0]);
    assert!(!is_recorded_to_its_end(&machine, &login), "{}", machine.log_text());
}

#[test]
fn the_c_library_heeds_no_variable_on_bullseye() {
    heeds_none(Suite::Bullseye);
}

#[test]
fn the_c_library_heeds_no_variable_on_bookworm() {
    heeds_none(Suite::Bookworm);
}
