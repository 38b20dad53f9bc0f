//! `iam-ssh who`: the sessions that are open now, by owner. What `session-audit` noted of them is the truth, and only root can read it;
//! the log has those that it does not see, and all where it cannot be read.

use super::history;
use crate::clock::Moment;
use crate::exit::Exit;
use crate::history::{Entry, Session, Source, State, show};
use crate::sessions::Sessions;

/// Runs it.
pub(super) fn run(json: bool) -> Exit {
    let noted = Sessions::open();
    let has_notes = noted.is_ok();
    let noted: Vec<Session> = noted
        .map(|sessions| sessions.all())
        .unwrap_or_default()
        .into_iter()
        .filter(crate::sessions::Open::is_alive)
        .map(|open| Session {
            record: open.record,
            duration: None,
            state: State::Active,
            source: Source::Record,
            verified: true,
            this_boot: Some(true),
        })
        .collect();
    let found = history::find(&[], None, &Moment::now(), None::<fn(&Entry<'_>) -> bool>);
    // Where there are notes, a log that cannot be read costs only what they do not have, and that was said.
    let whole = has_notes || found.as_ref().is_some_and(|found| found.whole);
    let mut sessions = noted;
    for session in found.map(|found| found.sessions).unwrap_or_default() {
        // A process of sshd has one connection.
        let is_noted = sessions.iter().any(|noted| noted.record.sshd_pid == session.record.sshd_pid);
        if session.state == State::Active && !is_noted {
            sessions.push(session);
        }
    }
    sessions.sort_by(|a, b| key(a).cmp(&key(b)));
    match history::print(&if json { show::json(&sessions) } else { show::who(&sessions) }) {
        Exit::Ok => history::exit(whole),
        failed => failed,
    }
}

/// By owner, those without one last; then by login user and time.
fn key(session: &Session) -> (bool, Option<&str>, &str, i64) {
    let record = &session.record;
    (record.owner.is_none(), record.owner.as_deref(), &record.login, record.at)
}
