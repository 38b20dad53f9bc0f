//! What the program says: lines for people, or one JSON object a line for CloudWatch and whoever evaluates it.
//!
//! It must never let a message look like another one: in JSON a line break is escaped; in text whoever makes a message has
//! escaped what came from outside.

use std::fmt::Display;
use std::io::Write;

use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::progress::Progress;

/// CloudWatch takes no more than 256 KiB for an event, and cut JSON is none. Escaping doubles it at most, because messages are
/// printable text and line breaks.
const LONGEST: usize = 100 * 1024;

/// How the log is written (`LOG_FORMAT`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `error: …`, for people.
    Text,
    /// An object a line, for programs.
    Json,
}

impl Format {
    /// `text` or `json`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "text" => Some(Self::Text),
            "json" => Some(Self::Json),
            _ => None,
        }
    }
}

/// How much a message matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Error,
    Warning,
    Note,
    Info,
}

impl Level {
    /// What stands before the message in text.
    fn word(self) -> &'static str {
        match self {
            Self::Error => "error: ",
            Self::Warning => "warning: ",
            Self::Note => "note: ",
            Self::Info => "",
        }
    }

    /// The name by which Lambda's log level filter knows it (Lambda developer guide, "Log-level filtering").
    fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warn",
            Self::Note | Self::Info => "info",
        }
    }
}

/// The log. Clones write to the same place.
#[derive(Debug, Clone)]
pub struct Log {
    format: Format,
    progress: Progress,
}

impl Log {
    /// A log that clears this line of progress before it writes.
    #[must_use]
    pub fn new(format: Format, progress: Progress) -> Self {
        Self { format, progress }
    }

    /// The line of progress.
    #[must_use]
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Something failed. `account`: where there are several, which one this is about.
    pub fn error(&self, account: Option<&str>, message: &dyn Display) {
        self.write(Level::Error, account, message);
    }

    /// Something is not as it should be, and somebody should look at it.
    pub fn warning(&self, account: Option<&str>, message: &dyn Display) {
        self.write(Level::Warning, account, message);
    }

    /// Something that explains what was done.
    pub fn note(&self, account: Option<&str>, message: &dyn Display) {
        self.write(Level::Note, account, message);
    }

    /// The result: in text on standard output.
    pub fn info(&self, account: Option<&str>, message: &dyn Display) {
        self.write(Level::Info, account, message);
    }

    /// A line of metrics ([`crate::metrics`]): as it is, on standard output, where CloudWatch finds it.
    pub fn metrics(&self, emf: &str) {
        self.progress.clear();
        out(&format!("{emf}\n"));
    }

    fn write(&self, level: Level, account: Option<&str>, message: &dyn Display) {
        self.progress.clear();
        let message = message.to_string();
        match self.format {
            Format::Text if level == Level::Info => out(&text(level, account, &message)),
            Format::Text => err(&text(level, account, &message)),
            Format::Json => err(&json(level, account, &message, OffsetDateTime::now_utc())),
        }
    }
}

/// Whoever does not read on shall not stop the program.
fn out(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = stdout.write_all(text.as_bytes());
    let _ = stdout.flush();
}

fn err(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

/// The level's word once, the account on every line.
fn text(level: Level, account: Option<&str>, message: &str) -> String {
    let account = account.map(|account| format!("{account}: ")).unwrap_or_default();
    let lines: String = message.split('\n').map(|line| format!("{account}{line}\n")).collect();
    format!("{}{lines}", level.word())
}

#[derive(Serialize)]
struct Entry<'a> {
    timestamp: &'a str,
    level: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<&'a str>,
    message: &'a str,
}

/// One object, or several if the message is long.
fn json(level: Level, account: Option<&str>, message: &str, now: OffsetDateTime) -> String {
    let now = now.replace_nanosecond(now.nanosecond() / 1_000_000 * 1_000_000).unwrap_or(now);
    let timestamp = now.format(&Rfc3339).unwrap_or_default();
    let mut text = String::new();
    for message in parts(message) {
        let entry = Entry { timestamp: &timestamp, level: level.name(), account, message };
        text += &serde_json::to_string(&entry).unwrap_or_default();
        text.push('\n');
    }
    text
}

/// The message cut at line breaks into parts of at most [`LONGEST`] bytes; a longer line stays whole.
fn parts(message: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = message;
    while rest.len() > LONGEST {
        // A line break is one byte wherever it stands, so bytes and text agree about it.
        let mut breaks = rest.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at);
        let first = breaks.next();
        let Some(cut) = breaks.take_while(|at| *at <= LONGEST).last().or(first) else { break };
        let Some((part, behind)) = rest.split_at_checked(cut) else { break };
        parts.push(part);
        rest = behind.strip_prefix('\n').unwrap_or(behind);
    }
    parts.push(rest);
    parts
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    #[test]
    fn text_is_for_people() {
        assert_eq!(text(Level::Error, None, "it broke"), "error: it broke\n");
        assert_eq!(text(Level::Note, Some("111122223333"), "gone"), "note: 111122223333: gone\n");
        let report = "put users/ann (+1 -0)\n1 put, 0 deleted, 0 kept";
        assert_eq!(text(Level::Info, None, report), format!("{report}\n"));
        assert_eq!(text(Level::Info, Some("1"), report), "1: put users/ann (+1 -0)\n1: 1 put, 0 deleted, 0 kept\n");
    }

    #[test]
    fn an_entry_is_one_line_that_lambda_can_filter() {
        let now = OffsetDateTime::from_unix_timestamp_nanos(1_793_413_327_123_456_789).unwrap();
        let line = json(Level::Warning, Some("111122223333"), "a\n\"b\"", now);
        assert_eq!(
            line,
            "{\"timestamp\":\"2026-10-31T02:22:07.123Z\",\"level\":\"warn\",\"account\":\"111122223333\",\
             \"message\":\"a\\n\\\"b\\\"\"}\n"
        );
        assert!(!json(Level::Error, None, "a", now).contains("account"));
    }

    #[test]
    fn a_long_report_is_cut_where_a_line_ends() {
        let report = vec!["put users/somebody (+1 -0)"; 20_000].join("\n");
        let text = json(Level::Info, None, &report, OffsetDateTime::UNIX_EPOCH);
        let entries: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let messages: Vec<&str> = entries.iter().map(|entry| entry["message"].as_str().unwrap()).collect();
        assert_eq!(messages.join("\n"), report);
        assert!(entries.len() > 1 && text.lines().all(|line| line.len() < 256 * 1024));
    }

    proptest! {
        #[test]
        fn nothing_is_lost_by_cutting(lines in proptest::collection::vec("[a-zä]{0,3}", 0..9), long in any::<bool>()) {
            let message = lines.join(if long { &*LONG } else { "\n" });
            prop_assert_eq!(parts(&message).join("\n"), message);
        }
    }

    static LONG: std::sync::LazyLock<String> = std::sync::LazyLock::new(|| format!("{}\n\n", "x".repeat(LONGEST - 3)));
}
