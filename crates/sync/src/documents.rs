//! What should be published, from a complete directory. Pure.
//!
//! It must never let one bad name or key keep the rest from being published, and it must give the same text for the same directory:
//! members by name, keys by id, no line twice.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use iam_ssh_core::text::escape;
use iam_ssh_core::{KeyError, KeyLine, KeyOption, Name, NameError, Principal, PublicKey, document};

use crate::directory::Snapshot;

/// What should be published.
#[derive(Debug, Default)]
pub struct Documents {
    /// The text of every principal's document, empty where it has no usable key.
    pub texts: BTreeMap<Principal, String>,
    /// What is left out, and why.
    pub skipped: Vec<Skipped>,
    /// How many users there are.
    pub users: usize,
    /// How many groups there are.
    pub groups: usize,
    /// How many usable keys the users have.
    pub keys: usize,
}

/// Something in the directory that is not published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Skipped {
    /// A user whose name cannot be published; the name as IAM has it.
    User(String, NameError),
    /// A group whose name cannot be published; the name as IAM has it.
    Group(String, NameError),
    /// A key that is refused.
    Key {
        /// Whose it is.
        user: Name,
        /// IAM's id of the key.
        id: String,
        /// Why.
        why: KeyError,
    },
    /// A user who vanished while the directory was read; not a warning.
    Gone(String),
}

/// Renders the documents of every user and group of the directory, `options` in front of every key.
#[must_use]
pub fn documents(snapshot: &Snapshot, options: &[KeyOption]) -> Documents {
    let mut documents = Documents::default();
    documents.skipped.extend(snapshot.gone.iter().cloned().map(Skipped::Gone));
    let mut lines: BTreeMap<Name, Vec<KeyLine>> = BTreeMap::new();
    let mut members: BTreeMap<Name, BTreeSet<Name>> = BTreeMap::new();
    for group in &snapshot.account.groups {
        match Name::new(group) {
            Ok(name) => drop(members.insert(name, BTreeSet::new())),
            Err(why) => documents.skipped.push(Skipped::Group(group.clone(), why)),
        }
    }
    for (user, groups) in &snapshot.account.users {
        let name = match Name::new(user) {
            Ok(name) => name,
            Err(why) => {
                documents.skipped.push(Skipped::User(user.clone(), why));
                continue;
            }
        };
        for group in groups.iter().filter_map(|group| Name::new(group).ok()) {
            members.entry(group).or_default().insert(name.clone());
        }
        let usable = documents.usable_lines(snapshot, &name, options);
        lines.insert(name, usable);
    }
    (documents.users, documents.groups) = (lines.len(), members.len());
    documents.keys = lines.values().map(Vec::len).sum();
    for (group, names) in members {
        let text: String =
            names.iter().filter_map(|name| lines.get(name)).map(|lines| document::render(lines)).collect();
        documents.texts.insert(Principal::Group(group), text);
    }
    for (user, lines) in lines {
        documents.texts.insert(Principal::User(user), document::render(&lines));
    }
    documents
}

impl Documents {
    /// The lines of one user, in the order of the keys' ids; a key that was uploaded twice counts once.
    fn usable_lines(&mut self, snapshot: &Snapshot, user: &Name, options: &[KeyOption]) -> Vec<KeyLine> {
        let mut lines: Vec<KeyLine> = Vec::new();
        for key in snapshot.keys.get(user.as_str()).into_iter().flatten() {
            match PublicKey::from_openssh(&key.body) {
                Ok(public) => {
                    let line = KeyLine::new(options.to_vec(), user.clone(), public);
                    if !lines.contains(&line) {
                        lines.push(line);
                    }
                }
                Err(why) => self.skipped.push(Skipped::Key { user: user.clone(), id: key.id.clone(), why }),
            }
        }
        lines
    }
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(name, why) => write!(f, "user `{}` is not published: {why}", escape(name.as_bytes(), 128)),
            Self::Group(name, why) => write!(f, "group `{}` is not published: {why}", escape(name.as_bytes(), 128)),
            Self::Key { user, id, why } => {
                write!(f, "key `{}` of user `{user}` is not published: {why}", escape(id.as_bytes(), 128))
            }
            Self::Gone(name) => {
                write!(f, "user `{}` vanished while IAM was read and counts as deleted", escape(name.as_bytes(), 128))
            }
        }
    }
}
