//! Why a call to AWS failed, in words for an administrator: a service that says no is told apart from one that was not reached.
//!
//! It must never show foreign text unescaped or unbounded, and it must never hold credentials or headers.

use std::error::Error as StdError;
use std::fmt;

use aws_sdk_s3::config::http::HttpResponse;
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
        /// The answer's HTTP status.
        status: u16,
    },
    /// No complete answer came in time.
    Timeout,
    /// The service was not reached, the answer broke off or could not be read, or there were no credentials.
    Failed(String),
    /// The service said yes, but not everything that it said arrived.
    CutOff(CutOff),
    /// The service answered something that its API does not allow; what, in our words.
    Nonsense(&'static str),
    /// The pages of an answer contradict each other: something changed between them. What, in our words, names escaped.
    Torn(String),
}

impl Cause {
    /// The cause that an SDK error is about.
    pub fn of<E>(error: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + StdError + 'static,
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
                    status: service.raw().status().as_u16(),
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

    /// Whether the service wants fewer calls: IAM says `Throttling` with status 400 (facts of the AWS Knowledge Center).
    #[must_use]
    pub fn is_throttle(&self) -> bool {
        let codes =
            ["Throttling", "ThrottlingException", "RequestLimitExceeded", "TooManyRequestsException", "SlowDown"];
        matches!(self, Self::Refused { code, status, .. } if *status == 429 || codes.contains(&code.as_str()))
    }

    /// Whether the same call may succeed a moment later, throttling apart.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Refused { status, .. } => *status >= 500 && !self.is_throttle(),
            Self::Timeout | Self::Failed(_) | Self::CutOff(_) => true,
            Self::Nonsense(_) | Self::Torn(_) => false,
        }
    }

    /// Whether a condition of a write was not met: somebody else wrote meanwhile (S3: 412, and 404 where nothing is there any more).
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        self.is("PreconditionFailed") || self.is("NoSuchKey")
    }

    /// What the administrator can do about it; empty where nothing general can be said.
    #[must_use]
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Refused { code, .. } => match code.as_str() {
                "AccessDenied" | "AccessDeniedException" | "AllAccessDisabled" => {
                    "allow it in the policy of the role that runs the sync (deploy/policies/sync.json is what it needs), \
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
                "PreconditionFailed" | "NoSuchKey" | "ConditionalRequestConflict" => {
                    "somebody else wrote there meanwhile; the next run looks again"
                }
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
            Self::Torn(_) => "the account changes at this moment; run the sync again",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused { code, message, .. } if message.is_empty() => write!(f, "{code}")?,
            Self::Refused { code, message, .. } => write!(f, "{code}: {message}")?,
            Self::Timeout => write!(f, "no answer in time")?,
            Self::Failed(why) => write!(f, "{why}")?,
            Self::CutOff(cut) => write!(f, "the answer is cut off: {cut}")?,
            Self::Nonsense(what) => write!(f, "the answer makes no sense: {what}")?,
            Self::Torn(what) => write!(f, "its pages contradict each other: {what}")?,
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
