//! `/etc/ssh/sshrc`: the stub that we write there, and whose file the one is that stands there. Pure.
//!
//! A file is ours only if it is, to the byte, a stub that some release wrote: everything else is somebody's work.

/// The script that sshd runs at the beginning of every session.
pub const SSHRC: &str = "/etc/ssh/sshrc";

/// Our `/etc/ssh/sshrc`. sshd runs it with `/bin/sh`, so it cannot be the program itself; without the program it
/// says nothing.
pub const SSHRC_STUB: &str = "\
# Installed by iam-ssh: logs whose key opened this session. Removed with the package; see iam-ssh(8)
# before adding to it.
if [ -x /usr/libexec/iam-ssh/sshrc ]; then exec /usr/libexec/iam-ssh/sshrc; fi
";

/// How the first line of every stub begins that any release writes.
const SSHRC_MARK: &str = "# Installed by iam-ssh:";

/// Every stub that a release wrote. One that changes the stub keeps the mark, and the old text here.
const SSHRC_STUBS: [&str; 1] = [SSHRC_STUB];

/// What an administrator who has an sshrc of their own is to add to it.
pub const SSHRC_ADVICE: &str = "[ -x /usr/libexec/iam-ssh/sshrc ] && /usr/libexec/iam-ssh/sshrc";

/// Whose an sshrc is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sshrc {
    /// There is none.
    Missing,
    /// A stub of ours; whether of this release or of an earlier one.
    Ours(Release),
    /// A stub of ours that somebody changed.
    Edited,
    /// The administrator's own; whether it calls our sshrc.
    Own(bool),
}

/// Which release's stub it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Release {
    /// The text that this release writes.
    This,
    /// The text of an earlier one.
    Earlier,
}

impl Sshrc {
    /// Of the text of a regular file.
    #[must_use]
    pub fn of(text: &str) -> Self {
        if text == SSHRC_STUB {
            Self::Ours(Release::This)
        } else if SSHRC_STUBS.contains(&text) {
            Self::Ours(Release::Earlier)
        } else if text.starts_with(SSHRC_MARK) {
            Self::Edited
        } else {
            Self::Own(calls_ours(text))
        }
    }
}

/// Whether a script calls our sshrc.
#[must_use]
pub fn calls_ours(text: &str) -> bool {
    text.contains("/usr/libexec/iam-ssh/sshrc")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stub_is_ours_until_somebody_changes_it() {
        assert!(
            SSHRC_STUBS.iter().all(|stub| stub.starts_with(SSHRC_MARK) && matches!(Sshrc::of(stub), Sshrc::Ours(_)))
        );
        assert_eq!(Sshrc::of(SSHRC_STUB), Sshrc::Ours(Release::This));
        assert_eq!(Sshrc::of(&format!("{SSHRC_STUB}echo more\n")), Sshrc::Edited);
        assert_eq!(Sshrc::of("# Installed by iam-ssh: a text that no release wrote\n"), Sshrc::Edited);
        assert_eq!(Sshrc::of(SSHRC_ADVICE), Sshrc::Own(true));
        assert_eq!(Sshrc::of(&format!("echo hello\n{SSHRC_STUB}")), Sshrc::Own(true));
        assert_eq!(Sshrc::of(""), Sshrc::Own(false));
    }
}
