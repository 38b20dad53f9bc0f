//! The record of a connection: one line when it is opened and one when it is closed, written and read again. Pure.
//!
//! It is written by `session-audit`, as root, from what sshd proved; it is read by `iam-ssh log`, out of logs that anybody on the
//! machine can write to. So a line carries a seal over all of it, made with a secret of root's ([`seal`]): what reads like a
//! record and has no valid seal was not written by iam-ssh. Nothing in here may come from a session's environment.

pub mod seal;
pub mod secret;

use iam_ssh_core::text::escape;
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;
use std::time::Duration;

/// What stands for something that is not known.
pub const UNKNOWN: &str = "unknown";
/// What stands for something that there is not.
pub const NONE: &str = "none";

/// Longest form of each text in a line, in bytes: all of them together fit into one, whatever they are.
const MAX_LOGIN: usize = 64;
const MAX_METHOD: usize = 48;
const MAX_CERTIFICATE: usize = 80;
const MAX_WORD: usize = 160;

/// What happened to the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum What {
    /// It was opened: somebody logged in.
    Opened,
    /// It was closed.
    Closed {
        /// How long it was open; `None` where nobody saw its end.
        duration: Option<Duration>,
    },
    /// `iam-ssh refresh --enforce` ended it.
    Revoked,
}

/// One line of the record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// What happened.
    pub what: What,
    /// IAM user whose key was proven; `None` where it is nobody's that we know.
    pub owner: Option<String>,
    /// The login user.
    pub login: String,
    /// Fingerprint of the key that signed, `SHA256:…`; of a certificate, that of the key inside. `None`: no key.
    pub key: Option<String>,
    /// The key's type as sshd names it.
    pub key_type: Option<String>,
    /// The client's address.
    pub address: Option<String>,
    /// The client's port.
    pub port: Option<u16>,
    /// The principal whose document let the key in; `None` where it was not iam-ssh that did.
    pub principal: Option<String>,
    /// The authentication methods that succeeded, in their order, with commas between them.
    pub method: String,
    /// The certificate, if it was one.
    pub certificate: Option<Certificate>,
    /// The kernel's audit session id (`ses=` in auditd's records), where there is one.
    pub audit_session: Option<u32>,
    /// Process id of sshd's process for this connection, as in sshd's own lines.
    pub sshd_pid: u32,
    /// Names the connection: no two have the same.
    pub id: String,
    /// When it happened, in milliseconds since 1970 UTC.
    pub at: i64,
}

/// What a certificate says of itself. It is worth what its authority is worth, so that is named with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// Its key id.
    pub id: String,
    /// Fingerprint of the authority that signed it.
    pub authority: String,
}

impl Record {
    /// The record as a line of printable ASCII, without a seal. Every value is one word.
    #[must_use]
    pub fn line(&self) -> String {
        let mut line = String::from(match self.what {
            What::Opened => "session opened",
            What::Closed { .. } => "session closed",
            What::Revoked => "session revoked",
        });
        for (name, value) in self.fields() {
            let _ = write!(line, " {name}={value}");
        }
        line
    }

    /// Its fields in their order, names as in the line, values as words.
    #[must_use]
    pub fn fields(&self) -> Vec<(&'static str, String)> {
        let or = |value: &Option<String>, instead: &str| match value.as_deref() {
            // Somebody may be called so.
            Some(UNKNOWN) => "\\x75nknown".to_owned(),
            Some(NONE) => "\\x6eone".to_owned(),
            Some(value) => word(value, MAX_WORD),
            None => instead.to_owned(),
        };
        let mut fields = vec![
            ("owner", or(&self.owner, UNKNOWN)),
            ("login", word(&self.login, MAX_LOGIN)),
            ("key", or(&self.key, NONE)),
            ("from", or(&self.address, UNKNOWN)),
            ("port", self.port.map_or_else(|| UNKNOWN.to_owned(), |port| port.to_string())),
        ];
        if let What::Closed { duration } = self.what {
            let duration = duration.map(|d| format!("{}.{:03}s", d.as_secs(), d.subsec_millis()));
            fields.push(("duration", duration.unwrap_or_else(|| UNKNOWN.to_owned())));
        }
        fields.extend([
            ("type", or(&self.key_type, NONE)),
            ("principal", or(&self.principal, NONE)),
            ("method", word(&self.method, MAX_METHOD)),
        ]);
        if let Some(certificate) = &self.certificate {
            fields.push(("certificate", word(&certificate.id, MAX_CERTIFICATE)));
            fields.push(("authority", word(&certificate.authority, MAX_WORD)));
        }
        if let Some(session) = self.audit_session {
            fields.push(("ses", session.to_string()));
        }
        fields.extend([
            ("sshd", self.sshd_pid.to_string()),
            ("id", word(&self.id, MAX_WORD)),
            ("at", self.at.to_string()),
        ]);
        fields
    }

