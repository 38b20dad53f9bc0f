//! The form of each configuration value. Each function takes the text as written and gives the value, or says what
//! would be right.

use super::{Audit, CredentialSource};
use iam_ssh_core::prefix::is_prefix;
use iam_ssh_core::text::escape;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

type Checked<T> = Result<T, String>;

/// An HTTP endpoint: scheme, host and port, nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The URL as the SDK takes it, without a trailing slash.
    pub url: String,
    /// Host name or address, without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Whether it is `https`.
    pub tls: bool,
}

impl Endpoint {
    /// The metadata service's own address (EC2 user guide).
    #[must_use]
    pub fn imds() -> Self {
        Self { url: "http://169.254.169.254".to_owned(), host: "169.254.169.254".to_owned(), port: 80, tls: false }
    }

    /// An S3 and SSM endpoint. Plain HTTP is for this machine alone: on a network, whoever sits on the line would
    /// decide who gets in.
    pub(super) fn service(text: &str) -> Checked<Self> {
        let endpoint = Self::parse(text)?;
        let loopback =
            endpoint.host == "localhost" || endpoint.host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
        if !endpoint.tls && !loopback {
            return Err(format!(
                "plain http is accepted for loopback addresses only; use https://{} (and ca_bundle for a CA of your own)",
                endpoint.host
            ));
        }
        Ok(endpoint)
    }

    /// A metadata service; it speaks plain HTTP.
    pub(super) fn metadata(text: &str) -> Checked<Self> {
        let endpoint = Self::parse(text)?;
        if endpoint.tls {
            return Err("the metadata service speaks http, not https".to_owned());
        }
        Ok(endpoint)
    }

    fn parse(text: &str) -> Checked<Self> {
        let wrong = || format!("`{}` is not of the form http(s)://host[:port]", escape(text.as_bytes(), 100));
        let uri: hyper::Uri = text.parse().map_err(|_| wrong())?;
        let tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(wrong()),
        };
        let authority = uri.authority().ok_or_else(wrong)?;
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() || authority.as_str().contains('@') {
            return Err(wrong());
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = authority.port_u16().unwrap_or(if tls { 443 } else { 80 });
        Ok(Self { url: text.trim_end_matches('/').to_owned(), host, port, tls })
    }
}

/// S3's rules for bucket names (S3 user guide, "General purpose bucket naming rules").
pub(super) fn bucket(text: &str) -> Checked<String> {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.';
    let edge = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let bytes = text.as_bytes();
    if (3..=63).contains(&bytes.len())
        && bytes.iter().all(|b| inner(*b))
        && edge(bytes.first())
        && edge(bytes.last())
        && !text.contains("..")
    {
        return Ok(text.to_owned());
    }
    Err(format!(
        "`{}` is not an S3 bucket name (3 to 63 of a-z 0-9 - . , with a letter or digit at both ends)",
        escape(bytes, 100)
    ))
}

pub(super) fn account_id(text: &str) -> Checked<String> {
    if text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(text.to_owned());
    }
    Err(format!("`{}` is not an AWS account id (12 digits)", escape(text.as_bytes(), 40)))
}

/// A region name; it becomes part of a host name.
pub(super) fn region(text: &str) -> Checked<String> {
    let fits = text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if (2..=32).contains(&text.len()) && fits && !text.starts_with('-') && !text.ends_with('-') {
        return Ok(text.to_owned());
    }
    Err(format!("`{}` is not an AWS region such as `eu-central-1`", escape(text.as_bytes(), 40)))
}

pub(super) fn prefix(text: &str) -> Checked<String> {
    if is_prefix(text) {
        return Ok(text.to_owned());
    }
    Err(format!(
        "`{}` is not a key prefix such as `ssh/` (it ends with `/`, and does not begin with one)",
        escape(text.as_bytes(), 100)
    ))
}

pub(super) fn absolute_path(text: &str) -> Checked<PathBuf> {
    if text.starts_with('/') && !text.contains('\0') {
        return Ok(PathBuf::from(text));
    }
    Err(format!("`{}` is not an absolute path", escape(text.as_bytes(), 100)))
}

pub(super) fn credentials(text: &str) -> Checked<CredentialSource> {
    match text {
        "instance" => Ok(CredentialSource::Instance),
        "default-chain" => Ok(CredentialSource::DefaultChain),
        _ => Err(format!("`{}` is neither `instance` nor `default-chain`", escape(text.as_bytes(), 40))),
    }
}

pub(super) fn audit(text: &str) -> Checked<Audit> {
    match text {
        "optional" => Ok(Audit::Optional),
        "required" => Ok(Audit::Required),
        _ => Err(format!("`{}` is neither `optional` nor `required`", escape(text.as_bytes(), 40))),
    }
}

/// SSM's alphabet for names (`PutParameter`), `:` for an ARN, and the placeholder `{role}`.
pub(super) fn parameter_name(text: &str) -> Checked<String> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"_.-/:".contains(&b);
    let plain = text.replace("{role}", "");
    if !text.is_empty() && text.len() <= 1011 && plain.bytes().all(fits) {
        return Ok(text.to_owned());
    }
    Err(format!(
        "`{}` is not an SSM parameter name (A-Z a-z 0-9 _ . - / and {{role}}, as in `/IAM/{{role}}/principals`)",
        escape(text.as_bytes(), 100)
    ))
}

/// Keys of instance tags that the metadata service serves (EC2 user guide, "Using instance tags").
pub(super) fn tag_key(text: &str) -> Checked<String> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"+-=.,_:@".contains(&b);
    if (1..=128).contains(&text.len()) && text.bytes().all(fits) && !matches!(text, "." | ".." | "_index") {
        return Ok(text.to_owned());
    }
    Err(format!(
        "`{}` is not the key of a tag that the metadata service serves (A-Z a-z 0-9 + - = . , _ : @)",
        escape(text.as_bytes(), 140)
    ))
}

pub(super) fn login_user(text: &str) -> Checked<()> {
    let fits = |c: char| !c.is_control() && !c.is_whitespace() && !matches!(c, '/' | ':' | ',');
    if (1..=256).contains(&text.len()) && text.chars().all(fits) && !matches!(text, "." | "..") {
        return Ok(());
    }
    Err(format!("`{}` cannot be the name of a login user", escape(text.as_bytes(), 100)))
}

/// `30s`, `5m` or `24h`.
pub(super) fn duration(text: &str) -> Checked<Duration> {
    let wrong = || format!("`{}` is not a duration such as 30s, 5m or 24h", escape(text.as_bytes(), 40));
    let (digits, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(wrong)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return Err(wrong()),
    };
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(wrong());
    }
    let number: u32 = digits.parse().map_err(|_| wrong())?;
    Ok(Duration::from_secs(u64::from(number) * seconds))
}

/// A lookup's deadline: sshd waits for it once per offered key, so a minute is more than anybody wants.
pub(super) fn deadline(text: &str) -> Checked<Duration> {
    let deadline = duration(text)?;
    if (Duration::from_secs(1)..=Duration::from_secs(60)).contains(&deadline) {
        return Ok(deadline);
    }
    Err(format!("`{}` is out of range: 1s to 60s", escape(text.as_bytes(), 40)))
}
