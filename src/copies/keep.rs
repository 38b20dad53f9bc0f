//! What a run learnt, and writing it down, so that the next login need not ask.
//!
//! Withdrawals first. Then documents, then the state that names them: whoever dies in between leaves a document that nobody
//! names. Only what the run learnt is added to what is stored at that moment, and the later word counts, so that no process
//! undoes what another has learnt. Where the disk refuses, nothing that was withdrawn may stay.

use super::Copies;
use crate::audit::Event;
use crate::cache::state::{Copy, InstanceFacts, State};
use crate::cache::store::{self, Store, Sync};
use crate::cache::{Entry, Limits, Verdict};
use crate::clock::Moment;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashSet};
use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::time::{Duration, Instant};

/// How long a withdrawal waits for another process that is replacing the state at that moment, and how long the rest does.
const WITHDRAWING: Duration = Duration::from_millis(300);
const KEEPING: Duration = Duration::from_secs(5);

/// What a run learnt. It can be handed to another process, so that no login waits for a disk.
#[derive(Debug, Serialize, Deserialize)]
pub struct Learnt {
    /// The entries that the run learnt, and no others.
    state: State,
    limits: Limits,
    /// Whether something stored was withdrawn already.
    withdrawn: bool,
    instance: Option<InstanceFacts>,
    /// The documents' file names and lengths.
    sizes: Vec<(String, usize)>,
    /// Their contents.
    #[serde(skip)]
    contents: Vec<Vec<u8>>,
}

impl Copies {
    /// What this run learnt, with what it learnt about the instance; `None` where that is nothing.
    pub fn learnt(&mut self, instance: Option<InstanceFacts>) -> Option<Learnt> {
        if self.learnt_documents.is_empty() && self.learnt_lists.is_empty() && instance.is_none() {
            return None;
        }
        let mut state = State::new(self.state.origin.clone(), self.state.host.clone());
        let documents = self.state.documents.iter().filter(|(key, _)| self.learnt_documents.contains(*key));
        state.documents = documents.map(|(key, entry)| (key.clone(), entry.clone())).collect();
        let lists = self.state.lists.iter().filter(|(key, _)| self.learnt_lists.contains(*key));
        state.lists = lists.map(|(key, entry)| (key.clone(), entry.clone())).collect();
        let (sizes, contents) = self.arrived.drain().map(|(file, content)| ((file, content.len()), content)).unzip();
        Some(Learnt { state, limits: self.limits.clone(), withdrawn: false, instance, sizes, contents })
    }

    /// Writes down what this run learnt, here and now, and begins with no more documents once `until` is over.
    pub fn save(&mut self, instance: Option<InstanceFacts>, until: Instant) {
        let learnt = self.learnt(instance);
        let Some(store) = self.store() else { return };
        let store = store.clone();
        let Some(mut learnt) = learnt else { return };
        self.events.extend(learnt.withdraw(&store));
        self.events.extend(learnt.save(&store, until, || {}));
    }
}

impl Learnt {
    /// Hands it to another process.
    ///
    /// # Errors
    /// Where that process reads no more.
    pub fn send(&self, to: &mut impl Write) -> io::Result<()> {
        let mut head = serde_json::to_vec(self)?;
        head.push(b'\n');
        to.write_all(&head)?;
        self.contents.iter().try_for_each(|content| to.write_all(content))
    }

