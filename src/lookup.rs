//! The lookup: a login user and an offered key to the lines that sshd is to see.
//!
//! Generic over the traits of [`ports`], so that it is tested without AWS. All sources and documents are asked at
//! once; each failure costs its own principal and no other. It must never let an error widen what is granted: a
//! document that could not be read grants nothing. The cache will stand behind [`ports::Objects`].

pub mod ports;
pub mod principals;

use crate::audit::{Event, Severity, Source};
use crate::config::{Config, Login};
use crate::trusted::Trust;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use iam_ssh_core::{Document, KeyLine, Principal, PublicKey, document};
use ports::{FetchError, Instance, Objects, Parameters};
use std::collections::HashSet;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

/// What a lookup asks.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The login user's name, as configured.
    pub user: &'a str,
    /// The login user's table.
    pub login: &'a Login,
    /// The key that the client offers; `None` asks for every key.
    pub offered: Option<&'a PublicKey>,
    /// Now, in seconds since 1970 UTC.
    pub now: i64,
    /// Whose principals file is read.
    pub trust: Trust,
}

impl Question<'_> {
    /// The lines of a document that could be the answer.
    fn select(&self, document: Document) -> Vec<KeyLine> {
        let asked = |line: &KeyLine| self.offered.is_none_or(|offered| offered == line.key());
        document.lines.into_iter().filter(|line| asked(line) && !line.has_expired(self.now)).collect()
    }
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

/// What a lookup gives.
#[derive(Debug, Default)]
pub struct Answer {
    /// The lines to print: at most one for an offered key, and never two for one key.
    pub found: Vec<Found>,
    /// What went wrong on the way.
    pub events: Vec<Event>,
}

/// What is known of one principal, in the order in which principals count.
struct Slot {
    principal: Principal,
    /// Its lines that could be the answer, once its document is there: not expired, and of the offered key if one is.
    lines: Option<Vec<KeyLine>>,
}

enum Step {
    Remote(Vec<Principal>, Vec<Event>),
    Document(usize, Result<Vec<u8>, FetchError>),
}

/// Most documents that are fetched at the same time; sshd hands a process 1,024 descriptors.
const IN_FLIGHT: usize = 32;

/// What is under way.
type Work<'a> = FuturesUnordered<Pin<Box<dyn Future<Output = Step> + 'a>>>;

/// Answers `question` within `limit`. At the limit, what is known until then is the answer.
///
/// Principals count in the order of their sources (inline, file, parameter, tag); where two of them hold the offered
/// key, the first decides, whichever document arrived first.
pub async fn lookup<O: Objects, P: Parameters, I: Instance>(
    config: &Config,
    question: Question<'_>,
    limit: Duration,
    (objects, parameters, instance): (&O, &P, &I),
) -> Answer {
    let deadline = tokio::time::Instant::now() + limit;
    let mut answer = Answer::default();
    let mut slots: Vec<Slot> = Vec::new();
    let mut work: Work<'_> = FuturesUnordered::new();
    let mut asked = 0;

    let (local, events) = principals::local(question.login, question.trust);
    answer.events.extend(events);
    add(&mut slots, local);
    let mut remote_known = !principals::has_remote(question.login);
    if !remote_known {
        work.push(Box::pin(async move {
            let (principals, events) = principals::remote(question.login, parameters, instance).await;
            Step::Remote(principals, events)
        }));
    }

    while !is_decided(&slots, remote_known, question.offered) {
        while let Some(slot) = slots.get(asked).filter(|_| work.len() < IN_FLIGHT) {
            let (at, key) = (asked, slot.principal.object_key(&config.prefix));
            work.push(Box::pin(async move { Step::Document(at, objects.get(&key).await) }));
            asked += 1;
        }
        match tokio::time::timeout_at(deadline, work.next()).await {
            Ok(None) => break,
            Ok(Some(Step::Remote(principals, events))) => {
                remote_known = true;
                answer.events.extend(events);
                add(&mut slots, principals);
            }
            Ok(Some(Step::Document(at, fetched))) => {
                if let Some(slot) = slots.get_mut(at) {
                    let document = read(&slot.principal, fetched, &mut answer.events);
                    slot.lines = Some(question.select(document));
                }
            }
            Err(_) => {
                answer.events.push(late(&slots, remote_known, limit));
                break;
            }
        }
    }
    answer.found = collect(&slots, config.sshd.user_rc);
    answer.events.extend(shared_key(&slots, question.offered));
    answer
}

