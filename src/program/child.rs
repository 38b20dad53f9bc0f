//! Runs another program for its output, for a bounded time, and no longer than sshd waits.

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use std::io::{self, Read as _};
use std::os::fd::AsFd as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Most that is taken from a child, in bytes.
const MAX_OUTPUT: u64 = 16 * 1024 * 1024;
/// Between two looks whether a child has ended.
const PAUSE: Duration = Duration::from_millis(2);

/// What a child did.
pub(super) struct Ended {
    /// What it printed.
    pub(super) output: Vec<u8>,
    /// How it ended.
    pub(super) status: ExitStatus,
}

/// Runs a child to its end and takes what it prints. One that does not end in time, or before sshd gives up, is killed, with
/// all that it started.
pub(super) fn run(mut command: Command, time: Duration) -> Result<Ended, String> {
    let until = Instant::now() + time;
    // A child begins with none blocked.
    let ends = SigSet::from_iter([Signal::SIGTERM, Signal::SIGHUP, Signal::SIGINT, Signal::SIGALRM]);
    ends.thread_block().map_err(|error| error.to_string())?;
    let signals = SignalFd::with_flags(&ends, SfdFlags::SFD_CLOEXEC).map_err(|error| error.to_string())?;
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).process_group(0);
    let mut child = command.spawn().map_err(|error| error.to_string())?;
    let result = take(&mut child, until, &signals);
    if result.is_err() {
        if let Ok(group) = i32::try_from(child.id()) {
            let _ = nix::sys::signal::killpg(nix::unistd::Pid::from_raw(group), Signal::SIGKILL);
        }
        let _ = child.wait();
    }
    result
}

fn take(child: &mut Child, until: Instant, signals: &SignalFd) -> Result<Ended, String> {
    let late = || "it did not end in time".to_owned();
    let mut stdout = child.stdout.take().ok_or("it has no output")?;
    let mut output = Vec::new();
    loop {
        let left = until.checked_duration_since(Instant::now()).ok_or_else(late)?;
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        let mut waiting = [stdout.as_fd(), signals.as_fd()].map(|fd| PollFd::new(fd, PollFlags::POLLIN));
        match poll(&mut waiting, timeout) {
            Ok(0) => return Err(late()),
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(error.to_string()),
        }
        let [readable, ended] = waiting.map(|fd| fd.any().unwrap_or_default());
        if ended {
            return Err("sshd gave up waiting".to_owned());
        }
        if !readable {
            continue;
        }
        let mut part = [0; 16 * 1024];
        match stdout.read(&mut part) {
            Ok(0) => break,
            Ok(length) => output.extend_from_slice(part.get(..length).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.to_string()),
        }
        if u64::try_from(output.len()).is_ok_and(|length| length > MAX_OUTPUT) {
            return Err("it printed more than 16 MiB".to_owned());
        }
    }
    loop {
        if let Some(status) = child.try_wait().map_err(|error| error.to_string())? {
            return Ok(Ended { output, status });
        }
        if Instant::now() >= until {
            return Err(late());
        }
        let pause = PollTimeout::try_from(PAUSE).unwrap_or(PollTimeout::ZERO);
        if poll(&mut [PollFd::new(signals.as_fd(), PollFlags::POLLIN)], pause).is_ok_and(|ready| ready > 0) {
            return Err("sshd gave up waiting".to_owned());
        }
    }
}
