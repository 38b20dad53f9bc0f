//! One SSM GetParameter.

use super::{Account, Failed, classify, retries};
use crate::config::Config;
use crate::lookup::ports::FetchError;
use aws_sdk_ssm::Client;
use aws_sdk_ssm::config::{BehaviorVersion, IdentityCache, Region};

pub(super) fn client(account: &Account, config: &Config, region: Region) -> Client {
    let mut builder = aws_sdk_ssm::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(region)
        .credentials_provider(account.credentials.clone())
        .http_client(account.http.clone())
        .timeout_config(account.timeouts.clone())
        .retry_config(retries())
        .identity_cache(IdentityCache::no_cache());
    if let Some(endpoint) = &config.endpoint {
        builder = builder.endpoint_url(&endpoint.url);
    }
    Client::from_conf(builder.build())
}

/// The value of the parameter `name`, decrypted where it is a SecureString.
pub(super) async fn get(client: &Client, name: &str) -> Result<String, Failed> {
    let output = client.get_parameter().name(name).with_decryption(true).send().await;
    let output = output.map_err(|error| {
        let failed = classify(&error, &["ParameterNotFound"]);
        let error = match failed.error {
            FetchError::Missing(why) => {
                FetchError::Missing(format!("{why} (there is no such SSM parameter in the instance's region)"))
            }
            FetchError::Denied(why) => {
                FetchError::Denied(format!("{why} (the instance role needs ssm:GetParameter on it)"))
            }
            FetchError::Transient(why) => FetchError::Transient(why),
        };
        Failed { error, ..failed }
    })?;
    let value = output.parameter.and_then(|p| p.value);
    Ok(value.ok_or_else(|| FetchError::Missing("the parameter has no value".to_owned()))?)
}
