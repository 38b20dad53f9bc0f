//! The only place that knows the AWS SDK: S3, SSM and the instance metadata service behind the lookup's traits.
//!
//! It reads no environment variable, no home directory and no proxy setting unless the administrator chose
//! `credentials = "default-chain"`. Clients are built once, when the first of them is needed; credentials and region
//! are asked for once, and not at all while those that an earlier run left are good.

mod http;
pub mod imds;
mod s3;
mod ssm;

use crate::cache::state::{Host, InstanceFacts, RoleCredentials};
use crate::config::{Config, CredentialSource};
use crate::lookup::ports::{FetchError, Instance, Object, Objects, Parameters};
use crate::lookup::principals::{ROLE, parameter_name};
use crate::trusted::Trust;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{Credentials, Region, SharedCredentialsProvider, SharedHttpClient};
use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use iam_ssh_core::Expiry;
use imds::Imds;
use std::cell::{Cell, RefCell};
use std::time::Duration;
use tokio::sync::OnceCell;

/// How long before their end credentials are not used any more: AWS has new ones ready five minutes before.
const MARGIN: i64 = 300;

/// AWS as one configuration sees it.
#[derive(Debug)]
pub struct Aws<'a> {
    config: &'a Config,
    imds: Imds,
    /// With the credentials that an earlier run left, while they live.
    earlier: Option<Clients>,
    /// With those that the metadata service or the default chain gives now.
    current: Clients,
    /// Whether the earlier ones turned out not to be today's.
    outdated: Cell<bool>,
}

/// What is built once for one set of credentials.
#[derive(Debug, Default)]
struct Clients {
    /// What an earlier run learnt about the instance.
    remembered: Option<InstanceFacts>,
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

/// A failed call.
#[derive(Debug)]
struct Failed {
    error: FetchError,
    /// Other credentials might have been answered otherwise.
    blames_credentials: bool,
}

impl From<FetchError> for Failed {
    fn from(error: FetchError) -> Self {
        Self { error, blames_credentials: false }
    }
}

impl<'a> Aws<'a> {
    /// AWS as `config` describes it, with what an earlier run learnt about the instance. Nothing is asked yet. `now` is in
    /// seconds since 1970 UTC.
    #[must_use]
    pub fn new(config: &'a Config, remembered: Option<InstanceFacts>, now: i64) -> Self {
        let instance = config.credentials == CredentialSource::Instance;
        let remembered = remembered.filter(|facts| instance && live(&facts.credentials, now));
        Self {
            config,
            imds: Imds::new(&config.imds_endpoint),
            earlier: remembered.map(|facts| Clients { remembered: Some(facts), ..Clients::default() }),
            current: Clients::default(),
            outdated: Cell::new(false),
        }
    }

    /// What this run learnt about the instance `host`, if it is more than what was known.
    #[must_use]
    pub fn learnt(&self, host: &Host) -> Option<InstanceFacts> {
        let known = self.remembered();
        let region = self.imds.seen_region().or_else(|| known.and_then(|facts| facts.region.clone()));
        let (role, credentials) = match (self.imds.seen_credentials(), known) {
            (Some(seen), _) => seen,
            (None, Some(facts)) => (facts.role.clone(), facts.credentials.clone()),
            (None, None) => return None,
        };
        let endpoint = self.config.imds_endpoint.url.clone();
        let facts = InstanceFacts { host: host.clone(), endpoint, role, region, credentials };
        (known != Some(&facts)).then_some(facts)
    }

    fn remembered(&self) -> Option<&InstanceFacts> {
        self.earlier.as_ref()?.remembered.as_ref()
    }

