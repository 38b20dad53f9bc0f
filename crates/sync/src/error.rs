//! Everything that can end a run early, each with what happened, where, what state it left, and what to do.
//!
//! It must never leave open whether something was changed.

use std::fmt;

use iam_ssh_core::text::escape;

use crate::bucket::BucketError;
use crate::directory::DirectoryError;
use crate::lease::{self, LeaseError};
use crate::memory::{self, OtherAccount};
use crate::settings::SettingsError;

/// Why a run ended without the bucket being in sync.
#[derive(Debug)]
pub enum Error {
    /// The settings are not usable; nothing was asked of AWS.
    Settings(SettingsError),
    /// The directory could not be read completely; nothing was changed.
    Directory(DirectoryError),
    /// The bucket could not be compared; nothing was changed.
    Compare(BucketError),
    /// The time was up before everything was read; nothing was changed, and the next run goes on from there.
    Incomplete {
        /// How many users are read.
        done: usize,
        /// Of how many.
        of: usize,
    },
    /// Another run is at work, until then unless it goes on; nothing was changed.
    Busy(String),
    /// Another run took over while this one worked, because this one seemed dead.
    Overtaken,
    /// The lease could not be taken or renewed.
    Lease(BucketError),
    /// The sync's memory could not be read or written; no document was changed.
    Memory(BucketError),
    /// The documents are in sync, but the sync's memory says that there is something left to do.
    Forgotten(BucketError),
    /// The bucket says what is in one account, and the credentials are another's.
    OtherAccount(OtherAccount),
    /// Some of the changes could not be made.
    Unfinished(Box<Unfinished>),
    /// The bucket is in sync, but the heartbeat could not be written.
    Heartbeat(BucketError),
    /// There are no AWS credentials, or those there are cannot be used; nothing was asked of IAM or S3.
    Credentials(String),
    /// The process could not begin to work: what the system or Lambda said. Nothing was changed.
    Start(String),
}

/// How far a run came that could not make all of its changes. Each document is either its old or its new self, never a part.
#[derive(Debug)]
pub struct Unfinished {
    /// How many documents were to be written.
    pub changed: usize,
    /// How many were.
    pub written: usize,
    /// How many were not although they hold lines that should go.
    pub still_granting: usize,
    /// How many were not even tried, after too many failures; they would only have gained lines.
    pub untried: usize,
    /// How many documents of vanished principals were to be deleted.
    pub gone: usize,
    /// How many were.
    pub deleted: usize,
    /// How many stored documents could not be read, and were left as they are.
    pub unread: usize,
    /// Every failure.
    pub failures: Vec<BucketError>,
}

impl Error {
    /// What failed in detail, where [`fmt::Display`] tells only the first of several.
    #[must_use]
    pub fn failures(&self) -> &[BucketError] {
        match self {
            Self::Unfinished(unfinished) if unfinished.failures.len() > 1 => &unfinished.failures,
            _ => &[],
        }
    }

    /// The process's exit code: 2 for bad settings, 1 for everything else (CONTRACT, "Sync").
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Settings(_) => 2,
            _ => 1,
        }
    }

    /// Whether the run only ended early, as it is meant to: there is too much to read for one, or another one is at work.
    #[must_use]
    pub fn is_incomplete(&self) -> bool {
        matches!(self, Self::Incomplete { .. } | Self::Busy(_))
    }

    /// Whether all was carried out but what nobody could read.
    #[must_use]
    pub fn is_unread_alone(&self) -> bool {
        matches!(self, Self::Unfinished(left) if left.failures.len() == left.unread)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Settings(why) => write!(f, "bad settings: {why}"),
            Self::Directory(why) => write!(f, "nothing was changed: {why}"),
            Self::Compare(why) => write!(f, "nothing was changed: {why}"),
            Self::Incomplete { done, of } => write!(
                f,
                "nothing was changed yet: the time was up after the keys of {done} of {of} users were read; what was read is kept, \
                 and the next run goes on from there"
            ),
            Self::Busy(until) => write!(
                f,
                "nothing was changed: another run is at work ({} says until {until}, if it does not go on); wait for it, \
                 or raise LEASE_WAIT",
                lease::KEY
            ),
            Self::Overtaken => write!(
                f,
                "another run took over, because this one did not renew {} in time; some documents may be changed, \
                 and the other run sees to all of them",
                lease::KEY
            ),
            Self::Lease(why) => write!(
                f,
                "{} could not be held, without which no document is written; some may be changed if this happened late, \
                 and the next run carries on: {why}",
                lease::KEY
            ),
            Self::Memory(why) => write!(f, "no document was changed: {why}"),
            Self::Forgotten(why) => {
                write!(f, "the documents are in sync, but that was not noted, so that the next run looks again: {why}")
            }
            Self::OtherAccount(OtherAccount(known, found)) => write!(
                f,
                "nothing was changed: what is stored there, or set in ACCOUNTS, is about account {}, but IAM answers for {}; check the credentials and \
                 AWS_ENDPOINT_URL, or use another S3_PREFIX; if the account was really replaced, delete {} below the prefix",
                escape(known.as_bytes(), 40),
                escape(found.as_bytes(), 40),
                memory::KEY
            ),
            Self::Unfinished(unfinished) => write!(f, "{unfinished}"),
            Self::Credentials(why) => write!(
                f,
                "nothing was changed: no AWS credentials (set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run it \
                 with a role): {why}"
            ),
            Self::Start(why) => write!(f, "nothing was changed, the program could not start: {why}"),
            Self::Heartbeat(why) => write!(f, "the documents are in sync, but the heartbeat was not written: {why}"),
        }
    }
}

impl fmt::Display for Unfinished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { changed, written, still_granting, untried, gone, deleted, unread, failures } = self;
        write!(
            f,
            "{written} of {changed} changed documents were written and {deleted} of {gone} of vanished principals deleted"
        )?;
        let refused =
            [(*still_granting, "still hold lines that should go"), (gone - deleted, "should not be there any more")];
        for (count, what) in refused.into_iter().filter(|(count, _)| *count > 0) {
            write!(f, "; {count} {what}")?;
        }
        if *unread > 0 {
            write!(f, "; {unread} could not be read, may hold anything, and were left alone")?;
        }
        if *untried > 0 {
            write!(f, "; {untried} that only gain lines were not tried after so many failures")?;
        }
        write!(f, "; no heartbeat; the next run carries on")?;
        failures.first().map_or(Ok(()), |first| write!(f, ": {first}"))
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Credentials(_)
            | Self::Start(_)
            | Self::Incomplete { .. }
            | Self::Busy(_)
            | Self::Overtaken
            | Self::OtherAccount(_) => None,
            Self::Settings(why) => Some(why),
            Self::Directory(why) => Some(why),
            Self::Compare(why) | Self::Heartbeat(why) | Self::Lease(why) | Self::Memory(why) | Self::Forgotten(why) => {
                Some(why)
            }
            Self::Unfinished(unfinished) => unfinished.failures.first().map(|why| why as _),
        }
    }
}

impl From<SettingsError> for Error {
    fn from(why: SettingsError) -> Self {
        Self::Settings(why)
    }
}

impl From<DirectoryError> for Error {
    fn from(why: DirectoryError) -> Self {
        Self::Directory(why)
    }
}

impl From<LeaseError> for Error {
    fn from(why: LeaseError) -> Self {
        match why {
            LeaseError::Busy(until) => Self::Busy(until),
            LeaseError::Lost => Self::Overtaken,
            LeaseError::Bucket(why) => Self::Lease(why),
        }
    }
}
