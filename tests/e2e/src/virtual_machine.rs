//! A virtual machine with a kernel of its own, by qemu without KVM: for what namespaces cannot give, SELinux in enforcing mode.
//!
//! It has no network device. What it is to do comes as a tar archive on a second disk, with a script named `run` in it; what it
//! says comes through a serial line; then it powers off. Its disk is the rig's, and what it writes there is gone with it.

use std::path::Path;
use std::time::Duration;

use crate::inputs;
use crate::process::{Daemon, command, run, text, unlinked};
use crate::wait::wait_for;
use crate::world::World;

/// Most time for a whole run: a minute on a machine that has nothing else to do, emulated as it is.
const BOUND: Duration = Duration::from_secs(600);

/// What a virtual machine said.
#[derive(Debug)]
pub struct VirtualMachine {
    /// The script's standard output and standard error.
    pub said: String,
    /// The kernel's and systemd's words.
    pub console: String,
}

impl VirtualMachine {
    /// Boots, lets the machine run what is in `directory`, and waits until it has powered off.
    ///
    /// # Panics
    /// When it does not end in time; then it is killed, and all it said is shown.
    #[must_use]
    pub fn run(world: &World, directory: &Path) -> Self {
        let archive = world.scratch().join("trial.tar");
        run(command("tar").arg("-cf").arg(&archive).arg("-C").arg(directory).arg("."), b"").expect_ok();
        let [kernel, initrd, disk] = ["kernel", "initrd", "disk"].map(inputs::virtual_machine);
        let drive = |file: &Path, options: &str| format!("file={},format=raw,if=virtio,{options}", file.display());
        let [said, console] = ["said", "console"].map(|name| world.scratch().join(name));
        let log = unlinked();
        let mut qemu = command("qemu-system-x86_64");
        qemu.args(["-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "1024"]);
        qemu.args(["-nodefaults", "-no-user-config", "-nic", "none", "-display", "none", "-no-reboot"]);
        qemu.arg("-kernel").arg(kernel).arg("-initrd").arg(initrd);
        qemu.args(["-append", "root=/dev/vda rw console=ttyS0 quiet panic=-1 security=selinux selinux=1 enforcing=1"]);
        // What is written goes to a temporary file.
        qemu.args(["-drive", &drive(&disk, "snapshot=on,cache=unsafe")]).env("TMPDIR", world.scratch());
        qemu.args(["-drive", &drive(&archive, "readonly=on")]);
        for line in [&console, &said] {
            qemu.args(["-serial", &format!("file:{}", line.display())]);
        }
        let mut qemu = Daemon::start(&mut qemu, &log);
        let ended = wait_for(BOUND, || qemu.ended());
        let lines = |file: &Path| String::from_utf8_lossy(&std::fs::read(file).unwrap_or_default()).replace('\r', "");
        let machine = Self { said: lines(&said), console: lines(&console) };
        assert!(ended.is_some(), "still running after {BOUND:?}\n{machine}");
        assert!(ended.is_some_and(|status| status.success()), "qemu: {}\n{machine}", text(&log));
        machine
    }

    /// What follows this mark on a line of its own, up to the next mark (a line that begins with `## `).
    ///
    /// # Panics
    /// When there is no such mark.
    #[must_use]
    #[track_caller]
    pub fn section(&self, mark: &str) -> &str {
        let start = format!("## {mark}\n");
        let Some((_, rest)) = self.said.split_once(&start) else { panic!("it never came to {mark:?}\n{self}") };
        rest.split_once("## ").map_or(rest, |(section, _)| section).trim_end()
    }
}

impl std::fmt::Display for VirtualMachine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "--- the machine's console\n{}\n--- what it said\n{}", self.console, self.said)
    }
}
