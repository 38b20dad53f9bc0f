//! A Debian machine booted with the real systemd, by systemd-nspawn, in the world's network.
//!
//! It needs cgroups of its own, the one thing outside the world's namespaces. A watcher in a session of its own removes them as soon
//! as the test is over, also when the test was killed: it waits for the end of a pipe that only this process holds.

use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::debian::{Debian, overlay};
use crate::inputs::Suite;
use crate::process::{Daemon, children, command, text, unlinked};
use crate::wait::wait_for;
use crate::world::World;

const BOOT: Duration = Duration::from_secs(90);

/// A booted machine; it is powered off with this value.
#[derive(Debug)]
pub struct BootedMachine {
    debian: Debian,
    leader: u32,
    nspawn: Daemon,
    // The last to go: it removes the cgroups.
    _cgroups: Cgroups,
}

impl BootedMachine {
    /// Boots a fresh machine with the user `ec2-user`, sshd running, nothing installed.
    ///
    /// # Panics
    /// When systemd does not come up.
    #[must_use]
    pub fn boot(world: &World, suite: Suite) -> Self {
        let machine = Self::boot_image(world, &overlay(suite, &world.machine_dir()));
        machine.add_user("ec2-user");
        machine.wait_for_sshd();
        machine
    }

    /// Boots what a [`Machine`](crate::Machine) left, and waits until all that starts at boot has.
    ///
    /// # Panics
    /// When systemd does not come up.
    #[must_use]
    pub fn boot_image(world: &World, root: &Path) -> Self {
        let name = format!("iam-ssh-e2e-{}", std::process::id());
        let cgroups = Cgroups::make(&name);
        let console = unlinked();
        let mut shell = command("/bin/sh");
        shell.args([
            "-c",
            r#"for group in $1; do echo $$ >"$group/cgroup.procs"; done; shift; exec "$@""#,
            "sh",
            &cgroups.list(),
        ]);
        shell.args([
            "systemd-nspawn",
            "-q",
            "-b",
            "--register=no",
            "--keep-unit",
            "--console=read-only",
            "-M",
            &name,
            "-D",
        ]);
        let mut nspawn = Daemon::start(shell.arg(root).env("SYSTEMD_NSPAWN_UNIFIED_HIERARCHY", "1"), &console);
        let leader = wait_for(BOOT, || {
            assert!(nspawn.ended().is_none(), "systemd-nspawn ended: {}", text(&console));
            leader_of(nspawn.id()).filter(|leader| is_up(*leader))
        });
        let leader = leader.unwrap_or_else(|| panic!("systemd is not up after {BOOT:?}: {}", text(&console)));
        let enter = ["nsenter", "-t", &leader.to_string(), "-m", "-u", "-i", "-p", "-C", "--"].map(str::to_owned);
        let debian = Debian::new(world.scratch(), root, enter.into());
        Self { debian, leader, nspawn, _cgroups: cgroups }
    }

    /// The journal since boot, one line a message.
    #[must_use]
    pub fn journal(&self) -> String {
        self.sh("journalctl --sync; journalctl --no-pager -o short")
    }
}

impl Deref for BootedMachine {
    type Target = Debian;

    fn deref(&self) -> &Debian {
        &self.debian
    }
}

impl Drop for BootedMachine {
    fn drop(&mut self) {
        // SIGRTMIN+4 asks systemd to power off. Real-time signals have no name in nix; the kill command knows them.
        let _ = Command::new("kill").args(["-s", "RTMIN+4", &self.leader.to_string()]).stderr(Stdio::null()).status();
        if wait_for(Duration::from_secs(10), || self.nspawn.ended()).is_none() {
            let _ = kill(Pid::from_raw(i32::try_from(self.leader).unwrap()), Signal::SIGKILL);
        }
    }
}

/// systemd as seen from here: the descendant of nspawn that is number 1 in its own process namespace.
fn leader_of(nspawn: u32) -> Option<u32> {
    let near = children(nspawn);
    let far = near.iter().flat_map(|child| children(*child));
    near.iter().copied().chain(far).find(|pid| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let inner = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
        inner.is_some_and(|pids| pids.split_whitespace().nth(1) == Some("1"))
    })
}

fn is_up(leader: u32) -> bool {
    let mut ask = command("nsenter");
    ask.args(["-t", &leader.to_string(), "-m", "-u", "-i", "-p", "-C", "--", "/bin/systemctl", "is-system-running"]);
    let state = crate::process::run(&mut ask, b"");
    matches!(state.stdout.trim(), "running" | "degraded")
}

/// The cgroups that the booted systemd lives in, apart from this machine's own.
#[derive(Debug)]
struct Cgroups {
    groups: Vec<PathBuf>,
    watcher: Child,
}

impl Cgroups {
    fn make(name: &str) -> Self {
        let base = Path::new("/sys/fs/cgroup");
        // One unified tree, or version 1 with a unified tree beside it.
        let trees = if base.join("cgroup.controllers").exists() {
            vec![base.to_owned()]
        } else {
            ["systemd", "unified"].map(|tree| base.join(tree)).into_iter().filter(|tree| tree.exists()).collect()
        };
        let groups: Vec<PathBuf> = trees.iter().map(|tree| tree.join(name)).collect();
        for group in &groups {
            std::fs::create_dir_all(group).expect("a cgroup");
        }
        // The end of standard input is the end of the test. A systemd whose nspawn was killed lives on, so it is killed here.
        let script = r#"read -r _
            for group; do [ ! -e "$group/cgroup.kill" ] || echo 1 >"$group/cgroup.kill"; done
            n=0; for group; do while [ -d "$group" ] && [ $n -lt 200 ]; do
                find "$group" -depth -type d -exec rmdir {} + ; [ ! -d "$group" ] || sleep 0.05; n=$((n+1)); done; done"#;
        let mut watcher = Command::new("setsid");
        watcher.args(["/bin/sh", "-c", script, "sh"]).args(&groups);
        let watcher =
            watcher.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("a watcher");
        Self { groups, watcher }
    }

    fn list(&self) -> String {
        let groups: Vec<_> = self.groups.iter().map(|group| group.to_string_lossy()).collect();
        groups.join(" ")
    }
}

impl Drop for Cgroups {
    fn drop(&mut self) {
        drop(self.watcher.stdin.take());
        let _ = self.watcher.wait();
    }
}
