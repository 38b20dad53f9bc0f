//! A process of its own that writes to the cache what a lookup learnt.
//!
//! sshd waits until the lookup has ended; writing to a disk can take any time. So the lookup answers, hands on what it
//! learnt, and ends. The keeper holds the lookup's lock meanwhile, as its standard output: whoever asks next waits for it.
//! It must do nothing but write to the cache, whoever calls it.

use super::authorized_keys::KEEP;
use super::call::{self, Log};
use crate::audit::Event;
use crate::cache::store::Lock;
use crate::copies::Learnt;
use crate::exit::Exit;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The keeper is the smallest program that there is.
const PROGRAM: &str = "/usr/libexec/iam-ssh/authorized-keys";
/// Time for all that is to be written. Who waits for the lock waits for half a deadline only.
const TIME: Duration = Duration::from_secs(10);

/// Hands on what a lookup learnt, and the lock.
///
/// # Errors
/// Where no process could be started that takes it.
pub(super) fn hand_on(learnt: &Learnt, lock: Option<Lock>) -> io::Result<()> {
    let lock = lock.map_or_else(Stdio::null, |lock| Stdio::from(lock.into_file()));
    let mut command = Command::new(PROGRAM);
    // Neither sshd nor a terminal ends or stops it with the lookup.
    command.arg(KEEP).env_clear().process_group(0).stdin(Stdio::piped()).stdout(lock).stderr(Stdio::null());
    let mut keeper = command.spawn()?;
    let mut pipe = keeper.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
    learnt.send(&mut pipe)
}

/// Writes what comes on standard input.
pub(super) fn run(log: &Log) -> Exit {
    call::limit(TIME);
    let until = Instant::now() + TIME;
    let events = match (call::open_cache(), Learnt::receive(io::stdin().lock())) {
        (Ok(store), Ok(learnt)) => learnt.save(&store, until),
        (Err(why), _) => vec![Event::warning(format!("the cache is not used: {why}"))],
        (_, Err(why)) => vec![Event::warning(format!("what was learnt cannot be kept: {why}"))],
    };
    for event in &events {
        log.tell(event);
    }
    if events.is_empty() { Exit::Ok } else { Exit::Failed }
}
