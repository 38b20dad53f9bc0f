//! Log files of plain text, as syslog daemons write them: time stamp, host, tag, process id, text. Nothing in such a line says who
//! sent it: everybody who can write to the log socket chooses all but the time stamp.

use super::lines::{Line, Lines};
use super::sources::Outcome;
use super::stamp::{self, Zone};
use super::{Entry, Sender, is_ours, is_telling};
use std::io::{self, Read};

/// Length of `Nov 22 13:35:25 `.
const OLD_STAMP: usize = 16;

/// Hands every entry of interest to `each`, until that says `false`; `newest` is when the file was written last, in milliseconds since
/// 1970 UTC. Lines that have no end are left out, and counted as broken; a line that begins with a time stamp is one of a log.
///
/// # Errors
/// Where it cannot be read.
pub(super) fn each(
    lines: &mut Lines<impl Read>,
    newest: i64,
    zone: Zone<'_>,
    mut each: impl FnMut(&Entry<'_>) -> bool,
) -> io::Result<Outcome> {
    let mut outcome = Outcome { broken: 0, recognised: false };
    while let Some(line) = lines.line()? {
        outcome.recognised = outcome.recognised || stamp::syslog(line.bytes, newest, zone).is_some();
        if line.cut {
            outcome.broken += 1;
        } else if let Some(entry) = entry(line, newest, zone)
            && !each(&entry)
        {
            break;
        }
    }
    Ok(outcome)
}

fn entry<'a>(line: Line<'a>, newest: i64, zone: Zone<'_>) -> Option<Entry<'a>> {
    let bytes = line.bytes;
    let host = if bytes.first()?.is_ascii_digit() { memchr::memchr(b' ', bytes)? + 1 } else { OLD_STAMP };
    let rest = bytes.get(host..)?;
    let tagged = rest.get(memchr::memchr(b' ', rest)? + 1..)?;
    let (tag, message) = split(tagged)?;
    let (identifier, pid) = match tag.strip_suffix(b"]").and_then(|tag| Some((tag, memchr::memchr(b'[', tag)?))) {
        Some((tag, at)) => (tag.get(..at)?, tag.get(at + 1..)?),
        None => (tag, &b""[..]),
    };
    if !is_ours(identifier) || !is_telling(message) {
        return None;
    }
    Some(Entry {
        time: stamp::syslog(bytes, newest, zone)?,
        identifier,
        message,
        sender: Sender::Text,
        uid: None,
        pid: std::str::from_utf8(pid).ok().and_then(|pid| pid.parse().ok()),
        comm: b"",
    })
}

/// Tag and text: the first colon with a space behind it stands between them, and the tag has no space.
fn split(tagged: &[u8]) -> Option<(&[u8], &[u8])> {
    let space = memchr::memchr(b' ', tagged)?;
    let tag = tagged.get(..space)?.strip_suffix(b":")?;
    Some((tag, tagged.get(space + 1..)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(bytes: &[u8]) -> Vec<String> {
        let newest = stamp::since("2026-11-22T20:00:00Z", 0, &|_| 0).unwrap();
        let mut all = Vec::new();
        let take = |entry: &Entry<'_>| {
            let (identifier, text) =
                (String::from_utf8_lossy(entry.identifier), String::from_utf8_lossy(entry.message));
            all.push(format!("{} {identifier} {:?} {text}", stamp::utc(entry.time), entry.pid));
            true
        };
        each(&mut Lines::new(bytes), newest, &|_| 0, take).unwrap();
        all
    }

    #[test]
    fn lines_of_interest_are_read() {
        let log = "Nov 22 13:35:25 ip-10-0-0-1 sshd[1765]: Accepted publickey for x\n\
                   2026-11-22T13:35:25.000001+00:00 web sshd-session[1766]: Accepted password for x\r\n\
                   Nov 22 13:35:26 web iam-ssh: session opened owner=x\n\
                   Nov 22 13:35:26 web CRON[5]: pam_unix(cron:session): session opened for user root\n\
                   Nov 22 13:35:26 web sshd[5]: Failed password for x\n\
                   Nov 22 13:35:26 web evil[5]: x sshd[1]: Accepted publickey for x\n\
                   Nov 22 13:35:26 web sshd[5] : Accepted publickey for x\n\
                   no line\n\n\
                   Nov 22 13:35:27 web sshd[4294967296]: Accepted publickey for last";
        assert_eq!(
            read(log.as_bytes()),
            [
                "2026-11-22T13:35:25Z sshd Some(1765) Accepted publickey for x",
                "2026-11-22T13:35:25Z sshd-session Some(1766) Accepted password for x\r",
                "2026-11-22T13:35:26Z iam-ssh None session opened owner=x",
                "2026-11-22T13:35:27Z sshd None Accepted publickey for last",
            ]
        );
    }

    #[test]
    fn an_endless_line_costs_no_other() {
        let good = "Nov 22 13:35:25 web sshd[1]: Accepted publickey for x\n";
        let log = format!("{good}Nov 22 13:35:25 web sshd[1]: Accepted {}\n{good}", "x".repeat(3_000_000));
        let mut count = 0;
        let take = |_: &Entry<'_>| {
            count += 1;
            true
        };
        let outcome = each(&mut Lines::new(log.as_bytes()), 1_795_000_000_000, &|_| 0, take).unwrap();
        assert_eq!(outcome, Outcome { broken: 1, recognised: true });
        assert_eq!(count, 2);
    }

    proptest! {
        #[test]
        fn nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200), text in "(Nov 22 13:35:25 )?[a-z]? ?sshd\\[?1?\\]?:? ?Accepted.{0,9}") {
            let _ = read(&bytes);
            let _ = read(text.as_bytes());
        }
    }
}
