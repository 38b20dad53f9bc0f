//! Whether this file tree is the one that the machine runs from, or that of an image in a chroot.
//!
//! Where an image is made, `/run`, `/proc` and `/sys` are often the host's: its systemd, its sshd and its SELinux must not be
//! taken for the image's.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// Present while systemd is the running init (sd_booted(3)).
const SYSTEMD: &str = "/run/systemd/system";

/// Whether `/` is the root of the first process, too.
#[must_use]
pub fn is_running_from_here() -> bool {
    let root = |path: &str| std::fs::metadata(path).ok().map(|meta| (meta.dev(), meta.ino()));
    root("/proc/1/root/").is_some() && root("/proc/1/root/") == root("/")
}

/// Whether systemd runs this system.
#[must_use]
pub fn has_systemd() -> bool {
    Path::new(SYSTEMD).exists() && is_running_from_here()
}
