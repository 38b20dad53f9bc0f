//! Whether this file tree is the one that the machine runs from, or that of an image in a chroot.
//!
//! Where an image is made, `/run`, `/proc` and `/sys` are often the host's: its systemd, its sshd and its SELinux must not be
//! taken for the image's.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// Present while systemd is the running init (sd_booted(3)).
const SYSTEMD: &str = "/run/systemd/system";
/// The first process.
const FIRST: &str = "/proc/1";

/// Whether a process, by its folder in `/proc`, has the same root as this one.
#[must_use]
pub fn shares_our_root(process: &Path) -> bool {
    compare_roots(process).unwrap_or(false)
}

fn compare_roots(process: &Path) -> io::Result<bool> {
    let file = |path: &Path| std::fs::metadata(path).map(|meta| (meta.dev(), meta.ino()));
    // Of the folder that the link leads to.
    Ok(file(&process.join("root/"))? == file(Path::new("/"))?)
}

/// Whether `/` is the root of the first process, too.
#[must_use]
pub fn is_running_from_here() -> bool {
    shares_our_root(Path::new(FIRST))
}

/// Whether systemd runs this system.
#[must_use]
pub fn has_systemd() -> bool {
    Path::new(SYSTEMD).exists() && is_running_from_here()
}

/// Whether systemd runs this system, as far as this user can tell: only root sees what the root of the first process is.
#[must_use]
pub fn seems_to_have_systemd() -> bool {
    let is_ours =
        compare_roots(Path::new(FIRST)).unwrap_or_else(|error| error.kind() == io::ErrorKind::PermissionDenied);
    Path::new(SYSTEMD).exists() && is_ours
}
