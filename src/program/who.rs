//! `iam-ssh who`: the sessions that are open now, by owner.

use super::history::{self, Asked};
use crate::clock::Moment;
use crate::exit::Exit;
use crate::history::{Entry, Session, State, show};

/// Runs it.
pub(super) fn run(json: bool) -> Exit {
    let asked = Asked { files: &[], since: None, active: true };
    let Some(mut found) = history::find(&asked, &Moment::now(), None::<fn(&Entry<'_>) -> bool>) else {
        return Exit::Failed;
    };
    found.sessions.retain(|session| session.state == State::Active);
    found.sessions.sort_by(|a, b| key(a).cmp(&key(b)));
    history::print(&found, json, show::who)
}

/// By owner, those without one last; then by login user and time.
fn key(session: &Session) -> (bool, Option<&str>, &str, i64) {
    let record = &session.record;
    (record.owner.is_none(), record.owner.as_deref(), &record.login, record.at)
}
