//! A cached document, indexed by key when it is written: to find one key costs the same among ten and ten thousand.
//!
//! A hash table of blocks. A key's digest chooses its block; a block holds the lines of its keys as plain
//! `authorized_keys` text, each with its place in the document in front. Header and blocks carry checksums that are bound
//! to whose document it is, so that whatever is not as it was written is noticed before it is believed, also where it
//! would only hide a key. What is read is parsed again by the one parser.
//!
//! ```text
//! header     magic 16, identity 32, lines 8, blocks 8, length of the file 8, SHA-256 of all that 32
//! directory  for each block: offset 8, length 8 (little endian, as everywhere here)
//! blocks     SHA-256 of identity, number of the block and text 32; text
//! ```

use iam_ssh_core::{Document, KeyLine, Principal, PublicKey, document};
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

/// Format and version.
const MAGIC: &[u8; 16] = b"iam-ssh keys 1\0\n";
const HEADER_LEN: usize = 16 + 32 + 8 + 8 + 8 + 32;
const ENTRY_LEN: usize = 16;
/// Lines a block holds on average: few to parse, few blocks.
const LINES_PER_BLOCK: usize = 8;

/// SHA-256 of what the document is: which bucket, whose.
pub type Identity = [u8; 32];

/// Something that can be read at any place.
pub trait ReadAt {
    /// Fills `buffer` from `offset` on.
    ///
    /// # Errors
    /// Where there is less, or it cannot be read.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;
    /// Its length in bytes.
    ///
    /// # Errors
    /// Where that cannot be told.
    fn length(&self) -> io::Result<u64>;
}

impl ReadAt for File {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.read_exact_at(buffer, offset)
    }

    fn length(&self) -> io::Result<u64> {
        self.metadata().map(|meta| meta.len())
    }
}

impl ReadAt for [u8] {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let end = || io::Error::from(io::ErrorKind::UnexpectedEof);
        let from = usize::try_from(offset).map_err(|_| end())?;
        let bytes = from.checked_add(buffer.len()).and_then(|to| self.get(from..to)).ok_or_else(end)?;
        buffer.copy_from_slice(bytes);
        Ok(())
    }

    fn length(&self) -> io::Result<u64> {
        u64::try_from(self.len()).map_err(io::Error::other)
    }
}

/// The file is not what was written for this document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Corrupt;

/// The good lines of `document` as an indexed file.
#[must_use]
pub fn build(identity: &Identity, document: &Document) -> Vec<u8> {
    let count = document.lines.len().div_ceil(LINES_PER_BLOCK).max(1);
    let mut texts: Vec<String> = vec![String::new(); count];
    for (place, line) in document.lines.iter().enumerate() {
        if let Some(text) = texts.get_mut(block_of(line.key(), count)) {
            *text += &format!("{place} {line}\n");
        }
    }
    let bodies: usize = texts.iter().map(|text| 32 + text.len()).sum();
    let length = HEADER_LEN + count * ENTRY_LEN + bodies;
    let mut file = Vec::with_capacity(length);
    file.extend_from_slice(MAGIC);
    file.extend_from_slice(identity);
    for number in [document.lines.len(), count, length] {
        file.extend_from_slice(&wide(number).to_le_bytes());
    }
    let sum = Sha256::digest(&file);
    file.extend_from_slice(&sum);
    let mut offset = HEADER_LEN + count * ENTRY_LEN;
    for text in &texts {
        file.extend_from_slice(&wide(offset).to_le_bytes());
        file.extend_from_slice(&wide(text.len()).to_le_bytes());
        offset += 32 + text.len();
    }
    for (number, text) in texts.iter().enumerate() {
        file.extend_from_slice(&block_sum(identity, number, text.as_bytes()));
        file.extend_from_slice(text.as_bytes());
    }
    file
}

/// An indexed document, its header checked.
#[derive(Debug)]
pub struct Index<'a, R: ReadAt + ?Sized> {
    reader: &'a R,
    identity: Identity,
    principal: &'a Principal,
    lines: u64,
    blocks: usize,
    length: u64,
}

