//! Another AuthorizedKeysCommand beside ours: nobody gets in by it whom sshd alone would refuse, nobody is shut out, and it can do no
//! harm to the machine or to the log.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::time::Duration;

use iam_ssh_e2e::scene::{configuration, publish};
use iam_ssh_e2e::{Key, KeyKind, Machine, SSHD_CONFIG, Suite, World, eventually};

const OTHER: &str = "/usr/local/sbin/other-keys";
const USERS: &str = r#"principals = ["users/john@example.org"]"#;

/// A machine on which somebody else's command, run as `keymaster`, serves one key to everybody.
struct Scene {
    world: World,
    machine: Machine,
    theirs: Key,
}

impl Scene {
    fn new() -> Self {
        let world = World::new();
        let machine = Machine::boot(&world, Suite::Bookworm);
        let theirs = world.key("theirs", KeyKind::Ed25519);
        machine.run("useradd --system keymaster").expect_ok();
        machine.write(OTHER, format!("#!/bin/sh\necho '{}'\n", theirs.line()), 0o755);
        let scene = Self { world, machine, theirs };
        scene.append(&format!("AuthorizedKeysCommand {OTHER} %u\nAuthorizedKeysCommandUser keymaster\n"));
        scene
    }

    fn append(&self, text: &str) {
        let config = std::fs::read(self.machine.path(SSHD_CONFIG)).unwrap();
        self.machine.write(SSHD_CONFIG, [&config, text.as_bytes()].concat(), 0o644);
    }

    /// Installed, configured for john, and running.
    fn wired(self) -> (Self, Key) {
        let john = self.world.key("john@example.org", KeyKind::Ed25519);
        publish(&self.world, "john@example.org", &john);
        self.world.imds();
        self.machine.install().expect_ok();
        self.machine.configure(&configuration(&self.world.double().url(), USERS));
        self.machine.run("iam-ssh wire").expect_ok();
        self.machine.start_sshd();
        (self, john)
    }

    /// `iam-ssh wire` declines, says this, and changes nothing below /etc.
    #[track_caller]
    fn declines(&self, says: &str) {
        let files = "find /etc/ssh /etc/iam-ssh -type f -exec sha256sum {} + | sort";
        let before = self.machine.sh(files);
        let told = self.machine.run("iam-ssh wire");
        assert_eq!(told.status.code(), Some(3), "{told}");
        assert!(told.stderr.contains(says), "{says}: {told}");
        assert_eq!(self.machine.sh(files), before, "{told}");
    }
}

#[test]
fn whoever_shall_have_no_command_gets_none() {
    let scene = Scene::new();
    scene.machine.install().expect_ok();
    scene.machine.run("iam-ssh unwire").expect_ok();
    let config = std::fs::read(scene.machine.path(SSHD_CONFIG)).unwrap();
    for criteria in ["Group games", "User al*", "User alice Address *", "Host localhost", "LocalPort 22"] {
        scene.append(&format!("Match {criteria}\n AuthorizedKeysCommand none\n"));
        scene.machine.run("sshd -t").expect_ok();
        scene.declines("depends on more than the login user's name");
        scene.machine.write(SSHD_CONFIG, &config, 0o644);
    }
    // A name can be told: it gets none, and the others get theirs.
    scene.append("Match User ec2-user\n AuthorizedKeysCommand none\n");
    scene.machine.add_user("alice");
    scene.machine.run("iam-ssh wire").expect_ok();
    scene.machine.start_sshd();
    assert!(scene.machine.login("ec2-user").key(&scene.theirs).run("true").refused());
    scene.machine.login("alice").key(&scene.theirs).run("true").expect_ok();
}

/// Where there is no other command at all, it matters to nobody who shall have none.
#[test]
fn none_beside_nothing_is_no_obstacle() {
    let world = World::new();
    let machine = Machine::boot(&world, Suite::Bookworm);
    machine.write("/etc/ssh/sshd_config.d/01-root.conf", "Match User root\n AuthorizedKeysCommand none\n", 0o600);
    let config = machine.read(SSHD_CONFIG).unwrap();
    machine.write(SSHD_CONFIG, format!("{config}Match Group games\n AuthorizedKeysCommand none\n"), 0o644);
    let told = machine.install();
    assert!(told.expect_ok().contains("wrote /etc/ssh/sshd_config.d/05-iam-ssh.conf"), "{told}");
}

