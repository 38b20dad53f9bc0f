//! Why a call to AWS failed, in words for an administrator: a service that says no is told apart from one that was not reached.
//!
//! It must never show foreign text unescaped or unbounded, and it must never hold credentials or headers.

use std::error::Error as StdError;
use std::fmt;

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use iam_ssh_core::text::escape;

use crate::whole::{CutOff, cut_off};

/// Longest foreign text that is shown, in bytes.
const SHOWN: usize = 300;

/// Why a call failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// The service answered with an error: its code and its words, escaped.
    Refused {
        /// The service's error code, such as `AccessDenied`.
        code: String,
        /// The service's message.
        message: String,
    },
    /// No complete answer came in time.
    Timeout,
    /// The service was not reached, the answer broke off or could not be read, or there were no credentials.
    Failed(String),
    /// The service said yes, but not everything that it said arrived.
    CutOff(CutOff),
    /// The service answered something that its API does not allow; what, in our words.
    Nonsense(&'static str),
}

impl Cause {
    /// The cause that an SDK error is about.
    pub fn of<E, R>(error: &SdkError<E, R>) -> Self
    where
        E: ProvideErrorMetadata + StdError + 'static,
        R: fmt::Debug + 'static,
    {
        if let Some(cut) = cut_off(error) {
            return Self::CutOff(cut);
        }
        match error {
            SdkError::ServiceError(service) => {
                let meta = service.err().meta();
                Self::Refused {
                    code: shown(meta.code().unwrap_or("unknown")),
                    message: shown(meta.message().unwrap_or("")),
                }
            }
            SdkError::TimeoutError(_) => Self::Timeout,
            SdkError::DispatchFailure(failure) if failure.is_timeout() => Self::Timeout,
            SdkError::DispatchFailure(failure) => {
                Self::Failed(failure.as_connector_error().map_or_else(|| chain(error), |inner| chain(inner)))
            }
            other => Self::Failed(chain(other)),
        }
    }

    /// A failure while the body of an answer was read.
    pub fn broken(error: &(dyn StdError + 'static)) -> Self {
        Self::Failed(chain(error))
    }

    /// Whether the service said exactly this.
    #[must_use]
    pub fn is(&self, code: &str) -> bool {
        matches!(self, Self::Refused { code: found, .. } if found == code)
    }

    /// What the administrator can do about it; empty where nothing general can be said.
    #[must_use]
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Refused { code, .. } => match code.as_str() {
                "AccessDenied" | "AccessDeniedException" | "AllAccessDisabled" => {
                    "allow it in the policy of the role that runs the sync (iam-ssh's README lists what it needs), \
                     and check S3_BUCKET_OWNER"
                }
                "NoSuchBucket" => "create the bucket or correct S3_BUCKET",
                "PermanentRedirect" | "AuthorizationHeaderMalformed" => "set AWS_REGION to the bucket's region",
                "Throttling" | "ThrottlingException" | "RequestLimitExceeded" | "SlowDown" => {
                    "run the sync again later"
                }
                "ExpiredToken"
                | "ExpiredTokenException"
                | "InvalidClientTokenId"
                | "InvalidAccessKeyId"
                | "SignatureDoesNotMatch" => "renew the AWS credentials",
                "RequestTimeTooSkewed" => "set this machine's clock",
                _ => "",
            },
            Self::Timeout | Self::Failed(_) => {
                "check the network, AWS_ENDPOINT_URL, AWS_REGION and the AWS credentials of this process"
            }
            Self::CutOff(_) => {
                "run the sync again; if it stays so, check the network, proxies on the way to AWS, and AWS_ENDPOINT_URL"
            }
            Self::Nonsense(_) => "check AWS_ENDPOINT_URL: this is not what AWS answers",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused { code, message } if message.is_empty() => write!(f, "{code}")?,
            Self::Refused { code, message } => write!(f, "{code}: {message}")?,
            Self::Timeout => write!(f, "no answer in time")?,
            Self::Failed(why) => write!(f, "{why}")?,
            Self::CutOff(cut) => write!(f, "the answer is cut off: {cut}")?,
            Self::Nonsense(what) => write!(f, "the answer makes no sense: {what}")?,
        }
        match self.advice() {
            "" => Ok(()),
            advice => write!(f, " ({advice})"),
        }
    }
}

fn shown(text: &str) -> String {
    escape(text.as_bytes(), SHOWN)
}

/// The error and what it was caused by, outermost first, on one line.
pub(crate) fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        let words = source.to_string();
        if !text.ends_with(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        next = source.source();
    }
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    shown(&lines.join(" "))
}
