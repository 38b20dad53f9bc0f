//! The package's whole life in every Debian that it supports: installed, upgraded, downgraded, removed, purged, with real logins between;
//! and then nothing is left of it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use iam_ssh_e2e::lifecycle::{Files, KEEP_EDITED, Session, logins_during, repacked, ssh_files, sshd_settings};
use iam_ssh_e2e::scene::{configuration, publish};
use iam_ssh_e2e::{
    BootedMachine, DROP_IN, Debian, Key, KeyKind, Machine, Outcome, Suite, World, command, deb, eventually, run,
};

const CONFIG: &str = "/etc/iam-ssh/config.toml";
const USERS: &str = r#"principals = ["users/john@example.org"]"#;
const TIMER: &str = "iam-ssh-refresh.timer";

/// Copies of the account files and their lock, which adduser's tools leave whatever they do.
const ACCOUNT_BACKUPS: [&str; 5] = ["/etc/passwd-", "/etc/group-", "/etc/shadow-", "/etc/gshadow-", "/etc/.pwd.lock"];
const ACCOUNTS: [&str; 4] = ["/etc/passwd", "/etc/group", "/etc/shadow", "/etc/gshadow"];

/// What changes on any system in which packages come and go and people log in: dpkg's and apt's own records, logs, what systemd and PAM
/// note of services, timers and sessions, the copies that a timer makes at midnight, processes and temporary files; and the test's own
/// package.
fn is_the_systems_own(path: &str) -> bool {
    let below = [
        "/var/lib/dpkg",
        "/var/lib/apt",
        "/var/cache/apt",
        "/var/cache/debconf",
        "/var/log",
        "/var/lib/systemd/timesync",
    ];
    let running =
        ["/run/", "/tmp/", "/var/tmp/", "/dev/", "/proc/", "/sys/", "/var/backups/", "/var/lib/systemd/timers"];
    below.iter().any(|folder| path.starts_with(folder))
        || running.iter().any(|folder| path.starts_with(folder) && !path.contains("iam-ssh"))
        || ACCOUNT_BACKUPS.contains(&path)
        || path == "/root/iam-ssh.deb"
}

/// Conffiles stay until the package is purged (Debian Policy 10.7.3), and so does the user who may own files.
fn stays_until_purged(path: &str) -> bool {
    path.starts_with("/etc/iam-ssh") || ACCOUNTS.contains(&path)
}

fn whole(debian: &Debian) -> Files {
    Files::listed(debian, "/ /run").without(is_the_systems_own)
}

fn etc(debian: &Debian) -> Files {
    Files::read(debian, "/etc /var/lib/pam").without(|path| ACCOUNT_BACKUPS.contains(&path))
}

/// The account files without our user.
fn accounts(debian: &Debian) -> String {
    debian.sh(&format!("for file in {}; do grep -v '^iam-ssh:' $file; done", ACCOUNTS.join(" ")))
}

fn wiring(debian: &Debian) -> String {
    debian.sh(&format!("stat -c '%n %i %y %a %U' {DROP_IN} /etc/ssh/sshrc"))
}

fn timer(debian: &Debian) -> String {
    debian.run(&format!("systemctl is-enabled {TIMER}; systemctl is-active {TIMER}")).stdout
}

/// An earlier version, whose configuration file had another default.
fn previous(world: &World) -> PathBuf {
    repacked(world, "0.0.1-1", |tree| append(&tree.join("etc/iam-ssh/config.toml"), "# An earlier default.\n"))
}

fn append(path: &Path, text: &str) {
    let old = std::fs::read_to_string(path).unwrap();
    std::fs::write(path, old + text).unwrap();
}

struct Life<'a> {
    world: &'a World,
    debian: &'a Debian,
    john: Key,
    local: Key,
    /// Makes sshd read a changed configuration where nothing but the package does so, and waits until it has.
    sshd_reads: &'a dyn Fn(),
}

impl<'a> Life<'a> {
    fn new(world: &'a World, debian: &'a Debian, sshd_reads: &'a dyn Fn()) -> Self {
        world.imds();
        let [john, local] = ["john@example.org", "local"].map(|name| world.key(name, KeyKind::Ed25519));
        publish(world, "john@example.org", &john);
        debian.authorize("ec2-user", local.line());
        Self { world, debian, john, local, sshd_reads }
    }

    #[track_caller]
    fn is_installed(&self, deb: &Path, told: &Outcome) {
        let version = self.debian.sh("dpkg-query -W -f '${Version} ${db:Status-Status}' iam-ssh");
        let wanted = run(command("dpkg-deb").arg("-f").arg(deb).arg("Version"), b"");
        assert_eq!(version, format!("{} installed", wanted.expect_ok().trim()), "{told}");
        told.expect_ok();
    }

    #[track_caller]
    fn apt_installs(&self, deb: &Path, options: &str) {
        self.is_installed(deb, &self.debian.install_deb(deb, options));
    }

