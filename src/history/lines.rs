//! Bytes as lines, and as blocks of a given length, out of one buffer: nothing is allocated per line, and a line that never ends needs
//! no more memory than others.

use std::io::{self, Read};

/// Room for what is read at once.
const ROOM: usize = 1024 * 1024;
/// Longest beginning of a line or a block that is kept, in bytes: no line that counts is as long.
pub(super) const KEPT: usize = 4096;

/// A line without its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line<'a> {
    /// Its bytes; of a line that is longer than the buffer, the first.
    pub bytes: &'a [u8],
    /// Whether these are only the first of them.
    pub cut: bool,
    /// Whether a line break ended it.
    pub ended: bool,
}

/// A reader of lines.
#[derive(Debug)]
pub struct Lines<R> {
    from: R,
    buffer: Vec<u8>,
    /// What of the buffer was not handed out yet.
    start: usize,
    end: usize,
    /// The beginning of a line that is longer than the buffer.
    long: Vec<u8>,
}

impl<R> Lines<R> {
    /// What was read from.
    pub fn into_inner(self) -> R {
        self.from
    }
}

impl<R: Read> Lines<R> {
    /// Reads from `from`.
    #[must_use]
    pub fn new(from: R) -> Self {
        Self { from, buffer: vec![0; ROOM], start: 0, end: 0, long: Vec::new() }
    }

    /// What comes next, at least `count` bytes of it if there are as many; nothing is taken.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn peek(&mut self, count: usize) -> io::Result<&[u8]> {
        while self.end - self.start < count.min(ROOM) && self.more()? {}
        Ok(self.buffer.get(self.start..self.end).unwrap_or_default())
    }

    /// Takes `count` bytes of what was peeked at.
    pub fn take(&mut self, count: usize) {
        self.start = self.end.min(self.start + count);
    }

    /// The next line; `None` at the end.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn line(&mut self) -> io::Result<Option<Line<'_>>> {
        let mut looked = 0;
        loop {
            let there = self.buffer.get(self.start..self.end).unwrap_or_default();
            if let Some(at) = memchr::memchr(b'\n', there.get(looked..).unwrap_or_default()) {
                let from = self.start;
                let to = from + looked + at;
                self.start = to + 1;
                return Ok(Some(Line {
                    bytes: self.buffer.get(from..to).unwrap_or_default(),
                    cut: false,
                    ended: true,
                }));
            }
            looked = there.len();
            if looked == ROOM {
                return self.long_line().map(Some);
            }
            if !self.more()? {
                let from = std::mem::replace(&mut self.start, self.end);
                let rest = self.buffer.get(from..self.end).unwrap_or_default();
                return Ok((!rest.is_empty()).then_some(Line { bytes: rest, cut: false, ended: false }));
            }
        }
    }

    /// Takes `count` bytes and the line break behind them, and keeps the first [`KEPT`] of them in `kept`. Whether all was there.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn block(&mut self, mut count: u64, kept: &mut Vec<u8>) -> io::Result<bool> {
        kept.clear();
        while count > 0 {
            let there = self.buffer.get(self.start..self.end).unwrap_or_default();
            let part = there.get(..usize::try_from(count).unwrap_or(usize::MAX)).unwrap_or(there);
            kept.extend_from_slice(part.get(..KEPT - kept.len()).unwrap_or(part));
            self.start += part.len();
            count -= part.len() as u64;
            if count > 0 && !self.more()? {
                return Ok(false);
            }
        }
        let ends = self.peek(1)?.first() == Some(&b'\n');
        self.start += usize::from(ends);
        Ok(ends)
    }

    /// The beginning of a line that fills the whole buffer; the rest of it is passed over.
    fn long_line(&mut self) -> io::Result<Line<'_>> {
        self.long.clear();
        self.long.extend_from_slice(self.buffer.get(self.start..self.end.min(self.start + KEPT)).unwrap_or_default());
        let ended = loop {
            let there = self.buffer.get(self.start..self.end).unwrap_or_default();
            if let Some(at) = memchr::memchr(b'\n', there) {
                self.start += at + 1;
                break true;
            }
            self.start = self.end;
            if !self.more()? {
                break false;
            }
        };
        Ok(Line { bytes: &self.long, cut: true, ended })
    }

    /// Reads on; `false` at the end. What was not handed out moves to the front first.
    fn more(&mut self) -> io::Result<bool> {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        loop {
            match self.from.read(self.buffer.get_mut(self.end..).unwrap_or_default()) {
                Ok(count) => {
                    self.end += count;
                    return Ok(count > 0);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Hands out little at a time.
    struct Slow<'a>(&'a [u8], usize);

    impl Read for Slow<'_> {
        fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
            let count = self.1.min(self.0.len()).min(to.len());
            to[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }

    #[test]
    fn a_line_without_end_is_cut() {
        let mut text = vec![b'x'; 3 * ROOM];
        text.extend(b"\nnext\nlast");
        let mut lines = Lines::new(text.as_slice());
        let long = lines.line().unwrap().unwrap();
        assert!(long.cut && long.ended && long.bytes == vec![b'x'; KEPT]);
        assert_eq!(lines.line().unwrap(), Some(Line { bytes: b"next", cut: false, ended: true }));
        assert_eq!(lines.line().unwrap(), Some(Line { bytes: b"last", cut: false, ended: false }));
        assert_eq!(lines.line().unwrap(), None);
    }

    #[test]
    fn blocks_are_passed_over_whatever_is_in_them() {
        let mut text = vec![b'\n'; 2 * ROOM];
        text.extend(b"\nnext\n");
        let mut lines = Lines::new(text.as_slice());
        let mut kept = Vec::new();
        assert!(lines.block(2 * ROOM as u64, &mut kept).unwrap());
        assert_eq!(kept, vec![b'\n'; KEPT]);
        assert_eq!(lines.line().unwrap().unwrap().bytes, b"next");
        assert!(!lines.block(u64::MAX, &mut kept).unwrap(), "there is no more");
    }

    proptest! {
        #[test]
        fn lines_are_those_of_the_text(text in "[a\\n]{0,40}", at_once in 1usize..9) {
            let mut lines = Lines::new(Slow(text.as_bytes(), at_once));
            let mut all = Vec::new();
            while let Some(line) = lines.line().unwrap() {
                all.push(String::from_utf8(line.bytes.to_vec()).unwrap());
            }
            prop_assert_eq!(all, text.lines().map(str::to_owned).collect::<Vec<_>>());
        }
    }
}
