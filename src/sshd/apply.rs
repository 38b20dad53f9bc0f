//! Wires sshd and unwires it again: looks, plans, asks sshd about the plan, writes, and puts back on any failure.
//!
//! What is planned is tried on a copy of sshd's configuration before anything is changed, and again when it is in place:
//! `sshd -t` must pass, and `sshd -T` must show our command in effect, or nothing stays changed. sshd is reloaded only
//! where its configuration changed, and has to be seen to listen again. An administrator's own file is never touched,
//! neither an sshrc nor one in the drop-in's place; in sshd_config, only our block is.

mod audit;
mod daemon;
mod disk;
mod error;
mod folders;
mod wanted;

pub use error::WireError;

use super::observe::Sshd;
use super::plan::{Change, Mode, Plan};
use super::{COMMAND, COMMAND_USER, SSHD_CONFIG, block, shown};
use crate::config::Config;
use crate::pam::{HOOK, debian};
use crate::selinux;
use audit::Hook;
use daemon::Daemon;
use disk::Found;
use std::path::Path;
use wanted::{Present, Wanted};

/// Whether to do it, or only to say what would be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Run {
    /// Do it.
    Real,
    /// Only say.
    Dry,
}

/// What was done, for people.
#[derive(Debug, Default)]
pub struct Report {
    /// One line each.
    pub lines: Vec<String>,
    /// Of a dry run: what would be changed, as a diff.
    pub diff: Option<String>,
}

/// Wires sshd as `config` says. Doing it again changes nothing.
///
/// # Errors
/// [`WireError`]; then everything is as it was before.
pub fn wire(config: &Config, run: Run) -> Result<Report, WireError> {
    check_installed()?;
    let mut lock = lock(run)?;
    let present = Present::read()?;
    let sshd = Sshd::find().map_err(WireError::Observe)?;
    let wanted = Wanted::new(&sshd, &present, config)?;
    let mut hook = Hook::wanted(&sshd, config)?;
    let mut plan = wanted.plan(&present);
    hook.change().into_iter().for_each(|change| plan.add(change));
    let mut report = Report { lines: wanted.notes.clone(), diff: None };
    if run == Run::Dry {
        report.diff = Some(plan.diff());
        report.lines.extend(hook.notes());
        report.lines.extend(hook.would());
        report.lines.extend(selinux::install(selinux::Mode::DryRun));
        return Ok(report);
    }
    report.lines.extend(folders::make());
    hook.switch(&mut report)?;
    let lagged = lock.sshd_lags();
    if plan.changes().iter().any(wanted::is_sshd_s) {
        lock.note_change()?;
    }
    let made = carry_out(&plan, &mut report);
    let made = made.and_then(|()| wanted.verify(&sshd).map_err(|error| (plan.changes().len(), error)));
    if let Err((done, error)) = made {
        put_back(&plan, done);
        hook.put_back();
        if !lagged {
            lock.note_read();
        }
        return Err(error);
    }
    report.lines.extend(hook.notes());
    if plan.changes().is_empty() {
        report.say(format!("{} is in place", wanted.place()));
    }
    // Before sshd runs what the module allows.
    report.lines.extend(selinux::install(selinux::Mode::Real));
    if lock.sshd_lags() {
        let daemon = Daemon::find(&sshd);
        let read = daemon.reload(&mut report);
        if !matches!(read, Ok(false)) {
            lock.note_read();
        }
        read.map_err(|words| {
            put_back(&plan, plan.changes().len());
            hook.put_back();
            WireError::Died(words, daemon.start_again())
        })?;
    }
    Ok(report)
}

