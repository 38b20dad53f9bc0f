//! What arrived becomes what is known: answers, confirmations, refusals and failures, each with its line for the log.

use super::Copies;
use crate::audit::{Event, MAX_LINE};
use crate::cache::index;
use crate::cache::state::{self, Copy, List};
use crate::cache::{Answer, Entry, Limits};
use crate::clock::Moment;
use crate::lookup::ports::{FetchError, Object};
use crate::lookup::{Ask, principals};
use iam_ssh_core::text::escape;
use iam_ssh_core::{Document, Principal, document};

/// Most characters of a failure's reason that are kept.
const MAX_WHY: usize = 500;

/// What was asked for, and what came.
#[derive(Debug)]
pub enum Arrival {
    /// A document.
    Document(Principal, Result<Object, FetchError>),
    /// A list, what to call it in the log, and its text.
    List(List, String, Result<String, FetchError>),
}

impl Copies {
    /// Takes what arrived of what was asked for at the moment `asked`.
    pub fn record(&mut self, arrival: Arrival, asked: &Moment) {
        self.now = self.now.again();
        match arrival {
            Arrival::Document(principal, result) => self.record_document(&principal, result, asked),
            Arrival::List(list, what, result) => self.record_list(&list, &what, result, asked),
        }
    }

    fn record_document(&mut self, principal: &Principal, result: Result<Object, FetchError>, asked: &Moment) {
        let name = principal.to_string();
        self.read.remove(principal);
        let entry = self.state.documents.entry(name.clone()).or_default();
        match result {
            Ok(Object::Unchanged) => entry.confirm(asked),
            Ok(Object::Content { bytes, etag }) => {
                let document = document::parse_for(principal, &bytes);
                drop(bytes);
                let identity = state::identity(&self.state.origin, principal);
                let indexed = index::build(&identity, &document);
                let file = state::document_file(&identity, &indexed);
                self.arrived.insert(file.clone(), indexed);
                entry.learn(Answer::Present(Copy { file, etag }), asked);
                self.events.extend(skipped(principal, &document));
            }
            Err(error) => {
                let (event, is_news) = note(entry, error, &name, asked, (&self.now, &self.limits));
                self.events.extend((is_news || !self.thorough).then_some(event));
            }
        }
        self.asked.insert(principal.clone());
        self.learnt_documents.insert(name);
    }

    fn record_list(&mut self, list: &List, what: &str, result: Result<String, FetchError>, asked: &Moment) {
        let entry = self.state.lists.entry(list.key()).or_default();
        match result {
            Ok(text) => {
                self.events.extend(principals::complaints(&text, what));
                entry.learn(Answer::Present(text), asked);
            }
            Err(error) => {
                let (event, is_news) = note(entry, error, what, asked, (&self.now, &self.limits));
                self.events.extend((is_news || !self.thorough).then_some(event));
            }
        }
        self.learnt_lists.insert(list.key());
    }

    /// Notes that nothing came for `asks`, and why; nobody asks again so soon.
    pub fn give_up(&mut self, asks: &[Ask], why: &str) {
        self.now = self.now.again();
        let mut names = Vec::new();
        for ask in asks {
            match ask {
                Ask::List(list) => {
                    names.push(list.key());
                    self.learnt_lists.insert(list.key());
                    self.state.lists.entry(list.key()).or_default().fail(why.to_owned(), &self.now);
                }
                Ask::Document(principal) => {
                    names.push(principal.to_string());
                    self.learnt_documents.insert(principal.to_string());
                    self.read.remove(principal);
                    self.state.documents.entry(principal.to_string()).or_default().fail(why.to_owned(), &self.now);
                }
            }
        }
        names.sort_unstable();
        if !names.is_empty() {
            let names = names.join(", ");
            self.events.push(Event::warning(format!("{why} for {names}; what is known counts meanwhile")));
        }
    }

