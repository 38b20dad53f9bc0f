//! The options in front of a key in `authorized_keys`: an allow-list, parsed to values and rendered from values.
//!
//! Only options that take something away from a login, or give back what `restrict` took, are known here. Everything
//! that could run a program, add a certificate authority, set a variable or loosen a check (`command`,
//! `cert-authority`, `principals`, `tunnel`, `user-rc`, `no-touch-required`, …) is refused, and with it its line:
//! dropping the option alone would widen what the line's author meant. `environment` is handled by
//! [`crate::keyline`], for the one variable `SSH_KEY_OWNER`.

use crate::expiry::Expiry;
use crate::text::escape;
use std::fmt;
use std::net::IpAddr;

/// Options without a value that are allowed, as sshd(8) spells them. sshd compares them ignoring case.
const FLAGS: [&str; 11] = [
    "restrict",
    "pty",
    "port-forwarding",
    "agent-forwarding",
    "X11-forwarding",
    "no-pty",
    "no-port-forwarding",
    "no-agent-forwarding",
    "no-X11-forwarding",
    "no-user-rc",
    "verify-required",
];

/// Options with a value that are allowed, other than `expiry-time`.
const VALUES: [&str; 3] = ["from", "permitopen", "permitlisten"];

/// One allowed option. Equal options render equally.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyOption {
    /// An option without a value, in sshd(8)'s spelling.
    Flag(&'static str),
    /// `from`, `permitopen` or `permitlisten` with its value.
    Value(&'static str, Value),
    /// `expiry-time`.
    ExpiryTime(Expiry),
}

/// The value of an option, in a form that every sshd reads, from an alphabet that needs no quoting:
/// `A-Z a-z 0-9 . : * ? ! , / _ [ ] -`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Value(String);

/// Parses the sync's extra options; see [`KeyOptions::parse`].
#[derive(Debug)]
pub struct KeyOptions;

/// Why options are refused. Texts are given escaped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OptionError {
    /// A quote that is opened is not closed, or a value is not quoted.
    Quoting,
    /// The option is not on the allow-list.
    NotAllowed(String),
    /// The option's value is missing, superfluous or not of its form.
    Value(String),
    /// The option stands there twice; sshd's versions differ in which one counts.
    Twice(String),
}

/// An option as it stands in a line, before the allow-list judged it.
pub(crate) struct RawOption {
    pub(crate) name: String,
    pub(crate) value: Option<String>,
}

impl KeyOption {
    /// `no-user-rc`: `~/.ssh/rc` does not run, so the system's sshrc does.
    pub const NO_USER_RC: Self = Self::Flag("no-user-rc");

    pub(crate) fn from_raw(raw: &RawOption) -> Result<Self, OptionError> {
        let known = |names: &'static [&'static str]| names.iter().copied().find(|n| n.eq_ignore_ascii_case(&raw.name));
        let bad_value = || OptionError::Value(escape(raw.name.as_bytes(), 40));
        if let Some(name) = known(&FLAGS) {
            return if raw.value.is_none() { Ok(Self::Flag(name)) } else { Err(bad_value()) };
        }
        let value = raw.value.as_deref();
        if let Some(name) = known(&VALUES) {
            return value.and_then(|v| Value::new(name, v)).map(|v| Self::Value(name, v)).ok_or_else(bad_value);
        }
        if raw.name.eq_ignore_ascii_case("expiry-time") {
            return value.and_then(Expiry::parse).map(Self::ExpiryTime).ok_or_else(bad_value);
        }
        Err(OptionError::NotAllowed(escape(raw.name.as_bytes(), 40)))
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Flag(name) | Self::Value(name, _) => name,
            Self::ExpiryTime(_) => "expiry-time",
        }
    }
}

impl Value {
    /// The value of the option `name`, if sshd would honour it: one that it cannot read costs the whole line.
    fn new(name: &str, text: &str) -> Option<Self> {
        let fits = |b: u8| b.is_ascii_alphanumeric() || b".:*?!,/_[]-".contains(&b);
        let readable = match name {
            "from" => text.split(',').all(is_host_pattern),
            "permitopen" => text.rsplit_once(':').is_some_and(|(host, port)| is_host(host) && is_port(port)),
            "permitlisten" => match text.rsplit_once(':') {
                Some((host, port)) => is_host(host) && is_port(port),
                None => is_port(text),
            },
            _ => false,
        };
        (text.len() <= 2048 && text.bytes().all(fits) && readable).then(|| Self(text.to_owned()))
    }
}

/// One entry of `from`: a host pattern, or a network whose host bits are zero (sshd refuses the whole list else).
fn is_host_pattern(text: &str) -> bool {
    let text = text.strip_prefix('!').unwrap_or(text);
    match text.split_once('/') {
        None => !text.is_empty(),
        Some((address, len)) => {
            let len = len.bytes().all(|b| b.is_ascii_digit()).then(|| len.parse::<u32>().ok()).flatten();
            match (address.parse::<IpAddr>(), len) {
                (Ok(IpAddr::V4(ip)), Some(len @ 0..=32)) => u32::from(ip).checked_shl(len).unwrap_or(0) == 0,
                (Ok(IpAddr::V6(ip)), Some(len @ 0..=128)) => u128::from(ip).checked_shl(len).unwrap_or(0) == 0,
                _ => false,
            }
        }
    }
}