/// Takes the wiring away. Doing it again changes nothing.
///
/// # Errors
/// [`WireError::Io`], where a file cannot be read or removed.
pub fn unwire(run: Run) -> Result<Report, WireError> {
    let mut lock = lock(run)?;
    // All are read before any is removed: what cannot be read must not leave half of it behind.
    let present = Present::read()?;
    let mut hook = Hook::unwanted()?;
    let mut plan = present.without_wiring();
    hook.change().into_iter().for_each(|change| plan.add(change));
    let mut report = Report { lines: present.what_stays(), diff: None };
    if run == Run::Dry {
        report.diff = Some(plan.diff());
        report.lines.extend(hook.would());
        report.lines.extend(selinux::remove(selinux::Mode::DryRun));
        return Ok(report);
    }
    let lagged = lock.sshd_lags();
    if plan.changes().iter().any(wanted::is_sshd_s) {
        lock.note_change()?;
    }
    let done = carry_out(&plan, &mut report);
    // Also where a later file could not be removed: sshd must no longer run a command that is about to go away.
    let made = plan.changes().iter().take(done.as_ref().err().map_or(usize::MAX, |(done, _)| *done));
    if lagged || made.clone().any(wanted::is_sshd_s) {
        tell_sshd(&mut report);
    }
    lock.note_read();
    // PAM would go on looking for a program that is about to go away, and might refuse everybody without it.
    let hooked = hook.switch(&mut report);
    report.lines.extend(hook.notes());
    report.lines.extend(selinux::remove(selinux::Mode::Real));
    hooked?;
    done.map(|()| report).map_err(|(_, error)| error)
}

/// Has sshd read that the wiring is gone. Whatever comes of it, the wiring stays away.
fn tell_sshd(report: &mut Report) {
    let sshd = match Sshd::find() {
        Ok(sshd) => sshd,
        Err(error) => return report.say(format!("sshd is not reloaded: {error}")),
    };
    let daemon = Daemon::find(&sshd);
    if let Err(words) = daemon.reload(report) {
        report.say(match daemon.start_again() {
            Ok(()) => format!("sshd did not come back when it was reloaded ({words}), and was started again"),
            Err(why) => format!(
                "sshd did not come back when it was reloaded ({words}). IT DOES NOT RUN: start it by hand ({why})"
            ),
        });
    }
}

/// Nobody else wires or unwires; and what such a run left half-done in PAM's configuration is as it was before.
fn lock(run: Run) -> Result<disk::Lock, WireError> {
    let lock = disk::lock()?;
    if run == Run::Real {
        debian::recover();
    }
    Ok(lock)
}

/// `sshd -t` notices neither a missing command nor a missing user; each would deny every key of ours.
fn check_installed() -> Result<(), WireError> {
    if let Some(program) = [COMMAND, HOOK].into_iter().find(|program| !Path::new(program).exists()) {
        return Err(WireError::NotInstalled(format!("{program} does not exist")));
    }
    match nix::unistd::User::from_name(COMMAND_USER) {
        Ok(Some(_)) => Ok(()),
        Ok(None) => Err(WireError::NotInstalled(format!("there is no system user {COMMAND_USER}"))),
        Err(error) => Err(WireError::NotInstalled(format!("the user {COMMAND_USER} cannot be looked up: {error}"))),
    }
}

/// Makes the changes one after the other. An error comes with the number of those that were made.
fn carry_out(plan: &Plan, report: &mut Report) -> Result<(), (usize, WireError)> {
    for (done, change) in plan.changes().iter().enumerate() {
        make(change).map_err(|error| (done, error))?;
        let path = shown(&change.path.to_string_lossy());
        report.say(match (&change.before, &change.after, change.mode) {
            (None, _, _) => format!("wrote {path}"),
            (_, None, _) => format!("removed {path}"),
            (Some(before), Some(after), Mode::Kept) => match (block::is_in(before), block::is_in(after)) {
                (false, _) if change.path == Path::new(SSHD_CONFIG) => format!("put our block at the end of {path}"),
                (false, _) => format!("put our block into {path}"),
                (true, false) => format!("took our block out of {path}"),
                (true, true) => format!("brought our block in {path} up to date"),
            },
            _ => format!("brought {path} up to date"),
        });
    }
    Ok(())
}

fn make(change: &Change) -> Result<(), WireError> {
    match &change.after {
        Some(text) => disk::write(&change.path, text, change.mode),
        None => disk::remove(&change.path),
    }
}

/// Takes back the first `done` changes, the last first. What cannot be taken back is tried to the end.
fn put_back(plan: &Plan, done: usize) {
    for change in plan.changes().iter().take(done).rev() {
        let (before, after) = (change.after.clone(), change.before.clone());
        let _ = make(&Change { before, after, ..change.clone() });
    }
}

impl Report {
    fn say(&mut self, line: String) {
        self.lines.push(line);
    }
}

/// The text of a regular file of ours or of nothing, for a plan.
fn text_of(found: &Found) -> Option<String> {
    match found {
        Found::Text(text) => Some(text.clone()),
        Found::Nothing | Found::Other(_) => None,
    }
}
