//! What is stored against what should be: which documents differ, what they lose and gain, and what may be written.
//!
//! It must never call two documents the same that are not, and it must take a document that cannot be read for one that may hold anything.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt, TryStreamExt, stream};
use iam_ssh_core::{Plan, Principal};

use crate::apply::{Changes, IN_FLIGHT, Target};
use crate::bucket::{self, Bucket, BucketError, Expected, Stored};
use crate::diff::Diff;
use crate::documents::Documents;
use crate::guard::{self, Case, Change, Limits, Refusal};
use crate::text::{Known, Text};

/// Where to compare, and how much of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scene<'a, B> {
    pub(crate) bucket: &'a B,
    pub(crate) prefix: &'a str,
    /// The documents to look at; all of them where there is nothing.
    pub(crate) only: Option<&'a BTreeSet<Principal>>,
    /// Whether differences are to be told line by line.
    pub(crate) detailed: bool,
    pub(crate) limits: &'a Limits,
    pub(crate) renamed: &'a BTreeSet<Principal>,
    pub(crate) refused_before: &'a BTreeSet<String>,
    pub(crate) confirmed: Option<&'a str>,
    pub(crate) confirmed_before: &'a BTreeSet<String>,
}

/// What is to be done, how each document to write differs from what is stored, and what was seen.
#[derive(Debug, Default)]
pub(crate) struct Compared {
    pub(crate) changes: Changes,
    pub(crate) put: Vec<(Principal, Diff)>,
    pub(crate) deleted: Vec<(Principal, Diff)>,
    pub(crate) kept: usize,
    pub(crate) refusal: Option<Refusal>,
    /// Lines that go only because a person confirmed it.
    pub(crate) confirmed: BTreeSet<String>,
    pub(crate) foreign: Vec<String>,
}

/// A document that is not as it should be.
struct Different {
    principal: Principal,
    stored: Option<Found>,
}

/// A document that is stored.
struct Found {
    text: Text,
    etag: Option<String>,
    oversized: bool,
}

impl Found {
    /// What was fetched; its lines are held once for all documents.
    fn new(stored: Stored, known: &mut Known) -> Self {
        let Stored { body, etag, oversized } = stored;
        Self { text: known.read(&body), etag, oversized }
    }

    /// Whether it is exactly this.
    fn says(&self, text: &Text) -> bool {
        !self.oversized && self.text == *text
    }
}

