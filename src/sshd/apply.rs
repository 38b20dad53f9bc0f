//! Wires sshd and unwires it again: writes, tests, and puts back on any failure.
//!
//! `sshd -t` must pass before and after, and `sshd -T` must show our command in effect, or nothing stays changed.
//! sshd is reloaded only when something changed and systemd runs: a reload with a bad configuration would end the
//! listener. An administrator's own sshrc is never touched.

use super::observe::{self, ObserveError, Sshd};
use super::{COMMAND, COMMAND_USER, DROP_IN, SSHD_CONFIG, SSHRC, SSHRC_ADVICE, SSHRC_STUB, Setting, drop_in};
use crate::config::Config;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// First line of every drop-in we ever wrote.
const DROP_IN_MARK: &str = "# Written by `iam-ssh wire`";
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

/// Why sshd was not wired or unwired. Nothing stays changed.
#[derive(Debug)]
pub enum WireError {
    /// Another AuthorizedKeysCommand is in effect; wiring would replace it.
    OtherCommand(Vec<Setting>),
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

/// Wires sshd as `config` says. Doing it again changes nothing.
///
/// # Errors
/// [`WireError`]; then everything is as it was before.
pub fn wire(config: &Config) -> Result<Report, WireError> {
    check_installed()?;
    let foreign = observe::foreign_commands().map_err(WireError::Observe)?;
    if !foreign.is_empty() {
        return Err(WireError::OtherCommand(foreign));
    }
    let sshd = Sshd::find().map_err(WireError::Observe)?;
    let users: Vec<&str> = std::iter::once(ANY_USER).chain(config.logins.keys().map(String::as_str)).collect();
    decline_for_others(&sshd, &users)?;

    let mut report = Report::default();
    let path = Path::new(DROP_IN);
    let before = read(path)?;
    let text = drop_in(config.sshd);
    let changed = before.as_deref() != Some(text.as_str());
    if changed {
        if !path.parent().is_some_and(Path::is_dir) {
            // Then sshd_config does not include it either.
            return Err(WireError::NoEffect(ANY_USER.to_owned(), "there is no such folder".to_owned()));
        }
        let written = write(path, &text, 0o600).and_then(|()| verify(&sshd, &users));
        if let Err(error) = written.and_then(|()| place_sshrc(&mut report)) {
            put_back(path, before.as_deref())?;
            return Err(error);
        }
        report.say(format!("wrote {DROP_IN}"));
    } else {
        verify(&sshd, &users)?;
        place_sshrc(&mut report)?;
        report.say(format!("{DROP_IN} is in place"));
    }
    warn_about_environment(&sshd, config, &mut report);
    if changed {
        reload(&mut report);
    }
    Ok(report)
}

/// Takes the wiring away. Doing it again changes nothing.
///
/// # Errors
/// [`WireError::Io`], where a file cannot be removed.
pub fn unwire() -> Result<Report, WireError> {
    let mut report = Report::default();
    let mut changed = false;
    match read(Path::new(DROP_IN))? {
        Some(text) if text.starts_with(DROP_IN_MARK) => {
            remove(Path::new(DROP_IN))?;
            report.say(format!("removed {DROP_IN}"));
            changed = true;
        }
        Some(_) => report.say(format!("{DROP_IN} was not written by iam-ssh and stays")),
        None => {}
    }
    match read(Path::new(SSHRC))? {
        Some(text) if text == SSHRC_STUB => {
            remove(Path::new(SSHRC))?;
            report.say(format!("removed {SSHRC}"));
        }
        Some(text) if text.contains("/usr/libexec/iam-ssh/sshrc") => {
            report.say(format!("{SSHRC} is your own and stays; take iam-ssh's line out of it"));
        }
        _ => {}
    }
    if changed {
        match Sshd::find() {
            Ok(_) => reload(&mut report),
            Err(error) => report.say(format!("sshd is not reloaded: {error}")),
        }
    }
    Ok(report)
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

fn decline_for_others(sshd: &Sshd, users: &[&str]) -> Result<(), WireError> {
    let mut foreign = Vec::new();
    for user in users {
        let effective = sshd.effective(user).map_err(WireError::Observe)?;
        if let Some(command) = effective.foreign_command() {
            foreign.push(Setting { place: format!("sshd -T for {user}"), value: command.to_owned() });
        }
    }
    if foreign.is_empty() { Ok(()) } else { Err(WireError::OtherCommand(foreign)) }
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

fn warn_about_environment(sshd: &Sshd, config: &Config, report: &mut Report) {
    let effective = sshd.effective(ANY_USER).ok();
    let value = effective.as_ref().and_then(|e| e.get("PermitUserEnvironment")).unwrap_or_default();
    if config.sshd.user_environment && value != "SSH_KEY_OWNER" {
        report.say(format!(
            "note: PermitUserEnvironment is `{value}` by an earlier setting, so sessions will not have SSH_KEY_OWNER"
        ));
    }
}

fn place_sshrc(report: &mut Report) -> Result<(), WireError> {
    match read(Path::new(SSHRC))? {
        None => {
            write(Path::new(SSHRC), SSHRC_STUB, 0o644)?;
            report.say(format!("wrote {SSHRC}"));
        }
        Some(text) if text.contains("/usr/libexec/iam-ssh/sshrc") => {}
        Some(_) => report.say(format!("{SSHRC} is your own and stays. For the owner log, add to it: {SSHRC_ADVICE}")),
    }
    Ok(())
}

fn put_back(path: &Path, before: Option<&str>) -> Result<(), WireError> {
    match before {
        Some(text) => write(path, text, 0o600),
        None if path.exists() => remove(path),
        None => Ok(()),
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
                report.say(format!("{unit} was not reloaded: {}", String::from_utf8_lossy(&output.stderr).trim()));
            }
            Err(error) => report.say(format!("{unit} was not reloaded: systemctl: {error}")),
        }
        return;
    }
}

fn read(path: &Path) -> Result<Option<String>, WireError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(WireError::Io(path.to_owned(), error)),
    }
}

