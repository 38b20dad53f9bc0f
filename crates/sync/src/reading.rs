//! Reads the account: everybody in scope with the fewest calls, in several runs if need be, or only those whom an event is about.
//!
//! It must never take an error for emptiness, and never give a picture that is not complete. Who is not there any more is looked for a
//! second time, because paging is no snapshot and IAM's answers are only eventually the same.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use iam_ssh_core::PublicKey;
use tokio::time::Instant;

use crate::account::{Account, User};
use crate::cause::Cause;
use crate::directory::{Directory, DirectoryError, Key, ListedKey};
use crate::error::Error;
use crate::exclusion::{Rules, Verdicts};
use crate::memory::{Listed, Memory};
use crate::pace::backoff;
use crate::picture::{Person, Picture};
use crate::policy::denies_everything;
use crate::progress::Progress;
use crate::settings::Who;
use crate::tag_keys;

mod some;

pub use some::Ask;

/// How many calls may wait for their answers at the same time; how many go out is the pace's business.
const IN_FLIGHT: usize = 16;
/// How long calls on their way are waited for when the time is up.
const GRACE: Duration = Duration::from_secs(2);
/// How often what was learnt is stored while much is read: what a run that is killed loses at most.
const KEPT_EVERY: Duration = Duration::from_secs(120);
/// How often the account is read until two readings agree on who is not there any more.
const READINGS: u32 = 4;
/// How often those who vanish while their keys are listed are looked for anew.
const ROUNDS: u32 = 3;

/// How far a reading came.
#[derive(Debug)]
pub enum Read {
    /// Everything is read; and the names of those who vanished meanwhile.
    Whole(Picture, Vec<String>),
    /// The time was up: so many of so many users and keys are read.
    Partly(usize, usize),
}

/// Reads through `directory` what `who` asks for.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a, D> {
    /// Where from.
    pub directory: &'a D,
    /// Who counts, and which keys.
    pub who: &'a Who,
    /// Where to tell how far it came.
    pub progress: &'a Progress,
    /// Seconds since 1970 in UTC.
    pub now: i64,
}

