//! `iam-ssh wire` and `unwire` on machines where somebody else was first: nothing of theirs is changed, and what is said is true.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::time::Duration;

use iam_ssh_e2e::{DROP_IN, Debian, Machine, Outcome, SSHD_CONFIG, SSHRC, Suite, World};

const RECORD: &str = "/etc/iam-ssh/wired.toml";
const OTHER: &str = "/usr/local/sbin/other-keys";

/// A machine with the package, unwired, and a command of somebody else that nothing uses yet.
fn unwired(world: &World, suite: Suite) -> Machine {
    let machine = Machine::boot(world, suite);
    machine.install().expect_ok();
    machine.run("iam-ssh unwire").expect_ok();
    machine.write(OTHER, "#!/bin/sh\n", 0o755);
    machine
}

/// Every file below /etc/ssh: name, kind, owner, mode, target, content.
fn ssh_files(debian: &Debian) -> String {
    debian.sh("find /etc/ssh -printf '%p %y %U:%G %m %l\n' | sort; find /etc/ssh -type f -exec sha256sum {} + | sort")
}

#[track_caller]
fn does(debian: &Debian, script: &str) {
    debian.run(script).expect_ok();
}

fn append(debian: &Debian, text: &str) {
    let config = debian.read(SSHD_CONFIG).unwrap();
    debian.write(SSHD_CONFIG, format!("{config}\n{text}\n"), 0o644);
}

/// `iam-ssh wire` ends with this status, changes nothing below /etc/ssh, and says each of these.
#[track_caller]
fn holds_back(debian: &Debian, status: i32, says: &[&str]) {
    let before = ssh_files(debian);
    let told = debian.run("iam-ssh wire");
    assert_eq!(told.status.code(), Some(status), "{told}");
    assert!(says.iter().all(|text| told.stderr.contains(text)), "{says:?}: {told}");
    assert_eq!(ssh_files(debian), before, "{told}");
}

#[track_caller]
fn wires(debian: &Debian) -> String {
    let told = debian.run("iam-ssh wire");
    told.expect_ok();
    assert!(debian.read(DROP_IN).is_some(), "{told}");
    told.said()
}

/// `iam-ssh wire` finds somebody else's command, says so and records it; `unwire` leaves no trace of that.
#[track_caller]
fn takes_over(debian: &Debian) {
    let before = ssh_files(debian);
    let said = wires(debian);
    assert!(said.contains(OTHER), "{said}");
    let record = debian.read(RECORD).expect("a record of it");
    assert!(record.contains(OTHER) && record.contains("nobody"), "{record}");
    debian.run("iam-ssh unwire").expect_ok();
    assert_eq!((ssh_files(debian), debian.read(RECORD)), (before, None));
}

/// `iam-ssh wire` finds nothing of somebody else's.
#[track_caller]
fn finds_nothing(debian: &Debian) {
    let said = wires(debian);
    assert!(!said.contains(OTHER), "{said}");
    assert_eq!(debian.read(RECORD), None, "{said}");
    debian.run("iam-ssh unwire").expect_ok();
}

#[test]
fn another_command_is_found_however_it_is_written() {
    let world = World::new();
    let machine = unwired(&world, Suite::Bookworm);
    let config = machine.read(SSHD_CONFIG).unwrap();
    for setting in [
        format!("\"AuthorizedKeysCommand\" {OTHER}\nAuthorizedKeysCommandUser nobody"),
        format!("authorizedkeyscommand={OTHER} %u\nAuthorizedKeysCommandUser = nobody"),
        format!("Match User games\n \"authorizedkeyscommand\" {OTHER}\n AuthorizedKeysCommandUser nobody"),
    ] {
        append(&machine, &setting);
        machine.run("sshd -t").expect_ok();
        takes_over(&machine);
        machine.write(SSHD_CONFIG, &config, 0o644);
    }
    finds_nothing(&machine);
}

