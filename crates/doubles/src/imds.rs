//! The instance metadata service, version 2 only: no answer without a live token.
//!
//! It must never answer a version 1 request, and the token's reply carries its lifetime in a header: the SDK refuses one without it.
//! Source of the rules: the EC2 user guide, `instance-metadata-v2-how-it-works`.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::double::Double;
use crate::incoming::Incoming;
use crate::reply::Reply;
use crate::request::Service;

const TTL_HEADER: &str = "x-aws-ec2-metadata-token-ttl-seconds";
const TOKEN_HEADER: &str = "x-aws-ec2-metadata-token";
const ACCOUNT: &str = "123456789012";

/// An instance.
#[derive(Debug)]
pub(crate) struct Imds {
    role: Option<String>,
    region: String,
    instance: String,
    tags: Option<BTreeMap<String, String>>,
    credentials_live: Duration,
    session: String,
    tokens: BTreeMap<String, Instant>,
    issued: u64,
}

impl Default for Imds {
    fn default() -> Self {
        Self {
            role: Some("default-role".to_owned()),
            region: "us-east-1".to_owned(),
            instance: "i-0123456789abcdef0".to_owned(),
            tags: None,
            credentials_live: Duration::from_secs(6 * 3600),
            session: "double-session".to_owned(),
            tokens: BTreeMap::new(),
            issued: 0,
        }
    }
}

fn refuse(status: u16, text: &str) -> Reply {
    Reply::error(Service::Imds, status, text, text)
}

/// Answers one request; `path` is what follows `/latest/`.
pub(crate) fn answer(imds: &mut Imds, path: &str, incoming: &Incoming) -> Reply {
    match (incoming.method.as_str(), path) {
        ("PUT", "api/token") => token(imds, incoming),
        ("GET", _) => {
            let live = incoming.header(TOKEN_HEADER).and_then(|token| imds.tokens.get(token));
            if live.is_none_or(|until| *until <= Instant::now()) {
                return refuse(401, "Unauthorized");
            }
            metadata(imds, path).unwrap_or_else(|| refuse(404, "Not Found"))
        }
        _ => refuse(405, "Method Not Allowed"),
    }
}

fn token(imds: &mut Imds, incoming: &Incoming) -> Reply {
    if incoming.header("x-forwarded-for").is_some() {
        return refuse(403, "Forbidden");
    }
    let ttl = incoming.header(TTL_HEADER).and_then(|text| text.parse::<u64>().ok());
    let Some(ttl) = ttl.filter(|ttl| (1..=21_600).contains(ttl)) else { return refuse(400, "Bad Request") };
    imds.issued += 1;
    let token = format!("double-token-{:08}==", imds.issued);
    imds.tokens.insert(token.clone(), Instant::now() + Duration::from_secs(ttl));
    Reply::text(token).with("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", ttl.to_string())
}

fn metadata(imds: &Imds, path: &str) -> Option<Reply> {
    let role_prefix = "meta-data/iam/security-credentials/";
    if let Some(role) = path.strip_prefix(role_prefix).filter(|role| !role.is_empty()) {
        return (imds.role.as_deref() == Some(role)).then(|| credentials(imds));
    }
    if let Some(key) = path.strip_prefix("meta-data/tags/instance/").filter(|key| !key.is_empty()) {
        return imds.tags.as_ref()?.get(key).map(Reply::text);
    }
    match path.trim_end_matches('/') {
        "meta-data/iam/security-credentials" => imds.role.as_ref().map(Reply::text),
        "meta-data/placement/region" => Some(Reply::text(&imds.region)),
        "meta-data/instance-id" => Some(Reply::text(&imds.instance)),
        "meta-data/tags/instance" => {
            let keys: Vec<&str> = imds.tags.as_ref()?.keys().map(String::as_str).collect();
            Some(Reply::text(keys.join("\n")))
        }
        "dynamic/instance-identity/document" => Some(Reply::text(
            json!({ "accountId": ACCOUNT, "region": imds.region, "instanceId": imds.instance, "architecture": "x86_64" })
                .to_string(),
        )),
        _ => None,
    }
}

fn credentials(imds: &Imds) -> Reply {
    let now = OffsetDateTime::now_utc();
    let stamp = |time: OffsetDateTime| time.format(&Rfc3339).unwrap_or_default();
    // Whole seconds, as the real service writes them.
    let second = now.replace_nanosecond(0).unwrap_or(now);
    Reply::text(
        json!({
            "Code": "Success", "Type": "AWS-HMAC", "LastUpdated": stamp(second),
            "AccessKeyId": "ASIADOUBLE", "SecretAccessKey": "double", "Token": imds.session,
            "Expiration": stamp(second + imds.credentials_live),
        })
        .to_string(),
    )
}

/// The instance.
impl Double {
    /// The instance's role; `None` is an instance without one. Default `default-role`.
    pub fn set_role(&self, role: Option<&str>) -> &Self {
        self.state().imds.role = role.map(str::to_owned);
        self
    }

    /// The instance's region. Default `us-east-1`.
    pub fn set_region(&self, region: &str) -> &Self {
        region.clone_into(&mut self.state().imds.region);
        self
    }

    /// Sets an instance tag and switches tags in the metadata on (they are off by default, as on EC2).
    pub fn set_tag(&self, key: &str, value: &str) -> &Self {
        self.state().imds.tags.get_or_insert_default().insert(key.to_owned(), value.to_owned());
        self
    }

    /// Switches tags in the metadata off: every tag path is 404.
    pub fn tags_off(&self) -> &Self {
        self.state().imds.tags = None;
        self
    }

    /// How long credentials live from the moment they are handed out; zero hands out expired ones. Default 6 h.
    pub fn set_credentials_lifetime(&self, lifetime: Duration) -> &Self {
        self.state().imds.credentials_live = lifetime;
        self
    }

    /// The session token of the credentials from now on: credentials with another one were given out before. Default `double-session`.
    pub fn set_session_token(&self, token: &str) -> &Self {
        token.clone_into(&mut self.state().imds.session);
        self
    }

    /// Ends every metadata token given out so far: the next request with one is answered 401.
    pub fn expire_tokens(&self) -> &Self {
        self.state().imds.tokens.clear();
        self
    }
}
