//! Sessions and forged lines as people and programs read them: a table, or one JSON object a line. Printable ASCII only. Pure.

use super::stamp::utc;
use super::{Begin, Entry, Session, Source, State};
use crate::record::{NONE, UNKNOWN};
use iam_ssh_core::text::escape;
use serde::Serialize;
use std::time::Duration;

/// Widest cell of a table, where anybody may have chosen its text.
const WIDEST: usize = 64;
/// Longest form of a forged line.
const LONGEST: usize = 1000;

/// Rows of a table, aligned, line by line: every column but the last is as wide as its widest cell.
fn table<'a, const N: usize>(
    header: [&str; N],
    sessions: &'a [Session],
    row: fn(&Session) -> [String; N],
) -> impl Iterator<Item = String> + use<'a, N> {
    let mut widths = header.map(str::len);
    for session in sessions {
        for (width, cell) in widths.iter_mut().zip(row(session)) {
            *width = (*width).max(cell.len());
        }
    }
    let line = move |row: [String; N]| {
        let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        format!("{}\n", cells.join("  ").trim_end())
    };
    let header = line(header.map(str::to_owned));
    std::iter::once(header).chain(sessions.iter().map(move |session| line(row(session))))
}

/// `iam-ssh log` as a table.
pub fn log(sessions: &[Session]) -> impl Iterator<Item = String> {
    table(["TIME", "OWNER", "LOGIN", "ADDRESS", "DURATION", "HOW"], sessions, |session| {
        [time(session), owner(session), login(session), address(session), length(session), how(session)]
    })
}

/// `iam-ssh who` as a table.
pub fn who(sessions: &[Session]) -> impl Iterator<Item = String> {
    table(["OWNER", "LOGIN", "ADDRESS", "SINCE", "KEY"], sessions, |session| {
        let key = cell(session, session.record.key.as_deref().unwrap_or(NONE));
        [owner(session), login(session), address(session), time(session), key]
    })
}

/// A text as long as a table bears it: what root did not seal is as long as somebody likes.
fn cell(session: &Session, text: &str) -> String {
    let is_ours = session.verified && session.source == Source::Record;
    match text.get(..WIDEST - 3) {
        Some(beginning) if text.len() > WIDEST && !is_ours => format!("{beginning}..."),
        _ => text.to_owned(),
    }
}

fn time(session: &Session) -> String {
    if session.begin == Begin::Unknown { UNKNOWN.to_owned() } else { utc(session.record.at) }
}

fn owner(session: &Session) -> String {
    let owner = cell(session, session.record.owner.as_deref().unwrap_or(UNKNOWN));
    format!("{owner}{}", if session.verified { "" } else { "?" })
}

fn login(session: &Session) -> String {
    cell(session, &session.record.login)
}

fn address(session: &Session) -> String {
    cell(session, session.record.address.as_deref().unwrap_or(UNKNOWN))
}

fn length(session: &Session) -> String {
    match (session.state, session.duration) {
        (State::Active, _) => "active".to_owned(),
        (State::Lost, _) => "lost".to_owned(),
        (_, Some(duration)) => short(duration),
        (_, None) => UNKNOWN.to_owned(),
    }
}

/// `12s`, `3m05s`, `1h02m`, `2d03h`.
fn short(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    match (minutes, hours, days) {
        (0, ..) => format!("{seconds}s"),
        (_, 0, _) => format!("{minutes}m{:02}s", seconds % 60),
        (.., 0) => format!("{hours}h{:02}m", minutes % 60),
        _ => format!("{days}d{:02}h", hours % 24),
    }
}

fn how(session: &Session) -> String {
    let record = &session.record;
    let mut how = cell(session, &record.method);
    for part in [&record.key_type, &record.principal].into_iter().flatten() {
        how += &format!(" {}", cell(session, part));
    }
    if let Some(known) = &record.certificate {
        let (id, authority) = (cell(session, &known.id), cell(session, &known.authority));
        how += &format!(" certificate={id} authority={authority}");
    }
    if session.revoked {
        how += " revoked";
    }
    how
}

/// A session as JSON; the names are in iam-ssh(1).
#[derive(Serialize)]
struct Json<'a> {
    time: Option<String>,
    owner: Option<&'a str>,
    login: &'a str,
    address: Option<&'a str>,
    port: Option<u16>,
    state: &'static str,
    duration_seconds: Option<f64>,
    method: &'a str,
    key_type: Option<&'a str>,
    key: Option<&'a str>,
    principal: Option<&'a str>,
    certificate: Option<&'a str>,
    authority: Option<&'a str>,
    sshd_pid: u32,
    audit_session: Option<u32>,
    id: Option<&'a str>,
    source: &'static str,
    verified: bool,
}

/// Sessions as JSON, one object a line.
pub fn json(sessions: &[Session]) -> impl Iterator<Item = String> {
    let line = |session: &Session| {
        let record = &session.record;
        line(&Json {
            time: (session.begin != Begin::Unknown).then(|| utc(record.at)),
            owner: record.owner.as_deref(),
            login: &record.login,
            address: record.address.as_deref(),
            port: record.port,
            state: match session.state {
                State::Active => "active",
                _ if session.revoked => "revoked",
                State::Closed => "closed",
                State::Lost => "lost",
                State::Unknown => UNKNOWN,
            },
            duration_seconds: session.duration.map(|duration| duration.as_secs_f64()),
            method: &record.method,
            key_type: record.key_type.as_deref(),
            key: record.key.as_deref(),
            principal: record.principal.as_deref(),
            certificate: record.certificate.as_ref().map(|certificate| certificate.id.as_str()),
            authority: record.certificate.as_ref().map(|certificate| certificate.authority.as_str()),
            sshd_pid: record.sshd_pid,
            audit_session: record.audit_session,
            id: Some(record.id.as_str()).filter(|id| !id.is_empty()),
            source: match session.source {
                Source::Record => "session-audit",
                Source::Sshd => "sshd",
            },
            verified: session.verified,
        })
    };
    sessions.iter().map(line)
}

