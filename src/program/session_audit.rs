//! `session-audit`: run by pam_exec(8) as root when sshd has authenticated a connection, and when the connection ends.
//!
//! Writes the record of the connection: whose key was proven, from where, and by what it was let in. The proof is sshd's; the owner
//! comes from what the lookup noted for this very process of sshd's, or from our own cache, and never from the session. Users of the
//! machine can put variables into this program's environment (`~/.pam_environment`): it is a static program, which loads nothing that
//! they name, it believes what sshd said only before they could, and of pam_exec's own variables the last.
//!
//! It prints nothing, and waits for less than a second. It fails where no log took the line; whether sshd then refuses the connection is
//! written in the PAM configuration.

mod owner;

use super::call;
use crate::audit::journal;
use crate::audit::syslog::{DEV_LOG, Syslog};
use crate::audit::{Event, TAG};
use crate::clock::Moment;
use crate::connection::{Call, Connection, Variables};
use crate::exit::Exit;
use crate::process;
use crate::record::seal::unsealed;
use crate::record::{Certificate, Record, What, secret};
use crate::sessions::{Open, Sessions};
use crate::trusted::Trust;
use iam_ssh_core::offered::Offered;
use iam_ssh_core::text::escape;
use owner::{Owner, Proven};
use std::cell::Cell;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

/// Seconds after which the program is ended whatever it does: nothing else would, not even sshd's LoginGraceTime. What it waits for is
/// bounded by less than one altogether; the other is for a machine that is so busy that it does not get to run.
const LIMIT: u32 = 2;
/// Longest wait for room in a log's socket, in milliseconds. Longer than for a lookup's line: this one is the record.
const PATIENCE: u16 = 300;

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    if !nix::unistd::geteuid().is_root() {
        let _ = writeln!(io::stderr(), "session-audit: only pam_exec(8) of sshd's PAM service runs this, as root");
        return Exit::Usage.into();
    }
    // Installed setgid, which has the C library ignore whatever variables could change it; of no other use.
    let _ = nix::unistd::setegid(nix::unistd::getgid());
    // Before the alarm: until then, whoever may signal the session could stop this until it rings.
    leave_unit();
    nix::unistd::alarm::set(LIMIT);
    let variables = Variables::new(std::env::vars_os());
    // Another service that has this hook by mistake, and whose environment says who knows what.
    let sshd_pid = nix::unistd::getppid().as_raw().unsigned_abs();
    if process::is_sshd(sshd_pid) == Some(false) {
        return Exit::Ok.into();
    }
    let hook = Hook { sshd_pid, since: process::running_since(sshd_pid).unwrap_or_default(), now: Moment::now() };
    let recorded = match variables.call() {
        Some(Call::Open) => hook.open(&variables.connection()),
        Some(Call::Close) => hook.close(),
        None => true,
    };
    if recorded { Exit::Ok } else { Exit::Failed }.into()
}

/// One run, for one connection.
struct Hook {
    /// sshd's process for the connection, and since when it runs.
    sshd_pid: u32,
    since: i64,
    now: Moment,
}

impl Hook {
    /// Records that the connection was opened; whether a log took it.
    fn open(&self, connection: &Connection) -> bool {
        let log = Log::new();
        let sessions = Sessions::make();
        if let Ok(sessions) = &sessions
            && sessions.of(self.sshd_pid, self.since).is_some()
        {
            // The hook stands twice in the PAM configuration, or something that is run later claims to be an opening.
            return true;
        }
        let proven = Proven::of(connection, self.sshd_pid, self.since);
        let open = Open {
            record: self.record(connection, &proven),
            key: proven.key.map(|key| format!("{} {}", key.key_type, key.base64())),
            opened: self.now.clone(),
            sshd_since: self.since,
        };
        let noted = sessions.map_err(|error| error.to_string()).and_then(|sessions| {
            // One that had this process id before, and whose end nobody saw.
            if let Some(before) = sessions.get(self.sshd_pid) {
                log.close(&sessions, &before, None, &self.now);
            }
            sessions.put(&open).map_err(|error| error.to_string())?;
            Ok(sessions)
        });
        // What could not be noted is logged all the same; its end will not be.
        let recorded = log.send(&open.record);
        // It is decided: what follows must not make a recorded connection look like one that is not.
        nix::unistd::alarm::cancel();
        match noted {
            Ok(sessions) => log.lost(&sessions, &self.now),
            Err(why) => log.tell(&format!("the end of this connection will not be recorded: {why}")),
        }
        if let (Some(key), Some(Owner { name, .. })) = (proven.key, &proven.owner)
            && let Err(error) = crate::owners::note(key, name)
        {
            log.tell(&format!("{}: {error}", crate::owners::DIRECTORY));
        }
        recorded
    }

