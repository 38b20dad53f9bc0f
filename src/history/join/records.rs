//! The records of one connection become one session, in whatever order they come: what root wrote counts more than what
//! anybody could have written.

use super::LONGEST;
use crate::history::{Begin, Session, Source, State};
use crate::record::{Record, What};

/// What one record tells.
pub(super) fn told(mut record: Record, verified: bool, this_boot: Option<bool>) -> Session {
    if !verified {
        bound(&mut record);
    }
    let what = record.what;
    let mut session = Session { this_boot, ..Session::new(record, Source::Record, verified) };
    match what {
        What::Opened => {}
        What::Closed { duration } => {
            session.state = State::Closed;
            session.duration = duration;
            session.begin = Begin::Unknown;
            if let Some(millis) = duration.and_then(|duration| i64::try_from(duration.as_millis()).ok()) {
                session.begin = Begin::Reckoned;
                session.record.at = session.record.at.saturating_sub(millis);
            }
        }
        What::Revoked => {
            session.revoked = true;
            session.begin = Begin::Unknown;
        }
    }
    session
}

/// Adds what another record of the same connection tells.
pub(super) fn add(known: &mut Session, mut told: Session) {
    match (known.verified, told.verified) {
        (true, false) => {}
        (false, true) => {
            if told.begin == Begin::Unknown && known.begin > Begin::Unknown {
                told.record.at = known.record.at;
                told.begin = Begin::Reckoned;
            }
            *known = told;
        }
        _ => {
            if told.begin > known.begin {
                known.record.at = told.record.at;
                known.begin = told.begin;
            }
            known.duration = known.duration.or(told.duration);
            if told.state == State::Closed {
                known.state = State::Closed;
            }
            known.revoked |= told.revoked;
            known.this_boot = known.this_boot.or(told.this_boot);
        }
    }
}

/// What only sshd tells of a connection that has a record. What could be forged changes nothing in what could not.
pub(super) fn complete(record: &mut Session, login: &Session) {
    if record.verified && !login.verified {
        return;
    }
    record.record.port = record.record.port.or(login.record.port);
    if record.begin == Begin::Unknown {
        record.begin = Begin::Reckoned;
        record.record.at = login.record.at;
    }
    if record.state == State::Unknown && login.state == State::Closed {
        record.state = State::Closed;
    }
    if record.state == State::Closed {
        record.duration = record.duration.or(login.duration);
    }
}

/// Cuts every text of a record that anybody could have written: what iam-ssh writes is no longer.
fn bound(record: &mut Record) {
    let Record { owner, login, key, key_type, address, principal, method, certificate, id, .. } = record;
    let certificate = certificate.iter_mut().flat_map(|known| [&mut known.id, &mut known.authority]);
    let texts = [owner, key, key_type, address, principal].into_iter().flatten().chain([login, method, id]);
    for text in texts.chain(certificate).filter(|text| text.len() > LONGEST) {
        // A record's texts are ASCII.
        text.truncate(LONGEST - 3);
        text.push_str("...");
    }
}
