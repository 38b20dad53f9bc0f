//! `chain <user> <type> <base64>`: asks the AuthorizedKeysCommand that sshd would run without iam-ssh.
//!
//! The lookup becomes this program after a miss. Where the other command must run as its own user, sshd starts the
//! lookup as root, which becomes this program at once: it runs the lookup as our user, and the other command after a miss,
//! each as a child without any privilege of root's. What the other command prints is passed on as it is, if it ends well
//! and in time; sshd would do the same.

use super::call::{self, Log};
use super::child::{self, Ended};
use crate::audit::Event;
use crate::exit::Exit;
use crate::sshd::chain::{NESTED, Offer, Other, RECORD, Record};
use crate::sshd::{COMMAND, COMMAND_USER};
use crate::trusted::{self, Trust, TrustError};
use iam_ssh_core::offered;
use iam_ssh_core::text::escape;
use nix::sys::signal::Signal;
use nix::unistd::{Uid, User, execve};
use std::ffi::{CString, OsString};
use std::io::{self, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

/// Where this program is installed.
pub const PROGRAM: &str = "/usr/libexec/iam-ssh/chain";

/// The first argument of the process that gives up root's privileges and becomes the other command.
const RUN: &str = "/run";
/// Time for the other command, which EC2 Instance Connect's own limit is, too.
const TIME: Duration = Duration::from_secs(5);
/// Time for our own lookup; its own alarm is earlier, whatever its deadline.
const LOOKUP: Duration = Duration::from_secs(64);
/// Longest text of somebody else's in a log line, in bytes.
const SHOWN: usize = 300;

/// Reads the record; nothing where there is none.
///
/// # Errors
/// What is wrong with it.
fn record() -> Result<Option<Record>, String> {
    match trusted::read(Path::new(RECORD), Trust::ROOT) {
        Ok(text) => Record::parse(&text).map(Some).map_err(|why| format!("{RECORD}: {why}; run `iam-ssh wire`")),
        Err(TrustError::Missing(_)) => Ok(None),
        Err(error) => Err(format!("{error}; run `iam-ssh wire`")),
    }
}

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    let log = Log::open();
    let args: Vec<OsString> = std::env::args_os().skip(1).collect();
    let texts: Option<Vec<&str>> = args.iter().map(|arg| arg.to_str()).collect();
    let exit = match texts.as_deref() {
        Some([run, user, key_type, key]) if *run == RUN => become_other(user, key_type, key, &log),
        Some([user, key_type, key]) => ask(user, key_type, key, &log),
        _ => {
            let _ = writeln!(io::stderr(), "usage: chain <user> <key type> <base64 key>");
            Exit::Usage
        }
    };
    exit.into()
}

/// Our lookup first, where that was left to this program; then the other command.
fn ask(login: &str, key_type: &str, key: &str, log: &Log) -> Exit {
    let record = record().unwrap_or_else(|why| {
        log.tell(&Event::error(why));
        None
    });
    let mut exit = Exit::Ok;
    call::limit(LOOKUP);
    if nix::unistd::geteuid().is_root() {
        match lookup(login, key_type, key) {
            Ok(ended) if !ended.status.success() => exit = Exit::Failed,
            Ok(ended) if ended.output.is_empty() => {}
            Ok(ended) => return print(&ended.output, log),
            Err(why) => {
                log.tell(&Event::error(format!("cannot run {COMMAND}: {why}")));
                exit = Exit::Failed;
            }
        }
    }
    let other = record.as_ref().and_then(|record| record.for_login(login));
    let Some(other) = other.filter(|_| !call::is_nested()) else { return exit };
    call::limit(TIME);
    let started = Instant::now();
    let output = match run_other(login, key_type, key) {
        Ok(ended) if ended.status.success() => ended.output,
        Ok(ended) => {
            failed(log, other, &format!("{}, so what it printed does not count", ended.status));
            return Exit::Failed;
        }
        Err(why) => {
            failed(log, other, &why);
            return Exit::Failed;
        }
    };
    if output.is_empty() {
        return exit;
    }
    let exit = print(&without_owner(&output), log);
    if let Some(fingerprint) = holds(&output, key_type, key).then(|| offered::fingerprint(key_type, key)).flatten() {
        log.send(&Event::OfferedByOther {
            login: login.to_owned(),
            command: other.program(),
            fingerprint,
            took: started.elapsed(),
            sshd_pid: nix::unistd::getppid().as_raw().unsigned_abs(),
        });
    }
    exit
}

