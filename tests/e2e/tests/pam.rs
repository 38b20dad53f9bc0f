//! The session hook in PAM's configuration: it comes and goes with the wiring, to the byte, runs for sshd alone, and locks nobody out.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use iam_ssh_e2e::audit::HOOK;
use iam_ssh_e2e::lifecycle::Files;
use iam_ssh_e2e::{DROP_IN, Debian, Key, KeyKind, Machine, Outcome, SSHD_CONFIG, Suite, World, eventually, rpm};

const SESSION: &str = "/etc/pam.d/common-session";
const SERVICE: &str = "/etc/pam.d/sshd";
const CONFIG: &str = "/etc/iam-ssh/config.d/audit.toml";

/// All that wiring may change.
fn everything(debian: &Debian) -> Files {
    Files::read(debian, "/etc /var/lib/pam /usr/share/pam-configs").without(|path| path == CONFIG)
}

/// A machine with the package, unwired, and a key that logs in without it.
fn unwired(world: &World, suite: Suite) -> (Machine, Key) {
    let machine = Machine::boot(world, suite);
    let local = world.key("local", KeyKind::Ed25519);
    machine.authorize("ec2-user", local.line());
    if suite == Suite::Rpm {
        std::fs::copy(rpm(), machine.path("/root/iam-ssh.rpm")).unwrap();
        machine.run("rpm -i /root/iam-ssh.rpm").expect_ok();
    } else {
        machine.install().expect_ok();
    }
    machine.run("iam-ssh unwire && mkdir -p /etc/iam-ssh/config.d").expect_ok();
    (machine, local)
}

fn configure(debian: &Debian, settings: &str) {
    debian.write(CONFIG, format!("[sshd]\n{settings}\n"), 0o644);
}

#[track_caller]
fn wires(debian: &Debian) -> String {
    let told = debian.run("iam-ssh wire </dev/null");
    told.expect_ok();
    assert!(debian.read(DROP_IN).is_some(), "{told}");
    told.said()
}

#[track_caller]
fn unwires(debian: &Debian, before: &Files) {
    debian.run("iam-ssh unwire </dev/null").expect_ok();
    assert_eq!(everything(debian).since(before), [""; 0]);
}