    #[track_caller]
    fn dpkg_installs(&self, deb: &Path) {
        self.is_installed(deb, &self.debian.dpkg_install(deb));
    }

    #[track_caller]
    fn john_logs_in(&self) {
        let session = self.debian.login("ec2-user").key(&self.john).run("echo $SSH_KEY_OWNER");
        assert_eq!(session.expect_ok(), "john@example.org\n");
    }

    #[track_caller]
    fn only_local_keys_log_in(&self) {
        self.debian.login("ec2-user").key(&self.local).run("true").expect_ok();
        let refused = self.debian.login("ec2-user").key(&self.john).run("true");
        assert!(refused.refused(), "{refused}");
    }

    /// From a system that never saw the package to one that does not remember it.
    fn runs(&self) {
        let Self { debian, sshd_reads, .. } = self;
        self.only_local_keys_log_in();
        let before = (whole(debian), etc(debian), accounts(debian), sshd_settings(debian));
        let mut early = Session::open(&debian.login("ec2-user").key(&self.local));

        let previous = previous(self.world);
        self.apt_installs(&previous, "");
        sshd_reads();
        let edited = configuration(&self.world.double().url(), USERS);
        debian.configure(&edited);
        self.john_logs_in();
        let mut late = Session::open(&debian.login("ec2-user").key(&self.john));

        // sshd knows what to call; nothing has to be written for another version of it.
        let wired = wiring(debian);
        let shipped =
            debian.sh("dpkg-deb --fsys-tarfile /root/iam-ssh.deb | tar -xO ./etc/iam-ssh/config.toml | tail -n 1");
        assert_eq!(shipped, "# An earlier default.\n");
        // Upgraded; the same again; back to the version before; forward again.
        self.apt_installs(&deb(), KEEP_EDITED);
        self.john_logs_in();
        for next in [&deb(), &previous, &deb()] {
            self.dpkg_installs(next);
            assert_eq!(wiring(debian), wired);
            assert_eq!(debian.read(CONFIG).as_deref(), Some(edited.as_str()), "the administrator's own is kept");
        }
        self.john_logs_in();
        let offered = debian.read(&format!("{CONFIG}.dpkg-dist")).expect("the changed default, beside it");
        assert!(offered.contains("# [login.ec2-user]") && !offered.contains("# An earlier default."), "{offered}");

        debian.remove().expect_ok();
        sshd_reads();
        let left = etc(debian).without(stays_until_purged).since(&before.1.clone().without(stays_until_purged));
        assert_eq!(left, [""; 0], "in /etc after remove");
        assert_eq!((accounts(debian), sshd_settings(debian)), (before.2.clone(), before.3.clone()), "after remove");
        assert_eq!(debian.read(CONFIG).as_deref(), Some(edited.as_str()), "it is theirs");
        self.only_local_keys_log_in();

        // Again, as if it had never been away; and then for good.
        self.dpkg_installs(&deb());
        sshd_reads();
        self.john_logs_in();
        debian.purge().expect_ok();
        sshd_reads();
        assert_eq!(etc(debian).since(&before.1), [""; 0], "in /etc after purge");
        assert_eq!((accounts(debian), sshd_settings(debian)), (before.2, before.3), "after purge");
        assert_eq!(whole(debian).since(&before.0), [""; 0], "anywhere after purge");
        assert_eq!(debian.run("getent passwd iam-ssh; getent group iam-ssh").stdout, "");
        self.only_local_keys_log_in();
        early.expect_open();
        late.expect_open();
    }
}

fn a_life_with_systemd(suite: Suite) {
    let world = World::new();
    let machine = BootedMachine::boot(&world, suite);
    let pid = || machine.sh("systemctl show -p MainPID --value ssh");
    let before = pid();
    Life::new(&world, &machine, &|| machine.wait_for_sshd()).runs();
    assert_eq!(pid(), before, "reloaded, never restarted");
    let journal = machine.journal();
    // Installed, removed, installed, purged; none of the upgrades between.
    let reloads = journal.lines().filter(|line| line.contains("Received SIGHUP; restarting.")).count();
    assert_eq!(reloads, 4, "{journal}");
    assert_eq!(machine.sh("systemctl list-units --failed --no-legend --plain | grep -E 'ssh|iam' || true"), "");
}

#[test]
fn a_life_on_bullseye() {
    a_life_with_systemd(Suite::Bullseye);
}

#[test]
fn a_life_on_bookworm() {
    a_life_with_systemd(Suite::Bookworm);
}

#[test]
fn a_life_on_trixie() {
    a_life_with_systemd(Suite::Trixie);
}

#[test]
fn a_life_on_forky() {
    a_life_with_systemd(Suite::Forky);
}

#[test]
fn a_life_without_systemd() {
    let world = World::new();
    let machine = Machine::boot(&world, Suite::Trixie);
    machine.start_sshd();
    Life::new(&world, &machine, &|| machine.reload_sshd()).runs();
}

