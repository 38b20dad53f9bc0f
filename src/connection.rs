//! An authenticated connection as PAM tells of it: what pam_exec(8) hands to a session module. Pure.
//!
//! Two hands write these variables. `SSH_AUTH_INFO_0` and `SSH_CONNECTION` are sshd's, made of what it verified. But a `pam_env`
//! that reads the user's own `~/.pam_environment` can put anything beside or over them, for whatever is run after it: so they count
//! only when a connection is opened. pam_exec puts its own items (`PAM_TYPE`, `PAM_USER`, …) behind all others: of several,
//! the last is pam_exec's.

use crate::session::parse_client;
use iam_ssh_core::offered::Offered;
use std::ffi::OsString;
use std::net::IpAddr;
use std::os::unix::ffi::OsStringExt as _;

/// The environment as it was handed over, in its order.
#[derive(Debug, Clone, Default)]
pub struct Variables(Vec<(Vec<u8>, Vec<u8>)>);

/// Why the hook was run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// A connection was authenticated.
    Open,
    /// A connection ended.
    Close,
}

/// Who authenticated, how, from where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// The login user.
    pub login: String,
    /// The client's address, if it has one.
    pub address: Option<String>,
    /// The client's port, if sshd told it (OpenSSH 8.0 and newer).
    pub port: Option<u16>,
    /// The methods that succeeded, in their order, with commas between them; `unknown` where sshd told none.
    pub method: String,
    /// The keys that signed, in their order.
    pub keys: Vec<Offered>,
}

impl Variables {
    /// Takes an environment in its order, with all that stands in it more than once.
    pub fn new(all: impl Iterator<Item = (OsString, OsString)>) -> Self {
        Self(all.map(|(name, value)| (name.into_vec(), value.into_vec())).collect())
    }

    /// The last one of that name.
    fn last(&self, name: &str) -> Option<String> {
        let found = self.0.iter().rev().find(|(known, _)| known == name.as_bytes());
        found.map(|(_, value)| String::from_utf8_lossy(value).into_owned())
    }

    /// Why the hook is run; `None` where it is for something else than a session.
    #[must_use]
    pub fn call(&self) -> Option<Call> {
        match self.last("PAM_TYPE").as_deref() {
            Some("open_session") => Some(Call::Open),
            Some("close_session") => Some(Call::Close),
            _ => None,
        }
    }

    /// The connection that is opened.
    #[must_use]
    pub fn connection(&self) -> Connection {
        let client = self.last("SSH_CONNECTION").as_deref().and_then(parse_client);
        // A name, where `UseDNS` is on: no address.
        let host = || self.last("PAM_RHOST").filter(|host| host.parse::<IpAddr>().is_ok());
        let (address, port) = match client {
            Some((address, port)) => (Some(address), Some(port)),
            None => (host(), None),
        };
        let (methods, keys) = proven(&self.last("SSH_AUTH_INFO_0").unwrap_or_default());
        let method = if methods.is_empty() { crate::record::UNKNOWN.to_owned() } else { methods.join(",") };
        Connection { login: self.last("PAM_USER").unwrap_or_default(), address, port, method, keys }
    }
}

/// The methods that succeeded and the keys that signed, in their order, from sshd's account of them: a method a line, behind it what
/// belongs to it (sshd_config(5), ExposeAuthInfo).
#[must_use]
pub fn proven(account: &str) -> (Vec<String>, Vec<Offered>) {
    let mut methods = Vec::new();
    let mut keys = Vec::new();
    for line in account.lines() {
        let mut words = line.split(' ');
        let Some(method) = words.next().filter(|method| !method.is_empty()) else { continue };
        methods.push(method.to_owned());
        if method == "publickey"
            && let (Some(key_type), Some(base64)) = (words.next(), words.next())
        {
            keys.extend(Offered::read(key_type, base64));
        }
    }
    (methods, keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE4Mn2XbA7A5ExVr7C+qcY8o6fiSbYeJNYx4tmeZlBJz";

    fn variables(pairs: &[(&str, &str)]) -> Variables {
        Variables::new(pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())))
    }

    #[test]
    fn a_connection_is_what_sshd_proved() {
        let info = format!("publickey {KEY}\nkeyboard-interactive/pam\n");
        let connection = variables(&[
            ("SSH_AUTH_INFO_0", &info),
            ("SSH_CONNECTION", "203.0.113.7 51234 10.0.0.1 22"),
            ("PAM_RHOST", "203.0.113.7"),
            ("PAM_USER", "ec2-user"),
            ("PAM_TYPE", "open_session"),
        ])
        .connection();
        assert_eq!(
            (connection.login.as_str(), connection.method.as_str()),
            ("ec2-user", "publickey,keyboard-interactive/pam")
        );
        assert_eq!((connection.address.as_deref(), connection.port), (Some("203.0.113.7"), Some(51234)));
        assert_eq!(connection.keys.len(), 1);
        assert_eq!(
            connection.keys.first().map(|key| format!("{} {}", key.key_type, key.base64())).as_deref(),
            Some(KEY)
        );
    }

    #[test]
    fn of_what_stands_there_twice_pam_exec_s_own_counts() {
        let forged = variables(&[
            ("PAM_TYPE", "open_session"),
            ("PAM_USER", "root"),
            ("LD_PRELOAD", "/home/x/evil.so"),
            ("PAM_USER", "ec2-user"),
            ("PAM_TYPE", "close_session"),
        ]);
        assert_eq!(forged.call(), Some(Call::Close));
        assert_eq!(forged.connection().login, "ec2-user");
    }

    #[test]
    fn what_is_not_told_is_unknown() {
        let nothing = variables(&[("PAM_USER", "x"), ("PAM_TYPE", "auth"), ("PAM_RHOST", "host.example.org")]);
        assert_eq!(nothing.call(), None);
        let connection = nothing.connection();
        assert_eq!((connection.address, connection.port, connection.keys.len()), (None, None, 0));
        assert_eq!(connection.method, "unknown");
        let old = variables(&[("PAM_RHOST", "2001:db8::1"), ("SSH_CONNECTION", "UNKNOWN 65535 UNKNOWN 65535")]);
        assert_eq!(old.connection().address.as_deref(), Some("2001:db8::1"));
        assert!(
            variables(&[("SSH_AUTH_INFO_0", "publickey x y\npublickey\n\n publickey\n")]).connection().keys.is_empty()
        );
    }
}
