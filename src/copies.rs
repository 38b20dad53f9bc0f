//! What is known, and keeping it: the cache's state and documents, and what arrived in this run.
//!
//! The one place where the rules of [`crate::cache`] meet its files. Without a usable directory everything works from what
//! arrived in this run. It must never write an answer down before it withdrew what the answer replaces.

mod keep;
mod learn;

use crate::audit::{Event, Source};
use crate::cache::index::{Corrupt, Index, ReadAt};
use crate::cache::state::{self, Copy, Host, InstanceFacts, List, State};
use crate::cache::store::{self, Lock, NoLock, Store};
use crate::cache::{Answer, Entry, Limits, Verdict};
use crate::clock::Moment;
use crate::config::Config;
use crate::lookup::{Sources, Standing, principals};
use crate::trusted::TrustError;
use iam_ssh_core::{KeyLine, Principal, PublicKey};
pub use keep::Learnt;
pub use learn::Arrival;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

/// Why a lookup that found nothing was not asked further.
const RESTING: &str = "not asked again so soon";

/// What is known while one program runs.
#[derive(Debug)]
pub struct Copies {
    store: Result<Store, TrustError>,
    state: State,
    limits: Limits,
    now: Moment,
    /// Documents of this run that are not in the cache yet, by file name.
    arrived: HashMap<String, Vec<u8>>,
    /// Whose documents were asked for in this run.
    asked: HashSet<Principal>,
    /// Lines that were read already, of this program's one question.
    read: HashMap<Principal, (Vec<KeyLine>, Source)>,
    /// What this run learnt: entries of the state, by their keys.
    learnt_documents: BTreeSet<String>,
    learnt_lists: BTreeSet<String>,
    /// Whether a stored copy was not as it was written.
    damaged: bool,
    /// Nothing can be asked any more: what is usable counts.
    last_resort: bool,
    /// Copies are checked whole before they are named in a request.
    thorough: bool,
    resting: HashMap<String, Event>,
    events: Vec<Event>,
}

impl Copies {
    /// What the cache in `store` knows for `config`, at the moment `started`.
    #[must_use]
    pub fn open(config: &Config, store: Result<Store, TrustError>, started: Moment) -> Self {
        let limits = Limits {
            fresh_for: config.fresh_for,
            max_stale: config.max_stale,
            rest: crate::cache::REST,
            started: started.clone(),
        };
        let host = Host::new(&started, store::instance_id());
        let state = State::new(state::origin(config), host);
        let mut copies = Self {
            store,
            state,
            limits,
            now: started,
            arrived: HashMap::new(),
            asked: HashSet::new(),
            read: HashMap::new(),
            learnt_documents: BTreeSet::new(),
            learnt_lists: BTreeSet::new(),
            damaged: false,
            last_resort: false,
            thorough: false,
            resting: HashMap::new(),
            events: Vec::new(),
        };
        copies.read_state();
        // After the reading: what somebody wrote a moment ago does not come from the future.
        copies.now = copies.now.again();
        copies
    }

    /// Now.
    #[must_use]
    pub fn moment(&self) -> Moment {
        self.now.again()
    }

    /// Reads the state again, which somebody else may have brought up to date.
    pub fn load(&mut self) {
        self.read_state();
        self.read.clear();
        self.now = self.now.again();
    }

    /// Whether a copy turned out to be damaged or gone; if so, the state is read again, because somebody may just have
    /// replaced both.
    pub fn reload_damaged(&mut self) -> bool {
        let damaged = std::mem::take(&mut self.damaged);
        if damaged {
            self.load();
        }
        damaged
    }

    fn read_state(&mut self) {
        let state = self.stored();
        self.state = state.unwrap_or_else(|| State::new(self.state.origin.clone(), self.state.host.clone()));
    }

    /// What the cache holds at this moment.
    fn stored(&self) -> Option<State> {
        let sealed = self.store.as_ref().ok()?.sealed(store::STATE)?;
        State::parse(&sealed, &self.state.origin, &self.state.host)
    }

    /// From now on everything counts as old: whatever was not learnt in this run has to be asked for, and a copy that is
    /// damaged anywhere is fetched anew.
    pub fn distrust(&mut self) {
        self.thorough = true;
        self.limits.fresh_for = Duration::ZERO;
        self.limits.rest = Duration::ZERO;
        self.read.clear();
    }

