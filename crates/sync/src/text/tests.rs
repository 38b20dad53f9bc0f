//! A text is what was read, byte for byte, whatever that is, and it shares what was known.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use iam_ssh_core::{Name, PublicKey};
use proptest::prelude::*;

use super::*;

fn line(owner: u8, key: u8) -> KeyLine {
    let body = format!("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA{key:0>42}");
    KeyLine::new(Vec::new(), Name::new(&format!("u{owner}")).unwrap(), PublicKey::from_openssh(&body).unwrap())
}

/// Lines of documents: keys, as the sync writes them and otherwise, and anything else.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let key = (0_u8..3, 0_u8..3).prop_map(|(owner, key)| format!("{}\n", line(owner, key)).into_bytes());
    let part = prop_oneof![
        3 => key.clone(),
        1 => key.prop_map(|line| line.strip_suffix(b"\n").unwrap().to_vec()),
        1 => prop_oneof![Just("\n"), Just("# comment\n"), Just(" \t\n"), Just("no key\n"), Just("\r\n"), Just("\n\n")]
            .prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..9),
    ];
    prop::collection::vec(part, 0..8).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn what_is_read_is_what_was_there(first in bytes(), second in bytes()) {
        let mut known = Known::default();
        let texts = [known.read(&first), known.read(&second), Known::default().read(&second)];
        for (text, bytes) in texts.iter().zip([&first, &second, &second]) {
            let read = document::parse(bytes);
            let keys: Vec<KeyLine> = text.keys().iter().map(|line| line.as_ref().clone()).collect();
            prop_assert_eq!(&text.to_bytes(), bytes);
            prop_assert_eq!((keys, text.skipped()), (read.lines, read.skipped_count));
            prop_assert_eq!((text.len(), text.is_empty()), (bytes.len(), bytes.is_empty()));
            let etag: String = Md5::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
            prop_assert_eq!(text.plain_etag(), etag);
        }
        prop_assert_eq!(texts[0] == texts[1], first == second);
        prop_assert_eq!(&texts[1], &texts[2]);
        let both = Text::concat(&texts[..2]);
        prop_assert_eq!(both.to_bytes(), [first, second].concat());
    }

    #[test]
    fn what_is_written_is_read_back(lines in prop::collection::vec((0_u8..3, 0_u8..3), 0..8)) {
        let lines: Vec<KeyLine> = lines.into_iter().map(|(owner, key)| line(owner, key)).collect();
        let text = Text::of(lines.iter().cloned().map(Arc::new));
        prop_assert_eq!(text.to_bytes(), document::render(&lines).into_bytes());
        prop_assert_eq!(&Known::of([&text]).read(&text.to_bytes()), &text);
        prop_assert_eq!(&Known::default().text(lines.into_iter().map(Arc::new)), &text);
    }
}

#[test]
fn a_line_is_held_once_however_often_it_is_read() {
    let text = Text::of([Arc::new(line(1, 1))]);
    let mut known = Known::of([&text]);
    let (one, other) = (known.read(&text.to_bytes()), known.read(&[text.to_bytes(), text.to_bytes()].concat()));
    let parts: Vec<&Part> = one.0.iter().chain(&other.0).collect();
    assert_eq!(parts.len(), 3);
    assert!(parts.iter().all(|part| Arc::ptr_eq(&part.0, &text.0.first().unwrap().0)));
    let foreign = Known::default().read("no key\n".repeat(1000).as_bytes());
    assert_eq!((foreign.0.len(), foreign.skipped()), (1, 1000));
}

#[test]
fn a_text_of_lines_is_made_of_what_is_known() {
    let (own, foreign) = (Text::of([Arc::new(line(1, 1))]), format!("{} and more\n", line(2, 2)));
    let mut known = Known::of([&own]);
    let stored = known.read(foreign.as_bytes());
    // The same lines as others hold them, and one that was written differently: from then on it is known, too.
    let lines = [line(1, 1), line(2, 2)].map(Arc::new);
    let (one, other) = (known.text(lines.clone()), known.text(lines.clone()));
    assert_eq!((&one, one == Text::of(lines)), (&other, true));
    assert!(Arc::ptr_eq(&one.0[0].0, &own.0[0].0) && !Arc::ptr_eq(&one.0[1].0, &stored.0[0].0));
    assert!(one.0.iter().zip(&other.0).all(|(one, other)| Arc::ptr_eq(&one.0, &other.0)));
}

#[test]
fn whatever_holds_no_key_is_one_part_however_many_lines_it_has() {
    const MANY: usize = 16 << 20;
    let own = Text::of([Arc::new(line(1, 1))]).to_bytes();
    for (garbage, skipped) in [("\n", 0), ("x\n", MANY / 2)] {
        let garbage = garbage.repeat(MANY / garbage.len()).into_bytes();
        let mut known = Known::default();
        let text = known.read(&garbage);
        assert_eq!((text.0.len(), text.skipped(), text.len(), known.0.len()), (1, skipped, MANY, 0));
        let few = garbage.get(..1000).unwrap();
        let text = known.read(&[few, &own, few, &own].concat());
        assert_eq!((text.0.len(), text.keys().len(), text.len()), (4, 2, 2 * (few.len() + own.len())));
    }
}
