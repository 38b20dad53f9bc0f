//! Installing, removing, and the machines where iam-ssh must hold back: what it does to sshd can always be undone.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use iam_ssh_e2e::lifecycle::UNDER_WAY;
use iam_ssh_e2e::scene::{configuration, publish};
use iam_ssh_e2e::{BootedMachine, DROP_IN, Debian, KeyKind, Machine, SSHRC, Suite, World};

const USERS: &str = r#"principals = ["users/john@example.org"]"#;

/// Every file that decides how people log in: name, owner, mode, content.
fn login_files(debian: &Debian) -> String {
    debian.sh("find /etc/ssh /etc/pam.d /etc/security /var/lib/pam -printf '%p %y %U:%G %m %l\n' | sort; \
        find /etc/ssh /etc/pam.d /etc/security /var/lib/pam -type f -exec sha256sum {} + | sort")
}

fn leaves_nothing(suite: Suite) {
    let world = World::new();
    let machine = Machine::boot(&world, suite);
    let before = login_files(&machine);
    machine.install().expect_ok();
    assert_eq!(machine.sh(&format!("stat -c '%U:%G %a' {DROP_IN}")), "root:root 600\n");
    assert_ne!(login_files(&machine), before);
    machine.configure(&configuration(&world.double().url(), USERS));

    machine.remove().expect_ok();
    assert_eq!(login_files(&machine), before, "after remove");
    assert!(machine.read("/etc/iam-ssh/config.toml").unwrap().contains("john@example.org"), "the configuration stays");
    machine.run("sshd -t").expect_ok();

    machine.install().expect_ok();
    assert!(machine.read(DROP_IN).is_some(), "installed again, wired again");
    machine.purge().expect_ok();
    assert_eq!(login_files(&machine), before, "after purge");
    assert_eq!(machine.sh("ls -d /etc/iam-ssh /var/cache/iam-ssh /usr/libexec/iam-ssh 2>/dev/null || true"), "");
}

#[test]
fn removing_leaves_sshd_as_it_was_on_bookworm() {
    leaves_nothing(Suite::Bookworm);
}

#[test]
fn removing_leaves_sshd_as_it_was_on_trixie() {
    leaves_nothing(Suite::Trixie);
}

#[test]
fn installing_twice_changes_nothing_more() {
    let world = World::new();
    let machine = Machine::boot(&world, Suite::Bookworm);
    machine.install().expect_ok();
    let first = login_files(&machine);
    machine.run("dpkg -i /root/iam-ssh.deb").expect_ok();
    assert_eq!(login_files(&machine), first);
    machine.run("iam-ssh wire").expect_ok();
    assert_eq!(login_files(&machine), first);
}

#[test]
fn the_system_user_owns_nothing_but_the_cache() {
    let world = World::new();
    let machine = Machine::boot(&world, Suite::Bookworm);
    machine.install().expect_ok();
    assert_eq!(machine.sh("id -nG iam-ssh"), "iam-ssh\n");
    assert!(machine.sh("getent passwd iam-ssh").trim().ends_with("nologin"));
    assert_eq!(machine.sh("find / -xdev -user iam-ssh ! -path '/var/cache/iam-ssh*'"), "");
    let writable = "find /etc/iam-ssh /usr/libexec/iam-ssh /usr/bin/iam-ssh ! -type l -perm /022 -o -path '/etc/iam-ssh*' ! -user root";
    assert_eq!(machine.sh(writable), "");
}

