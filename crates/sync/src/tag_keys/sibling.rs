//! What the tags beside a key say: options, networks, the end of its time. Everything goes through the one allow-list
//! of options. Pure.

use iam_ssh_core::{KeyOption, KeyOptions};

use super::TagKeyError;

/// The options that a user may choose: each takes something away.
pub(super) const FLAGS: [&str; 6] =
    ["restrict", "verify-required", "no-pty", "no-port-forwarding", "no-agent-forwarding", "no-X11-forwarding"];

/// The options of the one value that there may be.
pub(super) fn one<F>(values: &[&str], read: F) -> Result<Vec<KeyOption>, TagKeyError>
where
    F: Fn(&str) -> Result<Vec<KeyOption>, TagKeyError>,
{
    match *values {
        [] => Ok(Vec::new()),
        [value] => read(value),
        _ => Err(TagKeyError::Twice),
    }
}

/// Options without values, separated by spaces; none at all is allowed, too.
pub(super) fn flags(value: &str) -> Result<Vec<KeyOption>, TagKeyError> {
    let words: Vec<&str> = value.split_ascii_whitespace().collect();
    let foreign = words.iter().find(|word| !FLAGS.iter().any(|flag| flag.eq_ignore_ascii_case(word)));
    if let Some(word) = foreign {
        return Err(TagKeyError::Option((*word).to_owned()));
    }
    KeyOptions::parse(&words.join(",")).map_err(TagKeyError::Options)
}

/// Networks, addresses and host names, separated by spaces: tags know no comma.
pub(super) fn from(value: &str) -> Result<Vec<KeyOption>, TagKeyError> {
    let refused = || TagKeyError::From(value.to_owned());
    let hosts: Vec<&str> = value.split_ascii_whitespace().collect();
    if hosts.is_empty() || value.contains(['"', '\\']) {
        return Err(refused());
    }
    KeyOptions::parse(&format!("from=\"{}\"", hosts.join(","))).map_err(|_| refused())
}

/// The first moment at which the key no longer counts: `2027-01-31` (0:00 UTC on that day, as sshd reads an
/// `expiry-time`; the last day it can be used is the 30th), `2027-01-31T12:00Z` or `2027-01-31T12:00:00Z`.
pub(super) fn expiry(value: &str) -> Result<Vec<KeyOption>, TagKeyError> {
    let refused = || TagKeyError::Expires(value.to_owned());
    let value = value.trim();
    let shape: String = value.chars().map(|c| if c.is_ascii_digit() { '9' } else { c }).collect();
    if !["9999-99-99", "9999-99-99T99:99Z", "9999-99-99T99:99:99Z"].contains(&shape.as_str()) {
        return Err(refused());
    }
    let digits: String = value.chars().filter(char::is_ascii_digit).collect();
    KeyOptions::parse(&format!("expiry-time=\"{digits}Z\"")).map_err(|_| refused())
}

/// Whether a key with these options no longer counts.
pub(super) fn is_over(options: &[KeyOption], now: i64) -> bool {
    options.iter().any(|option| matches!(option, KeyOption::ExpiryTime(at) if at.has_passed(now)))
}
