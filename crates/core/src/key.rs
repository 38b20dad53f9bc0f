//! SSH public keys: every plain type that OpenSSH accepts today, checked down to the last byte.
//!
//! A [`PublicKey`] is proof of the check: the type outside equals the type inside the blob, the fields are those of
//! that type and nothing follows them, RSA has at least 2048 bits, an ECDSA point lies on its curve. It must never be
//! more lenient than `ssh-keygen -l`: a property test runs the two side by side. Certificates are not plain keys and
//! are refused: a `cert-authority` would let its owner mint keys that IAM never saw.

use crate::curve::Curve;
use crate::text::escape;
use crate::wire::{Reader, bits};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use sha2::{Digest as _, Sha256};
use std::fmt;

/// Fewest bits of an RSA modulus: what IAM demands at upload, and RHEL's crypto-policy at login.
pub const RSA_MIN_BITS: usize = 2048;
/// Most bits of an RSA modulus that OpenSSH reads (`SSHBUF_MAX_BIGNUM`).
pub const RSA_MAX_BITS: usize = 16384;
/// Most characters of a base64 key blob: IAM's limit for a whole key body (`publicKeyMaterialType`).
pub const MAX_BASE64_LEN: usize = 16_384;

/// A plain public key type, named as in `authorized_keys`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyType {
    /// `ssh-ed25519`
    Ed25519,
    /// `sk-ssh-ed25519@openssh.com`: on a FIDO token (OpenSSH 8.2).
    SkEd25519,
    /// `ecdsa-sha2-nistp256`
    EcdsaP256,
    /// `ecdsa-sha2-nistp384`
    EcdsaP384,
    /// `ecdsa-sha2-nistp521`
    EcdsaP521,
    /// `sk-ecdsa-sha2-nistp256@openssh.com`: on a FIDO token (OpenSSH 8.2).
    SkEcdsaP256,
    /// `ssh-rsa`: the key type, whatever the signature algorithm.
    Rsa,
    /// `ssh-mldsa44-ed25519@openssh.com`: post-quantum composite (OpenSSH 10.5).
    MlDsa44Ed25519,
}

/// A checked public key. Ordered and compared by its bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey {
    key_type: KeyType,
    blob: Vec<u8>,
}

/// Why a text is not a public key that iam-ssh accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyError {
    /// There is no type and no base64 blob.
    Missing,
    /// The type is not one of [`KeyType`]; it is given escaped.
    Type(String),
    /// The blob is not canonical base64, or longer than [`MAX_BASE64_LEN`].
    Base64,
    /// The type inside the blob is not the type in front of it.
    InnerType(KeyType),
    /// The blob's fields are not those of its type, or something follows them.
    Malformed(KeyType),
    /// An RSA modulus outside [`RSA_MIN_BITS`] to [`RSA_MAX_BITS`]; its size in bits.
    RsaSize(usize),
}

impl KeyType {
    /// Every type, in the order of the enum.
    pub const ALL: [Self; 8] = [
        Self::Ed25519,
        Self::SkEd25519,
        Self::EcdsaP256,
        Self::EcdsaP384,
        Self::EcdsaP521,
        Self::SkEcdsaP256,
        Self::Rsa,
        Self::MlDsa44Ed25519,
    ];

    /// The type's name in `authorized_keys` and in blobs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ed25519 => "ssh-ed25519",
            Self::SkEd25519 => "sk-ssh-ed25519@openssh.com",
            Self::EcdsaP256 => "ecdsa-sha2-nistp256",
            Self::EcdsaP384 => "ecdsa-sha2-nistp384",
            Self::EcdsaP521 => "ecdsa-sha2-nistp521",
            Self::SkEcdsaP256 => "sk-ecdsa-sha2-nistp256@openssh.com",
            Self::Rsa => "ssh-rsa",
            Self::MlDsa44Ed25519 => "ssh-mldsa44-ed25519@openssh.com",
        }
    }

    /// The type of that name, exactly as written; `None` for every other text.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|t| t.as_str() == name)
    }
}

impl PublicKey {
    /// Takes a key as sshd's `%t` and `%k` give it: its type and its blob in base64.
    ///
    /// # Errors
    /// [`KeyError`]: see there.
    pub fn new(type_name: &str, base64: &str) -> Result<Self, KeyError> {
        let key_type = KeyType::from_name(type_name).ok_or_else(|| KeyError::Type(escape(type_name.as_bytes(), 64)))?;
        if base64.len() > MAX_BASE64_LEN {
            return Err(KeyError::Base64);
        }
        let blob = STANDARD.decode(base64).map_err(|_| KeyError::Base64)?;
        check(key_type, &blob)?;
        Ok(Self { key_type, blob })
    }

