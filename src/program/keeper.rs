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
use crate::sshd::COMMAND;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::signal::{SigSet, Signal};
use std::fs::File;
use std::io::{self, Seek as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Time for all that is to be written. Who waits for the lock waits for half a deadline only.
const TIME: Duration = Duration::from_secs(10);

/// Hands on what a lookup learnt, and the lock.
///
/// # Errors
/// Where no process could be started that takes it.
pub(super) fn hand_on(learnt: &Learnt, lock: Lock) -> io::Result<()> {
    // In memory, and not a pipe: whatever the keeper does, this process need not wait until it reads.
    let mut memory = File::from(memfd_create("learnt", MFdFlags::MFD_CLOEXEC)?);
    learnt.send(&mut memory)?;
    memory.rewind()?;
    // The smallest program that there is.
    let mut command = Command::new(COMMAND);
    // Neither sshd nor a terminal ends or stops it with the lookup.
    command.arg(KEEP).env_clear().process_group(0);
    command.stdin(memory).stdout(lock.into_file()).stderr(Stdio::null()).spawn().map(drop)
}

/// Lets go of the lock: what the others wait for is there.
fn let_go() {
    if let Ok(nothing) = File::options().write(true).open("/dev/null") {
        let _ = nix::unistd::dup2_stdout(nothing);
    }
}

/// Writes what comes on standard input.
pub(super) fn run(log: &Log) -> Exit {
    // Where sshd's own unit ends with a connection, systemd asks all of it to end. The alarm ends this one.
    let _ = SigSet::from_iter([Signal::SIGTERM, Signal::SIGHUP, Signal::SIGINT]).thread_block();
    call::limit(TIME);
    let until = Instant::now() + TIME;
    let events = match (Learnt::receive(io::stdin().lock()), call::open_cache()) {
        (Ok(learnt), Ok(store)) => learnt.save(&store, until, let_go),
        (_, Err(why)) => vec![Event::warning(format!("the cache is not used: {why}"))],
        (Err(why), _) => vec![Event::warning(format!("what was learnt cannot be kept: {why}"))],
    };
    for event in &events {
        log.tell(event);
    }
    if events.is_empty() { Exit::Ok } else { Exit::Failed }
}
