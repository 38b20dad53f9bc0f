//! Lookups under SELinux in enforcing mode, on a machine with a kernel of its own: what they need is allowed, nothing is denied.
//!
//! The machine's policy is Debian's, with sshd as confined as Fedora's where that matters, and without dontaudit rules: every
//! denial is in the log.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::os::unix::fs::PermissionsExt as _;

use iam_ssh_e2e::scene::published;
use iam_ssh_e2e::{BUCKET, KeyKind, VirtualMachine, World};

const JOHN: &str = "john@example.org";
const SCRIPT: &str = include_str!("selinux.sh");

/// Whether a denial is about us: our programs, our files, or anything that sshd's domain does for them.
fn is_ours(denial: &str) -> bool {
    let programs = ["authorized-keys", "fetch", "chain", "sshrc", "session-audit", "iam-ssh"];
    // The one that is meant to be: the module has a dontaudit rule for it.
    if denial.contains("{ sys_ptrace }") && denial.contains("comm=\"session-audit\"") {
        return false;
    }
    programs.iter().any(|program| denial.contains(&format!("comm=\"{program}\"")))
        || denial.contains("iam-ssh")
        || denial.contains(":var_auth_t:")
}

#[test]
fn logins_work_under_selinux_and_nothing_of_ours_is_denied() {
    let world = World::new();
    let john = world.key(JOHN, KeyKind::Ed25519);
    let directory = world.scratch().join("trial");
    std::fs::create_dir(&directory).unwrap();
    let bring = |name: &str, content: &[u8]| std::fs::write(directory.join(name), content).unwrap();
    bring("run", SCRIPT.as_bytes());
    bring("john", &std::fs::read(john.private()).unwrap());
    bring("document", published(JOHN, &john).as_bytes());
    let login = format!("login.ec2-user.principals = [\"users/{JOHN}\"]");
    bring(
        "config.toml",
        format!("bucket = \"{BUCKET}\"\nendpoint_url = \"http://127.0.0.1:443\"\n{login}\n").as_bytes(),
    );
    std::fs::copy(iam_ssh_e2e::deb(), directory.join("iam-ssh.deb")).unwrap();
    let double = directory.join("aws-double");
    std::fs::copy(iam_ssh_e2e::aws_double(), &double).unwrap();
    std::fs::set_permissions(&double, std::fs::Permissions::from_mode(0o755)).unwrap();

    let machine = VirtualMachine::run(&world, &directory);
    assert!(machine.said.contains("## end\n"), "{machine}");
    let section = |mark: &str| machine.section(mark);
    assert_eq!(section("mode"), "Enforcing", "{machine}");
    assert!(section("sshd").contains(":sshd_t:"), "{machine}");
    assert!(section("without dontaudit").ends_with("disable_dontaudit"), "{machine}");
    assert_eq!(section("lost"), "lost 0", "every denial is in the log: {machine}");
    assert_ne!(section("all denials"), "0", "denials can be seen: {machine}");

    // So that what follows can fail.
    assert!(section("installed without semodule").contains("install policycoreutils"), "{machine}");
    assert!(section("login without the module").contains("Permission denied (publickey"), "{machine}");

    assert!(section("installed").contains("installed the SELinux module iam-ssh"), "{machine}");
    assert!(section("modules").starts_with("400 iam-ssh "), "{machine}");
    assert_eq!(section("login"), format!("owner {JOHN}"), "{machine}");
    let cache: Vec<&str> = section("cache").lines().collect();
    assert!(cache.iter().any(|line| line.ends_with("/state")), "what was learnt is kept: {machine}");
    assert!(cache.iter().all(|line| line.contains(":var_auth_t:")), "{machine}");

    let records = section("records");
    let labels: Vec<&str> = records.lines().filter(|line| !line.starts_with("session ")).collect();
    assert!(labels.len() >= 5 && labels.iter().all(|line| line.contains(":var_auth_t:")), "{machine}");
    let record = |what: &str| format!("session {what} owner={JOHN} login=ec2-user key=SHA256:");
    assert!(section("lookups").contains(&record("opened")) && records.contains(&record("closed")), "{machine}");
    assert!(section("lookups").lines().all(|line| !line.contains("mac=none")), "{machine}");

    assert!(section("login with the boolean off").contains("Permission denied (publickey"), "{machine}");
    assert!(section("denied to what tries without the module").contains("{ name_connect }"), "{machine}");
    assert!(section("login before a refresh").contains("Permission denied (publickey"), "{machine}");
    assert!(section("refreshed").starts_with("success\n"), "{machine}");
    assert!(section("refreshed").contains(":var_auth_t:"), "{machine}");
    assert_eq!(section("login from the cache"), format!("owner {JOHN}"), "{machine}");
    assert!(section("lookups").contains("source=cache"), "{machine}");
    assert!(!section("wired again").contains("SELinux"), "the same text is not installed twice: {machine}");

    let ours: Vec<&str> = section("denied").lines().filter(|line| is_ours(line)).collect();
    assert!(ours.is_empty(), "{ours:#?}\n{machine}");

    assert!(section("purge").contains("removed the SELinux module iam-ssh"), "{machine}");
    assert_eq!((section("modules after purge"), section("left after purge")), ("", ""), "{machine}");
}
