//! The session hook in PAM's configuration: what there is of it, what there shall be, and how it gets there.
//!
//! With `audit = "required"` sshd refuses whom the hook cannot record, so nothing may be wired where it could not be put in
//! effect; and it must never outlive its program.

use super::disk::{self, Found};
use super::{Report, WireError, text_of};
use crate::config::{Audit, Config};
use crate::pam::{HOOK, SERVICE, SERVICE_FILE, Stack, control, debian, line, with_block};
use crate::sshd::observe::Sshd;
use crate::sshd::observe::files::read;
use crate::sshd::plan::{Change, Mode};
use crate::sshd::{COMMAND_USER, block, shown};
use std::path::Path;

/// The hook as it shall be, and what that takes.
#[derive(Debug)]
pub(super) struct Hook {
    audit: Option<Audit>,
    /// Nobody runs it, and why.
    idle: Option<String>,
    /// A profile is to be put in, or all of ours taken out.
    switch: Option<Option<&'static str>>,
    service: Found,
    after: Option<String>,
    before: Option<debian::Before>,
}

impl Hook {
    /// As it is configured.
    ///
    /// # Errors
    /// Where it is required, and cannot be.
    pub(super) fn wanted(sshd: &Sshd, config: &Config) -> Result<Self, WireError> {
        let audit = config.sshd.session_audit.then_some(config.sshd.audit);
        let mut hook = Self::look(audit)?;
        let effective = sshd.effective(COMMAND_USER).map_err(WireError::Observe)?;
        let service = effective.get("PAMServiceName").unwrap_or(SERVICE);
        if !effective.get("UsePAM").is_some_and(|value| value.eq_ignore_ascii_case("yes")) {
            hook.idle = Some("sshd does not use PAM (`UsePAM no`)".to_owned());
        } else if service != SERVICE {
            hook.idle = Some(format!("sshd is the service {} to PAM, not {SERVICE}", shown(service)));
        } else if audit.is_some() && hook.switch.is_none() && !hook.is_in_effect() {
            hook.idle = Some(hook.by_hand());
        }
        match &hook.idle {
            Some(why) if audit == Some(Audit::Required) => Err(WireError::NoAudit(why.clone())),
            _ => Ok(hook),
        }
    }

    /// Gone.
    pub(super) fn unwanted() -> Result<Self, WireError> {
        Self::look(None)
    }

    fn look(audit: Option<Audit>) -> Result<Self, WireError> {
        let service = disk::read(Path::new(SERVICE_FILE))?;
        let without = text_of(&service).map(|text| block::without(&text));
        let mut hook = Self { audit, idle: None, switch: None, service, after: without, before: None };
        let enabled = debian::enabled();
        let is_ours = |file: &str| file == debian::SESSION && !enabled.is_empty();
        let own = hook.stack().hooks().filter(|rule| !is_ours(&rule.file)).count();
        // A line of the administrator's own does what ours would.
        let missing = audit.filter(|_| own == 0);
        if debian::is_used() {
            let profile = missing.map(debian::profile);
            let is_there = enabled == profile.iter().copied().collect::<Vec<_>>();
            if !is_there || (profile.is_some() && !hook.is_in_effect()) {
                hook.switch = Some(profile);
            }
        } else {
            if !enabled.is_empty() {
                hook.switch = Some(None);
            }
            if let (Some(audit), Some(text)) = (missing, &hook.after) {
                hook.after = Some(with_block(text, audit, &text_at));
            }
        }
        Ok(hook)
    }

    /// PAM's session stack for sshd with the service's file as it shall be.
    fn stack(&self) -> Stack {
        let changed = |path: &str| {
            let after = (path == SERVICE_FILE).then(|| self.after.clone()).flatten();
            after.or_else(|| text_at(path))
        };
        Stack::of(SERVICE, &changed)
    }

    /// Whether the hook is in the stack, once, and means what is configured.
    fn is_in_effect(&self) -> bool {
        let stack = self.stack();
        let hooks: Vec<bool> = stack.hooks().map(|rule| rule.control.is_required()).collect();
        hooks == [self.audit == Some(Audit::Required)]
    }

