//! Everything that can end a run early, each with what happened, where, what state it left, and what to do.
//!
//! It must never leave open whether something was changed.

use std::fmt;
use std::process::ExitCode;

use crate::bucket::BucketError;
use crate::directory::DirectoryError;
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
    /// Documents could not be written. Each document is either its old or its new self; nothing was deleted.
    Put {
        /// The first failure.
        first: Box<BucketError>,
        /// How many documents were not written.
        failed: usize,
        /// How many were.
        done: usize,
    },
    /// Every changed document was written, but a document of a vanished principal could not be deleted.
    Delete {
        /// The failure.
        why: Box<BucketError>,
        /// How many documents were written.
        put: usize,
    },
    /// The bucket is in sync, but the heartbeat could not be written.
    Heartbeat(BucketError),
    /// There are no AWS credentials, or those there are cannot be used; nothing was asked of IAM or S3.
    Credentials(String),
    /// The process could not begin to work: what the system or Lambda said. Nothing was changed.
    Start(String),
}

impl Error {
    /// The process's exit code: 2 for bad settings, 1 for everything else (CONTRACT, "Sync").
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Settings(_) => ExitCode::from(2),
            _ => ExitCode::from(1),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Settings(why) => write!(f, "bad settings: {why}"),
            Self::Directory(why) => write!(f, "nothing was changed: {why}"),
            Self::Compare(why) => write!(f, "nothing was changed: {why}"),
            Self::Put { first, failed, done } => write!(
                f,
                "{failed} of {} documents could not be written, {done} were, nothing was deleted; the next run carries on: {first}",
                failed + done
            ),
            Self::Delete { why, put } => write!(
                f,
                "{put} documents were written, but not every vanished principal's document was deleted; the next run carries on: {why}"
            ),
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

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Credentials(_) | Self::Start(_) => None,
            Self::Settings(why) => Some(why),
            Self::Directory(why) => Some(why),
            Self::Compare(why) | Self::Heartbeat(why) => Some(why),
            Self::Put { first: why, .. } | Self::Delete { why, .. } => Some(why.as_ref()),
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
