//! sshd's X11 step, redone: where `/etc/ssh/sshrc` exists, sshd hands the cookie to it and does not call xauth.
//!
//! sshd writes one line, `<protocol> <cookie>`, to sshrc's stdin and closes it; what is to be done with it stands in
//! sshd(8), SSHRC, and in sshd's own `do_rc_files`: remove the display's old entry, add the new one. Bounded in time:
//! xauth waits up to 20 s for a lock that somebody else holds, and a login must not.

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io::{self, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Where distributions install xauth (sshd's compiled-in `_PATH_XAUTH` is one of these).
const XAUTH: [&str; 3] = ["/usr/bin/xauth", "/usr/X11R6/bin/xauth", "/usr/bin/X11/xauth"];

/// Longest wait for sshd's line and for xauth, each.
const PATIENCE: Duration = Duration::from_secs(3);

/// An X11 cookie, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cookie {
    display: String,
    protocol: String,
    hex: String,
}

impl Cookie {
    /// From `DISPLAY` and the line that sshd wrote; `None` where X11 is not forwarded or either is not of its form.
    #[must_use]
    pub fn parse(display: &str, line: &str) -> Option<Self> {
        let mut words = line.split_ascii_whitespace();
        let (protocol, hex) = (words.next()?, words.next()?);
        let word = |text: &str, more: &[u8]| {
            !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || more.contains(&b))
        };
        if !word(display, b".:-_[]/") || !word(protocol, b"-") || !word(hex, b"") {
            return None;
        }
        // With X11UseLocalhost, xauth keeps the entry under the local socket's name.
        let display = match display.strip_prefix("localhost:") {
            Some(number) => format!("unix:{number}"),
            None => display.to_owned(),
        };
        Some(Self { display, protocol: protocol.to_owned(), hex: hex.to_owned() })
    }

    /// What xauth is to do, as its standard input.
    #[must_use]
    pub fn commands(&self) -> String {
        let Self { display, protocol, hex } = self;
        format!("remove {display}\nadd {display} {protocol} {hex}\n")
    }

    /// Hands the cookie to xauth.
    ///
    /// # Errors
    /// Where there is no xauth, it fails, or it does not finish in time (then it is killed).
    pub fn store(&self) -> io::Result<()> {
        let program = XAUTH.into_iter().find(|path| Path::new(path).exists());
        let program = program.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "xauth is not installed"))?;
        let mut child = Command::new(program)
            .args(["-q", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let written = match child.stdin.take() {
            Some(mut stdin) => stdin.write_all(self.commands().as_bytes()),
            None => Ok(()),
        };
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = child.try_wait()? {
                return if status.success() { written } else { Err(io::Error::other(format!("xauth: {status}"))) };
            }
            if Instant::now() >= until {
                child.kill()?;
                child.wait()?;
                return Err(io::Error::new(io::ErrorKind::TimedOut, "xauth did not finish"));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

/// Reads the line that sshd wrote to standard input, waiting a bounded time for it.
#[must_use]
pub fn read_line(mut stdin: io::Stdin) -> Option<String> {
    let patience = u16::try_from(PATIENCE.as_millis()).unwrap_or(u16::MAX);
    let mut ready = [PollFd::new(stdin.as_fd(), PollFlags::POLLIN)];
    if !poll(&mut ready, PollTimeout::from(patience)).is_ok_and(|n| n > 0) {
        return None;
    }
    // One read: sshd writes the line at once, and it is far shorter than a pipe's atomic size.
    let mut buffer = [0; 1024];
    let len = stdin.read(&mut buffer).ok()?;
    let line = std::str::from_utf8(buffer.get(..len)?).ok()?;
    Some(line.lines().next()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sshd_s_own_commands() {
        let local = Cookie::parse("localhost:10.0", "MIT-MAGIC-COOKIE-1 00ff").unwrap();
        assert_eq!(local.commands(), "remove unix:10.0\nadd unix:10.0 MIT-MAGIC-COOKIE-1 00ff\n");
        let remote = Cookie::parse("host:11.0", "MIT-MAGIC-COOKIE-1 00ff\n").unwrap();
        assert_eq!(remote.commands(), "remove host:11.0\nadd host:11.0 MIT-MAGIC-COOKIE-1 00ff\n");
    }

    #[test]
    fn nothing_else_reaches_xauth() {
        for (display, line) in [
            ("", "MIT-MAGIC-COOKIE-1 00ff"),
            ("localhost:10.0", ""),
            ("localhost:10.0", "MIT-MAGIC-COOKIE-1"),
            ("localhost:10.0\nsource /etc/shadow", "MIT-MAGIC-COOKIE-1 00ff"),
            ("localhost:10.0", "x;y 00"),
        ] {
            assert_eq!(Cookie::parse(display, line), None, "{display:?} {line:?}");
        }
    }
}
