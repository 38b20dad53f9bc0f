//! Sealed texts: a format, a version and a checksum in front of what they vouch for. Pure.
//!
//! The checksum finds what a crash, a full disk or a failing one left behind. It is no signature: what keeps others from
//! writing is the cache's directory.

use sha2::{Digest as _, Sha256};

/// What every sealed file of this version begins with. Another version's files are not read.
const MAGIC: &str = "iam-ssh cache 1 ";

/// The text with its seal in front: one line, then the text itself.
#[must_use]
pub fn seal(text: &str) -> String {
    format!("{MAGIC}{}\n{text}", checksum(text))
}

/// The text behind the seal; `None` unless every byte is as it was sealed.
#[must_use]
pub fn unseal(sealed: &[u8]) -> Option<&str> {
    let (head, text) = std::str::from_utf8(sealed).ok()?.split_once('\n')?;
    (head.strip_prefix(MAGIC)? == checksum(text)).then_some(text)
}

/// Bytes in hexadecimal, without a separator.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn checksum(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_changed_or_missing_byte_is_noticed() {
        let sealed = seal("{\"a\": 1}").into_bytes();
        assert_eq!(unseal(&sealed), Some("{\"a\": 1}"));
        for at in 0..sealed.len() {
            for bit in 0..8 {
                let mut broken = sealed.clone();
                broken[at] ^= 1 << bit;
                assert_eq!(unseal(&broken), None, "byte {at}, bit {bit}");
            }
            assert_eq!(unseal(&sealed[..at]), None, "cut at {at}");
        }
        assert_eq!(unseal(&[sealed.as_slice(), b" "].concat()), None);
    }
}
