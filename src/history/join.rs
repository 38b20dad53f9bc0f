//! Entries become sessions: what was opened and what was closed, sshd's word and the lookup's.
//!
//! A record without an owner, and a login of which only sshd tells, get the owner from the lookup's line for the same process of sshd,
//! the same key and the same login user: that key was proven to sshd, and the lookup said whose it is. So both must be verified, or
//! neither. Where several lines tell of one connection, the record counts.

use super::sshd::{self, Accepted};
use super::{Entry, IAM_SSH, Sender, Session, Source, State, Verdict};
use crate::record::seal::Secret;
use crate::record::{Certificate, Record, UNKNOWN, What, word};
use std::collections::HashMap;
use std::time::Duration;

/// How long before a login its key may have been offered, and how far apart two lines about one login may be, in milliseconds.
const NEAR: i64 = 10 * 60 * 1000;
/// How far apart the same line may be in two logs.
const SAME: i64 = 2000;
/// Most offers that wait for their login; a client makes six at most.
const OFFERS: usize = 8192;
/// Most records of processes with one id that are compared with a login: who writes more than that into a log forges.
const RECORDS: usize = 64;
/// Longest form of a text, in bytes.
const LONGEST: usize = 160;

/// Whether nobody but root, or the lookup's own user, can have written a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Worth {
    Verified,
    Unverified,
    Forged,
}

/// An offered key whose owner the lookup found.
#[derive(Debug)]
struct Offer {
    time: i64,
    owner: String,
    login: String,
    principal: String,
    key: String,
    verified: bool,
}

/// What the entries so far tell.
#[derive(Debug)]
pub struct History {
    secret: Option<Secret>,
    lookup: Option<u32>,
    boot: Option<String>,
    sessions: Vec<Session>,
    by_id: HashMap<String, usize>,
    /// The last login that sshd's process with this id told of.
    by_pid: HashMap<u32, usize>,
    offers: HashMap<u32, Vec<Offer>>,
    waiting: usize,
    /// Lines that claim to be iam-ssh's or sshd's and are not.
    pub forged: u64,
    /// Whether there was anything that could not be verified.
    pub unverified: bool,
}

impl History {
    /// `secret` makes the seals of this machine, if it can be read; `lookup` is the user id of the lookup's own user, `boot` the
    /// machine's present boot as journald writes it.
    #[must_use]
    pub fn new(secret: Option<Secret>, lookup: Option<u32>, boot: Option<String>) -> Self {
        Self {
            secret,
            lookup,
            boot,
            sessions: Vec::new(),
            by_id: HashMap::new(),
            by_pid: HashMap::new(),
            offers: HashMap::new(),
            waiting: 0,
            forged: 0,
            unverified: false,
        }
    }

    /// Looks at one entry.
    pub fn take(&mut self, entry: &Entry<'_>) -> Verdict {
        let verdict = self.look(entry);
        self.forged += u64::from(verdict == Verdict::Forged);
        verdict
    }

    fn look(&mut self, entry: &Entry<'_>) -> Verdict {
        let is_record = entry.message.starts_with(b"session opened ") || entry.message.starts_with(b"session closed ");
        let text = String::from_utf8_lossy(entry.message);
        if entry.identifier == IAM_SSH {
            if is_record {
                return self.record(entry, &text);
            }
            if let Some(offer) = sshd::offer(&text) {
                self.offer(entry, &offer);
            }
            return Verdict::Fine;
        }
        // A line of sshd's process for the connection, which is root's: what its child writes, the user who logged in can write.
        let worth = match entry.sender {
            Sender::Journal { own: true, .. } if entry.uid == Some(0) => Worth::Verified,
            // Where sshd logs to a stream, its child has that stream, too.
            Sender::Journal { .. } if entry.uid == Some(0) => Worth::Unverified,
            Sender::Journal { .. } | Sender::Twisted => Worth::Forged,
            Sender::Doubted | Sender::Text => Worth::Unverified,
        };
        if let Some(accepted) = sshd::accepted(&text) {
            if worth == Worth::Forged {
                return Verdict::Forged;
            }
            self.login(entry, &accepted, worth == Worth::Verified);
        } else if let Some(login) = sshd::closed(&text) {
            self.end(entry, login, worth == Worth::Verified);
        }
        Verdict::Fine
    }

