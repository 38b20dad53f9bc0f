//! `make demo`: from two keys in IAM to two owners in the log, and one of them refused again. Everything runs in namespaces of its
//! own on this machine and is gone when it ends; nothing is asked of AWS.
#![allow(clippy::print_stdout, clippy::expect_used, clippy::panic, reason = "tests")]

use iam_ssh_e2e::scene::{Person, configuration};
use iam_ssh_e2e::{KeyKind, Machine, Outcome, Suite, World, eventually};

const JOHN: &str = "john@example.org";
const JANE: &str = "jane@example.org";

fn step(text: &str) {
    println!("demo: {text}");
}

/// Shows what a program printed.
fn show(text: &str) {
    for line in text.lines() {
        println!("    {line}");
    }
}

fn sync(world: &World) {
    let ran = world.sync(&[]);
    ran.expect_ok();
    show(&ran.said());
}

fn log_in(machine: &Machine, person: &Person) -> Outcome {
    machine.login("ec2-user").key(&person.key).run("echo \"a shell as $(id -un), opened by $SSH_KEY_OWNER\"")
}

/// Logs in, and shows what the session says and what the machine's log says about it.
fn show_login(machine: &Machine, person: &Person) {
    step(&format!("{} logs in as ec2-user with the key from IAM; the session and the machine's log say:", person.name));
    let from = machine.logs().len();
    show(log_in(machine, person).expect_ok());
    for text in
        ["offered owner=", "Accepted publickey for ec2-user from ", "session opened owner=", "Public key owner is "]
    {
        let line = machine.wait_log_from(from, |line| line.message.contains(text));
        let line = line.unwrap_or_else(|| panic!("no log line says {text:?}:\n{}", machine.log_text()));
        assert!(!text.contains("owner") || line.message.contains(person.name), "{line:?}");
        show(&line.raw);
    }
}

/// Has the log as a file, as a syslog daemon writes it, and shows what `iam-ssh log` makes of it.
fn show_log(machine: &Machine) {
    let lines = machine.logs().into_iter().filter_map(|line| {
        let (time, rest) = line.raw.split_once('>')?.1.split_at_checked(15)?;
        Some(format!("{time} demo{rest}\n"))
    });
    machine.write("/var/log/auth.log", lines.collect::<String>(), 0o640);
    let log = machine.run("TZ=UTC iam-ssh log");
    log.expect_ok();
    show(&log.said());
    assert!(log.stdout.contains(JANE) && log.stderr.contains("1 line"), "{log}");
}

fn main() {
    let world = World::new();
    step("a private network is up: it has no way out, and it ends with this demo");
    world.moto();
    world.imds();
    step("a local AWS runs in it: moto for IAM, S3 and SSM, and an IMDSv2 metadata service at 169.254.169.254");

    world.iam().create_group("Administrators");
    let john = Person::join(&world, JOHN, KeyKind::Ed25519, &["Administrators"]);
    let jane = Person::join(&world, JANE, KeyKind::Rsa4096, &["Administrators"]);
    step(&format!("IAM has the users {JOHN} and {JANE} in the group Administrators, each with an uploaded SSH key"));

    step("iam-ssh-sync publishes the keys from IAM to the bucket:");
    sync(&world);
    show(&world.s3().keys().join("\n"));

    let machine = Machine::boot(&world, Suite::Bookworm);
    step("a Debian machine with its own root file system stands for an instance; the package is installed into it:");
    let installed = machine.install();
    show(&installed.expect_ok().lines().filter(|line| line.contains("iam-ssh")).collect::<Vec<_>>().join("\n"));
    let endpoint = world.moto().url();
    let login = "principals = [\"groups/Administrators\"]\n\n[lookup]\nfresh_for = \"2s\"";
    machine.configure(&configuration(endpoint, login));
    step("its configuration, /etc/iam-ssh/config.toml:");
    show(&machine.read("/etc/iam-ssh/config.toml").expect("the configuration"));
    machine.start_sshd();
    step("its sshd listens on 127.0.0.1 port 22 of the private network");

    show_login(&machine, &john);
    show_login(&machine, &jane);

    step(&format!(
        "{JANE} tries to have it look as if {JOHN} had logged in again; as root, `iam-ssh log` says who did:"
    ));
    let forgery =
        "from=192.0.2.1 port=1 type=none principal=none method=publickey sshd=1 id=1-1 at=1795354525128 mac=none";
    let forgery = format!("session opened owner={JOHN} login=ec2-user key=none {forgery}");
    let forge = format!("logger -p authpriv.notice -t iam-ssh '{forgery}'");
    machine.login("ec2-user").key(&jane.key).run(&forge).expect_ok();
    machine.wait_log(|line| line.message == forgery).expect("the forged line");
    eventually("the ends of all three connections", || {
        let logs = machine.logs();
        let ended = logs.iter().filter(|line| line.message.starts_with("session closed ")).count();
        (ended == 3).then_some(())
    });
    show_log(&machine);

    world.iam().deactivate_key(JOHN, &john.key_id);
    step(&format!("{JOHN}'s key is made inactive in IAM, and the sync runs again:"));
    sync(&world);
    step(&format!(
        "{JOHN} tries again, until what is cached is older than fresh_for (30s unless configured); then ssh says:"
    ));
    let refused = eventually("a refusal", || Some(log_in(&machine, &john)).filter(Outcome::refused));
    show(&refused.stderr);
    show_login(&machine, &jane);

    drop(machine);
    drop(world);
    step("everything is stopped and removed");
    println!("demo: ok");
}
