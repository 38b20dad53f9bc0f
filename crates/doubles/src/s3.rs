//! S3, path style: objects with conditional reads and writes, and lists that end where AWS ends them.
//!
//! It must refuse what it does not know (501) rather than pretend, and check conditions before anything changes.

use std::collections::{BTreeMap, BTreeSet};

use md5::{Digest, Md5};

use crate::checksum::{CHECKSUM, checksum};
use crate::double::Double;
use crate::incoming::Incoming;
use crate::reply::Reply;
use crate::request::Service;

mod chunked;
mod list;

/// When every object was last modified; nobody decides anything by it.
pub(crate) const MODIFIED: &str = "Thu, 01 Jan 2026 00:00:00 GMT";

/// A stored object.
#[derive(Debug)]
pub(crate) struct Object {
    pub(crate) body: Vec<u8>,
    /// With its quotes.
    pub(crate) etag: String,
    /// Its CRC32, as S3 keeps it.
    checksum: String,
}

/// A bucket and its switches.
#[derive(Debug, Default)]
pub(crate) struct Bucket {
    pub(crate) objects: BTreeMap<String, Object>,
    owner: Option<String>,
    denied: BTreeSet<String>,
    hide_missing: bool,
    opaque_etags: bool,
}

/// All buckets.
#[derive(Debug)]
pub(crate) struct S3 {
    buckets: BTreeMap<String, Bucket>,
    list_cap: usize,
    writes: u64,
}

impl Default for S3 {
    fn default() -> Self {
        Self { buckets: BTreeMap::new(), list_cap: 1000, writes: 0 }
    }
}

impl S3 {
    pub(crate) fn put(&mut self, bucket: &str, key: &str, body: Vec<u8>) {
        self.writes += 1;
        self.buckets.entry(bucket.to_owned()).or_default().store(key, body, self.writes);
    }

    pub(crate) fn remove(&mut self, bucket: &str, key: &str) {
        if let Some(bucket) = self.buckets.get_mut(bucket) {
            bucket.objects.remove(key);
        }
    }

    pub(crate) fn object(&self, bucket: &str, key: &str) -> Option<Vec<u8>> {
        self.buckets.get(bucket)?.objects.get(key).map(|object| object.body.clone())
    }
}

fn refuse(status: u16, code: &str) -> Reply {
    Reply::error(Service::S3, status, code, code)
}

/// Answers one request.
pub(crate) fn answer(s3: &mut S3, name: &str, key: &str, incoming: &Incoming) -> Reply {
    if key.is_empty() && incoming.method == "PUT" && !name.is_empty() {
        s3.buckets.entry(name.to_owned()).or_default();
        return Reply::empty(200);
    }
    let (list_cap, writes) = (s3.list_cap, s3.writes + 1);
    let Some(bucket) = s3.buckets.get_mut(name) else { return refuse(404, "NoSuchBucket") };
    let expected = incoming.header("x-amz-expected-bucket-owner");
    let owner_differs = matches!((expected, &bucket.owner), (Some(expected), Some(owner)) if expected != owner);
    if owner_differs || bucket.denied.contains(key) {
        return refuse(403, "AccessDenied");
    }
    match (incoming.method.as_str(), key.is_empty()) {
        ("GET", true) => list::answer(bucket, name, list_cap, &incoming.query),
        ("GET" | "HEAD", false) => get(bucket, key, incoming),
        ("PUT", false) => {
            s3.writes = writes;
            put(bucket, key, incoming, writes)
        }
        ("DELETE", false) => delete(bucket, key, incoming),
        _ => refuse(501, "NotImplemented"),
    }
}

fn get(bucket: &Bucket, key: &str, incoming: &Incoming) -> Reply {
    let Some(object) = bucket.objects.get(key) else {
        return if bucket.hide_missing { refuse(403, "AccessDenied") } else { refuse(404, "NoSuchKey") };
    };
    if incoming.header("if-match").is_some_and(|wanted| !names(wanted, &object.etag)) {
        return refuse(412, "PreconditionFailed");
    }
    let unchanged = incoming.header("if-none-match").is_some_and(|known| names(known, &object.etag));
    let reply = if unchanged { Reply::empty(304) } else { whole(object, incoming) };
    reply.with("etag", &object.etag).with("last-modified", MODIFIED)
}

/// An object with its body, and the checksum of that where the client asks for one.
fn whole(object: &Object, incoming: &Incoming) -> Reply {
    let reply = Reply::of_kind(Service::S3, object.body.clone());
    if incoming.header("x-amz-checksum-mode").is_some_and(|mode| mode.eq_ignore_ascii_case("ENABLED")) {
        return reply.with(CHECKSUM, &object.checksum).with("x-amz-checksum-type", "FULL_OBJECT");
    }
    reply
}

fn put(bucket: &mut Bucket, key: &str, incoming: &Incoming, writes: u64) -> Reply {
    if let Some(refusal) = failed_condition(bucket, key, incoming) {
        return refusal;
    }
    let Some(body) = chunked::body(incoming) else { return refuse(400, "IncompleteBody") };
    let etag = bucket.store(key, body, writes);
    Reply::empty(200).with("etag", etag)
}