    fn record(&mut self, entry: &Entry<'_>, text: &str) -> Verdict {
        let is_sealed = self.secret.as_ref().is_some_and(|secret| secret.is_sealed(text));
        let worth = match entry.sender {
            _ if is_sealed => Worth::Verified,
            Sender::Journal { own: true, .. } if entry.uid == Some(0) => Worth::Verified,
            Sender::Doubted | Sender::Text if self.secret.is_none() => Worth::Unverified,
            _ => Worth::Forged,
        };
        let Some(record) = Record::parse(text).filter(|_| worth != Worth::Forged) else { return Verdict::Forged };
        let verified = worth == Worth::Verified;
        self.unverified |= !verified;
        let (is_open, duration) = match record.what {
            What::Opened => (true, None),
            What::Closed { duration } => (false, duration),
        };
        let known = self.by_id.get(&record.id).and_then(|at| self.sessions.get_mut(*at));
        if let Some(known) = known {
            if verified && !known.verified {
                *known = Session { duration, ..session(record, Source::Record, true) };
            } else if verified || !known.verified {
                known.duration = known.duration.or(duration);
            } else {
                return Verdict::Fine;
            }
            if !is_open {
                known.state = State::Closed;
            }
            return Verdict::Fine;
        }
        self.by_id.insert(record.id.clone(), self.sessions.len());
        let mut session = session(record, Source::Record, verified);
        session.this_boot = self.this_boot(entry);
        if !is_open {
            // Its beginning is in an older log.
            let millis = duration.and_then(|duration| i64::try_from(duration.as_millis()).ok()).unwrap_or_default();
            session.record.at = session.record.at.saturating_sub(millis);
            session.state = State::Closed;
            session.duration = duration;
        }
        self.own(&mut session);
        self.sessions.push(session);
        Verdict::Fine
    }

    fn login(&mut self, entry: &Entry<'_>, accepted: &Accepted<'_>, verified: bool) {
        let Some(pid) = entry.pid else { return };
        let text = |text: &str| word(text, LONGEST);
        let key = accepted.key.as_ref();
        let record = Record {
            what: What::Opened,
            owner: None,
            login: text(accepted.login),
            key: key.map(|key| text(key.fingerprint)),
            key_type: key.map(|key| text(key.kind)),
            address: accepted.address.map(text),
            port: Some(accepted.port),
            principal: None,
            method: text(accepted.method),
            certificate: key
                .and_then(|key| key.certificate)
                .map(|(id, authority)| Certificate { id: text(id), authority: text(authority.unwrap_or(UNKNOWN)) }),
            audit_session: None,
            sshd_pid: pid,
            id: String::new(),
            at: entry.time,
        };
        let known = self.by_pid.get(&pid).and_then(|at| self.sessions.get_mut(*at));
        if let Some(known) = known
            && known.record.at.abs_diff(entry.time) <= SAME.unsigned_abs()
            && (&known.record.login, &known.record.address, known.record.port)
                == (&record.login, &record.address, record.port)
            && (known.verified || !verified)
        {
            return;
        }
        self.unverified |= !verified;
        let mut session = session(record, Source::Sshd, verified);
        session.this_boot = self.this_boot(entry);
        self.own(&mut session);
        self.by_pid.insert(pid, self.sessions.len());
        self.sessions.push(session);
    }

    /// sshd's process says that it closed the session of the login that it told of last.
    fn end(&mut self, entry: &Entry<'_>, login: &str, verified: bool) {
        let at = entry.pid.and_then(|pid| self.by_pid.get(&pid));
        let Some(session) = at.and_then(|at| self.sessions.get_mut(*at)) else { return };
        let open = entry.time.checked_sub(session.record.at).and_then(|millis| u64::try_from(millis).ok());
        if session.state == State::Unknown
            && session.verified == verified
            && session.record.login == word(login, LONGEST)
            && let Some(millis) = open
        {
            session.duration = Some(Duration::from_millis(millis));
            session.state = State::Closed;
        }
    }