/// What nobody but sshd can know when the other one should be asked stays in charge.
#[test]
fn another_command_that_could_not_be_asked_is_left_alone() {
    let world = World::new();
    let machine = unwired(&world, Suite::Bookworm);
    let config = machine.read(SSHD_CONFIG).unwrap();
    for setting in [
        format!("Match LocalPort 2222\n Authorized\"KeysCommand\" {OTHER}\n AuthorizedKeysCommandUser nobody"),
        format!("Match Address 10.0.0.0/8\n AuthorizedKeysCommand {OTHER}\n AuthorizedKeysCommandUser nobody"),
        format!(
            "Match User games Address 10.0.0.0/8\n AuthorizedKeysCommand {OTHER}\n AuthorizedKeysCommandUser nobody"
        ),
        format!("Match User *,!root\n AuthorizedKeysCommand {OTHER}\n AuthorizedKeysCommandUser nobody"),
        format!("Match Group games\n AuthorizedKeysCommand {OTHER}\n AuthorizedKeysCommandUser nobody"),
    ] {
        append(&machine, &setting);
        machine.run("sshd -t").expect_ok();
        holds_back(&machine, 3, &[OTHER, SSHD_CONFIG]);
        machine.write(SSHD_CONFIG, &config, 0o644);
    }
    for token in ["%C", "%D"] {
        append(&machine, &format!("AuthorizedKeysCommand {OTHER} {token}\nAuthorizedKeysCommandUser nobody"));
        holds_back(&machine, 3, &[OTHER, token]);
        machine.write(SSHD_CONFIG, &config, 0o644);
    }
    finds_nothing(&machine);
}

#[test]
fn another_command_is_found_wherever_it_stands() {
    let world = World::new();
    let machine = unwired(&world, Suite::Bookworm);
    let config = machine.read(SSHD_CONFIG).unwrap();
    let setting = format!("Match User games\n AuthorizedKeysCommand {OTHER}\n AuthorizedKeysCommandUser nobody\n");
    // A wildcard in a folder's name, quoted, outside /etc/ssh and of any name; sshd really reads it.
    append(&machine, "\"Include\" \"/etc/te?ms/*/ke[x-z]s\"");
    machine.write("/etc/teams/a/keys", &setting, 0o644);
    assert!(machine.sh("sshd -T -C user=games,host=h,addr=127.0.0.1").contains(OTHER));
    takes_over(&machine);
    machine.write(SSHD_CONFIG, &config, 0o644);
    let setting = format!("AuthorizedKeysCommand {OTHER}\nAuthorizedKeysCommandUser nobody\n");
    machine.write("/etc/ssh/sshd_config.d/60-other.conf", &setting, 0o600);
    takes_over(&machine);
    does(&machine, "rm /etc/ssh/sshd_config.d/60-other.conf");
    // What systemd would start sshd with.
    for place in ["/run/systemd/system/ssh.service.d/other.conf", "/usr/local/lib/systemd/system/ssh.service"] {
        let options = format!("-o \"AuthorizedKeysCommand {OTHER} %%u\" -o AuthorizedKeysCommandUser=nobody");
        machine.write(place, format!("[Service]\nExecStart=\nExecStart=/usr/sbin/sshd -D {options}\n"), 0o644);
        takes_over(&machine);
        does(&machine, &format!("rm {place}"));
    }
    // What sshd does not read does not count.
    for place in ["/etc/ssh/teams/a/keys.conf", "/etc/ssh/sshd_config.d/.hidden.conf", "/etc/ssh/sshd_config.d/off"] {
        machine.write(place, &setting, 0o644);
        finds_nothing(&machine);
    }
}

#[test]
fn a_running_sshds_own_options_are_seen() {
    let world = World::new();
    let machine = unwired(&world, Suite::Bookworm);
    does(&machine, &format!("/usr/sbin/sshd -o 'AuthorizedKeysCommand {OTHER}' -oAuthorizedKeysCommandUser=nobody"));
    takes_over(&machine);
    does(&machine, "kill $(cat /run/sshd.pid); while [ -e /run/sshd.pid ]; do sleep 0.05; done");
    finds_nothing(&machine);
}