    /// What to do where we cannot.
    fn by_hand(&self) -> String {
        let found = self.stack().hooks().count();
        let line = line(self.audit.unwrap_or(Audit::Optional));
        let wanted = control(self.audit.unwrap_or(Audit::Optional));
        match found {
            0 if matches!(self.service, Found::Nothing) => format!("there is no {SERVICE_FILE}"),
            0 if matches!(self.service, Found::Other(_)) && !debian::is_used() => {
                format!(
                    "{SERVICE_FILE} is a link, has several names or is not UTF-8; add this line to it by hand: `{line}`"
                )
            }
            0 => format!("PAM's configuration has local changes; add this line to {SERVICE_FILE} by hand: `{line}`"),
            1 => format!("{HOOK} is not `{wanted}` in PAM's configuration; change your line for it there"),
            n => format!("{HOOK} stands in PAM's configuration {n} times; leave one of them"),
        }
    }

    /// The change of the service's own file, if any.
    pub(super) fn change(&self) -> Option<Change> {
        let before = text_of(&self.service)?;
        let after = Some(self.after.clone()?);
        Some(Change { path: SERVICE_FILE.into(), before: Some(before), after, mode: Mode::Kept })
    }

    /// What a dry run says of the profile.
    pub(super) fn would(&self) -> Option<String> {
        self.switch.map(|profile| format!("would run pam-auth-update {}", debian::call(profile).join(" ")))
    }

    /// Puts the profile in or takes it out.
    ///
    /// # Errors
    /// Where it is required and not in effect afterwards, or cannot be taken out; then all is as before.
    pub(super) fn switch(&mut self, report: &mut Report) -> Result<(), WireError> {
        let Some(profile) = self.switch else { return Ok(()) };
        let done = debian::switch(profile).map(|before| self.before = Some(before));
        let failed = match (&done, self.audit) {
            (Err(why), _) => Some(why.clone()),
            (Ok(()), Some(_)) if !self.is_in_effect() => Some(self.by_hand()),
            (Ok(()), _) => None,
        };
        let Some(why) = failed else {
            report.say(match profile {
                Some(name) => format!("enabled the PAM profile {name}: PAM runs {HOOK} for sshd"),
                None => "disabled iam-ssh's PAM profile".to_owned(),
            });
            return Ok(());
        };
        self.put_back();
        match self.audit {
            None => Err(WireError::StillAudited(why)),
            Some(Audit::Required) => Err(WireError::NoAudit(why)),
            Some(Audit::Optional) => {
                self.idle = Some(why);
                Ok(())
            }
        }
    }

    /// What to tell about it, where it is as it shall be as far as we can.
    pub(super) fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.audit.is_none() {
            let stays = self.stack().hooks().next().map(|rule| format!("{} still runs {HOOK}", rule.file));
            notes.extend(stays.map(|stays| format!("{stays}, in a line of your own: take it out")));
            return notes;
        }
        if let Some(why) = &self.idle {
            let instead = "`iam-ssh log` still joins sshd's own lines with what was offered";
            notes.push(format!("the session audit is not in effect: {why}; {instead}"));
            return notes;
        }
        let stack = self.stack();
        if let Some(rule) = stack.skips_hook() {
            let (file, module) = (shown(&rule.file), shown(&rule.module));
            notes.push(format!("note: {module} in {file} can keep PAM from running {HOOK}, which stands behind it"));
        }
        if let Some(rule) = stack.readenv_before_hook() {
            let file = shown(&rule.file);
            notes.push(format!(
                "note: pam_env.so with user_readenv=1 in {file} gives {HOOK} variables of the user's; it heeds none of them"
            ));
        }
        notes
    }

    /// Has the profiles as they were.
    pub(super) fn put_back(&mut self) {
        if let Some(before) = self.before.take() {
            before.put_back();
        }
    }
}

fn text_at(path: &str) -> Option<String> {
    read(Path::new(path)).ok().flatten()
}
