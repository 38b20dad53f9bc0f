//! The bucket: what is stored, and the four things that the sync does with it. Knows principals, not the SDK.
//!
//! It must never let anybody delete a key that is not `<prefix>users|groups/<name>/authorized_keys`: what else lies there is told, not
//! touched. Every write says what it expects to be there, so that two who write at once cannot undo each other.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;

use iam_ssh_core::Principal;
use iam_ssh_core::text::escape;

use crate::cause::Cause;

pub mod s3;

/// Where documents are published.
pub trait Bucket {
    /// Every key that begins with `prefix`, with its ETag if it has one (without quotes).
    ///
    /// # Errors
    /// Any failure; there is no partial answer.
    fn list(&self, prefix: &str) -> impl Future<Output = Result<Vec<(String, Option<String>)>, BucketError>>;

    /// What is stored under a key; `None` if nothing is.
    ///
    /// # Errors
    /// Any other failure.
    fn get(&self, key: &str) -> impl Future<Output = Result<Option<Stored>, BucketError>>;

    /// Stores `body` under a key, whole or not at all, and gives its ETag if it has one.
    ///
    /// # Errors
    /// Any failure; whether the body is stored is then not known, except that it is not where [`Cause::is_conflict`].
    fn put(
        &self,
        key: &str,
        body: Vec<u8>,
        content_type: &str,
        expected: &Expected,
    ) -> impl Future<Output = Result<Option<String>, BucketError>>;

    /// Deletes a key if what is there is expected; it is no error if nothing is there.
    ///
    /// # Errors
    /// Any failure.
    fn delete(&self, key: &str, expected: &Expected) -> impl Future<Output = Result<(), BucketError>>;
}

/// An object as it was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stored {
    /// Its content.
    pub body: Vec<u8>,
    /// Its ETag, without quotes.
    pub etag: Option<String>,
    /// Whether it is larger than any object of ours can be; its content was then not read.
    pub oversized: bool,
}

/// What a write expects to find.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// Nothing.
    Nothing,
    /// The object with this ETag.
    Etag(String),
    /// Whatever there is: where a service told no ETag.
    Anything,
}

impl Expected {
    /// What a reading found: `None` for nothing, else the ETag.
    #[must_use]
    pub fn found(etag: Option<&Option<String>>) -> Self {
        match etag {
            None => Self::Nothing,
            Some(Some(etag)) => Self::Etag(etag.clone()),
            Some(None) => Self::Anything,
        }
    }
}

/// A call to the bucket that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketError {
    /// S3's name of the call.
    pub operation: &'static str,
    /// The bucket.
    pub bucket: String,
    /// The key or the listed prefix.
    pub key: String,
    /// Why.
    pub cause: Cause,
}

impl fmt::Display for BucketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = escape(self.key.as_bytes(), 300);
        write!(f, "s3:{} for s3://{}/{key} failed: {}", self.operation, self.bucket, self.cause)
    }
}

impl std::error::Error for BucketError {}

/// What lies below a prefix.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// The documents, each with its ETag.
    pub documents: BTreeMap<Principal, Option<String>>,
    /// The keys of everything else below `users/` and `groups/`.
    pub foreign: Vec<String>,
}

/// The documents that are stored, and what else lies beside them.
///
/// # Errors
/// When a list fails.
pub async fn stored(bucket: &impl Bucket, prefix: &str) -> Result<Listing, BucketError> {
    let mut found = Listing::default();
    for folder in ["users/", "groups/"] {
        for (key, etag) in bucket.list(&format!("{prefix}{folder}")).await? {
            match Principal::from_object_key(prefix, &key) {
                Some(principal) => drop(found.documents.insert(principal, etag)),
                None => found.foreign.push(key),
            }
        }
    }
    Ok(found)
}