impl<B: Bucket> Scene<'_, B> {
    /// Compares everything; texts of documents that lose less than they should become what they will be.
    pub(crate) async fn compare(&self, desired: &mut Documents) -> Result<Compared, BucketError> {
        let mut compared = Compared::default();
        let different = match self.only {
            None => self.listed(desired, &mut compared).await?,
            Some(only) => self.fetch(only.iter().cloned().collect(), desired, &mut compared).await?,
        };
        let lines = |different: &Different| {
            let stored = different.stored.as_ref().map(|stored| stored.text.keys());
            let desired = desired.texts.get(&different.principal).filter(|_| stored.is_some()).map(Text::keys);
            let change = Change { stored: stored.unwrap_or_default(), desired: desired.unwrap_or_default() };
            (different.principal.clone(), change)
        };
        let changes: BTreeMap<Principal, Change> = different.iter().map(lines).collect();
        let has_keys =
            |(principal, text): &(&Principal, &Text)| matches!(principal, Principal::User(_)) && !text.is_empty();
        let case = Case {
            changes: &changes,
            people: desired.users,
            users: desired.texts.iter().filter(has_keys).count(),
            keys: desired.keys,
            revoked: &desired.revoked,
            owners: &desired.owners,
            renamed: self.renamed,
            refused_before: self.refused_before,
            confirmed_before: self.confirmed_before,
            place: self.prefix,
        };
        match guard::judge(&case, self.limits) {
            Some(refusal) if self.confirmed == Some(refusal.plan.as_str()) => compared.confirmed = refusal.lines(),
            refusal => compared.refusal = refusal,
        }
        for (principal, held) in compared.refusal.iter().flat_map(|refusal| &refusal.held) {
            let change = changes.get(principal).cloned().unwrap_or_default();
            let merged = guard::merge(change.desired, held);
            // Where nothing else changes, not even the order does.
            let (mut lines, mut stored) = (merged.clone(), change.stored.clone());
            lines.sort();
            stored.sort();
            let lines = if lines == stored { change.stored } else { merged };
            desired.texts.insert(principal.clone(), Text::of(lines));
        }
        for different in different {
            self.sort(different, &desired.texts, &mut compared);
        }
        Ok(compared)
    }

    /// What is to be done about one document.
    fn sort(&self, different: Different, texts: &BTreeMap<Principal, Text>, compared: &mut Compared) {
        let Different { principal, stored } = different;
        let (text, nothing) = (texts.get(&principal), Text::default());
        if stored.as_ref().zip(text).is_some_and(|(stored, text)| stored.says(text)) {
            compared.kept += 1;
            return;
        }
        let before = stored.as_ref().map_or(&nothing, |stored| &stored.text);
        let desired = text.unwrap_or(&nothing);
        let diff = if self.detailed { Diff::detailed(before, desired) } else { Diff::counted(before, desired) };
        let target: Target = (principal.clone(), Expected::found(stored.as_ref().map(|stored| &stored.etag)));
        // What cannot be read may hold anything.
        let takes = diff.removed > 0 || stored.is_some_and(|stored| stored.oversized);
        match (text.is_some(), takes) {
            (false, _) => compared.changes.gone.push(target),
            (true, true) => compared.changes.taking.push(target),
            (true, false) => compared.changes.giving.push(target),
        }
        let list = if text.is_some() { &mut compared.put } else { &mut compared.deleted };
        list.push((principal, diff));
    }

    /// Compares all documents: by ETag where that decides it, and by content where it does not (a new ETag, or a bucket with SSE-KMS).
    async fn listed(&self, desired: &Documents, compared: &mut Compared) -> Result<Vec<Different>, BucketError> {
        let listing = bucket::stored(self.bucket, self.prefix).await?;
        compared.foreign = listing.foreign;
        let plan = Plan::new(&desired.texts, &listing.documents, |text, etag| {
            etag.as_deref() == Some(text.plain_etag().as_str())
        });
        compared.kept = plan.keep.len();
        let differing: BTreeSet<Principal> = plan.put.into_iter().chain(plan.delete).collect();
        let (there, new): (Vec<Principal>, Vec<Principal>) =
            differing.into_iter().partition(|principal| listing.documents.contains_key(principal));
        let mut found = self.fetch(there, desired, compared).await?;
        found.extend(new.into_iter().map(|principal| Different { principal, stored: None }));
        found.sort_by(|one, other| one.principal.cmp(&other.principal));
        Ok(found)
    }

    /// Reads documents, and gives those that are not as they should be, in order.
    async fn fetch(
        &self,
        principals: Vec<Principal>,
        desired: &Documents,
        compared: &mut Compared,
    ) -> Result<Vec<Different>, BucketError> {
        let mut known = Known::of(desired.texts.values());
        let mut found = Vec::new();
        let mut answers = std::pin::pin!(
            stream::iter(principals)
                .map(|principal| async move {
                    let stored = self.bucket.get(&principal.object_key(self.prefix)).await?;
                    Ok::<_, BucketError>((principal, stored))
                })
                .buffered(IN_FLIGHT)
        );
        while let Some((principal, stored)) = answers.try_next().await? {
            let stored = stored.map(|stored| Found::new(stored, &mut known));
            match (&stored, desired.texts.get(&principal)) {
                (None, None) => {}
                (Some(stored), Some(text)) if stored.says(text) => compared.kept += 1,
                _ => found.push(Different { principal, stored }),
            }
        }
        Ok(found)
    }
}
