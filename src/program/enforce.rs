//! `iam-ssh refresh --enforce`: ends open connections whose key, or whose principal, was revoked.
//!
//! Only connections that the lookup itself let in are looked at, and only after a refresh in which everything was answered: each list
//! and each document of every login user, with content or with the answer that it does not exist. Where anything failed, was denied
//! or is malformed, nobody is cut off: that is no revocation. It never signals a process but sshd's own for that connection.

use super::authorized_keys::FETCH;
use super::fetch::REFRESH;
use super::session_audit;
use crate::audit::syslog::Syslog;
use crate::audit::{Event, MAX_LINE, Severity, TAG};
use crate::cache::store::{self, Store};
use crate::clock::Moment;
use crate::config::{Config, load};
use crate::copies::Copies;
use crate::exit::Exit;
use crate::lookup::{self, Outcome};
use crate::process;
use crate::sessions::{Open, Sessions};
use crate::trusted::{Trust, TrustError};
use iam_ssh_core::PublicKey;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// How long sshd may take to end a connection.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two looks whether it has.
const PAUSE: Duration = Duration::from_millis(10);

/// Refreshes the cache, and ends what was revoked.
pub(super) fn run() -> Exit {
    match enforce() {
        Ok(report) => {
            let _ = writeln!(io::stdout(), "iam-ssh: {report}");
            Exit::Ok
        }
        Err(why) => {
            let text = format!("no connection was ended: {why}");
            let _ = writeln!(io::stderr(), "iam-ssh: {text}");
            Syslog::new(TAG).send(&Event::warning(text));
            Exit::Failed
        }
    }
}

fn enforce() -> Result<String, String> {
    if !nix::unistd::geteuid().is_root() {
        return Err("only root can end other people's connections".to_owned());
    }
    let config = load::load(Path::new(load::DIRECTORY), Trust::ROOT).map_err(|error| error.to_string())?;
    if config.bucket.is_none() {
        return Err("no bucket is configured".to_owned());
    }
    // Read before asking: who logs in from now on was let in by what is asked for now, or by something as new.
    let open = match Sessions::open() {
        Ok(sessions) => sessions.all(),
        Err(TrustError::Missing(_)) => Vec::new(),
        Err(error) => return Err(error.to_string()),
    };
    let started = Moment::now();
    let status = Command::new(FETCH).arg(REFRESH).status().map_err(|error| format!("cannot run {FETCH}: {error}"))?;
    if !status.success() {
        return Err("the refresh failed, and what is not known was not revoked".to_owned());
    }
    let store = Store::open_anyone_s(Path::new(store::DIRECTORY), Trust::ROOT).map_err(|error| error.to_string())?;
    let mut picture = Picture::new(&config, store, started)?;
    let ours: Vec<&Open> = open.iter().filter(|open| open.record.principal.is_some() && open.is_alive()).collect();
    // All are judged before any is ended.
    let mut revoked = Vec::new();
    for open in &ours {
        if picture.is_revoked(open)? {
            revoked.push(*open);
        }
    }
    let ended = revoked.into_iter().filter(|open| end(open)).count();
    if let Ok(sessions) = Sessions::open() {
        // A login of root's has no process that would see its end.
        session_audit::record_lost(&sessions);
    }
    Ok(format!("{} connections are open by keys of iam-ssh; {ended} were revoked and ended", ours.len()))
}

/// What is allowed now, completely.
struct Picture<'a> {
    config: &'a Config,
    copies: Copies,
    now: i64,
}

impl<'a> Picture<'a> {
    /// What was answered since `started`.
    ///
    /// # Errors
    /// What is missing in it.
    fn new(config: &'a Config, store: Store, started: Moment) -> Result<Self, String> {
        let now = started.unix();
        let copies = Copies::open(config, Ok(store), started);
        copies.check_complete()?;
        Ok(Self { config, copies, now })
    }

    /// Whether the key that opened a connection would open it no more.
    ///
    /// # Errors
    /// Why that cannot be told.
    fn is_revoked(&mut self, open: &Open) -> Result<bool, String> {
        let record = &open.record;
        let key = open.key.as_deref().and_then(|key| PublicKey::from_openssh(key).ok());
        // Of a login user who has no table any more nothing is asked, so nothing is known.
        let question = lookup::question(self.config, &record.login, key.as_ref(), self.now, Trust::ROOT);
        let (Some(_), Some((question, problems))) = (&key, question) else { return Ok(false) };
        if let Some(problem) = problems.first() {
            return Err(problem.line(MAX_LINE));
        }
        // What was not answered in the refresh does not count as known, nor what was read about the key before this one.
        self.copies.distrust();
        match question.answer(&mut self.copies) {
            Outcome::Answer(found) => Ok(found.is_empty()),
            Outcome::Ask(_) => Err(format!("not everything is known about the login user {}", record.login)),
        }
    }
}

/// Ends a connection; whether it is ended. Whoever was let in does not notice more than a line that breaks.
fn end(open: &Open) -> bool {
    let record = &open.record;
    let Ok(pid) = i32::try_from(record.sshd_pid) else { return false };
    // Looked at again at the last moment: a process id that is given anew in between would be somebody else's.
    if !open.is_alive() || process::is_sshd(record.sshd_pid) == Some(false) {
        return false;
    }
    let sent = kill(Pid::from_raw(pid), Signal::SIGHUP);
    let until = Instant::now() + PATIENCE;
    while sent.is_ok() && open.is_alive() && Instant::now() < until {
        std::thread::sleep(PAUSE);
    }
    let is_ended = !open.is_alive();
    let what = if is_ended { "session revoked" } else { "session revoked, but it goes on:" };
    let fields: Vec<String> = record.fields().iter().map(|(name, value)| format!("{name}={value}")).collect();
    let severity = if is_ended { Severity::Notice } else { Severity::Error };
    Syslog::new(TAG).send(&Event::Problem { severity, text: format!("{what} {}", fields.join(" ")) });
    is_ended
}