fn delete(bucket: &mut Bucket, key: &str, incoming: &Incoming) -> Reply {
    if let Some(refusal) = failed_condition(bucket, key, incoming) {
        return refusal;
    }
    bucket.objects.remove(key);
    Reply::empty(204)
}

/// `If-None-Match: *` and `If-Match` of a write. `If-Match` on a missing key is 404, for a PUT and for a DELETE (S3 user guide,
/// conditional writes and conditional deletes).
fn failed_condition(bucket: &Bucket, key: &str, incoming: &Incoming) -> Option<Reply> {
    let stored = bucket.objects.get(key);
    match (incoming.header("if-none-match"), incoming.header("if-match"), stored) {
        (Some("*"), _, Some(_)) => Some(refuse(412, "PreconditionFailed")),
        (Some(other), _, _) if other != "*" => Some(refuse(501, "NotImplemented")),
        (_, Some(_), None) => Some(refuse(404, "NoSuchKey")),
        (_, Some(wanted), Some(object)) if !names(wanted, &object.etag) => Some(refuse(412, "PreconditionFailed")),
        _ => None,
    }
}

/// Whether a condition's list of ETags names this one.
fn names(condition: &str, etag: &str) -> bool {
    let bare = etag.trim_matches('"');
    condition.split(',').map(str::trim).any(|one| one == "*" || one.trim_matches('"') == bare)
}

impl Bucket {
    fn store(&mut self, key: &str, body: Vec<u8>, writes: u64) -> String {
        let mut hash = Md5::new_with_prefix(&body);
        if self.opaque_etags {
            // Under SSE-KMS an ETag is not the content's MD5, and the same content gets another one at each write.
            hash.update(writes.to_be_bytes());
        }
        let hex: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        let etag = format!("\"{hex}\"");
        let checksum = checksum(&body);
        self.objects.insert(key.to_owned(), Object { body, etag: etag.clone(), checksum });
        etag
    }
}

/// Buckets and objects.
impl Double {
    /// At most this many keys per page of an S3 list, whatever the client asks for. Default 1000, as AWS's.
    pub fn list_cap(&self, keys: usize) -> &Self {
        self.state().s3.list_cap = keys.max(1);
        self
    }

    fn bucket(&self, name: &str, change: impl FnOnce(&mut Bucket)) -> &Self {
        change(self.state().s3.buckets.entry(name.to_owned()).or_default());
        self
    }

    /// An empty bucket without an owner (any expected owner is right).
    pub fn add_bucket(&self, name: &str) -> &Self {
        self.bucket(name, |_| ())
    }

    /// The account that owns the bucket: another `ExpectedBucketOwner` is refused with 403.
    pub fn set_bucket_owner(&self, name: &str, account: &str) -> &Self {
        self.bucket(name, |bucket| bucket.owner = Some(account.to_owned()))
    }

    /// Every request for this key of the bucket is refused with 403; the empty key stands for the list.
    pub fn deny(&self, bucket: &str, key: &str) -> &Self {
        self.bucket(bucket, |bucket| {
            bucket.denied.insert(key.to_owned());
        })
    }

    /// Takes a [`Double::deny`] back.
    pub fn allow(&self, bucket: &str, key: &str) -> &Self {
        self.bucket(bucket, |bucket| {
            bucket.denied.remove(key);
        })
    }

    /// A missing key is answered with 403, as to a client without `s3:ListBucket`.
    pub fn hide_missing(&self, bucket: &str) -> &Self {
        self.bucket(bucket, |bucket| bucket.hide_missing = true)
    }

    /// ETags that are not the MD5 of the content, as in a bucket with SSE-KMS.
    pub fn opaque_etags(&self, bucket: &str) -> &Self {
        self.bucket(bucket, |bucket| bucket.opaque_etags = true)
    }

    /// Stores an object; the bucket is made if need be.
    pub fn put_object(&self, bucket: &str, key: &str, body: impl Into<Vec<u8>>) -> &Self {
        self.state().s3.put(bucket, key, body.into());
        self
    }

    /// Deletes an object.
    pub fn remove_object(&self, bucket: &str, key: &str) -> &Self {
        self.state().s3.remove(bucket, key);
        self
    }

    /// What is stored under a key.
    #[must_use]
    pub fn object(&self, bucket: &str, key: &str) -> Option<Vec<u8>> {
        self.state().s3.object(bucket, key)
    }

    /// Everything that a bucket holds, by key; empty where there is no such bucket.
    #[must_use]
    pub fn objects(&self, bucket: &str) -> BTreeMap<String, Vec<u8>> {
        let state = self.state();
        let objects = state.s3.buckets.get(bucket).map(|bucket| bucket.objects.iter());
        objects.into_iter().flatten().map(|(key, object)| (key.clone(), object.body.clone())).collect()
    }
}
