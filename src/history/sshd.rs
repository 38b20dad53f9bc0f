//! What sshd's own lines say of a login, and what the lookup's line says of the key that was offered for it. Pure.
//!
//! In `Accepted … for <user> from <address> port <port> ssh2: <type> <fingerprint>` the user has logged in, so the name is one of the
//! system's; but what a certificate's key id says, its authority chose. So everything around both is read strictly, from both ends.

use std::net::IpAddr;

/// `Accepted …`: somebody proved who they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted<'a> {
    /// How, as sshd names it.
    pub method: &'a str,
    /// The login user.
    pub login: &'a str,
    /// The client's address; `None` where there is none, as for a socket that is none of the network's.
    pub address: Option<&'a str>,
    /// The client's port.
    pub port: u16,
    /// The key, if it was one.
    pub key: Option<Key<'a>>,
}

/// A key that signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key<'a> {
    /// sshd's short name of its type: `ED25519`.
    pub kind: &'a str,
    /// `SHA256:…`, or `MD5:…` where sshd is set to that; of a certificate, that of the key inside.
    pub fingerprint: &'a str,
    /// Of a certificate: its key id and its authority's fingerprint, if the line is long enough for both.
    pub certificate: Option<(&'a str, Option<&'a str>)>,
}

/// `offered …`: what the lookup found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer<'a> {
    /// Whose key it is; never `unknown`.
    pub owner: &'a str,
    /// For which login user.
    pub login: &'a str,
    /// Through which principal.
    pub principal: &'a str,
    /// Its fingerprint.
    pub key: &'a str,
    /// Process id of sshd's process for the connection.
    pub sshd_pid: u32,
}

/// Reads sshd's line about a login.
#[must_use]
pub fn accepted(message: &str) -> Option<Accepted<'_>> {
    let (method, rest) = message.strip_prefix("Accepted ")?.split_once(" for ")?;
    if method.is_empty()
        || !method.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'/' | b'_' | b'@' | b'.'))
    {
        return None;
    }
    let mut readings = rest.match_indices(" from ").filter_map(|(at, from)| {
        let (login, tail) = (rest.get(..at)?, rest.get(at + from.len()..)?);
        let (address, port, key) = source(method, tail)?;
        Some(Accepted { method, login, address, port, key })
    });
    // Names of users have no spaces, so the first reading without one is right, whatever a key id looks like. Where there is none, the
    // system has such a user, and the last reading has all of the name.
    let first = readings.next()?;
    if !first.login.contains(' ') {
        return Some(first);
    }
    Some(readings.last().unwrap_or(first))
}

type From<'a> = (Option<&'a str>, u16, Option<Key<'a>>);

/// `<address> port <port> ssh2`, and what may stand behind it for this method.
fn source<'a>(method: &str, tail: &'a str) -> Option<From<'a>> {
    let (address, rest) = tail.split_once(" port ")?;
    let (port, rest) = rest.split_once(" ssh2")?;
    let address = match address {
        "UNKNOWN" => None,
        _ => {
            address.split('%').next()?.parse::<IpAddr>().ok()?;
            (!address.contains(' ')).then_some(Some(address))?
        }
    };
    let port = digits(port)?.parse().ok()?;
    let extra = match rest {
        "" => None,
        _ => Some(rest.strip_prefix(": ")?),
    };
    let key = match (method, extra) {
        ("publickey", Some(extra)) => Some(key(extra)?),
        // The name and host that a client claims stand behind the key.
        ("hostbased", Some(extra)) => Some(key(extra.split_once(", client user ").map_or(extra, |(key, _)| key))?),
        ("publickey" | "password", extra) => extra.is_none().then_some(None)?,
        _ => None,
    };
    Some((address, port, key))
}

/// `ED25519 SHA256:…`, or `ED25519-CERT SHA256:… ID <key id> (serial 7) CA ED25519 SHA256:…`.
fn key(text: &str) -> Option<Key<'_>> {
    let (kind, rest) = text.split_once(' ')?;
    let is_kind = |kind: &str| !kind.is_empty() && kind.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let (fingerprint, rest) =
        rest.split_once(' ').map_or((rest, None), |(fingerprint, rest)| (fingerprint, Some(rest)));
    if !is_kind(kind) || !is_fingerprint(fingerprint) {
        return None;
    }
    let certificate = match (kind.ends_with("-CERT"), rest) {
        (false, None) => None,
        (true, Some(rest)) => {
            let id = rest.strip_prefix("ID ")?;
            let whole = id.rsplit_once(" CA ").and_then(|(before, authority)| {
                let (kind, authority) = authority.split_once(' ')?;
                let (id, serial) = before.rsplit_once(" (serial ")?;
                digits(serial.strip_suffix(')')?)?;
                (is_kind(kind) && is_fingerprint(authority)).then_some((id, authority))
            });
            // sshd cuts lines of more than a thousand bytes; a key id may have more.
            let (id, authority) = whole.map_or((id, None), |(id, authority)| (id, Some(authority)));
            Some((id.strip_prefix('"').and_then(|id| id.strip_suffix('"')).unwrap_or(id), authority))
        }
        _ => return None,
    };
    Some(Key { kind, fingerprint, certificate })
}

