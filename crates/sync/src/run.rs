//! One run: read everything, compare everything, then write what differs, delete what is gone, and leave the heartbeat.
//!
//! The order is the safety: until directory and bucket are known completely, nothing is written; until everything is written, nothing
//! is deleted; until everything is deleted, there is no heartbeat. It must never know IAM, S3 or the time but through its parameters.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use iam_ssh_core::{Plan, Principal};
use time::OffsetDateTime;

use crate::bucket::{self, Bucket, BucketError, plain_etag};
use crate::diff::Diff;
use crate::directory::{self, Directory};
use crate::documents::documents;
use crate::error::Error;
use crate::heartbeat;
use crate::report::Report;
use crate::settings::Settings;

/// How many objects are read, written or deleted at the same time.
const IN_FLIGHT: usize = 8;
/// After so many failed writes, no more are tried.
const MAX_FAILED: usize = 10;
/// How documents are labelled; S3 tools then show them.
const TEXT: &str = "text/plain; charset=us-ascii";

/// Brings the bucket in line with the directory, or with `dry_run` only tells what that would change.
///
/// # Errors
/// See [`Error`]: each says what state the bucket was left in.
pub async fn run(
    directory: &impl Directory,
    bucket: &impl Bucket,
    settings: &Settings,
    now: impl Fn() -> OffsetDateTime,
) -> Result<Report, Error> {
    let began = now();
    let snapshot = directory::read(directory).await?;
    let desired = documents(&snapshot, &settings.key_options);
    drop(snapshot);
    let work = Work { bucket, prefix: &settings.prefix, texts: &desired.texts, detailed: settings.dry_run };
    let Changes { plan, diffs } = work.compare().await.map_err(Error::Compare)?;
    let mut report = Report {
        dry_run: settings.dry_run,
        put: diffs,
        deleted: Vec::new(),
        kept: plan.keep.len(),
        skipped: desired.skipped.clone(),
        users: desired.users,
        groups: desired.groups,
        keys: desired.keys,
    };
    if settings.dry_run {
        report.deleted = work.what_goes(&plan.delete).await.map_err(Error::Compare)?;
        return Ok(report);
    }
    work.put_all(&plan.put).await?;
    let put = plan.put.len();
    work.delete_all(&plan.delete).await.map_err(|why| Error::Delete { why: Box::new(why), put })?;
    report.deleted = plan.delete.into_iter().map(|gone| (gone, Diff::default())).collect();
    let ended = now();
    let duration = Duration::try_from(ended - began).unwrap_or_default();
    let body = heartbeat::render(&report, ended, duration);
    let key = format!("{}{}", settings.prefix, heartbeat::KEY);
    bucket.put(&key, body, "application/json").await.map_err(Error::Heartbeat)?;
    Ok(report)
}

/// What is to be done, and how each document to write differs from what is stored.
struct Changes {
    plan: Plan,
    diffs: Vec<(Principal, Diff)>,
}

/// The bucket and what it should hold.
struct Work<'a, B> {
    bucket: &'a B,
    prefix: &'a str,
    texts: &'a BTreeMap<Principal, String>,
    /// Whether differences are to be told line by line.
    detailed: bool,
}

impl<B: Bucket> Work<'_, B> {
    fn text(&self, principal: &Principal) -> &str {
        self.texts.get(principal).map(String::as_str).unwrap_or_default()
    }

    /// Compares by ETag where that decides it, and by content where it does not (a new ETag, or a bucket with SSE-KMS).
    async fn compare(&self) -> Result<Changes, BucketError> {
        let stored = bucket::stored(self.bucket, self.prefix).await?;
        let by_etag =
            Plan::new(self.texts, &stored, |text, etag| etag.as_deref() == Some(plain_etag(text.as_bytes()).as_str()));
        let compared: Vec<(Principal, Option<Diff>)> = stream::iter(by_etag.put)
            .map(|principal| {
                let is_stored = stored.contains_key(&principal);
                async move {
                    let diff = self.difference(&principal, is_stored).await?;
                    Ok::<_, BucketError>((principal, diff))
                }
            })
            // In order, so that the report is in order.
            .buffered(IN_FLIGHT)
            .try_collect()
            .await?;
        let same: BTreeSet<&Principal> =
            compared.iter().filter(|(_, diff)| diff.is_none()).map(|(principal, _)| principal).collect();
        let mut keep = by_etag.keep;
        keep.extend(same.into_iter().cloned());
        let diffs: Vec<_> = compared.into_iter().filter_map(|(who, diff)| diff.map(|diff| (who, diff))).collect();
        let put = diffs.iter().map(|(principal, _)| principal.clone()).collect();
        Ok(Changes { plan: Plan { put, delete: by_etag.delete, keep }, diffs })
    }

    /// How the stored document differs from the desired one; `None` if it does not.
    async fn difference(&self, principal: &Principal, is_stored: bool) -> Result<Option<Diff>, BucketError> {
        let stored = if is_stored { self.bucket.get(&principal.object_key(self.prefix)).await? } else { None };
        let desired = self.text(principal).as_bytes();
        Ok((stored.as_deref() != Some(desired)).then(|| {
            let stored = stored.unwrap_or_default();
            if self.detailed { Diff::detailed(&stored, desired) } else { Diff::counted(&stored, desired) }
        }))
    }

    /// What the documents hold that would be deleted.
    async fn what_goes(&self, gone: &[Principal]) -> Result<Vec<(Principal, Diff)>, BucketError> {
        stream::iter(gone)
            .map(|principal| async move {
                let stored = self.bucket.get(&principal.object_key(self.prefix)).await?.unwrap_or_default();
                Ok::<_, BucketError>((principal.clone(), Diff::detailed(&stored, b"")))
            })
            .buffered(IN_FLIGHT)
            .try_collect()
            .await
    }

    /// Writes every document that differs. One that fails does not keep the others from being written: among them may be the
    /// withdrawal of a key.
    async fn put_all(&self, principals: &[Principal]) -> Result<(), Error> {
        let mut results = stream::iter(principals)
            .map(|principal| async move {
                let body = self.text(principal).as_bytes().to_vec();
                self.bucket.put(&principal.object_key(self.prefix), body, TEXT).await
            })
            .buffer_unordered(IN_FLIGHT);
        let (mut done, mut failed, mut first) = (0, 0, None);
        while let Some(result) = results.next().await {
            match result {
                Ok(()) => done += 1,
                Err(why) => {
                    failed += 1;
                    first.get_or_insert(why);
                    if failed >= MAX_FAILED {
                        break;
                    }
                }
            }
        }
        match first {
            None => Ok(()),
            Some(first) => Err(Error::Put { first: Box::new(first), failed: principals.len() - done, done }),
        }
    }

    async fn delete_all(&self, gone: &[Principal]) -> Result<(), BucketError> {
        stream::iter(gone)
            .map(|principal| async move { self.bucket.delete(&principal.object_key(self.prefix)).await })
            .buffer_unordered(IN_FLIGHT)
            .try_collect()
            .await
    }
}
