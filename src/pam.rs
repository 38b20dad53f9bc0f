//! PAM's configuration of sshd, as libpam reads it: whether the session hook is in it, and where it would go. Pure;
//! [`debian`] runs what changes it on Debian.
//!
//! On Debian the hook comes and goes with a profile of `pam-auth-update`, elsewhere with a block in `/etc/pam.d/sshd`.
//! Nothing of an administrator's is changed for it, and it runs for sshd alone.

pub mod debian;
pub mod rules;

use crate::config::Audit;
use crate::sshd::block;
use rules::{Rule, rules};

/// The program that PAM runs when a connection opens and closes.
pub const HOOK: &str = "/usr/libexec/iam-ssh/session-audit";
/// The service that sshd names itself to PAM, unless `PAMServiceName` says otherwise.
pub const SERVICE: &str = "sshd";
/// Where that service is configured.
pub const SERVICE_FILE: &str = "/etc/pam.d/sshd";
/// A part of the line with which the profile skips the hook for other services.
const ONLY_SSHD: [&str; 3] = ["service", "=", "sshd"];

/// The line that runs the hook.
#[must_use]
pub fn line(audit: Audit) -> String {
    format!("session    {}   pam_exec.so quiet {HOOK}", control(audit))
}

/// The word that decides what a failure of the hook means.
#[must_use]
pub fn control(audit: Audit) -> &'static str {
    match audit {
        Audit::Optional => "optional",
        Audit::Required => "required",
    }
}

/// The session rules of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stack(Vec<Rule>);

impl Stack {
    /// Of `service`. `read` gives a file's text, if there is one.
    #[must_use]
    pub fn of(service: &str, read: &impl Fn(&str) -> Option<String>) -> Self {
        Self(rules(service, read))
    }

    /// The rules that run the hook.
    pub fn hooks(&self) -> impl Iterator<Item = &Rule> {
        self.0.iter().filter(|rule| rule.is("pam_exec.so") && rule.arguments.iter().any(|word| word == HOOK))
    }

    /// A rule before the hook that puts the user's own variables into the environment that the hook gets.
    #[must_use]
    pub fn readenv_before_hook(&self) -> Option<&Rule> {
        self.before_hook().iter().find(|rule| reads_the_users_environment(rule))
    }

    /// A rule before the hook that may end the stack, or jump over the hook.
    #[must_use]
    pub fn skips_hook(&self) -> Option<&Rule> {
        let before = self.before_hook();
        let level = self.hooks().next()?.level;
        let rest = |at: usize| before.iter().skip(at + 1).filter(|rule| rule.level == level).count();
        let skips = |(at, rule): &(usize, &Rule)| {
            rule.level == level && (rule.control.may_end() || rule.control.jump() > rest(*at)) && !skips_others(rule)
        };
        before.iter().enumerate().find(skips).map(|(_, rule)| rule)
    }

    fn before_hook(&self) -> &[Rule] {
        let at = self.hooks().next().and_then(|hook| self.0.iter().position(|rule| std::ptr::eq(rule, hook)));
        at.and_then(|at| self.0.get(..at)).unwrap_or_default()
    }

    /// Where in the service's own file a rule can go so that it runs as sshd, before the user's SELinux context and the user's
    /// own variables are set, and no rule jumps over it or to another one than before: the offset, none for the end.
    fn place(&self) -> Option<usize> {
        let opens = |rule: &Rule| rule.is("pam_selinux.so") && rule.arguments.iter().any(|word| word == "open");
        let top: Vec<&Rule> = self.0.iter().filter(|rule| rule.level == 0).collect();
        let is_late = |rule: &&Rule| opens(rule) || reads_the_users_environment(rule);
        let mut place = top.iter().position(is_late).unwrap_or(top.len());
        let first_of = |at: usize| top.iter().position(|rule| Some(rule.at) == top.get(at).map(|rule| rule.at));
        // What a line includes cannot be parted.
        place = first_of(place).unwrap_or(place);
        let crosses =
            |place: usize| top.iter().take(place).enumerate().position(|(at, rule)| at + rule.control.jump() >= place);
        while let Some(at) = crosses(place) {
            place = first_of(at).unwrap_or(at);
        }
        top.get(place).map(|rule| rule.at)
    }
}

/// Whether it sets variables that `~/.pam_environment` names.
fn reads_the_users_environment(rule: &Rule) -> bool {
    let readenv = |word: &String| word.strip_prefix("user_readenv=").is_some_and(|value| value != "0");
    rule.is("pam_env.so") && rule.arguments.iter().any(readenv)
}

/// Whether it is the profile's own rule, which skips the hook for services other than sshd.
fn skips_others(rule: &Rule) -> bool {
    rule.is("pam_succeed_if.so") && rule.arguments.ends_with(&ONLY_SSHD.map(str::to_owned))
}

/// `text`, which is [`SERVICE_FILE`]'s, with the block that runs the hook. An earlier one is replaced.
#[must_use]
pub fn with_block(text: &str, audit: Audit, read: &impl Fn(&str) -> Option<String>) -> String {
    let text = block::without(text);
    let as_it_is = |path: &str| if path == SERVICE_FILE { Some(text.clone()) } else { read(path) };
    let at = Stack::of(SERVICE, &as_it_is).place();
    block::with_at(&text, at.unwrap_or(text.len()), &format!("{}\n", line(audit)))
}

