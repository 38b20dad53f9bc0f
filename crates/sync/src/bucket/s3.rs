//! The bucket as S3's API tells it.
//!
//! It must follow every list to its end, take a truncated list that cannot be continued, or one that did not arrive whole, for an error, and name the expected owner in
//! every call once it is known. It must never read a body of unbounded size.

use std::fmt::Debug;

use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::EncodingType;
use iam_ssh_core::document::MAX_LEN;
use percent_encoding::percent_decode_str;

use super::{Bucket, BucketError};
use crate::cause::Cause;
use crate::whole;

/// A bucket, by S3's API.
#[derive(Debug, Clone)]
pub struct S3Bucket {
    client: Client,
    name: String,
    owner: Option<String>,
}

impl S3Bucket {
    /// The bucket `name`, which must be owned by the account `owner` if one is given.
    #[must_use]
    pub fn new(client: Client, name: String, owner: Option<String>) -> Self {
        Self { client, name, owner }
    }

    fn error(&self, operation: &'static str, key: &str, cause: Cause) -> BucketError {
        BucketError { operation, bucket: self.name.clone(), key: key.to_owned(), cause }
    }

    fn failed<E, R>(&self, operation: &'static str, key: &str, error: &SdkError<E, R>) -> BucketError
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
        R: Debug + 'static,
    {
        self.error(operation, key, Cause::of(error))
    }
}

/// A key as S3 encodes it in lists: percent signs, and `+` for a space.
fn decoded(key: &str) -> Option<String> {
    percent_decode_str(&key.replace('+', " ")).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

impl Bucket for S3Bucket {
    async fn list(&self, prefix: &str) -> Result<Vec<(String, Option<String>)>, BucketError> {
        let operation = "ListObjectsV2";
        let mut found = Vec::new();
        let mut token: Option<String> = None;
        loop {
            let request = self.client.list_objects_v2().bucket(&self.name).prefix(prefix);
            let request = request.set_expected_bucket_owner(self.owner.clone()).set_continuation_token(token.clone());
            let page = request.encoding_type(EncodingType::Url).customize().interceptor(whole::OBJECTS).send().await;
            let page = page.map_err(|error| self.failed(operation, prefix, &error))?;
            for object in page.contents() {
                // A key that is no text cannot be one of ours.
                if let Some(key) = object.key().and_then(decoded) {
                    found.push((key, object.e_tag().map(|etag| etag.trim_matches('"').to_owned())));
                }
            }
            let nonsense = |what| self.error(operation, prefix, Cause::Nonsense(what));
            token = match (page.is_truncated().unwrap_or(false), page.next_continuation_token()) {
                (false, _) => return Ok(found),
                (true, None | Some("")) => return Err(nonsense("a truncated list has no continuation token")),
                (true, next) if next == token.as_deref() => return Err(nonsense("a list continues where it began")),
                (true, Some(next)) => Some(next.to_owned()),
            };
        }
    }

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, BucketError> {
        let request = self.client.get_object().bucket(&self.name).key(key);
        let answer = match request.set_expected_bucket_owner(self.owner.clone()).send().await {
            Ok(answer) => answer,
            Err(error) if error.code() == Some("NoSuchKey") => return Ok(None),
            Err(error) => return Err(self.failed("GetObject", key, &error)),
        };
        let limit = i64::try_from(MAX_LEN).unwrap_or(i64::MAX);
        if answer.content_length().is_none_or(|length| length > limit) {
            // Whatever it is, it is not a document of ours: as good as nothing.
            return Ok(None);
        }
        match answer.body.collect().await {
            Ok(body) => Ok(Some(body.into_bytes().to_vec())),
            Err(error) => Err(self.error("GetObject", key, Cause::broken(&error))),
        }
    }

    async fn put(&self, key: &str, body: Vec<u8>, content_type: &str) -> Result<(), BucketError> {
        let request = self.client.put_object().bucket(&self.name).key(key).content_type(content_type);
        let request = request.set_expected_bucket_owner(self.owner.clone()).body(ByteStream::from(body));
        request.send().await.map(drop).map_err(|error| self.failed("PutObject", key, &error))
    }

    async fn delete(&self, key: &str) -> Result<(), BucketError> {
        let request = self.client.delete_object().bucket(&self.name).key(key);
        let request = request.set_expected_bucket_owner(self.owner.clone());
        request.send().await.map(drop).map_err(|error| self.failed("DeleteObject", key, &error))
    }
}
