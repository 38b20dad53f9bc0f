//! What should be published, from a complete picture of the account. Pure.
//!
//! It must never let one bad name or key keep the rest from being published, never publish one public key under two users (who opened a
//! session could then not be told, and anybody can upload anybody's public key), and it must give the same text for the same directory:
//! members by name, keys by id, no line twice.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use iam_ssh_core::text::escape;
use iam_ssh_core::{KeyError, KeyLine, KeyOption, Name, NameError, Principal, PublicKey};

use crate::directory::Uploaded;
use crate::picture::{Person, Picture};
use crate::settings::Keys;
use crate::tag_keys::{self, TagKeyError};
use crate::text::Text;

/// What should be published.
#[derive(Debug, Default)]
pub struct Documents {
    /// The text of every principal's document, empty where it has no usable key.
    pub texts: BTreeMap<Principal, Text>,
    /// What is left out, and why.
    pub skipped: Vec<Skipped>,
    /// Who counts as deactivated, and why; names escaped.
    pub excluded: Vec<(String, String)>,
    /// Whose each published key is.
    pub owners: BTreeMap<PublicKey, Name>,
    /// The keys that IAM itself says must not be used any more, or whose time is up: withdrawing them is never a mistake.
    pub revoked: BTreeSet<(Name, PublicKey)>,
    /// Whom IAM itself shuts out: withdrawing whatever they have is none, either.
    pub denied: BTreeSet<Name>,
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
    /// A key in a tag that is refused, by its label.
    Tag {
        /// Whose it is.
        user: Name,
        /// The label, or the tag's key.
        label: String,
        /// Why.
        why: TagKeyError,
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
}

/// How keys become lines.
#[derive(Debug, Clone, Copy)]
pub struct Rendering<'a> {
    /// Options in front of every key.
    pub options: &'a [KeyOption],
    /// Which keys count.
    pub keys: &'a Keys,
    /// Seconds since 1970 in UTC.
    pub now: i64,
}

/// Renders the documents of everybody in the picture and of every group; `bodies` by id of the key.
#[must_use]
pub fn documents(picture: &Picture, bodies: &BTreeMap<String, String>, how: Rendering<'_>) -> Documents {
    let mut documents = Documents::default();
    let mut usable: BTreeMap<Name, Vec<Usable>> = BTreeMap::new();
    // By name in lower case, because IAM compares so: a membership may be told in another case than the group.
    let mut members: BTreeMap<String, (Name, BTreeSet<Name>)> = BTreeMap::new();
    for group in picture.groups.values() {
        match Name::new(group) {
            Ok(name) => drop(members.insert(group.to_ascii_lowercase(), (name, BTreeSet::new()))),
            Err(why) => documents.skipped.push(Skipped::Group(group.clone(), why)),
        }
    }
    for person in picture.people.values() {
        let name = match Name::new(&person.name) {
            Ok(name) => name,
            Err(why) => {
                documents.skipped.push(Skipped::User(person.name.clone(), why));
                continue;
            }
        };
        for group in person.groups.iter().filter_map(|group| Name::new(group).ok()) {
            let entry = members.entry(group.as_str().to_ascii_lowercase()).or_insert_with(|| (group, BTreeSet::new()));
            entry.1.insert(name.clone());
        }
        documents.denied.extend(person.denied.then(|| name.clone()));
        let keys = match &person.excluded {
            Some(why) => {
                documents.excluded.push((name.to_string(), why.clone()));
                documents.withdraw(&name, person, bodies, how);
                Vec::new()
            }
            None => documents.usable(&name, person, bodies, how),
        };
        usable.insert(name, keys);
    }
    for person in picture.outside.values() {
        if let Ok(name) = Name::new(&person.name) {
            documents.denied.extend(person.denied.then(|| name.clone()));
            documents.withdraw(&name, person, bodies, how);
        }
    }
    let lines = documents.lines(&usable);
    documents.skipped.sort_by_cached_key(Skipped::order);
    (documents.users, documents.groups) = (lines.len(), members.len());
    documents.owners = lines.values().flatten().map(|line| (line.key().clone(), line.owner().clone())).collect();
    documents.keys = documents.owners.len();
    let texts: BTreeMap<Name, Text> =
        lines.into_iter().map(|(user, lines)| (user, Text::of(lines.into_iter().map(Arc::new)))).collect();
    for (group, names) in members.into_values() {
        let text = Text::concat(names.iter().filter_map(|name| texts.get(name)));
        documents.texts.insert(Principal::Group(group), text);
    }
    documents.texts.extend(texts.into_iter().map(|(user, text)| (Principal::User(user), text)));
    documents
}

/// A key that may be published.
struct Usable {
    id: String,
    uploaded: Option<Uploaded>,
    public: PublicKey,
    options: Vec<KeyOption>,
}

/// What decides between those who hold the same public key: who uploaded it first; a date beats none; then the name.
type Claim<'a> = (bool, Option<Uploaded>, &'a Name, &'a str);

impl Usable {
    fn claim<'a>(&'a self, user: &'a Name) -> Claim<'a> {
        (self.uploaded.is_none(), self.uploaded, user, &self.id)
    }
}

