//! The files that wiring or unwiring would change, in the order in which they are changed, and how that reads. Pure.
//!
//! The order is what keeps sshd whole when the program is killed between two of them: what sshd refers to is there
//! before, and goes after.

use super::shown;
use std::fmt::Write as _;
use std::path::PathBuf;

/// Lines of a file that are shown around a change.
const CONTEXT: usize = 3;

/// One file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Its path.
    pub path: PathBuf,
    /// Its text; `None`: there is none.
    pub before: Option<String>,
    /// The text that it shall have; `None`: it is removed.
    pub after: Option<String>,
    /// The mode of a new file; an existing one that was not written by us keeps its own.
    pub mode: Mode,
}

/// The mode of a changed file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// This one, root's.
    Ours(u32),
    /// 0640, root's and readable by the lookup: another command's arguments may be nobody else's business.
    OursForLookup,
    /// Mode and owner that it has.
    Kept,
}

/// The changes, in their order. None that changes nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan(Vec<Change>);

impl Plan {
    /// Adds a change, unless it is none.
    pub fn add(&mut self, change: Change) {
        if change.before != change.after {
            self.0.push(change);
        }
    }

    /// The changes.
    #[must_use]
    pub fn changes(&self) -> &[Change] {
        &self.0
    }

    /// The plan as a diff in unified form, fit for a terminal; empty where nothing would change.
    #[must_use]
    pub fn diff(&self) -> String {
        self.0.iter().map(Change::diff).collect()
    }
}

impl Change {
    fn diff(&self) -> String {
        let path = shown(&self.path.to_string_lossy());
        let name = |text: &Option<String>| text.as_ref().map_or("/dev/null", |_| path.as_str()).to_owned();
        let (before, after) = (split(self.before.as_deref()), split(self.after.as_deref()));
        // One hunk: from the first line that differs to the last.
        let same = before.iter().zip(&after).take_while(|(a, b)| a == b).count();
        let rest = before.len().min(after.len()) - same;
        let tail = before.iter().rev().zip(after.iter().rev()).take(rest).take_while(|(a, b)| a == b).count();
        let (start, end) = (same.saturating_sub(CONTEXT), tail.saturating_sub(CONTEXT));
        let range = |lines: usize| {
            let count = lines - start - end;
            format!("{},{count}", if count == 0 { 0 } else { start + 1 })
        };
        let mut text = format!("--- {}\n+++ {}\n", name(&self.before), name(&self.after));
        let _ = writeln!(text, "@@ -{} +{} @@", range(before.len()), range(after.len()));
        let mut lines = |sign: char, lines: &[&str], from: usize, to: usize| {
            for line in lines.get(from..to).unwrap_or_default() {
                let end = if line.ends_with('\n') { "" } else { "\n\\ No newline at end of file" };
                let _ = writeln!(text, "{sign}{}{end}", shown(line.trim_end_matches('\n')));
            }
        };
        lines(' ', &before, start, same);
        lines('-', &before, same, before.len() - tail);
        lines('+', &after, same, after.len() - tail);
        lines(' ', &before, before.len() - tail, before.len() - end);
        text
    }
}

fn split(text: Option<&str>) -> Vec<&str> {
    text.unwrap_or_default().split_inclusive('\n').collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn diff(before: Option<&str>, after: Option<&str>) -> String {
        let mut plan = Plan::default();
        let text = |text: Option<&str>| text.map(str::to_owned);
        plan.add(Change { path: "/f".into(), before: text(before), after: text(after), mode: Mode::Kept });
        plan.diff()
    }

    #[test]
    fn a_plan_reads_as_a_diff() {
        assert_eq!(diff(Some("a\n"), Some("a\n")), "");
        assert_eq!(diff(None, Some("a\nb\n")), "--- /dev/null\n+++ /f\n@@ -0,0 +1,2 @@\n+a\n+b\n");
        assert_eq!(diff(Some("a"), None), "--- /f\n+++ /dev/null\n@@ -1,1 +0,0 @@\n-a\n\\ No newline at end of file\n");
        let (before, after) = ("1\n2\n3\n4\n5\nx\n7\n8\n9\n10\n", "1\n2\n3\n4\n5\ny\nz\n7\n8\n9\n10\n");
        let expected = "--- /f\n+++ /f\n@@ -3,7 +3,8 @@\n 3\n 4\n 5\n-x\n+y\n+z\n 7\n 8\n 9\n";
        assert_eq!(diff(Some(before), Some(after)), expected);
        assert!(diff(Some("a\n"), Some("a\na\n")).ends_with("@@ -1,1 +1,2 @@\n a\n+a\n"));
        assert!(diff(None, Some("\u{1b}[2J\n")).contains("+\\x1b"), "fit for a terminal");
    }
}