fn failed(log: &Log, other: &Other, why: &str) {
    let command = escape(other.command.as_bytes(), SHOWN);
    log.tell(&Event::warning(format!("the other AuthorizedKeysCommand, `{command}`, was asked: {why}")));
}

/// Whether lines of authorized_keys may let this key in: type and key stand where sshd looks for them. For a certificate
/// any line may, by its authority.
fn holds(output: &[u8], key_type: &str, key: &str) -> bool {
    key_type.contains("-cert-")
        || output.split(|byte| *byte == b'\n').any(|line| {
            let line = String::from_utf8_lossy(line);
            let words = unquoted_words(&line);
            [0, 1].iter().any(|at| words.get(*at) == Some(&key_type) && words.get(at + 1) == Some(&key))
        })
}

/// The words of a line, with quoted parts, which may hold spaces, as part of one.
fn unquoted_words(line: &str) -> Vec<&str> {
    let mut quoted = false;
    let mut escaped = false;
    let words = line.split(move |c: char| {
        quoted ^= c == '"' && !escaped;
        escaped = c == '\\';
        c.is_ascii_whitespace() && !quoted
    });
    words.filter(|word| !word.is_empty()).collect()
}

/// The lines without a claim to the variable that says whose key it is: our wiring lets keys set it, and these have no owner
/// that we know. They set another one instead, which sshd ignores.
fn without_owner(output: &[u8]) -> Vec<u8> {
    const CLAIM: &[u8] = b"\"SSH_KEY_OWNER=";
    const OTHER: &[u8] = b"\"SSH_KEY_OTHER=";
    let mut rest = output;
    let mut lines = Vec::with_capacity(output.len());
    while let Some(at) = rest.windows(CLAIM.len()).position(|part| part == CLAIM) {
        let (before, claim) = rest.split_at(at);
        lines.extend_from_slice(before);
        lines.extend_from_slice(OTHER);
        rest = claim.get(CLAIM.len()..).unwrap_or_default();
    }
    lines.extend_from_slice(rest);
    lines
}

/// Runs our lookup as our user. It is told which process is sshd's, and that it need not ask the other command.
fn lookup(login: &str, key_type: &str, key: &str) -> Result<Ended, String> {
    let user = account(COMMAND_USER)?;
    let mut command = Command::new(COMMAND);
    command.args([login, key_type, key, &nix::unistd::getppid().to_string()]);
    // With the user's id, std also gives up root's groups.
    command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
    child::run(command, LOOKUP)
}

/// Runs the other command, in a process that first becomes its user.
fn run_other(login: &str, key_type: &str, key: &str) -> Result<Ended, String> {
    let mut command = Command::new(PROGRAM);
    command.args([RUN, login, key_type, key]);
    child::run(command, TIME)
}

fn print(output: &[u8], log: &Log) -> Exit {
    match call::print(output) {
        Ok(()) => Exit::Ok,
        Err(event) => {
            log.tell(&event);
            Exit::Failed
        }
    }
}

/// Becomes the other command: its user, its environment as sshd makes it, its arguments. Comes back only where that fails.
fn become_other(login: &str, key_type: &str, key: &str, log: &Log) -> Exit {
    let Ok(Some(record)) = record() else { return Exit::Failed };
    let Some(other) = record.for_login(login) else { return Exit::Ok };
    // Not std's exec(): it would hand a file without a format that the kernel knows to a shell, which sshd does not.
    let error = match prepared(other, login, key_type, key) {
        Ok(Prepared { words, environment }) => match words.first().map(|program| execve(program, &words, &environment))
        {
            Some(Err(error)) => error.to_string(),
            _ => "it has no program".to_owned(),
        },
        Err(why) => why,
    };
    failed(log, other, &format!("it cannot be run: {error}; if it is gone, run `iam-ssh wire`"));
    Exit::Failed
}

/// What is executed, as execve(2) wants it.
struct Prepared {
    words: Vec<CString>,
    environment: Vec<CString>,
}

