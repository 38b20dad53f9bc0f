//! The bucket: what is stored, and the four things that the sync does with it. Knows principals, not the SDK.
//!
//! It must never tell of, and so never let anybody delete, a key that is not `<prefix>users|groups/<name>/authorized_keys`.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;

use iam_ssh_core::Principal;
use iam_ssh_core::text::escape;
use md5::{Digest, Md5};

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
    fn get(&self, key: &str) -> impl Future<Output = Result<Option<Vec<u8>>, BucketError>>;

    /// Stores `body` under a key, whole or not at all.
    ///
    /// # Errors
    /// Any failure; whether the body is stored is then not known.
    fn put(&self, key: &str, body: Vec<u8>, content_type: &str) -> impl Future<Output = Result<(), BucketError>>;

    /// Deletes a key; it is no error if nothing is there.
    ///
    /// # Errors
    /// Any failure.
    fn delete(&self, key: &str) -> impl Future<Output = Result<(), BucketError>>;
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

/// The documents that are stored, each with its ETag.
///
/// # Errors
/// When a list fails.
pub async fn stored(bucket: &impl Bucket, prefix: &str) -> Result<BTreeMap<Principal, Option<String>>, BucketError> {
    let mut found = BTreeMap::new();
    for folder in ["users/", "groups/"] {
        for (key, etag) in bucket.list(&format!("{prefix}{folder}")).await? {
            if let Some(principal) = Principal::from_object_key(prefix, &key) {
                found.insert(principal, etag);
            }
        }
    }
    Ok(found)
}

/// The ETag that S3 gives a plain object of this content: its MD5 in hexadecimal digits. Where a bucket encrypts with KMS it is
/// something else, and never equal to this.
#[must_use]
pub fn plain_etag(body: &[u8]) -> String {
    Md5::digest(body).iter().map(|byte| format!("{byte:02x}")).collect()
}
