//! Sends lines to the local syslog socket without ever waiting long for it.
//!
//! The format is the `syslog` crate's RFC 3164 formatter; the socket is ours, because the crate's own blocks where
//! `/dev/log` is full, and a login must not wait for a log. A line that cannot be sent within [`PATIENCE`] is lost, unless its sender
//! is more patient.

use super::datagram::{self, PATIENCE};
use super::{Event, MAX_LINE, Severity};
use ::syslog::{Facility, Formatter3164, LogFormat as _};
use std::cell::Cell;
use std::path::{Path, PathBuf};

/// The socket that every syslog daemon and journald listen on.
pub const DEV_LOG: &str = "/dev/log";

/// A sender of log lines, facility authpriv.
#[derive(Debug)]
pub struct Syslog {
    formatter: Formatter3164,
    socket: PathBuf,
    /// What is left of [`PATIENCE`], in milliseconds: one login waits that long for all its lines together.
    patience: Cell<u16>,
}

impl Syslog {
    /// A sender that tags its lines with `tag` and this process's pid.
    #[must_use]
    pub fn new(tag: &str) -> Self {
        Self::to(tag, Path::new(DEV_LOG))
    }

    /// The same, to another socket.
    #[must_use]
    pub fn to(tag: &str, socket: &Path) -> Self {
        Self::patient(tag, socket, PATIENCE)
    }

    /// The same, waiting up to `patience` milliseconds for all its lines together.
    #[must_use]
    pub fn patient(tag: &str, socket: &Path, patience: u16) -> Self {
        let formatter = Formatter3164 {
            facility: Facility::LOG_AUTHPRIV,
            hostname: None,
            process: tag.to_owned(),
            pid: std::process::id(),
        };
        Self { formatter, socket: socket.to_owned(), patience: Cell::new(patience) }
    }

    /// Sends one event; whether it was taken. All sends together wait a tenth of a second at most; none fails a caller.
    pub fn send(&self, event: &Event) -> bool {
        datagram::send(&self.socket, &self.datagram(event), &self.patience)
    }

    fn datagram(&self, event: &Event) -> Vec<u8> {
        // Formatted empty first, so that the header counts against the limit whatever its length.
        let header = self.format(event.severity(), "").len();
        self.format(event.severity(), &event.line(MAX_LINE.saturating_sub(header)))
    }

    fn format(&self, severity: Severity, line: &str) -> Vec<u8> {
        let mut out = Vec::new();
        // The formatter's time stamp is UTC; journald and rsyslog replace it by their own.
        let written = match severity {
            Severity::Error => self.formatter.clone().err(&mut out, line),
            Severity::Warning => self.formatter.clone().warning(&mut out, line),
            Severity::Notice => self.formatter.clone().notice(&mut out, line),
            Severity::Info => self.formatter.clone().info(&mut out, line),
        };
        debug_assert!(written.is_ok(), "writing to memory does not fail");
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixDatagram;
    use std::time::{Duration, Instant};

    #[test]
    fn a_line_is_authpriv_tagged_and_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let log = UnixDatagram::bind(&path).unwrap();
        let event = Event::Owner { owner: "x".repeat(3000), address: "a".into(), port: "1".into() };
        assert!(Syslog::to("sshd", &path).send(&event));
        let mut buffer = [0; 4096];
        let len = log.recv(&mut buffer).unwrap();
        let line = std::str::from_utf8(&buffer[..len]).unwrap();
        assert!(line.starts_with("<85>"), "authpriv.notice is 10*8+5: {line}");
        assert!(line.contains(&format!(" sshd[{}]: Public key owner is xxx", std::process::id())), "{line}");
        assert!(len <= MAX_LINE, "{len}");
    }

    #[test]
    fn a_missing_socket_costs_nothing() {
        assert!(!Syslog::to("iam-ssh", Path::new("/nonexistent/log")).send(&Event::error("x")));
    }

    #[test]
    fn a_full_socket_costs_a_moment() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let _never_read = UnixDatagram::bind(&path).unwrap();
        let log = Syslog::to("iam-ssh", &path);
        let mut sent = 0;
        while log.send(&Event::error("x")) {
            sent += 1;
            assert!(sent < 100_000, "the socket never fills");
        }
        let started = Instant::now();
        for _ in 0..1000 {
            assert!(!log.send(&Event::error("x")));
        }
        assert!(started.elapsed() < Duration::from_secs(5), "all lines together: {:?}", started.elapsed());
    }
}
