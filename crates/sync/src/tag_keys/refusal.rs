//! Why a key in tags is refused, in an administrator's words. Pure.

use std::fmt;

use iam_ssh_core::{KeyError, KeyType, OptionError};

use super::sibling::FLAGS;
use crate::scope::term::escaped;

/// Why a key in tags, or a tag beside one, is refused. Values are escaped when they are shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TagKeyError {
    /// It is no key.
    Key(KeyError),
    /// It is a key of a type that does not belong into tags.
    Type(KeyType),
    /// The end of its time is no date; the value.
    Expires(String),
    /// The networks are none; the value.
    From(String),
    /// An option that cannot be chosen.
    Option(String),
    /// The options are refused for another reason.
    Options(OptionError),
    /// Tags about a key that is not there.
    NoKey,
    /// A tag without a label.
    NoLabel,
    /// A tag of no known kind; the tag's key.
    Unknown(String),
    /// Two tags that differ in case only.
    Twice,
    /// The key is bound to other places than all keys are.
    Apart,
}

impl fmt::Display for TagKeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(why) => write!(f, "{why}"),
            Self::Type(kind) => {
                write!(
                    f,
                    "{kind} keys are not read from tags: only ed25519, ecdsa and sk- keys are; upload it to IAM itself"
                )
            }
            Self::Expires(value) => write!(
                f,
                "expires is `{}`: write the first day on which the key no longer counts, 2027-01-31, or a time in UTC, \
                 2027-01-31T12:00:00Z",
                escaped(value)
            ),
            Self::From(value) => write!(
                f,
                "from is `{}`: write addresses, or networks without host bits (10.0.0.0/8), separated by spaces",
                escaped(value)
            ),
            Self::Option(word) => {
                write!(f, "option `{}` cannot be chosen in a tag: only {} can", escaped(word), FLAGS.join(", "))
            }
            Self::Options(why) => write!(f, "{why}"),
            Self::NoKey => write!(f, "there are tags about this key, but no key of this label"),
            Self::NoLabel => write!(f, "the tag ends where a label should follow"),
            Self::Unknown(tag) => {
                write!(f, "tag `{}` is none that is known: key, expires, from and options are", escaped(tag))
            }
            Self::Twice => write!(f, "two of its tags differ in case only"),
            Self::Apart => write!(f, "its from does not lie within the from that KEY_OPTIONS asks of all keys"),
        }
    }
}

impl std::error::Error for TagKeyError {}
