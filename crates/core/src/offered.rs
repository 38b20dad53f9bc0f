//! The fingerprint of whatever a client offered, as sshd's `%f` gives it.
//!
//! It is for handing on to another AuthorizedKeysCommand and decides nothing: also a key that [`PublicKey`] refuses
//! has one, and of a certificate it is that of the plain key inside.
//!
//! [`PublicKey`]: crate::PublicKey

use crate::wire::Reader;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use sha2::{Digest as _, Sha256};

/// What stands in the name of a certificate's type.
const CERTIFICATE: &str = "-cert-v01@openssh.com";

/// The SHA-256 fingerprint of an offered key or certificate, from sshd's `%t` and `%k`; `None` where the two are none.
#[must_use]
pub fn fingerprint(type_name: &str, base64: &str) -> Option<String> {
    let blob = STANDARD.decode(base64).ok()?;
    let plain = match type_name.strip_suffix(CERTIFICATE) {
        Some(name) => plain_key(name, &blob)?,
        None => blob,
    };
    Some(format!("SHA256:{}", STANDARD_NO_PAD.encode(Sha256::digest(plain))))
}

/// The plain key in a certificate (OpenSSH's PROTOCOL.certkeys): its type, a nonce, the fields of the key, the rest.
fn plain_key(name: &str, certificate: &[u8]) -> Option<Vec<u8>> {
    let (name, fields) = match name {
        "ssh-ed25519" => (name.to_owned(), 1),
        "ssh-rsa" => (name.to_owned(), 2),
        "sk-ssh-ed25519" => (format!("{name}@openssh.com"), 2),
        "sk-ecdsa-sha2-nistp256" => (format!("{name}@openssh.com"), 3),
        _ if name.starts_with("ecdsa-sha2-") => (name.to_owned(), 2),
        _ => return None,
    };
    let mut reader = Reader::new(certificate);
    let (_type, _nonce) = (reader.string()?, reader.string()?);
    let mut plain = Vec::new();
    push(&mut plain, name.as_bytes())?;
    for _ in 0..fields {
        push(&mut plain, reader.string()?)?;
    }
    Some(plain)
}

fn push(blob: &mut Vec<u8>, field: &[u8]) -> Option<()> {
    blob.extend_from_slice(&u32::try_from(field.len()).ok()?.to_be_bytes());
    blob.extend_from_slice(field);
    Some(())
}