    /// Whether what was answered since this run began is all that there is to know: no document was denied, every list is there and
    /// well-formed, and something is published at all.
    ///
    /// # Errors
    /// The first thing that is not so.
    pub fn check_complete(&self) -> Result<(), String> {
        let mut is_published = false;
        for (name, entry) in &self.state.documents {
            match self.news(entry) {
                Some(Answer::Present(_)) => is_published = true,
                Some(Answer::Missing) | None => {}
                Some(Answer::Denied) => return Err(format!("{name}: access is denied")),
                Some(Answer::Lost) => return Err(format!("{name}: it could not be kept")),
            }
        }
        for (name, entry) in &self.state.lists {
            match self.news(entry) {
                Some(Answer::Present(text)) => {
                    let bad = principals::complaints(text, name);
                    bad.map_or(Ok(()), |event| Err(event.line(MAX_LINE)))?;
                }
                Some(Answer::Missing) => {
                    return Err(format!("{name}: it does not exist; leave it empty to revoke all"));
                }
                Some(Answer::Denied | Answer::Lost) => return Err(format!("{name}: it cannot be read")),
                None => {}
            }
        }
        if is_published {
            Ok(())
        } else {
            Err("nothing at all is published for this instance, which is more likely a mistake than a revocation"
                .to_owned())
        }
    }

    /// What was answered, if it was since this run began.
    fn news<'a, T>(&self, entry: &'a Entry<T>) -> Option<&'a Answer<T>> {
        let known = entry.known.as_ref()?;
        known.confirmed.since(&self.limits.started).map(|_| &known.answer)
    }

    /// How many documents and lists are known since this run began, and how many failed in it.
    #[must_use]
    pub fn count(&self) -> (usize, usize) {
        let news = |at: Option<&Moment>| at.is_some_and(|at| at.since(&self.limits.started).is_some());
        let documents = self.state.documents.values().map(|e| (news(confirmed(e)), news(failed(e))));
        let lists = self.state.lists.values().map(|e| (news(confirmed(e)), news(failed(e))));
        let all: Vec<(bool, bool)> = documents.chain(lists).collect();
        (all.iter().filter(|(known, _)| *known).count(), all.iter().filter(|(_, failed)| *failed).count())
    }
}

fn confirmed<T>(entry: &Entry<T>) -> Option<&Moment> {
    entry.known.as_ref().map(|known| &known.confirmed)
}

fn failed<T>(entry: &Entry<T>) -> Option<&Moment> {
    entry.failed.as_ref().map(|failed| &failed.at)
}

/// Notes a failed attempt in its entry: an answer that says no, or none. Gives its line for the log, and whether it is
/// news.
fn note<T>(
    entry: &mut Entry<T>,
    error: FetchError,
    what: &str,
    asked: &Moment,
    (now, limits): (&Moment, &Limits),
) -> (Event, bool) {
    let before = entry.known.as_ref().map(|known| &known.answer);
    let mut event = error.event(what);
    let mut is_news = true;
    match error {
        FetchError::Missing(_) => {
            is_news = !matches!(before, Some(Answer::Missing));
            entry.learn(Answer::Missing, asked);
        }
        FetchError::Denied(_) => {
            is_news = !matches!(before, Some(Answer::Denied));
            entry.learn(Answer::Denied, asked);
        }
        FetchError::Transient(why) => {
            let usable = entry.usable(now, limits).filter(|known| matches!(known.answer, Answer::Present(_)));
            let consequence = match usable.and_then(|known| now.since(&known.confirmed)) {
                Some(age) => format!("the copy of {} s ago counts meanwhile", age.elapsed.as_secs()),
                None => "it grants nothing meanwhile".to_owned(),
            };
            event = Event::warning(format!("{what}: {why}; {consequence}"));
            entry.fail(escape(why.as_bytes(), MAX_WHY), now);
        }
    }
    (event, is_news)
}

fn skipped(principal: &Principal, document: &Document) -> Option<Event> {
    let reasons: Vec<String> = document.skipped.iter().map(|s| format!("line {}: {}", s.line, s.why)).collect();
    let more = if document.skipped_count > reasons.len() { "; …" } else { "" };
    (document.skipped_count > 0).then(|| {
        Event::warning(format!(
            "{principal}: skipped {} of {} lines: {}{more}",
            document.skipped_count,
            document.skipped_count + document.lines.len(),
            reasons.join("; ")
        ))
    })
}
