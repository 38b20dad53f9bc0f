//! The SELinux module with which sshd may run the lookup: put in, and taken out again.
//!
//! Changing the policy takes seconds, so it is left alone where this very text was installed before. Nothing here fails
//! anybody: what could not be done is told, with what to do about it.

mod system;

pub use system::{install, remove};

/// Where the package keeps the module.
pub const MODULE: &str = "/usr/share/iam-ssh/selinux/iam-ssh.cil";
/// The module's name: SELinux takes it from the file's.
const NAME: &str = "iam-ssh";
/// The priority that semodule gives a module by default. An administrator's with a higher one counts instead.
const PRIORITY: &str = "400";

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Do it.
    Real,
    /// Only say what would be done.
    DryRun,
}

/// Whether SELinux is used here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    /// The kernel enforces a policy, or reports what it would deny.
    Running,
    /// Not by this kernel, but there is a policy for a system that will boot: an image is being made.
    Image,
    /// Neither.
    None,
}

/// What can be seen of SELinux.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Seen {
    /// The kernel has a policy.
    running: bool,
    /// `/etc/selinux/config`.
    config: Option<String>,
    /// `semodule` is installed.
    semodule: bool,
    /// The module is in the policy's store.
    stored: bool,
    /// The text that iam-ssh put there last.
    last: Option<String>,
}

impl Seen {
    fn usage(&self) -> Use {
        let config = self.config.as_deref().unwrap_or_default();
        let enabled = setting(config, "SELINUX").is_some_and(|mode| mode == "enforcing" || mode == "permissive");
        match (self.running, enabled && self.semodule) {
            (true, _) => Use::Running,
            (false, true) => Use::Image,
            (false, false) => Use::None,
        }
    }

    /// Whether the store holds this text.
    fn holds(&self, text: &str) -> bool {
        self.stored && self.last.as_deref() == Some(text)
    }
}

/// The last value of a setting in `/etc/selinux/config` (selinux_config(5)).
fn setting<'a>(config: &'a str, name: &str) -> Option<&'a str> {
    let values = config.lines().filter_map(|line| line.trim_start().strip_prefix(name)?.strip_prefix('='));
    values.map(str::trim).next_back()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FEDORA: &str = "# SELINUX= can take one of these three values:\nSELINUX=enforcing\nSELINUXTYPE=targeted \n";

    #[test]
    fn a_setting_is_read_as_selinux_reads_it() {
        assert_eq!(setting(FEDORA, "SELINUX"), Some("enforcing"));
        assert_eq!(setting(FEDORA, "SELINUXTYPE"), Some("targeted"));
        assert_eq!(setting(FEDORA, "SETLOCALDEFS"), None);
    }

    #[test]
    fn an_image_counts_only_where_its_system_will_use_selinux() {
        let seen = |running, config: Option<&str>, semodule| {
            Seen { running, config: config.map(str::to_owned), semodule, ..Seen::default() }.usage()
        };
        assert_eq!(seen(false, None, false), Use::None);
        assert_eq!(seen(false, Some(FEDORA), true), Use::Image);
        assert_eq!(seen(false, Some(FEDORA), false), Use::None, "what left its configuration behind");
        assert_eq!(seen(false, Some("SELINUX=disabled\n"), true), Use::None);
        assert_eq!(seen(false, None, true), Use::None);
        assert_eq!(seen(true, None, false), Use::Running, "and it must be told that semodule is missing");
    }

    #[test]
    fn what_is_installed_is_known_by_its_text_and_by_being_there() {
        let seen = |stored, last: &str| Seen { stored, last: Some(last.to_owned()), ..Seen::default() };
        assert!(seen(true, "text").holds("text"));
        assert!(!seen(true, "text of before").holds("text"));
        assert!(!seen(false, "text").holds("text"), "somebody took it out");
        assert!(!Seen { stored: true, ..Seen::default() }.holds("text"), "somebody else put it in");
    }
}
