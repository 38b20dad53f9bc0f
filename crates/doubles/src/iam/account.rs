//! An account's directory at one moment: users, groups, managed policies, and how they hang together.
//!
//! Everything is found by its name in lower case, because IAM compares names so; each entity keeps the name as it was given. What is
//! stored here is shared between moments, so copying an account is cheap.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// One uploaded SSH public key.
#[derive(Clone, Debug)]
pub(crate) struct SshKey {
    pub(crate) id: String,
    pub(crate) body: String,
    pub(crate) status: String,
    pub(crate) uploaded: Option<String>,
}

/// The policies of a user or a group.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rights {
    /// Inline policies: name and document, the latter as IAM sends it.
    pub(crate) inline: BTreeMap<String, String>,
    /// ARNs of managed policies.
    pub(crate) attached: BTreeSet<String>,
}

/// One user: keys in the order of upload, tags by key.
#[derive(Clone, Debug)]
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) path: String,
    pub(crate) keys: Vec<SshKey>,
    /// Names of groups, in lower case.
    pub(crate) groups: BTreeSet<String>,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) rights: Rights,
    pub(crate) boundary: Option<String>,
}

/// One group.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) path: String,
    /// Names of users, in lower case.
    pub(crate) members: BTreeSet<String>,
    pub(crate) rights: Rights,
}

/// One managed policy of the account: its versions' documents as IAM sends them, the first is v1.
#[derive(Clone, Debug)]
pub(crate) struct Policy {
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) versions: Vec<String>,
    /// Index of the version in force.
    pub(crate) default: usize,
}

/// All of it.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    pub(crate) number: String,
    pub(crate) users: BTreeMap<String, Arc<User>>,
    pub(crate) groups: BTreeMap<String, Arc<Group>>,
    pub(crate) policies: BTreeMap<String, Arc<Policy>>,
    /// How many ids were given out.
    issued: u64,
}

/// A name as IAM compares it.
pub(crate) fn fold(name: &str) -> String {
    name.to_ascii_lowercase()
}

impl Account {
    pub(crate) fn new(number: &str) -> Self {
        let (users, groups, policies) = Default::default();
        Self { number: number.to_owned(), users, groups, policies, issued: 0 }
    }

    /// A user, added if need be.
    pub(crate) fn user(&mut self, name: &str) -> &mut User {
        let (number, issued) = (&self.number, &mut self.issued);
        let user = self.users.entry(fold(name)).or_insert_with(|| {
            let (id, path) = (identity("AIDA", number, issued), "/".to_owned());
            let (keys, groups, tags, rights, boundary) = Default::default();
            Arc::new(User { name: name.to_owned(), id, path, keys, groups, tags, rights, boundary })
        });
        Arc::make_mut(user)
    }

    /// A group, added if need be.
    pub(crate) fn group(&mut self, name: &str) -> &mut Group {
        let (number, issued) = (&self.number, &mut self.issued);
        let group = self.groups.entry(fold(name)).or_insert_with(|| {
            let (id, path) = (identity("AGPA", number, issued), "/".to_owned());
            let (members, rights) = Default::default();
            Arc::new(Group { name: name.to_owned(), id, path, members, rights })
        });
        Arc::make_mut(group)
    }

    /// A managed policy, added without a version if need be.
    pub(crate) fn policy(&mut self, name: &str) -> &mut Policy {
        let (number, issued) = (&self.number, &mut self.issued);
        let policy = self.policies.entry(fold(name)).or_insert_with(|| {
            let id = identity("ANPA", number, issued);
            Arc::new(Policy { name: name.to_owned(), id, versions: Vec::new(), default: 0 })
        });
        Arc::make_mut(policy)
    }

    pub(crate) fn known_user(&mut self, name: &str) -> Option<&mut User> {
        self.users.get_mut(&fold(name)).map(Arc::make_mut)
    }

    pub(crate) fn known_group(&mut self, name: &str) -> Option<&mut Group> {
        self.groups.get_mut(&fold(name)).map(Arc::make_mut)
    }
}

/// Seventeen characters behind a prefix, as IAM's ids are made, never the same twice.
fn identity(prefix: &str, account: &str, issued: &mut u64) -> String {
    *issued += 1;
    let salt = account.bytes().fold(0_u64, |salt, byte| salt.wrapping_mul(31).wrapping_add(u64::from(byte)));
    unique(prefix, salt.rotate_left(32) ^ *issued, 17)
}

/// A prefix and so many characters that depend on `seed` alone.
pub(crate) fn unique(prefix: &str, seed: u64, characters: u64) -> String {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let character = |place| {
        let index = usize::try_from(scramble(seed.wrapping_mul(64).wrapping_add(place)) & 31).unwrap_or_default();
        ALPHABET.get(index).copied().map(char::from)
    };
    prefix.chars().chain((0..characters).filter_map(character)).collect()
}

/// Numbers that look random and are the same in every run (the finaliser of SplitMix64).
pub(crate) fn scramble(number: u64) -> u64 {
    let mixed = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}
