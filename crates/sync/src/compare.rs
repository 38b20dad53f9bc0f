//! What is stored against what should be: which documents differ, what they lose and gain, and what may be written.
//!
//! It must never call two documents the same that are not, and it must take a document that cannot be read for one that may hold anything.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt, TryStreamExt, stream};
use iam_ssh_core::{Plan, Principal, document};

use crate::apply::{Changes, IN_FLIGHT, Target};
use crate::bucket::{self, Bucket, BucketError, Expected, Stored, plain_etag};
use crate::diff::Diff;
use crate::documents::Documents;
use crate::guard::{self, Case, Change, Limits, Refusal};

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
    stored: Option<Stored>,
}

impl<B: Bucket> Scene<'_, B> {
    /// Compares everything; texts of documents that lose less than they should become what they will be.
    pub(crate) async fn compare(&self, desired: &mut Documents) -> Result<Compared, BucketError> {
        let mut compared = Compared::default();
        let different = match self.only {
            None => self.listed(desired, &mut compared).await?,
            Some(only) => self.read(only, desired, &mut compared).await?,
        };
        let lines = |different: &Different| {
            let stored = different.stored.as_ref().map(|stored| document::parse(&stored.body).lines);
            let text = desired.texts.get(&different.principal).filter(|_| stored.is_some());
            let desired = text.map(|text| document::parse(text.as_bytes()).lines);
            let change = Change { stored: stored.unwrap_or_default(), desired: desired.unwrap_or_default() };
            (different.principal.clone(), change)
        };
        let changes: BTreeMap<Principal, Change> = different.iter().map(lines).collect();
        let has_keys =
            |(principal, text): &(&Principal, &String)| matches!(principal, Principal::User(_)) && !text.is_empty();
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
            desired.texts.insert(principal.clone(), document::render(&lines));
        }
        for different in different {
            self.sort(different, &desired.texts, &mut compared);
        }
        Ok(compared)
    }

    /// What is to be done about one document.
    fn sort(&self, different: Different, texts: &BTreeMap<Principal, String>, compared: &mut Compared) {
        let Different { principal, stored } = different;
        let text = texts.get(&principal).map(String::as_bytes);
        if stored.as_ref().is_some_and(|stored| !stored.oversized && Some(stored.body.as_slice()) == text) {
            compared.kept += 1;
            return;
        }
        let body = stored.as_ref().map(|stored| stored.body.as_slice()).unwrap_or_default();
        let desired = text.unwrap_or_default();
        let diff = if self.detailed { Diff::detailed(body, desired) } else { Diff::counted(body, desired) };
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
            etag.as_deref() == Some(plain_etag(text.as_bytes()).as_str())
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

    /// Compares these documents alone.
    async fn read(
        &self,
        only: &BTreeSet<Principal>,
        desired: &Documents,
        compared: &mut Compared,
    ) -> Result<Vec<Different>, BucketError> {
        self.fetch(only.iter().cloned().collect(), desired, compared).await
    }

    /// Reads documents, and gives those that are not as they should be, in order.
    async fn fetch(
        &self,
        principals: Vec<Principal>,
        desired: &Documents,
        compared: &mut Compared,
    ) -> Result<Vec<Different>, BucketError> {
        let read: Vec<Different> = stream::iter(principals)
            .map(|principal| async move {
                let stored = self.bucket.get(&principal.object_key(self.prefix)).await?;
                Ok::<_, BucketError>(Different { principal, stored })
            })
            .buffered(IN_FLIGHT)
            .try_collect()
            .await?;
        let mut found = Vec::new();
        for different in read {
            let text = desired.texts.get(&different.principal).map(String::as_bytes);
            let is_right = match (&different.stored, text) {
                (None, None) => continue,
                (Some(stored), Some(text)) => !stored.oversized && stored.body == text,
                _ => false,
            };
            if is_right {
                compared.kept += 1;
            } else {
                found.push(different);
            }
        }
        Ok(found)
    }
}