    /// Reads a line again, with or without its seal, which is not looked at. Values stay in their escaped form. `None` for every
    /// other text.
    #[must_use]
    pub fn parse(line: &str) -> Option<Self> {
        if !line.bytes().all(|b| (0x20..=0x7e).contains(&b)) {
            return None;
        }
        let rest = line.strip_prefix("session ")?;
        let (what, rest) = rest.split_once(' ')?;
        let mut values = Values::default();
        for field in rest.split(' ') {
            let (name, value) = field.split_once('=')?;
            values.put(name, value)?;
        }
        let known = |value: &str| (value != UNKNOWN && value != NONE).then(|| value.to_owned());
        let what = match what {
            "opened" => What::Opened,
            "revoked" => What::Revoked,
            "closed" => What::Closed { duration: duration(values.get("duration")?)? },
            _ => return None,
        };
        let port = match values.get("port")? {
            UNKNOWN => None,
            port => Some(port.parse().ok()?),
        };
        let audit_session = match values.get("ses") {
            Some(session) => Some(session.parse().ok()?),
            None => None,
        };
        let certificate = match (values.get("certificate"), values.get("authority")) {
            (Some(id), Some(authority)) => Some(Certificate { id: id.to_owned(), authority: authority.to_owned() }),
            _ => None,
        };
        Some(Self {
            what,
            owner: known(values.get("owner")?),
            login: values.get("login")?.to_owned(),
            key: known(values.get("key")?),
            key_type: known(values.get("type")?),
            address: known(values.get("from")?),
            port,
            principal: known(values.get("principal")?),
            method: values.get("method")?.to_owned(),
            certificate,
            audit_session,
            sshd_pid: values.get("sshd")?.parse().ok()?,
            id: values.get("id")?.to_owned(),
            at: values.get("at")?.parse().ok()?,
        })
    }
}

/// A text as one word of printable ASCII, at most `max` bytes: what follows a space would read as a field of its own.
#[must_use]
pub fn word(text: &str, max: usize) -> String {
    let mut end = text.len().min(max);
    loop {
        // Escaped spaces take more room than spaces.
        let word = escape(text.as_bytes().get(..end).unwrap_or_default(), usize::MAX).replace(' ', "\\x20");
        let dots = if end < text.len() { "..." } else { "" };
        if word.len() + dots.len() <= max || end == 0 {
            return if word.is_empty() && dots.is_empty() { "\\x00".to_owned() } else { word + dots };
        }
        end -= 1;
    }
}

/// `12.345s`, or `unknown`.
fn duration(text: &str) -> Option<Option<Duration>> {
    if text == UNKNOWN {
        return Some(None);
    }
    let (seconds, millis) = text.strip_suffix('s')?.split_once('.')?;
    let millis = (millis.len() == 3).then(|| millis.parse().ok())??;
    Some(Some(Duration::from_secs(seconds.parse().ok()?) + Duration::from_millis(millis)))
}

