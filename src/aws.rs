//! The only place that knows the AWS SDK: S3, SSM and the instance metadata service behind the lookup's traits.
//!
//! It reads no environment variable, no home directory and no proxy setting unless the administrator chose
//! `credentials = "default-chain"`. Clients are built once, when the first of them is needed; credentials and region
//! are asked for once.

mod http;
pub mod imds;
mod s3;
mod ssm;

use crate::config::{Config, CredentialSource};
use crate::lookup::ports::{FetchError, Instance, Objects, Parameters};
use crate::trusted::Trust;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{Credentials, Region, SharedCredentialsProvider, SharedHttpClient};
use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use imds::Imds;
use std::time::Duration;
use tokio::sync::OnceCell;

/// AWS as one configuration sees it.
#[derive(Debug)]
pub struct Aws<'a> {
    config: &'a Config,
    imds: Imds,
    account: OnceCell<Result<Account, FetchError>>,
    s3: OnceCell<aws_sdk_s3::Client>,
    ssm: OnceCell<Result<aws_sdk_ssm::Client, FetchError>>,
}

/// What every client needs.
#[derive(Debug, Clone)]
struct Account {
    credentials: SharedCredentialsProvider,
    /// The bucket's region.
    region: Region,
    http: SharedHttpClient,
    timeouts: TimeoutConfig,
}

impl<'a> Aws<'a> {
    /// AWS as `config` describes it. Nothing is asked yet.
    #[must_use]
    pub fn new(config: &'a Config) -> Self {
        Self {
            config,
            imds: Imds::new(&config.imds_endpoint),
            account: OnceCell::new(),
            s3: OnceCell::new(),
            ssm: OnceCell::new(),
        }
    }

    async fn account(&self) -> Result<&Account, FetchError> {
        self.account.get_or_init(|| self.open()).await.as_ref().map_err(Clone::clone)
    }

    async fn open(&self) -> Result<Account, FetchError> {
        let http = http::client(self.config.ca_bundle.as_deref(), Trust::ROOT)?;
        let (credentials, chain_region) = match self.config.credentials {
            CredentialSource::Instance => {
                (SharedCredentialsProvider::new(instance_credentials(self.imds.credentials().await?)), None)
            }
            CredentialSource::DefaultChain => default_chain(http.clone(), self.config.region.as_deref()).await?,
        };
        let region = match (&self.config.region, chain_region) {
            (Some(region), _) => Region::new(region.clone()),
            (None, Some(region)) => region,
            (None, None) => Region::new(self.imds.region().await?),
        };
        Ok(Account { credentials, region, http, timeouts: timeouts(self.config.deadline) })
    }

    async fn s3(&self) -> Result<&aws_sdk_s3::Client, FetchError> {
        let account = self.account().await?;
        Ok(self.s3.get_or_init(|| async { s3::client(account, self.config) }).await)
    }

    async fn ssm(&self) -> Result<&aws_sdk_ssm::Client, FetchError> {
        let client = self.ssm.get_or_init(|| async {
            let account = self.account().await?;
            // The parameter lives beside the instance, wherever the bucket is. Off EC2 there is no such place, and
            // nobody to ask.
            let region = match self.config.credentials {
                CredentialSource::Instance => Region::new(self.imds.region().await?),
                CredentialSource::DefaultChain => account.region.clone(),
            };
            Ok(ssm::client(account, self.config, region))
        });
        client.await.as_ref().map_err(Clone::clone)
    }
}

impl Objects for Aws<'_> {
    async fn get(&self, key: &str) -> Result<Vec<u8>, FetchError> {
        let Some(bucket) = &self.config.bucket else {
            return Err(FetchError::Transient("no bucket is configured".to_owned()));
        };
        s3::get(self.s3().await?, bucket, self.config.bucket_owner.as_deref(), key).await
    }
}

impl Parameters for Aws<'_> {
    async fn get(&self, name: &str) -> Result<String, FetchError> {
        ssm::get(self.ssm().await?, name).await
    }
}

impl Instance for Aws<'_> {
    async fn role(&self) -> Result<String, FetchError> {
        self.imds.role().await
    }

    async fn tag(&self, key: &str) -> Result<String, FetchError> {
        self.imds.tag(key).await
    }
}

fn instance_credentials(found: imds::RoleCredentials) -> Credentials {
    Credentials::new(found.access_key_id, found.secret_access_key, Some(found.token), None, "iam-ssh-imds")
}

async fn default_chain(
    http: SharedHttpClient,
    region: Option<&str>,
) -> Result<(SharedCredentialsProvider, Option<Region>), FetchError> {
    let mut loader = aws_config::defaults(aws_config::BehaviorVersion::latest()).http_client(http);
    if let Some(region) = region {
        // Else the loader asks the metadata service for one, which outside EC2 may not even refuse.
        loader = loader.region(Region::new(region.to_owned()));
    }
    let config = loader.load().await;
    let provider = config.credentials_provider().ok_or_else(|| {
        FetchError::Transient("the SDK's default chain found no credentials (aws.credentials)".to_owned())
    })?;
    Ok((provider, config.region().cloned()))
}

/// Two attempts fit into the deadline, so that one lost packet or one `503 Slow Down` does not cost the login.
fn timeouts(deadline: Duration) -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(deadline.mul_f32(0.4))
        .operation_attempt_timeout(deadline.mul_f32(0.45))
        .operation_timeout(deadline)
        .build()
}

fn retries() -> RetryConfig {
    RetryConfig::standard().with_max_attempts(2).with_initial_backoff(Duration::from_millis(50))
}

/// Sorts a failed call by the failure table of the CONTRACT. `missing` are the service's codes for "there is none".
///
/// Only a plain denial is an answer about the caller's rights; codes about the caller's credentials or clock say
/// nothing about rights (S3 API reference, "Error responses"; SSM and common errors likewise).
fn classify<E>(error: &SdkError<E>, missing: &[&str]) -> FetchError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    const DENIED: [&str; 4] = ["AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AllAccessDisabled"];
    let Some(service) = error.as_service_error() else {
        return FetchError::Transient(DisplayErrorContext(error).to_string());
    };
    let code = service.code().unwrap_or("no error code");
    let text = format!("{code}: {}", service.message().unwrap_or("no message"));
    if missing.contains(&code) {
        FetchError::Missing(text)
    } else if DENIED.contains(&code) {
        FetchError::Denied(text)
    } else {
        FetchError::Transient(text)
    }
}