impl Documents {
    /// The keys of one user that are not refused: IAM's by id, then those in tags by label. What is revoked is noted.
    fn usable(
        &mut self,
        user: &Name,
        person: &Person,
        bodies: &BTreeMap<String, String>,
        how: Rendering<'_>,
    ) -> Vec<Usable> {
        let (mut found, mut revoked) = (Vec::new(), BTreeSet::new());
        if how.keys.iam {
            for key in &person.keys {
                // A key that was never Active has no body here, and was never published.
                let Some(body) = bodies.get(&key.id) else { continue };
                match (PublicKey::from_openssh(body), key.is_active()) {
                    (Ok(public), false) => drop(revoked.insert(public)),
                    (Err(_), false) => {}
                    (Ok(public), true) => {
                        let options = how.options.to_vec();
                        found.push(Usable { id: key.id.clone(), uploaded: key.uploaded, public, options });
                    }
                    (Err(why), true) => {
                        self.skipped.push(Skipped::Key { user: user.clone(), id: key.id.clone(), why });
                    }
                }
            }
            found.sort_by(|one, other| one.id.cmp(&other.id));
        }
        if let Some(prefix) = &how.keys.tags {
            revoked.extend(self.tagged(user, person, prefix, how, &mut found));
        }
        // The same key may stand there twice.
        revoked.retain(|key| found.iter().all(|usable: &Usable| usable.public != *key));
        self.revoked.extend(revoked.into_iter().map(|key| (user.clone(), key)));
        found
    }

    /// Notes what IAM withdraws of a user of whom nothing counts: lines that are held back must not outlive that.
    fn withdraw(&mut self, user: &Name, person: &Person, bodies: &BTreeMap<String, String>, how: Rendering<'_>) {
        let told = self.skipped.len();
        drop(self.usable(user, person, bodies, how));
        self.skipped.truncate(told);
    }

    /// Adds the keys in a user's tags; gives those whose time is up.
    fn tagged(
        &mut self,
        user: &Name,
        person: &Person,
        prefix: &str,
        how: Rendering<'_>,
        found: &mut Vec<Usable>,
    ) -> Vec<PublicKey> {
        let read = tag_keys::read(&person.tags, prefix, how.now);
        let refuse = |label: String, why| Skipped::Tag { user: user.clone(), label, why };
        self.skipped.extend(read.refused.into_iter().map(|(label, why)| refuse(label, why)));
        // What one tag asks for counts for its key wherever else that stands.
        let mut refused: BTreeSet<PublicKey> = read.refused_keys.into_iter().collect();
        for tag in read.keys {
            let same = found.iter().position(|usable| usable.public == tag.key);
            let others = same.and_then(|at| found.get(at)).map_or(how.options, |usable| usable.options.as_slice());
            match (tag_keys::combine(others, &tag.options), same) {
                (Ok(options), Some(at)) => {
                    if let Some(usable) = found.get_mut(at) {
                        usable.options = options;
                    }
                }
                (Ok(options), None) => {
                    let uploaded = person.since.get(&tag.key.fingerprint()).map(|since| (*since, 0));
                    found.push(Usable { id: format!("tag {}", tag.label), uploaded, public: tag.key, options });
                }
                (Err(why), _) => {
                    self.skipped.push(refuse(tag.label, why));
                    refused.insert(tag.key);
                }
            }
        }
        found.retain(|usable| !refused.contains(&usable.public));
        found.retain(|usable| read.expired.iter().all(|tag| tag.key != usable.public));
        read.expired.into_iter().map(|tag| tag.key).collect()
    }

    /// The lines of every user, in the order of the keys. A public key counts once: for the one user whose claim is first.
    fn lines(&mut self, keys: &BTreeMap<Name, Vec<Usable>>) -> BTreeMap<Name, Vec<KeyLine>> {
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
                        id: key.id.clone(),
                        owner: (*owner).clone(),
                        owners_id: (*owners_id).to_owned(),
                    }),
                    // The same key again, as another id: one line.
                    _ if own.iter().any(|line| *line.key() == key.public) => {}
                    _ => own.push(KeyLine::new(key.options.clone(), user.clone(), key.public.clone())),
                }
            }
            lines.insert(user.clone(), own);
        }
        lines
    }
}

impl Skipped {
    /// People's reports are read by name.
    fn order(&self) -> String {
        match self {
            Self::User(name, _) | Self::Group(name, _) => name.clone(),
            Self::Key { user, id, .. } | Self::Shared { user, id, .. } => format!("{user} {id}"),
            Self::Tag { user, label, .. } => format!("{user} {label}"),
        }
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
            Self::Tag { user, label, why } => {
                write!(f, "key in tag `{}` of user `{user}` is not published: {why}", escape(label.as_bytes(), 128))
            }
            Self::Shared { user, id, owner, owners_id } => {
                let (id, owners_id) = (escape(id.as_bytes(), 128), escape(owners_id.as_bytes(), 128));
                write!(
                    f,
                    "key `{id}` of user `{user}` is not published: user `{owner}` holds the same public key as key `{owners_id}` and \
                     uploaded it first (at the same time: the name decides); the one whose key it is not must delete it"
                )
            }
        }
    }
}