/// Writes a file whole or not at all: beside its place, synced, then renamed.
fn write(path: &Path, text: &str, mode: u32) -> Result<(), WireError> {
    let failed = |error| WireError::Io(path.to_owned(), error);
    let folder = path.parent().unwrap_or(Path::new("/"));
    // Neither ends in .conf, so sshd never reads a half-written one.
    let temporary = path.with_extension("iam-ssh-new");
    let _ = fs::remove_file(&temporary);
    let result = (|| {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&temporary)?;
        // The umask is the caller's, the mode is ours.
        file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(mode))?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        File::open(folder)?.sync_all()
    })();
    if result.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    result.map_err(failed)
}

fn remove(path: &Path) -> Result<(), WireError> {
    fs::remove_file(path).map_err(|error| WireError::Io(path.to_owned(), error))
}

impl Report {
    fn say(&mut self, line: String) {
        self.lines.push(line);
    }
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherCommand(found) => {
                let found: Vec<String> = found.iter().map(ToString::to_string).collect();
                write!(
                    f,
                    "another AuthorizedKeysCommand is in effect: {}. sshd has room for one; iam-ssh leaves it alone and \
                     changes nothing. Remove it, then run `iam-ssh wire`",
                    found.join(", ")
                )
            }
            Self::NotInstalled(what) => write!(f, "{what}: reinstall the package iam-ssh. Nothing was changed"),
            Self::Observe(error) => write!(f, "{error}. Mend that, then run `iam-ssh wire`. Nothing was changed"),
            Self::RolledBack(words) => write!(f, "with {DROP_IN}, {words}. sshd is configured as before"),
            Self::NoEffect(user, instead) => write!(
                f,
                "{DROP_IN} has no effect for {user} ({instead}). {SSHD_CONFIG} needs `Include \
                 /etc/ssh/sshd_config.d/*.conf` as its first line. sshd is configured as before"
            ),
            Self::Io(path, error) => write!(f, "{}: {error}", path.display()),
        }
    }
}

impl std::error::Error for WireError {}
