//! The terms of settings that choose users: lists, names of groups, tags. Pure.

use std::collections::BTreeMap;
use std::fmt;

use iam_ssh_core::Name;
use iam_ssh_core::text::escape;

use crate::account::same_name;

/// A tag's key (compared ignoring case, as IAM does), and the value it must have, if only one will do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tag {
    key: String,
    value: Option<String>,
}

impl Tag {
    /// Reads `<key>` or `<key>=<value>`, in IAM's lengths.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (key, value) = text.split_once('=').map_or((text, None), |(key, value)| (key, Some(value)));
        let fits = (1..=128).contains(&key.chars().count()) && value.is_none_or(|value| value.chars().count() <= 256);
        fits.then(|| Self { key: key.to_owned(), value: value.map(str::to_owned) })
    }

    pub(crate) fn fits(&self, tags: &BTreeMap<String, String>) -> bool {
        let fits = |value: &String| self.value.as_ref().is_none_or(|wanted| wanted == value);
        tags.iter().any(|(key, value)| same_name(key, &self.key) && fits(value))
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&escaped(&self.key))?;
        self.value.as_ref().map_or(Ok(()), |value| write!(f, "={}", escaped(value)))
    }
}

/// The terms of a list that is separated by `;` or line breaks, without the empty ones.
pub(crate) fn terms(text: &str) -> impl Iterator<Item = &str> {
    text.split([';', '\n']).map(str::trim).filter(|term| !term.is_empty())
}

/// The name, if a group can have it.
pub(crate) fn group_name(text: &str) -> Option<String> {
    Name::new(text).is_ok().then(|| text.to_owned())
}

/// As it is shown.
pub(crate) fn escaped(text: &str) -> String {
    escape(text.as_bytes(), 200)
}