    /// From now on nothing can be asked: what is young enough to be used counts, and the rest is nothing.
    pub fn settle(&mut self) {
        self.last_resort = true;
        self.read.clear();
        if let Err(why) = &self.store {
            self.events.push(Event::warning(format!("the cache is not used: {why}")));
        }
    }

    /// The ETag of the copy of a principal's document, if there is one.
    #[must_use]
    pub fn etag(&self, principal: &Principal) -> Option<String> {
        let copy = self.copy(principal)?;
        // What seems to come from the future is as if it had never been there.
        let known = self.state.documents.get(&principal.to_string())?.known.as_ref()?;
        self.now.since(&known.confirmed)?;
        let is_whole = || {
            let file = self.store.as_ref().ok()?.file(&copy.file)?;
            Index::open(&file, &state::identity(&self.state.origin, principal), principal).ok()?.verify().ok()
        };
        (!self.thorough || is_whole().is_some()).then(|| copy.etag.clone())?
    }

    /// What the cache knows of the instance itself.
    #[must_use]
    pub fn instance(&self, config: &Config) -> Option<InstanceFacts> {
        let sealed = self.store.as_ref().ok()?.sealed(store::INSTANCE)?;
        InstanceFacts::parse(&sealed, &config.imds_endpoint.url, &self.state.host)
    }

    /// The machine this runs on.
    #[must_use]
    pub fn host(&self) -> &Host {
        &self.state.host
    }

    /// The cache's files, where they can be used. Says so where they cannot.
    pub fn store(&mut self) -> Option<&Store> {
        match &self.store {
            Ok(store) => Some(store),
            Err(why) => {
                self.events.push(Event::warning(format!("the cache is not used, so every login asks AWS: {why}")));
                None
            }
        }
    }

    /// Waits up to `patience` for the right to ask.
    ///
    /// # Errors
    /// [`NoLock`].
    pub fn lock(&self, patience: Duration) -> Result<Lock, NoLock> {
        self.store.as_ref().map_err(|_| NoLock::Unavailable)?.lock(patience)
    }

    /// Says so where another process held the lock for all the time that one was ready to wait.
    pub fn tell_of(&mut self, lock: &Result<Lock, NoLock>, waited: Duration) {
        if matches!(lock, Err(NoLock::Busy)) {
            let text = format!(
                "another process has held the lock of {} for {} ms; asking AWS without it",
                store::DIRECTORY,
                waited.as_millis()
            );
            self.events.push(Event::warning(text));
        }
    }

    /// Says something in the course of the lookup.
    pub fn tell(&mut self, event: Event) {
        self.events.push(event);
    }

    /// What there is to say; where nothing was found, also why some was not asked.
    pub fn take_events(&mut self, found_nothing: bool) -> Vec<Event> {
        let mut events = std::mem::take(&mut self.events);
        if found_nothing {
            let mut resting: Vec<(String, Event)> = self.resting.drain().collect();
            resting.sort_by(|a, b| a.0.cmp(&b.0));
            events.extend(resting.into_iter().map(|(_, event)| event));
        }
        events
    }

    fn copy(&self, principal: &Principal) -> Option<&Copy> {
        self.state.documents.get(&principal.to_string())?.present()
    }

    /// A line of this key in any document, however old: whose key it is, and not whether it is let in.
    #[must_use]
    pub fn any_line_of(&self, key: &PublicKey) -> Option<KeyLine> {
        self.state.documents.iter().find_map(|(name, entry)| {
            let principal: Principal = name.parse().ok()?;
            self.lines_of(entry.present()?, &principal, Some(key)).ok()?.into_iter().next()
        })
    }

    /// Reads the lines of a copy.
    fn lines_of(
        &self,
        copy: &Copy,
        principal: &Principal,
        offered: Option<&PublicKey>,
    ) -> Result<Vec<KeyLine>, Corrupt> {
        match self.arrived.get(&copy.file) {
            Some(bytes) => self.lines_in(bytes.as_slice(), principal, offered),
            None => {
                let file = self.store.as_ref().ok().and_then(|store| store.file(&copy.file)).ok_or(Corrupt)?;
                self.lines_in(&file, principal, offered)
            }
        }
    }

