//! Wires sshd and unwires it again: writes, tests, and puts back on any failure.
//!
//! `sshd -t` must pass before and after, and `sshd -T` must show our command in effect, or nothing stays changed.
//! sshd is reloaded only when something changed and systemd runs: a reload with a bad configuration would end the
//! listener. An administrator's own file is never touched, neither an sshrc nor one in the drop-in's place.

mod disk;
mod error;

pub use error::WireError;

use super::explicit::Explicit;
use super::observe::{self, Sshd};
use super::sshrc::{Release, SSHRC, SSHRC_ADVICE, SSHRC_STUB, Sshrc, calls_ours};
use super::{COMMAND, COMMAND_USER, DROP_IN, DROP_IN_MARK, Setting, drop_in, shown};
use crate::config::Config;
use disk::Found;
use std::path::Path;
use std::process::Command;

/// Present while systemd is the running init (sd_booted(3)).
const SYSTEMD: &str = "/run/systemd/system";
/// A login that exists on every system, to ask sshd about beside the configured ones.
const ANY_USER: &str = "root";

/// What was done, for people.
#[derive(Debug, Default)]
pub struct Report {
    /// One line each.
    pub lines: Vec<String>,
}

/// Wires sshd as `config` says. Doing it again changes nothing.
///
/// # Errors
/// [`WireError`]; then everything is as it was before.
pub fn wire(config: &Config) -> Result<Report, WireError> {
    check_installed()?;
    let _lock = disk::lock()?;
    let path = Path::new(DROP_IN);
    let before = disk::read(path)?;
    let is_ours = matches!(&before, Found::Text(text) if text.starts_with(DROP_IN_MARK));
    let files = observe::configuration().map_err(WireError::Observe)?;
    let sshd = Sshd::find();
    let users: Vec<&str> = std::iter::once(ANY_USER).chain(config.logins.keys().map(String::as_str)).collect();
    let mut foreign = observe::foreign_commands(&files).map_err(WireError::Observe)?;
    if let (true, Ok(sshd)) = (foreign.is_empty(), &sshd) {
        foreign = foreign_in_effect(sshd, &users)?;
    }
    if !foreign.is_empty() {
        let in_effect = |sshd: Sshd| sshd.effective(ANY_USER).is_ok_and(|e| e.missing_wiring().is_none());
        return Err(WireError::OtherCommand { found: foreign, ours: is_ours && sshd.is_ok_and(in_effect) });
    }
    if before != Found::Nothing && !is_ours {
        return Err(WireError::Taken(path.to_owned()));
    }
    let sshd = sshd.map_err(WireError::Observe)?;

    let mut report = Report::default();
    let explicit = Explicit::of(&files);
    let text = drop_in(config.sshd.user_environment && !explicit.decides_environment());
    let changed = before != Found::Text(text.clone());
    if changed {
        if !path.parent().is_some_and(Path::is_dir) {
            // Then sshd_config does not include it either.
            return Err(WireError::NoEffect(ANY_USER.to_owned(), "there is no such folder".to_owned()));
        }
        let written = disk::write(path, &text, 0o600).and_then(|()| verify(&sshd, &users));
        if let Err(error) = written.and_then(|()| place_sshrc(&mut report)) {
            put_back(path, &before)?;
            return Err(error);
        }
        report.say(format!("wrote {DROP_IN}"));
    } else {
        verify(&sshd, &users)?;
        place_sshrc(&mut report)?;
        report.say(format!("{DROP_IN} is in place"));
    }
    // It was just asked, and only notes depend on it: no reason to fail once the drop-in is in place.
    if let Ok(effective) = sshd.effective(ANY_USER) {
        report.lines.extend(explicit.notes(config.sshd.user_environment, &effective));
    }
    if changed {
        reload(&mut report);
    }
    Ok(report)
}

/// Takes the wiring away. Doing it again changes nothing.
///
/// # Errors
/// [`WireError::Io`], where a file cannot be read or removed.
pub fn unwire() -> Result<Report, WireError> {
    let _lock = disk::lock()?;
    let mut report = Report::default();
    // Both are read before either is removed: what cannot be read must not leave half of it behind.
    let drop_in = disk::read(Path::new(DROP_IN))?;
    let sshrc = whose_sshrc()?;
    let mut changed = false;
    match drop_in {
        Found::Text(text) if text.starts_with(DROP_IN_MARK) => {
            disk::remove(Path::new(DROP_IN))?;
            report.say(format!("removed {DROP_IN}"));
            changed = true;
        }
        Found::Nothing => {}
        Found::Text(_) | Found::Other(_) => {
            report.say(format!("{DROP_IN} was not written by iam-ssh and stays"));
        }
    }
    let removed = match sshrc {
        Sshrc::Ours(_) => {
            let removed = disk::remove(Path::new(SSHRC));
            if removed.is_ok() {
                report.say(format!("removed {SSHRC}"));
            }
            removed
        }
        Sshrc::Edited => {
            report.say(format!("{SSHRC} was changed after iam-ssh wrote it and stays; remove it, or iam-ssh's lines"));
            Ok(())
        }
        Sshrc::Own(true) => {
            report.say(format!("{SSHRC} is your own and stays; take iam-ssh's line out of it"));
            Ok(())
        }
        Sshrc::Own(false) | Sshrc::Missing => Ok(()),
    };
    // Also where sshrc could not be removed: sshd must no longer run a command that is about to go away.
    if changed {
        match Sshd::find() {
            Ok(_) => reload(&mut report),
            Err(error) => report.say(format!("sshd is not reloaded: {error}")),
        }
    }
    removed.map(|()| report)
}

