//! One call to IAM: its turn, its errors, another try where that makes sense, and the way from page to page.
//!
//! It must never send a call before its turn, and never try again what IAM has answered.

use std::future::Future;
use std::sync::Arc;

use aws_sdk_iam::config::http::HttpResponse;
use aws_sdk_iam::error::{ProvideErrorMetadata, SdkError};

use super::super::{Calls, DirectoryError};
use crate::cause::Cause;
use crate::pace::{Pacer, backoff};

/// So many throttled answers to one call, with pauses up to 20 s, are a service that cannot be used now.
const MAX_THROTTLES: u32 = 20;

/// Names the call in its errors.
pub(super) struct Call<'a> {
    pub(super) operation: &'static str,
    pub(super) user: Option<&'a str>,
}

impl Call<'_> {
    pub(super) fn error(&self, cause: Cause) -> DirectoryError {
        DirectoryError { operation: self.operation, user: self.user.map(str::to_owned), cause }
    }

    pub(super) fn nonsense(&self, what: &'static str) -> DirectoryError {
        self.error(Cause::Nonsense(what))
    }

    /// The marker of the next page, `None` at the end.
    fn next(
        &self,
        truncated: bool,
        marker: Option<&str>,
        previous: Option<&str>,
    ) -> Result<Option<String>, DirectoryError> {
        match (truncated, marker) {
            (false, _) => Ok(None),
            (true, None | Some("")) => Err(self.nonsense("a truncated list has no marker")),
            (true, marker) if marker == previous => Err(self.nonsense("a list continues where it began")),
            (true, Some(marker)) => Ok(Some(marker.to_owned())),
        }
    }
}

/// `None` where IAM says that the user or the key does not exist.
pub(super) fn unless_gone<T>(result: Result<T, DirectoryError>) -> Result<Option<T>, DirectoryError> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.cause.is("NoSuchEntity") => Ok(None),
        Err(error) => Err(error),
    }
}

/// Sends calls, each in its turn.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    pacer: Arc<Pacer>,
    attempts: u32,
}

impl Caller {
    pub(super) fn new(pacer: Arc<Pacer>, attempts: u32) -> Self {
        Self { pacer, attempts }
    }

    /// The answer to a call, which `send` sends.
    ///
    /// # Errors
    /// What IAM said, or why it could not be heard, at last.
    pub(super) async fn send<T, E, F>(&self, call: &Call<'_>, send: impl Fn() -> F) -> Result<T, DirectoryError>
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    {
        let (mut throttles, mut failures) = (0, 0);
        loop {
            let turn = self.pacer.turn().await;
            let cause = match send().await {
                Ok(answer) => {
                    self.pacer.succeeded(turn);
                    return Ok(answer);
                }
                Err(error) => Cause::of(&error),
            };
            if cause.is_throttle() {
                self.pacer.throttled(turn);
                throttles += 1;
            } else {
                // Only an answer tells something about the pace.
                if matches!(cause, Cause::Refused { .. }) {
                    self.pacer.succeeded(turn);
                }
                failures += 1;
            }
            let again = match cause.is_throttle() {
                true => self.attempts > 1 && throttles < MAX_THROTTLES,
                false => cause.is_transient() && failures < self.attempts,
            };
            if !again {
                return Err(call.error(cause));
            }
            tokio::time::sleep(backoff(throttles + failures)).await;
        }
    }

    /// Follows a list to its end: `send` sends for the page at a marker, `take` takes it in and says whether there is more, and where.
    ///
    /// # Errors
    /// The first failure, also where a list goes on but not where, or where it began.
    pub(super) async fn pages<T, E, F>(
        &self,
        call: &Call<'_>,
        send: impl Fn(Option<String>) -> F,
        mut take: impl FnMut(T) -> Result<(bool, Option<String>), DirectoryError>,
    ) -> Result<(), DirectoryError>
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    {
        let mut marker: Option<String> = None;
        loop {
            let page = self.send(call, || send(marker.clone())).await?;
            let (truncated, next) = take(page)?;
            marker = call.next(truncated, next.as_deref(), marker.as_deref())?;
            if marker.is_none() {
                return Ok(());
            }
        }
    }

    pub(super) fn calls(&self) -> Calls {
        let totals = self.pacer.totals();
        Calls { sent: totals.calls, throttled: totals.throttled, rate: totals.rate }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::*;

    #[test]
    fn a_list_that_is_cut_off_is_an_error_and_not_an_end() {
        let call = Call { operation: "ListSSHPublicKeys", user: Some("ann") };
        assert_eq!(call.next(false, None, None).unwrap(), None);
        assert_eq!(call.next(true, Some("b"), Some("a")).unwrap().as_deref(), Some("b"));
        for (marker, previous) in [(None, None), (Some(""), None), (Some("a"), Some("a"))] {
            let error = call.next(true, marker, previous).unwrap_err();
            assert!(matches!(error.cause, Cause::Nonsense(_)), "{error}");
        }
    }
}
