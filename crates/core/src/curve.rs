//! Whether an ECDSA public point lies on its curve.
//!
//! OpenSSH refuses a key whose point does not, when it parses it (`sshkey_ec_validate_public`); a parser that is to
//! accept only what sshd accepts must do the same. The three NIST curves have prime order, so a point that satisfies
//! `y² = x³ - 3x + b (mod p)` is of that order. Only public values are handled: nothing here is secret.

use num_bigint::BigUint;

/// A NIST prime curve of the `ecdsa-sha2-*` key types (parameters: FIPS 186-4, appendix D.1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Curve {
    P256,
    P384,
    P521,
}

impl Curve {
    /// The curve's name in key blobs.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::P256 => "nistp256",
            Self::P384 => "nistp384",
            Self::P521 => "nistp521",
        }
    }

    /// Length of one coordinate in bytes.
    fn field_len(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }

    fn prime(self) -> BigUint {
        let one = BigUint::from(1u8);
        match self {
            Self::P256 => (&one << 256u32) - (&one << 224u32) + (&one << 192u32) + (&one << 96u32) - one,
            Self::P384 => (&one << 384u32) - (&one << 128u32) - (&one << 96u32) + (&one << 32u32) - one,
            Self::P521 => (&one << 521u32) - one,
        }
    }

    fn b(self) -> BigUint {
        BigUint::from_bytes_be(match self {
            Self::P256 => &[
                0x5a, 0xc6, 0x35, 0xd8, 0xaa, 0x3a, 0x93, 0xe7, 0xb3, 0xeb, 0xbd, 0x55, 0x76, 0x98, 0x86, 0xbc, 0x65,
                0x1d, 0x06, 0xb0, 0xcc, 0x53, 0xb0, 0xf6, 0x3b, 0xce, 0x3c, 0x3e, 0x27, 0xd2, 0x60, 0x4b,
            ],
            Self::P384 => &[
                0xb3, 0x31, 0x2f, 0xa7, 0xe2, 0x3e, 0xe7, 0xe4, 0x98, 0x8e, 0x05, 0x6b, 0xe3, 0xf8, 0x2d, 0x19, 0x18,
                0x1d, 0x9c, 0x6e, 0xfe, 0x81, 0x41, 0x12, 0x03, 0x14, 0x08, 0x8f, 0x50, 0x13, 0x87, 0x5a, 0xc6, 0x56,
                0x39, 0x8d, 0x8a, 0x2e, 0xd1, 0x9d, 0x2a, 0x85, 0xc8, 0xed, 0xd3, 0xec, 0x2a, 0xef,
            ],
            Self::P521 => &[
                0x00, 0x51, 0x95, 0x3e, 0xb9, 0x61, 0x8e, 0x1c, 0x9a, 0x1f, 0x92, 0x9a, 0x21, 0xa0, 0xb6, 0x85, 0x40,
                0xee, 0xa2, 0xda, 0x72, 0x5b, 0x99, 0xb3, 0x15, 0xf3, 0xb8, 0xb4, 0x89, 0x91, 0x8e, 0xf1, 0x09, 0xe1,
                0x56, 0x19, 0x39, 0x51, 0xec, 0x7e, 0x93, 0x7b, 0x16, 0x52, 0xc0, 0xbd, 0x3b, 0xb1, 0xbf, 0x07, 0x35,
                0x73, 0xdf, 0x88, 0x3d, 0x2c, 0x34, 0xf1, 0xef, 0x45, 0x1f, 0xd4, 0x6b, 0x50, 0x3f, 0x00,
            ],
        })
    }

    /// Whether `point` is an uncompressed point (`04 || x || y`, the only form OpenSSH reads) on this curve.
    pub(crate) fn has_point(self, point: &[u8]) -> bool {
        let Some((4, coordinates)) = point.split_first() else { return false };
        if coordinates.len() != 2 * self.field_len() {
            return false;
        }
        let (x, y) = coordinates.split_at(self.field_len());
        let (x, y) = (BigUint::from_bytes_be(x), BigUint::from_bytes_be(y));
        let p = self.prime();
        // OpenSSH also refuses coordinates of half the field's length or less, which no honest key has.
        let half = u64::try_from(self.field_len()).unwrap_or(0) * 4;
        if x >= p || y >= p || x.bits() <= half || y.bits() <= half {
            return false;
        }
        let left = (&y * &y) % &p;
        let minus_3x = (&p - ((&x * BigUint::from(3u8)) % &p)) % &p;
        let right = (&x * &x * &x + minus_3x + self.b()) % &p;
        left == right
    }
}