    /// Takes it from another process.
    ///
    /// # Errors
    /// Where it did not come whole.
    pub fn receive(from: impl Read) -> io::Result<Self> {
        let mut from = BufReader::new(from);
        let mut head = Vec::new();
        from.read_until(b'\n', &mut head)?;
        let mut learnt: Self = serde_json::from_slice(&head)?;
        for (_, size) in &learnt.sizes {
            let mut content = Vec::new();
            let wanted = u64::try_from(*size).map_err(io::Error::other)?;
            (&mut from).take(wanted).read_to_end(&mut content)?;
            if content.len() != *size {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            learnt.contents.push(content);
        }
        Ok(learnt)
    }

    /// Withdraws what is allowed no more, and does nothing else: at once, by whoever learnt it, because what is to come later
    /// may not come to its end. Gives what there is to say.
    #[must_use]
    pub fn withdraw(&mut self, store: &Store) -> Option<Event> {
        let now = Moment::now();
        let mut withdrawn = false;
        let updated = store.update(store::STATE, Sync::Later, WITHDRAWING, |stored| {
            let mut state = State::parse(stored?, &self.state.origin, &self.state.host)?;
            withdrawn = self.withdraw_from(&mut state, &now);
            withdrawn.then(|| state.render())
        });
        self.withdrawn = withdrawn;
        updated.err().filter(|_| withdrawn).and_then(|error| remove_state(store, &error))
    }

    /// Takes from a stored state what is allowed no more; whether there was anything.
    fn withdraw_from(&self, state: &mut State, now: &Moment) -> bool {
        let mut any = false;
        for (key, entry) in &self.state.documents {
            let stored = state.documents.get(key).and_then(copy_file);
            if stored.is_some() && stored != copy_file(entry) {
                let mut entry = entry.clone();
                if entry.present().is_some() {
                    // The new copy is not written yet.
                    entry.forget();
                }
                any |= merge(&mut state.documents, key, &entry, now, copy_file);
            }
        }
        for (key, entry) in &self.state.lists {
            if state.lists.get(key).and_then(list_text).is_some() {
                any |= merge(&mut state.lists, key, entry, now, list_text);
            }
        }
        any
    }

    /// Writes it down, and begins with no more documents once `until` is over; `visible` is called as soon as others can
    /// see it. Gives what there is to say.
    #[must_use]
    pub fn save(mut self, store: &Store, until: Instant, visible: impl FnOnce()) -> Vec<Event> {
        let mut events = Vec::new();
        let failed = [
            self.save_documents(store, until),
            self.save_instance(store),
            self.save_state(store, visible, &mut events),
        ];
        if let Some(why) = failed.into_iter().flatten().next() {
            let directory = store::DIRECTORY;
            let text = format!("cannot write to the cache in {directory}, so the next login asks AWS again: {why}");
            events.push(Event::warning(text));
        }
        events
    }

    /// Writes the documents; why one of them could not be written.
    fn save_documents(&mut self, store: &Store, until: Instant) -> Option<String> {
        let mut failed = None;
        for ((file, _), content) in self.sizes.iter().zip(&self.contents) {
            if store.holds(file, content) {
                continue;
            }
            let written = if Instant::now() < until {
                store.write(file, content, Sync::Disk).map_err(|error| error.to_string())
            } else {
                Err("the time for it is over".to_owned())
            };
            if let Err(why) = written {
                // A copy that is not there must not be looked for, and the one before counts no more.
                let named = |entry: &&mut Entry<Copy>| entry.present().is_some_and(|copy| copy.file == *file);
                self.state.documents.values_mut().filter(named).for_each(Entry::forget);
                failed = Some(why);
            }
        }
        failed
    }

    /// Adds the entries to the stored state; why that failed.
    fn save_state(&self, store: &Store, visible: impl FnOnce(), events: &mut Vec<Event>) -> Option<String> {
        let now = Moment::now();
        let mut withdrawn = false;
        let mut kept = HashSet::new();
        let updated = store.update(store::STATE, Sync::Disk, KEEPING, |stored| {
            let stored = stored.and_then(|sealed| State::parse(sealed, &self.state.origin, &self.state.host));
            let mut state = stored.unwrap_or_else(|| State::new(self.state.origin.clone(), self.state.host.clone()));
            withdrawn = self.merge_into(&mut state, &now);
            state.documents.retain(|_, entry| worth_keeping(entry, &now, &self.limits));
            state.lists.retain(|_, entry| worth_keeping(entry, &now, &self.limits));
            kept = state.copies().map(|copy| copy.file.clone()).collect();
            Some(state.render())
        });
        visible();
        let Err(error) = updated else {
            if withdrawn || self.withdrawn {
                // Not even a power failure brings it back.
                let _ = store.settle();
            }
            store.sweep(&kept);
            return None;
        };
        if withdrawn {
            events.extend(remove_state(store, &error));
        }
        Some(error.to_string())
    }

    /// Adds the entries to a stored state. Whether anything that was stored is thereby allowed no more.
    fn merge_into(&self, state: &mut State, now: &Moment) -> bool {
        let mut withdrawn = false;
        for (key, entry) in &self.state.documents {
            withdrawn |= merge(&mut state.documents, key, entry, now, copy_file);
        }
        for (key, entry) in &self.state.lists {
            withdrawn |= merge(&mut state.lists, key, entry, now, list_text);
        }
        withdrawn
    }

    fn save_instance(&self, store: &Store) -> Option<String> {
        let written = store.write(store::INSTANCE, self.instance.as_ref()?.render().as_bytes(), Sync::Disk);
        written.err().map(|error| error.to_string())
    }
}

/// Takes the whole state away where a withdrawal cannot be written: it would let in whom this run shut out, and to remove it
/// needs no room. What there is to say where not even that can be done.
fn remove_state(store: &Store, error: &io::Error) -> Option<Event> {
    let directory = store::DIRECTORY;
    store.remove(store::STATE).is_err().then(|| {
        Event::error(format!(
            "the cache in {directory} cannot be changed, so it may let in whom it should not while S3 does not answer, until lookup.max_stale is over; remove it: {error}"
        ))
    })
}

/// Adds an entry to the stored ones. Whether what was stored there allows no more what it allowed; `allows` says what.
fn merge<T: Clone, A: PartialEq>(
    stored: &mut BTreeMap<String, Entry<T>>,
    key: &str,
    entry: &Entry<T>,
    now: &Moment,
    allows: fn(&Entry<T>) -> Option<A>,
) -> bool {
    let before = stored.remove(key).unwrap_or_default();
    let allowed = allows(&before);
    let merged = entry.clone().merge(before.until(now));
    let withdrawn = allowed.is_some() && allowed != allows(&merged);
    stored.insert(key.to_owned(), merged);
    withdrawn
}

/// The file of an entry's copy.
fn copy_file(entry: &Entry<Copy>) -> Option<String> {
    entry.present().map(|copy| copy.file.clone())
}

/// The text of an entry's list.
fn list_text(entry: &Entry<String>) -> Option<String> {
    entry.present().cloned()
}

/// Whether an entry still says something.
fn worth_keeping<T>(entry: &Entry<T>, now: &Moment, limits: &Limits) -> bool {
    entry.verdict(now, limits) != Verdict::Ask || entry.usable(now, limits).is_some()
}
