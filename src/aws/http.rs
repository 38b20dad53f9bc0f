//! The SDK's HTTP client: ring, and few roots of trust.
//!
//! By default only the roots that AWS's endpoints chain to are trusted, compiled in: parsing the system's 140 roots
//! costs as much as the whole rest of a lookup, and none of the others has a say in who logs in. `ca_bundle` replaces
//! them, for an endpoint of one's own or a TLS-inspecting proxy.

use crate::lookup::ports::FetchError;
use crate::trusted::{self, Trust};
use aws_sdk_s3::config::SharedHttpClient;
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use std::path::Path;

/// Amazon Root CA 1 to 4 and Starfield Services Root CA - G2, as Mozilla's CA programme publishes them
/// (<https://www.amazontrust.com/repository/>).
const AMAZON_ROOTS: &str = include_str!("roots.pem");

/// Builds the client. Proxy settings of the environment are not read.
pub(super) fn client(ca_bundle: Option<&Path>, trust: Trust) -> Result<SharedHttpClient, FetchError> {
    let roots = match ca_bundle {
        None => AMAZON_ROOTS.as_bytes().to_vec(),
        Some(path) => {
            let bundle = trusted::read(path, trust).map_err(|why| FetchError::Transient(format!("ca_bundle {why}")))?;
            let none = || FetchError::Transient(format!("ca_bundle {}: no usable certificate in it", path.display()));
            iam_ssh_roots::usable(bundle.as_bytes()).ok_or_else(none)?
        }
    };
    let context = TlsContext::builder()
        .with_trust_store(TrustStore::empty().with_pem_certificate(roots))
        .build()
        .map_err(|why| FetchError::Transient(format!("the roots of trust are not usable: {why}")))?;
    Ok(Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).tls_context(context).build_https())
}