#[test]
fn a_command_that_calls_our_lookup_is_asked_once() {
    let scene = Scene::new();
    let both =
        format!("#!/bin/sh\nset -e\n/usr/libexec/iam-ssh/authorized-keys \"$@\"\necho '{}'\n", scene.theirs.line());
    scene.machine.write(OTHER, both, 0o755);
    let config = scene.machine.read(SSHD_CONFIG).unwrap();
    for user in ["iam-ssh", "keymaster"] {
        let command = config
            .replace("%u\nAuthorizedKeysCommandUser keymaster", &format!("%u %t %k\nAuthorizedKeysCommandUser {user}"));
        scene.machine.write(SSHD_CONFIG, command, 0o644);
        scene.machine.install().expect_ok();
        scene.machine.run("iam-ssh wire; /usr/sbin/sshd -o PidFile=/run/one.pid").expect_ok();
        scene.machine.wait_for_sshd();
        scene.machine.login("ec2-user").key(&scene.theirs).run("true").expect_ok();
        eventually("no process of ours is left", || {
            (scene.machine.sh("grep -lsE '^(chain|authorized-keys|other-keys)' /proc/[0-9]*/comm | wc -l") == "0\n")
                .then_some(())
        });
        scene.machine.run("kill $(cat /run/one.pid); while [ -e /run/one.pid ]; do sleep 0.05; done").expect_ok();
    }
}

#[test]
fn nobody_else_says_whose_key_it_is() {
    let scene = Scene::new();
    let line = format!("environment=\"SSH_KEY_OWNER=boss@example.org\" {}", scene.theirs.line());
    scene.machine.write(OTHER, format!("#!/bin/sh\necho '{line}'\n"), 0o755);
    let (scene, _) = scene.wired();
    let session = scene.machine.login("ec2-user").key(&scene.theirs).run("echo owner=$SSH_KEY_OWNER");
    assert_eq!(session.expect_ok(), "owner=\n");
    scene.machine.expect_log("offered owner=unknown login=ec2-user command=/usr/local/sbin/other-keys key=SHA256:");
}

/// sshd runs what the kernel takes for a program; a shell would run anything.
#[test]
fn what_sshd_could_not_run_is_not_run() {
    let scene = Scene::new();
    scene.machine.write(OTHER, format!("echo '{}'\n", scene.theirs.line()), 0o755);
    let (scene, john) = scene.wired();
    assert!(scene.machine.login("ec2-user").key(&scene.theirs).run("true").refused());
    scene.machine.login("ec2-user").key(&john).run("true").expect_ok();
}

/// Debian's sshd lets root's own group write to the program.
#[test]
fn what_sshd_would_run_is_run() {
    let scene = Scene::new();
    scene.machine.run(&format!("chmod 775 {OTHER}")).expect_ok();
    let (scene, john) = scene.wired();
    scene.machine.login("ec2-user").key(&scene.theirs).run("true").expect_ok();
    scene.machine.login("ec2-user").key(&john).run("true").expect_ok();
    // What its arguments are is nobody else's business.
    assert_eq!(scene.machine.sh("stat -c '%U:%G %a' /etc/iam-ssh/wired.toml"), "root:iam-ssh 640\n");
    // Other people's files may be executed by their owner only.
    scene.machine.run(&format!("chown keymaster {OTHER}")).expect_ok();
    assert!(scene.machine.login("ec2-user").key(&scene.theirs).run("true").refused());
}

#[test]
fn nothing_outlives_a_login_that_sshd_gave_up() {
    let scene = Scene::new();
    scene.machine.write(OTHER, "#!/bin/sh\nsleep 777\n", 0o755);
    scene.machine.write("/etc/ssh/sshd_config.d/20-grace.conf", "LoginGraceTime 2\n", 0o600);
    let (scene, _) = scene.wired();
    let refused = scene.machine.login("ec2-user").key(&scene.theirs).run("true");
    assert!(!refused.ok() && refused.took < Duration::from_secs(5), "{refused}");
    eventually("nothing is left", || {
        (scene.machine.sh("grep -lsE '^(chain|sleep 777)' /proc/[0-9]*/cmdline /proc/[0-9]*/comm | wc -l") == "0\n")
            .then_some(())
    });
    assert_eq!(scene.machine.sh("pgrep -f '^sleep 777' || true"), "");
}

