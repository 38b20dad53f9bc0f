//! ListObjectsV2: prefix, `max-keys`, `start-after`, continuation tokens, and keys encoded as `encoding-type=url` asks.
//!
//! It must never put more than the cap into a page, and it refuses parameters that it does not know (`delimiter`).

use std::ops::Bound;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

use super::{Bucket, refuse};
use crate::incoming::Pairs;
use crate::reply::{Reply, escape};

/// What S3 leaves as it is; a space becomes `+`.
const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'.').remove(b'-').remove(b'_').remove(b'*').remove(b' ');
/// Continuation tokens are opaque; ours is the last key of the page in hexadecimal digits.
const TOKEN: &str = "token-";

/// Answers one page.
pub(crate) fn answer(bucket: &Bucket, name: &str, cap: usize, query: &Pairs) -> Reply {
    if query.get("list-type") != Some("2") || query.get("delimiter").is_some_and(|text| !text.is_empty()) {
        return refuse(501, "NotImplemented");
    }
    let asked = match query.get("max-keys").map(str::parse::<usize>) {
        None => 1000,
        Some(Ok(number)) => number,
        Some(Err(_)) => return refuse(400, "InvalidArgument"),
    };
    let prefix = query.get("prefix").unwrap_or_default();
    let after = match query.get("continuation-token").map(from_token) {
        None => query.get("start-after").unwrap_or_default().to_owned(),
        Some(Some(key)) => key,
        Some(None) => return refuse(400, "InvalidArgument"),
    };
    let size = asked.min(cap);
    let range = (Bound::Excluded(after), Bound::Unbounded);
    let mut found = bucket.objects.range(range).filter(|(key, _)| key.starts_with(prefix));
    let page: Vec<_> = found.by_ref().take(size).collect();
    let next = found.next().and(page.last()).map(|(key, _)| to_token(key));
    let encoded = query.get("encoding-type") == Some("url");
    let show = |key: &str| if encoded { encode(key) } else { escape(key).into_owned() };
    let contents: String = page
        .iter()
        .map(|(key, object)| {
            format!(
                "<Contents><Key>{}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>{}</ETag>\
                 <Size>{}</Size><StorageClass>STANDARD</StorageClass></Contents>",
                show(key),
                escape(&object.etag),
                object.body.len()
            )
        })
        .collect();
    let tail = match &next {
        None => "<IsTruncated>false</IsTruncated>".to_owned(),
        Some(token) => {
            format!("<IsTruncated>true</IsTruncated><NextContinuationToken>{token}</NextContinuationToken>")
        }
    };
    let encoding = if encoded { "<EncodingType>url</EncodingType>" } else { "" };
    Reply::xml(
        200,
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
             <ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>{}</Name><Prefix>{}</Prefix>\
             <KeyCount>{}</KeyCount><MaxKeys>{asked}</MaxKeys>{encoding}{tail}{contents}</ListBucketResult>",
            escape(name),
            show(prefix),
            page.len()
        ),
    )
}

fn encode(key: &str) -> String {
    percent_encode(key.as_bytes(), KEPT).to_string().replace(' ', "+")
}

fn to_token(key: &str) -> String {
    let hex: String = key.bytes().map(|byte| format!("{byte:02x}")).collect();
    format!("{TOKEN}{hex}")
}

fn from_token(token: &str) -> Option<String> {
    let hex = token.strip_prefix(TOKEN)?.as_bytes();
    let bytes: Option<Vec<u8>> = hex
        .chunks(2)
        .map(|pair| std::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok()))
        .collect();
    String::from_utf8(bytes?).ok()
}
