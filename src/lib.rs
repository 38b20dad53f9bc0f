//! The instance side of iam-ssh: what sshd, a session and the administrator run on every EC2 instance.
//!
//! Pure modules (`config`, `lookup`, `audit`, `session`, `sshd`) decide; their children and `aws` do the I/O;
//! [`program`] glues them into the three binaries. Nothing here reads the environment but `program::sshrc`, whose
//! input it is.

pub mod audit;
pub mod aws;
pub mod config;
pub mod exit;
pub mod lookup;
pub mod program;
pub mod session;
pub mod sshd;
pub mod trusted;
