//! A Debian machine without an init system: a root file system, a process namespace, sshd, and the test at its /dev/log.
//!
//! It is up in a few milliseconds and has what a login needs; what needs systemd is tested with a `BootedMachine`.

use std::ops::Deref;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::stat::{Mode, SFlag, makedev, mknod};

use crate::debian::{Debian, overlay};
use crate::inputs::Suite;
use crate::process::{Daemon, children, command, text, unlinked};
use crate::recorder::{LogLine, Recorder, clogged_log_socket};
use crate::wait::eventually;
use crate::world::World;

const BOUND: Duration = Duration::from_secs(10);

/// A running machine; its processes end with this value.
#[derive(Debug)]
pub struct Machine {
    debian: Debian,
    recorder: Recorder,
    _init: Daemon,
}

impl Machine {
    /// A fresh machine with the user `ec2-user`, nothing installed, sshd not running.
    ///
    /// # Panics
    /// When the kernel refuses one of the mounts, or the rig is not prepared.
    #[must_use]
    pub fn boot(world: &World, suite: Suite) -> Self {
        let root = overlay(suite, &world.machine_dir());
        populate(&root);
        let recorder = Recorder::listen(&root.join("dev"));
        let (init, pid) = start_init(&root);
        let enter =
            ["nsenter", "-t", &pid.to_string(), "-p", "--", "chroot", &root.to_string_lossy()].map(str::to_owned);
        let machine = Self { debian: Debian::new(world.scratch(), &root, enter.into()), recorder, _init: init };
        machine.add_user("ec2-user");
        machine
    }

    /// Ends it, as the making of an image ends, and leaves its file system: for [`BootedMachine::boot_image`](crate::BootedMachine).
    ///
    /// # Panics
    /// When something of it goes on.
    #[must_use]
    pub fn into_image(self) -> PathBuf {
        let root = self.root().to_owned();
        drop(self);
        // At once, whoever is still about to let go of them.
        for below in ["proc", "sys", "dev/pts", "dev/shm", "dev", "run"] {
            umount2(&root.join(below), MntFlags::MNT_DETACH).unwrap_or_else(|error| panic!("{below}: {error}"));
        }
        root
    }

    /// Starts sshd on port 22 of the world and waits until it greets.
    pub fn start_sshd(&self) {
        self.run("/usr/sbin/sshd").expect_ok();
        self.wait_for_sshd();
    }

    /// Makes sshd read its configuration again.
    pub fn reload_sshd(&self) {
        let before = self.logs().len();
        self.run("kill -HUP $(cat /run/sshd.pid)").expect_ok();
        self.wait_log_from(before, |line| line.message.starts_with("Server listening on")).expect("sshd listens again");
        self.wait_for_sshd();
    }

    /// Everything that reached /dev/log so far.
    #[must_use]
    pub fn logs(&self) -> Vec<LogLine> {
        self.recorder.lines()
    }

    /// A log line that `wanted` means, waiting up to ten seconds for it.
    #[must_use]
    pub fn wait_log(&self, wanted: impl Fn(&LogLine) -> bool) -> Option<LogLine> {
        self.wait_log_from(0, wanted)
    }

    /// The same among the lines from number `from` on.
    #[must_use]
    pub fn wait_log_from(&self, from: usize, wanted: impl Fn(&LogLine) -> bool) -> Option<LogLine> {
        self.recorder.wait(from, BOUND, wanted)
    }

    /// A log line with this text in its message.
    ///
    /// # Panics
    /// When it does not come; then every line is shown.
    #[track_caller]
    pub fn expect_log(&self, text: &str) -> LogLine {
        self.wait_log(|line| line.message.contains(text))
            .unwrap_or_else(|| panic!("no log line says {text:?}:\n{}", self.log_text()))
    }

    /// Replaces /dev/log by a socket that nobody reads and that is full, for as long as the answer is kept.
    ///
    /// # Panics
    /// When it cannot be made.
    #[must_use]
    pub fn clog_the_log(&self) -> UnixDatagram {
        self.remove_the_log();
        clogged_log_socket(&self.path("/dev"))
    }

    /// Takes /dev/log away.
    pub fn remove_the_log(&self) {
        std::fs::remove_file(self.path("/dev/log")).unwrap();
    }

    /// All log lines, for messages.
    #[must_use]
    pub fn log_text(&self) -> String {
        self.logs().iter().map(|line| format!("{}\n", line.raw)).collect()
    }
}

impl Deref for Machine {
    type Target = Debian;

    fn deref(&self) -> &Debian {
        &self.debian
    }
}

/// What an init system would have mounted and made.
fn populate(root: &Path) {
    let mounted = |kind: &str, below: &str, flags: MsFlags, options: &str| {
        let target = root.join(below);
        std::fs::create_dir_all(&target).unwrap();
        mount(Some(kind), &target, Some(kind), flags, Some(options))
            .unwrap_or_else(|error| panic!("{kind} on {below}: {error}"));
    };
    mounted("sysfs", "sys", MsFlags::MS_RDONLY, "");
    mounted("tmpfs", "dev", MsFlags::MS_NOSUID, "mode=0755");
    for (name, major, minor) in
        [("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)]
    {
        let device = root.join("dev").join(name);
        mknod(&device, SFlag::S_IFCHR, Mode::from_bits_truncate(0o666), makedev(major, minor)).unwrap();
        // mknod heeds the umask.
        std::fs::set_permissions(&device, std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
    }
    mounted("devpts", "dev/pts", MsFlags::empty(), "newinstance,ptmxmode=0666,mode=620,gid=5");
    for (name, target) in
        [("ptmx", "pts/ptmx"), ("fd", "/proc/self/fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2")]
    {
        symlink(target, root.join("dev").join(name)).unwrap();
    }
    mounted("tmpfs", "dev/shm", MsFlags::MS_NOSUID, "mode=1777");
    mounted("tmpfs", "run", MsFlags::MS_NOSUID, "mode=0755");
    std::fs::create_dir_all(root.join("run/sshd")).unwrap();
    std::fs::create_dir_all(root.join("run/lock")).unwrap();
    std::fs::write(root.join("etc/hosts"), "127.0.0.1 localhost\n").unwrap();
}

/// The first process of the machine's namespace; when it ends, so do all others. Returns its process id as seen from here.
fn start_init(root: &Path) -> (Daemon, u32) {
    // bash, because it also reaps what its grandchildren leave behind.
    let script = r#"mount -t proc proc "$0/proc" && exec chroot "$0" /bin/bash -c 'sleep infinity & echo up; wait'"#;
    let log = unlinked();
    let mut unshare = command("unshare");
    unshare.args(["--pid", "--fork", "--kill-child=KILL", "--", "/bin/sh", "-c", script]).arg(root);
    let mut init = Daemon::start(&mut unshare, &log);
    eventually("the machine's first process", || {
        assert!(init.ended().is_none(), "the machine ended: {}", text(&log));
        text(&log).contains("up").then_some(())
    });
    let pid = *children(init.id()).first().expect("the machine's first process");
    (init, pid)
}
