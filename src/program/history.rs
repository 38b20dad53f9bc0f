//! `iam-ssh log`: who logged in. It reads logs, and the secret behind the seals where it may; it changes nothing.

use super::commands::Query;
use crate::booted;
use crate::clock::Moment;
use crate::exit::Exit;
use crate::history::sources::{self, Log};
use crate::history::{Entry, History, Session, Source, State, Verdict, show, stamp};
use crate::process;
use crate::record::{UNKNOWN, secret, word};
use crate::trusted::Trust;
use iam_ssh_core::text::escape;
use std::io::{self, BufWriter, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use time::{OffsetDateTime, UtcOffset};

/// Belongs to the lookup's own user.
const CACHE: &str = crate::cache::store::DIRECTORY;
/// How much later than its process a login may seem to be logged, and how much earlier, in milliseconds: clocks are rounded.
const ROUNDED: i64 = 2000;

/// What the logs say.
pub(super) struct Found {
    /// Every session, oldest first.
    pub(super) sessions: Vec<Session>,
    /// Whether every log was read to its end.
    pub(super) whole: bool,
}

/// Runs it.
pub(super) fn run(query: &Query) -> Exit {
    let now = Moment::now();
    let since = match query.since.as_deref().map(|text| stamp::since(text, now.wall, &zone).ok_or(text)) {
        None => None,
        Some(Ok(since)) => Some(since),
        Some(Err(text)) => {
            let wrong = escape(text.as_bytes(), 60);
            say(&format!(
                "`--since {wrong}` is no time: use for example 2026-11-22, \"2026-11-22 13:00\" (local time), \
                 2026-11-22T13:00:00Z, today, yesterday, 30m, 2h or 7d"
            ));
            return Exit::Usage;
        }
    };
    if query.active && !query.files.is_empty() {
        say("`--active` is about this machine now, so it does not go with `--file`");
        return Exit::Usage;
    }
    let found = if query.forged {
        let mut out = BufWriter::new(io::stdout().lock());
        let list = |entry: &Entry<'_>| {
            let in_time = since.is_none_or(|since| entry.time >= since);
            !in_time || out.write_all(show::forged(entry, query.json).as_bytes()).is_ok()
        };
        let found = find(&query.files, since, &now, Some(list));
        let _ = out.flush();
        return found.map_or(Exit::Failed, |found| exit(found.whole));
    } else {
        find(&query.files, since, &now, None::<fn(&Entry<'_>) -> bool>)
    };
    let Some(Found { mut sessions, whole }) = found else { return Exit::Failed };
    // As they stand in a line.
    let login = query.login.as_deref().map(|login| word(login, usize::MAX));
    let owner = query.owner.as_deref().map(|owner| word(owner, usize::MAX));
    sessions.retain(|session| {
        let record = &session.record;
        since.is_none_or(|since| record.at >= since)
            && login.as_ref().is_none_or(|login| *login == record.login)
            && owner.as_ref().is_none_or(|owner| owner == record.owner.as_deref().unwrap_or(UNKNOWN))
            && (!query.active || session.state == State::Active)
    });
    match print(&if query.json { show::json(&sessions) } else { show::log(&sessions) }) {
        Exit::Ok => exit(whole),
        failed => failed,
    }
}

/// Reads this machine's logs, or these files instead. What claims to be a record and is none goes to `forged`, until that says
/// `false`. What could not be read or verified is said. `None` where there is nothing to read.
pub(super) fn find(
    files: &[String],
    since: Option<i64>,
    now: &Moment,
    mut forged: Option<impl FnMut(&Entry<'_>) -> bool>,
) -> Option<Found> {
    let logs: Vec<Log> =
        if files.is_empty() { sources::own() } else { files.iter().map(|name| Log::named(name)).collect() };
    if logs.is_empty() {
        say("there is no journal here and no /var/log/auth.log or /var/log/secure; name a log with `--file`");
        return None;
    }
    let secret = secret::read(Path::new(secret::DIRECTORY), Trust::ROOT);
    let has_secret = secret.is_some();
    let lookup = std::fs::metadata(CACHE).ok().map(|meta| meta.uid());
    let boot = now.boot.as_ref().map(|boot| boot.id.replace('-', ""));
    let mut history = History::new(secret, lookup, boot);
    let (mut whole, mut broken) = (true, 0);
    for log in &logs {
        let read = sources::read(log, since, now.wall, &zone, |entry| {
            history.take(entry) == Verdict::Fine || forged.as_mut().is_none_or(|forged| forged(entry))
        });
        match read {
            Ok(count) => broken += count,
            Err(error) => {
                whole = false;
                let error = escape(format!("{}: {error}", log.name()).as_bytes(), 500);
                say(&format!("cannot be read, or not to its end: {error}"));
            }
        }
    }
    notes(&history, broken, has_secret, forged.is_some(), files.is_empty());
    let live = files.is_empty() && booted::is_running_from_here();
    let mut sessions = history.finish();
    for session in sessions.iter_mut().filter(|session| live && session.state == State::Unknown) {
        session.state = match session.source {
            _ if is_alive(session, now) => State::Active,
            Source::Record => State::Lost,
            Source::Sshd => State::Closed,
        };
    }
    Some(Found { sessions, whole })
}

/// What a reader has to know beside the sessions.
fn notes(history: &History, broken: u64, has_secret: bool, listed: bool, own: bool) {
    if broken > 0 {
        say(&format!("{broken} {} broken, and left out", if broken == 1 { "entry is" } else { "entries are" }));
    }
    if history.forged > 0 && !listed {
        let (lines, show) = match history.forged {
            1 => ("1 line claims to be iam-ssh's or sshd's record and is not".to_owned(), "it"),
            count => (format!("{count} lines claim to be iam-ssh's or sshd's record and are not"), "them"),
        };
        let other = if own { "" } else { " (the records of another machine look like that, too, outside its journal)" };
        say(&format!("{lines}; --forged shows {show}{other}"));
    }
    if history.unverified {
        let why = match (has_secret, nix::unistd::geteuid().is_root()) {
            (true, _) => "the log does not say who wrote sshd's lines",
            (false, true) => "there is no secret here to verify it with",
            (false, false) => "only root can verify it",
        };
        say(&format!("what is marked with ? could have been written by any user of its machine: {why}"));
    } else if own && !nix::unistd::geteuid().is_root() {
        say("only what this user may read of the log is shown; root sees all");
    }
}

/// Whether sshd's process for the session still runs, and is not another one with the same number.
fn is_alive(session: &Session, now: &Moment) -> bool {
    let pid = session.record.sshd_pid;
    let (Some(since), Some(boot)) = (process::running_since(pid), &now.boot) else { return false };
    let started = now.wall.saturating_sub(boot.millis).saturating_add(since);
    let is_root = std::fs::metadata(format!("/proc/{pid}")).is_ok_and(|meta| meta.uid() == 0);
    // Which program root's processes run, only root can see; their names everybody.
    let is_sshd = process::is_sshd(pid).unwrap_or_else(|| {
        std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.starts_with("sshd"))
    });
    session.this_boot != Some(false) && is_root && is_sshd && started <= session.record.at.saturating_add(ROUNDED)
}

/// How far local time is ahead of UTC.
fn zone(at: i64) -> i64 {
    let at = OffsetDateTime::from_unix_timestamp(at).ok();
    at.and_then(|at| UtcOffset::local_offset_at(at).ok()).map_or(0, |offset| i64::from(offset.whole_seconds()))
}

/// Prints to standard output. Who closed it has read enough.
pub(super) fn print(text: &str) -> Exit {
    match io::stdout().write_all(text.as_bytes()).and_then(|()| io::stdout().flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Exit::Failed,
        _ => Exit::Ok,
    }
}

pub(super) fn exit(whole: bool) -> Exit {
    if whole { Exit::Ok } else { Exit::Failed }
}

fn say(text: &str) {
    let _ = writeln!(io::stderr(), "iam-ssh: {text}.");
}
