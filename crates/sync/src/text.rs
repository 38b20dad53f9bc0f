//! What documents say, each line held once: a key stands in its user's document and in those of up to ten groups, and mostly it stood
//! there before. An account at IAM's limits has documents of 150 MB, but lines of 15 MB. Pure.

use std::borrow::Borrow;
use std::collections::HashSet;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use iam_ssh_core::{KeyLine, document};
use md5::{Digest, Md5};

/// No key line is as short: the name of its owner's variable, a type and the base64 of 32 bytes alone need more.
const SHORTEST: usize = 64;

/// The content of a document.
#[derive(Debug, Clone, Default)]
pub struct Text(Vec<Part>);

/// A key line, or what stands between two of them.
#[derive(Debug, Clone)]
struct Part(Arc<Content>);

#[derive(Debug)]
struct Content {
    /// With its line breaks.
    bytes: Vec<u8>,
    key: Option<Arc<KeyLine>>,
    /// How many lines of it are not key lines and say something.
    skipped: usize,
}

impl Part {
    /// A key line with its line break.
    fn key(line: Arc<KeyLine>, bytes: Vec<u8>) -> Self {
        Self(Arc::new(Content { bytes, key: Some(line), skipped: 0 }))
    }

    /// What holds no key line.
    fn other(bytes: &[u8]) -> Self {
        // As the parser counts, which would say of each line why it is none.
        let lines = bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
        let skipped = lines.filter(|line| !line.is_empty() && !line.starts_with(b"#")).count();
        Self(Arc::new(Content { bytes: bytes.to_vec(), key: None, skipped }))
    }
}

impl PartialEq for Part {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0.bytes == other.0.bytes
    }
}

impl Eq for Part {}

// As its bytes, by which a set of parts is searched.
impl Hash for Part {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.bytes.hash(state);
    }
}

impl Borrow<[u8]> for Part {
    fn borrow(&self) -> &[u8] {
        &self.0.bytes
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0 || (self.len() == other.len() && self.bytes().eq(other.bytes()))
    }
}

impl Eq for Text {}

impl Text {
    /// The text of these lines: each ended by a line break; nothing for no keys.
    #[must_use]
    pub fn of(lines: impl IntoIterator<Item = Arc<KeyLine>>) -> Self {
        let part = |line: Arc<KeyLine>| {
            let bytes = rendered(&line);
            Part::key(line, bytes)
        };
        Self(lines.into_iter().map(part).collect())
    }

    /// These texts in a row.
    #[must_use]
    pub fn concat<'a>(texts: impl IntoIterator<Item = &'a Self>) -> Self {
        Self(texts.into_iter().flat_map(|text| &text.0).cloned().collect())
    }

    fn bytes(&self) -> impl Iterator<Item = &u8> {
        self.0.iter().flat_map(|part| &part.0.bytes)
    }

    /// The key lines, in order.
    #[must_use]
    pub fn keys(&self) -> Vec<Arc<KeyLine>> {
        self.0.iter().filter_map(|part| part.0.key.clone()).collect()
    }

    /// How many lines there are that are no key lines, other than comments and empty ones.
    #[must_use]
    pub fn skipped(&self) -> usize {
        self.0.iter().map(|part| part.0.skipped).sum()
    }

    /// How many bytes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.iter().map(|part| part.0.bytes.len()).sum()
    }

    /// Whether there is not a byte.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The text itself.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.len());
        self.0.iter().for_each(|part| bytes.extend_from_slice(&part.0.bytes));
        bytes
    }

    /// The ETag that S3 gives a plain object of this content: its MD5 in hexadecimal digits. Where a bucket encrypts with KMS it is
    /// something else, and never equal to this.
    #[must_use]
    pub fn plain_etag(&self) -> String {
        let digest = self.0.iter().fold(Md5::new(), |digest, part| digest.chain_update(&part.0.bytes));
        digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// A line as a document holds it.
fn rendered(line: &KeyLine) -> Vec<u8> {
    format!("{line}\n").into_bytes()
}

/// The lines that were read so far.
#[derive(Debug, Default)]
pub struct Known(HashSet<Part>);

impl Known {
    /// Knows all that stands in these texts.
    #[must_use]
    pub fn of<'a>(texts: impl IntoIterator<Item = &'a Text>) -> Self {
        Self(texts.into_iter().flat_map(|text| &text.0).cloned().collect())
    }

    /// Reads a text: with the lines that are known already, and the new ones are known from then on.
    pub fn read(&mut self, bytes: &[u8]) -> Text {
        let mut text = Text::default();
        // Where what holds no key began, and how much of all is looked at: whatever it is, it costs no more than its bytes.
        let (mut begin, mut end) = (0, 0);
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            let at = end;
            end += line.len();
            let Some(part) = self.key(line) else { continue };
            text.0.extend(bytes.get(begin..at).filter(|other| !other.is_empty()).map(Part::other));
            text.0.push(part);
            begin = end;
        }
        text.0.extend(bytes.get(begin..).filter(|other| !other.is_empty()).map(Part::other));
        text
    }

    /// A key line, if it is one, as it is known from now on.
    fn key(&mut self, line: &[u8]) -> Option<Part> {
        if line.len() < SHORTEST {
            return None;
        }
        if let Some(known) = self.0.get(line) {
            return known.0.key.is_some().then(|| known.clone());
        }
        let part = Part::key(Arc::new(document::parse(line).lines.pop()?), line.to_vec());
        self.0.insert(part.clone());
        Some(part)
    }

    /// The text of these lines, as [`Text::of`] makes it, of what is known.
    pub fn text(&mut self, lines: impl IntoIterator<Item = Arc<KeyLine>>) -> Text {
        let part = |line: Arc<KeyLine>| {
            let bytes = rendered(&line);
            if let Some(known) = self.0.get(bytes.as_slice()).filter(|known| known.0.key.is_some()) {
                return known.clone();
            }
            let part = Part::key(line, bytes);
            self.0.insert(part.clone());
            part
        };
        Text(lines.into_iter().map(part).collect())
    }
}

#[cfg(test)]
mod tests;