/// Who calls a program sshd does not thereby stop the wiring, or write to root's terminal.
#[test]
fn a_process_of_somebody_else_does_not_count() {
    let world = World::new();
    let machine = unwired(&world, Suite::Bookworm);
    does(&machine, "cp /bin/sleep /tmp/sshd && chmod 755 /tmp/sshd");
    let impostor = r#"exec -a $'sshd -o AuthorizedKeysCommand=/evil\e]0;owned\a' /tmp/sshd 300 >/dev/null 2>&1"#;
    machine.write("/tmp/impostor", impostor, 0o755);
    does(
        &machine,
        "setpriv --reuid ec2-user --clear-groups bash /tmp/impostor & bash /tmp/impostor & \
         for i in $(seq 100); do [ $(grep -l '^sshd' /proc/[0-9]*/comm 2>/dev/null | wc -l) -ge 2 ] && exit; sleep 0.05; done; exit 1",
    );
    let said = wires(&machine);
    assert!(!said.contains("evil"), "{said}");
}

#[test]
fn no_foreign_text_reaches_the_terminal_as_it_is() {
    let world = World::new();
    let machine = unwired(&world, Suite::Bookworm);
    let evil = format!("{OTHER}\u{1b}]0;owned\u{7}\u{9b}31m {}", "y".repeat(2000));
    let is_printable = |told: &Outcome| {
        assert!(told.said().bytes().all(|byte| byte == b'\n' || (0x20..0x7f).contains(&byte)), "{:?}", told.said());
        assert!(told.said().len() < 2000, "{told}");
    };
    let file = "/etc/ssh/sshd_config.d/x\u{1b}[2J.conf";
    for matched in ["", "Match LocalPort 2222\n"] {
        machine.write(
            file,
            format!("{matched}AuthorizedKeysCommand {evil}\nAuthorizedKeysCommandUser nobody\n"),
            0o600,
        );
        let told = machine.run("iam-ssh wire");
        assert_eq!(told.status.code(), Some(3), "{told}");
        assert!(told.stderr.contains(OTHER) && told.stderr.contains("\\x1b"), "{told}");
        is_printable(&told);
    }
    // What sshd says of its files is somebody else's text as well.
    machine.write(file, "NoSuch\u{1b}]0;owned\u{7}Keyword yes\n", 0o600);
    let told = machine.run("iam-ssh wire");
    assert_eq!(told.status.code(), Some(1), "{told}");
    is_printable(&told);
}

fn match_blocks_of_every_kind_can_be_wired(suite: Suite) {
    let world = World::new();
    let machine = unwired(&world, suite);
    append(
        &machine,
        "Match LocalPort 2222\n X11Forwarding no\nMatch LocalAddress 10.0.0.1\n X11Forwarding no\n\
         Match Address 10.0.0.0/8\n X11Forwarding no\nMatch Host x\n X11Forwarding no\nMatch Group games\n X11Forwarding no",
    );
    wires(&machine);
}

#[test]
fn match_blocks_of_every_kind_can_be_wired_on_bookworm() {
    match_blocks_of_every_kind_can_be_wired(Suite::Bookworm);
}

#[test]
fn match_blocks_of_every_kind_can_be_wired_on_trixie() {
    match_blocks_of_every_kind_can_be_wired(Suite::Trixie);
}

#[test]
fn an_explicit_user_environment_stays_as_it_is() {
    let world = World::new();
    let machine = unwired(&world, Suite::Bookworm);
    let config = machine.read(SSHD_CONFIG).unwrap();
    let effective = || machine.sh("sshd -T -C user=root,host=h,addr=127.0.0.1 | sed -n 's/^permituserenvironment //p'");
    for value in ["no", "yes", "LANG,LC_*"] {
        append(&machine, &format!("PermitUserEnvironment {value}"));
        let said = wires(&machine);
        assert_eq!(effective().trim(), value);
        assert!(!machine.read(DROP_IN).unwrap().contains("PermitUserEnvironment"));
        assert!(said.contains(SSHD_CONFIG) && said.contains("`PermitUserEnvironment SSH_KEY_OWNER` there"), "{said}");
        machine.write(SSHD_CONFIG, &config, 0o644);
    }
    // Whoever takes their setting away gets ours.
    assert!(!wires(&machine).contains("note:"));
    assert_eq!(effective(), "SSH_KEY_OWNER\n");
}