fn prepared(other: &Other, login: &str, key_type: &str, key: &str) -> Result<Prepared, String> {
    let fingerprint = offered::fingerprint(key_type, key).ok_or("what was offered is no key")?;
    let mut offer = Offer { login, key_type, key, fingerprint: &fingerprint, home: "", uid: 0 };
    let user = if nix::unistd::geteuid().is_root() && other.needs_its_user() {
        account(&other.account(&offer))?
    } else if nix::unistd::geteuid().is_root() {
        account(COMMAND_USER)?
    } else if other.needs_its_user() {
        return Err("sshd does not run iam-ssh as root, which this command needs".to_owned());
    } else {
        User::from_uid(Uid::current()).ok().flatten().ok_or("our own user is unknown")?
    };
    let login_user = if other.asks_for_account() { Some(account(login)?) } else { None };
    let home = login_user.as_ref().map(|user| user.dir.to_string_lossy().into_owned()).unwrap_or_default();
    offer.home = &home;
    offer.uid = login_user.map_or(0, |user| user.uid.as_raw());
    let words = other.arguments(&offer);
    trusted::check_program(Path::new(words.first().map_or("", String::as_str))).map_err(|error| error.to_string())?;
    if nix::unistd::geteuid().is_root() {
        give_up_root(&user)?;
    }
    // What this process is waiting for is gone when its parent is. Last, because a change of user resets it.
    let _ = nix::sys::prctl::set_pdeathsig(Signal::SIGKILL);
    nix::unistd::chdir("/").map_err(|error| error.to_string())?;
    // As sshd makes it: two it hands on, the others are the user's; and our mark.
    let handed_on = ["PATH", "LANG"].into_iter().filter_map(|name| Some((name, std::env::var_os(name)?)));
    let own = [("HOME", user.dir.into_os_string()), ("USER", user.name.clone().into()), ("LOGNAME", user.name.into())];
    let environment = handed_on.chain(own).chain([(NESTED, OsString::from("1"))]).map(|(name, value)| {
        let mut text = OsString::from(name);
        text.push("=");
        text.push(value);
        CString::new(text.into_encoded_bytes())
    });
    Ok(Prepared {
        words: words.into_iter().map(CString::new).collect::<Result<_, _>>().map_err(|error| error.to_string())?,
        environment: environment.collect::<Result<_, _>>().map_err(|error| error.to_string())?,
    })
}

/// In this order; each is an error, because none may be left out.
fn give_up_root(user: &User) -> Result<(), String> {
    let name = CString::new(user.name.as_str()).map_err(|error| error.to_string())?;
    let given_up = nix::unistd::initgroups(&name, user.gid)
        .and_then(|()| nix::unistd::setgid(user.gid))
        .and_then(|()| nix::unistd::setuid(user.uid));
    given_up.map_err(|error| format!("cannot become the user {}: {error}", user.name))
}

fn account(name: &str) -> Result<User, String> {
    let escaped = || escape(name.as_bytes(), 64);
    match User::from_name(name) {
        Ok(Some(user)) => Ok(user),
        Ok(None) => Err(format!("there is no user {}", escaped())),
        Err(error) => Err(format!("the user {} cannot be looked up: {error}", escaped())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_where_sshd_looks_a_key_counts() {
        let holds = |line: &str| holds(line.as_bytes(), "ssh-ed25519", "AAAA");
        for line in
            ["ssh-ed25519 AAAA", "x\n no-pty,command=\"a \\\" b\" ssh-ed25519 AAAA c\n", "restrict  ssh-ed25519\tAAAA"]
        {
            assert!(holds(line), "{line}");
        }
        for line in [
            "ssh-ed25519 BBBB AAAA",
            "ssh-rsa AAAA",
            "ssh-ed25519 BBBB ssh-ed25519 AAAA",
            "command=\"x ssh-ed25519 AAAA\" ssh-ed25519 BBBB",
        ] {
            assert!(!holds(line), "{line}");
        }
        assert!(super::holds(b"cert-authority ssh-rsa BBBB", "ssh-ed25519-cert-v01@openssh.com", "AAAA"));
    }

    #[test]
    fn nobody_else_says_whose_key_it_is() {
        let line =
            b"environment=\"SSH_KEY_OWNER=boss\",environment=\"SSH_KEY_OWNER=x\" ssh-ed25519 AAAA SSH_KEY_OWNER\n";
        let mended = String::from_utf8(without_owner(line)).unwrap();
        assert_eq!(mended.matches("SSH_KEY_OTHER=").count(), 2, "{mended}");
        assert!(!mended.contains("SSH_KEY_OWNER=") && mended.ends_with(" SSH_KEY_OWNER\n"), "{mended}");
        assert_eq!(without_owner(b"ssh-ed25519 AAAA\n"), b"ssh-ed25519 AAAA\n");
    }
}
