//! One line of the request log: what was asked of which service.
//!
//! It must never hold a body: tests ask which requests were made, and the state says what came of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

/// The service that a request was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Service {
    /// Identity and Access Management, query protocol.
    Iam,
    /// Security Token Service, query protocol.
    Sts,
    /// Simple Storage Service, path style.
    S3,
    /// Systems Manager, JSON protocol.
    Ssm,
    /// Instance metadata service, version 2.
    Imds,
}

/// A request that the double received, whether or not it was answered.
#[derive(Clone, Debug)]
pub struct Request {
    /// The service that it was for.
    pub service: Service,
    /// The HTTP method.
    pub method: String,
    /// The path as it was sent, still percent-encoded, without the query.
    pub path: String,
    /// The operation: `ListSSHPublicKeys`, `PutObject`, `GetParameter`, or the first part of a metadata path (`api`, `meta-data`, `dynamic`).
    pub action: String,
    /// What it is about, decoded: user or group name, role ARN, object key (or listed prefix), parameter name, metadata path after
    /// `/latest/`.
    pub resource: String,
    /// Whether it carried `If-Match` or `If-None-Match`.
    pub conditional: bool,
    /// The headers, names in lower case.
    pub headers: Arc<BTreeMap<String, String>>,
    /// The account of the credentials that signed it; the home account where they do not say.
    pub account: String,
    /// When it arrived, read to its end.
    pub at: Instant,
    /// Whether the answer was a throttle.
    pub throttled: bool,
}

impl Request {
    /// The value of a header, by its name in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// Whether the request asks for a change (S3 `PUT` and `DELETE`).
    #[must_use]
    pub fn is_write(&self) -> bool {
        self.service == Service::S3 && (self.method == "PUT" || self.method == "DELETE" || self.method == "POST")
    }
}