    fn lines_in<R: ReadAt + ?Sized>(
        &self,
        reader: &R,
        principal: &Principal,
        offered: Option<&PublicKey>,
    ) -> Result<Vec<KeyLine>, Corrupt> {
        let index = Index::open(reader, &state::identity(&self.state.origin, principal), principal)?;
        match offered {
            Some(key) => index.find(key),
            None => index.all(),
        }
    }

    /// Where lines that are known come from.
    fn source(&self, principal: &Principal, verdict: Verdict) -> Source {
        match verdict {
            Verdict::Fresh if self.asked.contains(principal) => Source::S3,
            Verdict::Fresh => Source::Cache,
            Verdict::Resting | Verdict::Ask => Source::Stale,
        }
    }

    /// Whether an entry counts as it is; if it rests after a failure of an earlier lookup, that may have to be said.
    fn counts<T>(
        name: &str,
        entry: Option<&Entry<T>>,
        (now, limits, last_resort): (&Moment, &Limits, bool),
        resting: &mut HashMap<String, Event>,
    ) -> Option<Verdict> {
        let verdict = entry.map_or(Verdict::Ask, |entry| entry.verdict(now, limits));
        if let (Verdict::Resting, Some(failed)) = (verdict, entry.and_then(|entry| entry.failed.as_ref()))
            && failed.at.since(&limits.started).is_none()
        {
            let event = || Event::warning(format!("{name}: {RESTING} after this: {}", failed.why));
            resting.entry(name.to_owned()).or_insert_with(event);
        }
        if verdict == Verdict::Ask && last_resort && entry.is_none_or(|entry| entry.usable(now, limits).is_none()) {
            let event = || Event::warning(format!("{name}: nobody could be asked, and nothing that counts is cached"));
            resting.entry(name.to_owned()).or_insert_with(event);
        }
        (verdict != Verdict::Ask || last_resort).then_some(verdict)
    }
}

impl Sources for Copies {
    fn list(&mut self, list: &List) -> Standing<(Vec<Principal>, Source)> {
        let key = list.key();
        let entry = self.state.lists.get(&key);
        let clock = (&self.now, &self.limits, self.last_resort);
        let Some(verdict) = Self::counts(&key, entry, clock, &mut self.resting) else { return Standing::Ask };
        let known = entry.and_then(|entry| entry.counting(&self.now, &self.limits));
        let named = match known.map(|known| &known.answer) {
            Some(Answer::Present(text)) => principals::good(text),
            _ => Vec::new(),
        };
        Standing::Known((named, if verdict == Verdict::Fresh { Source::Cache } else { Source::Stale }))
    }

    fn lines(&mut self, principal: &Principal, offered: Option<&PublicKey>) -> Standing<(Vec<KeyLine>, Source)> {
        if let Some(read) = self.read.get(principal) {
            return Standing::Known(read.clone());
        }
        let name = principal.to_string();
        let entry = self.state.documents.get(&name);
        let clock = (&self.now, &self.limits, self.last_resort);
        let Some(verdict) = Self::counts(&name, entry, clock, &mut self.resting) else { return Standing::Ask };
        let known = entry.and_then(|entry| entry.counting(&self.now, &self.limits));
        let lines = match known.map(|known| &known.answer) {
            Some(Answer::Present(copy)) => self.lines_of(copy, principal, offered),
            _ => Ok(Vec::new()),
        };
        match lines {
            Ok(lines) => {
                let known = (lines, self.source(principal, verdict));
                self.read.insert(principal.clone(), known.clone());
                Standing::Known(known)
            }
            Err(Corrupt) => {
                self.damaged = true;
                self.events.push(Event::warning(format!(
                    "{name}: its copy in the cache is damaged or gone, so it does not count"
                )));
                // As if it had never been there: neither believed nor named in a conditional request.
                if let Some(entry) = self.state.documents.get_mut(&name) {
                    entry.known = None;
                }
                let rests = self.is_known(principal);
                if rests { Standing::Known((Vec::new(), Source::Stale)) } else { Standing::Ask }
            }
        }
    }

    fn is_known(&mut self, principal: &Principal) -> bool {
        let name = principal.to_string();
        let clock = (&self.now, &self.limits, self.last_resort);
        Self::counts(&name, self.state.documents.get(&name), clock, &mut self.resting).is_some()
    }
}
