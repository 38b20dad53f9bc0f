//! Carries a complete plan out: first what takes access away, then what gives it, last the documents of vanished principals.
//!
//! It must never let a failure keep a withdrawal from being tried: the plan is known to be right, and a document that cannot be written
//! is no reason to keep somebody else's access. Each document is replaced or deleted whole, so whatever fails, none is half a document.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::future::Future;

use futures_util::{StreamExt, stream};
use iam_ssh_core::Principal;

use crate::bucket::{Bucket, BucketError};
use crate::error::{Error, Unfinished};
use crate::run::IN_FLIGHT;

/// After so many failed writes that only give, no more of those are tried.
const MAX_FAILED: usize = 10;
/// How documents are labelled; S3 tools then show them.
const TEXT: &str = "text/plain; charset=us-ascii";

/// What is to be changed.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// Documents to write that lose lines, or may.
    pub(crate) taking: Vec<Principal>,
    /// Documents to write that only gain.
    pub(crate) giving: Vec<Principal>,
    /// Documents to delete: their principals are gone.
    pub(crate) gone: Vec<Principal>,
}

/// Makes all changes that can be made.
///
/// # Errors
/// When any of them failed: how many, which, and why.
pub(crate) async fn apply(
    bucket: &impl Bucket,
    prefix: &str,
    texts: &BTreeMap<Principal, String>,
    changes: &Changes,
) -> Result<(), Error> {
    let put = |principal: &Principal| {
        let body = texts.get(principal).map(String::as_bytes).unwrap_or_default().to_vec();
        let key = principal.object_key(prefix);
        async move { bucket.put(&key, body, TEXT).await }
    };
    let delete = |principal: &Principal| {
        let key = principal.object_key(prefix);
        async move { bucket.delete(&key).await }
    };
    let taken = each(&changes.taking, usize::MAX, put).await;
    let given = each(&changes.giving, MAX_FAILED, put).await;
    let deleted = each(&changes.gone, usize::MAX, delete).await;
    let unfinished = Unfinished {
        changed: changes.taking.len() + changes.giving.len(),
        written: taken.done + given.done,
        still_granting: changes.taking.len() - taken.done,
        untried: given.untried,
        gone: changes.gone.len(),
        deleted: deleted.done,
        failures: [taken.failures, given.failures, deleted.failures].concat(),
    };
    if unfinished.failures.is_empty() { Ok(()) } else { Err(Error::Unfinished(Box::new(unfinished))) }
}

/// What came of one kind of changes.
#[derive(Default)]
struct Outcome {
    done: usize,
    untried: usize,
    failures: Vec<BucketError>,
}

/// Does the same to each principal's document, some at a time, and begins with no more once `limit` of them failed.
async fn each<F>(principals: &[Principal], limit: usize, change: impl Fn(&Principal) -> F) -> Outcome
where
    F: Future<Output = Result<(), BucketError>>,
{
    let failed = Cell::new(0_usize);
    let mut results = stream::iter(principals)
        .map(|principal| async {
            if failed.get() >= limit {
                return None;
            }
            let result = change(principal).await;
            failed.set(failed.get() + usize::from(result.is_err()));
            Some(result)
        })
        .buffer_unordered(IN_FLIGHT);
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