/// `sshd -t` notices neither a missing command nor a missing user; each would deny every key of ours.
fn check_installed() -> Result<(), WireError> {
    if !Path::new(COMMAND).exists() {
        return Err(WireError::NotInstalled(format!("{COMMAND} does not exist")));
    }
    match nix::unistd::User::from_name(COMMAND_USER) {
        Ok(Some(_)) => Ok(()),
        Ok(None) => Err(WireError::NotInstalled(format!("there is no system user {COMMAND_USER}"))),
        Err(error) => Err(WireError::NotInstalled(format!("the user {COMMAND_USER} cannot be looked up: {error}"))),
    }
}

fn foreign_in_effect(sshd: &Sshd, users: &[&str]) -> Result<Vec<Setting>, WireError> {
    let mut foreign = Vec::new();
    for user in users {
        let effective = sshd.effective(user).map_err(WireError::Observe)?;
        if let Some(command) = effective.foreign_command() {
            foreign.push(Setting { place: format!("sshd -T for {user}"), value: command.to_owned() });
        }
    }
    Ok(foreign)
}

fn verify(sshd: &Sshd, users: &[&str]) -> Result<(), WireError> {
    sshd.test().map_err(|e| WireError::RolledBack(e.to_string()))?;
    for user in users {
        let effective = sshd.effective(user).map_err(|e| WireError::RolledBack(e.to_string()))?;
        if let Some(instead) = effective.missing_wiring() {
            return Err(WireError::NoEffect((*user).to_owned(), instead));
        }
    }
    Ok(())
}

fn whose_sshrc() -> Result<Sshrc, WireError> {
    Ok(match disk::read(Path::new(SSHRC))? {
        Found::Nothing => Sshrc::Missing,
        Found::Text(text) => Sshrc::of(&text),
        Found::Other(text) => Sshrc::Own(text.is_some_and(|text| calls_ours(&text))),
    })
}

fn place_sshrc(report: &mut Report) -> Result<(), WireError> {
    match whose_sshrc()? {
        Sshrc::Missing => {
            disk::write(Path::new(SSHRC), SSHRC_STUB, 0o644)?;
            report.say(format!("wrote {SSHRC}"));
        }
        Sshrc::Ours(Release::Earlier) => {
            disk::write(Path::new(SSHRC), SSHRC_STUB, 0o644)?;
            report.say(format!("brought {SSHRC} up to date"));
        }
        Sshrc::Ours(Release::This) | Sshrc::Own(true) => {}
        Sshrc::Edited => {
            report.say(format!("{SSHRC} was changed after iam-ssh wrote it and stays. It needs: {SSHRC_ADVICE}"));
        }
        Sshrc::Own(false) => {
            report.say(format!("{SSHRC} is your own and stays. For the owner log, add to it: {SSHRC_ADVICE}"));
        }
    }
    Ok(())
}

fn put_back(path: &Path, before: &Found) -> Result<(), WireError> {
    match before {
        Found::Text(text) => disk::write(path, text, 0o600),
        _ if path.exists() => disk::remove(path),
        _ => Ok(()),
    }
}

/// Asks systemd to reload whichever sshd runs; one that does not run needs nothing.
fn reload(report: &mut Report) {
    if !Path::new(SYSTEMD).exists() {
        report.say("systemd is not running: sshd reads the change when it starts or is reloaded".to_owned());
        return;
    }
    let systemctl = |args: &[&str]| Command::new("systemctl").args(args).output();
    for unit in ["ssh.service", "sshd.service"] {
        if !systemctl(&["is-active", "--quiet", unit]).is_ok_and(|o| o.status.success()) {
            continue;
        }
        match systemctl(&["try-reload-or-restart", unit]) {
            Ok(output) if output.status.success() => report.say(format!("reloaded {unit}")),
            Ok(output) => {
                let words = shown(String::from_utf8_lossy(&output.stderr).trim());
                report.say(format!("{unit} was not reloaded: {words}"));
            }
            Err(error) => report.say(format!("{unit} was not reloaded: systemctl: {error}")),
        }
        return;
    }
}

impl Report {
    fn say(&mut self, line: String) {
        self.lines.push(line);
    }
}
