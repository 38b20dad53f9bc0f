//! The lease, `iam-ssh/lease.json`: only one run at a time works below a prefix.
//!
//! It is S3 that decides: the object is made only where there is none, and replaced only where it is what was read (`If-None-Match`,
//! `If-Match`). Clocks only say how long one waits for a holder who may be dead: a holder whose lease was taken over by mistake finds that
//! out before it writes a document. It must never be held by a run that has ended, if that can be helped, and never longer than it says.

use std::future::{Future, poll_fn};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use futures_util::future::{Either, select};
use iam_ssh_core::text::escape;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::time::Instant;

use crate::bucket::{Bucket, BucketError, Expected};

/// Its key below the prefix.
pub const KEY: &str = "iam-ssh/lease.json";
/// How often somebody who waits looks again.
const LOOKS: Duration = Duration::from_secs(1);
/// How long behind a lease's end.
const SOON: Duration = Duration::from_millis(10);
/// No lease is longer; what says so was written by a clock that is wrong.
pub const LONGEST: Duration = Duration::from_secs(900);

#[derive(Debug, Serialize, Deserialize)]
struct Paper {
    /// Nothing but different for each run.
    holder: String,
    /// Until when the holder may work, unless it is renewed.
    until: String,
}

/// A lease that this run holds.
#[derive(Debug)]
pub struct Lease<'a, B> {
    bucket: &'a B,
    key: String,
    holder: String,
    terms: Terms,
    /// The time of day.
    now: fn() -> OffsetDateTime,
    expected: Mutex<Expected>,
    /// When a renewal began that succeeded; until then plus its time the lease is this run's.
    renewed: Mutex<Moment>,
}

/// A moment by two clocks: one that nobody can set, but that stands still while the machine sleeps, and the time of day.
#[derive(Debug, Clone, Copy)]
struct Moment {
    steady: Instant,
    day: OffsetDateTime,
}

impl Moment {
    fn now(day: fn() -> OffsetDateTime) -> Self {
        Self { steady: Instant::now(), day: day() }
    }

    /// Whether so much time has passed since, by either clock.
    fn is_past(&self, time: Duration, day: fn() -> OffsetDateTime) -> bool {
        self.steady.elapsed() >= time || day() - self.day >= time
    }
}

/// How leases are held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// For how long a lease counts unless it is renewed, which is tried three times as often.
    pub lasts: Duration,
    /// How long to wait for another holder.
    pub patience: Duration,
}

/// Why there is no lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeaseError {
    /// Another run holds it, until then (as it says, escaped).
    Busy(String),
    /// It was this run's, and another one took it over.
    Lost,
    /// The bucket failed.
    Bucket(BucketError),
}

impl<'a, B: Bucket> Lease<'a, B> {
    /// Takes the lease below a prefix, or waits for it.
    ///
    /// # Errors
    /// [`LeaseError::Busy`] or [`LeaseError::Bucket`].
    pub async fn take(
        bucket: &'a B,
        prefix: &str,
        terms: Terms,
        now: fn() -> OffsetDateTime,
    ) -> Result<Self, LeaseError> {
        let key = format!("{prefix}{KEY}");
        let holder = format!("{:016x}", fastrand::u64(..));
        let gives_up = Instant::now() + terms.patience;
        loop {
            let found = bucket.get(&key).await.map_err(LeaseError::Bucket)?;
            let paper = found.as_ref().and_then(|found| serde_json::from_slice::<Paper>(&found.body).ok());
            let until = paper.as_ref().and_then(|paper| OffsetDateTime::parse(&paper.until, &Rfc3339).ok());
            let today = now();
            // A clock that is far ahead must not keep everybody out.
            let is_alive = until.is_some_and(|until| today < until && until <= today + LONGEST);
            if !is_alive {
                let expected = Expected::found(found.as_ref().map(|found| &found.etag));
                let lease = Self {
                    bucket,
                    key: key.clone(),
                    holder: holder.clone(),
                    terms,
                    now,
                    expected: Mutex::new(expected),
                    renewed: Mutex::new(Moment::now(now)),
                };
                match lease.renew().await {
                    // Somebody else was quicker.
                    Err(LeaseError::Lost) => {}
                    other => return other.map(|()| lease),
                }
            }
            if Instant::now() >= gives_up {
                let until = paper.map_or_else(|| "soon".to_owned(), |paper| escape(paper.until.as_bytes(), 40));
                return Err(LeaseError::Busy(until));
            }
            // Right behind its end there is nothing to wait for any more.
            let ends = until.and_then(|until| Duration::try_from(until - today).ok()).filter(|_| is_alive);
            let looks = ends.map_or(LOOKS, |ends| LOOKS.min(ends + SOON));
            tokio::time::sleep(looks.min(gives_up.saturating_duration_since(Instant::now()))).await;
        }
    }

