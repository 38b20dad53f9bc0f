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
    /// Every key that begins with `prefix`, with what a list tells about it.
    ///
    /// # Errors
    /// Any failure; there is no partial answer.
    fn list(&self, prefix: &str) -> impl Future<Output = Result<Vec<(String, Entry)>, BucketError>>;

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

/// An object as a list tells it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entry {
    /// Its ETag, without quotes, if it has one.
    pub etag: Option<String>,
    /// How many bytes it has, as far as the list says so.
    pub size: usize,
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

/// What S3 says with 400 or 403 about the caller, the bucket or the moment, whatever object is asked for (S3 API reference, "Error
/// responses"); `unknown` stands for an answer that is not in S3's words.
const GENERAL: [&str; 12] = [
    "AllAccessDisabled",
    "AuthorizationHeaderMalformed",
    "ExpiredToken",
    "InvalidAccessKeyId",
    "InvalidSecurity",
    "InvalidToken",
    "NotSignedUp",
    "RequestTimeTooSkewed",
    "RequestTimeout",
    "SignatureDoesNotMatch",
    "TokenRefreshRequired",
    "unknown",
];

impl BucketError {
    /// Whether S3 refused this one object, and would do so again: its encryption key is disabled (400 `KMS.DisabledException`), it is
    /// archived (403 `InvalidObjectState`), it is shut off (403 `AccessDenied`), and the like.
    #[must_use]
    pub fn is_about_the_object(&self) -> bool {
        let Cause::Refused { code, status, .. } = &self.cause else { return false };
        [400, 403].contains(status) && !self.cause.is_throttle() && !GENERAL.contains(&code.as_str())
    }
}

/// What lies below a prefix.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// The documents.
    pub documents: BTreeMap<Principal, Entry>,
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
        for (key, entry) in bucket.list(&format!("{prefix}{folder}")).await? {
            match Principal::from_object_key(prefix, &key) {
                Some(principal) => drop(found.documents.insert(principal, entry)),
                None => found.foreign.push(key),
            }
        }
    }
    Ok(found)
}