/// A forged line as JSON.
#[derive(Serialize)]
struct Forged<'a> {
    time: String,
    sender_uid: Option<u32>,
    sender_pid: Option<u32>,
    sender_command: Option<&'a str>,
    identifier: &'a str,
    message: &'a str,
}

/// A line that claims to be iam-ssh's or sshd's and is not, with who sent it as far as that is known.
#[must_use]
pub fn forged(entry: &Entry<'_>, as_json: bool) -> String {
    let text = |bytes: &[u8]| escape(bytes, LONGEST);
    let (time, identifier, message) = (utc(entry.time), text(entry.identifier), text(entry.message));
    let command = Some(text(entry.comm)).filter(|command| !command.is_empty());
    // In a text file, the process id is as forged as the rest.
    let pid = entry.pid.filter(|_| entry.uid.is_some());
    if as_json {
        return line(&Forged {
            time,
            sender_uid: entry.uid,
            sender_pid: pid,
            sender_command: command.as_deref(),
            identifier: &identifier,
            message: &message,
        });
    }
    let or = |number: Option<u32>| number.map_or_else(|| UNKNOWN.to_owned(), |number| number.to_string());
    let command = command.unwrap_or_else(|| UNKNOWN.to_owned()).replace(' ', "\\x20");
    format!("{time}  uid={} pid={} command={command}  {identifier}: {message}\n", or(entry.uid), or(pid))
}

fn line(value: &impl Serialize) -> String {
    // Nothing that is handed in fails to become JSON, and all of it is ASCII.
    serde_json::to_string(value).unwrap_or_default() + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Sender;
    use crate::record::{Certificate, tests::record};
    use proptest::prelude::*;

    fn session() -> Session {
        Session {
            duration: Some(Duration::from_millis(61_500)),
            state: State::Closed,
            ..Session::new(record(), Source::Record, true)
        }
    }

    #[test]
    fn tables_are_aligned() {
        let mut other = session();
        other.record.owner = None;
        other.record.address = None;
        other.record.principal = None;
        other.record.certificate = Some(Certificate { id: "joe".to_owned(), authority: "SHA256:x".to_owned() });
        other.state = State::Active;
        other.verified = false;
        assert_eq!(
            log(&[session(), other.clone()]).collect::<String>(),
            "TIME                  OWNER             LOGIN     ADDRESS      DURATION  HOW\n\
             2026-11-18T11:06:40Z  john@example.org  ec2-user  203.0.113.7  1m01s     publickey ssh-ed25519 groups/Administrators\n\
             2026-11-18T11:06:40Z  unknown?          ec2-user  unknown      active    publickey ssh-ed25519 certificate=joe authority=SHA256:x\n"
        );
        assert_eq!(
            who(&[other]).collect::<String>(),
            "OWNER     LOGIN     ADDRESS  SINCE                 KEY\n\
             unknown?  ec2-user  unknown  2026-11-18T11:06:40Z  SHA256:abc\n"
        );
        assert_eq!(log(&[]).collect::<String>(), "TIME  OWNER  LOGIN  ADDRESS  DURATION  HOW\n");
    }

    #[test]
    fn durations_are_short() {
        for (seconds, expected) in [
            (0, "0s"),
            (59, "59s"),
            (61, "1m01s"),
            (3600, "1h00m"),
            (3725, "1h02m"),
            (86_399, "23h59m"),
            (183_600, "2d03h"),
        ] {
            assert_eq!(short(Duration::from_secs(seconds)), expected);
        }
    }

    #[test]
    fn json_has_every_name() {
        let expected = "{\"time\":\"2026-11-18T11:06:40Z\",\"owner\":\"john@example.org\",\"login\":\"ec2-user\",\
            \"address\":\"203.0.113.7\",\"port\":51234,\"state\":\"closed\",\"duration_seconds\":61.5,\"method\":\"publickey\",\
            \"key_type\":\"ssh-ed25519\",\"key\":\"SHA256:abc\",\"principal\":\"groups/Administrators\",\"certificate\":null,\
            \"authority\":null,\"sshd_pid\":1765,\"audit_session\":5,\"id\":\"19a2b-1765\",\"source\":\"session-audit\",\
            \"verified\":true}\n";
        assert_eq!(json(&[session()]).collect::<String>(), expected);
    }

    proptest! {
        #[test]
        fn forged_lines_are_printable(bytes in proptest::collection::vec(any::<u8>(), 0..80), uid: Option<u32>, as_json: bool) {
            let entry = Entry {
                time: 0, identifier: &bytes, message: &bytes, sender: Sender::Text, uid, pid: Some(1), comm: &bytes,
            };
            let shown = forged(&entry, as_json);
            let (body, end) = shown.split_at(shown.len() - 1);
            prop_assert!(end == "\n" && body.bytes().all(|byte| (0x20..=0x7e).contains(&byte)), "{shown:?}");
        }
    }
}
