//! `authorized-keys <user> [<type> <base64>]`: sshd's AuthorizedKeysCommand.
//!
//! Called by sshd as `%u %t %k` for every key a client offers; prints at most the one line of that key. With the user
//! alone it prints every line, for people and tests. It ignores its environment, decides first and prints once,
//! because sshd discards what a failing command printed. Problems go to syslog, and to stderr for people (sshd's is
//! `/dev/null`).

use crate::audit::Event;
use crate::audit::syslog::Syslog;
use crate::aws::Aws;
use crate::config::{self, Config};
use crate::exit::Exit;
use crate::lookup::{self, Answer, Question};
use crate::trusted::Trust;
use iam_ssh_core::PublicKey;
use std::ffi::OsString;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Syslog tag of the instance's programs.
pub const TAG: &str = "iam-ssh";

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    let started = Instant::now();
    let log = Log(Syslog::new(TAG));
    let args: Vec<OsString> = std::env::args_os().skip(1).collect();
    run(&args, started, &log).into()
}

/// What is asked on the command line.
enum Asked {
    Every,
    One(PublicKey),
    /// A certificate, or a key that no document can hold: nothing can match.
    Nothing,
}

struct Log(Syslog);

impl Log {
    fn tell(&self, event: &Event) {
        self.0.send(event);
        let _ = writeln!(io::stderr(), "{TAG}: {}", event.line(crate::audit::MAX_LINE));
    }
}

fn run(args: &[OsString], started: Instant, log: &Log) -> Exit {
    let texts: Option<Vec<&str>> = args.iter().map(|a| a.to_str()).collect();
    let (user, asked) = match texts.as_deref() {
        Some([user]) => (*user, Asked::Every),
        Some([user, key_type, base64]) => (*user, PublicKey::new(key_type, base64).map_or(Asked::Nothing, Asked::One)),
        // A login user whose name is not UTF-8 cannot be configured, so it is not ours.
        None => return Exit::Ok,
        Some(_) => {
            let _ = writeln!(io::stderr(), "usage: authorized-keys <user> [<key type> <base64 key>]");
            return Exit::Usage;
        }
    };
    let config = match config::load::load(Path::new(config::load::DIRECTORY), Trust::ROOT) {
        Ok(config) => config,
        Err(error) => {
            log.tell(&Event::error(format!("configuration: {error}")));
            return Exit::Failed;
        }
    };
    let offered = match &asked {
        Asked::Every => None,
        Asked::One(key) => Some(key),
        Asked::Nothing => return Exit::Ok,
    };
    let Some(login) = config.logins.get(user) else { return Exit::Ok };
    if config.bucket.is_none() || !config.network {
        return Exit::Ok;
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    let question = Question { user, login, offered, now: i64::try_from(now).unwrap_or(i64::MAX), trust: Trust::ROOT };
    match ask(&config, question, started) {
        Ok(answer) => print(&answer, question, started, log),
        Err(error) => {
            log.tell(&Event::error(format!("cannot start: {error}")));
            Exit::Failed
        }
    }
}

/// Runs the lookup on a runtime of one thread, within what is left of the deadline.
fn ask(config: &Config, question: Question<'_>, started: Instant) -> io::Result<Answer> {
    // The last resort, should something block that a future cannot be taken back from: sshd reads "no key".
    let grace = u32::try_from(config.deadline.as_secs()).unwrap_or(60).saturating_add(2);
    nix::unistd::alarm::set(grace);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let limit = config.deadline.saturating_sub(started.elapsed());
    let aws = Aws::new(config);
    let answer = runtime.block_on(lookup::lookup(config, question, limit, (&aws, &aws, &aws)));
    // Not waiting for a name resolution that still hangs in its thread.
    runtime.shutdown_background();
    Ok(answer)
}

fn print(answer: &Answer, question: Question<'_>, started: Instant, log: &Log) -> Exit {
    let text: String = answer.found.iter().map(|found| format!("{}\n", found.line)).collect();
    let mut stdout = io::stdout().lock();
    let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    // The answer is given. sshd would discard it if this process were killed now.
    nix::unistd::alarm::cancel();
    // First what must not be lost where the log is slow.
    if let (Some(_), Some(found)) = (question.offered, answer.found.first()) {
        log.0.send(&Event::Offered {
            login: question.user.to_owned(),
            owner: found.line.owner().clone(),
            principal: found.principal.clone(),
            fingerprint: found.line.key().fingerprint(),
            source: found.source,
            took: started.elapsed(),
            sshd_pid: nix::unistd::getppid().as_raw().unsigned_abs(),
        });
    }
    for event in &answer.events {
        log.tell(event);
    }
    match written {
        Ok(()) => Exit::Ok,
        // The reader has what it wanted, or is gone.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Ok,
        Err(error) => {
            log.tell(&Event::error(format!("cannot print the keys: {error}")));
            Exit::Failed
        }
    }
}