    fn record(&self, connection: &Connection, proven: &Proven<'_>) -> Record {
        let certificate = proven.key.and_then(|key| key.certificate.as_ref());
        Record {
            what: What::Opened,
            owner: proven.owner.as_ref().map(|owner| owner.name.clone()),
            login: connection.login.clone(),
            key: proven.key.map(Offered::fingerprint),
            key_type: proven.key.map(|key| key.key_type.clone()),
            address: connection.address.clone(),
            port: connection.port,
            principal: proven.owner.as_ref().and_then(|owner| owner.principal.clone()),
            method: connection.method.clone(),
            certificate: certificate.map(|certificate| Certificate {
                id: escape(&certificate.key_id, usize::MAX),
                authority: certificate.authority.clone(),
            }),
            audit_session: process::audit_session(),
            sshd_pid: self.sshd_pid,
            id: format!("{:x}-{}", self.now.wall, self.sshd_pid),
            at: self.now.wall,
        }
    }

    /// Records that the connection ended; whether a log took it.
    fn close(&self) -> bool {
        let Ok(sessions) = Sessions::open() else { return true };
        // One whose beginning was not recorded, or whose end was already: the environment of today is no evidence of either.
        let Some(open) = sessions.of(self.sshd_pid, self.since) else { return true };
        let duration = self.now.since(&open.opened).map(|age| age.elapsed);
        Log::new().close(&sessions, &open, duration, &self.now)
    }
}

/// Records that a connection was ended because its key, or its principal, was revoked.
pub(super) fn record_revoked(record: Record) {
    Log::new().send(&Record { what: What::Revoked, at: Moment::now().wall, ..record });
}

/// Records the end of connections that ended without sshd's seeing to it.
pub(super) fn record_lost(sessions: &Sessions) {
    Log::new().lost(sessions, &Moment::now());
}

/// Where records go.
struct Log {
    patience: Cell<u16>,
}

impl Log {
    fn new() -> Self {
        Self { patience: Cell::new(PATIENCE) }
    }

    /// Sends a record, sealed, to journald with its fields and to syslog as text; once where the two are one. Whether one took it.
    fn send(&self, record: &Record) -> bool {
        let line = match secret::make(Path::new(secret::DIRECTORY), Trust::ROOT) {
            Ok(secret) => secret.seal(&record.line()),
            Err(_) => unsealed(&record.line()),
        };
        let by_journal = journal::send(record, &line, &self.patience);
        if by_journal && journal::has_dev_log() {
            return true;
        }
        let syslog = Syslog::patient(TAG, Path::new(DEV_LOG), self.patience.get());
        syslog.send(&Event::Session(line)) || by_journal
    }

    /// Records the end of connections whose process was killed, so that every line that opens one has one that closes it.
    fn lost(&self, sessions: &Sessions, now: &Moment) {
        for open in sessions.lost() {
            self.close(sessions, &open, None, now);
        }
    }

    /// Records the end of a connection that is noted, once; whether a log took it. If none did, it stays noted, and the next opening tries
    /// again.
    fn close(&self, sessions: &Sessions, open: &Open, duration: Option<Duration>, now: &Moment) -> bool {
        if !sessions.take(open.record.sshd_pid) {
            return true;
        }
        let closed = Record { what: What::Closed { duration }, at: now.wall, ..open.record.clone() };
        let recorded = self.send(&closed);
        if !recorded {
            let _ = sessions.put(open);
        }
        recorded
    }

    /// Says what went wrong.
    fn tell(&self, text: &str) {
        Syslog::new(TAG).send(&Event::warning(text));
    }
}

/// Leaves the control group that this runs in for the service manager's own. Others can do two things to a unit of sshd's or of a session:
/// fill its share of the journal, of which journald takes so much and no more; and, if the session is of their own login user, stop
/// all that is in it. Where the other group is not to be had, it stays.
fn leave_unit() {
    for tree in ["/sys/fs/cgroup", "/sys/fs/cgroup/systemd"] {
        let group = Path::new(tree).join("init.scope/cgroup.procs");
        let moved = OpenOptions::new()
            .write(true)
            .open(group)
            .and_then(|mut group| group.write_all(std::process::id().to_string().as_bytes()));
        if moved.is_ok() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_says_what_was_proven_and_no_more() {
        let connection = Connection {
            login: "ec2-user".to_owned(),
            address: Some("203.0.113.7".to_owned()),
            port: Some(1),
            method: "password".to_owned(),
            keys: Vec::new(),
        };
        let hook = Hook { sshd_pid: 7, since: 0, now: Moment { wall: 255, boot: None } };
        let record = hook.record(&connection, &Proven { key: None, owner: None });
        assert_eq!((record.owner, record.key, record.principal), (None, None, None));
        assert_eq!((record.method.as_str(), record.id.as_str()), ("password", "ff-7"));
    }
}
