//! `iam-ssh refresh --enforce`: ends open connections whose key, or whose principal, was revoked.
//!
//! Only connections that the lookup itself let in are looked at, and only after a refresh in which everything was answered: each list
//! and each document of every login user, with content or with the answer that it does not exist. Where anything failed, was denied
//! or is malformed, nobody is cut off: that is no revocation. It never signals a process but sshd's own for that connection.

use super::authorized_keys::FETCH;
use super::fetch::REFRESH;
use super::session_audit;
use crate::audit::syslog::Syslog;
use crate::audit::{Event, MAX_LINE, TAG};
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

/// How long sshd may take to end connections.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two looks whether it has.
const PAUSE: Duration = Duration::from_millis(10);

/// Refreshes the cache, and ends what was revoked.
pub(super) fn run() -> Exit {
    let failed = |text: String| {
        let _ = writeln!(io::stderr(), "iam-ssh: {text}");
        Syslog::new(TAG).send(&Event::warning(text));
        Exit::Failed
    };
    match enforce() {
        Ok(report) => {
            let Report { ours, ended, left, unreadable } = report;
            let _ =
                writeln!(io::stdout(), "iam-ssh: connections by keys of iam-ssh: {ours}; revoked and ended: {ended}");
            match (left, unreadable) {
                (0, 0) => Exit::Ok,
                (0, _) => {
                    failed(format!("{unreadable} connections were left alone: what was noted of them cannot be read"))
                }
                _ => failed(format!("{left} revoked connections could not be ended")),
            }
        }
        Err(why) => failed(format!("no connection was ended: {why}")),
    }
}

/// What was done.
struct Report {
    /// Connections that the lookup let in.
    ours: usize,
    /// Of them, revoked and ended.
    ended: usize,
    /// Of them, revoked and not ended.
    left: usize,
    /// Connections of which nothing is known.
    unreadable: usize,
}

fn enforce() -> Result<Report, String> {
    if !nix::unistd::geteuid().is_root() {
        return Err("only root can end other people's connections".to_owned());
    }
    let config = load::load(Path::new(load::DIRECTORY), Trust::ROOT).map_err(|error| error.to_string())?;
    if config.bucket.is_none() {
        return Err("no bucket is configured".to_owned());
    }
    // Read before asking: who logs in from now on was let in by what is asked for now, or by something as new.
    let (open, unreadable) = match Sessions::open() {
        Ok(sessions) => (sessions.all(), sessions.unreadable()),
        Err(TrustError::Missing(_)) => (Vec::new(), 0),
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
    let ended = end(&revoked);
    if let Ok(sessions) = Sessions::open() {
        // A login of root's has no process that would see its end.
        session_audit::record_lost(&sessions);
    }
    Ok(Report { ours: ours.len(), ended, left: revoked.len() - ended, unreadable })
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
        if key.is_none() {
            return Ok(false);
        }
        let question = lookup::question(self.config, &record.login, key.as_ref(), self.now, Trust::ROOT);
        // A login user who has no table any more has no principal.
        let Some((question, problems)) = question else { return Ok(true) };
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

/// Ends connections; how many of them. Whoever was let in does not notice more than a line that breaks.
fn end(revoked: &[&Open]) -> usize {
    // First all, then the waiting: somebody who makes theirs wait must not protect the others.
    signal(revoked, Signal::SIGHUP, |open| vec![open.record.sshd_pid]);
    if !wait(revoked) {
        // A session can stop the process of sshd's that runs as its user. Its end is what the other one waits for.
        signal(revoked, Signal::SIGKILL, |open| process::children(open.record.sshd_pid));
        if !wait(revoked) {
            signal(revoked, Signal::SIGKILL, |open| vec![open.record.sshd_pid]);
            wait(revoked);
        }
    }
    for open in revoked {
        session_audit::record_revoked(open.record.clone());
    }
    revoked.iter().filter(|open| !open.is_alive()).count()
}

/// Sends a signal to processes of each connection that is still open, if they are sshd's.
fn signal(revoked: &[&Open], signal: Signal, which: impl Fn(&Open) -> Vec<u32>) {
    for open in revoked {
        for pid in which(open) {
            // Looked at again at the last moment: a process id that is given anew in between would be somebody else's.
            if open.is_alive()
                && process::is_sshd(pid) != Some(false)
                && let Ok(pid) = i32::try_from(pid)
            {
                let _ = kill(Pid::from_raw(pid), signal);
            }
        }
    }
}

/// Waits until all are ended; whether they are.
fn wait(revoked: &[&Open]) -> bool {
    let until = Instant::now() + PATIENCE;
    while revoked.iter().any(|open| open.is_alive()) {
        if Instant::now() >= until {
            return false;
        }
        std::thread::sleep(PAUSE);
    }
    true
}
