//! What `make test` hands over by the environment: the package, the root file systems, moto, the sync's binary.
//!
//! A missing one is a failure that says how to get it; a test is never skipped for want of its rig.

use std::path::PathBuf;

/// A system that the rig has a root file system of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suite {
    /// Debian 11: OpenSSH 8.4, systemd 247, glibc 2.31.
    Bullseye,
    /// Debian 12: OpenSSH 9.2, systemd 252.
    Bookworm,
    /// Debian 13: OpenSSH 10.0, systemd 257.
    Trixie,
    /// Debian's testing: the newest OpenSSH there is, 10.6 when this was written, and systemd 262.
    Forky,
    /// Debian 12 with rpm and dnf, which believe to be on an Enterprise Linux 8.
    Rpm,
    /// Debian 13 with cloud-init.
    Cloud,
}

impl Suite {
    /// Its root file system's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Bullseye => "bullseye",
            Self::Bookworm => "bookworm",
            Self::Trixie => "trixie",
            Self::Forky => "forky",
            Self::Rpm => "rpm",
            Self::Cloud => "cloud",
        }
    }
}

/// The package under test.
#[must_use]
pub fn deb() -> PathBuf {
    input("IAM_SSH_DEB", "")
}

/// The package under test for RPM systems.
#[must_use]
pub fn rpm() -> PathBuf {
    input("IAM_SSH_RPM", "")
}

/// The project's own files, for what is made of them.
///
/// # Panics
/// When the test runs on another machine than it was built on.
#[must_use]
pub fn source() -> PathBuf {
    // Asked at run time: a build that is shared between checkouts must not remember the one that it was made in.
    input("CARGO_MANIFEST_DIR", "../..").canonicalize().expect("the source")
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
#[must_use]
pub fn sync_bin() -> PathBuf {
    input("IAM_SSH_SYNC_BIN", "")
}

/// The double of AWS as a program of its own.
#[must_use]
pub fn aws_double() -> PathBuf {
    sync_bin().with_file_name("aws-double")
}

/// A part of the virtual machine: `kernel`, `initrd`, `disk`.
pub(crate) fn virtual_machine(part: &str) -> PathBuf {
    input("IAM_SSH_ROOTS", &format!("selinux/{part}"))
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
