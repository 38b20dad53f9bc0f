//! What `make test` hands over by the environment: the package, the root file systems, moto, the sync's binary.
//!
//! A missing one is a failure that says how to get it; a test is never skipped for want of its rig.

use std::path::PathBuf;

/// A Debian release that the rig has a root file system of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suite {
    /// Debian 12: OpenSSH 9.2, systemd 252.
    Bookworm,
    /// Debian 13: OpenSSH 10.0, systemd 257.
    Trixie,
}

impl Suite {
    /// Its name at the mirror.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Bookworm => "bookworm",
            Self::Trixie => "trixie",
        }
    }
}

/// The package under test.
pub(crate) fn deb() -> PathBuf {
    input("IAM_SSH_DEB", "")
}

/// The root file system of a release, with links resolved: an overlay must not change its lower layer when the link does.
pub(crate) fn root_of(suite: Suite) -> PathBuf {
    input("IAM_SSH_ROOTS", suite.name()).canonicalize().expect("a root file system that can be resolved")
}

/// A program of the Python environment: `moto_server`, `aws`.
pub(crate) fn venv(program: &str) -> PathBuf {
    input("IAM_SSH_VENV", &format!("bin/{program}"))
}

/// The sync's command-line program.
pub(crate) fn sync_bin() -> PathBuf {
    input("IAM_SSH_SYNC_BIN", "")
}

/// An empty directory that each world mounts a file system of its own on.
pub(crate) fn scratch() -> PathBuf {
    input("IAM_SSH_SCRATCH", "")
}

fn input(variable: &str, below: &str) -> PathBuf {
    let Some(value) = std::env::var_os(variable) else {
        panic!("{variable} is not set: run `make test`, which builds what the end-to-end tests need");
    };
    let path = if below.is_empty() { PathBuf::from(value) } else { PathBuf::from(value).join(below) };
    assert!(path.exists(), "{variable}: {} does not exist: run `make test`", path.display());
    path
}
