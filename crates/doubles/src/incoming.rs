//! A request as it came in, and which service and operation it is for.
//!
//! Decoding is done once, here. A `+` in a path is a plus sign; only in a form or a query it is a space.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use http_body_util::BodyExt;
use hyper::body::Incoming as HttpBody;
use percent_encoding::percent_decode_str;
use serde_json::Value;

use crate::request::{Request, Service};
use crate::sts;

/// Decoded name and value pairs of a form or a query.
#[derive(Debug, Default)]
pub(crate) struct Pairs(Vec<(String, String)>);

impl Pairs {
    fn parse(text: &[u8]) -> Self {
        Self(form_urlencoded::parse(text).into_owned().collect())
    }

    /// The first value of this name.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// The values of `name.member.1`, `name.member.2` and so on.
    pub(crate) fn members(&self, name: &str) -> Vec<&str> {
        let start = format!("{name}.member.");
        self.0.iter().filter(|(found, _)| found.starts_with(&start)).map(|(_, value)| value.as_str()).collect()
    }
}

/// A request, read to its end.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: Pairs,
    pub(crate) headers: Arc<BTreeMap<String, String>>,
    pub(crate) body: Vec<u8>,
}

/// What a request is for, with the parts that its service needs.
#[derive(Debug)]
pub(crate) enum Call {
    Iam(Pairs),
    Sts(Pairs),
    Ssm { operation: String, input: Value },
    Imds { path: String },
    S3 { bucket: String, key: String },
}

impl Incoming {
    /// Reads the whole request.
    ///
    /// # Errors
    /// When the client goes away before its body is complete.
    pub(crate) async fn read(request: hyper::Request<HttpBody>) -> Result<Self, std::io::Error> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map_err(std::io::Error::other)?.to_bytes().to_vec();
        let headers: BTreeMap<String, String> = parts
            .headers
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect();
        Ok(Self {
            method: parts.method.as_str().to_owned(),
            path: parts.uri.path().to_owned(),
            query: Pairs::parse(parts.uri.query().unwrap_or_default().as_bytes()),
            headers: Arc::new(headers),
            body,
        })
    }

    /// The value of a header, by its name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// The id of the access key that signed this.
    fn access_key(&self) -> Option<&str> {
        self.header("authorization")?.split_once("Credential=")?.1.split('/').next()
    }

    /// Which service and operation this is, and how it appears in the log.
    pub(crate) fn classify(&self) -> (Call, Request) {
        if let Some(path) = self.path.strip_prefix("/latest/") {
            let path = decode(path);
            let action = path.split('/').next().unwrap_or_default().to_owned();
            return (Call::Imds { path: path.clone() }, self.log(Service::Imds, action, path));
        }
        if let Some(operation) = self.header("x-amz-target").and_then(|target| target.strip_prefix("AmazonSSM.")) {
            let input: Value = serde_json::from_slice(&self.body).unwrap_or(Value::Null);
            let name = input.get("Name").and_then(Value::as_str).unwrap_or_default().to_owned();
            let request = self.log(Service::Ssm, operation.to_owned(), name);
            return (Call::Ssm { operation: operation.to_owned(), input }, request);
        }
        let is_form =
            self.header("content-type").is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"));
        if self.method == "POST" && is_form {
            let form = Pairs::parse(&self.body);
            if let Some(action) = form.get("Action").map(str::to_owned) {
                let about = ["UserName", "GroupName", "RoleArn"].iter().find_map(|name| form.get(name));
                let about = about.unwrap_or_default().to_owned();
                if form.get("Version") == Some(sts::VERSION) {
                    return (Call::Sts(form), self.log(Service::Sts, action, about));
                }
                return (Call::Iam(form), self.log(Service::Iam, action, about));
            }
        }
        self.classify_s3()
    }

    fn classify_s3(&self) -> (Call, Request) {
        let path = decode(self.path.strip_prefix('/').unwrap_or(&self.path));
        let (bucket, key) = path.split_once('/').unwrap_or((&path, ""));
        let action = match (self.method.as_str(), key.is_empty()) {
            ("GET", true) => "ListObjectsV2",
            ("PUT", true) => "CreateBucket",
            ("GET", false) => "GetObject",
            ("HEAD", false) => "HeadObject",
            ("PUT", false) => "PutObject",
            ("DELETE", false) => "DeleteObject",
            _ => "Unknown",
        };
        let about = if key.is_empty() { self.query.get("prefix").unwrap_or_default() } else { key };
        let request = self.log(Service::S3, action.to_owned(), about.to_owned());
        (Call::S3 { bucket: bucket.to_owned(), key: key.to_owned() }, request)
    }

    fn log(&self, service: Service, action: String, resource: String) -> Request {
        Request {
            service,
            method: self.method.clone(),
            path: self.path.clone(),
            action,
            resource,
            conditional: self.header("if-match").is_some() || self.header("if-none-match").is_some(),
            headers: Arc::clone(&self.headers),
            account: self.access_key().and_then(sts::account_of).unwrap_or_default().to_owned(),
            at: Instant::now(),
            throttled: false,
        }
    }
}

fn decode(path: &str) -> String {
    percent_decode_str(path).decode_utf8_lossy().into_owned()
}
