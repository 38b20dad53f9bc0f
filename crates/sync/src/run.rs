//! One run for one account: read, compare, then write what differs, delete what is gone, and leave the heartbeat.
//!
//! The order is the safety: until the account and the bucket are known completely, nothing is changed; what a suspicious shrink takes is
//! held back; then [`apply`] takes before it gives; until everything is done, there is no heartbeat. All of it under the lease. It must
//! never know IAM, S3 or the time of day but through its parameters.

use std::collections::BTreeSet;
use std::time::Duration;

use iam_ssh_core::{Name, Principal};
use time::OffsetDateTime;

use crate::apply::apply;
use crate::bucket::{Bucket, BucketError, Expected};
use crate::budget::Budget;
use crate::compare::{Compared, Scene};
use crate::directory::Directory;
use crate::documents::{Documents, Rendering, documents};
use crate::error::Error;
use crate::events::What;
use crate::guard::Refusal;
use crate::heartbeat;
use crate::lease::{Lease, LeaseError, Terms};
use crate::memory::{Memory, Store, Unfinished};
use crate::picture::Picture;
use crate::progress::Progress;
use crate::reading::{Ask, Read, Reader, within};
use crate::report::Report;
use crate::settings::Settings;

/// What a run is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// What changed; everything is read where there is nothing.
    pub changes: Option<Vec<What>>,
    /// Whether to change nothing.
    pub dry_run: bool,
    /// The plan that a person confirms.
    pub confirm: Option<String>,
}

/// A run for one account.
#[derive(Debug)]
pub struct Run<'a, D, B> {
    /// Where users, groups and keys come from.
    pub directory: &'a D,
    /// Where documents go.
    pub bucket: &'a B,
    /// Below which prefix.
    pub prefix: &'a str,
    /// The account that must answer, if that is known.
    pub account: Option<&'a str>,
    /// Everything else that is set.
    pub settings: &'a Settings,
    /// Where to tell how far it came.
    pub progress: &'a Progress,
    /// Until when to read.
    pub budget: Budget,
    /// The time of day.
    pub now: fn() -> OffsetDateTime,
}

