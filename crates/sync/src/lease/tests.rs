//! A machine that slept: the steady clock stood still, and only the time of day tells that the lease is over.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::cell::{Cell, RefCell};

use super::*;
use crate::bucket::{Entry, Stored};
use crate::cause::Cause;

const TERMS: Terms = Terms { lasts: Duration::from_secs(60), patience: Duration::ZERO };

thread_local! {
    /// By how many seconds the time of day is ahead of the real one.
    static AHEAD: Cell<i64> = const { Cell::new(0) };
}

fn today() -> OffsetDateTime {
    OffsetDateTime::now_utc() + time::Duration::seconds(AHEAD.get())
}

/// A bucket for the lease alone: its content, and how often it was written.
#[derive(Default)]
struct Desk(RefCell<(Option<Vec<u8>>, usize)>);

impl Desk {
    fn lay(&self, body: Option<Vec<u8>>) -> String {
        let mut place = self.0.borrow_mut();
        *place = (body, place.1 + 1);
        place.1.to_string()
    }

    fn check(&self, expected: &Expected) -> Result<(), BucketError> {
        let place = self.0.borrow();
        let is_right = match expected {
            Expected::Nothing => place.0.is_none(),
            Expected::Etag(etag) => place.0.is_some() && *etag == place.1.to_string(),
            Expected::Anything => true,
        };
        let (code, message) = ("PreconditionFailed".to_owned(), String::new());
        let cause = Cause::Refused { code, message, status: 412 };
        let error = BucketError { operation: "PutObject", bucket: String::new(), key: String::new(), cause };
        if is_right { Ok(()) } else { Err(error) }
    }
}

impl Bucket for Desk {
    async fn list(&self, _: &str) -> Result<Vec<(String, Entry)>, BucketError> {
        Ok(Vec::new())
    }

    async fn get(&self, _: &str) -> Result<Option<Stored>, BucketError> {
        let (body, number) = self.0.borrow().clone();
        Ok(body.map(|body| Stored { body, etag: Some(number.to_string()), oversized: false }))
    }

    async fn put(&self, _: &str, body: Vec<u8>, _: &str, expected: &Expected) -> Result<Option<String>, BucketError> {
        self.check(expected).map(|()| Some(self.lay(Some(body))))
    }

    async fn delete(&self, _: &str, expected: &Expected) -> Result<(), BucketError> {
        self.check(expected).map(|()| drop(self.lay(None)))
    }
}

/// A run that works for a while, sleeps, and works again. Gives what came of it, and whether it worked again.
fn slept(for_seconds: i64, meanwhile: impl Fn(&Desk)) -> (Result<(), LeaseError>, bool) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    AHEAD.set(0);
    runtime.block_on(async {
        let (desk, worked) = (Desk::default(), Cell::new(false));
        let lease = Lease::take(&desk, "", TERMS, today).await.unwrap();
        let work = async {
            tokio::time::sleep(Duration::from_secs(5)).await;
            AHEAD.set(for_seconds);
            meanwhile(&desk);
            tokio::time::sleep(Duration::from_secs(1)).await;
            worked.set(true);
        };
        let done = lease.during(work).await;
        (done, worked.get())
    })
}

#[test]
fn who_wakes_up_looks_whose_the_lease_is_before_anything_else() {
    let others = |desk: &Desk| drop(desk.lay(Some(b"{\"holder\":\"other\",\"until\":\"\"}".to_vec())));
    assert_eq!(slept(3600, others), (Err(LeaseError::Lost), false));
    assert_eq!(slept(60, others), (Err(LeaseError::Lost), false));
    assert_eq!(slept(3600, |_| ()), (Ok(()), true), "it is still this run's");
}

#[test]
fn a_clock_that_is_set_back_keeps_nobody_working_longer() {
    assert_eq!(slept(-3600, |_| ()), (Ok(()), true));
    AHEAD.set(0);
    let moment =
        |ago: u64| Moment { steady: Instant::now().checked_sub(Duration::from_secs(ago)).unwrap(), day: today() };
    let (fresh, old) = (moment(0), moment(100));
    AHEAD.set(-3600);
    assert!(!fresh.is_past(TERMS.lasts, today) && old.is_past(TERMS.lasts, today));
}
