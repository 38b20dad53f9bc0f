//! Exit codes, in one place. sshd discards what a failing AuthorizedKeysCommand printed, so failure is a decision.

use std::process::ExitCode;

/// How a program of iam-ssh ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done, also where there was nothing to say.
    Ok,
    /// Failed; what is wrong was said.
    Failed,
    /// Called wrongly.
    Usage,
    /// `iam-ssh wire`: declined, because wiring would change how others log in. Nothing was changed.
    Declined,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Ok => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::Declined => 3,
        })
    }
}