impl<D: Directory, B: Bucket> Run<'_, D, B> {
    /// Brings the bucket in line with the directory, or in a dry run only tells what that would change. Warnings are given to `warn`.
    ///
    /// # Errors
    /// See [`Error`]: each says what state the bucket was left in.
    pub async fn run(&self, task: &Task, warn: impl Fn(&str)) -> Result<Report, Error> {
        if task.dry_run {
            return self.work(task, None, &warn).await;
        }
        let terms = self.settings.lease;
        let terms = Terms { patience: self.budget.bound(terms.patience), ..terms };
        let lease = Lease::take(self.bucket, self.prefix, terms, self.now).await.map_err(|why| match why {
            LeaseError::Bucket(why) => Error::Compare(why),
            why => why.into(),
        })?;
        let done = lease.during(self.work(task, Some(&lease), &warn)).await;
        if let Err(why) = lease.give_back().await {
            warn(&format!("the lease is not given back and ends by itself: {why}"));
        }
        done?
    }

    async fn work(&self, task: &Task, lease: Option<&Lease<'_, B>>, warn: &impl Fn(&str)) -> Result<Report, Error> {
        let began = (self.now)();
        let (mut store, mut memory, wrong) = Store::load(self.bucket, self.prefix).await.map_err(Error::Memory)?;
        if let Some(why) = wrong {
            warn(&format!(
                "the memory is not usable, and everything is read anew: {}{}: {why}",
                self.prefix,
                crate::memory::KEY
            ));
        }
        if let Some(number) = self.account {
            memory.is_about(Some(number)).map_err(Error::OtherAccount)?;
        }
        let read = self.read(task, &mut memory, (&mut store, lease.is_some()), began).await;
        let seen = match read {
            Ok(seen) => seen,
            Err(error) => {
                // What was learnt until then is kept, if that can be; but after a failure nobody knows how long the listings will be old.
                if task.changes.is_none() && !error.is_incomplete() {
                    memory.pass.clear();
                }
                // The run that comes to the end of this reading is the one that it was meant for.
                if task.changes.is_none() && error.is_incomplete() {
                    memory.confirm = task.confirm.clone().or(memory.confirm);
                }
                if lease.is_some()
                    && !matches!(error, Error::OtherAccount(_))
                    && let Err(why) = store.save(self.bucket, &memory).await
                {
                    warn(&format!("what was read is not kept: {why}"));
                }
                return Err(error);
            }
        };
        let Some(Seen { picture, mut desired, mut only, vanished, news }) = seen else {
            warn("nothing was done about what changed: there was no complete run yet, which will see it");
            if lease.is_some() {
                store.save(self.bucket, &memory).await.map_err(Error::Memory)?;
            }
            return Ok(Report {
                news: task.changes.as_ref().map(|changes| vec![true; changes.len()]),
                ..Report::default()
            });
        };
        let left = memory.unfinished.take().unwrap_or_default();
        let confirm = match task.changes {
            None => task.confirm.clone().or(memory.confirm.take()),
            Some(_) => None,
        };
        // What this run is not about, but an earlier one left.
        let mut others = BTreeSet::new();
        if let Some(only) = &mut only {
            others.extend(principals(&left.documents).filter(|principal| !only.contains(principal)));
            only.extend(others.iter().cloned());
        }
        let mut renamed = renamed(memory.picture.as_ref(), &picture);
        renamed.extend(principals(&left.renamed));
        let scene = Scene {
            bucket: self.bucket,
            prefix: self.prefix,
            only: only.as_ref(),
            detailed: task.dry_run,
            limits: &self.settings.limits,
            renamed: &renamed,
            refused_before: &memory.refused,
            confirmed: confirm.as_deref(),
            confirmed_before: &left.confirmed,
        };
        let Compared { changes, put, deleted, kept, refusal, mut confirmed, foreign, unread } =
            scene.compare(&mut desired).await.map_err(Error::Compare)?;
        let Documents { texts, skipped, excluded, users, groups, keys, .. } = desired;
        let dry_run = task.dry_run;
        let mut report = Report {
            held: refusal.as_ref().map_or(0, Refusal::count),
            dry_run,
            put,
            deleted,
            kept,
            skipped,
            vanished,
            excluded,
            foreign,
            refusal,
            news,
            users,
            groups,
            keys,
            unread: unread.values().filter(|_| dry_run).cloned().collect(),
        };
        if let (Some(confirmed), Some(_)) = (&confirm, &report.refusal) {
            warn(&format!("{confirmed} is not the plan that would be carried out now"));
        }
        let Some(lease) = lease else { return Ok(report) };
        let held = report.refusal.as_ref().map(Refusal::lines).unwrap_or_default();
        let has_looked = |principal: &Principal| {
            only.as_ref().is_none_or(|only| only.contains(principal)) && !unread.contains_key(principal)
        };
        self.remember(&mut memory, picture, held, has_looked);
        report.held = memory.refused.len();
        // What is begun is remembered until it is done: also a run about some users then knows where to look, and what was meant.
        confirmed.extend(left.confirmed);
        let renamed = renamed.iter().map(ToString::to_string).collect();
        let documents = report.changed().chain(unread.keys()).map(ToString::to_string).collect();
        memory.unfinished = Unfinished { renamed, confirmed, ..Unfinished::default() }.about(documents);
        store.save(self.bucket, &memory).await.map_err(Error::Memory)?;
        // Nobody may have taken over while everything was read.
        lease.renew().await?;
        let unread_ones: BTreeSet<String> = unread.keys().map(ToString::to_string).collect();
        // What this run is not about is no failure of it; a complete run says what it is.
        let (later, failed): (Vec<_>, Vec<_>) = unread.into_iter().partition(|(one, _)| others.contains(one));
        later.iter().for_each(|(_, why)| warn(&format!("a document is still not to be read, and left alone: {why}")));
        let failed = failed.into_iter().map(|(_, why)| why).collect();
        let applied = apply(self.bucket, self.prefix, &texts, &changes, failed).await;
        let mut saved = Ok(());
        if applied.as_ref().err().is_none_or(Error::is_unread_alone) {
            memory.unfinished = memory.unfinished.take().and_then(|unfinished| unfinished.about(unread_ones));
            saved = store.save(self.bucket, &memory).await.map_err(Error::Forgotten);
        }
        if applied.is_err() {
            // Whoever is to confirm the plan must know it.
            report.refusal.iter().filter(|_| only.is_none()).for_each(|refusal| warn(&refusal.to_string()));
        }
        applied.and(saved)?;
        if only.is_none() && task.changes.is_none() && report.refusal.is_none() {
            self.beat(&report, began).await.map_err(Error::Heartbeat)?;
        }
        Ok(report)
    }

    /// Keeps what the next run needs.
    fn remember(
        &self,
        memory: &mut Memory,
        picture: Picture,
        held: BTreeSet<String>,
        has_looked: impl Fn(&Principal) -> bool,
    ) {
        // What is held back where nobody looked stays so.
        let is_elsewhere = |line: &String| {
            let principal = line.split(' ').next().and_then(|principal| principal.parse().ok());
            principal.is_some_and(|principal| !has_looked(&principal))
        };
        memory.refused.retain(is_elsewhere);
        memory.refused.extend(held);
        memory.picture = Some(picture);
        // What is held back may count again, and would then have to be read anew.
        if memory.refused.is_empty() {
            memory.prune();
        }
    }

    fn documents(&self, picture: &Picture, memory: &Memory, now: OffsetDateTime) -> Documents {
        let keys = &self.settings.who.keys;
        let how = Rendering { options: &self.settings.key_options, keys, now: now.unix_timestamp() };
        documents(picture, &memory.bodies, how)
    }

    /// Leaves the heartbeat.
    async fn beat(&self, report: &Report, began: OffsetDateTime) -> Result<(), BucketError> {
        let ended = (self.now)();
        let duration = Duration::try_from(ended - began).unwrap_or_default();
        let body = heartbeat::render(report, ended, duration);
        let key = format!("{}{}", self.prefix, heartbeat::KEY);
        self.bucket.put(&key, body, "application/json", &Expected::Anything).await.map(drop)
    }

    /// How long ago the last complete run ended, if that is known.
    pub async fn heartbeat_age(&self) -> Option<Duration> {
        let key = format!("{}{}", self.prefix, heartbeat::KEY);
        let stored = self.bucket.get(&key).await.ok()??;
        heartbeat::age(&stored.body, (self.now)())
    }
}

