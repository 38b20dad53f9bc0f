//! What differs between a stored document and the one that should be there, said with owners and fingerprints. Pure.
//!
//! It must never show a key's base64 or a foreign line's text. The order of lines is not a difference worth showing, but it is said.

use std::collections::BTreeMap;
use std::sync::Arc;

use iam_ssh_core::KeyLine;

use crate::text::Text;

/// The difference of one document.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Diff {
    /// How many key lines come.
    pub added: usize,
    /// How many lines go, key lines or not.
    pub removed: usize,
    /// One line of text for each line that comes or goes, if that was asked for.
    pub lines: Vec<String>,
}

impl Diff {
    /// Counts what differs between what is stored and what should be.
    #[must_use]
    pub fn counted(stored: &Text, desired: &Text) -> Self {
        Self::new(stored, desired, false)
    }

    /// Counts what differs, and says it line by line.
    #[must_use]
    pub fn detailed(stored: &Text, desired: &Text) -> Self {
        Self::new(stored, desired, true)
    }

    fn new(stored: &Text, desired: &Text, detailed: bool) -> Self {
        let one_sided = stored.is_empty() || desired.is_empty();
        let mut balance: BTreeMap<Arc<KeyLine>, (usize, usize)> = BTreeMap::new();
        for line in stored.keys() {
            balance.entry(line).or_default().0 += 1;
        }
        for line in desired.keys() {
            balance.entry(line).or_default().1 += 1;
        }
        let garbage = stored.skipped();
        let mut diff = Self { removed: garbage, ..Self::default() };
        let (mut gone, mut come) = (Vec::new(), Vec::new());
        for (line, (before, after)) in balance {
            let (lost, won) = (before.saturating_sub(after), after.saturating_sub(before));
            diff.removed += lost;
            diff.added += won;
            if detailed {
                gone.extend((0..lost).map(|_| format!("- {}", shown(&line))));
                come.extend((0..won).map(|_| format!("+ {}", shown(&line))));
            }
        }
        if detailed {
            match garbage {
                0 => {}
                1 => gone.push("- 1 line that is no key line".to_owned()),
                more => gone.push(format!("- {more} lines that are no key lines")),
            }
            diff.lines = gone;
            diff.lines.extend(come);
            if diff.lines.is_empty() && !one_sided {
                diff.lines.push("= the same keys, written differently".to_owned());
            }
        }
        diff
    }
}

/// A key line without its base64: owner, fingerprint, type, and options if it has any.
pub(crate) fn shown(line: &KeyLine) -> String {
    let mut text = format!("{} {} {}", line.owner(), line.key().fingerprint(), line.key().key_type());
    if !line.options().is_empty() {
        let options: Vec<String> = line.options().iter().map(ToString::to_string).collect();
        text.push_str(&format!(" [{}]", options.join(",")));
    }
    text
}
