//! Where logs are: the journal, syslog's files with those that were rotated away, or what somebody names.

use super::export::{self, Export};
use super::lines::Lines;
use super::stamp::Zone;
use super::unpack::{self, Opened};
use super::{Entry, text};
use crate::booted;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// journald's socket for what syslog(3) sends.
const JOURNALD: &str = "/run/systemd/journal/dev-log";
const JOURNALCTL: &str = "journalctl";
/// Where syslog daemons put what is about logins: Debian's name, and Red Hat's.
const FOLDER: &str = "/var/log";
const FILES: [&str; 2] = ["auth.log", "secure"];
/// Where journald puts its files, in a folder that is named by the machine's id; what is kept, and what is in memory.
const JOURNALS: [&str; 2] = ["/var/log/journal", "/run/log/journal"];
const MACHINE_ID: &str = "/etc/machine-id";
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

/// How a log was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// How many entries could not be read.
    pub broken: u64,
    /// Whether there was nothing in it, or something that is an entry of a log.
    pub recognised: bool,
}

/// Whether this machine has a journal, as far as this user can tell.
#[must_use]
pub fn has_journal() -> bool {
    let exists = |program: &str| unpack::PATH.split(':').any(|folder| Path::new(folder).join(program).exists());
    booted::seems_to_have_systemd() && Path::new(JOURNALD).exists() && exists(JOURNALCTL)
}

/// Whether this user may read all of the journal: others see their own entries in it, and nothing says that there are more.
#[must_use]
pub fn may_read_journal() -> bool {
    let machine = std::fs::read_to_string(MACHINE_ID).unwrap_or_default();
    let file = |folder: &str| Path::new(folder).join(machine.trim()).join("system.journal");
    JOURNALS.iter().any(|folder| File::open(file(folder)).is_ok())
}

/// This machine's text logs, oldest first.
#[must_use]
pub fn texts() -> Vec<Log> {
    let names: Vec<String> = std::fs::read_dir(FOLDER)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    let files = FILES.iter().flat_map(|file| rotated(file, &names));
    files.map(|name| Log::File(Path::new(FOLDER).join(name))).collect()
}

/// Whether a log was written last so long before `since` that nothing in it is of interest.
#[must_use]
pub fn is_past(log: &Log, since: i64) -> bool {
    let Log::File(path) = log else { return false };
    let written = std::fs::metadata(path).ok().and_then(|meta| millis(meta.modified().ok()?));
    written.is_some_and(|written| written < since.saturating_sub(MARGIN * 1000))
}

fn millis(at: SystemTime) -> Option<i64> {
    i64::try_from(at.duration_since(UNIX_EPOCH).ok()?.as_millis()).ok()
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
/// milliseconds since 1970 UTC, and some before.
///
/// # Errors
/// Where the log cannot be read, or not to its end.
pub fn read(
    log: &Log,
    since: Option<i64>,
    now: i64,
    zone: Zone<'_>,
    each: impl FnMut(&Entry<'_>) -> bool,
) -> io::Result<Outcome> {
    let (opened, newest) = match log {
        Log::Journal => (journal(since)?, now),
        Log::Input => (unpack::open(File::from(io::stdin().as_fd().try_clone_to_owned()?))?, now),
        Log::File(path) => {
            let file = File::open(path)?;
            let meta = file.metadata()?;
            let changed = meta.modified().ok().and_then(millis).filter(|_| meta.is_file());
            (unpack::open(file)?, changed.unwrap_or(now))
        }
    };
    let (outcome, ended) = entries(opened, *log == Log::Journal, newest, zone, each)?;
    if let Some(mut ended) = ended {
        ended.finish()?;
    }
    Ok(outcome)
}

/// Hands every entry that may tell of a login to `each`, until that says `false`: of journalctl's own export, or of
/// whatever else it is by its content, which was written last at `newest`. Returns also what was read from, if all of
/// it was.
///
/// # Errors
/// Where it cannot be read.
pub fn entries<R: Read>(
    from: R,
    is_journal: bool,
    newest: i64,
    zone: Zone<'_>,
    mut each: impl FnMut(&Entry<'_>) -> bool,
) -> io::Result<(Outcome, Option<R>)> {
    let mut stopped = false;
    let each = |entry: &Entry<'_>| {
        stopped = !each(entry);
        !stopped
    };
    let mut lines = Lines::new(from);
    let beginning = lines.peek(JOURNAL_FILE.len())?;
    if beginning.starts_with(JOURNAL_FILE) {
        return Err(io::Error::other(
            "it is a file of journald's own: name what `journalctl -o export --file` makes of it",
        ));
    }
    let is_empty = beginning.is_empty();
    let (mut outcome, lines) = if beginning.starts_with(export::BEGINNING) {
        let mut export = Export::new(lines, !is_journal);
        export.each(each)?;
        (Outcome { broken: export.broken, recognised: export.whole > 0 }, export.into_lines())
    } else {
        (text::each(&mut lines, newest, zone, each)?, lines)
    };
    outcome.recognised |= is_empty;
    Ok((outcome, (!stopped).then(|| lines.into_inner())))
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

    #[test]
    fn a_log_that_ended_long_before_is_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("auth.log.1");
        let file = File::create(&path).unwrap();
        file.set_modified(UNIX_EPOCH + std::time::Duration::from_secs(1_795_000_000)).unwrap();
        for (later, expected) in [(-MARGIN, false), (0, false), (MARGIN, false), (MARGIN + 1, true)] {
            assert_eq!(is_past(&Log::File(path.clone()), (1_795_000_000 + later) * 1000), expected, "{later}");
        }
        assert!(!is_past(&Log::File(dir.path().join("missing")), 0), "reading it says what is wrong");
    }
}