/// A host of `permitopen` or `permitlisten`: a name, an address, `*`, or an IPv6 address in brackets.
fn is_host(text: &str) -> bool {
    match text.strip_prefix('[').and_then(|t| t.strip_suffix(']')) {
        Some(inner) => inner.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !text.is_empty() && !text.contains(['[', ']', ':', ',', '/', '!', '?']),
    }
}

fn is_port(text: &str) -> bool {
    text == "*" || (text.bytes().all(|b| b.is_ascii_digit()) && text.parse::<u16>().is_ok_and(|port| port > 0))
}

impl KeyOptions {
    /// Parses options as they stand in front of a key: `restrict,pty,from="10.0.0.0/8"`. `environment` is not an
    /// option that can be chosen.
    ///
    /// # Errors
    /// [`OptionError`], for the first option that is refused.
    pub fn parse(text: &str) -> Result<Vec<KeyOption>, OptionError> {
        let text = text.trim();
        if text.is_empty() {
            return Ok(Vec::new());
        }
        let (raw, rest) = split(text)?;
        if !rest.is_empty() {
            return Err(OptionError::Quoting);
        }
        check(&raw)
    }
}

/// Judges options by the allow-list, refusing any that stands there twice and may not.
pub(crate) fn check(raw: &[RawOption]) -> Result<Vec<KeyOption>, OptionError> {
    let mut options: Vec<KeyOption> = Vec::with_capacity(raw.len());
    for raw in raw {
        let option = KeyOption::from_raw(raw)?;
        // sshd collects these two, and refuses or reinterprets the others.
        let repeatable = matches!(option.name(), "permitopen" | "permitlisten");
        if !repeatable && options.iter().any(|o| o.name() == option.name()) {
            return Err(OptionError::Twice(option.name().to_owned()));
        }
        options.push(option);
    }
    Ok(options)
}

/// Splits the options off the head of a line, as sshd does: separated by commas, values in double quotes, `\"` for a
/// quote inside, ended by white space outside quotes. Gives them and the rest of the line.
pub(crate) fn split(line: &str) -> Result<(Vec<RawOption>, &str), OptionError> {
    let mut options = Vec::new();
    let mut rest = line;
    loop {
        let end = rest.find(['=', ',', ' ', '\t']).unwrap_or(rest.len());
        let (name, after) = rest.split_at_checked(end).ok_or(OptionError::Quoting)?;
        let (value, after) = match after.strip_prefix('=') {
            Some(quoted) => {
                let (value, after) = unquote(quoted)?;
                (Some(value), after)
            }
            None => (None, after),
        };
        options.push(RawOption { name: name.to_owned(), value });
        match after.strip_prefix(',') {
            Some(next) => rest = next,
            None if after.is_empty() || after.starts_with([' ', '\t']) => return Ok((options, after.trim_start())),
            None => return Err(OptionError::Quoting),
        }
    }
}

fn unquote(text: &str) -> Result<(String, &str), OptionError> {
    let mut rest = text.strip_prefix('"').ok_or(OptionError::Quoting)?;
    let mut value = String::new();
    while let Some(c) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("\\\"") {
            value.push('"');
            rest = after;
        } else if let Some(after) = rest.strip_prefix('"') {
            return Ok((value, after));
        } else {
            value.push(c);
            rest = rest.get(c.len_utf8()..).unwrap_or_default();
        }
    }
    Err(OptionError::Quoting)
}

impl fmt::Display for KeyOption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(name) => f.write_str(name),
            Self::Value(name, Value(value)) => write!(f, "{name}=\"{value}\""),
            Self::ExpiryTime(at) => write!(f, "expiry-time=\"{at}\""),
        }
    }
}

impl fmt::Display for OptionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Quoting => {
                write!(f, "the options are not written as sshd reads them (name=\"value\", separated by commas)")
            }
            Self::NotAllowed(name) => write!(f, "option `{name}` is not allowed"),
            Self::Value(name) => write!(f, "option `{name}` has no fitting value"),
            Self::Twice(name) => write!(f, "option `{name}` stands there twice"),
        }
    }
}

impl std::error::Error for OptionError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_sshd_would_not_honour_are_refused() {
        for good in [
            "from=\"10.0.0.0/8,!10.1.2.3,*.example.org,2001:db8::/32,0.0.0.0/0\"",
            "permitopen=\"db:5432\",permitopen=\"[::1]:*\"",
            "permitlisten=\"8080\",permitlisten=\"localhost:80\"",
        ] {
            assert!(KeyOptions::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "from=\"127.0.0.1/33\"",
            "from=\"127.0.0.1/8\"",
            "from=\"2001:db8::1/32\"",
            "from=\"a,,b\"",
            "from=\"a/8\"",
            "permitopen=\"a:1,b:2\"",
            "permitopen=\"a\"",
            "permitopen=\"a:0\"",
            "permitlisten=\"x\"",
            "permitlisten=\"80,81\"",
            "from=\"a\",from=\"b\"",
        ] {
            assert!(KeyOptions::parse(bad).is_err(), "{bad}");
        }
    }
}