impl<D: Directory> Reader<'_, D> {
    /// Users and groups, such that nobody whom the memory knows is missing by mistake; and the ids of those of whom that is not sure,
    /// because only the last reading missed them.
    ///
    /// # Errors
    /// When a call fails, or the pages keep contradicting each other.
    pub async fn account(&self, memory: &Memory) -> Result<(Account, BTreeSet<String>), DirectoryError> {
        let mut missed: Option<BTreeSet<String>> = None;
        let mut reading = 0;
        loop {
            reading += 1;
            match self.directory.account().await {
                Ok(account) => {
                    let missing = missing(memory, &account);
                    let unsure: BTreeSet<String> = match &missed {
                        Some(missed) => missing.difference(missed).cloned().collect(),
                        None => missing.clone(),
                    };
                    if unsure.is_empty() || reading >= READINGS {
                        return Ok((account, unsure));
                    }
                    missed = Some(missing);
                }
                Err(error) if matches!(error.cause, Cause::Torn(_)) && reading < READINGS => {}
                Err(error) => return Err(error),
            }
            tokio::time::sleep(backoff(reading)).await;
        }
    }

    /// Reads everything. What is learnt is put into the memory, also where this fails or is not done by `until`; every now and then
    /// `keep` is asked to store it.
    ///
    /// # Errors
    /// The first failure of any call or of `keep`, or that another account answers than the memory is about.
    pub async fn everything(
        &self,
        memory: &mut Memory,
        until: Option<Instant>,
        keep: impl AsyncFnMut(&Memory) -> Result<(), Error>,
    ) -> Result<Read, Error> {
        let mut keeper = Keeper { keep, kept: Instant::now() };
        memory.pass.retain(|_, listed| listed.counts(self.now));
        let mut round = 0;
        loop {
            round += 1;
            let Some((account, unsure)) = within(self.account(memory), until).await.transpose()? else {
                return Ok(Read::Partly(0, memory.picture.as_ref().map_or(0, |picture| picture.people.len())));
            };
            memory.is_about(account.number.as_deref()).map_err(Error::OtherAccount)?;
            let held = memory.held();
            let mut picture = self.people(&account, &unsure, memory);
            drop(account);
            let is_wanted = |person: &Person| self.who.keys.iam && (person.counts() || is_held(&held, &person.name));
            let all = picture.people.iter().chain(&picture.outside).filter(|(_, person)| is_wanted(person));
            let wanted: Vec<(String, String)> = all.map(|(id, person)| (id.clone(), person.name.clone())).collect();
            memory.pass.retain(|id, _| picture.known(id).is_some());
            let mut gone = self.list(&wanted, memory, until, &mut keeper).await?;
            // Whose key is gone is perhaps renamed, and at last has deleted that key.
            let moved = self.bodies(&wanted, memory, until, &mut keeper, round < ROUNDS).await?;
            moved.iter().for_each(|id| drop(memory.pass.remove(id)));
            gone.extend(moved);
            let done = wanted.iter().filter(|(id, _)| is_read(memory, id) || gone.contains(id)).count();
            if done < wanted.len() {
                return Ok(Read::Partly(done, wanted.len()));
            }
            if !gone.is_empty() && round < ROUNDS {
                // Deleted, or only renamed: the account says which.
                tokio::time::sleep(backoff(round + 2)).await;
                continue;
            }
            let mut vanished = Vec::new();
            for id in gone {
                vanished.extend(picture.people.remove(&id).map(|person| person.name));
                picture.outside.remove(&id);
            }
            for (id, listed) in std::mem::take(&mut memory.pass) {
                let person = picture.people.get_mut(&id).or_else(|| picture.outside.get_mut(&id));
                if let Some(person) = person.filter(|person| is_wanted(person)) {
                    person.keys = listed.keys;
                }
            }
            return Ok(Read::Whole(picture, vanished));
        }
    }

    /// Everybody in scope, with the keys that are known; and those who were, and of whom it is not sure that they are gone.
    fn people(&self, account: &Account, unsure: &BTreeSet<String>, memory: &Memory) -> Picture {
        let mut picture = Picture {
            groups: account.groups.iter().map(|(id, group)| (id.clone(), group.name.clone())).collect(),
            verdicts: Verdicts::of(account),
            ..Picture::default()
        };
        let held = memory.held();
        for (id, user) in &account.users {
            let known = memory.picture.as_ref().and_then(|picture| picture.known(id));
            let person = self.person(user, &picture.verdicts, known);
            self.place(id.clone(), user, person, &held, &mut picture);
        }
        if let Some(before) = &memory.picture {
            for id in unsure {
                picture.people.extend(before.people.get(id).map(|person| (id.clone(), person.clone())));
                picture.outside.extend(before.outside.get(id).map(|person| (id.clone(), person.clone())));
                picture.groups.extend(before.groups.get(id).map(|group| (id.clone(), group.clone())));
            }
        }
        picture
    }

    /// Puts a user into the picture: among the people in scope, or outside as far as something about the user matters.
    fn place(&self, id: String, user: &User, mut person: Person, held: &BTreeSet<String>, picture: &mut Picture) {
        if self.who.scope.includes(user) {
            picture.people.insert(id, person);
            return;
        }
        let is_held = is_held(held, &person.name);
        if !is_held {
            person.keys.clear();
        }
        if is_held || person.denied || !person.since.is_empty() {
            picture.outside.insert(id, person);
        }
    }

    /// A user as the picture has users.
    fn person(&self, user: &User, verdicts: &Verdicts, known: Option<&Person>) -> Person {
        let excluded = match self.who.scope.includes(user) {
            true => self.who.exclude.reason(user, verdicts).map(|reason| reason.to_string()),
            false => Some("it is out of scope".to_owned()),
        };
        let mut person = Person {
            name: user.name.clone(),
            groups: user.groups.clone(),
            // Whatever the rules here say.
            denied: Rules::default().reason(user, verdicts).is_some(),
            excluded,
            keys: known.map(|known| known.keys.clone()).unwrap_or_default(),
            inline: user.policies.inline.clone(),
            ..Person::default()
        };
        let counts = person.counts();
        person.inline.retain(|_, document| !counts || denies_everything(document));
        if let Some(prefix) = &self.who.keys.tags {
            let ours = user.tags.iter().filter(|(tag, _)| tag_keys::is_below(tag, prefix));
            person.tags = ours.map(|(tag, value)| (tag.clone(), value.clone())).collect();
            let since = |key: String| {
                let since = known.and_then(|known| known.since.get(&key)).copied().unwrap_or(self.now);
                (key, since)
            };
            // Also of keys that do not count at the moment: a slip in a tag must not hand a key to somebody else.
            person.since = tag_keys::held(&person.tags, prefix).iter().map(|key| since(key.fingerprint())).collect();
        }
        person
    }

    /// Lists the keys of those who are not listed yet, while there is time; gives the ids of those who vanished.
    async fn list(
        &self,
        wanted: &[(String, String)],
        memory: &mut Memory,
        until: Option<Instant>,
        keeper: &mut Keeper<impl AsyncFnMut(&Memory) -> Result<(), Error>>,
    ) -> Result<BTreeSet<String>, Error> {
        let todo: Vec<&(String, String)> = wanted.iter().filter(|(id, _)| !memory.pass.contains_key(id)).collect();
        let (mut done, mut gone) = (wanted.len() - todo.len(), BTreeSet::new());
        let began = Instant::now();
        let mut answers = std::pin::pin!(
            stream::iter(todo)
                .take_while(|_| std::future::ready(!is_over(until)))
                .map(|(id, name)| async move { Ok::<_, DirectoryError>((id, self.directory.keys(name).await?)) })
                .buffer_unordered(IN_FLIGHT)
        );
        while let Some((id, keys)) = in_time(answers.try_next(), until).await? {
            match keys {
                Some(keys) => drop(memory.pass.insert(id.clone(), Listed { at: self.now + elapsed(began), keys })),
                None => drop(gone.insert(id.clone())),
            }
            done += 1;
            self.show("users", done, wanted.len());
            keeper.now_and_then(memory).await?;
        }
        Ok(gone)
    }

    /// Reads the bodies of all listed keys that are needed and not known yet, while there is time; gives the ids of users whose key is
    /// gone, if they are to be `looked_for`: otherwise such a key just is not there.
    async fn bodies(
        &self,
        wanted: &[(String, String)],
        memory: &mut Memory,
        until: Option<Instant>,
        keeper: &mut Keeper<impl AsyncFnMut(&Memory) -> Result<(), Error>>,
        looked_for: bool,
    ) -> Result<BTreeSet<String>, Error> {
        let mut moved = BTreeSet::new();
        let mut todo: Vec<(&String, &String, String)> = Vec::new();
        for (user, name) in wanted {
            let listed = memory.pass.get(user).into_iter().flat_map(|listed| &listed.keys);
            let unknown = listed.filter(|key| is_needed(memory, key) && !memory.bodies.contains_key(&key.id));
            todo.extend(unknown.map(|key| (user, name, key.id.clone())));
        }
        let (mut done, of) = (0, todo.len());
        let mut answers = std::pin::pin!(
            stream::iter(todo)
                .take_while(|_| std::future::ready(!is_over(until)))
                .map(|(user, name, id)| async move {
                    let key = self.directory.key(name, &id).await?;
                    Ok::<_, DirectoryError>((user, id, key))
                })
                .buffer_unordered(IN_FLIGHT)
        );
        while let Some((user, id, key)) = in_time(answers.try_next(), until).await? {
            if key.is_none() && looked_for {
                moved.insert(user.clone());
            } else if let Some(listed) = memory.pass.get_mut(user) {
                take(&mut listed.keys, &mut memory.bodies, &id, key);
            }
            done += 1;
            self.show("keys", done, of);
            keeper.now_and_then(memory).await?;
        }
        Ok(moved)
    }

    fn show(&self, what: &str, done: usize, of: usize) {
        let calls = self.directory.calls();
        self.progress.show(what, done, of, calls.rate, calls.throttled);
    }
}

