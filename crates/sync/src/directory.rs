//! The directory: users, groups, memberships and usable keys, read completely or not at all.
//!
//! It must never take an error for emptiness. The one thing that may vanish while it reads is a user or a key that IAM says does
//! not exist (any more); everything else that goes wrong ends the reading. A key counts only while its status is exactly `Active`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::future::Future;

use futures_util::{StreamExt, TryStreamExt, stream};

use crate::cause::Cause;

pub mod iam;

/// How many users' keys are read at the same time.
const IN_FLIGHT: usize = 8;
/// The only status with which a key may be used to log in.
const ACTIVE: &str = "Active";

/// The account as one listing tells it, names as IAM writes them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Account {
    /// Each user with the names of the user's groups.
    pub users: BTreeMap<String, BTreeSet<String>>,
    /// Every group, also without members.
    pub groups: BTreeSet<String>,
}

/// A key as a listing tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedKey {
    /// IAM's id of the key (`APKA…`).
    pub id: String,
    /// IAM's status, whatever it says.
    pub status: String,
}

/// A key as it stands at the moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// The body as it was uploaded: type, base64, perhaps a comment.
    pub body: String,
    /// IAM's status, whatever it says.
    pub status: String,
    /// When it was uploaded, if IAM says so.
    pub uploaded: Option<Uploaded>,
}

/// When a key was uploaded: seconds since 1970 in UTC, and nanoseconds.
pub type Uploaded = (i64, u32);

/// A key with its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActiveKey {
    /// IAM's id of the key (`APKA…`).
    pub id: String,
    /// The body as it was uploaded: type, base64, perhaps a comment.
    pub body: String,
    /// When it was uploaded, if IAM says so.
    pub uploaded: Option<Uploaded>,
}

/// Where users, groups and keys come from.
pub trait Directory {
    /// Every user and every group.
    ///
    /// # Errors
    /// Any failure; there is no partial answer.
    fn account(&self) -> impl Future<Output = Result<Account, DirectoryError>>;

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
}

/// The whole directory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Users and groups.
    pub account: Account,
    /// The active keys of every user that exists, by id.
    pub keys: BTreeMap<String, Vec<ActiveKey>>,
    /// Users that vanished while the directory was read; they are in neither of the above.
    pub gone: Vec<String>,
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
            write!(f, " for user `{}`", iam_ssh_core::text::escape(user.as_bytes(), 128))?;
        }
        write!(f, " failed: {}", self.cause)
    }
}

impl std::error::Error for DirectoryError {}

/// Reads the whole directory.
///
/// # Errors
/// The first failure of any call.
pub async fn read(directory: &impl Directory) -> Result<Snapshot, DirectoryError> {
    let mut account = directory.account().await?;
    let names: Vec<String> = account.users.keys().cloned().collect();
    let read: Vec<(String, Option<Vec<ActiveKey>>)> = stream::iter(names)
        .map(|user| async move {
            let keys = active_keys(directory, &user).await?;
            Ok::<_, DirectoryError>((user, keys))
        })
        .buffer_unordered(IN_FLIGHT)
        .try_collect()
        .await?;
    let mut snapshot = Snapshot::default();
    for (user, keys) in read {
        match keys {
            Some(keys) => {
                snapshot.keys.insert(user, keys);
            }
            None => {
                account.users.remove(&user);
                snapshot.gone.push(user);
            }
        }
    }
    snapshot.gone.sort();
    snapshot.account = account;
    Ok(snapshot)
}

/// The active keys of one user, by id; `None` if the user is gone.
async fn active_keys(directory: &impl Directory, user: &str) -> Result<Option<Vec<ActiveKey>>, DirectoryError> {
    let Some(listed) = directory.keys(user).await? else { return Ok(None) };
    let mut keys = Vec::new();
    for key in listed.into_iter().filter(|key| key.status == ACTIVE) {
        // A key that is gone, or was deactivated since the listing, is not usable; its user remains.
        if let Some(Key { body, status, uploaded }) = directory.key(user, &key.id).await?
            && status == ACTIVE
        {
            keys.push(ActiveKey { id: key.id, body, uploaded });
        }
    }
    keys.sort_by(|one, other| one.id.cmp(&other.id));
    Ok(Some(keys))
}
