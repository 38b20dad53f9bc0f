//! Why sshd was not wired or unwired, for people: what, where, and what to do about it.

use super::super::observe::ObserveError;
use super::super::{DROP_IN, SSHD_CONFIG, Setting, shown};
use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why sshd was not wired or unwired. Nothing stays changed.
#[derive(Debug)]
pub enum WireError {
    /// Another AuthorizedKeysCommand is configured; wiring would replace it, or did before the other one came.
    OtherCommand {
        /// All that were found.
        found: Vec<Setting>,
        /// Whether an earlier wiring of ours is in effect instead.
        ours: bool,
    },
    /// The drop-in's place is taken by something that we did not write.
    Taken(PathBuf),
    /// Something that sshd will need is not there.
    NotInstalled(String),
    /// sshd could not be asked, or refused.
    Observe(ObserveError),
    /// sshd refused its configuration with the drop-in; its words.
    RolledBack(String),
    /// The drop-in has no effect for a login; the user and what is in effect instead.
    NoEffect(String, String),
    /// A file could not be written or removed.
    Io(PathBuf, io::Error),
}

impl WireError {
    /// Whether nothing failed, and iam-ssh held back for something of somebody else.
    #[must_use]
    pub fn is_declined(&self) -> bool {
        matches!(self, Self::OtherCommand { .. } | Self::Taken(_))
    }
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherCommand { found, ours } => {
                let found: Vec<String> = found.iter().map(ToString::to_string).collect();
                let found = found.join(", ");
                if *ours {
                    return write!(
                        f,
                        "another AuthorizedKeysCommand is configured: {found}. sshd has room for one, and it runs \
                         iam-ssh: the `Match all` block in {DROP_IN} wins over the other, which is not asked. Remove \
                         the other, then run `iam-ssh wire`; or give way to it with `iam-ssh unwire`. Nothing was \
                         changed"
                    );
                }
                write!(
                    f,
                    "another AuthorizedKeysCommand is configured: {found}. sshd has room for one; iam-ssh leaves it \
                     alone and changes nothing. Remove it, then run `iam-ssh wire`"
                )
            }
            Self::Taken(path) => write!(
                f,
                "{} was not written by iam-ssh, so it is not replaced. Move what it sets to a file of another name, \
                 remove it, then run `iam-ssh wire`. Nothing was changed",
                path.display()
            ),
            Self::NotInstalled(what) => write!(f, "{what}: reinstall the package iam-ssh. Nothing was changed"),
            Self::Observe(error) => write!(f, "{error}. Mend that, then run `iam-ssh wire`. Nothing was changed"),
            Self::RolledBack(words) => write!(f, "with {DROP_IN}, {words}. sshd is configured as before"),
            Self::NoEffect(user, instead) => write!(
                f,
                "{DROP_IN} has no effect for {} ({instead}). {SSHD_CONFIG} needs `Include \
                 /etc/ssh/sshd_config.d/*.conf` as its first line. sshd is configured as before",
                shown(user)
            ),
            Self::Io(path, error) => write!(f, "{}: {error}", path.display()),
        }
    }
}

impl std::error::Error for WireError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_about_another_command_is_true() {
        let found = vec![Setting { place: "f:1".to_owned(), value: "/bin/a".to_owned() }];
        let (not_wired, wired) = (
            WireError::OtherCommand { found: found.clone(), ours: false }.to_string(),
            WireError::OtherCommand { found, ours: true }.to_string(),
        );
        assert!([&not_wired, &wired].iter().all(|text| text.contains("/bin/a (f:1)")));
        assert!(not_wired.contains("leaves it alone"), "{not_wired}");
        assert!(wired.contains("wins over") && wired.contains("iam-ssh unwire"), "{wired}");
    }
}
