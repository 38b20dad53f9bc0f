//! Who logged in, read out of logs that anybody can write to. Pure; the children `sources` and `unpack` do the I/O.
//!
//! A line counts by who sent it. In this machine's journal, journald itself notes the sender. A file proves nothing of that, neither a
//! text file nor an export of a journal; there, only the seal of root's counts ([`crate::record::seal`]), which needs root to be looked
//! at. What reads like a record and is none is counted, never shown as a login. Nothing that comes out of here has a byte that is not
//! printable ASCII.

pub mod export;
mod join;
mod lines;
pub mod show;
pub mod sources;
pub mod sshd;
pub mod stamp;
mod text;
mod unpack;

pub use join::History;

use crate::record::Record;
use std::time::Duration;

/// An entry of a log that may tell of a login.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// When it was logged, in milliseconds since 1970 UTC.
    pub time: i64,
    /// Which program it says that it is from.
    pub identifier: &'a [u8],
    /// Its text.
    pub message: &'a [u8],
    /// What is known of who sent it.
    pub sender: Sender<'a>,
    /// The sender's user id, if the journal says it.
    pub uid: Option<u32>,
    /// The sender's process id; by its own word where it is no journal's.
    pub pid: Option<u32>,
    /// The sender's command, if the journal says it.
    pub comm: &'a [u8],
}

/// What is known of who sent an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sender<'a> {
    /// journald says.
    Journal {
        /// Whether the program itself sent it, as a message.
        own: bool,
        /// In which boot of the machine.
        boot: &'a [u8],
    },
    /// journald says, by the word of who exported its journal.
    Exported {
        /// Whether the program itself sent it, as a message.
        own: bool,
    },
    /// The log may have been made so that it seems as if journald said it.
    Doubted,
    /// journald says, but the sender gave a field several values.
    Twisted,
    /// Nothing.
    Text,
}

/// What became of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It counts, or tells of no login.
    Fine,
    /// It says that it is from iam-ssh or sshd, and is not.
    Forged,
}

/// Who tells of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The record of `session-audit`.
    Record,
    /// sshd's own line, with the owner from the lookup's.
    Sshd,
}

/// Whether a session is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It is open now.
    Active,
    /// It was closed.
    Closed,
    /// Its process is gone, and nobody recorded its end.
    Lost,
    /// The log does not say, and it is not this machine's log of now.
    Unknown,
}

/// What is known of when a session was opened; the more, the greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Begin {
    /// Only that it was before another moment.
    Unknown,
    /// It is reckoned from its end and its duration, or was told by somebody else.
    Reckoned,
    /// It was logged.
    Logged,
}

/// One connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// What was recorded of it; the time is that of its opening or, where that is not known, of what was recorded. Of sshd's lines,
    /// the same is made.
    pub record: Record,
    /// What is known of when it was opened.
    pub begin: Begin,
    /// How long it was open, if that is known.
    pub duration: Option<Duration>,
    /// Whether it is open.
    pub state: State,
    /// Whether it was ended because its key, or its principal, was revoked.
    pub revoked: bool,
    /// Who tells of it.
    pub source: Source,
    /// Whether nobody but root, or the lookup's own user, can have written what it was made from.
    pub verified: bool,
    /// Whether it was opened since this machine was started, if the log says.
    pub this_boot: Option<bool>,
}

impl Session {
    /// One that was opened when `record` says, and of which nothing more is known yet.
    #[must_use]
    pub fn new(record: Record, source: Source, verified: bool) -> Self {
        Self {
            record,
            begin: Begin::Logged,
            duration: None,
            state: State::Unknown,
            revoked: false,
            source,
            verified,
            this_boot: None,
        }
    }
}

/// Tag of iam-ssh's programs.
const IAM_SSH: &[u8] = crate::audit::TAG.as_bytes();

/// Whether an identifier is that of a program whose lines tell of logins.
fn is_ours(identifier: &[u8]) -> bool {
    identifier == IAM_SSH || matches!(identifier, b"sshd" | b"sshd-session")
}

/// Whether a message may tell of a login.
fn is_telling(message: &[u8]) -> bool {
    ["session ", "offered ", "Accepted ", "pam_unix(sshd:session): session closed "]
        .iter()
        .any(|beginning| message.starts_with(beginning.as_bytes()))
}
