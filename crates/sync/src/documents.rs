//! What should be published, from a complete directory. Pure.
//!
//! It must never let one bad name or key keep the rest from being published, never publish one public key under two users (who opened a
//! session could then not be told, and anybody can upload anybody's public key), and it must give the same text for the same directory:
//! members by name, keys by id, no line twice.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use iam_ssh_core::text::escape;
use iam_ssh_core::{KeyError, KeyLine, KeyOption, Name, NameError, Principal, PublicKey, document};

use crate::directory::{ActiveKey, Snapshot, Uploaded};

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
    /// A key that another user has, too, and had first.
    Shared {
        /// Whose it is.
        user: Name,
        /// IAM's id of the key.
        id: String,
        /// Under whom it is published.
        owner: Name,
        /// IAM's id of the owner's key.
        owners_id: String,
    },
    /// A user who vanished while the directory was read; not a warning.
    Gone(String),
}

/// Renders the documents of every user and group of the directory, `options` in front of every key.
#[must_use]
pub fn documents(snapshot: &Snapshot, options: &[KeyOption]) -> Documents {
    let mut documents = Documents::default();
    documents.skipped.extend(snapshot.gone.iter().cloned().map(Skipped::Gone));
    let mut usable: BTreeMap<Name, Vec<Usable<'_>>> = BTreeMap::new();
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
        let keys = snapshot.keys.get(user).into_iter().flatten();
        let keys = keys.filter_map(|key| documents.usable(&name, key)).collect();
        usable.insert(name, keys);
    }
    let lines = documents.lines(&usable, options);
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

/// A key that may be published.
struct Usable<'a> {
    id: &'a str,
    uploaded: Option<Uploaded>,
    public: PublicKey,
}

/// What decides between those who hold the same public key: who uploaded it first; a date beats none; then the name.
type Claim<'a> = (bool, Option<Uploaded>, &'a Name, &'a str);

impl Usable<'_> {
    fn claim<'a>(&'a self, user: &'a Name) -> Claim<'a> {
        (self.uploaded.is_none(), self.uploaded, user, self.id)
    }
}

impl Documents {
    /// The key, unless it is refused.
    fn usable<'a>(&mut self, user: &Name, key: &'a ActiveKey) -> Option<Usable<'a>> {
        match PublicKey::from_openssh(&key.body) {
            Ok(public) => Some(Usable { id: &key.id, uploaded: key.uploaded, public }),
            Err(why) => {
                self.skipped.push(Skipped::Key { user: user.clone(), id: key.id.clone(), why });
                None
            }
        }
    }

    /// The lines of every user, in the order of the keys' ids. A public key counts once: for the one user whose claim is first.
    fn lines(&mut self, keys: &BTreeMap<Name, Vec<Usable<'_>>>, options: &[KeyOption]) -> BTreeMap<Name, Vec<KeyLine>> {
        let mut claims: BTreeMap<&PublicKey, Claim<'_>> = BTreeMap::new();
        for (user, key) in keys.iter().flat_map(|(user, keys)| keys.iter().map(move |key| (user, key))) {
            let claim = key.claim(user);
            claims.entry(&key.public).and_modify(|first| *first = claim.min(*first)).or_insert(claim);
        }
        let mut lines = BTreeMap::new();
        for (user, keys) in keys {
            let mut own: Vec<KeyLine> = Vec::new();
            for key in keys {
                match claims.get(&key.public) {
                    Some((_, _, owner, owners_id)) if *owner != user => self.skipped.push(Skipped::Shared {
                        user: user.clone(),
                        id: key.id.to_owned(),
                        owner: (*owner).clone(),
                        owners_id: (*owners_id).to_owned(),
                    }),
                    _ => {
                        let line = KeyLine::new(options.to_vec(), user.clone(), key.public.clone());
                        if !own.contains(&line) {
                            own.push(line);
                        }
                    }
                }
            }
            lines.insert(user.clone(), own);
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
            Self::Shared { user, id, owner, owners_id } => {
                let (id, owners_id) = (escape(id.as_bytes(), 128), escape(owners_id.as_bytes(), 128));
                write!(
                    f,
                    "key `{id}` of user `{user}` is not published: user `{owner}` holds the same public key as key `{owners_id}` and \
                     uploaded it first (at the same time: the name decides); the one whose key it is not must delete it"
                )
            }
            Self::Gone(name) => {
                write!(f, "user `{}` vanished while IAM was read and counts as deleted", escape(name.as_bytes(), 128))
            }
        }
    }
}
