//! Carries a complete plan out: first what takes access away, then what gives it, last the documents of vanished principals.
//!
//! It must never let a failure keep a withdrawal from being tried: the plan is known to be right, and a document that cannot be written
//! is no reason to keep somebody else's access. Each document is replaced or deleted whole, so whatever fails, none is half a document;
//! and only where it still is what the plan was made from.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::future::Future;

use futures_util::{StreamExt, stream};
use iam_ssh_core::Principal;

use crate::bucket::{Bucket, BucketError, Expected};
use crate::error::{Error, Unfinished};
use crate::text::Text;

/// How many objects are read, written or deleted at the same time.
pub(crate) const IN_FLIGHT: usize = 8;
/// After so many failed writes that only give, no more of those are tried.
const MAX_FAILED: usize = 10;
/// Documents of more bytes are read and written one at a time: IAM allows ten groups of everybody, with 13 MB each.
pub(crate) const LARGE: usize = 1 << 20;
/// How documents are labelled; S3 tools then show them.
const CONTENT_TYPE: &str = "text/plain; charset=us-ascii";

/// A document that is to change, and what is expected to be there.
pub(crate) type Target = (Principal, Expected);

/// What is to be changed.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// Documents to write that lose lines, or may.
    pub(crate) taking: Vec<Target>,
    /// Documents to write that only gain.
    pub(crate) giving: Vec<Target>,
    /// Documents to delete: their principals are gone.
    pub(crate) gone: Vec<Target>,
}

/// Makes all changes that can be made. What could not be read is left as it is; it is given for what the run ends with.
///
/// # Errors
/// When any of them failed, or anything could not be read: how many, which, and why.
pub(crate) async fn apply(
    bucket: &impl Bucket,
    prefix: &str,
    texts: &BTreeMap<Principal, Text>,
    changes: &Changes,
    unread: Vec<BucketError>,
) -> Result<(), Error> {
    let put = |(principal, expected): &Target| {
        let text = texts.get(principal).cloned().unwrap_or_default();
        write(bucket, principal.object_key(prefix), text, expected.clone())
    };
    let remove = |(principal, expected): &Target| delete(bucket, principal.object_key(prefix), expected.clone());
    let is_large = |(principal, _): &Target| texts.get(principal).is_some_and(|text| text.len() > LARGE);
    let taken = each(&changes.taking, usize::MAX, is_large, put).await;
    let given = each(&changes.giving, MAX_FAILED, is_large, put).await;
    let deleted = each(&changes.gone, usize::MAX, |_| false, remove).await;
    let unfinished = Unfinished {
        changed: changes.taking.len() + changes.giving.len(),
        written: taken.done + given.done,
        still_granting: changes.taking.len() - taken.done,
        untried: given.untried,
        gone: changes.gone.len(),
        deleted: deleted.done,
        unread: unread.len(),
        failures: [unread, taken.failures, given.failures, deleted.failures].concat(),
    };
    if unfinished.failures.is_empty() { Ok(()) } else { Err(Error::Unfinished(Box::new(unfinished))) }
}

/// Writes a document. A write whose answer was lost is sent again and then meets itself, which is no conflict.
async fn write(bucket: &impl Bucket, key: String, text: Text, expected: Expected) -> Result<(), BucketError> {
    let result = bucket.put(&key, text.to_bytes(), CONTENT_TYPE, &expected).await;
    match result {
        Err(error) if error.cause.is_conflict() => {
            let now = bucket.get(&key).await?;
            if now.is_some_and(|now| !now.oversized && now.body == text.to_bytes()) { Ok(()) } else { Err(error) }
        }
        other => other.map(drop),
    }
}

/// Deletes a document.
async fn delete(bucket: &impl Bucket, key: String, expected: Expected) -> Result<(), BucketError> {
    match bucket.delete(&key, &expected).await {
        Err(error) if error.cause.is_conflict() => {
            if bucket.get(&key).await?.is_none() {
                Ok(())
            } else {
                Err(error)
            }
        }
        other => other,
    }
}

/// What came of one kind of changes.
#[derive(Default)]
struct Outcome {
    done: usize,
    untried: usize,
    failures: Vec<BucketError>,
}

/// Does the same to each document, some at a time, but each large one alone, and begins with no more once `limit` of them failed.
async fn each<F>(
    targets: &[Target],
    limit: usize,
    is_large: impl Fn(&Target) -> bool,
    change: impl Fn(&Target) -> F,
) -> Outcome
where
    F: Future<Output = Result<(), BucketError>>,
{
    let failed = Cell::new(0_usize);
    let one = |target| {
        let (failed, change) = (&failed, &change);
        async move {
            if failed.get() >= limit {
                return None;
            }
            let result = change(target).await;
            failed.set(failed.get() + usize::from(result.is_err()));
            Some(result)
        }
    };
    let (large, small): (Vec<&Target>, Vec<&Target>) = targets.iter().partition(|target| is_large(target));
    let small = stream::iter(small).map(one).buffer_unordered(IN_FLIGHT);
    let mut results = small.chain(stream::iter(large).map(one).buffer_unordered(1));
    let mut outcome = Outcome::default();
    while let Some(result) = results.next().await {
        match result {
            None => outcome.untried += 1,
            Some(Ok(())) => outcome.done += 1,
            Some(Err(why)) => outcome.failures.push(why),
        }
    }
    outcome
}
