//! How far the reading has come, on one line of a terminal that is written over and over.
//!
//! It must never leave a trace in a file or a log: where standard error is no terminal it says nothing, and before anything else is
//! printed the line is cleared ([`crate::log::Log`] does that).

use std::io::{IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How long a line stays at least before it is written anew.
const INTERVAL: Duration = Duration::from_millis(200);

/// A line of progress on standard error. Clones share the line.
#[derive(Debug, Clone)]
pub struct Progress(Option<Arc<Mutex<Line>>>);

#[derive(Debug, Default)]
struct Line {
    /// How many columns are filled.
    width: usize,
    /// When it was written last.
    written: Option<Instant>,
}

impl Progress {
    /// A line, or with `enabled` false nothing at all.
    #[must_use]
    pub fn new(enabled: bool) -> Self {
        Self(enabled.then(Arc::default))
    }

    /// A line where people read along: the log is text and standard error is a terminal.
    #[must_use]
    pub fn for_terminal(text: bool) -> Self {
        Self::new(text && std::io::stderr().is_terminal())
    }

    /// Shows that `done` of `of` users are listed, or keys read (`what`), at `rate` calls a second, of which `throttled` were refused so far.
    pub fn show(&self, what: &str, done: usize, of: usize, rate: f64, throttled: u64) {
        let Some(line) = &self.0 else { return };
        let mut line = line.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if line.written.is_some_and(|written| now.duration_since(written) < INTERVAL) {
            return;
        }
        let text = text(what, done, of, rate, throttled);
        put(&format!("\r{text:<width$}", width = line.width));
        *line = Line { width: text.len(), written: Some(now) };
    }

    /// Makes the line empty, so that something else can be printed there.
    pub fn clear(&self) {
        let Some(line) = &self.0 else { return };
        let mut line = line.lock().unwrap_or_else(PoisonError::into_inner);
        if line.width > 0 {
            put(&format!("\r{:width$}\r", "", width = line.width));
            line.width = 0;
        }
    }
}

/// A terminal that is gone is no reason to stop.
fn put(text: &str) {
    let mut stderr = std::io::stderr().lock();
    let _ = stderr.write_all(text.as_bytes());
    let _ = stderr.flush();
}

/// `reading keys: 1,234 of 5,000 users, 19.8 calls/s, 2 throttled`
fn text(what: &str, done: usize, of: usize, rate: f64, throttled: u64) -> String {
    let (done, of, throttled) =
        (thousands(&done.to_string()), thousands(&of.to_string()), thousands(&throttled.to_string()));
    format!("reading keys: {done} of {of} {what}, {rate:.1} calls/s, {throttled} throttled")
}

/// `1234567` becomes `1,234,567`.
fn thousands(digits: &str) -> String {
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// Set for the copy of this test that runs on the terminal.
    const CHILD: &str = "IAM_SSH_TEST_PROGRESS";

    #[test]
    fn numbers_are_readable() {
        assert_eq!(
            text("users", 1234, 5000, 19.84, 2),
            "reading keys: 1,234 of 5,000 users, 19.8 calls/s, 2 throttled"
        );
        assert_eq!(["1", "999", "1000", "1234567"].map(thousands), ["1", "999", "1,000", "1,234,567"]);
    }

    /// What runs on the terminal, or with its errors in a file.
    #[test]
    fn child() {
        if std::env::var_os(CHILD).is_none() {
            return;
        }
        let progress = Progress::for_terminal(true);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(async {
            progress.show("users", 1000, 5000, 20.0, 10);
            progress.show("users", 1001, 5000, 20.0, 10);
            tokio::time::advance(INTERVAL).await;
            progress.show("users", 2, 9, 20.0, 1);
        });
        progress.clear();
        progress.clear();
        put("done\n");
    }

    /// Runs [`child`] by a shell command in which `{}` stands for it, and gives what it wrote to standard error.
    fn run(shell: &str) -> String {
        let program = std::env::current_exe().unwrap();
        let child = format!("'{}' --exact progress::tests::child --nocapture", program.display());
        let script = shell.replace("{}", &child);
        let ran = Command::new("sh").args(["-c", &script]).env(CHILD, "1").output().unwrap();
        assert!(ran.status.success(), "{ran:?}");
        String::from_utf8(ran.stdout).unwrap()
    }

    #[test]
    fn on_a_terminal_the_line_is_rewritten_at_most_every_interval_and_cleared() {
        // script(1) runs it on a terminal of its own; only the child's errors go there.
        let shown = run(r#"script --quiet --return --command "{} >/dev/null" /dev/null </dev/null"#);
        let long = "reading keys: 1,000 of 5,000 users, 20.0 calls/s, 10 throttled";
        let short = "reading keys: 2 of 9 users, 20.0 calls/s, 1 throttled";
        let (rest, gone) = (" ".repeat(long.len() - short.len()), " ".repeat(short.len()));
        assert!(shown.contains(&format!("\r{long}\r{short}{rest}\r{gone}\rdone")), "{shown:?}");
        assert!(!shown.contains("1,001"), "{shown:?}");
    }

    #[test]
    fn where_nobody_reads_along_nothing_is_shown() {
        assert_eq!(run("{} 2>&1 >/dev/null | cat"), "done\n");
    }
}
