//! The instance side of iam-ssh: what sshd, a session and the administrator run on every EC2 instance.
//!
//! Pure modules (`config`, `cache`, `lookup`, `audit`, `session`, `sshd`) decide; their children and `aws` do the I/O;
//! `copies` and `refresh` bring cache, lookup and AWS together; [`program`] makes five programs of it. Nothing here reads the
//! environment but `program::sshrc`, whose input it is, and `program::chain`, which hands sshd's on.

pub mod audit;
pub mod aws;
pub mod booted;
pub mod cache;
pub mod clock;
pub mod config;
pub mod connection;
pub mod copies;
pub mod exit;
pub mod granted;
pub mod history;
pub mod lookup;
pub mod owners;
pub mod pam;
pub mod process;
pub mod program;
pub mod record;
pub mod refresh;
pub mod selinux;
pub mod session;
pub mod sessions;
pub mod sshd;
pub mod trusted;
