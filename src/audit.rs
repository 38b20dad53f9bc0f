//! What goes to the log: events to one escaped, bounded line each. Pure; [`syslog`] and [`journal`] send them.
//!
//! Foreign text (names from a bucket, the environment of a session, error texts of a service) is escaped before it
//! becomes part of a line, so that nobody writes a second line into the log. What the lookup logs is what was
//! *offered*: anybody can offer anybody's public key, so it must never say "logged in".

pub mod datagram;
pub mod journal;
pub mod syslog;

use iam_ssh_core::text::escape;
use iam_ssh_core::{Name, Principal};
use std::time::Duration;

/// Syslog tag of the instance's programs.
pub const TAG: &str = "iam-ssh";

/// Longest line handed to syslog, header included: RFC 3164 receivers keep 1,024 bytes.
pub const MAX_LINE: usize = 960;

/// How loud an event is; the syslog severities that iam-ssh uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// Somebody has to act.
    Error,
    /// It went on without something.
    Warning,
    /// A connection's owner.
    Notice,
    /// What was offered.
    Info,
}

/// Where a document came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Fetched from S3, or confirmed by it, for this lookup.
    S3,
    /// The cache, and fresh.
    Cache,
    /// The cache, because nobody else could be asked.
    Stale,
}

/// Something worth a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A key was offered that opens this login, if the client proves that it holds it.
    Offered {
        /// The login user.
        login: String,
        /// Whose key.
        owner: Name,
        /// Through which principal.
        principal: Principal,
        /// `SHA256:…`.
        fingerprint: String,
        /// Where the document came from.
        source: Source,
        /// Time the lookup took.
        took: Duration,
        /// Pid of sshd's process for this connection, as in sshd's own lines.
        sshd_pid: u32,
    },
    /// Another AuthorizedKeysCommand printed the offered key. Who owns it, it does not say.
    OfferedByOther {
        /// The login user.
        login: String,
        /// The other command's program.
        command: String,
        /// `SHA256:…`.
        fingerprint: String,
        /// Time the other command took.
        took: Duration,
        /// Pid of sshd's process for this connection, as in sshd's own lines.
        sshd_pid: u32,
    },
    /// A connection was opened or closed: a sealed line of the [`record`](crate::record).
    Session(String),
    /// The seed's line: who opened this connection. Logged as the user, so it can be forged.
    Owner {
        /// The owner, or `unknown`.
        owner: String,
        /// The client's address, or `unknown`.
        address: String,
        /// The client's port, or `unknown`.
        port: String,
    },
    /// Something went wrong and the rest went on, or nothing did.
    Problem {
        /// How bad it is.
        severity: Severity,
        /// What happened, where, and what to do.
        text: String,
    },
}

impl Source {
    fn as_str(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::Cache => "cache",
            Self::Stale => "stale",
        }
    }
}

impl Event {
    /// A problem of severity error.
    #[must_use]
    pub fn error(text: impl std::fmt::Display) -> Self {
        Self::Problem { severity: Severity::Error, text: text.to_string() }
    }

    /// A problem of severity warning.
    #[must_use]
    pub fn warning(text: impl std::fmt::Display) -> Self {
        Self::Problem { severity: Severity::Warning, text: text.to_string() }
    }

    /// How loud the event is.
    #[must_use]
    pub fn severity(&self) -> Severity {
        match self {
            Self::Offered { .. } | Self::OfferedByOther { .. } => Severity::Info,
            Self::Session(_) | Self::Owner { .. } => Severity::Notice,
            Self::Problem { severity, .. } => *severity,
        }
    }

    /// The event as one line of printable ASCII, at most `max` bytes.
    #[must_use]
    pub fn line(&self, max: usize) -> String {
        let line = match self {
            // Fit for a log already; to escape it once more would break its seal.
            Self::Session(sealed) if sealed.len() <= max && sealed.bytes().all(|b| (0x20..=0x7e).contains(&b)) => {
                return sealed.clone();
            }
            Self::Session(sealed) => sealed.clone(),
            Self::Offered { login, owner, principal, fingerprint, source, took, sshd_pid } => format!(
                "offered owner={owner} login={} principal={principal} key={fingerprint} source={} took={}ms sshd={sshd_pid}",
                word(login),
                source.as_str(),
                took.as_millis()
            ),
            Self::OfferedByOther { login, command, fingerprint, took, sshd_pid } => format!(
                "offered owner=unknown login={} command={} key={fingerprint} source=chain took={}ms sshd={sshd_pid}",
                word(login),
                word(command),
                took.as_millis()
            ),
            Self::Owner { owner, address, port } => {
                format!("Public key owner is {owner} for connection {address} port {port}")
            }
            Self::Problem { text, .. } => text.clone(),
        };
        escape(line.as_bytes(), max)
    }
}

/// A text as one word: what follows a space would read as a field of its own.
fn word(text: &str) -> String {
    text.replace(' ', "\\x20")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seed_s_words() {
        let event =
            Event::Owner { owner: "john@example.org".into(), address: "203.0.113.7".into(), port: "51234".into() };
        assert_eq!(event.line(900), "Public key owner is john@example.org for connection 203.0.113.7 port 51234");
    }

    #[test]
    fn no_name_makes_a_field_of_its_own() {
        let event = Event::OfferedByOther {
            login: "x owner=root".to_owned(),
            command: "/bin/a key=y".to_owned(),
            fingerprint: "SHA256:z".to_owned(),
            took: Duration::ZERO,
            sshd_pid: 1,
        };
        let line = event.line(900);
        assert_eq!(
            line.split(' ').filter(|field| field.starts_with("owner=") || field.starts_with("key=")).count(),
            2,
            "{line}"
        );
    }

    #[test]
    fn foreign_text_cannot_begin_a_second_line() {
        let event = Event::error("bucket said: x\nsshd[1]: Accepted publickey for root\x1b[2J");
        let line = event.line(900);
        assert!(!line.contains('\n') && !line.contains('\x1b'), "{line}");
        assert!(Event::error("x".repeat(5000)).line(900).len() <= 900);
    }
}