    /// Makes sure that the lease is this run's, for as long again.
    ///
    /// # Errors
    /// [`LeaseError::Lost`] where it is not any more, or [`LeaseError::Bucket`].
    pub async fn renew(&self) -> Result<(), LeaseError> {
        let began = Moment::now(self.now);
        let until = (began.day + self.terms.lasts).format(&Rfc3339).unwrap_or_default();
        let paper = Paper { holder: self.holder.clone(), until };
        let body = serde_json::to_vec(&paper).unwrap_or_default();
        let expected = self.expected();
        let etag = match self.bucket.put(&self.key, body, "application/json", &expected).await {
            Ok(etag) => etag,
            Err(error) if error.cause.is_conflict() => {
                // A write whose answer was lost is tried again and then meets itself.
                let found = self.bucket.get(&self.key).await.map_err(LeaseError::Bucket)?.ok_or(LeaseError::Lost)?;
                let paper = serde_json::from_slice::<Paper>(&found.body).map_err(|_| LeaseError::Lost)?;
                if paper.holder != self.holder {
                    return Err(LeaseError::Lost);
                }
                found.etag
            }
            Err(error) => return Err(LeaseError::Bucket(error)),
        };
        *lock(&self.expected) = Expected::found(Some(&etag));
        *lock(&self.renewed) = began;
        Ok(())
    }

    /// Does the work, and renews the lease all the while; the work is dropped where that does not succeed in time.
    ///
    /// # Errors
    /// Those of [`Lease::renew`]; the work may then have been done in part.
    pub async fn during<T>(&self, work: impl Future<Output = T>) -> Result<T, LeaseError> {
        let mut work = std::pin::pin!(work);
        // A process that was stopped, or a machine that slept, must look whether the lease is still its own before it goes on.
        let work = poll_fn(|context| if self.is_over() { Poll::Pending } else { work.as_mut().poll(context) });
        // In this order, so that the work goes on as soon as the lease is renewed.
        match select(std::pin::pin!(self.keep_renewing()), work).await {
            Either::Left((error, _)) => Err(error),
            Either::Right((done, _)) => Ok(done),
        }
    }

    /// Whether the lease ended unless it is renewed; while that is tried, nothing else is done.
    fn is_over(&self) -> bool {
        lock(&self.renewed).is_past(self.terms.lasts, self.now)
    }

    async fn keep_renewing(&self) -> LeaseError {
        let mut renewed = Instant::now();
        loop {
            tokio::time::sleep(self.terms.lasts / 3).await;
            match self.renew().await {
                Ok(()) => renewed = Instant::now(),
                Err(LeaseError::Bucket(error)) if renewed.elapsed() >= self.terms.lasts * 2 / 3 => {
                    return LeaseError::Bucket(error);
                }
                Err(LeaseError::Bucket(_)) => {}
                Err(other) => return other,
            }
        }
    }

    /// Gives the lease back.
    ///
    /// # Errors
    /// When it cannot be deleted; it then ends by itself.
    pub async fn give_back(self) -> Result<(), BucketError> {
        match self.bucket.delete(&self.key, &self.expected()).await {
            Err(error) if error.cause.is_conflict() => {}
            other => return other,
        }
        // The work may have ended while the lease was renewed, so that it is not known what was written last.
        let Some(found) = self.bucket.get(&self.key).await? else { return Ok(()) };
        match serde_json::from_slice::<Paper>(&found.body) {
            Ok(paper) if paper.holder == self.holder => {
                self.bucket.delete(&self.key, &Expected::found(Some(&found.etag))).await
            }
            _ => Ok(()),
        }
    }

    fn expected(&self) -> Expected {
        lock(&self.expected).clone()
    }
}

fn lock<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