#[test]
fn an_sshrc_of_the_administrators_own_is_not_touched() {
    let world = World::new();
    let john = world.key("john@example.org", KeyKind::Ed25519);
    publish(&world, "john@example.org", &john);
    world.imds();
    let machine = Machine::boot(&world, Suite::Bookworm);
    let own = "echo their own >>~/sshrc-ran\n";
    machine.write(SSHRC, own, 0o644);
    let told = machine.install();
    assert!(told.expect_ok().contains(SSHRC) && told.stdout.contains("/usr/libexec/iam-ssh/sshrc"), "{told}");
    assert_eq!(machine.read(SSHRC).as_deref(), Some(own));
    assert!(machine.read(DROP_IN).is_some(), "the lookup is wired all the same");

    machine.configure(&configuration(&world.double().url(), USERS));
    machine.start_sshd();
    machine.login("ec2-user").key(&john).run("true").expect_ok();
    assert_eq!(machine.read("/home/ec2-user/sshrc-ran").as_deref(), Some("their own\n"));
    machine.purge().expect_ok();
    assert_eq!(machine.read(SSHRC).as_deref(), Some(own), "after purge");
}

#[test]
fn another_authorized_keys_command_is_named_and_its_files_stay() {
    let world = World::new();
    let machine = Machine::boot(&world, Suite::Bookworm);
    machine.write("/usr/local/sbin/other-keys", "#!/bin/sh\n", 0o755);
    let setting = "AuthorizedKeysCommand /usr/local/sbin/other-keys\nAuthorizedKeysCommandUser nobody\n";
    machine.write("/etc/ssh/sshd_config.d/50-other.conf", setting, 0o600);
    let theirs = || machine.sh("cd /etc/ssh && sha256sum sshd_config sshd_config.d/50-other.conf");
    let before = theirs();
    let told = machine.install();
    assert!(told.expect_ok().contains("/usr/local/sbin/other-keys"), "it says which command was in charge: {told}");
    assert_eq!(theirs(), before);
    assert!(machine.read(DROP_IN).is_some());
}

#[test]
fn a_broken_sshd_configuration_is_not_made_worse() {
    let world = World::new();
    let machine = Machine::boot(&world, Suite::Bookworm);
    let mut config = machine.read("/etc/ssh/sshd_config").unwrap();
    config.push_str("NoSuchKeyword yes\n");
    machine.write("/etc/ssh/sshd_config", &config, 0o644);
    let before = login_files(&machine);
    let told = machine.install();
    assert!(told.stdout.contains("NoSuchKeyword"), "it says what sshd says: {told}");
    assert_eq!(login_files(&machine), before, "{told}");
    // Mended, it can be wired by hand.
    machine.write("/etc/ssh/sshd_config", config.replace("NoSuchKeyword yes\n", ""), 0o644);
    machine.run("iam-ssh wire").expect_ok();
    assert!(machine.read(DROP_IN).is_some());
}

/// Amazon Linux 2 and RHEL 8 read no drop-ins: there it is a block at the end of sshd_config, after whatever else stands there.
#[test]
fn without_an_include_a_block_in_sshd_config_does() {
    let world = World::new();
    let john = world.key("john@example.org", KeyKind::Ed25519);
    publish(&world, "john@example.org", &john);
    world.imds();
    let machine = Machine::boot(&world, Suite::Bookworm);
    let ends = "printf 'Match User games\\n X11Forwarding no' >>/etc/ssh/sshd_config && chmod 600 /etc/ssh/sshd_config";
    machine.run(&format!("sed -i /^Include/d /etc/ssh/sshd_config && {ends}")).expect_ok();
    let before = login_files(&machine);
    let settings = machine.sh("sshd -T -C user=games,host=h,addr=127.0.0.1");
    let told = machine.install();
    assert!(!told.expect_ok().contains("does not use it"), "{told}");
    machine.configure(&configuration(&world.double().url(), USERS));
    machine.start_sshd();
    machine.login("ec2-user").key(&john).run("true").expect_ok();
    let wired = login_files(&machine);
    machine.run("iam-ssh wire && dpkg -i /root/iam-ssh.deb").expect_ok();
    assert_eq!(login_files(&machine), wired, "once is enough");
    machine.remove().expect_ok();
    assert_eq!(login_files(&machine), before);
    assert_eq!(machine.sh("sshd -T -C user=games,host=h,addr=127.0.0.1"), settings);
}

