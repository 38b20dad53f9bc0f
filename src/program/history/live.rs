//! Which sessions are open now. What `session-audit` noted of them is the truth, and only root can read it; the log has
//! those that it does not see, and all of them where the notes cannot be read.

use crate::booted;
use crate::clock::Moment;
use crate::history::{Session, Source, State, sources};
use crate::process;
use crate::record::Record;
use crate::sessions::{Open, Sessions};
use nix::unistd::geteuid;
use std::collections::{HashMap, HashSet};
use std::os::unix::fs::MetadataExt as _;

/// How much later than its process a login may seem to be logged, and how much earlier, in milliseconds: clocks are rounded.
const ROUNDED: i64 = 2000;

/// Whether this user sees which of sshd's processes run.
pub(super) fn sees_processes() -> bool {
    if geteuid().is_root() { booted::is_running_from_here() } else { process::running_since(1).is_some() }
}

/// Why it cannot be told which sessions are open, if it cannot.
pub(super) fn blindness() -> Option<&'static str> {
    match (geteuid().is_root(), sees_processes()) {
        (true, false) => Some("which sessions are open cannot be told here: the machine runs from another root folder"),
        (false, false) => Some("which sessions are open can be told by root only: processes of others are hidden here"),
        (false, true) if sources::has_journal() && !sources::may_read_journal() => Some(
            "which sessions are open can be told by root only, and by who may read all of the journal, as the group \
             systemd-journal may",
        ),
        _ => None,
    }
}

/// Since when the oldest process of sshd's that serves a connection runs, in milliseconds since 1970 UTC: no open session is older.
pub(super) fn oldest(now: &Moment) -> i64 {
    let started = process::all().filter(|pid| is_connection(*pid)).filter_map(|pid| started(pid, now));
    started.min().unwrap_or(now.wall)
}

fn is_connection(pid: u32) -> bool {
    std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|title| is_connection_s(&title))
}

/// sshd titles its process for a connection `sshd: user [priv]`, and the one that listens, if at all, `sshd: /path/to/sshd ...`.
fn is_connection_s(title: &[u8]) -> bool {
    let rest = title.strip_prefix(b"sshd").map(|rest| rest.strip_prefix(b"-session").unwrap_or(rest));
    rest.and_then(|rest| rest.strip_prefix(b": ")).is_some_and(|who| who.first() != Some(&b'/'))
}

fn started(pid: u32, now: &Moment) -> Option<i64> {
    let since = process::running_since(pid)?;
    Some(now.wall.saturating_sub(now.boot.as_ref()?.millis).saturating_add(since))
}

/// What is noted of connections that are open; `None` for those who cannot read it.
pub(super) fn noted() -> Option<Vec<Record>> {
    let open = Sessions::open().ok()?.all();
    // As it stands in a line: a note has every text as it came.
    Some(open.into_iter().filter(Open::is_alive).filter_map(|open| Record::parse(&open.record.line())).collect())
}

/// Says of every session whether it is open, and adds those of which only the notes tell.
pub(super) fn settle(sessions: &mut Vec<Session>, noted: Vec<Record>, is_alive: impl Fn(&Session) -> bool) {
    // A process of sshd's has one connection.
    let by_pid: HashMap<u32, &str> = noted.iter().map(|record| (record.sshd_pid, record.id.as_str())).collect();
    let mut known: HashSet<String> = HashSet::new();
    sessions.retain_mut(|session| {
        let (is_record, noted) = (session.source == Source::Record, by_pid.get(&session.record.sshd_pid));
        if session.verified && is_record && noted == Some(&session.record.id.as_str()) {
            session.state = State::Active;
            session.duration = None;
            known.insert(session.record.id.clone());
        } else if session.state == State::Unknown {
            let seems_open = is_alive(session);
            if seems_open && noted.is_some() && !is_record {
                return false;
            }
            session.state = match session.source {
                _ if seems_open && noted.is_none() => State::Active,
                Source::Record => State::Lost,
                Source::Sshd => State::Closed,
            };
        }
        true
    });
    let missing = noted.into_iter().filter(|record| !known.contains(&record.id)).map(|record| Session {
        state: State::Active,
        this_boot: Some(true),
        ..Session::new(record, Source::Record, true)
    });
    sessions.extend(missing);
    sessions.sort_by_key(|session| session.record.at);
}

/// Whether sshd's process for the session still runs, and is not another one with the same number.
pub(super) fn is_alive(session: &Session, now: &Moment) -> bool {
    let pid = session.record.sshd_pid;
    let Some(started) = started(pid, now) else { return false };
    let is_root = std::fs::metadata(format!("/proc/{pid}")).is_ok_and(|meta| meta.uid() == 0);
    // Which program root's processes run, only root can see; their names everybody.
    let is_sshd = process::is_sshd(pid).unwrap_or_else(|| {
        std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.starts_with("sshd"))
    });
    session.this_boot != Some(false) && is_root && is_sshd && started <= session.record.at.saturating_add(ROUNDED)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::tests::record;

    fn session(pid: u32, id: &str, source: Source, state: State) -> Session {
        let record = Record { sshd_pid: pid, id: id.to_owned(), ..record() };
        Session { state, this_boot: Some(true), ..Session::new(record, source, true) }
    }

    /// What the sessions are, when processes seem to run that serve none of them, or none that serves one: somebody set the clock.
    #[test]
    fn what_is_noted_is_open_whatever_the_clock_says() {
        let noted = |pid: u32, id: &str| session(pid, id, Source::Record, State::Unknown).record;
        for seems_open in [false, true] {
            let mut sessions = vec![
                session(1, "a", Source::Record, State::Unknown),
                session(1, "older", Source::Record, State::Unknown),
                session(2, "b", Source::Record, State::Closed),
                session(3, "", Source::Sshd, State::Unknown),
            ];
            settle(&mut sessions, vec![noted(1, "a"), noted(4, "d")], |_| seems_open);
            let states: Vec<_> = sessions.iter().map(|session| (session.record.id.as_str(), session.state)).collect();
            let by_process = if seems_open { State::Active } else { State::Closed };
            let expected = [
                ("a", State::Active),
                ("older", State::Lost),
                ("b", State::Closed),
                ("", by_process),
                ("d", State::Active),
            ];
            assert_eq!(states, expected);
        }
        // sshd's own line about a connection that is noted is no second one.
        let mut sessions = vec![session(1, "", Source::Sshd, State::Unknown)];
        settle(&mut sessions, vec![noted(1, "a")], |_| true);
        assert_eq!(sessions.iter().map(|session| session.record.id.as_str()).collect::<Vec<_>>(), ["a"]);
    }

    #[test]
    fn no_process_is_older_than_the_oldest() {
        let now = Moment::now();
        assert!(oldest(&now) <= now.wall && !is_connection(std::process::id()) && !is_connection(0));
        for title in ["sshd: ec2-user [priv]\0\0", "sshd-session: ec2-user [priv]", "sshd: [accepted]"] {
            assert!(is_connection_s(title.as_bytes()), "{title}");
        }
        for title in
            ["", "/usr/sbin/sshd\0-D", "sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups", "cat\0sshd: a [priv]"]
        {
            assert!(!is_connection_s(title.as_bytes()), "{title}");
        }
    }
}