/// Has what was learnt stored while much is read.
struct Keeper<K> {
    keep: K,
    kept: Instant,
}

impl<K: AsyncFnMut(&Memory) -> Result<(), Error>> Keeper<K> {
    /// Stores it, if that was not done for a while.
    async fn now_and_then(&mut self, memory: &Memory) -> Result<(), Error> {
        if self.kept.elapsed() >= KEPT_EVERY {
            (self.keep)(memory).await?;
            self.kept = Instant::now();
        }
        Ok(())
    }
}

/// Takes a key's body in, or what else became of the key since it was listed.
fn take(listed: &mut Vec<ListedKey>, bodies: &mut BTreeMap<String, String>, id: &str, key: Option<Key>) {
    match key {
        Some(Key { body, status }) => {
            listed.iter_mut().filter(|listed| listed.id == id).for_each(|listed| listed.status.clone_from(&status));
            // Without a comment, as far as it is a key at all.
            let body = PublicKey::from_openssh(&body).map_or(body, |key| key.to_string());
            bodies.insert(id.to_owned(), body);
        }
        None => listed.retain(|listed| listed.id != id),
    }
}

/// Whether lines of the user of this name are among those that are held back.
fn is_held(held: &BTreeSet<String>, name: &str) -> bool {
    held.contains(&name.to_ascii_lowercase())
}

