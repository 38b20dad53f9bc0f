//! A principal's document: the `authorized_keys` object in the bucket.
//!
//! Bad lines are skipped with a reason and never take the good ones with them. The reasons kept are few, so that a
//! document full of garbage costs no memory; all skipped lines are counted.

use crate::keyline::{KeyLine, LineError};
use crate::principal::Principal;

/// Most bytes of a document that are read. The largest that IAM's quotas allow is about 22 MB: a group of 5,000 users
/// with 5 RSA-4096 keys of some 890 bytes a line.
pub const MAX_LEN: usize = 32 * 1024 * 1024;

/// Most reasons that [`Document::skipped`] holds.
pub const MAX_REASONS: usize = 8;

/// What a document holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Document {
    /// The good lines, in order.
    pub lines: Vec<KeyLine>,
    /// The first [`MAX_REASONS`] skipped lines.
    pub skipped: Vec<Skipped>,
    /// How many lines were skipped in all.
    pub skipped_count: usize,
}

/// A line that does not count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// Its number in the document, from 1.
    pub line: usize,
    /// Why it does not count.
    pub why: LineError,
}

/// Parses a document; empty lines and lines that begin with `#` say nothing.
#[must_use]
pub fn parse(bytes: &[u8]) -> Document {
    collect(bytes, |_| Ok(()))
}

/// Parses the document of `principal`: in a user's document, only that user's own keys count.
#[must_use]
pub fn parse_for(principal: &Principal, bytes: &[u8]) -> Document {
    collect(bytes, |line| match principal {
        Principal::User(user) if user != line.owner() => Err(LineError::WrongOwner(line.owner().clone(), user.clone())),
        Principal::User(_) | Principal::Group(_) => Ok(()),
    })
}

fn collect(bytes: &[u8], accept: impl Fn(&KeyLine) -> Result<(), LineError>) -> Document {
    let mut document = Document::default();
    for (index, bytes) in bytes.split(|b| *b == b'\n').enumerate() {
        let trimmed = bytes.trim_ascii();
        if trimmed.is_empty() || trimmed.starts_with(b"#") {
            continue;
        }
        match KeyLine::parse(bytes).and_then(|line| accept(&line).map(|()| line)) {
            Ok(line) => document.lines.push(line),
            Err(why) => {
                document.skipped_count += 1;
                if document.skipped.len() < MAX_REASONS {
                    document.skipped.push(Skipped { line: index + 1, why });
                }
            }
        }
    }
    document
}

/// Renders a document: a line per key, each ended by a line break; nothing for no keys.
#[must_use]
pub fn render(lines: &[KeyLine]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}
