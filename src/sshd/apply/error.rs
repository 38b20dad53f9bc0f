//! Why sshd was not wired or unwired, for people: what, where, and what to do about it.

use super::super::observe::ObserveError;
use super::super::{DROP_IN, SSHD_CONFIG, Setting, shown};
use crate::pam::HOOK;
use crate::pam::debian::SESSION;
use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why sshd was not wired or unwired. Nothing stays changed.
#[derive(Debug)]
pub enum WireError {
    /// Another AuthorizedKeysCommand could not be asked as sshd asks it; which, and why.
    CannotChain(Vec<Setting>, String),
    /// The drop-in's place is taken by something that we did not write.
    Taken(PathBuf),
    /// sshd_config includes no drop-ins, and a block cannot be put into it and taken out again to the byte.
    NotEditable,
    /// The session hook is required and cannot be put in effect; why.
    NoAudit(String),
    /// The session hook cannot be taken out of PAM's configuration; why.
    StillAudited(String),
    /// Something that sshd will need is not there.
    NotInstalled(String),
    /// sshd could not be asked, or refused.
    Observe(ObserveError),
    /// sshd refused its configuration with the drop-in; its words.
    RolledBack(String),
    /// The drop-in has no effect for a login; the user and what is in effect instead.
    NoEffect(String, String),
    /// sshd did not listen again after it was reloaded: what was seen, and how starting it again ended.
    Died(String, Result<(), String>),
    /// A file could not be written or removed.
    Io(PathBuf, io::Error),
}

impl WireError {
    /// Whether nothing failed, and iam-ssh held back for something of somebody else.
    #[must_use]
    pub fn is_declined(&self) -> bool {
        matches!(self, Self::CannotChain(..) | Self::Taken(_) | Self::NotEditable | Self::NoAudit(_))
    }
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CannotChain(found, why) => {
                let found: Vec<String> = found.iter().map(ToString::to_string).collect();
                write!(
                    f,
                    "another AuthorizedKeysCommand is configured: {}. sshd has room for one, and iam-ssh cannot ask this one \
                     in sshd's stead: {why}. Change or remove it, or set `chain = false` to give it up, then run \
                     `iam-ssh wire`. Nothing was changed",
                    found.join(", ")
                )
            }
            Self::Taken(path) => write!(
                f,
                "{} was not written by iam-ssh, so it is not replaced. Move what it sets to a file of another name, \
                 remove it, then run `iam-ssh wire`. Nothing was changed",
                path.display()
            ),
            Self::NotEditable => write!(
                f,
                "{SSHD_CONFIG} does not include {DROP_IN}, and no block is put into it, because it is a link, has several \
                 names, or is not UTF-8. Begin it with `Include /etc/ssh/sshd_config.d/*.conf`, then run `iam-ssh wire`. \
                 Nothing was changed"
            ),
            Self::NoAudit(why) => write!(
                f,
                "`audit = \"required\"` cannot be put in effect: {why}. Mend that, or set `audit = \"optional\"`, then run \
                 `iam-ssh wire`. Nothing was changed"
            ),
            Self::StillAudited(why) => {
                write!(f, "PAM still runs {HOOK} for sshd: {why}. Take it out of {SESSION}, then do this again")
            }
            Self::NotInstalled(what) => write!(f, "{what}: reinstall the package iam-ssh. Nothing was changed"),
            Self::Observe(error) => write!(f, "{error}. Mend that, then run `iam-ssh wire`. Nothing was changed"),
            Self::RolledBack(words) => write!(f, "with iam-ssh's settings, {words}. sshd is configured as before"),
            Self::NoEffect(user, instead) => write!(
                f,
                "neither {DROP_IN} nor a block at the end of {SSHD_CONFIG} would have an effect for {} ({instead}): an \
                 earlier `Match` block or `Include` wins. Move it behind, then run `iam-ssh wire`. sshd is configured as \
                 before",
                shown(user)
            ),
            Self::Died(words, again) => {
                write!(f, "sshd did not come back when it was reloaded: {words}. Everything was put back as before")?;
                match again {
                    Ok(()) => write!(f, ", and sshd was started again"),
                    Err(why) => write!(f, ", but SSHD DOES NOT RUN: start it by hand ({why})"),
                }
            }
            Self::Io(path, error) => write!(f, "{}: {error}", path.display()),
        }
    }
}

impl std::error::Error for WireError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_tells_what_to_do() {
        let found = vec![Setting { place: "f:1".to_owned(), value: "/bin/a".to_owned() }];
        let cannot = WireError::CannotChain(found, "it takes %C".to_owned());
        assert!(cannot.is_declined());
        let text = cannot.to_string();
        assert!(text.contains("/bin/a (f:1)") && text.contains("%C") && text.contains("chain = false"), "{text}");
        let died = |again: Result<(), String>| WireError::Died("x".to_owned(), again).to_string();
        assert!(died(Ok(())).contains("started again") && died(Err("y".to_owned())).contains("DOES NOT RUN"));
    }
}
