//! Principals: whose keys a login accepts, written `users/<name>` or `groups/<name>`.
//!
//! A principal is also the address of its document in the bucket. Lists of principals come from a file, an SSM
//! parameter or an instance tag; one bad entry must never take the good ones with it.

use crate::name::{Name, NameError};
use crate::text::escape;
use std::fmt;
use std::str::FromStr;

/// Name of the document below a principal's folder in the bucket.
const DOCUMENT: &str = "authorized_keys";

/// An IAM user or group whose keys are published. Ordered: users before groups, then by name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Principal {
    /// One IAM user.
    User(Name),
    /// All members of one IAM group.
    Group(Name),
}

/// Why a text is not a principal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PrincipalError {
    /// It begins neither with `users/` nor with `groups/`; what was meant is given where that can be told.
    Kind {
        /// The text, escaped.
        text: String,
        /// The spelling that would be right.
        meant: Option<String>,
    },
    /// The name behind `users/` or `groups/` is not an IAM name.
    Name {
        /// The text, escaped.
        text: String,
        /// What is wrong with the name.
        why: NameError,
    },
}

impl Principal {
    /// The S3 key of this principal's document: `<prefix>users/<name>/authorized_keys`.
    #[must_use]
    pub fn object_key(&self, prefix: &str) -> String {
        format!("{prefix}{self}/{DOCUMENT}")
    }

    /// Reads an S3 key back; `None` for every key that [`Principal::object_key`] would not make.
    #[must_use]
    pub fn from_object_key(prefix: &str, key: &str) -> Option<Self> {
        let (principal, document) = key.strip_prefix(prefix)?.rsplit_once('/')?;
        if document != DOCUMENT {
            return None;
        }
        principal.parse().ok()
    }

    /// The name without its kind.
    #[must_use]
    pub fn name(&self) -> &Name {
        match self {
            Self::User(name) | Self::Group(name) => name,
        }
    }
}

impl FromStr for Principal {
    type Err = PrincipalError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (make, name): (fn(Name) -> Self, &str) = match text.split_once('/') {
            Some(("users", name)) => (Self::User, name),
            Some(("groups", name)) => (Self::Group, name),
            _ => return Err(PrincipalError::Kind { text: escape(text.as_bytes(), 200), meant: meant(text) }),
        };
        Name::new(name).map(make).map_err(|why| PrincipalError::Name { text: escape(text.as_bytes(), 200), why })
    }
}

/// The likely right spelling of a principal whose kind is misspelt: `user/x`, `Group/x`, `/users/x`.
fn meant(text: &str) -> Option<String> {
    let (kind, name) = text.trim_start_matches('/').split_once('/')?;
    let kind = match kind.to_ascii_lowercase().as_str() {
        "user" | "users" => "users",
        "group" | "groups" => "groups",
        _ => return None,
    };
    Name::new(name).ok().map(|name| format!("{kind}/{name}"))
}

/// Splits a list of principals as it stands in a file, a parameter or a tag.
///
/// Entries are separated by line breaks or by commas with optional spaces. A comma splits only where `users/` or
/// `groups/` (or a misspelling that [`Principal::from_str`] explains) follows, because IAM names may contain one.
/// `#` at the beginning of a line, or behind white space, begins a comment. Each entry is judged alone.
#[must_use]
pub fn parse_list(text: &str) -> Vec<Result<Principal, PrincipalError>> {
    let mut found = Vec::new();
    for line in text.lines() {
        let mut pending = String::new();
        for part in strip_comment(line).split(',') {
            let begins_entry = looks_like_entry(part.trim_start());
            if begins_entry || pending.is_empty() {
                push_entry(&mut found, &pending);
                pending = part.to_owned();
            } else {
                pending.push(',');
                pending.push_str(part);
            }
        }
        push_entry(&mut found, &pending);
    }
    found
}

fn strip_comment(line: &str) -> &str {
    let mut before = ' ';
    for (at, c) in line.char_indices() {
        if c == '#' && before.is_whitespace() {
            return line.get(..at).unwrap_or(line);
        }
        before = c;
    }
    line
}

fn looks_like_entry(part: &str) -> bool {
    ["users/", "groups/", "user/", "group/"]
        .iter()
        .any(|kind| part.get(..kind.len()).is_some_and(|head| head.eq_ignore_ascii_case(kind)))
}

fn push_entry(found: &mut Vec<Result<Principal, PrincipalError>>, entry: &str) {
    let entry = entry.trim();
    if !entry.is_empty() {
        found.push(entry.parse());
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(name) => write!(f, "users/{name}"),
            Self::Group(name) => write!(f, "groups/{name}"),
        }
    }
}

impl fmt::Display for PrincipalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kind { text, meant: Some(meant) } => {
                write!(f, "`{text}` is not a principal: did you mean `{meant}`?")
            }
            Self::Kind { text, meant: None } => {
                write!(f, "`{text}` is not a principal: write `users/<IAM user>` or `groups/<IAM group>`")
            }
            Self::Name { text, why } => write!(f, "`{text}` is not a principal: {why}"),
        }
    }
}

impl std::error::Error for PrincipalError {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn good(text: &str) -> Vec<String> {
        parse_list(text).into_iter().map(|p| p.unwrap().to_string()).collect()
    }

    #[test]
    fn lists_of_every_form() {
        assert_eq!(good("groups/Administrators, users/Admin"), ["groups/Administrators", "users/Admin"]);
        assert_eq!(
            good("users/a,users/b ,groups/c\r\n\n# no\n users/d # yes\n"),
            ["users/a", "users/b", "groups/c", "users/d"]
        );
        assert_eq!(good("users/smith,john,users/x"), ["users/smith,john", "users/x"]);
        assert_eq!(good("users/a,"), ["users/a,"], "a comma that splits nothing belongs to the name");
        assert!(good("").is_empty());
    }

    #[test]
    fn one_bad_entry_leaves_the_rest() {
        let list = parse_list("groups/A, user/Admin\nusers/b");
        assert_eq!(list.len(), 3);
        assert!(list[0].is_ok() && list[2].is_ok());
        let said = list[1].as_ref().unwrap_err().to_string();
        assert!(said.contains("did you mean `users/Admin`?"), "{said}");
    }

    #[test]
    fn names_cannot_leave_their_folder() {
        for bad in ["users/..", "users/a/b", "users/../groups/x", "users/", "roles/x", "john", "users/a\0b"] {
            assert!(bad.parse::<Principal>().is_err(), "{bad:?}");
            assert_eq!(Principal::from_object_key("", &format!("{bad}/authorized_keys")), None, "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn object_keys_round_trip(name in "[A-Za-z0-9_+=,.@-]{1,128}", user: bool, prefix in "([a-z]{1,5}/)?") {
            prop_assume!(name != "." && name != "..");
            let name = Name::new(&name).unwrap();
            let principal = if user { Principal::User(name) } else { Principal::Group(name) };
            prop_assert_eq!(Principal::from_object_key(&prefix, &principal.object_key(&prefix)), Some(principal.clone()));
            prop_assert_eq!(principal.to_string().parse::<Principal>(), Ok(principal));
        }

        #[test]
        fn any_list_is_survived(text in "\\PC*") {
            let _ = parse_list(&text);
        }
    }
}
