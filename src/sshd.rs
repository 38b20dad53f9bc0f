//! What sshd is really configured to do, and what wiring would change. Pure; [`observe`] looks, [`apply`] acts.
//!
//! The drop-in is text made here, whole. An administrator's file is not edited, but for one block at the end of
//! sshd_config where that includes no drop-in. sshd has room for one AuthorizedKeysCommand: that of somebody else is
//! recorded, and asked after a miss ([`chain`]); where that cannot be done as sshd did it, wiring is declined.

pub mod apply;
pub mod block;
pub mod chain;
pub mod config;
pub mod explicit;
pub mod glob;
pub mod observe;
pub mod plan;
pub mod sshrc;
pub mod unit;

use chain::Other;
use iam_ssh_core::text::escape;
use std::fmt;

/// The AuthorizedKeysCommand.
pub const COMMAND: &str = "/usr/libexec/iam-ssh/authorized-keys";
/// The user that sshd runs it as; in no other group.
pub const COMMAND_USER: &str = "iam-ssh";
/// sshd's folder: relative `Include`s are below it (sshd_config(5)).
pub const SSH_FOLDER: &str = "/etc/ssh";
/// The drop-in. 05 sorts before the drop-ins of cloud-init, distributions and EC2 Instance Connect.
pub const DROP_IN: &str = "/etc/ssh/sshd_config.d/05-iam-ssh.conf";
/// How the first line of every drop-in begins that we ever wrote; `debian/prerm` looks for it too.
pub const DROP_IN_MARK: &str = "# Written by `iam-ssh wire`";
/// sshd's main configuration file.
pub const SSHD_CONFIG: &str = "/etc/ssh/sshd_config";
/// What the drop-in sets `LogLevel` to.
const LOG_LEVEL: &str = "VERBOSE";
/// The one variable that a key line may set.
const KEY_OWNER: &str = "SSH_KEY_OWNER";
/// Longest foreign text that is shown, in bytes.
const SHOWN: usize = 300;

/// The keywords beside the command that the wiring sets. An older sshd may not know them (OpenSSH 7.6, 7.8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Feature {
    /// `LogLevel VERBOSE`: sshd logs the fingerprint of each key.
    LogLevel,
    /// `ExposeAuthInfo yes`: a session can tell which key opened it.
    AuthInfo,
    /// `PermitUserEnvironment SSH_KEY_OWNER`: a session has its owner's name.
    Environment,
}

impl Feature {
    /// The line of sshd_config.
    #[must_use]
    pub fn line(self) -> String {
        match self {
            Self::LogLevel => format!("LogLevel {LOG_LEVEL}"),
            Self::AuthInfo => "ExposeAuthInfo yes".to_owned(),
            Self::Environment => format!("PermitUserEnvironment {KEY_OWNER}"),
        }
    }
}

/// What the wiring sets in sshd's configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wiring {
    /// Keywords beside the command.
    pub features: Vec<Feature>,
    /// AuthorizedKeysCommandUser: [`COMMAND_USER`], or root where another command must run as its own user.
    pub user: &'static str,
}

impl Wiring {
    /// The drop-in's text.
    ///
    /// Command and user stand together in a `Match all` block: it beats global settings, `-o` on sshd's command line and
    /// later `Match` blocks, and it ends with the file (OpenSSH 8.4 and later; measured from 7.4 to 10.5).
    #[must_use]
    pub fn drop_in(&self) -> String {
        let features: String = self.features.iter().map(|feature| format!("{}\n", feature.line())).collect();
        format!(
            "{DROP_IN_MARK}, removed by `iam-ssh unwire`. Do not edit: settings are in /etc/iam-ssh/config.toml.\n\
             {features}Match all\n{}",
            self.command()
        )
    }

    /// The settings of the block at the end of sshd_config. All of them stand in `Match all`: earlier global settings would
    /// win over them otherwise.
    #[must_use]
    pub fn block(&self) -> String {
        let features: String = self.features.iter().map(|feature| format!("    {}\n", feature.line())).collect();
        format!("Match all\n{features}{}", self.command())
    }

    fn command(&self) -> String {
        let user = self.user;
        format!("    AuthorizedKeysCommand {COMMAND} %u %t %k\n    AuthorizedKeysCommandUser {user}\n")
    }
}

/// A keyword that sshd's configuration sets somewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Where: a file and line, a unit, a running process.
    pub place: String,
    /// The value.
    pub value: String,
}

/// Whether a value of AuthorizedKeysCommand is neither ours nor `none`.
fn is_foreign(command: &str) -> bool {
    let program = command.trim_matches('"').split_ascii_whitespace().next().unwrap_or_default();
    !program.is_empty() && !program.eq_ignore_ascii_case("none") && program != COMMAND
}