/// Whoever logs in at any moment of an upgrade gets in.
#[test]
fn logins_go_on_while_upgrades_run() {
    let world = World::new();
    let machine = BootedMachine::boot(&world, Suite::Bookworm);
    let life = Life::new(&world, &machine, &|| ());
    life.dpkg_installs(&deb());
    machine.configure(&configuration(&world.double().url(), USERS));
    machine.wait_for_sshd();
    life.john_logs_in();
    let versions: Vec<PathBuf> = (1..=5).map(|n| repacked(&world, &format!("99.{n}-1"), |_| ())).collect();
    let outcomes = logins_during(&machine.login("ec2-user").key(&life.john), |logins| {
        for version in &versions {
            let before = logins.load(Ordering::SeqCst);
            life.apt_installs(version, "");
            // One was under way when it began or began during it, and one came after.
            eventually("a login after the upgrade", || (logins.load(Ordering::SeqCst) > before + 1).then_some(()));
        }
    });
    let failed: Vec<_> = outcomes.iter().filter(|outcome| !outcome.ok()).map(ToString::to_string).collect();
    assert!(failed.is_empty(), "{} of {}: {failed:#?}", failed.len(), outcomes.len());
}

/// Programs that cannot be run lock nobody out, and the package can be mended and removed all the same.
#[test]
fn broken_programs_are_mended_by_an_upgrade() {
    let world = World::new();
    let machine = Machine::boot(&world, Suite::Bookworm);
    machine.start_sshd();
    let reload = || machine.reload_sshd();
    let life = Life::new(&world, &machine, &reload);
    let before = ssh_files(&machine);
    let broken = repacked(&world, "0.0.2-1", |tree| {
        for program in ["usr/bin/iam-ssh", "usr/libexec/iam-ssh/authorized-keys", "usr/libexec/iam-ssh/fetch"] {
            std::fs::write(tree.join(program), "\x7fELF and no more\n").unwrap();
        }
    });
    life.dpkg_installs(&broken);
    assert_eq!(ssh_files(&machine).since(&before), [""; 0], "what cannot be run wires nothing");
    life.only_local_keys_log_in();

    life.dpkg_installs(&deb());
    machine.reload_sshd();
    machine.configure(&configuration(&world.double().url(), USERS));
    life.john_logs_in();
    // A downgrade to them leaves the wiring, which then finds nothing.
    life.dpkg_installs(&broken);
    life.only_local_keys_log_in();
    life.dpkg_installs(&deb());
    life.john_logs_in();

    life.dpkg_installs(&broken);
    machine.purge().expect_ok();
    assert!(!machine.sh("sshd -T").contains("/usr/libexec/iam-ssh"));
    machine.reload_sshd();
    life.only_local_keys_log_in();
}

fn the_timer_stays_as_it_was(suite: Suite) {
    let world = World::new();
    let machine = BootedMachine::boot(&world, suite);
    let life = Life::new(&world, &machine, &|| ());
    let previous = previous(&world);
    life.dpkg_installs(&previous);
    assert_eq!(timer(&machine), "disabled\ninactive\n");
    life.dpkg_installs(&deb());
    assert_eq!(timer(&machine), "disabled\ninactive\n", "an upgrade enables nothing");
    machine.run(&format!("systemctl enable --now {TIMER}")).expect_ok();
    for next in [&previous, &deb(), &deb()] {
        life.dpkg_installs(next);
        assert_eq!(timer(&machine), "enabled\nactive\n", "after {}", next.display());
    }
    // Deconfigured, as dpkg does where what it needs is to go, and that stays after all.
    let scripts = "/var/lib/dpkg/info/iam-ssh";
    machine.run(&format!("{scripts}.prerm deconfigure in-favour x 1 && ! systemctl -q is-active {TIMER}")).expect_ok();
    machine.run(&format!("{scripts}.postinst abort-deconfigure in-favour x 1")).expect_ok();
    assert_eq!(timer(&machine), "enabled\nactive\n", "after it was deconfigured");
    machine.run(&format!("systemctl disable --now {TIMER}")).expect_ok();
    life.dpkg_installs(&previous);
    assert_eq!(timer(&machine), "disabled\ninactive\n");
    // Removed, it leaves no link; so it is off when it comes back.
    machine.run(&format!("systemctl enable --now {TIMER}")).expect_ok();
    machine.remove().expect_ok();
    assert_eq!(machine.sh(&format!("find /etc/systemd -name {TIMER}; systemctl list-units --no-legend '{TIMER}'")), "");
    life.dpkg_installs(&previous);
    assert_eq!(timer(&machine), "disabled\ninactive\n");
}

#[test]
fn the_timer_stays_as_it_was_on_bullseye() {
    the_timer_stays_as_it_was(Suite::Bullseye);
}

#[test]
fn the_timer_stays_as_it_was_on_trixie() {
    the_timer_stays_as_it_was(Suite::Trixie);
}