    fn offer(&mut self, entry: &Entry<'_>, offer: &sshd::Offer<'_>) {
        let verified = match entry.sender {
            Sender::Journal { own: true, .. } => entry.uid.is_some_and(|uid| uid == 0 || Some(uid) == self.lookup),
            Sender::Doubted | Sender::Text => false,
            _ => return,
        };
        if !verified && matches!(entry.sender, Sender::Journal { .. }) {
            return;
        }
        if self.waiting >= OFFERS {
            self.forget(entry.time);
        }
        let is_word = |text: &&str| text.bytes().all(|byte| (0x21..=0x7e).contains(&byte));
        if ![offer.owner, offer.login, offer.principal, offer.key].iter().all(is_word) {
            return;
        }
        let offers = self.offers.entry(offer.sshd_pid).or_default();
        self.waiting += 1;
        offers.push(Offer {
            time: entry.time,
            owner: offer.owner.to_owned(),
            login: offer.login.to_owned(),
            principal: offer.principal.to_owned(),
            key: offer.key.to_owned(),
            verified,
        });
    }

    /// Forgets offers that no login can follow any more; where they are too many all the same, all of them.
    fn forget(&mut self, now: i64) {
        self.offers.retain(|_, offers| {
            offers.retain(|offer| offer.time.saturating_add(NEAR) >= now);
            !offers.is_empty()
        });
        self.waiting = self.offers.values().map(Vec::len).sum();
        if self.waiting >= OFFERS / 2 {
            self.offers.clear();
            self.waiting = 0;
        }
    }

    /// Gives a session without an owner the one that the lookup found for its key.
    fn own(&self, session: &mut Session) {
        let record = &mut session.record;
        let (None, Some(key)) = (&record.owner, &record.key) else { return };
        let offers = self.offers.get(&record.sshd_pid).map(Vec::as_slice).unwrap_or_default();
        let offer = offers.iter().rev().find(|offer| {
            let age = record.at.saturating_sub(offer.time);
            (-SAME..=NEAR).contains(&age)
                && offer.verified == session.verified
                && (&offer.key, &offer.login) == (key, &record.login)
        });
        if let Some(offer) = offer {
            record.owner = Some(offer.owner.clone());
            record.principal = Some(offer.principal.clone());
        }
    }

    fn this_boot(&self, entry: &Entry<'_>) -> Option<bool> {
        let Sender::Journal { boot, .. } = entry.sender else { return None };
        Some(boot == self.boot.as_ref()?.as_bytes())
    }

    /// The sessions in the order in which they were opened, each connection once.
    #[must_use]
    pub fn finish(self) -> Vec<Session> {
        let mut sessions = self.sessions;
        let (logins, mut records): (Vec<Session>, Vec<Session>) =
            sessions.drain(..).partition(|session| session.source == Source::Sshd);
        // The last first: of one process id, only the last few are compared.
        let mut of_pid: HashMap<u32, Vec<usize>> = HashMap::new();
        for (at, record) in records.iter().enumerate().rev() {
            of_pid.entry(record.record.sshd_pid).or_default().push(at);
        }
        for login in logins {
            let candidates = of_pid.get(&login.record.sshd_pid).into_iter().flatten().take(RECORDS);
            let twin = candidates.copied().find(|at| records.get(*at).is_some_and(|record| is_same(record, &login)));
            match twin.and_then(|at| records.get_mut(at)) {
                Some(record) => complete(record, &login),
                None => sessions.push(login),
            }
        }
        sessions.extend(records);
        sessions.sort_by_key(|session| session.record.at);
        sessions
    }
}

/// What only sshd tells of a connection that has a record.
fn complete(record: &mut Session, login: &Session) {
    record.record.port = record.record.port.or(login.record.port);
    if record.state == State::Unknown && login.state == State::Closed {
        record.state = State::Closed;
        record.duration = login.duration;
    }
}

fn session(record: Record, source: Source, verified: bool) -> Session {
    Session { record, duration: None, state: State::Unknown, source, verified, this_boot: None }
}

/// Whether a record and a login that sshd told of are about one connection. sshd before 8.0 tells PAM no port, and perhaps a name.
fn is_same(record: &Session, login: &Session) -> bool {
    let (one, other) = (&record.record, &login.record);
    let place = one.port.is_none() || (one.port == other.port && one.address == other.address);
    place
        && one.at.abs_diff(other.at) <= NEAR.unsigned_abs()
        && one.login == other.login
        && (record.verified || !login.verified)
}

#[cfg(test)]
mod tests;
