//! What `authorized-keys` and `fetch` have in common: how they are called, and how they answer.
//!
//! stdout belongs to sshd: it is decided first and printed once. Problems go to syslog, and to stderr for people (sshd's is
//! `/dev/null`).

use super::chain;
use crate::audit::syslog::Syslog;
use crate::audit::{Event, MAX_LINE, TAG};
use crate::cache::store::{self, Store};
use crate::clock::Moment;
use crate::config::{self, Config};
use crate::exit::Exit;
use crate::granted::{self, Grant};
use crate::lookup::Found;
use crate::sshd::COMMAND_USER;
use crate::sshd::chain::{NESTED, RECORD};
use crate::trusted::{Trust, TrustError};
use iam_ssh_core::PublicKey;
use std::ffi::OsString;
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// In the place of sshd's process id: nobody offered the key, its owner is asked for.
pub(super) const FOR_NOBODY: &str = "0";

/// What is asked on the command line: `<user> [<type> <base64>]`, sshd's `%u %t %k`. Where `chain` asks in sshd's stead,
/// sshd's process id follows; [`FOR_NOBODY`] where `session-audit` asks.
#[derive(Debug)]
pub(super) struct Call {
    /// The login user.
    pub(super) user: String,
    /// The offered key; `None` asks for every key.
    pub(super) offered: Option<PublicKey>,
    /// The process id of sshd's process for this connection; `None`: nobody offered a key, so nothing is granted or logged.
    pub(super) sshd_pid: Option<u32>,
}

/// How a lookup ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Something was printed.
    Printed(Exit),
    /// Nothing was printed: the other AuthorizedKeysCommand is asked, where there is one.
    Miss(Exit),
    /// Called wrongly.
    Usage,
}

impl End {
    /// Ends the program; after a miss of a call of sshd's by becoming the one that asks the other command.
    pub(super) fn finish(self, args: &[OsString], log: &Log) -> Exit {
        match self {
            Self::Printed(exit) => exit,
            Self::Usage => Exit::Usage,
            Self::Miss(exit) => {
                if args.len() == 3 && Path::new(RECORD).exists() && !is_nested() {
                    become_chain(args, log);
                }
                exit
            }
        }
    }
}

/// Whether it is the other AuthorizedKeysCommand that calls: it is not asked again.
pub(super) fn is_nested() -> bool {
    std::env::var_os(NESTED).is_some()
}

/// Becomes the program that asks the other AuthorizedKeysCommand. Comes back where that fails.
pub(super) fn become_chain(args: &[OsString], log: &Log) {
    let error = Command::new(chain::PROGRAM).args(args).exec();
    let text = format!("cannot run {}, so the other AuthorizedKeysCommand is not asked: {error}", chain::PROGRAM);
    log.tell(&Event::error(text));
}

/// Where problems go.
#[derive(Debug)]
pub(super) struct Log(Syslog);

impl Log {
    /// Syslog and stderr.
    #[must_use]
    pub(super) fn open() -> Self {
        Self(Syslog::new(TAG))
    }

    /// Logs an event that is no problem.
    pub(super) fn send(&self, event: &Event) {
        self.0.send(event);
    }

    /// Says what went wrong.
    pub(super) fn tell(&self, event: &Event) {
        self.0.send(event);
        let _ = writeln!(io::stderr(), "{TAG}: {}", event.line(MAX_LINE));
    }
}

/// The longest deadline that can be configured: until the configuration is read, that counts.
const LONGEST: Duration = Duration::from_secs(60);

impl Call {
    /// Sees to it that this process ends 2 seconds after its deadline. The last resort, should something block that cannot
    /// be taken back: sshd's own bound, LoginGraceTime, may be switched off. Where a person asks for every key, and may
    /// read them page by page, nothing is ended.
    fn limit(&self, deadline: Duration) {
        if self.offered.is_some() {
            limit(deadline);
        }
    }

    /// Reads the arguments of `program`.
    ///
    /// # Errors
    /// How to end, where there is nothing to be answered.
    fn parse(program: &str, args: &[OsString]) -> Result<Self, End> {
        let parent = nix::unistd::getppid().as_raw().unsigned_abs();
        let texts: Option<Vec<&str>> = args.iter().map(|a| a.to_str()).collect();
        // A login user whose name is not UTF-8 cannot be configured, so it is not ours.
        let (user, key, sshd_pid) = match texts.as_deref().ok_or(End::Miss(Exit::Ok))? {
            [user] => (user, None, None),
            [user, key_type, base64] => (user, Some((key_type, base64)), Some(parent)),
            [user, key_type, base64, pid] => {
                (user, Some((key_type, base64)), Some(pid.parse().unwrap_or(parent)).filter(|pid| *pid != 0))
            }
            _ => {
                let _ = writeln!(io::stderr(), "usage: {program} <user> [<key type> <base64 key>]");
                return Err(End::Usage);
            }
        };
        // A certificate, or a key that no document can hold: nothing can match.
        let key = key.map(|(key_type, base64)| PublicKey::new(key_type, base64).map_err(|_| End::Miss(Exit::Ok)));
        Ok(Self { user: (*user).to_owned(), offered: key.transpose()?, sshd_pid })
    }
}