    /// Takes one line as in a `.pub` file or from IAM's `GetSSHPublicKey`: type, base64, and a comment that is
    /// dropped.
    ///
    /// # Errors
    /// [`KeyError`]: see there.
    pub fn from_openssh(line: &str) -> Result<Self, KeyError> {
        let mut words = line.split_ascii_whitespace();
        match (words.next(), words.next()) {
            (Some(type_name), Some(base64)) => Self::new(type_name, base64),
            _ => Err(KeyError::Missing),
        }
    }

    /// The key's type.
    #[must_use]
    pub fn key_type(&self) -> KeyType {
        self.key_type
    }

    /// SHA-256 of the blob.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(&self.blob).into()
    }

    /// The fingerprint as `ssh-keygen -l` prints it: `SHA256:` and 43 characters of unpadded base64.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        format!("SHA256:{}", STANDARD_NO_PAD.encode(self.digest()))
    }
}

fn check(key_type: KeyType, blob: &[u8]) -> Result<(), KeyError> {
    let malformed = KeyError::Malformed(key_type);
    let mut fields = Reader::new(blob);
    let inner = fields.string().ok_or_else(|| malformed.clone())?;
    if inner != key_type.as_str().as_bytes() {
        return Err(KeyError::InnerType(key_type));
    }
    let good = match key_type {
        KeyType::Ed25519 => fixed(&mut fields, 32),
        KeyType::SkEd25519 => fixed(&mut fields, 32) && application(&mut fields),
        KeyType::EcdsaP256 => point(&mut fields, Curve::P256),
        KeyType::EcdsaP384 => point(&mut fields, Curve::P384),
        KeyType::EcdsaP521 => point(&mut fields, Curve::P521),
        KeyType::SkEcdsaP256 => point(&mut fields, Curve::P256) && application(&mut fields),
        KeyType::Rsa => rsa(&mut fields)?,
        // ML-DSA-44's public key (FIPS 204: 1,312 bytes), then Ed25519's, in one string.
        KeyType::MlDsa44Ed25519 => fixed(&mut fields, 1312 + 32),
    };
    if good && fields.at_end() { Ok(()) } else { Err(malformed) }
}

fn fixed(fields: &mut Reader<'_>, len: usize) -> bool {
    fields.string().is_some_and(|value| value.len() == len)
}

fn point(fields: &mut Reader<'_>, curve: Curve) -> bool {
    fields.string() == Some(curve.name().as_bytes()) && fields.string().is_some_and(|p| curve.has_point(p))
}

/// A FIDO application (`ssh:` or what the owner chose): printable ASCII, as it travels through logs and tools.
fn application(fields: &mut Reader<'_>) -> bool {
    fields.string().is_some_and(|app| !app.is_empty() && app.len() <= 255 && app.iter().all(u8::is_ascii_graphic))
}

fn rsa(fields: &mut Reader<'_>) -> Result<bool, KeyError> {
    let (Some(exponent), Some(modulus)) = (fields.positive_mpint(), fields.positive_mpint()) else {
        return Ok(false);
    };
    let size = bits(modulus);
    if !(RSA_MIN_BITS..=RSA_MAX_BITS).contains(&size) {
        return Err(KeyError::RsaSize(size));
    }
    let odd = |n: &[u8]| n.last().is_some_and(|low| low & 1 == 1);
    Ok(odd(exponent) && odd(modulus) && bits(exponent) >= 2 && bits(exponent) <= 64)
}

impl fmt::Display for KeyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for PublicKey {
    /// `<type> <base64>`, without a comment.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.key_type, STANDARD.encode(&self.blob))
    }
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => write!(f, "no public key: expected a type and a base64 blob"),
            Self::Type(name) => write!(f, "key type `{name}` is not accepted"),
            Self::Base64 => write!(f, "the key is not valid base64"),
            Self::InnerType(outer) => write!(f, "the key says {outer} but its blob is of another type"),
            Self::Malformed(key_type) => write!(f, "the {key_type} key is malformed"),
            Self::RsaSize(size) => {
                write!(f, "the RSA key has {size} bits, accepted are {RSA_MIN_BITS} to {RSA_MAX_BITS}")
            }
        }
    }
}

impl std::error::Error for KeyError {}
