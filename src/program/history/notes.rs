//! What a reader has to know beside the sessions; on standard error.

use crate::history::{History, Session};
use nix::unistd::geteuid;
use std::io::{self, Write as _};

/// What was read, and with what.
pub(super) struct Notes {
    /// Whether it were this machine's own logs.
    pub(super) own: bool,
    /// Whether there was a secret to verify seals with.
    pub(super) has_secret: bool,
    /// Whether this user may not read all of the journal.
    pub(super) is_partial: bool,
}

impl Notes {
    pub(super) fn broken(&self, count: u64) {
        if count > 0 {
            say(&format!("{count} {} broken, and left out", if count == 1 { "entry is" } else { "entries are" }));
        }
    }

    /// Says what claims to be a record and is none, unless it was listed.
    pub(super) fn forged(&self, history: &History, listed: bool) {
        match history.forged {
            0 => return,
            _ if listed => {}
            1 => say("1 line claims to be iam-ssh's or sshd's record and is not; `iam-ssh log --forged` shows it"),
            count => say(&format!(
                "{count} lines claim to be iam-ssh's or sshd's record and are not; `iam-ssh log --forged` shows them"
            )),
        }
        if history.unsealed > 0 {
            say(
                "a record without a seal of this machine's secret may be a real one all the same: of another machine, or of \
                 this one from before iam-ssh was removed and installed again, or from before the instance was restored from \
                 an image; if the journal of its machine reaches back as far, that has it",
            );
        }
    }

    /// Says what stands behind the mark of what is not verified, if anything has it.
    pub(super) fn doubt(&self, shown: &[Session]) {
        if let Some(why) = self.doubt_of(shown, geteuid().is_root()) {
            say(&why);
        }
        if self.is_partial {
            say("only what this user may read of the log is shown; root sees all");
        }
    }

    fn doubt_of(&self, shown: &[Session], is_root: bool) -> Option<String> {
        if shown.iter().all(|session| session.verified) {
            return None;
        }
        let why = match (self.has_secret, is_root) {
            (true, _) if self.own => "the log does not say who wrote sshd's lines",
            (true, _) => "of a file, only what has a seal of this machine's secret is sure",
            (false, true) => "there is no secret here to verify it with",
            (false, false) => "only root can verify it",
        };
        let who = if self.own { "" } else { ", or by who made the file" };
        Some(format!("what is marked with ? could have been written by any user of its machine{who}: {why}"))
    }
}

pub(super) fn say(text: &str) {
    let _ = writeln!(io::stderr(), "iam-ssh: {text}.");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Source;
    use crate::record::tests::record;

    #[test]
    fn a_mark_is_explained_where_it_is_shown() {
        let session = |verified: bool| Session::new(record(), Source::Record, verified);
        let why = |own: bool, has_secret: bool, is_root: bool, shown: &[Session]| {
            Notes { own, has_secret, is_partial: false }.doubt_of(shown, is_root)
        };
        for (own, has_secret, is_root, expected) in [
            (true, true, true, "who wrote sshd's lines"),
            (true, false, true, "no secret here"),
            (true, false, false, "only root can verify"),
            (false, true, true, "who made the file: of a file, only what has a seal"),
            (false, false, true, "who made the file: there is no secret"),
        ] {
            let said = why(own, has_secret, is_root, &[session(true), session(false)]);
            assert!(said.as_ref().is_some_and(|said| said.contains(expected)), "{said:?}");
            assert_eq!(why(own, has_secret, is_root, &[session(true)]), None);
        }
    }
}
