//! The publisher: reads IAM users, groups and their active SSH public keys, and makes the bucket say the same.
//!
//! It must never read an error as emptiness: until the whole directory has been read without one, nothing in the bucket changes.
//! It must never touch a key in the bucket that is not the document of a principal or its own heartbeat.
//!
//! One run for one account: [`lease`] keeps others out, [`reading`] asks [`directory`] (IAM) as little as it can, at its [`pace`], with
//! what [`memory`] knows, and gives a [`picture`]; [`documents`] says what should be published (as [`text`]), [`bucket`] tells what is, `compare` what
//! differs, [`guard`] holds back what a suspicious shrink would take, and `apply` writes only what differs, withdrawals first, deletions
//! last. [`run`] is the order of these; [`accounts`] does it for each account; [`cli`] and [`lambda`] start it. `docs/sync.md` has
//! the settings, `deploy/` the policies.

pub mod account;
pub mod accounts;
mod apply;
pub mod bucket;
pub mod budget;
pub mod cause;
pub mod cli;
pub mod clients;
mod compare;
pub mod diff;
pub mod directory;
pub mod documents;
pub mod error;
pub mod events;
pub mod exclusion;
pub mod guard;
pub mod heartbeat;
pub mod lambda;
pub mod lease;
pub mod log;
pub mod memory;
pub mod metrics;
pub mod pace;
pub mod picture;
pub mod policy;
pub mod progress;
pub mod reading;
pub mod report;
pub mod run;
pub mod scope;
pub mod settings;
pub mod tag_keys;
pub mod text;
pub mod whole;
