//! The programs themselves, one module each; the binaries in `bin/` only call them.

pub mod authorized_keys;
pub mod iam_ssh;
pub mod sshrc;