/// What a lookup begins with.
pub(super) struct Begun {
    /// What is asked.
    pub(super) call: Call,
    /// The cache, or why there is none.
    pub(super) cache: Result<Store, TrustError>,
    /// The configuration.
    pub(super) config: Config,
    /// When it began.
    pub(super) now: Moment,
}

/// Begins a lookup: from here on its time is limited.
///
/// # Errors
/// How to end, where there is nothing to be answered.
pub(super) fn begin(program: &str, args: &[OsString], log: &Log) -> Result<Begun, End> {
    let call = Call::parse(program, args)?;
    call.limit(LONGEST);
    let cache = open_cache();
    if nix::unistd::geteuid().is_root() {
        log.tell(&Event::error(format!(
            "nothing is looked up as root: {} has to belong to the user {COMMAND_USER}",
            store::DIRECTORY
        )));
        return Err(End::Miss(Exit::Failed));
    }
    let config = configuration(log).map_err(End::Miss)?;
    call.limit(config.deadline);
    Ok(Begun { call, cache, config, now: Moment::now() })
}

/// Loads the configuration; says what is wrong with it.
///
/// # Errors
/// How to end.
pub(super) fn configuration(log: &Log) -> Result<Config, Exit> {
    config::load::load(Path::new(config::load::DIRECTORY), Trust::ROOT).map_err(|error| {
        log.tell(&Event::error(format!("configuration: {error}")));
        Exit::Failed
    })
}

/// The cache, as the user to whom it belongs: root gives up being root first, so that no file of root's is left there.
///
/// # Errors
/// [`TrustError`] where it cannot be used.
pub(super) fn open_cache() -> Result<Store, TrustError> {
    let directory = Path::new(store::DIRECTORY);
    if nix::unistd::geteuid().is_root()
        && let Ok(meta) = directory.symlink_metadata()
    {
        if meta.uid() == 0 {
            return Err(TrustError::NotOurs(directory.to_owned(), 0, 0));
        }
        // In this order: each needs the rights that the last one gives up.
        nix::unistd::setgroups(&[])
            .and_then(|()| nix::unistd::setgid(meta.gid().into()))
            .and_then(|()| nix::unistd::setuid(meta.uid().into()))
            .map_err(|error| TrustError::Io(directory.to_owned(), error.into()))?;
    }
    Store::open(directory, Trust::ROOT)
}

/// Ends this process 2 seconds after `deadline`, whatever it does.
pub(super) fn limit(deadline: Duration) {
    nix::unistd::alarm::set(u32::try_from(deadline.as_secs()).unwrap_or(60).saturating_add(2));
}

/// Prints lines for sshd. That the reader is gone is no failure: it has what it wanted.
///
/// # Errors
/// Where they cannot be printed; what to log.
pub(super) fn print(lines: &[u8]) -> Result<(), Event> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(lines).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Event::error(format!("cannot print the keys: {error}")))
        }
        _ => Ok(()),
    }
}

/// Prints the answer, which began at `started` and is given `now`, logs it, keeps what was learnt, and logs the rest: first what must not be lost.
pub(super) fn answer(
    found: &[Found],
    call: &Call,
    (started, now): (Instant, Moment),
    log: &Log,
    keep: impl FnOnce() -> Vec<Event>,
) -> End {
    let text: String = found.iter().map(|found| format!("{}\n", found.line)).collect();
    let granted = call.offered.as_ref().and(call.sshd_pid).zip(found.first());
    // Before sshd can let anybody in by it.
    let noted = granted.map_or(Ok(()), |(sshd_pid, found)| {
        granted::note(&Grant {
            sshd_pid,
            login: call.user.clone(),
            key: found.line.key().fingerprint(),
            owner: found.line.owner().as_str().to_owned(),
            principal: found.principal.to_string(),
            at: now,
        })
    });
    let printed = print(text.as_bytes());
    // The answer is given. sshd would discard it if this process were killed now.
    nix::unistd::alarm::cancel();
    let took = started.elapsed();
    if let Some((sshd_pid, found)) = granted {
        log.send(&Event::Offered {
            login: call.user.clone(),
            owner: found.line.owner().clone(),
            principal: found.principal.clone(),
            fingerprint: found.line.key().fingerprint(),
            source: found.source,
            took,
            sshd_pid,
        });
    }
    if let Err(why) = noted {
        log.tell(&Event::warning(format!("the session record will not name the principal of this login: {why}")));
    }
    for event in &keep() {
        log.tell(event);
    }
    match printed {
        Ok(()) if found.is_empty() => End::Miss(Exit::Ok),
        Ok(()) => End::Printed(Exit::Ok),
        Err(event) => {
            log.tell(&event);
            End::Printed(Exit::Failed)
        }
    }
}
