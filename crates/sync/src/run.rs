//! One run: read everything, compare everything, then write what differs, delete what is gone, and leave the heartbeat.
//!
//! The order is the safety: until directory and bucket are known completely, and the change is plausible, nothing is changed; then
//! [`apply`] takes before it gives; until everything is done, there is no heartbeat. It must never know IAM, S3 or the time but through
//! its parameters.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use iam_ssh_core::{Plan, Principal};
use time::OffsetDateTime;

use crate::apply::{Changes, apply};
use crate::bucket::{self, Bucket, BucketError, plain_etag};
use crate::diff::Diff;
use crate::directory::{self, Directory};
use crate::documents::documents;
use crate::error::Error;
use crate::heartbeat;
use crate::report::Report;
use crate::settings::Settings;

/// How many objects are read, written or deleted at the same time.
pub(crate) const IN_FLIGHT: usize = 8;

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
    let Compared { changes, diffs, kept, users_stored } = work.compare().await.map_err(Error::Compare)?;
    if desired.users == 0 && users_stored > 0 {
        return Err(Error::NoUsers { stored: users_stored });
    }
    let mut report = Report {
        dry_run: settings.dry_run,
        put: diffs,
        deleted: Vec::new(),
        kept,
        skipped: desired.skipped.clone(),
        users: desired.users,
        groups: desired.groups,
        keys: desired.keys,
    };
    if settings.dry_run {
        report.deleted = work.what_goes(&changes.gone).await.map_err(Error::Compare)?;
        return Ok(report);
    }
    apply(bucket, &settings.prefix, &desired.texts, &changes).await?;
    report.deleted = changes.gone.into_iter().map(|gone| (gone, Diff::default())).collect();
    let ended = now();
    let duration = Duration::try_from(ended - began).unwrap_or_default();
    let body = heartbeat::render(&report, ended, duration);
    let key = format!("{}{}", settings.prefix, heartbeat::KEY);
    bucket.put(&key, body, "application/json").await.map_err(Error::Heartbeat)?;
    Ok(report)
}

/// What is to be done, how each document to write differs from what is stored, and what was seen.
struct Compared {
    changes: Changes,
    diffs: Vec<(Principal, Diff)>,
    kept: usize,
    /// How many documents of users are stored.
    users_stored: usize,
}

/// How one document differs.
struct Difference {
    diff: Diff,
    /// Whether somebody may lose access by it.
    takes: bool,
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
    async fn compare(&self) -> Result<Compared, BucketError> {
        let stored = bucket::stored(self.bucket, self.prefix).await?;
        let by_etag =
            Plan::new(self.texts, &stored, |text, etag| etag.as_deref() == Some(plain_etag(text.as_bytes()).as_str()));
        let differences: Vec<(Principal, Option<Difference>)> = stream::iter(by_etag.put)
            .map(|principal| {
                let is_stored = stored.contains_key(&principal);
                async move {
                    let difference = self.difference(&principal, is_stored).await?;
                    Ok::<_, BucketError>((principal, difference))
                }
            })
            // In order, so that the report is in order.
            .buffered(IN_FLIGHT)
            .try_collect()
            .await?;
        let users_stored = stored.keys().filter(|principal| matches!(principal, Principal::User(_))).count();
        let changes = Changes { gone: by_etag.delete, ..Changes::default() };
        let mut compared = Compared { changes, diffs: Vec::new(), kept: by_etag.keep.len(), users_stored };
        for (principal, difference) in differences {
            match difference {
                None => compared.kept += 1,
                Some(Difference { diff, takes }) => {
                    let puts = if takes { &mut compared.changes.taking } else { &mut compared.changes.giving };
                    puts.push(principal.clone());
                    compared.diffs.push((principal, diff));
                }
            }
        }
        Ok(compared)
    }

    /// How the stored document differs from the desired one; `None` if it does not.
    async fn difference(&self, principal: &Principal, is_stored: bool) -> Result<Option<Difference>, BucketError> {
        let stored = if is_stored { self.bucket.get(&principal.object_key(self.prefix)).await? } else { None };
        let desired = self.text(principal).as_bytes();
        Ok((stored.as_deref() != Some(desired)).then(|| {
            // Stored, and not to be read: it may hold anything.
            let unknown = is_stored && stored.is_none();
            let stored = stored.unwrap_or_default();
            let diff = if self.detailed { Diff::detailed(&stored, desired) } else { Diff::counted(&stored, desired) };
            Difference { takes: unknown || diff.removed > 0, diff }
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
}