fn is_reloaded_not_restarted(suite: Suite) {
    let world = World::new();
    let john = world.key("john@example.org", KeyKind::Ed25519);
    publish(&world, "john@example.org", &john);
    world.imds();
    let machine = BootedMachine::boot(&world, suite);
    let pid = "systemctl show -p MainPID --value ssh";
    let before = machine.sh(pid);
    machine.install().expect_ok();
    machine.configure(&configuration(&world.double().url(), USERS));
    machine.wait_for_sshd();
    assert_eq!(machine.sh(pid), before, "reloaded, not restarted");

    let session = machine.login("ec2-user").key(&john).run("echo $SSH_CONNECTION");
    let port = session.expect_ok().split(' ').nth(1).unwrap().to_owned();
    let line = format!("]: Public key owner is john@example.org for connection 127.0.0.1 port {port}\n");
    assert!(machine.journal().contains(&line), "{}", machine.journal());

    machine.purge().expect_ok();
    machine.wait_for_sshd();
    assert_eq!(machine.sh(pid), before, "reloaded again");
    assert!(machine.login("ec2-user").key(&john).run("true").refused());
    assert_eq!(machine.sh("systemctl is-active ssh"), "active\n");
    assert_eq!(machine.sh("systemctl list-units --failed --no-legend --plain | awk '/ssh/'"), "");
}

#[test]
fn a_running_sshd_is_reloaded_on_bookworm() {
    is_reloaded_not_restarted(Suite::Bookworm);
}

#[test]
fn a_running_sshd_is_reloaded_on_trixie() {
    is_reloaded_not_restarted(Suite::Trixie);
}

#[test]
fn the_package_can_be_removed_without_its_program() {
    let world = World::new();
    let machine = BootedMachine::boot(&world, Suite::Bookworm);
    let before = login_files(&machine);
    machine.install().expect_ok();
    machine.run("rm /usr/bin/iam-ssh").expect_ok();
    let told = machine.remove();
    assert_eq!(login_files(&machine), before, "{told}");
    assert!(told.expect_ok().contains(DROP_IN), "{told}");
    assert_eq!((machine.read(DROP_IN), machine.read(SSHRC)), (None, None));
    machine.wait_for_sshd();
    assert!(machine.journal().contains("Reloaded ssh.service"), "{}", machine.journal());
    assert_eq!(machine.sh("systemctl is-active ssh"), "active\n");
}

#[test]
fn a_drop_in_of_somebody_else_outlives_a_package_without_its_program() {
    let world = World::new();
    let machine = Machine::boot(&world, Suite::Bookworm);
    machine.install().expect_ok();
    machine.run("iam-ssh unwire").expect_ok();
    machine.write(DROP_IN, "X11Forwarding no\n", 0o600);
    machine.run("rm /usr/bin/iam-ssh").expect_ok();
    machine.remove().expect_ok();
    assert_eq!(machine.read(DROP_IN).as_deref(), Some("X11Forwarding no\n"));
}

