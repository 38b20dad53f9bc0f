//! What sshd is really configured to do, and what wiring would change. Pure; [`observe`] looks, [`apply`] acts.
//!
//! The drop-in is text made here, whole; an administrator's file is never edited. Wiring is declined wherever an
//! AuthorizedKeysCommand of somebody else is in effect, because a `Match all` block would silently replace it.

pub mod apply;
pub mod observe;

use crate::config::Sshd as Settings;
use std::fmt;
use std::path::{Path, PathBuf};

/// The AuthorizedKeysCommand.
pub const COMMAND: &str = "/usr/libexec/iam-ssh/authorized-keys";
/// The user that sshd runs it as; in no other group.
pub const COMMAND_USER: &str = "iam-ssh";
/// The drop-in. 05 sorts before the drop-ins of cloud-init, distributions and EC2 Instance Connect.
pub const DROP_IN: &str = "/etc/ssh/sshd_config.d/05-iam-ssh.conf";
/// sshd's main configuration file.
pub const SSHD_CONFIG: &str = "/etc/ssh/sshd_config";
/// The script that sshd runs at the beginning of every session.
pub const SSHRC: &str = "/etc/ssh/sshrc";

/// Our `/etc/ssh/sshrc`. sshd runs it with `/bin/sh`, so it cannot be the program itself; without the program it
/// says nothing.
pub const SSHRC_STUB: &str = "\
# Installed by iam-ssh: logs whose key opened this session. Removed with the package; see iam-ssh(8)
# before adding to it.
if [ -x /usr/libexec/iam-ssh/sshrc ]; then exec /usr/libexec/iam-ssh/sshrc; fi
";

/// What an administrator who has an sshrc of their own is to add to it.
pub const SSHRC_ADVICE: &str = "[ -x /usr/libexec/iam-ssh/sshrc ] && /usr/libexec/iam-ssh/sshrc";

/// The drop-in's text.
///
/// Command and user stand together in a `Match all` block: it beats global settings, `-o` on sshd's command line and
/// later `Match` blocks, and it ends with the file (OpenSSH 8.4 and later; measured from 7.4 to 10.5).
#[must_use]
pub fn drop_in(settings: Settings) -> String {
    let user_environment = if settings.user_environment { "PermitUserEnvironment SSH_KEY_OWNER\n" } else { "" };
    format!(
        "# Written by `iam-ssh wire`, removed by `iam-ssh unwire`. Do not edit: settings are in /etc/iam-ssh/config.toml.\n\
         LogLevel VERBOSE\n\
         ExposeAuthInfo yes\n\
         {user_environment}\
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

/// Every AuthorizedKeysCommand that a configuration text sets, other than ours and `none`.
#[must_use]
pub fn other_commands(path: &Path, text: &str) -> Vec<Setting> {
    keywords(text)
        .filter(|(_, keyword, value)| keyword.eq_ignore_ascii_case("AuthorizedKeysCommand") && is_foreign(value))
        .map(|(line, _, value)| Setting { place: format!("{}:{line}", path.display()), value: value.to_owned() })
        .collect()
}

/// The values of every `Include` in a configuration text; relative ones are below `/etc/ssh` (sshd_config(5)).
#[must_use]
pub fn includes(text: &str) -> Vec<PathBuf> {
    keywords(text)
        .filter(|(_, keyword, _)| keyword.eq_ignore_ascii_case("Include"))
        .flat_map(|(_, _, value)| {
            value.split_ascii_whitespace().map(|p| Path::new("/etc/ssh").join(p.trim_matches('"')))
        })
        .collect()
}

/// The AuthorizedKeysCommand that a command line or unit file sets with `-o`, other than ours and `none`. sshd takes
/// `-o "Keyword value"`, `-oKeyword=value` and their mixtures.
#[must_use]
pub fn command_by_option(place: &str, text: &str) -> Option<Setting> {
    const KEYWORD: &str = "authorizedkeyscommand";
    text.lines().filter(|line| !line.trim_start().starts_with('#')).find_map(|line| {
        let lower = line.to_ascii_lowercase();
        lower.match_indices(KEYWORD).find_map(|(at, _)| {
            // The keyword goes on in AuthorizedKeysCommandUser.
            let value = line.get(at + KEYWORD.len()..).filter(|v| !v.starts_with(|c: char| c.is_alphabetic()))?;
            let value = value.trim_start_matches([' ', '\t', '=', '"', '\'', '\0']);
            is_foreign(value).then(|| Setting { place: place.to_owned(), value: value.trim().replace('\0', " ") })
        })
    })
}

fn is_foreign(command: &str) -> bool {
    let program = command.trim_matches('"').split_ascii_whitespace().next().unwrap_or_default();
    !program.is_empty() && !program.eq_ignore_ascii_case("none") && program != COMMAND
}

/// Line number, keyword and value of every setting in a configuration text.
fn keywords(text: &str) -> impl Iterator<Item = (usize, &str, &str)> {
    text.lines().enumerate().filter_map(|(index, line)| {
        let line = line.trim();
        let (keyword, value) = line.split_once([' ', '\t', '='])?;
        let value = value.trim_start_matches([' ', '\t', '=']);
        (!keyword.starts_with('#')).then_some((index + 1, keyword, value))
    })
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
        Some(format!("AuthorizedKeysCommand is `{command}`, run as `{user}`"))
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.value, self.place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<String> {
        other_commands(Path::new("f"), text).into_iter().map(|s| s.to_string()).collect()
    }

    #[test]
    fn other_commands_are_found_wherever_they_stand() {
        assert_eq!(found("Match User x\n\tauthorizedkeyscommand /bin/a %u\n"), ["/bin/a %u (f:2)"]);
        assert_eq!(found("AuthorizedKeysCommand=/bin/a\n"), ["/bin/a (f:1)"]);
        assert_eq!(found("AuthorizedKeysCommand \"/bin/a\"\n"), ["\"/bin/a\" (f:1)"]);
        assert!(
            found("#AuthorizedKeysCommand /bin/a\nAuthorizedKeysCommand none\nAuthorizedKeysCommandUser x\n")
                .is_empty()
        );
        assert!(found(&drop_in(crate::config::Config::default().sshd)).is_empty());
    }

    #[test]
    fn options_of_a_command_line_are_found() {
        let unit = "ExecStart=/usr/sbin/sshd -D -o \"AuthorizedKeysCommand /usr/share/eic %%u\" -o \"AuthorizedKeysCommandUser eic\"";
        assert_eq!(command_by_option("u", unit).map(|s| s.place), Some("u".to_owned()));
        assert!(command_by_option("p", "sshd\0-oAuthorizedKeysCommand=/bin/x\0-D").is_some());
        assert_eq!(command_by_option("u", "-o AuthorizedKeysCommandUser=x"), None);
        assert_eq!(command_by_option("u", "#ExecStart=sshd -o AuthorizedKeysCommand=/bin/x"), None);
    }

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
    fn includes_are_relative_to_etc_ssh() {
        assert_eq!(
            includes("Include /a/*.conf b.conf\n"),
            [PathBuf::from("/a/*.conf"), PathBuf::from("/etc/ssh/b.conf")]
        );
    }
}
