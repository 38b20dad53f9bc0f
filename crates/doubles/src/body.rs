//! The body of an answer, at full speed or at a given pace.
//!
//! It must never change the bytes, and it announces their true length unless it is told to end with the connection.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::body::{Body, Bytes, Frame, SizeHint};
use tokio::time::{Sleep, sleep};

/// Bytes that are sent at once, or `rate` of them a second, with or without a word about their number.
pub(crate) struct PacedBody {
    rest: Bytes,
    sized: bool,
    rate: Option<u64>,
    pause: Option<Pin<Box<Sleep>>>,
}

impl PacedBody {
    /// A body that is sent as fast as the client reads, or, with `rate`, at that many bytes per second.
    pub(crate) fn new(bytes: Vec<u8>, rate: Option<u64>) -> Self {
        Self { rest: Bytes::from(bytes), sized: true, rate: rate.map(|rate| rate.max(1)), pause: None }
    }

    /// The same body, its length untold.
    pub(crate) fn without_length(self) -> Self {
        Self { sized: false, ..self }
    }

    /// How much goes out next, and how long that takes: a twentieth of a second's worth, at least one byte.
    fn step(rate: u64) -> (usize, Duration) {
        let bytes = (rate / 20).max(1);
        let micros = bytes.saturating_mul(1_000_000) / rate;
        (usize::try_from(bytes).unwrap_or(usize::MAX), Duration::from_micros(micros))
    }
}

impl Body for PacedBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        let Some(rate) = self.rate else {
            return Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut self.rest)))));
        };
        let (bytes, time) = Self::step(rate);
        let pause = self.pause.get_or_insert_with(|| Box::pin(sleep(time)));
        ready!(pause.as_mut().poll(context));
        self.pause = None;
        let bytes = bytes.min(self.rest.len());
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(bytes)))))
    }

    fn is_end_stream(&self) -> bool {
        self.sized && self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        if !self.sized {
            return SizeHint::default();
        }
        SizeHint::with_exact(u64::try_from(self.rest.len()).unwrap_or(u64::MAX))
    }
}
