//! The body of an answer: whole, at a pace, or ending in a way that no good server ends it.
//!
//! It must never change the bytes that it sends. It announces their number unless it is told to end with the connection, and where
//! it breaks off or stalls it has announced more than comes.

use std::future::Future;
use std::io::Error;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::body::{Body, Bytes, Frame, SizeHint};
use tokio::time::{Sleep, sleep};

/// What a filler is made of, at a time.
const FILLER: &[u8] = &[b'#'; 64 * 1024];

/// What comes after the last byte that is sent.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// The end.
    Proper,
    /// Nothing, on an open connection.
    Stall,
    /// The end of the connection, once what was sent is on its way.
    Break { flushed: bool },
}

/// Bytes that are sent at once, or `rate` of them a second, with or without a word about their number.
pub(crate) struct ReplyBody {
    rest: Bytes,
    /// How many bytes of filler follow.
    filler: u64,
    /// How many bytes are still announced.
    announced: Option<u64>,
    rate: Option<u64>,
    pause: Option<Pin<Box<Sleep>>>,
    end: End,
}

impl ReplyBody {
    /// These bytes, as fast as the client reads.
    pub(crate) fn whole(bytes: Vec<u8>) -> Self {
        let announced = Some(count(bytes.len()));
        Self { rest: Bytes::from(bytes), filler: 0, announced, rate: None, pause: None, end: End::Proper }
    }

    /// The same body at so many bytes per second.
    pub(crate) fn paced(self, rate: u64) -> Self {
        Self { rate: Some(rate.max(1)), ..self }
    }

    /// The first half of these bytes, announced as all of them; then the connection ends.
    pub(crate) fn broken_off(bytes: Vec<u8>) -> Self {
        Self { end: End::Break { flushed: false }, ..Self::half(bytes) }
    }

    /// The first half of these bytes, announced as all of them; then nothing more comes.
    pub(crate) fn stalling(bytes: Vec<u8>) -> Self {
        Self { end: End::Stall, ..Self::half(bytes) }
    }

    /// So many bytes of filler, which are never held in memory all at once.
    pub(crate) fn filler(bytes: u64) -> Self {
        Self { filler: bytes, announced: Some(bytes), ..Self::whole(Vec::new()) }
    }

    fn half(bytes: Vec<u8>) -> Self {
        let mut body = Self::whole(bytes);
        body.rest.truncate(body.rest.len() / 2);
        body
    }

    /// The same body, its length untold.
    pub(crate) fn without_length(self) -> Self {
        Self { announced: None, ..self }
    }

    /// How much goes out next, and how long that takes: a twentieth of a second's worth, at least one byte.
    fn step(rate: u64) -> (usize, Duration) {
        let bytes = (rate / 20).max(1);
        let micros = bytes.saturating_mul(1_000_000) / rate;
        (usize::try_from(bytes).unwrap_or(usize::MAX), Duration::from_micros(micros))
    }

    fn send(&mut self, bytes: Bytes) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        self.announced = self.announced.map(|left| left.saturating_sub(count(bytes.len())));
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }

    fn finish(&mut self, context: &Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match self.end {
            // An empty body has no half that could be missing.
            _ if self.announced == Some(0) => Poll::Ready(None),
            End::Proper => Poll::Ready(None),
            End::Stall => Poll::Pending,
            End::Break { flushed: true } => Poll::Ready(Some(Err(Error::other("broken off on purpose")))),
            End::Break { flushed: false } => {
                // While a body waits, the server flushes what it has of it.
                self.end = End::Break { flushed: true };
                context.waker().wake_by_ref();
                Poll::Pending
            }
        }
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if self.filler > 0 {
            let bytes = FILLER.len().min(usize::try_from(self.filler).unwrap_or(usize::MAX));
            self.filler -= count(bytes);
            return self.send(Bytes::from_static(FILLER).slice(..bytes));
        }
        if self.rest.is_empty() {
            return self.finish(context);
        }
        let Some(rate) = self.rate else {
            let all = std::mem::take(&mut self.rest);
            return self.send(all);
        };
        let (bytes, time) = Self::step(rate);
        let pause = self.pause.get_or_insert_with(|| Box::pin(sleep(time)));
        ready!(pause.as_mut().poll(context));
        self.pause = None;
        let bytes = bytes.min(self.rest.len());
        let part = self.rest.split_to(bytes);
        self.send(part)
    }

    fn is_end_stream(&self) -> bool {
        self.announced == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        self.announced.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

fn count(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}