/// The lines of the hook in the stack of sshd, with their controls.
fn hooks(debian: &Debian) -> Vec<String> {
    let lines = debian.sh(&format!("cat {SERVICE} {SESSION} | grep {HOOK} || true"));
    lines.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

fn hook(control: &str) -> String {
    format!("session {control} pam_exec.so quiet {HOOK}")
}

/// `iam-ssh wire` declines, saying each of these, and changes nothing.
#[track_caller]
fn declines(debian: &Debian, says: &[&str]) {
    let before = everything(debian);
    let told = debian.run("iam-ssh wire");
    assert_eq!(told.status.code(), Some(3), "{told}");
    assert!(says.iter().all(|text| told.stderr.contains(text)), "{says:?}: {told}");
    assert_eq!(everything(debian).since(&before), [""; 0], "{told}");
}

/// What the hook logged of one connection.
#[track_caller]
fn is_recorded(machine: &Machine, from: usize, login: &str) {
    for what in ["session opened ", "session closed "] {
        let is_it = |message: &str| message.starts_with(what) && message.contains(&format!(" login={login} "));
        let line = machine.wait_log_from(from, |line| line.tag == "iam-ssh" && is_it(&line.message));
        assert!(line.is_some(), "{what}: {}", machine.log_text());
        let count = machine.logs()[from..].iter().filter(|line| is_it(&line.message)).count();
        assert_eq!(count, 1, "{what}: {}", machine.log_text());
    }
}

fn comes_and_goes(suite: Suite) {
    let world = World::new();
    let (machine, local) = unwired(&world, suite);
    let before = everything(&machine);
    machine.start_sshd();
    let logs_in = || machine.login("ec2-user").key(&local).run("echo let in");
    let said = wires(&machine);
    assert!((said.contains("PAM") || said.contains(SERVICE)) && !said.contains("note:"), "{said}");
    assert_eq!(hooks(&machine), [hook("optional")]);
    let wired = everything(&machine);
    assert!(wires(&machine).lines().all(|line| line.contains("is in place")), "once is enough");
    assert_eq!(everything(&machine).since(&wired), [""; 0]);
    let from = machine.logs().len();
    logs_in().expect_ok();
    is_recorded(&machine, from, "ec2-user");

    // Without a log, a connection that must be recorded is refused, and one that should be is not.
    machine.remove_the_log();
    logs_in().expect_ok();
    configure(&machine, "audit = \"required\"");
    wires(&machine);
    assert_eq!(hooks(&machine), [hook("required")]);
    let refused = logs_in();
    assert!(!refused.ok() && !refused.stdout.contains("let in"), "{refused}");
    assert_eq!(machine.sh("su ec2-user -s /bin/sh -c 'echo su works'"), "su works\n");
    configure(&machine, "audit = \"optional\"");
    wires(&machine);
    assert_eq!(hooks(&machine), [hook("optional")]);
    logs_in().expect_ok();
    assert_eq!(everything(&machine).since(&wired), [""; 0]);

    configure(&machine, "session_audit = false");
    wires(&machine);
    assert_eq!(hooks(&machine), [""; 0]);
    machine.run(&format!("rm {CONFIG}")).expect_ok();
    wires(&machine);
    assert_eq!(everything(&machine).since(&wired), [""; 0]);
    unwires(&machine, &before);
}

#[test]
fn the_hook_comes_and_goes_on_bullseye() {
    comes_and_goes(Suite::Bullseye);
}

#[test]
fn the_hook_comes_and_goes_on_bookworm() {
    comes_and_goes(Suite::Bookworm);
}

#[test]
fn the_hook_comes_and_goes_on_trixie() {
    comes_and_goes(Suite::Trixie);
}

#[test]
fn the_hook_comes_and_goes_on_forky() {
    comes_and_goes(Suite::Forky);
}

#[test]
fn the_hook_comes_and_goes_with_rpm() {
    comes_and_goes(Suite::Rpm);
}

fn runs_for_sshd_alone(suite: Suite) {
    let world = World::new();
    let (machine, local) = unwired(&world, suite);
    wires(&machine);
    machine.start_sshd();
    // In the hook's stead: who calls it, and for what.
    let notes = "#!/bin/sh\necho $PAM_SERVICE $PAM_TYPE $PAM_USER >>/run/hook-calls\n";
    machine.write(HOOK, notes, 0o755);
    machine
        .run("cp /etc/pam.d/su /etc/pam.d/other-service && su - ec2-user -c true && su ec2-user -c true")
        .expect_ok();
    machine.run("runuser -l ec2-user -c true").expect_ok();
    assert_eq!(machine.read("/run/hook-calls"), None);
    machine.login("ec2-user").key(&local).run("true").expect_ok();
    let calls = "sshd open_session ec2-user\nsshd close_session ec2-user\n";
    eventually("the hook's second call", || {
        (machine.read("/run/hook-calls").unwrap_or_default().lines().count() >= 2).then_some(())
    });
    assert_eq!(machine.read("/run/hook-calls").as_deref(), Some(calls));
    // Before pam_systemd has made a session, whose processes its user may stop.
    let session = machine.read(SESSION).unwrap();
    assert!(session.find(HOOK).unwrap() < session.find("pam_systemd.so").unwrap(), "{session}");
}

#[test]
fn the_hook_runs_for_sshd_alone_on_bullseye() {
    runs_for_sshd_alone(Suite::Bullseye);
}

#[test]
fn the_hook_runs_for_sshd_alone_on_forky() {
    runs_for_sshd_alone(Suite::Forky);
}

/// Nobody is there to answer, somebody has locked debconf's database, or runs under debconf: it works all the same.
#[test]
fn nobody_is_asked_and_nobody_is_waited_for() {
    let world = World::new();
    let (machine, _) = unwired(&world, Suite::Bookworm);
    let before = everything(&machine);
    let debconf = || machine.sh("sha256sum /var/cache/debconf/*");
    let untouched = debconf();
    machine.write(
        "/root/locked.pl",
        "use Debconf::Db; use Debconf::Config; Debconf::Db->load; exit(system(@ARGV) >> 8);",
        0o644,
    );
    let locked = "DEBIAN_HAS_FRONTEND=1 DEBIAN_FRONTEND=dialog perl /root/locked.pl iam-ssh";
    let refused = machine.run("perl /root/locked.pl pam-auth-update --package 2>&1");
    assert!(refused.stdout.contains("locked"), "the lock is one: {refused}");
    machine.run(&format!("{locked} wire <&- 2>&1")).expect_ok();
    assert_eq!(hooks(&machine), [hook("optional")]);
    machine.run(&format!("{locked} unwire <&- 2>&1")).expect_ok();
    assert_eq!(everything(&machine).since(&before), [""; 0]);
    assert_eq!(debconf(), untouched, "nothing of ours is remembered there");
}

/// What an administrator has changed stays changed, and nothing else is.
#[test]
fn local_changes_are_left_alone() {
    let world = World::new();
    let (machine, local) = unwired(&world, Suite::Bookworm);
    let pristine = machine.read(SESSION).unwrap();
    let changed = pristine.replace("# end of pam-auth", "session optional pam_lastlog.so\n# end of pam-auth");
    machine.write(SESSION, &changed, 0o640);
    let before = everything(&machine);
    let said = wires(&machine);
    assert!(said.contains(&format!("add this line to {SERVICE} by hand")), "{said}");
    assert_eq!(hooks(&machine), [""; 0]);
    unwires(&machine, &before);
    configure(&machine, "audit = \"required\"");
    declines(&machine, &["add this line", &format!("session    required   pam_exec.so quiet {HOOK}")]);
    // Done by hand, as it was said.
    let service = machine.read(SERVICE).unwrap();
    machine.write(SERVICE, format!("{service}session required pam_exec.so quiet {HOOK}\n"), 0o644);
    let said = wires(&machine);
    assert!(!said.contains("by hand") && hooks(&machine) == [hook("required")], "{said}");
    machine.start_sshd();
    let from = machine.logs().len();
    machine.login("ec2-user").key(&local).run("true").expect_ok();
    is_recorded(&machine, from, "ec2-user");
    let told = machine.run("iam-ssh unwire");
    assert!(told.expect_ok().contains("take it out"), "{told}");
    machine.write(SERVICE, service, 0o644);
    assert_eq!(everything(&machine).since(&before), [""; 0]);
}

/// They came after we did: our lines go all the same, because sshd would refuse everybody for a hook that is not there.
#[test]
fn local_changes_that_came_later_do_not_keep_the_hook() {
    let world = World::new();
    let (machine, local) = unwired(&world, Suite::Bookworm);
    let pristine = machine.read(SESSION).unwrap();
    configure(&machine, "audit = \"required\"");
    let added = |text: &str| text.replace("# end of pam-auth", "session optional pam_lastlog.so\n# end of pam-auth");
    for breaks in ["true", "rm /usr/bin/iam-ssh", "echo >/usr/bin/iam-ssh; chmod 644 /usr/bin/iam-ssh"] {
        wires(&machine);
        machine.write(SESSION, added(&machine.read(SESSION).unwrap()), 0o644);
        machine.run(breaks).expect_ok();
        machine.remove().expect_ok();
        assert_eq!(machine.read(SESSION), Some(added(&pristine)), "{breaks}");
        machine.write(SESSION, &pristine, 0o644);
        machine.install().expect_ok();
        machine.run("iam-ssh unwire").expect_ok();
    }
    machine.start_sshd();
    machine.login("ec2-user").key(&local).run("true").expect_ok();
}

#[test]
fn without_pam_it_is_said_and_what_is_required_is_not_wired() {
    let world = World::new();
    let (machine, _) = unwired(&world, Suite::Bookworm);
    let before = everything(&machine);
    let config = machine.read(SSHD_CONFIG).unwrap();
    machine.write(SSHD_CONFIG, config.replace("UsePAM yes", "UsePAM no"), 0o644);
    let said = wires(&machine);
    assert!(said.contains("UsePAM no") && said.contains("iam-ssh log"), "{said}");
    machine.run("iam-ssh unwire").expect_ok();
    configure(&machine, "audit = \"required\"");
    declines(&machine, &["UsePAM no"]);
    machine.write(SSHD_CONFIG, config, 0o644);
    wires(&machine);
    unwires(&machine, &before);
}

#[test]
fn a_service_file_that_cannot_be_changed_is_not() {
    let world = World::new();
    let (machine, _) = unwired(&world, Suite::Rpm);
    let before = everything(&machine);
    for make in [
        format!("mv {SERVICE} /etc/own && ln -s /etc/own {SERVICE}"),
        format!("ln {SERVICE} /etc/own"),
        format!("cp -a {SERVICE} /etc/own && printf '# caf\\351\\n' >>{SERVICE}"),
    ] {
        machine.run(&make).expect_ok();
        configure(&machine, "");
        let theirs = everything(&machine);
        let said = wires(&machine);
        assert!(said.contains("by hand"), "{make}: {said}");
        unwires(&machine, &theirs);
        configure(&machine, "audit = \"required\"");
        declines(&machine, &["by hand", SERVICE]);
        machine.run(&format!("mv -f /etc/own {SERVICE} || rm /etc/own")).expect_ok();
    }
    machine.run("rm -f /etc/own").expect_ok();
    configure(&machine, "");
    wires(&machine);
    unwires(&machine, &before);
}

/// In a file as Red Hat has it, before the user's context is set; mode, owner and ACL stay.
#[test]
fn the_block_stands_where_it_belongs() {
    let world = World::new();
    let (machine, _) = unwired(&world, Suite::Rpm);
    let red_hat = "#%PAM-1.0\nauth include common-auth\naccount include common-account\nsession required pam_loginuid.so\n\
        session required pam_selinux.so open env_params\nsession include common-session";
    machine.write(SERVICE, red_hat, 0o640);
    let before = everything(&machine);
    let shown = machine.run("iam-ssh wire --dry-run");
    assert!(shown.expect_ok().contains(&format!("+session    optional   pam_exec.so quiet {HOOK}")), "{shown}");
    assert_eq!(everything(&machine).since(&before), [""; 0]);
    wires(&machine);
    let text = machine.read(SERVICE).unwrap();
    let at = |word: &str| text.find(word).unwrap();
    assert!(at("pam_loginuid") < at(HOOK) && at(HOOK) < at("pam_selinux"), "{text}");
    assert_eq!(machine.sh(&format!("stat -c '%a %U' {SERVICE}")), "640 root\n");
    // Broken, the package takes its block along.
    machine.run("rm /usr/bin/iam-ssh && rpm -e iam-ssh").expect_ok();
    assert_eq!(machine.read(SERVICE).as_deref(), Some(red_hat));
}

#[test]
fn a_dry_run_says_what_pam_would_be_told() {
    let world = World::new();
    let (machine, _) = unwired(&world, Suite::Bookworm);
    let before = everything(&machine);
    let shown = machine.run("iam-ssh wire --dry-run");
    assert!(
        shown.expect_ok().contains("would run pam-auth-update") && shown.stdout.contains("--enable iam-ssh"),
        "{shown}"
    );
    assert_eq!(everything(&machine).since(&before), [""; 0]);
    wires(&machine);
    let shown = machine.run("iam-ssh unwire --dry-run");
    assert!(shown.expect_ok().contains("would run pam-auth-update --package --remove iam-ssh"), "{shown}");
    assert!(!machine.run("iam-ssh wire --dry-run").stdout.contains("pam-auth-update"));
    unwires(&machine, &before);
}

/// sshd does not take the rest: PAM is as it was, too.
#[test]
fn what_fails_later_takes_the_hook_back() {
    let world = World::new();
    let (machine, _) = unwired(&world, Suite::Bookworm);
    machine.run("mount --bind /etc/ssh /etc/ssh && mount -o remount,bind,ro /etc/ssh").expect_ok();
    let before = everything(&machine);
    let told = machine.run("iam-ssh wire");
    assert_eq!(told.status.code(), Some(1), "{told}");
    assert_eq!(everything(&machine).since(&before), [""; 0], "{told}");
    machine.run("umount /etc/ssh").expect_ok();
    wires(&machine);
}

/// Whoever is killed at whatever point, the tool or pam-auth-update, the next run finishes it.
#[test]
fn what_is_killed_is_finished_by_the_next() {
    let world = World::new();
    let (machine, _) = unwired(&world, Suite::Bookworm);
    let unwired = everything(&machine);
    wires(&machine);
    let wired = everything(&machine);
    let mut killed = 0;
    let check = |verb: &str, outcome: &Outcome| {
        let wanted = if verb == "wire" { &wired } else { &unwired };
        machine.run(&format!("iam-ssh {verb}")).expect_ok();
        assert_eq!(everything(&machine).since(wanted), [""; 0], "{verb} after {outcome}");
    };
    // pam-auth-update renames ten files, each of them written to before.
    for (call, points) in [("rename", 12), ("openat", 60), ("unlink", 6)] {
        for point in (1..=points).step_by(if points > 20 { 7 } else { 1 }) {
            for (verb, other) in [("wire", "unwire"), ("unwire", "wire")] {
                machine.run(&format!("iam-ssh {other}")).expect_ok();
                let outcome = machine.run_killed_at(call, point, &format!("iam-ssh {verb}"));
                killed += usize::from(!outcome.ok());
                check(if point % 2 == 0 { verb } else { other }, &outcome);
            }
        }
    }
    assert!(killed >= 10, "{killed} points are too few");
    let left = "/etc/pam.d/*-new /etc/pam.d/*.new /var/lib/pam/*new* /var/lib/iam-ssh/*before*";
    assert_eq!(machine.sh(&format!("ls {left} 2>/dev/null || true")), "");
}

#[test]
fn the_folders_of_records_are_root_s_and_go_with_the_package() {
    let world = World::new();
    let machine = Machine::boot(&world, Suite::Bookworm);
    machine.install().expect_ok();
    let folders = "/run/iam-ssh /run/iam-ssh/sessions /run/iam-ssh/granted /run/iam-ssh/owners /var/lib/iam-ssh";
    assert_eq!(
        machine.sh(&format!("stat -c '%a %U:%G' {folders}")),
        "755 root:root\n700 root:root\n700 iam-ssh:iam-ssh\n711 root:root\n700 root:root\n"
    );
    machine.run("rmdir /run/iam-ssh/owners && iam-ssh wire && test -d /run/iam-ssh/owners").expect_ok();
    machine.run(&format!("iam-ssh unwire && ls -d {folders}")).expect_ok();
    machine.remove().expect_ok();
    machine.run("test ! -e /run/iam-ssh && test -d /var/lib/iam-ssh").expect_ok();
    machine.purge().expect_ok();
    machine.run("test ! -e /var/lib/iam-ssh").expect_ok();
}
