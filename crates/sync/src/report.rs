//! What a run did, or would do, as people read it.
//!
//! It must be complete: every document that changed is named, and the last line counts all of them.

use std::fmt;

use iam_ssh_core::Principal;

use crate::bucket::BucketError;
use crate::diff::{self, Diff};
use crate::documents::Skipped;
use crate::guard::Refusal;

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
    /// Who vanished while IAM was read, and counts as deleted.
    pub vanished: Vec<String>,
    /// Who counts as deactivated, and why.
    pub excluded: Vec<(String, String)>,
    /// Keys of objects beside the documents that are none.
    pub foreign: Vec<String>,
    /// What is held back.
    pub refusal: Option<Refusal>,
    /// How many lines are held back in all, also where this run did not look.
    pub held: usize,
    /// For a run about what changed: whether IAM showed anything new about each of the changes, in their order.
    pub news: Option<Vec<bool>>,
    /// How many users were published.
    pub users: usize,
    /// How many groups were published.
    pub groups: usize,
    /// How many usable keys the users have.
    pub keys: usize,
    /// Of a dry run: documents that could not be read, so that nobody knows what would change in them.
    pub unread: Vec<BucketError>,
}

impl Report {
    /// The process's exit code: 1 where the plan is not complete, 3 where something is held back, else 0 (CONTRACT, "Sync").
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match &self.refusal {
            _ if !self.unread.is_empty() => 1,
            Some(_) => 3,
            None => 0,
        }
    }

    /// The documents that were changed.
    pub fn changed(&self) -> impl Iterator<Item = &Principal> {
        self.put.iter().chain(&self.deleted).map(|(principal, _)| principal)
    }

    /// How many documents were changed.
    #[must_use]
    pub fn changes(&self) -> usize {
        self.put.len() + self.deleted.len()
    }

    /// `3 put, 1 deleted, 1298 kept`
    #[must_use]
    pub fn summary(&self) -> String {
        let would = if self.dry_run { "dry run, nothing was changed: " } else { "" };
        format!("{would}{} put, {} deleted, {} kept", self.put.len(), self.deleted.len(), self.kept)
    }
}

/// So many lines held back are shown, unless in a dry run, which shows all.
const SHOWN: usize = 100;

impl Report {
    /// One line per document that keeps lines, with these below it.
    fn held_back(&self, f: &mut fmt::Formatter<'_>, refusal: &Refusal) -> fmt::Result {
        let mut left = if self.dry_run { usize::MAX } else { SHOWN };
        for (principal, lines) in &refusal.held {
            if left == 0 {
                return writeln!(f, "… --dry-run shows the rest of {} lines", refusal.count());
            }
            writeln!(f, "held back {principal} (-{})", lines.len())?;
            lines.iter().take(left).try_for_each(|line| writeln!(f, "  - {}", diff::shown(line)))?;
            left = left.saturating_sub(lines.len());
        }
        Ok(())
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
        let refusal = self.refusal.iter().filter(|_| self.news.is_none());
        refusal.into_iter().try_for_each(|refusal| self.held_back(f, refusal))?;
        write!(f, "{}", self.summary())
    }
}
