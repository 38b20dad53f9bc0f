//! One S3 GetObject, conditional where a copy is there, with the owner of the bucket checked by S3, the body bounded and
//! its checksum compared.

use super::{Account, Failed, classify, retries};
use crate::config::Config;
use crate::lookup::ports::{FetchError, Object};
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
        // S3 gives the checksum that the object was stored with.
        .response_checksum_validation(ResponseChecksumValidation::WhenSupported)
        // The attempt's own timeout is shorter than this protection's grace.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
    if let Some(endpoint) = &config.endpoint {
        builder = builder.endpoint_url(&endpoint.url).force_path_style(true);
    }
    Client::from_conf(builder.build())
}

/// Fetches `key` unless it still is the one with `etag`. A missing bucket is not a missing object: it says nothing about
/// the principal.
pub(super) async fn get(
    client: &Client,
    (bucket, owner): (&str, Option<&str>),
    key: &str,
    etag: Option<&str>,
) -> Result<Object, Failed> {
    let request = client.get_object().bucket(bucket).key(key);
    let request =
        request.set_expected_bucket_owner(owner.map(str::to_owned)).set_if_none_match(etag.map(str::to_owned));
    let where_ = || format!("s3://{bucket}/{key}");
    let mut object = match request.send().await {
        Ok(object) => object,
        Err(error) => {
            let unchanged = error.raw_response().is_some_and(|response| response.status().as_u16() == 304);
            if unchanged && etag.is_some() {
                return Ok(Object::Unchanged);
            }
            let failed = classify(&error, &["NoSuchKey"]);
            return Err(Failed { error: explain(failed.error, &where_()), ..failed });
        }
    };
    let too_large =
        || Failed::from(FetchError::Transient(format!("{}: larger than {MAX_LEN} bytes, so not read", where_())));
    let length = object.content_length().and_then(|len| usize::try_from(len).ok());
    if length.is_some_and(|len| len > MAX_LEN) {
        return Err(too_large());
    }
    let mut bytes = Vec::with_capacity(length.unwrap_or_default());
    while let Some(chunk) = object.body.next().await {
        let chunk =
            chunk.map_err(|e| FetchError::Transient(format!("{}: the body broke off: {}", where_(), chain(&e))))?;
        if bytes.len() + chunk.len() > MAX_LEN {
            return Err(too_large());
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(Object::Content { bytes, etag: object.e_tag })
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
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