/// Adds principals in their order; one that is there already counts where it first stood.
fn add(slots: &mut Vec<Slot>, principals: Vec<Principal>) {
    for principal in principals {
        if !slots.iter().any(|slot| slot.principal == principal) {
            slots.push(Slot { principal, lines: None });
        }
    }
}

/// Whether nothing that is still under way can change the answer for an offered key.
fn is_decided(slots: &[Slot], remote_known: bool, offered: Option<&PublicKey>) -> bool {
    if offered.is_none() {
        return false;
    }
    match slots.iter().map(|slot| slot.lines.as_deref()).find(|lines| !matches!(lines, Some([]))) {
        Some(lines) => lines.is_some(),
        None => remote_known,
    }
}

/// The lines that are there, in the order in which they count. One that is not there yet may hold the key with other
/// restrictions; but what is there was asked for as well, and a principal that fails must not take the others with it.
fn lines(slots: &[Slot]) -> impl Iterator<Item = (&Principal, &KeyLine)> {
    slots.iter().flat_map(|slot| slot.lines.iter().flatten().map(|line| (&slot.principal, line)))
}

fn collect(slots: &[Slot], user_rc: bool) -> Vec<Found> {
    let mut seen: HashSet<&PublicKey> = HashSet::new();
    let first = lines(slots).filter(|(_, line)| seen.insert(line.key()));
    first
        .map(|(principal, line)| Found {
            line: line.for_sshd(user_rc),
            principal: principal.clone(),
            source: Source::S3,
        })
        .collect()
}

/// Says so where the offered key stands under more than one owner: the log can name only one of them, and anybody can
/// upload somebody else's public key as their own.
fn shared_key(slots: &[Slot], offered: Option<&PublicKey>) -> Option<Event> {
    let offered = offered?;
    let mut owners: Vec<&str> = lines(slots).map(|(_, line)| line.owner().as_str()).collect();
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

/// The document of `principal` from what was fetched; an empty one where that failed.
fn read(principal: &Principal, fetched: Result<Vec<u8>, FetchError>, events: &mut Vec<Event>) -> Document {
    match fetched {
        Ok(bytes) => {
            let document = document::parse_for(principal, &bytes);
            if document.skipped_count > 0 {
                events.push(skipped(principal, &document));
            }
            document
        }
        Err(error) => {
            events.extend(error.event(&principal.to_string()));
            Document::default()
        }
    }
}

fn skipped(principal: &Principal, document: &Document) -> Event {
    let reasons: Vec<String> = document.skipped.iter().map(|s| format!("line {}: {}", s.line, s.why)).collect();
    let more = if document.skipped_count > reasons.len() { "; …" } else { "" };
    Event::warning(format!(
        "{principal}: skipped {} of {} lines: {}{more}",
        document.skipped_count,
        document.skipped_count + document.lines.len(),
        reasons.join("; ")
    ))
}

fn late(slots: &[Slot], remote_known: bool, limit: Duration) -> Event {
    let mut waiting: Vec<String> =
        slots.iter().filter(|s| s.lines.is_none()).map(|s| s.principal.to_string()).collect();
    if !remote_known {
        waiting.push("the list of principals".to_owned());
    }
    let text = format!(
        "no answer within {} ms for {}; the login goes on without (lookup.deadline)",
        limit.as_millis(),
        waiting.join(", ")
    );
    Event::Problem { severity: Severity::Warning, text }
}