/// Whether a key's body is needed: of one that counts; and without a picture of the time before, or while something is held back, also of
/// any other, because only by its body a line that is published can be known for one that IAM has withdrawn.
fn is_needed(memory: &Memory, key: &ListedKey) -> bool {
    key.is_active() || memory.picture.is_none() || !memory.refused.is_empty()
}

/// Whether the keys of a user are listed, and the bodies known of those that count.
fn is_read(memory: &Memory, id: &str) -> bool {
    let known = |key: &ListedKey| !is_needed(memory, key) || memory.bodies.contains_key(&key.id);
    memory.pass.get(id).is_some_and(|listed| listed.keys.iter().all(known))
}

/// The ids of those whom the memory knows and the account does not.
fn missing(memory: &Memory, account: &Account) -> BTreeSet<String> {
    let Some(picture) = &memory.picture else { return BTreeSet::new() };
    let users = picture.people.keys().chain(picture.outside.keys()).filter(|id| !account.users.contains_key(*id));
    let groups = picture.groups.keys().filter(|id| !account.groups.contains_key(*id));
    users.chain(groups).cloned().collect()
}

/// Whole seconds since a moment.
fn elapsed(since: Instant) -> i64 {
    i64::try_from(since.elapsed().as_secs()).unwrap_or(i64::MAX)
}

fn is_over(until: Option<Instant>) -> bool {
    until.is_some_and(|until| Instant::now() >= until)
}

/// What comes, or nothing where it does not come in time: calls on their way are waited for a little.
async fn in_time<T>(
    coming: impl Future<Output = Result<Option<T>, DirectoryError>>,
    until: Option<Instant>,
) -> Result<Option<T>, DirectoryError> {
    within(coming, until).await.unwrap_or(Ok(None))
}

/// What comes of this, if it comes in time or a little later.
pub(crate) async fn within<T>(coming: impl Future<Output = T>, until: Option<Instant>) -> Option<T> {
    let Some(until) = until else { return Some(coming.await) };
    tokio::time::timeout_at(until + GRACE, coming).await.ok()
}