    async fn account<'c>(&self, clients: &'c Clients) -> Result<&'c Account, FetchError> {
        let open = || self.open(clients.remembered.as_ref());
        clients.account.get_or_init(open).await.as_ref().map_err(Clone::clone)
    }

    async fn open(&self, remembered: Option<&InstanceFacts>) -> Result<Account, FetchError> {
        let http = http::client(self.config.ca_bundle.as_deref(), Trust::ROOT)?;
        let (credentials, chain_region) = match (self.config.credentials, remembered) {
            (CredentialSource::Instance, Some(facts)) => (provider(&facts.credentials), None),
            (CredentialSource::Instance, None) => {
                (provider(&self.imds.credentials().await.map_err(|why| no_answer(&why))?), None)
            }
            (CredentialSource::DefaultChain, _) => default_chain(http.clone(), self.config.region.as_deref()).await?,
        };
        let region = match (&self.config.region, chain_region) {
            (Some(region), _) => Region::new(region.clone()),
            (None, Some(region)) => region,
            (None, None) => Region::new(self.region().await?),
        };
        Ok(Account { credentials, region, http, timeouts: timeouts(self.config.deadline) })
    }

    /// The instance's region, which never changes.
    async fn region(&self) -> Result<String, FetchError> {
        match self.remembered().and_then(|facts| facts.region.clone()) {
            Some(region) => Ok(region),
            None => self.imds.region().await.map_err(|why| no_answer(&why)),
        }
    }

    /// Name of the role whose credentials these are.
    async fn role(&self, clients: &Clients) -> Result<String, FetchError> {
        match &clients.remembered {
            Some(facts) => Ok(facts.role.clone()),
            None => self.imds.role().await,
        }
    }

    async fn s3<'c>(&self, clients: &'c Clients) -> Result<&'c aws_sdk_s3::Client, FetchError> {
        let account = self.account(clients).await?;
        Ok(clients.s3.get_or_init(|| async { s3::client(account, self.config) }).await)
    }

    async fn ssm<'c>(&self, clients: &'c Clients) -> Result<&'c aws_sdk_ssm::Client, FetchError> {
        let client = clients.ssm.get_or_init(|| async {
            let account = self.account(clients).await?;
            // The parameter lives beside the instance, wherever the bucket is. Off EC2 there is no such place, and
            // nobody to ask.
            let region = match self.config.credentials {
                CredentialSource::Instance => Region::new(self.region().await?),
                CredentialSource::DefaultChain => account.region.clone(),
            };
            Ok(ssm::client(account, self.config, region))
        });
        client.await.as_ref().map_err(Clone::clone)
    }

    /// Makes a call with the credentials of an earlier run. What they are refused is asked again with today's, if these are
    /// others: the role may have been exchanged since. Where today's are not to be had, the refusal says nothing.
    async fn call<T>(&self, ask: impl AsyncFn(&Clients) -> Result<T, Failed>) -> Result<T, FetchError> {
        if let Some(earlier) = self.earlier.as_ref().filter(|_| !self.outdated.get()) {
            let failed = match ask(earlier).await {
                Err(failed) if failed.blames_credentials => failed.error,
                other => return other.map_err(|failed| failed.error),
            };
            match self.imds.credentials().await {
                Ok(today) if self.remembered().is_some_and(|facts| facts.credentials == today) => return Err(failed),
                Ok(_) => self.outdated.set(true),
                Err(why) => return Err(FetchError::Transient(format!("{failed}, with credentials of before; {why}"))),
            }
        }
        ask(&self.current).await.map_err(|failed| failed.error)
    }
}

impl Objects for Aws<'_> {
    async fn get(&self, key: &str, etag: Option<&str>) -> Result<Object, FetchError> {
        let Some(bucket) = &self.config.bucket else {
            return Err(FetchError::Transient("no bucket is configured".to_owned()));
        };
        let bucket = (bucket.as_str(), self.config.bucket_owner.as_deref());
        self.call(async |clients| s3::get(self.s3(clients).await?, bucket, key, etag).await).await
    }
}

impl Parameters for Aws<'_> {
    async fn get(&self, template: &str) -> (String, Result<String, FetchError>) {
        // The role goes with the credentials: those of one role must not ask for another role's list.
        let asked = RefCell::new(template.to_owned());
        let value = self.call(async |clients| {
            if template.contains(ROLE) {
                let name = parameter_name(template, &self.role(clients).await?)?;
                asked.replace(name);
            }
            let name = asked.borrow().clone();
            ssm::get(self.ssm(clients).await?, &name).await
        });
        let value = value.await;
        (asked.into_inner(), value)
    }
}

impl Instance for Aws<'_> {
    async fn tag(&self, key: &str) -> Result<String, FetchError> {
        self.imds.tag(key).await
    }
}

/// Whatever keeps a question from being asked is no answer to it, also where the metadata service says "not found".
fn no_answer(error: &FetchError) -> FetchError {
    FetchError::Transient(error.to_string())
}

fn provider(found: &RoleCredentials) -> SharedCredentialsProvider {
    let token = Some(found.token.clone());
    SharedCredentialsProvider::new(Credentials::new(
        &found.access_key_id,
        &found.secret_access_key,
        token,
        None,
        "iam-ssh-imds",
    ))
}

/// Whether credentials that were remembered can still be used. Those whose end cannot be read cannot.
fn live(credentials: &RoleCredentials, now: i64) -> bool {
    let digits = credentials.expiration.replace(['-', ':', 'T'], "");
    Expiry::parse(&digits).is_some_and(|end| !end.has_passed(now.saturating_add(MARGIN)))
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

/// Codes about the caller's credentials (S3 API reference, "Error responses"; SSM API reference, "Common error types").
const CREDENTIALS: [&str; 9] = [
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidToken",
    "TokenRefreshRequired",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "UnrecognizedClientException",
    "SignatureDoesNotMatch",
    "InvalidSignatureException",
];

/// Sorts a failed call by the failure table of the CONTRACT. `missing` are the service's codes for "there is none".
///
/// Only a plain denial is an answer about the caller's rights; codes about the caller's credentials or clock say
/// nothing about rights (S3 API reference, "Error responses"; SSM and common errors likewise).
fn classify<E>(error: &SdkError<E>, missing: &[&str]) -> Failed
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    const DENIED: [&str; 4] = ["AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AllAccessDisabled"];
    let Some(service) = error.as_service_error() else {
        return FetchError::Transient(DisplayErrorContext(error).to_string()).into();
    };
    let code = service.code().unwrap_or("no error code");
    let text = format!("{code}: {}", service.message().unwrap_or("no message"));
    let error = if missing.contains(&code) {
        FetchError::Missing(text)
    } else if DENIED.contains(&code) {
        FetchError::Denied(text)
    } else {
        FetchError::Transient(text)
    };
    Failed { error, blames_credentials: DENIED.contains(&code) || CREDENTIALS.contains(&code) }
}
