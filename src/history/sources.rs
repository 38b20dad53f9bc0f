//! Where logs are: the journal, or syslog's files with those that were rotated away, or what somebody names.

use super::export::{self, Export};
use super::lines::Lines;
use super::stamp::Zone;
use super::unpack::{self, Opened};
use super::{Entry, text};
use crate::booted;
use std::fs::File;
use std::io;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// journald's socket for what syslog(3) sends.
const JOURNALD: &str = "/run/systemd/journal/dev-log";
const JOURNALCTL: &str = "journalctl";
/// Where syslog daemons put what is about logins: Debian's name, and Red Hat's.
const FOLDER: &str = "/var/log";
const FILES: [&str; 2] = ["auth.log", "secure"];
/// How a file of journald's own begins.
const JOURNAL_FILE: &[u8] = b"LPKSHHRH";
/// A child opened before what it was asked for began, in seconds.
const MARGIN: i64 = 60 * 60;

/// A log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Log {
    /// This machine's journal.
    Journal,
    /// A file.
    File(PathBuf),
    /// Standard input.
    Input,
}

impl Log {
    /// What somebody named.
    #[must_use]
    pub fn named(name: &str) -> Self {
        if name == "-" { Self::Input } else { Self::File(PathBuf::from(name)) }
    }

    /// What it is called in a message; to be escaped.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Journal => "the journal".to_owned(),
            Self::File(path) => path.display().to_string(),
            Self::Input => "standard input".to_owned(),
        }
    }
}

/// This machine's own logs, oldest first.
#[must_use]
pub fn own() -> Vec<Log> {
    let exists = |program: &str| unpack::PATH.split(':').any(|folder| Path::new(folder).join(program).exists());
    if booted::has_systemd() && Path::new(JOURNALD).exists() && exists(JOURNALCTL) {
        return vec![Log::Journal];
    }
    let names: Vec<String> = std::fs::read_dir(FOLDER)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    let files = FILES.iter().flat_map(|file| rotated(file, &names));
    files.map(|name| Log::File(Path::new(FOLDER).join(name))).collect()
}

/// Of these names those of `file` and of what it was before, oldest first: `secure-20261101`, `auth.log.2.gz`, `auth.log`.
fn rotated(file: &str, names: &[String]) -> Vec<String> {
    let mut found: Vec<(i64, &String)> = names
        .iter()
        .filter_map(|name| {
            let age = name.strip_prefix(file)?;
            let (kind, rest) = age.split_at_checked(1).unwrap_or(("", ""));
            let number = rest.split('.').next().and_then(|number| number.parse::<i64>().ok());
            match kind {
                "" => Some((i64::MAX, name)),
                "." => Some((-number?, name)),
                // A date, perhaps with a time behind it.
                "-" => Some((number.or_else(|| rest.get(..8)?.parse().ok())?, name)),
                _ => None,
            }
        })
        .collect();
    found.sort();
    found.into_iter().map(|(_, name)| name.clone()).collect()
}

/// Hands every entry of a log that may tell of a login to `each`, until that says `false`; of the journal those since `since`, in
/// milliseconds since 1970 UTC, and some before. Returns how many entries could not be read.
///
/// # Errors
/// Where the log cannot be read, or not to its end.
pub fn read(
    log: &Log,
    since: Option<i64>,
    now: i64,
    zone: Zone<'_>,
    mut each: impl FnMut(&Entry<'_>) -> bool,
) -> io::Result<u64> {
    let (opened, newest) = match log {
        Log::Journal => (journal(since)?, now),
        Log::Input => (unpack::open(File::from(io::stdin().as_fd().try_clone_to_owned()?))?, now),
        Log::File(path) => {
            let file = File::open(path)?;
            let meta = file.metadata()?;
            let changed = meta.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
            let changed = changed.and_then(|at| i64::try_from(at.as_millis()).ok()).filter(|_| meta.is_file());
            (unpack::open(file)?, changed.unwrap_or(now))
        }
    };
    let mut lines = Lines::new(opened);
    let beginning = lines.peek(JOURNAL_FILE.len())?;
    if beginning.starts_with(JOURNAL_FILE) {
        return Err(io::Error::other(
            "it is a file of journald's own: name what `journalctl -o export --file` makes of it",
        ));
    }
    if beginning.starts_with(export::BEGINNING) {
        let mut export = Export::new(lines);
        let mut stopped = false;
        export.each(|entry| {
            stopped = !each(entry);
            !stopped
        })?;
        let broken = export.broken;
        if !stopped {
            export.into_lines().into_inner().finish()?;
        }
        return Ok(broken);
    }
    let mut stopped = false;
    let endless = text::each(&mut lines, newest, zone, |entry| {
        stopped = !each(entry);
        !stopped
    })?;
    if !stopped {
        lines.into_inner().finish()?;
    }
    Ok(endless)
}

fn journal(since: Option<i64>) -> io::Result<Opened> {
    let mut command = unpack::command(JOURNALCTL);
    command.args(["--quiet", "--no-pager", "--output=export"]);
    if let Some(since) = since {
        command.arg(format!("--since=@{}", since.div_euclid(1000).saturating_sub(MARGIN).max(0)));
    }
    command.args(["SYSLOG_IDENTIFIER=iam-ssh", "SYSLOG_IDENTIFIER=sshd", "SYSLOG_IDENTIFIER=sshd-session"]);
    unpack::output_of(command, JOURNALCTL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotated_files_come_oldest_first() {
        let of =
            |file: &str, names: &str| rotated(file, &names.split(' ').map(str::to_owned).collect::<Vec<_>>()).join(" ");
        let names = "auth.log auth.log.1 auth.log.10.gz auth.log.2.gz auth.log.old auth.logs other secure";
        assert_eq!(of("auth.log", names), "auth.log.10.gz auth.log.2.gz auth.log.1 auth.log");
        let names = "secure secure-20261108 secure-20261101.gz secure-old secure.1 secure-20261115-1763200000.xz";
        assert_eq!(
            of("secure", names),
            "secure.1 secure-20261101.gz secure-20261108 secure-20261115-1763200000.xz secure"
        );
    }
}
