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
    /// IAM reports no user that could be published, although the bucket holds documents of users; nothing was changed.
    NoUsers {
        /// How many documents of users the bucket holds.
        stored: usize,
    },
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

    /// The process's exit code: 2 for bad settings, 3 for a change that is refused, 1 for everything else (CONTRACT, "Sync").
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Settings(_) => ExitCode::from(2),
            Self::NoUsers { .. } => ExitCode::from(3),
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
            Self::NoUsers { stored } => write!(
                f,
                "nothing was changed, refused: IAM reports no user that could be published, but the bucket holds documents of {stored}; check the account that \
                 the credentials and AWS_ENDPOINT_URL belong to; if there are no users any more, delete the objects below users/ by hand"
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
        let Self { changed, written, still_granting, untried, gone, deleted, failures } = self;
        write!(
            f,
            "{written} of {changed} changed documents were written and {deleted} of {gone} of vanished principals deleted"
        )?;
        let refused =
            [(*still_granting, "still hold lines that should go"), (gone - deleted, "should not be there any more")];
        for (count, what) in refused.into_iter().filter(|(count, _)| *count > 0) {
            write!(f, "; {count} {what}")?;
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
            Self::Credentials(_) | Self::Start(_) | Self::NoUsers { .. } => None,
            Self::Settings(why) => Some(why),
            Self::Directory(why) => Some(why),
            Self::Compare(why) | Self::Heartbeat(why) => Some(why),
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
