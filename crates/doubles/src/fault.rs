//! Faults: which requests fail, how, and how often.
//!
//! A fault is chosen before the service sees the request, so a request that fails never changes anything. This module
//! must stay free of sockets and clocks.

use crate::request::{Request, Service};

/// How a request fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// This HTTP status with an error document of the service's own format and this error code.
    Status(u16, String),
    /// The service's own way to say "too many requests".
    Throttle,
    /// The connection is accepted, the request read, and nothing is ever answered.
    Hang,
    /// The connection is closed without an answer.
    CloseConnection,
    /// The right answer, but its body trickles.
    SlowBody {
        /// The pace; at least 1.
        bytes_per_sec: u64,
    },
    /// The right answer, cut off behind the first occurrence of this text (whole where it does not occur) and sent without a length:
    /// HTTP/1.0 style, its end is the end of the connection, so that nothing on the wire says that something is missing.
    CutBody(String),
    /// Status 200 with this body in place of the right one, of the kind that the service sends, and nothing done.
    Body(String),
    /// The same with so many bytes of `#`; the client is told how many they will be, or is not.
    HugeBody {
        /// How many.
        bytes: u64,
        /// Whether there is a `Content-Length`.
        told: bool,
    },
    /// The right answer, but the connection ends after half of its body, though the whole length was announced.
    Truncate,
    /// The right answer, but after half of its body nothing more comes, on an open connection.
    HangBody,
    /// The right answer, but where it has a checksum of its body (S3, to a request with `x-amz-checksum-mode: ENABLED`), that is one of
    /// something else.
    WrongChecksum,
    /// S3's answer of a region that the bucket is not in: 301 without a `Location`. Here the bucket is in this region.
    Redirect(String),
}

impl Fault {
    /// What `Throttle` is for a service: status, error code.
    pub(crate) fn throttled(service: Service) -> (u16, &'static str) {
        match service {
            Service::Iam | Service::Sts => (400, "Throttling"),
            Service::S3 => (503, "SlowDown"),
            Service::Ssm => (400, "ThrottlingException"),
            Service::Imds => (429, "Too Many Requests"),
        }
    }
}

/// Which requests are meant, and which of those (all of them, unless told).
#[derive(Clone, Debug, Default)]
pub struct Match {
    /// Empty: every service.
    services: Vec<Service>,
    action: Option<String>,
    resource: Option<String>,
    header: Option<(String, String)>,
    skip: usize,
    times: Option<usize>,
}

impl Match {
    /// Every request.
    #[must_use]
    pub fn any() -> Self {
        Self::default()
    }

    /// Every request for one service.
    #[must_use]
    pub fn service(service: Service) -> Self {
        Self::any_of(&[service])
    }

    /// Every request for one of these services.
    #[must_use]
    pub fn any_of(services: &[Service]) -> Self {
        Self { services: services.to_vec(), ..Self::default() }
    }

    /// Every request for one operation, see [`Request::action`].
    #[must_use]
    pub fn action(action: &str) -> Self {
        Self { action: Some(action.to_owned()), ..Self::default() }
    }

    /// Only requests about this thing, see [`Request::resource`].
    #[must_use]
    pub fn on(mut self, resource: &str) -> Self {
        self.resource = Some(resource.to_owned());
        self
    }

    /// Only requests with this header, its name in lower case, and this value.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.header = Some((name.to_owned(), value.to_owned()));
        self
    }

    /// The first `count` of them are spared.
    #[must_use]
    pub fn skip(mut self, count: usize) -> Self {
        self.skip = count;
        self
    }

    /// At most `count` of them, then never again.
    #[must_use]
    pub fn times(mut self, count: usize) -> Self {
        self.times = Some(count);
        self
    }

    /// Whether a request is meant, without regard to `skip` and `times`.
    #[must_use]
    pub fn matches(&self, request: &Request) -> bool {
        (self.services.is_empty() || self.services.contains(&request.service))
            && self.action.as_ref().is_none_or(|action| *action == request.action)
            && self.resource.as_ref().is_none_or(|resource| *resource == request.resource)
            && self.header.as_ref().is_none_or(|(name, value)| request.header(name) == Some(value))
    }
}

/// The faults in force, in the order in which they were set.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<Rule>);

#[derive(Debug)]
struct Rule {
    which: Match,
    fault: Fault,
    seen: usize,
}

impl Faults {
    pub(crate) fn add(&mut self, which: Match, fault: Fault) {
        self.0.push(Rule { which, fault, seen: 0 });
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// The fault of this request, if it has one: the first rule that meets it and is not used up.
    pub(crate) fn take(&mut self, request: &Request) -> Option<Fault> {
        let mut found = None;
        for rule in &mut self.0 {
            if !rule.which.matches(request) {
                continue;
            }
            rule.seen += 1;
            let turn = rule.seen.saturating_sub(rule.which.skip);
            let live = turn > 0 && rule.which.times.is_none_or(|times| turn <= times);
            if live && found.is_none() {
                found = Some(rule.fault.clone());
            }
        }
        found
    }
}
