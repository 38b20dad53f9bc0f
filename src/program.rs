//! The programs themselves, one module each; the binaries in `bin/` only call them.

pub mod authorized_keys;
mod call;
pub mod chain;
mod child;
pub mod commands;
pub mod fetch;
pub mod iam_ssh;
mod keeper;
pub mod session_audit;
pub mod sshrc;