#[test]
fn what_the_drop_in_overrides_is_told() {
    let world = World::new();
    let machine = unwired(&world, Suite::Bookworm);
    append(&machine, "LogLevel DEBUG1\nExposeAuthInfo no");
    let said = wires(&machine);
    assert!(said.contains("overrides LogLevel DEBUG1") && said.contains("overrides ExposeAuthInfo no"), "{said}");
    let effective = machine.sh("sshd -T -C user=root,host=h,addr=127.0.0.1");
    assert!(effective.contains("loglevel VERBOSE\n") && effective.contains("exposeauthinfo yes\n"), "{effective}");
}

#[test]
fn a_drop_in_that_is_not_ours_is_not_replaced() {
    let world = World::new();
    let machine = unwired(&world, Suite::Bookworm);
    let own = "# Ours, says the administrator.\nX11Forwarding no\n";
    machine.write(DROP_IN, own, 0o600);
    holds_back(&machine, 3, &[DROP_IN, "not written by iam-ssh"]);
    let told = machine.run("iam-ssh unwire");
    assert!(told.expect_ok().contains("stays"), "{told}");
    assert_eq!(machine.read(DROP_IN).as_deref(), Some(own));
    does(&machine, &format!("mv {DROP_IN} /etc/ssh/own && ln -s /etc/ssh/own {DROP_IN}"));
    holds_back(&machine, 3, &[DROP_IN, "not written by iam-ssh"]);
    let told = machine.run("dpkg -i /root/iam-ssh.deb 2>&1");
    assert!(told.expect_ok().contains(&format!("{DROP_IN} was not written by iam-ssh")), "{told}");
    machine.purge().expect_ok();
    assert_eq!(machine.read("/etc/ssh/own").as_deref(), Some(own));
}

#[test]
fn a_command_that_came_later_is_asked_after_ours() {
    let world = World::new();
    let machine = unwired(&world, Suite::Bookworm);
    wires(&machine);
    let setting = format!("AuthorizedKeysCommand {OTHER}\nAuthorizedKeysCommandUser nobody\n");
    machine.write("/etc/ssh/sshd_config.d/60-ec2-instance-connect.conf", &setting, 0o600);
    let told = machine.run("dpkg -i /root/iam-ssh.deb 2>&1");
    assert!(told.expect_ok().contains(OTHER) && !told.stdout.contains("does not use it"), "{told}");
    assert!(machine.read(RECORD).unwrap().contains(OTHER));
    // Given way to, it is in charge again.
    machine.run("iam-ssh unwire").expect_ok();
    assert!(machine.sh("sshd -T -C user=root,host=h,addr=127.0.0.1").contains(OTHER));
    assert_eq!(machine.read(RECORD), None);
}

/// One that came later and could not be asked: ours stays in effect, and that is said.
#[test]
fn a_command_that_came_later_and_cannot_be_asked() {
    let world = World::new();
    let machine = unwired(&world, Suite::Bookworm);
    wires(&machine);
    let setting = format!("Match LocalPort 2222\n AuthorizedKeysCommand {OTHER}\n AuthorizedKeysCommandUser nobody\n");
    machine.write("/etc/ssh/sshd_config.d/60-other.conf", &setting, 0o600);
    holds_back(&machine, 3, &[OTHER]);
    let told = machine.run("dpkg -i /root/iam-ssh.deb 2>&1");
    assert!(told.expect_ok().contains("still wired") && !told.stdout.contains("does not use it"), "{told}");
}