fn is_fingerprint(text: &str) -> bool {
    match text.split_once(':') {
        Some(("SHA256", sum)) => {
            sum.len() == 43 && sum.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/'))
        }
        Some(("MD5", sum)) => {
            sum.len() == 47 && sum.split(':').all(|pair| pair.len() == 2 && pair.bytes().all(|b| b.is_ascii_hexdigit()))
        }
        _ => false,
    }
}

fn digits(text: &str) -> Option<&str> {
    (!text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())).then_some(text)
}

/// The login user whose session PAM closed: sshd's process for the connection says so as its last.
#[must_use]
pub fn closed(message: &str) -> Option<&str> {
    message.strip_prefix("pam_unix(sshd:session): session closed for user ")
}

/// Reads the lookup's line about an offered key whose owner it found.
#[must_use]
pub fn offer(message: &str) -> Option<Offer<'_>> {
    let mut values = [None; 5];
    for field in message.strip_prefix("offered ")?.split(' ') {
        let (name, value) = field.split_once('=')?;
        let at = ["owner", "login", "principal", "key", "sshd"].iter().position(|known| *known == name);
        if let Some(slot) = at.and_then(|at| values.get_mut(at))
            && slot.replace(value).is_some()
        {
            return None;
        }
    }
    let [owner, login, principal, key, pid] = values;
    let sshd_pid = digits(pid?)?.parse().ok()?;
    let owner = owner.filter(|owner| *owner != crate::record::UNKNOWN)?;
    Some(Offer { owner, login: login?, principal: principal?, key: key?, sshd_pid })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FP: &str = "SHA256:NVgC3Dn0WpsMhHhNVgC3Dn0WpsMhHhNVgC3Dn0WpsM1";
    const CA: &str = "SHA256:aVgC3Dn0WpsMhHhNVgC3Dn0WpsMhHhNVgC3Dn0WpsM1";

    fn plain<'a>(method: &'a str, login: &'a str, address: &'a str, port: u16) -> Accepted<'a> {
        Accepted { method, login, address: Some(address), port, key: None }
    }

    fn with_key<'a>(login: &'a str, kind: &'a str, certificate: Option<(&'a str, Option<&'a str>)>) -> Accepted<'a> {
        let key = Some(Key { kind, fingerprint: FP, certificate });
        Accepted { key, ..plain("publickey", login, "203.0.113.7", 51234) }
    }

    #[test]
    fn what_sshd_says_is_read() {
        let line = format!("Accepted publickey for ec2-user from 203.0.113.7 port 51234 ssh2: ED25519 {FP}");
        assert_eq!(accepted(&line), Some(with_key("ec2-user", "ED25519", None)));
        for (line, expected) in [
            ("Accepted password for a from ::1 port 1 ssh2", plain("password", "a", "::1", 1)),
            ("Accepted password for a from fe80::1%eth0 port 1 ssh2", plain("password", "a", "fe80::1%eth0", 1)),
            (
                "Accepted keyboard-interactive/pam for a from 1.2.3.4 port 65535 ssh2",
                plain("keyboard-interactive/pam", "a", "1.2.3.4", 65535),
            ),
            (
                "Accepted gssapi-with-mic for a from 1.2.3.4 port 2 ssh2: a@EXAMPLE.ORG",
                plain("gssapi-with-mic", "a", "1.2.3.4", 2),
            ),
            (
                "Accepted none for a from UNKNOWN port 65535 ssh2",
                Accepted { address: None, ..plain("none", "a", "", 65535) },
            ),
        ] {
            assert_eq!(accepted(line), Some(expected), "{line}");
        }
        let line = format!(
            "Accepted hostbased for a from 1.2.3.4 port 2 ssh2: RSA {FP}, client user \"x from 6.6.6.6 port 1 ssh2: RSA {FP}\", client host \"h\""
        );
        let read = accepted(&line).unwrap();
        assert_eq!((read.address, read.key.map(|key| key.kind)), (Some("1.2.3.4"), Some("RSA")));
    }

    #[test]
    fn a_certificate_is_read_whatever_its_key_id_says() {
        let trick = format!("x from 6.6.6.6 port 1 ssh2: RSA-CERT {FP} ID boss (serial 1) CA RSA {FP}");
        for id in ["joe", "joe (serial 0) CA ED25519 x", " ", "x from 6.6.6.6 port 1 ssh2", &trick] {
            let line = format!(
                "Accepted publickey for u from 203.0.113.7 port 51234 ssh2: ED25519-CERT {FP} ID {id} (serial 7) CA ED25519 {CA}"
            );
            assert_eq!(accepted(&line), Some(with_key("u", "ED25519-CERT", Some((id, Some(CA))))), "{id}");
            let quoted = line.replace(&format!("ID {id} ("), &format!("ID \"{id}\" ("));
            assert_eq!(accepted(&quoted), accepted(&line), "{quoted}");
        }
        let cut = format!("Accepted publickey for u from 203.0.113.7 port 51234 ssh2: RSA-CERT {FP} ID long");
        assert_eq!(accepted(&cut), Some(with_key("u", "RSA-CERT", Some(("long", None)))));
    }

    #[test]
    fn no_name_of_a_user_puts_words_into_sshds_mouth() {
        let trick = format!("x from 1.2.3.4 port 5 ssh2: RSA {FP}");
        let line = format!("Accepted publickey for {trick} from 203.0.113.7 port 51234 ssh2: ED25519 {FP}");
        assert_eq!(accepted(&line), Some(with_key(&trick, "ED25519", None)));
        let trick = "x from 1.2.3.4 port 5 ssh2";
        let line = format!("Accepted password for {trick} from 9.9.9.9 port 6 ssh2");
        assert_eq!(accepted(&line), Some(plain("password", trick, "9.9.9.9", 6)));
        // Before anybody has logged in, the name is whatever the client says; such lines begin with another word.
        for line in [
            format!("Failed password for x from 1.2.3.4 port 5 ssh2: RSA {FP} from 9.9.9.9 port 6 ssh2"),
            format!("Invalid user Accepted publickey for root from 1.2.3.4 port 5 ssh2: RSA {FP}"),
        ] {
            assert_eq!(accepted(&line), None, "{line}");
        }
    }

    #[test]
    fn what_is_not_in_form_is_not_read() {
        for line in [
            "",
            "Accepted",
            "Accepted publickey for",
            "Accepted publickey for a from nowhere port 1 ssh2",
            "Accepted password for a from 1.2.3.4 port 1 ssh2 ",
            "Accepted password for a from 1.2.3.4 port 70000 ssh2",
            "Accepted password for a from 1.2.3.4 port +1 ssh2",
            "Accepted password for a from 1.2.3.4 port 1 ssh2: RSA SHA256:x",
            "Accepted publickey for a from 1.2.3.4 port 1 ssh2: RSA SHA256:short",
            "Accepted publickey for a from 1.2.3.4%a b port 1 ssh2",
        ] {
            assert_eq!(accepted(line), None, "{line}");
        }
    }

    #[test]
    fn the_line_that_the_lookup_writes_is_read() {
        let event = crate::audit::Event::Offered {
            login: "ec2-user".to_owned(),
            owner: iam_ssh_core::Name::new("john@example.org").unwrap(),
            principal: "groups/Admins".parse().unwrap(),
            fingerprint: FP.to_owned(),
            source: crate::audit::Source::Cache,
            took: std::time::Duration::from_millis(3),
            sshd_pid: 1765,
        };
        let offered =
            Offer { owner: "john@example.org", login: "ec2-user", principal: "groups/Admins", key: FP, sshd_pid: 1765 };
        let line = event.line(900);
        assert_eq!(offer(&line), Some(offered));
        assert_eq!(offer(&line.replace("john@example.org", "unknown")), None);
        assert_eq!(offer(&line.replace(" key=", " owner=boss key=")), None);
        assert_eq!(offer(&line.replace("=1765", "=-1")), None);
        assert_eq!(closed("pam_unix(sshd:session): session closed for user x"), Some("x"));
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "(Accepted |offered )?[a-z]{0,9}( for | from | port | ssh2|: |\\PC|=){0,9}") {
            let _ = (accepted(&text), offer(&text));
        }

        #[test]
        fn a_key_id_changes_nothing_else(id in "\\PC{0,40}( from 1.2.3.4 port 5 ssh2: )?\\PC{0,20}") {
            let line = format!(
                "Accepted publickey for u from 203.0.113.7 port 51234 ssh2: ED25519-CERT {FP} ID {id} (serial 7) CA ED25519 {CA}"
            );
            let read = accepted(&line).unwrap();
            prop_assert_eq!((read.login, read.address, read.port), ("u", Some("203.0.113.7"), 51234));
        }
    }
}
