//! The instance side against the test double of AWS, through the real SDK: the lookup's promises and failure table,
//! and the configuration's errors.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod cache;
mod config;
mod failures;
mod history;
mod index;
mod lookup;
mod manual;
mod ordering;
mod scene;
mod store;
mod trusted;
