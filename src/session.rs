//! A session's own account of itself, as sshd's environment gives it: owner, client, terminal, X11 cookie. Pure.
//!
//! All of it can be forged by the user whose session it is (`SSH_KEY_OWNER` by `~/.ssh/environment`, for one), so each
//! value is parsed to its form or becomes `unknown`. It must never be taken as evidence.

pub mod xauth;

use crate::audit::Event;
use iam_ssh_core::Name;
use std::net::IpAddr;

/// What stands where something is not known.
const UNKNOWN: &str = "unknown";

/// The variables of a session that sshrc looks at, as they stand in its environment.
#[derive(Debug, Clone, Default)]
pub struct Variables {
    /// `SSH_KEY_OWNER`: set by our key line.
    pub key_owner: Option<String>,
    /// `SSH_CLIENT`: client address, client port, server port.
    pub client: Option<String>,
    /// `SSH_TTY`: set where the session has a terminal.
    pub tty: Option<String>,
    /// `DISPLAY`: set where X11 is forwarded.
    pub display: Option<String>,
}

/// A session, parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// The key's owner, if one is named.
    pub owner: Option<Name>,
    /// The client's address and port, if sshd told them.
    pub client: Option<(String, u16)>,
    /// Whether there is a terminal.
    pub has_terminal: bool,
}

impl Session {
    /// Parses the variables.
    #[must_use]
    pub fn parse(variables: &Variables) -> Self {
        Self {
            owner: variables.key_owner.as_deref().and_then(|owner| Name::new(owner).ok()),
            client: variables.client.as_deref().and_then(parse_client),
            has_terminal: variables.tty.as_deref().is_some_and(|tty| !tty.is_empty()),
        }
    }

    /// The seed's log line.
    #[must_use]
    pub fn event(&self) -> Event {
        let (address, port) = match &self.client {
            Some((address, port)) => (address.clone(), port.to_string()),
            None => (UNKNOWN.to_owned(), UNKNOWN.to_owned()),
        };
        Event::Owner { owner: self.owner.as_ref().map_or(UNKNOWN.to_owned(), ToString::to_string), address, port }
    }

    /// The greeting, where it can do no harm: on a terminal, and only for a known owner. A line on the stdout of a
    /// session without a terminal breaks scp, sftp and rsync; a login that is not ours is greeted by nobody.
    #[must_use]
    pub fn greeting(&self, stdout_is_terminal: bool) -> Option<String> {
        let owner = self.owner.as_ref()?;
        (self.has_terminal && stdout_is_terminal).then(|| format!("Publickey of {owner}"))
    }
}

/// `SSH_CLIENT` is `<address> <port> <server port>`; an IPv6 address may carry a scope (`fe80::1%eth0`).
pub(crate) fn parse_client(text: &str) -> Option<(String, u16)> {
    let mut words = text.split(' ');
    let (address, port) = (words.next()?, words.next()?);
    let (plain, scope) = address.split_once('%').unwrap_or((address, ""));
    let scope_fits = scope.len() <= 15 && scope.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    plain.parse::<IpAddr>().ok().filter(|_| scope_fits)?;
    Some((address.to_owned(), port.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(owner: &str, client: &str) -> Session {
        Session::parse(&Variables {
            key_owner: Some(owner.to_owned()),
            client: Some(client.to_owned()),
            tty: Some("/dev/pts/0".to_owned()),
            display: None,
        })
    }

    #[test]
    fn owner_and_client_are_named() {
        let known = session("john@example.org", "203.0.113.7 51234 22");
        assert_eq!(
            known.event().line(900),
            "Public key owner is john@example.org for connection 203.0.113.7 port 51234"
        );
        assert_eq!(known.greeting(true).as_deref(), Some("Publickey of john@example.org"));
        assert_eq!(known.greeting(false), None, "no terminal on stdout");
        assert_eq!(session("a", "fe80::1%eth0 1 22").client, Some(("fe80::1%eth0".to_owned(), 1)));
    }

    #[test]
    fn what_is_forged_badly_is_unknown() {
        let forged = session("john\nsshd[1]: Accepted", "203.0.113.7\n 51234 22");
        assert_eq!(forged.event().line(900), "Public key owner is unknown for connection unknown port unknown");
        assert_eq!(forged.greeting(true), None);
        for client in ["", "UNKNOWN 65535 65535", "1.2.3.4", "1.2.3.4 99999 22", "1.2.3.4%\x1b[2J 1 22"] {
            assert_eq!(session("a", client).client, None, "{client:?}");
        }
    }
}
