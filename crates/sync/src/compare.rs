//! What is stored against what should be: which documents differ, what they lose and gain, and what may be written.
//!
//! It must never call two documents the same that are not, and it must take a document that cannot be read for one that may hold anything.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt, TryStreamExt, stream};
use iam_ssh_core::{Plan, Principal};

use crate::apply::{Changes, IN_FLIGHT, LARGE, Target};
use crate::bucket::{self, Bucket, BucketError, Entry, Expected, Stored};
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
    /// Documents that are not to be read, and why; nothing is done about them.
    pub(crate) unread: BTreeMap<Principal, BucketError>,
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
        let (mut compared, known) = (Compared::default(), RefCell::default());
        let mut different = match self.only {
            None => self.listed(desired, &known, &mut compared).await?,
            Some(only) => {
                let wanted = only.iter().map(|principal| (principal.clone(), 0)).collect();
                self.fetch(wanted, desired, &known, &mut compared).await?
            }
        };
        different.sort_by(|one, other| one.principal.cmp(&other.principal));
        let lines = |different: &Different| {
            let stored = different.stored.as_ref().map(|stored| stored.text.keys());
            let desired = desired.texts.get(&different.principal).filter(|_| stored.is_some()).map(Text::keys);
            let change = Change { stored: stored.unwrap_or_default(), desired: desired.unwrap_or_default() };
            (different.principal.clone(), change)
        };
        let changes: BTreeMap<Principal, Change> = different.iter().map(lines).collect();
        let has_keys =
            |(principal, text): &(&Principal, &Text)| matches!(principal, Principal::User(_)) && !text.is_empty();
        let unread: BTreeSet<Principal> = compared.unread.keys().cloned().collect();
        let case = Case {
            changes: &changes,
            whole: self.only.is_none() && !unread.iter().any(|principal| self.has_refused(principal)),
            unread: &unread,
            people: desired.users,
            users: desired.texts.iter().filter(has_keys).count(),
            keys: desired.keys,
            revoked: &desired.revoked,
            denied: &desired.denied,
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
            desired.texts.insert(principal.clone(), known.borrow_mut().text(lines));
        }
        for different in different {
            self.sort(different, &desired.texts, &mut compared);
        }
        Ok(compared)
    }

    /// Whether lines of this document were refused before.
    fn has_refused(&self, principal: &Principal) -> bool {
        let begin = format!("{principal} ");
        self.refused_before.range(begin.clone()..).next().is_some_and(|line| line.starts_with(&begin))
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
    async fn listed(
        &self,
        desired: &Documents,
        known: &RefCell<Known>,
        compared: &mut Compared,
    ) -> Result<Vec<Different>, BucketError> {
        let listing = bucket::stored(self.bucket, self.prefix).await?;
        compared.foreign = listing.foreign;
        let plan = Plan::new(&desired.texts, &listing.documents, |text, entry: &Entry| {
            entry.etag.as_deref() == Some(text.plain_etag().as_str())
        });
        compared.kept = plan.keep.len();
        let differing: BTreeSet<Principal> = plan.put.into_iter().chain(plan.delete).collect();
        let (mut there, mut new) = (Vec::new(), Vec::new());
        for principal in differing {
            match listing.documents.get(&principal) {
                Some(entry) => there.push((principal, entry.size)),
                None => new.push(Different { principal, stored: None }),
            }
        }
        let found = self.fetch(there, desired, known, compared).await?;
        Ok(new.into_iter().chain(found).collect())
    }

    /// Reads documents, given with the size that a list told, if one did, and gives those that are not as they should be. What S3 refuses
    /// to give is noted, unless a run about everything may not read any of several: then it is not these documents that something is
    /// wrong with.
    async fn fetch(
        &self,
        wanted: Vec<(Principal, usize)>,
        desired: &Documents,
        known: &RefCell<Known>,
        compared: &mut Compared,
    ) -> Result<Vec<Different>, BucketError> {
        let asked = wanted.len();
        if asked == 0 {
            return Ok(Vec::new());
        }
        // Groups hold the lines of their users.
        let of_users = desired.texts.iter().filter(|(principal, _)| matches!(principal, Principal::User(_)));
        known.replace(Known::of(of_users.map(|(_, text)| text)));
        let get = |(principal, _): (Principal, usize)| async move {
            let stored = match self.bucket.get(&principal.object_key(self.prefix)).await {
                Err(why) if !why.is_about_the_object() => return Err(why),
                // Here, so that the bytes are gone before the next come.
                stored => stored.map(|stored| stored.map(|stored| Found::new(stored, &mut known.borrow_mut()))),
            };
            Ok((principal, stored))
        };
        let is_large = |(principal, size): &(Principal, usize)| {
            let desired = desired.texts.get(principal).map_or(0, Text::len);
            desired.max(*size) > LARGE
        };
        let (large, small): (Vec<_>, Vec<_>) = wanted.into_iter().partition(is_large);
        let small = stream::iter(small).map(get).buffered(IN_FLIGHT);
        let mut answers = std::pin::pin!(small.chain(stream::iter(large).map(get).buffered(1)));
        let mut found = Vec::new();
        while let Some((principal, stored)) = answers.try_next().await? {
            match (stored, desired.texts.get(&principal)) {
                (Err(why), _) => drop(compared.unread.insert(principal, why)),
                (Ok(None), None) => {}
                (Ok(Some(stored)), Some(text)) if stored.says(text) => compared.kept += 1,
                (Ok(stored), _) => found.push(Different { principal, stored }),
            }
            // Large documents take their time, in which the lease must be renewed.
            tokio::task::yield_now().await;
        }
        let is_general = self.only.is_none() && asked > 1 && asked == compared.unread.len();
        let is_denied = compared.unread.values().all(|why| why.cause.is("AccessDenied"));
        match compared.unread.first_key_value() {
            Some((_, why)) if is_general && is_denied => Err(why.clone()),
            _ => Ok(found),
        }
    }
}
