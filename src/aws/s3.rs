//! One S3 GetObject, with the owner of the bucket checked by S3 and the body bounded.

use super::{Account, classify, retries};
use crate::config::Config;
use crate::lookup::ports::FetchError;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, IdentityCache, ResponseChecksumValidation, StalledStreamProtectionConfig};
use iam_ssh_core::document::MAX_LEN;

pub(super) fn client(account: &Account, config: &Config) -> Client {
    let mut builder = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(account.region.clone())
        .credentials_provider(account.credentials.clone())
        .http_client(account.http.clone())
        .timeout_config(account.timeouts.clone())
        .retry_config(retries())
        .identity_cache(IdentityCache::no_cache())
        // TLS already guards the bytes, and each line is parsed strictly.
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        // The attempt's own timeout is shorter than this protection's grace.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
    if let Some(endpoint) = &config.endpoint {
        builder = builder.endpoint_url(&endpoint.url).force_path_style(true);
    }
    Client::from_conf(builder.build())
}

/// Fetches `key`. A missing bucket is not a missing object: it says nothing about the principal.
pub(super) async fn get(client: &Client, bucket: &str, owner: Option<&str>, key: &str) -> Result<Vec<u8>, FetchError> {
    let request = client.get_object().bucket(bucket).key(key).set_expected_bucket_owner(owner.map(str::to_owned));
    let where_ = || format!("s3://{bucket}/{key}");
    let mut object = request.send().await.map_err(|error| explain(classify(&error, &["NoSuchKey"]), &where_()))?;
    let too_large = || FetchError::Transient(format!("{}: larger than {MAX_LEN} bytes, so not read", where_()));
    if object.content_length().is_some_and(|len| usize::try_from(len).is_ok_and(|len| len > MAX_LEN)) {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    while let Some(chunk) = object.body.next().await {
        let chunk = chunk.map_err(|e| FetchError::Transient(format!("{}: the body broke off: {e}", where_())))?;
        if bytes.len() + chunk.len() > MAX_LEN {
            return Err(too_large());
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

fn explain(error: FetchError, where_: &str) -> FetchError {
    match error {
        FetchError::Missing(why) => FetchError::Missing(format!(
            "{where_}: {why} (no such IAM user or group, spelt in IAM's own case, or not published yet by iam-ssh-sync)"
        )),
        FetchError::Denied(why) => FetchError::Denied(format!(
            "{where_}: {why} (the instance role needs s3:GetObject on it and s3:ListBucket on the bucket, and bucket_owner must be right)"
        )),
        FetchError::Transient(why) => FetchError::Transient(format!("{where_}: {why}")),
    }
}