impl<'a, R: ReadAt + ?Sized> Index<'a, R> {
    /// Reads the header of `principal`'s document.
    ///
    /// # Errors
    /// [`Corrupt`] unless it was written for `identity` and has its length.
    pub fn open(reader: &'a R, identity: &Identity, principal: &'a Principal) -> Result<Self, Corrupt> {
        let mut header = [0; HEADER_LEN];
        reader.read_at(&mut header, 0).map_err(|_| Corrupt)?;
        let (content, sum) = header.split_at(HEADER_LEN - 32);
        let rest = content.strip_prefix(MAGIC).and_then(|rest| rest.strip_prefix(identity)).ok_or(Corrupt)?;
        let [lines, blocks, length] = numbers(rest).ok_or(Corrupt)?;
        let fits = reader.length().is_ok_and(|actual| actual == length);
        if !fits || *sum != *Sha256::digest(content) {
            return Err(Corrupt);
        }
        let blocks = usize::try_from(blocks).ok().filter(|blocks| *blocks > 0).ok_or(Corrupt)?;
        Ok(Self { reader, identity: *identity, principal, lines, blocks, length })
    }

    /// The lines of `key`, in the document's order.
    ///
    /// # Errors
    /// [`Corrupt`] where its block is not as it was written.
    pub fn find(&self, key: &PublicKey) -> Result<Vec<KeyLine>, Corrupt> {
        let mut lines = self.block(block_of(key, self.blocks))?;
        lines.retain(|(_, line)| line.key() == key);
        Ok(in_order(lines))
    }

    /// Every line, in the document's order.
    ///
    /// # Errors
    /// [`Corrupt`] where any block is not as it was written.
    pub fn all(&self) -> Result<Vec<KeyLine>, Corrupt> {
        let mut lines = Vec::new();
        for number in 0..self.blocks {
            lines.extend(self.block(number)?);
        }
        if wide(lines.len()) == self.lines { Ok(in_order(lines)) } else { Err(Corrupt) }
    }

    /// Checks every block, and parses none.
    ///
    /// # Errors
    /// [`Corrupt`] where any is not as it was written.
    pub fn verify(&self) -> Result<(), Corrupt> {
        (0..self.blocks).try_for_each(|number| self.text(number).map(drop))
    }

    /// The lines of one block, with their places in the document.
    fn block(&self, number: usize) -> Result<Vec<(u64, KeyLine)>, Corrupt> {
        self.text(number)?.lines().map(|line| self.line(line).ok_or(Corrupt)).collect()
    }

    /// The text of one block, checked.
    fn text(&self, number: usize) -> Result<String, Corrupt> {
        let mut entry = [0; ENTRY_LEN];
        self.reader.read_at(&mut entry, wide(HEADER_LEN + number * ENTRY_LEN)).map_err(|_| Corrupt)?;
        let [offset, len] = numbers(&entry).ok_or(Corrupt)?;
        if offset.checked_add(len).is_none_or(|end| end > self.length) {
            return Err(Corrupt);
        }
        let mut block = vec![0; usize::try_from(len).map_err(|_| Corrupt)? + 32];
        self.reader.read_at(&mut block, offset).map_err(|_| Corrupt)?;
        let text = block.split_off(32);
        if block != block_sum(&self.identity, number, &text) {
            return Err(Corrupt);
        }
        String::from_utf8(text).map_err(|_| Corrupt)
    }

    /// One line, judged as it was when the document came.
    fn line(&self, text: &str) -> Option<(u64, KeyLine)> {
        let (place, text) = text.split_once(' ')?;
        let [line] = <[KeyLine; 1]>::try_from(document::parse_for(self.principal, text.as_bytes()).lines).ok()?;
        Some((place.parse().ok()?, line))
    }
}

fn in_order(mut lines: Vec<(u64, KeyLine)>) -> Vec<KeyLine> {
    lines.sort_by_key(|(place, _)| *place);
    lines.into_iter().map(|(_, line)| line).collect()
}

/// Which of `count` blocks holds `key`.
fn block_of(key: &PublicKey, count: usize) -> usize {
    let head = key.digest().first_chunk().map_or(0, |head| u64::from_le_bytes(*head));
    usize::try_from(head % wide(count).max(1)).unwrap_or(0)
}

fn block_sum(identity: &Identity, number: usize, text: &[u8]) -> [u8; 32] {
    Sha256::new().chain_update(identity).chain_update(wide(number).to_le_bytes()).chain_update(text).finalize().into()
}

/// `N` numbers that stand one after the other.
fn numbers<const N: usize>(bytes: &[u8]) -> Option<[u64; N]> {
    let all: Vec<u64> = bytes.as_chunks::<8>().0.iter().map(|chunk| u64::from_le_bytes(*chunk)).collect();
    all.try_into().ok()
}

fn wide(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
