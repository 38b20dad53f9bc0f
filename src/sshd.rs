//! What sshd is really configured to do, and what wiring would change. Pure; [`observe`] looks, [`apply`] acts.
//!
//! The drop-in is text made here, whole; an administrator's file is never edited. Wiring is declined wherever an
//! AuthorizedKeysCommand of somebody else is in effect, because a `Match all` block would silently replace it.

pub mod apply;
pub mod config;
pub mod explicit;
pub mod glob;
pub mod observe;
pub mod sshrc;

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

/// The drop-in's text, with or without a `PermitUserEnvironment` of its own.
///
/// Command and user stand together in a `Match all` block: it beats global settings, `-o` on sshd's command line and
/// later `Match` blocks, and it ends with the file (OpenSSH 8.4 and later; measured from 7.4 to 10.5).
#[must_use]
pub fn drop_in(user_environment: bool) -> String {
    let environment = if user_environment { format!("PermitUserEnvironment {KEY_OWNER}\n") } else { String::new() };
    format!(
        "{DROP_IN_MARK}, removed by `iam-ssh unwire`. Do not edit: settings are in /etc/iam-ssh/config.toml.\n\
         LogLevel {LOG_LEVEL}\n\
         ExposeAuthInfo yes\n\
         {environment}\
         Match all\n\
         \x20   AuthorizedKeysCommand {COMMAND} %u %t %k\n\
         \x20   AuthorizedKeysCommandUser {COMMAND_USER}\n"
    )
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
    pub fn foreign_command(&self) -> Option<&str> {
        self.get("AuthorizedKeysCommand").filter(|command| is_foreign(command))
    }

    /// What of the wiring is not in effect, in words; empty where all is.
    #[must_use]
    pub fn missing_wiring(&self) -> Option<String> {
        let command = self.get("AuthorizedKeysCommand").unwrap_or("none");
        let user = self.get("AuthorizedKeysCommandUser").unwrap_or("none");
        if command == format!("{COMMAND} %u %t %k") && user == COMMAND_USER {
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
            assert!(Effective::new(output).missing_wiring().is_some());
        }
        let wired = format!("AuthorizedKeysCommand {COMMAND} %u %t %k\nauthorizedkeyscommanduser iam-ssh\n");
        assert_eq!(Effective::new(&wired).missing_wiring(), None);
        assert_eq!(Effective::new(&wired).foreign_command(), None);
    }

    #[test]
    fn the_drop_in_has_its_mark_and_the_environment_only_where_wanted() {
        for wanted in [false, true] {
            assert!(drop_in(wanted).starts_with(DROP_IN_MARK));
            assert_eq!(drop_in(wanted).contains("\nPermitUserEnvironment SSH_KEY_OWNER\n"), wanted);
        }
    }

    #[test]
    fn foreign_text_reaches_no_terminal_unescaped() {
        let evil = "/bin/x\u{1b}]0;owned\u{7}\u{9b}31m\n";
        let setting = Setting { place: evil.to_owned(), value: format!("{evil}{}", "y".repeat(1000)) }.to_string();
        let effective = Effective::new("authorizedkeyscommand /bin/x\u{1b}[31m\n").missing_wiring().unwrap();
        for text in [setting, effective] {
            assert!(text.bytes().all(|byte| (0x20..0x7f).contains(&byte)) && text.contains("\\x1b"), "{text}");
            assert!(text.len() < 2 * SHOWN + 10, "{}", text.len());
        }
    }
}
