//! Whether this file tree is the one that the machine runs from, or that of an image in a chroot.
//!
//! Where an image is made, `/run`, `/proc` and `/sys` are often the host's: its systemd, its sshd and its SELinux must not be
//! taken for the image's.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// Present while systemd is the running init (sd_booted(3)).
const SYSTEMD: &str = "/run/systemd/system";

/// Whether a process, by its folder in `/proc`, has the same root as this one.
#[must_use]
pub fn shares_our_root(process: &Path) -> bool {
    let file = |path: &Path| std::fs::metadata(path).ok().map(|meta| (meta.dev(), meta.ino()));
    // Of the folder that the link leads to.
    let theirs = file(&process.join("root/"));
    theirs.is_some() && theirs == file(Path::new("/"))
}

/// Whether `/` is the root of the first process, too.
#[must_use]
pub fn is_running_from_here() -> bool {
    shares_our_root(Path::new("/proc/1"))
}

/// Whether systemd runs this system.
#[must_use]
pub fn has_systemd() -> bool {
    Path::new(SYSTEMD).exists() && is_running_from_here()
}

/// Whether systemd runs this system, as far as this user can tell: only root sees what the root of the first process is.
#[must_use]
pub fn seems_to_have_systemd() -> bool {
    let root = std::fs::metadata("/proc/1/root/");
    let is_hidden = root.is_err_and(|error| error.kind() == std::io::ErrorKind::PermissionDenied);
    Path::new(SYSTEMD).exists() && (is_hidden || is_running_from_here())
}
