//! What is known of the people whose keys count: the account's users in scope, with their keys; and what little matters of the others.
//! Plain data, kept in the sync's memory.
//!
//! It holds nothing that a document does not need: no policies but those that shut somebody out, no tags but those with keys.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::directory::ListedKey;
use crate::exclusion::Verdicts;

/// The people in scope and the groups, read completely.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Picture {
    /// Every user in scope, by IAM's id of the user (`AIDA…`): somebody who is made anew under an old name is somebody else.
    pub people: BTreeMap<String, Person>,
    /// Users out of scope of whom something matters all the same: IAM shuts them out, lines of theirs are held back, or they have keys in
    /// tags, which stay theirs. Their keys are known only where lines are held back.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub outside: BTreeMap<String, Person>,
    /// The name of every group, by IAM's id of the group (`AGPA…`).
    pub groups: BTreeMap<String, String>,
    /// Which policies and groups shut their users out.
    pub verdicts: Verdicts,
}

/// A user.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// The name as IAM writes it.
    pub name: String,
    /// The names of the user's groups.
    pub groups: BTreeSet<String>,
    /// Why the user counts as deactivated, in words; no key of such a user counts, nor is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub excluded: Option<String>,
    /// Whether IAM itself shuts the user out (denied everything, or quarantined), whatever the rules of exclusion are.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub denied: bool,
    /// The SSH public keys that IAM lists, of whatever status; of somebody who is excluded, those listed last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<ListedKey>,
    /// The tags that hold keys, or say something about one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// When each key in a tag was first seen, by fingerprint: seconds since 1970 in UTC.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub since: BTreeMap<String, i64>,
    /// The inline policies that shut the user out.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub inline: BTreeMap<String, String>,
}

impl Picture {
    /// Everybody of whom something is known.
    pub fn everybody(&self) -> impl Iterator<Item = &Person> {
        self.people.values().chain(self.outside.values())
    }

    /// What is known of the user with this id.
    #[must_use]
    pub fn known(&self, id: &str) -> Option<&Person> {
        self.people.get(id).or_else(|| self.outside.get(id))
    }
}

impl Person {
    /// Whether IAM is asked for the user's keys, as far as it depends on the user.
    #[must_use]
    pub fn counts(&self) -> bool {
        self.excluded.is_none()
    }
}
