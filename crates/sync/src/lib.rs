//! The publisher: reads IAM users, groups and their active SSH public keys, and makes the bucket say the same.
//!
//! It must never read an error as emptiness: until the whole directory has been read without one, nothing in the bucket changes.
//! It must never touch a key in the bucket that is not the document of a principal or its own heartbeat.
//!
//! One run: [`directory`] reads IAM, [`documents`] says what should be published, [`bucket`] tells what is, [`run`] compares and
//! `apply` writes only what differs, withdrawals first, deletions last. [`cli`] and [`lambda`] start it. `README.md` beside this crate has the IAM policy it needs.

mod apply;
pub mod bucket;
pub mod cause;
pub mod cli;
pub mod clients;
pub mod diff;
pub mod directory;
pub mod documents;
pub mod error;
pub mod heartbeat;
pub mod lambda;
pub mod report;
pub mod run;
pub mod settings;
pub mod whole;