/// What a reading showed.
struct Seen {
    picture: Picture,
    /// What should be published by that.
    desired: Documents,
    /// The documents that may be concerned; all of them where there is nothing.
    only: Option<BTreeSet<Principal>>,
    vanished: Vec<String>,
    news: Option<Vec<bool>>,
}

impl<D: Directory, B: Bucket> Run<'_, D, B> {
    /// Reads what the task is about; nothing where an event comes before the first complete run.
    async fn read(
        &self,
        task: &Task,
        memory: &mut Memory,
        (store, keeps): (&mut Store, bool),
        began: OffsetDateTime,
    ) -> Result<Option<Seen>, Error> {
        match &task.changes {
            None => self.everything(memory, (store, keeps), began).await.map(Some),
            // Nothing of this is kept: who asked for it must ask again.
            Some(changes) => within(self.changes(changes, memory, began), self.budget.reading_ends())
                .await
                .unwrap_or(Err(Error::Incomplete { done: 0, of: changes.len() })),
        }
    }

    fn reader(&self) -> Reader<'_, D> {
        let now = (self.now)().unix_timestamp();
        Reader { directory: self.directory, who: &self.settings.who, progress: self.progress, now }
    }

    async fn everything(
        &self,
        memory: &mut Memory,
        (store, keeps): (&mut Store, bool),
        began: OffsetDateTime,
    ) -> Result<Seen, Error> {
        let keep = async |memory: &Memory| match keeps {
            true => store.save(self.bucket, memory).await.map_err(Error::Memory),
            false => Ok(()),
        };
        match self.reader().everything(memory, self.budget.reading_ends(), keep).await? {
            Read::Whole(picture, vanished) => {
                let desired = self.documents(&picture, memory, began);
                Ok(Seen { picture, desired, only: None, vanished, news: None })
            }
            Read::Partly(done, of) => Err(Error::Incomplete { done, of }),
        }
    }

    async fn changes(
        &self,
        changes: &[What],
        memory: &mut Memory,
        began: OffsetDateTime,
    ) -> Result<Option<Seen>, Error> {
        let reader = self.reader();
        let Some(before) = memory.picture.clone() else {
            // What an unfinished reading of everything has seen of these users is older than the event.
            for change in changes {
                if let What::User { names, .. } = change {
                    reader.forget(names, memory).await?;
                }
            }
            return Ok(None);
        };
        let has_groups = changes.contains(&What::Groups);
        let mut picture = if has_groups { reader.structure(memory).await? } else { before.clone() };
        let is_other = picture != before;
        let (mut names, mut news): (BTreeSet<Name>, Vec<bool>) = Default::default();
        for change in changes {
            news.push(match change {
                What::Groups => is_other,
                What::User { names: asked, keys, policies, deleted } => {
                    names.extend(asked.iter().filter_map(|name| Name::new(name).ok()));
                    let ask = Ask { names: asked, keys: *keys, inline: *policies, deleted: *deleted };
                    reader.some(ask, memory, &mut picture).await?
                }
            });
        }
        // Everything that says something else now, and what those who are named should have, whoever wrote it last.
        let Documents { texts: was, denied: were_denied, .. } = self.documents(&before, memory, began);
        let desired = self.documents(&picture, memory, began);
        let mut only: BTreeSet<Principal> = names.into_iter().map(Principal::User).collect();
        let all = was.keys().chain(desired.texts.keys());
        only.extend(all.filter(|principal| was.get(*principal) != desired.texts.get(*principal)).cloned());
        // What is held back of somebody stands in no text.
        let (held, newly) = (memory.held(), desired.denied.difference(&were_denied));
        let newly = newly.filter(|name| held.contains(&name.as_str().to_ascii_lowercase()));
        only.extend(newly.cloned().map(Principal::User));
        let people = before.everybody().chain(picture.everybody());
        let named = people.filter(|person| only.iter().any(|known| is_of(known, &person.name)));
        let groups: Vec<Principal> = named
            .flat_map(|person| &person.groups)
            .filter_map(|group| Name::new(group).ok())
            .map(Principal::Group)
            .collect();
        only.extend(groups);
        Ok(Some(Seen { picture, desired, only: Some(only), vanished: Vec::new(), news: Some(news) }))
    }
}

/// Principals as they are remembered.
fn principals(names: &BTreeSet<String>) -> impl Iterator<Item = Principal> {
    names.iter().filter_map(|name| name.parse().ok())
}

/// The groups that have another name now, by the one that they had.
fn renamed(before: Option<&Picture>, now: &Picture) -> BTreeSet<Principal> {
    let before = before.iter().flat_map(|before| &before.groups);
    let renamed = before.filter(|(id, name)| now.groups.get(*id).is_some_and(|now| now != *name));
    renamed.filter_map(|(_, name)| Name::new(name).ok()).map(Principal::Group).collect()
}

/// Whether this is the principal of the user of this name, as IAM compares names.
fn is_of(principal: &Principal, name: &str) -> bool {
    matches!(principal, Principal::User(user) if crate::account::same_name(user.as_str(), name))
}