/// Somebody else's words, fit for a terminal: they may hold escape sequences, and this is shown to root.
fn shown(foreign: &str) -> String {
    escape(foreign.as_bytes(), SHOWN)
}

/// sshd's effective settings, as `sshd -T` prints them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effective(String);

impl Effective {
    /// From the output of `sshd -T`. Keywords are in mixed case since OpenSSH 10.5, so case does not count.
    #[must_use]
    pub fn new(output: &str) -> Self {
        Self(output.to_owned())
    }

    /// The value of `keyword`, if sshd knows it.
    #[must_use]
    pub fn get(&self, keyword: &str) -> Option<&str> {
        let mut lines = self.0.lines().filter_map(|line| line.split_once(' '));
        lines.find(|(k, _)| k.eq_ignore_ascii_case(keyword)).map(|(_, value)| value.trim())
    }

    /// The effective AuthorizedKeysCommand of somebody else.
    #[must_use]
    pub fn other(&self) -> Option<Other> {
        let command = self.get("AuthorizedKeysCommand").filter(|command| is_foreign(command))?;
        let user = self.get("AuthorizedKeysCommandUser").unwrap_or("none");
        Some(Other { command: command.to_owned(), user: user.to_owned() })
    }

    /// Whether `%f` is a SHA-256 fingerprint.
    #[must_use]
    pub fn has_sha256(&self) -> bool {
        self.get("FingerprintHash").is_none_or(|hash| hash.eq_ignore_ascii_case("sha256"))
    }

    /// What of the wiring is not in effect, in words; empty where all is.
    #[must_use]
    pub fn missing_wiring(&self, expected_user: &str) -> Option<String> {
        let command = self.get("AuthorizedKeysCommand").unwrap_or("none");
        let user = self.get("AuthorizedKeysCommandUser").unwrap_or("none");
        if command == format!("{COMMAND} %u %t %k") && user == expected_user {
            return None;
        }
        Some(format!("AuthorizedKeysCommand is `{}`, run as `{}`", shown(command), shown(user)))
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", shown(&self.value), shown(&self.place))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn effective_settings_in_either_case() {
        for output in ["authorizedkeyscommand none\n", "AuthorizedKeysCommand none\n"] {
            assert_eq!(Effective::new(output).get("AuthorizedKeysCommand"), Some("none"));
            assert!(Effective::new(output).missing_wiring(COMMAND_USER).is_some());
            assert_eq!(Effective::new(output).other(), None);
        }
        let wired = format!("AuthorizedKeysCommand {COMMAND} %u %t %k\nauthorizedkeyscommanduser iam-ssh\n");
        assert_eq!(Effective::new(&wired).missing_wiring(COMMAND_USER), None);
        assert!(Effective::new(&wired).missing_wiring("root").is_some());
        assert_eq!(Effective::new(&wired).other(), None);
        let other = Effective::new("authorizedkeyscommand /bin/a %u\nauthorizedkeyscommanduser x\n").other();
        assert_eq!(other, Some(Other { command: "/bin/a %u".to_owned(), user: "x".to_owned() }));
    }

    #[test]
    fn the_texts_hold_what_they_shall() {
        for features in [vec![], vec![Feature::LogLevel, Feature::Environment]] {
            let wiring = Wiring { features: features.clone(), user: "root" };
            let (drop_in, block) = (wiring.drop_in(), wiring.block());
            assert!(drop_in.starts_with(DROP_IN_MARK) && block.starts_with("Match all\n"));
            for text in [&drop_in, &block] {
                assert!(text.ends_with("%u %t %k\n    AuthorizedKeysCommandUser root\n"), "{text}");
                assert_eq!(text.contains("PermitUserEnvironment SSH_KEY_OWNER\n"), !features.is_empty(), "{text}");
            }
        }
    }

    #[test]
    fn foreign_text_reaches_no_terminal_unescaped() {
        let evil = "/bin/x\u{1b}]0;owned\u{7}\u{9b}31m\n";
        let setting = Setting { place: evil.to_owned(), value: format!("{evil}{}", "y".repeat(1000)) }.to_string();
        let effective = Effective::new("authorizedkeyscommand /bin/x\u{1b}[31m\n").missing_wiring("x").unwrap();
        for text in [setting, effective] {
            assert!(text.bytes().all(|byte| (0x20..0x7f).contains(&byte)) && text.contains("\\x1b"), "{text}");
            assert!(text.len() < 2 * SHOWN + 10, "{}", text.len());
        }
    }
}