/// A file below /etc/pam.d without the profiles' lines, where pam-auth-update would not take them out.
#[must_use]
pub fn without_profile_lines(text: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for line in text.split_inclusive('\n') {
        let words: Vec<&str> = line.split_whitespace().collect();
        if words.first() == Some(&"session") && words.ends_with(&["pam_exec.so", "quiet", HOOK]) {
            let is_ours = |line: &&str| {
                let words: Vec<&str> = line.split_whitespace().collect();
                words.contains(&"pam_succeed_if.so") && words.ends_with(&ONLY_SSHD)
            };
            kept.pop_if(|line| is_ours(line));
        } else {
            kept.push(line);
        }
    }
    kept.concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEBIAN: &str = "session optional pam_systemd.so\n\
        session\t[success=ignore default=1]\tpam_succeed_if.so quiet service = sshd\n\
        session\trequired\tpam_exec.so quiet /usr/libexec/iam-ssh/session-audit\n# end\n";
    const RED_HAT: &str = "account include password-auth\nsession required pam_selinux.so close\n\
        session required pam_loginuid.so\n# should only be followed by\n\
        session required pam_selinux.so open env_params\nsession include password-auth\n";

    fn stack(files: &[(&str, &str)]) -> Stack {
        let read = |path: &str| files.iter().find(|(name, _)| *name == path).map(|(_, text)| (*text).to_owned());
        Stack::of(SERVICE, &read)
    }

    #[test]
    fn debian_s_hook_is_found_with_its_control() {
        let sshd = "@include common-auth\n@include common-session\nsession required pam_env.so user_readenv=1\n";
        let found = stack(&[(SERVICE_FILE, sshd), ("/etc/pam.d/common-session", DEBIAN)]);
        let hooks: Vec<&Rule> = found.hooks().collect();
        assert!(hooks.len() == 1 && hooks[0].control.is_required(), "{hooks:?}");
        assert_eq!((found.readenv_before_hook(), found.skips_hook()), (None, None));
        let sshd = format!("session required pam_env.so user_readenv=1\n{sshd}");
        let found = stack(&[(SERVICE_FILE, &sshd), ("/etc/pam.d/common-session", DEBIAN)]);
        assert!(found.readenv_before_hook().is_some());
        assert_eq!(without_profile_lines(DEBIAN), "session optional pam_systemd.so\n# end\n");
        assert_eq!(without_profile_lines(RED_HAT), RED_HAT);
    }

    #[test]
    fn the_profiles_hold_one_hook_each() {
        for (audit, text) in [
            (Audit::Optional, include_str!("../debian/pam-configs/iam-ssh")),
            (Audit::Required, include_str!("../debian/pam-configs/iam-ssh-required")),
        ] {
            let (_, rules) = text.split_once("Session:\n").unwrap();
            let rules: String = rules.lines().map(|line| format!("session{line}\n")).collect();
            let found = stack(&[(SERVICE_FILE, &rules)]);
            let controls: Vec<bool> = found.hooks().map(|rule| rule.control.is_required()).collect();
            assert_eq!(controls, [audit == Audit::Required]);
            assert_eq!(without_profile_lines(&rules), "");
        }
    }

    #[test]
    fn what_skips_the_hook_is_found() {
        let hook = line(Audit::Optional);
        for (before, skips) in [
            ("session sufficient pam_x.so\n", true),
            ("session [success=done default=ignore] pam_x.so\n", true),
            ("session [success=1] pam_x.so\n", true),
            ("session [default=1] pam_x.so\nsession required pam_y.so\n", false),
            ("session [default=2] pam_x.so\nsession required pam_y.so\n", true),
            ("session substack done\n", false),
            ("auth sufficient pam_x.so\n", false),
        ] {
            let found = stack(&[
                (SERVICE_FILE, &format!("{before}{hook}\n")),
                ("/etc/pam.d/done", "session sufficient pam_z.so\n"),
            ]);
            assert_eq!((found.hooks().count(), found.skips_hook().is_some()), (1, skips), "{before}");
        }
    }

    #[test]
    fn the_block_stands_before_the_users_context_and_goes_to_the_byte() {
        let nothing = |_: &str| None;
        let wired = with_block(RED_HAT, Audit::Required, &nothing);
        let (hook, open) = (wired.find(HOOK).unwrap(), wired.find("pam_selinux.so open").unwrap());
        assert!(wired.find("pam_loginuid").unwrap() < hook && hook < open, "{wired}");
        assert!(stack(&[(SERVICE_FILE, &wired)]).hooks().all(|hook| hook.control.is_required()));
        assert_eq!(block::without(&wired), RED_HAT);
        assert_eq!(with_block(&wired, Audit::Required, &nothing), wired);
        for text in ["", "session required pam_unix.so", "session required pam_unix.so\n"] {
            let wired = with_block(text, Audit::Optional, &nothing);
            assert!(wired.starts_with(text) && stack(&[(SERVICE_FILE, &wired)]).hooks().count() == 1, "{wired}");
            assert_eq!(block::without(&wired), text);
        }
    }

    #[test]
    fn no_jump_leads_elsewhere_because_of_the_block() {
        let nothing = |_: &str| None;
        let text = "session required pam_a.so\nsession [default=1] pam_b.so\nsession required \\\n pam_selinux.so open\n\
            session required pam_c.so\n";
        let wired = with_block(text, Audit::Optional, &nothing);
        assert!(wired.find("pam_a").unwrap() < wired.find(HOOK).unwrap(), "{wired}");
        assert!(wired.find(HOOK).unwrap() < wired.find("pam_b").unwrap(), "{wired}");
        // Over what stands before it, a jump is no hindrance; and what is continued is not parted.
        let text =
            "session [default=1] pam_b.so\nsession required pam_a.so\nsession required \\\n pam_selinux.so open\n";
        let wired = with_block(text, Audit::Optional, &nothing);
        assert!(wired.find("pam_a").unwrap() < wired.find(HOOK).unwrap(), "{wired}");
        assert!(wired.ends_with("\nsession required \\\n pam_selinux.so open\n"), "{wired}");
    }
}
