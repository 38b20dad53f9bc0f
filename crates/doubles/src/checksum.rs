//! S3's CRC32 of an object: IEEE 802.3, big-endian, in base64.
//!
//! It must be what S3 sends, or every client that checks it would refuse the double's objects.

use std::sync::LazyLock;

use crate::base64::base64;

/// The header that carries it.
pub(crate) const CHECKSUM: &str = "x-amz-checksum-crc32";

/// The header's value for these bytes.
pub(crate) fn checksum(bytes: &[u8]) -> String {
    base64(&crc32(bytes).to_be_bytes())
}

fn crc32(bytes: &[u8]) -> u32 {
    let (table, mut crc): (&[u32; 256], u32) = (&TABLE, !0);
    // A plain loop: without optimisation, iterators would take seconds for a large object.
    for byte in bytes {
        let [low, ..] = (crc ^ u32::from(*byte)).to_le_bytes();
        if let Some(changed) = table.get(usize::from(low)) {
            crc = (crc >> 8) ^ changed;
        }
    }
    !crc
}

/// What each value of a byte does to the sum.
static TABLE: LazyLock<[u32; 256]> = LazyLock::new(|| {
    let shifted = |crc: u32, _| if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 };
    let mut byte = 0;
    std::array::from_fn(|_| {
        let entry = (0..8).fold(byte, shifted);
        byte += 1;
        entry
    })
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_value_of_the_standard() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
        assert_eq!(checksum(b"123456789"), "y/Q5Jg==");
        assert_eq!(checksum(b""), "AAAAAA==");
    }
}
