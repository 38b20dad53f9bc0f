//! The calling thread's own network, mounts, IPC and host name.
//!
//! Threads and processes started afterwards live in them too; the rest of this process does not, so a world must be made and used
//! on one thread, and runtimes and servers started after it.

use std::path::Path;
use std::process::Command;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

/// Where an instance's metadata service is.
pub(crate) const IMDS_ADDRESS: &str = "169.254.169.254";

/// Leaves the machine's namespaces and mounts an empty file system in memory on `scratch`, seen by this world alone.
pub(crate) fn isolate(scratch: &Path) {
    assert!(nix::unistd::geteuid().is_root(), "the end-to-end tests need root: they make namespaces and mounts");
    unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWIPC | CloneFlags::CLONE_NEWUTS)
        .expect("namespaces of its own");
    private_mounts();
    mount(Some("tmpfs"), scratch, Some("tmpfs"), MsFlags::empty(), Some("mode=0755")).expect("a scratch file system");
    // How many log lines may wait for who reads them, for sockets made from here on: what a service manager sets on an instance
    // (systemd's bump_unix_max_dgram_qlen), instead of the kernel's 10.
    std::fs::write("/proc/sys/net/unix/max_dgram_qlen", "512").expect("longer queues of datagrams");
    ip(&["link", "set", "lo", "up"]);
    ip(&["address", "add", &format!("{IMDS_ADDRESS}/32"), "dev", "lo"]);
}

/// Keeps every mount from here on inside this namespace.
fn private_mounts() {
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)
        .expect("private mounts");
}

fn ip(arguments: &[&str]) {
    let status = Command::new("ip").args(arguments).status().expect("the ip command");
    assert!(status.success(), "ip {} failed", arguments.join(" "));
}
