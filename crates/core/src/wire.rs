//! Reads the fields of an SSH public key blob (RFC 4251 §5: `string`, `mpint`).
//!
//! Only what a public key needs. It must never read past the end and never accept a second spelling of one value:
//! two different blobs are two different keys to sshd.

/// A cursor over a key blob. Every read gives `None` where the blob does not hold what was asked for.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(blob: &'a [u8]) -> Self {
        Self { rest: blob }
    }

    /// A `string`: four bytes of length, big-endian, then that many bytes.
    pub(crate) fn string(&mut self) -> Option<&'a [u8]> {
        let (len, rest) = self.rest.split_first_chunk::<4>()?;
        let len = usize::try_from(u32::from_be_bytes(*len)).ok()?;
        let (value, rest) = rest.split_at_checked(len)?;
        self.rest = rest;
        Some(value)
    }

    /// `N` bytes as they stand: an integer.
    pub(crate) fn fixed<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (value, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*value)
    }

    /// A positive `mpint` in its only spelling: no sign bit, no superfluous leading zero. Gives its magnitude.
    pub(crate) fn positive_mpint(&mut self) -> Option<&'a [u8]> {
        match self.string()? {
            [] => None,
            [0, magnitude @ ..] => magnitude.first().is_some_and(|high| *high >= 0x80).then_some(magnitude),
            [high, ..] if *high >= 0x80 => None,
            magnitude => Some(magnitude),
        }
    }

    /// Whether all of the blob was read.
    pub(crate) fn at_end(&self) -> bool {
        self.rest.is_empty()
    }
}

/// Number of bits of a big-endian magnitude without leading zero bytes.
pub(crate) fn bits(magnitude: &[u8]) -> usize {
    match magnitude.first() {
        Some(high) => magnitude.len() * 8 - usize::try_from(high.leading_zeros()).unwrap_or(0),
        None => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mpints_have_one_spelling() {
        let one = |bytes: &[u8]| {
            let mut blob = u32::try_from(bytes.len()).unwrap_or(0).to_be_bytes().to_vec();
            blob.extend_from_slice(bytes);
            Reader::new(&blob).positive_mpint().map(<[u8]>::to_vec)
        };
        assert_eq!(one(&[3]), Some(vec![3]));
        assert_eq!(one(&[0, 0x80]), Some(vec![0x80]));
        assert_eq!(one(&[0x80]), None, "negative");
        assert_eq!(one(&[0, 3]), None, "padded");
        assert_eq!(one(&[0]), None, "zero");
        assert_eq!(one(&[]), None, "zero");
    }

    #[test]
    fn lengths_beyond_the_end_are_refused() {
        assert_eq!(Reader::new(&[0, 0, 0, 9, 1]).string(), None);
        assert_eq!(Reader::new(&[0xff, 0xff, 0xff, 0xff]).string(), None);
        assert_eq!(Reader::new(&[0, 0]).string(), None);
    }

    #[test]
    fn bits_are_counted() {
        assert_eq!(bits(&[0x80, 0]), 16);
        assert_eq!(bits(&[1, 0]), 9);
        assert_eq!(bits(&[]), 0);
    }
}