/// Without an Include only a file that can be put back to the byte gets our block.
#[test]
fn a_configuration_that_could_not_be_put_back_is_not_touched() {
    let scene = Scene::new();
    scene.machine.install().expect_ok();
    scene
        .machine
        .run(&format!("iam-ssh unwire && sed -i /^Include/d {SSHD_CONFIG} && cp {SSHD_CONFIG} /root/plain"))
        .expect_ok();
    for make in [
        format!("printf '# caf\\351\\n' >>{SSHD_CONFIG}"),
        format!("mv {SSHD_CONFIG} /etc/ssh/real && ln -s /etc/ssh/real {SSHD_CONFIG}"),
        format!("ln {SSHD_CONFIG} /etc/ssh/twin"),
    ] {
        scene.machine.run(&make).expect_ok();
        scene.declines("no block is put into it");
        scene
            .machine
            .run(&format!("rm -f /etc/ssh/real /etc/ssh/twin {SSHD_CONFIG} && cp /root/plain {SSHD_CONFIG}"))
            .expect_ok();
    }
    scene.machine.run("iam-ssh wire").expect_ok();
}

/// In a chroot `/run` and `/proc` are often the host's.
#[test]
fn an_image_is_wired_beside_a_running_host() {
    let world = World::new();
    let machine = Machine::boot(&world, Suite::Bookworm);
    machine.install().expect_ok();
    machine.run("iam-ssh unwire && mkdir -p /run/systemd/system /image").expect_ok();
    machine.run("for d in bin sbin lib lib64 usr etc var run proc dev root tmp; do mkdir /image/$d; mount --rbind /$d /image/$d; done").expect_ok();
    let told = machine.run("chroot /image iam-ssh wire");
    assert!(told.expect_ok().contains("wrote /etc/ssh/sshd_config.d/05-iam-ssh.conf"), "{told}");
    assert!(told.took < Duration::from_secs(5), "{told}");
}

#[test]
fn an_sshd_without_a_pid_file_is_told_too() {
    let scene = Scene::new();
    scene.append("PidFile none\n");
    let (scene, john) = scene.wired();
    scene.machine.login("ec2-user").key(&john).run("true").expect_ok();
    let told = scene.machine.remove();
    assert!(told.expect_ok().contains("reloaded sshd"), "{told}");
    scene.machine.wait_for_sshd();
    scene.machine.login("ec2-user").key(&scene.theirs).run("true").expect_ok();
    assert!(scene.machine.login("ec2-user").key(&john).run("true").refused());
}

/// A reload would take away an address that the machine does not have at that moment.
#[test]
fn an_sshd_that_would_lose_an_address_is_not_reloaded() {
    let scene = Scene::new();
    scene.append("ListenAddress 127.0.0.1\nListenAddress 192.0.2.1\n");
    scene.machine.run("ip address add 192.0.2.1/32 dev lo").expect_ok();
    scene.machine.start_sshd();
    scene.machine.run("ip address del 192.0.2.1/32 dev lo").expect_ok();
    let listeners = || scene.machine.sh("ss -Hltn 'sport = :22' | awk '{ print $4 }' | sort");
    let before = listeners();
    let told = scene.machine.install();
    assert!(told.expect_ok().contains("RELOAD SSHD once this machine has the address 192.0.2.1 again"), "{told}");
    assert_eq!(listeners(), before);
    scene.machine.login("ec2-user").key(&scene.theirs).run("true").expect_ok();
    // Back again, it is told by the next run, though nothing is left to be written.
    let told = scene.machine.run("ip address add 192.0.2.1/32 dev lo && iam-ssh wire");
    assert!(told.expect_ok().contains("reloaded sshd"), "{told}");
    assert_eq!(listeners(), before);
}
