//! What the network program needs from outside, as small traits of ours: `aws` implements them, tests fake them.
//!
//! The errors keep apart what the failure table of the CONTRACT keeps apart: an answer that says no, and no answer.

use crate::audit::Event;
use std::fmt;
use std::future::Future;

/// The bucket with the principals' documents.
pub trait Objects {
    /// The object at `key`, at most [`iam_ssh_core::document::MAX_LEN`] bytes, unless it still is the one with `etag`.
    fn get(&self, key: &str, etag: Option<&str>) -> impl Future<Output = Result<Object, FetchError>>;
}

/// What the bucket answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Object {
    /// It is the one whose ETag was given.
    Unchanged,
    /// Another one.
    Content {
        /// All of it.
        bytes: Vec<u8>,
        /// For the next request.
        etag: Option<String>,
    },
}

/// SSM Parameter Store.
pub trait Parameters {
    /// The value of the parameter that `template` names, with `{role}` for the name of the instance's role; and its name.
    fn get(&self, template: &str) -> impl Future<Output = (String, Result<String, FetchError>)>;
}

/// The instance, as its metadata service describes it.
pub trait Instance {
    /// Value of the instance's tag `key`.
    fn tag(&self, key: &str) -> impl Future<Output = Result<String, FetchError>>;
}

/// Why something could not be fetched. The texts say what happened, where and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FetchError {
    /// It does not exist: an answer.
    Missing(String),
    /// Access is denied: an answer too, and an error to be mended.
    Denied(String),
    /// No answer that counts: a timeout, an outage, throttling, credentials that are missing or expired.
    Transient(String),
}

impl FetchError {
    /// The event for the log: what was being fetched, and why it is not there. Something that does not exist is an
    /// answer that grants nothing; it is logged as a warning because it was asked for by the configuration.
    #[must_use]
    pub fn event(&self, what: &str) -> Event {
        match self {
            Self::Missing(why) | Self::Transient(why) => Event::warning(format!("{what}: {why}")),
            Self::Denied(why) => Event::error(format!("{what}: {why}")),
        }
    }
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(why) | Self::Denied(why) | Self::Transient(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for FetchError {}