#[test]
fn without_its_program_the_block_goes_and_nothing_else() {
    let world = World::new();
    let machine = Machine::boot(&world, Suite::Bookworm);
    machine.run("sed -i /^Include/d /etc/ssh/sshd_config && printf UseDNS\\ no >>/etc/ssh/sshd_config").expect_ok();
    let before = login_files(&machine);
    machine.install().expect_ok();
    let breaks = "rm /usr/bin/iam-ssh && grep -q '^# Begin of what' /etc/ssh/sshd_config";
    machine.run(breaks).expect_ok();
    // A link, meanwhile.
    machine.run("mv /etc/ssh/sshd_config /etc/main && ln -s /etc/main /etc/ssh/sshd_config").expect_ok();
    machine.remove().expect_ok();
    machine.run("test -L /etc/ssh/sshd_config && mv /etc/main /etc/ssh/sshd_config").expect_ok();
    assert_eq!(login_files(&machine), before);

    // What was written behind it stays, and so does an sshrc that somebody changed.
    machine.install().expect_ok();
    let added = "echo Banner none >>/etc/ssh/sshd_config && echo true >>/etc/ssh/sshrc";
    machine.run(&format!("{breaks} && {added}")).expect_ok();
    let told = machine.remove();
    assert!(told.expect_ok().contains("/etc/ssh/sshrc stays"), "{told}");
    assert!(machine.read("/etc/ssh/sshd_config").unwrap().ends_with("UseDNS no\nBanner none\n"));
    assert!(machine.read(SSHRC).unwrap().ends_with("\ntrue\n"));

    // Half a block.
    machine.install().expect_ok();
    machine.run(&format!("{breaks} && sed -i '/^# End of what/d' /etc/ssh/sshd_config")).expect_ok();
    machine.run("echo X11Forwarding no >>/etc/ssh/sshd_config").expect_ok();
    let half = machine.read("/etc/ssh/sshd_config");
    let told = machine.remove();
    assert!(told.expect_ok().contains("has no end"), "{told}");
    assert_eq!(machine.read("/etc/ssh/sshd_config"), half);
}

#[test]
fn where_sshd_cannot_be_unwired_the_package_stays_and_says_what_to_do() {
    let world = World::new();
    let machine = Machine::boot(&world, Suite::Bookworm);
    machine.install().expect_ok();
    machine.run("mount --bind /etc/ssh /etc/ssh && mount -o remount,bind,ro /etc/ssh").expect_ok();
    let told = machine.remove();
    assert!(!told.ok() && told.stdout.contains("make it writable; then remove iam-ssh again"), "{told}");
    machine.run("test -x /usr/libexec/iam-ssh/authorized-keys && umount /etc/ssh").expect_ok();
    machine.remove().expect_ok();
    assert_eq!(machine.read(DROP_IN), None);
}

#[test]
fn a_person_of_its_users_name_is_left_alone() {
    let world = World::new();
    let machine = Machine::boot(&world, Suite::Bookworm);
    machine.add_user("iam-ssh");
    let told = machine.install();
    assert!(!told.ok() && told.stdout.contains("then run: dpkg --configure iam-ssh"), "{told}");
    assert_eq!(machine.read(DROP_IN), None);
    machine.run("usermod --login someone iam-ssh && groupmod --new-name someone iam-ssh").expect_ok();
    machine.run("dpkg --configure iam-ssh").expect_ok();
    assert!(machine.read(DROP_IN).is_some());
}

#[test]
fn a_lookup_that_is_under_way_ends_before_its_user_goes() {
    let world = World::new();
    let machine = Machine::boot(&world, Suite::Bookworm);
    machine.install().expect_ok();
    machine.run(UNDER_WAY).expect_ok();
    machine.purge().expect_ok();
    assert_eq!(machine.run("getent passwd iam-ssh; getent group iam-ssh").stdout, "");
}

/// What runs at every login is small: no SDK, no TLS, no runtime, nothing to link first.
#[test]
fn the_program_that_sshd_starts_knows_no_network() {
    let world = World::new();
    let machine = Machine::boot(&world, Suite::Bookworm);
    machine.install().expect_ok();
    let holds = |program: &str, word: &str| {
        let content = std::fs::read(machine.path(&format!("/usr/libexec/iam-ssh/{program}"))).unwrap();
        content.windows(word.len()).any(|part| part == word.as_bytes())
    };
    for word in ["rustls", "tokio", "aws_smithy"] {
        assert!(!holds("authorized-keys", word), "{word}");
        assert!(holds("fetch", word), "{word} would be seen");
    }
    for program in ["authorized-keys", "session-audit"] {
        assert!(!holds(program, "/ld-linux"), "dynamically linked");
        assert!(!holds(program, "aws_smithy"), "it knows AWS");
    }
}
