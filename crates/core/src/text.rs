//! Foreign text made safe to show: escaped to one line of printable ASCII and bounded in length.
//!
//! Every error message and log line that quotes something from outside (a bucket, a file, the environment) goes
//! through here. It must never let a control character, a line break or an unbounded string through.

/// Returns `text` as printable ASCII on one line, at most `max` bytes long.
///
/// Everything outside `0x20..=0x7e`, and the backslash, is written as `\xNN` per byte, so the result is unambiguous.
/// What is cut off is marked with `...` (within `max`, if `max` is at least 3).
#[must_use]
pub fn escape(text: &[u8], max: usize) -> String {
    let mut out = String::new();
    for &byte in text {
        let before = out.len();
        push_escaped(&mut out, byte);
        if out.len() > max {
            out.truncate(before);
            while out.len() + 3 > max && !out.is_empty() {
                out.pop();
            }
            out.push_str("...");
            out.truncate(max);
            break;
        }
    }
    out
}

fn push_escaped(out: &mut String, byte: u8) {
    if (0x20..=0x7e).contains(&byte) && byte != b'\\' {
        out.push(char::from(byte));
    } else {
        out.push_str(&format!("\\x{byte:02x}"));
    }
}

#[cfg(test)]
mod tests {
    use super::escape;
    use proptest::prelude::*;

    #[test]
    fn plain_text_stays() {
        assert_eq!(escape(b"john@example.org", 64), "john@example.org");
    }

    #[test]
    fn line_breaks_nul_and_backslash_cannot_forge() {
        assert_eq!(escape(b"a\nb\0c\\x0a", 64), "a\\x0ab\\x00c\\x5cx0a");
    }

    #[test]
    fn cut_text_is_marked() {
        assert_eq!(escape(b"abcdefgh", 6), "abc...");
    }

    proptest! {
        #[test]
        fn always_printable_and_bounded(text in proptest::collection::vec(any::<u8>(), 0..200), max in 0usize..100) {
            let out = escape(&text, max);
            prop_assert!(out.len() <= max);
            prop_assert!(out.bytes().all(|b| (0x20..=0x7e).contains(&b)));
        }
    }
}
