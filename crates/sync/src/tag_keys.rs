//! SSH keys in a user's tags, for the types that IAM's own upload refuses. Pure.
//!
//! `<prefix>/key/<label>` holds a key as a `.pub` file does; `<prefix>/expires/<label>`, `<prefix>/from/<label>` and
//! `<prefix>/options/<label>` say what it may less. It must never publish a key with less of that than its tags ask
//! for: what cannot be understood about a key costs the key. Tag keys are compared ignoring case, as IAM does, labels
//! included.

mod combine;
mod refusal;
mod sibling;
#[cfg(test)]
mod tests;

pub use combine::combine;
pub use refusal::TagKeyError;

use std::collections::BTreeMap;

use iam_ssh_core::{KeyOption, KeyType, PublicKey};

/// A key from tags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagKey {
    /// What its owner calls it, as the key's own tag writes it. Nothing about it is checked.
    pub label: String,
    /// The key.
    pub key: PublicKey,
    /// Flags, then `from`, then `expiry-time`, each at most once.
    pub options: Vec<KeyOption>,
}

/// What a user's tags say about keys, in the order of the labels in lower case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TagKeys {
    /// Keys that count.
    pub keys: Vec<TagKey>,
    /// What is refused: the label, and why; a label may stand there several times. Not escaped.
    pub refused: Vec<(String, TagKeyError)>,
    /// The keys of labels that are refused: wherever else they stand, something is not understood about them.
    pub refused_keys: Vec<PublicKey>,
    /// Keys whose time is over.
    pub expired: Vec<TagKey>,
}

/// What tags say about one label; of tags that IAM takes for one the values are all kept.
#[derive(Default)]
struct Label<'a> {
    name: &'a str,
    keys: Vec<&'a str>,
    expires: Vec<&'a str>,
    from: Vec<&'a str>,
    options: Vec<&'a str>,
    unknown: Vec<&'a str>,
}

/// Whether `text` can be the prefix of such tags: parts of `A-Z a-z 0-9 _ . : = + @ -`, separated by slashes, 64
/// characters at most, not beginning with `aws:`, which IAM keeps for AWS.
#[must_use]
pub fn is_prefix(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_.:=+@-".contains(&byte);
    let reserved = text.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("aws:"));
    text.len() <= 64 && !reserved && text.split('/').all(|part| !part.is_empty() && part.bytes().all(fits))
}

/// The keys in a user's tags. `now`: seconds since 1970 UTC, by which keys are expired.
///
/// A tag below the prefix of another kind is refused, and its label's key with it: a misspelt `<prefix>/expires/…` must
/// not make a key live for ever. One without a label belongs to no key and is somebody else's.
#[must_use]
pub fn read(tags: &BTreeMap<String, String>, prefix: &str, now: i64) -> TagKeys {
    let mut labels: BTreeMap<String, Label<'_>> = BTreeMap::new();
    let mut found = TagKeys::default();
    for (tag, value) in tags {
        let Some((kind, name)) = below(tag, prefix).and_then(|rest| rest.split_once('/')) else { continue };
        if name.trim().is_empty() {
            found.refused.push((tag.clone(), TagKeyError::NoLabel));
            continue;
        }
        let label = labels.entry(name.trim().to_lowercase()).or_default();
        let is_key = kind.eq_ignore_ascii_case("key");
        if label.name.is_empty() || is_key {
            label.name = name;
        }
        match kind.to_ascii_lowercase().as_str() {
            "key" => label.keys.push(value),
            "expires" => label.expires.push(value),
            "from" => label.from.push(value),
            "options" => label.options.push(value),
            _ => label.unknown.push(tag),
        }
    }
    for label in labels.values() {
        found.add(label, now);
    }
    found
}

/// Every key that stands in a user's tags, whether it counts or not.
#[must_use]
pub fn held(tags: &BTreeMap<String, String>, prefix: &str) -> Vec<PublicKey> {
    let is_key = |tag: &str| {
        let kind = below(tag, prefix).and_then(|rest| rest.split_once('/')).map(|(kind, _)| kind);
        kind.is_some_and(|kind| kind.eq_ignore_ascii_case("key"))
    };
    tags.iter().filter(|(tag, _)| is_key(tag)).filter_map(|(_, value)| PublicKey::from_openssh(value).ok()).collect()
}

/// Whether a tag's key begins with the prefix and a slash, as IAM compares keys.
#[must_use]
pub fn is_below(tag: &str, prefix: &str) -> bool {
    below(tag, prefix).is_some()
}

/// What stands behind the prefix and its slash.
fn below<'a>(tag: &'a str, prefix: &str) -> Option<&'a str> {
    let (start, rest) = tag.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)?.strip_prefix('/')
}

impl TagKeys {
    fn add(&mut self, label: &Label<'_>, now: i64) {
        match label.key() {
            Err(refusals) => {
                let keys = label.keys.iter().filter_map(|text| PublicKey::from_openssh(text).ok());
                self.refused_keys.extend(keys.filter_map(|key| allowed(key).ok()));
                self.refused.extend(refusals.into_iter().map(|why| (label.name.to_owned(), why)));
            }
            Ok(key) if sibling::is_over(&key.options, now) => self.expired.push(key),
            Ok(key) => self.keys.push(key),
        }
    }
}

impl Label<'_> {
    /// The key, or everything that is wrong about it.
    fn key(&self) -> Result<TagKey, Vec<TagKeyError>> {
        let mut refusals: Vec<TagKeyError> =
            self.unknown.iter().map(|tag| TagKeyError::Unknown((*tag).to_owned())).collect();
        let mut options = Vec::new();
        let siblings = [
            sibling::one(&self.options, sibling::flags),
            sibling::one(&self.from, sibling::from),
            sibling::one(&self.expires, sibling::expiry),
        ];
        for sibling in siblings {
            match sibling {
                Ok(more) => options.extend(more),
                Err(why) => refusals.push(why),
            }
        }
        let key = match *self.keys.as_slice() {
            [] => Err(TagKeyError::NoKey),
            [text] => PublicKey::from_openssh(text).map_err(TagKeyError::Key).and_then(allowed),
            _ => Err(TagKeyError::Twice),
        };
        match key {
            Ok(key) if refusals.is_empty() => Ok(TagKey { label: self.name.to_owned(), key, options }),
            Ok(_) => Err(refusals),
            Err(why) => {
                refusals.push(why);
                Err(refusals)
            }
        }
    }
}

/// RSA keys do not fit into a tag, and IAM takes them itself.
fn allowed(key: PublicKey) -> Result<PublicKey, TagKeyError> {
    match key.key_type() {
        KeyType::Ed25519 | KeyType::SkEd25519 | KeyType::SkEcdsaP256 => Ok(key),
        KeyType::EcdsaP256 | KeyType::EcdsaP384 | KeyType::EcdsaP521 => Ok(key),
        other => Err(TagKeyError::Type(other)),
    }
}