/// The values of a line by name, each once.
#[derive(Default)]
struct Values<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Values<'a> {
    fn put(&mut self, name: &'a str, value: &'a str) -> Option<()> {
        if self.get(name).is_some() || value.is_empty() {
            return None;
        }
        self.0.push((name, value));
        Some(())
    }

    fn get(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn record() -> Record {
        Record {
            what: What::Opened,
            owner: Some("john@example.org".to_owned()),
            login: "ec2-user".to_owned(),
            key: Some("SHA256:abc".to_owned()),
            key_type: Some("ssh-ed25519".to_owned()),
            address: Some("203.0.113.7".to_owned()),
            port: Some(51234),
            principal: Some("groups/Administrators".to_owned()),
            method: "publickey".to_owned(),
            certificate: None,
            audit_session: Some(5),
            sshd_pid: 1765,
            id: "19a2b-1765".to_owned(),
            at: 1_795_000_000_123,
        }
    }

    #[test]
    fn the_words_of_the_contract_come_first() {
        let line = record().line();
        let words = "session opened owner=john@example.org login=ec2-user key=SHA256:abc from=203.0.113.7 port=51234 ";
        assert!(line.starts_with(words), "{line}");
        let closed = Record { what: What::Closed { duration: Some(Duration::from_millis(61_007)) }, ..record() }.line();
        assert!(closed.starts_with("session closed owner=john@example.org login=ec2-user key=SHA256:abc from="));
        assert!(closed.contains(" port=51234 duration=61.007s "), "{closed}");
    }

    #[test]
    fn what_is_written_is_read() {
        let unknown = Record {
            what: What::Closed { duration: None },
            owner: None,
            key: None,
            key_type: None,
            address: None,
            port: None,
            principal: None,
            audit_session: None,
            certificate: Some(Certificate { id: "x".to_owned(), authority: "SHA256:y".to_owned() }),
            ..record()
        };
        for record in [record(), unknown] {
            assert_eq!(Record::parse(&record.line()), Some(record.clone()), "{}", record.line());
            assert_eq!(Record::parse(&format!("{} mac=00", record.line())), Some(record));
        }
    }

    #[test]
    fn no_value_makes_a_second_field_or_line() {
        let evil = "x owner=boss\nsession opened owner=boss\u{1b}[2J".to_owned();
        let line = Record {
            login: evil.clone(),
            method: evil.clone(),
            certificate: Some(Certificate { id: evil.clone(), authority: evil.clone() }),
            owner: Some(evil.clone()),
            ..record()
        }
        .line();
        assert_eq!(line.split(' ').filter(|word| word.starts_with("owner=")).count(), 1, "{line}");
        assert!(Record::parse(&line).is_some(), "{line}");
    }

    #[test]
    fn who_is_called_unknown_is_known() {
        let line = Record { owner: Some("unknown".to_owned()), key: Some("none".to_owned()), ..record() }.line();
        assert!(line.contains("owner=\\x75nknown ") && line.contains("key=\\x6eone "), "{line}");
        assert!(Record::parse(&line).is_some_and(|record| record.owner.is_some() && record.key.is_some()), "{line}");
    }

    #[test]
    fn the_longest_line_is_no_longer_than_a_log_takes() {
        let long = "\u{1b}".repeat(4000);
        let line = Record {
            what: What::Closed { duration: Some(Duration::from_secs(1_000_000_000)) },
            owner: Some("o".repeat(64)),
            login: long.clone(),
            key: Some(format!("SHA256:{}", "k".repeat(43))),
            key_type: Some("sk-ecdsa-sha2-nistp256-cert-v01@openssh.com".to_owned()),
            address: Some("fe80:1111:2222:3333:4444:5555:6666:7777%interface-name-1".to_owned()),
            port: Some(65535),
            principal: Some(format!("groups/{}", "g".repeat(128))),
            method: long.clone(),
            certificate: Some(Certificate { id: long, authority: format!("SHA256:{}", "k".repeat(43)) }),
            audit_session: Some(u32::MAX),
            sshd_pid: 4_194_304,
            id: "19a2b3c4d5e6-4194304".to_owned(),
            at: i64::MAX,
        }
        .line();
        // 60 for syslog's header, 37 for the seal.
        assert!(line.len() + 60 + 37 <= crate::audit::MAX_LINE, "{}: {line}", line.len());
    }

    #[test]
    fn everything_else_is_no_record() {
        let good = record().line();
        for bad in [
            "",
            "session opened",
            "session begun owner=x",
            "Session opened owner=x",
            &good.replace("owner=", "Owner="),
            &good.replace("port=51234", "port=x"),
            &good.replace(" login=", " owner=boss login="),
            &good.replace(" login=", "  login="),
            &good.replace("john", "j\u{f6}hn"),
            &good.replace("john", "j\tohn"),
        ] {
            assert_eq!(Record::parse(bad), None, "{bad}");
        }
        assert_eq!(word("", 8), "\\x00", "an empty value is a value");
        assert_eq!(word("a b", 80), "a\\x20b");
        assert!(word(&" ".repeat(500), 64).len() <= 64);
    }
}
