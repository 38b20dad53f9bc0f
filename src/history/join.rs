//! Entries become sessions: what was opened and what was closed, sshd's word and the lookup's.
//!
//! A record without an owner, and a login of which only sshd tells, get the owner from the lookup's line for the same process of sshd,
//! the same key and the same login user: that key was proven to sshd, and the lookup said whose it is. So both must be verified, or
//! neither. Where several lines tell of one connection, the record counts.

mod offers;
mod records;

use super::sshd::{self, Accepted};
use super::{Begin, Entry, IAM_SSH, Sender, Session, Source, State, Verdict};
use crate::record::seal::Secret;
use crate::record::{Certificate, Record, UNKNOWN, What, word};
use offers::Offers;
use std::collections::HashMap;
use std::time::Duration;

/// How long before a login its key may have been offered, and how far apart two lines about one login may be, in milliseconds.
const NEAR: i64 = 10 * 60 * 1000;
/// How far apart the same line may be in two logs.
const SAME: i64 = 2000;
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

/// What the entries so far tell.
#[derive(Debug)]
pub struct History {
    secret: Option<Secret>,
    lookup: Option<u32>,
    boot: Option<String>,
    sessions: Vec<Session>,
    by_id: HashMap<Box<str>, usize>,
    /// The last login that sshd's process with this id told of.
    by_pid: HashMap<u32, usize>,
    offers: Offers,
    /// Lines that claim to be iam-ssh's or sshd's and are not.
    pub forged: u64,
    /// Those of them that have the form of a record, in a log that does not say who wrote it: a seal of another secret's is one, too.
    pub unsealed: u64,
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
            offers: Offers::default(),
            forged: 0,
            unsealed: 0,
        }
    }

    /// Looks at one entry.
    pub fn take(&mut self, entry: &Entry<'_>) -> Verdict {
        let verdict = self.look(entry);
        self.forged += u64::from(verdict == Verdict::Forged);
        verdict
    }

    /// Looks at one entry of a log that is read beside a journal: of such a log, only records with a valid seal count.
    pub fn take_sealed(&mut self, entry: &Entry<'_>) {
        let text = String::from_utf8_lossy(entry.message);
        if entry.identifier == IAM_SSH && is_record(entry.message) && self.is_sealed(&text) {
            self.record(entry, &text);
        }
    }

    fn look(&mut self, entry: &Entry<'_>) -> Verdict {
        let text = String::from_utf8_lossy(entry.message);
        if entry.identifier == IAM_SSH {
            if is_record(entry.message) {
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
            Sender::Journal { .. } | Sender::Exported { .. } if entry.uid == Some(0) => Worth::Unverified,
            Sender::Journal { .. } | Sender::Exported { .. } | Sender::Twisted => Worth::Forged,
            Sender::Doubted | Sender::Text => Worth::Unverified,
        };
        if let Some(accepted) = sshd::accepted(&text) {
            if worth == Worth::Forged {
                return Verdict::Forged;
            }
            self.login(entry, &accepted, worth == Worth::Verified);
        } else if worth != Worth::Forged
            && let Some(login) = sshd::closed(&text)
        {
            self.end(entry, login, worth == Worth::Verified);
        }
        Verdict::Fine
    }

    fn is_sealed(&self, text: &str) -> bool {
        self.secret.as_ref().is_some_and(|secret| secret.is_sealed(text))
    }

    fn record(&mut self, entry: &Entry<'_>, text: &str) -> Verdict {
        let worth = match entry.sender {
            _ if self.is_sealed(text) => Worth::Verified,
            Sender::Journal { own: true, .. } if entry.uid == Some(0) => Worth::Verified,
            Sender::Exported { own: true } if entry.uid == Some(0) => Worth::Unverified,
            Sender::Doubted | Sender::Text if self.secret.is_none() => Worth::Unverified,
            _ => Worth::Forged,
        };
        let Some(record) = Record::parse(text) else { return Verdict::Forged };
        if worth == Worth::Forged {
            self.unsealed += u64::from(matches!(entry.sender, Sender::Doubted | Sender::Text));
            return Verdict::Forged;
        }
        let told = records::told(record, worth == Worth::Verified, self.this_boot(entry));
        let at = *self.by_id.entry(told.record.id.as_str().into()).or_insert(self.sessions.len());
        match self.sessions.get_mut(at) {
            Some(known) => records::add(known, told),
            None => self.sessions.push(told),
        }
        if let Some(session) = self.sessions.get_mut(at) {
            self.offers.own(session);
        }
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
        let mut session = Session::new(record, Source::Sshd, verified);
        session.this_boot = self.this_boot(entry);
        self.offers.own(&mut session);
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
        let is_lookup = entry.uid.is_some_and(|uid| uid == 0 || Some(uid) == self.lookup);
        let verified = match entry.sender {
            Sender::Journal { own: true, .. } if is_lookup => true,
            Sender::Exported { own: true } if is_lookup => false,
            Sender::Doubted | Sender::Text => false,
            _ => return,
        };
        self.offers.put(entry.time, offer, verified);
    }

    fn this_boot(&self, entry: &Entry<'_>) -> Option<bool> {
        let Sender::Journal { boot, .. } = entry.sender else { return None };
        Some(boot == self.boot.as_ref()?.as_bytes())
    }

    /// The sessions in the order in which they were opened, each connection once.
    #[must_use]
    pub fn finish(mut self) -> Vec<Session> {
        let mut sessions = std::mem::take(&mut self.sessions);
        drop(self);
        // The last first: of one process id, only the last few are compared.
        let mut of_pid: HashMap<u32, Vec<usize>> = HashMap::new();
        for (at, record) in sessions.iter().enumerate().rev().filter(|(_, session)| session.source == Source::Record) {
            of_pid.entry(record.record.sshd_pid).or_default().push(at);
        }
        let mut twins = vec![false; sessions.len()];
        for (twin, at) in twins.iter_mut().zip(0..) {
            let Some(login) = sessions.get(at).filter(|login| login.source == Source::Sshd) else { continue };
            let candidates = of_pid.get(&login.record.sshd_pid).into_iter().flatten().take(RECORDS);
            let of = candidates.copied().find(|of| sessions.get(*of).is_some_and(|record| is_same(record, login)));
            let Some(of) = of else { continue };
            *twin = true;
            if let Ok([record, login]) = sessions.get_disjoint_mut([of, at]) {
                records::complete(record, login);
            }
        }
        let mut twins = twins.into_iter();
        sessions.retain(|_| twins.next() != Some(true));
        sessions.sort_by_key(|session| session.record.at);
        sessions
    }
}

fn is_record(message: &[u8]) -> bool {
    ["session opened ", "session closed ", "session revoked "].iter().any(|known| message.starts_with(known.as_bytes()))
}

/// Whether a record and a login that sshd told of are about one connection. sshd before 8.0 tells PAM no port, and perhaps a name.
fn is_same(record: &Session, login: &Session) -> bool {
    let (one, other) = (&record.record, &login.record);
    let is_place = one.port == other.port && one.address == other.address;
    let is_near = one.at.abs_diff(other.at) <= NEAR.unsigned_abs();
    // What is known is only that it was open before.
    let is_before = record.begin == Begin::Unknown && is_place && other.at <= one.at.saturating_add(SAME);
    ((is_near && (one.port.is_none() || is_place)) || is_before)
        && one.login == other.login
        && (record.verified || !login.verified)
}

#[cfg(test)]
mod tests;