/// `--dry-run` shows what would be done and does nothing of it.
#[test]
fn a_dry_run_changes_nothing() {
    let world = World::new();
    let machine = unwired(&world, Suite::Bookworm);
    machine.write(
        "/etc/ssh/sshd_config.d/60-other.conf",
        format!("AuthorizedKeysCommand {OTHER}\nAuthorizedKeysCommandUser nobody\n"),
        0o600,
    );
    let etc = || machine.sh("find /etc -type f -exec sha256sum {} + | sort");
    for verb in ["wire", "unwire"] {
        let before = etc();
        let shown = machine.run(&format!("iam-ssh {verb} --dry-run"));
        let sign = if verb == "wire" { '+' } else { '-' };
        for line in ["Match all", "AuthorizedKeysCommandUser"] {
            let has = |text: &str| text.starts_with(sign) && text.contains(line);
            assert!(shown.expect_ok().lines().any(has), "{line}: {shown}");
        }
        assert!(shown.stdout.contains(DROP_IN) && shown.stdout.contains(RECORD), "{shown}");
        assert_eq!(etc(), before, "{shown}");
        machine.run(&format!("iam-ssh {verb}")).expect_ok();
        assert_ne!(etc(), before, "{verb} would be seen");
    }
}

#[test]
fn an_sshrc_that_is_no_file_stays() {
    let world = World::new();
    let machine = unwired(&world, Suite::Bookworm);
    for make in [
        format!("mkdir {SSHRC}"),
        format!("ln -s /nowhere {SSHRC}"),
        format!("echo true >/etc/ssh/own && ln -s /etc/ssh/own {SSHRC}"),
    ] {
        does(&machine, &make);
        let before = machine.sh(&format!("stat -c '%F %N' {SSHRC}"));
        let said = wires(&machine);
        assert!(said.contains(&format!("{SSHRC} is your own")), "{make}: {said}");
        assert_eq!(machine.sh(&format!("stat -c '%F %N' {SSHRC}")), before);
        machine.run("iam-ssh unwire").expect_ok();
        assert_eq!(machine.read(DROP_IN), None);
        assert_eq!(machine.sh(&format!("stat -c '%F %N' {SSHRC}")), before);
        does(&machine, &format!("rm -d {SSHRC}"));
    }
}

#[test]
fn an_edited_stub_stays() {
    let world = World::new();
    let machine = unwired(&world, Suite::Bookworm);
    wires(&machine);
    let edited = format!("{}echo more >&2\n", machine.read(SSHRC).unwrap());
    machine.write(SSHRC, &edited, 0o644);
    let said = wires(&machine);
    assert!(said.contains(&format!("{SSHRC} was changed")), "{said}");
    let told = machine.run("iam-ssh unwire");
    assert!(told.expect_ok().contains(&format!("{SSHRC} was changed")), "{told}");
    assert_eq!(machine.read(SSHRC).as_deref(), Some(edited.as_str()));
}

#[test]
fn two_at_once_wait_for_each_other() {
    let world = World::new();
    let machine = unwired(&world, Suite::Bookworm);
    let held = "rm -f /run/held; flock /run/iam-ssh-wire.lock sh -c 'touch /run/held; sleep 2' &
        until [ -e /run/held ]; do sleep 0.05; done; iam-ssh";
    for command in ["wire", "unwire"] {
        let told = machine.run(&format!("{held} {command}"));
        told.expect_ok();
        assert!(told.took > Duration::from_millis(1800), "{told}");
    }
    let many = "p=; for i in $(seq 8); do iam-ssh wire & p=\"$p $!\"; done; for i in $p; do wait $i || exit; done";
    machine.run(many).expect_ok();
    assert_eq!(machine.sh("ls /etc/ssh/*.iam-ssh-new /etc/ssh/*/*.iam-ssh-new 2>/dev/null || true"), "");
    assert_eq!(machine.sh("ls /run/iam-ssh-wire* 2>/dev/null || true"), "");
}

#[test]
fn what_sshd_does_not_accept_is_told_in_its_words() {
    let world = World::new();
    let machine = unwired(&world, Suite::Bookworm);
    let config = machine.read(SSHD_CONFIG).unwrap();
    append(&machine, "NoSuchKeyword yes");
    holds_back(&machine, 1, &["NoSuchKeyword"]);
    machine.write(SSHD_CONFIG, &config, 0o644);
    wires(&machine);
    append(&machine, "NoSuchKeyword yes");
    holds_back(&machine, 1, &["NoSuchKeyword"]);
}
