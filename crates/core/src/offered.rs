//! What a client offered or proved, as sshd names it: `%t` and `%k`, or a line of `SSH_AUTH_INFO_0`.
//!
//! It is for handing on to another AuthorizedKeysCommand and for the log, and decides nothing: also a key that [`PublicKey`]
//! refuses has a fingerprint, and a certificate is known by the key inside, as sshd's `%f` does it. What a certificate says of
//! itself is its authority's word, whoever that is.
//!
//! [`PublicKey`]: crate::PublicKey

use crate::wire::Reader;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use sha2::{Digest as _, Sha256};

/// What stands in the name of a certificate's type.
const CERTIFICATE: &str = "-cert-v01@openssh.com";

/// A key or a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offered {
    /// The type of the plain key.
    pub key_type: String,
    /// The blob of the plain key.
    blob: Vec<u8>,
    /// What the certificate says, if it is one.
    pub certificate: Option<Certificate>,
}

/// What a certificate says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// Its key id: any bytes.
    pub key_id: Vec<u8>,
    /// Fingerprint of the key that signed it.
    pub authority: String,
}

impl Offered {
    /// Reads a type and a blob in base64; `None` where the two are neither a key nor a certificate.
    #[must_use]
    pub fn read(type_name: &str, base64: &str) -> Option<Self> {
        let blob = STANDARD.decode(base64).ok()?;
        match type_name.strip_suffix(CERTIFICATE) {
            Some(name) => certificate(name, &blob),
            None => Some(Self { key_type: type_name.to_owned(), blob, certificate: None }),
        }
    }

    /// The SHA-256 fingerprint of the plain key.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        sha256(&self.blob)
    }

    /// The blob of the plain key, in base64.
    #[must_use]
    pub fn base64(&self) -> String {
        STANDARD.encode(&self.blob)
    }
}

/// The SHA-256 fingerprint of an offered key or certificate, from sshd's `%t` and `%k`; `None` where the two are none.
#[must_use]
pub fn fingerprint(type_name: &str, base64: &str) -> Option<String> {
    Offered::read(type_name, base64).map(|offered| offered.fingerprint())
}

fn sha256(blob: &[u8]) -> String {
    format!("SHA256:{}", STANDARD_NO_PAD.encode(Sha256::digest(blob)))
}

/// The fields of a certificate (OpenSSH's PROTOCOL.certkeys): its type, a nonce, the fields of the key, then what it says.
fn certificate(name: &str, blob: &[u8]) -> Option<Offered> {
    let (name, fields) = match name {
        "ssh-ed25519" => (name.to_owned(), 1),
        "ssh-rsa" => (name.to_owned(), 2),
        "sk-ssh-ed25519" => (format!("{name}@openssh.com"), 2),
        "sk-ecdsa-sha2-nistp256" => (format!("{name}@openssh.com"), 3),
        _ if name.starts_with("ecdsa-sha2-") => (name.to_owned(), 2),
        _ => return None,
    };
    let mut reader = Reader::new(blob);
    let (_type, _nonce) = (reader.string()?, reader.string()?);
    let mut plain = Vec::new();
    push(&mut plain, name.as_bytes())?;
    for _ in 0..fields {
        push(&mut plain, reader.string()?)?;
    }
    let (_serial, _kind) = (reader.fixed::<8>()?, reader.fixed::<4>()?);
    let key_id = reader.string()?.to_vec();
    let (_principals, _after, _before) = (reader.string()?, reader.fixed::<8>()?, reader.fixed::<8>()?);
    let (_critical, _extensions, _reserved) = (reader.string()?, reader.string()?, reader.string()?);
    let authority = sha256(reader.string()?);
    Some(Offered { key_type: name, blob: plain, certificate: Some(Certificate { key_id, authority }) })
}

fn push(blob: &mut Vec<u8>, field: &[u8]) -> Option<()> {
    blob.extend_from_slice(&u32::try_from(field.len()).ok()?.to_be_bytes());
    blob.extend_from_slice(field);
    Some(())
}
