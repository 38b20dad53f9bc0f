//! The AWS clients, built once per process: one HTTP client of ours, explicit timeouts, everything else as AWS tools find it.
//!
//! It must never use a TLS stack other than rustls with ring, and never leave a call without an end.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_s3::config::{ProvideCredentials, SharedCredentialsProvider, SharedHttpClient};
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use iam_ssh_core::text::escape;

use crate::cause;
use crate::error::Error;
use crate::settings::SettingsError;

/// The environment variable that names further roots of trust.
const CA_BUNDLE: &str = "AWS_CA_BUNDLE";

/// Clients for the two services that the sync uses.
#[derive(Debug, Clone)]
pub struct Clients {
    /// For the directory.
    pub iam: aws_sdk_iam::Client,
    /// For the bucket.
    pub s3: aws_sdk_s3::Client,
    /// How often a call is tried (`AWS_MAX_ATTEMPTS`).
    pub attempts: u32,
    config: SdkConfig,
}

impl Clients {
    /// Builds the clients from this process's environment and AWS files.
    ///
    /// # Errors
    /// When no region is set, `AWS_CA_BUNDLE` names something that cannot be used, or there are no credentials.
    pub async fn load() -> Result<Self, Error> {
        let config = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http_client()?)
            .timeout_config(timeouts())
            .load()
            .await;
        // What is no host label ends in a riddle much later.
        let is_label =
            |region: &str| !region.is_empty() && region.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if !config.region().is_some_and(|region| is_label(region.as_ref())) {
            return Err(SettingsError::NoRegion.into());
        }
        credentials(&config).await?;
        let attempts = config.retry_config().map_or(3, RetryConfig::max_attempts);
        Ok(Self { iam: iam_client(&config), s3: s3_client(&config), attempts, config })
    }

    /// A client for the directory of the account that this role belongs to.
    pub async fn iam_as(&self, role: &str, external_id: Option<&str>) -> aws_sdk_iam::Client {
        let role = AssumeRoleProvider::builder(role).configure(&self.config).session_name("iam-ssh-sync");
        let role = match external_id {
            Some(id) => role.external_id(id),
            None => role,
        };
        let credentials = SharedCredentialsProvider::new(role.build().await);
        let config = self.config.clone().into_builder().credentials_provider(credentials).build();
        iam_client(&config)
    }
}

/// Asks for credentials once, because the SDK's own word about missing ones, in the middle of a call, helps nobody.
async fn credentials(config: &SdkConfig) -> Result<(), Error> {
    let Some(provider) = config.credentials_provider() else {
        return Err(Error::Credentials("no source of them is configured".to_owned()));
    };
    match provider.provide_credentials().await {
        Ok(_) => Ok(()),
        Err(error) => Err(Error::Credentials(cause::chain(&error))),
    }
}

/// IAM is asked at a pace of ours, which also sees to what is to be tried again.
fn iam_client(config: &SdkConfig) -> aws_sdk_iam::Client {
    let config = aws_sdk_iam::config::Builder::from(config).retry_config(RetryConfig::disabled()).build();
    aws_sdk_iam::Client::from_conf(config)
}

/// S3 at a custom endpoint is asked path style: `bucket.127.0.0.1` is no host.
fn s3_client(config: &SdkConfig) -> aws_sdk_s3::Client {
    let custom = config.endpoint_url().is_some() || std::env::var_os("AWS_ENDPOINT_URL_S3").is_some();
    let mut builder = aws_sdk_s3::config::Builder::from(config);
    builder.set_force_path_style(custom.then_some(true));
    aws_sdk_s3::Client::from_conf(builder.build())
}

/// With these and the SDK's three attempts, a service that never answers ends the run within a minute.
fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(3))
        .read_timeout(Duration::from_secs(15))
        .operation_attempt_timeout(Duration::from_secs(30))
        .operation_timeout(Duration::from_secs(60))
        .build()
}

fn http_client() -> Result<SharedHttpClient, SettingsError> {
    let mut trust = TrustStore::default();
    if let Some(path) = std::env::var_os(CA_BUNDLE).filter(|path| !path.is_empty()) {
        let shown = escape(path.as_encoded_bytes(), 200);
        let unusable = |why: String| SettingsError::CaBundle(shown.clone(), why);
        let pem = std::fs::read(&path).map_err(|error| unusable(error.to_string()))?;
        let usable =
            iam_ssh_roots::usable(&pem).ok_or_else(|| unusable("there is no usable certificate in it".to_owned()))?;
        trust = trust.with_pem_certificate(usable);
    }
    let context = TlsContext::builder().with_trust_store(trust).build();
    let context = context.map_err(|error| SettingsError::CaBundle(String::new(), error.to_string()))?;
    Ok(Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).tls_context(context).build_https())
}
