//! The indexed document: what was written is found again, and nothing else is ever believed.

use crate::scene::{JOHN, MARY, line};
use iam_ssh::cache::index::{Corrupt, Identity, Index, ReadAt, build};
use iam_ssh_core::{KeyLine, Principal, PublicKey, document};
use std::cell::Cell;
use std::io;

const IDENTITY: Identity = [7; 32];

fn group() -> Principal {
    "groups/b".parse().unwrap()
}

fn key(line: &str) -> PublicKey {
    PublicKey::from_openssh(line).unwrap()
}

/// The `n`th of many Ed25519 keys; any 32 bytes are one.
fn nth(n: u32) -> String {
    let mut blob = b"\0\0\0\x0bssh-ed25519\0\0\0\x20".to_vec();
    blob.extend_from_slice(&[0; 28]);
    blob.extend_from_slice(&n.to_be_bytes());
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let base64: String = blob
        .chunks_exact(3)
        .flat_map(|c| {
            let bits = u32::from(c[0]) << 16 | u32::from(c[1]) << 8 | u32::from(c[2]);
            [18, 12, 6, 0].map(|shift| char::from(DIGITS[(bits >> shift) as usize & 63]))
        })
        .collect();
    format!("ssh-ed25519 {base64}")
}

fn indexed(text: &str) -> Vec<u8> {
    build(&IDENTITY, &document::parse_for(&group(), text.as_bytes()))
}

fn all(file: &[u8]) -> Result<Vec<KeyLine>, Corrupt> {
    Index::open(file, &IDENTITY, &group())?.all()
}

#[test]
fn every_line_is_found_by_its_key_and_in_its_order() {
    let text: String = (0..1000).map(|n| line(&format!("u{n}"), &nth(n))).collect();
    let file = indexed(&text);
    let group = group();
    let index = Index::open(file.as_slice(), &IDENTITY, &group).unwrap();
    for n in [0, 1, 499, 999] {
        let found = index.find(&key(&nth(n))).unwrap();
        assert_eq!(found.iter().map(|l| l.owner().as_str()).collect::<Vec<_>>(), [format!("u{n}")]);
    }
    assert!(index.find(&key(&nth(1000))).unwrap().is_empty());
    assert_eq!(index.all().unwrap(), document::parse(text.as_bytes()).lines);
    assert_eq!(index.verify(), Ok(()));
}

#[test]
fn of_two_lines_for_one_key_the_first_comes_first() {
    let text = format!("restrict,{}{}{}", line("z", JOHN), line("m", MARY), line("a", JOHN));
    let file = indexed(&text);
    let group = group();
    let found = Index::open(file.as_slice(), &IDENTITY, &group).unwrap().find(&key(JOHN)).unwrap();
    assert_eq!(found.iter().map(|l| l.owner().as_str()).collect::<Vec<_>>(), ["z", "a"]);
}

#[test]
fn an_empty_document_is_one() {
    assert_eq!(all(&indexed("")), Ok(Vec::new()));
}

/// Every byte of the file: header, directory and blocks.
#[test]
fn every_changed_or_missing_byte_is_noticed() {
    let text: String = (0..20).map(|n| line("john", &nth(n))).collect();
    let file = indexed(&text);
    for at in 0..file.len() {
        for change in [1, 0x80] {
            let mut broken = file.clone();
            broken[at] ^= change;
            assert_eq!(all(&broken), Err(Corrupt), "byte {at}");
            let group = group();
            let verified = Index::open(broken.as_slice(), &IDENTITY, &group).and_then(|index| index.verify());
            assert_eq!(verified, Err(Corrupt), "byte {at}");
        }
        assert_eq!(all(&file[..at]), Err(Corrupt), "cut at {at}");
    }
    assert_eq!(all(&[file.as_slice(), b"x"].concat()), Err(Corrupt));
}

#[test]
fn a_document_of_somebody_else_is_not_read() {
    let file = indexed(&line("john", JOHN));
    let group = group();
    assert!(Index::open(file.as_slice(), &[8; 32], &group).is_err(), "another bucket or principal");
    let mary: Principal = "users/mary".parse().unwrap();
    assert_eq!(Index::open(file.as_slice(), &IDENTITY, &mary).unwrap().find(&key(JOHN)), Err(Corrupt));
}

/// Counts what is read.
struct Counting<'a>(&'a [u8], Cell<usize>);

impl ReadAt for Counting<'_> {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.1.set(self.1.get() + buffer.len());
        self.0.read_at(buffer, offset)
    }
    fn length(&self) -> io::Result<u64> {
        self.0.length()
    }
}

#[test]
fn to_find_a_key_among_ten_thousand_reads_no_more_than_among_ten() {
    let read = |count: u32| {
        let text: String = (0..count).map(|n| line("john", &nth(n))).collect();
        let file = indexed(&text);
        let counting = Counting(&file, Cell::new(0));
        let group = group();
        let index = Index::open(&counting, &IDENTITY, &group).unwrap();
        let mut most = 0;
        for n in (0..count).step_by(usize::try_from(count / 10).unwrap()) {
            counting.1.set(0);
            assert_eq!(index.find(&key(&nth(n))).unwrap().len(), 1);
            most = most.max(counting.1.get());
        }
        most
    };
    let (few, many) = (read(10), read(10_000));
    assert!(many < few * 4, "a block of {many} bytes among many, of {few} among few");
}
