//! What a run did, or would do, as people read it.
//!
//! It must be complete: every document that changed is named, and the last line counts all of them.

use std::fmt;

use iam_ssh_core::Principal;

use crate::diff::Diff;
use crate::documents::Skipped;

/// A complete run.
#[derive(Debug, Default)]
pub struct Report {
    /// Whether it only looked.
    pub dry_run: bool,
    /// Documents written, each with what changed in it.
    pub put: Vec<(Principal, Diff)>,
    /// Documents deleted; in a dry run with the lines they hold.
    pub deleted: Vec<(Principal, Diff)>,
    /// How many documents were right already.
    pub kept: usize,
    /// What the directory holds that is not published.
    pub skipped: Vec<Skipped>,
    /// How many users were published.
    pub users: usize,
    /// How many groups were published.
    pub groups: usize,
    /// How many usable keys the users have.
    pub keys: usize,
}

impl Report {
    /// `3 put, 1 deleted, 1298 kept`
    #[must_use]
    pub fn summary(&self) -> String {
        let would = if self.dry_run { "dry run, nothing was changed: " } else { "" };
        format!("{would}{} put, {} deleted, {} kept", self.put.len(), self.deleted.len(), self.kept)
    }
}

impl fmt::Display for Report {
    /// One line per changed document, in a dry run with the difference below it, and the summary.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let details = |f: &mut fmt::Formatter<'_>, diff: &Diff| -> fmt::Result {
            diff.lines.iter().try_for_each(|line| writeln!(f, "  {line}"))
        };
        for (principal, diff) in &self.put {
            writeln!(f, "put {principal} (+{} -{})", diff.added, diff.removed)?;
            details(f, diff)?;
        }
        for (principal, diff) in &self.deleted {
            writeln!(f, "delete {principal}")?;
            details(f, diff)?;
        }
        write!(f, "{}", self.summary())
    }
}
