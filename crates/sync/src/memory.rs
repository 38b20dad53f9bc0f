//! The sync's own memory, `iam-ssh/state.json`: what was read last, key bodies, how far an unfinished reading came, and what was refused.
//!
//! A run without it, or with one that cannot be read, needs more calls, and forgets when keys in tags were first seen and what was begun; who
//! gets in is decided by what IAM says. It must never be believed about another account.

use std::collections::{BTreeMap, BTreeSet};

use iam_ssh_core::document::MAX_LEN;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::bucket::{Bucket, BucketError, Expected};
use crate::directory::ListedKey;
use crate::picture::Picture;

/// Its key below the prefix (CONTRACT, "Bucket").
pub const KEY: &str = "iam-ssh/state.json";
/// The only form that this program reads.
const VERSION: u32 = 1;

/// What the sync remembers of one account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    version: u32,
    /// The account's number.
    pub account: Option<String>,
    /// The last complete picture.
    pub picture: Option<Picture>,
    /// The body of each key that was ever Active, by IAM's id of the key: IAM has no call that changes a body.
    pub bodies: BTreeMap<String, String>,
    /// What an unfinished reading has listed so far, by IAM's id of the user.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pass: BTreeMap<String, Listed>,
    /// What was refused and is held back until somebody confirms it: documents' lines, as [`crate::guard`] names them.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub refused: BTreeSet<String>,
    /// The plan that a person confirmed to a run that did not come so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm: Option<String>,
    /// What the last run began to carry out, unless it came to the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unfinished: Option<Unfinished>,
}

/// What a run is about to carry out: the next one sees to what is left of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unfinished {
    /// The documents that change.
    pub documents: BTreeSet<String>,
    /// Those of them that are groups under a name that they have no more.
    pub renamed: BTreeSet<String>,
    /// Lines that go because a person confirmed it, as [`crate::guard`] names them.
    pub confirmed: BTreeSet<String>,
}

/// The keys of one user, as listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// When: seconds since 1970 in UTC.
    pub at: i64,
    /// The keys.
    pub keys: Vec<ListedKey>,
}

impl Unfinished {
    /// What of this is about these documents; nothing where there are none.
    #[must_use]
    pub fn about(self, documents: BTreeSet<String>) -> Option<Self> {
        let is_about = |line: &String| line.split(' ').next().is_some_and(|document| documents.contains(document));
        let renamed = self.renamed.into_iter().filter(is_about).collect();
        let confirmed = self.confirmed.into_iter().filter(is_about).collect();
        (!documents.is_empty()).then_some(Self { documents, renamed, confirmed })
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            version: VERSION,
            account: None,
            picture: None,
            bodies: BTreeMap::new(),
            pass: BTreeMap::new(),
            refused: BTreeSet::new(),
            confirm: None,
            unfinished: None,
        }
    }
}

impl Memory {
    /// Whose lines are held back: names in lower case, because IAM compares them so.
    #[must_use]
    pub fn held(&self) -> BTreeSet<String> {
        self.refused.iter().filter_map(|line| line.split(' ').nth(1)).map(str::to_ascii_lowercase).collect()
    }

    /// Forgets the bodies of keys that nobody has any more.
    pub fn prune(&mut self) {
        let Some(picture) = &self.picture else { return };
        let unfinished = self.pass.values().flat_map(|listed| &listed.keys);
        let listed = picture.everybody().flat_map(|person| &person.keys).chain(unfinished);
        let listed: BTreeSet<&str> = listed.map(|key| key.id.as_str()).collect();
        self.bodies.retain(|id, _| listed.contains(id.as_str()));
    }

    /// Checks, and remembers, which account this is about.
    ///
    /// # Errors
    /// When it is about another one.
    pub fn is_about(&mut self, number: Option<&str>) -> Result<(), OtherAccount> {
        match (&self.account, number) {
            (Some(known), Some(number)) if known != number => Err(OtherAccount(known.clone(), number.to_owned())),
            (None, Some(number)) => {
                self.account = Some(number.to_owned());
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// The memory where it is kept.
#[derive(Debug)]
pub struct Store {
    key: String,
    expected: Expected,
    /// The digest of what is stored.
    digest: Option<[u8; 32]>,
}

impl Store {
    /// Reads the memory below a prefix; a fresh one where there is none, and with what is wrong where it cannot be read.
    ///
    /// # Errors
    /// When the bucket cannot be asked.
    pub async fn load(bucket: &impl Bucket, prefix: &str) -> Result<(Self, Memory, Option<String>), BucketError> {
        let key = format!("{prefix}{KEY}");
        let Some(stored) = bucket.get(&key).await? else {
            return Ok((Self { key, expected: Expected::Nothing, digest: None }, Memory::default(), None));
        };
        let expected = Expected::found(Some(&stored.etag));
        let digest = Some(Sha256::digest(&stored.body).into());
        let (memory, wrong) = match serde_json::from_slice::<Memory>(&stored.body) {
            Ok(memory) if memory.version == VERSION => (memory, None),
            Ok(_) => (Memory::default(), Some("it is in the form of another version".to_owned())),
            Err(error) => (Memory::default(), Some(error.to_string())),
        };
        Ok((Self { key, expected, digest }, memory, wrong))
    }

    /// Stores the memory, unless it is stored as it is.
    ///
    /// # Errors
    /// When it cannot be written, or somebody else wrote it since it was read.
    pub async fn save(&mut self, bucket: &impl Bucket, memory: &Memory) -> Result<(), BucketError> {
        let mut body = serde_json::to_vec(memory).unwrap_or_default();
        if body.len() > MAX_LEN {
            // What is larger cannot be read again. Bodies and listings only spare calls; the rest is what safety needs.
            let small = Memory { bodies: BTreeMap::new(), pass: BTreeMap::new(), ..memory.clone() };
            body = serde_json::to_vec(&small).unwrap_or_default();
        }
        let digest = Sha256::digest(&body).into();
        if self.digest == Some(digest) {
            return Ok(());
        }
        match bucket.put(&self.key, body, "application/json", &self.expected).await {
            Ok(etag) => self.expected = Expected::found(Some(&etag)),
            // A write whose answer was lost is tried again and then meets itself.
            Err(error) if error.cause.is_conflict() => match bucket.get(&self.key).await? {
                Some(now) if <[u8; 32]>::from(Sha256::digest(&now.body)) == digest => {
                    self.expected = Expected::found(Some(&now.etag));
                }
                _ => return Err(error),
            },
            Err(error) => return Err(error),
        }
        self.digest = Some(digest);
        Ok(())
    }
}

/// A listing of which nothing is known to be wrong counts for so many seconds: after that a key may have been withdrawn unseen for too long.
pub const LISTED_FOR: i64 = 7200;

impl Listed {
    /// Whether the listing still counts at `now`.
    #[must_use]
    pub fn counts(&self, now: i64) -> bool {
        now.checked_sub(self.at).is_some_and(|age| (0..LISTED_FOR).contains(&age))
    }
}

/// An account that is not the one that a memory is about: the memory's, and the one that answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherAccount(pub String, pub String);

#[cfg(test)]
mod tests;
