//! The certificates of a PEM bundle that TLS can use as roots of trust. Pure.
//!
//! It must leave out what cannot be used, as the system's own roots are treated: the SDK would panic at the first odd certificate,
//! and bundles that were collected from a system hold some.

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// The usable certificates of the bundle, as PEM; `None` if there is none.
#[must_use]
pub fn usable(bundle: &[u8]) -> Option<Vec<u8>> {
    let text = String::from_utf8_lossy(bundle);
    let mut kept = String::new();
    let blocks = text.split(BEGIN).skip(1).filter_map(|rest| rest.split_once(END));
    for block in blocks.map(|(body, _)| format!("{BEGIN}{body}{END}\n")) {
        let certificate = CertificateDer::from_pem_slice(block.as_bytes());
        if certificate.is_ok_and(|certificate| RootCertStore::empty().add(certificate).is_ok()) {
            kept.push_str(&block);
        }
    }
    (!kept.is_empty()).then(|| kept.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::usable;

    #[test]
    fn garbage_is_left_out() {
        assert_eq!(usable(b""), None);
        assert_eq!(usable(b"\xff\xfe no certificate"), None);
        assert_eq!(usable(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), None);
        assert_eq!(usable(b"-----BEGIN CERTIFICATE-----\n%%%\n-----END CERTIFICATE-----\n"), None);
        assert_eq!(usable(b"-----BEGIN CERTIFICATE-----\nAAAA\n"), None);
    }
}
