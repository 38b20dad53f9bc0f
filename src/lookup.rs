//! The lookup: a login user and an offered key to the lines that sshd is to see, from what is known.
//!
//! It asks nobody, and reads nothing but the principals file. What is known comes from [`Sources`]: the cache, and in the
//! network program what has just arrived. Where that is not enough to decide, the result says what to ask for. It must never
//! let an error widen what is granted: what is not known grants nothing.

pub mod ports;
pub mod principals;

use crate::audit::{Event, Source};
use crate::cache::state::List;
use crate::config::{Config, Login};
use crate::trusted::Trust;
use iam_ssh_core::{KeyLine, Principal, PublicKey};
use std::collections::HashSet;

/// What a lookup asks.
#[derive(Debug, Clone)]
pub struct Question<'a> {
    /// The login user's name, as configured.
    pub user: &'a str,
    /// The key that the client offers; `None` asks for every key.
    pub offered: Option<&'a PublicKey>,
    /// Now, in seconds since 1970 UTC.
    pub now: i64,
    /// Whose keys may open the login.
    pub allowed: Allowed,
    /// Let `~/.ssh/rc` run.
    pub user_rc: bool,
}

/// Whose keys may open a login: principals that are known without asking anybody, and lists that name more.
#[derive(Debug, Clone, Default)]
pub struct Allowed {
    /// Named in the configuration, then in the file.
    pub principals: Vec<Principal>,
    /// The parameter, then the tag.
    pub lists: Vec<List>,
}

/// A principal that may open a login.
struct Named {
    principal: Principal,
    /// Whether every list that stands before it is known.
    is_settled: bool,
    /// Whether the list that names it is an old one.
    is_stale: bool,
}

/// A line to print, and how it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The line as sshd is to see it.
    pub line: KeyLine,
    /// Through which principal.
    pub principal: Principal,
    /// Where its document came from.
    pub source: Source,
}

/// Something to ask AWS for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Ask {
    /// A list of principals.
    List(List),
    /// A principal's document.
    Document(Principal),
}

/// Whether something is known well enough to count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing<T> {
    /// It is; also where it is known to be nothing.
    Known(T),
    /// It has to be asked for.
    Ask,
}

/// What is known of lists and documents.
pub trait Sources {
    /// The principals that a list names, and where the list came from.
    fn list(&mut self, list: &List) -> Standing<(Vec<Principal>, Source)>;
    /// A principal's lines: those of the offered key, or all.
    fn lines(&mut self, principal: &Principal, offered: Option<&PublicKey>) -> Standing<(Vec<KeyLine>, Source)>;
    /// Whether a principal's document is known, without reading it.
    fn is_known(&mut self, principal: &Principal) -> bool;
}

/// What a lookup gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The lines to print: at most one for an offered key, and never two for one key.
    Answer(Vec<Found>),
    /// What is known does not decide it; this would.
    Ask(Vec<Ask>),
}

impl Allowed {
    /// Reads a login's own principals: inline, then the file's. Says what is wrong with the file.
    #[must_use]
    pub fn read(login: &Login, trust: Trust) -> (Self, Vec<Event>) {
        let (principals, events) = principals::local(login, trust);
        let parameter = login.parameter.clone().map(List::Parameter);
        let lists = parameter.into_iter().chain(login.tag.clone().map(List::Tag)).collect();
        (Self { principals, lists }, events)
    }

    /// Every principal, in the order in which they count, each once; lists that have to be asked for go to `unknown`.
    fn all(&self, sources: &mut impl Sources, unknown: &mut Vec<Ask>) -> Vec<Named> {
        let own = self.principals.iter().map(|p| Named { principal: p.clone(), is_settled: true, is_stale: false });
        let mut all: Vec<Named> = own.collect();
        for list in &self.lists {
            match sources.list(list) {
                Standing::Known((principals, source)) => all.extend(principals.into_iter().map(|principal| Named {
                    principal,
                    is_settled: unknown.is_empty(),
                    is_stale: source == Source::Stale,
                })),
                Standing::Ask => unknown.push(Ask::List(list.clone())),
            }
        }
        let mut seen = HashSet::new();
        all.retain(|named| seen.insert(named.principal.clone()));
        all
    }

    /// What has to be asked for before everything is known.
    pub fn asks(&self, sources: &mut impl Sources) -> Vec<Ask> {
        let mut asks = Vec::new();
        let principals = self.all(sources, &mut asks).into_iter().map(|named| named.principal);
        asks.extend(principals.filter(|principal| !sources.is_known(principal)).map(Ask::Document));
        asks
    }
}

impl Question<'_> {
    /// Answers from what is known.
    ///
    /// Principals count in the order of their sources (inline, file, parameter, tag); where two of them hold the offered
    /// key, the first decides. So an answer waits for those before it and for nothing behind it.
    pub fn answer(&self, sources: &mut impl Sources) -> Outcome {
        let mut asks = Vec::new();
        let mut found: Vec<Found> = Vec::new();
        let mut keys = HashSet::new();
        let mut all_read = true;
        for Named { principal, is_settled, is_stale } in self.allowed.all(sources, &mut asks) {
            let (lines, source) = match sources.lines(&principal, self.offered) {
                Standing::Known(known) => known,
                Standing::Ask => {
                    all_read = false;
                    asks.push(Ask::Document(principal));
                    continue;
                }
            };
            for line in lines.into_iter().filter(|line| !line.has_expired(self.now)) {
                if keys.insert(line.key().clone()) {
                    let line = line.for_sshd(self.user_rc);
                    let source = if is_stale { Source::Stale } else { source };
                    found.push(Found { line, principal: principal.clone(), source });
                }
            }
            if self.offered.is_some() && !found.is_empty() && all_read && is_settled {
                return Outcome::Answer(found);
            }
        }
        if asks.is_empty() { Outcome::Answer(found) } else { Outcome::Ask(asks) }
    }

    /// The answer where nothing more can be asked.
    pub fn settled(&self, sources: &mut impl Sources) -> Vec<Found> {
        match self.answer(sources) {
            Outcome::Answer(found) => found,
            Outcome::Ask(_) => Vec::new(),
        }
    }

    /// Says so where the offered key stands under more than one owner: the log can name only one of them, and anybody can
    /// upload somebody else's public key as their own.
    pub fn shared_key(&self, sources: &mut impl Sources) -> Option<Event> {
        let offered = self.offered?;
        let mut owners: Vec<String> = Vec::new();
        for Named { principal, .. } in self.allowed.all(sources, &mut Vec::new()) {
            if let Standing::Known((lines, _)) = sources.lines(&principal, Some(offered)) {
                let counting = lines.iter().filter(|line| !line.has_expired(self.now));
                owners.extend(counting.map(|line| line.owner().as_str().to_owned()));
            }
        }
        owners.sort_unstable();
        owners.dedup();
        (owners.len() > 1).then(|| {
            Event::warning(format!(
                "the key {} is published for {}: its logins count as the first one found; it should belong to one IAM user",
                offered.fingerprint(),
                owners.join(" and ")
            ))
        })
    }
}

/// The configuration's part of a question about `user`; `None` where the login is not ours.
#[must_use]
pub fn question<'a>(
    config: &Config,
    user: &'a str,
    offered: Option<&'a PublicKey>,
    now: i64,
    trust: Trust,
) -> Option<(Question<'a>, Vec<Event>)> {
    let (allowed, events) = Allowed::read(config.logins.get(user)?, trust);
    Some((Question { user, offered, now, allowed, user_rc: config.sshd.user_rc }, events))
}
