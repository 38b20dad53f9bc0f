//! IAM user and group names as a validated type.
//!
//! A [`Name`] is the only form in which a name from outside travels through iam-ssh: it can stand in an S3 key, in
//! `environment="SSH_KEY_OWNER=…"` and in a log line without any escaping, because nothing that would need it is
//! allowed in. It must never be built without the check.

use crate::text::escape;
use std::fmt;

/// Longest name, in characters: groups may have 128, users 64, and a user renamed long ago up to 128
/// (IAM `existingUserNameType`).
pub const MAX_LEN: usize = 128;

/// An IAM user or group name: 1 to 128 of `A-Z a-z 0-9 _ + = , . @ -`, but not `.` or `..`.
///
/// IAM compares names ignoring case but keeps their case; S3 keys are case-sensitive. So the case is kept here.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

/// Why a text is not a name that iam-ssh handles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NameError {
    /// The name is empty.
    Empty,
    /// The name has more than [`MAX_LEN`] characters; the length is given in bytes.
    TooLong(usize),
    /// The name is `.` or `..`: legal in IAM, but as an S3 key it would be rewritten on the way by HTTP software.
    Dots,
    /// The name holds a character that IAM does not allow; the name is given escaped.
    Character(String),
}

impl Name {
    /// Checks `text` and takes it as a name.
    ///
    /// # Errors
    /// [`NameError`], where `text` is not 1 to 128 characters of IAM's alphabet, or is `.` or `..`.
    pub fn new(text: &str) -> Result<Self, NameError> {
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        if text.len() > MAX_LEN {
            return Err(NameError::TooLong(text.len()));
        }
        if text == "." || text == ".." {
            return Err(NameError::Dots);
        }
        if !text.bytes().all(is_name_byte) {
            return Err(NameError::Character(escape(text.as_bytes(), 160)));
        }
        Ok(Self(text.to_owned()))
    }

    /// The name as IAM writes it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// IAM's alphabet for user and group names, `[\w+=,.@-]` (IAM API reference, `userNameType`, `groupNameType`).
fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte)
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(f, "the name is empty"),
            Self::TooLong(len) => write!(f, "the name is {len} bytes long, IAM allows {MAX_LEN}"),
            Self::Dots => write!(f, "`.` and `..` cannot be used as names: they do not survive as S3 keys"),
            Self::Character(name) => {
                write!(f, "`{name}` has a character that IAM names cannot have (allowed: A-Z a-z 0-9 _ + = , . @ -)")
            }
        }
    }
}

impl std::error::Error for NameError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_legal_character_is_a_name() {
        assert_eq!(Name::new("aZ09_+=,.@-").unwrap().as_str(), "aZ09_+=,.@-");
    }

    #[test]
    fn what_could_leave_its_place_is_refused() {
        for bad in ["a/b", "../x", "a b", "a\"b", "a\nb", "a\0", "ä", "a\\b"] {
            assert!(matches!(Name::new(bad), Err(NameError::Character(_))), "{bad:?}");
        }
        assert_eq!(Name::new(".."), Err(NameError::Dots));
        assert_eq!(Name::new("."), Err(NameError::Dots));
        assert_eq!(Name::new(""), Err(NameError::Empty));
        assert_eq!(Name::new(&"x".repeat(129)), Err(NameError::TooLong(129)));
        assert!(Name::new(&"x".repeat(128)).is_ok());
    }
}
