//! The bucket as S3's API tells it.
//!
//! It must follow every list to its end, take a truncated list that cannot be continued, or one that did not arrive whole, for an error, and name the expected owner in
//! every call once it is known. It must never read a body of unbounded size.

use aws_sdk_s3::Client;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::{ByteStream, SdkBody};
use aws_sdk_s3::types::EncodingType;
use iam_ssh_core::document::MAX_LEN;
use percent_encoding::percent_decode_str;

use super::{Bucket, BucketError, Entry, Expected, Stored};
use crate::cause::Cause;
use crate::pace::backoff;
use crate::whole;

/// S3's error code for a conditional write that met another one (409): to be tried again.
const RACE: &str = "ConditionalRequestConflict";
/// How often.
const RACES: u32 = 5;

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

    /// How often an answer is asked for that arrives in part: the SDK tries again only what fails before that.
    fn attempts(&self) -> u32 {
        self.client.config().retry_config().map_or(1, RetryConfig::max_attempts)
    }

    async fn get_once(&self, key: &str) -> Got {
        let request = self.client.get_object().bucket(&self.name).key(key);
        let answer = match request.set_expected_bucket_owner(self.owner.clone()).send().await {
            Ok(answer) => answer,
            Err(error) if error.code() == Some("NoSuchKey") => return Got::Whole(Ok(None)),
            Err(error) => {
                let failed = Err(self.failed("GetObject", key, &error));
                // The SDK's word for a 404 that does not say what is missing, which S3 always does.
                return if error.code() == Some("NotFound") { Got::Doubtful(failed) } else { Got::Whole(failed) };
            }
        };
        let etag = answer.e_tag().map(bare);
        let limit = i64::try_from(MAX_LEN).unwrap_or(i64::MAX);
        let length = match answer.content_length() {
            Some(length) if length <= limit => usize::try_from(length).unwrap_or_default(),
            length => {
                // Whatever it is, it is not ours.
                let stored = Ok(Some(Stored { body: Vec::new(), etag, oversized: true }));
                // S3 always tells the length: without it, nobody can say whether the body is whole.
                return if length.is_some() { Got::Whole(stored) } else { Got::Doubtful(stored) };
            }
        };
        // Piece by piece into its place: the SDK's `collect` would need twice the room.
        let (mut pieces, mut body) = (answer.body, Vec::with_capacity(length));
        loop {
            match pieces.try_next().await {
                Ok(Some(piece)) => body.extend_from_slice(&piece),
                Ok(None) => return Got::Whole(Ok(Some(Stored { body, etag, oversized: false }))),
                Err(error) => return Got::Doubtful(Err(self.error("GetObject", key, Cause::broken(&error)))),
            }
        }
    }

    fn error(&self, operation: &'static str, key: &str, cause: Cause) -> BucketError {
        BucketError { operation, bucket: self.name.clone(), key: key.to_owned(), cause }
    }

    fn failed<E>(&self, operation: &'static str, key: &str, error: &SdkError<E, HttpResponse>) -> BucketError
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        self.error(operation, key, Cause::of(error))
    }
}

/// What asking for an object once gave.
enum Got {
    /// An answer, or a failure that the SDK has tried to get over.
    Whole(Result<Option<Stored>, BucketError>),
    /// What may only be a part of an answer: to be asked for again, and if it stays so, this.
    Doubtful(Result<Option<Stored>, BucketError>),
}

/// A key as S3 encodes it in lists: percent signs, and `+` for a space.
fn decoded(key: &str) -> Option<String> {
    percent_decode_str(&key.replace('+', " ")).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

impl Bucket for S3Bucket {
    async fn list(&self, prefix: &str) -> Result<Vec<(String, Entry)>, BucketError> {
        let operation = "ListObjectsV2";
        let mut found = Vec::new();
        let mut token: Option<String> = None;
        loop {
            let request = self.client.list_objects_v2().bucket(&self.name).prefix(prefix);
            let request = request.set_expected_bucket_owner(self.owner.clone()).set_continuation_token(token.clone());
            let request = request.encoding_type(EncodingType::Url);
            let mut attempt = 1;
            let page = loop {
                match request.clone().customize().interceptor(whole::OBJECTS).send().await {
                    Ok(page) => break page,
                    Err(error) => {
                        let error = self.failed(operation, prefix, &error);
                        if !matches!(error.cause, Cause::CutOff(_)) || attempt >= self.attempts() {
                            return Err(error);
                        }
                    }
                }
                tokio::time::sleep(backoff(attempt)).await;
                attempt += 1;
            };
            for object in page.contents() {
                // A key that is no text cannot be one of ours.
                if let Some(key) = object.key().and_then(decoded) {
                    let size = object.size().and_then(|size| usize::try_from(size).ok()).unwrap_or_default();
                    found.push((key, Entry { etag: object.e_tag().map(bare), size }));
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

    async fn get(&self, key: &str) -> Result<Option<Stored>, BucketError> {
        let mut attempt = 1;
        loop {
            match self.get_once(key).await {
                Got::Whole(found) => return found,
                Got::Doubtful(found) if attempt >= self.attempts() => return found,
                Got::Doubtful(_) => {}
            }
            tokio::time::sleep(backoff(attempt)).await;
            attempt += 1;
        }
    }

    async fn put(
        &self,
        key: &str,
        body: Vec<u8>,
        content_type: &str,
        expected: &Expected,
    ) -> Result<Option<String>, BucketError> {
        let body = SdkBody::from(body);
        let mut attempt = 0;
        loop {
            let request = self.client.put_object().bucket(&self.name).key(key).content_type(content_type);
            let request = request.set_expected_bucket_owner(self.owner.clone());
            // A body in memory can always be sent again.
            let request = request.body(ByteStream::new(body.try_clone().unwrap_or_else(SdkBody::empty)));
            let request = match expected {
                Expected::Nothing => request.if_none_match("*"),
                Expected::Etag(etag) => request.if_match(quoted(etag)),
                Expected::Anything => request,
            };
            match request.send().await {
                Ok(answer) => return Ok(answer.e_tag().map(bare)),
                // Another write was just being made: who of the two comes second, S3 does not say.
                Err(error) if error.code() == Some(RACE) && attempt < RACES => attempt += 1,
                Err(error) => return Err(self.failed("PutObject", key, &error)),
            }
            tokio::time::sleep(backoff(attempt)).await;
        }
    }

    async fn delete(&self, key: &str, expected: &Expected) -> Result<(), BucketError> {
        let mut attempt = 0;
        loop {
            let request = self.client.delete_object().bucket(&self.name).key(key);
            let request = request.set_expected_bucket_owner(self.owner.clone());
            let request = match expected {
                Expected::Etag(etag) => request.if_match(quoted(etag)),
                Expected::Nothing | Expected::Anything => request,
            };
            match request.send().await {
                Ok(_) => return Ok(()),
                // Gone already, as it should be.
                Err(error) if error.code() == Some("NoSuchKey") => return Ok(()),
                Err(error) if error.code() == Some(RACE) && attempt < RACES => attempt += 1,
                Err(error) => return Err(self.failed("DeleteObject", key, &error)),
            }
            tokio::time::sleep(backoff(attempt)).await;
        }
    }
}

/// An ETag without its quotes.
fn bare(etag: &str) -> String {
    etag.trim_matches('"').to_owned()
}

/// An ETag as HTTP wants it.
fn quoted(etag: &str) -> String {
    format!("\"{etag}\"")
}
