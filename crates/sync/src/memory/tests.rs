//! What the memory forgets and what it never mixes up.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::picture::Person;

fn listed(id: &str) -> ListedKey {
    ListedKey { id: id.to_owned(), status: "Active".to_owned(), uploaded: Some((1, 2)) }
}

#[test]
fn it_comes_back_as_it_was_written() {
    let person = Person { name: "ann".to_owned(), keys: vec![listed("APKA1")], ..Person::default() };
    let memory = Memory {
        account: Some("123456789012".to_owned()),
        picture: Some(Picture { people: [("AIDA1".to_owned(), person)].into(), ..Picture::default() }),
        bodies: [("APKA1".to_owned(), "ssh-ed25519 AAAA".to_owned())].into(),
        pass: [("AIDA1".to_owned(), Listed { at: 7, keys: vec![listed("APKA2")] })].into(),
        refused: ["users/ann ann SHA256:x".to_owned()].into(),
        ..Memory::default()
    };
    let written = serde_json::to_vec(&memory).unwrap();
    assert_eq!(serde_json::from_slice::<Memory>(&written).unwrap(), memory);
}

#[test]
fn bodies_of_keys_that_nobody_has_are_forgotten_but_not_before_anything_was_read() {
    let bodies = BTreeMap::from([("APKA1".to_owned(), String::new()), ("APKA2".to_owned(), String::new())]);
    let mut memory = Memory { bodies: bodies.clone(), ..Memory::default() };
    memory.prune();
    assert_eq!(memory.bodies, bodies);
    let person = Person { keys: vec![listed("APKA2")], ..Person::default() };
    memory.picture = Some(Picture { people: [("AIDA1".to_owned(), person)].into(), ..Picture::default() });
    memory.prune();
    assert_eq!(memory.bodies.keys().collect::<Vec<_>>(), ["APKA2"]);
}

#[test]
fn it_is_about_the_account_that_it_was_told_first() {
    let mut memory = Memory::default();
    assert_eq!(memory.is_about(None), Ok(()));
    assert_eq!(memory.is_about(Some("1")), Ok(()));
    assert_eq!(memory.is_about(None), Ok(()), "an account without anybody tells no number");
    assert_eq!(memory.is_about(Some("2")), Err(OtherAccount("1".to_owned(), "2".to_owned())));
    assert_eq!(memory.is_about(Some("1")), Ok(()));
}

#[test]
fn a_listing_counts_for_an_hour_and_never_from_the_future() {
    let listing = Listed { at: 10_000, keys: Vec::new() };
    let counts = [9_999, 10_000, 10_000 + LISTED_FOR - 1, 10_000 + LISTED_FOR].map(|now| listing.counts(now));
    assert_eq!(counts, [false, true, true, false]);
}
