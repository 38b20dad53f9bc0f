//! The programs themselves, one module each; the binaries in `bin/` only call them.

pub mod authorized_keys;
mod call;
pub mod chain;
mod child;
pub mod commands;
mod enforce;
pub mod fetch;
mod history;
pub mod iam_ssh;
mod keeper;
pub mod session_audit;
pub mod sshrc;
mod who;
