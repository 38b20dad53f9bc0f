//! `iam-ssh log`: who logged in. It reads logs, and the secret behind the seals where it may; it changes nothing.

mod live;
mod notes;

use super::commands::Query;
use crate::clock::Moment;
use crate::exit::Exit;
use crate::history::sources::{self, Log, Outcome};
use crate::history::{Entry, History, Session, State, Verdict, show, stamp};
use crate::record::{UNKNOWN, secret, word};
use crate::trusted::Trust;
use iam_ssh_core::text::escape;
use notes::{Notes, say};
use std::io::{self, BufWriter, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use time::{OffsetDateTime, UtcOffset};

/// Belongs to the lookup's own user.
const CACHE: &str = crate::cache::store::DIRECTORY;

/// What is asked of the logs.
pub(super) struct Asked<'a> {
    /// Files to read instead of this machine's logs.
    pub(super) files: &'a [String],
    /// Nothing before this is of interest.
    pub(super) since: Option<i64>,
    /// Only what is open now is of interest.
    pub(super) active: bool,
}

/// What the logs say.
pub(super) struct Found {
    /// Every session, oldest first.
    pub(super) sessions: Vec<Session>,
    /// Whether every log was read to its end.
    whole: bool,
    notes: Notes,
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
    if query.forged && (query.active || query.owner.is_some() || query.login.is_some()) {
        say(
            "`--forged` is about lines and not about sessions, so of what chooses sessions it goes with `--since` only",
        );
        return Exit::Usage;
    }
    let asked = Asked { files: &query.files, since, active: query.active };
    if query.forged {
        return list_forged(&asked, &now, query.json);
    }
    let Some(mut found) = find(&asked, &now, None::<fn(&Entry<'_>) -> bool>) else { return Exit::Failed };
    // As they stand in a line.
    let login = query.login.as_deref().map(|login| word(login, usize::MAX));
    let owner = query.owner.as_deref().map(|owner| word(owner, usize::MAX));
    found.sessions.retain(|session| {
        let record = &session.record;
        since.is_none_or(|since| record.at >= since)
            && login.as_ref().is_none_or(|login| *login == record.login)
            && owner.as_ref().is_none_or(|owner| owner == record.owner.as_deref().unwrap_or(UNKNOWN))
            && (!query.active || session.state == State::Active)
    });
    print(&found, query.json, show::log)
}

fn list_forged(asked: &Asked<'_>, now: &Moment, json: bool) -> Exit {
    let mut out = BufWriter::new(io::stdout().lock());
    let list = |entry: &Entry<'_>| {
        let in_time = asked.since.is_none_or(|since| entry.time >= since);
        !in_time || out.write_all(show::forged(entry, json).as_bytes()).is_ok()
    };
    let found = find(asked, now, Some(list));
    let _ = out.flush();
    found.map_or(Exit::Failed, |found| exit(found.whole))
}

/// Reads this machine's logs, or files instead. What claims to be a record and is none goes to `forged`, until that says
/// `false`. What could not be read is said. `None` where there is nothing to read, or what is asked for cannot be told.
pub(super) fn find(
    asked: &Asked<'_>,
    now: &Moment,
    mut forged: Option<impl FnMut(&Entry<'_>) -> bool>,
) -> Option<Found> {
    if let Some(why) = live::blindness().filter(|_| asked.active) {
        say(why);
        return None;
    }
    let own = asked.files.is_empty();
    let has_journal = own && sources::has_journal();
    let logs = match (own, has_journal) {
        (false, _) => asked.files.iter().map(|name| Log::named(name)).collect(),
        (true, true) => vec![Log::Journal],
        (true, false) => sources::texts(),
    };
    let noted = if own { live::noted() } else { None };
    // Of what is open now, a log that cannot be read has only what the notes do not.
    let needs_logs = !asked.active || noted.is_none();
    if logs.is_empty() && needs_logs {
        say("there is no journal here and no /var/log/auth.log or /var/log/secure; name a log with `--file`");
        return None;
    }
    let since = if asked.active { asked.since.max(Some(live::oldest(now))) } else { asked.since };
    let secret = secret::read(Path::new(secret::DIRECTORY), Trust::ROOT);
    let has_secret = secret.is_some();
    let lookup = std::fs::metadata(CACHE).ok().map(|meta| meta.uid());
    let boot = now.boot.as_ref().map(|boot| boot.id.replace('-', ""));
    let mut history = History::new(secret, lookup, boot);
    let (mut whole, mut broken) = (true, 0);
    let mut note = |log: &Log, read: io::Result<Outcome>| {
        let wrong = match read {
            Ok(outcome) => {
                broken += outcome.broken;
                (!own && !outcome.recognised).then(|| {
                    "it is not recognised: neither `journalctl -o export` nor syslog's text, which has a time stamp, the host and \
                     the program before each message"
                        .to_owned()
                })
            }
            Err(error) => Some(format!("cannot be read, or not to its end: {error}")),
        };
        if let Some(wrong) = wrong {
            whole &= !needs_logs;
            say(&escape(format!("{}: {wrong}", log.name()).as_bytes(), 500));
        }
    };
    let is_of_interest = |log: &&Log| !own || since.is_none_or(|since| !sources::is_past(log, since));
    for log in logs.iter().filter(is_of_interest) {
        let read = sources::read(log, since, now.wall, &zone, |entry| {
            history.take(entry) == Verdict::Fine || forged.as_mut().is_none_or(|forged| forged(entry))
        });
        note(log, read);
    }
    // What the journal does not have any more. The rest of it anybody could have written, and the journal says who did.
    let beside = if has_journal && has_secret { sources::texts() } else { Vec::new() };
    for log in beside.iter().filter(is_of_interest) {
        let read = sources::read(log, since, now.wall, &zone, |entry| {
            history.take_sealed(entry);
            true
        });
        note(log, read);
    }
    let is_partial = own && has_journal && !nix::unistd::geteuid().is_root() && !sources::may_read_journal();
    let notes = Notes { own, has_secret, is_partial };
    notes.broken(broken);
    notes.forged(&history, forged.is_some());
    let mut sessions = history.finish();
    if own && live::sees_processes() {
        live::settle(&mut sessions, noted.unwrap_or_default(), |session| live::is_alive(session, now));
    }
    Some(Found { sessions, whole, notes })
}

/// How far local time is ahead of UTC.
fn zone(at: i64) -> i64 {
    let at = OffsetDateTime::from_unix_timestamp(at).ok();
    at.and_then(|at| UtcOffset::local_offset_at(at).ok()).map_or(0, |offset| i64::from(offset.whole_seconds()))
}

/// Prints sessions, and what is to be known about them. Who closed standard output has read enough.
pub(super) fn print<'a, T: Iterator<Item = String>>(
    found: &'a Found,
    json: bool,
    table: impl FnOnce(&'a [Session]) -> T,
) -> Exit {
    found.notes.doubt(&found.sessions);
    let sessions = found.sessions.as_slice();
    let printed = if json { write(show::json(sessions)) } else { write(table(sessions)) };
    match printed {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Exit::Failed,
        _ => exit(found.whole),
    }
}

fn write(mut lines: impl Iterator<Item = String>) -> io::Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    lines.try_for_each(|line| out.write_all(line.as_bytes()))?;
    out.flush()
}

fn exit(whole: bool) -> Exit {
    if whole { Exit::Ok } else { Exit::Failed }
}
