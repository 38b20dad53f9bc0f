//! The seal of a record's line: what only root on this machine can have written. Pure.
//!
//! A text log does not say who wrote a line: anybody may send one to syslog, under any name. So a line ends with an HMAC-SHA256
//! of itself, made with a secret that only root can read. Who repeats a sealed line says nothing new: it names its connection.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// What stands between a line and its seal.
const MARK: &str = " mac=";
/// Bytes of the HMAC that are kept: 128 bits.
const LENGTH: usize = 16;

/// A secret of root's.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub [u8; 32]);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Secret {
    /// `line` with its seal.
    #[must_use]
    pub fn seal(&self, line: &str) -> String {
        format!("{line}{MARK}{}", crate::cache::seal::hex(&self.sum(line)))
    }

    /// Whether `line` ends with the seal that this secret makes for what stands before it.
    #[must_use]
    pub fn is_sealed(&self, line: &str) -> bool {
        // Not constant in time: who compares reads a file, and tells nobody how long it took.
        line.rsplit_once(MARK).is_some_and(|(text, seal)| seal == crate::cache::seal::hex(&self.sum(text)))
    }

    fn sum(&self, line: &str) -> [u8; LENGTH] {
        let mut sum = [0; LENGTH];
        // HMAC takes keys of any length: this does not fail.
        if let Ok(mac) = Hmac::<Sha256>::new_from_slice(&self.0) {
            let full = mac.chain_update(line).finalize().into_bytes();
            sum.iter_mut().zip(full).for_each(|(to, from)| *to = from);
        }
        sum
    }
}

/// `line` as it is where there is no secret to seal it with.
#[must_use]
pub fn unsealed(line: &str) -> String {
    format!("{line}{MARK}{}", super::NONE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seal_fits_its_line_and_its_secret() {
        let secret = Secret([7; 32]);
        let sealed = secret.seal("session opened owner=john");
        assert!(secret.is_sealed(&sealed) && sealed.len() == "session opened owner=john".len() + 5 + 32, "{sealed}");
        assert!(!Secret([8; 32]).is_sealed(&sealed));
        for forged in [
            sealed.replace("john", "boss"),
            sealed.to_uppercase(),
            format!("{sealed} "),
            unsealed("session opened owner=john"),
            "session opened owner=john".to_owned(),
            "session opened owner=john mac=".to_owned(),
        ] {
            assert!(!secret.is_sealed(&forged), "{forged}");
        }
    }

    #[test]
    fn it_is_hmac_sha256() {
        // RFC 4231, test case 2, padded key: HMAC pads keys with zeros up to its block.
        let mut key = [0; 32];
        key[..4].copy_from_slice(b"Jefe");
        let expected = "5bdcc146bf60754e6a042426089575c7";
        assert_eq!(
            Secret(key).seal("what do ya want for nothing?"),
            format!("what do ya want for nothing? mac={expected}")
        );
    }
}
