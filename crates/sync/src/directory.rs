//! The directory: users, groups, memberships and keys, as far as the sync asks for them. Knows the questions, not the SDK.
//!
//! It must never take an error for emptiness: what is not there is said by `None`, and only where IAM itself says so.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;

use iam_ssh_core::text::escape;
use serde::{Deserialize, Serialize};

use crate::account::{Account, User};
use crate::cause::Cause;

pub mod iam;

/// The only status with which a key may be used to log in.
pub const ACTIVE: &str = "Active";

/// When a key was uploaded: seconds since 1970 in UTC, and nanoseconds.
pub type Uploaded = (i64, u32);

/// A key as a listing tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedKey {
    /// IAM's id of the key (`APKA…`).
    pub id: String,
    /// IAM's status, whatever it says.
    pub status: String,
    /// When it was uploaded, if IAM says so.
    pub uploaded: Option<Uploaded>,
}

impl ListedKey {
    /// Whether the key may be used: only while its status is exactly `Active`.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.status == ACTIVE
    }
}

/// A user who was asked for by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// IAM's id of the user (`AIDA…`).
    pub id: String,
    /// The account's number, if IAM says so.
    pub account: Option<String>,
    /// The user.
    pub user: User,
}

/// A key as it stands at the moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// The body as it was uploaded: type, base64, perhaps a comment.
    pub body: String,
    /// IAM's status, whatever it says.
    pub status: String,
}

/// Where users, groups and keys come from.
pub trait Directory {
    /// Every user, group and managed policy of the account's own.
    ///
    /// # Errors
    /// Any failure; there is no partial answer. [`Cause::Torn`] where its pages contradict each other.
    fn account(&self) -> impl Future<Output = Result<Account, DirectoryError>>;

    /// The account's number, in one call; `None` where it has no user.
    ///
    /// # Errors
    /// Any failure.
    fn number(&self) -> impl Future<Output = Result<Option<String>, DirectoryError>>;

    /// One user with tags, groups and attached policies, but without inline policies; `None` if there is no such user.
    ///
    /// # Errors
    /// Any other failure, also where the user vanishes between two calls: what was there a moment ago is not simply gone.
    fn user(&self, name: &str) -> impl Future<Output = Result<Option<Found>, DirectoryError>>;

    /// The documents of a user's inline policies, by name.
    ///
    /// # Errors
    /// Any failure.
    fn inline(&self, name: &str) -> impl Future<Output = Result<BTreeMap<String, String>, DirectoryError>>;

    /// Every key of a user, of whatever status; `None` if there is no such user (any more).
    ///
    /// # Errors
    /// Any other failure.
    fn keys(&self, user: &str) -> impl Future<Output = Result<Option<Vec<ListedKey>>, DirectoryError>>;

    /// A key with its present status; `None` if there is no such user or key (any more).
    ///
    /// # Errors
    /// Any other failure.
    fn key(&self, user: &str, id: &str) -> impl Future<Output = Result<Option<Key>, DirectoryError>>;

    /// How many calls were made so far, and how they went.
    fn calls(&self) -> Calls;
}

/// What a directory was asked so far.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Calls {
    /// How many calls were sent, those that were throttled included.
    pub sent: u64,
    /// How many of them were answered with a throttle.
    pub throttled: u64,
    /// How many calls a second may go out at the moment.
    pub rate: f64,
}

/// A call that failed, so that the directory is not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryError {
    /// IAM's name of the call.
    pub operation: &'static str,
    /// The user it was about.
    pub user: Option<String>,
    /// Why.
    pub cause: Cause,
}

impl fmt::Display for DirectoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "iam:{}", self.operation)?;
        if let Some(user) = &self.user {
            write!(f, " for user `{}`", escape(user.as_bytes(), 128))?;
        }
        write!(f, " failed: {}", self.cause)
    }
}

impl std::error::Error for DirectoryError {}
